"""Lazy modules: what the first input makes of them is PyTorch's, before and after."""
import copy
import pickle

import numpy as np
import pytest

import minitorch
from minitorch import nn

torch = pytest.importorskip("torch")

ROWS = """
LazyLinear(4) | 2,3
LazyLinear(4, bias=False) | 2,5,3
LazyConv1d(4, 3) | 2,3,8
LazyConv2d(4, 3, 2, 1) | 2,3,8,7
LazyConv2d(4, 3, groups=2, bias=False) | 4,8,7
LazyConv3d(2, 2) | 1,2,3,4,3
LazyConvTranspose1d(4, 3) | 2,3,5
LazyConvTranspose2d(4, 3, 2, 1, 1, 2) | 2,6,4,4
LazyConvTranspose3d(2, 2) | 1,2,3,2,3
LazyBatchNorm1d() | 4,3
LazyBatchNorm2d(affine=False) | 4,3,2,2
LazyBatchNorm2d(1e-3, 0.2, bias=False) | 4,3,2,2
LazyBatchNorm3d(track_running_stats=False) | 4,3,2,2,2
LazyInstanceNorm1d() | 4,3,5
LazyInstanceNorm2d() | 4,3,2,2
LazyInstanceNorm3d(affine=False) | 4,3,2,2,2
""".strip().splitlines()


def built(row):
    call, _, sizes = row.partition(" | ")
    x = np.random.default_rng(0).normal(size=[int(n) for n in sizes.split(",")]).astype("f4")
    return eval("nn." + call), eval("torch.nn." + call), x


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_lazy_module_becomes_what_pytorchs_becomes(row):
    ours, theirs, x = built(row)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    theirs(torch.tensor(x))
    ours(minitorch.tensor(x))
    assert type(ours).__name__ == type(theirs).__name__ and repr(ours) == repr(theirs)
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    ours.load_state_dict({k: minitorch.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    y, z = ours(minitorch.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_lazy_module_can_be_moved_copied_loaded(row):
    ours, theirs, x = built(row)
    theirs(torch.tensor(x))
    state = {k: minitorch.tensor(v.numpy()) for k, v in theirs.state_dict().items()}
    for m in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        m.load_state_dict(ours.state_dict())         # nothing known on either side
        m.load_state_dict(state)
        m.eval(), theirs.eval()
        np.testing.assert_allclose(m(minitorch.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
        assert type(m) is ours.cls_to_become
    ours.double()
    y = ours(minitorch.tensor(x).double())
    assert y.dtype is minitorch.float64
    if y.requires_grad:
        y.square().sum().backward()
    assert all(p.grad.shape == p.shape for p in ours.parameters())


def test_parameters_without_a_shape_are_refused():
    m = nn.LazyLinear(3)
    with pytest.raises(ValueError, match="uninitialized parameter"):
        minitorch.exp(m.weight)
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized"):
        len(m.weight.shape)
    with pytest.raises(RuntimeError, match="Expected 3D"):
        nn.LazyConv2d(3, 2)(minitorch.ones(3, 3))
    with pytest.raises(RuntimeError, match="Can't access the shape"):
        nn.Linear(2, 3).load_state_dict(m.state_dict())
    assert m.has_uninitialized_params() and repr(m.weight) == "<UninitializedParameter>"


def test_an_optimizer_takes_lazy_parameters():
    m = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(1))
    optimizer = minitorch.optim.SGD(m.parameters(), lr=0.1)
    m(minitorch.ones(2, 4)).sum().backward()
    before = m[2].bias.item()
    optimizer.step()
    assert m[2].bias.item() == pytest.approx(before - 0.2)
