"""Second order: the gradient itself, as a function of the inputs and of the cotangents, is checked as any function is."""
import numpy as np

from ..autograd.mode import enable_grad
from ..backend import xp
from ..tensor import wrap
from .directions import signed
from .problem import Problem, TensorFunction, gradients, like_layout


class SecondOrder(Problem):
    """The gradient of a function of Tensors.

    problem: a TensorFunction.  The cotangents, one for each of its floating-point results, are further variables.
    """

    def __init__(self, problem, seed):
        if not isinstance(problem, TensorFunction):
            raise TypeError("check: order=2 needs a function of Tensors or a module; of a pair (f, vjp) check (vjp, its own vjp)")
        rng = np.random.default_rng(seed)
        ys = problem.value(problem.arrays)
        us = [xp(y).asarray(signed(y.shape, rng)).astype(y.dtype) for y in ys]
        self.first, self.count = problem, len(problem.arrays)
        super().__init__([wrap(a).requires_grad_() for a in [*problem.arrays, *us]],
                         dict(enumerate([*problem.names, *[f"cotangent {i}" for i in range(len(us))]])))
        self.evaluations, self.wrote_to = 1, set(problem.wrote_to)

    def widen(self, wide):
        self.wide = self.first.wide = wide

    def graph(self, arrays):
        """(leaves, the gradients recorded from them, zeros where there is none)"""
        with enable_grad():
            leaves = [wrap(a).requires_grad_() for a in arrays]
            xs, us = leaves[:self.count], leaves[self.count:]
            gs = gradients(self.first.results(xs), xs, us, create_graph=True)
        return leaves, [wrap(xp(x.array).zeros_like(x.array)) if g is None else g for g, x in zip(gs, xs)]

    def call(self, arrays):
        """Plain gradients: where the recorded ones, which pull differentiates, are others, that shows."""
        with enable_grad():
            leaves = [wrap(a).requires_grad_() for a in arrays[:self.count]]
            gs = gradients(self.first.results(leaves), leaves, [wrap(u) for u in arrays[self.count:]])
        return [wrap(xp(x.array).zeros_like(x.array)) if g is None else g for g, x in zip(gs, leaves)]

    def pull(self, arrays, cotangents):
        self.pulls += 1
        leaves, gs = self.graph([like_layout(a) for a in arrays])
        found = gradients(gs, leaves, [wrap(xp(g.array).asarray(u).astype(g.array.dtype, copy=False)) for g, u in zip(gs, cotangents)])
        return [None if g is None else g.array for g in found]
