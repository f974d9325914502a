// half and bfloat16: storage of 16 bits, arithmetic through float, rounded to nearest even.
#pragma once

inline uint16_t cusim_to_bf16(float f) {
    uint32_t u = cusim_bits<uint32_t>(f);
    if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

inline float cusim_from_bf16(uint16_t h) { return cusim_bits<float>((uint32_t)h << 16); }

inline uint16_t cusim_to_half(float f) {
    uint32_t u = cusim_bits<uint32_t>(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return 0x7fff;
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00);               // rounds to infinity
    if (a >= 0x38800000) return (uint16_t)(sign | (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
    if (a < 0x33000000) return (uint16_t)sign;
    uint32_t shift = 126 - (a >> 23), whole = (a & 0x7fffff) | 0x800000;   // subnormal
    uint32_t result = whole >> shift, rest = whole & ((1u << shift) - 1), half = 1u << (shift - 1);
    return (uint16_t)(sign | (result + (rest > half || (rest == half && (result & 1)))));
}

inline float cusim_from_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return cusim_bits<float>(sign | 0x7f800000 | fraction << 13);
    if (exponent) return cusim_bits<float>(sign | (exponent + 112) << 23 | fraction << 13);
    float f = (float)fraction * 0x1p-24f;
    return sign ? -f : f;
}

#define CUSIM_NUMBER(NAME, PAIR, TO, FROM) \
    struct __attribute__((aligned(2))) NAME { \
        unsigned short bits; \
        NAME() = default; \
        NAME(float f) : bits(TO(f)) {} \
        NAME(double d) : bits(TO((float)d)) {} \
        NAME(int i) : bits(TO((float)i)) {} \
        NAME(unsigned i) : bits(TO((float)i)) {} \
        operator float() const { return FROM(bits); } \
    }; \
    inline NAME operator+(NAME a, NAME b) { return NAME((float)a + (float)b); } \
    inline NAME operator-(NAME a, NAME b) { return NAME((float)a - (float)b); } \
    inline NAME operator*(NAME a, NAME b) { return NAME((float)a * (float)b); } \
    inline NAME operator/(NAME a, NAME b) { return NAME((float)a / (float)b); } \
    inline NAME operator-(NAME a) { return NAME(-(float)a); } \
    inline NAME& operator+=(NAME& a, NAME b) { return a = a + b; } \
    inline NAME& operator-=(NAME& a, NAME b) { return a = a - b; } \
    inline NAME& operator*=(NAME& a, NAME b) { return a = a * b; } \
    inline NAME& operator/=(NAME& a, NAME b) { return a = a / b; } \
    inline bool operator==(NAME a, NAME b) { return (float)a == (float)b; } \
    inline bool operator!=(NAME a, NAME b) { return (float)a != (float)b; } \
    inline bool operator<(NAME a, NAME b) { return (float)a < (float)b; } \
    inline bool operator>(NAME a, NAME b) { return (float)a > (float)b; } \
    inline bool operator<=(NAME a, NAME b) { return (float)a <= (float)b; } \
    inline bool operator>=(NAME a, NAME b) { return (float)a >= (float)b; } \
    struct __attribute__((aligned(4))) PAIR { \
        NAME x, y; \
        PAIR() = default; \
        PAIR(NAME x, NAME y) : x(x), y(y) {} \
    }; \
    inline PAIR operator+(PAIR a, PAIR b) { return {a.x + b.x, a.y + b.y}; } \
    inline PAIR operator-(PAIR a, PAIR b) { return {a.x - b.x, a.y - b.y}; } \
    inline PAIR operator*(PAIR a, PAIR b) { return {a.x * b.x, a.y * b.y}; } \
    inline NAME __hadd(NAME a, NAME b) { return a + b; } \
    inline NAME __hsub(NAME a, NAME b) { return a - b; } \
    inline NAME __hmul(NAME a, NAME b) { return a * b; } \
    inline NAME __hdiv(NAME a, NAME b) { return a / b; } \
    inline NAME __hneg(NAME a) { return -a; } \
    inline NAME __hfma(NAME a, NAME b, NAME c) { return NAME((float)((double)(float)a * (float)b + (float)c)); } \
    inline NAME __hmax(NAME a, NAME b) { return a < b || (float)a != (float)a ? b : a; } \
    inline NAME __hmin(NAME a, NAME b) { return a > b || (float)a != (float)a ? b : a; } \
    inline bool __hisnan(NAME a) { return (float)a != (float)a; } \
    inline PAIR __hadd2(PAIR a, PAIR b) { return a + b; } \
    inline PAIR __hmul2(PAIR a, PAIR b) { return a * b; } \
    inline PAIR __hfma2(PAIR a, PAIR b, PAIR c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; } \
    inline PAIR __hmax2(PAIR a, PAIR b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; } \
    inline float __low2float(PAIR a) { return a.x; } \
    inline float __high2float(PAIR a) { return a.y; }
CUSIM_NUMBER(__nv_bfloat16, __nv_bfloat162, cusim_to_bf16, cusim_from_bf16)
CUSIM_NUMBER(__half, __half2, cusim_to_half, cusim_from_half)
typedef __half half;
typedef __half2 half2;
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

inline __nv_bfloat16 __float2bfloat16(float f) { return f; }
inline __nv_bfloat16 __float2bfloat16_rn(float f) { return f; }
inline float __bfloat162float(__nv_bfloat16 h) { return h; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 f) { return {f.x, f.y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 h) { return {h.x, h.y}; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 x) { return {x, x}; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short u) { return cusim_bits<__nv_bfloat16>(u); }
inline __half __float2half(float f) { return f; }
inline __half __float2half_rn(float f) { return f; }
inline float __half2float(__half h) { return h; }
inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline __half2 __float22half2_rn(float2 f) { return {f.x, f.y}; }
inline float2 __half22float2(__half2 h) { return {h.x, h.y}; }
inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 __half2half2(__half x) { return {x, x}; }
inline unsigned short __half_as_ushort(__half h) { return h.bits; }
inline __half __ushort_as_half(unsigned short u) { return cusim_bits<__half>(u); }
