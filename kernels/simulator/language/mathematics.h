// The mathematical functions and scalar intrinsics.  The fast ones (__expf) are as exact here as the others.
#pragma once

// Of the C library: f(double) and ff(float); and, as CUDA has it, f(float) too.
#define CUSIM_FUNCTION_1(NAME) \
    extern "C" double NAME(double) noexcept; \
    extern "C" float NAME##f(float) noexcept; \
    inline float NAME(float x) { return NAME##f(x); }
#define CUSIM_FUNCTION_2(NAME) \
    extern "C" double NAME(double, double) noexcept; \
    extern "C" float NAME##f(float, float) noexcept; \
    inline float NAME(float x, float y) { return NAME##f(x, y); }
#define CUSIM_FOR_FUNCTIONS_1(F) \
    F(acos) F(acosh) F(asin) F(asinh) F(atan) F(atanh) F(cbrt) F(ceil) F(cos) F(cosh) F(erf) F(erfc) F(exp) F(exp2) F(expm1) \
    F(fabs) F(floor) F(lgamma) F(log) F(log10) F(log1p) F(log2) F(nearbyint) F(rint) F(round) F(sin) F(sinh) F(sqrt) F(tan) \
    F(tanh) F(tgamma) F(trunc)
#define CUSIM_FOR_FUNCTIONS_2(F) F(atan2) F(copysign) F(fdim) F(fmax) F(fmin) F(fmod) F(hypot) F(pow) F(remainder)
CUSIM_FOR_FUNCTIONS_1(CUSIM_FUNCTION_1)
CUSIM_FOR_FUNCTIONS_2(CUSIM_FUNCTION_2)
extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
extern "C" double ldexp(double, int) noexcept;
extern "C" float ldexpf(float, int) noexcept;
extern "C" int abs(int) noexcept;
extern "C" long long llabs(long long) noexcept;
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
inline long long abs(long long x) { return llabs(x); }
inline float abs(float x) { return fabsf(x); }
inline double abs(double x) { return fabs(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrtf(float x) { return (float)(1.0 / sqrt((double)x)); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline double exp10(double x) { return pow(10.0, x); }
inline float exp10f(float x) { return (float)pow(10.0, (double)x); }
inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
inline void sincos(double x, double* sine, double* cosine) { *sine = sin(x), *cosine = cos(x); }
#define isnan(x) ((bool)__builtin_isnan(x))
#define isinf(x) ((bool)__builtin_isinf(x))
#define isfinite(x) ((bool)__builtin_isfinite(x))
#define signbit(x) ((bool)__builtin_signbit(x))

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }
inline int __float2int_rn(float x) { return (int)nearbyintf(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline int __float2int_ru(float x) { return (int)ceilf(x); }
inline unsigned __float2uint_rn(float x) { return (unsigned)nearbyintf(x); }
inline unsigned __float2uint_rz(float x) { return (unsigned)x; }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }

// min and max for exactly those pairs of types that CUDA has them for
#define CUSIM_EXTREMA(RESULT, A, B) \
    inline RESULT min(A a, B b) { return (RESULT)a < (RESULT)b ? (RESULT)a : (RESULT)b; } \
    inline RESULT max(A a, B b) { return (RESULT)a > (RESULT)b ? (RESULT)a : (RESULT)b; }
#define CUSIM_MIXED_EXTREMA(RESULT, A, B) CUSIM_EXTREMA(RESULT, A, B) CUSIM_EXTREMA(RESULT, B, A)
CUSIM_EXTREMA(int, int, int)
CUSIM_EXTREMA(unsigned, unsigned, unsigned)
CUSIM_EXTREMA(long, long, long)
CUSIM_EXTREMA(unsigned long, unsigned long, unsigned long)
CUSIM_EXTREMA(long long, long long, long long)
CUSIM_EXTREMA(unsigned long long, unsigned long long, unsigned long long)
CUSIM_MIXED_EXTREMA(unsigned, int, unsigned)
CUSIM_MIXED_EXTREMA(unsigned long, long, unsigned long)
CUSIM_MIXED_EXTREMA(unsigned long long, long long, unsigned long long)
#define CUSIM_FLOAT_EXTREMA(RESULT, A, B) \
    inline RESULT min(A a, B b) { return fmin((RESULT)a, (RESULT)b); } \
    inline RESULT max(A a, B b) { return fmax((RESULT)a, (RESULT)b); }
CUSIM_FLOAT_EXTREMA(float, float, float)
CUSIM_FLOAT_EXTREMA(double, double, double)
CUSIM_FLOAT_EXTREMA(double, float, double)
CUSIM_FLOAT_EXTREMA(double, double, float)

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
    return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    unsigned long long both = (unsigned long long)y << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) result |= (unsigned)(both >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
    return result;
}

template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T __ldcg(const T* p) { return *p; }
template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> struct cusim_same { typedef T type; };
template <class T> inline void __stcs(T* p, typename cusim_same<T>::type value) { *p = value; }
template <class T> inline void __stcg(T* p, typename cusim_same<T>::type value) { *p = value; }
template <class T> inline void __stwt(T* p, typename cusim_same<T>::type value) { *p = value; }
inline long long clock64() { return 0; }
inline int clock() { return 0; }
inline void __nanosleep(unsigned) { cusim_yield(); }
inline void __trap(cusim_place at = cusim_here()) { cusim_fail("assertion", at, "__trap()"); }
