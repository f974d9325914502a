"""Philox-4x32-10 in NumPy: the numbers that philox.cuh makes, so that a reference can drop what a kernel drops."""
import numpy as np

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85                        # added to the key after each round
LOW, SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter, seed):
    """Four arrays of random words (uint32) for four arrays of counter words and a seed of 64 bits (Salmon et al. 2011)."""
    a, b, c, d = np.broadcast_arrays(*(np.asarray(x, np.uint64) for x in counter))
    key = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for i in range(10):
        k0, k1 = (np.uint64(k + i * w & 0xFFFFFFFF) for k, w in zip(key, WEYL))
        left, right = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        a, b, c, d = right >> SHIFT ^ b ^ k0, right & LOW, left >> SHIFT ^ d ^ k1, left & LOW
    return tuple(x.astype(np.uint32) for x in (a, b, c, d))
