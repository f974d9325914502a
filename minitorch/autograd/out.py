"""`out=` of functions that are written with ops: the result goes into the tensors given.

Ops take it by themselves.  As in PyTorch it belongs to the functions, not to the methods.
"""
import functools

from .call import written

NAMES = {home: frozenset(names.split()) for home, names in {
    "torch": """addbmm addmm addmv addr aminmax baddbmm bernoulli bmm bucketize chain_matmul cholesky_inverse cholesky_solve clamp_max
                clamp_min count_nonzero cross cummax cummin diag diff dot float_power gather ger heaviside histc index_add index_copy
                index_select inner inverse kron kthvalue log_softmax masked_select matrix_power max median min mm mode msort multinomial mv
                nanmean nanmedian nanquantile nansum nonzero norm outer polygamma prod quantile renorm scatter scatter_add scatter_reduce
                searchsorted softmax sort std std_mean take take_along_dim tensordot topk var var_mean vdot""",
    "functional": "",
    "linalg": """cond cross matrix_norm matrix_power matrix_rank multi_dot norm pinv qr slogdet solve solve_triangular vecdot
                 vector_norm""",
}.items()}
MADE = frozenset("arange empty eye full linspace logspace normal ones rand randint randn randperm zeros".split())


def with_out(f):
    """f with the argument out=: a tensor, or one for each result."""
    @functools.wraps(f)
    def call(*args, out=None, **params):
        if out is None:
            return f(*args, **params)
        y = f(*args, **params)
        if not isinstance(y, tuple):
            return written(f.__name__, y, out, (*args, *params.values()))
        if not isinstance(out, (tuple, list)) or len(out) != len(y):
            raise TypeError(f"{f.__name__}(): argument 'out' must be tuple of {len(y)} Tensors, not {type(out).__name__}")
        return type(y)(*[written(f.__name__, part, place, (*args, *params.values())) for part, place in zip(y, out)])
    return call


def made_into(f):
    """The same for a function that makes a tensor from none, which takes the dtype of `out`."""
    @functools.wraps(f)
    def call(*args, out=None, **params):
        if out is None:
            return f(*args, **params)
        if params.get("dtype") is None:
            params["dtype"] = getattr(out, "dtype", None)
        return written(f.__name__, f(*args, **params), out)
    return call


def at_home(place, name, f):
    """`f` as users find it at `place`: with out= where PyTorch's function takes it."""
    return with_out(f) if name in NAMES[place] else made_into(f) if place == "torch" and name in MADE else f
