"""Tensor: an array, and its place in the graph of the ops that made it.

`array` holds the numbers (NumPy or CuPy).  `node` is the step that made it, None where no gradient
is wanted.  `counter` counts the writes to the storage, and every tensor that shares the storage
shares it.  `cut` says how a view was cut from its base.  `box` keeps `.grad`.

The ops are methods too: each file in `ops/` attaches its own as it is read.
"""
import weakref

import numpy as np

from . import backend, dtypes
from .autograd import engine
from .autograd.engine import Box, Leaf
from .autograd.mode import mode


class Inference(list):
    """The write counter of tensors made in inference mode: saving one for backward is refused."""

    def __getitem__(self, i):
        raise RuntimeError("Inference tensors cannot be saved for backward. To work around you can make a clone "
                           "to get a normal tensor and use it in autograd.")


class Size(tuple):
    """A shape: a tuple of ints with numel()."""

    def numel(self):
        n = 1
        for k in self:
            n *= k
        return n

    def __repr__(self):
        return f"minitorch.Size({list(self)})"

    def __getitem__(self, i):
        item = super().__getitem__(i)
        return Size(item) if isinstance(i, slice) else item

    def __add__(self, other):
        return Size(tuple(self) + tuple(other))


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    Tensor(2, 3) is uninitialised, Tensor([1, 2]) converts to the default dtype; `minitorch.tensor` infers.
    """

    __slots__ = ("array", "node", "counter", "cut", "box", "__dict__", "__weakref__")
    __array_priority__ = 1000              # ndarray * Tensor goes to Tensor.__rmul__

    def __new__(cls, *data, device=None):
        return wrap(legacy(data, dtypes.default, device), cls=cls)

    # ---- what it is -----------------------------------------------------------------------------

    @property
    def shape(self):
        """Size of each axis."""
        return Size(self.array.shape)

    @property
    def dtype(self):
        """The number type, such as minitorch.float32."""
        return dtypes.of(self.array.dtype)

    @property
    def device(self):
        """Where the numbers are."""
        return backend.device_of(self.array)

    @property
    def ndim(self):
        """Number of axes."""
        return self.array.ndim

    # ---- its place in the graph -------------------------------------------------------------------

    @property
    def requires_grad(self):
        """Whether gradients flow to this tensor."""
        return self.node is not None or self.cut is not None and self.cut.base.node is not None

    @requires_grad.setter
    def requires_grad(self, value):
        if value and not self.is_leaf:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        self.requires_grad_(value)

    @property
    def grad_fn(self):
        """The node that made this tensor; None for leaves."""
        node = self.current_node()
        return None if type(node) is Leaf else node

    @property
    def is_leaf(self):
        """Whether it was made by the user rather than by a recorded op."""
        return self.grad_fn is None

    def current_node(self):
        """The node that made the present value: a view's is renewed after its storage was written to."""
        return self.node if self.cut is None else views.present_node(self)

    def requires_grad_(self, requires_grad=True):
        """Ask (or stop asking) for gradients here; returns self.

        RuntimeError for a dtype that is not floating, or for switching off a tensor that an op made.
        """
        if requires_grad:
            if not self.requires_grad:
                if not dtypes.is_float(self.array.dtype):
                    raise RuntimeError(f"only Tensors of floating point dtype can require gradients, not {self.dtype}")
                self.node = leaf_of(self)
        elif self.grad_fn is not None:
            raise RuntimeError("you can only change requires_grad flags of leaf variables. If you want to use a computed "
                               "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().")
        else:
            self.node = None
        return self

    @property
    def grad(self):
        """The gradient gathered by backward(); None before."""
        return self.box.grad if self.box is not None else None

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got type {type(value).__name__}")
            if value.array.shape != self.array.shape:
                raise RuntimeError(f"assigned grad has data of a different size: {tuple(value.array.shape)}, "
                                   f"the tensor has {tuple(self.array.shape)}")
            if value.array.dtype != self.array.dtype:
                raise RuntimeError(f"assigned grad has data of a different type: {value.dtype}, the tensor has {self.dtype}")
            if self.box is None:
                self.box = Box()
        if self.box is not None:
            self.box.grad = value

    @grad.deleter
    def grad(self):
        self.grad = None

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add d(self)/d(leaf) to leaf.grad for every leaf (or for `inputs`) that self depends on.

        gradient: the gradient arriving at self; may be left out when self has one element.
        """
        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self):
        """The same storage outside the graph."""
        return wrap(self.array, counter=self.counter)

    def detach_(self):
        """Leave the graph: this tensor becomes a leaf that wants no gradient."""
        if self.cut is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self.node = None
        return self

    def retain_grad(self):
        """Keep .grad at backward although this tensor is no leaf."""
        node = self.current_node()
        if node is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if type(node) is not Leaf:
            if self.box is None:
                self.box = Box()
            node.extras().box = self.box

    @property
    def retains_grad(self):
        """Whether retain_grad is in force."""
        node = self.grad_fn
        return node is not None and node.extra is not None and node.extra.box is not None

    def register_hook(self, hook):
        """Call hook(grad) when this tensor's gradient is computed; a returned Tensor replaces it.

        Returns a handle with remove(). RuntimeError if no gradient is wanted here.
        """
        node = self.current_node()
        if node is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return node.register_hook(hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Call hook(self) each time backward() has added to self.grad; leaves only."""
        node = self.current_node()
        if type(node) is not Leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        node.owner = weakref.ref(self)
        return engine.RemovableHandle(self.box.after, hook)

    # ---- storage ----------------------------------------------------------------------------------

    @property
    def data(self):
        """The same storage, outside the graph and outside the count of writes."""
        return wrap(self.array)

    @data.setter
    def data(self, value):
        self.array = value.array
        if isinstance(self.node, Leaf):
            self.node.shape, self.node.dtype = self.array.shape, self.array.dtype

    @property
    def _version(self):
        """How many times the storage was written to."""
        return int(list.__getitem__(self.counter, 0))

    @property
    def _base(self):
        """The tensor that this one is a view of; None if it is no view."""
        return self.cut.base if self.cut is not None else None

    def _is_view(self):
        return self.cut is not None

    def is_inference(self):
        """Whether it was made in inference mode."""
        return type(self.counter) is Inference

    def __reduce_ex__(self, protocol):
        from .serialization import copying
        return copying.reduce_tensor(self, protocol)

    def __deepcopy__(self, memo):
        from .serialization import copying
        return copying.deepcopy_tensor(self, memo)

    def __copy__(self):
        from .serialization import copying
        return copying.copy_tensor(self)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if copy:
            return np.array(array, dtype=dtype)
        return array if dtype is None else array.astype(dtype, copy=False)

    def numpy(self, *, force=False):
        """The NumPy array that shares this tensor's memory; force=True copies out of the graph and the GPU.

        RuntimeError if it requires grad, TypeError if it is on a GPU.
        """
        if force:
            return backend.to_numpy(self.array)
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if type(self.array) is not np.ndarray:
            raise TypeError(f"can't convert {self.device} device type tensor to numpy. "
                            "Use Tensor.cpu() to copy the tensor to host memory first.")
        return self.array


def leaf_of(t):
    """The node of `t` as a leaf: the one it had before, where a graph still leads to that."""
    if t.box is None:
        t.box = Box()
    leaf = t.box.leaf and t.box.leaf()
    if leaf is None:
        leaf = Leaf(t.box, t.array.shape, t.array.dtype)
        t.box.leaf = weakref.ref(leaf)
    return leaf


new_tensor = object.__new__


def wrap(array, node=None, counter=None, cls=Tensor):
    """A tensor around `array`, as it is: no copy, no check."""
    t = new_tensor(cls)
    t.array = array
    t.node = node
    t.counter = counter if counter is not None else [0] if not mode.inference else Inference([0])
    t.cut = None
    t.box = None
    return t


from .convert import legacy  # noqa: E402  (they need Tensor)


from . import autograd  # noqa: E402
from .autograd import views  # noqa: E402  (views are tensors too)
