// Numbers of 16 bits and their floats: rounding to nearest even, in integers, so that every compiler agrees.
#pragma once
#include <cstdint>
#include <cstring>
#include "interface.h"

namespace cusim {

inline float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

inline float bf16_to_float(uint16_t h) { return float_of_bits((uint32_t)h << 16); }

inline float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float f = (float)fraction * 0x1p-24f;
    return sign ? -f : f;
}

inline float tf32_to_float(uint32_t bits) { return float_of_bits(bits & 0xffffe000u); }      // the low 13 bits are not looked at

inline float to_float(uint16_t h, cusim_number number) { return number == CUSIM_BF16 ? bf16_to_float(h) : half_to_float(h); }

inline uint16_t float_to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

inline uint16_t float_to_half(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    uint32_t sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return 0x7fff;
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00);               // rounds to infinity
    if (a >= 0x38800000) return (uint16_t)(sign | (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
    if (a < 0x33000000) return (uint16_t)sign;
    uint32_t shift = 126 - (a >> 23), whole = (a & 0x7fffff) | 0x800000;   // subnormal
    uint32_t result = whole >> shift, rest = whole & ((1u << shift) - 1), half = 1u << (shift - 1);
    return (uint16_t)(sign | (result + (rest > half || (rest == half && (result & 1)))));
}

}  // namespace cusim
