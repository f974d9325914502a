"""The strategies produce what they promise, every kind of it, and ops stand up to it."""
import random

import numpy as np
import pytest

import minitorch

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, Phase, find, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from minitorch.testing import strategies as some  # noqa: E402

FEW = settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


def found(strategy, wanted):
    """Whether an example is drawn for which wanted(example)."""
    find(strategy, wanted, settings=settings(FEW, max_examples=3000, phases=[Phase.generate], derandomize=False),
         random=random.Random(0))
    return True                                      # find raises where it finds none


def anything(x):
    return isinstance(x, list | np.ndarray) and np.asarray(x).dtype.kind == "i"


def has(index, what):
    return any(what(i) for i in (index if isinstance(index, tuple) else (index,)))


def several(what):
    return lambda i: isinstance(i, tuple) and sum(map(what, i)) > 1


def is_mask(x):
    return isinstance(x, np.ndarray) and x.dtype == bool


def stretched(pair):
    """Whether each of two shapes is stretched along an axis of the other."""
    return len(pair[0]) == len(pair[1]) == 2 and pair[0][0] == 1 < pair[1][0] and pair[1][1] == 1 < pair[0][1]


KINDS = {
    "shapes": (some.shapes(), {
        "of no axes": lambda s: s == (), "of four axes": lambda s: len(s) == 4, "with a 0": lambda s: 0 in s, "with a 1": lambda s: 1 in s,
        "with a 5": lambda s: 5 in s}),
    "shapes of no elements": (some.zero_size_shapes(), {
        "alone": lambda s: s == (0,), "in front": lambda s: len(s) > 1 and s[0] == 0 < s[1], "behind": lambda s: len(s) > 1 and s[-1] == 0 < s[0]}),
    "shapes that broadcast": (some.broadcastable(), {
        "the same": lambda p: p[0] == p[1] != (), "an axis missing": lambda p: len(p[0]) < len(p[1]), "both stretched": stretched,
        "a 1 against 3": lambda p: len(p[0]) == len(p[1]) and any(a == 1 and b == 3 for a, b in zip(*p)),
        "a 0 against 1": lambda p: any(a == 1 and b == 0 for a, b in zip(p[0][::-1], p[1][::-1]))}),
    "axes": (some.axes(3), {
        "all": lambda a: a is None, "one": lambda a: a == 2, "negative": lambda a: a == -3, "none of them": lambda a: a == (),
        "several": lambda a: isinstance(a, tuple) and len(a) == 3,
        "mixed": lambda a: isinstance(a, tuple) and min(a, default=0) < 0 < max(a, default=0)}),
    "slices": (some.slices(4), {
        "everything": lambda s: s == slice(None), "a step": lambda s: (s.step or 1) > 1, "nothing": lambda s: len(range(4)[s]) == 0,
        "from the back": lambda s: (s.start or 0) < 0, "out of range": lambda s: (s.stop or 0) > 4}),
    "slices backwards": (some.slices(4, negative_steps=True), {"backwards": lambda s: len(range(4)[s]) > 1 and (s.step or 1) < 0}),
    "indices": (some.indices((3, 2, 4)), {
        "an int": lambda i: isinstance(i, int), "an int in a tuple": lambda i: isinstance(i, tuple) and has(i, lambda x: isinstance(x, int)),
        "a slice": lambda i: has(i, lambda x: isinstance(x, slice)), "None": lambda i: has(i, lambda x: x is None), "nothing": lambda i: i == (),
        "...": lambda i: has(i, lambda x: x is Ellipsis),
        "... in front of others": lambda i: isinstance(i, tuple) and len(i) == 4 and i[0] is Ellipsis,
        "a list": lambda i: has(i, lambda x: isinstance(x, list)), "an array": lambda i: has(i, anything), "two arrays": several(anything),
        "no positions": lambda i: has(i, lambda x: anything(x) and np.size(x) == 0), "a mask": lambda i: has(i, is_mask),
        "repeated positions": lambda i: has(i, lambda x: anything(x) and len(set(np.ravel(x).tolist())) < np.size(x)),
        "a mask of two axes": lambda i: has(i, lambda x: is_mask(x) and x.ndim == 2)}),
    "dtypes": (some.dtypes(whole=True, boolean=True), {d.name: lambda x, d=d: x is d for d in minitorch.dtypes.BY_NAME.values()}),
    "tensors": (some.tensors(some.shapes(), some.dtypes(whole=True, boolean=True)), {
        "not contiguous": lambda t: not t.is_contiguous(), "transposed": lambda t: t.ndim == 2 and t.numel() > 5 and t.stride(0) == 1,
        "every second": lambda t: t.numel() > 2 and t.stride(-1) == 2, "behind an offset": lambda t: t.array.base is not None and t.is_contiguous(),
        "overlapping": lambda t: any(s == 0 and n > 1 for s, n in zip(t.stride(), t.shape)), "of no elements": lambda t: t.numel() == 0,
        "a number": lambda t: t.ndim == 0, "whole numbers": lambda t: t.dtype is minitorch.int32, "booleans": lambda t: t.dtype is minitorch.bool,
        "16 bits": lambda t: t.dtype is minitorch.float16}),
}


@pytest.mark.parametrize("strategy, kind", [(s, k) for s, (_, kinds) in KINDS.items() for k in kinds])
def test_every_kind_is_drawn(strategy, kind):
    strategy, kinds = KINDS[strategy]
    assert found(strategy, kinds[kind])


@given(some.broadcastable(3))
@FEW
def test_drawn_shapes_broadcast(shapes):
    np.broadcast_shapes(*shapes)


@given(st.data())
@FEW
def test_drawn_axes_are_taken(data):
    x = data.draw(some.tensors(some.shapes(max_side=3)))
    dims = data.draw(some.axes(x.ndim))
    wanted = x.numpy().sum(dims if dims != () else None)                  # of no axes, as in PyTorch, is over all
    np.testing.assert_allclose(x.sum(dims).numpy(), wanted)


@given(st.data())
@FEW
def test_drawn_slices_are_taken(data):
    x = minitorch.arange(data.draw(st.integers(0, 5)))
    index = data.draw(some.slices(len(x)))
    assert x[index].tolist() == list(range(len(x)))[index]


@given(st.data())
@settings(FEW, max_examples=300)
def test_drawn_indices_are_taken(data):
    shape = data.draw(some.shapes(max_side=3) | st.just((1, 5, 2)))
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    index = data.draw(some.indices(shape))
    assert np.array_equal(minitorch.tensor(x)[index].numpy(), ints_first(x, index if isinstance(index, tuple) else (index,)))


def ints_first(x, index):
    """x[index] by NumPy with the ints taken out first, as PyTorch does; for NumPy they stand among the positions."""
    x = x[tuple([y for i in index if i is not None
                 for y in ([i] if isinstance(i, int) or i is Ellipsis else [slice(None)] * (i.ndim if is_mask(i) else 1))])]
    return x[tuple([np.array(i, int) if isinstance(i, list) else i for i in index if not isinstance(i, int)])]


@pytest.mark.parametrize("domain, inside", [
    ("normal", lambda a: (a < 0).any() and (a > 0).any()), ("positive", lambda a: ((a >= 0.5) & (a <= 2)).all()),
    ("unit", lambda a: (abs(a) <= 0.9).all()), ("probability", lambda a: ((a > 0) & (a < 1)).all()), ("above_one", lambda a: (a > 1).all()),
    ("distinct", lambda a: np.diff(np.sort(a, None)).min() > 0.09), ("definite", lambda a: (np.linalg.eigvalsh(a) > 0).all()),
    ("integers", lambda a: (a == a.astype(int)).all() and a.max() < 5), ("booleans", lambda a: set(np.unique(a)) <= {0, 1})])
def test_numbers_lie_in_their_domain(domain, inside):
    @given(some.arrays((6, 6), domain=domain))
    @FEW
    def check(a):
        assert a.shape == (6, 6) and a.dtype == np.float64 and inside(a)
    check()


@pytest.mark.parametrize("layout", some.LAYOUTS)
def test_tensors_in_every_layout_have_the_gradient_of_a_plain_copy(layout):
    @given(some.tensors(some.shapes(max_side=3), domain="unit", layout=layout, requires_grad=True))
    @FEW
    def check(x):
        assert x.requires_grad and x.is_leaf
        plain = x.detach().clone().contiguous().requires_grad_()
        for t in (x, plain):
            (t.tanh() * t).sum().backward()
        minitorch.testing.assert_close(x.grad, plain.grad)
    check()


@given(st.data())
@FEW
def test_tensors_have_the_shape_asked_for(data):
    shape = data.draw(some.shapes() | st.just((2, 3, 4)))
    for layout in some.LAYOUTS:
        assert data.draw(some.tensors(shape, layout=layout)).shape == data.draw(some.arrays(shape)).shape == shape


def test_numbers_are_those_of_any_dtype():
    @given(some.arrays(some.shapes(), some.dtypes(whole=True, boolean=True)))
    @FEW
    def check(a):
        assert minitorch.dtypes.of(a.dtype)
    check()


@pytest.mark.parametrize("options, words", [(dict(domain="gamma"), "domain must be one of normal, positive"),
                                            (dict(layout="sparse"), "layout must be one of contiguous")])
def test_unknown_names_are_refused_with_the_known_ones(options, words):
    with pytest.raises(ValueError, match=words):
        find(some.tensors((2,), **options), lambda t: True, random=random.Random(0))


def test_a_whole_axis_and_a_whole_dtype_can_be_left_out():
    assert found(some.axes(2, none=False, several=False), lambda a: a == -2)
    assert found(some.dtypes(narrow=False), lambda d: d is minitorch.float32)
    with pytest.raises(Exception, match="NoSuchExample|no example|No examples"):
        found(some.dtypes(narrow=False), lambda d: d.itemsize < 4)
    assert found(some.layouts("offset"), lambda name: name == "offset") and found(some.tensors(3, minitorch.float32), lambda t: t.shape == (3,))
