"""The op table: one family per file, one block per op."""
from . import (
    creation, dropout, dtype, elementwise, division, exponential, powers, trigonometric, special, gamma, rounding, compare, activation,
    elu, sigmoid, operators, from_data, reduce, logsumexp, shape, random, windows, conv, pool, adaptive, softmax, standardize, normalize, loss,
    cross_entropy, margin, fold, pixels, attention, transpose, strides, memory, diagonal, join, arrange, pad, scan,
    extreme, norms, rows, index, gather, masks, attributes, scatter_reduce, select, embedding, search, sort, unique, matmul, linear, einsum,
    linalg, decompose, vectors, matrix_norms, out,
)
