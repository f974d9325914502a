"""What a CUDA kernel takes, read from its own source, and whether a launch's arguments fit it.

A parameter list says more than C++ knows, by words that mean nothing to the compiler (kernels/kernel.cuh):

    OUT float* y          written in full by the kernel, never read before that
    SCRATCH float* work   room to work in: undefined before and after
    float* y              read and written
    const float* x        read only
    ALIGNED(16) ...       the address must be a multiple of 16, for vector loads
    STRIDED ...           any order of axes, as long as the memory has no gaps; otherwise arrays are C-contiguous
    float* const* xs      a table: a list of arrays, read and written, of which the kernel sees an array of their addresses
    const float* const* xs    the same, read only; OUT and the other words hold for each array of the list

Any pointer may be None, and so may any array of a table: the kernel sees a null pointer.  Of a table the launch makes the
array of addresses, on the machine where the kernel runs: of the arrays themselves on a GPU, of its guarded copies in the simulator.
"""
import dataclasses
import functools
import operator
import re

import numpy as np

from ..tensor import Tensor
from .tensor_map import TensorMap

try:
    from ml_dtypes import bfloat16
except ImportError:                                  # then there are no arrays of it either
    bfloat16 = None


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel."""
    name: str
    type: str                                        # of the value, or of what the pointer points to: "float", "int", "bf16", ...
    role: str                                        # "value", or for pointers "in", "out", "inout", "scratch"
    align: int = 1                                   # bytes
    strided: bool = False
    table: bool = False                              # a list of arrays, seen by the kernel as an array of pointers

    @functools.cached_property
    def pointer(self):
        return self.role != "value"


TYPES = {                                            # C++ type -> NumPy's
    "float": np.float32, "double": np.float64, "half": np.float16, "__half": np.float16,
    "bf16": bfloat16, "__nv_bfloat16": bfloat16, "bool": np.bool_, "char": np.int8, "signed char": np.int8, "int8_t": np.int8,
    "unsigned char": np.uint8, "uint8_t": np.uint8, "short": np.int16, "int16_t": np.int16, "unsigned short": np.uint16,
    "uint16_t": np.uint16, "int": np.int32, "int32_t": np.int32, "unsigned": np.uint32, "unsigned int": np.uint32,
    "uint32_t": np.uint32, "long long": np.int64, "long": np.int64, "int64_t": np.int64, "unsigned long long": np.uint64,
    "size_t": np.uint64, "uint64_t": np.uint64,
}
VECTOR = re.compile(r"(float|double|int|uint|short|ushort|char|uchar|longlong)([234])")
LONG_NAMES = {"uint": "unsigned", "ushort": "unsigned short", "uchar": "unsigned char", "longlong": "long long"}

KERNEL = re.compile(r"__global__\s+(?:__\w+__\s*\([^)]*\)\s*)*void\s+(?:__\w+__\s*\([^)]*\)\s*)*(\w+)\s*\(")
TEMPLATE = re.compile(r"template\s*<[^>]*>\s*(?:static\s+)?__global__[^(;{]*?(\w+)\s*\(")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


def parse(source):
    """{kernel's name: its parameters} for every __global__ function of a CUDA source; templates have no one name to launch."""
    text = COMMENT.sub(" ", source)
    found, templates = {}, set(TEMPLATE.findall(text))
    for match in KERNEL.finditer(text):
        if match[1] in templates:
            continue
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        inside = text[match.end():end - 1].strip()
        found[match[1]] = tuple(parameter(p) for p in split(inside)) if inside and inside != "void" else ()
    return found


def split(text):
    """A parameter list at its commas, those within brackets left alone."""
    parts, depth = [""], 0
    for c in text:
        depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(c, 0)
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def parameter(text):
    """`OUT float* __restrict__ y` as a Parameter."""
    align = re.search(r"\bALIGNED\((\d+)\)", text)
    words = set(re.findall(r"\w+", text.split("*")[0]))      # what stands behind a * is said of the pointer itself
    plain = re.sub(r"\bALIGNED\(\d+\)|\b(OUT|SCRATCH|STRIDED|const|__restrict__|__restrict|restrict|__grid_constant__)\b", " ", text)
    *kind, name = re.findall(r"\w+|\*", plain)
    pointer, table = "*" in kind, kind.count("*") == 2
    kind = " ".join(k for k in kind if k != "*")
    role = "value" if not pointer else "in" if "const" in words else "out" if "OUT" in words else "scratch" if "SCRATCH" in words else "inout"
    vector = VECTOR.fullmatch(kind)
    natural = 1
    if vector:                                       # float4* takes arrays of float, aligned
        kind = LONG_NAMES.get(vector[1], vector[1])
        natural = {"2": 2, "3": 1, "4": 4}[vector[2]] * np.dtype(TYPES[kind]).itemsize
    return Parameter(name, kind, role, max(natural, int(align[1]) if align else 1), "STRIDED" in words, table)


# ---- fitting a launch's arguments ------------------------------------------------------------------------

def is_array(a):
    return isinstance(getattr(a, "dtype", None), np.dtype) and not isinstance(a, np.generic)


def members(a):
    """The arrays that an argument brings along: itself, those of a table, that of a tensor map."""
    if type(a) is np.ndarray:
        return (a,)
    if a is None or isinstance(a, int | float | np.generic):
        return ()
    if isinstance(a, TensorMap):
        return [a.array]
    return [x for x in (a if isinstance(a, list | tuple) else (a,)) if is_array(x)]


def dense(a):
    """The array with its axes in the order of its memory if that leaves no gaps, else None."""
    order = sorted(range(a.ndim), key=lambda i: -a.strides[i] if a.shape[i] > 1 else 0)
    turned = a.transpose([i for i in order if a.shape[i] == 1] + [i for i in order if a.shape[i] != 1])
    return turned if turned.flags.c_contiguous else None


def is_double(parameters, args):
    """Whether a float* parameter was given an array of float64: then every `float` of the source becomes a `double`."""
    return any([p.type == "float" and p.pointer and x.dtype == np.float64 for p, a in zip(parameters, args) for x in members(a)])


def fit(kernel, parameters, args, double=False):
    """The arguments as they can be passed: arrays checked, numbers converted; TypeError or ValueError naming what does not fit."""
    if len(args) != len(parameters):
        names = ", ".join(p.name for p in parameters)
        raise TypeError(f"{kernel} takes {len(parameters)} arguments ({names}), {len(args)} were given")
    kinds = {type(x) for p, a in zip(parameters, args) if p.pointer or isinstance(a, TensorMap) for x in members(a)}
    if len(kinds) > 1 and len(names := {kind.__module__.split(".")[0] for kind in kinds}) > 1:
        raise TypeError(f"{kernel}: arrays of {' and '.join(sorted(names))} in one launch; move them to one device first")
    fitted = [a if type(a) is np.ndarray and fits_as_it_is(p, a, double) else fit_one(f"{kernel}, argument {i} ({p.name})", p, a, double)
              for i, (p, a) in enumerate(zip(parameters, args))]
    check_overlap(kernel, parameters, fitted)
    return fitted


def fits_as_it_is(p, a, double):
    """Whether fit_array would return a NumPy array unchanged; most are fit, and then need no words on what is wrong."""
    if not p.pointer or p.table or p.align > 1:
        return False
    wanted = wanted_dtype(p.type, double)
    if wanted is None or a.dtype != wanted:
        return False
    flags = a.flags
    return flags.c_contiguous and (p.role == "in" or flags.writeable)


def fit_one(what, p, a, double):
    if p.table and a is not None:
        if not isinstance(a, list | tuple):
            raise TypeError(f"{what} wants a list of arrays of {p.type}, got {type(a).__name__}")
        return tuple(fit_array(f"{what}[{k}]", p, x, double) for k, x in enumerate(a))
    if p.pointer:
        return fit_array(what, p, a, double)
    if p.type == "CUtensorMap" or isinstance(a, TensorMap):
        if p.type != "CUtensorMap" or not isinstance(a, TensorMap):
            raise TypeError(f"{what} wants a {'TensorMap' if p.type == 'CUtensorMap' else p.type}, got {type(a).__name__}")
        return a
    if p.type not in TYPES:                          # a struct by value: its size is checked where it is known
        return fit_struct(what, p.type, a)
    if is_array(a) and a.ndim:
        raise TypeError(f"{what} wants one {p.type}, got an array of shape {tuple(a.shape)}")
    if is_array(a):
        a = a.item()
    return fit_number(what, p.type, a, double)


def fit_struct(what, kind, a):
    """A struct as an array of one item: given as one, as its item, or as an object that NumPy makes one of (__array__)."""
    item = a if isinstance(a, np.ndarray | np.void) else np.asarray(a) if hasattr(a, "__array__") and not is_array(a) else None
    if item is None or item.size != 1:
        raise TypeError(f"{what} is a {kind}, passed by value: it wants one item of a NumPy array of records, got {type(a).__name__}")
    return np.asarray(item).reshape(1)


def fit_array(what, p, a, double):
    if a is None:
        return None                                  # the kernel sees a null pointer
    if not is_array(a):
        raise TypeError(f"{what} wants an array of {p.type}, got {type(a).__name__}"
                        + (": pass the array that it holds, tensor.detach().numpy()" if isinstance(a, Tensor) else ""))
    wanted = wanted_dtype(p.type, double)
    if wanted is not None and a.dtype != wanted:
        raise TypeError(f"{what} wants an array of {wanted.name} ({p.type}*), got {a.dtype.name}")
    if p.role != "in" and hasattr(a.flags, "writeable") and not a.flags.writeable:
        raise ValueError(f"{what} is written by the kernel, but the array is read-only")
    if not a.flags.c_contiguous:
        turned = dense(a) if p.strided else None
        if turned is None:
            raise ValueError(f"{what} must be {'without gaps in memory' if p.strided else 'C-contiguous'}: "
                             f"shape {tuple(a.shape)} has strides {tuple(a.strides)}")
        a = turned
    if p.align > 1 and a.size and address(a) % p.align:
        raise ValueError(f"{what} must start at a multiple of {p.align} bytes: this view starts {address(a) % p.align} bytes after one")
    return a


@functools.cache
def wanted_dtype(kind, double):
    """The dtype behind a C++ type; None for one that is not known. double: `float` is compiled as `double`."""
    if kind == "void" or kind not in TYPES:
        return None
    if TYPES[kind] is None:
        raise RuntimeError("arrays of bfloat16 need ml_dtypes: pip install 'minitorch[bfloat16]'")
    return np.dtype(np.float64 if double and kind == "float" else TYPES[kind])


@functools.cache
def number_type(kind, double):
    """(NumPy's type of a number, the letter of its kind, least and greatest value of an integer)."""
    wanted = wanted_dtype(kind, double)
    limits = np.iinfo(wanted) if wanted.kind in "iu" else None
    return wanted.type, wanted.kind, *((limits.min, limits.max) if limits else (None, None))


def fit_number(what, kind, a, double):
    wanted, letter, least, greatest = number_type(kind, double)
    if isinstance(a, np.generic):
        a = a.item()
    if letter == "b":
        if not isinstance(a, bool | int):
            raise TypeError(f"{what} wants a bool, got {type(a).__name__}")
        return wanted(a)
    if letter in "iu":
        try:
            value = operator.index(a)
        except TypeError:
            raise TypeError(f"{what} wants an {kind}, got {a!r}") from None
        if not least <= value <= greatest:
            raise OverflowError(f"{what}: {value} does not fit in {kind}")
        return wanted(value)
    if not isinstance(a, int | float):
        raise TypeError(f"{what} wants a {kind}, got {type(a).__name__}")
    return wanted(a)


def address(a):
    """Where an array's numbers start, as the GPU's allocator would place it: whole arrays at multiples of 256."""
    if isinstance(a, np.ndarray):
        owner = a
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        return 0 if owner is a else start_of(a) - start_of(owner)
    return a.data.ptr


def start_of(a):
    """The address of an array's first number."""
    return a.__array_interface__["data"][0] if isinstance(a, np.ndarray) else a.data.ptr


def span(a):
    low = start_of(a)
    return low, low + a.nbytes


def check_overlap(kernel, parameters, args):
    """ValueError where an array that is written shares part of its memory with another (the same array twice is meant)."""
    spans = sorted([span(x) for p, a in zip(parameters, args) if p.pointer for x in members(a) if x.size])
    if all([after[0] >= before[1] for before, after in zip(spans, spans[1:])]):
        return                                       # as nearly always
    found = {}                                       # (start, end): the parameters that were given just this memory
    for p, a in zip(parameters, args):
        for x in members(a) if p.pointer else ():
            if x.size:
                found.setdefault(span(x), []).append(p)
    for same in found.values():
        outputs = [p.name for p in same if p.role == "out"]
        if outputs and len(same) > 1:
            names = " and ".join(p.name for p in same[:2])
            raise ValueError(f"{kernel}: {names} are one array, but {outputs[0]} is an output of its own (OUT)")
    last = {}                                        # read or written: the array that reaches furthest so far, and its end
    for (low, high), same in sorted(found.items(), key=lambda item: item[0]):
        written = any([p.role != "in" for p in same])
        for of_written, (end, name) in last.items():
            if low < end and (written or of_written):
                raise ValueError(f"{kernel}: {name} and {same[0].name} share part of their memory, and the kernel writes to it")
        if high > last.get(written, (0, ""))[0]:
            last[written] = high, same[0].name
