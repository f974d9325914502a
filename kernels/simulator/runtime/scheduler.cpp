// Whose turn it is.
//
// Threads that can run stand in `ready`; a thread that has to wait switches directly to the next one.  When nobody is ready,
// first TMA in flight lands; then the threads that poll (spin loops) look again; when that was fruitless too, another cluster of
// the grid is started beside, since they may wait for it; and when none is left, it is a deadlock.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include "checker.h"
#include "faults.h"
#include "machine.h"
#include "watchdog.h"

namespace cusim {

__thread ThreadState* current __attribute__((tls_model("initial-exec"))) = nullptr;
__thread Machine* machine __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {
constexpr int MOST_POLLS = 20000;                    // rounds of polling without any progress, before it is called a deadlock
thread_local uint64_t (*next_cluster)();             // the next one that nobody has started
thread_local bool clusters_left;

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

Site place_of(const ThreadState* t) { return t->load ? t->load : site_of(t->where); }

void report_deadlock() {
    std::map<std::string, int> places;
    Site first = 0;
    for (auto& c : machine->resident)
        for (auto& b : c->blocks)
            for (auto& t : b->threads) {
                if (t->done) continue;
                Site place = place_of(t.get());
                places[std::string(what(t.get())) + ", " + (place ? text_of(place, "#") : "?")]++;
                if (!first) first = place;
            }
    std::string list;
    for (auto& [text, count] : places) list += (list.empty() ? "" : "; ") + std::to_string(count) + " wait " + text;
    current = nullptr;
    report_fatal(Kind::deadlock, first, 0, "no thread can go on: %s", list.c_str());
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
        if (Stop reason = stop_wanted(); reason != Stop::none) {
            if (reason == Stop::time_limit)
                report_fatal(Kind::time_limit, current ? place_of(current) : 0, 0, "the kernel ran longer than its time limit");
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
            uint64_t c = clusters_left ? next_cluster() : NO_CLUSTER;
            if (c == NO_CLUSTER) return nullptr;
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
            uint64_t c = next_cluster();
            clusters_left = c != NO_CLUSTER;
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
}  // namespace

void wait_as(Wait wait, cusim_place at, Site load) {
    current->wait = wait;
    current->where = at;
    current->load = load;
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

void poll(cusim_place at, Site load) {
    machine->polling.push_back(current);
    wait_as(Wait::poll, at, load);
}

void stop_kernel() {
    machine->stopped = true;
    void* abandoned;
    current = nullptr;
    cusim_switch(&abandoned, machine->scheduler);
    __builtin_unreachable();
}

void run_clusters(uint64_t (*next)()) {
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
