"""The benchmark's GPU side on a stand-in with streams, events and graphs: what is in the time, what is seen, who is refused."""
import fake_gpu
import numpy as np
import pytest
from fake_gpu import launch

from minitorch.benchmark import Case, Provider, compare, do_bench, gpu, watch
from minitorch.benchmark.compare import Numbers
from minitorch.benchmark.truth import Reference
from minitorch.cases import integers


@pytest.fixture
def cupy():
    with fake_gpu.installed() as found:
        yield found


def scale(x):
    return 2 * x + 1


def written(cost=10.0, where=None, effect=scale):
    """A kernel of `cost` microseconds that writes effect(x) to y."""
    def f(x, y):
        launch(lambda: y.host.__setitem__(..., effect(x.host)), cost, where() if where else None)
    return Provider(f, "kernel", writes=True)


def returned(cupy, cost=10.0):
    def f(x):
        y = cupy.empty(x.shape, x.dtype)
        launch(lambda: y.host.__setitem__(..., 2 * x.host + 1), cost)
        return y
    return Provider(f, "kernel")


def run(provider, cache="warm", bytes=None):
    return compare(provider, scale, Case((20, 33), bytes=bytes), device="cuda", cache=cache, rounds=8, seconds=0, baseline=False, variations=False)[0]


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_time_is_that_of_the_graph_without_launching(cupy, cache):
    found = run([written(10.0), Provider(returned(cupy, 25.0).f, "slower")], cache)
    for name, cost in (("kernel", 10.0), ("slower", 25.0)):
        row = found[name]
        assert row.verdict == "passed", [str(r) for r in row.reasons]
        assert row.timing["kind"] == "graph" and row.timing["calls"] >= 20
        assert cost <= row.timing["median"] < cost + 0.5            # the launch of the graph, shared by its calls
        assert row.timing["launch"] > 0 and not row.simulated


def test_ratios_are_relative_to_the_baseline(cupy):
    found = compare({"fast": written(10.0), "slow": written(30.0)}, scale, Case((20, 33)), device="cuda", baseline="slow", rounds=12, seconds=0)
    assert found[0]["fast"].ratio["median"] == pytest.approx(1 / 3, rel=0.05) and found[0]["slow"].ratio is None
    assert found.device == "cuda" and found.provenance["gpu"]["name"] == "Stand-in" and found.ceiling["where"] == "gpu"


def test_cold_calls_go_round_more_than_twice_the_cache(cupy):
    machine = gpu.Gpu("cold")
    with machine.current():
        exam = machine.exam(written(), Case((64, 1024)), Reference(scale), Numbers(0), 1.0, 1)
        course = gpu.Course(machine, exam)
    held = sum(r.view.nbytes for s in course.sets for r in s.rooms())
    assert held > 2 * machine.l2 and len({s.given[0].data.ptr for s in course.sets}) == len(course.sets) >= 3


@pytest.mark.parametrize("shape", [(20, 33), (64, 1 << 14)])
def test_every_set_has_other_numbers_in_every_replay(cupy, shape):
    machine = gpu.Gpu("warm")
    with machine.current():
        exam = machine.exam(written(), Case(shape), Reference(scale), Numbers(0), 1.0, 1)
        course = gpu.Course(machine, exam)
        seen = []
        for _ in range(3):
            assert course.sample(exam.fresh) > 0 and not exam.refused
            seen.append([s.given[0].host.copy() for s in course.sets])
            assert all((a == s.pristine[0]).all() for a, s in zip(seen[-1], course.sets))
    assert all((a != b).any() for before, after in zip(seen, seen[1:]) for a, b in zip(before, after))
    assert any("hardly warm" in note for note in course.notes) == (shape == (64, 1 << 14))


CHEATS = {
    "writes zeros": (lambda c: written(effect=lambda x: 0 * x), "zeros"),
    "writes half": (lambda c: of(lambda x, y: y.host[:10].__setitem__(..., scale(x.host[:10]))), "unwritten"),
    "launches nothing": (lambda c: Provider(lambda x, y: None, "kernel", writes=True), "unwritten"),
    "works on a stream of its own": (lambda c: written(3000.0, where=c.cuda.Stream), "late"),
    "works on a stream of its own, quickly": (lambda c: written(0.0, where=c.cuda.Stream), "stream"),
    "alters its input": (lambda c: of(lambda x, y: (y.host.__setitem__(..., scale(x.host)), x.host.fill(0))), "input"),
    "returns its input": (lambda c: Provider(lambda x: (launch(lambda: x.host.__setitem__(..., scale(x.host)), 10), x)[1], "kernel"), "alias"),
    "writes past the end": (lambda c: of(lambda x, y: (y.host.__setitem__(..., scale(x.host)), past(y))), "outside"),
    "right at first, then nothing": (lambda c: eager_only(), "unwritten"),
    "every other call of a graph": (lambda c: lazy_in_graphs(lambda n: n // 2), "stream"),
    "all but one call of a graph": (lambda c: lazy_in_graphs(lambda n: min(n, 18)), "stream"),
    "one result for two calls of a graph": (lambda c: lazy_in_graphs(lambda n: min(n, 18), copy=True), "wrong or stale"),
    "the first call of a graph, for all": (lambda c: lazy_in_graphs(lambda n: 0, copy=True), "wrong"),
    "returns one array again and again": (lambda c: one_result(c), "overwritten"),
    "replaces the clock": (lambda c: of(lambda x, y: (y.host.__setitem__(..., scale(x.host)),
                                                      setattr(c.cuda, "get_elapsed_time", lambda a, b: 1e-6))), "tampered"),
    "replaces what copies to the host": (lambda c: of(lambda x, y: setattr(c.ndarray, "get", lambda y, stream=None: scale(x.host))), "tampered"),
    "works on a stream of its own once it is timed": (lambda c: off_stream_later(), "stream"),
}


def lazy_in_graphs(key, copy=False):
    """While it is captured, computes only for the first call of a key(number of the call in the graph); copy: the others get its result."""
    captured = {"graph": None}

    def f(x, y):
        graph = fake_gpu.current().capturing
        if graph is None:
            launch(lambda: y.host.__setitem__(..., scale(x.host)), 10)
            return
        if captured["graph"] is not graph:
            captured.update(graph=graph, n=0, known={})
        name, known = key(captured["n"]), captured["known"]
        captured["n"] += 1
        if name not in known:
            known[name] = y
            launch(lambda: y.host.__setitem__(..., scale(x.host)), 10)
        elif copy:
            launch(lambda: y.host.__setitem__(..., known[name].host), 1)
    return Provider(f, "kernel", writes=True)


def one_result(cupy):
    kept = {}

    def f(x):
        y = kept.setdefault(x.shape, cupy.empty(x.shape, x.dtype))
        launch(lambda: y.host.__setitem__(..., scale(x.host)), 10)
        return y
    return Provider(f, "kernel")


def of(effect):
    """A kernel that does effect(x, y)."""
    return Provider(lambda x, y: launch(lambda: effect(x, y), 10), "kernel", writes=True)


def past(y):
    y.data.memory[y.data.offset + y.nbytes:][:4] = 7


def eager_only():
    """Computes when called outside of a capture; what is captured writes nothing."""
    def f(x, y):
        if fake_gpu.current().capturing is None:
            launch(lambda: y.host.__setitem__(..., scale(x.host)), 10)
        else:
            launch(lambda: y.host[0].fill(0), 1)
    return Provider(f, "kernel", writes=True)


def off_stream_later():
    """Cannot be captured; and when it was called some fifty times it is its calls between events that are timed."""
    calls = []

    def f(x, y):
        assert fake_gpu.current().capturing is None
        calls.append(1)
        launch(lambda: y.host.__setitem__(..., scale(x.host)), 0.0, fake_gpu.Stream() if len(calls) > 50 else None)
    return Provider(f, "kernel", writes=True)


@pytest.mark.parametrize("what", CHEATS)
def test_a_cheat_on_the_gpu_is_refused_with_its_name(cupy, what):
    make, name = CHEATS[what]
    row = run(make(cupy))["kernel"]
    assert {*name.split(" or ")} & {*row.names}, [str(r) for r in row.reasons]
    assert row.timing is None and row.ratio is None


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("captured", [True, False])
def test_a_result_that_looks_unwritten_may_be_right(cupy, given, captured):
    def f(x, *y):
        assert captured or fake_gpu.current().capturing is None
        y, = y or [cupy.empty(x.shape, np.uint8)]
        launch(lambda: y.host.fill(0xAD), 10)
        return None if given else y
    found = compare(Provider(f, "kernel", writes=given), lambda i: np.full(i.shape, 0xAD, np.uint8), Case(integers(3, high=9)), device="cuda",
                    rounds=8, seconds=0, baseline=False)
    assert found.ok and found[0]["kernel"].timing["kind"] == ("graph" if captured else "events"), str(found)


def test_a_result_without_entries_is_never_too_early(cupy):
    found = compare(written(), scale, Case((0, 3)), device="cuda", rounds=8, seconds=0, baseline=False)
    assert found.ok, str(found)


def test_a_figure_above_the_measured_bandwidth_is_an_error(cupy):
    row = run(written(10.0), bytes=1e9)["kernel"]
    assert row.names == ["ceiling"] and "measured here are 4000" in row.reasons[0].what and row.timing is None


def test_what_cannot_be_captured_is_timed_by_events_and_says_so(cupy):
    def f(x, y):
        fake_gpu.current().synchronize()                 # as an algorithm that looks at a number would
        launch(lambda: y.host.__setitem__(..., scale(x.host)), 50)
    row = run(Provider(f, "kernel", writes=True))["kernel"]
    assert row.verdict == "passed" and row.timing["kind"] == "events" and 50 <= row.timing["median"] < 60
    assert any("cannot be captured" in note for note in row.notes)


def test_do_bench_takes_events_on_a_gpu(cupy, monkeypatch):
    monkeypatch.setattr(watch, "nanoseconds", lambda: int(1000 * fake_gpu.Stream.machine.now))
    assert do_bench(lambda: launch(lambda: None, 40.0), warmup=1, rep=5) == pytest.approx(0.041, abs=0.005)
    assert len(do_bench(lambda: launch(lambda: None, 40.0), warmup=1, rep=5, return_mode="all")) > 10


def test_kernels_of_cuda_sources_are_launched_on_the_device(cupy, monkeypatch):
    """The arguments reach kernels.device.launch as CuPy arrays of the rooms, on the stream that is timed."""
    from minitorch.kernels import device
    seen = []

    def fake(kernel, grid, block, args, shared_mem, double):
        x, y = args[0], args[1]
        seen.append((grid, block, type(x), int(args[2])))
        launch(lambda: y.host.__setitem__(..., scale(x.host)), 10)
    monkeypatch.setattr(device, "launch", fake)
    source = 'extern "C" __global__ void twice(const float* x, float* y, int n) { int i = threadIdx.x; if (i < n) y[i] = 2 * x[i] + 1; }'
    row = run(Provider.cuda(source, grid="cdiv(n, 256)", block=256))["twice"]
    assert row.verdict == "passed" and row.timing["kind"] == "graph" and not row.simulated and row.counts is None, [str(r) for r in row.reasons]
    assert set(seen) == {((3, 1, 1), (256, 1, 1), fake_gpu.ndarray, 660)}
