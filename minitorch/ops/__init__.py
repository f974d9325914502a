"""The op table: one family per file, one block per op."""
from . import dtype, elementwise, reduce, shape
