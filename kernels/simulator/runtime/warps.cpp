// Functions of a warp: lanes gather, the last to come runs the function once for all of them, reading and writing the others'
// operands through pointers to their stacks.
#include <cstring>
#include "checker.h"
#include "machine.h"
#include "numbers.h"

namespace cusim {

namespace {
void elect_lane(void** operands, unsigned lanes, void*) {
    int first = __builtin_ctz(lanes);
    for (int lane = 0; lane < 32; lane++)
        if (lanes >> lane & 1) *(unsigned*)operands[lane] = lane == first;
}

void exchange_clocks(WarpState* warp, unsigned lanes) {
    BlockState* b = warp->block;
    unsigned used = b->cluster->clocks.used;
    Row all;
    Acquired acquired;
    for (unsigned lane = 0; lane < 32; lane++)
        if (lanes >> lane & 1) {
            ThreadState* t = b->threads[warp->number * 32 + lane].get();
            join(all, t->knows.row, used);
            acquired = join(acquired, t->knows.acquired);
        }
    for (unsigned lane = 0; lane < 32; lane++)
        if (lanes >> lane & 1) {
            ThreadState* t = b->threads[warp->number * 32 + lane].get();
            memcpy(t->knows.row, all.data(), used * sizeof(uint32_t));
            t->knows.acquired = acquired;
            advance(t);
        }
}

// ---- matrices of 8 x 8 16-bit numbers

struct MatrixRows {
    unsigned* registers;
    unsigned char* row;
    int count;
    bool transposed, store;
};

void move_matrices(void** operands, unsigned lanes, void*) {
    const MatrixRows& first = *(MatrixRows*)operands[__builtin_ctz(lanes)];
    if (lanes != ~0u) cusim_fail("instruction", {nullptr, 0}, "ldmatrix and stmatrix need all 32 lanes, not %08x", lanes);
    for (int m = 0; m < first.count; m++) {
        uint16_t matrix[8][8];
        auto row = [&](int r) { return ((MatrixRows*)operands[m * 8 + r])->row; };
        if (!first.store)
            for (int r = 0; r < 8; r++) memcpy(matrix[r], row(r), 16);
        for (int lane = 0; lane < 32; lane++) {
            unsigned& value = ((MatrixRows*)operands[lane])->registers[m];
            int r = lane / 4, c = lane % 4 * 2;
            uint16_t& low = first.transposed ? matrix[c][r] : matrix[r][c];
            uint16_t& high = first.transposed ? matrix[c + 1][r] : matrix[r][c + 1];
            if (first.store) {
                low = (uint16_t)value;
                high = (uint16_t)(value >> 16);
            } else {
                value = low | (unsigned)high << 16;
            }
        }
        if (first.store)
            for (int r = 0; r < 8; r++) memcpy(row(r), matrix[r], 16);
    }
}

void move_matrix_rows(unsigned* registers, int count, bool transposed, const void* row, bool store, cusim_place at) {
    MatrixRows operand{registers, nullptr, count, transposed, store};
    if ((int)current->lane < 8 * count) {            // the other lanes' addresses are not used
        if ((uintptr_t)row % 16) cusim_fail("misaligned", at, "a row of a matrix must start at a multiple of 16 bytes");
        if (!shared_place(current->block, (uintptr_t)row).block)
            cusim_fail("address-space", at, "ldmatrix and stmatrix need addresses in shared memory, not %p", row);
        operand.row = (unsigned char*)row;
        if (checking()) check_access(row, 16, store ? Access::store : Access::load, site_of(at));
    }
    cusim_warp(~0u, &operand, move_matrices, nullptr, false, at);
}

// ---- mma.sync

struct MmaOperands {
    void* d;
    bool wide;                                       // d is double: the source is compiled with float = double
    const unsigned *a, *b;
    cusim_number number;
};

template <class Float> void multiply(void** operands, const float (*a)[16], const float (*b)[8], int depth) {
    for (int lane = 0; lane < 32; lane++) {
        Float* d = (Float*)((MmaOperands*)operands[lane])->d;
        for (int i = 0; i < 4; i++) {
            const float* row = a[lane / 4 + 8 * (i >> 1)];
            int column = lane % 4 * 2 + (i & 1);
            Float sum = d[i];
            for (int k = 0; k < depth; k++) sum += (Float)row[k] * b[k][column];
            d[i] = sum;
        }
    }
}

void multiply_matrices(void** operands, unsigned lanes, void*) {
    const MmaOperands& first = *(MmaOperands*)operands[__builtin_ctz(lanes)];
    if (lanes != ~0u) cusim_fail("instruction", {nullptr, 0}, "mma needs all 32 lanes, not %08x", lanes);
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const MmaOperands& p = *(MmaOperands*)operands[lane];
        int g = lane / 4, t = lane % 4;
        if (first.number == CUSIM_TF32) {
            for (int i = 0; i < 4; i++) a[g + 8 * (i & 1)][t + 4 * (i >> 1)] = tf32_to_float(p.a[i]);
            for (int i = 0; i < 2; i++) b[t + 4 * i][g] = tf32_to_float(p.b[i]);
            continue;
        }
        for (int half = 0; half < 2; half++) {
            for (int i = 0; i < 4; i++)
                a[g + 8 * (i & 1)][t * 2 + half + 8 * (i >> 1)] = to_float((uint16_t)(p.a[i] >> 16 * half), first.number);
            for (int i = 0; i < 2; i++) b[t * 2 + half + 8 * i][g] = to_float((uint16_t)(p.b[i] >> 16 * half), first.number);
        }
    }
    int depth = first.number == CUSIM_TF32 ? 8 : 16;
    if (first.wide)
        multiply<double>(operands, a, b, depth);
    else
        multiply<float>(operands, a, b, depth);
    if (machine->launch->profile) profile_flops(current->where, 2L * 16 * 8 * depth);
}
}  // namespace

// A lane has returned: others may have been waiting for it.
void leave_warp(ThreadState* t) {
    WarpState* w = t->warp;
    w->alive &= ~(1u << t->lane);
    if (!w->alive && !w->accumulators.empty())
        report(Kind::missing_wait, site_of(w->operations.back().at), 0, "a warp returns without a wait for this wgmma");
    for (unsigned left = w->gathering; left; left &= left - 1) {
        Gathering& g = w->gatherings[__builtin_ctz(left)];
        if (!(g.mask >> t->lane & 1)) continue;
        if (!g.orders_memory) {
            report_fatal(Kind::warp_divergence, site_of(g.first), 0, "lanes wait here for a lane that has returned, mask %08x",
                         g.mask);
            machine->stopped = true;
        } else if (g.arrived == (g.mask & w->alive)) {
            unsigned lanes = g.arrived;
            g.arrived = 0;
            w->gathering &= ~(1u << __builtin_ctz(g.mask));
            if (checking()) exchange_clocks(w, lanes);
            for (unsigned lane = 0; lane < 32; lane++)
                if (lanes >> lane & 1) wake(w->block->threads[w->number * 32 + lane].get());
        }
    }
}
}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_warp(unsigned mask, void* operand, cusim_collective run, void* extra, bool orders_memory, cusim_place at) {
    ThreadState* t = current;
    WarpState* w = t->warp;
    t->where = at;
    if (!(mask >> t->lane & 1))
        cusim_fail("warp-divergence", at, "lane %u calls with the mask %08x, which leaves it out", t->lane, mask);
    unsigned living = mask & w->alive;
    if (living != mask && run && !orders_memory) {
        unsigned lanes = w->block->threads_count - w->number * 32;
        bool beyond = lanes < 32 && mask >> lanes;
        report(Kind::warp_divergence, site_of(at), 0, "the mask %08x names lanes %s", mask,
               beyond ? "that the block does not have" : "that have already returned");
    }
    Gathering& g = w->gatherings[__builtin_ctz(mask)];
    if (!g.arrived) {
        g.mask = mask;
        g.run = run;
        g.extra = extra;
        g.first = at;
    } else if (g.mask != mask || g.run != run || g.first.line != at.line) {
        Site other = site_of(g.first);
        report_fatal(Kind::warp_divergence, site_of(at), other,
                     "lanes of one warp are at different warp functions, with masks %08x and %08x",
                     mask, g.mask);
        stop_kernel();
    }
    g.orders_memory = orders_memory;
    g.operands[t->lane] = operand;
    g.arrived |= 1u << t->lane;
    if ((g.arrived & living) != living) {
        w->gathering |= 1u << __builtin_ctz(mask);
        wait_as(Wait::warp, at);
        return;
    }
    unsigned lanes = g.arrived;
    g.arrived = 0;
    w->gathering &= ~(1u << __builtin_ctz(mask));
    machine->progress++;
    if (run) run(g.operands, lanes, extra);
    if (orders_memory && checking()) exchange_clocks(w, lanes);
    bool backwards = machine->launch->order == Order::reverse;
    for (unsigned k = 0; k < 32; k++) {
        unsigned lane = backwards ? 31 - k : k;
        if (lanes >> lane & 1 && lane != t->lane) wake(w->block->threads[w->number * 32 + lane].get());
    }
}

unsigned cusim_active_mask() { return current->warp->alive; }

void cusim_elect(unsigned mask, unsigned* elected, cusim_place at) { cusim_warp(mask, elected, elect_lane, nullptr, false, at); }

void cusim_ldmatrix(unsigned* registers, int count, bool transposed, const void* row, cusim_place at) {
    move_matrix_rows(registers, count, transposed, row, false, at);
}

void cusim_stmatrix(const unsigned* registers, int count, bool transposed, void* row, cusim_place at) {
    move_matrix_rows((unsigned*)registers, count, transposed, row, true, at);
}

void cusim_mma(void* d, bool wide, const unsigned* a, const unsigned* b, cusim_number number, cusim_place at) {
    MmaOperands operand{d, wide, a, b, number};
    cusim_warp(~0u, &operand, multiply_matrices, nullptr, false, at);
}
}
