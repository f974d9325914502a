"""Memory shared with PyTorch by DLPack, conversions that both have, and copies: each as PyTorch does it."""
import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import minitorch  # noqa: E402

DTYPES = [d for d in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "uint16", "uint32", "uint64")
          if d in minitorch.dtypes.BY_NAME]


def name(x):
    return str(x).rpartition(".")[2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.t(), lambda x: x[1:, ::2], lambda x: x[1, 1], lambda x: x[:0]],
                         ids=["whole", "transposed", "stepped", "element", "empty"])
def test_dlpack_shares_memory_both_ways(dtype, view):
    for here, there in ((minitorch, torch), (torch, minitorch)):
        x = view(here.zeros(3, 4, dtype=getattr(here, dtype)))
        y = there.from_dlpack(x)
        assert name(y.dtype) == dtype and y.shape == x.shape and (y.stride() == x.stride() or not x.numel())
        y.fill_(1)
        assert (x == 1).all()
        z = there.utils.dlpack.from_dlpack(here.utils.dlpack.to_dlpack(x))
        assert not z.numel() or z.data_ptr() == x.data_ptr()
        z.fill_(0)
        assert (x == 0).all()


def test_dlpacks_options():
    t = torch.ones(3, dtype=torch.bfloat16)
    assert minitorch.from_dlpack(t, copy=True).data_ptr() != t.data_ptr() == minitorch.from_dlpack(t, copy=False, device="cpu").data_ptr()
    m = minitorch.ones(3, dtype=minitorch.bfloat16)
    assert torch.from_dlpack(m, copy=True).data_ptr() != m.data_ptr() == torch.from_dlpack(m, copy=False).data_ptr()
    for lib in (minitorch, torch):
        assert "versioned" in str(lib.ones(1).__dlpack__(max_version=(1, 0))) and "versioned" not in str(lib.ones(1).__dlpack__(max_version=(0, 8)))
        assert lib.ones(1).__dlpack_device__() == (1, 0)
        for bad, error in ((dict(stream=1), AssertionError), (dict(stream="x"), TypeError), (dict(copy=False, dl_device=(2, 0)), ValueError)):
            with pytest.raises(error):
                lib.ones(1).__dlpack__(**bad)
        with pytest.raises(BufferError):
            lib.from_dlpack(lib.ones(1, requires_grad=True)) if lib is torch else lib.ones(1, requires_grad=True).__dlpack__()
        capsule = lib.ones(1).__dlpack__()
        lib.from_dlpack(capsule)
        for once_more in (capsule, 3):
            with pytest.raises(RuntimeError, match="invalid capsule"):
                lib.from_dlpack(once_more)


def test_each_takes_the_others_tensors_as_data():
    t = torch.arange(6.0).reshape(2, 3)
    assert minitorch.tensor(t).tolist() == t.tolist() and not np.shares_memory(minitorch.tensor(t).array, t.numpy())
    assert minitorch.asarray(t, copy=False).data_ptr() == t.data_ptr()


def test_deep_copies_share_what_was_shared():
    for lib in (torch, minitorch):
        x = lib.zeros(2, 3)
        for again in (copy.deepcopy([x, x[0], x.t()]),):
            again[0].fill_(1)
            assert (again[1] == 1).all() and (again[2] == 1).all() and again[2].stride() == (1, 3) and x.sum() == 0
        y = copy.copy(x)
        y.fill_(2)
        assert (x == 2).all()


CALLS = {
    "bytes": lambda m: m.asarray(b"abcdefgh"),
    "bytes as uint8": lambda m: m.asarray(b"abc", dtype=m.uint8),
    "sequence of bytes": lambda m: m.tensor(bytearray(b"abc")),
    "odd bytes": lambda m: m.asarray(bytearray(3)),
    "list without a copy": lambda m: m.asarray([1], copy=False),
    "number without a copy": lambda m: m.asarray(1.0, copy=False),
    "cast without a copy": lambda m: m.asarray(np.ones(2), dtype=m.float32, copy=False),
    "scalar": lambda m: m.asarray(np.float32(3)),
    "reversed": lambda m: m.from_numpy(np.arange(3)[::-1]),
    "swapped": lambda m: m.from_numpy(np.arange(3, dtype=">i4")),
    "text": lambda m: m.from_numpy(np.array(["a"])),
    "number": lambda m: m.from_numpy(5),
    "0-d": lambda m: m.from_numpy(np.array(2)),
    "empty": lambda m: m.from_numpy(np.zeros((0, 3))),
    "numpy of a leaf": lambda m: m.ones(2, requires_grad=True).numpy(),
    "forced": lambda m: m.ones(2, requires_grad=True).numpy(force=True),
    "array of a leaf": lambda m: np.array(m.ones(2, requires_grad=True)),
    "array of a type": lambda m: np.asarray(m.ones(2), dtype=np.int8),
    "buffer": lambda m: m.frombuffer(bytearray(range(8)), dtype=m.int16, count=2, offset=2),
    "empty buffer": lambda m: m.frombuffer(bytearray(), dtype=m.int8),
    "offset beyond": lambda m: m.frombuffer(bytearray(8), dtype=m.int16, offset=9),
    "odd offset": lambda m: m.frombuffer(bytearray(8), dtype=m.int16, offset=1),
    "too many": lambda m: m.frombuffer(bytearray(8), dtype=m.int16, count=9),
    "no buffer": lambda m: m.frombuffer([1], dtype=m.int8),
    "none at all": lambda m: m.frombuffer(bytearray(8), dtype=m.int8, count=0),
    "lists": lambda m: m.ones(2, 1, dtype=m.bfloat16).tolist(),
    "list of none": lambda m: m.zeros(0, 2).tolist(),
    "list of a number": lambda m: m.tensor(True).tolist(),
    "list of a leaf": lambda m: m.ones(1, requires_grad=True).tolist(),
    "numpy's sin": lambda m: np.sin(m.ones(2)),
    "numpy's greater": lambda m: np.greater(m.ones(2), 0),
    "numpy's add": lambda m: np.add(np.ones(2), m.ones(2)),
    "on the GPU": lambda m: m.ones(1).__cuda_array_interface__,
    "asked of the CPU": lambda m: hasattr(m.ones(1), "__cuda_array_interface__"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.filterwarnings("ignore")
def test_conversions_do_the_same(call):
    def outcome(lib):
        try:
            y = call(lib)
        except Exception as error:
            return type(error)
        return type(y).__name__, name(getattr(y, "dtype", "")), y.tolist() if hasattr(y, "tolist") else y
    assert outcome(minitorch) == outcome(torch)
