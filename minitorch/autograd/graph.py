"""What the graph keeps for backward, seen and changed from outside: hooks on saved tensors, the write counter."""
import contextlib
import threading

from ..backend import is_array
from ..tensor import Tensor, wrap
from .engine import Node
from .plan import MultiNode, OpNode
from .watch import unwatch, watch

__all__ = ["Node", "disable_saved_tensors_hooks", "increment_version", "save_on_cpu", "saved_tensors_hooks"]


class Hooks(threading.local):
    """This thread's pairs of hooks, innermost last, and the reason why there may be none."""

    def __init__(self):
        self.stack, self.forbidden = [], None


hooks = Hooks()


class saved_tensors_hooks:
    """Within this block, what steps save for backward is kept as pack_hook(tensor), and is unpack_hook(packed) when needed.

    Of nested blocks only the innermost counts.  Steps trust what comes back: it is not checked for writes.
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pair = pack_hook, unpack_hook

    def __enter__(self):
        if hooks.forbidden is not None:
            raise RuntimeError(hooks.forbidden)
        hooks.stack.append(self.pair)
        watch(pack_saved)

    def __exit__(self, *_):
        unwatch(pack_saved)
        hooks.stack.pop()


class save_on_cpu(saved_tensors_hooks):
    """Within this block, what steps save for backward waits in host memory, not on the GPU; pin_memory is accepted."""

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda t: (t.device, t.cpu()), lambda packed: packed[1].to(packed[0]))


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message):
    """Within this block, saved_tensors_hooks raises RuntimeError(error_message)."""
    before, hooks.forbidden = hooks.forbidden, error_message
    try:
        if hooks.stack:
            raise RuntimeError(error_message)
        yield
    finally:
        hooks.forbidden = before


class Packed:
    """What a pack hook returned, and the hook that undoes it."""
    __slots__ = ("content", "unpack")

    def __init__(self, array, pack, unpack):
        self.content, self.unpack = pack(wrap(array)), unpack

    def array(self):
        t = self.unpack(self.content)
        if not isinstance(t, Tensor):
            raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}")
        return t.array


def pack_saved(node):
    """Pass what a new step saved through the pack hook."""
    if not hooks.stack or not node.saved:
        return
    pair, saved = hooks.stack[-1], list(node.saved)
    for i in range(0, len(saved), 3):
        value = saved[i]
        if is_array(value):
            saved[i:i + 3] = Packed(value, *pair), [0], 0
        elif isinstance(value, tuple):               # of an op that takes a list of tensors
            saved[i:i + 3] = tuple(Packed(a, *pair) for a in value), [0], 0
    node.saved = tuple(saved)
    if isinstance(node, OpNode):
        node.__class__ = PackedMultiNode if isinstance(node, MultiNode) else PackedNode


def unpacked(value):
    """A saved value as it was before it was packed."""
    if isinstance(value, Packed):
        return value.array()
    return tuple(unpacked(v) for v in value) if isinstance(value, tuple) and value and isinstance(value[0], Packed) else value


class PackedNode(OpNode):
    """A call of an op whose saved values went through a pack hook."""
    __slots__ = ()

    def vjp(self, g, create_graph):
        packed = self.saved
        self.saved = tuple([unpacked(value) for value in packed])
        try:
            return super().vjp(g, create_graph)
        finally:
            self.saved = packed


class PackedMultiNode(PackedNode, MultiNode):
    """The same for an op with several outputs."""
    __slots__ = ()


def increment_version(tensor):
    """Count a write to a tensor (or several) that happened where nobody counts, such as in its NumPy array."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        t.counter[0] = list.__getitem__(t.counter, 0) + 1
