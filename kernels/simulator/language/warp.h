// Barriers, and the functions of a warp: shuffles, votes, reductions.
#pragma once

inline void __syncthreads(cusim_place at = cusim_here()) { cusim_barrier(0, 0, true, at); }
inline int __syncthreads_count(int predicate, cusim_place at = cusim_here()) { return cusim_barrier_count(predicate, at); }
inline int __syncthreads_or(int predicate, cusim_place at = cusim_here()) { return cusim_barrier_count(predicate, at) > 0; }
inline int __syncthreads_and(int predicate, cusim_place at = cusim_here()) { return cusim_barrier_count(!predicate, at) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu, cusim_place at = cusim_here()) {
    cusim_warp(mask, nullptr, nullptr, nullptr, true, at);
}
inline unsigned __activemask() { return cusim_active_mask(); }
inline void __threadfence() { cusim_fence(true); }
inline void __threadfence_system() { cusim_fence(true); }
inline void __threadfence_block() { cusim_fence(false); }

// ---- shuffles: a lane reads the value that another lane of its group of `width` brought

enum cusim_direction { cusim_indexed, cusim_up, cusim_down, cusim_xor };

inline int cusim_source(cusim_direction direction, int lane, int argument, int width) {
    int first = lane & ~(width - 1), last = first + width - 1, source;
    switch (direction) {
        case cusim_up: source = lane - argument; return source < first ? lane : source;
        case cusim_down: source = lane + argument; return source > last ? lane : source;
        case cusim_xor: source = lane ^ argument; return source > last ? lane : source;
        default: return first + (argument & (width - 1));
    }
}

template <class T> struct cusim_shuffle_operand {
    T given, taken;
    int argument, width;
};

template <class T, cusim_direction DIRECTION> CUSIM_MODEL void cusim_shuffle_lanes(void** operands, unsigned lanes, void*) {
    for (int lane = 0; lane < 32; lane++) {
        if (!(lanes >> lane & 1)) continue;
        auto* own = (cusim_shuffle_operand<T>*)operands[lane];
        int source = cusim_source(DIRECTION, lane, own->argument, own->width);
        if (source < 0 || source > 31 || !(lanes >> source & 1))
            cusim_fail("warp-divergence", {nullptr, 0}, "lane %d reads the value of lane %d, which is not in the mask %08x",
                       lane, source, lanes);
        own->taken = ((cusim_shuffle_operand<T>*)operands[source])->given;
    }
}

#define CUSIM_SHUFFLE(NAME, DIRECTION) \
    template <class T> inline T NAME(unsigned mask, T value, int argument, int width = 32, cusim_place at = cusim_here()) { \
        cusim_shuffle_operand<T> operand{value, value, argument, width}; \
        cusim_warp(mask, &operand, cusim_shuffle_lanes<T, DIRECTION>, nullptr, false, at); \
        return operand.taken; \
    }
CUSIM_SHUFFLE(__shfl_sync, cusim_indexed)
CUSIM_SHUFFLE(__shfl_up_sync, cusim_up)
CUSIM_SHUFFLE(__shfl_down_sync, cusim_down)
CUSIM_SHUFFLE(__shfl_xor_sync, cusim_xor)

// ---- votes

struct cusim_vote {
    int predicate;
    unsigned ballot;
};

CUSIM_MODEL inline void cusim_vote_lanes(void** operands, unsigned lanes, void*) {
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; lane++)
        if (lanes >> lane & 1 && ((cusim_vote*)operands[lane])->predicate) ballot |= 1u << lane;
    for (int lane = 0; lane < 32; lane++)
        if (lanes >> lane & 1) ((cusim_vote*)operands[lane])->ballot = ballot;
}

inline unsigned __ballot_sync(unsigned mask, int predicate, cusim_place at = cusim_here()) {
    cusim_vote vote{predicate, 0};
    cusim_warp(mask, &vote, cusim_vote_lanes, nullptr, false, at);
    return vote.ballot;
}
inline int __any_sync(unsigned mask, int predicate, cusim_place at = cusim_here()) {
    return __ballot_sync(mask, predicate, at) != 0;
}
inline int __all_sync(unsigned mask, int predicate, cusim_place at = cusim_here()) {
    return __ballot_sync(mask, !predicate, at) == 0;
}

// ---- reductions and matches

template <class T> struct cusim_reduce_operand { T value, result; };
enum cusim_reduction { cusim_sum, cusim_max, cusim_min, cusim_and, cusim_or, cusim_exclusive_or };

template <class T, cusim_reduction KIND> CUSIM_MODEL void cusim_reduce_lanes(void** operands, unsigned lanes, void*) {
    bool first = true;
    T total{};
    for (int lane = 0; lane < 32; lane++) {
        if (!(lanes >> lane & 1)) continue;
        T x = ((cusim_reduce_operand<T>*)operands[lane])->value;
        if (first) total = x;
        else if (KIND == cusim_sum) total += x;
        else if (KIND == cusim_max) total = total > x ? total : x;
        else if (KIND == cusim_min) total = total < x ? total : x;
        else if (KIND == cusim_and) total &= x;
        else if (KIND == cusim_or) total |= x;
        else total ^= x;
        first = false;
    }
    for (int lane = 0; lane < 32; lane++)
        if (lanes >> lane & 1) ((cusim_reduce_operand<T>*)operands[lane])->result = total;
}

#define CUSIM_REDUCE(NAME, T, KIND) \
    inline T NAME(unsigned mask, T value, cusim_place at = cusim_here()) { \
        cusim_reduce_operand<T> operand{value, value}; \
        cusim_warp(mask, &operand, cusim_reduce_lanes<T, KIND>, nullptr, false, at); \
        return operand.result; \
    }
CUSIM_REDUCE(__reduce_add_sync, int, cusim_sum)
CUSIM_REDUCE(__reduce_add_sync, unsigned, cusim_sum)
CUSIM_REDUCE(__reduce_max_sync, int, cusim_max)
CUSIM_REDUCE(__reduce_max_sync, unsigned, cusim_max)
CUSIM_REDUCE(__reduce_min_sync, int, cusim_min)
CUSIM_REDUCE(__reduce_min_sync, unsigned, cusim_min)
CUSIM_REDUCE(__reduce_and_sync, unsigned, cusim_and)
CUSIM_REDUCE(__reduce_or_sync, unsigned, cusim_or)
CUSIM_REDUCE(__reduce_xor_sync, unsigned, cusim_exclusive_or)

template <class T> CUSIM_MODEL void cusim_match_lanes(void** operands, unsigned lanes, void*) {
    unsigned equal[32] = {};
    for (int a = 0; a < 32; a++)
        for (int b = 0; b < 32; b++)
            if (lanes >> a & lanes >> b & 1 &&
                ((cusim_reduce_operand<T>*)operands[a])->value == ((cusim_reduce_operand<T>*)operands[b])->value)
                equal[a] |= 1u << b;
    for (int a = 0; a < 32; a++)
        if (lanes >> a & 1) ((cusim_reduce_operand<T>*)operands[a])->result = (T)equal[a];
}

// The lanes that brought the same value.
template <class T> inline unsigned __match_any_sync(unsigned mask, T value, cusim_place at = cusim_here()) {
    static_assert(sizeof(T) >= 4, "32 or 64 bits");
    cusim_reduce_operand<T> operand{value, value};
    cusim_warp(mask, &operand, cusim_match_lanes<T>, nullptr, false, at);
    return (unsigned)operand.result;
}
