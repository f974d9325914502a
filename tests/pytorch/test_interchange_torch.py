"""Files and memory shared with PyTorch in both directions: what torch.save writes is read here, what save writes torch.load reads safely."""
import collections
import io
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import minitorch  # noqa: E402

DTYPES = [d for d in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128",
                      "uint16", "uint32", "uint64") if d in minitorch.dtypes.BY_NAME]


def there_to_here(x, zipped=True, **kw):
    file = io.BytesIO()
    torch.save(x, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return minitorch.load(file, **kw)


def here_to_there(x, weights_only=True, **kw):
    file = io.BytesIO()
    minitorch.save(x, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only, **kw)


def numbers(t):
    """The bytes of a tensor's elements in order: both libraries' tensors, bfloat16 too."""
    t = t.detach().contiguous()
    if isinstance(t, torch.Tensor):
        return t.view(torch.uint8).numpy().tobytes() if t.dim() and t.numel() else t.reshape(1, -1).view(torch.uint8).numpy().tobytes()
    return np.ascontiguousarray(t.array).tobytes()


def same(a, b):
    """Whether data here and there is the same, by type."""
    if isinstance(a, (minitorch.Tensor, torch.Tensor)):
        return (isinstance(b, (minitorch.Tensor, torch.Tensor)) and name(a.dtype) == name(b.dtype) and tuple(a.shape) == tuple(b.shape)
                and (a.stride() == b.stride() or not a.numel()) and numbers(a) == numbers(b)
                and a.requires_grad == b.requires_grad and type(a).__name__ == type(b).__name__)
    if type(a).__name__ in ("dtype", "device", "Size"):
        return type(a).__name__ == type(b).__name__ and name(a) == name(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return all(map(same, a, b)) and len(a) == len(b) and all(same(v, b[k]) for k, v in a.items()) and vars_of(a) == vars_of(b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def name(x):
    return str(x).rpartition(".")[2]


def vars_of(x):
    return {k: dict(v) for k, v in getattr(x, "__dict__", {}).items()}


def tensors(lib, dtype):
    x = lib.arange(24).reshape(4, 6).to(getattr(lib, dtype))
    return {"whole": x, "transposed": x.t(), "stepped": x[::2, 1::2], "element": x[1, 2], "number": lib.tensor(1).to(getattr(lib, dtype)),
            "empty": x[:0], "expanded": x[0].expand(3, 6), "own": x[1].clone(), "none": lib.zeros(0, 2, 0)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_every_type_and_layout(dtype):
    here, there = tensors(minitorch, dtype), tensors(torch, dtype)
    assert same(there_to_here(there), there) and same(here_to_there(here), here)
    assert same(there_to_here(there, zipped=False), there)


def data(lib):
    p = lib.nn.Parameter(lib.ones(2, 3))
    return {
        "plain": [1, -2.5, 10 ** 40, -3 * 10 ** 30, True, None, float("inf"), "é\0", (), [], {}, (1, (2, [3]))], "bytes": b"a\0\xff", "set": {1, "x"},
        "bytearray": bytearray(b"xyz"), "complex": 1 - 2j, "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "counter": collections.Counter("aab"),
        3: lib.Size([2, 3]), "dtypes": [lib.float32, lib.bfloat16, lib.bool], "devices": [lib.device("cpu"), lib.device("cuda", 1)],
        "parameter": p, "frozen": lib.nn.Parameter(lib.zeros(1), requires_grad=False), "again": p, "wants": lib.ones(2, requires_grad=True),
        "result": lib.ones(2, requires_grad=True) * 3, "nested": {"deep": [{"er": (lib.arange(3),)}]},
    }


def test_nested_data():
    here, there = data(minitorch), data(torch)
    assert same(there_to_here(there), there) and same(here_to_there(here), here) and same(there_to_here(there, zipped=False), there)
    back = there_to_here(there)
    assert back["parameter"] is back["again"] and back["result"].is_leaf


def test_shared_storages_stay_shared():
    for convert, lib in ((there_to_here, torch), (here_to_there, minitorch)):
        x = lib.zeros(3, 4)
        back = convert({"x": x, "row": x[1], "columns": x.t(), "flat": x.view(-1)[2:7]})
        back["x"].fill_(5)
        assert all((v == 5).all() for v in back.values())
    x = minitorch.zeros(4)
    back = here_to_there({"x": x, "bits": x.view(minitorch.int32), "half": x.view(minitorch.float16)})    # refused in PyTorch
    back["x"].fill_(1)
    assert (back["bits"] == 0x3f800000).all() and back["half"].shape == (8,)


def test_a_view_is_read_without_the_rest_of_its_storage():
    x = torch.arange(100.0)
    assert there_to_here(x[7:9]).tolist() == [7, 8]
    file = io.BytesIO()
    minitorch.save(minitorch.arange(100_000.0)[7:9], file)
    assert len(file.getvalue()) < 1500 and torch.load(io.BytesIO(file.getvalue())).tolist() == [7, 8]


def test_buffers_and_attributes():
    for lib, convert in ((torch, there_to_here), (minitorch, here_to_there)):
        p, t = lib.nn.Parameter(lib.ones(1)), lib.ones(1)
        p.tag, t.note = "p", "t"
        q, u, b = convert([p, t, lib.nn.Buffer(lib.ones(2), persistent=False)])
        assert q.tag == "p" and u.note == "t" and not b.persistent and b.tolist() == [1, 1]


MODELS = {
    "convolutions": lambda nn: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)),
    "lstm": lambda nn: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "transformer": lambda nn: nn.TransformerEncoderLayer(8, 2, 16),
    "embedding": lambda nn: nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4)),
    "weight norm": lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "ckpt"])
def test_state_dicts_of_modules_go_both_ways(tmp_path, make, suffix):
    here, there = make(minitorch.nn), make(torch.nn)
    torch.save(there.state_dict(), tmp_path / f"there.{suffix}")
    state = minitorch.load(tmp_path / f"there.{suffix}", map_location="cpu")
    assert same(state, there.state_dict()) and str(here.load_state_dict(state)) == "<All keys matched successfully>"
    here = make(minitorch.nn)
    minitorch.save(here.state_dict(), tmp_path / f"here.{suffix}")
    state = torch.load(tmp_path / f"here.{suffix}", weights_only=True, mmap=True)
    assert same(state, here.state_dict()) and str(there.load_state_dict(state)) == "<All keys matched successfully>"


OPTIMIZERS = {"SGD": dict(momentum=0.9, nesterov=True), "Adam": dict(amsgrad=True), "AdamW": {}, "RMSprop": dict(momentum=0.5, centered=True),
              "Adagrad": {}, "Adadelta": {}, "NAdam": {}, "RAdam": {}, "Rprop": {}, "LBFGS": dict(history_size=3)}
SCHEDULES = {"StepLR": (2,), "MultiStepLR": ([1, 4],), "CosineAnnealingLR": (9,), "OneCycleLR": (0.3, 20), "ReduceLROnPlateau": ("min", 0.5, 1),
             "ExponentialLR": (0.9,), "CyclicLR": (0.1, 0.5, 3)}


def run(lib, optimizer, options, schedule):
    net = lib.nn.Linear(3, 2).double()
    with lib.no_grad():
        net.weight.copy_(lib.tensor([[0.5, -0.2, 0.1], [0.3, 0.7, -0.4]]))
        net.bias.copy_(lib.tensor([0.1, -0.1]))
    optimizer = getattr(lib.optim, optimizer)(net.parameters(), lr=0.1, **options)
    return net, optimizer, getattr(lib.optim.lr_scheduler, schedule)(optimizer, *SCHEDULES[schedule])


def train(lib, net, optimizer, schedule, steps):
    x = lib.tensor([[1.0, 2.0, -1.0], [0.5, -0.3, 2.0]], dtype=lib.float64)
    for _ in range(steps):
        def closure():
            optimizer.zero_grad()
            loss = (net(x) ** 2).mean()
            loss.backward()
            return loss
        loss = optimizer.step(closure)
        schedule.step(*[loss.item()] if type(schedule).__name__ == "ReduceLROnPlateau" else [])
    return net.weight.detach().numpy().copy()


@pytest.mark.parametrize("optimizer, schedule", [*[(o, "StepLR") for o in OPTIMIZERS], *[("SGD", s) for s in SCHEDULES]])
@pytest.mark.parametrize("there_first", [True, False])
def test_training_goes_on_in_the_other_library(optimizer, schedule, there_first):
    options = OPTIMIZERS[optimizer]
    first, second = (torch, minitorch) if there_first else (minitorch, torch)
    convert = there_to_here if there_first else here_to_there
    whole = run(first, optimizer, options, schedule)
    train(first, *whole, 4)
    part = run(second, optimizer, options, schedule)
    for thing, state in zip(part, convert([thing.state_dict() for thing in whole])):
        thing.load_state_dict(state)
    assert np.allclose(train(first, *whole, 4), train(second, *part, 4), rtol=1e-9, atol=1e-12)      # two libraries round on their own
    assert [g["lr"] for g in part[1].param_groups] == pytest.approx([g["lr"] for g in whole[1].param_groups], rel=1e-12)


def test_a_scaler_goes_both_ways():
    ours, theirs = minitorch.amp.GradScaler("cpu", init_scale=8.0), torch.amp.GradScaler("cpu", init_scale=4.0)
    ours.load_state_dict(there_to_here(theirs.state_dict()))
    assert ours.get_scale() == 4
    theirs.load_state_dict(here_to_there(minitorch.amp.GradScaler("cpu", init_scale=8.0).state_dict()))
    assert theirs.get_scale() == 8


def test_map_location_and_mapping(tmp_path):
    torch.save({"w": torch.arange(1000.0), "b": torch.ones(3, dtype=torch.bfloat16)}, tmp_path / "there.pt")
    for where in ("cpu", minitorch.device("cpu"), {"cpu": "cpu"}, lambda storage, device: storage):
        assert minitorch.load(tmp_path / "there.pt", map_location=where, mmap=True, weights_only=True)["w"].sum() == 499500


def test_numpys_numbers_need_trust_there_but_not_here():
    content = {"a": np.arange(3.0), "n": np.float32(2), "i": np.arange(4, dtype=">i2")}
    back = there_to_here(content)
    assert back["a"].tolist() == [0, 1, 2] and back["n"] == 2 and type(back["n"]) is np.float32 and back["i"].tolist() == [0, 1, 2, 3]
    assert here_to_there(content, weights_only=False)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("make, words", [
    (lambda: torch.nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear.*state_dict"),
    (lambda: torch.optim.SGD([torch.ones(1)], lr=1.0), "state_dict"),
    (lambda: torch.eye(3).to_sparse(), "sparse"), (lambda: torch.ones(2, dtype=torch.float8_e5m2), "float8_e5m2"),
    (lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8), "qtensor"), (lambda: torch.ones(2, device="meta"), "meta"),
    (lambda: torch.jit.script(torch.nn.Linear(2, 2)), "TorchScript"),
], ids=["module", "optimizer", "sparse", "float8", "quantized", "meta", "TorchScript"])
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_read_is_refused_by_name(tmp_path, make, words):
    thing = make()
    (thing.save if type(thing).__name__ == "RecursiveScriptModule" else lambda path: torch.save(thing, path))(str(tmp_path / "there.pt"))
    for weights_only in (True, False):
        with pytest.raises(pickle.UnpicklingError, match=r"there\.pt.*" + words):
            minitorch.load(tmp_path / "there.pt", weights_only=weights_only)


@pytest.mark.parametrize("thing", [b"", b"abc", b"PK\x03\x04abc", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."])
@pytest.mark.filterwarnings("ignore")
def test_bad_files_raise_errors_of_the_same_kind(thing):
    with pytest.raises((RuntimeError, EOFError, LookupError, pickle.UnpicklingError)) as theirs:
        torch.load(io.BytesIO(thing))
    with pytest.raises((theirs.type, RuntimeError) if theirs.type is IndexError else theirs.type):
        minitorch.load(io.BytesIO(thing))
