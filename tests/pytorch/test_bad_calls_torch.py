"""Every operator called wrongly in every way of bad_calls.py: what PyTorch refuses is refused with the same class, the rest computed.

About ten thousand calls.  An option of a wrong kind (1.5 for a number of groups) is PyTorch's TypeError, from its signatures; ours may
be a ValueError or RuntimeError of the place that could not use it, or no error.  For what is no tensor, PyTorch raises TypeError or,
where its function is written in Python, AttributeError; both count as one.
"""
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from agree import close, flat, is_missing, names_changed, same_kind  # noqa: E402
from bad_calls import spoiled  # noqa: E402
from calls import drawn, found  # noqa: E402
from table import results, walk_arrays  # noqa: E402
from test_calls import CALLS, RANDOM, calls_of  # noqa: E402

import minitorch  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own
KINDS = {TypeError, AttributeError}

# Differences that stay: the operators and what is wrong in the call, by the reason.
REASONS = {
    "a matter of taste: PyTorch counts the axes first, or the sizes":
        """avg_pool2d|0: an axis less  bilinear|[23]: an axis less  unfold|0: an axis less  batch_norm|0: an axis less  kthvalue|0: nothing
           addbmm|[12]: an axis less  addmv|[12]: one longer  addmv|2: nothing  baddbmm|[12]: an axis less  unflatten|0: an axis less
           scatter_add|3: an axis less  index_add|[03]: an axis less  multi_margin_loss|weight: an axis  ctc_loss|1: one longer""",
    "an index beyond a tensor without entries is an IndexError here, as beyond any other":
        "embedding|1: nothing  index_select|0: nothing  index_copy|0: nothing  index_fill|0: nothing",
    "PyTorch asks for one dtype where ours promotes":
        """batch_norm|[012]: of  multi_margin_loss|(0|weight): of  cross|[01]: of  l1_loss|[01]: of bool
           huber_loss|[01]: of  binary_cross_entropy_with_logits|1: of  soft_margin_loss|0: of""",
    "PyTorch asks nothing of dtypes where there is nothing to compute, or of a bias": "bmm|[01]: of  conv_transpose1d|2: of",
    "PyTorch reads beyond the memory, or takes fractions for labels": "ctc_loss|1: (too large|negative|of float64|of bool)",
    "out of range is refused: see README": "take_along_dim|1: (too large|negative)",
    "empty or odd shapes that PyTorch lets pass, or not, by accident":
        """adaptive_avg_pool[12]d|0: nothing  adaptive_avg_pool2d|0: an axis more  bilinear|2: nothing  addmv|1: nothing
           scaled_dot_product_attention|2: nothing  pixel_unshuffle|0: nothing  instance_norm|0: nothing  dropout2d|0: an axis less
           multilabel_soft_margin_loss|(0: an axis less|1: an axis more)  scatter|2: an axis less  ctc_loss|1: an axis less
           unfold|(1|stride): one fewer""",
    "PyTorch's TypeErrors of Python code, ours of the argument":
        """einsum|nothing at all  einsum|one argument more  tensordot|2:  normalize|1: 'a'  norm|1: 'a'  poisson_nll_loss|reduction
           ctc_loss|[23]: a list""",
    "flags are what is true": "avg_pool2d|one argument more  max_pool2d|one argument more  triplet_margin_loss|one argument more",
    "another argument is looked at first": "scaled_dot_product_attention|one argument more",
    "one function here, of torch and of nn.functional, where `dim` may be left out": "softmax|the last  log_softmax|the last",
    "which of equal entries is found is left open": "kthvalue|0: of int64  topk|0: of int64",
    "nobody sorted the boundaries": "bucketize|1: one longer",
    "booleans have an order": "topk|0: of bool",
}
DIFFERENT = [key.partition("|")[::2] for keys in REASONS.values() for key in re.split(r"\s\s+", keys.strip())]


def outcome(name, args, params, lib):
    """The results, or the error."""
    args, params = names_changed(walk_arrays((args, params), lambda a: lib.tensor(np.asarray(a))), lib)
    try:
        return (flat if lib is torch else results)(found(name, lib)(*args, **params))
    except Exception as error:
        return error


def is_known(name, what):
    return any(re.fullmatch(r"(nn\.functional\.)?" + names, name) and re.match(mistakes, what) for names, mistakes in DIFFERENT)


def of_an_option(args, params, what):
    """Whether it is an option that is wrong, not a tensor."""
    place = re.match(r"(\w+)(\[0\])?: ", what)
    if place is None:
        return False
    value = params[place[1]] if place[1] in params else args[int(place[1])]
    return not (isinstance(value, np.ndarray) or isinstance(value, (list, tuple)) and value and isinstance(value[0], np.ndarray))


def disagreement(name, ours, theirs, option):
    """What differs, None where nothing does."""
    if isinstance(theirs, Exception):
        if isinstance(theirs, TypeError) and option:
            return None
        if not isinstance(ours, Exception):
            return None if is_missing(theirs) else f"PyTorch raises {theirs!r}, ours computes"
        alike = same_kind(ours, theirs) or {type(ours), type(theirs)} == KINDS
        return None if alike else f"PyTorch raises {theirs!r}, ours {ours!r}"
    if isinstance(ours, Exception):
        return f"PyTorch computes, ours raises {ours!r}"
    if [(tuple(y.shape), y.dtype.name) for y in ours] != [(tuple(z.shape), str(z.dtype).removeprefix("torch.")) for z in theirs]:
        return f"PyTorch gives {theirs}, ours {ours}"
    try:
        for y, z in zip(ours, theirs) if name not in RANDOM else ():
            close(y, z, 1e-4)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", [n for n in dict.fromkeys(n for n, _ in CALLS) if not n.startswith("__r")])
def test_refused_as_in_pytorch(name):
    wrong, refused = [], 0
    for text in calls_of(name)[:2]:
        right = drawn(text)
        for what, args, params in spoiled(*right):
            if is_known(name, what):                 # PyTorch is not asked: some of these read beyond its memory
                continue
            theirs = outcome(name, args, params, torch)
            refused += isinstance(theirs, Exception)
            difference = disagreement(name, outcome(name, args, params, minitorch), theirs, of_an_option(*right, what))
            if difference:
                wrong.append(f"({text}), {what}: {difference}")
    assert refused, "nothing here is refused: it says nothing of errors"
    assert not wrong, "\n".join([f"{len(wrong)} differ", *wrong])
