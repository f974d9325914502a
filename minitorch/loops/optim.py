"""Steps of optimizers in one pass over a parameter, its gradient and its state.

Two short loops over a block each, of few arrays, so that the compiler can tell that none overlaps another.
"""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 17                                      # numbers that are worth another thread
BLOCK = 2048                                         # numbers of each array that the first cache holds


@loop
def adam_step(start, stop, x, g, m, v, most, sign, decay, shrink, beta1, rest1, beta2, rest2, step, eps):
    for a in range(start, stop, BLOCK):
        b = min(a + BLOCK, stop)
        xs, gs, ms, vs = x[a:b], g[a:b], m[a:b], v[a:b]
        for i in range(xs.size):
            d = sign * gs[i] + decay * xs[i] if decay else sign * gs[i]
            ms[i] = beta1 * ms[i] + rest1 * d
            vs[i] = beta2 * vs[i] + rest2 * d * d
        if most.size:
            tops = most[a:b]
            for i in range(vs.size):
                tops[i] = tops[i] if (tops[i] >= vs[i]) | (tops[i] != tops[i]) else vs[i]
            vs = tops
        for i in range(xs.size):
            xs[i] = shrink * xs[i] - step * ms[i] / (np.sqrt(vs[i]) + eps)


def adam(parameters, *, maximize, decay, shrink, betas):
    """Steps of several parameters (x, g, m, v, most, step, eps), the threads sharing all of their numbers.

    m and v take in g, or -g to maximize, plus decay x; x = shrink x - step m / (sqrt(v) + eps), of `most` = max(most, v) unless None.
    """
    calls, size = [], 0
    for x, g, m, v, most, step, eps in parameters:
        T, n = x.dtype.type, x.size
        arrays = [a.reshape(n) for a in (x, g, m, v)] + [np.empty(0, x.dtype) if most is None else most.reshape(n)]
        rates = betas[0], 1 - betas[0], betas[1], 1 - betas[1]
        calls.append((size, n, arrays + list(map(T, (-1 if maximize else 1, decay, shrink, *rates, step, eps)))))
        size += n

    def part(start, stop):
        for before, n, call in calls:
            first, end = max(0, start - before), min(n, stop - before)
            if first < end:
                adam_step(first, end, *call)
    threads.run(part, size, least=LEAST)


@loop
def sgd_step(start, stop, x, g, b, first, sign, decay, momentum, share, ahead, lr):
    x, g = x[start:stop], g[start:stop]
    if b.size:
        b = b[start:stop]
        for i in range(x.size):
            d = sign * g[i] + decay * x[i] if decay else sign * g[i]
            b[i] = d if first else momentum * b[i] + share * d
            x[i] -= lr * (d + momentum * b[i] if ahead else b[i])
    else:
        for i in range(x.size):
            x[i] -= lr * (sign * g[i] + decay * x[i] if decay else sign * g[i])


def sgd(x, g, b, *, first, maximize, decay, momentum, dampening, nesterov, lr):
    """b = momentum b + (1 - dampening) d, at `first` d, for d = g, or -g to maximize, plus decay x; x -= lr b. b None: x -= lr d."""
    T, n = x.dtype.type, x.size
    b = np.empty(0, x.dtype) if b is None else b.reshape(n)
    threads.run(sgd_step, n, x.reshape(n), g.reshape(n), b, first, *map(T, (-1 if maximize else 1, decay, momentum, 1 - dampening)), nesterov, T(lr),
                least=LEAST)
