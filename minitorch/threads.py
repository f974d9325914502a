"""A few threads for work on large arrays.

    run(part, n, *args)              # part(start, stop, *args) for pieces of range(n), side by side

NumPy's functions and compiled loops let go of the interpreter while they work, so pieces of a large array keep several
processors busy.  Handing work over costs 30 to 100 microseconds: `least` says how much of range(n) is worth that.
The threads start when they are first needed, and start anew in a forked process.  Who waits for work, or for its end, does so
awake for a while (awake.py): that costs 10 to 30 microseconds, parts of Python included.
"""
import contextlib
import contextvars
import ctypes
import os
import threading

from .awake import Box

count = None                                         # of threads, the caller's own among them; None: not asked for yet
helpers = []                                         # the threads that wait for work
here = threading.local()                             # .helping: in a part of divided work, which is not divided again
lock = threading.Lock()
boxes = []                                           # for answers, that nobody uses


def get_num_threads():
    """How many threads share the work on a large array: at first OMP_NUM_THREADS, or the number of processors."""
    global count
    if count is None:
        asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
        count = max(1, int(asked)) if asked.isdigit() else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count


def set_num_threads(n):
    """Share the work on large arrays among n threads; NumPy's library of linear algebra is told as well, where it can be."""
    from . import blas
    global count
    count = n
    blas.set_threads(n)


def pieces(n, least):
    """range(n) as (start, stop) pairs of nearly one size, at least `least` each and no more than there are threads."""
    parts = 1 if getattr(here, "helping", False) else max(1, min(get_num_threads(), n // max(1, least)))
    return [(i * n // parts, (i + 1) * n // parts) for i in range(parts)]


def run(part, n, *args, least=1):
    """part(start, stop, *args) for pieces of range(n) side by side, the last one in this thread; returns when all are done.

    An exception in any of them is raised here.
    """
    *others, own = pieces(n, least)
    if not others:
        part(*own, *args)
        return
    with lock:
        while len(helpers) < len(others):
            helpers.append(Helper(len(helpers) + 1))
        mine, some, jobs = processor(), helpers[:len(others)], []
        done = boxes.pop() if boxes else Box()
    for helper, (start, stop) in zip(some, others):
        if helper.apart_from != mine:
            helper.keep_apart(mine)
        jobs.append((done, contextvars.copy_context(), part, start, stop, args))
    for helper, job in zip(some, jobs):
        helper.todo.put(job)
    before, here.helping = getattr(here, "helping", False), True
    failure = attempt(part, *own, args)
    here.helping = before
    for _ in jobs:
        failure = done.get() or failure
    boxes.append(done)
    if failure is not None:
        raise failure


def beside(first, second):
    """first(put), and in a helper where there is one second(item) for each item that it puts, one after the other."""
    ready = Box()

    def part(start, stop):
        if stop == 2:                                # in this thread: one that waits for a helper is woken on the helper's own processor
            try:
                first(ready.put)
            finally:
                ready.put(None)
        if start == 0:
            while (item := ready.get()) is not None:
                second(item)
    run(part, 2)


class Helper:
    """A thread that waits for work, on other processors than the one that gives it.

    Left alone, a system of few processors may wake it for good on that very one: the two would take turns there, beside an idle one.
    """

    def __init__(self, number):
        self.todo, self.apart_from = Box(), None
        thread = threading.Thread(target=work, args=(self.todo,), daemon=True, name=f"minitorch-{number}")
        thread.start()
        self.id = thread.native_id

    def keep_apart(self, processor):
        self.apart_from = processor
        if others := os.sched_getaffinity(0) - {processor}:
            with contextlib.suppress(OSError):       # the system's to refuse
                os.sched_setaffinity(self.id, others)


def which_processor():
    """A function that gives the number of the processor that its thread runs on; None where nobody knows."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError, AttributeError, TypeError):
            return ctypes.PyDLL(None).sched_getcpu
    return lambda: None


processor = which_processor()


def attempt(part, start, stop, args):
    """None, or the exception that part(start, stop, *args) raised."""
    try:
        part(start, stop, *args)
    except BaseException as error:  # noqa: BLE001  (raised again where the work was given)
        return error
    return None


def work(todo):
    """A helper's life."""
    here.helping = True
    while True:
        done, context, part, start, stop, args = todo.get()
        failure = context.run(attempt, part, start, stop, args)            # NumPy's errstate is in it
        del context, part, args                               # what was worked on does not live until the next piece
        done.put(failure)


def forget():
    """In a forked process the helpers of the other one do not run."""
    global lock
    helpers.clear()
    lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
