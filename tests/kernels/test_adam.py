"""adam_step against minitorch's own optimizers over several steps, and what its proofs do not show."""
import numpy as np
import pytest

import minitorch
from minitorch import kernels, optim
from minitorch.kernels.adam import CHUNK, adam_step
from minitorch.kernels.proof import numpy_dtype

SHAPES = ((3, 5), (), (17,), (2, 2, 2))


def drawn(dtype="f4", shapes=SHAPES, seed=0):
    """Lists of parameters, gradients and two lists of zeros."""
    rng = np.random.default_rng(seed)
    return [[np.asarray(scale * rng.normal(size=s), dtype) for s in shapes] for scale in (1, 1, 0, 0)]


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_steps_are_those_of_the_optimizer(kind, maximize, amsgrad):
    params, grads, m, v = drawn()
    largest = [np.zeros_like(a) for a in v]
    tensors = [minitorch.tensor(x, requires_grad=True) for x in params]
    optimizer = kind(tensors, lr=0.1, betas=(0.8, 0.95), weight_decay=0.1, amsgrad=amsgrad, maximize=maximize)
    for step in range(1, 5):
        grads = [np.asarray(g * np.float32(0.5) - np.float32(0.1) * step).astype("f4") for g in grads]
        for t, g in zip(tensors, grads):
            t.grad = minitorch.tensor(g)
        optimizer.step()
        adam_step(params, grads, m, v, step, 0.1, (0.8, 0.95), 1e-8, 0.1, kind is optim.AdamW, amsgrad, maximize,
                  largest if amsgrad else None)
        for t, x in zip(tensors, params):
            assert np.allclose(t.detach().numpy(), x, rtol=1e-5, atol=1e-6)


def test_all_tensors_of_a_dtype_take_one_launch():
    half = drawn("f2")
    lists = [a + b for a, b in zip(drawn(), half)]
    with kernels.launches() as trace:
        adam_step(*lists, 1, 1e-3, (0.9, 0.999), 1e-8, 0.0, False)
    assert len(trace) == 2
    with kernels.launches() as trace:
        assert len(adam_step([], [], [], [], 1, 1e-3, (0.9, 0.999), 1e-8, 0.0, False)) == 0
        adam_step(*[[np.zeros((0, 3), "f4")]] * 4, 1, 1e-3, (0.9, 0.999), 1e-8, 0.0, False)
    assert not trace


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_parameters_with_means_in_float32(dtype):
    params, grads, *_ = drawn(numpy_dtype(dtype))
    *_, m, v = drawn()
    wide = [x.astype("f4") for x in params]
    other = [np.zeros_like(a) for a in m], [np.zeros_like(a) for a in v]
    adam_step(params, grads, m, v, 1, 0.1, (0.9, 0.999), 1e-8, 0.1, True)
    adam_step(wide, [g.astype("f4") for g in grads], *other, 1, 0.1, (0.9, 0.999), 1e-8, 0.1, True)
    for x, y, a, b in zip(params, wide, m, other[0]):
        assert np.array_equal(x, y.astype(x.dtype)) and np.array_equal(a, b)


def test_arrays_that_start_anywhere_and_chunks_of_every_size():
    sizes = (CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5)
    whole = drawn(shapes=[(n + 3,) for n in sizes])
    expected = [[a.copy() for a in table] for table in whole]
    lists = [[a[i % 4:len(a) - 3 + i % 4] for i, a in enumerate(table)] for table in whole]       # 0, 4, 8 and 12 bytes off
    plain = [[a[i % 4:len(a) - 3 + i % 4].copy() for i, a in enumerate(table)] for table in expected]
    for mode in ("fast", "check"):
        with kernels.using(mode=mode):
            adam_step(*lists, 1, 1e-2, (0.9, 0.999), 1e-8, 0.0, False)
            adam_step(*plain, 1, 1e-2, (0.9, 0.999), 1e-8, 0.0, False)
        for found, same in zip(lists, plain):
            for a, b in zip(found, same):
                assert np.array_equal(a, b)
    for i, (a, b) in enumerate(zip(whole[0], expected[0])):                  # what lies around them stays
        assert np.array_equal(a[:i % 4], b[:i % 4]) and np.array_equal(a[len(a) - 3 + i % 4:], b[len(b) - 3 + i % 4:])


def test_a_gradient_may_be_a_transposed_view():
    params, grads, m, v = drawn(shapes=[(3, 4)])
    turned = [np.asfortranarray(grads[0])]
    other = [[a.copy() for a in table] for table in (params, m, v)]
    adam_step(params, grads, m, v, 1, 0.1, (0.9, 0.999), 1e-8, 0.0, False)
    adam_step(other[0], turned, *other[1:], 1, 0.1, (0.9, 0.999), 1e-8, 0.0, False)
    assert np.array_equal(params[0], other[0][0])


def test_nan_stays_nan():
    for where in (1, 3):                             # in a gradient, in the largest v
        params, grads, m, v = drawn(shapes=[(2,)])
        largest = [np.ones(2, "f4")]
        (params, grads, m, largest)[where][0][0] = np.nan
        adam_step(params, grads, m, v, 1, 0.1, (0.9, 0.999), 1e-8, 0.0, False, True, False, largest)
        assert np.isnan(params[0]).tolist() == np.isnan(largest[0]).tolist() == [True, False]


def test_what_does_not_fit_is_refused():
    params, grads, m, v = drawn()
    rest = 1, 1e-3, (0.9, 0.999), 1e-8, 0.0, False
    with pytest.raises(ValueError, match="3 grads for 4 parameters"):
        adam_step(params, grads[1:], m, v, *rest)
    with pytest.raises(ValueError, match=r"exp_avgs\[0\] has shape \(17,\), its parameter \(3, 5\)"):
        adam_step(params, grads, m[2:] + m[:2], v, *rest)
    with pytest.raises(ValueError, match="0 max_exp_avg_sqs"):
        adam_step(params, grads, m, v, *rest, amsgrad=True)
    with pytest.raises(TypeError, match=r"\(grads\)\[2\] wants an array of float32"):
        adam_step(params, grads[:2] + [grads[2].astype("f2")] + grads[3:], m, v, *rest)
