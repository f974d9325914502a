"""Layers made of a library's primitives, for libraries that have them not, and an Adam for those without.

A library gives exp, log, tanh, sin, sqrt, sum, max, reshape, transpose, take, and the operators of Python; it overrides
whichever of the layers here it has itself.
"""
import math

import numpy as np
from workloads import Draw

F = np.float32                                       # a float of Python would make float64 of float32 in MyGrad


class Library:
    without = {}                                     # workloads that cannot be made of its primitives, and why

    def __init__(self, threads):
        """Load the library, to run on so many threads."""

    def array(self, x):
        """A constant as the library takes it."""
        return x

    # ---- primitives, of a module in NumPy's names

    def exp(self, x):
        return self.np.exp(x)

    def log(self, x):
        return self.np.log(x)

    def tanh(self, x):
        return self.np.tanh(x)

    def sin(self, x):
        return self.np.sin(x)

    def sqrt(self, x):
        return self.np.sqrt(x)

    def sum(self, x, axis, keepdims=False):
        return self.np.sum(x, axis=axis, keepdims=keepdims)

    def max(self, x, axis, keepdims=False):
        return self.np.max(x, axis=axis, keepdims=keepdims)

    def reshape(self, x, shape):
        return self.np.reshape(x, shape)

    def transpose(self, x, axes):
        return self.np.transpose(x, axes)

    def stack(self, xs, axis):
        return self.np.stack(xs, axis)

    def split(self, x, n):
        """n equal parts of the columns of a matrix."""
        size = x.shape[1] // n
        return [x[:, i * size:(i + 1) * size] for i in range(n)]

    def pad(self, x, n):
        """Zeros around the last two axes."""
        return self.np.pad(x, ((0, 0), (0, 0), (n, n), (n, n)))

    def matmul(self, a, b):
        return self.np.matmul(a, b)

    def take(self, w, index):
        return w[index]

    # ---- layers

    def relu(self, x):
        return self.np.maximum(x, 0)

    def sigmoid(self, x):
        return self.tanh(x * F(0.5)) * F(0.5) + F(0.5)

    def linear(self, x, w, b):
        return self.matmul(x, self.transpose(w, (1, 0))) + b

    def mean(self, x, axis, keepdims=False):
        return self.sum(x, axis, keepdims) * F(1 / x.shape[axis])

    def std(self, x, axis):
        d = x - self.mean(x, axis, True)
        return self.sqrt(self.sum(d * d, axis) * F(1 / (x.shape[axis] - 1)))

    def logsumexp(self, x, axis):
        m = self.max(x, axis, True)
        return self.log(self.sum(self.exp(x - m), axis)) + self.reshape(m, x.shape[:axis] + x.shape[axis + 1:])

    def softmax(self, x):
        e = self.exp(x - self.max(x, -1, True))
        return e / self.sum(e, -1, True)

    def cross_entropy(self, x, y):
        chosen = x[np.arange(len(y)), y]
        return self.sum(self.logsumexp(x, 1) - chosen, 0) * F(1 / len(y))

    def gelu(self, x):
        return x * F(0.5) * (self.erf(x * F(0.5 ** 0.5)) + F(1))

    def gelu_tanh(self, x):
        return x * F(0.5) * (self.tanh((x + x * x * x * F(0.044715)) * F((2 / math.pi) ** 0.5)) + F(1))

    def layer_norm(self, x, w, b):
        d = x - self.mean(x, -1, True)
        return d / self.sqrt(self.mean(d * d, -1, True) + F(1e-5)) * w + b

    def batch_norm(self, x, w, b):
        N, C, H, W = x.shape
        d = x - self.sum(x, (0, 2, 3), True) * F(1 / (N * H * W))
        v = self.sum(d * d, (0, 2, 3), True) * F(1 / (N * H * W))
        return d / self.sqrt(v + F(1e-5)) * self.reshape(w, (1, C, 1, 1)) + self.reshape(b, (1, C, 1, 1))

    def attention(self, q, k, v, causal):
        s = self.matmul(q, self.transpose(k, (0, 1, 3, 2))) * F(1 / math.sqrt(q.shape[-1]))
        if causal:
            s = s + self.array(np.triu(np.full(s.shape[-2:], -1e9, "f4"), 1))
        return self.matmul(self.softmax(s), v)

    def cell(self, state, x, w_hh):
        """One step of an LSTM from x, the input's share of its gates."""
        h, c = state
        i, f, z, o = self.split(x + self.matmul(h, self.transpose(w_hh, (1, 0))), 4)
        c = self.sigmoid(f) * c + self.sigmoid(i) * self.tanh(z)
        return self.sigmoid(o) * self.tanh(c), c

    def lstm(self, x, w_ih, w_hh, b_ih, b_hh):
        state, hs, b = (self.array(np.zeros((x.shape[1], w_hh.shape[1]), "f4")),) * 2, [], b_ih + b_hh
        for t in range(x.shape[0]):
            state = self.cell(state, self.linear(x[t], w_ih, b), w_hh)
            hs.append(state[0])
        return self.stack(hs, 0)

    def max_pool(self, x):
        return self.max(self.max(self.pairs(x), 5), 3)

    def average_pool(self, x):
        return self.mean(self.mean(self.pairs(x), 5), 3)

    def pairs(self, x):
        """(N, C, H, W) as (N, C, H / 2, 2, W / 2, 2); an odd last row or column is left out."""
        N, C, H, W = x.shape
        if H % 2 or W % 2:
            x = x[:, :, :H // 2 * 2, :W // 2 * 2]
        return self.reshape(x, (N, C, H // 2, 2, W // 2, 2))

    def conv2d(self, x, w, b=None, stride=1, padding=0, groups=1):
        """By im2col: shifted images side by side, times the weights."""
        N, C, H, W = x.shape
        O, D, K, _ = w.shape
        P, Q = (H + 2 * padding - K) // stride + 1, (W + 2 * padding - K) // stride + 1
        if padding:
            x = self.pad(x, padding)
        shifts = [x[:, :, i:i + stride * (P - 1) + 1:stride, j:j + stride * (Q - 1) + 1:stride] for i in range(K) for j in range(K)]
        columns = self.reshape(self.stack(shifts, 2), (N, groups, D * K * K, P * Q))
        y = self.reshape(self.matmul(self.reshape(w, (groups, O // groups, D * K * K)), columns), (N, O, P, Q))
        return y if b is None else y + self.reshape(b, (1, O, 1, 1))


def cotangent(y):
    """What is sent back through a result, as in workloads.py."""
    return Draw(1).normal(*y.shape)


class Adam:
    """Adam on arrays, in place."""

    def __init__(self, weights, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.weights, self.lr, self.beta1, self.beta2, self.eps, self.t = weights, lr, beta1, beta2, eps, 0
        self.m, self.v = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]

    def step(self, grads):
        self.t += 1
        size, root = self.lr / (1 - self.beta1 ** self.t), math.sqrt(1 - self.beta2 ** self.t)
        for w, g, m, v in zip(self.weights, grads, self.m, self.v):
            m *= self.beta1
            m += (1 - self.beta1) * g
            v *= self.beta2
            v += (1 - self.beta2) * (g * g)
            d = np.sqrt(v)
            d *= 1 / root
            d += self.eps
            np.divide(m, d, out=d)
            d *= size
            w -= d
