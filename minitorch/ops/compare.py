"""Questions about numbers, whose answers are booleans; and logic on booleans and on the bits of integers."""
from .. import dtypes
from ..autograd.op import alias, composed, op
from ..backend import is_array, xp
from ..cases import booleans, integers, normal

comparison = op(numbers="promote", inplace=True, differentiable=False, scalars="second")


@comparison
def eq(input, other, /):
    """input == other, element by element."""
    return input == other

eq.case(integers(3, 4), integers(3, 4))
eq.case(integers(3, 1), normal(4))
eq.case(integers(3, 4), 2)


@comparison
def ne(input, other, /):
    """input != other, element by element."""
    return input != other

ne.case(integers(3, 4), integers(3, 4))
ne.case(integers(3, 1), normal(4))
ne.case(integers(3, 4), 2)
alias("not_equal", ne)


@comparison
def lt(input, other, /):
    """input < other, element by element."""
    return input < other

lt.case(normal(3, 4), normal(3, 4))
lt.case(integers(3, 1), integers(4))
lt.case(integers(3, 4), 1.5)
alias("less", lt)


@comparison
def le(input, other, /):
    """input <= other, element by element."""
    return input <= other

le.case(normal(3, 4), normal(3, 4))
le.case(integers(3, 1), integers(4))
le.case(integers(3, 4), 1.5)
alias("less_equal", le)


@comparison
def gt(input, other, /):
    """input > other, element by element."""
    return input > other

gt.case(normal(3, 4), normal(3, 4))
gt.case(integers(3, 1), integers(4))
gt.case(integers(3, 4), 1.5)
alias("greater", gt)


@comparison
def ge(input, other, /):
    """input >= other, element by element."""
    return input >= other

ge.case(normal(3, 4), normal(3, 4))
ge.case(integers(3, 1), integers(4))
ge.case(integers(3, 4), 1.5)
alias("greater_equal", ge)


# ---- nearly equal -------------------------------------------------------------------------------------------

def check_same_dtype(input, other):
    if input.dtype != other.dtype:
        raise RuntimeError(f"{dtypes.of(input.dtype).name} did not match {dtypes.of(other.dtype).name}")


@op(numbers="half", differentiable=False, scalars=False, check=check_same_dtype)
def isclose(input, other, /, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where |input - other| <= atol + |rtol * other|, or both are the same infinity (or NaN, with equal_nan).

    RuntimeError for a negative tolerance, or where the dtypes differ.
    """
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: the tolerances must not be negative, but rtol is {rtol} and atol {atol}")
    close = input == other
    if equal_nan:
        close = close | (input != input) & (other != other)
    if not dtypes.is_float(input.dtype):
        input, other = input.astype(dtypes.default), other.astype(dtypes.default)
    apart = abs(input - other)
    return close | (apart <= atol + abs(rtol * other)) & xp(input).isfinite(apart)

isclose.case(normal(3, 4), normal(3, 4), rtol=0.5)
isclose.case(integers(3, 4), integers(4), atol=1.0)
isclose.case(normal(3), normal(3))


@composed
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether isclose holds everywhere, as a Python bool."""
    return bool(isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan).array.all())

allclose.case(normal(3, 4), normal(3, 4))
allclose.case(normal(3, 4), normal(4), atol=100.0)
allclose.case(integers(3), integers(3))


@composed
def equal(input, other):
    """Whether both have the same shape and numbers, as a Python bool."""
    if input.array.shape != other.array.shape:
        return False
    return bool(eq(input, other).array.all())

equal.case(normal(3, 4), normal(3, 4))
equal.case(integers(2, high=1), integers(2, high=1))
equal.case(normal(3, 4), normal(4))


# ---- what kind of number --------------------------------------------------------------------------------------

@op(numbers="half", differentiable=False)
def isnan(input, /):
    """Where x is not a number."""
    return input != input

isnan.case(normal(3, 4))
isnan.case(normal())
isnan.case(integers(3))


@op(numbers="half", differentiable=False)
def isinf(input, /):
    """Where x is infinite."""
    return xp(input).isinf(input)

isinf.case(normal(3, 4))
isinf.case(normal())
isinf.case(integers(3))


@op(numbers="half", differentiable=False)
def isfinite(input, /):
    """Where x is neither infinite nor NaN."""
    return xp(input).isfinite(input)

isfinite.case(normal(3, 4))
isfinite.case(normal())
isfinite.case(integers(3))


@op(numbers="half", differentiable=False)
def signbit(input, /):
    """Where x carries a minus sign, as -0.0 does too."""
    return xp(input).signbit(input) if input.dtype.kind == "f" else input < 0

signbit.case(normal(3, 4))
signbit.case(normal())
signbit.case(integers(3, low=-3))


# ---- logic ----------------------------------------------------------------------------------------------------

logical = op(inplace=True, differentiable=False, scalars=False)


@logical
def logical_and(input, other, /):
    """Where both are not zero."""
    return (input != 0) & (other != 0)

logical_and.case(booleans(3, 4), booleans(4))
logical_and.case(integers(3, 4), booleans(3, 1))
logical_and.case(integers(3), normal(3))


@logical
def logical_or(input, other, /):
    """Where one at least is not zero."""
    return (input != 0) | (other != 0)

logical_or.case(booleans(3, 4), booleans(4))
logical_or.case(integers(3, 4), booleans(3, 1))
logical_or.case(integers(3), normal(3))


@logical
def logical_xor(input, other, /):
    """Where exactly one is not zero."""
    return (input != 0) ^ (other != 0)

logical_xor.case(booleans(3, 4), booleans(4))
logical_xor.case(integers(3, 4), booleans(3, 1))
logical_xor.case(integers(3), normal(3))


@logical
def logical_not(input, /):
    """Where x is zero."""
    return input == 0

logical_not.case(booleans(3, 4))
logical_not.case(integers(3, 4))
logical_not.case(normal(3))


# ---- bits -----------------------------------------------------------------------------------------------------

def bitwise(name, kinds="biu"):
    """op() for integers (and booleans, where `kinds` has b)."""
    def check(*arrays):
        dtype = dtypes.result_type(arrays)
        if dtype.kind not in kinds:
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{dtypes.of(dtype).name}'")
    return op(numbers="promote", inplace=True, differentiable=False, check=check)


@bitwise("bitwise_and")
def bitwise_and(input, other, /):
    """input & other, bit by bit; NotImplementedError for floats."""
    check_whole(input)
    return input & other

bitwise_and.case(integers(3, 4), integers(3, 4))
bitwise_and.case(booleans(3, 1), booleans(4))
bitwise_and.case(integers(3, 4), 3)


@bitwise("bitwise_or")
def bitwise_or(input, other, /):
    """input | other, bit by bit; NotImplementedError for floats."""
    check_whole(input)
    return input | other

bitwise_or.case(integers(3, 4), integers(3, 4))
bitwise_or.case(booleans(3, 1), booleans(4))
bitwise_or.case(integers(3, 4), 3)


@bitwise("bitwise_xor")
def bitwise_xor(input, other, /):
    """input ^ other, bit by bit; NotImplementedError for floats."""
    check_whole(input)
    return input ^ other

bitwise_xor.case(integers(3, 4), integers(3, 4))
bitwise_xor.case(booleans(3, 1), booleans(4))
bitwise_xor.case(integers(3, 4), 3)


@bitwise("bitwise_not")
def bitwise_not(input, /):
    """~x, bit by bit; NotImplementedError for floats."""
    check_whole(input)
    return ~input

bitwise_not.case(integers(3, 4, low=-5))
bitwise_not.case(booleans(3, 4))
bitwise_not.case(integers())


@bitwise("lshift", "iu")
def bitwise_left_shift(input, other, /):
    """The bits of `input` moved up by `other` places; all of them out for a negative or too large number of places."""
    check_whole(input)
    return shifted(input, other, lambda a, b: a << b, 0)

bitwise_left_shift.case(integers(3, 4), integers(3, 4))
bitwise_left_shift.case(integers(3, 4), integers(4, low=-3, high=100))
bitwise_left_shift.case(integers(3, 4), 2)


@bitwise("rshift", "iu")
def bitwise_right_shift(input, other, /):
    """The bits of `input` moved down by `other` places, the sign filling in."""
    check_whole(input)
    bits = 8 * (input if is_array(input) else other).itemsize
    return shifted(input, other, lambda a, b: a >> b, input >> (bits - 1))

bitwise_right_shift.case(integers(3, 4, low=-50, high=50), integers(3, 4))
bitwise_right_shift.case(integers(3, 4, low=-50, high=50), integers(4, low=-3, high=100))
bitwise_right_shift.case(integers(3, 4, low=-50, high=50), 2)


def shifted(input, other, shift, out):
    """shift(input, other) where `other` is from 0 to the number of bits less one, else `out`."""
    array = input if is_array(input) else other
    bits = 8 * array.itemsize
    if not is_array(other):
        return shift(input, other) if 0 <= other < bits else input * 0 + out
    library = xp(array)
    fits = (other >= 0) & (other < bits)
    y = shift(input, library.where(fits, other, 0))
    return library.where(fits, y, out)


def check_whole(input):
    """The fast call of ops on floats makes no check: refuse them here."""
    if getattr(input, "dtype", dtypes.I64).kind not in "biu":
        raise NotImplementedError(f"bitwise operations are not implemented for '{dtypes.of(input.dtype).name}'")
