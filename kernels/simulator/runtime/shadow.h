// Shadow memory: for every place of shared memory and of the arrays, who wrote it last and who has read it since.
//
// A cell stands for 8, 4, 2 or 1 bytes.  Each page of 256 bytes begins coarse and is split when a smaller access comes, so that
// neighbouring bytes are never confused and floats cost one cell.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>
#include "report.h"

namespace cusim {

enum class Access : uint16_t { load, store, atomic };

struct Epoch {                                       // one access: by whom, at which of its agent's times, from where
    uint32_t cluster = 0, clock = 0;                 // cluster 0: none
    uint16_t agent = 0;
    Access access = Access::load;
    Site site = 0;
    bool same_time(uint32_t c, unsigned a, uint32_t t, Access k) const {
        return clock == t && agent == a && cluster == c && access == k;
    }
};

// Loads and atomics beyond the two that a cell has room for: the latest of each agent.
struct Spill {
    uint32_t cluster = 0;                            // to which the clocks belong
    std::vector<uint32_t> loads, atomics;            // by agent; 0: none
    Site load_site = 0, atomic_site = 0;
    std::vector<Epoch> foreign;                      // of other clusters
    void clear() {
        cluster = 0;
        loads.clear();
        atomics.clear();
        foreign.clear();
    }
};

struct Cell {
    Epoch writer;                                    // the last plain store
    Epoch users[2];                                  // loads and atomics since then
    Spill* spill = nullptr;
    bool written = false;                            // by anything, ever: it is initialised
};

class Shadow {
public:
    void reset(size_t bytes, unsigned shift, bool written);
    size_t bytes() const { return size; }
    // The cells of one page that [offset, offset + n) touches; the caller goes from page to page.
    Cell* cells(size_t offset, size_t n, unsigned& count, unsigned& cell_bytes);
    long unwritten(size_t item) const;               // elements of `item` bytes that nobody wrote
    Spill* new_spill();
    void release(Cell& cell);                        // its spill

    static constexpr size_t PAGE = 256;

private:
    struct Page {
        std::vector<Cell> cells;
        unsigned shift = 0;
        bool used = false;
    };
    void split(Page& page, unsigned shift);
    std::vector<Page> pages;
    std::vector<uint32_t> used_pages;
    size_t size = 0;
    unsigned first_shift = 2;
    bool born_written = false;
    std::deque<Spill> spills;
    std::vector<Spill*> free_spills;
};

}  // namespace cusim
