// Barriers of a block (__syncthreads, bar.sync, bar.arrive) and of a cluster.
#include <cstring>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
bool same_line(cusim_place a, cusim_place b) { return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file)); }

void open(Barrier& barrier) {
    barrier.arrived = 0;
    barrier.result = barrier.predicates;
    barrier.predicates = 0;
    machine->progress++;
    if (checking())
        for (ThreadState* t : barrier.waiting) {
            memcpy(t->knows.row, barrier.clocks.data(), barrier.clocks.size() * sizeof(uint32_t));
            t->knows.acquired = join(t->knows.acquired, barrier.acquired);
            if (t != current) advance(t);
        }
    wake_all(barrier.waiting);
}
}  // namespace

// A thread that has returned no longer holds back a barrier of the whole block, on the GPU as here; but it is reported.
void leave_barriers(ThreadState* t) {
    BlockState* b = t->block;
    b->live--;
    Barrier& barrier = b->barriers[0];
    if (barrier.arrived && b->live && barrier.arrived >= (int)b->live) {
        report(Kind::barrier_divergence, site_of(barrier.first), 0,
               "a thread has returned while others of its block wait at this barrier");
        open(barrier);
    }
    leave_cluster_barrier(b->cluster);
}

namespace {
void open_cluster_barrier(ClusterState* c) {
    c->arrived = 0;
    c->phase++;
    machine->progress++;
    if (checking()) {
        c->ended_clocks.swap(c->pending_clocks);
        c->pending_clocks.clear();
    }
    wake_all(c->waiting);
}
}  // namespace

void leave_cluster_barrier(ClusterState* c) {
    if (c->arrived && c->live > 1 && c->arrived >= c->live - 1) open_cluster_barrier(c);     // the leaver still counts as live
}

}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_barrier(int id, int count, bool wait, cusim_place at) {
    ThreadState* t = current;
    BlockState* b = t->block;
    if (id < 0 || id > 15) cusim_fail("instruction", at, "barrier %d: there are 16, 0 to 15", id);
    if (count % 32 || count < 0)
        cusim_fail("instruction", at, "barrier %d for %d threads, which is no multiple of 32", id, count);
    Barrier& barrier = b->barriers[id];
    int expected = count ? count : (int)b->live;
    if (!barrier.arrived) {
        barrier.first = at;
        barrier.expected = expected;
        if (checking()) {
            barrier.clocks.clear();
            barrier.acquired = nullptr;
        }
    } else if (id == 0 && !count && !same_line(barrier.first, at)) {
        report(Kind::barrier_divergence, site_of(at), site_of(barrier.first),
               "threads of one block are at different __syncthreads()");
    } else if (count && barrier.expected != expected) {
        cusim_fail("barrier-divergence", at, "barrier %d is used for %d and for %d threads at once", id, barrier.expected,
                   expected);
    }
    barrier.arrived++;
    machine->progress++;
    if (wait && machine->launch->profile) profile_barrier();
    if (checking()) {
        join(barrier.clocks, t->knows.row, b->cluster->clocks.used);
        barrier.acquired = join(barrier.acquired, t->knows.acquired);
        advance(t);
    }
    if (barrier.arrived >= expected) {
        if (wait && checking()) {
            uint32_t own = t->knows.row[t->agent()];
            memcpy(t->knows.row, barrier.clocks.data(), barrier.clocks.size() * sizeof(uint32_t));
            t->knows.row[t->agent()] = own;
            t->knows.acquired = join(t->knows.acquired, barrier.acquired);
        }
        open(barrier);
        return;
    }
    if (!wait) return;
    barrier.waiting.push_back(t);
    t->barrier = id;
    wait_as(Wait::barrier, at);
}

int cusim_barrier_count(bool predicate, cusim_place at) {
    Barrier& barrier = current->block->barriers[0];
    barrier.predicates += predicate;
    cusim_barrier(0, 0, true, at);
    return barrier.result;
}

void cusim_cluster_arrive(cusim_place at) {
    ThreadState* t = current;
    ClusterState* c = t->block->cluster;
    t->where = at;
    t->cluster_phase = c->phase;
    machine->progress++;
    if (checking()) {
        join(c->pending_clocks, t->knows.row, c->clocks.used);
        advance(t);
    }
    if (++c->arrived >= c->live) open_cluster_barrier(c);
}

void cusim_cluster_wait(cusim_place at) {
    ThreadState* t = current;
    ClusterState* c = t->block->cluster;
    if (c->phase == t->cluster_phase) {
        c->waiting.push_back(t);
        wait_as(Wait::cluster, at);
    }
    if (!checking()) return;
    join(t->knows.row, c->ended_clocks);
    advance(t);
}
}
