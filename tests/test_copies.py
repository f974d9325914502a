"""Large arrays that are copied, cast, joined, filled and indexed by several threads are what NumPy makes of them at once."""
import numpy as np
import pytest

import minitorch
from minitorch import backends, blocks, copies
from minitorch.ops import arrange, creation, diagonal, dtype, gather, rows, shape

F = minitorch.nn.functional
NUMBERS = np.random.default_rng(0).normal(size=(6, 70, 90))
NUMBERS[0, 0, :4] = np.nan, np.inf, -np.inf, -0.0
VIEWS = {
    "whole": lambda x: x,
    "transposed": lambda x: x.transpose(2, 1, 0),
    "last two transposed": lambda x: x.swapaxes(1, 2),
    "axes in a circle": lambda x: x.transpose(1, 2, 0),
    "reversed": lambda x: x[::-1, :, ::-1],
    "every other": lambda x: x[:, ::2, 1::3],
    "columns": lambda x: x[:, :, :80],
    "one row repeated": lambda x: np.broadcast_to(x[0, :1], x.shape),
    "one column repeated": lambda x: np.broadcast_to(x[:, :, :1], x.shape),
    "few at the end": lambda x: x.reshape(6, 3, 2100).transpose(0, 2, 1),
    "one axis": lambda x: x.reshape(-1)[::5],
    "nothing": lambda x: x[:0],
}


def shrink(monkeypatch, n):
    """Do for small arrays what is done for large ones, by n threads."""
    for module in (arrange, copies, diagonal, dtype, gather, rows, shape):
        for constant, value in {"LARGE": 1, "LEAST": 50, "STRIP": 8, "LINE": 8}.items():
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, value)
    for size in ("ALONE", "SHARED"):
        monkeypatch.setattr(blocks, size, 100)
    monkeypatch.setattr(creation, "BLOCK", 64)
    monkeypatch.setattr(diagonal, "ROWS", 8)
    monkeypatch.setattr("minitorch.autograd.engine.LARGE", 1)
    monkeypatch.setattr("minitorch.threads.count", n)


@pytest.fixture(params=[1, 2, 3], ids=lambda n: f"{n} threads")
def small_is_large(request, monkeypatch):
    shrink(monkeypatch, request.param)


def same(found, expected):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_array_equal(found.view("u1" if found.itemsize == 1 else f"u{found.itemsize}"),
                                  np.ascontiguousarray(expected).view(f"u{expected.itemsize}"))        # the signs of zeros too


@pytest.mark.parametrize("view", VIEWS)
def test_copies_of_any_strides(view, small_is_large):
    x = VIEWS[view](NUMBERS)
    same(copies.copied(x), x)
    assert copies.copied(x).flags.c_contiguous
    same(copies.copied(x, order="K"), x)
    assert copies.copied(x, order="K").strides == np.array(x, order="K").strides
    for to in ("f4", "f2"):
        same(copies.copied(x, to), x.astype(to))
    for to in VIEWS.values():
        if to(NUMBERS).shape == x.shape and to(np.zeros(NUMBERS.shape)).flags.writeable:
            y = np.zeros(NUMBERS.shape)
            copies.write(to(y), x)
            expected = np.zeros(NUMBERS.shape)
            to(expected)[...] = x
            same(y, expected)


def test_writing_broadcasts_converts_and_refuses_as_numpy_does(small_is_large):
    for value in (2.5, np.float32(0.1), NUMBERS[0], NUMBERS[:, :, :1], NUMBERS[:1], NUMBERS[None], np.arange(90)):
        y, expected = np.zeros(NUMBERS.shape, "f4"), np.zeros(NUMBERS.shape, "f4")
        expected[...] = value
        same(copies.write(y, value), expected)
    for wrong in (NUMBERS[:5], NUMBERS[:, :, :2]):
        with pytest.raises(ValueError):
            copies.write(np.zeros(NUMBERS.shape), wrong)


def test_writing_to_memory_that_is_read(small_is_large):
    y, expected = np.arange(5000.0), np.arange(5000.0)
    copies.write(y[1:], y[:-1])
    expected[1:] = np.arange(4999.0)
    same(y, expected)
    y = np.arange(4900.0).reshape(70, 70)
    same(copies.write(y, y.T), np.arange(4900.0).reshape(70, 70).T)


def test_arrays_filled(small_is_large):
    for size in ((3000,), (70, 50), (0, 5), ()):
        same(copies.zeros(size, "f4"), np.zeros(size, "f4"))
        same(copies.ones(size, "i8"), np.ones(size, "i8"))
        same(copies.full(size, -1.5, "f8"), np.full(size, -1.5, "f8"))
    same(copies.all_like(NUMBERS.transpose(2, 0, 1), 3), np.full((90, 6, 70), 3.0))


@pytest.mark.parametrize("n", [10, 3000])
def test_numbers_that_do_not_fit_are_refused_however_large_the_array_is(n, small_is_large):
    for number_type, fits, wrong in (("int64", 2.7, (np.nan, np.inf, -1e30)), ("uint8", 255.0, (300.5, np.nan, -0.5, 256)),
                                     ("int32", -7, (2.0 ** 31,))):
        x = minitorch.zeros(n, dtype=getattr(minitorch, number_type))
        assert x.fill_(fits).tolist() == [int(fits)] * n
        version = x._version
        for value in wrong:
            with pytest.raises(RuntimeError, match="without overflow"):
                x.fill_(value)
        assert x._version == version and x.tolist() == [int(fits)] * n


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_arrays_joined(dim, small_is_large):
    parts = [NUMBERS, NUMBERS[::-1, ::-1], np.ascontiguousarray(NUMBERS.transpose(2, 1, 0)).transpose(2, 1, 0)]
    same(copies.concatenated(parts, dim), np.concatenate(parts, dim))
    uneven = [x[(slice(None),) * dim + (slice(0, n),)] for x, n in zip(parts, (1, 0, 4))]
    same(copies.concatenated(uneven, dim), np.concatenate(uneven, dim))
    flat = [x.reshape(-1)[:n] for x, n in zip(parts, (3000, 5, 20000))]
    same(copies.concatenated(flat, 0), np.concatenate(flat))
    with pytest.raises(ValueError, match="dimensions"):
        copies.concatenated([NUMBERS, NUMBERS[:3, :3, :3]], dim)


@pytest.mark.parametrize("k", [0, 3, -3, 65, -65, 200, -200])
def test_triangles(k, small_is_large):
    for size in ((70, 90), (90, 70), (3, 40, 40), (2, 2, 5, 70), (0, 70), (70, 0)):
        x = np.random.default_rng(0).normal(size=size)
        for name in ("tril", "triu"):
            same(getattr(minitorch, name)(minitorch.tensor(x), k).numpy(), getattr(np, name)(x, k))


def test_16_bit_floats_are_rounded_to_the_nearest(small_is_large):
    """By a compiled loop as by NumPy: every number of 16 bits, and float32 numbers on both sides of the middle between two."""
    low = np.array([0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff], "u4")
    bits = (np.arange(1 << 16, dtype="u4")[::7, None] << 16 | low).reshape(-1)
    x = [bits.view("f4"), np.arange(1 << 16).astype("u2").view("f2").astype("f4"), np.random.default_rng(0).normal(size=50000).astype("f4")]
    x = np.concatenate(x)
    x = np.concatenate([x, (x[-100000:].view("u4") + 0x1000).view("f4")])
    nan = np.isnan(x)
    for name in ("bfloat16", "float16"):
        with np.errstate(all="ignore"):
            expected = x.astype(getattr(minitorch, name).numpy)
            for loops in ("never", "always"):
                with backends.using(loops=loops):
                    narrow = minitorch.tensor(x).to(getattr(minitorch, name))
                    same(narrow.array[~nan], expected[~nan])
                    assert np.isnan(narrow.array[nan].astype("f4")).all()
                    if name == "bfloat16":
                        same(narrow.array, expected)
                    back = narrow.float().numpy()
                    same(back[~nan], expected[~nan].astype("f4"))
                    assert np.isnan(back[nan]).all()


def table():
    """Calls that only move numbers, of a tensor (6, 70, 90)."""
    mask = minitorch.tensor(NUMBERS > 0)
    index = minitorch.tensor(np.random.default_rng(1).integers(0, 70, size=(6, 70, 90)))
    short = minitorch.tensor(np.random.default_rng(2).integers(0, 6, size=(40, 60, 90)))
    vector = minitorch.tensor(np.random.default_rng(3).integers(0, 70, size=200))
    return {
        "contiguous": lambda x: x.transpose(0, 2).contiguous(), "clone": lambda x: x.permute(1, 2, 0).clone(),
        "reshape": lambda x: x.transpose(1, 2).reshape(-1, 35), "reshape, a view": lambda x: x[:, :, :60].reshape(6, 35, 2, 6, 10),
        "flatten": lambda x: x.mT.flatten(), "view": lambda x: x.view(10, -1).mT.contiguous().view(-1),
        "cat": lambda x: minitorch.cat([x, x.flip(1)], 2), "stack": lambda x: minitorch.stack([x, x.mT.contiguous().mT], 1),
        "split": lambda x: sum(p * i for i, p in enumerate(x.transpose(0, 1).reshape(70, 540).split(180, 1))),
        "flip": lambda x: x.flip(0, 2), "roll": lambda x: x.roll((3, -5), (1, 2)), "roll all": lambda x: x.roll(11),
        "pad": lambda x: F.pad(x, (1, 2, 0, 3), value=1.5), "repeat": lambda x: x.repeat(2, 1, 3, 2), "slice": lambda x: x[1:5, ::2, 3:80],
        "tril": lambda x: x.tril(7), "triu": lambda x: x.triu(-3), "tril, transposed": lambda x: x.mT.tril(-80),
        "triu, nothing left": lambda x: x.triu(95),
        "softmax of rows that are columns": lambda x: x.nan_to_num(posinf=2, neginf=-2).mT.softmax(2),
        "pixel_shuffle": lambda x: F.pixel_shuffle(x.reshape(3, 4, 45, 70), 2), "diagonal": lambda x: x.diagonal(3, 2, 1),
        "double": lambda x: x.to(minitorch.float64) * 2, "half": lambda x: x.half(), "half and back": lambda x: x.mT.half().float(),
        "bfloat16": lambda x: x.bfloat16(), "bfloat16 and back": lambda x: x.bfloat16().float(),
        "sums in bfloat16": lambda x: x.bfloat16() + x.bfloat16().exp(),
        "gather": lambda x: x.gather(1, index), "gather, fewer": lambda x: x.gather(0, short),
        "gather, last": lambda x: x.reshape(540, 70).gather(1, index.transpose(1, 2).reshape(540, 70)),
        "gather, one axis": lambda x: x.reshape(-1).gather(0, index.reshape(-1)), "gather, transposed": lambda x: x.mT.gather(2, index.mT),
        "gather, few rows": lambda x: x.reshape(2, -1).gather(1, index.reshape(2, -1)),
        "scatter_add": lambda x: x.scatter_add(1, index, x * 2), "scatter_add, first": lambda x: x.scatter_add(0, index % 6, x * 2),
        "scatter_add, last": lambda x: x.mT.scatter_add(2, index.mT, x.mT), "scatter_add, fewer": lambda x: x.scatter_add(0, short[:6], x),
        "scatter_add, one axis": lambda x: x.reshape(-1).scatter_add(0, index.reshape(-1), x.reshape(-1)),
        "scatter_reduce": lambda x: x.scatter_reduce(1, index, x, "mean"),
        "scatter": lambda x: x.scatter(2, minitorch.arange(90).flip(0).expand(6, 70, 90), x),
        "take_along_dim": lambda x: minitorch.take_along_dim(x, index[:1], 1), "index_select": lambda x: x.index_select(1, vector),
        "index_add": lambda x: x.index_add(1, vector, x[:, :50].repeat(1, 4, 1)),
        "index_add, alpha": lambda x: x.index_add(1, vector[:70], x, alpha=-2),
        "index_add, rows": lambda x: x[0].index_add(0, vector[:70], x[1]),
        "index_add, columns": lambda x: x.index_add(2, vector[:70], x.mT[:, :70].mT),
        "index_put": lambda x: x.index_put((vector[:60] % 6,), x[0], accumulate=True), "masked_fill": lambda x: x.masked_fill(mask, 2.5),
        "masked_fill, rows": lambda x: x.masked_fill(mask[0], -np.inf).clamp(min=-9),
        "masked_fill, columns": lambda x: x.mT.masked_fill(mask[:1, :1].mT, 0),
        "masked_fill, tensor": lambda x: x.masked_fill(mask.mT.contiguous().mT, x[1, 1, 1].nan_to_num()),
        "gather, rows": lambda x: x.gather(1, vector.view(1, -1, 1).expand(6, 200, 90)), "scatter_add, columns":
        lambda x: x.scatter_add(2, vector.expand(6, 70, 200), minitorch.cat([x, x, x], 2)[:, :, :200]),
        "scatter_add, rows": lambda x: x[0].scatter_add(0, vector[:, None].expand(200, 90), x[1:4].reshape(210, 90)[:200]),
        "written over": lambda x: x.clone().mT.copy_(x.mT.flip(0)), "filled": lambda x: minitorch.zeros_like(x).fill_(2.5) + x,
        "a region written": lambda x: x.scatter_add(1, index, x).transpose(0, 1).contiguous().index_fill(0, vector[:3], 1.0),
    }


def outcome(f, dtype):
    x = minitorch.tensor(NUMBERS.astype(dtype), requires_grad=True)
    y = f(x)
    y.backward(minitorch.tensor(np.random.default_rng(4).normal(size=y.shape), dtype=y.dtype))
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("number_type", ["float32", "float64"])
@pytest.mark.parametrize("name", table())
def test_numbers_moved_by_any_number_of_threads(name, number_type, monkeypatch):
    with backends.using(loops="never"):
        expected = outcome(table()[name], number_type)
    for n, loops in ((1, "never"), (2, "never"), (3, "never"), (1, "always"), (2, "always")):
        shrink(monkeypatch, n)
        with backends.using(loops=loops):
            for found, right in zip(outcome(table()[name], number_type), expected, strict=True):
                assert found.shape == right.shape and found.dtype == right.dtype
                np.testing.assert_allclose(found, right, *((2e-5, 2e-5) if number_type == "float32" else (1e-13, 1e-13)))


@pytest.mark.parametrize("call", [lambda x, i: x.gather(1, i), lambda x, i: x.scatter_add(1, i, x), lambda x, i: x.scatter_add(0, i, x),
                                  lambda x, i: x[0].gather(0, i[0, 0, 0].expand(70)[:, None].expand(70, 90)),
                                  lambda x, i: x.reshape(-1).gather(0, i.reshape(-1)),
                                  lambda x, i: x.reshape(-1).scatter_add(0, i.reshape(-1), x.reshape(-1))])
@pytest.mark.parametrize("wrong", [-1, 10 ** 6])
def test_places_outside_are_refused_however_large_the_index_is(call, wrong, small_is_large):
    x, index = minitorch.tensor(NUMBERS), np.zeros(NUMBERS.shape, "i8")
    index[0, 0, 0] = index[5, 69, 88] = wrong
    for loops in ("never", "always"):
        with backends.using(loops=loops), pytest.raises(RuntimeError, match=f"index {wrong} is out of bounds"):
            call(x, minitorch.tensor(index))


def test_an_index_of_32_bits_is_as_good(small_is_large):
    index = np.random.default_rng(1).integers(0, 70, size=(6, 70, 90))
    x = minitorch.tensor(NUMBERS)
    for loops in ("never", "always"):
        with backends.using(loops=loops):
            same(x.gather(1, minitorch.tensor(index.astype("i4"))).numpy(), np.take_along_axis(NUMBERS, index, 1))


@pytest.mark.parametrize("number_type", ["int64", "int32", "uint8", "float32", "float64", "float16"])
@pytest.mark.parametrize("start, end, step", [(0, 700, 1), (5, -3000, -3), (0.5, 400.2, 0.7), (2 ** 62, 2 ** 62 + 900, 2),
                                              (-2 ** 63, 2 ** 63 - 1, 2 ** 54 + 1)])
def test_long_sequences(start, end, step, number_type, small_is_large, monkeypatch):
    if isinstance(step, float) and "int" in number_type:
        start, end, step = 1, 900, 2
    found = minitorch.arange(start, end, step, dtype=getattr(minitorch, number_type)).numpy()
    monkeypatch.setattr(copies, "LEAST", 10 ** 9)
    same(found, minitorch.arange(start, end, step, dtype=getattr(minitorch, number_type)).numpy())
