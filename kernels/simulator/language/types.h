// Integers, vector types and tensor maps, with CUDA's sizes and alignments.
#pragma once

typedef cusim_size size_t;
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long uintptr_t;

typedef cusim_index uint3;
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define CUSIM_VECTORS(T, NAME) \
    struct __attribute__((aligned(2 * sizeof(T)))) NAME##2 { T x, y; }; \
    struct __attribute__((aligned(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)))) NAME##4 { T x, y, z, w; }; \
    inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; } \
    inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define CUSIM_VECTOR_OF_3(T, NAME) \
    struct NAME##3 { T x, y, z; }; \
    inline NAME##3 make_##NAME##3(T x, T y, T z) { return {x, y, z}; }
CUSIM_VECTORS(float, float)
CUSIM_VECTORS(double, double)
CUSIM_VECTORS(int, int)
CUSIM_VECTORS(unsigned, uint)
CUSIM_VECTORS(short, short)
CUSIM_VECTORS(unsigned short, ushort)
CUSIM_VECTORS(signed char, char)
CUSIM_VECTORS(unsigned char, uchar)
CUSIM_VECTORS(long long, longlong)
CUSIM_VECTORS(unsigned long long, ulonglong)
CUSIM_VECTOR_OF_3(float, float)
CUSIM_VECTOR_OF_3(double, double)
CUSIM_VECTOR_OF_3(int, int)
CUSIM_VECTOR_OF_3(unsigned short, ushort)
CUSIM_VECTOR_OF_3(unsigned char, uchar)
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

struct alignas(64) CUtensorMap { uint64_t opaque[16]; };

inline unsigned long __cvta_generic_to_shared(const void* p) { return cusim_shared_address(p); }

// The same bits as another type.
template <class To, class From> inline To cusim_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same size");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float f) { return cusim_bits<int>(f); }
inline unsigned __float_as_uint(float f) { return cusim_bits<unsigned>(f); }
inline float __int_as_float(int i) { return cusim_bits<float>(i); }
inline float __uint_as_float(unsigned i) { return cusim_bits<float>(i); }
inline long long __double_as_longlong(double d) { return cusim_bits<long long>(d); }
inline double __longlong_as_double(long long i) { return cusim_bits<double>(i); }
