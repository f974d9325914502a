// cp.async: copies that land when their group is waited for (lazy), at once (eager), or one of both by chance.  Until it lands
// the destination holds NaN.
#include <cstring>
#include "checker.h"
#include "machine.h"

namespace cusim {

namespace {
void land(AsyncCopy& copy) {
    if (copy.landed) return;
    copy.landed = true;
    memcpy(copy.shared, copy.global, (size_t)copy.valid_bytes);
    memset((char*)copy.shared + copy.valid_bytes, 0, (size_t)(copy.bytes - copy.valid_bytes));
}

void check_copy(ThreadState* t, const AsyncCopy& copy) {
    Site site = site_of(copy.at);
    if (copy.valid_bytes) check_access(copy.global, (size_t)copy.valid_bytes, Access::load, site);
    unsigned agent = t->copy_agent();
    UnitAccess unit{t->block, t, agent, t->block->cluster->clocks.next(agent), false, site};
    check_unit_access(unit, copy.shared, (size_t)copy.bytes, Access::store);
}
}  // namespace

// A thread has returned with its copies or TMA stores still under way.
void finish_asynchronous_work(ThreadState* t) {
    if (t->copies.done < t->copies.work.size()) {
        const AsyncCopy& first = t->copies.work[t->copies.done];
        report(Kind::missing_wait, site_of(first.at), 0,
               "the copy may still be under way when its thread returns: nobody waits for it");
        for (AsyncCopy& copy : t->copies.work) land(copy);
    }
    if (t->stores.done < t->stores.work.size()) {
        const BulkStore& first = t->stores.work[t->stores.done];
        report(Kind::missing_wait, site_of(first.at), 0,
               "the TMA store may still read shared memory when its thread returns: nobody waits for it");
        for (BulkStore& store : t->stores.work) perform(t, store);
    }
}

}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_cp_async(void* shared, const void* global, int bytes, int valid_bytes, cusim_place at) {
    if (bytes > 16) {                                // a vector of four floats, compiled as double: two instructions
        for (int i = 0; i < bytes; i += 16)
            cusim_cp_async((char*)shared + i, (const char*)global + i, 16, valid_bytes ? 16 : 0, at);
        return;
    }
    ThreadState* t = current;
    t->where = at;
    if (((uintptr_t)shared | (uintptr_t)global) & (uintptr_t)(bytes - 1))
        cusim_fail("misaligned", at, "cp.async of %d bytes needs addresses that are multiples of %d", bytes, bytes);
    SharedPlace place = shared_place(t->block, (uintptr_t)shared);
    if (!place.block && !checking()) cusim_fail("address-space", at, "cp.async to %p, which is not in shared memory", shared);
    t->copies.work.push_back({shared, global, bytes, valid_bytes, false, at});
    AsyncCopy& copy = t->copies.work.back();
    if (checking()) check_copy(t, copy);
    if (at_once())
        land(copy);
    else
        memset(shared, POISON, (size_t)bytes);
}

void cusim_cp_async_commit() { current->copies.commit(); }

void cusim_cp_async_wait(int groups) {
    ThreadState* t = current;
    auto& copies = t->copies;
    size_t end = copies.end_of_all_but(groups);
    for (size_t i = copies.done; i < end; i++) land(copies.work[i]);
    if (end > copies.done) copies.done = end;
    if (checking() && copies.done) {
        Clocks& clocks = t->block->cluster->clocks;
        unsigned agent = t->copy_agent();
        uint32_t& known = t->knows.row[agent];
        uint32_t finished = clocks.now[agent] - (uint32_t)(copies.work.size() - copies.done);
        if (finished > known) known = finished;
    }
    if (copies.done == copies.work.size()) copies.clear();
}
}
