"""The whole programme for a machine with an NVIDIA GPU, in one call of at most ten minutes.

1. tests: the op table, its arrays on the GPU, against NumPy (tests/test_ops.py does that wherever CuPy finds a GPU)
2. conformance: every case of every proven function on the GPU and in the simulator, the largest difference for each
3. speed: our kernels beside cuBLAS, PyTorch's attention, its eager and its compiled norms and losses

A time is the median of single runs on CUDA events, all contenders in turn in every round, the cache flushed before each run; a
ratio is the median over the rounds.  A result is compared with PyTorch's in float32 before it is timed.

    python benchmarks/gpu.py [--json] [--part tests conformance speed] [--minutes 9]

Needs CuPy and a GPU; for speed PyTorch with CUDA; for the simulator's side of conformance a C++ compiler (else NumPy's
references take its place).
"""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from minitorch import backend, kernels
from minitorch.cases import walk_arrays
from minitorch.kernels.proof import FUNCTIONS, draw, results, wide

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PARTS = ("tests", "conformance", "speed")
FLUSH = 256 << 20                                    # bytes written between runs: more than any L2 cache


class Clock:
    """How much of the time for the whole programme is left."""

    def __init__(self, minutes):
        self.end = time.monotonic() + 60 * minutes

    def left(self):
        return self.end - time.monotonic()


# ---- where this runs -----------------------------------------------------------------------------------------

def facts(cupy):
    """The device, its driver, versions, the commit."""
    device = cupy.cuda.Device()
    properties = cupy.cuda.runtime.getDeviceProperties(device.id)
    found = {"device": properties["name"].decode(), "capability": device.compute_capability, "memory_gib": round(device.mem_info[1] / 2**30, 1),
             "multiprocessors": properties["multiProcessorCount"],
             "driver": said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
             "cuda": cupy.cuda.runtime.runtimeGetVersion(), "cupy": cupy.__version__, "numpy": np.__version__, "python": platform.python_version(),
             "commit": said("git", "-C", str(ROOT), "rev-parse", "HEAD"),
             "changed": bool(said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"))}
    try:
        import torch
        found |= {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
    except ImportError:
        found["torch"] = None
    return found


def said(*command):
    """What a command prints; "" where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


# ---- 1. tests ------------------------------------------------------------------------------------------------

def tests(seconds):
    """The op table on the GPU: pytest's last line and exit status."""
    parallel = [] if importable("xdist") is None else ["-n", str(min(8, os.cpu_count() or 1))]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/test_ops.py", "-k", "device_backend", *parallel]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1, seconds))
    except subprocess.TimeoutExpired:
        return {"status": None, "said": f"not done after {seconds:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode:
        print(*lines[-30:], sep="\n")
    return {"status": done.returncode, "said": lines[-1] if lines else done.stderr.strip()[-300:]}


def importable(name):
    import importlib.util
    return importlib.util.find_spec(name)


# ---- 2. conformance --------------------------------------------------------------------------------------------

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


# ---- 3. speed ------------------------------------------------------------------------------------------------

class Bench:
    """Times calls on CUDA events of PyTorch's current stream, on which CuPy launches too."""

    def __init__(self, cupy, torch, rounds=12):
        self.cupy, self.torch, self.rounds = cupy, torch, rounds
        self.room = torch.empty(FLUSH, dtype=torch.int8, device="cuda")

    def race(self, calls):
        """{name: [milliseconds]} of calls, in turn in every round."""
        for call in calls.values():                  # compile, choose algorithms, fill the memory pool
            for _ in range(3):
                call()
        self.torch.cuda.synchronize()
        times = {name: [] for name in calls}
        for _ in range(self.rounds):
            for name, call in calls.items():
                start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
                self.room.zero_()
                start.record()
                call()
                end.record()
                end.synchronize()
                times[name].append(start.elapsed_time(end))
        return times

    def ours(self, tensor):
        """A PyTorch tensor as a CuPy array of the same memory."""
        if tensor.dtype is self.torch.bfloat16:
            import ml_dtypes
            return self.cupy.from_dlpack(tensor.detach().view(self.torch.int16)).view(ml_dtypes.bfloat16)
        return self.cupy.from_dlpack(tensor.detach())

    def theirs(self, array):
        """A CuPy array as a PyTorch tensor of the same memory."""
        if array.dtype.name == "bfloat16":
            return self.torch.from_dlpack(array.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_dlpack(array)


def row(name, times, work, unit):
    """A row of the table: median time and rate of each contender, and ours against the others."""
    found = {"name": name, "unit": unit, "contenders": {}}
    for who, ms in times.items():
        found["contenders"][who] = {"ms": statistics.median(ms), unit: work / statistics.median(ms) / 1e9,
                                    "ours_is": statistics.median(b / a for a, b in zip(times["ours"], ms))}
    print(f"{name:44} " + "  ".join(f"{who} {c['ms']:.3f} ms {c[unit]:.0f} {unit}" + (f" (ours {c['ours_is']:.2f}x)" if who != "ours" else "")
                                     for who, c in found["contenders"].items()))
    return found


def close(found, expected, tolerance, what):
    """AssertionError unless the largest difference is within `tolerance` of the largest entry."""
    found, expected = found.float(), expected.float()
    error = (found - expected).abs().max().item() / max(expected.abs().max().item(), 1e-30)
    if not error <= tolerance:
        raise AssertionError(f"{what}: off by {error:.2e} of the largest entry")


def matmul_speed(bench, size):
    """bf16, square: cuBLAS through PyTorch."""
    torch = bench.torch
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    ca, cb = bench.ours(a), bench.ours(b)
    close(bench.theirs(kernels.matmul(ca, cb)), a @ b, 2e-2, f"matmul {size}")
    return row(f"matmul bf16 {size}", bench.race({"ours": lambda: kernels.matmul(ca, cb), "cuBLAS": lambda: a @ b}), 2 * size**3, "TFLOP/s")


def attention_speed(bench, causal, N=4, H=16, L=4096, D=128):
    """Forward, then backward: PyTorch's flash attention, pinned."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    torch, F = bench.torch, bench.torch.nn.functional
    q, k, v, g = (torch.randn(N, H, L, D, device="cuda", dtype=torch.bfloat16) for _ in range(4))
    cq, ck, cv, cg = map(bench.ours, (q, k, v, g))
    name, flops = f"attention {'causal' if causal else 'full'} bf16 {N}x{H}x{L}x{D}", 4 * N * H * L * L * D * (0.5 if causal else 1)

    def pinned(which):
        def forward(*tensors):
            with sdpa_kernel(which):
                return F.scaled_dot_product_attention(*tensors, is_causal=causal)
        return forward
    flash, cudnn = pinned(SDPBackend.FLASH_ATTENTION), pinned(SDPBackend.CUDNN_ATTENTION)
    y, lse = kernels.attention_forward(cq, ck, cv, causal=causal)
    expected = flash(q, k, v)
    close(bench.theirs(y), expected, 3e-2, name)
    contenders = {"ours": lambda: kernels.attention_forward(cq, ck, cv, causal=causal), "flash": lambda: flash(q, k, v)}
    if runs(lambda: cudnn(q, k, v)):
        contenders["cuDNN"] = lambda: cudnn(q, k, v)
    rows = [row(f"{name} forward", bench.race(contenders), flops, "TFLOP/s")]
    inputs = [t.clone().requires_grad_() for t in (q, k, v)]
    out = flash(*inputs)
    gs = torch.autograd.grad(out, inputs, g, retain_graph=True)
    for mine, t in zip(kernels.attention_backward(cg, cq, ck, cv, y, lse, causal=causal), gs):
        close(bench.theirs(mine), t, 5e-2, f"{name} backward")
    rows.append(row(f"{name} backward", bench.race({
        "ours": lambda: kernels.attention_backward(cg, cq, ck, cv, y, lse, causal=causal),
        "flash": lambda: torch.autograd.grad(out, inputs, g, retain_graph=True)}), 2.5 * flops, "TFLOP/s"))
    return rows


def runs(call):
    try:
        call()
    except RuntimeError:
        return False
    return True


def layer_norm_speed(bench, rows_of=16384, columns=4096):
    """bf16, forward and backward: PyTorch eager and compiled."""
    torch, F = bench.torch, bench.torch.nn.functional
    x, g = (torch.randn(rows_of, columns, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    w, b = (torch.randn(columns, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    cx, cg, cw, cb = map(bench.ours, (x, g, w, b))

    def eager(x, w, b):
        return F.layer_norm(x, (columns,), w, b)
    compiled = torch.compile(eager)
    y, mean, rstd = kernels.layer_norm(cx, cw, cb)
    close(bench.theirs(y), eager(x.float(), w.float(), b.float()), 2e-2, "layer norm")
    name, size = f"layer norm bf16 {rows_of}x{columns}", 2 * x.numel()
    rows = [row(f"{name} forward", bench.race({"ours": lambda: kernels.layer_norm(cx, cw, cb), "eager": lambda: eager(x, w, b),
                                               "compiled": lambda: compiled(x, w, b)}), 2 * size, "TB/s")]
    inputs = [t.clone().requires_grad_() for t in (x, w, b)]
    out, fast = eager(*inputs), compiled(*inputs)
    wide_inputs = [t.float().detach().requires_grad_() for t in (x, w, b)]
    for mine, t in zip(kernels.layer_norm_backward(cg, cx, cw, mean, rstd), torch.autograd.grad(eager(*wide_inputs), wide_inputs, g.float())):
        close(bench.theirs(mine), t, 3e-2, f"{name} backward")
    rows.append(row(f"{name} backward", bench.race({
        "ours": lambda: kernels.layer_norm_backward(cg, cx, cw, mean, rstd),
        "eager": lambda: torch.autograd.grad(out, inputs, g, retain_graph=True),
        "compiled": lambda: torch.autograd.grad(fast, inputs, g, retain_graph=True)}), 3 * size, "TB/s"))
    return rows


def cross_entropy_speed(bench, rows_of=8192, classes=50304):
    """bf16 losses and their gradient: PyTorch eager and compiled, forward and backward."""
    torch, F = bench.torch, bench.torch.nn.functional
    x = torch.randn(rows_of, classes, device="cuda", dtype=torch.bfloat16)
    t = torch.randint(classes, (rows_of,), device="cuda")
    cx, ct = bench.ours(x), bench.ours(t)
    g = bench.cupy.full(rows_of, 1 / rows_of, np.float32)
    inputs = x.clone().requires_grad_()

    def eager(x, t):
        return F.cross_entropy(x, t)
    compiled = torch.compile(eager)
    losses, gx = kernels.cross_entropy(cx, ct, g=g)
    wide_x = x.float().requires_grad_()
    loss = eager(wide_x, t)
    close(bench.theirs(losses).mean(), loss, 1e-2, "cross entropy")
    close(bench.theirs(gx), torch.autograd.grad(loss, wide_x)[0], 2e-2, "cross entropy's gradient")
    del wide_x, loss
    return row(f"cross entropy bf16 {rows_of}x{classes} and gradient", bench.race({
        "ours": lambda: kernels.cross_entropy(cx, ct, g=g),
        "eager": lambda: torch.autograd.grad(eager(inputs, t), inputs),
        "compiled": lambda: torch.autograd.grad(compiled(inputs, t), inputs)}), 2 * 2 * x.numel(), "TB/s")


def speed(cupy, clock):
    """The rows of all races for which there is time."""
    try:
        import torch
        if not torch.cuda.is_available():
            raise ImportError("PyTorch finds no GPU")
    except ImportError as error:
        print(f"no comparison with PyTorch: {error}")
        return []
    torch.manual_seed(0)
    found = []
    races = [*((matmul_speed, n) for n in (4096, 8192, 1024)), (attention_speed, True), (attention_speed, False), (layer_norm_speed,),
             (cross_entropy_speed,)]
    with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
        bench = Bench(cupy, torch)
        for race, *args in races:
            if clock.left() < 30:
                print(f"no time left for {race.__name__} {args}")
                continue
            try:
                rows = race(bench, *args)
                found += rows if isinstance(rows, list) else [rows]
            except Exception as error:               # one contender that fails is a line of the report, not its end
                print(f"{race.__name__} {args}: {type(error).__name__}: {error}")
                found.append({"name": f"{race.__name__} {args}", "error": f"{type(error).__name__}: {error}"[:500]})
            cupy.get_default_memory_pool().free_all_blocks()
            torch.cuda.empty_cache()
    return found


# ---- all of it -----------------------------------------------------------------------------------------------

def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help=f"write the figures to {RESULTS.relative_to(ROOT)}")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="parts of the programme; all by default")
    parser.add_argument("--minutes", type=float, default=9, help="time for all of it; what does not fit is left out (default: 9)")
    args = parser.parse_args(argv)
    try:
        cupy = backend.load_cupy()
    except RuntimeError as error:
        print(f"benchmarks/gpu.py measures on a GPU, and there is none: {error}")
        return 2
    clock, figures = Clock(args.minutes), facts(cupy)
    print(*(f"{name}: {value}" for name, value in figures.items()), sep="\n")
    bad = 0
    if "conformance" in args.part:                   # first: what is wrong need not be timed
        print("\nGPU beside simulator, largest difference relative to the largest entry")
        figures["conformance"] = conformance(cupy.asarray, Clock(min(4, 0.45 * args.minutes)))
        bad += sum(not (w and w["largest"] <= w["allowed"]) for by_dtype in figures["conformance"].values() for w in by_dtype.values())
        print(f"{len(figures['conformance'])} functions of {len(FUNCTIONS)}, {bad} different")
    if "speed" in args.part:
        print("\nours beside others")
        figures["speed"] = speed(cupy, clock)
    if "tests" in args.part:
        figures["tests"] = tests(clock.left())
        print(f"\nop table on the GPU: {figures['tests']['said']}")
        bad += figures["tests"]["status"] not in (0, None)
    if args.json:
        RESULTS.write_text(json.dumps(figures, indent=1, default=str) + "\n", encoding="utf-8")
        print(f"\nwritten: {RESULTS}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
