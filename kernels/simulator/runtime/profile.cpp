// The profile: for each line of the source, how a warp's accesses fall on banks and sectors, bytes, and operations.
//
// Hooks see one thread's access at a time.  The n-th access from one place in the code by a lane belongs to the n-th of its warp:
// that makes an instruction of the warp, whose addresses are then counted.  Shared memory has 32 banks of 4 bytes, and takes 128
// bytes a turn; global memory moves in sectors of 32 bytes.  Of each array is kept which sectors were read before the kernel itself
// wrote them, and which were written: what must at least come from memory and go there.
//
// The host's compiler takes vectors apart: a float4 becomes four accesses.  So there is a second account, of the least that a GPU
// could do: there a thread's neighbouring accesses, one right after the other, are one of up to 16 bytes; those of shared memory, whose
// alignment a compiler knows, also with some others in between, as in an unrolled loop.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
struct WarpAccess {                                  // one instruction of one warp
    uintptr_t addresses[32];
    uint32_t lanes = 0;
    unsigned bytes = 0;
    unsigned char each[32] = {};                     // bytes of each lane, in the second account
    bool by_thread = true;
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
std::unordered_map<PlaceOfLane, WarpAccess, Hash> accesses, joined;
struct Recent {                                      // access of a thread, and what it is a part of
    int kind;
    uintptr_t start, end;
    WarpAccess* whole;
};
constexpr unsigned REMEMBERED = 8;
struct Lately {
    Recent ring[REMEMBERED] = {};
    unsigned next = 0;
};
std::unordered_map<const ThreadState*, Lately> lately;
struct Least {
    long instructions, sectors, turns;
} least;
std::map<Place, Line> lines;
std::map<Site, long> flops, entered;
struct Touched {                                     // sectors of one array
    const Array* array;
    uintptr_t low, high;
    std::vector<bool> read, written;
};
std::vector<Touched> touched;
long barriers;                                       // a thread at a barrier
std::string text;

void touch(uintptr_t p, size_t bytes, Access access) {
    const Array* array = find_array(p);
    if (!array) return;
    size_t i = 0;
    while (i < touched.size() && touched[i].array != array) i++;
    if (i == touched.size()) {
        uintptr_t low = array->memory.low, high = low + array->memory.bytes;
        size_t sectors = (high + 31) / 32 - low / 32;
        touched.push_back({array, low, high, std::vector<bool>(sectors), std::vector<bool>(sectors)});
    }
    Touched& t = touched[i];
    for (uintptr_t s = p / 32; s <= (p + bytes - 1) / 32 && s * 32 < t.high; s++) {
        size_t at = s - t.low / 32;
        if (access != Access::store && !t.written[at]) t.read[at] = true;
        if (access != Access::load) t.written[at] = true;
    }
}

long bytes_of(const Touched& t, const std::vector<bool>& sectors) {
    long sum = 0;
    for (size_t i = 0; i < sectors.size(); i++)
        if (sectors[i]) {
            uintptr_t from = (t.low / 32 + i) * 32;
            sum += (long)(std::min(from + 32, t.high) - std::max(from, t.low));
        }
    return sum;
}

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

std::unordered_set<uintptr_t> units_of(const WarpAccess& a, unsigned size) {
    std::unordered_set<uintptr_t> units;
    for (int lane = 0; lane < 32; lane++)
        if (a.lanes >> lane & 1)
            for (uintptr_t u = a.addresses[lane] / size; u <= (a.addresses[lane] + a.each[lane] - 1) / size; u++) units.insert(u);
    return units;
}

Least sum_of(const std::unordered_map<PlaceOfLane, WarpAccess, Hash>& all) {
    Least sum = {};
    for (auto& [key, a] : all) {
        if (!a.by_thread) continue;
        sum.instructions++;
        if (key.place.second % 2) {
            long banks[32] = {}, turns = 0;
            for (uintptr_t word : units_of(a, 4)) turns = std::max(turns, ++banks[word % 32]);
            sum.turns += turns;
        } else {
            sum.sectors += (long)units_of(a, 32).size();
        }
    }
    return sum;
}

// Where lanes are joined at different places that may cost turns: whichever is less counts.
void count_least() {
    Least apart = sum_of(accesses), together = sum_of(joined);
    least.instructions += std::min(apart.instructions, together.instructions);
    least.sectors += std::min(apart.sectors, together.sectors);
    least.turns += std::min(apart.turns, together.turns);
}

// The same access in the second account: `place`, `visit` say which it is if it is none's continuation.
void join_access(const ThreadState* t, uintptr_t p, size_t bytes, const Place& place, uint32_t visit) {
    Lately& own = lately[t];
    for (unsigned back = 1; back <= (place.second % 2 ? REMEMBERED : 1); back++) {
        Recent& r = own.ring[(own.next - back) % REMEMBERED];
        if (!r.whole || r.kind != place.second || r.end != p || r.start % 16 + (p + bytes - r.start) > 16) continue;
        r.end = p + bytes;
        r.whole->each[t->lane] = (unsigned char)(r.end - r.start);
        return;
    }
    WarpAccess& a = joined[{place, t->block, t->warp->number, visit}];
    a.addresses[t->lane] = p;
    a.lanes |= 1u << t->lane;
    a.each[t->lane] = (unsigned char)bytes;
    own.ring[own.next++ % REMEMBERED] = {place.second, p, p + bytes, &a};
}
}  // namespace

void profile_access(const void* p, size_t bytes, Access access, Site site, bool shared, bool by_thread) {
    ThreadState* t = current;
    if (!shared) touch((uintptr_t)p, bytes, access);
    if (bytes > 16) return;
    Place place{site, (int)access * 2 + shared};
    uint32_t visit = visits[{place, t->block, t->number, 0}]++;
    WarpAccess& a = accesses[{place, t->block, t->warp->number, visit}];
    a.addresses[t->lane] = (uintptr_t)p;
    a.lanes |= 1u << t->lane;
    a.bytes = (unsigned)bytes;
    a.each[t->lane] = (unsigned char)bytes;
    a.by_thread = by_thread;
    if (by_thread) join_access(t, (uintptr_t)p, bytes, place, visit);
}

void clear_profile() {
    visits.clear();
    accesses.clear();
    joined.clear();
    lately.clear();
    least = {};
    lines.clear();
    flops.clear();
    entered.clear();
    touched.clear();
    barriers = 0;
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
    count_least();
    accesses.clear();
    joined.clear();
    lately.clear();
    visits.clear();
}

void profile_barrier() { barriers++; }

void profile_flops(cusim_place at, long count) { flops[site_of(at)] += count; }

void profile_block_entered(const void* code) { entered[site_of_code(code)]++; }

}  // namespace cusim

using namespace cusim;

extern "C" {

// Rows of text: "access <site> <load|store|atomic> <shared|global> <instructions> <bytes> <ideal> <real>", "flops <site>
// <count>", "entered <site> <count>" for basic blocks, from which Python counts the floating-point instructions of the machine
// code; "touched <bytes read> <bytes written>" for each array; "barriers <times that a thread waited at one>"; "least
// <instructions> <sectors> <turns>" of the second account.
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
    for (auto& t : touched) {
        snprintf(row, sizeof row, "touched\t%ld\t%ld\n", bytes_of(t, t.read), bytes_of(t, t.written));
        text += row;
    }
    snprintf(row, sizeof row, "least\t%ld\t%ld\t%ld\n", least.instructions, least.sectors, least.turns);
    text += row;
    text += "barriers\t" + std::to_string(barriers) + "\n";
    return text.c_str();
}
}
