"""Indexing, reading and writing, beyond what the op table can hold: every form of index, against NumPy, on both backends."""
import numpy as np
import pytest
import standin

import minitorch
from minitorch import autograd, tensor
from minitorch.backend import to_numpy
from minitorch.nn import functional as F
from minitorch.tensor import wrap

X = np.random.default_rng(0).normal(size=(4, 3, 5))
M = X > 0.3
FORMS = [0, -1, slice(1, 3), slice(None, None, 2), slice(5, 2), None, ..., (), (0, 1), (..., -1), (0, ...), (None, 0, None), (slice(None), None, 1),
         (slice(1, None), slice(0, 0)), [0, 2], np.array([[0, 2], [1, -1]]), ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]),
         (slice(None), [0, 1, 0]), (slice(None), [0, 1], np.array([[0], [1]])), (slice(1, None), None, [1, 2]), (..., [4, 0, 0]),
         [True, False, True, False], (slice(None), np.array([True, False, True])), ([True, False, True, False], slice(None), [1, 2]),
         M, M[:, :, 0], (..., M[0, 0]), True, False, (0, True), [], range(2), np.int64(2)]


def as_tensors(index, make):
    """`index` with its arrays as tensors."""
    if isinstance(index, tuple):
        return tuple(as_tensors(i, make) for i in index)
    return make(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("index", FORMS, ids=lambda i: repr(i)[:40])
@pytest.mark.parametrize("on_device", [False, True])
def test_reading_and_writing_are_numpys_and_the_gradient_goes_back_where_it_was_read(index, on_device):
    key = list(index) if isinstance(index, range) else np.array(index, int) if isinstance(index, list) and not index else index
    places = np.zeros_like(X)
    np.add.at(places, key, 1.0)
    new = X.copy()
    new[key] = 7.0
    with standin.installed() as cupy:
        make = cupy.asarray if on_device else np.asarray
        x = wrap(make(X)).requires_grad_()
        i = as_tensors(index, lambda a: wrap(make(a)))
        y = x[i]
        assert type(y.array) is type(x.array)
        np.testing.assert_array_equal(to_numpy(y.array), X[key])
        g, = autograd.grad(y.sum(), [x])
        np.testing.assert_array_equal(to_numpy(g.array), places)
        z = x * 1.0
        z[i] = 7.0
        np.testing.assert_array_equal(to_numpy(z.array), new)
        g, = autograd.grad(z.sum(), [x])
        np.testing.assert_array_equal(to_numpy(g.array), places == 0)
        plain = wrap(make(X.copy()))
        plain[i] = 7.0
        np.testing.assert_array_equal(to_numpy(plain.array), new)
        assert plain._version == 1


def test_ints_count_as_slices_do_not_as_arrays():
    x = tensor(X)
    assert x[0, :, [1, 2]].shape == (3, 2)           # NumPy, which counts the 0 among the arrays, gives (2, 3)


def test_an_index_changed_before_backward_is_noticed():
    x, i = tensor(X).requires_grad_(), tensor([0, 2])
    y = x[i].sum()
    i[0] = 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_a_list_or_array_index_is_copied():
    x, i = tensor(X).requires_grad_(), np.array([0, 2])
    y = x[i].sum()
    i[0] = 1
    y.backward()
    assert x.grad[0, 0, 0] == 1 and x.grad[1, 0, 0] == 0


@pytest.mark.parametrize("index, error, words", [
    (4, IndexError, "index 4 is out of bounds for dimension 0 with size 4"),
    ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
    ([5], IndexError, "index 5 is out of bounds for dimension 0 with size 4"),
    (([0], [3]), IndexError, "index 3 is out of bounds for dimension 1 with size 3"),
    ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
    (([0, 1], [0, 1, 2]), IndexError, "could not be broadcast together"),
    (slice(None, None, -1), ValueError, "step must be greater than zero"),
    (slice(None, None, 0), ValueError, "slice step cannot be zero"),
    (1.5, IndexError, "got float"),
    ([0.5], IndexError, "tensors used as indices must be long"),
    ([True, False], IndexError, "The shape of the mask \\[2\\] at index 0 does not match"),
    ("a", TypeError, "str"),
])
def test_a_wrong_index_is_refused_reading_and_writing(index, error, words):
    x = tensor(X)
    with pytest.raises(error, match=words):
        x[index]
    with pytest.raises(error, match=words):
        x[index] = 0.0


@pytest.mark.parametrize("index, value, error", [
    (0, [1.0], TypeError), (0, np.ones(5), TypeError), (0, "a", TypeError), (0, 1j, RuntimeError), (0, tensor(np.ones((2, 5))), RuntimeError),
    ([0], tensor([1]), RuntimeError), (M, tensor(np.ones(3)), RuntimeError), ((slice(None), [0]), tensor(np.ones((4, 2, 5))), RuntimeError),
])
def test_a_wrong_value_is_refused(index, value, error):
    for x in (tensor(X), tensor(X).requires_grad_() * 1.0):
        with pytest.raises(error):
            x[index] = value


def test_zero_dimensional_tensors_have_no_length_and_no_items():
    for f in (len, list, lambda t: t[0]):
        with pytest.raises((TypeError, IndexError)):
            f(tensor(1.0))
    assert tensor(1.0)[...].item() == tensor(1.0)[None][0].item() == 1.0


def test_what_a_padding_row_and_frequent_rows_get():
    w = tensor(np.ones((4, 2))).requires_grad_()
    index = tensor([0, 2, 2, 3, 2])
    F.embedding(index, w, padding_idx=3).sum().backward()
    assert w.grad.tolist() == [[1, 1], [0, 0], [3, 3], [0, 0]]
    w.grad = None
    F.embedding(index, w, scale_grad_by_freq=True).sum().backward()
    assert w.grad.tolist() == [[1, 1], [0, 0], [1, 1], [1, 1]]
    F.embedding(index[:2], w, max_norm=1.0)
    np.testing.assert_allclose(w.detach().numpy()[:, 0], [0.5 ** 0.5, 1, 0.5 ** 0.5, 1], rtol=1e-6)


@pytest.mark.parametrize("many", [3, 8, 9, 1000])
def test_rows_that_come_up_often_add_up(many):
    rng = np.random.default_rng(1)
    index, g = rng.integers(0, 5, many), rng.normal(size=(many, 20))
    w = tensor(np.zeros((6, 20))).requires_grad_()
    F.embedding(tensor(index), w).backward(tensor(g))
    expected = np.zeros((6, 20))
    np.add.at(expected, index, g)
    np.testing.assert_allclose(w.grad.numpy(), expected, atol=1e-12)


def test_zeros_in_a_product_keep_their_own_derivative():
    x, s = tensor([2.0, 3.0]).requires_grad_(), tensor([0.0, 5.0, 0.0, 4.0]).requires_grad_()
    y = x.scatter_reduce(0, tensor([0, 0, 1, 1]), s, "prod")
    gx, gs = autograd.grad(y.sum(), [x, s])
    assert y.tolist() == [0, 0] and gx.tolist() == [0, 0] and gs.tolist() == [10, 0, 12, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("size", [20, 3000])
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable_with_nan_last(dtype, size, descending):
    a = np.random.default_rng(2).integers(0, 6, (size, 2)).astype(dtype)
    if a.dtype.kind == "f":
        a -= 3
        a[::7], a[3::11], a[5], a[6], a[1::9] = np.nan, -np.nan, np.inf, -np.inf, -0.0
    values, indices = tensor(a).sort(0, descending=descending)
    rank = np.where(np.isnan(a), np.inf, np.where(np.isinf(a), np.sign(a) * 1e9, a)) if a.dtype.kind == "f" else a.astype(int)
    for column in range(2):
        order = sorted(range(size), key=lambda i: -rank[i, column] if descending else rank[i, column])
        assert indices[:, column].tolist() == order
        np.testing.assert_array_equal(values.numpy()[:, column], a[order, column])


def test_topk_of_many_is_the_end_of_sort():
    x = tensor(np.random.default_rng(3).permutation(2000).reshape(2, 1000) * 1.0)
    for largest in (True, False):
        values, indices = x.topk(5, largest=largest)
        expected, places = x.sort(descending=largest)
        assert minitorch.equal(values, expected[:, :5]) and minitorch.equal(indices, places[:, :5])


def test_quantiles_and_nan():
    nan = float("nan")
    x = tensor([[1.0, nan, 3.0], [4.0, 5.0, 7.0]])
    np.testing.assert_allclose(x.quantile(0.5, dim=1).numpy(), [nan, 5])
    np.testing.assert_allclose(x.nanquantile(tensor([0.5, 1.0]), dim=1).numpy(), [[2, 5], [3, 7]])
