"""Checkpointing: activations that are dropped in forward and computed again in backward, memory for time."""
import contextlib

from ..autograd import autocast
from ..autograd.graph import saved_tensors_hooks
from ..autograd.mode import enable_grad, mode
from ..random import fork_rng, get_rng_state, set_rng_state
from ..tensor import Tensor
from .tree import leaves

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function did not save what the first one did."""


def no_contexts():
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(function, *args, use_reentrant=None, context_fn=no_contexts, determinism_check="default", debug=False,
               early_stop=True, **kwargs):
    """function(*args, **kwargs), without keeping its activations: backward runs it a second time to have them.

    preserve_rng_state=True (a keyword argument): random numbers come out the same the second time.  context_fn gives two
    contexts, one for each run.  determinism_check="none" leaves out the comparison of what both runs saved.  There is one
    way of doing it, whatever use_reentrant says; it works with autograd.grad and parameters inside function.
    CheckpointError, a RuntimeError, when the runs differ.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'] but got {determinism_check}")
    first, second = context_fn()
    if not mode.grad:
        with first:
            return function(*args, **kwargs)
    again = Again(function, args, kwargs, second, get_rng_state() if preserve else None, early_stop, determinism_check == "default")
    with saved_tensors_hooks(again.pack, again.unpack), first:
        return function(*args, **kwargs)


class Stop(BaseException):
    """Everything that was saved has been computed again."""


class Again:
    """A checkpointed call: the numbers of what it saved, and how to compute that again."""

    def __init__(self, function, args, kwargs, context, rng, early_stop, check):
        self.function, self.args, self.kwargs, self.context = function, args, kwargs, context
        self.rng, self.early_stop, self.check = rng, early_stop, check
        self.versions = [(t, t.counter[0]) for t in leaves((args, kwargs)) if isinstance(t, Tensor)]
        self.casts = autocast.current()
        self.saved = []                              # shape and dtype of each saved tensor, as the first run saved them
        self.values = {}                             # number -> tensor, between their computation and their use

    def pack(self, t):
        self.saved.append((t.shape, t.dtype))
        return len(self.saved) - 1

    def unpack(self, i):
        if i not in self.values:
            self.run()
        return self.values.pop(i)

    def run(self):
        """Compute everything saved again."""
        for t, version in self.versions:
            if t.counter[0] != version:
                raise RuntimeError("one of the variables needed for gradient computation has been modified by an inplace operation: "
                                   f"[{t.dtype} {list(t.shape)}], an argument of a checkpointed function, is at version {t.counter[0]}; "
                                   f"expected version {version} instead.")
        self.values = found = {}

        def pack(t):
            found[len(found)] = t.detach()
            if self.early_stop and len(found) == len(self.saved):
                raise Stop

        def unpack(_):
            raise CheckpointError("checkpoint: the second run of the function called backward on its own result; "
                                  "pass early_stop=False and keep that out of the function")

        with fork_rng(enabled=self.rng is not None), enable_grad(), autocast.restored(self.casts), saved_tensors_hooks(pack, unpack), self.context:
            if self.rng is not None:
                set_rng_state(self.rng)
            with contextlib.suppress(Stop):
                self.function(*self.args, **self.kwargs)
        if len(found) != len(self.saved):
            raise CheckpointError("checkpoint: A different number of tensors was saved during the original forward and recomputation. "
                                  f"Number of tensors saved during forward: {len(self.saved)}, during recomputation: {len(found)}.")
        for i, before in enumerate(self.saved if self.check else ()):
            if before != (found[i].shape, found[i].dtype):
                raise CheckpointError("checkpoint: Recomputed values for the following tensors have different metadata than during the "
                                      f"forward pass: tensor {i} was {before[1]} {tuple(before[0])}, now {found[i].dtype} "
                                      f"{tuple(found[i].shape)}.")


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """The functions (a list or a Sequential) one after the other on input, checkpointed in `segments` pieces but for the last."""
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ", ".join(kwargs))
    functions = list(functions.children() if hasattr(functions, "children") else functions)

    def chain(start, end):
        def run(x):
            for f in functions[start:end]:
                x = f(x)
            return x
        return run

    size, end = len(functions) // segments, 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(chain(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return chain(end, len(functions))(input)
