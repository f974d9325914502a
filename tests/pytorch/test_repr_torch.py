"""repr and format of tensors against PyTorch: character for character, but for the name of the package."""
import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def same_name(monkeypatch):
    """dtypes print under PyTorch's name, so that lines break at the same places."""
    monkeypatch.setattr(minitorch.dtype, "__repr__", lambda self: f"torch.{self.name}")


@pytest.fixture
def options():
    """set_printoptions in both libraries, undone at the end."""
    def set_both(**kw):
        minitorch.set_printoptions(**kw)
        torch.set_printoptions(**kw)
    yield set_both
    set_both(profile="default")


def check(array, dtype, requires_grad=False):
    theirs = torch.from_numpy(array).to(getattr(torch, dtype)).requires_grad_(requires_grad)
    ours = minitorch.tensor(array, dtype=getattr(minitorch, dtype), requires_grad=requires_grad)
    assert repr(ours) == repr(theirs) == str(ours)


def random_array(rng):
    """An array of a random shape, size and kind of numbers, and a dtype for it."""
    shape = tuple(rng.integers(0, 9, size=rng.integers(0, 5))) if rng.random() < 0.8 else tuple(rng.choice([1, 2, 7, 40, 200],
                                                                                                           size=rng.integers(0, 4)))
    x = rng.normal(size=shape) * 10.0 ** rng.integers(-6, 10)
    kind = rng.integers(9)
    if kind == 0:
        x = np.round(x)
    elif kind == 1:
        x = np.where(rng.random(shape) < 0.2, np.nan, x)
    elif kind == 2:
        x = np.where(rng.random(shape) < 0.2, np.inf, np.round(x))
    elif kind == 3:
        x = x * 10.0 ** rng.integers(-5, 5, size=shape)
    elif kind == 4:
        x = np.zeros(shape)
    elif kind == 5:
        return np.asarray(x).astype("i8"), str(rng.choice(["int64", "int32"]))
    elif kind == 6:
        return np.asarray(x > 0), "bool"
    return np.asarray(x), str(rng.choice(["float32", "float64"] + (["float16", "bfloat16"] if np.abs(x).max(initial=0) < 6e4 else [])))


@pytest.mark.parametrize("seed", range(20))
def test_random_tensors_print_alike(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        array, dtype = random_array(rng)
        check(array, dtype, requires_grad="float" in dtype and rng.random() < 0.3)


@pytest.mark.parametrize("given", [dict(precision=2), dict(sci_mode=True), dict(sci_mode=False), dict(profile="short"),
                                   dict(profile="full"),
                                   dict(threshold=5, edgeitems=1), dict(linewidth=40), dict(precision=6, linewidth=120)], ids=str)
def test_options_act_alike(given, options):
    options(**given)
    rng = np.random.default_rng(0)
    for shape in [(3,), (1200,), (30, 40), (2, 3, 4)]:
        for factor in (1, 100, 1e-7):
            check(rng.normal(size=shape) * factor, "float32")
            check(np.round(rng.normal(size=shape) * factor), "float32")
            check(np.zeros(shape), "float64")
    minitorch.set_printoptions(profile="default")
    with pytest.raises(KeyError):
        minitorch.set_printoptions(profile="none")


def test_what_an_op_made_names_it():
    ours, theirs = [lib.ones(2, requires_grad=True) * 2 for lib in (minitorch, torch)]
    assert repr(ours) == repr(theirs) == "tensor([2., 2.], grad_fn=<MulBackward0>)"


def test_parameters_say_so():
    assert repr(minitorch.nn.Parameter(minitorch.ones(2))) == repr(torch.nn.Parameter(torch.ones(2)))


@pytest.mark.parametrize("value, spec", [(2.5, ".3f"), (2.5, ""), (3, "05d"), (True, ""), (1e-9, ".2e"), (2.5, ">10")])
def test_numbers_format_alike(value, spec):
    assert format(minitorch.tensor(value), spec) == format(torch.tensor(value), spec)


def test_more_than_a_number_formats_without_specification_only():
    for lib in (minitorch, torch):
        assert f"{lib.tensor([1, 2])}" == "tensor([1, 2])"
        with pytest.raises(TypeError):
            format(lib.tensor([1, 2]), ".2f")
