"""Parametrized modules: state, printed form, outputs, gradients and power iterations as in PyTorch."""
import copy
import pickle

import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch.nn.utils import parametrizations, parametrize

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")

ROWS = """
U.parametrizations.weight_norm(nn.Linear(3, 4)) | 2,3
U.parametrizations.weight_norm(nn.Linear(3, 4), dim=None) | 2,3
U.parametrizations.weight_norm(nn.Conv2d(3, 4, 2), dim=1) | 2,3,4,4
U.parametrizations.weight_norm(nn.Linear(3, 4), "bias") | 2,3
U.parametrizations.spectral_norm(nn.Linear(3, 4)) | 2,3
U.parametrizations.spectral_norm(nn.Conv2d(3, 4, 2), n_power_iterations=3) | 2,3,4,4
U.parametrizations.spectral_norm(nn.ConvTranspose2d(3, 4, 2)) | 2,3,4,4
U.parametrizations.spectral_norm(nn.Linear(3, 4), "bias") | 2,3
U.parametrizations.orthogonal(nn.Linear(4, 4)) | 2,4
U.parametrizations.orthogonal(nn.Linear(3, 5)) | 2,3
U.parametrizations.orthogonal(nn.Linear(5, 3), orthogonal_map="cayley") | 2,5
U.parametrizations.orthogonal(nn.Linear(4, 4), orthogonal_map="matrix_exp", use_trivialization=False) | 2,4
U.weight_norm(nn.Linear(3, 4)) | 2,3
U.weight_norm(nn.Conv1d(3, 4, 2), dim=None) | 2,3,5
U.spectral_norm(nn.Linear(3, 4)) | 2,3
U.spectral_norm(nn.ConvTranspose1d(3, 4, 2), n_power_iterations=2) | 2,3,5
""".strip().splitlines()


def built(row):
    call, _, sizes = row.partition(" | ")
    torch.manual_seed(0)
    minitorch.manual_seed(0)
    theirs = eval(call, {"nn": torch.nn, "U": torch.nn.utils})
    ours = eval(call, {"nn": nn, "U": nn.utils})
    x = np.random.default_rng(0).normal(size=[int(n) for n in sizes.split(",")]).astype("f4")
    return ours, theirs, x


def near(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("row", ROWS)
def test_a_parametrized_module_is_pytorchs(row, training):
    ours, theirs, x = built(row)
    assert repr(ours) == repr(theirs)
    state = theirs.state_dict()
    for name, t in state.items():
        if "base" not in name and not name.endswith(("_u", "_v")) and "weight_g" not in name:
            noise = 0.1 * torch.rand(t.shape)        # an orthogonal one's diagonal of signs stays
            t += noise.tril(-1) if "orthogonal" in row and noise.ndim == 2 else noise
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({k: minitorch.tensor(v.numpy()) for k, v in state.items()})
    ours.train(training), theirs.train(training)
    y, z = ours(minitorch.tensor(x)), theirs(torch.tensor(x))
    near(y, z)
    y.square().sum().backward()
    z.square().sum().backward()
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for p, q in zip(ours.parameters(), theirs.parameters()):
        near(p.grad, q.grad)
    for name, t in theirs.state_dict().items():
        near(ours.state_dict()[name], t)


@pytest.mark.parametrize("row", ROWS)
def test_removing_leaves_what_was_computed(row):
    ours, _, x = built(row)
    ours.eval()
    before = ours(minitorch.tensor(x))
    name = "bias" if '"bias"' in row else "weight"
    if row.startswith("U.parametrizations"):
        twin = copy.deepcopy(ours)
        parametrize.remove_parametrizations(ours, name)
        near(twin(minitorch.tensor(x)), before)
        assert parametrize.is_parametrized(twin, name) and parametrize.type_before_parametrizations(twin) is type(ours)
    else:
        (nn.utils.remove_weight_norm if "weight_norm" in row else nn.utils.remove_spectral_norm)(ours, name)
    near(ours(minitorch.tensor(x)), before)
    assert set(dict(ours.named_parameters())) == {"weight", "bias"} and not parametrize.is_parametrized(ours)
    pickle.loads(pickle.dumps(ours))


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T

    def right_inverse(self, x):
        return x.triu()


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


def test_parametrizations_follow_each_other_and_can_be_assigned_to():
    m = nn.Linear(3, 3)
    weight = m.weight
    parametrize.register_parametrization(m, "weight", Symmetric())
    assert m.parametrizations.weight.original is weight and minitorch.equal(m.weight, m.weight.T)
    wanted = minitorch.ones(3, 3) + minitorch.eye(3)
    m.weight = wanted
    near(m.weight, wanted)
    parametrize.register_parametrization(m, "weight", Twice())
    near(m.weight, 2 * wanted)
    with pytest.raises(RuntimeError, match="Twice does not implement right_inverse"):
        m.weight = wanted
    with parametrize.cached():
        assert m.weight is m.weight
    assert m.weight is not m.weight
    parametrize.remove_parametrizations(m, "weight", leave_parametrized=False)
    assert m.weight is weight and type(m) is nn.Linear


class Flat(nn.Module):
    def forward(self, x):
        return x.flatten()


@pytest.mark.parametrize("act, error, text", [
    (lambda m: parametrize.register_parametrization(m, "nope", Twice()), ValueError, "does not have a parameter"),
    (lambda m: parametrize.register_parametrization(m, "weight", Flat()), ValueError, "may not change the shape"),
    (lambda m: parametrize.remove_parametrizations(m, "weight"), ValueError, "does not have a parametrization on weight"),
    (lambda m: parametrizations.spectral_norm(m, n_power_iterations=0), ValueError, "to be positive"),
    (lambda m: parametrizations.spectral_norm(m, dim=2), IndexError, "Dimension out of range"),
    (lambda m: parametrizations.orthogonal(m, "bias"), ValueError, "Expected a matrix"),
    (lambda m: parametrizations.orthogonal(m, orthogonal_map="qr"), ValueError, "has to be one of"),
    (lambda m: parametrizations.orthogonal(m, "nope"), ValueError, "no parameter or buffer"),
    (lambda m: nn.utils.remove_weight_norm(m), ValueError, "weight_norm of 'weight' not found"),
    (lambda m: nn.utils.spectral_norm(nn.utils.spectral_norm(m)), RuntimeError, "Cannot register two"),
    (lambda m: pickle.dumps(parametrizations.weight_norm(m)), RuntimeError, "only supported through"),
    (lambda m: nn.utils.skip_init(3), RuntimeError, "Expected a Module")])
def test_mistakes_are_refused(act, error, text):
    with pytest.raises(error, match=text):
        act(nn.Linear(3, 4))


def test_old_state_dicts_of_weight_norm_are_taken():
    old, new = nn.utils.weight_norm(nn.Linear(3, 4)), parametrizations.weight_norm(nn.Linear(3, 4))
    new.load_state_dict(old.state_dict())
    x = minitorch.randn(2, 3)
    near(new(x), old(x))


@pytest.mark.parametrize("layer, bn, shape", [
    ("Conv2d(3, 4, 2)", "BatchNorm2d(4)", (2, 3, 5, 5)), ("Conv1d(3, 4, 2, bias=False)", "BatchNorm1d(4, affine=False)", (2, 3, 5)),
    ("ConvTranspose2d(3, 4, 2)", "BatchNorm2d(4)", (2, 3, 5, 5)), ("Linear(3, 4)", "BatchNorm1d(4)", (5, 3))])
def test_batch_norm_can_be_taken_into_the_layer_before_it(layer, bn, shape):
    m, b = eval("nn." + layer), eval("nn." + bn)
    nn.Sequential(m, b)(minitorch.randn(*shape))
    m.eval(), b.eval()
    one = nn.utils.fuse_linear_bn_eval(m, b) if "Linear" in layer else nn.utils.fuse_conv_bn_eval(m, b, transpose="Transpose" in layer)
    x = minitorch.randn(*shape)
    near(one(x), b(m(x)))
    assert isinstance(one.weight, nn.Parameter)
