"""Muon, averages of weights, parts of a dataset, and modules by old names, as in PyTorch."""
import copy

import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch.optim import swa_utils

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("options", [{}, dict(lr=0.02, nesterov=False, weight_decay=0.0), dict(adjust_lr_fn="match_rms_adamw", lr=0.01, ns_steps=3),
                                     dict(adjust_lr_fn="original", momentum=0.5)])
def test_muon_moves_as_pytorchs(options):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s).astype("f4") for s in ((4, 6), (7, 3), (5, 5))]
    ours, theirs = ([library.tensor(v.copy(), requires_grad=True) for v in values] for library in (minitorch, torch))
    a, b = minitorch.optim.Muon(ours, **options), torch.optim.Muon(theirs, **options)
    lr = a.param_groups[0]["lr"]
    for _ in range(3):
        for p, q in zip(ours, theirs):
            g = rng.normal(size=p.shape).astype("f4")
            p.grad, q.grad = minitorch.tensor(g), torch.tensor(g)
        a.step(), b.step()
    for p, q, start in zip(ours, theirs, values):
        far = 0.2 * 7 ** 0.5 * lr                    # PyTorch's steps are rounded to bfloat16
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=3 * 0.05 * max(far, 2 * lr))
        assert np.abs(p.detach().numpy() - start).max() > lr / 2
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(a.state[p]["momentum_buffer"].numpy(), b.state[q]["momentum_buffer"].numpy(), rtol=1e-5, atol=1e-7)
    for wrong in (dict(lr=-1), dict(momentum=-1), dict(weight_decay=-1), dict(adjust_lr_fn="other")):
        with pytest.raises(ValueError):
            minitorch.optim.Muon(ours, **wrong)
    with pytest.raises(ValueError, match="only supports 2D"):
        minitorch.optim.Muon([minitorch.zeros(3, requires_grad=True)])


@pytest.mark.parametrize("options", [{}, dict(lr=0.1, beta2_decay=-0.5, eps=(1e-4, 0.1), d=1.5, weight_decay=0.1, maximize=True)])
def test_adafactor_moves_as_pytorchs(options):
    rng = np.random.default_rng(0)
    values = [np.asarray(rng.normal(size=s)).astype("f4") for s in ((4, 6), (5,), (), (2, 3, 4))]
    ours, theirs = ([library.tensor(v.copy(), requires_grad=True) for v in values] for library in (minitorch, torch))
    a, b = minitorch.optim.Adafactor(ours, **options), torch.optim.Adafactor(theirs, **options)
    for _ in range(20):
        for p, q in zip(ours, theirs):
            g = np.asarray(rng.normal(size=p.shape)).astype("f4")
            p.grad, q.grad = minitorch.tensor(g), torch.tensor(g)
        a.step(), b.step()
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-4, atol=1e-5)
        assert list(a.state[p]) == list(b.state[q])
        for name, value in a.state[p].items():
            np.testing.assert_allclose(value.numpy(), b.state[q][name].numpy(), rtol=1e-4, atol=1e-6)
    minitorch.optim.Adafactor(ours).step()
    for wrong in (dict(lr=-1), dict(beta2_decay=1), dict(eps=(-1, 0)), dict(eps=(None, -1)), dict(d=0.5), dict(weight_decay=-1)):
        for library in (minitorch, torch):
            with pytest.raises(ValueError):
                library.optim.Adafactor([library.zeros(1, requires_grad=True)], **wrong)


def averaged(library, use_buffers, **options):
    """The state of an average over three models."""
    m = library.nn.Sequential(library.nn.Linear(2, 3), library.nn.BatchNorm1d(3))
    average = library.optim.swa_utils.AveragedModel(m, use_buffers=use_buffers, **options)
    for step in range(3):
        with library.no_grad():
            for i, (_, t) in enumerate(m.state_dict().items()):
                t.copy_(library.arange(t.numel()).reshape(t.shape) * (step + 1) + i)
        average.update_parameters(m)
    return {k: v.detach().numpy() for k, v in average.state_dict().items()}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", ["plain", "swa", "ema", "multi_swa", "multi_ema"])
def test_averages_of_weights_are_pytorchs(kind, use_buffers):
    if use_buffers and kind in ("swa", "ema", "multi_swa"):
        pytest.skip("PyTorch's counters do not average")

    def options(library):
        u = library.optim.swa_utils
        return {"plain": {}, "swa": dict(avg_fn=u.get_swa_avg_fn()), "ema": dict(avg_fn=u.get_ema_avg_fn(0.9)),
                "multi_swa": dict(multi_avg_fn=u.get_swa_multi_avg_fn()), "multi_ema": dict(multi_avg_fn=u.get_ema_multi_avg_fn(0.9))}[kind]
    ours, theirs = averaged(minitorch, use_buffers, **options(minitorch)), averaged(torch, use_buffers, **options(torch))
    assert list(ours) == list(theirs)
    for name in ours:
        if "num_batches" not in name:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, err_msg=name)


def test_statistics_are_measured_anew():
    m = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=0.3))
    batches = [minitorch.randn(5, 2) for _ in range(4)]
    swa_utils.update_bn(batches, m)
    with minitorch.no_grad():
        mean = minitorch.stack([m[0](b).mean(0) for b in batches]).mean(0)
    np.testing.assert_allclose(m[1].running_mean.numpy(), mean.numpy(), rtol=1e-5, atol=1e-6)
    assert m[1].momentum == 0.3


@pytest.mark.parametrize("options", [dict(swa_lr=0.05), dict(swa_lr=0.5, anneal_epochs=4, anneal_strategy="linear"),
                                     dict(swa_lr=0.05, anneal_epochs=0)])
def test_rates_go_to_their_end_as_pytorchs(options):
    rates = []
    for library in (minitorch, torch):
        optimizer = library.optim.SGD([library.zeros(1, requires_grad=True)], lr=0.2)
        scheduler = library.optim.swa_utils.SWALR(optimizer, **options)
        seen = []
        for _ in range(12):
            optimizer.step()
            scheduler.step()
            seen.append(optimizer.param_groups[0]["lr"])
        rates.append(seen)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-9)
    with pytest.raises(ValueError, match="anneal_strategy"):
        swa_utils.SWALR(optimizer_of_one(), 0.1, anneal_strategy="step")


def optimizer_of_one():
    return minitorch.optim.SGD([minitorch.zeros(1, requires_grad=True)], lr=0.2)


@pytest.mark.parametrize("n, replicas, drop_last", [(10, 3, False), (10, 3, True), (9, 3, True), (2, 5, False), (7, 1, False)])
def test_parts_of_a_dataset_are_pytorchs(n, replicas, drop_last):
    for rank in range(replicas):
        ours, theirs = (library.utils.data.DistributedSampler(range(n), replicas, rank, shuffle=False, drop_last=drop_last)
                        for library in (minitorch, torch))
        assert list(ours) == list(theirs) and len(ours) == len(theirs)
    orders = []
    for rank in range(replicas):
        sampler = minitorch.utils.data.DistributedSampler(range(n), replicas, rank, seed=3)
        sampler.set_epoch(2)
        orders += list(sampler)
    assert set(orders) == set(range(n))
    with pytest.raises(ValueError, match="Invalid rank"):
        minitorch.utils.data.DistributedSampler(range(n), replicas, replicas)


def test_modules_for_many_devices_call_the_module():
    m, x = nn.Linear(2, 3), minitorch.ones(4, 2)
    with pytest.raises(ValueError, match="init_process_group"):
        nn.parallel.DistributedDataParallel(m)
    with pytest.raises(NotImplementedError, match="2 processes"):
        minitorch.distributed.init_process_group("gloo", world_size=2, rank=0)
    minitorch.distributed.init_process_group("gloo", world_size=1, rank=0)
    ddp = nn.parallel.DistributedDataParallel(m)
    assert minitorch.equal(ddp(x), m(x)) and list(ddp.state_dict()) == ["module.weight", "module.bias"]
    assert minitorch.distributed.get_world_size() == 1 and minitorch.distributed.get_rank() == 0
    minitorch.distributed.destroy_process_group()
    assert minitorch.equal(nn.DataParallel(m)(x), m(x)) and not minitorch.distributed.is_initialized()


def test_modules_by_old_names():
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 4)).astype("f4")
    bn = nn.Sequential(nn.Conv2d(6, 3, 1), nn.BatchNorm2d(3))
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(bn))
    assert type(sync[1]) is nn.SyncBatchNorm and minitorch.equal(sync(minitorch.tensor(x)), bn(minitorch.tensor(x)))
    assert list(sync.state_dict()) == list(bn.state_dict())
    with pytest.warns(FutureWarning, match="NLLLoss2d"):
        nn.NLLLoss2d()
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        nn.utils.clip_grad_norm([minitorch.ones(1)], 1.0)
    with pytest.warns(FutureWarning, match="constant_"):
        assert nn.init.constant(minitorch.zeros(2), 3.0).tolist() == [3, 3]
