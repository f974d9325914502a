"""Values and gradients where functions are delicate, as in PyTorch: zeros, ties, bounds, poles, infinities, NaN.

And what float64 functions give to the last digits.
"""
import math

import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")          # these points are where NumPy warns

NAN, INF = math.nan, math.inf
POINTS = [-INF, -6.0, -3.0, -2.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 25.0, INF, NAN]
LEFT, RIGHT = (list(p) for p in zip(*[(1, 1), (0, 0), (-1, -2), (2, -3), (NAN, 1), (1, NAN), (INF, INF), (-INF, -INF), (INF, -INF), (0, 1),
                                      (1, 0), (-2, 0.5), (0, -1), (2, 3)]))

UNARY = """abs neg sign floor ceil round trunc frac nan_to_num square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p logit
sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sinc deg2rad rad2deg erf erfc erfinv lgamma sigmoid relu isnan isinf isfinite
signbit""".split()
BINARY = """add sub mul div remainder fmod maximum minimum fmax fmin copysign hypot atan2 xlogy logaddexp logaddexp2 pow float_power
eq ne lt le gt ge""".split()
ACTIVATIONS = """relu relu6 leaky_relu elu celu selu gelu silu mish logsigmoid softplus softsign hardtanh hardswish hardshrink softshrink
tanhshrink""".split()
FUNCTIONS = {
    **{f"{name}": (lambda lib, x, name=name: getattr(lib, name)(x)) for name in UNARY},
    **{f"functional.{name}": (lambda lib, x, name=name: getattr(lib.nn.functional, name)(x)) for name in ACTIVATIONS},
    "leaky_relu(-0.1)": lambda lib, x: lib.nn.functional.leaky_relu(x, -0.1), "elu(-2)": lambda lib, x: lib.nn.functional.elu(x, -2.0),
    "gelu(tanh)": lambda lib, x: lib.nn.functional.gelu(x, approximate="tanh"),
    "hardtanh(-1, 0.5)": lambda lib, x: lib.nn.functional.hardtanh(x, -1.0, 0.5),
    "threshold(0.5, 7)": lambda lib, x: lib.nn.functional.threshold(x, 0.5, 7.0),
    "softplus(2, 3)": lambda lib, x: lib.nn.functional.softplus(x, 2, 3),
    "clamp(-1, 1)": lambda lib, x: x.clamp(-1, 1), "clamp(min=1)": lambda lib, x: x.clamp(min=1),
    "clamp(max=0)": lambda lib, x: x.clamp(max=0), "clamp(2, 1)": lambda lib, x: x.clamp(2, 1),
    "logit(eps)": lambda lib, x: lib.logit(x, eps=0.25),
    "round(decimals=1)": lambda lib, x: lib.round(x, decimals=1), "nan_to_num(1, 2, 3)": lambda lib, x: lib.nan_to_num(x, 1.0, 2.0, 3.0),
    "where": lambda lib, x: lib.where(x > 0, lib.sqrt(x), x * 0),
    "where twice": lambda lib, x: lib.where(x > 0, lib.log(lib.where(x > 0, x, 1.0)), 0.0),
    **{f"x ** {p}": (lambda lib, x, p=p: x ** p) for p in (0, 1, 2, 3, 4, 5, 0.5, -0.5, -1, -2, 2.5)},
    **{f"{b} ** x": (lambda lib, x, b=b: b ** x) for b in (0, 1, 2, -2)},
    "x ** x": lambda lib, x: x ** x, "1 / x": lambda lib, x: 1 / x, "2 - x": lambda lib, x: 2 - x, "x % 2": lambda lib, x: x % 2,
}
PAIRS = {
    **{f"{name}": (lambda lib, a, b, name=name: getattr(lib, name)(a, b)) for name in BINARY},
    "div, floor": lambda lib, a, b: lib.div(a, b, rounding_mode="floor"),
    "div, trunc": lambda lib, a, b: lib.div(a, b, rounding_mode="trunc"),
    "clamp(min)": lambda lib, a, b: lib.clamp(a, min=b), "clamp(max)": lambda lib, a, b: lib.clamp(a, max=b),
    "clamp(b, 1)": lambda lib, a, b: lib.clamp(a, b, b * 0 + 1), "lerp": lambda lib, a, b: lib.lerp(a, b, 0.3),
    "addcmul": lambda lib, a, b: lib.addcmul(a, a, b, value=2), "addcdiv": lambda lib, a, b: lib.addcdiv(a, a, b, value=2),
    "prelu": lambda lib, a, b: lib.nn.functional.prelu(a, b[-2:-1]),
}


def results(lib, f, *operands):
    """[values, gradients of the operands or None] as NumPy arrays."""
    xs = [lib.tensor(x, dtype=lib.float64, requires_grad=True) for x in operands]
    y = f(lib, *xs)
    if not y.requires_grad:
        return [y.numpy()]
    gs = lib.autograd.grad(y.sum(), xs, allow_unused=True)
    return [y.detach().numpy(), *[None if g is None else (g + 0).detach().numpy() for g in gs]]


def compare(f, *operands):
    for ours, theirs in zip(results(minitorch, f, *operands), results(torch, f, *operands)):
        np.testing.assert_allclose(ours, theirs, rtol=2e-14, atol=1e-15)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_operand(name):
    compare(FUNCTIONS[name], POINTS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_operand_in_a_large_array(name):
    """Large arrays take other ways through some functions than small ones (in PyTorch the gradient at NaN differs between the two)."""
    compare(FUNCTIONS[name], POINTS[:-1] * 200)


@pytest.mark.parametrize("name", PAIRS)
def test_two_operands(name):
    compare(PAIRS[name], LEFT, RIGHT)


@pytest.mark.parametrize("loops", ["always", "never"])
@pytest.mark.parametrize("mode, size, out", [("bilinear", (5, 6), (9, 11)), ("bilinear", (8, 9), (5, 30)), ("bicubic", (5, 6), (9, 11)),
                                             ("nearest", (5, 6), (9, 11)), ("linear", (7,), (13,)), ("trilinear", (3, 4, 5), (5, 6, 7))])
def test_resized_images_and_pulls_on_them_keep_nan_in_its_place(mode, size, out, loops):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, 3, *size)), rng.normal(size=(2, 3, *out))
    x.flat[7], g.flat[[9, 70]] = NAN, (NAN, INF)
    found = []
    for lib in minitorch, torch:
        leaf = lib.tensor(x, requires_grad=True)
        with minitorch.backends.using(loops=loops):
            y = lib.nn.functional.interpolate(leaf, out, mode=mode)
            y.backward(lib.tensor(g))
        found.append((y.detach().numpy(), leaf.grad.numpy()))
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


# ---- float64 to the last digits -------------------------------------------------------------------------------

@pytest.mark.parametrize("name, low, high, digits", [
    ("erf", -6, 6, 1e-15), ("erfc", -6, 26, 1.2e-15), ("erfinv", -1, 1, 1e-15), ("lgamma", 1e-3, 100, 1e-15), ("lgamma", 0.9, 2.1, 1e-15),
    ("digamma", 2, 100, 1e-14), ("exp", -700, 700, 1e-15), ("log1p", -0.9, 1, 1e-15), ("expm1", -1, 1, 1e-15)])
def test_accuracy(name, low, high, digits):
    x = np.random.default_rng(0).uniform(low, high, size=20_000)
    ours, theirs = getattr(minitorch, name)(minitorch.tensor(x)), getattr(torch, name)(torch.tensor(x))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=digits)


def test_accuracy_of_lgamma_below_zero():
    x = np.random.default_rng(0).uniform(-20, 0, size=20_000)
    np.testing.assert_allclose(minitorch.lgamma(minitorch.tensor(x)).numpy(), torch.lgamma(torch.tensor(x)).numpy(), rtol=1e-15, atol=2e-14)


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma"])
def test_accuracy_against_the_math_module(name):
    x = np.random.default_rng(1).normal(size=2_000) * 3
    ours = getattr(minitorch, name)(minitorch.tensor(x))
    np.testing.assert_allclose(ours.numpy(), [getattr(math, name)(v) for v in x], rtol=2e-14, atol=1e-15)


def test_erf_in_float32_is_rounded_to_the_last_two_digits():
    x = np.random.default_rng(2).normal(size=100_000).astype("f4")
    np.testing.assert_allclose(minitorch.erf(minitorch.tensor(x)).numpy(), torch.erf(torch.tensor(x)).numpy(), rtol=4e-7)


def test_polygamma_is_the_derivative_of_digamma():
    x = np.random.default_rng(3).uniform(-5, 5, size=1000)
    t = minitorch.tensor(x, requires_grad=True)
    y = minitorch.digamma(t)
    for n in (1, 2, 3):
        y, = minitorch.autograd.grad(y.sum(), t, create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), torch.polygamma(n, torch.tensor(x)).numpy(), rtol=1e-6)
