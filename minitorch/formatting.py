"""How tensors print: PyTorch's layout, four digits, scientific where sizes differ much, edges only above 1000 elements."""
import math

import numpy as np

from . import backend, dtypes
from .autograd.op import HOMES
from .tensor import Tensor

PROFILES = {"default": (4, 1000, 3, 80), "short": (2, 1000, 2, 80), "full": (4, math.inf, 3, 80)}


class Options:
    """What set_printoptions sets."""
    precision, threshold, edgeitems, linewidth = PROFILES["default"]
    sci_mode = None                        # None: decided by the numbers


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Set how tensors print.

    precision: digits after the point. threshold: number of elements above which only `edgeitems` at each end of an
    axis are shown. linewidth: characters a line. profile: "default", "short" or "full". sci_mode: scientific or not.
    """
    if profile is not None:
        Options.precision, Options.threshold, Options.edgeitems, Options.linewidth = PROFILES[profile]
    for name, value in dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth).items():
        if value is not None:
            setattr(Options, name, value)
    Options.sci_mode = sci_mode


HOMES["torch"]["set_printoptions"] = set_printoptions


class Column:
    """One format for all elements of a tensor: as wide as the widest needs."""

    def __init__(self, values):
        self.scientific, self.width = False, 1
        self.float = values.dtype.kind == "f"
        if not self.float:
            self.width = max((len(str(v)) for v in values.reshape(-1).tolist()), default=1)
            self.whole = False
            return
        seen = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        self.whole = bool((seen == np.ceil(seen)).all())
        if seen.size:
            least, most = np.abs(seen).min(), np.abs(seen).max()
            self.scientific = bool(most / least > 1000 or most > 1e8 or not self.whole and least < 1e-4)
            if Options.sci_mode is not None:
                self.scientific = Options.sci_mode
            self.width = max(len(self.bare(v)) for v in seen.tolist())

    def bare(self, value):
        """The text of one element without padding."""
        if not self.float:
            return str(value)
        if self.scientific:
            return f"{value:.{Options.precision}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{Options.precision}f}"

    def text(self, value):
        return self.bare(value).rjust(self.width)


def row(values, length, indent, column, cut):
    """The elements of the last axis, as many on a line as fit."""
    texts = [column.text(v) for v in values]
    if cut and length > 2 * Options.edgeitems:
        texts.insert(Options.edgeitems, " ...")
    per_line = max(1, (Options.linewidth - indent) // (column.width + 2))
    lines = [", ".join(texts[i:i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def nested(values, shape, indent, column, cut):
    """All elements in brackets; `values` holds only the edges of an axis of `shape` where that was `cut`."""
    if not shape:
        return column.text(values)
    if len(shape) == 1:
        return row(values, shape[0], indent, column, cut)
    parts = [nested(v, shape[1:], indent + 1, column, cut) for v in values]
    if cut and shape[0] > 2 * Options.edgeitems:
        parts.insert(Options.edgeitems, "...")
    return "[" + ("," + "\n" * (len(shape) - 1) + " " * (indent + 1)).join(parts) + "]"


def edges(array):
    """The first and last `edgeitems` of every axis that has more."""
    library, k = backend.xp(array), Options.edgeitems
    for axis, n in enumerate(array.shape):
        if n > 2 * k:
            ends = [array[(slice(None),) * axis + (s,)] for s in (slice(0, k), slice(n - k, n))]
            array = library.concatenate(ends, axis)
    return array


def numbers(array, indent):
    """The brackets and numbers of an array."""
    shape, cut = array.shape, array.size > Options.threshold
    values = backend.to_numpy(edges(array) if cut else array)
    if dtypes.is_half(values.dtype):
        values = values.astype(np.float32)
    return nested(values.tolist(), shape, indent, Column(values), cut)


def tensor_text(t, prefix="tensor("):
    """What repr() gives: `tensor([1., 2.], dtype=..., grad_fn=<MulBackward0>)`."""
    array, suffixes = t.array, []
    if type(array) is not np.ndarray:
        suffixes.append(f"device='{t.device}'")
    usual = (dtypes.default, dtypes.I64, dtypes.B8)
    if array.size == 0:
        text, usual = "[]", (dtypes.default,)
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
    else:
        text = numbers(array, len(prefix))
    if array.dtype not in usual:
        suffixes.append(f"dtype={t.dtype}")
    try:
        made_by = t.grad_fn and t.grad_fn.name()
    except RuntimeError:                             # a view whose history cannot be cut again
        made_by = "Invalid"
    if made_by:
        suffixes.append(f"grad_fn=<{made_by}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    text = prefix + text
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > Options.linewidth:
            text += ",\n" + " " * len(prefix) + suffix
            used = len(prefix) + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


def tensor_format(t, spec):
    """f"{t:.2f}": a 0-d tensor formats like its number; others know only the empty specification."""
    if t.array.ndim == 0:
        return format(t.array.item(), spec)
    return object.__format__(t, spec)


Tensor.__repr__ = lambda self: tensor_text(self)
Tensor.__format__ = tensor_format
