"""Files in PyTorch's format and .npz files: what they keep, where their tensors go, and whom they trust."""
import collections
import enum
import gc
import io
import pickle
import struct

import numpy as np
import pytest
import standin
from handmade import a_tensor, archive, call, old_file, reference

import minitorch
from minitorch import nn, serialization

ones = minitorch.ones


def round_trip(x, **kw):
    file = io.BytesIO()
    minitorch.save(x, file)
    return minitorch.load(io.BytesIO(file.getvalue()), **kw)


def overlap(a, b):
    return np.shares_memory(a.detach().array, b.detach().array)


# ---- what a file keeps ------------------------------------------------------------------------------------------------

def test_views_come_back_as_views_of_one_storage():
    x = minitorch.arange(12.0).reshape(3, 4)
    back = round_trip({"x": x, "row": x[1], "columns": x.t()[1:3], "bits": x.view(minitorch.int32)})
    assert back["columns"].stride() == (1, 4) and back["row"].tolist() == [4, 5, 6, 7]
    back["x"].fill_(2)
    assert back["row"].tolist() == [2] * 4 and back["columns"].tolist() == [[2] * 3] * 2
    assert back["bits"].dtype is minitorch.int32 and back["bits"][0, 0].item() == 2 ** 30
    assert back["row"]._version == 1


@pytest.mark.parametrize("make", [
    lambda x: x, lambda x: x.t(), lambda x: x[:, ::2], lambda x: x[1:], lambda x: x[0, 0], lambda x: x[:0], lambda x: x.expand(2, 4, 6),
    lambda x: x.permute(1, 0).unsqueeze(0), lambda x: minitorch.tensor(3.5), lambda x: x.unfold(1, 3, 1),
], ids=["whole", "transposed", "stepped", "cut", "element", "empty", "expanded", "permuted", "0-d", "windows"])
@pytest.mark.parametrize("dtype", [minitorch.float64, minitorch.bfloat16, minitorch.bool])
def test_shapes_strides_and_values_are_kept(make, dtype):
    x = make(minitorch.arange(24).reshape(4, 6).to(dtype))
    y = round_trip(x)
    assert y.shape == x.shape and y.dtype is x.dtype and np.array_equal(y.array, x.array)
    assert y.stride() == x.stride() or not x.numel()


def test_arrays_in_foreign_memory_bring_no_more_than_themselves(tmp_path):
    np.arange(1_000_000.0).tofile(tmp_path / "large")
    mapped = np.memmap(tmp_path / "large", np.float64)
    for x in (minitorch.from_numpy(np.asarray(mapped)[5:8]), minitorch.frombuffer(bytearray(10), dtype=minitorch.int8)[3:]):
        minitorch.save(x, tmp_path / "file.pt")
        assert (tmp_path / "file.pt").stat().st_size < 3000 and minitorch.load(tmp_path / "file.pt").tolist() == x.tolist()


def test_one_object_twice_is_one_object():
    p, content = nn.Parameter(ones(2)), []
    back = round_trip([p, {"again": p}, content, content])
    assert back[0] is back[1]["again"] and back[2] is back[3]
    content.append(content)
    back = round_trip(content)
    assert back[0] is back


def test_plain_data_is_kept_to_the_type():
    data = {"bytes": b"\0\xff", "no bytes": b"", "bytearray": bytearray(b"ab"), "complex": 1 + 2j, "frozen": frozenset({1, (2, 3)}),
            "counter": collections.Counter("abca"), "ordered": collections.OrderedDict(b=1, a=2), "large": [2 ** 100, -2 ** 70, -1, 255, 256, 65536],
            "text": "é\0\U0001f600" * 100, "dtype": minitorch.int8, "device": minitorch.device("cuda", 1), "size": minitorch.Size([2, 0]),
            "layout": minitorch.strided, None: True, 1.5: float("inf"), (1, "k"): [(), [], {}, set()]}
    back = round_trip(data)
    assert back == data and [type(v) for v in back.values()] == [type(v) for v in data.values()]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_is_read(protocol):
    data = [b"x" * 300, b"", "y" * 300, {1}, frozenset([2]), bytearray(5), tuple(range(9)), 2 ** 3000, [{"a": (1,)}] * 2]
    assert minitorch.load(io.BytesIO(archive(pickle.dumps(data, protocol)))) == data


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.array(["a", "bc"]), np.array([b"x"]), np.zeros((0, 2)),
                                   np.float32(2.5), np.int64(-3), np.bool_(True), np.dtype("f4"), np.ones(2, minitorch.bfloat16.numpy)],
                         ids=lambda a: f"{type(a).__name__}-{getattr(a, 'dtype', a)}")
def test_numpys_arrays_and_numbers_are_data(array):
    back = round_trip({"a": array, "again": [array]})["a"]
    assert type(back) is type(array) and np.array_equal(back, array) and getattr(back, "dtype", back) == getattr(array, "dtype", array)


def test_arrays_in_another_order_of_bytes_keep_their_numbers():
    assert round_trip(np.array([3, 500], ">i4")).tolist() == [3, 500] and round_trip({"d": np.dtype(">f8")})["d"] == np.dtype(">f8")


def test_a_state_dict_keeps_its_versions_and_fits():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    net(minitorch.randn(2, 1, 5, 5))
    state = round_trip(net.state_dict())
    assert state._metadata == net.state_dict()._metadata and state._metadata["1"] == {"version": 2}
    again = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    again.load_state_dict(state)
    x = minitorch.randn(2, 1, 5, 5)
    assert (again.eval()(x) == net.eval()(x)).all()


def test_parameters_buffers_and_attributes_are_kept():
    p, b, t = nn.Parameter(ones(2), requires_grad=False), nn.Buffer(ones(2), persistent=False), ones(1)
    p.tag, t.note = "p", "t"
    q, c, u = round_trip([p, b, t])
    assert type(q) is nn.Parameter and not q.requires_grad and q.tag == "p" and u.note == "t"
    assert type(c) is nn.Buffer and not c.persistent


def test_everything_of_a_training_run_goes_on_from_a_file(tmp_path):
    def start():
        minitorch.manual_seed(0)
        net = nn.Linear(3, 2)
        optimizer = minitorch.optim.AdamW(net.parameters(), lr=0.1, amsgrad=True)
        return net, optimizer, minitorch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3]), minitorch.amp.GradScaler("cpu")

    def step(net, optimizer, schedule, scaler, i):
        optimizer.zero_grad()
        scaler.scale((net(ones(4, 3) * i) ** 2).mean()).backward()
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
    first = start()
    for i in range(3):
        step(*first, i)
    minitorch.save({"parts": [part.state_dict() for part in first], "random": minitorch.get_rng_state()}, tmp_path / "run.pth")
    second = start()
    for part, state in zip(second, minitorch.load(tmp_path / "run.pth")["parts"]):
        part.load_state_dict(state)
    for i in range(3, 6):
        step(*first, i)
        step(*second, i)
    assert second[0].weight.detach().array.tobytes() == first[0].weight.detach().array.tobytes()
    assert second[2].get_last_lr() == first[2].get_last_lr()


def test_the_same_data_makes_the_same_file(tmp_path):
    for name in "ab":
        minitorch.save({"w": minitorch.arange(5), "names": ["x"]}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_records_lie_at_multiples_of_64_bytes_for_mapping(tmp_path):
    path = tmp_path / "large.pt"
    minitorch.save({"a": ones(1000), "b": minitorch.arange(7), "c": ones(3, dtype=minitorch.bfloat16)}, path)
    back = minitorch.load(path, mmap=True)
    before = path.read_bytes()
    assert all(t.data_ptr() % 64 == 0 for t in back.values())
    back["a"].fill_(5)
    assert path.read_bytes() == before and back["b"].tolist() == list(range(7)) and back["a"].sum() == 5000
    again = io.BytesIO()
    minitorch.save({"b": back["b"]}, again)
    assert len(again.getvalue()) < 2000              # its own storage, not the whole file
    del back
    gc.collect()
    with pytest.raises(ValueError, match="must be a file path"):
        minitorch.load(io.BytesIO(before), mmap=True)


def test_a_file_object_is_read_from_where_it_stands():
    file = io.BytesIO(b"before")
    file.seek(6)
    minitorch.save([ones(2)], file)
    file.seek(6)
    assert minitorch.load(file)[0].tolist() == [1, 1]

    class Pipe:                                      # neither tell nor seek
        def __init__(self, data):
            self.read = io.BytesIO(data).read
    assert minitorch.load(Pipe(file.getvalue()[6:]))[0].tolist() == [1, 1]


# ---- devices --------------------------------------------------------------------------------------------------------

def test_map_location_is_asked_once_for_each_storage():
    x = minitorch.arange(6.0)
    asked = []

    def where(storage, device):
        asked.append((storage.numel(), device))
        return storage * 2 if len(asked) == 1 else None
    back = round_trip([x, x[1:3], ones(2)], map_location=where)
    assert asked == [(6, "cpu"), (2, "cpu")] and back[1].tolist() == [2, 4] and back[2].tolist() == [1, 1]
    with pytest.raises(KeyError, match="mine"):
        round_trip(x, map_location=lambda storage, device: {}["mine"])
    with pytest.raises(TypeError, match="map_location must return a tensor"):
        round_trip(x, map_location=lambda storage, device: 3)


def test_tensors_of_a_gpu_share_storages_there():
    with standin.installed():
        x = ones(2, 3, device="cuda")
        a, b = round_trip([x, x.t()])
        assert a.device.type == b.device.type == "cuda" and b.shape == (3, 2)
        a.fill_(4)
        assert b.sum().item() == 24


# ---- whole objects -----------------------------------------------------------------------------------------------------

class Settings:
    def __init__(self, width):
        self.width = width


class Colour(enum.Enum):
    RED = 1


class Tagged(minitorch.Tensor):
    pass


def test_whole_modules_come_back_only_where_the_caller_trusts_the_file(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.LSTM(3, 2))
    minitorch.save(net, tmp_path / "net.pt")
    with pytest.raises(pickle.UnpicklingError, match=r"net\.pt.*GLOBAL minitorch\.nn\.container\.Sequential was not an allowed global"):
        minitorch.load(tmp_path / "net.pt")
    again = minitorch.load(tmp_path / "net.pt", weights_only=False)
    x = minitorch.randn(4, 2)
    assert (again(x)[0] == net(x)[0]).all() and type(again) is nn.Sequential
    optimizer = minitorch.optim.SGD(net.parameters(), lr=0.1)
    net, optimizer = round_trip([net, optimizer], weights_only=False)
    assert optimizer.param_groups[0]["params"][0] is net[0].weight
    with pytest.raises(AttributeError, match="Can't get attribute 'Gone'"):
        minitorch.load(io.BytesIO(archive(call("tests_of_interchange Gone".replace("tests_of_interchange", __name__)))), weights_only=False)


def test_trusted_classes_are_read_and_no_others(tmp_path):
    path = tmp_path / "settings.pt"
    minitorch.save([Settings(3), Colour.RED], path)
    assert serialization.get_unsafe_globals_in_checkpoint(path) == [f"{__name__}.Colour", f"{__name__}.Settings"]
    with pytest.raises(pickle.UnpicklingError, match="add_safe_globals"):
        minitorch.load(path)
    with serialization.safe_globals([Settings, (Colour, f"{__name__}.Colour")]):
        assert serialization.get_unsafe_globals_in_checkpoint(path) == [] and len(serialization.get_safe_globals()) == 2
        settings, colour = minitorch.load(path)
        assert type(settings) is Settings and settings.width == 3 and colour is Colour.RED
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([Settings])
    with pytest.raises(RuntimeError, match="Colour"):
        minitorch.load(path)
    serialization.clear_safe_globals()
    for wrong, error in (((Settings,), ValueError), ((Settings, 3), TypeError)):
        with pytest.raises(error):
            serialization.add_safe_globals([wrong])


def test_tensors_of_ones_own_class_need_trust():
    t = minitorch.ones(2)
    t.__class__ = Tagged
    t.note = "x"
    with pytest.raises(RuntimeError, match="Tagged"):
        round_trip(t)
    with serialization.safe_globals([Tagged]):
        back = round_trip(t)
    assert type(back) is Tagged and back.note == "x" and back.tolist() == [1, 1]


def test_a_failing_write_is_told_and_nothing_else(tmp_path):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 1000:
                raise OSError(28, "No space left on device")
            return super().write(data)
    with pytest.raises(OSError, match="No space left"):
        minitorch.save(ones(1000), Full())
    gc.collect()                                     # where an archive left open would complain
    with pytest.raises(TypeError):
        minitorch.save(ones(1), io.StringIO())
    with pytest.raises(FileNotFoundError, match="no such folder: .*none"):
        minitorch.save(1, tmp_path / "none" / "file.pt")


def test_what_cannot_be_pickled_is_said_before_anything_is_written():
    file = io.BytesIO()
    for thing in (lambda: 0, (x for x in ())):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            minitorch.save([thing], file)
    assert file.getvalue() == b""


# ---- files of others -----------------------------------------------------------------------------------------------

def test_a_good_file_made_by_hand_is_read():
    assert minitorch.load(io.BytesIO(a_tensor())).tolist() == [[1, 2], [3, 4]]
    assert minitorch.load(io.BytesIO(a_tensor(reference(where="cuda:0"))), map_location="cpu").tolist() == [[1, 2], [3, 4]]
    assert minitorch.load(io.BytesIO(a_tensor(stride=(0, 1)))).tolist() == [[1, 2], [1, 2]]


def test_bytes_that_are_no_bools_become_some():
    back = minitorch.load(io.BytesIO(a_tensor(reference("torch\nBoolStorage"), records={"data/0": b"\x00\x01\x02\xff"})))
    assert back.array.view(np.uint8).tolist() == [[0, 1], [1, 1]]


def test_other_orders_of_bytes_are_turned_around():
    data = {"data/0": struct.pack(">4f", 1, 2, 3, 4), "byteorder": b"big"}
    assert minitorch.load(io.BytesIO(a_tensor(records=data))).tolist() == [[1, 2], [3, 4]]


def test_a_pickle_module_and_weights_only_exclude_each_other():
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        round_trip(1, weights_only=True, pickle_module=pickle)
    assert round_trip(Settings(4), pickle_module=pickle).width == 4


def test_the_old_format_is_read(tmp_path):
    x = minitorch.arange(6.0).reshape(2, 3)
    (tmp_path / "old.pth").write_bytes(old_file({"x": x, "t": x.t(), "p": nn.Parameter(ones(2)), "state": nn.BatchNorm1d(2).state_dict()}))
    back = minitorch.load(tmp_path / "old.pth")
    assert back["t"].tolist() == x.t().tolist() and overlap(back["x"], back["t"]) and type(back["p"]) is nn.Parameter
    assert back["state"]["running_var"].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="before PyTorch 1.6"):
        minitorch.load(tmp_path / "old.pth", mmap=True)


# ---- NumPy's .npz -----------------------------------------------------------------------------------------------------------

def test_npz_files_are_dicts_of_arrays(tmp_path):
    path = tmp_path / "file.npz"
    minitorch.save({"w": minitorch.arange(6.0).reshape(2, 3), "layer/b": np.ones(2, bool), "n": 3, "file": minitorch.zeros(0, 2)}, path)
    with np.load(path, allow_pickle=False) as theirs:
        assert theirs["w"].tolist() == [[0, 1, 2], [3, 4, 5]] and theirs["layer/b"].all() and theirs["n"] == 3 and theirs["file"].shape == (0, 2)
    back = minitorch.load(path)
    assert list(back) == ["w", "layer/b", "n", "file"] and back["w"].dtype is minitorch.float32 and back["n"].item() == 3
    for write in (np.savez, np.savez_compressed):
        write(path, a=np.arange(3), b=np.ones((2, 2), ">f4").T)
        back = minitorch.load(path, map_location="cpu")
        assert back["a"].tolist() == [0, 1, 2] and back["b"].dtype is minitorch.float32
    minitorch.save({}, path)
    assert minitorch.load(path) == {}


@pytest.mark.parametrize("x", [[1], {"a": "text"}, {1: ones(1)}, {"a": {"b": 1}}, {"a": ones(1, dtype=minitorch.bfloat16)}, {"../a": ones(1)}])
def test_what_an_npz_file_cannot_hold_is_refused(tmp_path, x):
    with pytest.raises(TypeError, match="npz"):
        minitorch.save(x, tmp_path / "file.npz")
    assert not list(tmp_path.iterdir())
