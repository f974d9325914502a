"""The optimizers: Keras' arguments and formulas.

Where Keras' formula is minitorch's with other constants, minitorch's optimizer does it; the others are written out as
subclasses of minitorch's Optimizer.  Keras adds epsilon under the root in RMSprop and Adagrad, and has the learning rate in
the momentum of SGD.
"""
import math

from ... import optim
from ...backend import xp
from ...optim.adam import average, average_square
from ...optim.optimizer import buffer, next_step
from .optimizer import Optimizer


class Descent(optim.Optimizer):
    """v = momentum v - lr g, x += v; nesterov: x += momentum v - lr g."""

    def update(self, param, grad, state, group):
        lr, momentum = group["lr"], group["momentum"]

        def move(x, g, v):
            if not momentum:
                x -= lr * g
                return
            v *= momentum
            v -= lr * g
            x += momentum * v - lr * g if group["nesterov"] else v
        self.by_blocks(move, param, grad, buffer(state, "momentum", param) if momentum else param)


class RootMeanSquare(optim.Optimizer):
    """x -= lr g / sqrt(v + epsilon), v the running mean of g^2; momentum: of these steps; centered: v less the squared mean of g."""

    def update(self, param, grad, state, group):
        lr, rho, library = group["lr"], group["rho"], xp(param)
        square = buffer(state, "velocity", param)
        moving = buffer(state, "momentum", param) if group["momentum"] else square
        mean = buffer(state, "average_gradient", param) if group["centered"] else square

        def move(x, g, v, b, m):
            average_square(v, g, rho)
            s = v + group["epsilon"]
            if group["centered"]:
                average(m, g, rho)
                s -= m * m
            step = lr * g / library.sqrt(s)
            if group["momentum"]:
                b *= group["momentum"]
                b += step
                step = b
            x -= step
        self.by_blocks(move, param, grad, square, moving, mean)


class SumOfSquares(optim.Optimizer):
    """x -= lr g / sqrt(the sum of all g^2 + epsilon)."""

    def update(self, param, grad, state, group):
        library = xp(param)

        def move(x, g, total):
            total += g * g
            x -= group["lr"] * g / library.sqrt(total + group["epsilon"])
        self.by_blocks(move, param, grad, buffer(state, "accumulator", param, group["start"]))


class LargestSize(optim.Optimizer):
    """x -= lr / (1 - beta_1^t) m / (u + epsilon), u = max(beta_2 u, |g|)."""

    def update(self, param, grad, state, group):
        t, library = next_step(state), xp(param)

        def move(x, g, m, u):
            average(m, g, group["beta_1"])
            u *= group["beta_2"]
            library.maximum(u, library.abs(g), out=u)
            x -= group["lr"] / (1 - group["beta_1"] ** t) * m / (u + group["epsilon"])
        self.by_blocks(move, param, grad, buffer(state, "m", param), buffer(state, "u", param))


class Signs(optim.Optimizer):
    """x -= lr sign(beta_1 m + (1 - beta_1) g), m = beta_2 m + (1 - beta_2) g."""

    def update(self, param, grad, state, group):
        library, beta = xp(param), group["beta_1"]

        def move(x, g, m):
            x -= group["lr"] * library.sign(beta * m + (1 - beta) * g)
            average(m, g, group["beta_2"])
        self.by_blocks(move, param, grad, buffer(state, "momentum", param))


# ---- Keras' classes -----------------------------------------------------------------------------------------

class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's momentum."""

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be from 0 to 1, not {momentum}")
        self.momentum, self.nesterov = momentum, nesterov

    def rule(self, params):
        return Descent(params, dict(lr=0.0, momentum=self.momentum, nesterov=self.nesterov))


class Adam(Optimizer):
    """Running means of the gradient and its square (Kingma & Ba 2014); epsilon is added before the correction for the start."""

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def rule(self, params):
        return optim.Adam(params, betas=(self.beta_1, self.beta_2), eps=self.epsilon, amsgrad=self.amsgrad)

    def prepare(self, group):
        # minitorch, as PyTorch: m / (sqrt(v) / r + eps) for r = sqrt(1 - beta_2^t). Keras: r m / (sqrt(v) + epsilon).
        group["eps"] = self.epsilon / math.sqrt(1 - self.beta_2 ** (self.iterations + 1))


class AdamW(Adam):
    """Adam with weight decay (Loshchilov & Hutter 2017)."""

    def __init__(self, learning_rate=0.001, weight_decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False, **kwargs):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)
        if weight_decay is None:
            raise ValueError("AdamW needs a weight_decay; Adam has none")


class Nadam(Adam):
    """Adam with Nesterov's momentum (Dozat 2016)."""

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)

    def rule(self, params):
        return optim.NAdam(params, betas=(self.beta_1, self.beta_2), eps=self.epsilon, momentum_decay=1.0)

    def prepare(self, group):
        pass


class RMSprop(Optimizer):
    """Steps divided by the running root mean square of the gradient (Hinton 2012)."""

    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def rule(self, params):
        return RootMeanSquare(params, dict(lr=0.0, rho=self.rho, momentum=self.momentum, epsilon=self.epsilon, centered=self.centered))


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients (Duchi et al. 2011)."""

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def rule(self, params):
        return SumOfSquares(params, dict(lr=0.0, start=self.initial_accumulator_value, epsilon=self.epsilon))


class Adadelta(Optimizer):
    """Steps of the size of earlier steps (Zeiler 2012)."""

    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def rule(self, params):
        return optim.Adadelta(params, rho=self.rho, eps=self.epsilon)


class Adamax(Adam):
    """Adam with the largest past gradient in place of the mean square."""

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **kwargs):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)

    def rule(self, params):
        return LargestSize(params, dict(lr=0.0, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon))

    def prepare(self, group):
        pass


class Lion(Optimizer):
    """The sign of a momentum (Chen et al. 2023)."""

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def rule(self, params):
        return Signs(params, dict(lr=0.0, beta_1=self.beta_1, beta_2=self.beta_2))
