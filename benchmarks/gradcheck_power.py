"""What gradient checkers let through: one wrong entry in a Jacobian, ours beside PyTorch's, JAX's and HIPS autograd's.

The 300 x 300 Jacobian of tanh(W x / sqrt(n)), W and x normal, a typical entry 0.06; one entry of it is made wrong by a given size, at
20 random points, and the share that passes is counted, every checker with the options it comes with.  Then, for ours: verdicts on
random functions with right gradients (false alarms), on functions with kinks, jumps, noise and invisible gradients at the point,
the most evaluations that a check took, and the time for ten million entries.  The functions are those of gradcheck_functions.py.
"""
import collections
import importlib.metadata
import time

import gradcheck_functions as functions
import numpy as np
import timing

from minitorch.gradcheck import check

N, POINTS = 300, 20
SIZES = [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]
RANDOM, EACH, SEED = 2000, 100, 1_000_000            # random functions, constructed ones of each kind, the first seed


def point(seed):
    """(W / sqrt(n), x, the wrong entry's row and column)"""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, N)) / np.sqrt(N), rng.normal(size=N), int(rng.integers(N)), int(rng.integers(N))


# ---- the checkers: each makes a function (seed, size) -> whether the wrong gradient passes ----------------------------------

def ours(dtype):
    def passes(seed, size):
        w, x, i, j = point(seed)
        w, x = w.astype(dtype), x.astype(dtype)

        def vjp(g, x):
            y = w.T @ (g * (1 - np.tanh(w @ x) ** 2))
            y[j] += size * g[i]
            return y
        return check((lambda x: np.tanh(w @ x), vjp), x, seed=seed, find=False).ok
    return passes


def with_torch(fast, dtype="float64"):
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)

    class Layer(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, i, j, size):
            y = torch.tanh(w @ x)
            ctx.save_for_backward(y, w)
            ctx.wrong = i, j, size
            return y

        @staticmethod
        def backward(ctx, g):
            y, w = ctx.saved_tensors
            i, j, size = ctx.wrong
            gx = w.T @ (g * (1 - y * y))
            gx[j] += size * g[i]
            return gx, None, None, None, None

    def passes(seed, size):
        w, x, i, j = point(seed)
        torch.manual_seed(seed)
        w, x = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (w, x))
        return torch.autograd.gradcheck(lambda x: Layer.apply(x, w, i, j, size), x.requires_grad_(), fast_mode=fast, raise_exception=False)
    return passes


def with_jax(dtype):
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    check_grads = importlib.import_module("jax.test_util").check_grads

    def passes(seed, size):
        w, x, i, j = point(seed)
        w = w.astype(dtype)

        @jax.custom_vjp
        def layer(x):
            return jax.numpy.tanh(w @ x)
        layer.defvjp(lambda x: (layer(x), layer(x)), lambda y, g: ((w.T @ (g * (1 - y * y))).at[j].add(size * g[i]),))
        return raises_not(lambda: check_grads(layer, (jax.numpy.asarray(x.astype(dtype)),), order=1, modes=["rev"]))
    return passes


def with_autograd():
    extend, check_grads = importlib.import_module("autograd.extend"), importlib.import_module("autograd.test_util").check_grads

    def passes(seed, size):
        w, x, i, j = point(seed)
        layer = extend.primitive(lambda x: np.tanh(w @ x))

        def vjp(y, x):
            def pull(g):
                gx = w.T @ (g * (1 - y * y))
                gx[j] += size * g[i]
                return gx
            return pull
        extend.defvjp(layer, vjp)
        np.random.seed(seed)                         # its directions come from there
        return raises_not(lambda: check_grads(layer, modes=["rev"], order=1)(x))
    return passes


def raises_not(call):
    try:
        call()
    except AssertionError:
        return False
    return True


CHECKERS = {                                         # column: (package, what makes the checker)
    "PyTorch fast": ("torch", lambda: with_torch(True)), "PyTorch slow": ("torch", lambda: with_torch(False)),
    "autograd": ("autograd", with_autograd), "JAX": ("jax", lambda: with_jax("float64")), "ours": ("minitorch", lambda: ours("f8")),
    "PyTorch slow, float32": ("torch", lambda: with_torch(False, "float32")), "JAX, float32": ("jax", lambda: with_jax("float32")),
    "ours, float32": ("minitorch", lambda: ours("f4")),
}


def shares():
    """{checker: {size: how many of the points pass}}; None for a checker that is not installed."""
    found = {}
    for name, (package, make) in CHECKERS.items():
        try:
            passes = make()
        except ImportError:
            print(f"{name}: {package} is not installed; python -m pip install -e '.[bench]'")
            found[name] = None
            continue
        found[name] = {f"{size:g}": sum(map(bool, (passes(seed, size) for seed in range(POINTS)))) for size in SIZES}
        print(name, found[name], flush=True)
    return found


# ---- ours alone ---------------------------------------------------------------------------------------------------------

def false_alarms(count):
    """Verdicts on random functions whose gradients are right, and the most evaluations that one took."""
    verdicts, most, most_of_one = collections.Counter(), 0, 0
    for seed in range(SEED, SEED + count):
        f = functions.random_function(seed)
        with np.errstate(all="ignore"):
            report = check(f, f.inputs, seed=seed, find=False)
        verdicts[report.verdict] += 1
        most = max(most, report.evaluations)
        most_of_one = max(most_of_one, report.evaluations if len(f.inputs) == 1 else 0)
        if not report.ok:
            print(seed, f, report, sep="\n", flush=True)
    return {"count": count, "verdicts": dict(verdicts), "evaluations": most, "evaluations of one input": most_of_one}


WANTED = {"kink": "not differentiable here", "jump": "not differentiable here", "noise": "too noisy in this dtype to tell", "vacuous": "vacuous"}


def accuracy(count):
    """{kind: how many constructed cases are named as what they are}; kinks and jumps are told apart."""
    named = {}
    for kind, make in functions.CONSTRUCTED.items():
        named[kind] = 0
        for seed in range(SEED, SEED + count):
            f, vjp, x = make(np.random.default_rng(seed))
            with np.errstate(all="ignore"):
                report = check((f, vjp), x, seed=seed, find=False)
            named[kind] += report.verdict == WANTED[kind] and (kind not in ("kink", "jump") or report.inputs[0].kind == kind)
    return {"count": count, "named": named}


def ten_million():
    """Seconds to check sin at ten million entries, and evaluations."""
    x = np.random.default_rng(0).normal(size=10_000_000)
    start, used = time.perf_counter(), time.process_time()
    report = check((np.sin, lambda g, x: g * np.cos(x)), x)
    assert report.ok, report
    return {"seconds": time.perf_counter() - start, "processor": time.process_time() - used, "evaluations": report.evaluations}


# ---- the figures --------------------------------------------------------------------------------------------------------

def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def measure():
    found = {"points": POINTS, "shares": shares(), "alarms": false_alarms(RANDOM), "accuracy": accuracy(EACH), "large": ten_million()}
    return {**found, "torch": version("torch"), "jax": version("jax"), "autograd": version("autograd"), **timing.machine()}


def table(figures):
    """The README's tables."""
    columns = list(figures["shares"])

    def cell(name, size):
        row = figures["shares"][name]
        passed = "-" if row is None else f"{row[size]}/{figures['points']}"
        return f"**{passed}**" if name.startswith("ours") else passed
    rows = [["none" if size == 0 else f"{size:g}", *(cell(name, f"{size:g}") for name in columns)] for size in SIZES]
    alarms, accuracy, large = figures["alarms"], figures["accuracy"], figures["large"]
    wrong = alarms["count"] - alarms["verdicts"].get("correct", 0)
    named = accuracy["named"]
    facts = [["random right functions not called correct", f"{wrong} of {alarms['count']}"],
             *([f"{words} at the point named as such", f"{named[kind]} of {accuracy['count']}"] for kind, words in
               {"kink": "kinks", "jump": "jumps", "noise": "noise", "vacuous": "gradients below rounding"}.items()),
             ["most evaluations for a random function, of one input (of three)", f"{alarms['evaluations of one input']} ({alarms['evaluations']})"],
             ["evaluations, processor seconds for 10 million entries", f"{large['evaluations']}, {large['processor']:.0f}"]]
    return f"{timing.table(['wrong by', *columns], rows)}\n\n{timing.table(['ours', ''], facts)}"


def where(figures):
    """What was compared, and on what."""
    peers = f"PyTorch {figures['torch']}, JAX {figures['jax']}, autograd {figures['autograd']}, each with the options it comes with"
    return f"Python {figures['python']}, NumPy {figures['numpy']}, {peers}; {figures['cpu']}. `python benchmarks/gradcheck_power.py`"


def main():
    args = timing.options(__doc__).parse_args()
    figures = measure()
    print(table(figures), where(figures), sep="\n\n")
    if args.json:
        timing.write("gradcheck_power", figures)


if __name__ == "__main__":
    main()
