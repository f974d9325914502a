"""Functions for judging a gradient checker: random ones that are right, and ones at which there is nothing to be right about.

Everything is drawn from a seed.  A random function is a composition of ops on Tensors, grown op by op at its own point, so that an
op with a kink or a pole is only taken where the numbers at hand stay clear of it.
"""
import hashlib

import numpy as np

import minitorch
from minitorch.nn.functional import gelu, layer_norm, softplus

CLEAR = 1e-3                                         # how far numbers stay from a kink, beside their own size


def clear_of(v, *places):
    """Whether no entry of v is near one of the places."""
    v = v.numpy().astype("f8")
    return all(np.abs(v - p).min(initial=np.inf) > CLEAR * max(1.0, np.abs(v).max(initial=0)) for p in places)


def apart(v):
    """Whether no two entries are near each other."""
    v = np.sort(v.numpy().astype("f8"), axis=None)
    return v.size < 2 or np.diff(v).min() > CLEAR * np.abs(v).max() / v.size


def largest(v):
    return float(np.abs(v.detach().numpy()).max(initial=0))


UNARY = {                                            # name: (function, whether it may be taken at v)
    "sin": (lambda v: v.sin(), None), "cos": (lambda v: v.cos(), None), "tanh": (lambda v: v.tanh(), None), "sigmoid": (lambda v: v.sigmoid(), None),
    "erf": (lambda v: v.erf(), None), "atan": (lambda v: v.atan(), None), "gelu": (gelu, None), "softplus": (softplus, None),
    "square": (lambda v: v * v, None), "cube": (lambda v: v ** 3, None), "exp": (lambda v: (v.tanh() * 3).exp(), None),
    "log": (lambda v: (v * v + 0.3).log(), None), "sqrt": (lambda v: (v * v + 0.2).sqrt(), None), "reciprocal": (lambda v: 1 / (v * v + 0.5), None),
    "scaled": (lambda v: 3 * v - 0.7, None), "offset": (lambda v: (v + 1000) * 0.5, None), "cancelled": (lambda v: (1 + v) ** 2 - 1 - 2 * v, None),
    "abs": (lambda v: v.abs(), lambda v: clear_of(v, 0)), "relu": (lambda v: v.relu(), lambda v: clear_of(v, 0)),
    "clamp": (lambda v: v.clamp(-1, 1), lambda v: clear_of(v, -1, 1)), "floor": (lambda v: v + v.floor(), lambda v: clear_of(v, *range(-40, 40))),
    "sort": (lambda v: v.flatten().sort()[0], apart), "max": (lambda v: v.amax(-1, keepdim=True) + v, apart),
    "softmax": (lambda v: v.softmax(-1), None), "log_softmax": (lambda v: v.log_softmax(-1), None), "cumsum": (lambda v: v.cumsum(-1), None),
    "mean": (lambda v: v.mean(-1, keepdim=True) * v, None), "flip": (lambda v: v.flip(-1), None), "transpose": (lambda v: v.transpose(0, -1), None),
    "rows": (lambda v: v[..., [0, -1, 0]], None), "flat": (lambda v: v.reshape(-1), None), "norm": (lambda v: v / (v.norm() + 1), None),
    "layer_norm": (lambda v: layer_norm(v, v.shape[-1:], eps=0.1), None),
    "where": (lambda v: minitorch.where(v > 0, v, 0.1 * v), lambda v: clear_of(v, 0)),
    "prod": (lambda v: v.tanh().prod(-1, keepdim=True) + v, None), "logsumexp": (lambda v: v.logsumexp(-1, keepdim=True) - v, None),
}
BINARY = {
    "add": (lambda a, b: a + b, None), "sub": (lambda a, b: a - b, None), "mul": (lambda a, b: a * b, None),
    "div": (lambda a, b: a / (b * b + 0.5), None),
    "maximum": (minitorch.maximum, lambda a, b: clear_of(a - b, 0)), "minimum": (minitorch.minimum, lambda a, b: clear_of(a - b, 0)),
    "atan2": (lambda a, b: minitorch.atan2(a, b * b + 0.5), None), "hypot": (lambda a, b: (a * a + b * b + 0.1).sqrt(), None),
    "outer": (lambda a, b: minitorch.outer(a.reshape(-1)[:6], b.reshape(-1)[:5]), None),
    "matmul": (lambda a, b: a.reshape(-1)[:4].reshape(2, -1) @ b.reshape(-1)[:4].reshape(-1, 2), lambda a, b: min(a.numel(), b.numel()) >= 4),
}
SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 4), (40,), (1, 6), (300,)]


class RandomFunction:
    """A random function, its inputs and, in `ops`, what it is made of; None in place of steps it may not take."""

    def __init__(self, rng):
        self.rng = rng
        self.dtype = minitorch.float64 if rng.random() < 0.7 else minitorch.float32
        count = int(rng.integers(1, 4))
        self.shape = SHAPES[rng.integers(len(SHAPES))]
        self.scales = 10.0 ** rng.uniform(-8, 8, count)
        self.out = 10.0 ** rng.uniform(-8, 8)
        draws = [rng.normal(size=self.broadcast() if i else self.shape) * s for i, s in enumerate(self.scales)]
        self.inputs = tuple([minitorch.tensor(np.asarray(a), dtype=self.dtype).requires_grad_() for a in draws])
        self.ops = []
        self.grow(int(rng.integers(2, 9)))

    def broadcast(self):
        """A shape that broadcasts to the first input's."""
        shape = [1 if self.rng.random() < 0.2 else n for n in self.shape]
        return tuple(shape[int(self.rng.integers(len(shape))):] if shape and self.rng.random() < 0.2 else shape)

    def grow(self, length):
        """Choose ops that may be taken at this point."""
        vs = [x.detach() * (1 / s) for x, s in zip(self.inputs, self.scales)]
        for i in range(length + len(vs)):
            last = i >= length                       # in the end every input takes part
            for _ in range(50):
                if last and len(vs) <= i - length + 1 or not last and self.rng.random() < 0.7:
                    table, name = UNARY, sorted(UNARY)[self.rng.integers(len(UNARY))]
                    places = (int(self.rng.integers(len(vs))),)
                else:
                    table, name = BINARY, sorted(BINARY)[self.rng.integers(len(BINARY))]
                    places = (len(vs) - 1, i - length) if last else tuple(map(int, self.rng.integers(len(vs), size=2)))
                if self.take(table, name, places, vs):
                    break
        outputs = 1 + int(self.rng.integers(3)) if self.rng.random() < 0.3 else 1
        self.results = sorted({len(vs) - 1, *map(int, self.rng.integers(len(vs), size=outputs - 1))})

    def take(self, table, name, places, vs):
        f, allowed = table[name]
        args = [vs[p] for p in places]
        if min(a.dim() for a in args) == 0 and table is UNARY and name in ("transpose", "rows", "layer_norm"):
            return False
        try:
            if allowed is not None and not allowed(*args):
                return False
            v = f(*args)
        except (RuntimeError, ValueError, IndexError):                     # shapes that do not fit
            return False
        if not 1e-3 < largest(v) < 1e4 or v.numel() > 2000:
            return False
        vs.append(v)
        self.ops.append((table, name, places))
        return True

    def __call__(self, *xs):
        vs = [x * (1 / s) for x, s in zip(xs, self.scales)]
        for table, name, places in self.ops:
            vs.append(table[name][0](*[vs[p] for p in places]))
        ys = tuple([vs[i] * self.out for i in self.results])
        return ys if len(ys) > 1 else ys[0]

    def depends(self):
        """Whether every result depends on an input, and every input can be seen in one: no gradient a millionth of result / input."""
        ys = self(*self.inputs)
        seen = []
        for y in ys if isinstance(ys, tuple) else (ys,):
            u = minitorch.tensor(np.asarray(self.rng.normal(size=tuple(y.shape))), dtype=self.dtype)
            gs = minitorch.autograd.grad(y, self.inputs, u, allow_unused=True, retain_graph=True) if y.requires_grad else [None] * len(self.inputs)
            seen.append([g is not None and largest(g) * s > 1e-6 * largest(y) for g, s in zip(gs, self.scales)])
        return all(map(any, seen)) and all(map(any, zip(*seen)))

    def __str__(self):
        return f"{self.dtype} {[tuple(x.shape) for x in self.inputs]} at {', '.join(f'{s:.0e}' for s in self.scales)}: " \
            + ", ".join(f"{name}{places}" for _, name, places in self.ops)


def random_function(seed):
    """A RandomFunction whose results depend on every input."""
    rng = np.random.default_rng(seed)
    while True:
        f = RandomFunction(rng)
        if f.depends():
            return f


# ---- nothing to be right about: each gives (function, vjp, point) ---------------------------------------------------------

def surroundings(rng):
    """(point, its scale, a power of two so that dividing by it is exact, scale of the results, an entry's place) of a constructed case."""
    shape = SHAPES[int(rng.integers(1, len(SHAPES)))]
    x = rng.normal(size=shape)
    return x, 2.0 ** rng.integers(-20, 20), 10.0 ** rng.uniform(-6, 6), tuple(int(rng.integers(n)) for n in shape)


def kink(rng):
    """One entry sits on a kink of a function that is smooth in all others."""
    x, s, out, place = surroundings(rng)
    kind = int(rng.integers(6))
    steep = 10.0 ** rng.uniform(-1.5, 1.5)           # the change of slope
    x[place] = 0.0
    if kind == 0:
        def bend(v):
            return np.abs(v)
    elif kind == 1:
        def bend(v):
            return np.maximum(v, 0)
    elif kind == 2:
        def bend(v):
            return np.where(v > 0, v * 2, v * 0.5)
    elif kind == 3:
        def bend(v):
            return np.clip(v, 0, 3)
    elif kind == 4:
        def bend(v):
            return np.sqrt(v * v)
    else:
        def bend(v):
            return np.abs(np.sin(v)) + v ** 2

    def f(z):
        v = z / s
        return out * (np.sin(v) + steep * bend(v)) if rng_choice else out * (np.sin(v).sum() + steep * bend(v).sum())
    rng_choice = rng.random() < 0.6
    return f, lambda g, z: g * out * np.cos(z / s) / s * np.ones_like(z), x * s


def jump(rng):
    """One entry sits on a jump."""
    x, s, out, place = surroundings(rng)
    height = 10.0 ** rng.uniform(-3, 1)
    kind = int(rng.integers(5))
    x[place] = 0.5 if kind == 3 else 1.0 if kind == 4 else 0.0
    leap = {0: lambda v: v > 0, 1: np.sign, 2: lambda v: v != 0, 3: np.round, 4: np.floor}[kind]

    def f(z):
        v = z / s
        return out * (np.tanh(v) + height * leap(v))
    return f, lambda g, z: g * out / np.cosh(z / s) ** 2 / s, x * s


def noise(rng):
    """The slope is there, but rounding or scatter of the results hides more than a thousandth of it."""
    x, s, out, _ = surroundings(rng)
    level = 10.0 ** rng.uniform(-4.5, -3)
    kind = int(rng.integers(4))

    def f(z):
        y = np.sin(z / s)
        if kind == 0:                                # an instrument with few digits
            y = np.round(y / level) * level
        elif kind == 1:                              # scatter that depends on every bit of the input
            seed = int.from_bytes(hashlib.blake2b(np.ascontiguousarray(z).tobytes(), digest_size=8).digest(), "little")
            y = y + level * np.random.default_rng(seed).uniform(-1, 1, y.shape)
        elif kind == 2:                              # a large number added and taken away again
            big = level * 2.0 ** 52
            y = (y + big) - big
        else:
            y = y + level * 2.0 ** 52
        return out * y
    return f, lambda g, z: g * out * np.cos(z / s) / s, x * s


def vacuous(rng):
    """The gradient, zero or not, is below what rounding lets anyone see; and sometimes claimed to be zero."""
    x, s, out, _ = surroundings(rng)
    tiny = 10.0 ** rng.uniform(-18, -16.5)
    kind = int(rng.integers(4))
    truth = rng.random() < 0.5

    def f(z):
        v = z / s
        if kind == 0:
            return out * (1 + tiny * v)
        if kind == 1:
            return out * (3 + tiny * np.sin(v))
        if kind == 2:                                # saturated
            return out / (1 + np.exp(-(45 + v)))
        return out * np.log(np.exp(40.0) + np.exp(v))                      # the other term wins

    def vjp(g, z):
        v = z / s
        if not truth and kind != 1:                  # a sine below rounding is nothing at all: nobody could tell its slope from zero
            return 0 * z * g
        return g * out / s * {0: tiny + 0 * v, 1: tiny * np.cos(v), 2: np.exp(-(45 + v)), 3: np.exp(v - 40)}[kind]
    return f, vjp, x * s


CONSTRUCTED = {"kink": kink, "jump": jump, "noise": noise, "vacuous": vacuous}
