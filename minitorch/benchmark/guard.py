"""Has somebody replaced the clock, NumPy, a part of this harness or of the reference, or changed what everybody's speed depends on?

    with Guard(reference) as guard:
        guard.seal(exam, "its examination", "allowed", "reference")
        ...
        guard.changes()              # ["time.perf_counter"]: what was replaced since; it is put back

Names are compared, and the bodies of functions under them, and the tables of this package.  A provider has all of this process in its
hands, so no guard is perfect; what is seen here are the ways that a few lines of Python open.
"""
import builtins
import contextlib
import gc
import hashlib
import io
import mmap
import os
import secrets
import signal
import sys
import threading
import time
import types

import numpy as np

from .. import blas, cases, threads
from . import watch

CLOCKED = (time, np, np.linalg, np.random)
MODULES = (time, np, np.linalg, np.random, gc, hashlib, mmap, io, contextlib, secrets, signal, threading, os, sys, cases, threads, blas)
TENSOR = ("view", "detach", "numpy", "cpu", "data_ptr")      # of torch.Tensor: by which results are read
CUPY = ("get", "set", "fill", "view", "reshape", "data", "record", "synchronize", "done", "launch", "begin_capture", "end_capture")
ABSENT = object()


def callables(module):
    """The functions of a module, but for hooks, which are there to be set (sys.excepthook)."""
    return {name: f for name, f in vars(module).items() if callable(f) and not name.startswith("__") and not name.endswith("hook")}


def own(module, f):
    """Whether a function of time or numpy comes from there."""
    home = getattr(f, "__module__", None) or "numpy"     # ufuncs do not say
    return home.partition(".")[0] in (module.__name__.partition(".")[0], "builtins")


FIRST = {module: callables(module) for module in CLOCKED}                   # as they were when this file was read


def replaced():
    """The functions of the clock and of NumPy that are not their own, or not those that they were when this file was read."""
    return [f"{module.__name__}.{name}" for module, known in FIRST.items() for name, f in known.items()
            if vars(module).get(name) is not f or not own(module, f)]


class Guard:
    """Remembers the functions of MODULES, of this package and of the reference f, and of the process what would change everybody's speed."""

    def __init__(self, f=None, busy=()):
        self.names, self.bodies, self.tables, self.sealed = [], [], [], []
        self.reference, self.busy = f, set(busy)     # busy: threads that have work of their own

    def __enter__(self):
        package = __name__.rpartition(".")[0]
        ours = [m for name, m in list(sys.modules.items()) if name == package or name.startswith(package + ".")]
        for m in dict.fromkeys((*MODULES, sys.modules["minitorch.tensor"], *ours)):
            self.keep(m, m.__name__, callables(m))
        self.keep(builtins, "builtins", {n: f for n, f in vars(builtins).items() if isinstance(f, types.BuiltinFunctionType | type)})
        for m in (*ours, cases):
            for c in [c for c in vars(m).values() if isinstance(c, type) and c.__module__ == m.__name__]:
                self.keep(c, f"{m.__name__}.{c.__name__}", {n: f for n, f in vars(c).items() if callable(f) or hasattr(f, "fget")})
        for m in ours:
            constants = {n: v for n, v in vars(m).items() if n.isupper() and v is not FIRST}
            self.keep(m, m.__name__, constants)
            self.tables += [(v, f"{m.__name__}.{n}", v.copy()) for n, v in constants.items() if isinstance(v, dict | list | set)]
        if torch := sys.modules.get("torch"):
            self.keep(torch, "torch", {n: getattr(torch, n) for n in ("from_numpy", "from_dlpack", "Tensor") if hasattr(torch, n)})
            self.keep(torch.Tensor, "torch.Tensor", {n: vars(torch.Tensor).get(n, ABSENT) for n in TENSOR})
        if cupy := sys.modules.get("cupy"):
            for m, names in ((cupy, ("ndarray", "asarray", "empty", "from_dlpack")), (cupy.cuda, ("Event", "Stream", "Device", "get_elapsed_time"))):
                self.keep(m, "cupy" if m is cupy else "cupy.cuda", {n: vars(m)[n] for n in names if n in vars(m)})
            for c in (cupy.ndarray, cupy.cuda.Event, cupy.cuda.Stream):
                self.keep(c, f"cupy.{c.__name__}", {n: vars(c).get(n, ABSENT) for n in CUPY})
        self.keep_helpers(self.reference)
        self.process, self.threads, self.start = process(), {t: watch.work_of(t) for t in watch.threads()}, watch.nanoseconds()
        return self

    def __exit__(self, *error):
        return None

    def keep(self, owner, name, kept):
        """Remember what an object or a dictionary has under some names, and the bodies of those that are functions in Python."""
        self.names.append((owner, name, kept))
        for key, f in kept.items():
            f = getattr(f, "__func__", None) or getattr(f, "fget", None) or f
            if isinstance(f, types.FunctionType):
                self.bodies.append((f, f"{name}.{key}", (f.__code__, f.__defaults__, f.__kwdefaults__)))

    def keep_helpers(self, f):
        """Remember the body of the reference, and of the functions of its module that it uses."""
        seen, todo = set(), [f]
        while todo:
            f = todo.pop()
            if not isinstance(f, types.FunctionType) or f in seen:
                continue
            seen.add(f)
            self.bodies.append((f, f"the reference's {f.__name__}", (f.__code__, f.__defaults__, f.__kwdefaults__)))
            used = {n: f.__globals__[n] for n in f.__code__.co_names if callable(f.__globals__.get(n))}
            self.names.append((f.__globals__, f"the reference's {f.__name__}", used))
            todo += used.values()

    def seal(self, thing, what, *names):
        """Remember these attributes of an object; no others may come that it does not have yet."""
        self.sealed.append((thing, what, {n: vars(thing).get(n, ABSENT) for n in names}, frozenset(vars(thing))))

    def changes(self):
        """The names of what was replaced or changed since; it is put back, so that the next provider is not judged by it."""
        found = []
        for owner, name, kept in self.names:
            now = owner if type(owner) is dict else vars(owner)
            for key, f in kept.items():
                if now.get(key, ABSENT) is not f:
                    found.append(f"{name}.{key}")
                    put(owner, key, f)
        for f, name, body in self.bodies:
            if (f.__code__, f.__defaults__, f.__kwdefaults__) != body:
                found.append(f"the body of {name}")
                f.__code__, f.__defaults__, f.__kwdefaults__ = body
        for table, name, kept in self.tables:
            if table != kept:
                found.append(f"the table {name}")
                fill(table, kept)
        for thing, what, kept, known in self.sealed:
            now = vars(thing)
            for key in [key for key, v in kept.items() if now.get(key, ABSENT) is not v] + [key for key in now if key not in known]:
                found.append(f"{key} of {what}")
                put(thing, key, kept.get(key, ABSENT))
        now = process()
        for key, value in self.process.items():
            if now[key] != value:
                found.append(f"{key} ({value} before, {now[key]} after)")
                restore(key, value)
        return found


def put(owner, key, value):
    """Give an object or a dictionary back what it had under a name."""
    if type(owner) is dict:
        owner[key] = value
    elif value is ABSENT:
        delattr(owner, key)
    else:
        setattr(owner, key, value)


def fill(table, kept):
    """Give a dictionary, list or set back what was in it."""
    table.clear()
    table.extend(kept) if isinstance(table, list) else table.update(kept)


# ---- the process -----------------------------------------------------------------------------------------------------------

TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF) if hasattr(signal, "setitimer") else ()
SIGNALS = tuple(getattr(signal, n) for n in ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2") if hasattr(signal, n))


def process():
    """What of the process's state changes everybody's speed or arithmetic."""
    found = {"sys.getswitchinterval": sys.getswitchinterval(), "numpy.geterr": np.geterr(), "sys.getprofile": sys.getprofile(),
             "sys.gettrace": sys.gettrace(), "gc.isenabled": gc.isenabled(), "gc.get_threshold": gc.get_threshold(), "gc.callbacks": gc.callbacks[:],
             "signal.getitimer": [signal.getitimer(t)[1] > 0 for t in TIMERS], "signal.getsignal": [signal.getsignal(n) for n in SIGNALS],
             "minitorch.get_num_threads": threads.get_num_threads()}
    if hasattr(os, "getpriority"):
        found["os.getpriority"] = os.getpriority(os.PRIO_PROCESS, 0)
    if hasattr(os, "sched_getaffinity"):
        found["os.sched_getaffinity"] = sorted(os.sched_getaffinity(0))
    if blas.find():
        found["threads of NumPy's library"] = blas.functions[0]()
    if torch := sys.modules.get("torch"):
        found |= {f"torch.{name}": getattr(torch, name)() for name in (
            "get_num_threads", "get_float32_matmul_precision", "are_deterministic_algorithms_enabled", "get_default_dtype", "is_grad_enabled")}
    return found


def set_timers(active):
    for timer, on in zip(TIMERS, active):
        if not on:
            signal.setitimer(timer, 0)


def set_signals(handlers):
    for number, handler in zip(SIGNALS, handlers):
        signal.signal(number, handler)


def restore(key, value):
    """Put back what process() found."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        torch = sys.modules.get("torch")
        {"sys.getswitchinterval": sys.setswitchinterval, "numpy.geterr": lambda v: np.seterr(**v), "sys.getprofile": sys.setprofile,
         "sys.gettrace": sys.settrace, "gc.isenabled": lambda v: gc.enable() if v else gc.disable(),
         "gc.get_threshold": lambda v: gc.set_threshold(*v),
         "gc.callbacks": lambda v: gc.callbacks.__setitem__(slice(None), v), "signal.getitimer": set_timers, "signal.getsignal": set_signals,
         "minitorch.get_num_threads": lambda v: setattr(threads, "count", v), "os.getpriority": lambda v: os.setpriority(os.PRIO_PROCESS, 0, v),
         "os.sched_getaffinity": lambda v: os.sched_setaffinity(0, v), "threads of NumPy's library": blas.set_threads,
         "torch.get_num_threads": lambda v: torch.set_num_threads(v), "torch.get_float32_matmul_precision": lambda v:
         torch.set_float32_matmul_precision(v), "torch.are_deterministic_algorithms_enabled": lambda v: torch.use_deterministic_algorithms(v),
         "torch.get_default_dtype": lambda v: torch.set_default_dtype(v), "torch.is_grad_enabled": lambda v: torch.set_grad_enabled(v)}[key](value)
