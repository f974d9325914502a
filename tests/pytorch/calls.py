"""The calls of calls/*.txt: a line names functions, then what to call each of them with.

`name name: arguments; arguments`.  N(2,3) stands for normal numbers, P for positive ones, U and C for numbers within (-0.9, 0.9) and
(0.05, 0.95), A for numbers above 1, D for distinct ones, S for signs, I for whole numbers below `high`, B for booleans, L for
logarithms of probabilities, Q and V for definite and invertible matrices, T for these very numbers.  In small letters: the same
without asking for a gradient.
"""
from pathlib import Path

import numpy as np

from agree import Constant

from minitorch import cases

FOLDER = Path(__file__).parent / "calls"


def draws(rng):
    """The letters of a line, drawing from rng."""
    def letter(kind):
        return lambda *shape, **options: np.asarray(kind(*shape, **options).draw(rng))

    def log_probabilities(*shape):
        x = rng.normal(size=shape)
        return x - np.log(np.exp(x).sum(-1, keepdims=True))
    letters = {"N": letter(cases.normal), "P": letter(cases.positive), "U": letter(cases.unit), "C": letter(cases.probability),
               "A": letter(cases.above_one), "D": letter(cases.distinct), "I": letter(cases.integers), "B": letter(cases.booleans),
               "Q": letter(cases.definite), "V": letter(cases.invertible), "L": log_probabilities, "T": np.array,
               "S": lambda *shape: np.asarray(rng.choice([-1.0, 1.0], size=shape))}

    def constant(f):
        return lambda *args, **options: f(*args, **options).view(Constant)
    return {**letters, **{name.lower(): constant(f) for name, f in letters.items()}, "inf": np.inf, "nan": np.nan}


def entries(text, separator):
    """The parts of a text between separators that stand outside brackets."""
    found, depth, start = [], 0, 0
    for i, c in enumerate(text + separator):
        depth += (c in "([{") - (c in ")]}")
        if c == separator and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    return [part for part in found if part]


def read():
    """[(name, arguments as text)], each once, in the order of the files."""
    found = {}
    for path in sorted(FOLDER.glob("*.txt")):
        place = "nn.functional." if path.stem == "functional" else ""
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                names, _, calls = line.partition(": ")
                names = " ".join(place + name for name in names.split())
                found.update(dict.fromkeys((name, text) for name in names.split() for text in entries(calls, ";")))
    return list(found)


def drawn(text):
    """(args, params) of a call, with NumPy arrays of drawn numbers."""
    def asked(*args, **params):
        return tuple(np.asarray(a) if isinstance(a, np.generic) else a for a in args), params
    return eval(f"asked({text})", {**draws(np.random.default_rng(0)), "asked": asked})


def found(name, library):
    """The function, or the method of Tensor, of that name; properties as functions."""
    if name == "nn.functional.ctc_loss":             # PyTorch's gradient is right only behind a log_softmax
        return lambda x, *args, **options: library.nn.functional.ctc_loss(x.log_softmax(-1), *args, **options)
    *places, last = name.split(".")
    root = library
    for place in places:
        root = getattr(root, place)
    if hasattr(root, last) and name not in ("float", "double", "long", "int", "bool"):
        return getattr(root, last)
    method = getattr(library.Tensor, last, None)
    return method if callable(method) else lambda x: getattr(x, last)
