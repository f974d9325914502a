"""Variable: the name under which old programs wrapped tensors; it makes Tensors."""
from ..tensor import Tensor

__all__ = ["Variable"]


class IsTensor(type):
    def __instancecheck__(cls, other):
        return isinstance(other, Tensor)


class Variable(metaclass=IsTensor):
    """A Tensor that shares the storage of `data`, outside its graph."""

    def __new__(cls, data, requires_grad=False):
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
