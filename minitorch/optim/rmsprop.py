"""Steps divided by the size of past gradients: RMSprop, Adagrad, Adadelta; and two of another kind, ASGD and Rprop."""
import numpy as np

from .. import dtypes
from ..backend import xp
from ..blas import mix
from ..tensor import wrap
from .adam import average, average_square
from .optimizer import Optimizer, ascent_removed, buffer, next_step, number, require


class RMSprop(Optimizer):
    """x -= lr * g / (sqrt(v) + eps), v the running mean of g^2.

    momentum: of the quotient. centered: v less the square of the running mean of g, an estimate of the variance.
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, capturable=False,
                 foreach=None, maximize=False, differentiable=False):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        require(eps >= 0, f"Invalid epsilon value: {eps}")
        require(momentum >= 0, f"Invalid momentum value: {momentum}")
        require(weight_decay >= 0, f"Invalid weight_decay value: {weight_decay}")
        require(alpha >= 0, f"Invalid alpha value: {alpha}")
        super().__init__(params, dict(lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay,
                                      capturable=capturable, foreach=foreach, maximize=maximize, differentiable=differentiable))

    def update(self, param, grad, state, group):
        next_step(state)
        lr, alpha, library = number(group["lr"]), group["alpha"], xp(param)
        square = buffer(state, "square_avg", param)
        moving = buffer(state, "momentum_buffer", param) if group["momentum"] else square
        average_grad = buffer(state, "grad_avg", param) if group["centered"] else square

        def move(x, g, v, b, mean):
            g = ascent_removed(x, g, group)
            average_square(v, g, alpha)
            if group["centered"]:
                average(mean, g, alpha)
                s = library.sqrt(v - mean * mean)
            else:
                s = library.sqrt(v)
            s += group["eps"]
            library.divide(g, s, out=s)
            if group["momentum"]:
                mix(b, s, 1, group["momentum"])
                s = b
            mix(x, s, -lr)
        self.by_blocks(move, param, grad, square, moving, average_grad)


class Adagrad(Optimizer):
    """x -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum of g^2) + eps) (Duchi et al. 2011)."""

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, foreach=None, *,
                 maximize=False, differentiable=False, fused=None):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        require(lr_decay >= 0, f"Invalid lr_decay value: {lr_decay}")
        require(weight_decay >= 0, f"Invalid weight_decay value: {weight_decay}")
        require(initial_accumulator_value >= 0, f"Invalid initial_accumulator_value value: {initial_accumulator_value}")
        require(eps >= 0, f"Invalid epsilon value: {eps}")
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                                      initial_accumulator_value=initial_accumulator_value, foreach=foreach, maximize=maximize,
                                      differentiable=differentiable, fused=fused))
        for group in self.param_groups:
            for p in group["params"]:
                self.start(p.array, self.state[p], group)

    def start(self, x, state, group):
        """The state before the first step, which PyTorch's Adagrad has from the beginning."""
        state["step"] = wrap(np.zeros((), dtypes.F32))
        buffer(state, "sum", x, group["initial_accumulator_value"])

    def update(self, param, grad, state, group):
        if not state:
            self.start(param, state, group)
        t, library = next_step(state), xp(param)
        lr = number(group["lr"]) / (1 + (t - 1) * group["lr_decay"])

        def move(x, g, total):
            g = ascent_removed(x, g, group)
            total += g * g
            s = library.sqrt(total)
            s += group["eps"]
            library.divide(g, s, out=s)
            s *= lr
            x -= s
        self.by_blocks(move, param, grad, state["sum"].array)


class Adadelta(Optimizer):
    """x -= lr * g * sqrt(d + eps) / sqrt(v + eps), with v and d the running means of g^2 and of the squared steps (Zeiler 2012)."""

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False, maximize=False,
                 differentiable=False):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        require(0 <= rho <= 1, f"Invalid rho value: {rho}")
        require(eps >= 0, f"Invalid epsilon value: {eps}")
        require(weight_decay >= 0, f"Invalid weight_decay value: {weight_decay}")
        super().__init__(params, dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize, capturable=capturable,
                                      foreach=foreach, differentiable=differentiable))

    def update(self, param, grad, state, group):
        next_step(state)
        lr, rho, eps, library = number(group["lr"]), group["rho"], group["eps"], xp(param)

        def move(x, g, v, d):
            g = ascent_removed(x, g, group)
            average_square(v, g, rho)
            step = library.sqrt(d + eps) / library.sqrt(v + eps) * g
            average_square(d, step, rho)
            mix(x, step, -lr)
        self.by_blocks(move, param, grad, buffer(state, "square_avg", param), buffer(state, "acc_delta", param))


class ASGD(Optimizer):
    """Gradient descent with the mean of all positions after step t0 kept in state["ax"] (Polyak and Juditsky 1992)."""

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
                 differentiable=False, capturable=False):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        require(weight_decay >= 0, f"Invalid weight_decay value: {weight_decay}")
        super().__init__(params, dict(lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach,
                                      maximize=maximize, differentiable=differentiable, capturable=capturable))

    def update(self, param, grad, state, group):
        lr, lambd = number(group["lr"]), group["lambd"]
        t = next_step(state)
        if "eta" not in state:
            state["eta"], state["mu"] = wrap(np.array(lr, dtypes.F32)), wrap(np.ones((), dtypes.F32))
        eta, mu = float(state["eta"].array), float(state["mu"].array)

        def move(x, g, mean):
            g = ascent_removed(x, g, group)
            x *= 1 - lambd * eta
            x -= eta * g
            mean += mu * (x - mean) if mu != 1 else x - mean
        self.by_blocks(move, param, grad, buffer(state, "ax", param))
        state["eta"].array[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
        state["mu"].array[...] = 1 / max(1, t - group["t0"])


class Rprop(Optimizer):
    """Each element has its own step size, grown while its gradient keeps its sign and shrunk when it turns (Riedmiller and Braun 1993)."""

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None, maximize=False,
                 differentiable=False):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        require(0 < etas[0] < 1 < etas[1], f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, dict(lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize,
                                      differentiable=differentiable, capturable=capturable))

    def update(self, param, grad, state, group):
        next_step(state)
        (shrink, grow), (least, most), library = group["etas"], group["step_sizes"], xp(param)

        def move(x, g, before, size):
            g = -g if group["maximize"] else g
            turn = g * before
            size *= library.where(turn > 0, x.dtype.type(grow), library.where(turn < 0, x.dtype.type(shrink), x.dtype.type(1)))
            library.clip(size, least, most, out=size)
            g = library.where(turn < 0, x.dtype.type(0), g)
            x -= library.sign(g) * size
            before[...] = g
        self.by_blocks(move, param, grad, buffer(state, "prev", param), buffer(state, "step_size", param, number(group["lr"])))
