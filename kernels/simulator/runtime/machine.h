// The state of the machine: threads, warps, blocks, clusters, and the OS thread that runs them.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <pthread.h>
#include <random>
#include <utility>
#include <vector>
#include "clocks.h"
#include "fiber.h"
#include "interface.h"
#include "memory.h"
#include "report.h"
#include "shadow.h"
#include "tensor_map.h"

namespace cusim {

enum class Order { forward, reverse, random };
enum class Timing { lazy, eager, random };           // when asynchronous work is done

struct BlockState;
struct ClusterState;
struct WarpState;

// ---- work that goes on by itself, of one thread: its queue, and where its committed groups end
template <class Work> struct Groups {
    std::vector<Work> work;
    std::vector<size_t> ends;
    size_t done = 0;                                 // work[0 .. done) has been waited for

    void commit() { ends.push_back(work.size()); }
    // How much of `work` has to be done for all but the `groups` latest groups to be.
    size_t end_of_all_but(int groups) const { return (int)ends.size() > groups ? ends[ends.size() - 1 - groups] : done; }
    void clear() {
        work.clear();
        ends.clear();
        done = 0;
    }
};

struct AsyncCopy {                                   // cp.async
    void* shared;
    const void* global;
    int bytes, valid_bytes;
    bool landed;
    cusim_place at;
};

struct BulkStore {                                   // TMA, shared to global
    TensorMap map;                                   // a copy: the parameter lies on the stack of a thread that may return
    uint32_t shared;
    int place[5];
    bool add, done;
    cusim_place at;
};

struct BulkLoad {                                    // TMA, global to shared
    TensorMap map;
    uint32_t shared, barrier;
    int place[5];
    unsigned short blocks;                           // of the cluster; 0: the block itself
    BlockState* block;
    cusim_place at;
};

enum class Wait { none, barrier, warp, mbarrier, wgmma, cluster, poll };

struct ThreadState {
    cusim_index index;
    unsigned number, lane;                           // in the block; in the warp
    BlockState* block;
    WarpState* warp;
    Fiber* fiber;
    bool done;
    Wait wait;
    cusim_place where;                               // of the call that it waits in, or the latest that could
    Site load;                                       // it waits for a volatile variable: that load; else 0
    int barrier;                                     // which one it waits at
    unsigned cluster_phase;                          // of the cluster's barrier, when it arrived there
    const void* polled;                              // the atomic that it read last, how often without a change
    int polls;
    Groups<AsyncCopy> copies;
    Groups<BulkStore> stores;
    Knowledge knows;                                 // for the checker: what has happened before this thread's next step
    Row proxy_fenced;                                // what it knew at its last fence.proxy.async

    unsigned agent() const;                          // its number in its cluster's clocks
    unsigned copy_agent() const;                     // that of its cp.async
    unsigned store_agent() const;                    // that of its TMA stores
};

struct Barrier {                                     // __syncthreads and bar.sync
    int expected = 0, arrived = 0, predicates = 0, result = 0;
    cusim_place first{nullptr, 0};                   // where the first came
    std::vector<ThreadState*> waiting;
    Row clocks;
    Acquired acquired;
};

struct Mbarrier {
    uint32_t address;
    int count, pending;
    long bytes;                                      // expected and not yet landed
    unsigned phase;                                  // how many have ended
    std::vector<ThreadState*> waiting;
    Row pending_clocks, ended_clocks;
    int agent;                                       // in the cluster's clocks: the TMA that completes here
    unsigned initialiser;                            // agent of the thread that initialised it, and when
    uint32_t initialised;
    bool fenced;
};

struct Gathering {                                   // lanes of a warp coming to a collective
    unsigned mask = 0, arrived = 0;
    void* operands[32];
    cusim_collective run;
    void* extra;
    bool orders_memory;
    cusim_place first{nullptr, 0};
};

struct Accumulators {                                // of a wgmma: the tensor core's until the wait
    void* registers[32];                             // where each lane has them; the first lane's is the key
    int columns, uses;
    bool wide;                                       // they are double
    std::vector<float> values;                       // [16 rows][column]
    std::vector<double> wide_values;
};

struct WgmmaOperation {                              // one warp's part
    void* key;
    uint32_t a_registers[32][4];
    uint64_t a, b;
    int columns, scale_d, transpose_a, transpose_b;
    cusim_number number;
    bool from_registers, wide;
    cusim_place at;
};

struct WarpState {
    BlockState* block;
    unsigned number, alive;
    Gathering gatherings[32];                        // by the first lane of the mask
    unsigned gathering;                              // bit of each in which lanes wait
    std::vector<WgmmaOperation> operations;          // wgmma of the block's whole life
    std::vector<size_t> groups;                      // where committed groups end
    size_t performed;                                // operations[0 .. performed) are done
    std::vector<Accumulators> accumulators;
    bool wgmma_fenced;
};

struct BlockState {
    cusim_index index;
    unsigned rank;                                   // in its cluster
    ClusterState* cluster;
    unsigned live, threads_count;
    Range dynamic;                                   // shared memory given at launch, and where it was allocated
    std::vector<unsigned char> dynamic_memory;
    std::vector<unsigned char> static_copy;          // __shared__ variables, while another block has their place
    std::vector<std::unique_ptr<ThreadState>> threads;
    std::vector<std::unique_ptr<WarpState>> warps;
    Barrier barriers[16];
    std::vector<Mbarrier> mbarriers;
    Shadow dynamic_shadow, static_shadow;
};

struct ClusterState {                                // blocks that run together; usually one
    uint32_t serial;                                 // 1, 2, ...: its place in the grid, for the checker
    uint64_t linear;                                 // its place in the grid
    std::vector<std::unique_ptr<BlockState>> blocks;
    unsigned live;
    unsigned arrived, phase;                         // of the cluster's barrier
    std::vector<ThreadState*> waiting;
    Row pending_clocks, ended_clocks;
    Acquired acquired;
    Clocks clocks;
};

struct Launch {
    void (*kernel)(void**);
    void** arguments;
    cusim_index grid, block, cluster;
    size_t dynamic_bytes;
    Order order;
    Timing timing;
    bool check, profile;
    uint64_t seed;
};

// One OS thread's part: the blocks that it runs, and whose turn it is.
struct Machine {
    const Launch* launch = nullptr;
    FiberPool fibers;
    pthread_t runs_on = 0;                           // the OS thread whose thread_local addresses the fibers' code may hold
    void* scheduler = nullptr;                       // stack pointer of the scheduler, while a fiber runs
    Range library, statics;                          // of the kernel: its code and constants; its __shared__ variables
    BlockState* static_owner = nullptr;              // whose variables lie there
    std::vector<std::unique_ptr<ClusterState>> resident, spare;
    std::deque<ThreadState*> ready;
    std::vector<ThreadState*> polling;               // wait for a change that nobody announces
    std::deque<BulkLoad> loads;                      // TMA in flight
    std::mt19937_64 random;
    long progress = 0;                               // counts everything that can let a waiting thread go on
    long progress_at_poll = 0;
    int fruitless = 0;
    bool stopped = false;
    long switches = 0;
};

extern __thread ThreadState* current __attribute__((tls_model("initial-exec")));     // the thread that runs; null: the scheduler
extern __thread Machine* machine __attribute__((tls_model("initial-exec")));

inline bool checking() { return machine->launch->check; }
inline bool by_chance() { return machine->random() & 1; }
inline bool at_once() {                              // whether asynchronous work is done when it is issued
    Timing t = machine->launch->timing;
    return t == Timing::eager || (t == Timing::random && by_chance());
}

// ---- scheduler.cpp
void wait_as(Wait wait, cusim_place at, Site load = 0);                  // the running thread waits until wake()
void wake(ThreadState* t);
void wake_all(std::vector<ThreadState*>& threads);   // in the launch's order
void poll(cusim_place at, Site load = 0);            // the running thread lets others run and looks again
[[noreturn]] void stop_kernel();
constexpr uint64_t NO_CLUSTER = ~uint64_t(0);
void run_clusters(uint64_t (*next_cluster)());       // until it gives NO_CLUSTER

// ---- blocks.cpp
void start_cluster(uint64_t linear);                 // the cluster at this place of the grid: its threads are ready
void finish_cluster(ClusterState* cluster);          // all its threads have returned

// ---- barriers.cpp, warps.cpp, mbarrier.cpp, tma.cpp, copies.cpp, wgmma.cpp
void leave_barriers(ThreadState* t);                 // a thread has returned
void leave_cluster_barrier(ClusterState* cluster);
void leave_warp(ThreadState* t);
Mbarrier* find_mbarrier(BlockState* block, uint32_t address);
void step_mbarrier(Mbarrier& b);
void check_mbarriers_at_end(BlockState* block);
void land(const BulkLoad& load);
void perform(ThreadState* t, BulkStore& store);
void finish_asynchronous_work(ThreadState* t);

inline unsigned ThreadState::agent() const { return block->rank * block->threads_count + number; }
inline unsigned ThreadState::copy_agent() const { return block->cluster->clocks.copies + agent(); }
inline unsigned ThreadState::store_agent() const { return block->cluster->clocks.stores + agent(); }

}  // namespace cusim
