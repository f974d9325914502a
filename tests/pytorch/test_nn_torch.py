"""Every module class with PyTorch's state loaded: the same outputs, buffers and gradients, while training and in evaluation.

And the same printed form.
"""
import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch.backend import to_numpy

torch = pytest.importorskip("torch")

# One row a module: the call that makes it (with `nn` and `T`, a tensor from numbers), then the shapes of its inputs.
# A shape as a tuple draws normal numbers; "int(k) shape" whole numbers below k; "unit shape" numbers in (0, 1); "sign shape" 1 or -1.
MODULES = """
nn.Identity(3) | 2,3
nn.Linear(3, 4) | 2,3
nn.Linear(3, 4, bias=False) | 5,2,3
nn.Linear(3, 4) | 3
nn.Bilinear(3, 4, 2) | 5,3 | 5,4
nn.Bilinear(3, 4, 2, bias=False) | 2,5,3 | 2,5,4
nn.Conv1d(3, 4, 3) | 2,3,8
nn.Conv1d(4, 6, 3, 2, 2, 2, 2, False, padding_mode="circular") | 2,4,9
nn.Conv2d(3, 4, 3) | 2,3,6,5
nn.Conv2d(3, 4, 3) | 3,6,5
nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, False) | 2,4,7,6
nn.Conv2d(3, 4, 3, padding="same", dilation=2) | 2,3,6,5
nn.Conv2d(3, 4, (4, 3), padding="same") | 2,3,6,5
nn.Conv2d(3, 4, 3, padding="valid") | 2,3,6,5
nn.Conv2d(3, 4, 3, padding=2, padding_mode="reflect") | 2,3,6,5
nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode="replicate") | 2,3,6,5
nn.Conv2d(3, 4, 3, padding="same", padding_mode="circular") | 2,3,6,5
nn.Conv2d(20, 8, 3, padding=1) | 2,20,4,4
nn.Conv2d(4, 4, 3, groups=4, padding=1) | 2,4,6,5
nn.Conv3d(2, 3, (2, 3, 2), 2, 1) | 2,2,4,5,4
nn.ConvTranspose1d(3, 4, 3, 2, 1, 1) | 2,3,5
nn.ConvTranspose2d(3, 4, 3) | 2,3,4,5
nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, 1, 2, False, 2) | 2,4,4,5
nn.ConvTranspose2d(3, 4, 2, 3) | 3,4,5
nn.ConvTranspose3d(2, 3, 2, (1, 2, 1)) | 1,2,3,3,2
nn.MaxPool1d(2) | 2,3,7
nn.MaxPool1d(3, 2, 1, 2, ceil_mode=True) | 2,3,9
nn.MaxPool2d(2) | 2,3,6,6
nn.MaxPool2d(3, 2, 1) | 2,3,7,6
nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), ceil_mode=True) | 3,7,6
nn.MaxPool3d(2) | 1,2,4,4,5
nn.AvgPool1d(3, 2, 1) | 2,3,7
nn.AvgPool2d(2) | 2,3,6,6
nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False) | 2,3,6,8
nn.AvgPool2d(3, divisor_override=2) | 2,3,6,6
nn.AvgPool3d(2, 1, 1) | 1,2,3,4,3
nn.LPPool1d(2, 3, 1) | unit 2,3,7
nn.LPPool2d(2, 3) | unit 2,3,7,6
nn.LPPool3d(3, 2) | unit 1,2,4,4,4
nn.AdaptiveAvgPool1d(3) | 2,3,7
nn.AdaptiveAvgPool2d((1, 1)) | 2,3,6,5
nn.AdaptiveAvgPool2d((3, None)) | 2,3,7,5
nn.AdaptiveAvgPool3d(2) | 1,2,4,3,5
nn.AdaptiveMaxPool1d(3) | 2,3,7
nn.AdaptiveMaxPool2d((2, 3)) | 2,3,7,5
nn.AdaptiveMaxPool3d(2) | 1,2,4,3,5
nn.BatchNorm1d(3) | 5,3
nn.BatchNorm1d(3, momentum=None) | 5,3,4
nn.BatchNorm2d(3) | 2,3,4,5
nn.BatchNorm2d(3, 1e-3, 0.3, False) | 2,3,4,5
nn.BatchNorm2d(3, track_running_stats=False) | 2,3,4,5
nn.BatchNorm2d(3, bias=False) | 2,3,4,5
nn.BatchNorm3d(2) | 2,2,3,2,2
nn.InstanceNorm1d(3) | 2,3,5
nn.InstanceNorm1d(3, affine=True) | 3,5
nn.InstanceNorm2d(3, affine=True, track_running_stats=True) | 2,3,4,5
nn.InstanceNorm3d(2, 1e-3) | 2,2,3,2,2
nn.LayerNorm(4) | 2,3,4
nn.LayerNorm((3, 4), 1e-3, bias=False) | 2,3,4
nn.LayerNorm([4], elementwise_affine=False) | 2,3,4
nn.RMSNorm(4) | 2,3,4
nn.RMSNorm((3, 4), 1e-3, False) | 2,3,4
nn.GroupNorm(2, 6) | 2,6,4
nn.GroupNorm(3, 6, 1e-3, False) | 2,6,2,2
nn.LocalResponseNorm(3) | 2,6,4,4
nn.LocalResponseNorm(2, 0.1, 0.5, 2.0) | 2,6,4
nn.Embedding(7, 3) | int(7) 2,4
nn.Embedding(7, 3, padding_idx=2) | int(7) 2,4
nn.Embedding(7, 3, scale_grad_by_freq=True) | int(7) 9
nn.Embedding.from_pretrained(T([[1., 2.], [3., 4.]]), freeze=False) | int(2) 5
nn.Dropout(0.0) | 2,3
nn.Dropout1d(0.0) | 2,3,4
nn.Dropout2d(0.0) | 2,3,4,4
nn.Dropout3d(0.0) | 2,3,4,4,4
nn.AlphaDropout(0.0) | 2,3
nn.FeatureAlphaDropout(0.0) | 2,3,4
nn.ReLU() | 3,4
nn.ReLU6() | 3,4
nn.LeakyReLU(0.2) | 3,4
nn.PReLU() | 3,4
nn.PReLU(4, 0.1) | 3,4,2
nn.ELU(0.5) | 3,4
nn.CELU(0.5) | 3,4
nn.SELU() | 3,4
nn.GELU() | 3,4
nn.GELU("tanh") | 3,4
nn.SiLU() | 3,4
nn.Mish() | 3,4
nn.Sigmoid() | 3,4
nn.Tanh() | 3,4
nn.LogSigmoid() | 3,4
nn.Hardtanh() | 3,4
nn.Hardtanh(-0.5, 0.7) | 3,4
nn.Hardsigmoid() | 3,4
nn.Hardswish() | 3,4
nn.Hardshrink() | 3,4
nn.Softshrink(0.3) | 3,4
nn.Softplus(2.0, 1.0) | 3,4
nn.Softsign() | 3,4
nn.Tanhshrink() | 3,4
nn.Threshold(0.1, 2.0) | 3,4
nn.GLU() | 3,4
nn.Softmax(1) | 3,4
nn.Softmax2d() | 2,3,4,4
nn.Softmin(0) | 3,4
nn.LogSoftmax(-1) | 3,4
nn.Flatten() | 2,3,4
nn.Unflatten(1, (2, 3)) | 4,6
nn.Unfold(2, padding=1) | 2,3,4,4
nn.Fold((4, 5), (2, 2)) | 2,12,12
nn.PixelShuffle(2) | 2,8,3,3
nn.PixelUnshuffle(2) | 2,2,4,6
nn.ChannelShuffle(2) | 2,6,3,3
nn.FractionalMaxPool2d((2, 3), (3, 4), _random_samples=T([[[0.3, 0.6], [0.9, 0.1], [0.5, 0.5]]])) | 1,3,7,9
nn.FractionalMaxPool2d(2, output_ratio=(0.5, 0.6), _random_samples=T([[[0.3, 0.6]]])) | 1,6,7
nn.FractionalMaxPool3d(2, (3, 2, 4), _random_samples=T([[[0.3, 0.6, 0.8]]])) | 1,1,5,4,7
nn.ConstantPad1d(2, 3.5) | 2,3,4
nn.ConstantPad2d((1, -1, 0, 2), 3.5) | 2,3,4,4
nn.ConstantPad3d(1, 0.5) | 1,2,3,2,2
nn.ZeroPad1d((1, 2)) | 2,3,4
nn.ZeroPad2d((1, -1, 2, 0)) | 3,4,4
nn.ZeroPad3d(1) | 1,2,3,2,2
nn.ReflectionPad1d((3, 1)) | 2,3,4
nn.ReflectionPad2d((2, 1, 1, 0)) | 2,3,4,3
nn.ReflectionPad3d(1) | 1,2,3,2,4
nn.ReplicationPad1d(2) | 3,4
nn.ReplicationPad2d((1, 2, 3, 0)) | 2,3,4,4
nn.ReplicationPad3d((1, 2, 0, 1, 3, 0)) | 1,2,3,2,2
nn.CircularPad1d((1, 2)) | 2,3,4
nn.CircularPad2d((1, 2, -1, 0)) | 2,3,4,4
nn.CircularPad3d(1) | 1,2,3,2,2
nn.Upsample(scale_factor=2) | 2,3,4
nn.Upsample(7, mode="nearest-exact") | 2,3,4,5
nn.Upsample(scale_factor=(1.7, 2.3), mode="bilinear") | 2,3,4,5
nn.Upsample((7, 3), mode="bicubic", align_corners=True) | 2,3,4,5
nn.Upsample(scale_factor=0.6, mode="trilinear", recompute_scale_factor=True) | 1,2,4,5,7
nn.UpsamplingNearest2d(scale_factor=2) | 2,3,4,5
nn.UpsamplingBilinear2d((7, 9)) | 2,3,4,5
nn.CosineSimilarity() | 3,4 | 3,4
nn.CosineSimilarity(0, 1e-3) | 3,4 | 3,4
nn.PairwiseDistance(3.0, keepdim=True) | 3,4 | 3,4
nn.MSELoss() | 3,4 | 3,4
nn.L1Loss(reduction="sum") | 3,4 | 3,4
nn.SmoothL1Loss(beta=0.5) | 3,4 | 3,4
nn.HuberLoss("none", 0.5) | 3,4 | 3,4
nn.CrossEntropyLoss() | 5,3 | int(3) 5
nn.CrossEntropyLoss(T([1., 2., 3.]), ignore_index=1, label_smoothing=0.2) | 5,3,2 | int(3) 5,2
nn.CrossEntropyLoss(T([1., 2., 3.]), reduction="none") | 5,3 | int(3) 5
nn.CrossEntropyLoss(T([1., 2., 3.]), reduction="sum") | 5,3 | unit 5,3
nn.NLLLoss(T([1., 2., 3.]), ignore_index=0) | 5,3 | int(3) 5
nn.BCELoss(T([1., 2., 3.])) | unit 5,3 | unit 5,3
nn.BCEWithLogitsLoss(T([1., 2., 3.]), pos_weight=T([2., 1., 0.5])) | 5,3 | unit 5,3
nn.KLDivLoss(reduction="batchmean") | 5,3 | unit 5,3
nn.KLDivLoss(reduction="sum", log_target=True) | 5,3 | 5,3
nn.PoissonNLLLoss(full=True) | 5,3 | unit 5,3
nn.PoissonNLLLoss(log_input=False) | unit 5,3 | unit 5,3
nn.GaussianNLLLoss(full=True) | 5,3 | 5,3 | unit 5,1
nn.CosineEmbeddingLoss(0.2) | 5,3 | 5,3 | sign 5
nn.HingeEmbeddingLoss(0.5) | 5,3 | sign 5,3
nn.MarginRankingLoss(0.5) | 5 | 5 | sign 5
nn.TripletMarginLoss(2.0, swap=True) | 5,3 | 5,3 | 5,3
nn.TripletMarginWithDistanceLoss() | 5,3 | 5,3 | 5,3
nn.SoftMarginLoss() | 5,3 | sign 5,3
nn.MultiMarginLoss(2, weight=T([1., 2., 3.])) | 5,3 | int(3) 5
nn.MultiLabelMarginLoss() | 5,3 | int(3) 5,3
nn.MultiLabelSoftMarginLoss(T([1., 2., 3.])) | 5,3 | int(2) 5,3
nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)) | 3,1,6,6
""".strip().splitlines()


def drawn(text, rng):
    """The numbers that one input of a row describes."""
    kind, _, sizes = text.strip().rpartition(" ")
    shape = tuple(int(n) for n in sizes.split(","))
    if kind.startswith("int"):
        return rng.integers(0, int(kind[4:-1]), shape)
    if kind == "unit":
        return rng.uniform(0.05, 0.95, shape).astype("f4")
    return rng.choice([-1, 1], shape) if kind == "sign" else rng.normal(size=shape).astype("f4")


def built(row):
    """(our module with PyTorch's state, PyTorch's module, inputs)"""
    call, *inputs = row.split(" | ")
    torch.manual_seed(0)
    theirs = eval(call, {"nn": torch.nn, "T": torch.tensor})
    ours = eval(call, {"nn": nn, "T": minitorch.tensor})
    state = {}
    for name, t in theirs.state_dict().items():      # nothing stays at 0 or 1
        if t.is_floating_point():
            t += 0.1 * torch.rand(t.shape)
        state[name] = minitorch.tensor(t.numpy())
    assert str(ours.load_state_dict(state)) == "<All keys matched successfully>"
    rng = np.random.default_rng(1)
    return ours, theirs, [drawn(text, rng) for text in inputs]


def run(module, arrays, make):
    """(output, gradients of the inputs and parameters) of one call."""
    xs = [make(a) for a in arrays]
    for x, a in zip(xs, arrays):
        if a.dtype == "f4":
            x.requires_grad_()
    y = module(*xs)
    y.backward(make(np.cos(np.arange(np.prod(y.shape), dtype="f4")).reshape(tuple(y.shape))))
    return y, [x.grad for x in xs], {name: p.grad for name, p in module.named_parameters()}


def numbers(t):
    return t.detach().numpy() if isinstance(t, torch.Tensor) else to_numpy(t.array)


def close(a, b):
    assert (a is None) == (b is None)
    if a is not None:
        a, b = numbers(a), numbers(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(b).max(initial=0)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("row", MODULES, ids=lambda r: r.partition(" | ")[0].replace("nn.", ""))
def test_a_module_computes_as_pytorchs(row, training):
    ours, theirs, inputs = built(row)
    ours.train(training), theirs.train(training)
    for _ in range(2):                               # twice: running statistics move
        for module in (ours, theirs):
            module.zero_grad()
        a, b = run(ours, inputs, minitorch.tensor), run(theirs, inputs, torch.tensor)
    close(a[0], b[0])
    for g, h in zip(a[1], b[1]):
        close(g, h)
    assert a[2].keys() == b[2].keys()
    for name in a[2]:
        close(a[2][name], b[2][name])
    state = theirs.state_dict()
    assert list(state) == list(ours.state_dict())
    for name, t in ours.state_dict().items():
        close(t, state[name])


@pytest.mark.parametrize("row", MODULES, ids=lambda r: r.partition(" | ")[0].replace("nn.", ""))
def test_a_module_prints_as_pytorchs(row):
    ours, theirs, _ = built(row)
    assert repr(ours) == repr(theirs)


def test_pooling_indices_are_pytorchs():
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 7, 6)).astype("f4")           # full of ties
    for call in ("MaxPool2d(2, return_indices=True)", "MaxPool2d(3, 2, 1, ceil_mode=True, return_indices=True)",
                 "MaxPool2d(3, 1, 1, 2, True)", "AdaptiveMaxPool2d((3, 4), return_indices=True)"):
        mine, theirs = minitorch.tensor(x).requires_grad_(), torch.tensor(x, requires_grad=True)
        y, i = eval("nn." + call)(mine)
        z, j = eval("torch.nn." + call)(theirs)
        np.testing.assert_array_equal(i.numpy(), j.numpy())
        y.sum().backward()
        z.sum().backward()
        np.testing.assert_array_equal(mine.grad.numpy(), theirs.grad.numpy())


@pytest.mark.parametrize("call, pool, shape", [
    ("MaxUnpool1d(2)", "MaxPool1d(2, return_indices=True)", (2, 3, 8)), ("MaxUnpool2d(2)", "MaxPool2d(2, return_indices=True)", (2, 3, 4, 6)),
    ("MaxUnpool2d(3, 2, 1)", "MaxPool2d(3, 2, 1, return_indices=True)", (3, 7, 5)),
    ("MaxUnpool3d((1, 2, 2))", "MaxPool3d((1, 2, 2), return_indices=True)", (1, 2, 3, 4, 4))])
def test_pooling_undone_is_pytorchs(call, pool, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("f4")
    found = []
    for library in (minitorch, torch):
        t = library.tensor(x, requires_grad=True)
        m, p = eval("nn." + call, {"nn": library.nn}), eval("nn." + pool, {"nn": library.nn})
        y = m(*p(t), output_size=list(shape[-len(m.kernel_size):]))
        (y * y).sum().backward()
        found.append((repr(m), y, t.grad))
    assert found[0][0] == found[1][0]
    close(found[0][1], found[1][1])
    close(found[0][2], found[1][2])
    with pytest.raises(ValueError, match="invalid output_size"):
        nn.MaxUnpool2d(2)(minitorch.ones(1, 1, 2, 2), minitorch.zeros(1, 1, 2, 2).long(), output_size=(9, 9))
    with pytest.raises(RuntimeError, match="invalid max index"):
        nn.MaxUnpool2d(2)(minitorch.ones(1, 1, 2, 2), minitorch.ones(1, 1, 2, 2).long() * 99)


@pytest.mark.parametrize("cutoffs, bias", [([2, 5], False), ([4], True), ([1, 3, 6], True)])
def test_adaptive_softmax_is_pytorchs(cutoffs, bias):
    torch.manual_seed(0)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs, div_value=2.0, head_bias=bias)
    ours = nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs, div_value=2.0, head_bias=bias)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: minitorch.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    x, target = 3 * rng.normal(size=(7, 8)).astype("f4"), rng.integers(0, 10, 7)
    for library, m in ((minitorch, ours), (torch, theirs)):
        m(library.tensor(x), library.tensor(target)).loss.backward()
    close(ours(minitorch.tensor(x), minitorch.tensor(target)).output, theirs(torch.tensor(x), torch.tensor(target)).output)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)
    close(ours.log_prob(minitorch.tensor(x)), theirs.log_prob(torch.tensor(x)))
    close(ours.predict(minitorch.tensor(x)), theirs.predict(torch.tensor(x)))
    close(ours(minitorch.tensor(x[0]), minitorch.tensor(target[0])).loss, theirs(torch.tensor(x[0]), torch.tensor(target[0])).loss)
    for library, m in ((minitorch, ours), (torch, theirs)):
        for wrong in ([11] * 7, [0, 1], [[0]]):
            with pytest.raises(RuntimeError):
                m(library.tensor(x), library.tensor(wrong))
    for wrong in ([], [3, 2], [10], [0]):
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 10, wrong)


def test_gumbel_softmax_draws_from_the_distribution():
    minitorch.manual_seed(0)
    logits = minitorch.tensor([0.5, 1.5, -0.2], requires_grad=True)
    hard = nn.functional.gumbel_softmax(logits.expand(20000, 3), tau=0.5, hard=True)
    assert set(np.unique(np.round(hard.detach().numpy(), 5))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0).detach().numpy(), logits.softmax(0).detach().numpy(), atol=0.02)
    soft = nn.functional.gumbel_softmax(logits, tau=0.5)
    assert float(soft.sum()) == pytest.approx(1, abs=1e-5)
    hard[:, 0].sum().backward()
    assert bool((logits.grad != 0).all())


def test_clipping_gives_pytorchs_gradients():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s).astype("f4") for s in ((3, 4), (5,), ())]

    def clipped(library, norm):
        ps = [library.nn.Parameter(library.tensor(v * 0)) for v in values]
        for p, v in zip(ps, values):
            p.grad = library.tensor(v)
        total = library.nn.utils.clip_grad_norm_(ps, 1.5, norm)
        library.nn.utils.clip_grad_value_(ps, 0.4)
        return [total, *(p.grad for p in ps)]
    for norm in (2.0, 1.0, 3.0, float("inf")):
        for a, b in zip(clipped(minitorch, norm), clipped(torch, norm)):
            close(a, b)


@pytest.mark.parametrize("name, shape, args", [
    ("xavier_uniform_", (4, 6, 3), ()), ("kaiming_uniform_", (4, 6), (0.2, "fan_out")), ("uniform_", (50,), (-1.0, 3.0)),
    ("xavier_normal_", (40, 60), (2.0,)), ("kaiming_normal_", (40, 6, 3), (0, "fan_out", "relu")), ("normal_", (50, 40), (1.0, 2.0)),
    ("trunc_normal_", (2000,), (0.5, 2.0, -1.0, 2.0)), ("constant_", (3,), (2.5,)), ("ones_", (3,), ()), ("zeros_", (3,), ()),
    ("eye_", (3, 5), ()), ("dirac_", (4, 2, 3), (2,)), ("dirac_", (4, 5, 3, 3), ()), ("orthogonal_", (30, 5, 4), (2.0,)),
    ("orthogonal_", (5, 30), ()), ("sparse_", (20, 30), (0.3,))])
def test_an_initialisation_has_pytorchs_statistics(name, shape, args):
    minitorch.manual_seed(0)
    torch.manual_seed(0)
    a = numbers(getattr(nn.init, name)(minitorch.empty(shape), *args)).astype("f8")
    b = numbers(getattr(torch.nn.init, name)(torch.empty(shape), *args)).astype("f8")
    spread = 8 / np.sqrt(a.size)
    assert abs(a.std() - b.std()) <= spread * b.std() + 1e-6 and abs(a.mean() - b.mean()) <= spread * b.std() + 1e-6
    assert (a == 0).mean() == (b == 0).mean()
    if name == "orthogonal_":
        m = a.reshape(len(a), -1)
        gram = m @ m.T if len(m) < m.shape[1] else m.T @ m
        np.testing.assert_allclose(gram, np.eye(len(gram)) * (args[0] if args else 1) ** 2, atol=1e-5)
    if name in ("eye_", "dirac_", "constant_", "ones_", "zeros_"):
        np.testing.assert_array_equal(a, b)
