"""Every case of every op: derivatives of first and second order against finite differences, jvp, number types,
memory layouts, read-only inputs, and the CuPy stand-in; and teeth, so that a wrong derivative is sure to fail."""
import contextlib

import numpy as np
import pytest
import standin
from table import Wrong, cases, check_first, check_jvp, check_second, is_float, leaf

import minitorch
from minitorch import autograd
from minitorch.blocks import ufunc_of
from minitorch.autograd.op import OPS
from minitorch.backend import to_numpy, xp

CASES = cases()
each_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
primitive = [c for c in CASES if c.call.op is not None and c.call.op.differentiable and (c.call.op.vjps or c.call.op.joint)]
each_primitive = pytest.mark.parametrize("case", primitive, ids=lambda c: c.id)
with_reference = [c for c in CASES if c.call.op is not None and c.call.op.reference]


def prepare(case):
    """(function of the float leaves, the float arrays, random numbers for the test)"""
    drawn = case.draw()
    return (lambda leaves: case.run(drawn, leaves)), case.floats(drawn), np.random.default_rng(1)


@pytest.mark.parametrize("name", OPS)
def test_every_op_has_cases_a_docstring_and_a_derivative(name):
    call = OPS[name]
    assert call.cases, f"{name} has no case"
    assert call.__doc__, f"{name} has no docstring"
    if call.op is not None and call.op.differentiable:
        assert call.op.vjps or call.op.joint or call.op.reference, f"{name} has no derivative: say differentiable=False if that is meant"


@each_case
def test_first_derivative(case):
    check_first(*prepare(case))


@each_case
def test_second_derivative(case):
    check_second(*prepare(case))


@each_case
def test_jvp(case):
    check_jvp(*prepare(case))


def gradients(case, drawn, convert=lambda a: a):
    """([results], [gradients]) in plain NumPy for a fixed cotangent."""
    xs = [leaf(convert(a)) for a in case.floats(drawn)]
    ys = case.run(drawn, xs, convert)
    total = None
    rng = np.random.default_rng(2)
    for y in ys:
        if y.requires_grad:
            u = convert(np.asarray(rng.normal(size=y.shape)).astype(to_numpy(y.array).dtype))
            term = (y * minitorch.tensor(u, device=y.device)).sum()
            total = term if total is None else total + term
    gs = autograd.grad(total, xs, allow_unused=True) if total is not None else []
    return ys, gs


def same(a, b, **tolerance):
    assert len(a) == len(b)
    for s, t in zip(a, b):
        assert (s is None) == (t is None)
        if s is not None:
            assert s.dtype == t.dtype
            np.testing.assert_allclose(to_numpy(s.array), to_numpy(t.array), **tolerance)


DOUBLE = {"float_power"}                             # computed in float64 whatever the input
ON_HOST = {"allclose", "equal", "moved"}             # their results are Python's, or live where they were moved


@each_case
def test_float32_stays_float32(case):
    drawn = case.draw()
    wide, _ = gradients(case, drawn)
    ys, gs = gradients(case, drawn, lambda a: a.astype("f4") if a.dtype == "f8" else a)
    for y, w in zip(ys, wide):
        if is_float(w) and case.name not in DOUBLE and "float64" not in repr(case.params) + repr(case.args):
            assert y.dtype in (minitorch.float32, w.dtype) and (w.dtype != minitorch.float64 or y.dtype == minitorch.float32)
    for g in gs:
        assert g is None or g.dtype == minitorch.float32


NEEDS_ROWS = {"view", "view_as", "view_as_shape", "as_strided", "strided_view"}     # ops that refuse other layouts, as in PyTorch


@each_case
def test_memory_layout_does_not_matter(case):
    if case.name in NEEDS_ROWS:
        pytest.skip("its meaning is the layout")

    def strided(a):
        if a.ndim < 1:
            return a
        room = np.full([2 * n for n in a.shape[::-1]], a.flat[0] if a.size else 0, dtype=a.dtype)
        view = room[tuple(slice(None, None, 2) for _ in a.shape)].transpose()
        view[...] = a
        return view
    drawn = case.draw()
    plain, strange = gradients(case, drawn), gradients(case, drawn, strided)
    same(plain[0], strange[0], rtol=1e-10, atol=1e-12)
    same(plain[1], strange[1], rtol=1e-9, atol=1e-11)


@each_case
def test_inputs_are_never_written_to(case):
    def locked(a):
        a = a.copy()
        a.flags.writeable = False
        return a
    drawn = case.draw()
    same(gradients(case, drawn)[1], gradients(case, drawn, locked)[1], rtol=1e-12)


@each_case
def test_the_device_backend_agrees(case):
    drawn = case.draw()
    ys, gs = gradients(case, drawn)
    with standin.device_backend() as cupy:
        zs, hs = gradients(case, drawn, cupy.asarray)
        for t in zs + [h for h in hs if h is not None]:
            assert type(t.array) is cupy.ndarray or case.name in ON_HOST, f"{case.name} gave a host array for device inputs"
        same(ys, zs, rtol=1e-10, atol=1e-12)
        same(gs, hs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", with_reference, ids=lambda c: c.id)
def test_a_fast_op_equals_its_reference(case):
    drawn = case.draw()
    reference = type(case)(case.name, 0, case.call.op.reference, case.args, case.params)
    fast, slow = gradients(case, drawn), gradients(reference, drawn)
    same(fast[0], slow[0], rtol=1e-9, atol=1e-11)
    same(fast[1], slow[1], rtol=1e-8, atol=1e-10)


# ---- teeth -------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def spoiled(op, spoil):
    """Within this block each derivative of `op` is what `spoil` makes of it."""
    vjps, joint = op.vjps, op.joint
    wrapped = lambda f, change: f and make_same_signature(f, change)        # noqa: E731
    op.vjps = tuple(wrapped(f, spoil) for f in vjps)
    if joint:
        op.joint = wrapped(joint, lambda gs: [g if g is None else spoil(g) for g in gs])
    op.plans.clear()
    try:
        yield
    finally:
        op.vjps, op.joint = vjps, joint
        op.plans.clear()


def make_same_signature(f, change):
    import functools

    @functools.wraps(f)
    def spoiled_vjp(*args):
        g = f(*args)
        return g if g is None else change(g)
    return spoiled_vjp


def one_entry_off(g):
    g = np.array(g, order="C")
    flat = g.reshape(-1)
    if flat.size:
        k = int(np.argmax(np.abs(flat)))
        flat[k] += 0.01 * abs(flat[k])
    return g


def is_zero(case):
    """Whether the derivative vanishes (rounding and the like), so that no factor can spoil it."""
    return not any(g is not None and np.any(to_numpy(g.array)) for g in gradients(case, case.draw())[1])


@each_primitive
def test_a_wrong_derivative_is_caught(case):
    if not any(a.size for a in case.floats(case.draw())):
        pytest.skip("nothing to differentiate")
    if is_zero(case):
        with spoiled(case.call.op, lambda g: g + 0.01), pytest.raises((Wrong, AssertionError)):
            check_first(*prepare(case))
        return
    with spoiled(case.call.op, lambda g: g * 1.01), pytest.raises(Wrong):
        check_first(*prepare(case))
    with spoiled(case.call.op, one_entry_off), pytest.raises(Wrong):
        check_first(*prepare(case))


# ---- how ops are called ---------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["exp", "neg", "mul", "sum", "transpose"])
def test_a_replaced_forward_is_the_one_that_is_called(name, monkeypatch):
    op, x = OPS[name].op, minitorch.tensor([[1., 2.], [3., 4.]], requires_grad=True)
    args = {"mul": (x,), "transpose": (0, 1)}.get(name, ())
    before, calls = OPS[name](x, *args), []
    forward = op.forward

    def counted(*arrays, **params):
        calls.append(name)
        return forward(*arrays, **params)
    monkeypatch.setattr(op, "forward", counted)
    after = OPS[name](x, *args)
    assert calls == [name] and after.tolist() == before.tolist() and after.requires_grad


def test_only_a_forward_that_is_one_call_is_taken_for_it():
    assert ufunc_of(OPS["exp"].op.forward, (1,)) is np.exp and ufunc_of(OPS["mul"].op.forward, (1, 2)) is np.multiply
    assert ufunc_of(lambda input: xp(input).exp(input), (1,)) is np.exp
    assert ufunc_of(lambda a, b: xp(a).maximum(a, b), (1, 2)) is np.maximum and ufunc_of(lambda a, b: b - a, (1, 2)) is None
    for forward in (lambda input: xp(input).exp(-input), lambda input: np.exp(input), lambda input, n: xp(input).exp(n),
                    lambda input: xp(input).exp(input) + 1, lambda input: type(input).exp(input)):
        assert ufunc_of(forward, (1, 2)[:forward.__code__.co_argcount]) is None


@pytest.mark.parametrize("call, message", [
    (lambda x: minitorch.sum(x, 0, False, None, 5), "at most 4 arguments, 5 were given"),
    (lambda x: minitorch.sum(x, 0, dim=0), "two values for argument 'dim'"),
    (lambda x: minitorch.sum(x, 0, axes=0), "no argument 'axes'"),
    (lambda x: OPS["roll"](x), "missing"),
    (lambda x: minitorch.sum(), "missing|must be Tensor"),
])
def test_arguments_that_do_not_fit_are_told(call, message):
    for x in (minitorch.ones(2), np.ones(2)):
        with pytest.raises(TypeError, match=message):
            call(x)
