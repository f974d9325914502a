// Fibers: one stack per CUDA thread, and a switch from one to another in a few instructions.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>
#include "range.h"

// Saves the callee-saved registers and the stack pointer in *save, and goes on where `load` was saved.
extern "C" void cusim_switch(void** save, void* load);
extern "C" void cusim_switch_load();                 // its second half: entered by the handler of faults, with `load` in place

namespace cusim {

struct Fiber {
    void* stack_pointer;
    unsigned char* stack;
};

class FiberPool {
public:
    FiberPool() = default;
    FiberPool(const FiberPool&) = delete;
    ~FiberPool();
    Fiber* take(void (*main)());                     // one that will begin in `main`, which never returns; null: no memory
    void give_back(Fiber* f) { idle.push_back(f); }
    void abandon();                                  // all fibers, wherever they are
    const Range& stacks() const { return memory; }

private:
    void prepare(Fiber* f, size_t number, void (*main)());
    Range memory;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber*> idle;
    size_t prepared = 0;                             // fibers[0 .. prepared) have been started
};

}  // namespace cusim
