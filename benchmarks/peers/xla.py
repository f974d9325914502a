"""JAX: each step compiled as a whole (jax.jit), or op by op as it is written."""
import os

import numpy as np

from .library import Library, cotangent


class Eager(Library):
    """Optimizer: jax.example_libraries.optimizers.adam, JAX's own."""

    def __init__(self, threads):
        if threads < os.cpu_count():                 # XLA has a thread for each processor that the process may use
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        os.environ["JAX_PLATFORMS"] = "cpu"
        import jax
        self.jax, self.np = jax, jax.numpy

    def array(self, x):
        return self.np.asarray(x)

    def compiled(self, f, **options):
        return f

    def function(self, f, leaves):
        leaves = [self.array(x) for x in leaves]
        g = self.array(cotangent(self.jax.eval_shape(f, *leaves)))

        def both(g, *leaves):
            y, back = self.jax.vjp(f, *leaves)
            return [y, *back(g)]
        both = self.compiled(both)
        return lambda: self.jax.block_until_ready(both(g, *leaves))

    def training(self, loss, weights, data):
        from jax.example_libraries import optimizers
        init, update, current = optimizers.adam(1e-3)
        state, i, data = init([self.array(w) for w in weights]), 0, [self.array(x) for x in data]
        differentiated = self.jax.value_and_grad(loss)

        def both(i, state, *data):
            value, grads = differentiated(current(state), *data)
            return value, grads, update(i, grads, state)
        both = self.compiled(both, donate_argnums=1)

        def step():
            nonlocal state, i
            value, grads, state = both(i, state, *data)
            i += 1
            self.jax.block_until_ready(state)
            return [value, *grads]
        return step

    def relu(self, x):
        return self.jax.nn.relu(x)

    def sigmoid(self, x):
        return self.jax.nn.sigmoid(x)

    def softmax(self, x):
        return self.jax.nn.softmax(x)

    def std(self, x, axis):
        return self.np.std(x, axis, ddof=1)

    def mean(self, x, axis, keepdims=False):
        return self.np.mean(x, axis, keepdims=keepdims)

    def logsumexp(self, x, axis):
        return self.jax.nn.logsumexp(x, axis)

    def cross_entropy(self, x, y):
        chosen = self.np.take_along_axis(x, y[:, None], 1)[:, 0]
        return self.np.mean(self.logsumexp(x, 1) - chosen)

    def gelu(self, x):
        return self.jax.nn.gelu(x, approximate=False)

    def gelu_tanh(self, x):
        return self.jax.nn.gelu(x)

    def attention(self, q, k, v, causal):
        s = self.matmul(q, self.np.swapaxes(k, 2, 3)) * q.shape[-1] ** -0.5
        if causal:
            s = self.np.where(self.np.tri(s.shape[-2], dtype=bool), s, -np.inf)
        return self.matmul(self.softmax(s), v)

    def conv2d(self, x, w, b=None, stride=1, padding=0, groups=1):
        y = self.jax.lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2, feature_group_count=groups)
        return y if b is None else y + b[:, None, None]


class Compiled(Eager):
    def compiled(self, f, **options):
        return self.jax.jit(f, **options)

    def lstm(self, x, w_ih, w_hh, b_ih, b_hh):
        z = self.linear(x, w_ih, b_ih + b_hh)
        zeros = self.np.zeros((x.shape[1], w_hh.shape[1]), "f4")

        def body(state, z):
            state = self.cell(state, z, w_hh)
            return state, state[0]
        return self.jax.lax.scan(body, (zeros, zeros), z)[1]
