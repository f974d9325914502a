"""What the proofs of embedding do not show: long rows, rows that are not there, and that the gradient is the same every time."""
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels.embedding import NO_ROW, embedding, embedding_backward
from minitorch.kernels.kernel import library
from minitorch.kernels.proof import numpy_dtype

rng = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("columns", [301, 2056])
def test_rows_longer_than_a_block(dtype, columns):
    table, index = rng.normal(size=(4, columns)).astype(numpy_dtype(dtype)), np.array([[3, 0], [3, 2]])
    g = rng.normal(size=(2, 2, columns)).astype(table.dtype)
    assert np.array_equal(embedding(index, table), table[index])
    for mode, atomic in (("fast", False), ("fast", True), ("check", False), ("check", True)):
        with kernels.using(mode=mode):
            y = embedding_backward(g, index, 4, atomic=atomic)
        assert np.array_equal(y[[1, 2, 0]].astype("f4"), [np.zeros(columns), g[1, 1], g[0, 1]])
        assert np.array_equal(y[3], (g[0, 0].astype("f4") + g[1, 0].astype("f4")).astype(table.dtype))


def test_the_gradient_is_the_same_bit_for_bit_in_any_thread_order():
    g, index = rng.normal(size=(1000, 5)).astype("f4"), rng.integers(0, 7, size=1000)
    found = []
    for order, seed in (("forward", 0), ("reverse", 0), ("random", 1), ("random", 2)):
        with kernels.using(order=order, seed=seed):
            found.append(embedding_backward(g, index, 7).tobytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("count", [31, 32, 33, 63, 64, 65, 200])
def test_rows_that_cross_the_ends_of_tiles(count):
    for length in (1, 31, 32, 33, 96):                # of a row's stretch of places, in order of the rows
        index = np.arange(count) // length
        g = rng.integers(-9, 9, size=(count, 1)).astype("f4")
        expected = np.zeros((count, 1), "f4")
        np.add.at(expected, index, g)
        assert np.array_equal(embedding_backward(g[::-1].copy(), index[::-1].copy(), count), expected)


def test_a_row_that_is_not_there_is_nan_where_the_numbers_are_not_read_back():
    table, index, y = np.ones((3, 4), "f4"), np.array([0, 3, -1, 2, 1]), np.empty((5, 4), "f4")
    with kernels.using(mode="check"):
        library("embedding.cu", "embedding_forward", {"scalar": "float", "WIDTH": 4})(1, (1, 256), (index, table, y, 5, 3, 4, 1))
    assert np.isnan(y).all(1).tolist() == [False, True, True, False, False]
    assert y[4].tolist() == [0, 0, 0, 0] and y[3].tolist() == [1, 1, 1, 1]


def test_a_row_that_is_not_there_gets_no_gradient():
    g, index, y = np.ones((3, 1), "f4"), np.array([0, 3, -1]), np.zeros((3, 1), "f4")
    order, sums = index.argsort(), np.empty((1, 2, 1), "f4")
    with kernels.using(mode="check"):
        tiles = library("embedding.cu", "embedding_backward_tiles", {"scalar": "float", "WIDTH": 1})
        tiles(1, (1, 256), (g, index[order], order, y, sums, 3, 3, 1, NO_ROW))
        library("embedding.cu", "embedding_backward_atomic", {"scalar": "float", "WIDTH": 1})(1, (1, 256), (g, index, y, 3, 3, 1, NO_ROW))
    assert y[:, 0].tolist() == [2, 0, 0]


def test_what_does_not_fit_is_refused():
    table = np.ones((3, 2), "f4")
    for wrong in ([3], [[0, -1]]):
        with pytest.raises(IndexError, match=f"no row {wrong[-1] if wrong == [3] else -1} in a table of 3"):
            embedding(np.array(wrong), table)
    with pytest.raises(IndexError, match="no row 4"):
        embedding_backward(np.ones((1, 2), "f4"), np.array([4]), 3)
    with pytest.raises(IndexError, match="no row -4"):
        embedding_backward(np.ones((1, 2), "f4"), np.array([0]), 3, padding_idx=-4)
    with pytest.raises(TypeError, match="must be integers, not float32"):
        embedding(np.ones(2, "f4"), table)
    with pytest.raises(ValueError, match="two axes"):
        embedding(np.array([0]), table[0])
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for indices of shape \(3,\)"):
        embedding_backward(np.ones((2, 2), "f4"), np.arange(3), 3)
    assert embedding(np.array([2], "u1"), table).tolist() == [[1, 1]]        # any integers will do
