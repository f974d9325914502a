"""The operators of Tensor: which op each of + - * / // % ** == < & | ^ ~ << >> calls.

The arithmetic ones and the comparisons call ops of two arrays directly.  For an operand that is no number they
answer NotImplemented, so that Python asks the other operand, and `tensor == None` is False.
"""
import operator

import numpy as np

from ..autograd.call import binary
from ..backend import MODULES
from ..tensor import Tensor
from . import compare, division, elementwise, powers


def general_or_other(op, args, kw):
    """op.general, or NotImplemented where an operand is neither a tensor, an array nor a number."""
    for a in args:
        if not isinstance(a, (Tensor, int, float, np.generic)) and type(a) not in MODULES:
            return NotImplemented
    return op.general(op, args, kw)


def forward(name, call):
    """The method for `self op other`."""
    method = binary(call.op, slow=general_or_other)
    method.__name__ = method.__qualname__ = name
    method.__doc__ = call.__doc__
    setattr(Tensor, name, method)
    return method


def backward(name, method):
    """The method for `other op self`."""
    def reflected(self, other):
        return method(other, self)
    reflected.__name__ = reflected.__qualname__ = name
    reflected.__doc__ = method.__doc__
    setattr(Tensor, name, reflected)


for _name, _call, _written in (
        ("add", elementwise.plus, "add_"), ("sub", elementwise.minus, "sub_"), ("mul", elementwise.mul, "mul_"),
        ("truediv", division.true_divide, "div_"), ("floordiv", division.floor_divide, "floor_divide_"),
        ("mod", division.remainder, "remainder_"), ("pow", powers.power, "pow_"),
        ("and", compare.bitwise_and, "bitwise_and_"), ("or", compare.bitwise_or, "bitwise_or_"),
        ("xor", compare.bitwise_xor, "bitwise_xor_"),
        ("lshift", compare.bitwise_left_shift, "bitwise_left_shift_"), ("rshift", compare.bitwise_right_shift, "bitwise_right_shift_")):
    _method = forward(f"__{_name}__", _call)
    if _name in ("add", "mul"):                      # the same from both sides
        setattr(Tensor, f"__r{_name}__", _method)
    else:
        backward(f"__r{_name}__", _method)
    setattr(Tensor, f"__i{_name}__", getattr(Tensor, _written))

Tensor.__div__, Tensor.__rdiv__, Tensor.__idiv__ = Tensor.__truediv__, Tensor.__rtruediv__, Tensor.__itruediv__     # Python 2's names

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    forward(f"__{_name}__", getattr(compare, _name))
Tensor.__hash__ = object.__hash__                    # equal tensors are not one key

Tensor.__neg__ = elementwise.neg
Tensor.__pos__ = elementwise.positive
Tensor.__abs__ = elementwise.abs


def __invert__(self):
    """~x, bit by bit; TypeError for floats."""
    if self.array.dtype.kind not in "biu":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return compare.bitwise_not(self)


Tensor.__invert__ = __invert__


# ---- a tensor of one element as a Python number -------------------------------------------------------------------

def one_element(self):
    if self.array.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return self.item()


def __bool__(self):
    """The truth of the only element; RuntimeError where there is not exactly one."""
    if self.array.size != 1:
        raise RuntimeError("Boolean value of Tensor with no values is ambiguous" if self.array.size == 0 else
                           "Boolean value of Tensor with more than one value is ambiguous")
    return bool(self.item())


def __index__(self):
    """The only element, a whole number, as an index."""
    if self.array.size != 1 or self.array.dtype.kind not in "biu":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return operator.index(self.item())


Tensor.__bool__, Tensor.__index__ = __bool__, __index__
Tensor.__float__ = lambda self: float(one_element(self))
Tensor.__int__ = lambda self: int(one_element(self))
Tensor.__complex__ = lambda self: complex(one_element(self))
