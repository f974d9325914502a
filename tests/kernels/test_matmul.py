"""Which kernel a product runs on, what it reads in place, and what it refuses; that products are right is proven in test_proofs.py."""
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import matmul
from minitorch.kernels.matmul import VERSIONS
from minitorch.kernels.product import product


def zeros(*shape, dtype="f4"):
    return np.zeros(shape, dtype)


def launched(*args, **kw):
    """The names of the kernels that a product launches."""
    with kernels.launches(run=False) as trace:
        matmul(*args, **kw)
    return trace.names


@pytest.mark.parametrize("a, b, names", [
    (zeros(300, 64), zeros(64, 300), ["matmul_warp"]),
    (zeros(300, 63), zeros(63, 300), ["matmul_register"]),                       # rows of 63 numbers are no whole vectors
    (zeros(300, 65)[:, 1:], zeros(64, 300), ["matmul_warp"]),                    # a copy of a view with gaps is aligned
    (zeros(20, 20), zeros(20, 20), ["matmul_register"]),
    (zeros(8, 8, dtype="f2"), zeros(8, 8, dtype="f2"), ["matmul_sm80"]),
    (zeros(300, 64, dtype="f2"), zeros(64, 304, dtype="f2"), ["matmul_sm90"]),
    (zeros(300, 63, dtype="f2"), zeros(63, 304, dtype="f2"), ["matmul_sm80"]),
    (zeros(300, 64, dtype="f2"), zeros(304, 64, dtype="f2").T, ["matmul_sm90"]),
    (zeros(300, 0, dtype="f2"), zeros(0, 304, dtype="f2"), ["matmul_sm80"]),
    (zeros(8, 1024), zeros(1024, 8), ["matmul_register", "matmul_sum"]),         # k split among idle multiprocessors
    (zeros(0, 4), zeros(4, 3), []),
])
def test_the_version_follows_from_dtype_size_and_alignment(a, b, names):
    assert launched(a, b) == names


def test_a_version_can_be_asked_for():
    a, b = zeros(8, 1024), zeros(1024, 8)
    for version, (dtypes, _) in VERSIONS.items():
        dtype = dtypes.split()[0]
        assert launched(a.astype(dtype), b.astype(dtype), version=version) == [f"matmul_{version}"]
    assert [name for name, *_ in kernels.ladder()] == list(VERSIONS)


@pytest.mark.parametrize("a, b", [
    (zeros(4, 3).T, zeros(5, 4).T), (zeros(2, 3, 4), zeros(4, 5)), (zeros(3, 4), zeros(2, 5, 4).swapaxes(1, 2)),
    (zeros(2, 5, 3, 4).transpose(0, 2, 1, 3), zeros(2, 6, 3, 4).transpose(0, 2, 3, 1)), (zeros(2, 1, 5, 4), zeros(3, 4, 6)),
])
def test_transposed_permuted_and_broadcast_operands_are_not_copied(a, b):
    p, _ = product(a, b)
    assert np.shares_memory(p.a, a) and np.shares_memory(p.b, b)


def test_one_matrix_for_a_batch_makes_one_product():
    p, shape = product(zeros(2, 3, 5, 4), zeros(4, 6))
    assert (p.M, p.batches, shape) == (30, 1, (2, 3, 5, 6))


@pytest.mark.parametrize("message, args, options", [
    (r"matmul: \(3, 4\) @ \(5, 6\): inner sizes 4 and 5 differ", (zeros(3, 4), zeros(5, 6)), {}),
    (r"matmul: \(4,\) @ \(5,\): inner sizes 4 and 5 differ", (zeros(4), zeros(5)), {}),
    (r"batches \(2,\) and \(3,\) do not broadcast", (zeros(2, 3, 4), zeros(3, 4, 5)), {}),
    (r"operands need at least one axis", (zeros(), zeros(4, 5)), {}),
    (r"bias must have shape \(5,\), not \(4,\)", (zeros(3, 4), zeros(4, 5), zeros(4)), {}),
    (r"activation must be None or one of .*, not 'elu'", (zeros(3, 4), zeros(4, 5)), dict(activation="elu")),
    (r"version must be one of naive, .*, not 'sm70'", (zeros(3, 4), zeros(4, 5)), dict(version="sm70")),
    (r"version 'warp' wants .* whole vectors", (zeros(3, 5), zeros(5, 4)), dict(version="warp")),
    (r"version 'sm90' wants .* whole vectors", (zeros(8, 8, dtype="f2"), zeros(8, 9, dtype="f2")), dict(version="sm90")),
])
def test_shapes_and_options_that_do_not_fit_are_named(message, args, options):
    with pytest.raises(ValueError, match=message):
        matmul(*args, **options)


def test_dtypes_must_agree_and_suit_the_version():
    with pytest.raises(TypeError, match="a is float32, b float64"):
        matmul(zeros(3, 4), zeros(4, 5, dtype="f8"))
    with pytest.raises(TypeError, match="not int32"):
        matmul(zeros(3, 4, dtype="i4"), zeros(4, 5, dtype="i4"))
    with pytest.raises(TypeError, match="version 'naive' computes in float32, float64, not float16"):
        matmul(zeros(3, 4, dtype="f2"), zeros(4, 5, dtype="f2"), version="naive")
