// TMA: boxes of a tensor between global and shared memory.  A load lands when nobody else can go on (lazy), at issue (eager) or
// some time in between (random), and then completes its bytes on an mbarrier; until then its destination holds NaN.
#include <cstring>
#include <mutex>
#include "checker.h"
#include "machine.h"
#include "numbers.h"

namespace cusim {

namespace {
// Calls `row(shared, global, inside)` for each 16 bytes (or less) along the first axis of the box: the offset in shared memory,
// the address in global memory, and how many of the bytes lie inside the tensor.  TMA's boxes are multiples of 16 bytes wide.
template <class Row> void walk(const TensorMap& map, const int* place, uint32_t shared, Row row) {
    unsigned index[5] = {};
    unsigned width = map.box[0] * map.item;
    uint32_t offset = shared;
    for (;;) {
        bool inside = true;
        int64_t global = (int64_t)map.base;
        for (unsigned d = 1; d < map.rank; d++) {
            int64_t i = (int64_t)place[d] + index[d];
            inside &= i >= 0 && i < (int64_t)map.sizes[d];
            global += i * (int64_t)map.strides[d - 1];
        }
        for (unsigned x = 0; x < width; x += 16) {
            unsigned bytes = width - x < 16 ? width - x : 16;
            for (unsigned part = 0; part < bytes;) { // whole chunks where they are inside, else element by element
                int64_t first = (int64_t)place[0] + (x + part) / map.item;
                int64_t last = (int64_t)place[0] + (x + bytes - 1) / map.item;
                bool whole = part == 0 && first >= 0 && last < (int64_t)map.sizes[0];
                unsigned n = whole ? bytes : map.item;
                bool in = inside && first >= 0 && first < (int64_t)map.sizes[0];
                row(swizzled(offset + x, map.swizzle) + part, (unsigned char*)(global + first * map.item), n, in);
                part += n;
            }
        }
        offset += width;
        unsigned d = 1;
        while (d < map.rank && ++index[d] == map.box[d]) index[d++] = 0;
        if (d >= map.rank) return;
    }
}

const TensorMap& use_map(const void* address, uint32_t shared, int rank, cusim_place at) {
    const TensorMap& map = *(const TensorMap*)address;
    if ((uintptr_t)address % 64) cusim_fail("misaligned", at, "a tensor map must lie at a multiple of 64 bytes");
    if (map.magic != TensorMap::MAGIC)
        cusim_fail("tma", at, "the tensor map was not made for the simulator: see kernels.TensorMap");
    if ((int)map.rank != rank) cusim_fail("tma", at, "a tensor map of %u axes is used with %d coordinates", map.rank, rank);
    unsigned alignment = map.swizzle == 3 ? 1024 : map.swizzle == 2 ? 512 : map.swizzle == 1 ? 256 : 128;
    if ((shared & ADDRESS_OFFSET) % alignment)
        cusim_fail("misaligned", at, "this box must lie at a multiple of %u bytes in shared memory, not at address 0x%x",
                   alignment, shared & ADDRESS_OFFSET);
    return map;
}

bool is_destination(const BulkLoad& load, unsigned rank) {
    return load.blocks ? load.blocks >> rank & 1 : rank == load.block->rank;
}

void check_load(const BulkLoad& load, BlockState* to, Mbarrier& barrier, unsigned char* memory) {
    ThreadState* t = current;
    Site site = site_of(load.at);
    UnitAccess unit{to, t, (unsigned)barrier.agent, to->cluster->clocks.next((unsigned)barrier.agent), false, site};
    check_unit_access(unit, memory, load.map.box_bytes(), Access::store);
    if (to == load.block || !load.blocks)
        walk(load.map, load.place, 0, [&](uint32_t, unsigned char* global, unsigned n, bool inside) {
            if (inside) check_access(global, n, Access::load, site, false);
        });
}

template <class Number, class Read, class Write>
void add_numbers(unsigned char* to, const unsigned char* from, unsigned bytes, Read read, Write write) {
    for (unsigned i = 0; i < bytes; i += sizeof(Number)) {
        Number a, b;
        memcpy(&a, to + i, sizeof a);
        memcpy(&b, from + i, sizeof b);
        Number sum = write(read(a) + read(b));
        memcpy(to + i, &sum, sizeof sum);
    }
}

void add_elements(Element element, unsigned char* to, const unsigned char* from, unsigned bytes) {
    static std::mutex mutex;                         // blocks may run on several OS threads
    std::lock_guard<std::mutex> lock(mutex);
    auto same = [](auto x) { return x; };
    switch (element) {
        case Element::f32: return add_numbers<float>(to, from, bytes, same, same);
        case Element::f64: return add_numbers<double>(to, from, bytes, same, same);
        case Element::f16: return add_numbers<uint16_t>(to, from, bytes, half_to_float, float_to_half);
        case Element::bf16: return add_numbers<uint16_t>(to, from, bytes, bf16_to_float, float_to_bf16);
        default: return add_numbers<uint32_t>(to, from, bytes, same, same);
    }
}
}  // namespace

void land(const BulkLoad& load) {
    ClusterState* cluster = load.block->cluster;
    unsigned bytes = load.map.box_bytes();
    for (auto& block : cluster->blocks) {
        if (!is_destination(load, block->rank)) continue;
        uint32_t start = load.shared & ADDRESS_OFFSET;
        unsigned char* base = shared_memory(block.get(), start, bytes, load.at) - start;
        walk(load.map, load.place, start, [&](uint32_t shared, unsigned char* global, unsigned n, bool inside) {
            if (inside)
                memcpy(base + shared, global, n);
            else
                memset(base + shared, 0, n);
        });
        Mbarrier* b = find_mbarrier(block.get(), load.barrier);
        if (!b) {
            report_fatal(Kind::mbarrier, site_of(load.at), 0, "TMA completes at shared address 0x%x, where there is no mbarrier",
                         load.barrier & ADDRESS_OFFSET);
            machine->stopped = true;
            return;
        }
        b->bytes -= bytes;
        if (b->bytes < 0 && !b->pending) {
            report_fatal(Kind::mbarrier, site_of(load.at), 0, "%ld more bytes land on the mbarrier than it was told to expect",
                         -b->bytes);
            machine->stopped = true;
            return;
        }
        if (checking()) {
            if (b->pending_clocks.size() <= (size_t)b->agent) b->pending_clocks.resize((size_t)b->agent + 1);
            b->pending_clocks[(size_t)b->agent] = cluster->clocks.now[(size_t)b->agent];
        }
        step_mbarrier(*b);
    }
}

void perform(ThreadState* t, BulkStore& store) {
    if (store.done) return;
    store.done = true;
    uint32_t start = store.shared & ADDRESS_OFFSET;
    unsigned char* base = shared_memory(t->block, start, store.map.box_bytes(), store.at) - start;
    walk(store.map, store.place, start, [&](uint32_t shared, unsigned char* global, unsigned n, bool inside) {
        if (!inside) return;
        if (store.add)
            add_elements(store.map.element, global, base + shared, n);
        else
            memcpy(global, base + shared, n);
    });
}

}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_tma_load(unsigned shared, const void* address, unsigned barrier, const int* place, int rank, unsigned short blocks,
                    cusim_place at) {
    ThreadState* t = current;
    t->where = at;
    const TensorMap& map = use_map(address, shared, rank, at);
    BulkLoad load{map, shared, barrier, {}, blocks, t->block, at};
    memcpy(load.place, place, (size_t)rank * sizeof(int));
    Mbarrier* own = find_mbarrier(t->block, barrier);
    if (!own) cusim_fail("mbarrier", at, "there is no initialised mbarrier at shared address 0x%x", barrier & ADDRESS_OFFSET);
    if (!own->fenced)
        report(Kind::mbarrier, site_of(at), 0, "TMA uses an mbarrier whose initialisation was not fenced (mbar_fence_init)");
    auto& all = t->block->cluster->blocks;
    if (blocks >> all.size()) cusim_fail("tma", at, "multicast to blocks 0x%x of a cluster of %zu", blocks, all.size());
    for (auto& to : all) {
        if (!is_destination(load, to->rank)) continue;
        unsigned char* memory = shared_memory(to.get(), shared, map.box_bytes(), at);
        if (checking()) {
            Mbarrier* there = find_mbarrier(to.get(), barrier);
            if (!there) cusim_fail("mbarrier", at, "block %u of the cluster has no mbarrier at this place yet", to->rank);
            check_load(load, to.get(), *there, memory);
        }
        if (machine->launch->timing != Timing::eager) memset(memory, POISON, map.box_bytes());
    }
    machine->progress++;
    if (machine->launch->timing == Timing::eager)
        land(load);
    else
        machine->loads.push_back(load);
}

void cusim_tma_store(const void* address, unsigned shared, const int* place, int rank, bool add, cusim_place at) {
    ThreadState* t = current;
    t->where = at;
    const TensorMap& map = use_map(address, shared, rank, at);
    if (add && map.element == Element::bits) cusim_fail("tma", at, "reduce-add does not know numbers of this type");
    unsigned char* memory = shared_memory(t->block, shared & ADDRESS_OFFSET, map.box_bytes(), at);
    BulkStore store{map, shared, {}, add, false, at};
    memcpy(store.place, place, (size_t)rank * sizeof(int));
    if (checking()) {
        Site site = site_of(at);
        unsigned agent = t->store_agent();
        Clocks& clocks = t->block->cluster->clocks;
        UnitAccess unit{t->block, t, agent, clocks.next(agent), true, site};
        check_unit_access(unit, memory, map.box_bytes(), Access::load);
        walk(map, place, 0, [&](uint32_t, unsigned char* global, unsigned n, bool inside) {
            if (inside) check_access(global, n, add ? Access::atomic : Access::store, site, false);
        });
    }
    t->stores.work.push_back(store);
    if (at_once()) perform(t, t->stores.work.back());
}

void cusim_bulk_commit() { current->stores.commit(); }

void cusim_bulk_wait(int groups, bool) {
    ThreadState* t = current;
    auto& stores = t->stores;
    size_t end = stores.end_of_all_but(groups);
    for (size_t i = stores.done; i < end; i++) perform(t, stores.work[i]);
    if (end > stores.done) stores.done = end;
    if (checking() && stores.done) {
        Clocks& clocks = t->block->cluster->clocks;
        unsigned agent = t->store_agent();
        uint32_t& known = t->knows.row[agent];
        uint32_t finished = clocks.now[agent] - (uint32_t)(stores.work.size() - stores.done);
        if (finished > known) known = finished;
    }
    if (stores.done == stores.work.size()) stores.clear();
}

void cusim_fence_proxy_async() {
    ThreadState* t = current;
    cusim_mbar_fence_init();
    if (!checking()) return;
    t->proxy_fenced.assign(t->knows.row, t->knows.row + t->block->cluster->clocks.threads);
    advance(t);
}
}
