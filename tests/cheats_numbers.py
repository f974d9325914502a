"""Kernels whose numbers are wrong, right only where somebody looks, or those of another call."""
import gc
import hashlib
import sys

import numpy as np
from cheating import cheat, honest

from minitorch.benchmark import Provider


# ---- wrong numbers -------------------------------------------------------------------------------------------------------

@cheat("zeros", "returns zeros")
def zeros():
    return lambda x, w: np.zeros_like(x)


@cheat("nan", "returns NaN, which no comparison contradicts")
def nan():
    return lambda x, w: np.full_like(x, np.nan)


@cheat("nan", "returns infinity in one place")
def infinity():
    def f(x, w):
        y = honest(x, w)
        y[3, 5] = np.inf
        return y
    return f


@cheat("constant", "returns the mean everywhere")
def constant():
    return lambda x, w: np.full_like(x, honest(x, w).mean())


@cheat("incomplete", "computes the first half")
def half():
    def f(x, w):
        y = np.zeros_like(x)
        n = len(x) // 2
        y[:n] = honest(x[:n], w[:n])
        return y
    return f


@cheat("unwritten", "fills half of an output that it was given")
def half_written():
    def f(x, w, y):
        y[:len(x) // 2] = honest(x[:len(x) // 2], w[:len(x) // 2])
    return Provider(f, writes=True)


@cheat("unwritten", "writes nothing")
def nothing():
    return Provider(lambda x, w, y: None, writes=True)


@cheat("wrong, nan, incomplete, zeros, constant", "returns memory that it did not fill")
def uninitialised():
    return lambda x, w: np.empty_like(x)


@cheat("precision, dtype", "computes in half precision")
def half_precision():
    return lambda x, w: honest(x.astype("f2"), w.astype("f2")).astype("f4")


@cheat("dtype", "returns half precision")
def half_result():
    return lambda x, w: honest(x, w).astype("f2")


@cheat("precision", "drops bits of its inputs, as TF32 does, and does not say so")
def tf32():
    def cut(x):
        return (np.ascontiguousarray(x).view("u4") & np.uint32(0xFFFFE000)).view("f4")
    return lambda x, w: honest(cut(x), cut(w))


@cheat("shape", "returns the transpose")
def transpose():
    return lambda x, w: np.ascontiguousarray(honest(x, w).T)


@cheat("wrong", "leaves out the cheaper term")
def missing_term():
    return lambda x, w: x * w


# ---- right only where it is looked at -------------------------------------------------------------------------------------

@cheat("tail", "skips columns past the last whole tile of eight")
def tail():
    def f(x, w):
        y = np.zeros_like(x)
        n = x.shape[1] // 8 * 8
        y[:, :n] = honest(x[:, :n], w[:, :n])
        return y
    return f


@cheat("tail", "right for the shape that is measured, zeros for any other")
def one_shape():
    return lambda x, w: honest(x, w) if x.shape == (24, 40) else np.zeros_like(x)


@cheat("strides, reads outside", "reads memory in order, whatever the strides")
def no_strides():
    def flat(x):
        return np.lib.stride_tricks.as_strided(x, x.shape, (x.shape[1] * x.itemsize, x.itemsize))
    return lambda x, w: honest(flat(x), flat(w))


@cheat("other numbers", "right for numbers around zero")
def centred():
    return lambda x, w: honest(x, w) if abs(x.mean()) < 0.15 else x * w


@cheat("wrong, zeros, stale", "right for the first calls, when one looks", rounds=24)
def counting():
    calls = []

    def f(x, w):
        calls.append(1)
        return honest(x, w) if len(calls) < 25 else x * w
    return f


@cheat("wrong, zeros", "notices that it is timed: nobody collects garbage then")
def gc_detector():
    return lambda x, w: honest(x, w) if gc.isenabled() else np.zeros_like(x)


@cheat("wrong", "wrong in one call of eight")
def sometimes():
    calls = []

    def f(x, w):
        calls.append(1)
        return honest(x, w) if len(calls) % 8 else x * w
    return f


@cheat("zeros", "looks through the callers' variables for the right answer")
def thief():
    def f(x, w):
        frame = sys._getframe(1)
        while frame:
            for v in frame.f_locals.values():
                for a in getattr(v, "results", ()) or ():
                    if isinstance(a, np.ndarray) and a.shape == x.shape:
                        return a.astype("f4")
            frame = frame.f_back
        return np.zeros_like(x)
    return f


# ---- results that are not of this call ------------------------------------------------------------------------------------

@cheat("stale", "returns the previous result")
def previous():
    kept = []

    def f(x, w):
        if kept:
            return kept[0].copy()
        kept.append(honest(x, w))
        return kept[0].copy()
    return f


@cheat("stale", "keeps results by the address of the input")
def by_pointer():
    kept = {}

    def f(x, w):
        key = (x.shape, x.ctypes.data % 4096)            # addresses come again in a pool; here their low bits do
        if key not in kept:
            kept[key] = honest(x, w)
        return kept[key].copy()
    return f


@cheat("stale", "keeps results by a glance at the input")
def by_glance():
    kept = {}

    def f(x, w):
        key = (x.shape, x.strides, round(float(x.mean()), 1))
        if key not in kept:
            kept[key] = honest(x, w)
        return kept[key].copy()
    return f


@cheat("memory", "keeps results by the content of the input")
def by_content():
    kept = {}

    def f(x, w):
        key = hashlib.blake2b(x.tobytes()).digest()
        if key not in kept:
            y = honest(x, w)
            for _ in range(300):                         # as if it took long
                y = honest(x, w)
            kept[key] = y
        return kept[key].copy()
    return f


@cheat("overwritten", "returns one buffer again and again")
def one_buffer():
    kept = {}

    def f(x, w):
        y = kept.setdefault(x.shape, np.empty(x.shape, x.dtype))
        y[...] = honest(x, w)
        return y
    return f


@cheat("alias, input", "computes into its input and returns it")
def in_place():
    def f(x, w):
        x[...] = honest(x, w)
        return x
    return f


@cheat("input", "makes the inputs such that zeros are right")
def alters_input():
    def f(x, w):
        x[...] = 0
        return np.zeros_like(x)
    return f


@cheat("alias", "returns a view of its input")
def view():
    return lambda x, w: x[:]


@cheat("lazy", "returns an object that computes when it is looked at")
def lazy():
    class Later:
        def __init__(self, x, w):
            self.x, self.w, self.shape, self.dtype = x, w, x.shape, x.dtype

        def __array__(self, dtype=None, copy=None):
            return honest(self.x, self.w)
    return Later


@cheat("lazy", "returns an array that computes when it is copied")
def lazy_subclass():
    class Later(np.ndarray):
        def __array_finalize__(self, other):
            pass
    return lambda x, w: honest(x, w).view(Later)
