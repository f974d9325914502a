"""Random programs of ops, views and in-place writes, run step by step in minitorch and in PyTorch.

A program works on a list of registers.  Each step names an instruction and registers; both libraries
execute it, and must agree: same value, same requires_grad, or both refuse.  At the end the gradients
of a random weighting of all registers must agree, or both refuse (a saved value was overwritten).
"""
import numpy as np

UNARY = ["exp", "tanh", "sin", "cos", "sigmoid", "relu", "abs", "neg", "square", "sqrt_abs", "clone", "t_mul", "detach", "softmax"]
BINARY = ["add", "sub", "mul", "div", "maximum", "where"]
VIEWS = ["select", "slice", "step", "transpose", "view", "reshape", "unsqueeze", "squeeze", "expand", "narrow", "diagonal", "permute", "flatten",
         "view_as_self", "flat_T",
         "unbind", "split", "chunk", "detach_view", "T"]
WRITES = ["add_", "sub_", "mul_", "div_", "copy_", "zero_", "fill_", "exp_", "tanh_", "sigmoid_", "relu_", "clamp_", "neg_", "add_scalar_",
         "mul_scalar_",
          "setitem", "setslice", "setmask", "setindex", "setnumber", "no_grad_write", "masked_fill_", "addself_", "mulself_", "requires_grad_",
         "detach_"]
REDUCE = ["sum", "mean_dim", "sum_keep", "matmul", "amax", "cumsum", "prod_dim", "logsumexp", "index", "mask", "gather"]
KINDS = [(UNARY, 4), (BINARY, 4), (VIEWS, 7), (WRITES, 7), (REDUCE, 3)]


def where(lib, a, b):
    return lib.where(a > 0, a, b)


def setitem(lib, a, b, k):
    a[k] = b
    return a


def no_grad_write(lib, a, k):
    with lib.no_grad():
        a.add_(k)
    return a


def no_grad_view(lib, a):
    with lib.no_grad():
        return a[0]


def index_tensor(lib, a, seed):
    n = a.shape[0]
    return lib.tensor(np.random.default_rng(seed).integers(0, n, size=3))


def gather(lib, a, seed):
    i = np.random.default_rng(seed).integers(0, a.shape[-1], size=tuple(a.shape))
    return lib.gather(a, -1, lib.tensor(i))


def two(a):
    """a with exactly two axes, by flattening."""
    return a.reshape(a.shape[0], -1) if len(a.shape) > 1 else a.reshape(1, -1)


def alone(a):
    """a, or a copy where its elements share memory: PyTorch's writes there only warn, or fail in backward."""
    return a.clone().contiguous() if any(s == 0 and n > 1 for s, n in zip(a.stride(), a.shape)) else a


def apart(b, a):
    """b, or a copy where it reads other places of a's memory: PyTorch refuses that for dense tensors, and else computes what ours never
    does, from half-written numbers."""
    return b.clone() if b is not a and b._base is not None and b._base is (a._base if a._base is not None else a) or a._base is b else b


def other(b, a):
    """b apart from a, or a copy of a itself: PyTorch leaves at once where a tensor is copied to itself."""
    return b.clone() if b is a else apart(b, a)


def axis(a, n):
    return n % max(1, len(a.shape))


DO = {
    "exp": lambda L, a, b, n: (a * 0.1).exp(), "tanh": lambda L, a, b, n: a.tanh(), "sin": lambda L, a, b, n: a.sin(),
    "cos": lambda L, a, b, n: a.cos(), "sigmoid": lambda L, a, b, n: a.sigmoid(), "relu": lambda L, a, b, n: a.relu(),
    "abs": lambda L, a, b, n: a.abs(), "neg": lambda L, a, b, n: -a, "square": lambda L, a, b, n: a * a * 0.1,
    "sqrt_abs": lambda L, a, b, n: (a.abs() + 1).sqrt(), "clone": lambda L, a, b, n: a.clone(), "t_mul": lambda L, a, b, n: a * 1.5,
    "detach": lambda L, a, b, n: a.detach(), "softmax": lambda L, a, b, n: a.softmax(axis(a, n)),
    "add": lambda L, a, b, n: a + b, "sub": lambda L, a, b, n: a - b, "mul": lambda L, a, b, n: a * b, "div": lambda L, a, b, n: a / (b * b + 1),
    "maximum": lambda L, a, b, n: L.maximum(a, b), "where": lambda L, a, b, n: where(L, a, b),
    "select": lambda L, a, b, n: a.select(axis(a, n), -1), "slice": lambda L, a, b, n: a[n % 2:], "step": lambda L, a, b, n: a[..., ::2],
    "transpose": lambda L, a, b, n: a.transpose(0, -1), "view": lambda L, a, b, n: a.view(-1), "reshape": lambda L, a, b, n: a.reshape(-1),
    "unsqueeze": lambda L, a, b, n: a.unsqueeze(n % (len(a.shape) + 1)), "squeeze": lambda L, a, b, n: a.squeeze(),
    "expand": lambda L, a, b, n: a.expand(2, *a.shape), "narrow": lambda L, a, b, n: a.narrow(axis(a, n), 0, 1),
    "diagonal": lambda L, a, b, n: a.diagonal(), "permute": lambda L, a, b, n: a.permute(*reversed(range(len(a.shape)))),
    "flat_T": lambda L, a, b, n: a.permute(*reversed(range(len(a.shape)))).reshape(-1),
    "flatten": lambda L, a, b, n: a.flatten(), "view_as_self": lambda L, a, b, n: a.view_as(a), "unbind": lambda L, a, b, n: a.unbind(0)[0],
    "split": lambda L, a, b, n: a.split(1, axis(a, n))[-1], "chunk": lambda L, a, b, n: a.chunk(2)[0], "T": lambda L, a, b, n: a.mT,
    "detach_view": lambda L, a, b, n: no_grad_view(L, a),
    "add_": lambda L, a, b, n: a.add_(apart(b, a)), "sub_": lambda L, a, b, n: a.sub_(apart(b, a)), "mul_": lambda L, a, b, n: a.mul_(apart(b, a)),
    "div_": lambda L, a, b, n: a.div_(b * b + 1), "copy_": lambda L, a, b, n: a.copy_(other(b, a)), "zero_": lambda L, a, b, n: alone(a).zero_(),
    "fill_": lambda L, a, b, n: alone(a).fill_(0.5), "exp_": lambda L, a, b, n: a.mul_(0.1).exp_(), "tanh_": lambda L, a, b, n: a.tanh_(),
    "sigmoid_": lambda L, a, b, n: a.sigmoid_(), "relu_": lambda L, a, b, n: a.relu_(), "clamp_": lambda L, a, b, n: a.clamp_(-0.6, 0.7),
    "neg_": lambda L, a, b, n: a.neg_(), "add_scalar_": lambda L, a, b, n: a.add_(0.25), "mul_scalar_": lambda L, a, b, n: a.mul_(0.75),
    "setitem": lambda L, a, b, n: setitem(L, a, other(b, a), 0), "setslice": lambda L, a, b, n: setitem(L, a, other(b, a), slice(n % 2, None)),
    "setmask": lambda L, a, b, n: setitem(L, alone(a), 0.3, a > 0.2), "setindex": lambda L, a, b, n: setitem(L, alone(a), 0.1, index_tensor(L, a, n)),
    "setnumber": lambda L, a, b, n: setitem(L, a, 0.7, -1),
    "no_grad_write": lambda L, a, b, n: no_grad_write(L, a, 0.2), "masked_fill_": lambda L, a, b, n: alone(a).masked_fill_(a > 0.5, 0.5),
    "addself_": lambda L, a, b, n: a.add_(a), "mulself_": lambda L, a, b, n: a.mul_(a), "requires_grad_": lambda L, a, b, n: a.requires_grad_(),
    "detach_": lambda L, a, b, n: a.detach_(),
    "sum": lambda L, a, b, n: a.sum(),
    "mean_dim": lambda L, a, b, n: a.mean(axis(a, n)), "sum_keep": lambda L, a, b, n: a.sum(axis(a, n), keepdim=True),
    "matmul": lambda L, a, b, n: two(a) @ two(b).transpose(0, 1), "amax": lambda L, a, b, n: a.amax(axis(a, n)),
    "cumsum": lambda L, a, b, n: a.cumsum(axis(a, n)), "prod_dim": lambda L, a, b, n: a.prod(axis(a, n)),
    "logsumexp": lambda L, a, b, n: a.logsumexp(axis(a, n)), "index": lambda L, a, b, n: a[index_tensor(L, a, n)],
    "mask": lambda L, a, b, n: a[a > 0], "gather": lambda L, a, b, n: gather(L, a, n),
}
REFUSALS = (RuntimeError, IndexError, ValueError, TypeError)


def numbers(t):
    a = t.detach()
    return np.array(a.array if hasattr(a, "array") else a.numpy(force=True))


def standing(t):
    """(requires_grad, is_leaf), or "refused" for a view whose history cannot be cut again."""
    try:
        return t.requires_grad, t.is_leaf
    except RuntimeError:
        return "refused"


def second_order(lib, gs, leaves):
    """Gradients of the sum of squares of `gs`, zeros where nothing depends on a leaf (a matter of taste between libraries)."""
    parts = [(g * g).sum() for g in gs if g is not None and g.requires_grad]
    hs = lib.autograd.grad(sum(parts[1:], parts[0]), leaves, allow_unused=True) if parts else [None] * len(leaves)
    return [lib.zeros_like(leaf) if h is None else h for h, leaf in zip(hs, leaves)]


class Difference(AssertionError):
    """The two libraries do not agree."""


class Program:
    """One random program, drawn while it runs."""

    def __init__(self, seed, ours, theirs, length=12, keeping=False):
        self.rng = np.random.default_rng(seed)
        self.seed, self.keeping = seed, keeping
        self.libs = ours, theirs
        self.log, self.regs, self.leaves, self.length = [], [], [], length

    def start(self):
        for k in range(3):
            shape = [(2, 3), (3,), (2, 1), (3, 3), (2, 2, 3)][self.rng.integers(5)]
            a = self.rng.normal(size=shape)
            pair = [lib.tensor(a.copy()) for lib in self.libs]
            wants = k == 0 or self.rng.random() < 0.6
            if wants:
                pair = [t.requires_grad_() for t in pair]
                self.leaves.append(pair)
            self.log.append(f"r{len(self.regs)} = tensor{shape}, requires_grad={wants}")
            self.regs.append(pair)
            if wants and self.rng.random() < 0.8:     # so that in-place writes are allowed
                columns = len(shape) > 1 and self.rng.random() < 0.3         # in memory column by column
                self.log.append(f"r{len(self.regs)} = r{len(self.regs) - 1}{'.mT' if columns else ''} * 1.25")
                self.regs.append([(t.mT if columns else t) * 1.25 for t in pair])

    def step(self):
        weights = np.array([w for _, w in KINDS], float)
        names, _ = KINDS[self.rng.choice(len(KINDS), p=weights / weights.sum())]
        name = names[self.rng.integers(len(names))]
        i, j = (int(self.rng.integers(len(self.regs))) for _ in range(2))
        n = int(self.rng.integers(100))
        outcome = []
        for k, lib in enumerate(self.libs):
            try:
                outcome.append(DO[name](lib, self.regs[i][k], self.regs[j][k], n))
            except REFUSALS as error:
                outcome.append(error)
        self.log.append(f"r{len(self.regs)} = {name}(r{i}, r{j}, {n})")
        self.agree(outcome, name)
        if not isinstance(outcome[0], Exception):
            if name not in (*VIEWS, *WRITES, "detach") and outcome[0].is_contiguous() != outcome[1].is_contiguous():
                outcome = [t.clone(memory_format=lib.contiguous_format) for t, lib in zip(outcome, self.libs)]
                self.log[-1] += "  (in memory NumPy's result lies in another order than PyTorch's: a copy)"
            if outcome[0] is not self.regs[i][0] and np.prod(outcome[0].shape) <= 200:
                self.regs.append(outcome)
            else:
                self.log[-1] += "  (no new register)"
        else:
            self.log[-1] += f"  (both refuse: {type(outcome[1]).__name__})"

    def agree(self, outcome, what):
        a, b = outcome
        if isinstance(a, Exception) != isinstance(b, Exception):
            raise Difference(f"{what}: ours {a!r}\ntheirs {b!r}\n{self}") from (a if isinstance(a, Exception) else None)
        if not isinstance(a, Exception):
            self.agree_tensors(a, b, what)

    def agree_tensors(self, a, b, what):
        x, y = numbers(a), numbers(b)
        if x.shape != y.shape or str(x.dtype) != str(y.dtype) or not np.allclose(x, y, rtol=1e-7, atol=1e-9, equal_nan=True):
            raise Difference(f"{what}: values differ:\n{x}\n{y}\n{self}")
        if standing(a) != standing(b):
            raise Difference(f"{what}: (requires_grad, is_leaf) is {standing(a)} and {standing(b)}\n{self}")

    def backward(self):
        outcome = []
        seed = int(self.rng.integers(1 << 30))
        chosen = [i for i in range(len(self.regs)) if self.rng.random() < 0.5]
        second = self.rng.random() < 0.3
        for k, lib in enumerate(self.libs):
            rng = np.random.default_rng(seed)
            total = None
            try:
                for i in chosen:
                    t = self.regs[i][k]
                    if t.requires_grad:
                        term = (t * lib.tensor(rng.normal(size=tuple(t.shape)))).sum()
                        total = term if total is None else total + term
                leaves = [pair[k] for pair in self.leaves if standing(pair[k]) == (True, True)]
                if total is None or not leaves:
                    outcome.append([])
                    continue
                gs = lib.autograd.grad(total, leaves, allow_unused=True, create_graph=second)
                outcome.append([*gs, *second_order(lib, gs, leaves)] if second else gs)
            except REFUSALS as error:
                outcome.append(error)
        self.log.append(f"gradients of {chosen}" + (", twice" if second else ""))
        a, b = outcome
        if isinstance(b, Exception) and not isinstance(a, Exception) and not self.keeping:
            return self.with_saved_values_kept()
        if isinstance(a, Exception) or isinstance(b, Exception):
            self.agree(outcome, "backward")
            return "both refuse"
        if [g is None for g in a] != [g is None for g in b]:
            raise Difference(f"one library gives no gradient: {[g is None for g in a]} {[g is None for g in b]}\n{self}")
        for x, y in zip(a, b):
            if x is not None and not np.allclose(numbers(x), numbers(y), rtol=1e-6, atol=1e-8, equal_nan=True):
                raise Difference(f"gradients differ:\n{numbers(x)}\n{numbers(y)}\n{self}")
        return "gradients" if a else "nothing to differentiate"

    def with_saved_values_kept(self):
        """PyTorch refused for a value that it saved and ours does not need (the input of gather, say): made to keep
        what it saved, it must find the gradient that ours found."""
        ours, theirs = self.libs
        with theirs.autograd.graph.allow_mutation_on_saved_tensors():
            if Program(self.seed, ours, theirs, self.length, keeping=True).run() != "gradients":
                raise Difference(f"ours finds gradients where PyTorch finds none\n{self}")
        return "gradients, for which PyTorch had to keep a value that ours does not need"

    def run(self):
        self.start()
        for _ in range(self.length):
            self.step()
        for i, (a, b) in enumerate(self.regs):       # writes must have reached every view
            self.agree_tensors(a, b, f"r{i} at the end")
        return self.backward()

    def __str__(self):
        return "\n".join(self.log)
