"""Creation without PyTorch at hand: sharing, copying, the devices, DLPack."""
import copy
import pickle
import warnings

import numpy as np
import pytest
import standin

import minitorch


def test_from_numpy_shares_memory_and_tensor_copies():
    a = np.zeros(3)
    shared, copied = minitorch.from_numpy(a), minitorch.tensor(a)
    a[0] = 5
    assert shared.array[0] == 5 and copied.array[0] == 0
    assert minitorch.as_tensor(a).array is a and minitorch.as_tensor(shared) is shared
    assert not np.shares_memory(minitorch.asarray(a, copy=True).array, a)
    assert minitorch.as_tensor(a, dtype=minitorch.float32).dtype is minitorch.float32
    with pytest.raises(ValueError, match="can't alias"):
        minitorch.asarray(a, dtype=minitorch.float32, copy=False)


def test_tensor_of_a_tensor_warns_and_cuts_the_graph():
    x = minitorch.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="recommended to use sourceTensor.detach"):
        y = minitorch.tensor(x)
    assert not y.requires_grad and not np.shares_memory(x.array, y.array)


def test_the_old_constructor_shares_a_tensor():
    x = minitorch.ones(2)
    assert minitorch.Tensor(x).array is x.array and minitorch.FloatTensor(x).array is x.array
    assert isinstance(x, minitorch.FloatTensor) and not isinstance(x, minitorch.LongTensor) and not isinstance(3, minitorch.FloatTensor)


def test_as_tensor_in_another_dtype_stays_in_the_graph():
    x = minitorch.ones(2, requires_grad=True)
    y = minitorch.as_tensor(x, dtype=minitorch.float64)
    y.backward(minitorch.ones(2, dtype=minitorch.float64))
    assert x.grad.dtype is minitorch.float32 and x.grad.array.tolist() == [1, 1]


def test_dlpack_goes_both_ways_without_a_copy():
    a = np.arange(3.0)
    t = minitorch.from_dlpack(a)
    assert np.shares_memory(t.array, a)
    assert np.shares_memory(np.from_dlpack(t), a)
    with pytest.raises(BufferError):
        minitorch.ones(2, requires_grad=True).__dlpack__()


def test_foreign_layouts_are_refused():
    for array in (np.ones(3, ">f4"), np.ones(3)[::-1]):
        for f in (minitorch.tensor, minitorch.from_numpy):
            with pytest.raises(ValueError, match="byte order|negative"):
                f(array)


def test_ragged_nesting_is_named():
    with pytest.raises(ValueError, match=r"expected sequence of length 2 at dim 1 \(got 1\)"):
        minitorch.tensor([[1, 2], [3]])


def test_strange_leaves_are_named():
    with pytest.raises(RuntimeError, match="Could not infer dtype of Fraction"):
        minitorch.tensor([__import__("fractions").Fraction(1, 2)])


def test_a_large_list_is_read_exactly():
    numbers = np.random.default_rng(0).normal(size=(300, 40))
    assert (minitorch.tensor(numbers.tolist(), dtype=minitorch.float64).array == numbers).all()


def test_too_much_memory_is_pytorchs_error():
    with pytest.raises(RuntimeError, match="can't allocate"):
        minitorch.zeros(2 ** 60)


def test_everything_can_be_made_on_the_device():
    with standin.installed():
        made = [minitorch.tensor([1.0, 2], device="cuda"), minitorch.zeros(2, device="cuda"), minitorch.ones(2, device="cuda:0"),
                minitorch.full((2,), 3, device="cuda"), minitorch.empty(2, device="cuda"), minitorch.arange(3, device="cuda"),
                minitorch.linspace(0, 1, 3, device="cuda"), minitorch.eye(2, device="cuda"), minitorch.tril_indices(2, 2, device="cuda"),
                minitorch.rand(2, device="cuda"), minitorch.randn(2, device="cuda"), minitorch.randint(5, (2,), device="cuda"),
                minitorch.randperm(3, device="cuda"), minitorch.normal(0, 1, (2,), device="cuda"), minitorch.Tensor([1, 2], device="cuda")]
        x = made[0]
        made += [minitorch.zeros_like(x), minitorch.full_like(x, 2), x.new_zeros(3), x.new_tensor([1]), x.new_full((2,), 1),
                 minitorch.rand_like(x),
                 minitorch.bernoulli(x / 4), minitorch.multinomial(x, 1), minitorch.poisson(x), x.new_empty(2).normal_(),
                 minitorch.tensor(x.detach().array)]
        for t in made:
            assert t.device == minitorch.device("cuda", 0), t
        assert "device='cuda:0'" in repr(x)
        assert minitorch.zeros_like(x, device="cpu").device.type == "cpu"
        with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
            minitorch.rand(2, device="cuda", generator=minitorch.Generator())


def test_a_missing_device_is_named():
    with pytest.raises(RuntimeError, match="device 'cuda'"):
        minitorch.zeros(2, device="cuda")


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["deepcopy", "pickle"])
def test_leaves_can_be_copied_and_pickled(again):
    for t in (minitorch.randn(3, requires_grad=True), minitorch.arange(3), minitorch.ones(2, dtype=minitorch.bfloat16)):
        u = again(t)
        assert u.dtype is t.dtype and u.requires_grad == t.requires_grad and (u.array == t.array).all() and not np.shares_memory(u.array,
                                                                                                                                 t.array)


def test_a_result_is_pickled_as_a_leaf_but_not_deep_copied():
    y = minitorch.ones(2, requires_grad=True) * 2
    again = pickle.loads(pickle.dumps(y))
    assert again.is_leaf and again.requires_grad and again.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(y)


def test_deepcopy_keeps_the_gradient_and_copies_once():
    x = minitorch.ones(2, requires_grad=True)
    x.grad = minitorch.ones(2)
    a, b = copy.deepcopy([x, x])
    assert a is b and a.grad.array.tolist() == [1, 1] and a.grad is not x.grad


def test_reading_only_arrays_stay_unwritten():
    a = np.ones(3)
    a.flags.writeable = False
    with pytest.raises(ValueError), warnings.catch_warnings():
        minitorch.from_numpy(a).uniform_()
