"""Every module class of torch.nn in several settings: printed form, attributes, states, results, gradients, copies, dtypes, refusals.

PyTorch's parameters and buffers are loaded strictly; then both modules run twice, training and in evaluation, in float64.
"""
import copy
import inspect
import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from agree import Constant, close, flat, is_missing, names_changed, same_kind  # noqa: E402
from bad_calls import other_arrays  # noqa: E402
from calls import draws, entries  # noqa: E402
from table import results, walk_arrays  # noqa: E402

import minitorch  # noqa: E402
from minitorch import nn  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own

LEFT_OUT = {"LinearCrossEntropyLoss": "new and still changing in PyTorch"}
ELSEWHERE = {                              # not called like the rest
    "Module": "test_nn.py", "ModuleList": "test_containers_torch.py", "ModuleDict": "test_containers_torch.py", "Container": "abstract",
    "ParameterList": "test_containers_torch.py", "ParameterDict": "test_containers_torch.py", "RNNCellBase": "abstract", "RNNBase": "abstract",
}


UNSAFE = ("EmbeddingBag", "CTCLoss")       # PyTorch reads beyond its memory for wrong offsets, labels and lengths
FAST_PATH = {"activation_relu_or_gelu", "use_nested_tensor"}                      # of PyTorch's transformers


def read():
    """[(class name, constructor's arguments, inputs)] as text."""
    rows = []
    for line in (Path(__file__).parent / "modules.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, _, uses = line.partition(": ")
            rows += [(name, *(part.strip() for part in use.split("=>"))) for use in entries(uses, ";")]
    return rows


ROWS = read()
each_module = pytest.mark.parametrize("name, options, inputs", ROWS, ids=lambda v: v or "none")


def asked(text, **names):
    return eval(f"asked({text})", {**draws(np.random.default_rng(0)), **names, "asked": lambda *args, **kw: (args, kw), "OrderedDict": OrderedDict})


def made(name, options, lib):
    args, params = asked(options, nn=lib.nn)

    def tensor(a):
        return lib.tensor(np.array(a, dtype="f4")) if isinstance(a, np.ndarray) else names_changed(a, lib) if isinstance(a, str) else a
    return getattr(lib.nn, name)(*[tensor(a) for a in args], **{key: tensor(a) for key, a in params.items()})


def drawn(inputs):
    return asked(inputs)[0]


def as_tensors(arrays, lib, dtype="float64"):
    return walk_arrays(arrays, lambda a: lib.tensor(np.asarray(a)).to(getattr(lib, dtype)) if a.dtype.kind == "f" else lib.tensor(a))


def pair(name, options, inputs):
    """(our module with PyTorch's state, PyTorch's), in float64."""
    torch.manual_seed(0)
    theirs, ours = made(name, options, torch), made(name, options, minitorch)
    if name.startswith("Lazy"):
        theirs(*as_tensors(drawn(inputs), torch, "float32")), ours(*as_tensors(drawn(inputs), minitorch, "float32"))
    theirs, ours = theirs.double(), ours.double()
    state = {}
    for key, t in theirs.state_dict().items():       # nothing stays at 0 or 1
        if t.is_floating_point():
            t += 0.1 * torch.rand(t.shape)
        state[key] = minitorch.tensor(t.numpy())
    assert list(ours.state_dict()) == list(state)
    assert str(ours.load_state_dict(state, strict=True)) == "<All keys matched successfully>"
    return ours, theirs


def same_state(ours, theirs):
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    for key, t in a.items():
        assert t.dtype.name == str(b[key].dtype).removeprefix("torch.") and tuple(t.shape) == tuple(b[key].shape), key
        close(t, b[key], 1e-9)


def test_every_class_is_here():
    classes = {name for name, v in vars(torch.nn).items() if inspect.isclass(v) and issubclass(v, torch.nn.Module)}
    tested = {name for name, _, _ in ROWS}
    assert classes == tested | LEFT_OUT.keys() | ELSEWHERE.keys()
    assert not [name for name in classes - LEFT_OUT.keys() if not hasattr(nn, name)]


@each_module
def test_it_looks_like_pytorchs(name, options, inputs):
    ours, theirs = made(name, options, minitorch), made(name, options, torch)
    assert repr(ours) == repr(theirs) and ours.extra_repr() == theirs.extra_repr()
    for kind in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, kind)()] == [n for n, _ in getattr(theirs, kind)()]
    plain = (int, float, bool, str, tuple, type(None))
    public = {key: value for key, value in vars(theirs).items() if not key.startswith("_") and type(value) in plain and key not in FAST_PATH}
    assert {key: getattr(ours, key) for key in public} == public
    assert [p.requires_grad for p in ours.parameters()] == [p.requires_grad for p in theirs.parameters()]


def run(module, arrays, lib):
    """(results, gradients of the inputs, gradients of the parameters) of one call and a backward pass through all its results."""
    xs = []

    def tensor(a):
        t = lib.tensor(np.asarray(a))
        if a.dtype.kind == "f" and type(a) is not Constant:
            xs.append(t.requires_grad_())
        return t
    module.zero_grad()
    inputs = walk_arrays(list(arrays), tensor)
    if type(module).__name__ == "CTCLoss":           # PyTorch's gradient is right only behind a log_softmax
        inputs[0] = inputs[0].log_softmax(-1)
    ys = (flat if lib is torch else results)(module(*inputs))
    total = None
    for i, y in enumerate(ys):
        if y.requires_grad:
            weight = lib.tensor(np.cos(i + np.arange(y.numel(), dtype="f8")).reshape(tuple(y.shape)))
            total = (y * weight).sum() if total is None else total + (y * weight).sum()
    if total is not None:
        total.backward()
    return ys, [x.grad for x in xs], [p.grad for p in module.parameters()]


@each_module
def test_it_computes_as_pytorchs(name, options, inputs):
    ours, theirs = pair(name, options, inputs)
    arrays = drawn(inputs)
    tolerance = 1e-7 if name == "Hardsigmoid" else 1e-9        # PyTorch's 1/6 is one of float32
    for training in (True, True, False):             # twice: running statistics move
        ours.train(training), theirs.train(training)
        for mine, others in zip(run(ours, arrays, minitorch), run(theirs, arrays, torch)):
            assert len(mine) == len(others)
            for a, b in zip(mine, others):
                assert (a is None) == (b is None)
                if a is not None:
                    assert a.dtype.name == str(b.dtype).removeprefix("torch.") and tuple(a.shape) == tuple(b.shape)
                    close(a, b, tolerance)
        same_state(ours, theirs)


@each_module
def test_copies_and_dtypes(name, options, inputs):
    ours, theirs = pair(name, options, inputs)
    ours.eval(), theirs.eval()
    arrays = drawn(inputs)
    with minitorch.no_grad(), torch.no_grad():
        first = results(ours(*as_tensors(arrays, minitorch)))
        for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert repr(twin) == repr(ours) and not {id(p) for p in twin.parameters()} & {id(p) for p in ours.parameters()}
            for a, b in zip(results(twin(*as_tensors(arrays, minitorch))), first):
                np.testing.assert_array_equal(a.numpy(), b.numpy())
        for dtype, tolerance in (("float32", 1e-4), ("bfloat16", 1e-1)):
            ours.to(getattr(minitorch, dtype)), theirs.to(getattr(torch, dtype))
            assert {k: v.dtype.name for k, v in ours.state_dict().items()} == \
                {k: str(v.dtype).removeprefix("torch.") for k, v in theirs.state_dict().items()}
            mine, others = [outcome(m, as_tensors(arrays, lib, dtype), lib) for m, lib in ((ours, minitorch), (theirs, torch))]
            if isinstance(others, Exception):
                assert is_missing(others) or isinstance(mine, Exception), f"PyTorch: {others!r}"
                continue
            assert not isinstance(mine, Exception), mine
            for y, z in zip(mine, others):
                assert y.dtype.name == str(z.dtype).removeprefix("torch.") and tuple(y.shape) == tuple(z.shape)
                if y.dtype.is_floating_point:
                    close(y, z, tolerance)


def outcome(module, inputs, lib):
    """The results, or the error."""
    try:
        return (flat if lib is torch else results)(module(*inputs))
    except Exception as error:
        return error


# Differences that stay: the classes and what is wrong with which input, by the reason.
# Differences that stay: the classes and what is wrong with which input, by the reason.
REASONS = {
    "PyTorch asks for one dtype where ours promotes, or cannot write its result":
        """.*BatchNorm.*|0: of float32  CrossMapLRN2d|0: of int64  HuberLoss|0: of  SmoothL1Loss|[01]: of bool
           BCEWithLogitsLoss|1: of int64  MultiMarginLoss|0: of float32  MultiLabelMarginLoss|1: of bool  EmbeddingBag|0: of bool""",
    "a matter of taste: PyTorch counts the axes first, or the sizes":
        """Transformer.*|.: an axis less  (LP|Avg)Pool2d|0: an axis less  Unfold|0: an axis less  GaussianNLLLoss|2: nothing
           MultiLabelSoftMarginLoss|0: an axis less""",
    "empty or odd shapes that PyTorch lets pass, or not, by accident":
        """AdaptiveAvgPool..|0: (nothing|an axis more)  (Lazy)?InstanceNorm..|0: nothing  MultiLabelSoftMarginLoss|1: an axis more
           PixelUnshuffle|0: nothing  (Reflection|Replication)Pad..|0: nothing  (Dropout2d|FeatureAlphaDropout)|0: an axis less""",
}
DIFFERENT = [re.split(r"\|(?=[.0-9\[])", key) for keys in REASONS.values() for key in re.split(r"\s\s+", keys.strip())]


@each_module
def test_wrong_inputs_are_refused_as_in_pytorch(name, options, inputs):
    ours, theirs = pair(name, options, inputs)
    arrays, wrong = drawn(inputs), []
    for place, value in enumerate(arrays):
        if not isinstance(value, np.ndarray) or name in UNSAFE and place:
            continue
        for what, other in [*other_arrays(value), ("a list", value.tolist()), ("None", None)]:
            if any(re.fullmatch(names, name) and re.match(mistakes, f"{place}: {what}") for names, mistakes in DIFFERENT):
                continue
            given = (*arrays[:place], other if other is None or isinstance(other, list) else np.asarray(other), *arrays[place + 1:])
            mine, others = [outcome(m, walk_arrays(given, lambda a, lib=lib: lib.tensor(np.asarray(a))), lib)
                            for m, lib in ((ours, minitorch), (theirs, torch))]
            if isinstance(others, Exception):
                if not isinstance(mine, Exception):
                    if not is_missing(others):
                        wrong.append(f"{place}: {what}: PyTorch raises {others!r}, ours computes")
                elif not same_kind(mine, others) and {type(mine), type(others)} != {TypeError, AttributeError}:
                    wrong.append(f"{place}: {what}: PyTorch raises {others!r}, ours {mine!r}")
            elif isinstance(mine, Exception):
                wrong.append(f"{place}: {what}: PyTorch computes, ours raises {mine!r}")
            elif [tuple(y.shape) for y in mine] != [tuple(z.shape) for z in others]:
                wrong.append(f"{place}: {what}: shapes differ")
    assert not wrong, "\n".join(wrong)
