"""Every operator in at least six calls as PyTorch: value, dtype, shape, gradients of first and second order, method, in place, out=.

What is called stands in calls/*.txt and beside each op (its `.case` lines, which test_agreement.py compares).
"""
import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from agree import TOLERANCE, agree, attempt, close, names_changed  # noqa: E402
from calls import drawn, found, read  # noqa: E402
from table import walk_arrays  # noqa: E402
from test_names import LEFT_OUT, OPERATORS  # noqa: E402

import minitorch  # noqa: E402
from minitorch.autograd.op import HOMES  # noqa: E402

CALLS = read()
RANDOM = {"randn", "rand_like", "randn_like", "randint", "new_empty", "nn.functional.dropout", "nn.functional.dropout2d",
          "nn.functional.alpha_dropout"}             # of these all but the numbers is compared; test_random.py measures the numbers
LOOSE = {"nn.functional.hardsigmoid"}      # PyTorch multiplies the gradient with 1/6 rounded to float32
LEFT_OPEN = {                              # (name, dtype): why some calls are not compared
    ("kthvalue", "int64"): "which of equal entries is found is left open",
    ("topk", "int64"): "which of equal entries is found is left open",
    ("nn.functional.ctc_loss", "float32"): "PyTorch misreads targets that are not contiguous",
}
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own, and NumPy's of infinities
def makers(dtype, strided=False):
    """Two functions that make the same tensor in each library, its floats as `dtype`."""
    def maker(lib):
        def make(a):
            t = lib.tensor(a)
            t = t.to(getattr(lib, dtype)) if a.dtype.kind == "f" and dtype != "float64" else t
            if strided and a.ndim:                   # every second place of a larger tensor whose axes run the other way
                room = lib.zeros([2 * n for n in a.shape[::-1]], dtype=t.dtype)
                view = room[tuple([slice(None, None, 2)] * a.ndim)].permute(*reversed(range(a.ndim)))
                view.copy_(t)
                return view
            return t
        return make
    return maker(minitorch), maker(torch)


def both(name, text, dtype="float64", strided=False, second=False, change=lambda f, lib: f):
    args, params = drawn(text)
    if not dtype.startswith(("float", "bfloat")):
        args, params = walk_arrays((args, params), lambda a: np.asarray(a * 3).astype(dtype) if a.dtype.kind == "f" else a)
    mine, theirs = makers(dtype, strided)
    return (attempt(change(found(name, minitorch), minitorch), args, params, mine, minitorch, second),
            attempt(change(found(name, torch), torch), args, params, theirs, torch, second))


def has_floats(text):
    """Whether a call has arrays of floats, none of its arrays empty: of those PyTorch asks no dtype."""
    seen = []
    walk_arrays(drawn(text), seen.append)
    return any(a.dtype.kind == "f" for a in seen) and all(a.size for a in seen)


def short(v):
    return v.replace("nn.functional.", "")


@pytest.mark.parametrize("name, text", CALLS, ids=short)
def test_as_pytorch(name, text):
    ours, theirs = both(name, text, second=True)
    assert theirs[0] is not None, f"a call that PyTorch refuses says nothing: {theirs[3]!r}"
    agree(ours, theirs, "float32" if name in LOOSE else "float64", name not in RANDOM)


@pytest.mark.parametrize("name, text", [c for c in CALLS if has_floats(c[1])], ids=short)
def test_other_dtypes_and_layouts(name, text):
    """float32 on memory with gaps, axes reversed."""
    for dtype in ("float32", "bfloat16", "int64"):
        if (name, dtype) not in LEFT_OPEN:
            agree(*both(name, text, dtype, strided=dtype == "float32"), dtype, name not in RANDOM)


def compared(name):
    """How many calls of an operator are compared with PyTorch."""
    place, _, last = name.rpartition(".")
    call = HOMES[{"": "torch", "linalg": "linalg", "nn.functional": "functional"}[place]].get(last)
    return len(getattr(call, "cases", ())) + sum(n == name for n, _ in CALLS)


def test_six_calls_of_each_operator_are_compared():
    few = {name: compared(name) for name in OPERATORS if name not in LEFT_OUT and compared(name) < 6}
    assert not few


# ---- the other forms: method, in place, out=, inplace= --------------------------------------------------------

def calls_of(name):
    return [text for n, text in CALLS if n == name]


def begins_with_floats(text):
    first = (*drawn(text)[0], None)[0]
    return isinstance(first, np.ndarray) and first.dtype.kind == "f"


def forms(end):
    """Operators that PyTorch's tensors have as methods, with `end` behind the name."""
    return [name for name in OPERATORS if callable(getattr(torch.Tensor, name + end, None)) and calls_of(name) and name + end not in LEFT_OUT]


@pytest.mark.parametrize("name", forms(""))
def test_the_method_is_pytorchs(name):
    texts = [text for text in calls_of(name) if (*drawn(text)[0], None)[0] is not None and isinstance(drawn(text)[0][0], np.ndarray)]
    for text in texts[:3]:
        agree(*both(name, text, change=lambda f, lib: getattr(lib.Tensor, name)), "float64", name not in RANDOM)


@pytest.mark.parametrize("name", forms("_"))
def test_the_method_in_place_is_pytorchs(name):
    """Of floats that a gradient passes through, and of whole numbers; the tensor itself comes back, or both refuse."""
    def written(f, lib):
        def call(x, *args, **options):
            y = x * 1 if x.dtype is not lib.bool else x.clone()
            assert getattr(lib.Tensor, name + "_")(y, *args, **options) is y
            return y
        return call
    for text in [text for text in calls_of(name) if begins_with_floats(text)][:6]:
        for dtype in ("float64", "int64"):
            ours, theirs = both(name, text, dtype, change=written)
            if name in COMPARISONS:                  # whose gradient, zero, is None here
                ours, theirs = [(ys, [], [], error) for ys, _, _, error in (ours, theirs)]
            agree(ours, theirs, dtype, name not in RANDOM)


COMPARISONS = "eq ne gt ge lt le".split()
WITH_OUT = [name for name in OPERATORS if "." not in name and name not in RANDOM and callable(getattr(torch, name, None)) and calls_of(name)
            or name.startswith("linalg.")]


@pytest.mark.parametrize("name", WITH_OUT)
def test_out_is_pytorchs(name):
    """out=: an empty tensor takes the result's shape and comes back itself."""
    for text in calls_of(name)[:2]:
        found_out = []
        for lib in (minitorch, torch):
            args, params = names_changed(walk_arrays(drawn(text), lib.tensor), lib)
            f = found(name, lib)
            try:
                y = f(*args, **params)
                outs = [lib.empty(0, dtype=t.dtype) for t in (y if isinstance(y, tuple) else [y])]
                z = f(*args, **params, out=tuple(outs) if isinstance(y, tuple) else outs[0])
                assert all(a is b for a, b in zip(z if isinstance(z, tuple) else [z], outs))
                found_out.append(outs)
            except (TypeError, RuntimeError, AttributeError) as error:
                found_out.append(error)
        ours, theirs = found_out
        if isinstance(theirs, Exception):            # ours may do more
            continue
        assert not isinstance(ours, Exception), f"ours: {ours!r}"
        for a, b in zip(ours, theirs):
            assert tuple(a.shape) == tuple(b.shape) and a.dtype.name == str(b.dtype).removeprefix("torch.")
            close(a, b, TOLERANCE.get(a.dtype.name, 0))


ACTIVATIONS = [name for name in OPERATORS if name.startswith("nn.functional.")
               and "inplace" in getattr(inspect.unwrap(found(name, torch)), "__code__", compared.__code__).co_varnames]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_inplace_is_pytorchs(name):
    def written(f, lib):
        def call(x, *args, **options):
            y = x * 1
            assert f(y, *args, **options, inplace=True) is y
            return y
        return call
    for text in calls_of(name)[:4]:
        agree(*both(name, text, change=written), "float32", name not in RANDOM)
