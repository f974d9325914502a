// Every kind of error that the simulator reports, with one line on what it means.  The list is closed: Python reads it from here
// (kernels.simulator.KINDS), and report() takes nothing else.
#pragma once

#define CUSIM_KINDS(KIND) \
    KIND(global_out_of_bounds, "global-out-of-bounds", "an access outside every array that the kernel was given") \
    KIND(shared_out_of_bounds, "shared-out-of-bounds", "an access outside the block's shared memory") \
    KIND(array_index, "array-index", "an index outside an array whose size the compiler knows") \
    KIND(misaligned, "misaligned", "an address that is not a multiple of what the access or instruction needs") \
    KIND(race, "race", "two accesses to one place, one of them a store, that nothing orders") \
    KIND(missing_wait, "missing-wait", "a place used while a copy, TMA or tensor core still reads or writes it") \
    KIND(missing_fence, "proxy-fence", "a store that TMA or wgmma reads without fence_proxy_async in between") \
    KIND(uninitialised, "uninitialised", "a load of what nobody has written") \
    KIND(unwritten_output, "unwritten-output", "elements of an OUT array that the kernel left unwritten") \
    KIND(write_to_const, "write-to-const", "a store to an array that the kernel takes as const") \
    KIND(barrier_divergence, "barrier-divergence", "threads of a block at different barriers, or one gone while others wait") \
    KIND(warp_divergence, "warp-divergence", "lanes of a warp at different warp functions, or a mask that does not fit") \
    KIND(deadlock, "deadlock", "no thread can go on") \
    KIND(time_limit, "time-limit", "the kernel ran longer than kernels.using(time_limit=...) allows") \
    KIND(mbarrier, "mbarrier", "an mbarrier used before its initialisation, or with arrivals or bytes that do not add up") \
    KIND(tma, "tma", "a tensor map that does not fit the instruction") \
    KIND(wgmma, "wgmma", "a wgmma by part of a warpgroup, without its fence, or with operands that do not fit") \
    KIND(instruction, "instruction", "an operand that an instruction does not take") \
    KIND(address_space, "address-space", "a pointer that is not into shared memory where one is needed") \
    KIND(crash, "crash", "an access to memory that does not exist, or too deep a stack") \
    KIND(assertion, "assertion", "assert() failed, or __trap()")
