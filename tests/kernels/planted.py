"""Bugs to plant in correct kernels, one of every class that the simulator is to find: what is changed, what it must say, and where.

A `Bug` replaces one piece of a kernel of planted/*.cu by another.  Its kinds are those under which the checker may report it
(a missing barrier is a race, and seen from the other side a read of what was never written); `at` stands in the line that the
report must name.  `LAUNCHES` runs each kernel once and says whether the result is right.
"""
import dataclasses
from pathlib import Path

import ml_dtypes
import numpy as np

from minitorch.kernels import Kernel
from minitorch.kernels.tensor_map import TensorMap

FOLDER = Path(__file__).parent / "planted"
bf16 = ml_dtypes.bfloat16


def draw(*shape, dtype=np.float32):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def near(a, b):
    return np.allclose(np.asarray(a, "f8"), b, rtol=1e-5, atol=1e-4)


# ---- one launch of each kernel: (file, launch(kernel) -> whether the result is right) -----------------------------------

def transpose(kernel):
    x, y = draw(45, 70), np.empty((70, 45), "f4")
    kernel((3, 2), (32, 8), (x, y, 45, 70))
    return near(y, x.T)


def row_sums(kernel):
    x, y, total = draw(4, 512), np.empty(4, "f4"), np.zeros(1, "f4")
    kernel(4, 128, (x, y, total, 512), shared_mem=512)
    return near(y, x.sum(1)) and near(total[0], x.sum())


def tree_sum(kernel):
    x, y = draw(3, 128), np.empty(3, "f4")
    kernel(3, 128, (x, y))
    return near(y, x.sum(1))


def swap_lanes(kernel):
    x, y = draw(32), np.empty(32, "f4")
    kernel(1, 32, (x, y))
    return near(y, x.reshape(16, 2)[:, ::-1].reshape(32))


def scan_warp(kernel):
    x, y = draw(32), np.empty(32, "f4")
    kernel(1, 32, (x, y))
    return near(y, np.cumsum(x))


def histogram(kernel):
    x, count = np.random.default_rng(0).integers(0, 8, 300).astype("i4"), np.zeros(8, "i4")
    kernel(2, 64, (x, count, 300))
    return np.array_equal(count, np.bincount(x, minlength=8))


def last_block(kernel):
    x, part, finished, total = draw(4, 64), np.empty(4, "f4"), np.zeros(1, "u4"), np.empty(1, "f4")
    kernel(4, 64, (x, part, finished, total))
    return near(total[0], x.sum())


def twice(kernel):
    x, y = draw(200), np.empty(200, "f4")
    kernel(2, 32, (x, y, 200))
    return near(y, 2 * x)


def hand_over(kernel):
    x, y = draw(5, 32), np.empty((5, 32), "f4")
    kernel(1, 64, (x, y, 5))
    return near(y, 2 * x[:, ::-1])


def sum_tiles(kernel):
    x, y = draw(7, 128), np.empty(128, "f4")
    kernel(1, 128, (x, y, 7))
    return near(y, x.sum(0)[::-1])


def double_tiles(kernel):
    x, y = draw(256, 64, dtype=bf16), np.empty((256, 64), bf16)
    kernel(1, 128, (TensorMap(x, (64, 64)), TensorMap(y, (64, 64)), 4), shared_mem=3 * 8192 + 16)
    return near(y, 2 * x.astype("f8"))


def product(kernel):
    a, b, d = draw(64, 64, dtype=bf16), draw(64, 64, dtype=bf16)[::-1].copy(), np.empty((64, 64), "f4")
    kernel(1, 128, (TensorMap(a, (64, 64)), TensorMap(b, (64, 64)), d), shared_mem=2 * 8192 + 8)
    return near(d, a.astype("f8") @ b.astype("f8").T)


def multicast(kernel):
    x, y = draw(64, 64, dtype=bf16), np.empty((128, 64), bf16)
    kernel(2, 64, (TensorMap(x, (32, 64)), TensorMap(y, (64, 64))), shared_mem=8200)
    return near(y, np.tile(x.astype("f8"), (2, 1)))


LAUNCHES = {f.__name__: (file, f) for file, launches in {
    "tiles.cu": (transpose, row_sums, tree_sum, swap_lanes, scan_warp, histogram, last_block, twice),
    "pipelines.cu": (hand_over, sum_tiles), "hopper.cu": (double_tiles, product, multicast)}.items() for f in launches}
HOPPER = {"double_tiles": (1, 1, 1), "product": (1, 1, 1), "multicast": (2, 1, 1)}      # their clusters


# ---- the bugs ----------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Bug:
    name: str
    kernel: str
    old: str                                         # what of the kernel's text is replaced ...
    new: str                                         # ... by this
    kinds: str                                       # what the checker may call it
    at: str                                          # what stands in the line that it names; "" where no line can be named
    nth: int = 0                                     # which of several places with this text, within the kernel

    def source(self):
        """(path, the file's text with the bug in it)"""
        path = FOLDER / LAUNCHES[self.kernel][0]
        text = path.read_text()
        place = text.index(f" {self.kernel}(") if f" {self.kernel}(" in text else text.index(f"\n{self.kernel}(")
        for _ in range(self.nth + 1):
            place = text.index(self.old, place + 1)
        return path, text[:place] + self.new + text[place + len(self.old):]

    def lines(self):
        """The numbers of the lines that the report may name."""
        return {i + 1 for i, line in enumerate(self.source()[1].split("\n")) if self.at in line}


def correct(name):
    """The kernel as it should be."""
    hopper = dict(arch="sm_90a", cluster=HOPPER[name]) if name in HOPPER else {}
    return Kernel(FOLDER / LAUNCHES[name][0], name, **hopper)


def spoiled(bug):
    """The kernel with the bug in it, reporting the lines of its file."""
    kernel = correct(bug.kernel)
    kernel.path, kernel.text = bug.source()
    return kernel


BUGS = [
    # barriers
    Bug("missing barrier before reading a tile", "transpose", "__syncthreads();", "", "race uninitialised", "tile[tx][i]"),
    Bug("missing barrier before overwriting a tile", "row_sums", "__syncthreads();", "", "race", "tile[", nth=1),
    Bug("missing barrier in a tree", "tree_sum", "        __syncthreads();", "", "race", "s[t] += s[t + half]"),
    Bug("missing __syncwarp", "swap_lanes", "__syncwarp();", "", "race uninitialised", "s[t ^ 1]"),
    Bug("barrier in both branches of a condition", "row_sums", "__syncthreads();",
        "if (t < 64) __syncthreads();\n        else __syncthreads();", "barrier-divergence", "__syncthreads()"),
    Bug("barrier that some threads never reach", "tree_sum", "    __syncthreads();", "    if (t == 5) return;\n    __syncthreads();",
        "barrier-divergence race", ""),
    Bug("barrier within a condition", "histogram", "    __syncthreads();\n    for", "    if (t < 8) __syncthreads();\n    for",
        "barrier-divergence", "__syncthreads()"),
    Bug("named barriers with different counts", "hand_over", "bar_sync(1 + s, 64)", "bar_sync(1 + s, 32)", "barrier-count race barrier-divergence",
        "bar_"),
    Bug("buffer refilled without waiting", "hand_over", "if (i >= 2) bar_sync(3 + s, 64);", "if (i >= 2) bar_arrive(3 + s, 64);",
        "race barrier-count deadlock", "buffer[s]"),
    Bug("arrival forgotten", "hand_over", "if (i + 2 < rows) bar_arrive(3 + s, 64);", "", "deadlock barrier-divergence", "bar_sync(3"),
    # bounds and alignment
    Bug("store past the end", "transpose", "top + tx < rows", "top + tx <= rows", "global-out-of-bounds race", "y[(left + i)"),
    Bug("load past the end", "transpose", "top + i < rows &&", "top + i <= rows &&", "global-out-of-bounds", "x[(top + i)"),
    Bug("index past a static array", "transpose", "tile[tx][i]", "tile[tx][i + 33 * (tx == 31)]", "array-index shared-out-of-bounds", "tile[tx]"),
    Bug("one past dynamic shared memory", "row_sums", "tile[t] = x", "tile[t + 1] = x", "shared-out-of-bounds", "tile[t + 1]"),
    Bug("before dynamic shared memory", "row_sums", "sum += tile[i]", "sum += tile[i - 1]", "shared-out-of-bounds uninitialised race", "tile[i - 1]"),
    Bug("class outside the table", "histogram", "local[x[i]]", "local[x[i] + 2]", "array-index shared-out-of-bounds", "x[i] + 2"),
    Bug("misaligned vector load", "twice", "&x[i]", "&x[i + (i > 0 && i < 196)]", "misaligned", "float4"),
    # memory that nobody wrote
    Bug("shared memory read before it is written", "tree_sum", "s[t] = x", "if (t != 77) s[t] = x", "uninitialised", "s[t] += s[t + half]"),
    Bug("output read before it is written", "tree_sum", "y[blockIdx.x] = s[0]", "y[blockIdx.x] += s[0]", "uninitialised", "y[blockIdx.x] +="),
    Bug("scratch read before it is written", "last_block", "part[blockIdx.x] = sum;", "part[blockIdx.x] += sum;", "uninitialised", "part["),
    Bug("output not written in full", "transpose", "if (left + i < columns &&", "if (left + i < columns - 1 &&", "unwritten-output", ""),
    # who may write
    Bug("store to a const array", "scan_warp", "y[t] = sum", "const_cast<float*>(x)[t] = y[t] = sum", "write-to-const", "const_cast"),
    Bug("all blocks store one element", "row_sums", "if (t == 0) y[blockIdx.x] = sum", "if (t == 0) y[0] = sum", "race unwritten-output", "y[0]"),
    Bug("all threads of a block store one element", "tree_sum", "if (t == 0) y[", "y[", "race", "y[blockIdx.x]"),
    Bug("sum over blocks without an atomic", "row_sums", "atomicAdd(&total[0], sum)", "total[0] += sum", "race", "total[0]"),
    Bug("count within a block without an atomic", "histogram", "atomicAdd(&local[x[i]], 1)", "local[x[i]] += 1", "race", "local[x[i]]"),
    Bug("missing __threadfence before the flag", "last_block", "__threadfence();", "", "race", "part[i]"),
    # warps
    Bug("shuffle under a condition that half the lanes miss", "scan_warp",
        "float other = __shfl_up_sync(ALL_LANES, sum, step);\n        if (t >= step) sum += other;",
        "if (t >= 16) sum += __shfl_up_sync(ALL_LANES, sum, step);", "deadlock warp-divergence", "__shfl_up_sync"),
    Bug("shuffle by a lane outside its mask", "scan_warp", "__shfl_up_sync(ALL_LANES,", "__shfl_up_sync(0x7fffffffu,", "warp-divergence",
        "__shfl_up_sync"),
    # asynchronous copies
    Bug("cp.async waits for one group too few", "sum_tiles", "cp_async_wait<1>();", "cp_async_wait<2>();", "missing-wait race uninitialised",
        "tile[k % 3][127 - t]"),
    Bug("cp.async is not waited for", "sum_tiles", "cp_async_wait<1>();", "", "missing-wait race uninitialised", "tile[k % 3][127 - t]"),
    Bug("cp.async waited for, but not by the others", "sum_tiles", "__syncthreads();", "", "race uninitialised", "tile[k % 3][127 - t]"),
    Bug("cp.async into the tile that is being read", "sum_tiles", "copy(k + 2);", "copy(k + 3);", "race uninitialised", "tile[k % 3]"),
    # mbarriers, TMA, wgmma, clusters
    Bug("mbarrier is not waited for", "double_tiles", "mbar_wait(&full[k % 2], k / 2 % 2);", "", "missing-wait race uninitialised", "to_float(in["),
    Bug("mbarrier waited for with the wrong parity", "double_tiles", "k / 2 % 2)", "1 - k / 2 % 2)", "race uninitialised deadlock", ""),
    Bug("mbarrier expects too few bytes", "double_tiles", "mbar_expect_tx(&full[k % 2], 8192)", "mbar_expect_tx(&full[k % 2], 4096)",
        "race uninitialised mbarrier mbarrier-tx deadlock", ""),
    Bug("mbarrier used before it is known to all", "double_tiles", "    __syncthreads();\n    auto", "    auto", "mbarrier race", ""),
    Bug("missing proxy fence before a TMA store", "double_tiles", "fence_proxy_async();", "", "proxy-fence", "tma_store_2d"),
    Bug("result overwritten before the TMA store has read it", "double_tiles", "bulk_wait<0>();", "", "missing-wait race bulk-store", ""),
    Bug("tile loaded over one that is being read", "double_tiles", "if (t == 0 && k + 1 < tiles) load(k + 1);\n",
        "if (t == 0 && k + 2 < tiles) load(k + 2);\n", "race deadlock mbarrier", ""),
    Bug("wgmma without its fence", "product", "wgmma_fence();", "", "wgmma", "wgmma_m64n64k16"),
    Bug("wgmma on a tile that has not arrived", "product", "mbar_wait(full, 0);", "", "missing-wait race uninitialised", "wgmma_m64n64k16"),
    Bug("wgmma's sums read before the wait", "product", "wgmma_wait<0>();", "", "missing-wait", "wgmma_m64n64k16"),
    Bug("multicast to a block whose barrier is not there", "multicast", "cluster_sync();", "", "mbarrier race", ""),
]
WRONG_RESULT = [                                     # nothing for a checker to see: the result tells
    Bug("wrong index, within bounds", "tree_sum", "s[t + half]", "s[t + half - 1]", "", ""),
]
