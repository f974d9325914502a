// The checker: looks at every access of a kernel compiled with hooks at its loads and stores, and at those of asynchronous units.
#pragma once
#include <cstddef>
#include <cstdint>
#include "report.h"
#include "shadow.h"

namespace cusim {

struct ThreadState;
struct BlockState;

// An access of the running thread, anywhere in memory; aligned: its address must be a multiple of its size.
void check_access(const void* p, size_t bytes, Access access, Site site, bool aligned = true);

// An access to shared memory by an asynchronous unit: `agent`, at its time `clock`, on behalf of `issuer`.
// by_proxy: TMA and wgmma, which see ordinary stores only after fence.proxy.async.
struct UnitAccess {
    BlockState* block;                               // whose shared memory
    const ThreadState* issuer;
    unsigned agent;
    uint32_t clock;
    bool by_proxy;
    Site site;
};
void check_unit_access(const UnitAccess& unit, const void* p, size_t bytes, Access access);

inline void advance(ThreadState* t);                 // its own clock: what follows is later than what was released

bool is_guard(size_t static_offset);                 // whether a byte of static shared memory is the compiler's own (guards.cpp)

// ---- between clusters
void take_fence(bool device);
void check_atomic(const void* p, size_t bytes, Site site);               // an atomic access, which acquires and releases
void forget_releases();

// ---- profile.cpp
void profile_access(const void* p, size_t bytes, Access access, Site site, bool shared, bool by_thread);      // not by TMA
void clear_profile();                                // what earlier launches counted
void finish_profile_of_block();
void profile_flops(cusim_place at, long flops);
void profile_barrier();
void profile_block_entered(const void* program_counter);

}  // namespace cusim

#include "machine.h"

namespace cusim {
inline void advance(ThreadState* t) { t->knows.row[t->agent()]++; }
}
