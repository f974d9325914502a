"""Derivatives of a function as a whole, in torch.autograd.functional's words: vjp, jvp, Jacobian, Hessian, products with it.

`inputs` is a Tensor or a tuple of them, func returns a Tensor or a tuple, and results have the same structure.
create_graph=True makes results that can be differentiated again; strict=True raises RuntimeError where zeros would
say that nothing depends on an input.

The directional derivative needs no rule of its own: u^T J is linear in u, so its derivative, applied to v, is J v.
"""
from ..backend import xp
from ..tensor import Tensor, wrap
from . import grad
from .mode import enable_grad
from .plan import Handle

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v^T J); v is shaped like the outputs, None where that is one element."""
    with enable_grad():
        xs, one_x, ys, one_y = evaluate("vjp", func, inputs, create_graph, strict)
        v = vectors("vjp", v, ys, one_y, create_graph, "the user-provided function returns a single Tensor with a single element")
        gs = pull(ys, xs, v, create_graph, strict)
    return answer(ys, one_y, create_graph), answer(gs, one_x, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), J v); v is shaped like the inputs, None where that is one element."""
    with enable_grad():
        xs, one_x, ys, one_y = evaluate("jvp", func, inputs, create_graph, strict)
        v = vectors("jvp", v, xs, one_x, create_graph, "the input to the user-provided function is a single Tensor with a single element")
        us = [zeros(y).requires_grad_() for y in ys]
        pushed = pull(pull(ys, xs, us, True, strict), us, v, create_graph, strict)
    return answer(ys, one_y, create_graph), answer(pushed, one_y, create_graph)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The derivative of every output by every input: shape output.shape + input.shape; a tuple for several inputs,
    inside a tuple for several outputs.

    vectorize and strategy are accepted: rows are computed one by one, backwards.
    """
    assert strategy in ("forward-mode", "reverse-mode"), f"jacobian: strategy must be 'forward-mode' or 'reverse-mode', not {strategy!r}"
    if strict and vectorize:
        raise RuntimeError("jacobian: `strict=True` and `vectorize=True` are not supported together. Please set `vectorize=False`.")
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError("jacobian: `strategy=\"forward-mode\"` is only supported with `vectorize=True`")
    with enable_grad():
        xs, one_x, ys, one_y = evaluate("jacobian", func, inputs, create_graph, strict)
        rows = [answer(rows_of(y, xs, create_graph, strict), one_x, create_graph) for y in ys]
    return rows[0] if one_y else tuple(rows)


def rows_of(y, xs, create_graph, strict):
    """For each input the derivatives of y, entry by entry: shape y.shape + input.shape."""
    rows = []
    for i in range(y.array.size):
        u = zeros(y)
        u.array.reshape(-1)[i] = 1
        rows.append(pull([y], xs, [u], create_graph, strict))
    full = [tuple(y.shape) + tuple(x.shape) for x in xs]
    if not rows:
        return [wrap(xp(x.array).zeros(shape, x.array.dtype)) for x, shape in zip(xs, full)]
    if create_graph:
        from .. import stack
        return [stack(column).reshape(shape) for column, shape in zip(zip(*rows), full)]
    return [wrap(xp(x.array).stack([g.array for g in column]).reshape(shape)) for x, column, shape in zip(xs, zip(*rows), full)]


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The second derivatives of a func that returns one number: shape input.shape + input.shape; for several inputs a
    tuple of tuples.
    """
    def gradient(*xs):
        y = single_number("hessian", func(*xs))
        gs = pull([y], xs, [None], True, strict)
        return tuple(gs) if isinstance(inputs, tuple) else gs[0]
    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v^T H) for a func that returns one number; v is shaped like the inputs."""
    return hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), H v); as H is symmetric, it is computed as vhp is, with one derivative less."""
    return hessian_product("hvp", func, inputs, v, create_graph, strict)


def hessian_product(name, func, inputs, v, create_graph, strict):
    with enable_grad():
        xs, one_x, ys, one_y = evaluate(name, func, inputs, create_graph, strict)
        single_number(name, ys[0] if one_y else tuple(ys))
        v = vectors(name, v, xs, one_x, create_graph, "the input to the user-provided function is a single Tensor with a single element")
        products = pull(pull(ys, xs, [None], True, strict), xs, v, create_graph, strict)
    return answer(ys, one_y, create_graph), answer(products, one_x, create_graph)


# ---- the steps they share -------------------------------------------------------------------------------

def evaluate(name, func, inputs, create_graph, strict):
    """func at fresh stand-ins for its inputs: (stand-ins, whether it was one, outputs, whether it was one)."""
    xs, one_x = as_tuple(name, "inputs", inputs)
    xs = [inside(x, create_graph) for x in xs]
    ys, one_y = as_tuple(name, "outputs of the user-provided function", func(*xs))
    for i, y in enumerate(ys):
        if strict and not y.requires_grad:
            raise RuntimeError(f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                               f"differentiable manner from the input when running {name} in strict mode.")
    return xs, one_x, ys, one_y


def as_tuple(name, what, given):
    """`given` as a tuple, and whether it was a single Tensor; TypeError for anything but Tensors."""
    ts, one = ((given,), True) if not isinstance(given, tuple) else (given, False)
    for i, t in enumerate(ts):
        if not isinstance(t, Tensor):
            raise TypeError(f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the value at index {i} has "
                            f"type {type(t)}.")
    return ts, one


def inside(x, create_graph):
    """x as func sees it: a step after x when the results may be differentiated further, else a leaf of its own."""
    node = x.current_node() if create_graph else None
    return x.detach().requires_grad_() if node is None else wrap(x.array, Handle(node, x.array.shape, x.array.dtype), x.counter)


def vectors(name, v, like, one, create_graph, allowed):
    """v, checked against the tensors it belongs to; None where these are one element."""
    if v is None:
        if len(like) != 1 or like[0].array.size != 1:
            raise RuntimeError(f"{name}: The vector v can only be None if {allowed}.")
        return [wrap(xp(like[0].array).ones_like(like[0].array))]
    v, _ = as_tuple(name, "v", v)
    if len(v) != len(like):
        raise RuntimeError("The given v should contain a single Tensor." if one else
                           f"v is a tuple of invalid length: should be {len(like)} but got {len(v)}.")
    for i, (given, t) in enumerate(zip(v, like)):
        if given.shape != t.shape:
            raise RuntimeError(f"Entry {i} in v has invalid size: should be {t.shape} but got {given.shape}.")
    return [given if create_graph else given.detach() for given in v]


def pull(ys, xs, us, create_graph, strict):
    """u^T J for every input: autograd.grad with zeros where nothing depends on it."""
    recorded = [(y, u) for y, u in zip(ys, us) if y.requires_grad]
    gs = [None] * len(xs)
    if recorded:
        gs = grad([y for y, _ in recorded], xs, [u for _, u in recorded], True, create_graph, allow_unused=True)
    for i, g in enumerate(gs):
        if strict and (g is None or create_graph and not g.requires_grad):
            raise RuntimeError(f"The result of the user-provided function is independent of input {i}. This is not allowed in strict mode"
                               f"{' when create_graph=True' if g is not None else ''}.")
    return [zeros(x) if g is None else g for g, x in zip(gs, xs)]


def zeros(t):
    return wrap(xp(t.array).zeros_like(t.array))


def answer(ts, one, create_graph):
    """Results in the structure that was asked for, outside the graph unless it was asked for."""
    ts = tuple(ts) if create_graph else tuple(t.detach() for t in ts)
    return ts[0] if one else ts


def single_number(name, y):
    """y, if it is one Tensor of one element; RuntimeError otherwise."""
    if not isinstance(y, Tensor):
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if y.array.size != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element, not have shape "
                           f"{tuple(y.shape)}")
    return y
