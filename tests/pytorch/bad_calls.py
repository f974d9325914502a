"""Calls spoiled in every way that programs get them wrong: what to call instead of a right call."""
import numpy as np

NUMBERS = (9, -9, 1.5, "a", None)


def replaced(args, params, place, value):
    """The call with another value at `place`: a number for a place among args, a name for one among params."""
    if isinstance(place, str):
        return args, {**params, place: value}
    return (*args[:place], value, *args[place + 1:]), params


def other_arrays(a):
    """{what is wrong: another array in the place of a}."""
    yield "an axis more", np.broadcast_to(a, (7, *a.shape)).copy()
    if a.ndim:
        yield "an axis less", a.reshape(a.shape[1:] if a.ndim > 1 and a.shape[0] == 1 else -1) if a.ndim > 1 else a.sum()
        yield "one longer", np.concatenate([a, a[..., :1]], -1) if a.shape[-1] else np.zeros((*a.shape[:-1], 1), a.dtype)
        yield "nothing in it", a[:0]
    for kind in ("f8", "i8", "?") if a.dtype.kind != "f" else ("f4", "i8", "?"):
        if np.dtype(kind) != a.dtype:
            yield f"of {np.dtype(kind).name}", a.astype(kind)
    if a.dtype.kind == "i":
        yield "too large", a + 1000
        yield "negative", a - 1000


def spoiled(args, params):
    """(what is wrong, args, params), one mistake each."""
    for place, value in [*enumerate(args), *params.items()]:
        if isinstance(value, np.ndarray):
            for what, a in other_arrays(value):
                yield f"{place}: {what}", *replaced(args, params, place, np.asarray(a))
            for what, other in (("a list", value.tolist()), ("a word", "a"), ("None", None), ("an object", object())):
                yield f"{place}: {what}", *replaced(args, params, place, other)
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], np.ndarray):
            for what, a in other_arrays(value[0]):
                yield f"{place}[0]: {what}", *replaced(args, params, place, type(value)([np.asarray(a), *value[1:]]))
            yield f"{place}: nothing", *replaced(args, params, place, type(value)())
            yield f"{place}: a number among them", *replaced(args, params, place, type(value)([*value, 3]))
        elif isinstance(value, (list, tuple)):
            yield f"{place}: one more", *replaced(args, params, place, (*value, 99))
            yield f"{place}: one fewer", *replaced(args, params, place, tuple(value[1:]))
            yield f"{place}: twice the first", *replaced(args, params, place, (*value[:1], *value))
            yield f"{place}: fractions", *replaced(args, params, place, tuple(v + 0.5 if isinstance(v, int) else v for v in value))
        elif isinstance(value, str):
            yield f"{place}: nonsense", *replaced(args, params, place, "nonsense")
            yield f"{place}: a number", *replaced(args, params, place, 3)
        elif isinstance(value, (int, float)):
            for other in NUMBERS:
                yield f"{place}: {other!r}", *replaced(args, params, place, other)
    yield "one argument more", (*args, 5, 5, 5, 5, 5), params
    yield "an unknown name", args, {**params, "speed": 3}
    if args:
        yield "the last left out", args[:-1], params
    yield "nothing at all", (), {}
