"""Adam and its relatives: steps divided by the running size of each parameter's gradient.

m and v are running means of g and g^2; m / (1 - beta1^t) and v / (1 - beta2^t) undo their start at zero.
Kingma and Ba, Adam (2014); Loshchilov and Hutter, Decoupled weight decay regularization (2017).
"""
import math

import numpy as np

from .. import dtypes
from ..autograd import routes
from ..backend import xp
from ..blas import mix
from ..tensor import Tensor, wrap
from .optimizer import Optimizer, apart, ascent_removed, buffer, loops_for, next_step, number, require


def check(lr, betas, eps, weight_decay):
    """ValueError for options out of range."""
    require(number(lr) >= 0, f"Invalid learning rate: {lr}")
    require(eps >= 0, f"Invalid epsilon value: {eps}")
    require(0 <= number(betas[0]) < 1, f"Invalid beta parameter at index 0: {betas[0]}")
    require(0 <= number(betas[1]) < 1, f"Invalid beta parameter at index 1: {betas[1]}")
    require(weight_decay >= 0, f"Invalid weight_decay value: {weight_decay}")


def average(m, g, beta):
    """m = beta * m + (1 - beta) * g, in place."""
    mix(m, g, 1 - beta, beta)


def average_square(v, g, beta):
    """v = beta * v + (1 - beta) * g^2, in place."""
    mix(v, g * g, 1 - beta, beta)


def decoupled(x, g, group):
    """The gradient to descend along; where the group decouples weight decay, `x` has shrunk by lr * weight_decay already."""
    if not group["decoupled_weight_decay"]:
        return ascent_removed(x, g, group)
    if group["weight_decay"]:
        x *= 1 - number(group["lr"]) * group["weight_decay"]
    return -g if group["maximize"] else g


class Adam(Optimizer):
    """x -= lr * m' / (sqrt(v') + eps), with m' and v' the running means of g and g^2, corrected for their start.

    amsgrad: v' never falls (Reddi et al. 2018). decoupled_weight_decay: AdamW. weight_decay otherwise adds weight_decay * x to g.
    foreach, capturable, differentiable and fused are accepted and change nothing.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None, maximize=False,
                 capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False):
        check(lr, betas, eps, weight_decay)
        require(not foreach or capturable or not isinstance(lr, Tensor), "lr as a Tensor is not supported for capturable=False and foreach=True")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
                                      foreach=foreach, capturable=capturable, differentiable=differentiable, fused=fused,
                                      decoupled_weight_decay=decoupled_weight_decay))

    def update(self, param, grad, state, group):
        self.step_by_numpy(next_step(state), self.arrays(param, grad, state, group), group)

    def step_by_numpy(self, t, arrays, group):
        """Step t of one parameter."""
        (beta1, beta2), (step, eps), library = map(number, group["betas"]), self.rates(t, group), xp(arrays[0])

        def move(x, g, m, v, *largest):
            g = decoupled(x, g, group)
            average(m, g, beta1)
            s = g * g
            mix(v, s, 1 - beta2, beta2)
            for most in largest:
                v = library.maximum(most, v, out=most)
            library.sqrt(v, out=s)
            s += eps
            library.divide(m, s, out=s)
            mix(x, s, -step)
        self.by_blocks(move, *arrays)

    def arrays(self, param, grad, state, group):
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        return [param, grad, *[buffer(state, name, param) for name in names]]

    def rates(self, t, group):
        """(step, eps) at step t, for a division by sqrt(v) + eps in place of sqrt(v') + eps."""
        beta1, beta2 = map(number, group["betas"])
        root = math.sqrt(1 - beta2 ** t)
        return number(group["lr"]) / (1 - beta1 ** t) * root, group["eps"] * root

    def move_together(self, params, group):
        """One launch of a CUDA kernel for all parameters of the same age, or one compiled loop on all, where kernels or loops run."""
        kernels = routes.kernels_for("optimizer", params[0].array)
        if kernels is None:
            return self.move_by_loop(params, group)
        arrays = [a for p in params for a in (p.array, p.grad.array)]
        if not all(type(a) is type(arrays[0]) and a.dtype == arrays[0].dtype and a.flags.c_contiguous for a in arrays):
            return False
        ages = {}
        for p in params:
            ages.setdefault(next_step(self.state[p]), []).append(p)
        for t, same in ages.items():
            _, _, m, v, *most = zip(*[self.arrays(p.array, p.grad.array, self.state[p], group) for p in same])
            kernels.adam_step([p.array for p in same], [p.grad.array for p in same], list(m), list(v), t, number(group["lr"]),
                              tuple(map(number, group["betas"])), group["eps"], number(group["weight_decay"]),
                              group["decoupled_weight_decay"], group["amsgrad"], group["maximize"], *map(list, most))
            for p in same:
                p.counter[0] += 1
        return True

    def move_by_loop(self, params, group):
        """Whether some parameters are worth a compiled loop: then one takes all that it can, and NumPy the others."""
        fast, steps = loops_for(max([p.array for p in params], key=lambda x: x.size)), []
        if fast is None:
            return False
        for p in params:
            if not loops_for(p.array, p.grad.array, least=0):
                self.move(p, group)
                continue
            t = next_step(self.state[p])
            arrays = self.arrays(p.array, p.grad.array, self.state[p], group)
            if loops_for(*arrays, least=0):
                steps.append((*arrays, *[None] * (5 - len(arrays)), *self.rates(t, group)))
            else:
                self.step_by_numpy(t, arrays, group)
            p.counter[0] += 1
        decay, separate = number(group["weight_decay"]), group["decoupled_weight_decay"]
        for some in [steps] if apart([x for x, *_ in steps]) else [[step] for step in steps]:
            fast.adam(some, maximize=group["maximize"], decay=0 if separate else decay, shrink=1 - number(group["lr"]) * decay if separate else 1,
                      betas=tuple(map(number, group["betas"])))
        return True


class AdamW(Adam):
    """Adam with decoupled weight decay: x shrinks by lr * weight_decay, and g stays as it is."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False,
                 foreach=None, capturable=False, differentiable=False, fused=None):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
                         differentiable=differentiable, fused=fused, decoupled_weight_decay=True)


class Adamax(Optimizer):
    """Adam with the running maximum u = max(beta2 * u, |g| + eps) in place of the root: x -= lr / (1 - beta1^t) * m / u."""

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
                 differentiable=False, capturable=False):
        check(lr, betas, eps, weight_decay)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
                                      differentiable=differentiable, capturable=capturable))

    def update(self, param, grad, state, group):
        t, (beta1, beta2) = next_step(state), group["betas"]
        step, library = number(group["lr"]) / (1 - beta1 ** t), xp(param)

        def move(x, g, m, u):
            g = ascent_removed(x, g, group)
            average(m, g, beta1)
            u *= beta2
            library.maximum(u, abs(g) + group["eps"], out=u)
            x -= step * m / u
        self.by_blocks(move, param, grad, buffer(state, "exp_avg", param), buffer(state, "exp_inf", param))


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose strength mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2) rises (Dozat 2016)."""

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3, decoupled_weight_decay=False, *,
                 foreach=None, maximize=False, capturable=False, differentiable=False):
        check(lr, betas, eps, weight_decay)
        require(momentum_decay >= 0, f"Invalid momentum_decay value: {momentum_decay}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
                                      decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach,
                                      capturable=capturable, differentiable=differentiable))

    def update(self, param, grad, state, group):
        t, (beta1, beta2), lr, library = next_step(state), group["betas"], number(group["lr"]), xp(param)
        mu, mu_next = [beta1 * (1 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1)]
        if "mu_product" not in state:
            state["mu_product"] = wrap(np.ones((), dtypes.F32))
        state["mu_product"].array[...] *= mu
        product = float(state["mu_product"].array)

        def move(x, g, m, v):
            g = decoupled(x, g, group)
            average(m, g, beta1)
            average_square(v, g, beta2)
            s = library.sqrt(v / (1 - beta2 ** t))
            s += group["eps"]
            x -= (lr * (1 - mu) / (1 - product)) * g / s
            x -= (lr * mu_next / (1 - product * mu_next)) * m / s
        self.by_blocks(move, param, grad, buffer(state, "exp_avg", param), buffer(state, "exp_avg_sq", param))


class RAdam(Optimizer):
    """Adam that takes plain momentum steps while v has seen too few gradients to be trusted (Liu et al. 2019)."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
                 foreach=None, maximize=False, capturable=False, differentiable=False):
        check(lr, betas, eps, weight_decay)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, foreach=foreach,
                                      capturable=capturable, decoupled_weight_decay=decoupled_weight_decay, differentiable=differentiable))

    def update(self, param, grad, state, group):
        t, (beta1, beta2), library = next_step(state), group["betas"], xp(param)
        step, correction = number(group["lr"]) / (1 - beta1 ** t), 1 - beta2 ** t
        longest = 2 / (1 - beta2) - 1                                # the most gradients that v can average over
        length = longest - 2 * t * beta2 ** t / correction           # as many as it does now
        trust = 0.0
        if length > 5:
            trust = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length) * correction)

        def move(x, g, m, v):
            g = decoupled(x, g, group)
            average(m, g, beta1)
            average_square(v, g, beta2)
            x -= step * m * (trust / (library.sqrt(v) + group["eps"])) if trust else step * m
        self.by_blocks(move, param, grad, buffer(state, "exp_avg", param), buffer(state, "exp_avg_sq", param))
