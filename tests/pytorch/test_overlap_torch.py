"""Writes to tensors that share their memory with what is read, or show a number several times: refused where PyTorch refuses them."""
import itertools

import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")

VIEWS = {
    "all": lambda x: x, "rows": lambda x: x[:2], "later rows": lambda x: x[1:], "row": lambda x: x[0], "column": lambda x: x[:, 0],
    "columns": lambda x: x[:, 1:], "transposed": lambda x: x.t(), "again": lambda x: x[:], "diagonal": lambda x: x.diagonal(),
    "one": lambda x: x[1:2, 1], "number": lambda x: x[2, 2], "nothing": lambda x: x[:0], "flat": lambda x: x.reshape(-1)[3:6],
    "repeated rows": lambda x: x[0].expand(3, 3), "repeated number": lambda x: x[0, :1].expand(3),
}
WRITES = {
    "copy_": lambda lib, a, b: a.copy_(b), "add_": lambda lib, a, b: a.add_(b), "mul_": lambda lib, a, b: a.mul_(b),
    "sub_(alpha)": lambda lib, a, b: a.sub_(b.clone(), alpha=2), "clamp_": lambda lib, a, b: a.clamp_(min=b),
    "lerp_": lambda lib, a, b: a.lerp_(b, 0.5), "addcmul_": lambda lib, a, b: a.addcmul_(b, b),
    "a[:] = b": lambda lib, a, b: a.__setitem__(slice(None) if a.ndim else ..., b), "a[:] = 1": lambda lib, a, b: a.__setitem__(..., 1.0),
    "exp_": lambda lib, a, b: a.exp_(), "fill_": lambda lib, a, b: a.fill_(b[..., 0] if b.ndim == 1 and len(b) else 2.0),
    "zero_": lambda lib, a, b: a.zero_(), "unsqueeze_": lambda lib, a, b: a.unsqueeze_(0), "squeeze_": lambda lib, a, b: a.squeeze_(),
}
OUT = {
    "exp": lambda lib, a, b: lib.exp(b, out=a), "add": lambda lib, a, b: lib.add(b, 1, out=a), "sub itself": lambda lib, a, b: lib.sub(a, b, out=a),
    "maximum": lambda lib, a, b: lib.maximum(b, b, out=a), "where": lambda lib, a, b: lib.where(b > 0, b, b, out=a),
    "pow": lambda lib, a, b: lib.pow(b, 2, out=a), "div": lambda lib, a, b: lib.div(b, b, out=a),
    "sum of columns": lambda lib, a, b: lib.sum(b, 0, out=a) if b.ndim == 2 and a.shape == b.shape[1:] and a.is_contiguous() else None,
}
# PyTorch takes a write of the same numbers to their own place for none, before it looks at them.
NO_WRITE = {("repeated rows", "repeated rows"), ("repeated number", "repeated number"), ("repeated rows", "row")}


def after(lib, write, first, second, recorded):
    """What the memory holds after the write, or the kind of error."""
    x = lib.arange(1, 10, dtype=lib.float64)
    x = (x.requires_grad_() * 1 if recorded else x).reshape(3, 3)
    try:
        a, b = VIEWS[first](x), VIEWS[second](x)
        write(lib, a, b)
    except RuntimeError:
        return RuntimeError
    return x.detach().numpy()


def places(name):
    """The places of the memory that a view shows, in order."""
    return VIEWS[name](torch.arange(9).reshape(3, 3)).reshape(-1).tolist()


def compare(write, first, second, recorded):
    ours, theirs = (after(lib, write, first, second, recorded) for lib in (minitorch, torch))
    assert (ours is RuntimeError) == (theirs is RuntimeError), f"{first}, {second}, recorded {recorded}: {ours}, PyTorch {theirs}"
    here, there = places(first), places(second)
    grown = write in OUT.values() and VIEWS[first](torch.ones(3, 3)).shape != VIEWS[second](torch.ones(3, 3)).shape   # in other memory, here
    if ours is not RuntimeError and not grown and (here == there or not set(here) & set(there)):     # else PyTorch reads some of what it wrote
        np.testing.assert_allclose(ours, theirs, err_msg=f"{first}, {second}")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("write", WRITES)
def test_writes_in_place(write):
    for recorded in (False, True):
        for first, second in itertools.product(VIEWS, VIEWS):
            if write not in ("copy_", "a[:] = b") or (first, second) not in NO_WRITE:
                compare(WRITES[write], first, second, recorded)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")           # PyTorch's, of a change of size
@pytest.mark.parametrize("write", OUT)
def test_results_written_to_out(write):
    for first, second in itertools.product(VIEWS, VIEWS):
        compare(OUT[write], first, second, False)


def test_shifted_numbers_are_not_copied_onto_themselves():
    for lib in minitorch, torch:
        x = lib.arange(6.0)
        with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor refer to a single memory location"):
            x[1:].copy_(x[:-1])
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory location"):
            x[:1].expand(4).add_(1)
        assert x.tolist() == [0, 1, 2, 3, 4, 5]
