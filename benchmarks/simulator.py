"""What the simulator costs: a barrier, a shuffle, a thread, a launch; and the checker against the fast mode.

    python benchmarks/simulator.py

Nanoseconds of CPU time of one host thread, the least of several runs.
"""
import functools
import time

import numpy as np

from minitorch import kernels
from minitorch.kernels import Kernel

SOURCE = """#include "kernel.cuh"
extern "C" __global__ void barriers(OUT int* y, int n) {
    for (int i = 0; i < n; i++) __syncthreads();
    y[threadIdx.x] = n;
}

extern "C" __global__ void shuffles(OUT int* y, int n) {
    int v = threadIdx.x;
    for (int i = 0; i < n; i++) v = __shfl_xor_sync(ALL_LANES, v, 1);
    y[threadIdx.x] = v;
}

extern "C" __global__ void loads(OUT float* y, int n) {
    __shared__ float s[256];
    s[threadIdx.x] = 1.f;
    __syncthreads();
    float sum = 0.f;
    for (int i = 0; i < n; i++) sum += s[(threadIdx.x + i) % 256];
    y[threadIdx.x] = sum;
}

extern "C" __global__ void nothing(OUT int* y) { y[blockIdx.x * blockDim.x + threadIdx.x] = 1; }
"""


def seconds(f, runs=5):
    least = float("inf")
    f()                                              # compiles
    for _ in range(runs):
        start = time.process_time()
        f()
        least = min(least, time.process_time() - start)
    return least


def report(mode):
    barriers, shuffles, loads, nothing = (Kernel(SOURCE, name) for name in ("barriers", "shuffles", "loads", "nothing"))
    for threads in (32, 128, 256, 1024):
        y, n = np.zeros(threads, np.int32), 40000 // threads
        each = [seconds(functools.partial(k, 1, threads, (y, n))) / n / threads * 1e9 for k in (barriers, shuffles)]
        print(f"{mode:<6} {threads:>5} threads a block: {each[0]:7.1f} ns per thread and barrier, {each[1]:7.1f} per shuffle")
    y = np.zeros(256, np.float32)
    print(f"{mode:<6} a load of shared memory: {seconds(lambda: loads(1, 256, (y, 400))) / 256 / 400 * 1e9:.1f} ns")
    y = np.zeros(256 * 400, np.int32)
    print(f"{mode:<6} a thread without barriers: {seconds(lambda: nothing(400, 256, (y,))) / y.size * 1e9:.1f} ns")
    y = np.zeros(256, np.int32)
    print(f"{mode:<6} a launch of one block of 256: {seconds(lambda: [nothing(1, 256, (y,)) for _ in range(100)]) / 100 * 1e6:.1f} us")


def compare():
    x = np.random.default_rng(0).standard_normal((64, 512)).astype(np.float32)
    a, b = (np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32) for _ in range(2))
    g = np.ones(512, np.float32)
    for name, f in (("softmax of 64 x 512", lambda: kernels.softmax(x)), ("layer norm of 64 x 512", lambda: kernels.layer_norm(x, g, g)),
                    ("matmul of 64 x 64 x 64", lambda: kernels.matmul(a, b))):
        fast = seconds(f, 3)
        with kernels.using(mode="check"):
            check = seconds(f, 3)
        print(f"{name}: {fast * 1e3:.2f} ms, checked {check * 1e3:.2f} ms, {check / fast:.1f} times")


if __name__ == "__main__":
    for mode in ("fast", "check"):
        with kernels.using(mode=mode):
            report(mode)
    compare()
