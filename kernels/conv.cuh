// What a convolution reads where: the geometry that conv.cu, conv_fp32.cu and conv_sm80.cu share.
//
// All three products of a convolution are matrix products whose second factor is read from images through windows, where it
// lies, and never copied out:
//
//   forward           y [row = output channel, column = place of y]   sums over (input channel, tap)     w  times x
//   input gradient    gx[row = input channel,  column = place of x]   sums over (output channel, tap)    w' times g
//   weight gradient   gw[row = output channel, column = (input channel, tap)]   sums over places of y    g  times x
//
// Forward and input gradient differ only in numbers (Axis).  With a stride s, places of x that lie s apart are reached by the
// same taps and others by other taps: the input gradient is s convolutions along each axis, one for each remainder
// (its phase), each over the taps that reach it and none that multiply zeros.
//
// A tile of a factor is loaded by a block of THREADS threads: a loader holds where its thread stands, `fetch` loads the
// thread's COUNT entries and moves on to the next tile; entry i lies at depth(i) along the sum, and at line(i) across it.
// Between the making of a loader and the first fetch, and between two fetches, the block meets at a barrier.
// Inside the loops nothing is divided: indices along the sum advance by adding digits with carry, and what a tap adds to
// the corner of a window comes from a table in shared memory.  Within one group of one image, and within the weights,
// int indices are enough (conv.py checks that).
#pragma once
#include "kernel.cuh"

// Three digits of a number: n = (high * middle_base + middle) * low_base + low.
struct Digits {
    int high, middle, low;
};

__device__ __forceinline__ Digits digits(int n, int middle_base, int low_base) {
    int high = n / low_base;
    return {high / middle_base, high % middle_base, n % low_base};
}

__device__ __forceinline__ void add(Digits& d, const Digits& step, int middle_base, int low_base) {
    d.low += step.low;
    int carry = d.low >= low_base;
    d.low -= carry ? low_base : 0;
    d.middle += step.middle + carry;
    carry = d.middle >= middle_base;
    d.middle -= carry ? middle_base : 0;
    d.high += step.high + carry;
}

// ---- geometry -------------------------------------------------------------------------------------------

// One spatial axis: place p of the result sums, over taps t, source[start + p * step + t * hop] times weight[first + t * skip].
struct Axis {
    int source, places, taps;                        // sizes: of the source, of the result (in this phase), of the window
    int start, step, hop;
    int first, skip;
    int size, phase, spread;                         // place p is entry phase + p * spread of the result's `size`
};

// y[p] = sum of w[t] x[p * stride - padding + t * dilation]
__device__ __forceinline__ Axis forward_axis(int size, int kernel, int out, int stride, int padding, int dilation) {
    return {size, out, kernel, -padding, stride, dilation, 0, 1, out, 0, 1};
}

// gx[q] = sum of w[t] g[o] over the taps t for which o = (q + padding - t * dilation) / stride is whole; q = phase + p * stride
__device__ __forceinline__ Axis transposed_axis(int size, int kernel, int out, int stride, int padding, int dilation, int phase) {
    int first = 0, skip = 1;
    while (first < kernel && (phase + padding - first * dilation) % stride != 0) first++;
    while (skip * dilation % stride != 0) skip++;
    return {out, (size - phase + stride - 1) / stride, (kernel - first + skip - 1) / skip,
            (phase + padding - first * dilation) / stride, 1, -(skip * dilation / stride),
            first, skip, size, phase, stride};
}

// x (images, groups * channels, H, W), w (groups * filters, channels, KH, KW), y (images, groups * filters, OH, OW)
struct Sizes {
    int images, groups, channels, filters, H, W, KH, KW, OH, OW;
    int stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
};

// One group (and phase) of a forward or input gradient:
// result[n, r, p, q] = sum over channels k and taps i, j of w[r, k, i, j] source[n, k, p at i, q at j]
struct Gather {
    Axis h, w;
    int images, groups, group, channels, rows;       // channels of the source, rows (channels) of the result: of one group
    int row_stride, channel_stride, KW;              // of the weights
    long long weights;                               // where the group's weights begin

    __device__ int terms() const { return channels * h.taps * w.taps; }
    __device__ int columns() const { return images * h.places * w.places; }
};

__device__ __forceinline__ Gather forward(const Sizes& s, int group) {
    int taps = s.KH * s.KW;
    return {forward_axis(s.H, s.KH, s.OH, s.stride_h, s.padding_h, s.dilation_h),
            forward_axis(s.W, s.KW, s.OW, s.stride_w, s.padding_w, s.dilation_w),
            s.images, s.groups, group, s.channels, s.filters,
            s.channels * taps, taps, s.KW, (long long)group * s.filters * s.channels * taps};
}

// index: group, phase along H and phase along W in one number
__device__ __forceinline__ Gather transposed(const Sizes& s, int index) {
    int taps = s.KH * s.KW;
    Digits d = digits(index, s.stride_h, s.stride_w);
    return {transposed_axis(s.H, s.KH, s.OH, s.stride_h, s.padding_h, s.dilation_h, d.middle),
            transposed_axis(s.W, s.KW, s.OW, s.stride_w, s.padding_w, s.dilation_w, d.low),
            s.images, s.groups, d.high, s.filters, s.channels,
            taps, s.channels * taps, s.KW, (long long)d.high * s.filters * s.channels * taps};
}

// A column of the result: the corner of its window in the source, and where its entry of row 0 belongs.
struct Place {
    int y, x;
    long long source;                                // the group's channel 0 of the image
    long long result;                                // the entry of the group's row 0; -1: no such column
};

// One term of the sum, a channel and a tap: what it adds to the corner of a window, and where in a row of weights it lies.
struct __align__(16) Tap {
    int y, x, offset;                                // offset: from the corner, in numbers
    int weight;                                      // -1: no such term
};
constexpr int OUTSIDE = 1 << 29;                     // y of a tap or window that there is not: beyond every image, as is twice it

__device__ __forceinline__ Place place(const Gather& g, int column) {
    if (column >= g.columns()) return {0, 0, 0, -1};
    Digits d = digits(column, g.h.places, g.w.places);                   // image, row, column
    long long image = (long long)d.high * g.groups + g.group;
    return {g.h.start + d.middle * g.h.step, g.w.start + d.low * g.w.step,
            image * g.channels * g.h.source * g.w.source,
            (image * g.rows * g.h.size + g.h.phase + d.middle * g.h.spread) * g.w.size + g.w.phase + d.low * g.w.spread};
}

__device__ __forceinline__ bool within(int i, int size) { return (unsigned)i < (unsigned)size; }

// ---- loaders of forward and input gradient --------------------------------------------------------------

// The terms of this tile and of the next: Windows enters them, Weights reads them too.
template <int DEPTH> using Terms = Tap[2][DEPTH];

// The weights: LINES rows from `row` on, DEPTH terms of the sum; a thread stays at one depth, its neighbours at the next.
template <int LINES, int DEPTH, int THREADS>
struct Weights {
    static constexpr int COUNT = LINES * DEPTH / THREADS, APART = THREADS / DEPTH;
    static constexpr bool DEPTH_FIRST = true;
    const Terms<DEPTH>& terms;
    const scalar* w;                                 // at this thread's first line
    int left, stride;                                // lines from there to the last row; numbers from a row to the next
    int now;                                         // which terms are this tile's

    __device__ __forceinline__ Weights(const Gather& g, const scalar* w, int row, const Terms<DEPTH>& terms)
        : terms(terms), w(w + g.weights + (long long)(row + line(0)) * g.row_stride), left(g.rows - row - line(0)),
          stride(g.row_stride), now(0) {}

    __device__ static __forceinline__ int depth(int i) { return threadIdx.x % DEPTH; }
    __device__ static __forceinline__ int line(int i) { return threadIdx.x / DEPTH + i * APART; }

    __device__ __forceinline__ void fetch(scalar (&next)[COUNT]) {
        int weight = terms[now][depth(0)].weight, lines = weight >= 0 ? left : 0;
        #pragma unroll
        for (int i = 0; i < COUNT; i++) next[i] = i * APART < lines ? w[weight + i * APART * stride] : from_float<scalar>(0.f);
        now ^= 1;
    }
};

// The source seen through windows: DEPTH terms of the sum, LINES columns from `column` on; a thread stays at one column.
template <int LINES, int DEPTH, int THREADS>
struct Windows {
    static constexpr int COUNT = LINES * DEPTH / THREADS, APART = THREADS / LINES;
    static constexpr bool DEPTH_FIRST = false;
    const Gather& g;
    Place at;
    const scalar* corner;                            // of this thread's window, outside the image perhaps
    Terms<DEPTH>& terms;
    Digits term, step;                               // channel, i, j of the term that this thread enters next
    int now;                                         // which terms are this tile's

    __device__ __forceinline__ Windows(const Gather& g, const scalar* source, int column, Terms<DEPTH>& terms)
        : g(g), at(place(g, column + line(0))), corner(source + at.source + at.y * g.w.source + at.x), terms(terms),
          term(g.terms() ? digits(threadIdx.x, g.h.taps, g.w.taps) : Digits{g.channels, 0, 0}),
          step(g.terms() ? digits(DEPTH, g.h.taps, g.w.taps) : Digits{0, 0, 0}), now(0) {
        if (at.result < 0) at.y = OUTSIDE;
        enter(0);
    }

    __device__ static __forceinline__ int depth(int i) { return threadIdx.x / LINES + i * APART; }
    __device__ static __forceinline__ int line(int i) { return threadIdx.x % LINES; }

    __device__ __forceinline__ void enter(int which) {
        if (threadIdx.x >= DEPTH) return;
        bool valid = term.high < g.channels;
        int y = term.middle * g.h.hop, x = term.low * g.w.hop;
        int i = g.h.first + term.middle * g.h.skip, j = g.w.first + term.low * g.w.skip;
        terms[which][threadIdx.x] = {valid ? y : OUTSIDE, x, (term.high * g.h.source + y) * g.w.source + x,
                                     valid ? term.high * g.channel_stride + i * g.KW + j : -1};
        add(term, step, g.h.taps, g.w.taps);
    }

    __device__ __forceinline__ void fetch(scalar (&next)[COUNT]) {
        #pragma unroll
        for (int i = 0; i < COUNT; i++) {
            Tap tap = terms[now][depth(i)];
            bool valid = within(at.y + tap.y, g.h.source) & within(at.x + tap.x, g.w.source);
            next[i] = valid ? corner[tap.offset] : from_float<scalar>(0.f);
        }
        now ^= 1;
        enter(now);
    }
};

// ---- loaders of the weight gradient ---------------------------------------------------------------------

// The gradient of y: LINES of the group's output channels from `row` on, DEPTH places of y up to place `end`.
template <int LINES, int DEPTH, int THREADS>
struct Gradients {
    static constexpr int COUNT = LINES * DEPTH / THREADS, APART = THREADS / DEPTH;
    static constexpr bool DEPTH_FIRST = true;
    const scalar* g;                                 // at the first line, in image 0
    int left, area, position, end;
    long long image;                                 // numbers from an image to the next
    Digits at, step;                                 // image, 0, place in the image

    __device__ __forceinline__ Gradients(const Sizes& s, const scalar* g, int group, int row, int begin, int end)
        : g(g + ((long long)group * s.filters + row + line(0)) * s.OH * s.OW), left(s.filters - row - line(0)), area(s.OH * s.OW),
          position(begin + depth(0)), end(end), image((long long)s.groups * s.filters * area),
          at(digits(position, 1, area)), step(digits(DEPTH, 1, area)) {}

    __device__ static __forceinline__ int depth(int i) { return threadIdx.x % DEPTH; }
    __device__ static __forceinline__ int line(int i) { return threadIdx.x / DEPTH + i * APART; }

    __device__ __forceinline__ void fetch(scalar (&next)[COUNT]) {
        int lines = position < end ? left : 0;
        const scalar* from = g + at.high * image + at.low;
        #pragma unroll
        for (int i = 0; i < COUNT; i++) next[i] = i * APART < lines ? from[i * APART * area] : from_float<scalar>(0.f);
        position += DEPTH;
        add(at, step, 1, area);
    }
};

// Column (channel, i, j) of the weight gradient.
__device__ __forceinline__ Tap tap(const Sizes& s, int column) {
    Digits d = digits(column, s.KH, s.KW);
    int y = d.middle * s.dilation_h, x = d.low * s.dilation_w;
    return {d.high < s.channels ? y : OUTSIDE, x, (d.high * s.H + y) * s.W + x, column};
}

// x where each of LINES taps sees it from DEPTH places of y up to place `end`.
template <int LINES, int DEPTH, int THREADS>
struct Seen {
    static constexpr int COUNT = LINES * DEPTH / THREADS, APART = THREADS / DEPTH;
    static constexpr bool DEPTH_FIRST = true;
    const Sizes& s;
    const scalar* x;                                 // at the group's channel 0 of image 0
    const Tap* taps;                                 // of the LINES columns, in shared memory
    int position, end;
    long long image;                                 // numbers from an image to the next
    Digits at, step;                                 // image, row, column of y

    __device__ __forceinline__
    Seen(const Sizes& s, const scalar* x, int group, int column, Tap (&taps)[LINES], int begin, int end)
        : s(s), x(x + (long long)group * s.channels * s.H * s.W), taps(taps), position(begin + depth(0)), end(end),
          image((long long)s.groups * s.channels * s.H * s.W), at(digits(position, s.OH, s.OW)), step(digits(DEPTH, s.OH, s.OW)) {
        if (threadIdx.x < LINES) taps[threadIdx.x] = tap(s, column + threadIdx.x);
    }

    __device__ static __forceinline__ int depth(int i) { return threadIdx.x % DEPTH; }
    __device__ static __forceinline__ int line(int i) { return threadIdx.x / DEPTH + i * APART; }

    __device__ __forceinline__ void fetch(scalar (&next)[COUNT]) {
        int top = position < end ? at.middle * s.stride_h - s.padding_h : OUTSIDE, left = at.low * s.stride_w - s.padding_w;
        const scalar* corner = x + at.high * image + (at.middle * s.stride_h - s.padding_h) * s.W + left;
        #pragma unroll
        for (int i = 0; i < COUNT; i++) {
            Tap tap = taps[line(i)];
            bool valid = within(top + tap.y, s.H) & within(left + tap.x, s.W);
            next[i] = valid ? corner[tap.offset] : from_float<scalar>(0.f);
        }
        position += DEPTH;
        add(at, step, s.OH, s.OW);
    }
};
