"""Gradients at the points where finite differences say nothing: ties, zeros, bounds, NaN.

What they are there is a convention, PyTorch's, written down here as numbers: the gradients that come from 1, 2, 3, ... as the
gradient of the result.  (tests/pytorch/test_special_points.py compares more of them with PyTorch itself.)
"""
import math

import numpy as np

from minitorch import autograd
from minitorch.autograd.op import OPS
from minitorch.tensor import wrap

NAN, INF = math.nan, math.inf

# name: [(arguments, parameters, gradients of the arguments that are lists of floats)], and which result where there are several
POINTS = {
    "abs": [([[-0.0, 0.0, 2.0]], {}, [[0, 0, 3]])],
    "fmax": [([[1.0, 2.0], [1.0, 3.0]], {}, [[1, 0], [0, 2]])],
    "fmin": [([[1.0, 2.0], [1.0, 1.0]], {}, [[1, 0], [0, 2]])],
    "clamp": [                                       # the input where it stands on a bound; the upper bound where the two cross or meet
        ([[1.0, 2.0, 3.0, 4.0, 0.0], [1.0, 3.0, 1.0, 5.0, 3.0], [3.0, 4.0, 3.0, 4.0, 3.0]], {},
         [[1, 0, 3, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 4, 0]]),
        ([[1.0, 2.0, 3.0], None, [1.0, 1.0, 4.0]], {}, [[1, 0, 3], [0, 2, 0]]),
        ([[1.0, 2.0, 3.0], [1.0, 3.0, 1.0]], {}, [[1, 0, 3], [0, 2, 0]]),
    ],
    "step": [([[0.0, 1.0, -1.0, 0.0, -0.0], [7.0, 7.0, 7.0, 8.0, 9.0]], {}, [[0, 0, 0, 0, 0], [1, 0, 0, 4, 5]]),
             ([[[0.0, 0.0], [0.0, 1.0]], [[7.0, 7.0], [8.0, 8.0]]], {}, [[[0, 0], [0, 0]], [[1, 2], [3, 0]]])],
    "nan_to_num": [([[NAN, 1.0, INF, -INF, 2.0]], {}, [[0, 2, 0, 0, 5]])],
    "without_nan": [([[NAN, 1.0, 2.0]], {}, [[0, 2, 3]])],
    "xlogy": [([[0.0, 0.0, 0.0, 1.0], [0.0, -1.0, math.e, math.e]], {}, [[0, 0, 3, 4], [NAN, 0, 0, 4 / math.e]])],
    "divergence_each": [([[1.0, 2.0], [0.0, 1.0]], {}, [[0, -2], [NAN, -2]])],
    "power": [([[0.0, 0.0, 2.0], [2.0, 0.0, -3.0]], {}, [[0, 0, -9 / 16], [0, 0, 3 / 8 * math.log(2)]])],
    "leaky_relu_of": [([[0.0, 1.0]], {"negative_slope": 0.25}, [[0.25, 2]])],
    "prelu_of": [([[0.0, 1.0], [0.25, 0.25]], {}, [[0.25, 2], [0, 0]])],
    "prelu_gradient": [([[1.0, 1.0], [0.0, 1.0], [0.25, 0.5]], {}, [[0.25, 2], [0, 0], [1, 0]])],
    "distance_gradient": [([[1.0, 1.0], [0.5, 0.25], [0.0, 0.0]], {"delta": 0.5, "scale": 2.0}, [[1, 1], [0, 4], [0, -4]])],
    "elu_of": [([[0.0, 1.0]], {"alpha": 0.25, "scale": 2.0}, [[0.5, 4]])],
    "hardsigmoid_of": [([[-3.0, 0.0, 3.0]], {}, [[0, 2 / 6, 0]])],
    "hardswish_of": [([[-3.0, 0.0, 3.0]], {}, [[0, 1, 3]])],
    "hardswish_gradient": [([[1.0, 1.0, 1.0], [-3.0, 0.0, 3.0]], {}, [[0, 1, 3], [0, 2 / 3, 0]])],
    "elu_gradient": [([[1.0, 1.0], [0.0, 1.0]], {"alpha": 0.25, "scale": 2.0, "input_scale": 1.0}, [[0.5, 4], [0, 0]])],
    "softplus_gradient": [([[1.0, 1.0], [0.25, 0.26]], {"beta": 2.0, "threshold": 0.5}, [[1 / (1 + math.exp(-0.5)), 2], [0, 0]])],
    "hardtanh_of": [([[-2.0, 0.0, 1.0]], {"min_val": -2.0, "max_val": 1.0}, [[0, 2, 0]])],
    "threshold_of": [([[0.5, 1.0]], {"threshold": 0.5, "value": 7.0}, [[0, 2]])],
    "softshrink": [([[-0.5, 0.5, 1.0]], {}, [[0, 0, 3]])],
    "hardshrink": [([[-0.5, 0.5, 1.0]], {}, [[0, 0, 3]])],
    "softplus": [([[0.25, 0.26]], {"beta": 2.0, "threshold": 0.5}, [[1 / (1 + math.exp(-0.5)), 2]])],
    "std_over": [([[2.0, 2.0, 2.0]], {"dim": 0, "correction": 1, "keepdim": False}, [[0, 0, 0]])],
    "binary_cross_entropy_each": [([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], {}, [[-1e12, 2e12, 0], [INF, -INF, INF]])],
    "scatter_extreme": [([[1.0, 2.0], [0, 0, 1], [2.0, 2.0, 2.0]], {"dim": 0, "largest": True}, [[0, 1], [0.5, 0.5, 1]])],
    "scatter_prod": [([[2.0, 3.0, 5.0], [0, 0, 1, 1, 2], [0.0, 7.0, 0.0, 0.0, 4.0]], {"dim": 0}, [[0, 0, 12], [14, 0, 0, 0, 15]])],
    "linalg.svd": [
        ([[[3.0, 0.0], [0.0, -2.0], [0.0, 0.0]]], {"full_matrices": True}, [[[1, 0], [0, -2], [0, 0]]], 1),
        ([[[2.0, 0.0], [0.0, 0.0]]], {}, [[[0, 0], [0.5, 0]]], 0), ([[[2.0, 0.0], [0.0, 0.0]]], {}, [[[0, -0.5], [0, 0]]], 2),
    ],
    "cholesky": [([[[4.0, 2.0], [2.0, 5.0]]], {}, [[[0.125, 0.25], [0.25, 1]]])],           # symmetric, although one triangle is read
}


# the same of derivatives of the second order: the gradients of the first gradients above, again for 1, 2, 3, ... as theirs
SECOND = {
    "prelu_of": [([[0.0, -1.0], [0.25, 0.5]], {}, [[1, 4], [1, 4]])],
    "std_over": [([[2.0, 2.0, 2.0]], {"dim": 0, "correction": 1, "keepdim": False}, [[0, 0, 0]])],
}


def counting(t):
    """1, 2, 3, ... in the shape of a tensor."""
    return wrap(np.arange(1.0, t.numel() + 1).reshape(t.shape))


def gradients(name, args, params, result=None, second=False):
    """Of the op's arguments that are lists of floats; result: the number of the one that is differentiated."""
    leaves = []

    def tensor(a):
        if not isinstance(a, list):
            return a
        t = wrap(np.array(a))
        if t.dtype.is_floating_point:
            leaves.append(t.requires_grad_())
        return t
    with np.errstate(all="ignore"):
        y = OPS[name](*[tensor(a) for a in args], **params)
        y = y if result is None else y[result]
        gs = autograd.grad(y, leaves, counting(y), allow_unused=True, create_graph=second)
        if second:
            gs = [g for g in gs if g is not None and g.requires_grad]
            gs = autograd.grad(gs, leaves, [counting(g) for g in gs], allow_unused=True)
        return [None if g is None else g.numpy() for g in gs]


def check(name):
    """Raises where the gradients of an op at its special points are others than those written here."""
    points = [(p, False) for p in POINTS.get(name, ())] + [(p, True) for p in SECOND.get(name, ())]
    for (args, params, expected, *result), second in points:
        found = gradients(name, args, params, *(result or [None]), second)
        assert len(found) == len(expected)
        for g, e in zip(found, expected):
            np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-15, err_msg=f"{name}{tuple(args)}")
