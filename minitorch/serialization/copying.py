"""pickle, copy.copy and copy.deepcopy of tensors.

A deep copy copies storages, not tensors: what shared memory before shares it afterwards, and what lay transposed lies so
again.  A pickle (for another process, say) holds each tensor by itself.
"""
import copy

from .. import backend
from ..tensor import Tensor, wrap


def rebuild_tensor(array, device, requires_grad, kind=Tensor, attributes=None):
    """What unpickling a Tensor calls."""
    t = wrap(backend.move(array, device), cls=kind)
    if attributes:
        t.__dict__.update(attributes)
    return t.requires_grad_() if requires_grad else t


def reduce_tensor(self, protocol):
    arguments = (backend.to_numpy(self.array), str(self.device), self.requires_grad)
    return rebuild_tensor, arguments if type(self) is Tensor and not self.__dict__ else (*arguments, type(self), dict(self.__dict__))


def copy_tensor(self):
    """Another tensor of the same storage: what copy.copy makes."""
    t = wrap(self.array, counter=self.counter, cls=type(self))
    t.__dict__.update(self.__dict__)
    return t.requires_grad_() if self.requires_grad else t


def deepcopy_tensor(self, memo):
    if self.grad_fn is not None:
        raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
                           "Use tensor.detach().clone().")
    if id(self) not in memo:
        array, counter = copied(self.array, memo)
        memo[id(self)] = again = wrap(array, counter=counter, cls=type(self))
        if self.requires_grad:
            again.requires_grad_()
        if self.grad is not None:
            again.grad = copy.deepcopy(self.grad, memo)
        if self.__dict__:
            again.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return memo[id(self)]


def copied(array, memo):
    """(a copy of `array`, its count of writes): part of the copy of its whole memory, where it is part of that."""
    root = array
    while type(root.base) is type(array):
        root = root.base
    library = backend.xp(array)
    if root.dtype != array.dtype or not (root.flags.c_contiguous or root.flags.f_contiguous):
        root = array
    if id(root) not in memo:
        memo[id(root)] = library.array(root)         # in the same order in memory
        memo.setdefault(id(memo), []).append(root)   # as copy.deepcopy does: no other object takes its place while the memo lives
    again = memo[id(root)]
    counter = memo.setdefault(("writes", id(root)), [0])
    if root is not array:
        from ..ops.memory import address
        from ..ops.strides import strided
        start = (address(array) - address(root)) // array.dtype.itemsize
        flat = (again if again.flags.c_contiguous else again.T).reshape(-1)
        again = strided(flat[start:], array.shape, array.strides) if array.size else library.empty(array.shape, array.dtype)
    return again, counter
