"""HIPS autograd: NumPy's functions; layers composed, Adam by hand (its own runs a loop of its own over flat vectors)."""
from .library import Adam, Library, cotangent


class Autograd(Library):
    def __init__(self, threads):
        import autograd
        import autograd.numpy
        from autograd.scipy.special import erf
        self.autograd, self.np, self.erf = autograd, autograd.numpy, erf

    def function(self, f, leaves):
        from autograd.differential_operators import make_vjp
        differentiated = make_vjp(f, argnum=tuple(range(len(leaves))))
        g = cotangent(f(*leaves))

        def step():
            back, y = differentiated(*leaves)
            return [y, *back(g)]
        return step

    def training(self, loss, weights, data):
        adam, differentiated = Adam(weights), self.autograd.value_and_grad(loss)

        def step():
            value, grads = differentiated(weights, *data)
            adam.step(grads)
            return [value, *grads]
        return step

    def pad(self, x, n):
        return self.np.pad(x, ((0, 0), (0, 0), (n, n), (n, n)), "constant")

    def logsumexp(self, x, axis):
        from autograd.scipy.special import logsumexp
        return logsumexp(x, axis)
