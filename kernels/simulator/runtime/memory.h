// Memory as the kernel sees it: its arrays, guarded copies of the caller's, and the shared memory of each block.
#pragma once
#include <cstdint>
#include <deque>
#include "interface.h"
#include "range.h"
#include "shadow.h"

namespace cusim {

struct BlockState;
struct Launch;

constexpr unsigned char RED = 0xA5;                  // fills the zones around everything that the kernel may touch
constexpr unsigned char POISON = 0xFF;               // fills what is undefined: NaN in every float, -1 in every integer

// ---- arrays (global memory)

struct Array {
    Range memory;
    int parameter;                                   // of the kernel
    unsigned item;                                   // bytes
    bool constant, undefined_at_start;
    Shadow shadow;
};

extern std::deque<Array> arrays;

// A guarded copy of `bytes` bytes, `misalignment` bytes after a multiple of 256; from == null: undefined.
Array& add_array(const void* from, size_t bytes, unsigned misalignment, int parameter, unsigned item, bool constant);
void clear_arrays();
Array* find_array(uintptr_t p);
Array* nearest_array(uintptr_t p, long& distance);   // distance > 0: bytes past its end; < 0: before its start
bool red_zones_intact(const Array& a);
bool in_arena(uintptr_t p);                          // or in the inaccessible space around it

// ---- shared memory

void prepare_shared_memory(BlockState* block, const Launch& launch);     // allocated, poisoned, red zones around it
bool shared_red_zones_intact(BlockState* block);
void exchange_statics(BlockState* coming);           // its __shared__ variables to their place, another block's away

// Where a byte of shared memory is: its block, and the offset in its dynamic or static part.
struct SharedPlace {
    BlockState* block = nullptr;
    bool dynamic = false;
    size_t offset = 0;
};
SharedPlace shared_place(BlockState* block, uintptr_t p);                // of the block or another one of its cluster
// The memory behind a 32-bit shared address, of which `bytes` are wanted; stops the kernel where there is none.
unsigned char* shared_memory(uint32_t address, size_t bytes, cusim_place at);
unsigned char* shared_memory(BlockState* block, uint32_t offset, size_t bytes, cusim_place at);
BlockState* block_of_address(uint32_t address);

constexpr uint32_t ADDRESS_OFFSET = 0xffffff;        // an address is (rank + 1) << 24 | offset; rank + 1 == 0: the own block
constexpr uint32_t STATIC_START = 1024;
uint32_t dynamic_start();

}  // namespace cusim
