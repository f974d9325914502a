"""einsum: sums of products over named axes, as steps of two operands at a time; and tensordot.

A step is one op, `contract`: the axes of both operands fall into batch (in both and in the result),
rows and columns (in one and in the result) and summed ones (in both only), and a matrix product does
the rest.  Its derivatives are contractions with the letters exchanged.  What to do for an equation and
shapes is worked out once and kept.
"""
from functools import lru_cache
from math import prod
from string import ascii_letters

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from ..dtypes import is_half
from ..tensor import Tensor
from .dims import axes
from .matmul import check_one_dtype, in_float32, stacked


@op(home="", called="einsum", scalars=False, check=check_one_dtype)
def contract(input, other, /, left, right, result):
    """The sum over all letters of `left` and `right`, the axes of the two inputs, that are not in `result`, its axes.

    No letter twice in a side; one that is in a single side is in `result`.
    """
    if input.dtype.itemsize == 2 and is_half(input.dtype):
        return in_float32(lambda a, b: contract.op.forward(a, b, left, right, result), input, other)
    multiply, a_order, b_order, counts, y_order = pattern(left, right, result)
    if multiply:                                     # nothing to sum: in the order of the result, with axes of size 1
        return input.transpose(a_order)[counts[0]] * other.transpose(b_order)[counts[1]]
    if input.dtype.kind == "b":
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")
    if a_order is None:
        return xp(input).einsum(f"{left},{right}->{result}", input, other)
    batch, rows, shared = counts
    a, b = input.transpose(a_order), other.transpose(b_order)
    lead, m, n = a.shape[:batch], a.shape[batch:batch + rows], b.shape[batch + shared:]
    k = a.shape[batch + rows:]
    if rows != 1 or shared != 1:
        a = a.reshape((*lead, prod(m), prod(k)))
    if len(n) != 1 or shared != 1:
        b = b.reshape((*lead, prod(k), prod(n)))
    y = stacked(a, b) if batch else a @ b
    if rows != 1 or len(n) != 1:
        y = y.reshape((*lead, *m, *n))
    return y if y_order is None else y.transpose(y_order)

contract.vjp(lambda g, other, left, right, result: contract(g, other, left=result, right=right, result=left),
             lambda g, input, left, right, result: contract(g, input, left=result, right=left, result=right))
contract.case(normal(2, 3, 4), normal(2, 4, 5), left="bij", right="bjk", result="kib")
contract.case(normal(2, 3, 4), normal(4, 3, 2), left="aij", right="jib", result="ba")
contract.case(normal(2, 3), normal(4), left="ij", right="k", result="jki")
contract.case(normal(2, 3), normal(3, 2), left="ij", right="ji", result="i")
contract.case(normal(2, 3), normal(2, 3), left="ij", right="ij", result="")


@lru_cache(maxsize=1000)
def pattern(left, right, out):
    """How contract does it: (multiply?, order of a's axes, order of b's, counts or indices, order of the result's)."""
    batch = [c for c in out if c in left and c in right]
    rows, columns = [c for c in out if c not in right], [c for c in out if c not in left]
    shared = [c for c in left if c in right and c not in out]
    if not shared:
        indices = [tuple([slice(None) if c in side else None for c in out]) for side in (left, right)]
        return True, [left.index(c) for c in out if c in left], [right.index(c) for c in out if c in right], indices, None
    if not rows and not columns:                     # a dot product for every place of the batch
        return False, None, None, None, None
    made = batch + rows + columns
    order = [made.index(c) for c in out]
    return (False, [left.index(c) for c in batch + rows + shared], [right.index(c) for c in batch + shared + columns],
            (len(batch), len(rows), len(shared)), None if order == sorted(order) else order)


# ---- an equation, taken apart ----------------------------------------------------------------------------------

@lru_cache(maxsize=1000)
def planned(equation, shapes):
    """(preparation of each operand, steps, end): see `einsum`, which does as it says."""
    sides, out = letters_of(equation, [len(s) for s in shapes])
    sizes = {}
    for side, shape in zip(sides, shapes):
        for c, n in zip(side, shape):
            if sizes.setdefault(c, n) != n and 1 not in (n, sizes[c]):
                raise RuntimeError(f"einsum(): '{equation}' with shapes {', '.join(map(str, shapes))}: subscript {c} has sizes "
                                   f"{sizes[c]} and {n}")
            sizes[c] = n if sizes[c] == 1 else sizes[c]
    prepared, current = [], []
    for side, shape in zip(sides, shapes):
        kept = [(c, n) for c, n in zip(side, shape) if n == sizes[c]]            # an axis of size 1 that broadcasts goes
        view = tuple([n for _, n in kept]) if len(kept) < len(side) else None
        side, diagonals = [c for c, _ in kept], []
        for c in [c for c in dict.fromkeys(side) if side.count(c) > 1]:
            while side.count(c) > 1:                                             # the diagonal becomes the last axis
                i = side.index(c)
                j = side.index(c, i + 1)
                diagonals.append((i, j))
                side = side[:i] + side[i + 1:j] + side[j + 1:] + [c]
        prepared.append((view, diagonals))
        current.append("".join(side))
    steps = []
    while len(current) > 1:
        i, j = cheapest(current, out, sizes)
        a, b = current[i], current[j]
        current = [s for k, s in enumerate(current) if k not in (i, j)]
        needed = set(out).union(*current)
        drop_a, drop_b = ([d for d, c in enumerate(s) if c not in needed and c not in t] for s, t in ((a, b), (b, a)))
        a, b = ("".join(c for d, c in enumerate(s) if d not in drop) for s, drop in ((a, drop_a), (b, drop_b)))
        made = out if not current else "".join(dict.fromkeys([c for c in a + b if c in needed]))
        steps.append((i, j, drop_a, drop_b, a, b, made))
        current.append(made)
    last = current[0]
    drop = [d for d, c in enumerate(last) if c not in out]
    last = [c for c in last if c in out]
    order = [last.index(c) for c in out]
    return prepared, steps, (drop, None if order == sorted(order) else order)


def cheapest(sides, out, sizes):
    """Which two operands to contract next: those whose result is smallest beside them."""
    def size(letters):
        return prod([sizes[c] for c in letters])
    best = None
    for j in range(1, len(sides)):
        for i in range(j):
            needed = set(out).union(*[s for k, s in enumerate(sides) if k not in (i, j)])
            cost = size(needed & set(sides[i] + sides[j])) - size(sides[i]) - size(sides[j])
            if best is None or cost < best[0]:
                best = cost, i, j
    return best[1:]


def letters_of(equation, ranks):
    """(letters of each operand's axes, letters of the result's axes), with letters of their own for what an ellipsis stands for."""
    inputs, arrow, out = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ranks):
        raise RuntimeError(f"einsum(): '{equation}' names {len(terms)} operands, but {len(ranks)} were given")
    for term in [*terms, out]:
        if not set(term.replace("...", "", 1)) <= set(ascii_letters):
            raise RuntimeError(f"einsum(): '{equation}': subscripts are letters, with at most one ellipsis in each operand")
    spare = [c for c in ascii_letters if c not in equation]
    rest = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks)]
    for term, extra, rank in zip(terms, rest, ranks):
        if extra < 0 or extra > 0 and "..." not in term:
            raise RuntimeError(f"einsum(): '{equation}': '{term}' does not fit an operand of {rank} axes")
    most = max([extra for term, extra in zip(terms, rest) if "..." in term], default=0)
    around = "".join(spare[:most])                   # the ellipsis' axes, aligned at the right
    sides = [term.replace("...", around[most - extra:]) for term, extra in zip(terms, rest)]
    if arrow:
        result = out.replace("...", around)
        if len(set(result)) < len(result) or not set(result) <= set("".join(sides)):
            raise RuntimeError(f"einsum(): '{equation}': each subscript of the output must be in an input, and once in the output")
        return sides, result
    joined = inputs.replace("...", "")
    return sides, around + "".join(sorted(c for c in set(joined) - {","} if joined.count(c) == 1))


@composed(method=False)
def einsum(equation, *operands):
    """Sum of products over named axes: einsum("ij,jk->ik", a, b) is a @ b.

    One letter for each axis of each operand; letters missing from the output are summed over; a letter twice in an operand takes
    its diagonal; "..." stands for further axes, which broadcast.  Without "->" the output has the letters that occur once, in
    alphabetical order.  RuntimeError for sizes or letters that do not fit.
    """
    if not isinstance(equation, str):
        return einsum(*from_lists((equation, *operands)))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    if not operands:
        raise ValueError("einsum(): must specify the equation string and at least one operand")
    try:
        shapes = tuple([t.array.shape for t in operands])
    except AttributeError as error:
        raise TypeError(f"einsum(): operands must be Tensors, not {type(error.obj).__name__}") from None
    prepared, steps, (drop, order) = planned(equation, shapes)
    values = list(operands)
    for k, (view, diagonals) in enumerate(prepared):
        if view is not None:
            values[k] = values[k].reshape(view)
        for i, j in diagonals:
            values[k] = values[k].diagonal(0, i, j)
    for i, j, drop_a, drop_b, left, right, out in steps:
        b, a = values.pop(j), values.pop(i)
        a, b = a.sum(drop_a) if drop_a else a, b.sum(drop_b) if drop_b else b
        if (drop_a or drop_b) and a.dtype != b.dtype and not a.is_floating_point():        # sums of integers are int64
            a, b = a.long(), b.long()
        values.append(contract(a, b, left=left, right=right, result=out))
    y, = values
    if drop:
        y = y.sum(drop)
    return y if order is None else y.permute(order)

einsum.case("ij,jk->ik", normal(3, 4), normal(4, 5))
einsum.case("ij,jk", normal(3, 4), normal(4, 5))
einsum.case("bij,bjk->bki", normal(2, 3, 4), normal(2, 4, 5))
einsum.case("...ij,...kj->...ik", normal(2, 1, 3, 4), normal(5, 2, 4))
einsum.case("ii", normal(3, 3))
einsum.case("ii->i", normal(3, 3))
einsum.case("iij,jkk->ki", normal(3, 3, 2), normal(2, 4, 4))
einsum.case("ij->ji", normal(3, 4))
einsum.case("ij->", normal(3, 4))
einsum.case("i,j,k->kji", normal(2), normal(3), normal(4))
einsum.case("ab,bc,cd,de->ae", normal(2, 3), normal(3, 4), normal(4, 5), normal(5, 2))
einsum.case("ij,kl->i", normal(2, 3), normal(4, 2))
einsum.case("bi,bi->b", normal(3, 4), normal(3, 4))
einsum.case("bi,bi->b", normal(3, 1), normal(3, 4))
einsum.case("bqhd,bkhd->bhqk", normal(2, 3, 2, 4), normal(2, 5, 2, 4))


def from_lists(arguments):
    """einsum's other form, (operand, [0, 1], operand, [1, 2], ..., [0, 2]), as the first."""
    operands, subscripts = arguments[0::2], arguments[1::2]
    out = None
    if len(operands) > len(subscripts):
        *operands, out = operands

    def letters(axes):
        return "".join("..." if i is Ellipsis else ascii_letters[i] for i in axes)
    if not all(isinstance(t, Tensor) for t in operands):
        raise TypeError("einsum(): expected an equation, or operands each followed by a list of its axes")
    return ",".join(map(letters, subscripts)) + ("" if out is None else "->" + letters(out)), *operands


@composed(method=False)
def tensordot(a, b, dims=2):
    """Sum of products over axes of `a` and `b`: dims=n the last n of a and the first n of b, or dims=([axes of a], [axes of b])."""
    if isinstance(dims, (int, Tensor)) and getattr(dims, "ndim", 0) == 0:
        n = int(dims)
        if not 0 <= n <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects 0 <= dims <= {min(a.ndim, b.ndim)}, but got dims={n}")
        left, right = tuple(range(a.ndim - n, a.ndim)), tuple(range(n))
    else:
        left, right = [axes(d if isinstance(d, int) else list(d), t.ndim) for d, t in zip(dims, (a, b))]
    if len(left) != len(right) or any(a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]) for i, j in zip(left, right)):
        raise RuntimeError(f"tensordot: axes {left} of {tuple(a.shape)} and {right} of {tuple(b.shape)} do not match")
    names = list(ascii_letters[:a.ndim])
    others = list(ascii_letters[a.ndim:a.ndim + b.ndim])
    for i, j in zip(left, right):
        others[j] = names[i]
    out = [c for c in names if c not in others] + [c for c in others if c not in names]
    return einsum(f"{''.join(names)},{''.join(others)}->{''.join(out)}", a, b)

tensordot.case(normal(2, 3, 4), normal(3, 4, 5))
tensordot.case(normal(2, 3, 4), normal(4, 5), dims=1)
tensordot.case(normal(2, 3, 4), normal(5, 4, 2), dims=([0, -1], [2, 1]))
tensordot.case(normal(2), normal(3), dims=0)
