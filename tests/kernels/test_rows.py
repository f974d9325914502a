"""What the kernels along rows do beyond their proofs: special numbers, versions by length, parameters in another type, bad calls."""
import ml_dtypes
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels.rows import plan

INF, NAN = np.inf, np.nan
RNG = np.random.default_rng(0)
bfloat16 = np.dtype(ml_dtypes.bfloat16)

SPECIAL = [                                          # a row, its softmax
    ([0, -INF, 0, -INF, -INF, -INF, -INF], [0.5, 0, 0.5, 0, 0, 0, 0]),
    ([-INF] * 7, [NAN] * 7),
    ([1, NAN, 2, 3, 4, 5, 6], [NAN] * 7),
    ([1, INF, 2, 3, 4, 5, 6], [NAN] * 7),
    ([3e38, 3e38, -3e38, 0, 0, 0, -INF], [0.5, 0.5, 0, 0, 0, 0, 0]),
    ([-3e38, -3e38, -INF, -INF, -INF, -INF, -INF], [0.5, 0.5, 0, 0, 0, 0, 0]),
]


def wide(row, columns):
    """The seven numbers of a row spread over a longer one, -inf between them."""
    x = np.full(columns, -INF, "f4")
    x[np.arange(7) * (columns // 7)] = row
    return x


@pytest.mark.parametrize("version, columns", [("simple", 7), ("held", 7), ("held", 77), ("held", 1024), ("streamed", 77), ("streamed", 264)])
def test_softmax_of_special_numbers(version, columns):
    x = np.stack([wide(row, columns) for row, _ in SPECIAL])
    with np.errstate(invalid="ignore"):
        y, logy = kernels.softmax(x, version=version), kernels.log_softmax(x, version=version)
    places = np.arange(7) * (columns // 7)
    for got, log, (_, expected) in zip(y, logy, SPECIAL):
        np.testing.assert_allclose(got[places], expected, rtol=1e-6)
        np.testing.assert_allclose(np.exp(log[places]), expected, rtol=1e-6)
        assert np.isnan(np.delete(got, places)).all() or not np.delete(got, places).any()


@pytest.mark.parametrize("version", ["simple", "held", "streamed"])
def test_cross_entropy_of_special_numbers(version):
    x = np.stack([wide(row, 7) for row, _ in SPECIAL])
    loss, dx = kernels.cross_entropy(x, np.zeros(6, "i8"), version=version)
    np.testing.assert_allclose(loss, [np.log(2), NAN, NAN, NAN, np.log(2), np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(dx, np.array([p for _, p in SPECIAL]) - np.eye(7)[0], rtol=1e-6)
    loss, _ = kernels.cross_entropy(x[:1], np.ones(1, "i8"), version=version)
    assert loss == INF                               # a class of probability 0


@pytest.mark.parametrize("version", ["simple", "held", "streamed"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_class_that_does_not_exist_gives_nan_and_ignored_ones_nothing(version, smoothing):
    x = RNG.normal(size=(4, 5)).astype("f4")
    loss, dx = kernels.cross_entropy(x, np.array([5, -1, -100, 2]), label_smoothing=smoothing, version=version)
    assert np.isnan(loss[:2]).all() and np.isnan(dx[:2]).all()
    assert loss[2] == 0 and not dx[2].any() and np.isfinite(dx[3]).all()


@pytest.mark.parametrize("mode", ["fast", "check"])
@pytest.mark.parametrize("version, columns", [("held", 7), ("held", 132), ("held", 1030), ("streamed", 77), ("streamed", 264)])
def test_the_gradient_of_cross_entropy_in_place_of_the_scores(version, columns, mode):
    x = RNG.normal(size=(3, columns)).astype("f4")
    target = np.array([0, columns - 1, 3])
    loss, dx = kernels.cross_entropy(x, target, label_smoothing=0.1, ignore_index=3)
    with kernels.using(mode=mode, order="random"):
        again, place = kernels.cross_entropy(x, target, label_smoothing=0.1, ignore_index=3, out=x, version=version)
    assert place is x
    np.testing.assert_allclose(again, loss, rtol=1e-5)
    np.testing.assert_allclose(x, dx, rtol=1e-5, atol=1e-7)


def test_versions_by_length_and_alignment():
    def chosen(columns, dtype="f4", skip=0, **params):
        x = np.empty(2 * columns + skip, dtype)[skip:].reshape(2, columns)
        p = plan("softmax", None, 2, columns, (x,), **params)
        return p.version, p.threads, p.parts, p.vector
    assert chosen(7) == ("held", 8, 1, 1)
    assert chosen(32) == ("held", 8, 1, 4)
    assert chosen(77) == ("held", 32, 4, 1)
    assert chosen(128) == ("held", 32, 1, 4) and chosen(128, "f2") == ("held", 32, 1, 8)
    assert chosen(128, skip=1) == ("held", 32, 4, 1) and chosen(128, skip=4) == ("held", 32, 1, 4)
    assert chosen(1024) == ("held", 64, 4, 4)
    assert chosen(16384) == ("held", 1024, 4, 4) and chosen(16384, bfloat16) == ("held", 1024, 2, 8)
    assert chosen(16385) == ("streamed", 1024, 1, 1) and chosen(50304, bfloat16) == ("streamed", 1024, 1, 8)
    assert chosen(8193, most=8, versions=("simple", "held"))[0] == "simple"


def test_every_length_holds_its_row():
    for most in (8, 16):
        for columns in (*range(1, 1100), *range(1100, 1024 * most, 37)):
            for dtype in ("f4", "f2"):
                p = plan("softmax", None, 3, columns, (np.empty((3, columns), dtype),), most=most)
                assert p.version == "held" and p.threads * p.parts * p.vector >= columns and p.parts * p.vector <= most
                assert p.block % 32 == 0 and p.block <= 1024 and p.grid * max(1, p.block // p.threads) >= 3


@pytest.mark.parametrize("half", ["float16", bfloat16])
def test_parameters_in_float32_beside_half_precision(half):
    x, g = RNG.normal(size=(6, 8)).astype(half), RNG.normal(size=(6, 8)).astype(half)
    w, b = RNG.normal(size=8).astype("f4"), RNG.normal(size=8).astype("f4")
    y, mean, rstd = kernels.layer_norm(x, w, b)
    dx, dw, db = kernels.layer_norm_backward(g, x, w, mean, rstd)
    assert (y.dtype, mean.dtype, dx.dtype, dw.dtype, db.dtype) == (x.dtype, w.dtype, x.dtype, w.dtype, w.dtype)
    full = [np.asarray(a, "f8") for a in (g, x)]
    exact = kernels.layer_norm_backward(*full, w.astype("f8"), *kernels.layer_norm(full[1])[1:])
    np.testing.assert_allclose(dw, exact[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(db, exact[2], rtol=1e-5, atol=1e-5)
    y, mean, rstd = kernels.batch_norm(x, w, b)
    assert y.dtype == x.dtype and kernels.batch_norm_backward(g, x, w, mean, rstd)[1].dtype == w.dtype


@pytest.mark.parametrize("name, gradients", [
    ("layer_norm_backward", lambda g, x: kernels.layer_norm_backward(g, x, None, *kernels.layer_norm(x)[1:])),
    ("batch_norm_backward", lambda g, x: kernels.batch_norm_backward(g, x, None, *kernels.batch_norm(x)[1:], version="split"))])
def test_sums_over_rows_are_the_same_in_every_order(name, gradients):
    g, x = RNG.normal(size=(2, 40, 6)).astype("f4")
    runs = []
    for order in ("forward", "reverse", "random"):
        with kernels.using(order=order):
            runs.append(gradients(g, x))
    for other in runs[1:]:
        for a, b in zip(runs[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("version", ["simple", "split"])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_batch_norm_moves_the_running_statistics(version, dtype):
    x = (RNG.normal(size=(5, 3, 4)) * [[[1], [2], [3]]] + 4).astype(dtype)
    mean, var = np.zeros(3, "f4"), np.ones(3, "f4")
    kernels.batch_norm(x, running=(mean, var, 0.1), version=version)
    np.testing.assert_allclose(mean, 0.1 * x.astype("f8").mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(var, 0.9 + 0.1 * x.astype("f8").var((0, 2), ddof=1), rtol=1e-5)


def test_statistics_of_numbers_far_from_zero():
    x = (RNG.normal(size=(2, 1, 6000)) + 1e4).astype("f4")               # the sum of squares would lose all digits
    exact = x.astype("f8")
    for version in ("simple", "split"):
        rstd = kernels.batch_norm(x, eps=0.0, version=version)[2]
        np.testing.assert_allclose(rstd, 1 / exact.std((0, 2)), rtol=1e-3)
    for version in ("simple", "held"):
        rstd = kernels.layer_norm(x, eps=0.0, version=version)[2]
        np.testing.assert_allclose(rstd, 1 / exact.std(-1), rtol=1e-3)


def test_rms_norm_of_a_number_is_its_sign():
    np.testing.assert_allclose(kernels.rms_norm(np.array([[3.0], [-2.0]], "f4"), eps=0.0)[0], [[1], [-1]], rtol=1e-6)


f4 = np.ones((2, 3), "f4")
BAD = [
    (lambda: kernels.softmax(np.float32(1).reshape(())), ValueError, "softmax: a number has no axis"),
    (lambda: kernels.softmax(f4, version="best"), ValueError, "softmax: version must be simple, held, streamed, not 'best'"),
    (lambda: kernels.softmax(np.empty((1, 20000), "f4"), version="held"), ValueError, "20000 entries is too long to be held"),
    (lambda: kernels.softmax(np.ones((2, 3), "i4")), TypeError, "not int32"),
    (lambda: kernels.softmax_backward(f4, f4[:1]), ValueError, "differ in shape"),
    (lambda: kernels.softmax_backward(f4, f4.astype("f2")), TypeError, "differ in type"),
    (lambda: kernels.cross_entropy(f4, np.zeros(3, "i8")), ValueError, r"scores \(..., C\) \(2, 3\) and classes \(...\) \(3,\) do not fit"),
    (lambda: kernels.cross_entropy(f4, np.zeros(2, "i4")), TypeError, "classes must be int64, not int32"),
    (lambda: kernels.cross_entropy(f4, np.zeros(2, "i8"), label_smoothing=1.5), ValueError, "between 0 and 1"),
    (lambda: kernels.cross_entropy(f4, np.zeros(2, "i8"), weight=f4[0, :2]), ValueError, "weight must be"),
    (lambda: kernels.cross_entropy(f4, np.zeros(2, "i8"), g=f4[0]), ValueError, "g must be"),
    (lambda: kernels.cross_entropy(f4, np.zeros(2, "i8"), out=f4[:1]), ValueError, "out must be"),
    (lambda: kernels.cross_entropy(f4, np.zeros(2, "i8"), out=f4, version="simple"), ValueError, "does not write in place"),
    (lambda: kernels.cross_entropy(f4[:, :0], np.zeros(2, "i8")), ValueError, "no classes"),
    (lambda: kernels.layer_norm(f4, f4[0, :2]), ValueError, r"layer_norm: weight must have shape \(3,\), not \(2,\)"),
    (lambda: kernels.layer_norm(f4, f4[0].astype("f8")), TypeError, "weight in float64 does not go with an input in float32"),
    (lambda: kernels.layer_norm(f4, axes=3), ValueError, "has no 3 last axes"),
    (lambda: kernels.layer_norm_backward(f4[:1], f4, None, f4[:, 0], f4[:, 0]), ValueError, "is not like the input"),
    (lambda: kernels.layer_norm_backward(f4, f4, None, f4[0], f4[0]), ValueError, "mean and rstd have shape"),
    (lambda: kernels.batch_norm(f4[0]), ValueError, r"an input \(N, C, ...\) is wanted"),
    (lambda: kernels.batch_norm(f4[:0]), ValueError, "no numbers to take the mean of"),
    (lambda: kernels.batch_norm(f4[:1], running=(f4[0], f4[0], 0.1)), ValueError, "one value per channel"),
    (lambda: kernels.batch_norm(f4, version="held"), ValueError, "version must be simple or split, not 'held'"),
    (lambda: kernels.batch_norm_backward(f4, f4, None, f4[0], f4[0, :2]), ValueError, "mean .* and rstd .* must be"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_calls_that_do_not_fit_are_refused(number):
    call, error, message = BAD[number]
    with pytest.raises(error, match=message):
        call()
