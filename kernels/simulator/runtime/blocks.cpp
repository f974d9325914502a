// Blocks come and go: a cluster's state is made, reset for its place in the grid, and put aside for the next one of the same
// shape.
#include <algorithm>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
bool same_shape(const ClusterState& c, size_t blocks, size_t threads) {
    return c.blocks.size() == blocks && c.blocks[0]->threads.size() == threads;
}

std::unique_ptr<ClusterState> make_cluster(size_t blocks, size_t threads) {
    auto& spare = machine->spare;
    for (size_t i = 0; i < spare.size(); i++)
        if (same_shape(*spare[i], blocks, threads)) {
            auto c = std::move(spare[i]);
            spare.erase(spare.begin() + (long)i);
            return c;
        }
    if (spare.size() > 8) spare.clear();
    auto c = std::make_unique<ClusterState>();
    for (size_t r = 0; r < blocks; r++) {
        auto b = std::make_unique<BlockState>();
        for (size_t t = 0; t < threads; t++) b->threads.push_back(std::make_unique<ThreadState>());
        for (size_t w = 0; w < (threads + 31) / 32; w++) b->warps.push_back(std::make_unique<WarpState>());
        c->blocks.push_back(std::move(b));
    }
    return c;
}

cusim_index unravel(uint64_t i, cusim_index shape) {
    uint64_t rows = i / shape.x;
    return {(unsigned)(i % shape.x), (unsigned)(rows % shape.y), (unsigned)(rows / shape.y)};
}

void reset_thread(ThreadState* t, BlockState* b, unsigned number, bool check) {
    t->index = unravel(number, machine->launch->block);
    t->number = number;
    t->lane = number % 32;
    t->block = b;
    t->warp = b->warps[number / 32].get();
    t->fiber = nullptr;
    t->done = false;
    t->wait = Wait::none;
    t->where = {nullptr, 0};
    t->load = 0;
    t->polled = nullptr;
    t->polls = 0;
    t->copies.clear();
    t->stores.clear();
    t->proxy_fenced.clear();
    if (!check) return;
    t->knows = Knowledge{};
    t->knows.row = b->cluster->clocks.row(t->agent());
}

void reset_block(BlockState* b, ClusterState* c, unsigned rank) {
    const Launch& l = *machine->launch;
    cusim_index clusters{l.grid.x / l.cluster.x, l.grid.y / l.cluster.y, l.grid.z / l.cluster.z};
    cusim_index corner = unravel(c->linear, clusters), within = unravel(rank, l.cluster);
    b->index = {corner.x * l.cluster.x + within.x, corner.y * l.cluster.y + within.y, corner.z * l.cluster.z + within.z};
    b->rank = rank;
    b->cluster = c;
    b->live = b->threads_count = (unsigned)b->threads.size();
    for (Barrier& barrier : b->barriers) {
        barrier.arrived = barrier.predicates = 0;
        barrier.waiting.clear();
    }
    b->mbarriers.clear();
    prepare_shared_memory(b, l);
    for (unsigned w = 0; w < b->warps.size(); w++) {
        WarpState* warp = b->warps[w].get();
        warp->block = b;
        warp->number = w;
        unsigned lanes = b->threads_count - w * 32;
        warp->alive = lanes >= 32 ? ~0u : (1u << lanes) - 1;
        for (Gathering& g : warp->gatherings) g.arrived = 0;
        warp->gathering = 0;
        warp->operations.clear();
        warp->groups.clear();
        warp->performed = 0;
        warp->accumulators.clear();
        warp->wgmma_fenced = false;
    }
    for (unsigned t = 0; t < b->threads_count; t++) reset_thread(b->threads[t].get(), b, t, l.check);
}
}  // namespace

void start_cluster(uint64_t linear) {
    const Launch& l = *machine->launch;
    unsigned blocks = l.cluster.x * l.cluster.y * l.cluster.z, threads = l.block.x * l.block.y * l.block.z;
    auto made = make_cluster(blocks, threads);
    ClusterState* c = made.get();
    c->serial = (uint32_t)(linear % 0xffffffffu) + 1;    // in so large a grid 2^32 clusters apart is as good as the same
    c->linear = linear;
    c->live = blocks * threads;
    c->arrived = c->phase = 0;
    c->waiting.clear();
    c->acquired = nullptr;
    if (l.check) {
        c->clocks.reset(blocks, threads);
        c->pending_clocks.clear();
        c->ended_clocks.clear();
    }
    if (machine->resident.empty()) machine->static_owner = nullptr;
    machine->resident.push_back(std::move(made));
    std::vector<ThreadState*> all;
    for (unsigned r = 0; r < blocks; r++) {
        BlockState* b = c->blocks[r].get();
        reset_block(b, c, r);
        for (auto& t : b->threads) all.push_back(t.get());
    }
    wake_all(all);
}

void finish_cluster(ClusterState* c) {
    if (machine->launch->profile) finish_profile_of_block();
    for (auto& b : c->blocks) {
        if (!shared_red_zones_intact(b.get()))
            report_fatal(Kind::shared_out_of_bounds, 0, 0, "a store outside dynamic shared memory changed the zone around it");
        check_mbarriers_at_end(b.get());
        if (machine->static_owner == b.get()) machine->static_owner = nullptr;
    }
    auto& resident = machine->resident;
    auto found = std::find_if(resident.begin(), resident.end(), [&](auto& p) { return p.get() == c; });
    machine->spare.push_back(std::move(*found));
    resident.erase(found);
}

}  // namespace cusim
