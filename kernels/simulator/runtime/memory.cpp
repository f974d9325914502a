// The arena of the arrays and the shared memory of blocks.
//
// The arena lies in the middle of a reservation so large that a 32-bit index cannot lead out of it: an access far outside an
// array either meets the arena's own memory or a page that does not exist, never the rest of the process.
#include "memory.h"
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <sys/mman.h>
#include "machine.h"

namespace cusim {

std::deque<Array> arrays;

namespace {
constexpr size_t ZONE = 4096, SHARED_ZONE = 256, SHARED_MARGIN = 65536;
constexpr size_t STEP = 4 << 20;                     // by which the accessible part grows

Range reservation;
uintptr_t arena_start = 0, arena_end = 0, arena_top = 0;         // of the accessible part; the next free byte
int last_found = 0;
std::deque<Array> spare;                             // with their shadow's memory

void reserve() {
    for (size_t bytes : {size_t(64) << 30, size_t(8) << 30, size_t(1) << 30}) {
        void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;
        reservation = {(uintptr_t)p, bytes};
        arena_start = arena_end = arena_top = (uintptr_t)p + bytes / 4;
        return;
    }
    throw std::runtime_error("no address space for the simulator's arrays");
}

unsigned char* take(size_t bytes) {                  // at a multiple of 256
    if (!reservation.low) reserve();
    uintptr_t p = arena_top;
    arena_top = (p + bytes + 255) & ~uintptr_t(255);
    if (arena_top > arena_end) {
        size_t more = (arena_top - arena_end + STEP - 1) / STEP * STEP;
        if (arena_end + more > reservation.high() - reservation.bytes / 4 ||
            mprotect((void*)arena_end, more, PROT_READ | PROT_WRITE))
            throw std::runtime_error("the simulator has no memory for arrays of this size");
        arena_end += more;
    }
    return (unsigned char*)p;
}

bool all_red(const unsigned char* p, size_t n) {
    return !n || (*p == RED && !memcmp(p, p + 1, n - 1));                // each byte like the one before it
}
}  // namespace

Array& add_array(const void* from, size_t bytes, unsigned misalignment, int parameter, unsigned item, bool constant) {
    unsigned char* base = take(2 * ZONE + misalignment + bytes);
    unsigned char* start = base + ZONE + misalignment;
    memset(base, RED, ZONE + misalignment);
    memset(start + bytes, RED, ZONE);
    if (from)
        memcpy(start, from, bytes);
    else
        memset(start, POISON, bytes);
    if (spare.empty()) spare.emplace_back();
    arrays.push_back(std::move(spare.back()));
    spare.pop_back();
    Array& a = arrays.back();
    a.memory = {(uintptr_t)start, bytes};
    a.parameter = parameter;
    a.item = item;
    a.constant = constant;
    a.undefined_at_start = !from;
    return a;
}

void clear_arrays() {
    while (!arrays.empty()) {
        spare.push_back(std::move(arrays.back()));
        arrays.pop_back();
    }
    constexpr size_t KEPT = 64 << 20;                // give a large launch's memory back
    if (arena_end - arena_start > KEPT) {
        madvise((void*)(arena_start + KEPT), arena_end - arena_start - KEPT, MADV_DONTNEED);
        spare.clear();
    }
    arena_top = arena_start;
    last_found = 0;
}

Array* find_array(uintptr_t p) {
    int n = (int)arrays.size();
    if (last_found < n && arrays[last_found].memory.holds(p)) return &arrays[last_found];
    for (int i = 0; i < n; i++)
        if (arrays[i].memory.holds(p)) {
            last_found = i;
            return &arrays[i];
        }
    return nullptr;
}

Array* nearest_array(uintptr_t p, long& distance) {
    Array* nearest = nullptr;
    for (Array& a : arrays) {
        long d = p >= a.memory.high() ? (long)(p - a.memory.high()) + 1 : p < a.memory.low ? -(long)(a.memory.low - p) : 0;
        if (!nearest || labs(d) < labs(distance)) {
            nearest = &a;
            distance = d;
        }
    }
    return nearest;
}

bool red_zones_intact(const Array& a) {
    return all_red((const unsigned char*)a.memory.low - ZONE, ZONE) && all_red((const unsigned char*)a.memory.high(), ZONE);
}

bool in_arena(uintptr_t p) { return reservation.holds(p); }

// ---- shared memory -----------------------------------------------------------------------------------------------------

void prepare_shared_memory(BlockState* b, const Launch& launch) {
    size_t bytes = launch.dynamic_bytes, wanted = bytes + 2 * SHARED_MARGIN + 1024;
    if (b->dynamic_memory.size() < wanted) b->dynamic_memory.resize(wanted);
    uintptr_t start = ((uintptr_t)b->dynamic_memory.data() + SHARED_MARGIN + 1023) & ~uintptr_t(1023);
    b->dynamic = {start, bytes};
    memset((void*)(start - SHARED_ZONE), RED, SHARED_ZONE);
    memset((void*)start, POISON, bytes);
    memset((void*)(start + bytes), RED, SHARED_ZONE);
    const Range& statics = machine->statics;
    if (!machine->static_owner) {
        machine->static_owner = b;
        if (statics.bytes) memset((void*)statics.low, POISON, statics.bytes);
    } else {
        b->static_copy.assign(statics.bytes, POISON);
    }
    if (!launch.check) return;
    b->dynamic_shadow.reset(bytes, 2, false);
    b->static_shadow.reset(statics.bytes, 2, false);
}

bool shared_red_zones_intact(BlockState* b) {
    const unsigned char* low = (const unsigned char*)b->dynamic.low;
    return all_red(low - SHARED_ZONE, SHARED_ZONE) && all_red(low + b->dynamic.bytes, SHARED_ZONE);
}

void exchange_statics(BlockState* coming) {
    const Range& statics = machine->statics;
    BlockState* going = machine->static_owner;
    machine->static_owner = coming;
    if (!statics.bytes) return;
    if (going) {
        going->static_copy.resize(statics.bytes);
        memcpy(going->static_copy.data(), (void*)statics.low, statics.bytes);
    }
    memcpy((void*)statics.low, coming->static_copy.data(), statics.bytes);
}

SharedPlace shared_place(BlockState* block, uintptr_t p) {
    if (block->dynamic.holds(p)) return {block, true, p - block->dynamic.low};
    if (machine->statics.holds(p)) return {machine->static_owner, false, p - machine->statics.low};
    if (block->cluster->blocks.size() > 1)
        for (auto& other : block->cluster->blocks) {
            if (other->dynamic.holds(p)) return {other.get(), true, p - other->dynamic.low};
            uintptr_t offset = p - (uintptr_t)other->static_copy.data();
            if (other.get() != machine->static_owner && offset < other->static_copy.size()) return {other.get(), false, offset};
        }
    return {};
}

uint32_t dynamic_start() { return STATIC_START + (uint32_t)((machine->statics.bytes + 1023) & ~size_t(1023)); }

BlockState* block_of_address(uint32_t address) {
    unsigned rank = address >> 24;
    if (!rank) return current->block;
    auto& blocks = current->block->cluster->blocks;
    if (rank > blocks.size())
        cusim_fail("shared-out-of-bounds", {nullptr, 0}, "block %u of a cluster of %zu", rank - 1, blocks.size());
    BlockState* block = blocks[rank - 1].get();
    if (!block->live)                                // on a GPU its shared memory may already be another block's
        cusim_fail("shared-out-of-bounds", current->where, "block %u of the cluster has ended: its shared memory is gone", rank - 1);
    return block;
}

unsigned char* shared_memory(uint32_t address, size_t bytes, cusim_place at) {
    return shared_memory(block_of_address(address), address, bytes, at);
}

unsigned char* shared_memory(BlockState* b, uint32_t address, size_t bytes, cusim_place at) {
    size_t offset = address & ADDRESS_OFFSET, start = dynamic_start(), statics = machine->statics.bytes;
    if (offset >= start && offset + bytes <= start + b->dynamic.bytes) return (unsigned char*)b->dynamic.low + (offset - start);
    if (offset >= STATIC_START && offset + bytes <= STATIC_START + statics) {
        unsigned char* base = b == machine->static_owner ? (unsigned char*)machine->statics.low : b->static_copy.data();
        return base + (offset - STATIC_START);
    }
    long distance = (long)offset + (long)bytes - (long)(start + b->dynamic.bytes);
    cusim_fail("shared-out-of-bounds", at, "%zu bytes at shared address 0x%zx, which end %ld bytes past the %zu bytes of dynamic "
               "shared memory", bytes, offset, distance, b->dynamic.bytes);
}

}  // namespace cusim

using namespace cusim;

extern "C" {

unsigned cusim_shared_address(const void* p) {
    BlockState* b = current->block;
    uintptr_t a = (uintptr_t)p;
    if (a - b->dynamic.low <= b->dynamic.bytes) return dynamic_start() + (uint32_t)(a - b->dynamic.low);
    SharedPlace place = shared_place(b, a);
    if (!place.block) cusim_fail("address-space", {nullptr, 0}, "the pointer %p is not into shared memory", p);
    uint32_t rank = place.block == b ? 0 : (place.block->rank + 1) << 24;
    return rank | ((place.dynamic ? dynamic_start() : STATIC_START) + (uint32_t)place.offset);
}

unsigned char* cusim_dynamic_shared() { return (unsigned char*)current->block->dynamic.low; }
unsigned cusim_dynamic_shared_bytes() { return (unsigned)current->block->dynamic.bytes; }

void* cusim_cluster_shared(const void* p, unsigned rank) {
    uint32_t address = (cusim_shared_address(p) & ADDRESS_OFFSET) | (rank + 1) << 24;
    return shared_memory(address, 1, {nullptr, 0});
}
}
