"""DeZero, with the name np.int put back that NumPy 2 has no more; its own Adam.  It multiplies matrices, but no stacks of them."""
import numpy as np

from .library import Library, cotangent

ONE, NONE = "DeZero has no product of stacks of matrices", "DeZero has no stack or concatenate"


class DeZero(Library):
    without = {"attention": ONE, "causal attention": ONE, "transformer block": ONE, "GPT-2 block": ONE,
               "LSTM": NONE, "conv2d, 8 groups": NONE, "conv2d, depthwise": NONE, "GELU, erf": "DeZero has no erf"}

    def __init__(self, threads):
        np.int = int
        import dezero
        import dezero.functions
        import dezero.functions_conv
        self.dezero, self.F, self.C = dezero, dezero.functions, dezero.functions_conv

    def function(self, f, leaves):
        leaves = [self.dezero.Variable(x) for x in leaves]
        g = cotangent(f(*leaves))

        def step():
            for x in leaves:
                x.cleargrad()
            y = f(*leaves)
            y.grad = self.dezero.Variable(g)
            y.backward()
            return [y.data, *[x.grad.data for x in leaves]]
        return step

    def training(self, loss, weights, data):
        model = self.dezero.Layer()
        for i, w in enumerate(weights):
            setattr(model, f"w{i}", self.dezero.Parameter(w))
        parameters = [getattr(model, f"w{i}") for i in range(len(weights))]
        adam = self.dezero.optimizers.Adam().setup(model)

        def step():
            model.cleargrads()
            value = loss(parameters, *data)
            value.backward()
            adam.update()
            return [value.data, *[p.grad.data for p in parameters]]
        return step

    def exp(self, x):
        return self.F.exp(x)

    def log(self, x):
        return self.F.log(x)

    def tanh(self, x):
        return self.F.tanh(x)

    def sin(self, x):
        return self.F.sin(x)

    def sqrt(self, x):
        return x ** 0.5

    def sum(self, x, axis, keepdims=False):
        return self.F.sum(x, axis, keepdims)

    def max(self, x, axis, keepdims=False):
        return self.F.max(x, axis, keepdims)

    def reshape(self, x, shape):
        return self.F.reshape(x, shape)

    def transpose(self, x, axes):
        return self.F.transpose(x, axes)

    def matmul(self, a, b):
        return self.F.matmul(a, b)

    def relu(self, x):
        return self.F.relu(x)

    def linear(self, x, w, b):
        return self.F.linear(x, self.F.transpose(w), b)

    def cross_entropy(self, x, y):
        return self.F.softmax_cross_entropy(x, y)

    def batch_norm(self, x, w, b):
        n = w.shape[0]
        return self.F.batch_nrom(x, w, b, np.zeros(n, "f4"), np.ones(n, "f4"), eps=1e-5)

    def max_pool(self, x):
        return self.C.pooling(x, 2, 2)

    def average_pool(self, x):
        return self.C.average_pooling(x, 2, 2)

    def conv2d(self, x, w, b=None, stride=1, padding=0, groups=1):
        return self.C.conv2d(x, w, b, stride, padding)
