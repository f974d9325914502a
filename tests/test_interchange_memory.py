"""Memory shared with NumPy, DLPack and CUDA's array interface; pickles and copies of tensors, parameters, modules and optimizers."""
import copy
import pickle

import numpy as np
import pytest
import standin

import minitorch
from minitorch import nn

bfloat16 = minitorch.bfloat16


# ---- DLPack --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])
def test_dlpack_shares_memory_with_numpy_both_ways(dtype):
    t = minitorch.zeros(2, 3, dtype=getattr(minitorch, dtype)).t()
    a = np.from_dlpack(t)
    assert a.dtype == dtype and a.strides == t.array.strides and np.shares_memory(a, t.array)
    again = minitorch.from_dlpack(a)
    again.fill_(1)
    assert (t == 1).all()


class Other:
    """An array of another library: it answers with what it was given."""

    def __init__(self, array, *options):
        self.array, self.options = array, options

    def __dlpack__(self, **options):
        if set(options) - set(self.options):
            raise TypeError("unexpected keyword argument")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return 1, 0


@pytest.mark.parametrize("options", [(), ("max_version",), ("copy",), ("max_version", "copy")])
def test_libraries_that_know_fewer_options_are_asked_for_less(options):
    a = np.zeros(3)
    shared, own = minitorch.from_dlpack(Other(a, *options)), minitorch.from_dlpack(Other(a, *options), copy=True)
    shared.add_(1)
    assert a.tolist() == [1, 1, 1] and own.tolist() == [0, 0, 0]


def test_bfloat16_goes_through_dlpack():
    t = minitorch.ones(3, dtype=bfloat16)
    for u in (minitorch.from_dlpack(t), minitorch.from_dlpack(t.__dlpack__()), minitorch.from_dlpack(t.__dlpack__(max_version=(1, 0)))):
        assert u.dtype is bfloat16 and u.data_ptr() == t.data_ptr()


def test_memory_that_is_read_only_stays_so():
    a = np.ones(2)
    a.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        minitorch.from_dlpack(a)[0] = 3
    with pytest.raises(BufferError):
        minitorch.from_numpy(a).__dlpack__()


def test_the_memory_lives_as_long_as_anyone_uses_it():
    t = minitorch.from_dlpack(minitorch.arange(1000.0).__dlpack__())
    a = np.from_dlpack(minitorch.from_dlpack(np.arange(1000.0)))
    assert t.sum() == 499500 and a.sum() == 499500
    t.add_(1)                                        # a capsule of the old kind does not say that it may be written to, but it may


@pytest.mark.parametrize("call, error, words", [
    (lambda: minitorch.ones(1, requires_grad=True).__dlpack__(), BufferError, "require gradient"),
    (lambda: minitorch.from_dlpack(minitorch.ones(1, requires_grad=True)), BufferError, "require gradient"),
    (lambda: minitorch.ones(1).__dlpack__(stream=1), AssertionError, "stream should be None on cpu"),
    (lambda: minitorch.ones(1).__dlpack__(stream="x"), TypeError, "stream must be"),
    (lambda: minitorch.ones(1).__dlpack__(copy=False, dl_device=(2, 0)), ValueError, "without copying"),
    (lambda: minitorch.from_dlpack(np.ones(1), device="cuda", copy=False), ValueError, "without copying"),
    (lambda: minitorch.from_dlpack(3), RuntimeError, "invalid capsule"),
    (lambda: minitorch.from_dlpack(minitorch.ones(1).__dlpack__(), copy=True), AssertionError, "not supported"),
    (lambda: minitorch.from_dlpack(np.arange(3)[::-1]), ValueError, "stride"),
    (lambda: minitorch.from_dlpack(np.array(["a"])), BufferError, "dtype"),
])
def test_what_dlpack_cannot_pass_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_capsule_is_taken_once():
    capsule = minitorch.utils.dlpack.to_dlpack(minitorch.arange(3))
    assert minitorch.utils.dlpack.from_dlpack(capsule).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="only once"):
        minitorch.from_dlpack(capsule)


def test_devices_are_counted_as_dlpack_does():
    assert minitorch.ones(1).__dlpack_device__() == (minitorch.utils.dlpack.DLDeviceType.kDLCPU, 0)
    with standin.installed():
        assert minitorch.ones(1, device="cuda").__dlpack_device__() == (minitorch.utils.dlpack.DLDeviceType.kDLCUDA, 0)


# ---- CUDA's array interface ------------------------------------------------------------------------------------------------

def test_cudas_array_interface_is_there_on_the_gpu_alone():
    assert not hasattr(minitorch.ones(1), "__cuda_array_interface__")
    with standin.installed():
        t = minitorch.arange(6.0, device="cuda").reshape(2, 3)
        assert t.__cuda_array_interface__ == {"typestr": "<f4", "shape": (2, 3), "strides": None, "data": (t.data_ptr(), False), "version": 2}
        assert t.t().__cuda_array_interface__["strides"] == (4, 12)
        assert t[:0].__cuda_array_interface__["data"] == (0, False)
        assert t.to(bfloat16).__cuda_array_interface__["typestr"] == "<V2" and t.bool().__cuda_array_interface__["typestr"] == "|b1"
        with pytest.raises(RuntimeError, match="requires grad"):
            _ = t.requires_grad_().__cuda_array_interface__


# ---- NumPy ---------------------------------------------------------------------------------------------------------------------

def test_numpy_shares_memory_with_tensors():
    a = np.zeros((2, 3))
    t = minitorch.from_numpy(a)
    t[0, 0] = 1
    a[0, 1] = 2
    assert t.numpy() is a and np.shares_memory(np.asarray(t), a) and t[0].tolist() == [1, 2, 0]
    assert not np.shares_memory(np.array(t), a) and np.asarray(t, dtype=np.int8).tolist() == [[1, 2, 0], [0, 0, 0]]
    assert minitorch.as_tensor(a).numpy() is a and not np.shares_memory(minitorch.tensor(a).numpy(), a)


def test_numpys_own_functions_on_tensors_give_tensors():
    t = minitorch.tensor([1.0, 4.0])
    assert type(np.sqrt(t)) is minitorch.Tensor and np.sqrt(t).tolist() == [1, 2]
    assert np.greater(t, 2).dtype is minitorch.uint8 and type(np.add(np.ones(2), t)) is minitorch.Tensor
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sqrt(t.requires_grad_())


def test_buffers_are_read_in_place():
    data = bytearray(range(8))
    t = minitorch.asarray(data, dtype=minitorch.int16)
    data[0] = 9
    assert t[0].item() == 9 + 256 and minitorch.asarray(memoryview(data), dtype=minitorch.uint8, copy=True).tolist()[0] == 9
    with pytest.raises(ValueError, match="multiple of element size"):
        minitorch.asarray(bytearray(3))


def test_arrays_of_other_libraries_are_data():
    a = np.arange(4.0)
    assert minitorch.tensor(Other(a)).tolist() == [0, 1, 2, 3]
    assert minitorch.asarray(Other(a), copy=False).data_ptr() == a.ctypes.data
    with pytest.raises(ValueError, match="can't alias minitorch.float64 tensor into a tensor of minitorch.float32"):
        minitorch.asarray(a, dtype=minitorch.float32, copy=False)


# ---- copies and pickles ------------------------------------------------------------------------------------------------------------

def test_deep_copies_share_what_was_shared():
    x = minitorch.zeros(2, 3)
    y, row, columns, apart = copy.deepcopy([x, x[1], x.t(), minitorch.zeros(1)])
    y.fill_(1)
    assert row.tolist() == [1, 1, 1] and columns.stride() == (1, 3) and columns.sum() == 6 and row._version == 1
    assert x.sum() == 0 and apart._version == 0


def test_a_shallow_copy_is_another_tensor_of_the_same_storage():
    x = minitorch.ones(2, requires_grad=True)
    x.note = "n"
    y = copy.copy(x)
    assert y is not x and y.data_ptr() == x.data_ptr() and y.requires_grad and y.note == "n"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["deepcopy", "pickle"])
def test_kinds_attributes_and_wishes_are_copied(again):
    p, b, t = nn.Parameter(minitorch.ones(2, 2).t(), requires_grad=False), nn.Buffer(minitorch.ones(1), persistent=False), minitorch.ones(1)
    p.tag, t.note = "p", ["t"]
    q, c, u = again([p, b, t])
    assert type(q) is nn.Parameter and not q.requires_grad and q.tag == "p" and type(c) is nn.Buffer and not c.persistent
    assert u.note == ["t"] and u.note is not t.note


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["deepcopy", "pickle"])
def test_modules_and_optimizers_are_copied_whole(again):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.GRU(3, 2))
    tied = net[0].weight
    optimizer = minitorch.optim.Adam(net.parameters(), lr=0.1)
    net(minitorch.randn(4, 2))[0].sum().backward()
    optimizer.step()
    twin, other = again([net, optimizer])
    assert other.param_groups[0]["params"][0] is twin[0].weight and twin[0].weight is not tied
    x = minitorch.randn(4, 2)
    for n, o in ((net, optimizer), (twin, other)):
        o.zero_grad()
        n(x)[0].sum().backward()
        o.step()
    assert twin[0].weight.detach().array.tobytes() == net[0].weight.detach().array.tobytes()


def test_ties_between_modules_survive_a_copy():
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    net["b"].weight = net["a"].weight
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin["a"].weight is twin["b"].weight


def test_functions_of_the_library_are_pickled_by_name():
    for f in (minitorch.relu, nn.functional.gelu, minitorch.matmul, minitorch.float32, minitorch.device("cpu"), minitorch.Size([1])):
        assert pickle.loads(pickle.dumps(f)) == f
