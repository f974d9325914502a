"""Examination and time on a GPU, through CuPy, PyTorch's and Triton's kernels included: they get tensors over the same memory.

Time is between two events around one replay of a CUDA graph of at least 20 calls, in rounds in which every contender has its turn:
launching is in no sample and is told apart.  Cold: the calls go round over sets of buffers of more than twice the L2 cache, which is
written over before each sample, lines that were asked to persist included.  Warm: over one set.  Where a provider cannot be captured,
events around single calls take the place of the graph, and the row says so.

Before every replay the outputs are poisoned and one set, chosen then, gets new numbers; after it that set is judged.
"""
import contextlib
import ctypes
import sys

import numpy as np

from .. import backend
from . import watch
from .call import Call
from .ceiling import Ceiling
from .compare import LEAST, MOST, Host
from .exam import Exam, described
from .interval import summary
from .judge import Reason
from .providers import received_one

CALLS = 20                                           # in a graph at least
FLUSH = 256 << 20                                    # bytes: more than any L2 cache
SETS = 64                                            # of buffers at most
LAUNCHES = 30                                        # for the cost of launching


class Gpu(Host):
    """Examines and times on CuPy's current device; RuntimeError without CuPy or a GPU."""

    def __init__(self, cache):
        self.cupy = backend.load_cupy()
        self.cache, self.ceiling = cache, None
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
        return measure(self)

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
        self.courses = courses
        return samples

    def check_stream(self, exam, times=3):
        """Refuse work on another stream: with ours held up, nothing may be done yet when the call returns.

        Several times, because memory that was used before may hold a small result by chance.
        """
        if all(self.early(exam) for _ in range(times)) and not exam.refused:
            exam.add(Reason("stream", "before", "its result was there while the stream that is timed was still held up"))

    def early(self, exam):
        """Whether the result of a call was there before the stream that is timed could begin."""
        call, gate = exam.make(), self.cupy.cuda.Event()
        self.cupy.cuda.Device().synchronize()
        for _ in range(20):
            self.room.fill(0)
        gate.record(self.stream)
        try:
            raw = call.provider.call(call.given, exam.case.params)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            exam.add(Reason("raised", "before", described(error)))
            return False
        early = call.peek(raw)
        waiting = not gate.done
        call.keep(raw)
        return waiting and early is not None and all(a.tobytes() == b.tobytes() for a, b in zip(early, call.kept))

    def finish(self, exam, samples, numbers, watching):
        exam.after()
        self.tampered(exam, watching, "after")

    def row(self, name, exam, samples, base, base_exam, work, confidence):
        row = super().row(name, exam, samples, base, base_exam, work, confidence)
        if row.timing:
            course = self.courses[name]
            row.timing |= {"kind": course.kind, "calls": len(course.calls), "launch": course.launch}
            row.notes += course.notes
        return row


class Course:
    """A provider's sets of buffers, and the graph of calls over them."""

    def __init__(self, gpu, exam):
        self.gpu, self.exam, self.notes, self.kind = gpu, exam, [], "graph"
        first = exam.make()
        each = max(1, sum(r.view.nbytes for r in first.rooms()))
        count = min(SETS, max(3, 2 * gpu.l2 // each + 1)) if gpu.cache == "cold" else 1      # all of them used once a replay are cold as well
        self.sets = [first, *(exam.make() for _ in range(count - 1))]
        self.calls = [c for _ in range(-(-CALLS // count)) for c in self.sets]
        self.launch = self.cost()
        self.graph, self.raw = gpu.captured(self.calls, exam.case.params)
        if self.graph is None:
            self.kind = "events"
            self.notes.append(f"cannot be captured in a graph, so launching is counted in its time: {self.raw}")

    def cost(self):
        """Microseconds that a call takes of the host when nothing waits: launching, and Python."""
        found = []
        for _ in range(LAUNCHES):
            self.gpu.stream.synchronize()
            start = watch.nanoseconds()
            self.exam.provider.call(self.sets[0].given, self.exam.case.params)
            found.append((watch.nanoseconds() - start) / 1e3)
        return summary(found)["median"]

    def sample(self, numbers):
        """Milliseconds per call of one replay, with one set on new numbers and judged; Reasons go to the exam."""
        gpu, exam, params = self.gpu, self.exam, self.exam.case.params
        chosen = int(numbers.order.integers(len(self.sets)))
        self.sets[chosen].renew(exam.case.draw(np.random.default_rng(numbers())))
        for s in self.sets:
            s.poison()
        if self.graph is not None:
            for y in self.raw[chosen::len(self.sets)]:
                poison_results(y)
        if gpu.cache == "cold":
            gpu.clear()
        if self.graph is not None:
            spent = gpu.elapsed(lambda: self.graph.launch(gpu.stream)) / len(self.calls)
            raw = self.raw[len(self.calls) - len(self.sets) + chosen]
        else:
            try:
                found = []
                spent = gpu.elapsed(lambda: found.append(exam.provider.call(self.sets[chosen].given, params)))
                raw = found[0]
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                exam.add(Reason("raised", "during", described(error)))
                return 0.0
        self.sets[chosen].keep(raw)
        if self.graph is not None and self.sets[chosen].untouched():
            exam.add(Reason("stream", "during", "nothing of it is in the graph: its work goes to another stream than the one that is timed"))
        else:
            exam.add(*exam.check(self.sets[chosen], "during", probes=1))
        return spent


class DeviceCall(Call):
    """A Call whose rooms lie on the GPU; the host's rooms hold their bytes as they were fetched last."""

    def __init__(self, gpu, provider, case, pristine, like, *args, **kwargs):
        self.gpu = gpu
        super().__init__(provider, case, pristine, like, *args, **kwargs)

    def arrays(self):
        """The arrays as the provider's library has them, over memory of the GPU."""
        cupy = self.gpu.cupy
        self.raws, views = {}, []
        for room in (*self.inputs, *self.outputs):
            if not hasattr(room, "raw"):
                views.append(room)
                continue
            raw = self.raws[id(room)] = cupy.asarray(room.raw)
            view = cupy.ndarray(room.view.shape, room.view.dtype, raw.data + room.offset(), room.view.strides)
            views.append(handed_device(view, self.provider.library))
        return views

    def keep(self, raw):
        """Copies of the results, once the stream that is timed is done, and no other."""
        self.results = None if self.provider.writes else listed(raw)
        self.gpu.stream.synchronize()
        self.kept = [np.array(y) for y in self.fetched()]
        self.found = self.kept

    def fetched(self):
        for room in self.rooms():
            room.raw[:] = self.raws[id(room)].get()
        return [r.view for r in self.outputs] if self.provider.writes else [received_one(y) for y in self.results]

    def peek(self, raw):
        """The results as they are now, read on a stream of their own; None where they cannot be."""
        cupy = self.gpu.cupy
        other = cupy.cuda.Stream(non_blocking=True)
        found = [self.raws[id(r)] for r in self.outputs] if self.provider.writes else [as_cupy(cupy, y) for y in listed(raw)]
        if any(y is None for y in found):
            return None
        found = [y.get(stream=other) for y in found]
        other.synchronize()
        if not self.provider.writes:
            return found
        return [np.ndarray(r.view.shape, r.view.dtype, np.ascontiguousarray(y), r.offset(), r.view.strides) for r, y in zip(self.outputs, found)]

    def changed(self, patience=0.0):
        self.gpu.cupy.cuda.Device().synchronize()
        now = self.fetched()
        return any(a.shape != b.shape or a.tobytes() != b.tobytes() for a, b in zip(now, self.kept))

    def misdeeds(self, when):
        found = super().misdeeds(when)
        if not self.provider.writes:
            spans = [(self.raws[id(r)].data.ptr, self.raws[id(r)].nbytes) for r in self.inputs if hasattr(r, "raw")]
            for i, y in enumerate(self.results):
                at = pointer(y)
                if at is not None and any(start <= at < start + size for start, size in spans):
                    found.append(Reason("alias", when, f"result {i} is memory of an input"))
        return found

    def renew(self, pristine):
        """New numbers in the same memory."""
        self.pristine = pristine
        for room, a in zip(self.inputs, pristine):
            if hasattr(room, "raw"):
                room.raw[:] = room.image
                room.view[...] = a
                room.pristine, room.image = a, room.raw.copy()
                self.raws[id(room)].set(room.raw)

    def poison(self):
        for room in self.outputs:
            self.raws[id(room)].set(room.image)

    def untouched(self):
        """Whether outputs still hold only poison."""
        return bool(self.outputs) and all(r.view.size and r.unwritten() == r.view.size for r in self.outputs) or \
            not self.outputs and bool(self.kept) and all(y.size and (np.ascontiguousarray(y).view(np.uint8) == 0xAD).all() for y in self.kept)

    def spoil(self):
        return None


def listed(raw):
    return list(raw) if type(raw) in (tuple, list) else [raw]


def pointer(y):
    """The address of an array on a GPU; None for others."""
    if type(y) in backend.MODULES and hasattr(y, "data") and hasattr(y.data, "ptr"):
        return y.data.ptr
    return y.data_ptr() if hasattr(y, "data_ptr") else None


def handed_device(a, library):
    """A CuPy array as an array of `library` over the same memory, by DLPack."""
    if library in (None, "cupy"):
        return a
    if library == "torch":
        import torch
        if a.dtype.name == "bfloat16":               # DLPack has it, and not every version of both libraries
            return torch.from_dlpack(a.view(np.int16)).view(torch.bfloat16)
        return torch.from_dlpack(a)
    if library == "minitorch":
        from ..tensor import wrap
        return wrap(a)
    raise ValueError(f"arrays of {library} are not on a GPU: library must be cupy, torch or minitorch")


def as_cupy(cupy, y):
    """An array on the GPU as CuPy's, over the same memory; None where it is none."""
    if type(y) in backend.MODULES and pointer(y) is not None:
        return y
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(y, torch.Tensor) and y.is_cuda:
        y = y.detach()
        if y.dtype is torch.bfloat16:
            import ml_dtypes
            return cupy.from_dlpack(y.view(torch.int16)).view(ml_dtypes.bfloat16)
        return cupy.from_dlpack(y)
    return None


def poison_results(raw):
    """Overwrite results of a captured graph with bytes that no result has; they are written anew by the next replay."""
    for y in listed(raw):
        if type(y) in backend.MODULES and y.size and y.flags.c_contiguous:
            y.reshape(-1).view(np.uint8).fill(0xAD)
        elif hasattr(y, "data_ptr") and y.numel() and y.is_contiguous():
            torch = sys.modules["torch"]
            y.detach().view(-1).view(torch.uint8).fill_(0xAD)


# ---- the ceiling -----------------------------------------------------------------------------------------------------------

def measure(gpu):
    """The Ceiling of this GPU: copies beyond and within L2, and CuPy's matrix products, which are cuBLAS's."""
    cupy = gpu.cupy

    def best(work, amount, repeat=10, tries=7):
        def repeated():
            for _ in range(repeat):
                work()
        work()
        return amount * repeat / (min(gpu.elapsed(repeated) for _ in range(tries)) * 1e-3)

    def copies(size):
        a, b = cupy.zeros(size // 4, np.float32), cupy.empty(size // 4, np.float32)
        return best(lambda: cupy.copyto(b, a), 2 * size)

    def products(n, dtype):
        a, b, c = (cupy.ones((n, n), dtype) for _ in range(3))
        return best(lambda: cupy.matmul(a, b, out=c), 2 * n**3)
    bandwidth, cached = copies(2 * gpu.room.nbytes), copies(max(1 << 20, gpu.l2 // 4))
    flops = {"float64": products(2048, np.float64), "float32": products(4096, np.float32), "float16": products(8192, np.float16)}
    flops["bfloat16"] = flops["tf32"] = flops["float16"]                  # TF32 has half of it: no contender reaches more
    flops["float32"] = max(flops["float32"], flops["float16"] / 6)        # three products in TF32 give float32's precision
    return Ceiling("gpu", bandwidth, max(bandwidth, cached), flops)
