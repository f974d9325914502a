"""What autocast does to a call: which ops compute in 16 bits and which in float32, and how their tensors are cast to it.

RULES names, as PyTorch's lists do, the ops whose tensors are cast before the call; what is made of them (mm, cat) needs no rule.
The casts are ordinary recorded steps, so that gradients come back in the dtype of the leaves.  What computes inside such an op is
left alone, and so are calls on arrays, with `out=` and in place.

While no thread is within autocast no call passes here: only then has an op with a rule its `general` replaced, and do float32
operands of a matrix product go that way.  Functions written with ops look at `casting` first.
"""
import functools
import threading

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from . import call
from .engine import Leaf
from .mode import mode

LOWER, WIDE, PROMOTE, KEEP, REFUSE = "lower", "wide", "promote", "keep", "refuse"
# LOWER casts to autocast's dtype, WIDE 16-bit floats to float32, PROMOTE to float32 where tensors differ; KEEP leaves the ops inside alone,
# REFUSE raises.  float64 is never cast.

PRODUCTS = """addbmm addmm baddbmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linalg.vecdot linear matmul
              prelu scaled_dot_product_attention"""
LOSSES = """binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss kl_div margin_ranking_loss
            multi_margin_loss multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss"""
LISTS = {
    "cpu": {
        LOWER: PRODUCTS + " tensordot",
        WIDE: LOSSES + """ adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy cdist cholesky cholesky_inverse
            cholesky_solve ctc_loss fractional_max_pool2d fractional_max_pool3d grid_sample huber_loss inverse linalg.cond linalg.eigh
            linalg.eigvalsh linalg.inv linalg.lstsq linalg.matrix_rank linalg.qr linalg.solve linalg.svd linalg.svdvals
            lp_pool3d max_unpool1d max_unpool2d max_unpool3d nanquantile pinverse prod quantile trace""",
        PROMOTE: "gru_gates index_copy joined lstm_gates stacked",
        KEEP: "addmv bilinear dot matrix_exp mv vdot",
    },
    "cuda": {
        LOWER: PRODUCTS + " addmv addr chain_matmul gru_cell linalg.multi_dot lstm_cell mv rnn_relu_cell rnn_tanh_cell",
        WIDE: LOSSES + """ acos asin cdist cosh cosine_similarity cumprod cumsum dist erfinv exp expm1 group_norm layer_norm linalg.norm
            linalg.vector_norm log log10 log1p log2 log_softmax norm normalize pdist power prod reciprocal renorm rsqrt sinh softmax
            softmin softplus sum tan""",
        PROMOTE: "addcdiv addcmul atan2 bilinear cross dot grid_sample gru_gates index_put joined lstm_gates scatter_add stacked tensordot vdot",
        REFUSE: "binary_cross_entropy",
    },
}
RULES: dict = {}                                     # the name of an op -> {device: rule}
for _device, _lists in LISTS.items():
    for _rule, _names in _lists.items():
        for _name in _names.split():
            RULES.setdefault(_name, {})[_device] = _rule


def when(condition, rule, otherwise=None):
    """A rule that depends on the call: condition(*args, **kw)."""
    return lambda *args, **kw: rule if condition(*args, **kw) else otherwise


def sums(a, b, /, left, right, result):
    """Whether a contraction is a matrix product rather than products alone."""
    return not set(left + right) <= set(result)


def unprojected(*args):
    """Whether an LSTM's states (h, c) are of one size."""
    h, c = args[1 if isinstance(args[3], bool) else 2]
    return h.shape == c.shape


unweighted = when(lambda *args, weight=None, **kw: weight is None, WIDE)
RULES["l1_loss"] = RULES["mse_loss"] = {"cpu": unweighted, "cuda": unweighted}
RULES["contract"] = dict.fromkeys(("cpu", "cuda"), when(sums, LOWER, PROMOTE))
RULES["lstm"] = dict.fromkeys(("cpu", "cuda"), when(unprojected, LOWER))
RULES["inner"] = {"cpu": when(lambda input, other: input.ndim == other.ndim == 1, KEEP)}
RULES["pad"] = {"cpu": when(lambda input, pad, mode="constant", value=None: mode == "replicate" or mode == "reflect" and len(pad) < 6, WIDE)}
RULES["local_response_norm"] = {"cpu": when(lambda input, *args, **kw: input.ndim > 3, WIDE)}
RULES["max_pool3d"] = {"cpu": when(lambda *args, return_indices=False, **kw: not return_indices, WIDE)}

OFF = {"cpu": False, "cuda": False}


class Settings(threading.local):
    """This thread's autocast."""

    def __init__(self):
        self.enabled = OFF                           # device -> whether it is on
        self.dtype = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}        # device -> what LOWER casts to
        self.caching = True                          # a parameter is cast once, until the outermost block ends
        self.cache = {}                              # id of a leaf -> (leaf, its array, its count of writes, grad mode, its cast)
        self.depth = 0                               # blocks entered


settings = Settings()
casting = []                                         # one entry for each thread that is within autocast
lock = threading.Lock()
OPS = []                                             # the ops that have a rule


def switch(device, enabled, dtype):
    """Set this thread's autocast for a device."""
    before = is_on()
    settings.enabled = {**settings.enabled, device: bool(enabled)}
    settings.dtype = {**settings.dtype, device: dtype}
    after = is_on()
    with lock:
        if after and not before:
            casting.append(None)
        elif before and not after:
            casting.pop()
        for op in OPS:
            route(op)


def enter(op):
    """Take an op that has a rule into account."""
    with lock:                                       # files of ops are read at any time, in any thread
        OPS.append(op)
        route(op)


def route(op):
    """Calls of `op` pass by here, or not."""
    op.general = general if casting else call.general
    if op.take_single is not None:
        op.take_single(not casting)


def general(op, args, kw):
    """call.general, for an op that has a rule."""
    rule, device = rule_for(op.rule, args, kw)
    if rule is None:
        return call.general(op, args, kw)
    return call.general(op, *cast(op.name, rule, device, args, kw))


def guarded(f, rules):
    """`f`, a function written with ops, under its rules."""
    @functools.wraps(f)
    def guard(*args, **kw):
        if not casting:
            return f(*args, **kw)
        rule, device = rule_for(rules, args, kw)
        if rule is None or kw.get("out") is not None:
            return f(*args, **kw)
        args, kw = cast(f.__name__, rule, device, args, kw)
        return alone(f)(*args, **kw)
    return guard


def alone(f):
    """`f`, without autocast while it runs."""
    @functools.wraps(f)
    def run(*args, **kw):
        before, settings.enabled = settings.enabled, OFF
        try:
            return f(*args, **kw)
        finally:
            settings.enabled = before
    return run


def rule_for(rules, args, kw):
    """(the rule for a call by the device of its first tensor, or None; that device)."""
    if settings.enabled is OFF:
        return None, None
    first = next(tensors((args, tuple(kw.values()))), None)
    if first is None:
        return None, None
    device = device_of(first)
    rule = rules.get(device) if settings.enabled[device] else None
    return rule(*args, **kw) if callable(rule) else rule, device


def is_on():
    """Whether this thread is within autocast, for any device: dtypes that differ are then no mistake."""
    return settings.enabled is not OFF and any(settings.enabled.values())


def device_of(t):
    return "cpu" if type(t.array) is np.ndarray else "cuda"


def tensors(x):
    """The tensors in arguments, those in lists and tuples too."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from tensors(item)


def cast(name, rule, device, args, kw):
    """The arguments of a call with their tensors cast."""
    if rule == REFUSE:
        raise RuntimeError(f"{name} is unsafe to autocast: in 16 bits its logarithms overflow. Leave out the sigmoid before it and use "
                           "binary_cross_entropy_with_logits, which is safe; or call it in float32 within autocast(enabled=False).")
    if rule == KEEP:
        return args, kw
    target = settings.dtype[device].numpy if rule == LOWER else dtypes.F32

    def eligible(t):
        return dtypes.is_float(t.array.dtype) and t.array.dtype != dtypes.F64 and device_of(t) == device

    if rule == PROMOTE and not any([t.array.dtype == target for t in tensors((args, tuple(kw.values()))) if eligible(t)]):
        return args, kw

    def changed(x):
        if isinstance(x, Tensor):
            return in_dtype(x, target) if eligible(x) and x.array.dtype != target else x
        if isinstance(x, (list, tuple)) and next(tensors(x), None) is not None:
            return type(x)(*map(changed, x)) if hasattr(x, "_fields") else type(x)(map(changed, x))
        return x
    return tuple(map(changed, args)), {k: changed(v) for k, v in kw.items()}


def in_dtype(t, dtype):
    """`t` in another dtype; a float32 parameter is cast to 16 bits once, until it is written to or the outermost block ends."""
    leaf = settings.caching and t.array.dtype is dtypes.F32 and type(t.node) is Leaf and t.cut is None
    state = (t, t.array, t.counter[0], mode.grad) if leaf else None
    if leaf:
        found = settings.cache.get(id(t))
        if found is not None and found[0] is t and found[1] is t.array and found[2:4] == state[2:] and found[4].array.dtype == dtype:
            return found[4]
    y = t.to(dtypes.of(dtype))
    if leaf:
        settings.cache[id(t)] = (*state, y)
    return y


def current():
    """What `restored` needs to bring this thread's autocast back."""
    return [(device, settings.enabled[device], settings.dtype[device]) for device in OFF]


class restored:
    """Within this block autocast is as it was when current() was asked."""

    def __init__(self, wanted):
        self.wanted = wanted

    def __enter__(self):
        self.before = current()
        for each in self.wanted:
            switch(*each)

    def __exit__(self, *error):
        for each in self.before:
            switch(*each)
