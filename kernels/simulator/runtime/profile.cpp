// The profile: for each line of the source, how a warp's accesses fall on banks and sectors, bytes, and operations.
//
// Hooks see one thread's access at a time.  The n-th access from one place in the code by a lane belongs to the n-th of its warp:
// that makes an instruction of the warp, whose addresses are then counted.  Shared memory has 32 banks of 4 bytes, and takes 128
// bytes a turn; global memory moves in sectors of 32 bytes.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
struct WarpAccess {                                  // one instruction of one warp
    uintptr_t addresses[32];
    uint32_t lanes = 0;
    unsigned bytes = 0;
};

struct Line {                                        // totals of one place in the code
    Access access;
    bool shared;
    long instructions = 0, bytes = 0, ideal = 0, real = 0;               // ideal, real: turns of the banks, or sectors
};

typedef std::pair<Site, int> Place;                  // and what it does: kind of access, shared or not
struct PlaceOfLane {
    Place place;
    const BlockState* block;
    unsigned lane_or_warp, visit;
    bool operator==(const PlaceOfLane& o) const {
        return place == o.place && block == o.block && lane_or_warp == o.lane_or_warp && visit == o.visit;
    }
};
struct Hash {
    size_t operator()(const PlaceOfLane& p) const {
        uint64_t h = p.place.first * 0x9E3779B97F4A7C15ull + (uint64_t)p.place.second;
        h = (h ^ (uint64_t)p.block) * 0x9E3779B97F4A7C15ull;
        h = (h ^ ((uint64_t)p.lane_or_warp << 32 | p.visit)) * 0x9E3779B97F4A7C15ull;
        return h ^ h >> 29;
    }
};

std::unordered_map<PlaceOfLane, uint32_t, Hash> visits;
std::unordered_map<PlaceOfLane, WarpAccess, Hash> accesses;
std::map<Place, Line> lines;
std::map<Site, long> flops, entered;
std::string text;

void count_sectors(const WarpAccess& a, Line& line) {
    std::unordered_set<uintptr_t> sectors;
    for (int lane = 0; lane < 32; lane++)
        if (a.lanes >> lane & 1)
            for (uintptr_t s = a.addresses[lane] / 32; s <= (a.addresses[lane] + a.bytes - 1) / 32; s++) sectors.insert(s);
    line.real += (long)sectors.size();
    line.ideal += (__builtin_popcount(a.lanes) * (long)a.bytes + 31) / 32;
}

void count_banks(const WarpAccess& a, Line& line) {
    int at_once = a.bytes >= 16 ? 8 : a.bytes == 8 ? 16 : 32;            // lanes that are served together: 128 bytes
    for (int first = 0; first < 32; first += at_once) {
        std::unordered_set<uintptr_t> words[32];
        size_t turns = 0;
        for (int lane = first; lane < first + at_once; lane++)
            if (a.lanes >> lane & 1)
                for (uintptr_t w = a.addresses[lane] / 4; w <= (a.addresses[lane] + a.bytes - 1) / 4; w++) {
                    words[w % 32].insert(w);
                    turns = std::max(turns, words[w % 32].size());
                }
        line.real += (long)turns;
        line.ideal += turns > 0;
    }
}
}  // namespace

void profile_access(const void* p, size_t bytes, Access access, Site site, bool shared) {
    ThreadState* t = current;
    if (bytes > 16) return;
    Place place{site, (int)access * 2 + shared};
    uint32_t visit = visits[{place, t->block, t->number, 0}]++;
    WarpAccess& a = accesses[{place, t->block, t->warp->number, visit}];
    a.addresses[t->lane] = (uintptr_t)p;
    a.lanes |= 1u << t->lane;
    a.bytes = (unsigned)bytes;
}

void finish_profile_of_block() {
    for (auto& [key, a] : accesses) {
        Line& line = lines[key.place];
        line.access = (Access)(key.place.second / 2);
        line.shared = key.place.second % 2;
        line.instructions++;
        line.bytes += __builtin_popcount(a.lanes) * (long)a.bytes;
        if (line.shared)
            count_banks(a, line);
        else
            count_sectors(a, line);
    }
    accesses.clear();
    visits.clear();
}

void profile_flops(cusim_place at, long count) { flops[site_of(at)] += count; }

void profile_block_entered(const void* code) { entered[site_of_code(code)]++; }

}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_profile_clear() {
    visits.clear();
    accesses.clear();
    lines.clear();
    flops.clear();
    entered.clear();
}

// Rows of text: "access <site> <load|store|atomic> <shared|global> <instructions> <bytes> <ideal> <real>", "flops <site>
// <count>", "entered <site> <count>" for basic blocks, from which Python counts the floating-point instructions of the machine
// code.
const char* cusim_profile_rows() {
    static const char* const NAMES[] = {"load", "store", "atomic"};
    text.clear();
    char row[900];
    for (auto& [place, l] : lines) {
        snprintf(row, sizeof row, "access\t%s\t%s\t%s\t%ld\t%ld\t%ld\t%ld\n", text_of(place.first).c_str(), NAMES[(int)l.access],
                 l.shared ? "shared" : "global", l.instructions, l.bytes, l.ideal, l.real);
        text += row;
    }
    for (auto& [site, count] : flops) text += "flops\t" + text_of(site) + "\t" + std::to_string(count) + "\n";
    for (auto& [site, count] : entered) text += "entered\t" + text_of(site) + "\t" + std::to_string(count) + "\n";
    return text.c_str();
}
}
