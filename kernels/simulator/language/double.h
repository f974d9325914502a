// For finite differences: from here on `float` is double, and so are the functions of float.  Tensor cores go on multiplying
// their 16-bit numbers, but add in double.
#pragma once

#define CUSIM_AS_DOUBLE_1(NAME) inline double cusim_double_##NAME(double x) { return NAME(x); }
#define CUSIM_AS_DOUBLE_2(NAME) inline double cusim_double_##NAME(double x, double y) { return NAME(x, y); }
CUSIM_FOR_FUNCTIONS_1(CUSIM_AS_DOUBLE_1)
CUSIM_FOR_FUNCTIONS_2(CUSIM_AS_DOUBLE_2)
CUSIM_AS_DOUBLE_1(exp10)
CUSIM_AS_DOUBLE_1(rsqrt)
inline double cusim_double_fma(double x, double y, double z) { return fma(x, y, z); }
inline double cusim_double_divide(double x, double y) { return x / y; }
inline double cusim_double_add(double x, double y) { return x + y; }
inline double cusim_double_subtract(double x, double y) { return x - y; }
inline double cusim_double_multiply(double x, double y) { return x * y; }
inline double cusim_double_reciprocal(double x) { return 1.0 / x; }
inline double cusim_double_saturate(double x) { return x > 0 ? x < 1 ? x : 1 : 0; }
inline void cusim_double_sincos(double x, double* sine, double* cosine) { sincos(x, sine, cosine); }

#define float double
#define float2 double2
#define float3 double3
#define float4 double4
#define make_float2 make_double2
#define make_float3 make_double3
#define make_float4 make_double4
#define acosf cusim_double_acos
#define acoshf cusim_double_acosh
#define asinf cusim_double_asin
#define asinhf cusim_double_asinh
#define atanf cusim_double_atan
#define atanhf cusim_double_atanh
#define cbrtf cusim_double_cbrt
#define ceilf cusim_double_ceil
#define cosf cusim_double_cos
#define coshf cusim_double_cosh
#define erff cusim_double_erf
#define erfcf cusim_double_erfc
#define expf cusim_double_exp
#define exp2f cusim_double_exp2
#define expm1f cusim_double_expm1
#define fabsf cusim_double_fabs
#define floorf cusim_double_floor
#define lgammaf cusim_double_lgamma
#define logf cusim_double_log
#define log10f cusim_double_log10
#define log1pf cusim_double_log1p
#define log2f cusim_double_log2
#define nearbyintf cusim_double_nearbyint
#define rintf cusim_double_rint
#define roundf cusim_double_round
#define sinf cusim_double_sin
#define sinhf cusim_double_sinh
#define sqrtf cusim_double_sqrt
#define tanf cusim_double_tan
#define tanhf cusim_double_tanh
#define tgammaf cusim_double_tgamma
#define truncf cusim_double_trunc
#define atan2f cusim_double_atan2
#define copysignf cusim_double_copysign
#define fdimf cusim_double_fdim
#define fmaxf cusim_double_fmax
#define fminf cusim_double_fmin
#define fmodf cusim_double_fmod
#define hypotf cusim_double_hypot
#define powf cusim_double_pow
#define remainderf cusim_double_remainder
#define exp10f cusim_double_exp10
#define rsqrtf cusim_double_rsqrt
#define fmaf cusim_double_fma
#define __expf cusim_double_exp
#define __exp10f cusim_double_exp10
#define __logf cusim_double_log
#define __log2f cusim_double_log2
#define __log10f cusim_double_log10
#define __sinf cusim_double_sin
#define __cosf cusim_double_cos
#define __tanf cusim_double_tan
#define __powf cusim_double_pow
#define sincosf cusim_double_sincos
#define __fdividef cusim_double_divide
#define __fdiv_rn cusim_double_divide
#define __frcp_rn cusim_double_reciprocal
#define __fsqrt_rn cusim_double_sqrt
#define __frsqrt_rn cusim_double_rsqrt
#define __fmaf_rn cusim_double_fma
#define __fadd_rn cusim_double_add
#define __fsub_rn cusim_double_subtract
#define __fmul_rn cusim_double_multiply
#define __saturatef cusim_double_saturate
