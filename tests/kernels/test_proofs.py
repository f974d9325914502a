"""Every function on the kernels against its NumPy reference and its own finite differences, in the simulator; on a GPU too
where there is one.  What is tested, and by which cases, stands beside each function (kernels/*.py)."""
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels.proof import FUNCTIONS, TURNS, draw, prove, results

each_case = pytest.mark.parametrize("name, number", [(name, i) for name, f in FUNCTIONS.items() for i in range(len(f.cases))])


@each_case
def test_agrees_with_the_reference_in_every_dtype_and_order(name, number):
    f = FUNCTIONS[name]
    for dtype in f.dtypes:
        for order, asynchronous in TURNS:
            with kernels.using(order=order, asynchronous=asynchronous):
                prove(f, number, dtype)


@each_case
def test_the_checker_finds_nothing(name, number):
    f = FUNCTIONS[name]
    for order, asynchronous in TURNS[::2]:
        with kernels.using(mode="check", order=order, asynchronous=asynchronous):
            prove(f, number, f.dtypes[0])


def slopes(value, x, eps=1e-4):
    """The derivative of `value`, a float, by every entry of x: fourth-order central differences."""
    slope = np.empty_like(x)
    for i in np.ndindex(x.shape):
        at = []
        for t in (-2, -1, 1, 2):
            moved = x.copy()
            moved[i] += t * eps
            at.append(value(moved))
        slope[i] = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * eps)
    return slope


@pytest.mark.parametrize("name, number", [(name, i) for name, f in FUNCTIONS.items() if f.derivative for i in range(len(f.cases))])
def test_the_derivative_agrees_with_finite_differences(name, number):
    """Every entry within 1e-7 of the largest, in double precision: forward kernel against backward kernel."""
    f = FUNCTIONS[name]
    args, params = draw(f, number, "float64")
    y = f(*args, **params)
    rng = np.random.default_rng(1)
    gs = tuple(rng.normal(size=r.shape) for r in results(y))
    found = results(f.derivative(gs if isinstance(y, tuple) else gs[0], y, *args, **params))
    for i, (x, g) in enumerate(zip(args, found)):
        if g is None:
            continue

        def value(moved, i=i):
            return sum(float((r * g).sum()) for r, g in zip(results(f(*args[:i], moved, *args[i + 1:], **params)), gs))
        numeric = slopes(value, x)
        assert g.shape == x.shape
        assert np.abs(g - numeric).max(initial=0) <= 1e-7 * max(np.abs(numeric).max(initial=0), 1e-3)
