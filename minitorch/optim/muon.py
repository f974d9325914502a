"""Muon (Jordan et al. 2024): momentum whose matrix is made nearly orthogonal before each step."""
import math

from ..backend import xp
from ..dtypes import F32
from .optimizer import Optimizer, buffer, number, require

COEFFICIENTS = (3.4445, -4.775, 2.0315)              # of the quintic that draws all singular values towards 1


def orthogonalised(g, coefficients, steps, eps):
    """A matrix with the singular vectors of `g` and singular values near 1: steps of x -> a x + (b x x^T + c (x x^T)^2) x.

    In float32, where PyTorch computes in bfloat16.
    """
    require(steps < 100, "Number of steps must be less than 100 for computational efficiency")
    require(len(coefficients) == 3, "Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = g.shape[0] > g.shape[1]
    x = (g.T if tall else g).astype(F32)
    x = x / max(float(xp(x).sqrt((x * x).sum())), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


class Muon(Optimizer):
    """b = momentum * b + (1 - momentum) g; x -= lr * factor * orthogonalised(b), with nesterov of g + momentum (b - g).

    For matrices alone: ValueError for parameters of another number of axes.  adjust_lr_fn: the factor by the matrix's sizes A, B:
    "original" (None), sqrt(max(1, A / B)); "match_rms_adamw", 0.2 sqrt(max(A, B)).  weight_decay takes lr * weight_decay * x off first.
    """

    def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=COEFFICIENTS, eps=1e-7, ns_steps=5,
                 adjust_lr_fn=None):
        require(number(lr) >= 0, f"Learning rate should be >= 0 but is: {lr}")
        require(momentum >= 0, f"momentum should be >= 0 but is: {momentum}")
        require(weight_decay >= 0, f"weight decay should be >= 0 but is: {weight_decay}")
        require(adjust_lr_fn in (None, "original", "match_rms_adamw"), f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov, ns_coefficients=ns_coefficients,
                                      eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn))
        for group in self.param_groups:
            for p in group["params"]:
                require(p.ndim == 2, f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}")

    def update(self, param, grad, state, group):
        lr, momentum = number(group["lr"]), group["momentum"]
        b = buffer(state, "momentum_buffer", param)
        b += (1 - momentum) * (grad - b)
        step = grad + momentum * (b - grad) if group["nesterov"] else b
        step = orthogonalised(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        A, B = param.shape
        factor = 0.2 * math.sqrt(max(A, B)) if group["adjust_lr_fn"] == "match_rms_adamw" else math.sqrt(max(1, A / B))
        param *= 1 - lr * group["weight_decay"]
        param -= (lr * factor * step).astype(param.dtype)
