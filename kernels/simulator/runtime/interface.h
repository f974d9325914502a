// What a compiled kernel calls in the simulator's runtime.  The language headers turn CUDA's words into these calls; ptx.cuh
// turns instructions into them.  Every call that can go wrong takes the place of the user's call, for the report.
#pragma once

typedef decltype(sizeof 0) cusim_size;

struct cusim_index { unsigned x, y, z; };

struct cusim_place {                                 // a line of the user's source
    const char* file;
    int line;
};

// As a default argument it is evaluated where the function is called: the place of the caller.
constexpr cusim_place cusim_here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }

enum cusim_number { CUSIM_F16, CUSIM_BF16, CUSIM_TF32 };     // what the tensor cores multiply

typedef void (*cusim_collective)(void** operands, unsigned lanes, void* extra);

// Constant for a fiber's whole life, so that the compiler may keep them in registers across barriers.
#define CUSIM_CONSTANT __attribute__((const, nothrow, leaf))

extern "C" {
// ---- where a thread is
cusim_index cusim_thread_index() CUSIM_CONSTANT;
cusim_index cusim_block_index() CUSIM_CONSTANT;
cusim_index cusim_block_size() CUSIM_CONSTANT;
cusim_index cusim_grid_size() CUSIM_CONSTANT;
unsigned char* cusim_dynamic_shared() CUSIM_CONSTANT;
unsigned cusim_dynamic_shared_bytes() CUSIM_CONSTANT;

// ---- meeting others
void cusim_barrier(int id, int count, bool wait, cusim_place at);
int cusim_barrier_count(bool predicate, cusim_place at);     // __syncthreads_count
// Runs `run` once for all lanes of `mask`, when the last of them has come; operands[lane] is what each brought.
void cusim_warp(unsigned mask, void* operand, cusim_collective run, void* extra, bool orders_memory, cusim_place at);
unsigned cusim_active_mask();
void cusim_elect(unsigned mask, unsigned* elected, cusim_place at);
void cusim_yield();                                  // lets others run: in loops that wait for a change
void cusim_fence(bool device);                       // __threadfence(), or that of the block
[[noreturn]] void cusim_fail(const char* kind, cusim_place at, const char* format, ...) __attribute__((format(printf, 3, 4)));

// ---- memory
unsigned cusim_shared_address(const void* p);        // the 32-bit address of a place in shared memory
void cusim_atomic_begin(void* p, cusim_size bytes, cusim_place at);
void cusim_atomic_load(const void* p, void* value, cusim_size bytes);
bool cusim_atomic_swap(void* p, const void* old_value, const void* new_value, cusim_size bytes);
unsigned cusim_load_acquire(const unsigned* flag, cusim_place at);
void cusim_store_release(unsigned* flag, unsigned value, cusim_place at);

// ---- instructions of sm_80 (ptx.cuh)
void cusim_cp_async(void* shared, const void* global, int bytes, int valid_bytes, cusim_place at);
void cusim_cp_async_commit();
void cusim_cp_async_wait(int groups);
void cusim_ldmatrix(unsigned* registers, int count, bool transposed, const void* row, cusim_place at);
void cusim_stmatrix(const unsigned* registers, int count, bool transposed, void* row, cusim_place at);
void cusim_mma(void* d, bool wide, const unsigned* a, const unsigned* b, cusim_number number, cusim_place at);

// ---- instructions of sm_90
void cusim_mbar_init(unsigned barrier, int count, cusim_place at);
void cusim_mbar_inval(unsigned barrier, cusim_place at);
void cusim_mbar_fence_init();
void cusim_mbar_arrive(unsigned barrier, int expected_bytes, cusim_place at);
bool cusim_mbar_try_wait(unsigned barrier, int parity, cusim_place at);
void cusim_mbar_wait(unsigned barrier, int parity, cusim_place at);
void cusim_tma_load(unsigned shared, const void* map, unsigned barrier, const int* place, int rank, unsigned short blocks,
                    cusim_place at);
void cusim_tma_store(const void* map, unsigned shared, const int* place, int rank, bool add, cusim_place at);
void cusim_bulk_commit();
void cusim_bulk_wait(int groups, bool read_only);
void cusim_fence_proxy_async();
void cusim_wgmma(void* d, bool wide, int columns, unsigned long long a, const unsigned* a_registers, unsigned long long b,
                 int scale_d, int transpose_a, int transpose_b, cusim_number number, cusim_place at);
void cusim_wgmma_fence(cusim_place at);
void cusim_wgmma_commit(cusim_place at);
void cusim_wgmma_wait(int groups, cusim_place at);
void cusim_setmaxnreg(int registers, cusim_place at);
unsigned cusim_cluster_rank();
unsigned cusim_cluster_size();
void cusim_cluster_arrive(cusim_place at);
void cusim_cluster_wait(cusim_place at);
void* cusim_cluster_shared(const void* p, unsigned rank);
}
