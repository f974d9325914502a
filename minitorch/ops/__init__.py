"""The op table: one family per file, one block per op."""
from . import creation, dropout, dtype, choose, exponential, powers, elementwise, trigonometric, special, from_data, reduce, shape, random
