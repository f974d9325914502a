"""Adafactor (Shazeer & Stern 2018): second moments of matrices as the product of a row and a column."""
import numpy as np

from ..backend import xp
from ..tensor import wrap
from .optimizer import Optimizer, buffer, next_step, number, require


def size_of(x):
    """The Euclidean norm, as a Python number."""
    return float(xp(x).sqrt((x * x).sum()))


class Adafactor(Optimizer):
    """x -= alpha * u / max(1, rms(u) / d) for u = g / sqrt(v), v a running mean of g^2 with weight t^beta2_decay for the newest.

    alpha = max(eps[1], rms(x)) min(lr, 1 / sqrt(t)).  Of gradients with two axes or more v is rows times columns.
    """

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *, foreach=None, maximize=False):
        require(number(lr) >= 0, f"Learning rate should be >= 0 but is: {lr}")
        require(beta2_decay <= 0, f"beta2_decay should be <= 0 but is: {beta2_decay}")
        require(eps[0] is None or eps[0] >= 0, f"epsilon1 should be >= 0 but is: {eps[0]}")
        require(eps[1] >= 0, f"epsilon2 should be >= 0 but is: {eps[1]}")
        require(d >= 1, f"Clipping threshold d should be >= 1 but is: {d}")
        require(weight_decay >= 0, f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(params, dict(lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, foreach=foreach,
                                      maximize=maximize))

    def update(self, param, grad, state, group):
        lib, lr, (eps1, eps2) = xp(param), number(group["lr"]), group["eps"]
        g = -grad if group["maximize"] else grad
        eps1 = float(np.finfo(param.dtype).eps) if eps1 is None else eps1
        step = next_step(state)
        newest = step ** group["beta2_decay"]
        alpha = max(eps2, size_of(param) / max(param.size, 1) ** 0.5) * min(lr, 1 / step ** 0.5)
        if group["weight_decay"]:
            param *= 1 - lr * group["weight_decay"]
        if g.ndim > 1:
            for name, axis in (("row_var", -1), ("col_var", -2)):
                mean = (g * g).sum(axis, keepdims=True) / g.shape[axis]
                if name not in state:
                    state[name] = wrap(lib.zeros_like(mean))
                state[name].array += newest * (mean - state[name].array)
            row, col = state["row_var"].array, state["col_var"].array
            v = row @ col / lib.maximum(row.sum(-2, keepdims=True) / row.shape[-2], eps1)
        else:
            v = buffer(state, "variance", param)
            v += newest * (g * g - v)
        u = g / lib.sqrt(lib.maximum(v, eps1 * eps1))
        param -= alpha / max(1.0, size_of(u) / (max(u.size, 1) ** 0.5 * group["d"])) * u
