"""Calls of assert_close and make_tensor: run here and in PyTorch, they must end the same way, to the last digit of the message."""
import collections

import numpy as np

NAN, INF = float("nan"), float("inf")


def close(actual, expected, **options):
    """A call on what functions of the library give."""
    return lambda mt: mt.testing.assert_close(*(x(mt) if callable(x) else x for x in (actual, expected)), **options)


def t(values, dtype=None):
    return lambda mt: mt.tensor(values, dtype=dtype and getattr(mt, dtype))


def each(*makers):
    return lambda mt: [m(mt) if callable(m) else m for m in makers]


CLOSE = {
    "equal": close(t([1., 2.]), t([1., 2.])),
    "within the tolerance of float32": close(t([1.0]), t([1.000001])),
    "beyond the tolerance of float64": close(t([1.0], "float64"), t([1.000001], "float64")),
    "a vector": close(t([1., 2., 3.]), t([1., 4., 5.])),
    "a matrix": close(t([[1., 2., 3.], [1., 2., 3.]]), t([[1., 4., 5.], [1., 0., 3.]])),
    "one entry of a matrix": close(t([[1.]]), t([[2.]])),
    "0-d tensors": close(t(1.), t(2.)),
    "0-d tensors of float16": close(t(1., "float16"), t(2.1, "float16")),
    "float16": close(t([1.], "float16"), t([1.1], "float16")),
    "bfloat16": close(t([1.], "bfloat16"), t([1.1], "bfloat16")),
    "float64": close(t([1.], "float64"), t([1.1], "float64")),
    "overflow in float16": close(t([60000., 1.], "float16"), t([-60000., 3.], "float16")),
    "whole numbers": close(t([1, 2]), t([1, 3])),
    "whole numbers, with tolerance": close(t([1, 2]), t([1, 3]), rtol=0, atol=1),
    "large whole numbers": close(t([2 ** 62]), t([2 ** 62 + 1])),
    "booleans": close(t([True, False]), t([True, True])),
    "uint8": close(t([1], "uint8"), t([255], "uint8")),
    "int8": close(t([-128], "int8"), t([127], "int8")),
    "zero tolerance": close(t([1., 2.]), t([1., 3.]), rtol=0, atol=0),
    "given tolerances": close(t([1., 2.]), t([1., 2.1]), rtol=1e-2, atol=1e-3),
    "given tolerances that suffice": close(t([1., 2.]), t([1., 2.1]), rtol=1e-1, atol=0),
    "expected zero": close(t([1., 0.]), t([0., 0.])),
    "NaN": close(t([NAN, 1.]), t([NAN, 3.])),
    "NaN, equal": close(t([NAN, 1.]), t([NAN, 1.]), equal_nan=True),
    "NaN, equal, beside a mistake": close(t([NAN, 1.]), t([NAN, 3.]), equal_nan=True),
    "NaN behind a number": close(t([1., NAN, 3.]), t([5., 1., NAN])),
    "NaN behind a number in bfloat16": close(t([1., NAN, 3.], "bfloat16"), t([5., 1., NAN], "bfloat16")),
    "NaN for a number": close(t([NAN, 1.]), t([1., 1.])),
    "0-d NaN": close(t(NAN), t(NAN)),
    "infinity": close(t([INF, -INF]), t([INF, -INF])),
    "infinity for a number": close(t([INF, 1.]), t([1., 1.])),
    "infinities of two signs": close(t([INF, 1.]), t([-INF, 1.])),
    "nothing": close(lambda mt: mt.zeros(0), lambda mt: mt.zeros(0)),
    "another shape": close(t([1.]), t([1., 2.])),
    "another number of axes": close(t(1.), t([1.])),
    "shapes of nothing": close(lambda mt: mt.zeros(0, 2), lambda mt: mt.zeros(2, 0)),
    "another dtype": close(t([1.]), t([1.], "float64")),
    "another dtype, not checked": close(t([1.]), t([1.1], "float64"), check_dtype=False),
    "float16 and float32, not checked": close(t([1.], "float16"), t([1.01], "float32"), check_dtype=False),
    "whole numbers and floats, not checked": close(t([1]), t([1.1], "float64"), check_dtype=False),
    "booleans and floats, not checked": close(t([True]), t([1.]), check_dtype=False),
    "strides": close(lambda mt: mt.zeros(2, 3), lambda mt: mt.zeros(3, 2).t(), check_stride=True),
    "strides of axes of size 1": close(lambda mt: mt.ones(3)[None], lambda mt: mt.ones(1, 3), check_stride=True),
    "strides, not checked": close(lambda mt: mt.zeros(2, 3), lambda mt: mt.zeros(3, 2).t()),
    "strides before dtypes": close(lambda mt: mt.zeros(2, 3), lambda mt: mt.zeros(3, 2).t().double(), check_stride=True),
    "layouts and devices": close(t([1.]), t([2.]), check_layout=False, check_device=False),
    "a tensor that requires grad": close(lambda mt: mt.ones(1, requires_grad=True), t([1.1])),
    "a parameter": close(lambda mt: mt.nn.Parameter(mt.ones(1)), t([1.])),
    "a parameter, strictly": close(lambda mt: mt.nn.Parameter(mt.ones(1)), t([1.]), allow_subclasses=False),
    "floats": close(1., 2.),
    "floats within tolerance": close(1., 1. + 1e-8),
    "ints": close(1, 2),
    "ints beyond 64 bits": close(2 ** 70, 2 ** 70 + 1),
    "int and float": close(1, 2.),
    "int and float, not checked": close(1, 2., check_dtype=False),
    "bools": close(True, False),
    "equal bools": close(True, True),
    "a NumPy bool": close(np.bool_(True), False),
    "complex numbers": close(1j, 1j),
    "zero tolerance for numbers": close(1., 3., rtol=0, atol=0),
    "NaN numbers": close(NAN, 1.),
    "NaN numbers, equal": close(NAN, NAN, equal_nan=True),
    "a number for an infinite one": close(1., INF),
    "infinite numbers": close(INF, 1.),
    "expected number zero": close(1., 0.),
    "NumPy numbers": close(np.float32(1.), np.float32(2.)),
    "NumPy numbers and Python's": close(np.float64(1.), 1.),
    "NumPy arrays": close(np.array([1.]), np.array([2.])),
    "NumPy arrays of two dtypes": close(np.array([1.]), np.array([1.], "f4")),
    "NumPy arrays of complex numbers": close(np.array([1j]), np.array([1j])),
    "NumPy strings": close(np.array(["a"]), np.array(["a"])),
    "a NumPy number and an array": close(np.float64(1), np.array(1.)),
    "a tensor and an array": close(t([1.]), np.array([1.])),
    "a tensor and a number": close(t(1.), 1.),
    "None": close(None, None),
    "None and a number": close(None, 1.),
    "a tensor and None": close(t([1.]), None),
    "strings": close("a", "a"),
    "a string and a list": close("a", ["a"]),
    "strings in lists": close(["a"], ["a"]),
    "objects": close({1.}, {1.}),
    "lists": close(each(t([1.]), t([2.])), each(t([1.]), t([3.]))),
    "the first of two mistakes": close(each(t([0.]), t([2.])), each(t([1.]), t([3.]))),
    "a list and a tuple": close([1., 2.], (1., 2.)),
    "a range": close(range(3), [0, 1, 2]),
    "another length": close([1.], (1., 2.)),
    "another length, before other mistakes": close([1., [1.]], [2., []]),
    "no items": close([], ()),
    "nested lists": close([[1., 2.], [1]], ((1., 3.), [1])),
    "nested mappings": close({"a": [1., {"b": 2.}]}, {"a": [1., {"b": 3.}]}),
    "a shape deep inside": close(lambda mt: {"a": (1., mt.ones(1))}, lambda mt: {"a": [1., mt.ones(2)]}),
    "None in a list": close([None], [1.]),
    "mappings": close({"a": 1.}, collections.OrderedDict(a=2.)),
    "the first of two keys": close({"b": 1., "a": 2.}, {"b": 2., "a": 3.}),
    "other keys": close({"a": 1.}, {"b": 1., "a": 1.}),
    "keys of several types": close({1: 1., "a": 2.}, {1: 1., "a": 3.}),
    "a mapping and a list": close({"a": 1.}, [1.]),
    "a message": close(1., 2., msg="not what we want"),
    "a message made of the message": close([1.], [2.], msg=lambda m: f"<{m}>"),
    "a message for another length": close([1], [], msg=lambda m: f"<{m}>"),
    "a message for strings": close("a", "b", msg="not what we want"),
    "rtol alone": close(1., 1., rtol=1e-3),
    "atol alone": close(t([1.]), t([1.]), atol=1e-3),
    "tolerances by position": lambda mt: mt.testing.assert_close(1., 1., 1e-3),
}


def made(*shape, dtype="float32", **options):
    """What can be compared of a made tensor: everything but its numbers, and the range they lie in."""
    def run(mt):
        x = mt.testing.make_tensor(*shape, dtype=getattr(mt, dtype), device="cpu", **options)
        least, most = (options.get("low"), options.get("high"))
        y = x.detach().double()
        inside = least is None or bool((y >= float(least)).all()) and (most is None or bool((y <= float(most)).all()))
        inside |= dtype in ("bool", "uint8") or "exclude_zero" in options
        return tuple(x.shape), x.stride() if x.numel() else (), str(x.dtype).split(".")[1], x.requires_grad, x.is_leaf, inside
    return run


MADE = {
    "floats": made(3, 4), "a tuple": made((3, 4)), "a list": made([3, 4]), "no axes": made(()), "no arguments": made(), "nothing": made(0, 3),
    "float64": made(3, dtype="float64"), "float16": made(3, dtype="float16"), "bfloat16": made(3, dtype="bfloat16"),
    "bool": made(3, dtype="bool"), "uint8": made(3, dtype="uint8"), "int64": made(3, dtype="int64"),
    "range": made(30, low=2, high=3), "range of whole numbers": made(30, low=-3, high=3, dtype="int32"),
    "range with fractions": made(30, low=1.5, high=3.5, dtype="int64"),
    "range beyond the dtype": made(30, low=-5, high=300, dtype="uint8"), "range of 64 bits": made(30, low=-2 ** 70, high=2 ** 70, dtype="int64"),
    "range outside the dtype": made(3, low=300, high=400, dtype="uint8"), "range below the dtype": made(3, low=-5, high=-1, dtype="uint8"),
    "infinite range": made(30, low=-INF, high=INF), "range outside float16": made(3, low=1e6, high=1e7, dtype="float16"),
    "range of booleans": made(3, low=-1, high=5, dtype="bool"),
    "upside down": made(3, low=3, high=2), "empty range": made(3, low=2, high=2, dtype="int64"), "low above the default": made(3, low=20),
    "NaN range": made(3, low=NAN), "NaN range of whole numbers": made(3, high=NAN, dtype="int64"),
    "gradient": made(3, requires_grad=True), "gradient of whole numbers": made(3, requires_grad=True, dtype="int64"),
    "every second": made(2, 3, noncontiguous=True), "every second of three axes": made(2, 3, 4, noncontiguous=True),
    "every second of one": made(1, noncontiguous=True), "every second with gradient": made(4, noncontiguous=True, requires_grad=True),
    "no zeros": made(9, low=0, high=1e-45, exclude_zero=True), "no zeros of whole numbers": made(9, low=0, high=2, exclude_zero=True, dtype="int32"),
    "negative size": made(-3),
}


def outcome(run, mt):
    """What came back, or the class and the message of the error with the library's own names taken out."""
    try:
        return run(mt)
    except Exception as error:
        message = str(error)
        for name in ("minitorch.tensor.", "minitorch.nn.parameter.", "minitorch.", "torch.nn.parameter.", "torch."):
            message = message.replace(name, "")
        return type(error), message
