"""autocast without PyTorch: which calls are cast and which are not, gradients, the cache, threads, and that nothing stays behind."""
import threading

import numpy as np
import pytest
import standin
from table import Case, check_first

import minitorch
from minitorch import autograd, nn
from minitorch.autograd import autocast as rules
from minitorch.autograd import call
from minitorch.autograd.op import OPS

bf16, f32 = minitorch.bfloat16, minitorch.float32


def numbers(*shape, requires_grad=False):
    return minitorch.tensor(np.random.default_rng(0).normal(size=shape).astype("f4"), requires_grad=requires_grad)


def test_a_product_is_that_of_rounded_operands_and_rounded():
    a, b = numbers(3, 4), numbers(4, 5)
    with minitorch.autocast("cpu"):
        y = a @ b
    assert y.dtype is bf16 and minitorch.equal(y, a.to(bf16) @ b.to(bf16)) and not minitorch.equal(y.float(), a @ b)


def test_gradients_come_back_in_the_dtype_of_the_leaves():
    w, x = numbers(4, 5, requires_grad=True), numbers(3, 4)
    with minitorch.autocast("cpu"):
        loss = nn.functional.mse_loss(x @ w, minitorch.zeros(3, 5))
    loss.backward()
    expected, = autograd.grad(nn.functional.mse_loss((x.to(bf16) @ w.to(bf16)).float(), minitorch.zeros(3, 5)), w)
    assert loss.dtype is f32 and w.grad.dtype is f32 and minitorch.equal(w.grad, expected)


def test_second_derivatives_go_through_the_casts():
    w = numbers(4, 4, requires_grad=True)
    with minitorch.autocast("cpu"):
        y = (w @ w).float().square().sum()
    g, = autograd.grad(y, w, create_graph=True)
    h, = autograd.grad(g.sum(), w)
    assert h.dtype is f32 and bool(h.isfinite().all())


@pytest.mark.parametrize("f", [lambda a: a + a, lambda a: a.exp(), lambda a: a.sum(), lambda a: a.double() @ a.double(),
                               lambda a: a.long() @ a.long(), lambda a: minitorch.matmul(a, a, out=minitorch.zeros(4, 4)),
                               lambda a: minitorch.zeros(4, 4).addmm_(a, a), lambda a: minitorch.mv(a, a[0]),
                               lambda a: nn.functional.softmax(a, -1)])
def test_what_has_no_rule_or_no_eligible_tensor_is_left_alone(f):
    a = numbers(4, 4)
    plain = f(a)
    with minitorch.autocast("cpu"):
        y = f(a)
    assert y.dtype is plain.dtype and minitorch.equal(y, plain)


def test_arrays_are_left_alone():
    a = np.eye(3, dtype="f4") * 1.001
    with minitorch.autocast("cpu"):
        assert type(minitorch.matmul(a, a)) is np.ndarray and np.array_equal(minitorch.matmul(a, a), a @ a)


def test_backward_within_autocast_is_that_outside():
    w, x = numbers(4, 5, requires_grad=True), numbers(3, 4)
    for inside in (False, True):
        with minitorch.autocast("cpu"):
            loss = (x @ w).float().sum()
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
            first, w.grad = w.grad, None
    assert minitorch.equal(first, w.grad)


def test_a_parameter_is_cast_once_until_it_is_written_to_or_the_block_ends():
    w, x = numbers(4, 4, requires_grad=True), numbers(4, 4)
    cache = rules.settings.cache
    with minitorch.autocast("cpu"):
        x @ w
        x @ w
        (_, _, _, _, cast), = cache.values()
        with minitorch.autocast("cpu"):
            x @ w
        assert [entry[4] for entry in cache.values()] == [cast]
        with minitorch.no_grad():                    # recorded and unrecorded casts are not mixed up
            assert not (x @ w).requires_grad
        assert (x @ w).requires_grad
        with minitorch.no_grad():
            w += 1
        assert minitorch.equal(x @ w, x.to(bf16) @ w.to(bf16))
        w.data = numbers(4, 4) * 3
        assert minitorch.equal(x @ w, x.to(bf16) @ w.to(bf16))
    assert not cache
    with minitorch.autocast("cpu", cache_enabled=False):
        x @ w
        assert not cache


def test_other_threads_are_not_within_autocast():
    a, seen = numbers(3, 3), []
    with minitorch.autocast("cpu"):
        t = threading.Thread(target=lambda: seen.append((minitorch.is_autocast_enabled("cpu"), (a @ a).dtype, nn.functional.linear(a, a).dtype)))
        t.start()
        t.join()
        assert (a @ a).dtype is bf16
    assert seen == [(False, f32, f32)]


def test_nothing_stays_behind():
    a = numbers(3, 3)
    for dtype in (bf16, minitorch.float16):
        with pytest.raises(RuntimeError, match="inner sizes"), minitorch.autocast("cpu", dtype=dtype):
            a @ numbers(2, 2)
    assert not rules.casting and minitorch.equal(a @ a, minitorch.matmul(a, a)) and (a @ a).dtype is f32
    assert all(op.general is call.general for op in rules.OPS)


def test_every_rule_names_an_op():
    known = set(OPS) | {c.__name__ for c in OPS.values()}
    assert not set(rules.RULES) - known


def test_derivatives_are_right_under_a_rule_that_casts_nothing():
    """Ops with a rule take another way within autocast; in float64, which is never cast, their derivatives must stand as ever."""
    rng = np.random.default_rng(0)
    for name in ("matmul", "linear", "conv2d", "mse_loss", "prod", "cat", "lstm"):
        for i, (args, params) in enumerate(OPS[name].cases[:2]):
            case = Case(name, i, OPS[name], args, params)
            drawn = case.draw()

            def f(leaves, case=case, drawn=drawn):
                with minitorch.autocast("cpu"):
                    return case.run(drawn, leaves)
            assert check_first(f, case.floats(drawn), rng)


def test_on_a_gpu_more_is_computed_in_float32(monkeypatch):
    with standin.installed():
        monkeypatch.setattr(minitorch.cuda, "is_available", lambda: True)
        a = numbers(3, 3).to("cuda")
        with minitorch.autocast("cuda"):
            y = a @ a
            assert y.dtype is minitorch.float16
            for f in (minitorch.exp, lambda t: t ** 2, lambda t: t.sum(), lambda t: t.softmax(-1), lambda t: nn.functional.layer_norm(t, (3,))):
                assert f(y).dtype is f32
            assert (numbers(3, 3) @ numbers(3, 3)).dtype is f32 and (y + y).dtype is minitorch.float16
            with pytest.raises(RuntimeError, match="unsafe to autocast"):
                nn.functional.binary_cross_entropy(y.sigmoid(), y.sigmoid())
        with minitorch.autocast("cpu"):
            assert (a @ a).dtype is f32
