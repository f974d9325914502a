// Whose turn it is.
//
// Threads that can run stand in `ready`; a thread that has to wait switches directly to the next one.  When nobody is ready, first
// TMA in flight lands; then the threads that poll (spin loops) look again; when that was fruitless too, another cluster of the grid is
// started beside, since they may wait for it; and when none is left, it is a deadlock.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include "checker.h"
#include "machine.h"
#include "watchdog.h"

namespace cusim {

__thread ThreadState* current __attribute__((tls_model("initial-exec"))) = nullptr;
__thread Machine* machine __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {
constexpr int MOST_POLLS = 20000;                    // rounds of polling without any progress, before it is called a deadlock
thread_local uint32_t (*next_cluster)();             // the next one that nobody has started; ~0u: none
thread_local bool clusters_left;

void start_cluster(uint32_t linear);
void finish_cluster(ClusterState* c);

const char* what(const ThreadState* t) {
    switch (t->wait) {
        case Wait::barrier: return "at a barrier";
        case Wait::warp: return "at a warp function";
        case Wait::mbarrier: return "for an mbarrier";
        case Wait::wgmma: return "for wgmma";
        case Wait::cluster: return "at the cluster's barrier";
        default: return "in a loop";
    }
}

void report_deadlock() {
    std::map<std::string, int> places;
    cusim_place first{nullptr, 0};
    for (auto& c : machine->resident)
        for (auto& b : c->blocks)
            for (auto& t : b->threads) {
                if (t->done) continue;
                char text[600];
                snprintf(text, sizeof text, "%s, %s:%d", what(t.get()), t->where.file ? t->where.file : "?", t->where.line);
                places[text]++;
                if (!first.file) first = t->where;
            }
    std::string list;
    for (auto& [text, count] : places) list += (list.empty() ? "" : "; ") + std::to_string(count) + " wait " + text;
    current = nullptr;
    report_fatal(Kind::deadlock, site_of(first), 0, "no thread can go on: %s", list.c_str());
}

ThreadState* from_ready() {
    auto& ready = machine->ready;
    if (machine->launch->order == Order::random && ready.size() > 1)
        std::swap(ready.front(), ready[machine->random() % ready.size()]);
    ThreadState* t = ready.front();
    ready.pop_front();
    return t;
}

void land_one(size_t i) {
    BulkLoad load = machine->loads[i];
    machine->loads.erase(machine->loads.begin() + (long)i);
    land(load);
}

// The thread whose turn is next; null: the kernel is over, or was stopped.
ThreadState* next_turn() {
    Machine& m = *machine;
    for (;;) {
        if (m.stopped) return nullptr;
        if (overtime()) {
            report_fatal(Kind::time_limit, current ? site_of(current->where) : 0, 0, "the kernel ran longer than its time limit");
            m.stopped = true;
            return nullptr;
        }
        if (!m.loads.empty() && m.launch->timing == Timing::random && m.random() % 8 == 0) land_one(m.random() % m.loads.size());
        if (!m.ready.empty()) return from_ready();
        if (!m.loads.empty()) {
            land_one(0);
            continue;
        }
        if (m.resident.empty()) {
            uint32_t c = clusters_left ? next_cluster() : ~0u;
            if (c == ~0u) return nullptr;
            start_cluster(c);
            continue;
        }
        if (m.polling.empty()) {
            report_deadlock();
            m.stopped = true;
            return nullptr;
        }
        m.fruitless = m.progress == m.progress_at_poll ? m.fruitless + 1 : 0;
        m.progress_at_poll = m.progress;
        if (m.fruitless > 2 && clusters_left) {
            uint32_t c = next_cluster();
            clusters_left = c != ~0u;
            if (clusters_left) {
                m.fruitless = 0;
                start_cluster(c);
                continue;
            }
        }
        if (m.fruitless > MOST_POLLS) {
            report_deadlock();
            m.stopped = true;
            return nullptr;
        }
        wake_all(m.polling);
    }
}

void go_to(ThreadState* t, void** save);

void fiber_main() {
    for (;;) {
        ThreadState* t = current;
        machine->launch->kernel(machine->launch->arguments);
        t->done = true;
        Fiber* fiber = t->fiber;
        t->fiber = nullptr;
        machine->progress++;
        leave_barriers(t);
        leave_warp(t);
        finish_asynchronous_work(t);
        ClusterState* cluster = t->block->cluster;
        if (--cluster->live == 0) finish_cluster(cluster);
        ThreadState* next = next_turn();
        if (next && !next->fiber) {                  // it begins on this fiber
            next->fiber = fiber;
            current = next;
            if (next->block != machine->static_owner) exchange_statics(next->block);
            continue;
        }
        machine->fibers.give_back(fiber);
        go_to(next, &fiber->stack_pointer);
    }
}

// Switches to a thread, or to the scheduler's own stack (null).
void go_to(ThreadState* t, void** save) {
    machine->switches++;
    current = t;
    if (!t) {
        cusim_switch(save, machine->scheduler);
        return;
    }
    if (!t->fiber && !(t->fiber = machine->fibers.take(fiber_main))) {
        report_fatal(Kind::crash, 0, 0, "no memory for the stacks of so many threads that wait for each other");
        machine->stopped = true;
        current = nullptr;
        if (save != &machine->scheduler) cusim_switch(save, machine->scheduler);
        return;
    }
    if (t->block != machine->static_owner) exchange_statics(t->block);
    cusim_switch(save, t->fiber->stack_pointer);
}

void give_turn() {
    ThreadState* self = current;
    ThreadState* next = next_turn();
    if (next == self) {
        current = self;
        return;
    }
    go_to(next, &self->fiber->stack_pointer);
}

// ---- blocks come and go

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

cusim_index unravel(uint32_t i, cusim_index shape) { return {i % shape.x, i / shape.x % shape.y, i / (shape.x * shape.y)}; }

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
        warp->operations.clear();
        warp->groups.clear();
        warp->performed = 0;
        warp->accumulators.clear();
        warp->wgmma_fenced = false;
    }
    for (unsigned t = 0; t < b->threads_count; t++) reset_thread(b->threads[t].get(), b, t, l.check);
}

void start_cluster(uint32_t linear) {
    const Launch& l = *machine->launch;
    unsigned blocks = l.cluster.x * l.cluster.y * l.cluster.z, threads = l.block.x * l.block.y * l.block.z;
    auto made = make_cluster(blocks, threads);
    ClusterState* c = made.get();
    c->serial = linear + 1;
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
}  // namespace

void wait_as(Wait wait, cusim_place at) {
    current->wait = wait;
    current->where = at;
    give_turn();
}

void wake(ThreadState* t) {
    t->wait = Wait::none;
    machine->ready.push_back(t);
}

void wake_all(std::vector<ThreadState*>& threads) {
    if (machine->launch->order == Order::reverse)
        for (size_t i = threads.size(); i-- > 0;) wake(threads[i]);
    else
        for (ThreadState* t : threads) wake(t);
    threads.clear();
}

void poll(cusim_place at) {
    machine->polling.push_back(current);
    wait_as(Wait::poll, at);
}

void stop_kernel() {
    machine->stopped = true;
    void* abandoned;
    current = nullptr;
    cusim_switch(&abandoned, machine->scheduler);
    __builtin_unreachable();
}

void run_clusters(uint32_t (*next)()) {
    Machine& m = *machine;
    next_cluster = next;
    clusters_left = true;
    if (ThreadState* first = next_turn()) go_to(first, &m.scheduler);
    current = nullptr;
    report_fault();
    if (m.resident.empty() && !m.stopped) return;
    m.fibers.abandon();                              // stopped in the midst of it
    m.resident.clear();
    m.spare.clear();
    m.ready.clear();
    m.polling.clear();
    m.loads.clear();
}

}  // namespace cusim

using namespace cusim;

extern "C" {
cusim_index cusim_thread_index() { return current->index; }
cusim_index cusim_block_index() { return current->block->index; }
cusim_index cusim_block_size() { return machine->launch->block; }
cusim_index cusim_grid_size() { return machine->launch->grid; }
unsigned cusim_cluster_rank() { return current->block->rank; }
unsigned cusim_cluster_size() { return (unsigned)current->block->cluster->blocks.size(); }
void cusim_yield() { poll(current->where); }
}
