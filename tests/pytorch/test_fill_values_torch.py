"""Numbers that a dtype cannot hold: where PyTorch refuses to fill with one, so does minitorch; elsewhere both fill with the same."""
import math

import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")

VALUES = [math.nan, math.inf, -math.inf, 300, -1, -1.0, -129, -300, 2.7, -0.5, -2.7, 255.5, 2 ** 31, 2 ** 40, -2 ** 63, 65504.0, 65519.0, 65520.0,
          3.4028235e38, 1e39, True, False]
DTYPES = ["uint8", "int8", "int16", "int32", "int64", "bool", "float16", "bfloat16", "float32", "float64"]
CALLS = {
    "pad": lambda lib, x, value: lib.nn.functional.pad(x, (1, 0), value=value),
    "pad, nothing to fill": lambda lib, x, value: lib.nn.functional.pad(x, (-1, 0), value=value),
    "ConstantPad1d": lambda lib, x, value: lib.nn.ConstantPad1d(1, value)(x[None]),
    "fill_": lambda lib, x, value: x.fill_(value),
    "full": lambda lib, x, value: lib.full((2, 3), value, dtype=x.dtype),
    "full_like": lambda lib, x, value: lib.full_like(x, value),
    "masked_fill": lambda lib, x, value: x.masked_fill(x > 0, value),
}


def outcome(lib, call, dtype, value):
    """The numbers, or the kind of error."""
    if lib is minitorch and dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    try:
        return CALLS[call](lib, lib.ones(4, dtype=getattr(lib, dtype)), value).double().numpy()
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        return type(error)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("call", CALLS)
def test_numbers_that_fit_or_do_not(call, dtype):
    for value in VALUES:
        ours, theirs = (outcome(lib, call, dtype, value) for lib in (minitorch, torch))
        assert isinstance(ours, type) == isinstance(theirs, type), f"{value}: {ours}, PyTorch {theirs}"
        if isinstance(ours, type):
            assert ours is theirs, value
        else:
            np.testing.assert_array_equal(ours, theirs, f"{value}")


@pytest.mark.parametrize("value", ["a", [1.0], 1 + 2j])
def test_a_padding_value_is_one_number(value):
    for lib in minitorch, torch:
        with pytest.raises(TypeError):
            lib.nn.functional.pad(lib.ones(3), (1, 0), value=value)


def test_other_modes_of_pad_take_no_value():
    for lib in minitorch, torch:
        with pytest.raises(RuntimeError, match="value argument"):
            lib.nn.functional.pad(lib.ones(1, 3), (1, 0), "reflect", value=1.0)
