// The context switch, and the memory of the stacks: one reservation, made accessible stack by stack, a guard page under each.
// Kernels are compiled so that a large frame touches every page on its way (-fstack-clash-protection): none steps over a guard.
#include "fiber.h"
#include <cstring>
#include <sys/mman.h>

#if defined(__x86_64__)
asm(R"(.text
.globl cusim_switch
.type cusim_switch,@function
cusim_switch:
  push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
  mov %rsp,(%rdi)
.globl cusim_switch_load
cusim_switch_load:
  mov %rsi,%rsp
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
  ret
)");
#elif defined(__aarch64__)
asm(R"(.text
.globl cusim_switch
.type cusim_switch,%function
cusim_switch:
  sub sp,sp,#176
  stp x19,x20,[sp]; stp x21,x22,[sp,#16]; stp x23,x24,[sp,#32]; stp x25,x26,[sp,#48]
  stp x27,x28,[sp,#64]; stp x29,x30,[sp,#80]; stp d8,d9,[sp,#96]; stp d10,d11,[sp,#112]
  stp d12,d13,[sp,#128]; stp d14,d15,[sp,#144]
  mov x9,sp; str x9,[x0]
.globl cusim_switch_load
cusim_switch_load:
  mov sp,x1
  ldp x19,x20,[sp]; ldp x21,x22,[sp,#16]; ldp x23,x24,[sp,#32]; ldp x25,x26,[sp,#48]
  ldp x27,x28,[sp,#64]; ldp x29,x30,[sp,#80]; ldp d8,d9,[sp,#96]; ldp d10,d11,[sp,#112]
  ldp d12,d13,[sp,#128]; ldp d14,d15,[sp,#144]
  add sp,sp,#176
  ret
)");
#else
#error "the simulator has no context switch for this processor"
#endif

namespace cusim {

namespace {
constexpr size_t STACK = 64 << 10, GUARD = 4096, MOST = 1 << 15;
constexpr size_t MARGIN = 1 << 20;                   // of inaccessible space below the first stack
}

FiberPool::~FiberPool() {
    if (memory.low) munmap((void*)memory.low, memory.bytes);
}

Fiber* FiberPool::take(void (*main)()) {
    if (!idle.empty()) {
        Fiber* f = idle.back();
        idle.pop_back();
        return f;
    }
    if (prepared < fibers.size()) {
        prepare(fibers[prepared].get(), prepared, main);
        return fibers[prepared++].get();
    }
    if (!memory.low) {
        memory.bytes = MARGIN + (STACK + GUARD) * MOST;
        void* p = mmap(nullptr, memory.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return nullptr;
        memory.low = (uintptr_t)p;
    }
    if (fibers.size() == MOST) return nullptr;
    auto f = std::make_unique<Fiber>();
    f->stack = (unsigned char*)memory.low + MARGIN + fibers.size() * (STACK + GUARD) + GUARD;
    if (mprotect(f->stack, STACK, PROT_READ | PROT_WRITE)) return nullptr;
    fibers.push_back(std::move(f));
    return take(main);
}

void FiberPool::prepare(Fiber* f, size_t number, void (*main)()) {
    size_t colour = number * 5 % 64 * 64;            // stack tops spread over the sets of the cache
    void** top = (void**)(f->stack + STACK - colour);
#if defined(__aarch64__)
    top = (void**)((unsigned char*)top - 176);
    memset(top, 0, 176);
    top[11] = (void*)main;
#else
    *--top = nullptr;
    *--top = (void*)main;
    for (int k = 0; k < 6; k++) *--top = nullptr;
#endif
    f->stack_pointer = top;
}

void FiberPool::abandon() {
    idle.clear();
    prepared = 0;
}

}  // namespace cusim
