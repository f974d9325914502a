"""Reverse-mode differentiation: `backward`, `grad`, grad modes, hooks, custom functions."""
import importlib as _importlib

from ..backend import xp
from ..tensor import Tensor, wrap
from . import engine
from .gradcheck import gradcheck, gradgradcheck
from .mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .watch import detect_anomaly, is_anomaly_check_nan_enabled, is_anomaly_enabled, set_checksums, set_detect_anomaly

__all__ = ["Function", "Variable", "backward", "detect_anomaly", "enable_grad", "function", "functional", "grad", "gradcheck",
           "gradgradcheck", "graph", "inference_mode", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "is_grad_enabled", "no_grad",
           "set_checksums", "set_detect_anomaly", "set_grad_enabled"]


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Add the gradient of the sum of `tensors` to .grad of every leaf (or of `inputs`) that they depend on.

    grad_tensors (once called grad_variables): for each tensor the gradient arriving at it; None where it has one element.
    RuntimeError for a tensor that requires no grad, or whose graph was freed by an earlier call.
    """
    tensors, grad_tensors = as_tuple(tensors, "tensors"), grad_variables if grad_tensors is None else grad_tensors
    roots, gradients = starts(tensors, grad_tensors, create_graph)
    keep_graph = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        engine.run(roots, gradients, None, create_graph, keep_graph)
        return
    inputs = as_tuple(inputs, "inputs")
    if not inputs:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    nodes = nodes_of(inputs)
    found = engine.run(roots, gradients, nodes, create_graph, keep_graph)
    for t, node in zip(inputs, nodes):
        if node in found:
            if t.box is None:
                t.box = engine.Box()
            engine.accumulate(node if isinstance(node, engine.Leaf) else engine.Leaf(t.box, node.shape, node.dtype),
                              found[node], create_graph)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True,
         allow_unused=None, is_grads_batched=False, materialize_grads=False):
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple.

    RuntimeError for an input that the outputs do not depend on, unless allow_unused (None then) or materialize_grads (zeros).
    only_inputs has no effect: no other tensor's grad is touched.
    """
    if is_grads_batched:
        raise NotImplementedError("grad(): is_grads_batched is not supported; loop over the rows of grad_outputs")
    outputs, inputs = as_tuple(outputs, "outputs"), as_tuple(inputs, "inputs")
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False.")
    roots, gradients = starts(outputs, grad_outputs, create_graph)
    nodes = nodes_of(inputs)
    found = engine.run(roots, gradients, nodes, create_graph, create_graph if retain_graph is None else retain_graph)
    results = []
    for i, (t, node) in enumerate(zip(inputs, nodes)):
        g = found.get(node)
        if g is None and materialize_grads:
            g = xp(t.array).zeros_like(t.array)
        elif g is None and not allow_unused:
            raise RuntimeError("One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True "
                               f"if this is the desired behavior. It is input {i}, of shape {tuple(t.shape)}.")
        results.append(g if g is None or isinstance(g, Tensor) else wrap(xp(t.array).asarray(g)))
    return tuple(results)


def as_tuple(x, name):
    """One tensor or a sequence of them as a tuple; TypeError for anything else."""
    x = (x,) if isinstance(x, Tensor) else tuple(x)
    for t in x:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: expected Tensors, got {type(t).__name__}")
    return x


def starts(tensors, gradients, create_graph):
    """The nodes to start from and the gradients that arrive there."""
    gradients = (None,) * len(tensors) if gradients is None else tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)
    if len(gradients) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(gradients)} gradients")
    roots, arriving = [], []
    for i, (t, g) in enumerate(zip(tensors, gradients)):
        node = t.current_node()
        if node is None:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        if g is None:
            if t.array.size != 1:
                raise RuntimeError(f"grad can be implicitly created only for scalar outputs, not for one of shape {tuple(t.shape)}")
            g = wrap(xp(t.array).ones_like(t.array))
        elif not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        elif g.array.shape != t.array.shape:
            raise RuntimeError(f"Mismatch in shape: grad_output[{i}] has a shape of {tuple(g.shape)} and output[{i}] has a shape of "
                               f"{tuple(t.shape)}.")
        roots.append(node)
        arriving.append(engine.fit(g if create_graph else g.array, node))
    return roots, arriving


def nodes_of(inputs):
    nodes = [t.current_node() for t in inputs]
    for i, node in enumerate(nodes):
        if node is None:
            raise RuntimeError(f"One of the differentiated Tensors does not require grad: input {i}, of shape {tuple(inputs[i].shape)}")
    return nodes


# Names that many programs do without, by the file that is read when one is first asked for; "" for modules of that name.
_LATER = {"function": "", "functional": "", "graph": "", "Function": "function", "Variable": "variable"}


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    file = _LATER[name]
    found = _importlib.import_module(f"{__name__}.{file or name}")
    globals()[name] = found = getattr(found, name) if file else found
    return found


def __dir__():
    return sorted({*globals(), *_LATER})
