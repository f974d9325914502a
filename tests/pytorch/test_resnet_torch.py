"""ResNets beside torchvision's: the same modules, names and shapes, and on the same weights the same outputs and gradients."""
import inspect
from unittest import mock

import numpy as np
import pytest

import minitorch
from minitorch.models import resnet

torch = pytest.importorskip("torch")


def imported():
    """torchvision's file of ResNets. They need none of its compiled operators, which a CUDA build lacks beside PyTorch for CPUs."""
    pytest.importorskip("PIL")
    with mock.patch.object(torch.library, "register_fake", lambda *_, **__: lambda f: f):
        pytest.importorskip("torchvision")
    from torchvision.models import resnet
    return resnet


vision = imported()
NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def on_meta(name, **options):
    with torch.device("meta"):                       # shapes alone: nothing is drawn
        return getattr(vision, name)(**options)


@pytest.mark.parametrize("name", NAMES)
def test_modules_names_and_shapes_are_torchvisions(name, monkeypatch):
    for init in ("kaiming_normal_", "kaiming_uniform_", "uniform_"):      # numbers are not what is compared here
        monkeypatch.setattr(minitorch.nn.init, init, lambda tensor, *_, **__: tensor)
    ours, theirs = getattr(resnet, name)(num_classes=12), on_meta(name, num_classes=12)
    assert repr(ours) == repr(theirs)
    assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [(n, tuple(p.shape)) for n, p in theirs.named_parameters()]
    assert [(n, tuple(t.shape)) for n, t in ours.state_dict().items()] == [(n, tuple(t.shape)) for n, t in theirs.state_dict().items()]


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_are_torchvisions(name):
    assert list(inspect.signature(getattr(resnet, name)).parameters) == list(inspect.signature(getattr(vision, name)).parameters)


@pytest.mark.parametrize("name", ["ResNet", "BasicBlock", "Bottleneck"])
def test_the_arguments_of_the_parts_are_torchvisions(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters.values() for module in (resnet, vision))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


OPTIONS = {
    "basic": ("BasicBlock", [2, 1, 1, 1], {}),
    "bottleneck": ("Bottleneck", [1, 2, 1, 1], {}),
    "dilated": ("Bottleneck", [1, 1, 2, 2], {"replace_stride_with_dilation": [False, True, True]}),
    "grouped": ("Bottleneck", [1, 1, 1, 1], {"groups": 4, "width_per_group": 8}),
    "starting as the identity": ("BasicBlock", [1, 1, 1, 1], {"zero_init_residual": True}),
}


def pair(name):
    """(ours, torchvision's) with the same weights, in float64; the norms' statistics are not those of a new network."""
    block, layers, options = OPTIONS[name]
    torch.manual_seed(0)
    theirs = vision.ResNet(getattr(vision, block), layers, num_classes=7, **options).double()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
    ours = resnet.ResNet(getattr(resnet, block), layers, num_classes=7, **options).double()
    ours.load_state_dict({n: minitorch.from_numpy(t.numpy().copy()) for n, t in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", OPTIONS)
def test_outputs_gradients_and_statistics_are_torchvisions(name, training):
    ours, theirs = pair(name)
    x = np.random.default_rng(0).normal(size=(3, 3, 64, 48))
    results = []
    for model, library in ((ours, minitorch), (theirs, torch)):
        image = library.tensor(x, requires_grad=True)
        y = model.train(training)(image)
        library.nn.functional.cross_entropy(y, library.tensor([0, 3, 6])).backward()
        results.append([y, image.grad, *(p.grad for p in model.parameters()), *model.buffers()])
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results):
        a, b = a.detach().numpy(), b.detach().numpy()
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * max(1, np.abs(b).max()))


def test_new_networks_draw_weights_as_torchvision_does():
    ours, theirs = resnet.resnet18(zero_init_residual=True), vision.resnet18(zero_init_residual=True)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
        a, b = a.detach().numpy(), b.detach().numpy()
        if a.std() == 0:
            assert (a == b).all(), name
        elif a.size > 1000:
            assert abs(a.std() / b.std() - 1) < 5 / np.sqrt(a.size) and abs(a.mean() - b.mean()) < 8 * b.std() / np.sqrt(a.size), name


REFUSED = {
    "basic blocks in groups": lambda m: m.ResNet(m.BasicBlock, [1, 1, 1, 1], groups=2),
    "basic blocks of another width": lambda m: m.ResNet(m.BasicBlock, [1, 1, 1, 1], width_per_group=32),
    "dilated basic blocks": lambda m: m.ResNet(m.BasicBlock, [1, 1, 1, 2], replace_stride_with_dilation=[False, False, True]),
    "two dilations": lambda m: m.ResNet(m.Bottleneck, [1, 1, 1, 1], replace_stride_with_dilation=[True, False]),
    "an unknown argument": lambda m: m.resnet18(classes=3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_torchvision_refuses_is_refused(name):
    said = []
    for module in (resnet, vision):
        with pytest.raises(Exception) as caught:  # noqa: B017  (of the same class, and with the same words)
            REFUSED[name](module)
        said.append((caught.type, str(caught.value)))
    assert said[0] == said[1]
