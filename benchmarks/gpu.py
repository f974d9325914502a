"""The whole programme for a machine with an NVIDIA GPU, in one call of at most ten minutes.

1. tests: the op table, its arrays on the GPU, against NumPy (tests/test_ops.py does that wherever CuPy finds a GPU)
2. conformance: every case of every proven function on the GPU and in the simulator, the largest difference for each
3. speed: every kernel, and the steps of those that have some, beside cuBLAS, cuDNN, PyTorch's attention, eager and compiled PyTorch,
   Triton (gpu_races.py says who and how large, gpu_bench.py how they are raced)

    python benchmarks/gpu.py [--json] [--page FILE.html] [--part conformance speed tests] [--minutes 9]
    python benchmarks/gpu.py --dry-run               # without a GPU: all of it in small, NumPy's arrays and the simulator in its place

--json writes results/gpu.json, where the README's table comes from, and results/gpu_speed.json, which
`python -m minitorch.benchmark --compare` and `--page` read.

Needs CuPy and a GPU; for speed PyTorch with CUDA; for the simulator's side of conformance a C++ compiler (else NumPy's
references take its place).
"""
import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import timing

# isort: split
import numpy as np
from gpu_bench import OURS, Bench
from gpu_conformance import conformance, prepared, simulator
from gpu_races import RACES

from minitorch import backend
from minitorch.benchmark import Comparison, devices, provenance
from minitorch.benchmark import results as schema
from minitorch.kernels.proof import FUNCTIONS

ROOT = Path(__file__).parent.parent
PARTS = ("conformance", "speed", "tests")
DRY = ("softmax", "gru_cell")                        # what a dry run compares


class Clock:
    """How much of the time for the whole programme is left."""

    def __init__(self, minutes):
        self.start = time.monotonic()
        self.end = self.start + 60 * minutes

    def spent(self):
        return time.monotonic() - self.start

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

def tests(seconds, dry=False):
    """The op table on the GPU: pytest's last line and exit status; dry: the tests are only collected."""
    parallel = [] if importable("xdist") is None else ["-n", str(min(8, os.cpu_count() or 1))]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/test_ops.py", "-k", "device_backend", *parallel]
    command += ["--collect-only"] if dry else []
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


# ---- 3. speed ------------------------------------------------------------------------------------------------

def speed(cupy, clock, dry=False, reserve=60):
    """The Comparison of all races for which there is time, `reserve` seconds left for what follows; None where PyTorch has no GPU."""
    try:
        import torch
        if not dry and not torch.cuda.is_available():
            raise ImportError("PyTorch finds no GPU")
    except ImportError as error:
        print(f"no comparison with PyTorch: {error}")
        return None
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False      # float32 is float32
    torch.backends.cudnn.benchmark = True
    device = "cpu" if dry else "cuda"
    told, cases = {**provenance.gathered(0, device), "before": provenance.state(device)}, []
    with contextlib.nullcontext() if dry else cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
        bench = Bench(cupy, torch, device, 8 if dry else 24)
        for number, (race, *sizes) in enumerate(RACES):
            left = clock.left() - reserve
            if left < 5:
                print(f"no time left for {len(RACES) - number} races, from {race.__name__} {sizes[dry]} on")
                break
            try:
                case = bench.run(race(bench, **sizes[dry]), 0 if dry else min(6, 0.5 * left / (len(RACES) - number)))
            except Exception as error:               # a race that cannot be set up is a line of the report, not its end
                print(f"{race.__name__} {sizes[dry]}: {type(error).__name__}: {error}")
                case = lost(race, sizes[dry], error)
            print(line(case, dry))
            cases.append(case)
            if not dry:
                cupy.get_default_memory_pool().free_all_blocks()
                torch.cuda.empty_cache()
    return Comparison("PyTorch in float64, in places", OURS, 0.95, "cold", device, None, {**told, "after": provenance.state(device)}, cases)


def lost(race, sizes, error):
    """The case of a race that could not be set up: nobody has a time."""
    row = schema.Row(OURS, "", [schema.Reason("raised", "before", f"{type(error).__name__}: {error}"[:500])])
    return schema.CaseResult(f"{race.__name__} {sizes}", "", [], [], None, 0, False, [row])


def line(case, dry=False):
    """A race in a line: times, rates, and others' times over ours; of a dry run, who is right."""
    said = []
    for row in case.rows:
        if row.timing and dry:
            said.append(f"{row.provider} right")
        elif row.timing:
            said.append(f"{row.provider} {row.timing['median'] / 1e3:.4g} ms, {rate(row)}" + (f" ({row.ratio['median']:.2f}x)" if row.ratio else ""))
        else:
            said.append(f"{row.provider} REFUSED: {row.reasons[0]}")
    return f"{case.name}, {case.dtype}: " + "; ".join(said)


def rate(row):
    """What a row reaches: operations where they say more, bytes otherwise."""
    if "GFLOP/s" in row.rates:
        return f"{row.rates['GFLOP/s'] / 1e3:.4g} TFLOP/s"
    return f"{row.rates['GB/s'] / 1e3:.3g} TB/s" if "GB/s" in row.rates else "-"


# ---- the README's table ------------------------------------------------------------------------------------------

def table(figures):
    """A row a race: our time and rate, and each other's time over ours: above 1, ours is faster."""
    rows = []
    for case in schema.from_dict(figures["speed"]).cases:
        ours = next((r for r in case.rows if r.provider == OURS and r.timing), None)
        if ours:
            others = [f"{r.provider} {r.ratio['median']:.2f}" for r in case.rows if r.ratio and not r.provider.startswith(f"{OURS}:")]
            steps = [f"{r.provider.removeprefix(f'{OURS}: ')} {r.ratio['median']:.2f}" for r in case.rows
                     if r.ratio and r.provider.startswith(f"{OURS}:")]
            time_ = f"{ours.timing['median'] / 1e3:.3g} ms"
            rows.append([case.name, case.dtype, time_, rate(ours), ", ".join(others) or "-", ", ".join(steps) or "-"])
    return timing.table(["kernel", "numbers", "time", "rate", "time of others / ours", "time of its steps / ours"], rows)


def where(figures):
    agree = [w for by_dtype in figures.get("conformance", {}).values() for w in by_dtype.values() if w]
    good = sum(w["largest"] <= w["allowed"] for w in agree)
    return (f"{figures['device']}, CUDA {figures['cuda']}, CuPy {figures['cupy']}, PyTorch {figures['torch']}, cuDNN {figures.get('cudnn')}; "
            f"caches cold, all in turn; {good} of {len(agree)} functions and number types agree with the simulator. `python benchmarks/gpu.py`")


# ---- all of it -----------------------------------------------------------------------------------------------

def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="write the figures to benchmarks/results/gpu.json and gpu_speed.json")
    parser.add_argument("--page", metavar="FILE.html", help="write a page of the races")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="parts of the programme; all by default")
    parser.add_argument("--minutes", type=float, default=9, help="time for all of it; what does not fit is left out (default: 9)")
    parser.add_argument("--dry-run", action="store_true", help="all of it in small and without a GPU; nothing is measured, and no figures are kept")
    args = parser.parse_args(argv)
    if args.dry_run and (args.json or args.page):
        parser.error("a dry run measures nothing: it has no figures for --json and --page")
    clock = Clock(args.minutes)
    if args.dry_run:
        cupy, figures = np, {"device": "none: a dry run", "cuda": None, "cupy": None, "torch": None}
    else:
        try:
            cupy = backend.load_cupy()
        except RuntimeError as error:
            print(f"benchmarks/gpu.py measures on a GPU, and there is none: {error}")
            return 2
        figures = facts(cupy)
    print(*(f"{name}: {value}" for name, value in figures.items()), sep="\n")
    bad = run(cupy, clock, args, figures)
    if args.page and figures.get("speed"):
        Path(args.page).write_text(paged(figures, devices.found()), encoding="utf-8")
        print(f"written: {args.page}")
    if args.json:
        write(figures, timing.RESULTS)
    if args.dry_run:                                 # that the figures of a real run can be kept and shown
        with tempfile.TemporaryDirectory() as folder:
            write(figures, Path(folder))
        if figures.get("speed") and importable("matplotlib"):
            paged(figures, devices.named("H100"))
    print(f"\n{clock.spent() / 60:.1f} minutes" + ("; a dry run: nothing was measured, and nothing is kept" if args.dry_run else ""))
    return 1 if bad else 0


def paged(figures, device):
    """A page of the races, below the published roofline of their device."""
    from minitorch.benchmark import page, plots
    return page.page(f"minitorch's kernels on {figures['device']}", comparisons=[schema.from_dict(figures["speed"])], roofs=[plots.roof(device)])


def run(cupy, clock, args, figures):
    """The parts that are asked for, their findings in `figures`; how many are bad."""
    bad, dry = 0, args.dry_run
    if "conformance" in args.part:                   # first: what is wrong need not be timed
        print("\nGPU beside simulator, largest difference relative to the largest entry")
        names = DRY if dry else None
        if simulator():
            prepared(names)
        figures["conformance"] = conformance(np.array if dry else cupy.asarray, Clock(min(4, 0.4 * args.minutes)), names)
        bad += sum(not (w and w["largest"] <= w["allowed"]) for by_dtype in figures["conformance"].values() for w in by_dtype.values())
        print(f"{len(figures['conformance'])} functions of {len(FUNCTIONS)}, {bad} different")
    if "speed" in args.part:
        print("\nours beside others; in brackets: their time over ours")
        found = speed(cupy, clock, dry, 60 if "tests" in args.part else 5)
        if found:
            figures["speed"] = found.as_dict()
            bad += sum(row.provider.startswith(OURS) and (row.provider == OURS or row.names != ["raised"])       # a step for another architecture
                       for _, row in found.refusals())
            shown = f"\n{table(figures)}\n\n{where(figures)}"
            print("" if dry else shown)
    if "tests" in args.part:
        figures["tests"] = tests(clock.left(), dry)
        print(f"\nop table on the GPU: {figures['tests']['said']}")
        bad += figures["tests"]["status"] not in (0, None)
    return bad


def write(figures, folder):
    """gpu.json, and the races alone in the schema of minitorch.benchmark, each in one step."""
    from minitorch.serialization import replacing
    with replacing(str(folder / "gpu.json")) as temporary:
        Path(temporary).write_text(json.dumps(schema.finite(figures), indent=1, default=str) + "\n", encoding="utf-8")
    if figures.get("speed"):
        schema.from_dict(figures["speed"]).save(folder / "gpu_speed.json")
    print(f"\nwritten: {folder / 'gpu.json'}")


if __name__ == "__main__":
    sys.exit(main())
