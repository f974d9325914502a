// What the compiler calls: -fsanitize=thread before every load and store, -fsanitize=bounds,alignment where an index or address
// is wrong, -fsanitize-coverage=trace-pc at every basic block.  None of the compilers' own libraries is linked; these functions
// are all there is.
#include <cstring>
#include "checker.h"
#include "machine.h"

using namespace cusim;

namespace {
constexpr int POLLS_BEFORE_TURN = 16;                // looks at an unchanged atomic, before others get their turn

inline bool watched() { return current && checking(); }

void check_pieces(const void* p, size_t bytes, Access access, const void* code) {
    Site site = site_of_code(code);
    for (size_t i = 0; i < bytes; i += 16) check_access((const char*)p + i, bytes - i < 16 ? bytes - i : 16, access, site, false);
}

// The running thread looked at an atomic variable that had not changed; load: where, if by a volatile load.
void looked_in_vain(const void* p, Site load = 0) {
    ThreadState* t = current;
    if (t->polled != p) {
        t->polled = p;
        t->polls = 0;
    }
    if (++t->polls > POLLS_BEFORE_TURN) poll(t->where, load);
}

void changed() {
    machine->progress++;
    current->polled = nullptr;
}

bool is_shared(const void* p) { return shared_place(current->block, (uintptr_t)p).block != nullptr; }

// A volatile access is an atomic one in global memory; in shared memory it is like any other.
void volatile_load(const void* p, size_t bytes, const void* code) {
    if (!current || machine->fibers.stacks().holds((uintptr_t)p)) return;
    bool shared = is_shared(p);
    if (!shared) looked_in_vain(p, site_of_code(code));                  // first: the load itself comes after this call
    if (checking() && shared)
        check_access(p, bytes, Access::load, site_of_code(code));
    else if (checking())
        check_atomic(p, bytes, site_of_code(code));
}

void volatile_store(const void* p, size_t bytes, const void* code) {
    if (!current || machine->fibers.stacks().holds((uintptr_t)p)) return;
    if (checking() && is_shared(p))
        check_access(p, bytes, Access::store, site_of_code(code));
    else if (checking())
        check_atomic(p, bytes, site_of_code(code));
    changed();
}
}  // namespace

#define CODE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define HOOKS(bytes) \
    void __tsan_read##bytes(void* p) { \
        if (watched()) check_access(p, bytes, Access::load, site_of_code(CODE)); \
    } \
    void __tsan_write##bytes(void* p) { \
        if (watched()) check_access(p, bytes, Access::store, site_of_code(CODE)); \
    } \
    void __tsan_read_write##bytes(void* p) { \
        if (!watched()) return; \
        check_access(p, bytes, Access::load, site_of_code(CODE)); \
        check_access(p, bytes, Access::store, site_of_code(CODE)); \
    } \
    void __tsan_unaligned_read##bytes(void* p) { __tsan_read##bytes(p); } \
    void __tsan_unaligned_write##bytes(void* p) { __tsan_write##bytes(p); } \
    void __tsan_unaligned_read_write##bytes(void* p) { __tsan_read_write##bytes(p); } \
    void __tsan_volatile_read##bytes(void* p) { volatile_load(p, bytes, CODE); } \
    void __tsan_volatile_write##bytes(void* p) { volatile_store(p, bytes, CODE); } \
    void __tsan_unaligned_volatile_read##bytes(void* p) { volatile_load(p, bytes, CODE); } \
    void __tsan_unaligned_volatile_write##bytes(void* p) { volatile_store(p, bytes, CODE); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void* p, size_t bytes) {
    if (watched()) check_pieces(p, bytes, Access::load, CODE);
}

void __tsan_write_range(void* p, size_t bytes) {
    if (watched()) check_pieces(p, bytes, Access::store, CODE);
}

// clang's, in the place of the functions themselves; before version 15 it calls those, and the linker's --wrap leads here
void* __tsan_memset(void* p, int value, size_t bytes) {
    if (watched()) check_pieces(p, bytes, Access::store, CODE);
    return memset(p, value, bytes);
}

void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
    if (watched()) {
        check_pieces(from, bytes, Access::load, CODE);
        check_pieces(to, bytes, Access::store, CODE);
    }
    return memcpy(to, from, bytes);
}

void* __tsan_memmove(void* to, const void* from, size_t bytes) {
    if (watched()) {
        check_pieces(from, bytes, Access::load, CODE);
        check_pieces(to, bytes, Access::store, CODE);
    }
    return memmove(to, from, bytes);
}

void* __wrap_memset(void*, int, size_t) __attribute__((alias("__tsan_memset")));
void* __wrap_memcpy(void*, const void*, size_t) __attribute__((alias("__tsan_memcpy")));
void* __wrap_memmove(void*, const void*, size_t) __attribute__((alias("__tsan_memmove")));

// ---- -fsanitize=bounds,alignment: the layouts of their arguments are the compilers' interface

struct UbsanPlace {
    const char* file;
    unsigned line, column;
};

struct UbsanTypeMismatch {
    UbsanPlace place;
    void* type;
    unsigned char log_alignment, kind;
};

void __ubsan_handle_out_of_bounds(void* data, void* index) {
    const UbsanPlace& place = *(const UbsanPlace*)data;
    cusim_fail("array-index", {place.file, (int)place.line}, "the index %ld is outside its array", (long)index);
}

void __ubsan_handle_type_mismatch_v1(void* data, void*) {
    const UbsanTypeMismatch& mismatch = *(const UbsanTypeMismatch*)data;
    if (!watched()) return;
    report(Kind::misaligned, site_of({mismatch.place.file, (int)mismatch.place.line}), 0,
           "an access that needs an address which is a multiple of %d", 1 << mismatch.log_alignment);
}

void __ubsan_handle_out_of_bounds_abort(void* data, void* index) { __ubsan_handle_out_of_bounds(data, index); }
void __ubsan_handle_type_mismatch_v1_abort(void* data, void* p) { __ubsan_handle_type_mismatch_v1(data, p); }

void __sanitizer_cov_trace_pc() {
    if (current && machine->launch->profile) profile_block_entered(CODE);
}

// ---- fences and atomics: called by the language headers

void cusim_fence(bool device) {
    if (checking()) take_fence(device);
}

void cusim_atomic_begin(void* p, cusim_size bytes, cusim_place at) {
    current->where = at;
    if ((uintptr_t)p % bytes)
        cusim_fail("misaligned", at, "an atomic of %zu bytes at an address that is no multiple of that",
                   bytes);
    if (checking()) check_atomic(p, bytes, site_of(at));
}

void cusim_atomic_load(const void* p, void* value, cusim_size bytes) {
    switch (bytes) {
        case 2: *(uint16_t*)value = __atomic_load_n((const uint16_t*)p, __ATOMIC_SEQ_CST); break;
        case 4: *(uint32_t*)value = __atomic_load_n((const uint32_t*)p, __ATOMIC_SEQ_CST); break;
        default: *(uint64_t*)value = __atomic_load_n((const uint64_t*)p, __ATOMIC_SEQ_CST); break;
    }
}

bool cusim_atomic_swap(void* p, const void* old_value, const void* new_value, cusim_size bytes) {
    bool done;
    auto swap = [&](auto kind) {
        decltype(kind) expected, wanted;
        memcpy(&expected, old_value, sizeof kind);
        memcpy(&wanted, new_value, sizeof kind);
        return __atomic_compare_exchange_n((decltype(kind)*)p, &expected, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    };
    if (bytes == 2)
        done = swap(uint16_t());
    else if (bytes == 4)
        done = swap(uint32_t());
    else
        done = swap(uint64_t());
    if (done && !memcmp(old_value, new_value, bytes))
        looked_in_vain(p);
    else
        changed();
    return done;
}

unsigned cusim_load_acquire(const unsigned* flag, cusim_place at) {
    cusim_atomic_begin((void*)flag, sizeof *flag, at);
    unsigned value = __atomic_load_n(flag, __ATOMIC_SEQ_CST);
    looked_in_vain(flag);
    return value;
}

void cusim_store_release(unsigned* flag, unsigned value, cusim_place at) {
    cusim_fence(true);
    cusim_atomic_begin(flag, sizeof *flag, at);
    __atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
    changed();
}
}
