"""Every case of every proven function on the GPU and in the simulator, side by side: how far apart they are, how many entries are the same."""
import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minitorch import backend, kernels
from minitorch.cases import walk_arrays
from minitorch.kernels.proof import FUNCTIONS, draw, results, wide


def conformance(to_device, clock, names=None):
    """{function: {dtype: {"largest": difference relative to the largest entry, "allowed": ..., "bitwise": share, "case": number}}}.

    to_device: makes arrays of the device of NumPy's.  The other side is the simulator, or where that has no compiler the reference.
    """
    found, other = {}, simulator() or reference
    for name, f in FUNCTIONS.items():
        if names is not None and name not in names:
            continue
        for dtype in f.dtypes:
            worst = None
            for number in range(len(f.cases)):
                if clock.left() < 0:
                    return found
                row = compared(f, number, dtype, to_device, other)
                if worst is None or not row["largest"] <= worst["largest"]:
                    worst = row
            found.setdefault(name, {})[dtype] = worst
            good = worst is None or worst["largest"] <= worst["allowed"]
            print(f"{name:32} {dtype:9} {worst['largest']:9.2e} of {worst['allowed']:.1e} allowed, {worst['bitwise']:6.1%} bitwise the same, "
                  f"case {worst['case']} {worst.get('error', '')}{'' if good else '   <-- DIFFERENT'}")
    return found


def prepared(names=None):
    """Compile what conformance runs in the simulator, on all processors at once: one after the other it would take minutes."""
    from minitorch.kernels.nvrtc import launched
    from minitorch.kernels.simulator import build
    if names is not None:
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda pair: build.library(pair[0], "fast", pair[1]), [pair for pair in launched() if not pair[1]]))


def compared(f, number, dtype, to_device, other):
    """One case on both sides: the largest difference over all results."""
    row = {"largest": 0.0, "allowed": 2 * f.tolerance[dtype], "bitwise": 1.0, "case": number}
    try:
        args, params = walk_arrays(draw(f, number, dtype), to_device)
        here = [y if y is None else backend.to_numpy(y) for y in results(f(*args, **params))]
    except Exception as error:                       # one broken kernel is a line of the report, not its end
        return row | {"largest": math.inf, "bitwise": 0.0, "error": f"{type(error).__name__}: {error}"[:300]}
    for y, r in zip(here, other(f, number, dtype)):
        if y is None or r is None:
            continue
        same = (y == r) | (y != y) & (r != r)
        a, b = np.asarray(y, "f8"), np.asarray(r, "f8")
        with np.errstate(invalid="ignore"):
            difference = np.where((a == b) | np.isnan(a) & np.isnan(b), 0, np.abs(a - b))
        scale = max(np.abs(b[np.isfinite(b)]).max(initial=0), 1e-3)
        largest = difference.max(initial=0) / scale
        row["largest"] = max(row["largest"], math.inf if np.isnan(largest) else float(largest))
        row["bitwise"] = min(row["bitwise"], float(np.mean(same)) if same.size else 1.0)
    return row


def on_simulator(f, number, dtype):
    args, params = draw(f, number, dtype)
    return results(f(*args, **params))


def reference(f, number, dtype):
    args, params = draw(f, number, dtype)
    return results(f.reference(*wide(args), **wide(params)))


def simulator():
    """on_simulator, or None where the simulator cannot compile."""
    try:
        kernels.softmax(np.ones((1, 4), "f4"))
    except Exception as error:
        print(f"no simulator here ({str(error).splitlines()[0]}): NumPy's references in its place")
        return None
    return on_simulator
