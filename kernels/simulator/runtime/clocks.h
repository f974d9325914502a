// Who knows of what: vector clocks.
//
// Every agent of a cluster, that is each thread and each asynchronous unit (a thread's copies, an mbarrier's TMA, a warp's
// wgmma), has a clock.  A thread's row says up to which time of every agent it has synchronised.  Between clusters only fences
// and atomics give order: a release leaves a copy of the row with the atomic variable, an acquire takes it along.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace cusim {

typedef std::vector<uint32_t> Row;                   // a clock per agent; shorter rows know nothing of the rest

// Rows of other clusters, by serial number; shared and never changed.  Null: none.
typedef std::vector<std::pair<uint32_t, std::shared_ptr<const Row>>> Released;
typedef std::shared_ptr<const Released> Acquired;

struct Snapshot {                                    // what a thread knew at its last fence
    uint32_t cluster = 0;
    bool device = false;                             // else it orders accesses of its block alone
    std::shared_ptr<const Row> row;
    Acquired acquired;
};

struct Knowledge {
    uint32_t* row = nullptr;                         // in the cluster's Clocks
    Acquired acquired;
    Snapshot block_fence, device_fence;              // the last of each
};

// The clocks of a cluster: agents are numbered threads, warps' wgmma, mbarriers, threads' copies and stores.
struct Clocks {
    unsigned threads = 0, wgmma = 0, mbarriers = 0, copies = 0, stores = 0, agents = 0;
    unsigned used = 0;                               // agents[0 .. used) may have been heard of
    std::vector<uint32_t> rows;                      // [thread][agent]
    std::vector<uint32_t> now;                       // of the asynchronous units, [agent]

    static constexpr unsigned MBARRIERS = 64;        // a block
    void reset(unsigned blocks, unsigned threads_per_block);
    uint32_t* row(unsigned thread) { return &rows[(size_t)thread * agents]; }
    uint32_t next(unsigned agent) {                  // the time of an asynchronous unit's next step
        if (agent >= used) used = agents;
        return ++now[agent];
    }
};

void join(uint32_t* row, const uint32_t* other, unsigned agents);       // the later of both, entry by entry
void join(Row& row, const uint32_t* other, unsigned agents);
void join(uint32_t* row, const Row& other);
Acquired join(const Acquired& a, const Acquired& b);
uint32_t time_known(const Acquired& a, uint32_t cluster, unsigned agent);

}  // namespace cusim
