"""Axis numbers, sizes and flags as users write them, checked and made plain: negative, in tuples, as `*sizes`."""
from operator import index


def axis(dim, ndim):
    """`dim` counted from 0; IndexError when out of range.  A 0-d tensor counts as having one axis."""
    n = ndim or 1
    dim = index(dim)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim + n if dim < 0 else dim


def axes(dim, ndim):
    """One axis or several as a tuple counted from 0; RuntimeError for one given twice."""
    dims = tuple([axis(d, ndim) for d in dim]) if isinstance(dim, (tuple, list)) else (axis(dim, ndim),)
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"dim {next(d for d in dims if dims.count(d) > 1)} appears multiple times in the list of dims")
    return dims


def over(dim, keepdim, ndim):
    """What a reduction over `dim` (an int, several, or None or () for all) gives NumPy as `axis`."""
    if keepdim is not False and keepdim is not True:
        raise TypeError(f"argument 'keepdim' must be bool, not {type(keepdim).__name__}")
    if dim is None or dim == ():
        return None
    if type(dim) is int and -ndim <= dim < ndim:
        return dim
    dims = axes(dim, ndim)
    return dims if ndim and dims else None


def one(dim, keepdim, ndim):
    """The same for a reduction over a single axis or, with None, all."""
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}")
    return over(dim, keepdim, ndim)


def kept(shape, dim):
    """`shape` with the axes `dim` reduced to size 1."""
    n = len(shape)
    if dim is None or dim == () or dim == []:
        return (1,) * n
    if not n:
        return ()
    if type(dim) is int:
        dim = dim % n
        return (*shape[:dim], 1, *shape[dim + 1:])
    dims = [d % n for d in dim]
    return tuple([1 if i in dims else m for i, m in enumerate(shape)])


def count(shape, dim):
    """How many elements a reduction over `dim` puts together."""
    k = 1
    if dim is None or dim == () or dim == []:
        for n in shape:
            k *= n
    elif shape:
        for d in dim if isinstance(dim, (tuple, list)) else (dim,):
            k *= shape[d]
    return k


def sizes(args, name, given=None):
    """The ints of `f(2, 3)`, `f((2, 3))`, `f([2, 3])`, or of the keyword argument `given`, as a tuple."""
    if given is not None:
        if args:
            raise TypeError(f"{name}() got its sizes twice: {args} and {given}")
        args = tuple(given)
    elif not args:
        raise TypeError(f"{name}() is missing its sizes")
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    for n in args:
        if type(n) is not int:
            try:
                return tuple([index(n) for n in args])
            except TypeError:
                raise TypeError(f"{name}: expected ints, got {tuple(type(n).__name__ for n in args)}") from None
    return tuple(args)
