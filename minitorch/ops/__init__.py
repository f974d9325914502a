"""The op table: one family per file, one block per op."""
from . import creation, dropout, dtype, elementwise, reduce, shape, random
