"""Custom functions: what they may do, and what they are told when they do it wrong; all of it holds of PyTorch too."""
import warnings

import pytest

import minitorch as mt
from minitorch.autograd import Function
from minitorch.autograd.function import once_differentiable


def leaf(*values):
    return mt.tensor(values, dtype=mt.float64, requires_grad=True)


def function(forward, backward):
    """A Function of two plain functions."""
    return type("Custom", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return 3 * g * x ** 2


class Exp(Function):
    """Saves its output, takes no ctx in forward, and calls its backward vjp."""

    @staticmethod
    def forward(x, scale=1.):
        return x.exp() * scale

    @staticmethod
    def setup_context(ctx, inputs, output):
        assert len(inputs) == 2 and not output.requires_grad
        ctx.save_for_backward(output)

    @staticmethod
    def vjp(ctx, g):
        y, = ctx.saved_tensors
        return g * y, None


class Double(Function):
    """Writes to its input."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return g * 2


class Same(Function):
    """Returns its input as it came, and claims a derivative of 5."""

    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 5


# ---- derivatives ----------------------------------------------------------------------------------------

def test_the_users_backward_is_used():
    x = leaf(1., 2.)
    y = Cube.apply(x)
    assert y.tolist() == [1, 8] and y.grad_fn.name() == "CubeBackward"
    y.sum().backward()
    assert x.grad.tolist() == [3, 12]


def test_a_backward_made_of_ops_can_be_differentiated_again():
    x = leaf(2.)
    g, = mt.autograd.grad(Cube.apply(x), x, create_graph=True)
    g2, = mt.autograd.grad(g, x, create_graph=True)
    g3, = mt.autograd.grad(g2, x)
    assert [g.item(), g2.item(), g3.item()] == [12, 12, 6]


def test_a_saved_output_is_in_its_place_in_the_graph():
    x = leaf(0.5)
    y = Exp.apply(x)
    for _ in range(3):
        g, = mt.autograd.grad(y, x, create_graph=True)
        assert g.item() == pytest.approx(mt.tensor(0.5).exp().item())
        y = g


def test_setup_context_sees_defaults_and_keywords():
    x = leaf(0.)
    Exp.apply(x, scale=3.).backward()
    assert x.grad.item() == 3
    assert Exp.apply(x).item() == 1


def test_several_inputs_and_outputs():
    def forward(ctx, a, b, power):
        ctx.save_for_backward(a, b)
        ctx.power = power
        return a * b, a ** power

    def backward(ctx, g, h):
        a, b = ctx.saved_tensors
        return g * b + h * ctx.power * a ** (ctx.power - 1), g * a, None

    f, a, b = function(forward, backward), leaf(2.), leaf(5.)
    p, q = f.apply(a, b, 3)
    (p + q).backward()
    assert (a.grad.item(), b.grad.item()) == (5 + 12, 2)
    a.grad = None
    f.apply(a, b, 3)[1].backward()
    assert a.grad.item() == 12


def test_outputs_without_gradient_get_zeros_or_none():
    seen = []

    def forward(ctx, x, materialize):
        ctx.set_materialize_grads(materialize)
        return x * 1, x * 2, "not a tensor"

    def backward(ctx, *grads):
        seen.append([g if g is None else g.tolist() for g in grads])
        return grads[0], None

    f, x = function(forward, backward), leaf(1., 2.)
    f.apply(x, True)[0].sum().backward()
    f.apply(x, False)[0].sum().backward()
    assert seen == [[[1, 1], [0, 0], None], [[1, 1], None, None]]


def test_non_differentiable_outputs_need_no_mark_if_they_are_whole_numbers():
    def forward(ctx, x):
        mask = x * 0
        ctx.mark_non_differentiable(mask)
        return x * 2, mask, x.argmax()

    f, x = function(forward, lambda ctx, g, *rest: g * 2), leaf(1., 2.)
    y, mask, index = f.apply(x)
    assert [t.requires_grad for t in (y, mask, index)] == [True, False, False]
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_needs_input_grad_tells_which_inputs_want_a_gradient():
    seen = []

    def forward(ctx, a, b, n):
        seen.append(ctx.needs_input_grad)
        return a * b * n

    f = function(forward, lambda ctx, g: (seen.append(ctx.needs_input_grad), (g, None, None))[1])
    f.apply(leaf(1.), mt.ones(1, dtype=mt.float64), 3).backward()
    f.apply(mt.ones(1), mt.ones(1), 3)
    assert seen == [(True, False, False), (True, False, False), (False, False, False)]


def test_forward_is_not_recorded_and_backward_only_for_create_graph():
    modes = []
    f = function(lambda ctx, x: (modes.append((mt.is_grad_enabled(), (x * 2).requires_grad)), x * 2)[1],
                 lambda ctx, g: (modes.append((mt.is_grad_enabled(), g.requires_grad)), g * 2)[1])
    x = leaf(1.)
    mt.autograd.grad(f.apply(x), x)
    mt.autograd.grad(f.apply(x), x, leaf(1.), create_graph=True)
    assert modes == [(False, False), (False, False), (False, False), (True, True)]


def test_nothing_is_recorded_without_need():
    x = leaf(1.)
    assert not Cube.apply(x.detach()).requires_grad
    with mt.no_grad():
        assert not Cube.apply(x).requires_grad
        assert not Same.apply(x).requires_grad


def test_tensors_inside_lists_are_passed_but_not_tracked():
    x, y = leaf(1.), leaf(2.)
    f = function(lambda ctx, a, others: a + others[0], lambda ctx, g: (g, None))
    f.apply(x, [y]).backward()
    assert x.grad.item() == 1 and y.grad is None


def test_what_is_no_tensor_is_returned_as_it_is():
    x = leaf(1.)
    assert function(lambda ctx, x: 3, None).apply(x) == 3
    assert function(lambda ctx, x: None, None).apply(x) is None
    assert isinstance(function(lambda ctx, x: [x * 1], None).apply(x), list)


def test_a_gradient_is_summed_to_the_shape_and_cast_to_the_dtype_of_its_input():
    x = mt.ones(3, requires_grad=True)
    function(lambda ctx, x: x * 1, lambda ctx, g: g.expand(2, 3).double()).apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2] and x.grad.dtype == mt.float32


def test_a_gradient_for_an_input_that_wants_none_is_dropped():
    x, other = leaf(1.), mt.ones(1, dtype=mt.float64)
    function(lambda ctx, a, b: a * b, lambda ctx, g: (g, g)).apply(x, other).backward()
    assert x.grad.item() == 1 and other.grad is None


def test_extra_gradients_may_be_none():
    x = leaf(1.)
    function(lambda ctx, a: a * 1, lambda ctx, g: (g, None, None)).apply(x).backward()
    assert x.grad.item() == 1


def test_none_is_no_gradient():
    x = leaf(1.)
    function(lambda ctx, a: a * 1, lambda ctx, g: None).apply(x).backward()
    assert x.grad is None


def test_saved_inputs_are_the_very_tensors_while_these_live():
    x, h = leaf(1., 2.), leaf(1., 2.) * 1
    x.note = "the user's own"
    assert Cube.apply(x).grad_fn.saved_tensors[0] is x
    assert Cube.apply(x).grad_fn.saved_tensors[0].note == "the user's own"
    assert Cube.apply(h).grad_fn.saved_tensors[0].tolist() == [1, 2]
    assert Cube.apply(x * 1).grad_fn.saved_tensors[0].requires_grad


def test_none_can_be_saved():
    def forward(ctx, x):
        ctx.save_for_backward(None, x)
        return x * 2
    x = leaf(1.)
    function(forward, lambda ctx, g: g * ctx.saved_tensors[1] if ctx.saved_tensors[0] is None else None).apply(x).backward()
    assert x.grad.item() == 1


def test_attributes_of_ctx_are_seen_from_grad_fn():
    def forward(ctx, x):
        ctx.shape, ctx.note = x.shape, "seen"
        ctx.save_for_backward(x)
        return x * 1
    y = function(forward, lambda ctx, g: g.reshape(ctx.shape)).apply(leaf(1., 2.))
    assert y.grad_fn.note == "seen" and y.grad_fn.saved_tensors[0].tolist() == [1, 2]
    y.sum().backward()


def test_a_forward_may_use_autograd_inside():
    def forward(ctx, x):
        with mt.enable_grad():
            inner = x.detach().requires_grad_()
            y = (inner ** 2).sum()
        ctx.g, = mt.autograd.grad(y, inner)
        return y

    x = leaf(1., 2.)
    y = function(forward, lambda ctx, g: g * ctx.g).apply(x)
    assert y.grad_fn.name() == "CustomBackward"
    y.backward()
    assert x.grad.tolist() == [2, 4]


def test_hooks_see_the_gradients_of_outputs():
    x, seen = leaf(1.), []
    y = Cube.apply(x)
    y.register_hook(lambda g: seen.append(g.item()))
    y.retain_grad()
    (y * 7).backward()
    assert seen == [7] and y.grad.item() == 7


# ---- writes and views -----------------------------------------------------------------------------------

def test_an_input_that_forward_wrote_to_gets_the_new_history():
    x = leaf(1., 2.)
    h = x * 1
    y = Double.apply(h)
    assert y is h and h._version >= 1 and h.grad_fn.name() == "DoubleBackward"
    h.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_write_to_a_view_reaches_its_base():
    x = leaf(1., 2., 3.)
    h = x * 1
    Double.apply(h[1:])
    assert h.tolist() == [1, 4, 6]
    h.sum().backward()
    assert x.grad.tolist() == [1, 2, 2]


@pytest.mark.parametrize("make, words", [
    (lambda x: x, "a leaf Variable that requires grad"),
    (lambda x: x[:1], "a view of a leaf Variable that requires grad")])
def test_a_leaf_cannot_be_marked_dirty(make, words):
    with pytest.raises(RuntimeError, match=words):
        Double.apply(make(leaf(1., 2.)))


def test_what_is_marked_dirty_must_be_returned():
    with pytest.raises(RuntimeError, match="marked as dirty"):
        function(lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2) * 1)[1], None).apply(leaf(1.) * 1)


def test_a_written_view_must_be_the_only_output():
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2), x * 3
    with pytest.raises(RuntimeError, match="cannot return more than one Tensor"):
        function(forward, None).apply((leaf(1., 2.) * 1)[:1])


def test_an_input_returned_as_it_came_is_a_new_view_with_the_users_gradient():
    x = leaf(1., 2.)
    y = Same.apply(x)
    assert y is not x and y._is_view() and y._base is x
    y.sum().backward()
    assert x.grad.tolist() == [5, 5]


@pytest.mark.parametrize("f", [
    Same, function(lambda ctx, x: x[:1], lambda ctx, g: g), function(lambda ctx, x: x.exp().view(-1), lambda ctx, g: g)])
def test_a_view_made_by_a_custom_function_cannot_be_written_to(f):
    y = f.apply(leaf(1., 2.) * 1)
    with pytest.raises(RuntimeError, match="custom Function"):
        y.mul_(2)


def test_a_view_made_by_a_custom_function_is_lost_when_its_base_is_written_to():
    h = leaf(1., 2.) * 1
    y = Same.apply(h)
    h.mul_(2)
    with pytest.raises(RuntimeError, match="custom Function"):
        y.sum()


def test_a_write_to_a_saved_tensor_is_noticed():
    h = leaf(1., 2.) * 1
    y = Cube.apply(h)
    h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# ---- errors ---------------------------------------------------------------------------------------------

def test_saved_tensors_are_freed_by_backward():
    y = Cube.apply(leaf(1.))
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        print(y.grad_fn.saved_tensors)


@pytest.mark.parametrize("backward, words", [
    (lambda ctx, g: g, r"incorrect number of gradients \(expected 2, got 1\)"),
    (lambda ctx, g: (g, None, g), r"incorrect number of gradients \(expected 2, got 3\)"),
    (lambda ctx, g: (g, g), "a gradient different than None at position 2, but the corresponding forward input was not a Variable"),
    (lambda ctx, g: (1., None), r"expected Variable or None \(got float\)"),
    (lambda ctx, g: [g, None], "incorrect number of gradients|expected Variable or None"),
    (lambda ctx, g: (g[:2], None), r"invalid gradient at index 0 - got \[2\] but expected shape compatible with \[3\]"),
    (lambda ctx, g: (g.sum(), None), r"invalid gradient at index 0 - got \[\] but expected shape compatible with \[3\]")])
def test_a_backward_must_return_what_fits_the_inputs(backward, words):
    y = function(lambda ctx, x, n: x * n, backward).apply(leaf(1., 2., 3.), 2)
    with pytest.raises(RuntimeError, match=words):
        y.sum().backward()


def test_only_tensors_can_be_saved():
    with pytest.raises(TypeError, match="argument 1 is of type int"):
        function(lambda ctx, x: ctx.save_for_backward(x, 3), None).apply(leaf(1.))


def test_forward_and_backward_must_be_there():
    with pytest.raises(NotImplementedError, match="forward"):
        type("Empty", (Function,), {}).apply(leaf(1.))
    y = type("Half", (Function,), {"forward": staticmethod(lambda ctx, x: x * 1)}).apply(leaf(1.))
    with pytest.raises(NotImplementedError, match="backward"):
        y.backward()


def test_backward_and_vjp_exclude_each_other():
    both = type("Both", (Cube,), {"vjp": staticmethod(lambda ctx, g: g)})
    with pytest.raises(RuntimeError, match="both 'backward' and 'vjp'"):
        both.apply(leaf(1.)).backward()


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError):
        Cube.apply(leaf(1.), 2)
    with pytest.raises(TypeError, match="power"):
        Cube.apply(leaf(1.), power=2)


def test_functions_are_not_instantiated():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match="Legacy autograd function"):
            Cube()(leaf(1.))


def test_once_differentiable_refuses_a_second_time():
    f = function(Cube.forward, once_differentiable(Cube.backward))
    x, v = leaf(2.), leaf(1.)
    assert mt.autograd.grad(f.apply(x), x)[0].item() == 12
    g, = mt.autograd.grad(f.apply(x), x, v, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.backward()


def test_an_error_in_forward_or_backward_is_the_users_to_see():
    def fail(ctx, *_):
        raise KeyError("the user's own")
    with pytest.raises(KeyError, match="the user's own"):
        function(fail, None).apply(leaf(1.))
    assert mt.is_grad_enabled()
    with pytest.raises(KeyError, match="the user's own"):
        function(lambda ctx, x: x * 1, fail).apply(leaf(1.)).backward()
    assert mt.is_grad_enabled()
