"""Where, when and by what a figure was measured: all that somebody needs to defend it or to repeat it."""
import contextlib
import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

from ..version import __version__
from .clock import last_cache, pinned

LIBRARIES = ("torch", "cupy", "triton", "jax", "numba", "ml_dtypes")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUPY_TF32")


def gathered(seed, device):
    """Versions, processor or GPU, commit, command, seed, as a dict for JSON."""
    return {"when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "command": list(sys.argv), "seed": str(seed),
            "python": platform.python_version(), "numpy": np.__version__, "minitorch": __version__, "system": platform.platform(),
            "libraries": {name: getattr(sys.modules[name], "__version__", None) for name in LIBRARIES if name in sys.modules},
            "blas": blas(), "cpu": cpu_name(), "cores": os.cpu_count(), "last_cache": last_cache(), **pinned(), **commit(),
            "environment": {name: os.environ[name] for name in THREADS if name in os.environ},
            "gpu": gpu() if device == "cuda" else None}


def state(device="cpu"):
    """What changes while it runs: clocks in MHz, temperatures in degrees, load; empty where the machine does not tell."""
    found = {"load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None, "gpu": gpu_state() if device == "cuda" else None}
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found["mhz"] = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    found["celsius"] = [value / 1000 for path in sorted(Path("/sys/class/thermal").glob("thermal_zone*/temp")) if (value := number(path)) is not None]
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    found["governor"] = governor.read_text().strip() if governor.is_file() else None
    return found


def number(path):
    with contextlib.suppress(OSError, ValueError):
        return float(path.read_text())
    return None


def gpu_state():
    """Clocks, temperature, power and throttling of the GPUs, from nvidia-smi (read only)."""
    fields = ("clocks.sm", "clocks.mem", "clocks.max.sm", "temperature.gpu", "power.draw", "clocks_event_reasons.active")
    text = said("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
    return [dict(zip(fields, (v.strip() for v in line.split(",")))) for line in text.splitlines() if line]


def gpu():
    """Name, driver, memory, multiprocessors and cache of CuPy's current device."""
    cupy = sys.modules["cupy"]
    with contextlib.suppress(Exception):             # a stand-in, or a driver that does not tell: then the rest must do
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        return {"name": properties["name"].decode(), "multiprocessors": properties["multiProcessorCount"], "l2": properties["l2CacheSize"],
                "memory": properties["totalGlobalMem"], "capability": cupy.cuda.Device().compute_capability,
                "runtime": cupy.cuda.runtime.runtimeGetVersion(), "driver": said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")}
    return None


def cpu_name():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def blas():
    """The linear algebra library behind NumPy, by name and version."""
    with contextlib.suppress(Exception):
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}"
    return None


def commit():
    """The commit of the current folder, and whether tracked files differ from it."""
    found = said("git", "rev-parse", "HEAD")
    return {"commit": found or None, "changed": bool(said("git", "status", "--porcelain", "--untracked-files=no")) if found else None}


def said(*command):
    """What a command prints; "" where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
