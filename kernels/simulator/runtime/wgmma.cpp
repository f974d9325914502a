// wgmma: products of a warpgroup's four warps, 16 rows each.
//
// From issue to wait the accumulators belong to the tensor core: their registers hold NaN.  Shared memory is read when the group
// is waited for (lazy), at issue (eager), or one of both by chance.  A group is one operation of the whole warpgroup: whoever
// waits for it knows that all four warps' parts are done.
#include <algorithm>
#include <cstring>
#include "checker.h"
#include "machine.h"
#include "numbers.h"

namespace cusim {

namespace {
constexpr int DEPTH = 16, ROWS = 16;                 // of one warp's step

struct Operand {                                     // a matrix descriptor, taken apart
    uint32_t start, lead, stride;
    unsigned swizzle, width;                         // width: bytes of a swizzled row
    bool transposed;                                 // MN-major

    Operand(uint64_t descriptor, bool transposed) : transposed(transposed) {
        static constexpr unsigned SWIZZLE[] = {0, 3, 2, 1};              // layout types of the descriptor
        start = (uint32_t)(descriptor & 0x3fff) << 4;
        lead = (uint32_t)(descriptor >> 16 & 0x3fff) << 4;
        stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
        swizzle = SWIZZLE[descriptor >> 62];
        width = 16u << swizzle;
    }

    // Where element (row, k) is; eight of them are neighbours: along k, or along the rows where transposed.
    uint32_t address(int row, int k) const {
        uint32_t a;
        if (!transposed && swizzle)
            a = start + (row / 8) * stride + (row % 8) * width + k * 2;
        else if (!transposed)
            a = start + (row / 8) * stride + (row % 8) * 16 + (k / 8) * lead + (k % 8) * 2;
        else if (!swizzle)
            a = start + (row / 8) * stride + (k / 8) * lead + (k % 8) * 16 + (row % 8) * 2;
        else {
            int per_row = (int)width / 2;
            a = start + (row / per_row) * lead + (k / 8) * stride + (k % 8) * width + (row % per_row) * 2;
        }
        return swizzled(a, swizzle);
    }

    // Calls f(row, k, address) for every eight neighbours of rows [first, first + rows).
    template <class F> void each_eight(int first, int rows, F f) const {
        for (int row = first; row < first + rows; row += transposed ? 8 : 1)
            for (int k = 0; k < DEPTH; k += transposed ? 1 : 8) f(row, k, address(row, k));
    }

    // The numbers as values[(row - first) * row_step + k * k_step].
    void read(BlockState* block, const WgmmaOperation& op, int first, int rows, float* values, int row_step, int k_step) const {
        each_eight(first, rows, [&](int row, int k, uint32_t a) {
            uint16_t eight[8];
            memcpy(eight, shared_memory(block, a, 16, op.at), 16);
            float* to = values + (row - first) * row_step + k * k_step;
            int step = transposed ? row_step : k_step;
            if (op.number == CUSIM_BF16)
                for (int i = 0; i < 8; i++) to[i * step] = bf16_to_float(eight[i]);
            else
                for (int i = 0; i < 8; i++) to[i * step] = half_to_float(eight[i]);
        });
    }
};

// Where a lane's register i is in the 16 x columns of its warp.
int row_of(int lane, int i) { return lane / 4 + 8 * (i >> 1 & 1); }
int column_of(int lane, int i) { return i / 4 * 8 + lane % 4 * 2 + (i & 1); }

Accumulators* find_accumulators(WarpState* w, const void* key) {
    for (Accumulators& c : w->accumulators)
        if (c.registers[0] == key) return &c;
    return nullptr;
}

template <class Float> void take(Accumulators& c, std::vector<Float>& values) {
    values.resize((size_t)ROWS * c.columns);
    for (int lane = 0; lane < 32; lane++) {
        Float* d = (Float*)c.registers[lane];
        for (int i = 0; i < c.columns / 2; i++) values[(size_t)row_of(lane, i) * c.columns + column_of(lane, i)] = d[i];
        memset(d, POISON, (size_t)c.columns / 2 * sizeof(Float));
    }
}

template <class Float> void give_back(const Accumulators& c, const std::vector<Float>& values) {
    for (int lane = 0; lane < 32; lane++) {
        Float* d = (Float*)c.registers[lane];
        for (int i = 0; i < c.columns / 2; i++) d[i] = values[(size_t)row_of(lane, i) * c.columns + column_of(lane, i)];
    }
}

struct Matrices {                                    // of one operation: a of one warp, b shared by the four
    float a[ROWS][DEPTH];
    float b[DEPTH][256];
    size_t b_of = ~size_t(0);                        // number of the operation that b belongs to
    uint64_t b_descriptor = 0;
};

template <class Float> void multiply(const WgmmaOperation& op, const Matrices& m, Float* values) {
    for (int row = 0; row < ROWS; row++) {
        Float* d = values + (size_t)row * op.columns;
        if (!op.scale_d) std::fill(d, d + op.columns, Float(0));
        for (int k = 0; k < DEPTH; k++) {
            Float x = m.a[row][k];
            for (int column = 0; column < op.columns; column++) d[column] += x * (Float)m.b[k][column];
        }
    }
}

void perform(WarpState* w, size_t number, Matrices& m) {
    const WgmmaOperation& op = w->operations[number];
    BlockState* block = w->block;
    if (m.b_of != number || m.b_descriptor != op.b) {
        Operand(op.b, op.transpose_b).read(block, op, 0, op.columns, &m.b[0][0], 1, 256);
        m.b_of = number;
        m.b_descriptor = op.b;
    }
    if (op.from_registers) {
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++)
                for (int half = 0; half < 2; half++)
                    m.a[lane / 4 + 8 * (i & 1)][lane % 4 * 2 + 8 * (i >> 1) + half] =
                        to_float((uint16_t)(op.a_registers[lane][i] >> 16 * half), op.number);
    } else {
        Operand(op.a, op.transpose_a).read(block, op, (int)(w->number & 3) * ROWS, ROWS, &m.a[0][0], DEPTH, 1);
    }
    Accumulators& c = *find_accumulators(w, op.key);
    if (c.wide)
        multiply<double>(op, m, c.wide_values.data());
    else
        multiply<float>(op, m, c.values.data());
}

Matrices& matrices() {                               // on the heap: thread_local memory of a library is scarce
    static thread_local std::unique_ptr<Matrices> m;
    if (!m) m = std::make_unique<Matrices>();
    return *m;
}

// ---- one warp issues

struct IssueOperand {
    WgmmaOperation* operation;
    void* d;
    const unsigned* a_registers;
};

void check_reads(WarpState* w, const WgmmaOperation& op) {
    BlockState* block = w->block;
    Clocks& clocks = block->cluster->clocks;
    unsigned agent = clocks.wgmma + block->rank * (unsigned)block->warps.size() + w->number;
    UnitAccess unit{block, current, agent, clocks.next(agent), true, site_of(op.at)};
    auto check = [&](int, int, uint32_t a) { check_unit_access(unit, shared_memory(block, a, 16, op.at), 16, Access::load); };
    Operand(op.b, op.transpose_b).each_eight(0, op.columns, check);
    if (!op.from_registers) Operand(op.a, op.transpose_a).each_eight((int)(w->number & 3) * ROWS, ROWS, check);
}

void issue(void** operands, unsigned lanes, void*) {
    WarpState* w = current->warp;
    const IssueOperand& first = *(IssueOperand*)operands[__builtin_ctz(lanes)];
    WgmmaOperation& op = *first.operation;
    if (lanes != ~0u) cusim_fail("wgmma", op.at, "wgmma needs a full warp, not the lanes %08x", lanes);
    if (w->block->warps.size() < (w->number & ~3u) + 4)
        cusim_fail("wgmma", op.at, "warp %u does not belong to four warps that make a warpgroup", w->number);
    if (!w->wgmma_fenced) cusim_fail("wgmma", op.at, "there was no wgmma_fence since the last wait");
    for (int lane = 0; lane < 32; lane++) {
        const IssueOperand& other = *(IssueOperand*)operands[lane];
        if (other.operation->a != op.a || other.operation->b != op.b)
            cusim_fail("wgmma", op.at, "the descriptors differ between lanes");
        if (op.from_registers) memcpy(op.a_registers[lane], other.a_registers, 16);
    }
    op.key = first.d;
    if (checking()) check_reads(w, op);
    Accumulators* c = find_accumulators(w, op.key);
    if (!c) {
        w->accumulators.emplace_back();
        c = &w->accumulators.back();
        c->columns = op.columns;
        c->uses = 0;
        c->wide = op.wide;
        for (int lane = 0; lane < 32; lane++) c->registers[lane] = ((IssueOperand*)operands[lane])->d;
        if (c->wide)
            take(*c, c->wide_values);
        else
            take(*c, c->values);
    } else if (c->columns != op.columns) {
        cusim_fail("wgmma", op.at, "accumulators in flight with %d columns are used with %d", c->columns, op.columns);
    }
    c->uses++;
    w->operations.push_back(op);
    machine->progress++;
    if (machine->launch->profile) profile_flops(op.at, 2L * ROWS * op.columns * DEPTH);
    if (at_once()) {
        Matrices& m = matrices();
        m.b_of = ~size_t(0);
        for (; w->performed < w->operations.size(); w->performed++) perform(w, w->performed, m);
    }
}

// ---- one warp waits

void finish(void** operands, unsigned, void*) {
    WarpState* w = current->warp;
    BlockState* block = w->block;
    int groups = *(int*)operands[0];
    size_t count = w->groups.size();
    if (groups == 0) w->wgmma_fenced = false;
    if ((int)count <= groups) return;
    size_t group = count - 1 - (size_t)groups, most = 0;
    WarpState* four[4];
    for (unsigned q = 0; q < 4; q++) {
        four[q] = block->warps[(w->number & ~3u) + q].get();
        most = std::max(most, four[q]->groups[group]);
    }
    Matrices& m = matrices();
    m.b_of = ~size_t(0);
    for (size_t i = 0; i < most; i++)
        for (WarpState* x : four)
            if (x->performed == i && i < x->groups[group]) {
                perform(x, i, m);
                x->performed++;
            }
    if (checking()) {
        Clocks& clocks = block->cluster->clocks;
        for (WarpState* x : four)
            for (unsigned lane = 0; lane < 32; lane++) {
                unsigned agent = clocks.wgmma + block->rank * (unsigned)block->warps.size() + x->number;
                uint32_t& known = block->threads[w->number * 32 + lane]->knows.row[agent];
                known = std::max(known, (uint32_t)x->groups[group]);
            }
    }
    auto busy = [&](const Accumulators& c) {
        for (size_t i = w->groups[group]; i < w->operations.size(); i++)
            if (w->operations[i].key == c.registers[0]) return true;
        return false;
    };
    auto& all = w->accumulators;
    for (size_t i = 0; i < all.size();) {
        if (busy(all[i])) {
            i++;
            continue;
        }
        if (all[i].wide)
            give_back(all[i], all[i].wide_values);
        else
            give_back(all[i], all[i].values);
        all.erase(all.begin() + (long)i);
    }
}

void fence(void**, unsigned, void*) { current->warp->wgmma_fenced = true; }
void commit(void**, unsigned, void*) { current->warp->groups.push_back(current->warp->operations.size()); }
void nothing(void**, unsigned, void*) {}
}  // namespace
}  // namespace cusim

using namespace cusim;

extern "C" {

void cusim_wgmma(void* d, bool wide, int columns, unsigned long long a, const unsigned* a_registers, unsigned long long b,
                 int scale_d,
                 int transpose_a, int transpose_b, cusim_number number, cusim_place at) {
    WgmmaOperation op{nullptr, {}, a, b, columns, scale_d, transpose_a, transpose_b, number, a_registers != nullptr, wide, at};
    IssueOperand operand{&op, d, a_registers};
    cusim_warp(~0u, &operand, issue, nullptr, false, at);
}

void cusim_wgmma_fence(cusim_place at) { cusim_warp(~0u, nullptr, fence, nullptr, false, at); }
void cusim_wgmma_commit(cusim_place at) { cusim_warp(~0u, nullptr, commit, nullptr, false, at); }

void cusim_wgmma_wait(int groups, cusim_place at) {
    WarpState* w = current->warp;
    size_t needed = (int)w->groups.size() > groups ? w->groups.size() - (size_t)groups : 0;
    if (w->block->warps.size() < (w->number & ~3u) + 4) needed = 0;
    for (unsigned q = w->number & ~3u; needed && q < (w->number & ~3u) + 4; q++)
        while (w->block->warps[q]->groups.size() < needed) poll(at);     // the other warps of the group have yet to issue theirs
    cusim_warp(~0u, &groups, finish, nullptr, false, at);
}

void cusim_setmaxnreg(int registers, cusim_place at) {
    if (registers % 8 || registers < 24 || registers > 256)
        cusim_fail("instruction", at, "setmaxnreg of %d: it must be a multiple of 8 from 24 to 256", registers);
    cusim_warp(~0u, nullptr, nothing, nullptr, false, at);
}
}
