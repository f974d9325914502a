"""The op table: one family per file, one block per op; those that many programs do without are named in later.py."""
from . import (
    creation, dtype, elementwise, division, exponential, powers, trigonometric, special, rounding, compare, activation, prelu, elu, sigmoid, gates,
    operators, from_data, reduce, variance, logsumexp, shape, random, softmax, transpose, overwrite, strides, memory, diagonal, join, arrange, pad,
    scan, ties, extreme, norms, rows, index, gather, masks, attributes, select, sort, unique, matmul, later,
)
