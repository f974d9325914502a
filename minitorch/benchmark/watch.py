"""Has somebody replaced the clock, NumPy, or a part of this harness?  And does anybody work while nobody was called?

    with Watch() as watch:
        ...
        watch.changes()              # ["time.perf_counter"]: what was replaced since; it is put back
"""
import builtins
import contextlib
import gc
import os
import sys
import threading
import time
import types

import numpy as np

# Bound here, before any provider is called: the harness itself reads time only through these.
nanoseconds = time.perf_counter_ns
processor = time.process_time
own_thread = time.thread_time
pause = time.sleep
second = getattr(time, "clock_gettime_ns", None)
RAW = getattr(time, "CLOCK_MONOTONIC_RAW", getattr(time, "CLOCK_MONOTONIC", None))
CLOCKED = (time, np, np.linalg, np.random)
MODULES = (time, np, np.linalg, np.random, gc, threading, os, sys)
IDLE, LOOK = 0.25, 0.08                              # seconds: thread pools spin for some time after a call, then sleep
BUSY = 0.04                                          # share of a processor above which a thread counts as working


def second_clock():
    """Nanoseconds of another clock than the one that times, where there is one."""
    return second(RAW) if second else nanoseconds()


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


class Watch:
    """Remembers the functions of MODULES and of this package, and of the process what would change everybody's speed."""

    def __enter__(self):
        package = __name__.rpartition(".")[0]
        ours = [m for name, m in list(sys.modules.items()) if name == package or name.startswith(package + ".")]
        self.kept = [(m, m.__name__, callables(m)) for m in (*MODULES, *ours)]
        self.kept.append((builtins, "builtins", {n: f for n, f in vars(builtins).items() if isinstance(f, types.BuiltinFunctionType | type)}))
        for m in ours:
            self.kept += [(c, f"{m.__name__}.{c.__name__}", {n: f for n, f in vars(c).items() if callable(f)})
                          for c in vars(m).values() if isinstance(c, type) and c.__module__ == m.__name__]
        self.process = process()
        self.collecting = gc.isenabled()
        return self

    def __exit__(self, *error):
        return None

    def changes(self):
        """The names of what was replaced or changed since; it is put back, so that the next provider is not judged by it."""
        found = []
        for owner, name, kept in self.kept:
            now = vars(owner)
            for key, f in kept.items():
                if now.get(key) is not f:
                    found.append(f"{name}.{key}")
                    setattr(owner, key, f)
        now = process()
        for key, value in self.process.items():
            if now[key] != value:
                found.append(f"{key} ({value} before, {now[key]} after)")
                restore(key, value)
        return found


def process():
    """What of the process's state changes everybody's speed or arithmetic."""
    found = {"sys.getswitchinterval": sys.getswitchinterval(), "numpy.geterr": np.geterr(), "sys.getprofile": sys.getprofile(),
             "sys.gettrace": sys.gettrace()}
    if hasattr(os, "getpriority"):
        found["os.getpriority"] = os.getpriority(os.PRIO_PROCESS, 0)
    if hasattr(os, "sched_getaffinity"):
        found["os.sched_getaffinity"] = sorted(os.sched_getaffinity(0))
    return found


def restore(key, value):
    with contextlib.suppress(OSError, ValueError):
        {"sys.getswitchinterval": sys.setswitchinterval, "numpy.geterr": lambda v: np.seterr(**v), "sys.getprofile": sys.setprofile,
         "sys.gettrace": sys.settrace, "os.getpriority": lambda v: os.setpriority(os.PRIO_PROCESS, 0, v),
         "os.sched_getaffinity": lambda v: os.sched_setaffinity(0, v)}[key](value)


def threads():
    """The threads of this process and its children, as folders of /proc; empty where the system does not tell."""
    found = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            found.add(f"/proc/self/task/{thread}")
            with contextlib.suppress(OSError):
                found |= {f"/proc/{child}" for child in first_line(f"/proc/self/task/{thread}/children").split()}
    return found


def work_of(thread):
    """Nanoseconds that a thread has run so far; 0 once it is gone."""
    try:
        return int(first_line(f"{thread}/schedstat").split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def first_line(path):
    with open(path, encoding="ascii") as file:
        return file.readline()


def works_alone(suspects, disturb=None):
    """The share of one processor that threads use while nobody is called: those of `suspects`, or where threads cannot be told apart, all others.

    disturb: called after the pools have gone to sleep, such as writing new numbers into memory that a provider knows.
    """
    pause(IDLE)
    if disturb:
        disturb()
    apart = bool(threads())
    start, used, each = nanoseconds(), processor() - own_thread(), {t: work_of(t) for t in suspects}
    pause(LOOK)
    spent = nanoseconds() - start
    if apart:
        return sum(max(0, work_of(t) - before) for t, before in each.items()) / spent
    return max(0.0, processor() - own_thread() - used) * 1e9 / spent
