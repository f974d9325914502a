"""Function transforms, in torch.func's words: each takes a function and gives a function, and they nest.

Arguments may be trees of tensors: a dict of parameters as `functional_call` takes it, for instance.
"""
from .batch import vmap
from .call import functional_call
from .transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]
