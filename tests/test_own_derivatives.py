"""minitorch.gradcheck on minitorch itself: every case of every op, and every kind of module, gets the right verdict."""
import numpy as np
import pytest
from table import cases

import minitorch
from minitorch import nn
from minitorch.autograd.op import OPS
from minitorch.gradcheck import check
from minitorch.gradcheck.report import CORRECT, VACUOUS
from minitorch.nn.module import Module

# Functions with floating-point results that have no derivative, as in PyTorch: these must not claim one either.
CONSTANT = {
    "bincount": "counts of integers; of its weights PyTorch has no derivative",
    "histc": "counts",
    **{name: "said to be not differentiable" for name, call in OPS.items() if call.op is not None and not call.op.differentiable},
}
# Functions that read one triangle of a symmetric matrix, and share its gradient between both: checked as functions of a whole matrix.
READ_ONE_TRIANGLE = ("cholesky", "linalg.eigh", "linalg.eigvalsh")


each_case = pytest.mark.parametrize("case", cases(), ids=lambda c: c.id)
with_derivative = {c.name: c for c in reversed(cases()) if c.name not in CONSTANT and c.floats(c.draw())}          # one of each op
each_op = pytest.mark.parametrize("case", with_derivative.values(), ids=lambda c: c.id)


def report_on(case, **options):
    """What check says of a case as a function of its float arrays."""
    drawn = case.draw()

    def f(*leaves):
        if case.name in READ_ONE_TRIANGLE:
            leaves = [(x + x.mT) / 2 for x in leaves]
        return case.run(drawn, leaves)
    return check(f, tuple(case.floats(drawn)), name=case.id, **options)


def results(case):
    """What a case gives for float arrays that require a gradient."""
    drawn = case.draw()
    return case.run(drawn, [minitorch.tensor(a, requires_grad=True) for a in case.floats(drawn)])


def expected(case):
    """Correct, or vacuous where there is something to differentiate by and nothing to differentiate."""
    return VACUOUS if case.floats(case.draw()) and not any(y.is_floating_point() for y in results(case)) else CORRECT


@each_case
def test_every_case_of_every_op(case):
    if case.name in CONSTANT:
        assert not any(y.requires_grad for y in results(case))
        return
    report = report_on(case)
    assert report.verdict == expected(case), report


@each_op
def test_second_derivatives(case):
    """Correct, or vacuous where they vanish."""
    report = report_on(case, order=2, find=False)
    assert report.verdict in (CORRECT, VACUOUS), report


@each_op
def test_forward_mode(case):
    report = report_on(case, forward=True, find=False)
    assert report.verdict == expected(case), report


# ---- modules -----------------------------------------------------------------------------------------------------------

def randn(*shape, seed=0):
    """Numbers away from zero, where activations have their kinks."""
    v = np.random.default_rng(seed).normal(size=shape)
    return minitorch.tensor(v + np.copysign(0.01, v))


def distinct(*shape):
    n = int(np.prod(shape))
    return minitorch.tensor((np.random.default_rng(0).permutation(n) - n // 2 + 0.37).reshape(shape) * 0.1)


def probabilities(*shape):
    return minitorch.tensor(np.random.default_rng(1).uniform(0.1, 0.9, size=shape))


def logs(*shape):
    return randn(*shape).log_softmax(-1)


def signs(*shape):
    return minitorch.tensor(np.random.default_rng(1).choice([-1.0, 1.0], shape))


CLASSES = minitorch.tensor([2, 0, 1, 1])
ACTIVATIONS = """CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU RReLU ReLU ReLU6 SELU
SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink""".split()


def sized(name, d):
    return getattr(nn, f"{name}{d}d")


# name: a function that gives a module and its inputs
MODULES = {
    **{name: lambda name=name: (getattr(nn, name)().eval(), randn(4, 6)) for name in ACTIVATIONS},
    **{name: lambda name=name: (getattr(nn, name)(-1), randn(4, 6)) for name in ("Softmax", "LogSoftmax", "Softmin")},
    "Threshold": lambda: (nn.Threshold(0.1, 2.0), randn(4, 6)),
    "Softmax2d": lambda: (nn.Softmax2d(), randn(2, 3, 4, 2)),
    "Linear": lambda: (nn.Linear(3, 4), randn(5, 3)),
    "Bilinear": lambda: (nn.Bilinear(3, 4, 2), randn(5, 3), randn(5, 4, seed=1)),
    "Embedding": lambda: (nn.Embedding(5, 3), minitorch.tensor([[1, 4], [1, 0]])),
    "EmbeddingBag": lambda: (nn.EmbeddingBag(5, 3), minitorch.tensor([[1, 4], [1, 0]])),
    "Flatten": lambda: (nn.Flatten(), randn(2, 3, 4)),
    "Unflatten": lambda: (nn.Unflatten(1, (2, 3)), randn(2, 6)),
    "Sequential": lambda: (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), randn(5, 3)),
    "Fold": lambda: (nn.Fold((4, 5), 2), randn(2, 12, 12)),
    "Unfold": lambda: (nn.Unfold(2), randn(2, 3, 4, 5)),
    "PixelShuffle": lambda: (nn.PixelShuffle(2), randn(1, 8, 3, 2)),
    "PixelUnshuffle": lambda: (nn.PixelUnshuffle(2), randn(1, 2, 4, 6)),
    "ChannelShuffle": lambda: (nn.ChannelShuffle(2), randn(1, 4, 3, 2)),
    **{f"Conv{d}d": lambda d=d: (sized("Conv", d)(2, 3, 2, padding=1), randn(2, 2, *[4, 3, 2][:d])) for d in (1, 2, 3)},
    **{f"ConvTranspose{d}d": lambda d=d: (sized("ConvTranspose", d)(2, 3, 2, stride=2), randn(2, 2, *[4, 3, 2][:d])) for d in (1, 2, 3)},
    **{f"MaxPool{d}d": lambda d=d: (sized("MaxPool", d)(2), distinct(2, 2, *[4, 4, 2][:d])) for d in (1, 2, 3)},
    **{f"AvgPool{d}d": lambda d=d: (sized("AvgPool", d)(2), randn(2, 2, *[4, 4, 2][:d])) for d in (1, 2, 3)},
    **{f"LPPool{d}d": lambda d=d: (sized("LPPool", d)(3, 2), randn(2, 2, *[4, 4, 2][:d]).abs() + 0.5) for d in (1, 2, 3)},
    **{f"AdaptiveAvgPool{d}d": lambda d=d: (sized("AdaptiveAvgPool", d)(2), randn(2, 2, *[5, 4, 3][:d])) for d in (1, 2, 3)},
    **{f"AdaptiveMaxPool{d}d": lambda d=d: (sized("AdaptiveMaxPool", d)(2), distinct(2, 2, *[5, 4, 3][:d])) for d in (1, 2, 3)},
    **{f"BatchNorm{d}d": lambda d=d: (sized("BatchNorm", d)(3), randn(4, 3, *[3, 2, 2][:d])) for d in (1, 2, 3)},
    **{f"InstanceNorm{d}d": lambda d=d: (sized("InstanceNorm", d)(3, affine=True), randn(2, 3, *[5, 2, 2][:d])) for d in (1, 2, 3)},
    "GroupNorm": lambda: (nn.GroupNorm(2, 4), randn(3, 4, 5)),
    "LayerNorm": lambda: (nn.LayerNorm((3, 4)), randn(2, 3, 4)),
    "RMSNorm": lambda: (nn.RMSNorm(4), randn(2, 3, 4)),
    "LocalResponseNorm": lambda: (nn.LocalResponseNorm(2), randn(2, 4, 3)), "CrossMapLRN2d": lambda: (nn.CrossMapLRN2d(3), randn(2, 4, 3, 2)),
    **{name: lambda name=name: (getattr(nn, name)(0.5).eval(), randn(2, 3, 4, 2, 2))
       for name in ("Dropout", "AlphaDropout", "Dropout3d", "FeatureAlphaDropout")},
    "Dropout1d": lambda: (nn.Dropout1d(0.5).eval(), randn(2, 3, 4)),
    "Dropout2d": lambda: (nn.Dropout2d(0.5).eval(), randn(2, 3, 4, 2)),
    **{name: lambda name=name: (getattr(nn, name)(1, *[0.5] * name.startswith("Constant")), randn(2, 2, *[4, 3, 2][:int(name[-2])]))
       for name in dir(nn) if name[:-2].endswith("Pad")},
    **{name: lambda name=name: (getattr(nn, name)(scale_factor=2), randn(2, 2, 3, 4)) for name in dir(nn) if name.startswith("Upsampl")},
    "RNN": lambda: (nn.RNN(3, 4, 2, bidirectional=True), randn(5, 2, 3)),
    "GRU": lambda: (nn.GRU(3, 4), randn(5, 2, 3)),
    "LSTM": lambda: (nn.LSTM(3, 4, proj_size=2), randn(5, 2, 3)),
    **{f"{kind}Cell": lambda kind=kind: (getattr(nn, f"{kind}Cell")(3, 4), randn(2, 3)) for kind in ("RNN", "GRU", "LSTM")},
    "MultiheadAttention": lambda: (nn.MultiheadAttention(4, 2), randn(3, 2, 4), randn(5, 2, 4, seed=1), randn(5, 2, 4, seed=2)),
    "TransformerEncoderLayer": lambda: (nn.TransformerEncoderLayer(4, 2, 6, 0.0), randn(3, 2, 4)),
    "TransformerDecoderLayer": lambda: (nn.TransformerDecoderLayer(4, 2, 6, 0.0), randn(3, 2, 4), randn(5, 2, 4, seed=1)),
    "TransformerEncoder": lambda: (nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, 0.0), 2), randn(3, 2, 4)),
    "TransformerDecoder": lambda: (nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, 0.0), 2), randn(3, 2, 4), randn(5, 2, 4, seed=1)),
    "Transformer": lambda: (nn.Transformer(4, 2, 1, 1, 6, 0.0), randn(5, 2, 4), randn(3, 2, 4, seed=1)),
    "DataParallel": lambda: (nn.DataParallel(nn.Linear(3, 4)), randn(5, 3)),
    **{name: lambda name=name: lazily(getattr(nn, name), MODULES[name[4:]]) for name in dir(nn) if name.startswith("Lazy")},
    "L1Loss": lambda: (nn.L1Loss(), randn(4, 3), randn(4, 3, seed=1)),
    "MSELoss": lambda: (nn.MSELoss(), randn(4, 3), randn(4, 3, seed=1)),
    "SmoothL1Loss": lambda: (nn.SmoothL1Loss(), randn(4, 3), randn(4, 3, seed=1)),
    "HuberLoss": lambda: (nn.HuberLoss(), randn(4, 3), randn(4, 3, seed=1)),
    "CrossEntropyLoss": lambda: (nn.CrossEntropyLoss(label_smoothing=0.1), randn(4, 3), CLASSES),
    "NLLLoss": lambda: (nn.NLLLoss(), randn(4, 3), CLASSES),
    "BCELoss": lambda: (nn.BCELoss(), probabilities(4, 3), probabilities(4, 3)),
    "BCEWithLogitsLoss": lambda: (nn.BCEWithLogitsLoss(), randn(4, 3), probabilities(4, 3)),
    "KLDivLoss": lambda: (nn.KLDivLoss(reduction="batchmean"), logs(4, 3), probabilities(4, 3)),
    "PoissonNLLLoss": lambda: (nn.PoissonNLLLoss(), randn(4, 3), probabilities(4, 3)),
    "GaussianNLLLoss": lambda: (nn.GaussianNLLLoss(), randn(4, 3), randn(4, 3, seed=1), probabilities(4, 3)),
    "HingeEmbeddingLoss": lambda: (Fixed(nn.HingeEmbeddingLoss(), signs(4, 3)), randn(4, 3)),
    "SoftMarginLoss": lambda: (Fixed(nn.SoftMarginLoss(), signs(4, 3)), randn(4, 3)),
    "MarginRankingLoss": lambda: (Fixed(nn.MarginRankingLoss(0.3), signs(4)), randn(4), randn(4, seed=1)),
    "CosineEmbeddingLoss": lambda: (Fixed(nn.CosineEmbeddingLoss(), signs(4)), randn(4, 3), randn(4, 3, seed=1)),
    "CosineSimilarity": lambda: (nn.CosineSimilarity(), randn(4, 3), randn(4, 3, seed=1)),
    "PairwiseDistance": lambda: (nn.PairwiseDistance(), randn(4, 3), randn(4, 3, seed=1)),
    "MultiMarginLoss": lambda: (nn.MultiMarginLoss(), randn(4, 3), CLASSES),
    "MultiLabelMarginLoss": lambda: (nn.MultiLabelMarginLoss(), randn(2, 4), minitorch.tensor([[3, 0, -1, 1], [0, -1, 0, 0]])),
    "MultiLabelSoftMarginLoss": lambda: (Fixed(nn.MultiLabelSoftMarginLoss(), (signs(4, 3) + 1) / 2), randn(4, 3)),
    "TripletMarginLoss": lambda: (nn.TripletMarginLoss(), randn(4, 3), randn(4, 3, seed=1), randn(4, 3, seed=2)),
    "CTCLoss": lambda: (Fixed(nn.CTCLoss(), minitorch.tensor([[1, 2], [3, 3]]), (5, 4), (2, 2)), randn(5, 2, 4).log_softmax(2).detach()),
    "AdaptiveLogSoftmaxWithLoss": lambda: (OnlyLoss(nn.AdaptiveLogSoftmaxWithLoss(4, 6, [2, 4], 2.0)), randn(5, 4), minitorch.arange(5)),
    "NLLLoss2d": lambda: (old("NLLLoss2d"), randn(2, 3, 2, 2), minitorch.zeros(2, 2, 2, dtype=minitorch.int64)),
    "FractionalMaxPool2d": lambda: (nn.FractionalMaxPool2d(3, (3, 4)), distinct(1, 2, 7, 9)),
    "FractionalMaxPool3d": lambda: (nn.FractionalMaxPool3d(2, (2, 2, 3)), distinct(1, 1, 5, 4, 6)),
    "MaxUnpool1d": lambda: (Fixed(nn.MaxUnpool1d(2), minitorch.tensor([[[1, 2, 5]]])), randn(1, 1, 3)),
    "MaxUnpool2d": lambda: (Fixed(nn.MaxUnpool2d(2), minitorch.tensor([[[0, 3], [9, 14]]])), randn(1, 2, 2)),
    "MaxUnpool3d": lambda: (Fixed(nn.MaxUnpool3d(2), minitorch.tensor([[[[[1], [15]]]]])), randn(1, 1, 1, 2, 1)),
    "SyncBatchNorm": lambda: (nn.SyncBatchNorm(3), randn(4, 3, 2)),
    "TripletMarginWithDistanceLoss": lambda: (nn.TripletMarginWithDistanceLoss(), randn(4, 3), randn(4, 3, seed=1), randn(4, 3, seed=2)),
}


class Fixed(Module):
    """A loss whose last arguments are given once and for all."""

    def __init__(self, loss, target, *others):
        super().__init__()
        self.loss, self.target, self.others = loss, nn.Buffer(target), others

    def forward(self, *inputs):
        return self.loss(*inputs, self.target, *self.others)


class OnlyLoss(Module):
    """Of a module that gives outputs and their loss, the loss."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *inputs):
        return self.inner(*inputs).loss


def old(name):
    """A module by its old name, which warns."""
    with pytest.warns(FutureWarning):
        return getattr(nn, name)()


def lazily(make, eager):
    """A lazy module that has seen the inputs of its eager twin, and these."""
    twin, *inputs = eager()
    sizes = {"Linear": (4,), "BatchNorm": (), "InstanceNorm": (), "ConvTranspose": (3, 2, 2), "Conv": (3, 2)}
    module = make(*next(sizes[kind] for kind in sizes if kind in make.__name__), **{"affine": True} if "Instance" in make.__name__ else {})
    module(*[x.float() for x in inputs])
    return module, *inputs


COMPUTE_NOTHING = {"Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase"}


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_their_parameters(name):
    minitorch.manual_seed(0)
    module, *inputs = MODULES[name]()
    report = check(module.double(), tuple(inputs), name=name)
    assert report.verdict == CORRECT, report
    assert len(report.inputs) >= len(list(module.parameters()))


def test_every_module_is_checked():
    every = {n for n in dir(nn) if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), Module)}
    assert not every - {*MODULES, *COMPUTE_NOTHING}, "MODULES must say how to make these, and what to give them"
