// The tensor map of the simulator, in the 128 bytes of a CUtensorMap.  Python fills it (kernels/tensor_map.py).
#pragma once
#include <cstdint>

namespace cusim {

enum class Element : uint8_t { bits, f32, f16, bf16, i32, u32, f64 };     // what reduce-add has to know

struct TensorMap {
    static constexpr uint64_t MAGIC = 0x70616d5f6d697363;                // "csim_map"
    uint64_t magic, base;
    uint32_t rank, item;                             // item: bytes of an element
    uint64_t sizes[5];                               // of the last axis first
    uint64_t strides[4];                             // in bytes, of axes 1 ... 4
    uint16_t box[5];
    uint8_t swizzle;                                 // 0: none; 1, 2, 3: 32, 64, 128 bytes
    Element element;

    unsigned box_bytes() const {
        unsigned n = item;
        for (unsigned d = 0; d < rank; d++) n *= box[d];
        return n;
    }
};
static_assert(sizeof(TensorMap) <= 128, "a CUtensorMap has 128 bytes");

// 16-byte chunks change places within 8 rows of the swizzle's width: the address bits 7 ... 9 are added to bits 4 ... 6.
inline uint32_t swizzled(uint32_t address, unsigned swizzle) {
    static constexpr uint32_t BITS[] = {0, 0x10, 0x30, 0x70};
    return address ^ (address >> 3 & BITS[swizzle]);
}

}  // namespace cusim
