"""Stochastic gradient descent, with momentum and Nesterov's momentum."""
from ..backend import xp
from ..blas import mix
from ..tensor import wrap
from .optimizer import Optimizer, ascent_removed, loops_for, number, require


class SGD(Optimizer):
    """x -= lr * g; with momentum: b = momentum * b + (1 - dampening) * g, x -= lr * b (nesterov: lr * (g + momentum * b)).

    weight_decay adds weight_decay * x to g; maximize climbs. foreach, differentiable and fused are accepted and change nothing.
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
                 maximize=False, foreach=None, differentiable=False, fused=None):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        require(momentum >= 0, f"Invalid momentum value: {momentum}")
        require(number(weight_decay) >= 0, f"Invalid weight_decay value: {weight_decay}")
        require(not nesterov or momentum > 0 and dampening == 0, "Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
                                      maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused))

    def update(self, param, grad, state, group):
        lr, momentum = number(group["lr"]), group["momentum"]
        first = state.get("momentum_buffer") is None
        if momentum and first:
            state["momentum_buffer"] = wrap(xp(param).empty_like(param))
        b = state["momentum_buffer"].array if momentum else None
        arrays = (param, grad, b) if momentum else (param, grad)
        if fast := loops_for(*arrays):
            fast.sgd(param, grad, b, first=first, maximize=group["maximize"], decay=number(group["weight_decay"]), momentum=momentum,
                     dampening=group["dampening"], nesterov=group["nesterov"], lr=lr)
            return

        def move(x, g, b=None):
            g = ascent_removed(x, g, group)
            if b is None:
                mix(x, g, -lr)
                return
            if first:
                b[...] = g
            else:
                mix(b, g, 1 - group["dampening"], momentum)
            if group["nesterov"]:
                mix(x, g, -lr)
            mix(x, b, -lr * momentum if group["nesterov"] else -lr)
        self.by_blocks(move, *arrays)
