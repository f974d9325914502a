"""Vectors: products, distances, renorm; and products of many matrices."""
from functools import lru_cache

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from .choose import where
from .dims import axis
from .linalg import flipped
from .masks import masked_fill
from .matmul import alike, matmul
from .reduce import sum


def three_axis(name, input, other, dim):
    """`dim` as an axis along which both hold three numbers; RuntimeError otherwise."""
    dim = axis(dim, max(input.ndim, other.ndim))
    if input.ndim != other.ndim:
        raise RuntimeError(f"{name}: inputs must have the same number of dimensions, not {input.ndim} and {other.ndim}.")
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(f"{name}: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}")
    return dim


def cross_along(a, b, dim):
    """The cross product: a rolled by one times b rolled by two, less the other way round."""
    return a.roll(-1, dim) * b.roll(-2, dim) - a.roll(-2, dim) * b.roll(-1, dim)


@composed
def cross(input, other, dim=None):
    """The cross product of vectors of three numbers along `dim` (None: the first axis of size 3)."""
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError(f"no dimension of size 3 in input: its shape is {tuple(input.shape)}")
        dim = list(input.shape).index(3)
    return cross_along(input, other, three_axis("linalg.cross", input, other, dim))

cross.case(normal(2, 3), normal(2, 3))
cross.case(normal(3, 4), normal(3, 1), dim=0)
cross.case(normal(3), normal(3))


def linalg_cross(input, other, *, dim=-1):
    """The cross product of vectors of three numbers along `dim`."""
    return cross_along(input, other, three_axis("linalg.cross", input, other, dim))

linalg_cross.__name__ = "cross"
linalg_cross = composed(linalg_cross, home="linalg")
linalg_cross.case(normal(2, 3), normal(2, 3))
linalg_cross.case(normal(3, 4), normal(3, 1), dim=0)
linalg_cross.case(normal(3), normal(3))


@composed(home="linalg")
def vecdot(x, y, *, dim=-1):
    """Dot products of vectors along `dim`, other axes broadcast; RuntimeError for integers, or for two dtypes."""
    if x.dtype is not y.dtype:
        raise RuntimeError(f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type {x.dtype} and y of type {y.dtype} instead")
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {x.dtype}")
    return (x * y).sum(dim)

vecdot.case(normal(2, 3), normal(2, 3))
vecdot.case(normal(3, 4), normal(3, 1), dim=0)
vecdot.case(normal(3), normal(2, 3))


# ---- distances ------------------------------------------------------------------------------------------------

@op(home="", called="cdist", numbers="half", elementwise=False)
def euclidean(input, other, /):
    """The distances between every row of (..., N, D) and every row of (..., M, D): (..., N, M)."""
    if max(input.shape[-2], other.shape[-2]) <= 25:
        d = input[..., :, None, :] - other[..., None, :, :]
        return xp(d).sqrt((d * d).sum(-1))
    a, b = (input * input).sum(-1), (other * other).sum(-1)
    squares = matmul(input, flipped(other))
    squares *= -2
    squares += a[..., :, None] + b[..., None, :]
    return xp(squares).sqrt(xp(squares).maximum(squares, 0, out=squares), out=squares)

@euclidean.joint_vjp
def _(g, y, input, other):                           # the pull of each row on each other; none at distance 0
    same = y == 0
    pull = alike(masked_fill(g, same, 0) / masked_fill(y, same, 1), input)
    back = flipped(pull)
    return (input * sum(pull, -1, keepdim=True) - matmul(pull, other), other * sum(back, -1, keepdim=True) - matmul(back, input))

euclidean.case(normal(3, 2), normal(4, 2))
euclidean.case(normal(2, 1, 3, 2), normal(3, 1, 2))
euclidean.case(normal(30, 2), normal(4, 2))


@composed(method=False)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distances between every row of x1 (..., N, D) and every row of x2 (..., M, D): (..., N, M).

    compute_mode "donot_use_mm_for_euclid_dist" is exact for near rows; otherwise more than 25 rows go through a matrix product.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"cdist: X1 and X2 must have at least 2 axes and the same number of columns, not shapes {tuple(x1.shape)} and "
                           f"{tuple(x2.shape)}")
    if not (x1.is_floating_point() and x2.is_floating_point()):
        raise RuntimeError(f"cdist only supports floating-point dtypes, X1 got: {x1.dtype}, X2 got: {x2.dtype}")
    if x1.dtype != x2.dtype:
        raise RuntimeError(f"cdist: expected X1 and X2 to have one dtype, not {x1.dtype} and {x2.dtype}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, not {p}")
    if p == 2 and compute_mode != "donot_use_mm_for_euclid_dist":
        return euclidean(x1, x2)
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)

cdist.case(normal(3, 2), normal(4, 2))
cdist.case(normal(30, 2), normal(4, 2))
cdist.case(normal(2, 3, 2), normal(1, 4, 2), p=1.0)
cdist.case(normal(3, 2), normal(4, 2), p=3.0)
cdist.case(normal(3, 2), normal(4, 2), p=float("inf"))


@composed(inplace=True)
def renorm(input, p, dim, maxnorm):
    """`input` with each slice along `dim` whose p-norm is larger than maxnorm scaled down to it."""
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0 or maxnorm < 0:
        raise RuntimeError(f"renorm: expected p > 0 and maxnorm >= 0, but got {p} and {maxnorm}")
    dim = axis(dim, input.ndim)
    lengths = vector_norm(input, p, [d for d in range(input.ndim) if d != dim], True)
    return input * where(lengths > maxnorm, maxnorm / (lengths + 1e-7), 1.0).to(input.dtype)

renorm.case(normal(3, 4), 2, 0, 1.5)
renorm.case(normal(2, 3, 4), 1.0, -1, 4.0)
renorm.case(normal(3, 2), 2, 1, 100.0)


# ---- products of many -----------------------------------------------------------------------------------------

@lru_cache(maxsize=100)
def splits(sizes):
    """Where to split a chain of matrices, of which the i-th is sizes[i] by sizes[i + 1], for the fewest multiplications: {(i, j): k}."""
    n, cost, split = len(sizes) - 1, {}, {}
    for length in range(1, n + 1):
        for i in range(n - length + 1):
            j = i + length
            if length == 1:
                cost[i, j] = 0
                continue
            cost[i, j], split[i, j] = min((cost[i, k] + cost[k, j] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j))
    return split


@composed(home="linalg")
def multi_dot(tensors):
    """The product of two or more matrices, in the order that takes the fewest multiplications; the first and last may be vectors."""
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    tensors[0] = tensors[0].unsqueeze(0) if first else tensors[0]
    tensors[-1] = tensors[-1].unsqueeze(-1) if last else tensors[-1]
    for i, t in enumerate(tensors):
        if t.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.ndim}D")
        if i and tensors[i - 1].shape[1] != t.shape[0]:
            raise RuntimeError(f"multi_dot(): tensors {i - 1} and {i} with shapes {list(tensors[i - 1].shape)} and "
                               f"{list(t.shape)} cannot be multiplied")
    split = splits(tuple([t.shape[0] for t in tensors] + [tensors[-1].shape[1]]))

    def product(i, j):
        return tensors[i] if j == i + 1 else matmul(product(i, split[i, j]), product(split[i, j], j))
    y = product(0, len(tensors))
    return y.reshape(y.shape[int(first):2 - int(last)]) if first or last else y

multi_dot.case([normal(2, 3), normal(3, 5), normal(5, 1), normal(1, 4)])
multi_dot.case([normal(3), normal(3, 2), normal(2)])
multi_dot.case([normal(2, 3), normal(3)])


@composed(method=False)
def chain_matmul(*matrices):
    """The product of one or more matrices, in the order that takes the fewest multiplications."""
    return multi_dot(matrices) if len(matrices) > 1 else matrices[0]

chain_matmul.case(normal(2, 3), normal(3, 5), normal(5, 1))
chain_matmul.case(normal(2, 3), normal(3, 1))
chain_matmul.case(normal(2, 3))


from .norms import vector_norm  # noqa: E402  (last: the modules of ops name each other)
