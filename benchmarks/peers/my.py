"""MyGrad, without its guard against writes to arrays of the graph, as it advises where speed counts.  Adam by hand: it has no optimizers."""
import numpy as np

from .library import Adam, Library, cotangent


class MyGrad(Library):
    without = {"GELU, erf": "MyGrad has no erf"}

    def __init__(self, threads):
        import mygrad
        import mygrad.nnet
        mygrad.turn_memory_guarding_off()
        self.np, self.nnet = mygrad, mygrad.nnet

    def function(self, f, leaves):
        leaves = [self.np.tensor(x, copy=False) for x in leaves]
        g = cotangent(f(*leaves))

        def step():
            for x in leaves:
                x.null_grad()
            y = f(*leaves)
            y.backward(g)
            return [y.data, *[x.grad for x in leaves]]
        return step

    def training(self, loss, weights, data):
        leaves = [self.np.tensor(w, copy=False) for w in weights]
        adam = Adam([w.data for w in leaves])

        def step():
            for w in leaves:
                w.null_grad()
            value = loss(leaves, *data)
            value.backward()
            grads = [w.grad for w in leaves]
            adam.step(grads)
            return [value.data, *grads]
        return step

    def pad(self, x, n):
        y = self.np.zeros((*x.shape[:2], x.shape[2] + 2 * n, x.shape[3] + 2 * n), dtype="f4", constant=False)
        y[:, :, n:-n, n:-n] = x
        return y

    def relu(self, x):
        return self.nnet.activations.relu(x)

    def sigmoid(self, x):
        return self.nnet.activations.sigmoid(x)

    def softmax(self, x):
        return self.nnet.activations.softmax(x)

    def cross_entropy(self, x, y):
        return self.nnet.losses.softmax_crossentropy(x, y)

    def batch_norm(self, x, w, b):
        return self.nnet.layers.batchnorm(x, gamma=w, beta=b, eps=1e-5)

    def std(self, x, axis):
        return self.np.std(x, axis, ddof=1)

    def mean(self, x, axis, keepdims=False):
        return self.np.mean(x, axis, keepdims=keepdims)

    def max_pool(self, x):
        H, W = x.shape[2:]
        return self.nnet.layers.max_pool(x[:, :, :H // 2 * 2, :W // 2 * 2], (2, 2), 2)

    def conv2d(self, x, w, b=None, stride=1, padding=0, groups=1):
        if groups > 1:                               # its own has none
            return super().conv2d(x, w, b, stride, padding, groups)
        H, K = x.shape[2], w.shape[2]                # images and kernels are square
        if over := (H + 2 * padding - K) % stride:   # it refuses what the last window does not reach
            x, padding = self.pad(x, padding) if padding else x, 0
            x = x[:, :, :-over, :-over]
        y = self.nnet.layers.conv_nd(x, w, stride=stride, padding=padding)
        return y if b is None else y + b.reshape(1, np.size(b.data), 1, 1)
