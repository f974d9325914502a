"""Looking many numbers up: in a sorted sequence, and in the bins of a histogram."""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 14                                      # numbers that are worth another thread


@loop
def positions(start, stop, row, x, right, numbers, out):
    """Halving the range without a branch, so that the processor works on several numbers at a time; `numbers` of the row are not NaN."""
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        v, base, n = x[i], 0, numbers
        while n > 1:
            half = n >> 1
            a = row[base + half - 1]
            base += half if a < v or right and a == v else 0
            n -= half
        if n == 1 and (row[base] < v or right and row[base] == v):
            base += 1
        if v != v:                                   # behind all numbers, and (right) behind other NaN
            base = row.size if right else numbers
        out[i] = base


def searchsorted(row, x, right):
    """Where the numbers of x would go into a sorted row, whose NaN are at its end."""
    out = np.empty(x.shape, np.int64)
    threads.run(positions, x.size, row, x.reshape(-1), right, int(np.count_nonzero(row == row)), out.reshape(-1), least=LEAST)
    return out


@loop
def bins(start, stop, x, edges, counts):
    low, high, n, pieces = edges[0], edges[-1], edges.size - 1, counts.shape[0]
    scale = n / (high - low)
    for k in range(start, stop):
        a, count = x[k * x.size // pieces:(k + 1) * x.size // pieces], counts[k]
        for i in range(a.size):
            v = np.float64(a[i])
            if low <= v <= high:
                j = min(np.int64((v - low) * scale), n - 1)
                if v < edges[j]:                     # the quotient was rounded
                    j -= 1
                elif j < n - 1 and v >= edges[j + 1]:
                    j += 1
                count[j] += 1


def histogram(x, edges):
    """How many numbers of x are between neighbours of `edges`, which are evenly apart; the last of them belongs to its bin."""
    counts = np.zeros((min(threads.get_num_threads(), 1 + x.size // LEAST), edges.size - 1), np.int64)
    threads.run(bins, len(counts), x.reshape(-1), edges, counts)
    return counts.sum(0)
