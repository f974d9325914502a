"""What attention on the kernels takes and refuses, beyond the cases of kernels/attention.py; and its random numbers."""
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import attention, attention_backward, attention_forward
from minitorch.kernels.attention import choose
from minitorch.kernels.attention_reference import dropout_reference, forward_reference
from minitorch.kernels.philox import philox


def arrays(*shapes, dtype="f4"):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def test_philox_gives_the_published_numbers():
    """The known answers of Random123 (Salmon et al. 2011)."""
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert [int(x) for x in philox((0, 0, 0, 0), 0)] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert [int(x) for x in philox((0xFFFFFFFF,) * 4, 2**64 - 1)] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert [int(x) for x in philox(pi, 0x299F31D0A4093822)] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def test_dropout_drops_what_it_should_and_other_seeds_drop_others():
    kept = dropout_reference(1, 0.3, 4, 100, 100) > 0
    assert abs(kept.mean() - 0.7) < 0.01
    assert abs((kept == (dropout_reference(2, 0.3, 4, 100, 100) > 0)).mean() - 0.58) < 0.01


def test_versions_drop_the_same_entries():
    q, k, v = arrays((1, 2, 20, 16), (1, 1, 40, 16), (1, 1, 40, 16), dtype="f2")
    options = dict(dropout=0.5, seed=9, causal=True)
    expected = attention(q.astype("f4"), k.astype("f4"), v.astype("f4"), **options)
    all_seen = np.ones((20, 40), bool)
    for version in ("sm80", "sm90"):
        assert np.abs(attention(q, k, v, all_seen, version=version, **options) - expected).max() < 5e-3


def test_what_is_repeated_in_a_mask_or_lies_apart_in_memory_is_read_where_it_is_or_copied():
    q, k, v = arrays((2, 9, 2, 16), (2, 2, 7, 16), (2, 2, 7, 32))
    q, v = q.swapaxes(1, 2), v[..., ::2]
    mask = np.broadcast_to(arrays((9, 7))[0][:, None, :], (9, 2, 7)).swapaxes(0, 1)
    expected, _ = forward_reference(*(x.astype("f8") for x in (q, k, v, mask)))
    assert np.abs(attention(q, k, v, mask) - expected).max() < 1e-5


def test_a_position_that_sees_nothing_gets_zeros_and_gives_no_gradient():
    g, q, k, v = arrays((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 6, 8), (1, 1, 6, 8))
    mask = np.zeros((5, 6), bool)
    o, lse = attention_forward(q, k, v, mask)
    assert not o.any() and np.isneginf(lse).all()
    assert not any(d.any() for d in attention_backward(g, q, k, v, o, lse, mask))


def test_the_best_version_that_applies_runs():
    single, half = arrays((1, 1, 2, 8)), arrays((1, 1, 2, 8), dtype="f2")
    assert choose(single[0], None) == "teaching"
    assert choose(half[0], None) == "sm80"
    assert choose(arrays((1, 1, 2, 7), dtype="f2")[0], None) == "teaching"
    with kernels.launches() as launched:
        attention(*arrays((1, 1, 2, 7), (1, 1, 2, 7), (1, 1, 2, 7), dtype="f2"))
    assert len(launched) == 1


@pytest.mark.parametrize("shapes, options, message", [
    (((2, 3, 4), (2, 3, 4), (2, 3, 4)), {}, "must be \\(batch, heads, length, size\\)"),
    (((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 6, 4)), {}, "k and v must have one shape"),
    (((1, 2, 3, 4), (1, 2, 5, 6), (1, 2, 5, 6)), {}, "batches and sizes of a head must be the same"),
    (((1, 3, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4)), {}, "heads of k and v must divide those of q"),
    (((1, 1, 3, 136), (1, 1, 5, 136), (1, 1, 5, 136)), {}, "the size of a head must be 1 to 128"),
    (((1, 1, 3, 4), (1, 1, 5, 4), (1, 1, 5, 4)), {"dropout": 1.0}, "dropout must be at least 0 and less than 1"),
    (((1, 1, 3, 4), (1, 1, 5, 4), (1, 1, 5, 4)), {"mask": np.ones((3, 4), bool)}, "a mask of shape \\(3, 4\\) does not broadcast"),
    (((1, 1, 3, 4), (1, 1, 5, 4), (1, 1, 5, 4)), {"version": "sm70"}, "version must be one of teaching, sm80, sm90"),
    (((1, 1, 3, 8), (1, 1, 5, 8), (1, 1, 5, 8)), {"version": "sm80"}, "version sm80 wants float16 or bfloat16"),
])
def test_what_is_not_attention_is_refused_in_the_callers_words(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        attention(*arrays(*shapes), **options)


def test_dtypes_that_do_not_fit_are_named():
    q, k, v = arrays((1, 1, 3, 4), (1, 1, 5, 4), (1, 1, 5, 4))
    with pytest.raises(TypeError, match="one dtype, not float32, float64, float32"):
        attention(q, k.astype("f8"), v)
    with pytest.raises(TypeError, match="a mask must be of bool, float32 or float32, not int64"):
        attention(q, k, v, np.ones((3, 5), "i8"))
    with pytest.raises(TypeError, match="not int32"):
        attention(*(x.astype("i4") for x in (q, k, v)))
