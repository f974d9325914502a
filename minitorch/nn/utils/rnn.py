"""Sequences of different lengths: padded to one tensor, or packed without padding.

A packed sequence holds the sequences' first steps, then their second steps, and so on, the longest sequence first in each:
step t is the next batch_sizes[t] rows of its data, those of the sequences that are longer than t.
"""
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ... import arange, as_tensor, cat, full, sort, tensor
from ... import dtypes as types
from ...backend import to_numpy
from ...tensor import Tensor


class Packed(NamedTuple):
    """The fields of a PackedSequence."""
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(Packed):
    """Sequences as one tensor `data` (sum of lengths, ...) with batch_sizes: how many sequences have a step t.

    sorted_indices: where the sequences, longest first, stood before they were packed; unsorted_indices: its inverse.
    Made by pack_padded_sequence and pack_sequence.
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:                      # the first two as a pair
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError("batch_sizes should always be on CPU: make a PackedSequence by pack_sequence or pack_padded_sequence")
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """With data moved or cast, as Tensor.to does it; itself where nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = [i if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def cuda(self, device="cuda"):
        """With data on a GPU."""
        return self.to(device)

    def cpu(self):
        """With data on the host."""
        return self.to("cpu")

    def double(self):
        """With data as float64."""
        return self.to(dtype=types.float64)

    def float(self):
        """With data as float32."""
        return self.to(dtype=types.float32)

    def half(self):
        """With data as float16."""
        return self.to(dtype=types.float16)

    def long(self):
        """With data as int64."""
        return self.to(dtype=types.int64)

    def int(self):
        """With data as int32."""
        return self.to(dtype=types.int32)

    def short(self):
        """With data as int16."""
        return self.to(dtype=types.int16)

    def char(self):
        """With data as int8."""
        return self.to(dtype=types.int8)

    def byte(self):
        """With data as uint8."""
        return self.to(dtype=types.uint8)

    @property
    def is_cuda(self):
        """Whether the data are on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation):
    """The permutation that undoes `permutation`; None of None."""
    return None if permutation is None else permutation.argsort()


# ---- packed and padded --------------------------------------------------------------------------------------------

def places(sizes, steps, sequences, batch_first):
    """The numbers of the rows, in (steps * sequences, ...) or the other way round, that a packed sequence holds, in its order."""
    t = np.repeat(np.arange(len(sizes)), sizes)
    n = np.concatenate([np.arange(0), *(np.arange(size) for size in sizes)])
    return n * steps + t if batch_first else t * sequences + n


def flat(t):
    """The first two axes as one."""
    return t.reshape((-1, *t.shape[2:]))


def padded(rows, at, shape, value):
    """A tensor of `shape` full of `value`, but for `rows`, which stand at the places `at` along its first two axes as one."""
    room = full((shape[0] * shape[1], *shape[2:]), value, dtype=rows.dtype, device=rows.device)
    return room.index_copy(0, tensor(at, device=rows.device), rows).reshape(shape)


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """The first lengths[n] steps of every sequence of input (T, N, ...), or (N, T, ...) with batch_first, packed.

    RuntimeError for lengths that do not fall, with enforce_sorted; without it the sequences are sorted first.
    """
    lengths = lengths.to(dtype=types.int64) if isinstance(lengths, Tensor) else as_tensor(lengths, dtype=types.int64, device="cpu")
    order, axis = None, 0 if batch_first else 1
    if lengths.ndim == 1 and not enforce_sorted:
        lengths, order = sort(lengths, descending=True)
        order = order.to(input.device)
        input = input.index_select(axis, order)
    sizes = step_sizes(input, lengths, axis)
    rows = places(sizes, input.shape[1 - axis], input.shape[axis], batch_first)
    return PackedSequence(flat(input).index_select(0, tensor(rows, device=input.device)), tensor(sizes), order, None)


def step_sizes(input, lengths, axis):
    """How many sequences have a step t, for every t; RuntimeError for lengths that are not those of `input`'s sequences, longest first."""
    if lengths.device.type != "cpu" or lengths.ndim != 1:
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.ndim}D {lengths.device} {lengths.dtype} tensor")
    found = to_numpy(lengths.array)
    if input.ndim < 2 or not input.array.size:
        raise RuntimeError("Cannot pack empty tensors.")
    if len(found) != input.shape[axis]:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(found)} (batch_size={input.shape[axis]})")
    if (found <= 0).any():
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if (found[1:] > found[:-1]).any():
        raise RuntimeError("`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
                           "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement")
    if found[0] > input.shape[1 - axis]:
        raise RuntimeError(f"lengths: a sequence of length {found[0]}, but the input has {input.shape[1 - axis]} steps")
    return (found > np.arange(found[0])[:, None]).sum(1)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """(tensor (T, N, ...), or (N, T, ...) with batch_first, lengths) of a packed sequence, in its first order.

    total_length: T, where it is to be more than the longest length; ValueError where it is less.
    """
    sizes = to_numpy(sequence.batch_sizes.array)
    steps, sequences = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError("Expected total_length to be at least the length of the longest sequence in input, but got "
                             f"total_length={total_length} and max sequence length being {steps}")
        steps = total_length
    shape = (sequences, steps) if batch_first else (steps, sequences)
    y = padded(sequence.data, places(sizes, steps, sequences, batch_first), (*shape, *sequence.data.shape[1:]), padding_value)
    lengths = tensor((sizes[:, None] > np.arange(sequences)).sum(0))
    back = sequence.unsorted_indices
    return (y, lengths) if back is None else (y.index_select(0 if batch_first else 1, back), lengths[back.cpu()])


# ---- lists of sequences -------------------------------------------------------------------------------------------

def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Sequences (L_n, ...) as one tensor (T, N, ...), or (N, T, ...) with batch_first, filled up with padding_value on one side.

    RuntimeError for what is no sequence of tensors, for none, and for another side than "left" and "right".
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    lengths = [len(s) for s in sequences]
    steps, count = max(lengths), len(lengths)
    t = np.concatenate([np.arange(n) + (steps - n if padding_side == "left" else 0) for n in lengths])
    n = np.repeat(np.arange(count), lengths)
    at = n * steps + t if batch_first else t * count + n
    shape = (count, steps) if batch_first else (steps, count)
    return padded(cat(sequences), at, (*shape, *sequences[0].shape[1:]), padding_value)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The list of sequences (lengths[n], ...) in a padded tensor."""
    sequences = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    steps = arange(sequences.shape[1], device=lengths.device)
    return [s[steps < n] for s, n in zip(sequences, lengths, strict=True)]


def pack_sequence(sequences, enforce_sorted=True):
    """A list of sequences (L_n, ...) packed; RuntimeError for lengths that do not fall, with enforce_sorted."""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The list of the sequences in a packed one."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
