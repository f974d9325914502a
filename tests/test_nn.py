"""Modules: what they register, save, load, print, refuse, and show to hooks; convolution and pooling against their definitions."""
import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import minitorch
from minitorch import backends, nn
from minitorch.nn import functional as F
from minitorch.ops.windows import Slide, unwindows, windows


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False)))


class Scale(nn.Module):
    """A module of one's own: a parameter, two buffers, a child."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(minitorch.tensor([2.0, 3.0]))
        self.register_buffer("count", minitorch.tensor(0))
        self.register_buffer("scratch", minitorch.zeros(2), persistent=False)
        self.inner = nn.Linear(2, 2)

    def forward(self, x, *, shift=0.0):
        return self.inner(x * self.scale + shift)


# ---- registering ------------------------------------------------------------------------------------------

def test_parameters_buffers_and_children_are_found_by_path():
    m = nn.Sequential(OrderedDict(a=Scale(), b=nn.ReLU()))
    assert [n for n, _ in m.named_parameters()] == ["a.scale", "a.inner.weight", "a.inner.bias"]
    assert [n for n, _ in m.named_buffers()] == ["a.count", "a.scratch"]
    assert [n for n, _ in m.named_modules()] == ["", "a", "a.inner", "b"]
    assert [n for n, _ in m.named_children()] == ["a", "b"]
    assert m.get_submodule("a.inner") is m.a.inner and m.get_parameter("a.scale") is m.a.scale and m.get_buffer("a.count") is m.a.count
    assert len(list(m.parameters(recurse=False))) == 0


def test_a_shared_module_counts_once():
    linear = nn.Linear(2, 2)
    m = nn.Sequential(linear, linear)
    assert len(list(m.parameters())) == 2 and len(list(m.modules())) == 2
    assert len(list(m.named_parameters(remove_duplicate=False))) == 4
    assert list(m.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_assigning_moves_a_name_between_tables():
    m = nn.Module()
    m.x = 3
    m.x = nn.Parameter(minitorch.ones(2))
    assert "x" in m._parameters and "x" not in m.__dict__
    m.x = None
    assert m.x is None and list(m.parameters()) == []
    m.y = nn.Buffer(minitorch.ones(2), persistent=False)
    assert list(dict(m.named_buffers())) == ["y"] and list(m.state_dict()) == []
    m.y = minitorch.zeros(2)                         # a plain tensor stays a buffer
    assert list(dict(m.named_buffers())) == ["y"]
    m.z = nn.ReLU()
    del m.z
    assert list(m.children()) == [] and not hasattr(m, "z")


class Early(nn.Module):
    def __init__(self, value):
        self.value = value


REFUSED = [
    (lambda m: setattr(m, "weight", minitorch.ones(2)), TypeError, "cannot assign 'Tensor' as parameter 'weight'"),
    (lambda m: setattr(m, "count", 3), TypeError, "cannot assign 'int' as buffer 'count'"),
    (lambda m: setattr(m, "child", 3), TypeError, "cannot assign 'int' as child module 'child'"),
    (lambda m: m.register_parameter("a.b", None), KeyError, "contain"),
    (lambda m: m.register_parameter("", None), KeyError, "empty string"),
    (lambda m: m.register_parameter(3, None), TypeError, "should be a string. Got int"),
    (lambda m: m.register_parameter("forward", None), KeyError, "attribute 'forward' already exists"),
    (lambda m: m.register_parameter("w", minitorch.ones(2)), TypeError, "cannot assign 'Tensor' object to parameter 'w'"),
    (lambda m: m.register_buffer("w", 3), TypeError, "cannot assign 'int' object to buffer 'w'"),
    (lambda m: m.register_buffer("weight", None), KeyError, "attribute 'weight' already exists"),
    (lambda m: m.add_module("w", 3), TypeError, "int is not a Module subclass"),
    (lambda m: m.add_module("weight", None), KeyError, "attribute 'weight' already exists"),
    (lambda m: m.nope, AttributeError, "'Linear' object has no attribute 'nope'"),
    (lambda m: delattr(m, "nope"), AttributeError, "'Linear' object has no attribute 'nope'"),
    (lambda m: m.train(3), ValueError, "training mode is expected to be boolean"),
    (lambda m: m.to(minitorch.int64), TypeError, "only accepts floating point"),
    (lambda m: m.get_submodule("a.b"), AttributeError, "Linear has no attribute `a`"),
    (lambda m: m.get_submodule("weight"), AttributeError, "`weight` is not an nn.Module"),
    (lambda m: m.get_parameter("training"), AttributeError, "`training` is not an nn.Parameter"),
    (lambda m: m.get_buffer("weight"), AttributeError, "`weight` is not a buffer"),
    (lambda m: nn.Module()(3), NotImplementedError, r"Module \[Module\] is missing the required \"forward\" function"),
    (lambda m: Early(nn.Parameter(minitorch.ones(2))), AttributeError, r"cannot assign parameters before Module.__init__\(\) call"),
    (lambda m: Early(nn.ReLU()), AttributeError, r"cannot assign module before Module.__init__\(\) call"),
    (lambda m: nn.Parameter([1.0]), TypeError, "must be a Tensor"),
    (lambda m: m.register_parameter("w", bad_parameter()), ValueError, "non-leaf"),
    (lambda m: m.load_state_dict([]), TypeError, "Expected state_dict to be dict-like"),
    (lambda m: nn.ModuleList(3), TypeError, "should be called with an iterable"),
    (lambda m: nn.ModuleList([3]), TypeError, "int is not a Module subclass"),
    (lambda m: nn.ModuleDict([3]), TypeError, "should be Iterable"),
    (lambda m: nn.Sequential(m)[5], IndexError, "index 5 is out of range"),
    (lambda m: nn.Dropout(1.5), ValueError, "dropout probability has to be between 0 and 1, but got 1.5"),
    (lambda m: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups"),
    (lambda m: nn.Conv2d(3, 4, 3, padding="some"), ValueError, "Invalid padding string 'some'"),
    (lambda m: nn.Conv2d(3, 4, 3, 2, "same"), ValueError, "not supported for strided convolutions"),
    (lambda m: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    (lambda m: nn.ConvTranspose2d(3, 4, 3)(minitorch.ones(1, 3, 4, 4), output_size=(9, 9)), ValueError, "valid sizes range from"),
    (lambda m: nn.BatchNorm2d(3)(minitorch.ones(2, 3)), ValueError, "expected 4D input"),
    (lambda m: nn.BatchNorm1d(3)(minitorch.ones(1, 3)), ValueError, "Expected more than 1 value per channel when training"),
    (lambda m: nn.GroupNorm(2, 5), ValueError, "must be divisible by num_groups"),
    (lambda m: nn.Embedding(3, 2, padding_idx=4), AssertionError, "within num_embeddings"),
    (lambda m: nn.CrossEntropyLoss(reduction="all")(minitorch.ones(2, 3), minitorch.tensor([0, 1])), ValueError, "not a valid value"),
    (lambda m: nn.CrossEntropyLoss()(minitorch.ones(2, 3), minitorch.tensor([0, 3])), IndexError, "Target 3 is out of bounds"),
    (lambda m: nn.CrossEntropyLoss()(minitorch.ones(2, 3), minitorch.tensor([0])), ValueError, r"batch_size \(2\) to match target batch_size \(1\)"),
    (lambda m: nn.CrossEntropyLoss()(minitorch.ones(2, 3), minitorch.ones(2)), RuntimeError, "Long or Byte"),
    (lambda m: F.conv2d(minitorch.ones(2, 3, 5, 5), minitorch.ones(4, 2, 3, 3)), RuntimeError, "to have 2 channels, but got 3 channels"),
    (lambda m: F.conv2d(minitorch.ones(2, 3, 5, 5), minitorch.ones(4, 3, 7, 7)), RuntimeError, "Kernel size can't be greater"),
    (lambda m: F.conv2d(minitorch.ones(5, 5), minitorch.ones(4, 3, 3, 3)), RuntimeError, r"Expected 3D \(unbatched\) or 4D \(batched\)"),
    (lambda m: F.conv2d(minitorch.ones(2, 3, 5, 5), minitorch.ones(4, 3, 3, 3), stride=0), RuntimeError, "non-positive stride"),
    (lambda m: F.conv2d(minitorch.ones(2, 3, 5, 5), minitorch.ones(4, 3, 3, 3), minitorch.ones(5)), RuntimeError, "bias of size"),
    (lambda m: F.conv2d([1], minitorch.ones(4, 3, 3, 3)), TypeError, "must be Tensor, not list"),
    (lambda m: F.conv2d(minitorch.ones(1, 3, 5, 5), minitorch.ones(4, 3, 3, 3).double()), RuntimeError, "should be the same"),
    (lambda m: F.max_pool2d(minitorch.ones(2, 3, 5, 5), 7), RuntimeError, "Output size is too small"),
    (lambda m: F.max_pool2d(minitorch.ones(2, 3, 5, 5), 2, padding=2), RuntimeError, "at most half of effective kernel size"),
    (lambda m: F.layer_norm(minitorch.ones(2, 3), (4,)), RuntimeError, r"Given normalized_shape=\[4\], expected input with shape \[\*, 4\]"),
    (lambda m: F.mse_loss(minitorch.ones(2, 3), minitorch.ones(2, 2)), RuntimeError, "must match the size of tensor b"),
    (lambda m: F.binary_cross_entropy(minitorch.ones(2) * 2, minitorch.ones(2)), RuntimeError, "between 0 and 1"),
]


def bad_parameter():
    p = nn.Parameter(minitorch.ones(2))
    p.node = (p * 2).node                            # as if an op had made it
    return p


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("act, error, text", REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_mistakes_are_refused(act, error, text):
    m = nn.Linear(2, 3)
    m.register_buffer("count", minitorch.zeros(1))
    m.child = nn.ReLU()
    with pytest.raises(error, match=text):
        act(m)


# ---- saving and loading -----------------------------------------------------------------------------------

def test_a_state_dict_loads_into_an_equal_module():
    a, b = net(), net()
    assert list(a.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                                    "1.num_batches_tracked", "2.1.weight"]
    assert repr(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    x = minitorch.randn(5, 3)
    assert minitorch.equal(a(x), b(x))


def test_a_state_dict_shares_the_storage_and_is_detached():
    m = nn.Linear(2, 2)
    state = m.state_dict()
    assert not state["weight"].requires_grad and m.state_dict(keep_vars=True)["weight"] is m.weight
    state["weight"].fill_(7.0)
    assert float(m.weight[0, 0]) == 7.0


def test_loading_says_all_that_does_not_fit():
    state = net().state_dict()
    del state["0.bias"]
    state["extra"] = minitorch.ones(1)
    state["2.1.weight"] = minitorch.ones(3, 3)
    state["2.9.weight"] = minitorch.ones(1)
    with pytest.raises(RuntimeError) as caught:
        net().load_state_dict(state)
    assert str(caught.value).splitlines()[:3] == [
        "Error(s) in loading state_dict for Sequential:",
        '\tMissing key(s) in state_dict: "0.bias". ',
        '\tUnexpected key(s) in state_dict: "extra", "2.9.weight". ']
    assert "size mismatch for 2.1.weight: copying a param with shape" in str(caught.value)


def test_loading_without_strictness_reports_and_goes_on():
    a = nn.Linear(2, 2)
    found = a.load_state_dict({"weight": minitorch.ones(2, 2), "other": minitorch.ones(1)}, strict=False)
    assert found.missing_keys == ["bias"] and found.unexpected_keys == ["other"]
    assert float(a.weight[1, 1]) == 1.0


def test_loading_copies_unless_told_to_assign():
    a, w = nn.Linear(2, 2, bias=False), minitorch.ones(2, 2).double()
    before = a.weight
    a.load_state_dict({"weight": w})
    assert a.weight is before and a.weight.dtype is minitorch.float32
    a.load_state_dict({"weight": w}, assign=True)
    assert a.weight.dtype is minitorch.float64 and isinstance(a.weight, nn.Parameter) and a.weight.requires_grad
    w[0, 0] = 5.0
    assert float(a.weight[0, 0]) == 5.0


def test_loading_something_else_than_a_tensor_is_named():
    with pytest.raises(RuntimeError, match='While copying the parameter named "bias"'):
        nn.Linear(2, 2).load_state_dict({"weight": minitorch.ones(2, 2), "bias": 3})


def test_a_batch_norm_saved_before_batches_were_counted_still_loads():
    state = nn.BatchNorm1d(3).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""] = {"version": 1}
    nn.BatchNorm1d(3).load_state_dict(state)


def test_extra_state_travels_along():
    class Counting(nn.Module):
        n = 0

        def get_extra_state(self):
            return {"n": self.n}

        def set_extra_state(self, state):
            self.n = state["n"]
    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].n = 5
    b.load_state_dict(a.state_dict())
    assert b[0].n == 5 and list(a.state_dict()) == ["0._extra_state"]
    with pytest.raises(RuntimeError, match='Missing key.*"0._extra_state"'):
        b.load_state_dict({})


def test_hooks_around_saving_and_loading():
    m, seen = nn.Linear(2, 2, bias=False), []
    m.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(("save", prefix)))
    m.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update({prefix + "more": minitorch.ones(1)}))
    m.register_load_state_dict_pre_hook(lambda module, state, prefix, *rest: state.pop(prefix + "more"))
    handle = m.register_load_state_dict_post_hook(lambda module, keys: seen.append(("load", list(keys.missing_keys))))
    outer = nn.Sequential(m)
    state = outer.state_dict()
    assert list(state) == ["0.weight", "0.more"]
    outer.load_state_dict(state)
    handle.remove()
    outer.load_state_dict(state)
    assert seen == [("save", "0."), ("load", [])]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_is_equal_and_separate(again):
    m = nn.Sequential(Scale(), nn.Conv2d(1, 2, 3), nn.ParameterList([minitorch.ones(2)]), nn.BatchNorm1d(2))
    m[0].inner.bias.requires_grad_(False)
    n = again(m)
    assert repr(n) == repr(m) and list(n.state_dict()) == list(m.state_dict())
    assert all(minitorch.equal(a, b) for a, b in zip(m.state_dict().values(), n.state_dict().values()))
    assert [p.requires_grad for p in n.parameters()] == [p.requires_grad for p in m.parameters()]
    assert all(type(p) is nn.Parameter and p.is_leaf for p in n.parameters())
    before = float(m[0].scale[0])
    with minitorch.no_grad():
        n[0].scale.fill_(9.0)
    assert float(m[0].scale[0]) == before


def test_a_deep_copy_keeps_parameters_shared():
    m = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    m[1].weight = m[0].weight
    n = copy.deepcopy(m)
    assert n[1].weight is n[0].weight and n[0].weight is not m[0].weight


# ---- hooks around a call ------------------------------------------------------------------------------------

def test_forward_hooks_see_and_replace():
    m = Scale()
    x = minitorch.ones(1, 2)
    plain = m(x)
    seen = []
    handles = [m.register_forward_pre_hook(lambda module, args: seen.append("second")),
               m.register_forward_pre_hook(lambda module, args: (args[0] * 2,), prepend=True),
               m.register_forward_pre_hook(lambda module, args, kwargs: (args, {"shift": 0.0}), with_kwargs=True),
               m.register_forward_hook(lambda module, args, kwargs, y: seen.append(kwargs), with_kwargs=True),
               m.register_forward_hook(lambda module, args, y: y + 1)]
    y = m(x, shift=5.0)
    assert minitorch.allclose(y, m.inner(x * 2 * m.scale) + 1) and seen == ["second", {"shift": 0.0}]
    for handle in handles:
        handle.remove()
    assert minitorch.equal(m(x), plain)


def test_a_hook_can_ask_to_be_called_even_when_forward_raises():
    m, seen = nn.Linear(2, 2), []
    m.register_forward_hook(lambda module, args, y: seen.append("plain"))
    m.register_forward_hook(lambda module, args, y: seen.append(y), always_call=True)
    with pytest.raises(RuntimeError):
        m(minitorch.ones(1, 3))
    assert seen == [None]


def test_backward_hooks_see_the_gradients_at_both_sides():
    m, seen = nn.Linear(2, 3), []
    m.register_full_backward_hook(lambda module, gi, go: seen.append((gi[0].shape, go[0].shape)))
    x = minitorch.ones(4, 2, requires_grad=True)
    m(x).sum().backward()
    assert seen == [((4, 2), (4, 3))] and minitorch.allclose(x.grad, m.weight.sum(0).expand(4, 2))


def test_backward_hooks_replace_gradients():
    minitorch.manual_seed(0)
    m = nn.Linear(2, 2, bias=False)
    m.register_full_backward_pre_hook(lambda module, go: (go[0] * 10,))
    handle = m.register_full_backward_hook(lambda module, gi, go: (gi[0] * 3,))
    x = minitorch.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    assert minitorch.allclose(x.grad, 30 * m.weight.sum(0, keepdim=True))
    assert minitorch.allclose(m.weight.grad, 10 * minitorch.ones(2, 2))
    handle.remove()
    x.grad = None
    m(x).sum().backward()
    assert minitorch.allclose(x.grad, 10 * m.weight.sum(0, keepdim=True))


def test_backward_hooks_work_where_no_input_wants_a_gradient():
    m, seen = nn.Linear(2, 2), []
    m.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go[0].shape)))
    m(minitorch.ones(1, 2)).sum().backward()
    assert seen == [((None,), (1, 2))]
    m.register_full_backward_hook(lambda module, gi, go: (minitorch.ones(1, 2),))
    with pytest.raises(RuntimeError, match="where no input requires gradient"):
        m(minitorch.ones(1, 2)).sum().backward()


def test_a_backward_hook_that_returns_another_number_of_gradients_is_refused():
    m = nn.Linear(2, 2)
    m.register_full_backward_hook(lambda module, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="got 2, but expected 1"):
        m(minitorch.ones(1, 2, requires_grad=True)).sum().backward()


def test_writing_in_place_behind_a_backward_hook_is_refused():
    m = nn.Linear(2, 2)
    m.register_full_backward_hook(lambda module, gi, go: None)
    y = m(minitorch.ones(1, 2, requires_grad=True))
    with pytest.raises(RuntimeError, match="BackwardHookFunctionBackward"):
        y.add_(1)


def test_hooks_do_not_change_second_derivatives():
    m = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = minitorch.tensor([[0.3, -0.2]], requires_grad=True)

    def penalty():
        g, = minitorch.autograd.grad(m(x).sum(), x, create_graph=True)
        return minitorch.autograd.grad((g * g).sum(), m[0].weight)[0]
    plain = penalty()
    m[1].register_full_backward_hook(lambda module, gi, go: None)
    assert minitorch.allclose(penalty(), plain)


# ---- modes, types, gradients --------------------------------------------------------------------------------

def test_train_and_eval_reach_every_module():
    m = net()
    assert not any(c.training for c in m.eval().modules()) and all(c.training for c in m.train().modules())


def test_dropout_drops_while_training_only():
    minitorch.manual_seed(0)
    m, x = nn.Dropout(0.5), minitorch.ones(1000)
    y = m(x)
    assert set(np.unique(y.numpy())) == {0.0, 2.0} and 400 < float((y == 0).sum()) < 600
    assert m.eval()(x) is x


def test_casting_reaches_floats_and_their_gradients_and_keeps_the_parameters():
    m = Scale()
    m(minitorch.ones(1, 2)).sum().backward()
    parameters = list(m.parameters())
    assert m.double() is m and list(map(id, m.parameters())) == list(map(id, parameters))
    assert {p.dtype for p in m.parameters()} == {p.grad.dtype for p in m.parameters()} == {minitorch.float64}
    assert m.count.dtype is minitorch.int64 and m.scratch.dtype is minitorch.float64
    m.zero_grad()
    m(minitorch.ones(1, 2).double()).sum().backward()
    assert m.scale.grad.dtype is minitorch.float64
    assert m.half().scale.dtype is minitorch.float16 and m.float().scale.dtype is minitorch.float32
    assert m.to(minitorch.zeros(1).double()).scale.dtype is minitorch.float64 and m.to("cpu", minitorch.float32).scale.dtype is minitorch.float32


def test_zero_grad_forgets_or_zeroes():
    m = nn.Linear(2, 2)
    m(minitorch.ones(1, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    assert float(m.weight.grad.abs().sum()) == 0
    m.zero_grad()
    assert m.weight.grad is None


def test_apply_visits_children_first_and_requires_grad_reaches_all():
    seen = []
    m = net()
    assert m.apply(lambda c: seen.append(type(c).__name__)) is m
    assert seen == ["Linear", "BatchNorm1d", "ReLU", "Linear", "Sequential", "Sequential"]
    assert not any(p.requires_grad for p in m.requires_grad_(False).parameters())


def test_a_parameter_is_a_leaf_that_shares_its_data():
    data = minitorch.ones(2)
    p = nn.Parameter(data)
    assert p.is_leaf and p.requires_grad and repr(p).startswith("Parameter containing:\n")
    data.fill_(3.0)
    assert float(p[0]) == 3.0
    assert type(p * 2) is minitorch.Tensor and not nn.Parameter(data, requires_grad=False).requires_grad


# ---- the printed form ---------------------------------------------------------------------------------------

def test_a_network_prints_as_a_tree():
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()]), nn.ModuleDict({"a": nn.Identity()}))) == """\
Sequential(
  (0): Linear(in_features=2, out_features=3, bias=True)
  (1): ModuleList(
    (0-1): 2 x ReLU()
    (2): Tanh()
  )
  (2): ModuleDict(
    (a): Identity()
  )
)"""
    assert repr(nn.ParameterList([minitorch.ones(2, 3), 4])) == """\
ParameterList(
    (0): Parameter containing: [minitorch.float32 of size 2x3]
    (1): Object of type: int
)"""


# ---- containers ---------------------------------------------------------------------------------------------

def test_a_sequence_of_modules_behaves_like_a_list():
    a, b, c, d = (nn.Linear(1, 1) for _ in range(4))
    for kind in (lambda ms: nn.Sequential(*ms), nn.ModuleList):
        m = kind([a, b])
        m.append(c)
        m.insert(1, d)
        assert list(m) == [a, d, b, c] and m[-1] is c and len(m) == 4 and list(m[1:3]) == [d, b]
        del m[1]
        assert list(m) == [a, b, c] and list(m._modules) == ["0", "1", "2"]
        m[0] = d
        assert m.pop(-1) is c and list(m) == [d, b]
        m.extend([a])
        m += [c]
        assert list(m) == [d, b, a, c] and list(m + kind([d])) == [d, b, a, c, d]


def test_modules_and_parameters_by_name_behave_like_a_dict():
    a, b = nn.Linear(1, 1), nn.ReLU()
    m = nn.ModuleDict({"a": a})
    m.update([("b", b)])
    assert list(m) == ["a", "b"] and m["b"] is b and "a" in m and list(m.items()) == [("a", a), ("b", b)] and m.pop("a") is a and len(m) == 1
    p = nn.ParameterDict({"x": minitorch.ones(2)})
    p["y"] = nn.Parameter(minitorch.zeros(1))
    assert [n for n, _ in p.named_parameters()] == ["x", "y"] and p.get("z") is None and type(p["x"]) is nn.Parameter
    q = nn.ParameterList([minitorch.ones(2), minitorch.zeros(1)])
    assert [n for n, _ in q.named_parameters()] == ["0", "1"] and len(q[:1]) == 1
    with pytest.raises(AttributeError):
        p["z"]


# ---- convolution and pooling against their definitions ------------------------------------------------------

@pytest.mark.parametrize("small", [10 ** 6, 2000])   # multiplications of a product: several products for a block of images
@pytest.mark.parametrize("shape, weight, slide, groups", [
    ((2, 3, 7, 6), (4, 3, 3, 2), Slide((1, 1), ((0, 0), (0, 0)), (1, 1)), 1),
    ((2, 3, 7, 6), (4, 3, 3, 2), Slide((2, 1), ((1, 2), (0, 1)), (1, 2)), 1),
    ((2, 20, 4, 4), (4, 20, 3, 3), Slide((1, 1), ((1, 1), (1, 1)), (1, 1)), 1),
    ((2, 20, 5, 5), (4, 20, 3, 3), Slide((2, 2), ((3, 0), (-1, 1)), (1, 1)), 1),
    ((2, 6, 9), (4, 3, 3), Slide((3,), ((1, 1),), (2,)), 2),
    ((1, 2, 4, 5, 4), (3, 2, 2, 3, 2), Slide((1, 2, 1), ((0, 0), (1, 1), (0, 1)), (2, 1, 1)), 1)])
def test_convolution_is_a_product_with_its_windows(shape, weight, slide, groups, small, monkeypatch):
    from minitorch import blas
    from minitorch.ops import columns, conv
    monkeypatch.setattr(columns, "np_block", 500)    # several blocks of images
    monkeypatch.setattr(blas, "SMALL", small)
    monkeypatch.setattr(blas, "FEW", 2)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=shape), rng.normal(size=weight)
    y = conv.convolution(x, w, None, slide, groups)
    seen = windows(x, weight[2:], slide)             # (N, C, *kernel, *positions)
    N, C, M = shape[0], shape[1], weight[0]
    seen = seen.reshape(N, groups, C // groups * int(np.prod(weight[2:])), -1)
    expected = np.einsum("ngkp,gok->ngop", seen, w.reshape(groups, M // groups, -1)).reshape(y.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    g = rng.normal(size=y.shape)                     # its transposes: <C(x, w), g> = <x, C'(g, w)> = <w, C''(x, g)>
    total = (y * g).sum()
    np.testing.assert_allclose((x * conv.convolution_input(g, w, None, shape[2:], slide, groups)).sum(), total, rtol=1e-11)
    np.testing.assert_allclose((w * conv.convolution_weight(x, g, weight[2:], slide, groups)).sum(), total, rtol=1e-11)


@pytest.mark.parametrize("seed", range(40))
def test_a_convolution_is_transposed_by_phases_as_by_sums(seed, monkeypatch):
    from minitorch.ops import conv
    rng = np.random.default_rng(seed)
    groups, axes = rng.choice([1, 3]), rng.choice([1, 2])
    kernel = stride = (1,)
    while max(stride) == 1 or np.prod(kernel) <= np.prod(stride):          # no phases, or as many as taps: always by sums
        kernel, stride, dilation = (tuple(map(int, rng.integers(1, most, axes))) for most in (6, 4, 4))
    slide = Slide(stride, tuple((int(a), int(b)) for a, b in rng.integers(-1, 4, (axes, 2))), dilation)
    size = tuple(max(d * (k - 1) + 1 - a - b, 1) + int(rng.integers(0, 9)) for k, d, (a, b) in zip(kernel, dilation, slide.padding))
    g = rng.normal(size=(2, 2 * groups, *slide.positions(size, kernel)))
    w, bias = rng.normal(size=(2 * groups, 2, *kernel)), rng.normal(size=2 * groups) if seed % 2 else None
    calls, unwound = [], conv.unwound
    monkeypatch.setattr(conv, "unwound", lambda *args: calls.append(args) or unwound(*args))
    monkeypatch.setattr(conv, "PHASES", 0)
    by_phases = conv.convolution_input.op.forward(g, w, bias, size, slide, groups)
    assert not calls
    monkeypatch.setattr(conv, "PHASES", 10 ** 9)
    by_sums = conv.convolution_input.op.forward(g, w, bias, size, slide, groups)
    assert calls
    np.testing.assert_allclose(by_phases, by_sums, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 0.5, 30, 1000])
def test_layer_norm_far_from_zero_is_as_exact_as_the_mean(offset):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, 40, 200))
    x[::2] += offset
    x = x.astype("f4").astype("f8")
    w, b = rng.normal(size=(2, 200))

    def found(dtype):
        leaves = [minitorch.tensor(a.astype(dtype), requires_grad=True) for a in (x, w, b)]
        with backends.using(loops="never"):
            y = F.layer_norm(leaves[0], (200,), leaves[1], leaves[2])
            y.backward(minitorch.tensor(g.astype(dtype)))
        return [y.detach().numpy(), *[v.grad.numpy() for v in leaves]]
    centred = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found("f8")[0], centred * w + b, rtol=1e-9, atol=1e-9)
    for single, double in zip(found("f4"), found("f8")):
        np.testing.assert_allclose(single, double, rtol=0, atol=2e-7 * (8 + offset) * np.abs(double).max())


def test_unwindows_is_the_transpose_of_windows():
    rng = np.random.default_rng(0)
    slide = Slide((2, 1), ((1, 0), (2, 1)), (1, 2))
    x = rng.normal(size=(2, 3, 6, 5))
    y = windows(x, (3, 2), slide)
    g = rng.normal(size=y.shape)
    np.testing.assert_allclose((y * g).sum(), (x * unwindows(g, (6, 5), slide)).sum())


def test_equal_maxima_give_the_gradient_to_the_first():
    x = minitorch.zeros(1, 1, 4, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert minitorch.equal(x.grad[0, 0], minitorch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]))


def test_an_infinite_gradient_touches_only_the_maximum():
    x = minitorch.tensor([[[1.0, 2.0, 3.0, 0.0]]], requires_grad=True)
    F.max_pool1d(x, 2).backward(minitorch.tensor([[[float("inf"), 1.0]]]))
    assert x.grad.tolist() == [[[0.0, float("inf"), 1.0, 0.0]]]


def test_a_window_of_minus_infinity_has_its_first_number_as_maximum():
    x = minitorch.full((1, 1, 3, 3), float("-inf"))
    _, index = F.max_pool2d(x, 2, 2, 1, return_indices=True)
    assert index.tolist() == [[[[0, 1], [3, 4]]]]


def test_running_statistics_move_by_momentum_and_count_as_writes():
    m = nn.BatchNorm1d(2, momentum=0.5)
    version = m.running_mean._version
    m(minitorch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    assert m.running_mean.tolist() == [1.0, 2.0] and m.running_var.tolist() == [1.5, 4.5]
    assert int(m.num_batches_tracked) == 1 and m.running_mean._version > version


def test_a_position_that_may_see_nothing_gets_zeros_and_no_gradient():
    q, k, v = (minitorch.randn(1, 3, 4, requires_grad=True) for _ in range(3))
    mask = minitorch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    y = F.scaled_dot_product_attention(q, k, v, mask)
    y.sum().backward()
    assert y[0, 1].tolist() == [0.0] * 4 and q.grad[0, 1].tolist() == [0.0] * 4 and np.isfinite(k.grad.numpy()).all()


def test_clipping_scales_all_gradients_together():
    a, b = nn.Parameter(minitorch.zeros(2)), nn.Parameter(minitorch.zeros(1))
    a.grad, b.grad = minitorch.tensor([3.0, 0.0]), minitorch.tensor([4.0])
    assert float(nn.utils.clip_grad_norm_([a, b], 1.0)) == 5.0
    np.testing.assert_allclose([*a.grad.tolist(), *b.grad.tolist()], [0.6, 0.0, 0.8], rtol=1e-5)
    nn.utils.clip_grad_value_([a, b], 0.5)
    assert b.grad.tolist() == [0.5]
    b.grad = minitorch.tensor([float("nan")])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([a, b], 1.0, error_if_nonfinite=True)


def test_parameters_become_a_vector_and_come_back():
    m = nn.Linear(2, 3)
    v = nn.utils.parameters_to_vector(m.parameters())
    assert v.shape == (9,) and v.requires_grad
    nn.utils.vector_to_parameters(minitorch.arange(9.0), m.parameters())
    assert m.bias.tolist() == [6.0, 7.0, 8.0] and m.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def test_a_convolutional_network_learns():
    minitorch.manual_seed(0)
    m = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 2))
    x = minitorch.randn(64, 1, 6, 6)
    target = (x[:, 0, :3].sum((1, 2)) > 0).long()
    for _ in range(60):
        loss = F.cross_entropy(m(x), target)
        m.zero_grad()
        loss.backward()
        with minitorch.no_grad():
            for p in m.parameters():
                p.sub_(p.grad, alpha=0.2)
    assert float(loss) < 0.1


def test_a_module_can_be_moved_without_its_values():
    m = net()
    again = m.to_empty(device="cpu")
    assert again is m and [p.shape for p in m.parameters()] == [p.shape for p in net().parameters()]
    assert m.share_memory() is m and m.compile() is None
    seen = []
    m.register_backward_hook(lambda module, into, out: seen.append(len(into)))
    m.load_state_dict(net().state_dict())
    m(minitorch.ones(4, 3, requires_grad=True)).sum().backward()
    assert seen == [1]


def test_hardtanh_takes_its_older_names():
    with pytest.warns(FutureWarning, match="`min_value` is deprecated"):
        m = nn.Hardtanh(min_value=-2.0)
    assert (m.min_val, m.max_val) == (-2.0, 1.0)
