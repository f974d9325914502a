// Atomic functions: load, change, swap if nobody came between.
#pragma once

template <class T, class Change> CUSIM_MODEL __attribute__((noinline)) T cusim_modify(T* p, Change change, cusim_place at) {
    T old_value, new_value;
    cusim_atomic_begin((void*)p, sizeof(T), at);
    do {
        cusim_atomic_load(p, &old_value, sizeof(T));
        new_value = change(old_value);
    } while (!cusim_atomic_swap(p, &old_value, &new_value, sizeof(T)));
    return old_value;
}

#define CUSIM_ATOMIC(NAME, CONDITION, NEW_VALUE) \
    template <class T> inline T NAME(T* p, typename cusim_same<T>::type value, cusim_place at = cusim_here()) { \
        CONDITION \
        return cusim_modify(p, [=](T old) -> T { return NEW_VALUE; }, at); \
    } \
    template <class T> inline T NAME##_block(T* p, typename cusim_same<T>::type value, cusim_place at = cusim_here()) { \
        return NAME(p, value, at); \
    }
#define CUSIM_INTEGERS static_assert((T)1 / (T)2 == (T)0, "this atomic function takes integers only");
CUSIM_ATOMIC(atomicAdd, , (T)(old + value))
CUSIM_ATOMIC(atomicSub, CUSIM_INTEGERS, (T)(old - value))
CUSIM_ATOMIC(atomicMax, CUSIM_INTEGERS, old > value ? old : value)
CUSIM_ATOMIC(atomicMin, CUSIM_INTEGERS, old < value ? old : value)
CUSIM_ATOMIC(atomicExch, , value)
CUSIM_ATOMIC(atomicOr, CUSIM_INTEGERS, (T)(old | value))
CUSIM_ATOMIC(atomicAnd, CUSIM_INTEGERS, (T)(old & value))
CUSIM_ATOMIC(atomicXor, CUSIM_INTEGERS, (T)(old ^ value))
CUSIM_ATOMIC(atomicInc, CUSIM_INTEGERS, old >= value ? T(0) : (T)(old + 1))
CUSIM_ATOMIC(atomicDec, CUSIM_INTEGERS, old == 0 || old > value ? value : (T)(old - 1))

template <class T>
inline T atomicCAS(T* p, typename cusim_same<T>::type expected, typename cusim_same<T>::type value,
                   cusim_place at = cusim_here()) {
    return cusim_modify(p, [=](T old) -> T { return old == expected ? value : old; }, at);
}
