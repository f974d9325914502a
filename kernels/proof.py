"""A function on the kernels says what it is to be proven by: a reference in NumPy, cases, and its derivative.

    @proven(reference=lambda x: ..., dtypes="float32 float16 bfloat16")
    def softmax(x): ...                              # allocates the result and launches a kernel

    softmax.case(normal(5, 77))
    softmax.vjp(lambda g, y, x: softmax_backward(g, y))      # one gradient, or one per array (None: none)

tests/kernels/test_proofs.py makes of this: agreement with the reference in every dtype, thread order and timing of the
asynchronous units; a run with every check on; the derivative against finite differences in double precision; and on a
machine with a GPU all of it there.
"""
FUNCTIONS = {}                                       # name -> function: what tests, benchmarks and the README read
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}      # of the largest entry of a result


def proven(reference, dtypes="float32", tolerance=None):
    """Enter a function on the kernels in FUNCTIONS.

    reference: the same function on NumPy arrays, which it gets in float64.  dtypes: of its floating-point arrays.
    tolerance: {dtype: largest error, relative to the largest entry of the result} where it differs from TOLERANCE.
    A function in float32 also takes float64, computed in double, unless it runs on tensor cores.
    """
    def enter(f):
        f.reference, f.dtypes, f.tolerance = reference, tuple(dtypes.split()), {**TOLERANCE, **(tolerance or {})}
        f.cases, f.derivative = [], None
        f.case = lambda *args, **params: f.cases.append((args, params))

        def vjp(derivative):
            f.derivative = derivative
        f.vjp = vjp
        FUNCTIONS[f.__name__] = f
        return f
    return enter


def scalar(x):
    """The C++ type in which a kernel written for several stores an array like `x`: the value of its macro `scalar`."""
    try:
        return {"float32": "float", "float64": "float", "float16": "half", "bfloat16": "bf16"}[x.dtype.name]
    except KeyError:
        raise TypeError(f"the kernels compute in float32, float64, float16 and bfloat16, not {x.dtype.name}") from None
