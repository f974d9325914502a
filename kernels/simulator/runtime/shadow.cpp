// Pages of shadow memory, made when they are first touched.
#include "shadow.h"
#include <algorithm>

namespace cusim {

void Shadow::reset(size_t bytes, unsigned shift, bool written) {
    size = bytes;
    size_t wanted = (bytes + PAGE - 1) / PAGE;
    if (pages.size() < wanted) pages.resize(wanted);
    for (uint32_t i : used_pages) pages[i].used = false;
    used_pages.clear();
    free_spills.clear();
    for (Spill& s : spills) {
        s.clear();
        free_spills.push_back(&s);
    }
    first_shift = shift;
    born_written = written;
}

Cell* Shadow::cells(size_t offset, size_t n, unsigned& count, unsigned& cell_bytes) {
    Page& page = pages[offset / PAGE];
    if (!page.used) {
        page.used = true;
        page.shift = first_shift;
        Cell fresh;
        fresh.written = born_written;
        page.cells.assign(PAGE >> first_shift, fresh);
        used_pages.push_back((uint32_t)(offset / PAGE));
    }
    size_t within = offset % PAGE;
    if (unsigned ragged = (unsigned)((within | n) & ((1u << page.shift) - 1))) split(page, (unsigned)__builtin_ctz(ragged));
    cell_bytes = 1u << page.shift;
    count = (unsigned)(std::min(n, PAGE - within) >> page.shift);
    return &page.cells[within >> page.shift];
}

void Shadow::split(Page& page, unsigned shift) {
    unsigned parts = 1u << (page.shift - shift);
    std::vector<Cell> fine;
    fine.reserve(PAGE >> shift);
    for (Cell& cell : page.cells)
        for (unsigned k = 0; k < parts; k++) {
            fine.push_back(cell);
            if (cell.spill && k) {
                fine.back().spill = new_spill();
                *fine.back().spill = *cell.spill;
            }
        }
    page.cells.swap(fine);
    page.shift = shift;
}

long Shadow::unwritten(size_t item) const {
    long missing = 0;
    for (size_t offset = 0; offset + item <= size;) {
        const Page& page = pages[offset / PAGE];
        size_t end = std::min(size, (offset / PAGE + 1) * PAGE);
        for (; offset + item <= end; offset += item) {
            bool all = born_written;
            if (page.used) {
                all = true;
                for (size_t k = 0; k < item; k += size_t(1) << page.shift)
                    all &= page.cells[(offset + k) % PAGE >> page.shift].written;
            }
            missing += !all;
        }
    }
    return missing;
}

Spill* Shadow::new_spill() {
    if (free_spills.empty()) {
        spills.emplace_back();
        return &spills.back();
    }
    Spill* s = free_spills.back();
    free_spills.pop_back();
    return s;
}

void Shadow::release(Cell& cell) {
    if (!cell.spill) return;
    cell.spill->clear();
    free_spills.push_back(cell.spill);
    cell.spill = nullptr;
}

}  // namespace cusim
