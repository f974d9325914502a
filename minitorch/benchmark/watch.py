"""The clocks that the harness reads, bound before any provider is called; and does anybody work while nobody was called?"""
import contextlib
import os
import threading
import time

import numpy as np

nanoseconds = time.perf_counter_ns
processor = time.process_time
own_thread = time.thread_time
pause = time.sleep
second = getattr(time, "clock_gettime_ns", None)
RAW = getattr(time, "CLOCK_MONOTONIC_RAW", getattr(time, "CLOCK_MONOTONIC", None))
IDLE, LOOK = 0.25, 0.08                              # seconds: thread pools spin for some time after a call, then sleep
BUSY = 0.04                                          # share of a processor above which a thread that a provider started counts as working
STRANGE = 0.25                                       # the same of threads that were there before: some of them are nobody's here


def second_clock():
    """Nanoseconds of another clock than the one that times, where there is one."""
    return second(RAW) if second else nanoseconds()


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
    """Nanoseconds that a thread has run so far, and that it has waited for a processor; 0 once it is gone."""
    try:
        ran, waited, *_ = first_line(f"{thread}/schedstat").split()
        return np.array([int(ran), int(waited)])
    except (OSError, ValueError):
        return np.zeros(2, int)


def worked(work, spent):
    """How much of the time in which it could a thread has worked: where others have the processors, it waits and is no less busy for it."""
    ran, waited = work
    return float(ran / max(spent - waited, spent / 8))


def first_line(path):
    with open(path, encoding="ascii") as file:
        return file.readline()


def this_thread():
    return f"/proc/self/task/{threading.get_native_id()}"


def active(known, since):
    """The threads of `known`, {thread: its work at that time}, that have worked since by more than chance, this one left out."""
    spent = nanoseconds() - since
    return {t for t, before in known.items() if t != this_thread() and worked(work_of(t) - before, spent) > BUSY}


def works_alone(suspects, disturb=None, other=None):
    """{thread: share of one processor} that threads use while nobody is called; {None: share} of all others where they cannot be told apart.

    disturb: called after the pools have gone to sleep, such as writing new numbers into memory that a provider knows.
    other: called again and again in a second look, such as timing somebody else.
    """
    pause(IDLE)
    if disturb:
        disturb()
    apart, found = bool(threads()), {}
    for meanwhile in (None, other) if other else (None,):
        start, used, each = nanoseconds(), processor() - own_thread(), {t: work_of(t) for t in suspects}
        if meanwhile is None:
            pause(LOOK)
        while meanwhile and nanoseconds() - start < LOOK * 1e9:
            meanwhile()
        spent = nanoseconds() - start
        now = {t: worked(work_of(t) - before, spent) for t, before in each.items()} if apart else {
            None: (processor() - own_thread() - used) * 1e9 / spent}
        found = {t: max(share, found.get(t, 0.0)) for t, share in now.items()}
    return found
