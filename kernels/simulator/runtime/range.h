// A stretch of memory.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cusim {

struct Range {
    uintptr_t low = 0;
    size_t bytes = 0;
    uintptr_t high() const { return low + bytes; }
    bool holds(uintptr_t p) const { return p - low < bytes; }
    bool holds(uintptr_t p, size_t n) const { return p - low < bytes && n <= bytes - (p - low); }
};

}  // namespace cusim
