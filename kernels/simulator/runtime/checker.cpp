// The rules: which two accesses are a race, what may be read, what may be written.
#include "checker.h"
#include <cstdio>
#include <string>

namespace cusim {

namespace {
struct Actor {                                       // who accesses, and what it knows of the others
    const ThreadState* thread;                       // itself, or the one that issued the unit's work
    uint32_t cluster, clock;
    unsigned agent;
    bool is_unit, by_proxy;
};

bool ordered(const Epoch& e, const Actor& a) {
    if (e.cluster != a.cluster) return e.clock <= time_known(a.thread->knows.acquired, e.cluster, e.agent);
    if (e.agent == a.agent && (!a.is_unit || e.clock == a.clock)) return true;
    return e.clock <= a.thread->knows.row[e.agent];
}

// ---- words for reports

const char* a_name(Access access) {
    return access == Access::load ? "a load" : access == Access::store ? "a store" : "an atomic access";
}
const char* name(Access access) { return access == Access::load ? "load" : access == Access::store ? "store" : "atomic access"; }

std::string describe(const Epoch& e) {
    const Clocks& clocks = current->block->cluster->clocks;
    const Launch& l = *machine->launch;
    unsigned blocks = (unsigned)current->block->cluster->blocks.size(), threads = clocks.threads / blocks;
    unsigned agent = e.agent, warps = (threads + 31) / 32;
    std::string what;
    auto of_thread = [&](unsigned n) {
        unsigned t = n % threads;
        return "thread (" + std::to_string(t % l.block.x) + "," + std::to_string(t / l.block.x % l.block.y) + "," +
               std::to_string(t / (l.block.x * l.block.y)) + ")";
    };
    unsigned rank;
    if (agent < clocks.wgmma) {
        rank = agent / threads;
        what = of_thread(agent);
    } else if (agent < clocks.mbarriers) {
        rank = (agent - clocks.wgmma) / warps;
        what = "wgmma of warp " + std::to_string((agent - clocks.wgmma) % warps);
    } else if (agent < clocks.copies) {
        rank = (agent - clocks.mbarriers) / Clocks::MBARRIERS;
        what = "TMA";
    } else if (agent < clocks.stores) {
        rank = (agent - clocks.copies) / threads;
        what = "cp.async of " + of_thread(agent - clocks.copies);
    } else {
        rank = (agent - clocks.stores) / threads;
        what = "the TMA store of " + of_thread(agent - clocks.stores);
    }
    uint32_t linear = e.cluster - 1;
    cusim_index clusters{l.grid.x / l.cluster.x, l.grid.y / l.cluster.y, l.grid.z / l.cluster.z};
    cusim_index c{linear % clusters.x, linear / clusters.x % clusters.y, linear / clusters.x / clusters.y};
    unsigned x = c.x * l.cluster.x + rank % l.cluster.x, y = c.y * l.cluster.y + rank / l.cluster.x % l.cluster.y;
    unsigned z = c.z * l.cluster.z + rank / (l.cluster.x * l.cluster.y);
    return what + " of block (" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
}

struct Target {                                      // memory with a shadow
    Shadow* shadow;
    const Array* array;                              // null: shared memory
    bool dynamic;

    std::string describe(size_t offset) const {
        if (array) return "$" + std::to_string(array_number()) + "+" + std::to_string(offset);
        if (dynamic) return "byte " + std::to_string(offset) + " of dynamic shared memory";
        return "@" + std::to_string(offset);
    }
    int array_number() const {
        for (size_t i = 0; i < arrays.size(); i++)
            if (&arrays[i] == array) return (int)i;
        return -1;
    }
};

void report_race(const Target& target, size_t offset, Access access, const Actor& a, const Epoch& e, Site site) {
    bool unit_at_work = e.agent >= current->block->cluster->clocks.wgmma;
    std::string what = a.is_unit ? std::string("an asynchronous ") + name(access) : a_name(access);
    if (unit_at_work)
        report(Kind::missing_wait, site, e.site, "%s of %s while %s may still %s it", what.c_str(),
               target.describe(offset).c_str(),
               describe(e).c_str(), e.access == Access::load ? "read" : "write");
    else
        report(Kind::race, site, e.site, "%s of %s races with the %s by %s", what.c_str(), target.describe(offset).c_str(),
               name(e.access), describe(e).c_str());
}

// ---- one cell

bool is_newest(const Epoch& e, const Actor& a, Access access) { return e.same_time(a.cluster, a.agent, a.clock, access); }

void check_spilled(const Spill& spill, const Actor& a, Access access, Access other, const Target& target, size_t offset,
                   Site site) {
    const std::vector<uint32_t>& clocks = other == Access::load ? spill.loads : spill.atomics;
    for (unsigned i = 0; i < clocks.size(); i++) {
        if (!clocks[i]) continue;
        Epoch e{spill.cluster, clocks[i], (uint16_t)i, other, other == Access::load ? spill.load_site : spill.atomic_site};
        if (!ordered(e, a)) return report_race(target, offset, access, a, e, site);
    }
    for (const Epoch& e : spill.foreign)
        if (e.access == other && !ordered(e, a)) return report_race(target, offset, access, a, e, site);
}

void check_users(const Cell& cell, const Actor& a, Access access, Access other, const Target& target, size_t offset, Site site) {
    for (const Epoch& e : cell.users)
        if (e.cluster && e.access == other && !ordered(e, a)) return report_race(target, offset, access, a, e, site);
    if (cell.spill) check_spilled(*cell.spill, a, access, other, target, offset, site);
}

void remember_user(Shadow& shadow, Cell& cell, const Actor& a, Access access, Site site) {
    Epoch now{a.cluster, a.clock, (uint16_t)a.agent, access, site};
    for (Epoch& e : cell.users)                      // a later access of the same kind says all that an earlier, ordered one did
        if (!e.cluster || (e.access == access && ordered(e, a))) {
            e = now;
            return;
        }
    if (!cell.spill) cell.spill = shadow.new_spill();
    Spill& spill = *cell.spill;
    if (spill.cluster != a.cluster) {                // what other clusters did: one access each
        for (unsigned kind = 0; kind < 2; kind++) {
            auto& clocks = kind ? spill.atomics : spill.loads;
            for (unsigned i = 0; i < clocks.size(); i++)
                if (clocks[i]) {
                    Access k = kind ? Access::atomic : Access::load;
                    spill.foreign.push_back({spill.cluster, clocks[i], (uint16_t)i, k,
                                             kind ? spill.atomic_site : spill.load_site});
                    break;
                }
            clocks.clear();
        }
        spill.cluster = a.cluster;
    }
    auto& clocks = access == Access::load ? spill.loads : spill.atomics;
    if (clocks.size() <= a.agent) clocks.resize(a.agent + 1);
    clocks[a.agent] = a.clock;
    (access == Access::load ? spill.load_site : spill.atomic_site) = site;
}

bool is_remembered(const Cell& cell, const Actor& a, Access access) {
    if (is_newest(cell.users[0], a, access) || is_newest(cell.users[1], a, access)) return true;
    if (!cell.spill || cell.spill->cluster != a.cluster) return false;
    const auto& clocks = access == Access::load ? cell.spill->loads : cell.spill->atomics;
    return a.agent < clocks.size() && clocks[a.agent] == a.clock;
}

void check_proxy(const Cell& cell, const Actor& a, const Target& target, size_t offset, Site site) {
    const Epoch& w = cell.writer;
    ClusterState* cluster = a.thread->block->cluster;
    if (w.cluster != a.cluster || w.agent >= cluster->clocks.threads || !ordered(w, a)) return;
    unsigned per_block = a.thread->block->threads_count;
    const ThreadState* writer = cluster->blocks[w.agent / per_block]->threads[w.agent % per_block].get();
    auto covers = [&](const Row& row) { return w.agent < row.size() && row[w.agent] >= w.clock; };
    if (covers(writer->proxy_fenced) || covers(a.thread->proxy_fenced)) return;
    report(Kind::missing_fence, site, w.site,
           "%s was stored by %s and is read by TMA or wgmma without fence_proxy_async in between",
           target.describe(offset).c_str(), describe(w).c_str());
}

void check_cell(Shadow& shadow, Cell& cell, const Actor& a, Access access, const Target& target, size_t offset, Site site) {
    if (access == Access::store) {
        if (is_newest(cell.writer, a, access) && !cell.users[0].cluster && !cell.users[1].cluster && !cell.spill) return;
        if (cell.writer.cluster && !ordered(cell.writer, a)) report_race(target, offset, access, a, cell.writer, site);
        check_users(cell, a, access, Access::load, target, offset, site);
        check_users(cell, a, access, Access::atomic, target, offset, site);
        cell.writer = {a.cluster, a.clock, (uint16_t)a.agent, access, site};
        cell.users[0].cluster = cell.users[1].cluster = 0;
        shadow.release(cell);
        cell.written = true;
        return;
    }
    if (is_remembered(cell, a, access)) return;
    if (cell.writer.cluster && !ordered(cell.writer, a)) report_race(target, offset, access, a, cell.writer, site);
    check_users(cell, a, access, access == Access::load ? Access::atomic : Access::load, target, offset, site);
    bool guard = !cell.written && !target.array && !target.dynamic && is_guard(offset);
    if (!cell.written && !guard) {
        report(Kind::uninitialised, site, 0, "%s of %s, which nobody has written",
               a.is_unit ? "an asynchronous load" : a_name(access),
               target.describe(offset).c_str());
    }
    cell.written = true;                             // once is enough, and an atomic writes
    if (a.by_proxy) check_proxy(cell, a, target, offset, site);
    remember_user(shadow, cell, a, access, site);
}

void check_cells(const Target& target, size_t offset, size_t bytes, const Actor& a, Access access, Site site) {
    Shadow& shadow = *target.shadow;
    while (bytes) {
        unsigned count, cell_bytes;
        Cell* cells = shadow.cells(offset, bytes, count, cell_bytes);
        for (unsigned i = 0; i < count; i++) check_cell(shadow, cells[i], a, access, target, offset + i * cell_bytes, site);
        size_t done = (size_t)count * cell_bytes;
        if (done >= bytes) return;
        offset += done;
        bytes -= done;
    }
}

Actor running_thread() {
    const ThreadState* t = current;
    unsigned agent = t->agent();
    return {t, t->block->cluster->serial, t->knows.row[agent], agent, false, false};
}

// ---- where an access goes

void check_alignment(uintptr_t p, size_t bytes, Access access, Site site) {
    if (bytes <= 16 && !(bytes & (bytes - 1)) && p & (bytes - 1))
        report(Kind::misaligned, site, 0, "%s of %zu bytes at an address that is no multiple of %zu", a_name(access), bytes,
               bytes);
}

void shared_out_of_bounds(const SharedPlace& place, size_t bytes, Access access, Site site) {
    size_t size = place.dynamic ? place.block->dynamic.bytes : machine->statics.bytes;
    report_fatal(Kind::shared_out_of_bounds, site, 0, "%s of %zu bytes at byte %ld of the %zu bytes of %s shared memory",
                 a_name(access),
                 bytes, (long)place.offset, size, place.dynamic ? "dynamic" : "static");
    stop_kernel();
}

void check_shared(const SharedPlace& place, size_t bytes, const Actor& a, Access access, Site site) {
    BlockState* b = place.block;
    size_t size = place.dynamic ? b->dynamic.bytes : machine->statics.bytes;
    if (place.offset + bytes > size) shared_out_of_bounds(place, bytes, access, site);
    Target target{place.dynamic ? &b->dynamic_shadow : &b->static_shadow, nullptr, place.dynamic};
    check_cells(target, place.offset, bytes, a, access, site);
}

void check_array(uintptr_t p, size_t bytes, Access access, Site site, bool aligned) {
    Array* array = find_array(p);
    if (!array || !array->memory.holds(p, bytes)) {
        long distance = 0;
        if (array)
            report_fatal(Kind::global_out_of_bounds, site, 0, "%s of %zu bytes at $%d+%zu, which goes past its end",
                         a_name(access), bytes,
                         Target{nullptr, array, false}.array_number(), (size_t)(p - array->memory.low));
        else if (p < 4096)
            report_fatal(Kind::crash, site, 0, "%s through a null pointer, at address %zu", a_name(access), (size_t)p);
        else if (Array* nearest = nearest_array(p, distance))
            report_fatal(Kind::global_out_of_bounds, site, 0, "%s of %zu bytes, %ld bytes %s of $%d", a_name(access), bytes,
                         distance > 0 ? distance - 1 : -distance, distance > 0 ? "past the end" : "before the start",
                         Target{nullptr, nearest, false}.array_number());
        else
            report_fatal(Kind::global_out_of_bounds, site, 0, "%s of %zu bytes at %p, and the kernel has no arrays",
                         a_name(access), bytes, (void*)p);
        stop_kernel();
    }
    size_t offset = p - array->memory.low;
    Target target{&array->shadow, array, false};
    if (aligned) check_alignment(p, bytes, access, site);
    if (array->constant) {                           // nobody writes it, so that loads need no more
        if (access != Access::load)
            report(Kind::write_to_const, site, 0, "%s of %s, which the kernel takes as const", a_name(access),
                   target.describe(offset).c_str());
        return;
    }
    check_cells(target, offset, bytes, running_thread(), access, site);
}
}  // namespace

void check_access(const void* address, size_t bytes, Access access, Site site, bool aligned) {
    uintptr_t p = (uintptr_t)address;
    if (machine->fibers.stacks().holds(p)) return;
    BlockState* b = current->block;
    SharedPlace place = shared_place(b, p);
    constexpr uintptr_t MARGIN = 65536;              // of inaccessible space around dynamic shared memory
    if (!place.block && p - (b->dynamic.low - MARGIN) < b->dynamic.bytes + 2 * MARGIN)
        shared_out_of_bounds({b, true, p - b->dynamic.low}, bytes, access, site);
    constexpr uintptr_t NEAR = 4096;
    if (!place.block && machine->statics.bytes && p - (machine->statics.low - NEAR) < machine->statics.bytes + 2 * NEAR)
        shared_out_of_bounds({b, false, p - machine->statics.low}, bytes, access, site);
    if (machine->launch->profile && (place.block || find_array(p)))
        profile_access(address, bytes, access, site, place.block != nullptr, aligned);
    if (place.block) {
        if (aligned) check_alignment(p, bytes, access, site);
        check_shared(place, bytes, running_thread(), access, site);
    } else if (!machine->library.holds(p)) {         // constants of the kernel lie there
        check_array(p, bytes, access, site, aligned);
    }
}

void check_unit_access(const UnitAccess& unit, const void* p, size_t bytes, Access access) {
    SharedPlace place = shared_place(unit.block, (uintptr_t)p);
    if (!place.block)
        cusim_fail("address-space", {nullptr, 0}, "an asynchronous %s at %p, which is not in shared memory",
                   a_name(access), p);
    Actor actor{unit.issuer, unit.issuer->block->cluster->serial, unit.clock, unit.agent, true, unit.by_proxy};
    check_shared(place, bytes, actor, access, unit.site);
}

}  // namespace cusim
