"""Creation functions against PyTorch: the same calls give the same numbers, dtypes and shapes, or the same class of error."""
import itertools
import warnings

import numpy as np
import pytest

import minitorch
from minitorch.backend import to_numpy

torch = pytest.importorskip("torch")


class Sequence:
    """A sequence that is neither list nor tuple."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return [1, 2][i]


SAME = """
tensor(3), tensor(2.5), tensor(True), tensor([]), tensor([[]]), tensor([[], []]), tensor(()), tensor([True, 2]), tensor([True, 2.5])
tensor([True, False]), tensor([1, 2.5, True]), tensor(range(3)), tensor((1, (2))), tensor([[1, 2], [3, 4]]), tensor(memoryview(b'abc'))
tensor(np.float64(3)), tensor([np.float64(3)]), tensor([np.float32(3)]), tensor([np.int32(3)]), tensor([np.int32(3), 2.5])
tensor(np.float16(3))
tensor(np.bool_(True)), tensor(np.array(3)), tensor([np.ones(2), np.ones(2)]), tensor([np.ones(2, 'f4')] * 2)
tensor([np.ones(2, 'i4')] * 2)
tensor([L.tensor(2.0), L.tensor(3)]), tensor([L.tensor(2), L.tensor(3.0, dtype=L.float64)]), tensor([L.tensor(2, dtype=L.int32)] * 2)
tensor([L.ones(1), L.ones(1)]), tensor(L.ones(2, dtype=L.int32)), tensor(L.ones(2, requires_grad=True)), tensor(Sequence())
tensor([1.5], dtype=L.int32), tensor([-1], dtype=L.uint8), tensor([-255], dtype=L.uint8), tensor([1e20], dtype=L.float16)
tensor([2], dtype=L.bool)
tensor([2 ** 70], dtype=L.float32), tensor([2 ** 63], dtype=L.float32), tensor(0.5, dtype=L.bool), tensor(float('nan'), dtype=L.bool)
tensor(np.array([1.7, 300]), dtype=L.uint8), tensor(L.tensor([1.7, -300]), dtype=L.uint8), tensor([1], dtype=float), tensor([1], dtype=int)
tensor([1.0], requires_grad=True), tensor([0.1, 1e-9], dtype=L.bfloat16), tensor([1.0, 2], device='cpu')
Tensor(), Tensor([1, 2]), Tensor((2, 3)), Tensor(np.ones(3, 'f4')), Tensor(np.ones(3)), Tensor(L.ones(3, dtype=L.int64)), Tensor(range(3))
FloatTensor([1, 2]), LongTensor([1.5, 2]), BoolTensor([1, 0]), FloatTensor(np.ones(3)), HalfTensor([1]), ByteTensor([255])
BFloat16Tensor([1])
as_tensor([1, 2]), as_tensor(np.ones(2)), as_tensor(L.ones(2, requires_grad=True), dtype=L.float64), as_tensor(3, dtype=L.float16)
asarray([1, 2]), asarray(3.0), asarray(np.ones(2), dtype=L.float32), asarray(L.ones(2), requires_grad=True), asarray(np.ones(2), copy=True)
from_numpy(np.array(3.0)), from_numpy(np.ones((2, 3)).T), frombuffer(bytearray(b'abcdefgh'), dtype=L.float32, offset=4)
frombuffer(bytearray(b'abcdefgh'), dtype=L.int16, count=3)
zeros(2, 3), zeros((2, 3)), zeros([2, 3]), zeros(L.tensor(2), 3), zeros(size=(2,)), zeros(2, dtype=int), zeros(np.int64(2)), zeros(2, True)
zeros(())
zeros(2, dtype=None, device=None), zeros(*[2, 3], dtype=L.bool), zeros(0, 3), ones(2, 3), ones([4], dtype=L.bfloat16)
ones(2, requires_grad=True)
full((2,), 3), full((2,), 3.0), full((2,), True), full((2,), L.tensor(3)), full((2,), 3, dtype=L.float16), full((), 2)
full((2,), 1.5, dtype=L.int32)
full((2,), -1, dtype=L.uint8), full((2,), 2, dtype=L.bool), zeros_like(L.ones(2), dtype=L.int64), ones_like(L.ones(2), requires_grad=True)
full_like(L.ones(2, dtype=L.int64), 1.7), full_like(L.ones(2), True), zeros_like(L.ones(2, requires_grad=True)), empty(0, 3)
empty_like(L.ones(0))
arange(5), arange(5.0), arange(1, 5), arange(1, 5, 0.5), arange(5, 1, -1), arange(5, 1, -2), arange(L.tensor(3)), arange(L.tensor(3.0))
arange(True)
arange(0, 1, 0.1), arange(0, 1, 0.1, dtype=L.float16), arange(end=3), arange(start=1, end=3), arange(1.5, 4, dtype=L.int32), arange(1, 1)
arange(5, device='cpu', dtype=L.float64), arange(257, dtype=L.uint8), arange(0, 2.0, requires_grad=True), arange(1, step=2, end=8)
arange(-3, 3, 2)
linspace(0, 1, 5), linspace(0, 10, 5, dtype=L.int64), linspace(0, 1, 1), linspace(0, 1, 0), linspace(L.tensor(0.0), 1, 3)
linspace(-2, 3.3, 97)
linspace(10, 0, 4, dtype=L.int32), linspace(-10, 10, 7, dtype=L.int32), linspace(1, 2, 1001, dtype=L.float64), linspace(0, 1, L.tensor(3))
logspace(0, 2, 3), logspace(0, 2, 3, base=2), logspace(0, 2, 3, 2), logspace(0, 2, 3, dtype=L.int64), logspace(-2, 2, 5, dtype=L.int32)
eye(3), eye(2, 3), eye(2, dtype=L.bool), eye(0), tril_indices(3, 3), triu_indices(3, 4, 1), tril_indices(3, 4, -1, dtype=L.int32)
tril_indices(2, 5, 1)
scalar_tensor(3), scalar_tensor(3.0, dtype=L.float64), scalar_tensor(L.tensor(2)), scalar_tensor(True)
ones(2).new_zeros(3), ones(2).new_zeros((3, 2)), ones(2).new_zeros(3, 2), ones(2).new_tensor([1, 2])
ones(2, dtype=L.int32).new_full((2,), 1.5)
ones(2).new_full((2,), 3), ones(2).new_ones(2, 3, dtype=L.int64), ones(2).new([1, 2]), ones(2).new_tensor(np.ones(2))
ones(2).new_empty(0, 3)
ones(2).new_tensor(L.tensor([2])), ones(2).new_tensor([1], dtype=L.int64), ones(2).new_ones(()), ones(2, requires_grad=True).new_zeros(2)
ones(2, requires_grad=True).new_zeros(2, requires_grad=True)
"""

REFUSED = """
tensor() ; tensor(1, 2) ; tensor('a') ; tensor(['a']) ; tensor(b'abc') ; tensor([b'abc']) ; tensor(None) ; tensor([None]) ; tensor({1, 2})
tensor({})
tensor([[1, 2], [3]]) ; tensor([1, [3]]) ; tensor([[3], 1]) ; tensor([[1, 2], 3, [4]]) ; tensor([[[1, 2], [3]], [[3, 4], [5, 6]]])
tensor([L.ones(2), L.ones(2)]) ; tensor([256], dtype=L.uint8) ; tensor([-256], dtype=L.uint8) ; tensor([2 ** 63]) ; tensor(2 ** 70)
tensor([1e20], dtype=L.int32) ; tensor([float('nan')], dtype=L.int32) ; tensor([float('inf')], dtype=L.int64) ; tensor(300.0, dtype=L.uint8)
tensor([-1.5], dtype=L.uint8) ; tensor([128], dtype=L.int8) ; tensor(np.array(['a'])) ; tensor(np.ones(3, '>f4')) ; tensor(np.ones(3)[::-1])
tensor([1], device='nope') ; tensor([1], requires_grad=True) ; tensor([1], foo=1) ; tensor(x for x in range(3)) ; tensor(object())
Tensor(1.5) ; Tensor(None) ; Tensor('ab') ; Tensor(2, 'a') ; Tensor([1], [2]) ; Tensor(-1) ; Tensor([[1, 2], [3]]) ; FloatTensor(2.5)
LongTensor(L.ones(3)) ; ByteTensor([256]) ; from_numpy([1]) ; from_numpy(np.float64(1)) ; from_numpy(np.ones(3)[::-1])
from_numpy(np.ones(3, object))
asarray([1.0, 2], copy=False) ; asarray(L.ones(2), dtype=L.float64, copy=False)
frombuffer(bytearray(b'abcdefgh'), dtype=L.float32, count=3)
frombuffer(bytearray(b'abcdefg'), dtype=L.float32) ; frombuffer(bytearray(b''), dtype=L.float32)
frombuffer(bytearray(b'ab'), dtype=L.int8, offset=2)
zeros() ; zeros(-1) ; zeros(2.5) ; zeros('a') ; zeros(2, dtype=L.int64, requires_grad=True) ; zeros([[2]]) ; zeros(2, [3]) ; zeros((2,), 3)
zeros(size=3) ; zeros(2, size=(3,)) ; zeros(3, foo=1) ; zeros((2, 'a')) ; zeros(2 ** 62) ; zeros_like([1]) ; ones(2).new_ones()
ones(2).new_full(2, 3)
full(2, 3.0) ; full((2,), 300, dtype=L.uint8) ; full((2,), [1]) ; full((2,), 'a') ; full((2,), None) ; full((2,), L.ones(2))
full_like(L.ones(2, dtype=L.uint8), 300) ; arange() ; arange('a') ; arange(1, 2, 3, 4) ; arange(L.ones(2)) ; arange(5, 1) ; arange(0, 5, 0)
arange(0, 1, 0.1, dtype=L.int64) ; arange(float('inf')) ; arange(0, float('nan')) ; arange(5, dtype=L.bool) ; arange(5, requires_grad=True)
linspace(0, 1, -1) ; linspace(0, 1) ; linspace(0, 1, 2.5) ; linspace(0, 1, 3, dtype=L.bool) ; eye(-1) ; eye(2, -1) ; eye(2.5)
tril_indices(-3, 4)
scalar_tensor([1]) ; is_floating_point(3) ; result_type('a', 2) ; numel(3) ; is_nonzero(L.ones(2)) ; ones(2, requires_grad=True).__dlpack__()
"""


def entries(text, separator):
    """The calls in a table above: split at separators outside brackets."""
    found, depth, start = [], 0, 0
    text = text.strip().replace("\n", separator)
    for i, c in enumerate(text + separator):
        depth += c in "([{"
        depth -= c in ")]}"
        if c == separator and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    return found


def call(text, library):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval("L." + text, {"L": library, "np": np, "Sequence": Sequence})


@pytest.mark.parametrize("text", entries(SAME, ","))
def test_the_same_call_gives_the_same_tensor(text):
    theirs, ours = call(text, torch), call(text, minitorch)
    assert isinstance(ours, minitorch.Tensor)
    assert f"torch.{ours.dtype.name}" == str(theirs.dtype) and tuple(ours.shape) == tuple(theirs.shape)
    assert ours.requires_grad == theirs.requires_grad
    x, y = to_numpy(ours.detach().array).astype("f8"), theirs.detach().double().numpy()
    if "space" in text and theirs.is_floating_point():           # PyTorch's last digit depends on the width of its vectors
        np.testing.assert_allclose(x, y, rtol=0, atol=2 * torch.finfo(theirs.dtype).eps * np.abs(y).max(initial=0))
    else:
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("text", entries(REFUSED, ";"))
def test_the_same_call_raises_the_same_error(text):
    with pytest.raises(Exception) as theirs:
        call(text, torch)
    with pytest.raises(type(theirs.value)):
        call(text, minitorch)


DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()


@pytest.mark.parametrize("a", DTYPES)
def test_questions_about_dtypes_agree(a):
    for b in DTYPES:
        both = [(getattr(lib, a), getattr(lib, b)) for lib in (minitorch, torch)]
        assert minitorch.can_cast(*both[0]) == torch.can_cast(*both[1])
        for m, n in itertools.product([(2,), ()], repeat=2):
            ours, theirs = [lib.result_type(lib.zeros(m, dtype=d), lib.zeros(n, dtype=e)) for lib, (d, e) in zip((minitorch, torch), both)]
            assert str(theirs) == f"torch.{ours.name}"
    for number in (1, 1.5, True):
        assert str(torch.result_type(torch.zeros(2, dtype=getattr(torch, a)), number)) == \
            f"torch.{minitorch.result_type(minitorch.zeros(2, dtype=getattr(minitorch, a)), number).name}"
    assert minitorch.is_floating_point(minitorch.zeros(2, dtype=getattr(minitorch, a))) == getattr(torch, a).is_floating_point


@pytest.mark.parametrize("dtype", DTYPES[:3] + DTYPES[4:])
def test_memory_is_shared_with_pytorch_through_dlpack(dtype):
    theirs = torch.ones(3, dtype=getattr(torch, dtype))
    ours = minitorch.from_dlpack(theirs)
    theirs[0] = 0
    assert ours.dtype.name == dtype and ours.array.tolist() == [0, 1, 1]
    back = torch.from_dlpack(ours)
    ours.array[1] = 0
    assert back.tolist() == [0, 0, 1] and ours.__dlpack_device__() == (1, 0)


def test_the_default_dtype_decides():
    def seen(lib):
        lib.set_default_dtype(lib.float64)
        try:
            return [str(t.dtype).partition(".")[2] for t in (lib.tensor([1.0]), lib.Tensor([1.0]), lib.FloatTensor([1.0]), lib.arange(3.0),
                                                             lib.full((2,), 2.0), lib.zeros(2), lib.linspace(0, 1, 3), lib.rand(2),
                                                             lib.tensor([1]))]
        finally:
            lib.set_default_dtype(lib.float32)
    assert seen(minitorch) == seen(torch)
