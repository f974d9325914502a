"""minitorch.benchmark: cheats are refused by name, honest kernels are not, and what it says can be kept and read again."""
import gc
import itertools
import re
import subprocess
import sys
import time
import types

import cheats
import honest
import numpy as np
import pytest

from minitorch import benchmark
from minitorch.benchmark import REASONS, Case, Provider, clock, compare, watch
from minitorch.benchmark.compare import Numbers
from minitorch.benchmark.exam import REPEATS, Exam
from minitorch.benchmark.host import Host
from minitorch.benchmark.judge import stretch
from minitorch.benchmark.providers import evaluate
from minitorch.benchmark.truth import Reference, ulps
from minitorch.benchmark.work import typical_error
from minitorch.cases import integers, positive

AXPY = """
extern "C" __global__ void axpy(const float* x, const float* y, float* z, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) z[i] = 2.f * x[i] + y[i];
}
"""


def run(provider, reference=cheats.reference, case=None, **kwargs):
    """A short comparison of one provider: its row."""
    given = {"rounds": 8, "seconds": 0, "baseline": False, **kwargs}
    return compare({"it": provider}, reference, case or cheats.host_case(), **given)[0]["it"]


# ---- teeth ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", cheats.HOST)
def test_a_cheat_is_refused_with_its_name(name):
    cheat = cheats.HOST[name]
    with cheats.undone(cheat.make()) as provider:
        row = run(provider, cheat.reference, cheat.case(), rounds=cheat.rounds)
    assert cheat.named(row.names), f"{cheat.what}: {[str(r) for r in row.reasons]}"
    assert row.timing is None and row.ratio is None and not row.samples
    assert time.perf_counter.__module__ == "time" and gc.isenabled() and np.tanh(0.5) > 0.4
    assert not run(cheats.honest, variations=False).reasons               # whatever it did is undone


@pytest.mark.parametrize("name", cheats.DEVICE)
def test_a_cheat_in_cuda_is_refused_with_its_name(name):
    cheat = cheats.DEVICE[name]
    row = run(cheat.make(), cheat.reference, cheat.case())
    assert cheat.named(row.names), f"{cheat.what}: {[str(r) for r in row.reasons]}"


def test_there_are_cheats_of_many_kinds():
    named = {n for c in cheats.CHEATS.values() for n in c.names.split(", ")}
    assert len(cheats.CHEATS) >= 80 and named <= set(REASONS) and len(named) >= 20


@pytest.mark.parametrize("name", honest.HONEST)
def test_an_honest_kernel_is_not_refused(name):
    providers, reference, cases = honest.HONEST[name]
    found = compare(providers(), reference, cases(), rounds=8, seconds=0)
    assert found.ok, str(found)
    assert all(row.simulated or row.timing for case in found.cases for row in case.rows)


def test_one_cheat_does_not_taint_the_others():
    found = compare({"patcher": cheats.patched_numpy(), "zeros": cheats.zeros(), "right": cheats.honest}, cheats.reference, cheats.host_case(),
                    rounds=8, seconds=0)
    assert [row.verdict for row in found[0].rows] == ["refused", "refused", "passed", "passed"] and found[0]["right"].ratio


def test_nothing_is_compared_with_a_clock_or_numpy_replaced_before(monkeypatch):
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    monkeypatch.setattr(np, "tanh", lambda x: x)
    with pytest.raises(RuntimeError, match="time.perf_counter_ns, numpy.tanh: replaced before"):
        run(cheats.honest)


def test_work_of_the_users_own_beside_it_is_said_and_is_nobodys_fault():
    end = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        found = compare({"it": cheats.honest}, cheats.reference, cheats.host_case(), rounds=8, seconds=0, variations=False)
    finally:
        end.kill()
        end.wait()
    assert found.ok and found.provenance["busy_threads"] >= 1 and "busy threads or processes of its own" in str(found)


def test_one_call_that_does_the_work_of_its_group_is_told_from_a_slow_first_one():
    assert clock.uneven([[90, 1, 1, 1], [95, 1, 2, 1]]) == (0, pytest.approx(92.5 / 96, rel=0.01))
    assert clock.uneven([[1, 1, 1, 60]])[0] == 3 and clock.uneven([[30, 1]])[0] == 0
    for honest_ in ([[12, 5, 4.7]], [[7, 2, 2, 2]], [[5, 5]], [[50]], [[9, 3, 3, 3], [1, 30, 1, 1], [4, 3, 3, 3]]):
        assert clock.uneven(honest_) is None


def test_two_clocks_agree_though_the_system_paused_between_their_readings():
    honest_ = [(100e3 + 900 * i, 100e3 + 900 * i + 300) for i in range(8)]
    paused = [(one, other + (400e3 if i in (0, 3, 4) else 0)) for i, (one, other) in enumerate(honest_)]
    assert clock.clocks_disagree(honest_) is None and clock.clocks_disagree(paused) is None
    slowed = [(0.5 * one if i % 2 else one, other) for i, (one, other) in enumerate(honest_)]      # every other sample
    assert clock.clocks_disagree(slowed) is not None


def test_the_yardstick_of_a_single_number_does_not_hang_on_one_draw():
    x = np.random.default_rng(12345).standard_normal(4096)
    yards = [float(Reference(np.sum).truth([x - x.mean()], {}, seed, probes=1).yards[0]) for seed in range(200)]
    assert min(yards) > 0.2 * 64 and max(yards) < 2.5 * 64


@pytest.mark.parametrize("f", [lambda x, w: np.tanh(x @ w), lambda x, w: 1 / (x @ w)], ids=["tanh", "inverse"])
def test_no_refusal_rests_on_a_yardstick_that_is_short_by_chance(f):
    """The moves that one probe gives are now and then a hundredth of what they usually are."""
    case, numbers = Case((20, 30), (30, 20)), Numbers(0)
    reference = Reference(f)
    exam = Exam(Provider(f), case, reference, numbers, typical_error(reference, case, numbers), 400)
    for _ in range(400):
        call = exam.make()
        assert exam.run(call, "during") and not exam.check(call, "during", probes=1), exam.reasons


def in_two_orders(other):
    """A sum that another order of its terms moves by one bit: where other(number of the call) says so."""
    calls = itertools.count()
    return lambda x: np.nextafter(x.sum(), np.float32(np.inf)) if other(next(calls)) else x.sum()


def test_what_reads_outside_is_told_from_what_takes_another_order_now_and_then():
    row = run(in_two_orders(lambda n: n < REPEATS), np.sum, Case((4096,)))
    assert row.verdict == "passed" and row.deterministic is False, row.reasons


def test_numbers_that_look_like_what_stood_there_before_are_judged_and_not_refused():
    def f(i, y):
        y[...] = 0xAD
    exam = Exam(Provider(f, writes=True), Case(integers(3, high=9)), Reference(lambda i: np.full(i.shape, 0xAD, np.uint8)), Numbers(0), None, 3)
    calls = [exam.make() for _ in range(4)]
    assert all(exam.run(call, "during") for call in calls)
    Host.judged(exam, calls, exam.fresh, generous=False)
    assert not exam.reasons
    exam.provider.f = lambda i, y: None
    exam.reference.f = lambda i: np.full(i.shape, 7, np.uint8)
    calls = [exam.make() for _ in range(4)]
    assert all(exam.run(call, "during") for call in calls)
    Host.judged(exam, calls, exam.fresh, generous=False)
    assert [r.name for r in exam.reasons] == ["unwritten"]


def test_a_thread_that_waits_for_a_processor_is_as_busy_as_one_that_has_it():
    assert watch.worked((80e6, 0), 80e6) == watch.worked((20e6, 60e6), 80e6) == 1.0
    assert watch.worked((0, 70e6), 80e6) == 0.0 and watch.worked((1e6, 20e6), 80e6) < watch.BUSY
    assert watch.worked((8e6, 100e6), 80e6) > watch.STRANGE          # of ten on one processor


def test_a_call_that_was_interrupted_does_not_look_like_kept_results():
    class Interrupted:
        times = iter([9e6, 30e3, 30e3, 40e3] + [9e6, 30e3] * 5)          # on new numbers, on known ones
        spent = 0

        def make(self, pristine=None):
            return types.SimpleNamespace(pristine=pristine)

        def run(self, call, when):
            self.spent = next(self.times)
            return True
    assert Host.repeated(Interrupted()) == 1.0


def test_infinity_is_right_past_the_range_of_a_type_alone():
    r, yard = np.array([1e5, -1e5, 6e4, 1e39]), np.ones(4)
    assert ulps(np.array([np.inf, -np.inf, np.inf, np.inf]), r, yard, "float16").tolist() == [0, 0, np.inf, 0]
    assert ulps(np.array([np.inf, np.inf, -np.inf, np.inf]), r, yard, "float32").tolist() == [np.inf, np.inf, np.inf, 0]


def test_a_wider_result_is_no_cheat():
    assert run(lambda x: float(x.sum()), np.sum, Case((40,))).verdict == "passed"


def test_what_it_says_of_those_that_pass():
    assert run(in_two_orders(lambda n: n % 2), np.sum, Case((4096,))).deterministic is False
    assert run(cheats.honest).deterministic is True
    row = run(honest.only_tiles, np.matmul, Case((16, 16), (16, 16)))
    assert row.limits and "multiples of 8" in row.limits[0]


def test_inputs_that_never_change_are_said_to_be_such():
    x = np.ones(30, "f4")
    assert "the same in every call" in " ".join(run(np.tanh, np.tanh, Case(x)).notes)
    assert "the same in every call" not in " ".join(run(np.multiply, np.multiply, Case(x, (30,))).notes)


def test_a_narrower_type_is_right_once_it_is_declared():
    def narrow(x, w):
        return cheats.honest(x.astype("f2"), w.astype("f2")).astype("f4")
    assert "precision" in run(narrow).names
    assert run(Provider(narrow, precision="float16")).verdict == "passed"


def test_what_is_right_by_luck_is_no_stretch_of_right_results():
    bad = np.ones((24, 40), bool)
    bad.reshape(-1)[[7, 300, 301, 640, 959]] = False                                # the last is right, and so are others here and there
    assert not stretch(bad)
    for part in (np.s_[:, 20:], np.s_[23], np.s_[:23], np.s_[4:9]):                 # unfinished columns, rows, rows amid right ones
        some = np.zeros((24, 40), bool)
        some[part] = bad[part]
        assert stretch(some), part


def test_above_the_ceiling_is_an_error():
    row = run(cheats.honest, case=Case((24, 40), (24, 40), flops=1e12))
    assert row.names == ["ceiling"] and "GFLOP/s" in row.reasons[0].what and row.timing is None


def test_errors_stand_beside_the_references_own():
    row = run(honest.one_by_one, np.matmul, Case((30, 300), (300, 20)))
    assert row.error["own"] > 0 and 0 < row.error["ulps"] < row.error["allowed"] >= 32


def test_an_error_hidden_behind_large_neighbours_is_seen():
    def softmax(x):
        y = honest.softmax_reference(x)
        return np.where(y < 1e-4, 0, y).astype(x.dtype)               # within any absolute tolerance
    row = run(softmax, honest.softmax_reference, Case((4, 3000)))
    assert row.names and row.reasons[0].when == "before"


# ---- in the simulator -------------------------------------------------------------------------------------------------------

def test_a_kernel_in_the_simulator_has_counts_and_no_time():
    row = run(Provider.cuda(AXPY, grid="(n + 63) // 64", block=64), lambda x, y: 2 * x + y, Case((200,), (200,)))
    assert row.verdict == "passed" and row.simulated and row.timing is None and row.ratio is None
    assert row.counts["bytes"] == 3 * 4 * 200 and row.counts["flops"] == 2 * 256 or row.counts["flops"] == 2 * 200
    assert row.counts["grid"] == [4, 1, 1] and row.counts["sectors"] == row.counts["ideal_sectors"] == 75


def test_a_kernel_comes_from_a_file_or_a_text_and_takes_args_in_words(tmp_path):
    path = tmp_path / "axpy.cu"
    path.write_text(AXPY)
    for provider in (Provider.cuda(path, grid="cdiv(z.size, 64)", block="64", args="x, y, z, z.size"),
                     Provider.cuda(AXPY, "axpy", grid=lambda x, y, z: -(-z.size // 64), block=64, args=lambda x, y, z: (x, y, z, z.size))):
        assert run(provider, lambda x, y: 2 * x + y, Case((50,), (50,))).verdict == "passed"


def test_functions_on_kernels_are_known_to_run_in_the_simulator():
    from minitorch import kernels
    row = run(kernels.softmax, honest.softmax_reference, Case((3, 40)))
    assert row.simulated and row.timing is None and row.verdict == "passed"


def test_expressions_are_arithmetic_and_nothing_else():
    a = np.zeros((3, 5))
    assert evaluate("(a.shape[0] + 1) // 2, max(M, 7), -M % 4", {"a": a, "M": 3}) == (2, 7, 1)
    for text in ("__import__('os')", "a.tobytes()", "[x for x in a]", "M if M else 1", "'x'", "a.__class__", "1 +"):
        with pytest.raises(ValueError, match="is more than arithmetic|is no expression"):
            evaluate(text, {"a": a, "M": 3})
    with pytest.raises(ValueError, match="what is N"):
        evaluate("N", {"M": 3})


# ---- providers of other libraries ----------------------------------------------------------------------------------------------

def test_pytorchs_functions_get_tensors_over_guarded_memory():
    torch = pytest.importorskip("torch")
    seen = []

    def f(x, w):
        seen.append(type(x))
        return x * w + torch.tanh(x)
    row = run(Provider(f, library="torch"))
    assert row.verdict == "passed" and set(seen) == {torch.Tensor}
    assert run(torch.matmul, np.matmul, Case((9, 20), (20, 7), dtype="bfloat16")).verdict == "passed"
    assert "input" in run(Provider(lambda x, w: x.mul_(w).add_(torch.tanh(x)), library="torch"), variations=False).names


def test_minitorchs_functions_get_arrays_or_tensors():
    import minitorch
    assert run(minitorch.tanh, np.tanh, Case((30,))).verdict == "passed"
    assert run(Provider(lambda x: x.tanh(), library="minitorch"), np.tanh, Case((30,))).verdict == "passed"


def test_a_lazy_result_passes_when_finishing_it_is_timed():
    class Later:
        def __init__(self, x, w):
            self.x, self.w = x, w

        def done(self):
            return cheats.honest(self.x, self.w)
    assert run(Later).names == ["lazy"]
    assert run(Provider(Later, finish=Later.done)).verdict == "passed"


# ---- cases ----------------------------------------------------------------------------------------------------------------------

def test_no_two_calls_see_the_same_numbers_but_for_the_check_of_equal_bits():
    seen = []

    def f(x, w):
        seen.append(x.tobytes())
        return cheats.honest(x, w)
    run(f, variations=False)
    repeats = {b: seen.count(b) for b in seen}
    assert sorted(n for n in repeats.values() if n > 2) == [6] and len(repeats) > 50


def test_a_seed_repeats_the_numbers_and_is_kept():
    def numbers(seed):
        seen = []
        found = compare(lambda x: (seen.append(x.sum()), x + 1)[1], lambda x: x + 1, Case((7,)), rounds=8, seconds=0, seed=seed, variations=False)
        return seen[:5], found.provenance["seed"]
    first, seed = numbers(None)
    again, same = numbers(int(seed))
    assert first == again and seed == same and numbers(None)[1] != seed


def test_variations_keep_equal_sizes_equal_or_change_named_ones_apart():
    tail, other, strides, near, large = Case((8, 8), (8, 3)).variations()
    assert (near[1].scale, near[1].offset, large[1].scale) == (0.5, 0.25, 64)
    assert Case((8,), dtype="float16").variations()[-1][1].scale == Case((8,)).variations("float16")[-1][1].scale == 8
    assert [item.shape for item in tail[1].items] == [(9, 9), (9, 4)]
    assert [len(set(item.shape)) for item in other[1].items] == [1, 2]
    named = Case.of(lambda M, N, K: ((M, K), (K, N)), M=8, N=8, K=8).variations()[1][1]
    (m, k), (k2, n) = (item.shape for item in named.items)
    assert k == k2 and named.sizes == {"M": m, "N": n, "K": k}
    assert [name for name, _ in Case(positive(4, 4), integers(3, high=4)).variations()] == ["tail", "other sizes", "strides"]


def test_what_makes_no_sense_is_said():
    for match, call in (("at least one case", lambda: compare(np.sin, np.sin, [])),
                        ("at least one provider", lambda: compare([], np.sin, Case((3,)))),
                        ("one input of that shape is ..64, 64.,.", lambda: compare(np.sin, np.sin, [(64, 64)])),
                        ("must be callable", lambda: compare(3, np.sin, Case((3,)))),
                        ("cache must be", lambda: compare(np.sin, np.sin, Case((3,)), cache="hot")),
                        ("two providers are called", lambda: compare([np.sin, np.sin], np.sin, Case((3,)))),
                        ("no provider is called 'cos'", lambda: compare(np.sin, np.sin, Case((3,)), baseline="cos")),
                        ("too few for an interval", lambda: compare(np.sin, np.sin, Case((3,)), rounds=3)),
                        ("device must be", lambda: compare(np.sin, np.sin, Case((3,)), device="tpu")),
                        ("a case is made of shapes", lambda: Case("3x4")), ("precision must be", lambda: compare(
                            Provider(np.sin, precision="int4"), np.sin, Case((3,))))):
        with pytest.raises((ValueError, TypeError), match=match):
            call()


def test_bad_references_are_said_to_be_the_references():
    case = Case((3,))
    for f, words in ((lambda x: None, "must give arrays of numbers, not NoneType"), (lambda x: x * np.nan, "gives not one finite number"),
                     (lambda x: "text", "must give arrays of numbers, not str")):
        with pytest.raises((TypeError, ValueError), match=words):
            compare(np.sin, f, case)
    with pytest.raises(ZeroDivisionError) as raised:
        compare(np.sin, lambda x: 1 / 0, case)
    assert raised.value.__notes__ == ["raised by the reference <lambda> on 3"]


def test_what_is_no_array_is_refused_with_what_it_is():
    for f, words in ((lambda x, w: None, "it returned None. Return an array, or say that it writes"),
                     (lambda x, w: "text", "builtins.str is no array"),
                     (lambda x, w: np.array(["a"]), "an array of str"), (lambda x, w: {"y": x}, "builtins.dict is no array"),
                     (lambda x, w: list(cheats.honest(x, w)), "24 results .a list or tuple counts as several. where the reference gives 1"),
                     (lambda x: x, "takes 1 positional argument but 2 were given")):
        row = run(f, variations=False)
        assert len(row.names) == 1 and re.search(words, row.reasons[0].what), row.reasons
    assert run(lambda x: x, variations=False).error["ulps"] is None


def test_timed_calls_of_a_run_without_a_seed_are_foreseen_by_nobody():
    def timed(seed):
        seen = []

        def f(x):
            if not gc.isenabled():
                seen.append(float(x[0]))
            return x + 1
        found = compare(f, lambda x: x + 1, Case((7,)), rounds=8, seconds=0, seed=seed, variations=False, baseline=False)
        return seen[:5], int(found.provenance["seed"])
    first, seed = timed(None)
    again, _ = timed(seed)
    assert first != again and timed(seed)[0] == again


def test_it_is_read_only_when_asked_for():
    code = "import sys, minitorch; assert 'minitorch.benchmark' not in sys.modules; minitorch.benchmark.compare"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert set(benchmark.__all__) <= set(dir(benchmark))
