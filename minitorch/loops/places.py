"""Places in flat arrays, for loops over windows.

Places are unsigned: for signed numbers the compiler would have to look whether they count from the end, and vectorises nothing.
"""
import numpy as np

from . import inline

U = np.uint64


@inline
def inside(size, out, stride, shift):
    """The first and the end of the positions p, of `out`, at which p * stride + shift lies within `size`."""
    first = max(0, -(shift // stride)) if shift < 0 else 0
    end = min(out, (size - 1 - shift) // stride + 1)
    return first, max(first, end)
