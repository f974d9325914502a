"""Examination and time on a GPU, through CuPy, PyTorch's and Triton's kernels included: they get tensors over the same memory.

Time is between two events around one replay of a CUDA graph of 20 calls (fewer of large arrays), in rounds in which every contender has
its turn: launching is in no sample and is told apart.  Every call has a set of buffers of its own, so that none can leave its work to
another.  Cold: the sets are more than twice the L2 cache, which is written over before each sample, lines that were asked to persist
included.  Warm: all of them fit into half of it, where four do.  Where a provider cannot be captured, events around single calls
take the place of the graph, and the row says so.

Before every replay all outputs are poisoned and every set gets other numbers: new ones, or where that is much the numbers of another
set; after it one set of new numbers, chosen when nobody could know which, is judged, and each other one in whose result an entry looked
at by chance is still poison.  Before a set is chosen again all the others are; those that were never are judged after a last replay.
"""
import contextlib
import ctypes
import sys

import numpy as np

from .. import backend
from . import ceiling, watch
from .device_call import DeviceCall, poison_results
from .exam import Exam, described
from .host import LEAST, MOST, Host
from .interval import summary
from .judge import Reason

CALLS = 20                                           # in a graph, where so many sets of buffers fit
FLUSH = 256 << 20                                    # bytes: more than any L2 cache
SETS = 64                                            # of buffers at most
MUCH, MOST_BYTES = 16 << 20, 2 << 30                 # bytes in all sets: above which not all numbers are new, and at most
LAUNCHES = 30                                        # for the cost of launching


class Gpu(Host):
    """Examines and times on CuPy's current device; RuntimeError without CuPy or a GPU."""

    def __init__(self, cache):
        self.cupy = backend.load_cupy()
        self.cache, self.ceiling, self.courses = cache, None, {}
        self.stream = self.cupy.cuda.Stream(non_blocking=True)
        self.l2 = int(self.cupy.cuda.runtime.getDeviceProperties(self.cupy.cuda.Device().id)["l2CacheSize"])
        self.room = self.cupy.empty(max(FLUSH, 4 * self.l2), np.uint8)

    @contextlib.contextmanager
    def current(self):
        """Within this block CuPy, and PyTorch where it is loaded, launch on the stream that is timed."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.stream)
            torch = sys.modules.get("torch")
            if torch is not None and torch.cuda.is_available():
                stack.enter_context(torch.cuda.stream(torch.cuda.ExternalStream(self.stream.ptr)))
            yield

    def case(self, case, providers, reference, *args, **kwargs):
        reference.convert = self.cupy.asarray            # float64 on the device: the host would take minutes
        with self.current():
            return super().case(case, providers, reference, *args, **kwargs)

    def exam(self, *args):
        exam = Exam(*args, on_device=True)
        exam.call = lambda *args, **kw: DeviceCall(self, *args, **kw)
        return exam

    def measured_ceiling(self, anew=False):
        return ceiling.of_gpu(self)

    # ---- the stream ----------------------------------------------------------------------------------------------------

    def clear(self):
        """Write over the L2 cache, and take from it the lines that were asked to persist."""
        self.room.fill(0)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libcuda.so.1").cuCtxResetPersistingL2Cache()

    def elapsed(self, work):
        """Milliseconds on the stream between two events around work()."""
        start, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        start.record(self.stream)
        work()
        end.record(self.stream)
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(start, end)

    def captured(self, calls, params):
        """(graph, raw results of its calls), or (None, why not)."""
        self.stream.synchronize()
        self.stream.begin_capture()
        try:
            raw = [c.provider.call(c.given, params) for c in calls]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            with contextlib.suppress(Exception):         # an invalid capture ends with an error of its own
                self.stream.end_capture()
            return None, described(error)
        try:
            return self.stream.end_capture(), raw
        except Exception as error:                       # CuPy's CUDARuntimeError: something in the call may not be captured
            return None, described(error)

    # ---- rounds -----------------------------------------------------------------------------------------------------------

    def race(self, exams, case, numbers, watching, seconds, rounds):
        samples, courses = {name: [] for name in exams}, {}
        for name, exam in exams.items():
            self.check_stream(exam)
            if not exam.refused:
                courses[name] = Course(self, exam)
                self.tampered(exam, watching, "before")
        start, count = watch.nanoseconds(), 0
        while names := [n for n in courses if not exams[n].refused]:
            numbers.order.shuffle(names)
            for name in names:
                spent = courses[name].sample(numbers)
                self.tampered(exams[name], watching, "during")
                if not exams[name].refused:
                    samples[name].append(spent * 1e6)
            count += 1
            if count >= (rounds or LEAST) and (rounds or count >= MOST or watch.nanoseconds() - start >= seconds * 1e9):
                break
        for name, course in courses.items():
            if not exams[name].refused:
                course.rest(numbers)
                self.tampered(exams[name], watching, "during")
        self.courses = courses
        return samples

    def check_stream(self, exam, when="before", times=3):
        """Refuse work on another stream: with ours held up, nothing may be done yet when the call returns.

        Several times, because memory that was used before may hold a small result by chance.
        """
        if all(self.early(exam, when) for _ in range(times)) and not exam.refused:
            exam.add(Reason("stream", when, "its result was there while the stream that is timed was still held up"))

    def early(self, exam, when):
        """Whether the result of a call was there before the stream that is timed could begin."""
        call, gate = exam.make(), self.cupy.cuda.Event()
        try:
            poison_results(call.provider.call(call.given, exam.case.params))     # freed at once: where the next result may come to lie
            call.poison()
            self.cupy.cuda.Device().synchronize()
            for _ in range(20):
                self.room.fill(0)
            gate.record(self.stream)
            raw = call.provider.call(call.given, exam.case.params)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            exam.add(Reason("raised", when, described(error)))
            return False
        early = call.peek(raw)
        waiting = not gate.done
        call.keep(raw)
        there = bool(early) and all(a.tobytes() == b.tobytes() for a, b in zip(early, call.kept))
        return waiting and there and any(a.size for a in early) and not call.untouched()

    def finish(self, exam, samples, numbers, watching):
        exam.after()
        self.tampered(exam, watching, "after")

    def row(self, name, exam, samples, base, base_exam, work, confidence):
        row = super().row(name, exam, samples, base, base_exam, work, confidence)
        if row.timing:
            course = self.courses[name]
            row.timing |= {"kind": course.kind, "calls": len(course.sets) if course.kind == "graph" else 1, "launch": course.launch}
            row.notes += course.notes
        return row


class Course:
    """A provider's sets of buffers, and the graph of one call on each of them."""

    def __init__(self, gpu, exam):
        self.gpu, self.exam, self.notes, self.kind = gpu, exam, [], "graph"
        first = exam.make()
        self.bytes = max(1, sum(r.view.nbytes for r in first.rooms()))       # of one set
        self.sets = [first, *(exam.make() for _ in range(self.count() - 1))]
        if gpu.cache == "warm" and self.bytes * len(self.sets) > gpu.l2:
            self.notes.append(f"hardly warm: {len(self.sets)} calls in turn on {self.bytes * len(self.sets):,} bytes, the L2 cache has {gpu.l2:,}")
        self.launch = self.cost()
        self.left, self.judged = [], set()           # to be chosen before any again; sets that were
        self.graph, self.raw = gpu.captured(self.sets, exam.case.params)
        if self.graph is None:
            self.kind = "events"
            self.notes.append(f"cannot be captured in a graph, so launching is counted in its time: {self.raw}")

    def count(self):
        """How many sets of buffers."""
        if self.gpu.cache == "warm":
            return max(4, min(CALLS, self.gpu.l2 // 2 // self.bytes))
        return max(3, min(SETS, max(CALLS, 2 * self.gpu.l2 // self.bytes + 1), MOST_BYTES // self.bytes))

    def cost(self):
        """Microseconds that a call takes of the host when nothing waits: launching, and Python."""
        found = []
        for _ in range(LAUNCHES):
            self.gpu.stream.synchronize()
            start = watch.nanoseconds()
            self.exam.provider.call(self.sets[0].given, self.exam.case.params)
            found.append((watch.nanoseconds() - start) / 1e3)
        return summary(found)["median"]

    def choose(self, numbers):
        """A set that nobody can know beforehand."""
        self.left = self.left or list(range(len(self.sets)))
        return self.left.pop(numbers.one_of(len(self.left)))

    def renew(self, chosen, numbers):
        """Other numbers for every set: new ones for those chosen, for the others too where that is quick, else those of each other."""
        others = [s for i, s in enumerate(self.sets) if i not in chosen]
        numbers.order.shuffle(others)
        if self.bytes * len(self.sets) > MUCH:
            while len(others) > 1:
                others.pop().swap(others.pop())
        for s in (*(self.sets[i] for i in chosen), *others):
            s.renew(self.exam.case.draw(np.random.default_rng(numbers.unforeseen())))
        for s in self.sets:
            s.poison()
        for y in self.raw if self.graph is not None else ():
            poison_results(y)

    def sample(self, numbers, chosen=None):
        """Milliseconds per call of one replay, after which the chosen sets are judged, one unless said; Reasons go to the exam."""
        gpu, exam, params = self.gpu, self.exam, self.exam.case.params
        chosen = chosen or [self.choose(numbers)]
        self.renew(chosen, numbers)
        if gpu.cache == "cold":
            gpu.clear()
        try:
            if self.graph is not None:
                spent, raw = gpu.elapsed(lambda: self.graph.launch(gpu.stream)) / len(self.sets), self.raw
                doubtful = [i for i, s in enumerate(self.sets) if i not in chosen and s.looks_unwritten(raw[i], numbers.fraction())]
            else:
                raw, doubtful, sooner = {}, [], bool(numbers.one_of(2))
                if sooner:                               # when it is looked at and when timed it must not know
                    gpu.check_stream(exam, "during")
                spent = gpu.elapsed(lambda: raw.update({i: exam.provider.call(self.sets[i].given, params) for i in chosen})) / len(chosen)
            for i in (*chosen, *doubtful):
                self.sets[i].keep(raw[i])
            if self.graph is None and not sooner:
                gpu.check_stream(exam, "during")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            exam.add(Reason("raised", "during", described(error)))
            return 0.0
        for i in (*chosen, *doubtful):
            found = exam.check(self.sets[i], "during", probes=1, again=i in doubtful)
            if found and self.graph is not None and self.sets[i].untouched():
                found = [Reason("stream", "during", f"call {i + 1} of {len(self.sets)} in the graph wrote nothing: its work was done "
                                                    "before, or goes to another stream than the one that is timed")]
            exam.add(*found)
        self.judged.update(chosen)
        return spent

    def rest(self, numbers):
        """Judge what was never judged, after a replay that is in no figure."""
        if self.graph is not None and (rest := [i for i in range(len(self.sets)) if i not in self.judged]):
            self.sample(numbers, rest)
