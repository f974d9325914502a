// mbarriers: phases that end when all arrivals have come and all expected bytes have landed.
#include <cstring>
#include "checker.h"
#include "machine.h"

namespace cusim {

Mbarrier* find_mbarrier(BlockState* block, uint32_t address) {
    for (Mbarrier& b : block->mbarriers)
        if (b.address == (address & ADDRESS_OFFSET)) return &b;
    return nullptr;
}

void step_mbarrier(Mbarrier& b) {
    machine->progress++;
    if (b.pending || b.bytes) return;
    b.phase++;
    b.pending = b.count;
    if (checking()) {
        b.ended_clocks.swap(b.pending_clocks);
        b.pending_clocks.clear();
    }
    wake_all(b.waiting);
}

void check_mbarriers_at_end(BlockState* block) {
    for (const Mbarrier& b : block->mbarriers)
        if (b.bytes)
            report(Kind::mbarrier, 0, 0,
                   "block (%u,%u,%u) ends while its mbarrier at shared address 0x%x waits for %ld more bytes",
                   block->index.x, block->index.y, block->index.z, b.address, b.bytes);
}

namespace {
Mbarrier& use_mbarrier(uint32_t address, cusim_place at) {
    ThreadState* t = current;
    t->where = at;
    Mbarrier* b = find_mbarrier(block_of_address(address), address);
    if (!b) cusim_fail("mbarrier", at, "there is no initialised mbarrier at shared address 0x%x", address & ADDRESS_OFFSET);
    if (checking() && b->initialiser != t->agent() && t->knows.row[b->initialiser] < b->initialised)
        report(Kind::mbarrier, site_of(at), 0,
               "the mbarrier is used before a barrier has followed its initialisation by another thread");
    return *b;
}
}  // namespace
}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_mbar_init(unsigned address, int count, cusim_place at) {
    ThreadState* t = current;
    t->where = at;
    if (address % 8) cusim_fail("misaligned", at, "an mbarrier must lie at a multiple of 8 bytes");
    if (count < 1 || count >= 1 << 20) cusim_fail("mbarrier", at, "an mbarrier for %d arrivals", count);
    BlockState* block = block_of_address(address);
    unsigned char* memory = shared_memory(address, 8, at);
    Mbarrier* b = find_mbarrier(block, address);
    if (!b) {
        if (block->mbarriers.size() == Clocks::MBARRIERS)
            cusim_fail("mbarrier", at, "the simulator has room for %u mbarriers a block", Clocks::MBARRIERS);
        block->mbarriers.emplace_back();
        b = &block->mbarriers.back();
        b->agent = (int)(block->cluster->clocks.mbarriers + block->rank * Clocks::MBARRIERS + block->mbarriers.size() - 1);
    }
    b->address = address & ADDRESS_OFFSET;
    b->count = b->pending = count;
    b->bytes = 0;
    b->phase = 0;
    b->fenced = false;
    b->initialiser = t->agent();
    b->pending_clocks.clear();
    b->ended_clocks.clear();
    if (checking()) {
        b->initialised = t->knows.row[t->agent()];
        check_access(memory, 8, Access::store, site_of(at));
    }
    memset(memory, 0, 8);
}

void cusim_mbar_inval(unsigned address, cusim_place at) {
    use_mbarrier(address, at);
    auto& all = block_of_address(address)->mbarriers;
    for (size_t i = 0; i < all.size(); i++)
        if (all[i].address == (address & ADDRESS_OFFSET)) all[i].address = ~0u;      // its clock is not used again
}

void cusim_mbar_fence_init() {
    for (Mbarrier& b : current->block->mbarriers)
        if (b.initialiser == current->agent()) b.fenced = true;
}

void cusim_mbar_arrive(unsigned address, int bytes, cusim_place at) {
    ThreadState* t = current;
    Mbarrier& b = use_mbarrier(address, at);
    if (!b.pending) cusim_fail("mbarrier", at, "more than the %d arrivals that the mbarrier counts in one phase", b.count);
    b.bytes += bytes;
    b.pending--;
    if (checking()) {
        join(b.pending_clocks, t->knows.row, t->block->cluster->clocks.used);
        advance(t);
    }
    step_mbarrier(b);
}

bool cusim_mbar_try_wait(unsigned address, int parity, cusim_place at) {
    ThreadState* t = current;
    Mbarrier* b = &use_mbarrier(address, at);
    if ((int)(b->phase & 1) == parity) {
        poll(at);
        b = &use_mbarrier(address, at);
        if ((int)(b->phase & 1) == parity) return false;
    }
    if (checking()) join(t->knows.row, b->ended_clocks);
    return true;
}

void cusim_mbar_wait(unsigned address, int parity, cusim_place at) {
    ThreadState* t = current;
    if (parity != 0 && parity != 1) cusim_fail("mbarrier", at, "a parity of %d", parity);
    Mbarrier* b = &use_mbarrier(address, at);
    while ((int)(b->phase & 1) == parity) {
        b->waiting.push_back(t);
        wait_as(Wait::mbarrier, at);
        b = &use_mbarrier(address, at);
    }
    if (checking()) join(t->knows.row, b->ended_clocks);
}
}
