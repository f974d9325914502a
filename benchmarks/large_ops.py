"""What benchmarks/ops.py times: single ops on large arrays, forward and backward, for minitorch and PyTorch alike.

    step = make("x.softmax(1)", T)       # T: minitorch or torch; a function that calls the op and sends a gradient back

An op is called what it computes, on x, y (normal), p (positive), u (within -0.9 to 0.9), d (all different in a row), image, indices i and j.
Most arrays are 2048 x 2048 or 32 x 64 x 32 x 64 in float32, 16 MiB.  What has no gradient is timed forward.
"""
import functools

import numpy as np
from workloads import Inputs

N = 2048
FAMILIES = {name: [op.strip() for op in ops.split(";")] for name, ops in {
    "arithmetic":
        "x + y; x - y; x * y; x / p; x + row; x * column; row + column; x * 2; -x; 1 / p; x.lerp(y, 0.3); x.addcmul(y, p); "
        "T.outer(row, row)",
    "powers":
        "x.square(); x ** 3; p ** 0.5; p ** y; p.sqrt(); p.rsqrt()",
    "exponentials, angles":
        "x.exp(); p.log(); p.log1p(); x.expm1(); x.sin(); x.cos(); x.tanh(); x.sigmoid(); x.erf(); u.asin(); x.atan(); u.atanh()",
    "choices, rounding":
        "x.abs(); x.sign(); x.floor(); x.round(); x.clamp(-1, 1); x.clamp(min=0); T.maximum(x, y); T.where(mask, x, y); "
        "x.masked_fill(mask, 0.0); x < y; x == y; x.isnan()",
    "activations":
        "F.relu(x); F.leaky_relu(x); F.prelu(x, row); F.elu(x); F.selu(x); F.silu(x); F.mish(x); F.gelu(x); F.softplus(x); "
        "F.hardswish(x); F.logsigmoid(x); x.softmax(1); x.softmax(0); x.log_softmax(1)",
    "losses":
        "F.mse_loss(x, y); F.l1_loss(x, y); F.smooth_l1_loss(x, y); F.kl_div(x, p.detach(), reduction='batchmean'); "
        "F.binary_cross_entropy_with_logits(x, ones); F.nll_loss(x, i); F.cosine_similarity(x, y); "
        "T.cdist(x[:500, :64], y[:500, :64])",
    "reductions":
        "x.sum(); x.sum(1); x.sum(0); x.mean(); x.mean(0); x.var(); x.var(0); x.std(1); x.norm(); x.norm(dim=1); x.max(); "
        "x.max(1)[0]; x.max(0)[0]; x.amax(1); x.argmax(1); x.argmax(0); x.prod(1); x.logsumexp(1); x.logsumexp(0); mask.any(1); "
        "x @ row; T.einsum('ij,ij->i', x, y)",
    "scans, sorting":
        "x.cumsum(1); x.cumsum(0); x.cumprod(1); d.sort(1)[0]; d.topk(10, 1)[0]; d.median(1)[0]; T.unique(j); "
        "T.bincount(j.view(-1)); mask.nonzero(); T.searchsorted(row.detach().sort()[0], x.detach()); T.histc(x.detach())",
    "copies, shapes":
        "x.clone(); x.t().contiguous(); T.cat([x, y], 0); image.transpose(1, 2).contiguous(); "
        "image.permute(0, 2, 3, 1).contiguous(); T.cat([x, y], 1); T.stack([x, y], 1); F.pad(x, (1, 1, 1, 1)); x.flip(1); "
        "x.roll(3, 1); x.tril(); row.repeat(N, 1); x[:, ::2].contiguous(); x.double(); x.to(T.bfloat16); T.zeros(N, N); "
        "T.arange(N * N); F.pixel_shuffle(image, 2)",
    "indexing":
        "x[i]; x[mask]; x.index_select(0, i); x.gather(1, j); T.take_along_dim(x, j, 1); x.scatter_add(1, j, y); "
        "x.index_add(0, i, y)",
    "norms":
        "F.layer_norm(x, (N,)); F.rms_norm(x, (N,)); F.group_norm(image, 8); F.instance_norm(image); "
        "F.batch_norm(image, None, None, training=True); F.normalize(x)",
    "images":
        "F.max_pool2d(image, 2); F.avg_pool2d(image, 2); F.adaptive_avg_pool2d(image, 1); F.interpolate(image, scale_factor=2.0); "
        "F.interpolate(image, scale_factor=2.0, mode='bilinear'); F.unfold(image, 3)",
    "in place":
        "kept.add_(ones); kept.mul_(0.999); kept.copy_(ones); kept.fill_(1.0); kept.relu_()",
}.items()}
OPS = [op for family in FAMILIES.values() for op in family]
RECIPES = {                                          # how the inputs are drawn
    "x": lambda draw: draw.normal(N, N), "y": lambda draw: draw.normal(N, N), "p": lambda draw: abs(draw.normal(N, N)) + 0.1,
    "u": lambda draw: draw.rng.random((N, N), "f4") * 1.8 - 0.9, "row": lambda draw: draw.normal(N), "column": lambda draw: draw.normal(N, 1),
    "image": lambda draw: draw.normal(32, 64, 32, 64), "mask": lambda draw: draw.rng.random((N, N)) < 0.5,
    "i": lambda draw: draw.classes(N, high=N), "j": lambda draw: draw.classes(N, N, high=N), "kept": lambda draw: draw.normal(N, N),
    "d": lambda draw: draw.rng.permuted(np.tile(np.arange(N, dtype="f4"), (N, 1)), axis=1),
    "ones": lambda draw: (draw.rng.random((N, N)) < 0.5).astype("f4"),
}
LEAVES = ("x", "y", "p", "u", "d", "row", "column", "image")


class Names(dict):
    """What the expressions name: the library, its functional, and inputs that are drawn when they are first asked for."""

    def __init__(self, T):
        super().__init__(T=T, F=T.nn.functional, N=N, abs=abs)

    def __missing__(self, name):
        drawn = self["T"].from_numpy(RECIPES[name](Inputs(self["T"], list(RECIPES).index(name)).draw))
        self[name] = drawn.requires_grad_() if name in LEAVES else drawn
        return self[name]


names = functools.cache(Names)                       # one for each library


def make(op, T):
    """A step of an op: its value and, where it has one, the gradients of what it was given."""
    values, code = names(T), compile(op, op, "eval")
    values.pop("kept", None)                         # what is written in place begins anew
    y = eval(code, {}, values)
    g = Inputs(T, 99).normal(*y.shape, grad=False).to(y.dtype) if y.requires_grad else None

    def step():
        leaves = [values[name] for name in LEAVES if name in values]
        for x in leaves:
            x.grad = None
        y = eval(code, {}, values)
        if g is None:
            return [y]
        y.backward(g)
        return [y.detach(), *[x.grad for x in leaves if x.grad is not None]]
    return step
