// Arithmetic of vector clocks.
#include "clocks.h"
#include <algorithm>

namespace cusim {

void Clocks::reset(unsigned blocks, unsigned threads_per_block) {
    threads = blocks * threads_per_block;
    wgmma = threads;
    mbarriers = wgmma + blocks * ((threads_per_block + 31) / 32);
    copies = mbarriers + blocks * MBARRIERS;
    stores = copies + threads;
    agents = stores + threads;
    used = threads;
    rows.assign((size_t)threads * agents, 0);
    now.assign(agents, 0);
    for (unsigned t = 0; t < threads; t++) row(t)[t] = 1;
}

#if defined(__x86_64__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default"), optimize("O3")))
#endif
void join(uint32_t* __restrict row, const uint32_t* __restrict other, unsigned agents) {
    for (unsigned i = 0; i < agents; i++) row[i] = row[i] > other[i] ? row[i] : other[i];
}

void join(Row& row, const uint32_t* other, unsigned agents) {
    if (row.size() < agents) row.resize(agents);
    join(row.data(), other, agents);
}

void join(uint32_t* row, const Row& other) { join(row, other.data(), (unsigned)other.size()); }

Acquired join(const Acquired& a, const Acquired& b) {
    if (!a || a == b) return b;
    if (!b) return a;
    auto sum = std::make_shared<Released>(*a);
    bool grown = false;
    for (auto& [cluster, row] : *b) {
        auto same = [c = cluster](const auto& entry) { return entry.first == c; };
        auto found = std::find_if(sum->begin(), sum->end(), same);
        if (found == sum->end()) {
            sum->emplace_back(cluster, row);
            grown = true;
        } else if (found->second != row) {
            auto later = std::make_shared<Row>(*found->second);
            join(*later, row->data(), (unsigned)row->size());
            if (*later != *found->second) {
                found->second = later;
                grown = true;
            }
        }
    }
    return grown ? sum : a;
}

uint32_t time_known(const Acquired& a, uint32_t cluster, unsigned agent) {
    if (a)
        for (auto& [serial, row] : *a)
            if (serial == cluster) return agent < row->size() ? (*row)[agent] : 0;
    return 0;
}

}  // namespace cusim
