"""tinygrad on its CPU backend (which compiles by clang), each step captured by TinyJit; Adam is its own."""
import os

import numpy as np

from .library import Library, cotangent


class Tinygrad(Library):
    def __init__(self, threads):
        os.environ.update(DEV="CPU", NUM_CPU_THREADS=str(threads), TRAINING="1")
        import tinygrad
        from tinygrad.nn import optim
        self.tinygrad, self.Tensor, self.optim = tinygrad, tinygrad.Tensor, optim

    def array(self, x):
        return self.Tensor(x.astype("i4") if x.dtype == np.int64 else x).is_param_(False).realize()

    def function(self, f, leaves):
        leaves = [self.Tensor(x).realize() for x in leaves]
        g = self.array(cotangent(f(*leaves)))

        @self.tinygrad.TinyJit
        def both():
            y = f(*leaves)
            grads = y.gradient(*leaves, gradient=g)
            return self.Tensor.realize(y, *grads), *grads
        return self.finished(both)

    def training(self, loss, weights, data):
        weights, data = [self.Tensor(w).realize() for w in weights], [self.array(x) for x in data]
        adam = self.optim.Adam(weights, lr=1e-3)

        @self.tinygrad.TinyJit
        def both():
            adam.zero_grad()
            value = loss(weights, *data)
            value.backward()
            self.Tensor.realize(value, *[w.grad for w in weights], *adam.schedule_step())
            return value, *[w.grad for w in weights]
        return self.finished(both)

    def finished(self, both):
        def step():
            ys = list(both())
            self.tinygrad.Device["CPU"].synchronize()
            return ys
        return step

    def exp(self, x):
        return x.exp()

    def log(self, x):
        return x.log()

    def tanh(self, x):
        return x.tanh()

    def sin(self, x):
        return x.sin()

    def sqrt(self, x):
        return x.sqrt()

    def sum(self, x, axis, keepdims=False):
        return x.sum(axis, keepdim=keepdims)

    def max(self, x, axis, keepdims=False):
        return x.max(axis, keepdim=keepdims)

    def mean(self, x, axis, keepdims=False):
        return x.mean(axis, keepdim=keepdims)

    def std(self, x, axis):
        return x.std(axis)

    def logsumexp(self, x, axis):
        return x.logsumexp(axis)

    def reshape(self, x, shape):
        return x.reshape(shape)

    def transpose(self, x, axes):
        return x.permute(axes)

    def stack(self, xs, axis):
        return self.Tensor.stack(*xs, dim=axis)

    def matmul(self, a, b):
        return a @ b

    def relu(self, x):
        return x.relu()

    def sigmoid(self, x):
        return x.sigmoid()

    def softmax(self, x):
        return x.softmax(-1)

    def cross_entropy(self, x, y):
        return x.cross_entropy(y)

    def gelu(self, x):
        return 0.5 * x * (1 + (x * 0.5 ** 0.5).erf())

    def gelu_tanh(self, x):
        return x.gelu()

    def layer_norm(self, x, w, b):
        return x.layernorm() * w + b

    def batch_norm(self, x, w, b):
        var, mean = x.var_mean((0, 2, 3), correction=0)
        return x.batchnorm(w, b, mean, (var + 1e-5).rsqrt())

    def attention(self, q, k, v, causal):
        return q.scaled_dot_product_attention(k, v, is_causal=causal)

    def max_pool(self, x):
        return x.max_pool2d(2)

    def average_pool(self, x):
        return x.avg_pool2d(2)

    def conv2d(self, x, w, b=None, stride=1, padding=0, groups=1):
        return x.conv2d(w, b, groups, stride, 1, padding)
