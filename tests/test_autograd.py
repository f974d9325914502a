"""What backward means: statements about gradients, hooks and modes; all of them hold of PyTorch too (tests/pytorch checks)."""
import threading
import warnings

import numpy as np
import pytest

import minitorch as mt


def leaf(*values, dtype=mt.float64):
    return mt.tensor(values, dtype=dtype, requires_grad=True)


def values(*tensors):
    return [t if t is None else t.tolist() for t in tensors]


# ---- backward -------------------------------------------------------------------------------------------

def test_backward_adds_to_what_is_there():
    x = leaf(1., 2.)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [2 + 3, 4 + 3]


def test_backward_adds_in_place_to_grad():
    x = leaf(1., 2.)
    (x * x).sum().backward()
    g = x.grad
    (x * x).sum().backward()
    assert x.grad is g and g.tolist() == [4, 8]


def test_a_tensor_used_twice_gets_both_gradients():
    x = leaf(2.)
    y = x * x + x
    y.backward()
    assert x.grad.tolist() == [2 * 2 + 1]


def test_a_diamond_is_walked_once():
    x, calls = leaf(2.), []
    y = x * 3
    y.register_hook(lambda g: calls.append(g.item()))
    (y * y + y.sin()).backward()
    assert len(calls) == 1
    assert calls[0] == pytest.approx(2 * 6 + np.cos(6))


def test_grad_is_none_before_backward_and_for_what_takes_no_part():
    x, y = leaf(1.), leaf(1.)
    assert x.grad is None
    (x * 2).backward()
    assert y.grad is None


def test_grad_of_a_tensor_that_is_no_leaf_is_not_kept():
    x = leaf(1., 2.)
    y = x * 2
    y.sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert y.grad is None
    assert not y.is_leaf and x.is_leaf


def test_a_vector_needs_its_arriving_gradient():
    x = leaf(1., 2.)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (x * 2).backward()
    (x * 2).backward(mt.tensor([1., 10.], dtype=mt.float64))
    assert x.grad.tolist() == [2, 20]


def test_backward_of_several_tensors_sums_them():
    x = leaf(1., 2.)
    mt.autograd.backward([(x * x).sum(), x * 3], [None, mt.ones(2, dtype=mt.float64)])
    assert x.grad.tolist() == [5, 7]


def test_backward_of_a_leaf_is_one():
    x = leaf(3.)
    x.sum().backward()
    y = mt.tensor(2., requires_grad=True)
    y.backward()
    assert x.grad.tolist() == [1] and y.grad.item() == 1


def test_inputs_names_the_only_tensors_that_get_a_gradient():
    x, w = leaf(1., 2.), leaf(3., 4.)
    y = x * w
    y.sum().backward(inputs=[w])
    assert values(x.grad, w.grad) == [None, [1, 2]]


def test_inputs_may_be_no_leaf():
    x = leaf(1., 2.)
    y = x * 2
    (y * y).sum().backward(inputs=y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert values(x.grad, y.grad) == [None, [4, 8]]


def test_a_second_backward_needs_retain_graph():
    x = leaf(1., 2.)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_a_graph_that_saved_nothing_can_be_walked_again():
    x = leaf(1., 2.)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2, 2]


def test_a_shared_part_that_was_freed_is_noticed():
    x = leaf(1., 2.)
    h = x.exp()
    (h * 2).sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        (h * 3).sum().backward()


# ---- grad -----------------------------------------------------------------------------------------------

def test_grad_returns_gradients_and_leaves_grad_alone():
    x, w = leaf(1., 2.), leaf(3., 4.)
    assert values(*mt.autograd.grad((x * w).sum(), (x, w))) == [[3, 4], [1, 2]]
    assert x.grad is None and w.grad is None


def test_grad_with_respect_to_a_step_inside():
    x = leaf(1., 2.)
    y = x * 2
    z = (y * y).sum()
    assert values(*mt.autograd.grad(z, [y, x])) == [[4, 8], [8, 16]]


def test_grad_of_a_tensor_by_itself_is_one():
    x = leaf(2.)
    y = x * 3
    assert values(*mt.autograd.grad(y, y)) == [[1]]


def test_grad_outputs_are_weights():
    x = leaf(1., 2.)
    g, = mt.autograd.grad([x * 2, x * 3], x, [mt.tensor([1., 0.], dtype=mt.float64), mt.tensor([0., 1.], dtype=mt.float64)])
    assert g.tolist() == [2, 3]


def test_unused_inputs_are_an_error_none_or_zeros():
    x, unused = leaf(1., 2.), leaf(5.)
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        mt.autograd.grad((x * x).sum(), [x, unused])
    assert values(*mt.autograd.grad((x * x).sum(), [x, unused], allow_unused=True)) == [[2, 4], None]
    assert values(*mt.autograd.grad((x * x).sum(), [x, unused], materialize_grads=True)) == [[2, 4], [0]]
    with pytest.raises(ValueError, match="allow_unused"):
        mt.autograd.grad((x * x).sum(), [x, unused], materialize_grads=True, allow_unused=False)


def test_create_graph_makes_gradients_that_have_gradients():
    x = leaf(2.)
    y = x ** 4
    for expected in (4 * 8, 12 * 4, 24 * 2, 24):
        y, = mt.autograd.grad(y, x, create_graph=True)
        assert y.tolist() == [expected] and y.requires_grad


def test_gradients_are_outside_the_graph_without_create_graph():
    x = leaf(2.)
    g, = mt.autograd.grad(x ** 2, x)
    assert not g.requires_grad and g.grad_fn is None


def test_backward_with_create_graph_makes_grad_part_of_the_graph():
    x = leaf(3.)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (x ** 3).backward(create_graph=True)
    assert x.grad.requires_grad
    g2, = mt.autograd.grad(x.grad, x)
    assert g2.tolist() == [18]
    x.grad = None


def test_gradients_reach_the_arriving_gradient():
    x, v = leaf(2., 3.), leaf(1., 1.)
    g, = mt.autograd.grad(x * x, x, v, create_graph=True)
    assert values(*mt.autograd.grad(g.sum(), v)) == [[4, 6]]


# ---- dtypes and shapes ----------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [mt.float16, mt.bfloat16, mt.float32, mt.float64])
def test_a_gradient_has_the_dtype_and_shape_of_its_tensor(dtype):
    x = mt.ones(2, 3, dtype=dtype, requires_grad=True)
    y = ((x * 2).tanh() + x.sum(0)).mean()
    assert y.dtype == dtype
    y.backward()
    assert x.grad.dtype == dtype and x.grad.shape == x.shape


def test_an_arriving_gradient_is_cast_to_the_dtype_of_its_tensor():
    x = mt.ones(2, requires_grad=True)
    x.backward(mt.ones(2, dtype=mt.float64))
    (x * 2).backward(mt.ones(2, dtype=mt.float16))
    assert x.grad.dtype == mt.float32 and x.grad.tolist() == [3, 3]


def test_mixed_dtypes_each_get_their_own():
    a = mt.ones(2, dtype=mt.float16, requires_grad=True)
    b = mt.ones(2, dtype=mt.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype == mt.float16 and b.grad.dtype == mt.float64


def test_a_float16_sum_of_gradients_is_float16():
    x = mt.ones(4, dtype=mt.float16, requires_grad=True)
    (x * 2 + x * 3 + x.exp()).sum().backward()
    assert x.grad.dtype == mt.float16
    assert x.grad[0].item() == pytest.approx(5 + np.e, rel=1e-3)


def test_a_zero_dimensional_tensor_has_a_zero_dimensional_gradient():
    x = mt.tensor(2., requires_grad=True)
    (x * mt.ones(3)).sum().backward()
    assert x.grad.shape == () and x.grad.item() == 3


def test_broadcast_gradients_are_summed_back():
    x, w = mt.ones(3, 1, requires_grad=True), mt.ones(4, requires_grad=True)
    (x * w).sum().backward()
    assert values(x.grad, w.grad) == [[[4]] * 3, [3] * 4]


# ---- gradients belong to nobody else ----------------------------------------------------------------------

def test_grads_of_two_leaves_share_no_memory():
    a, b = leaf(1., 2.), leaf(3., 4.)
    (a + b).sum().backward()
    a.grad.add_(100)
    assert b.grad.tolist() == [1, 1]
    (a + b).backward(mt.ones(2, dtype=mt.float64))
    a.grad.zero_()
    assert b.grad.tolist() == [2, 2]


def test_grads_made_with_create_graph_share_no_memory():
    a, b, g = leaf(1., 2.), leaf(3., 4.), mt.ones(2, dtype=mt.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (a + b).backward(g, create_graph=True)
    with mt.no_grad():
        a.grad.add_(100)
    assert values(b.grad, g) == [[1, 1], [1, 1]]
    a.grad = b.grad = None


def test_the_users_gradient_is_not_kept():
    x, g = leaf(1., 2.), mt.ones(2, dtype=mt.float64)
    x.backward(g)
    x.grad.add_(5)
    assert g.tolist() == [1, 1]
    x.backward(g)
    assert g.tolist() == [1, 1] and x.grad.tolist() == [7, 7]


def test_gradients_seen_by_hooks_are_not_overwritten_later():
    x, seen = leaf(1., 2.), []
    y = x.sin()
    x.register_hook(lambda g: seen.append(g))
    y.sum().backward()
    before = seen.pop().tolist()
    x.register_hook(lambda g: seen.append(g))
    x.grad = None
    x.sin().sum().backward()
    x.grad.zero_()
    assert seen[0].tolist() == seen[1].tolist() == before


def test_gradients_seen_by_hooks_inside_are_not_overwritten_later():
    x, seen = leaf(1., 2.), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g))
    (y + y * 3).sum().backward()
    (x * 5).sum().backward()
    assert seen[0].tolist() == [4, 4]


# ---- hooks ----------------------------------------------------------------------------------------------

def test_hooks_run_in_order_and_replace_the_gradient():
    x, seen = leaf(1., 2.), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("first", g.tolist())))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(("third", g.tolist())))
    y.sum().backward()
    assert seen == [("first", [1, 1]), ("third", [10, 10])]
    assert x.grad.tolist() == [20, 20]


def test_a_hook_on_a_leaf_changes_what_is_added():
    x = leaf(1., 2.)
    x.register_hook(lambda g: g.clamp(max=3))
    (x ** 2).sum().backward()
    assert x.grad.tolist() == [2, 3]


def test_a_hook_sees_the_complete_gradient():
    x, seen = leaf(1., 2.), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3 + x).sum().backward()
    assert seen == [[6, 6]]


def test_a_removed_hook_is_silent():
    x, seen = leaf(1.), []
    handle = x.register_hook(lambda g: seen.append(g))
    handle.remove()
    handle.remove()
    (x * 2).backward()
    assert seen == []


def test_hooks_count_in_grad_as_well():
    x = leaf(1., 2.)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    assert values(*mt.autograd.grad(y.sum(), x)) == [[20, 20]]


def test_a_hook_is_part_of_the_graph_under_create_graph():
    x = leaf(2.)
    y = x * x
    y.register_hook(lambda g: g * x)
    g, = mt.autograd.grad(y, x, create_graph=True)       # 2x * x
    assert values(*mt.autograd.grad(g, x)) == [[8]]


def test_retain_grad_keeps_the_gradient_after_the_hooks():
    x = leaf(1., 2.)
    y = x * 2
    assert not y.retains_grad
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert y.retains_grad and y.grad.tolist() == [10, 10]
    (x * 1).sum().backward()
    assert y.grad.tolist() == [10, 10]


def test_retain_grad_accumulates():
    x = leaf(1., 2.)
    y = x * 2
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert y.grad.tolist() == [2, 2]


def test_post_accumulate_hooks_get_the_leaf_with_its_grad():
    x, seen = leaf(1., 2.), []

    def step_and_drop(t):
        seen.append((t is x, t.grad.tolist()))
        t.grad = None

    handle = x.register_post_accumulate_grad_hook(step_and_drop)
    (x * 3).sum().backward()
    assert seen == [(True, [3, 3])] and x.grad is None
    handle.remove()
    (x * 3).sum().backward()
    assert len(seen) == 1 and x.grad.tolist() == [3, 3]


def test_post_accumulate_hooks_are_for_leaves():
    with pytest.raises(RuntimeError, match="non-leaf"):
        (leaf(1.) * 2).register_post_accumulate_grad_hook(print)


# ---- modes ----------------------------------------------------------------------------------------------

def test_nothing_is_recorded_in_no_grad():
    x = leaf(1.)
    with mt.no_grad():
        assert not mt.is_grad_enabled()
        y = x * 2
        with mt.enable_grad():
            z = x * 2
    assert not y.requires_grad and z.requires_grad and mt.is_grad_enabled()


def test_modes_decorate_functions():
    x = leaf(1.)

    @mt.no_grad()
    def quiet(x):
        return x * 2

    @mt.no_grad
    def bare(x):
        return x * 2

    @mt.enable_grad()
    def loud(x):
        return x * 2

    @mt.set_grad_enabled(False)
    def off(x):
        return x * 2

    assert mt.is_grad_enabled()
    assert [f(x).requires_grad for f in (quiet, bare, loud, off)] == [False, False, True, False]
    with mt.no_grad():
        assert loud(x).requires_grad


def test_modes_decorate_generators_step_by_step():
    x = leaf(1.)

    @mt.no_grad()
    def items():
        for i in range(3):
            sent = yield (x * i).requires_grad, mt.is_grad_enabled()
            assert sent in (None, "go") and not mt.is_grad_enabled()

    for recorded, on in items():
        assert (recorded, on) == (False, False) and mt.is_grad_enabled()
    g = items()
    next(g)
    g.send("go")
    assert mt.is_grad_enabled()
    g.close()
    assert mt.is_grad_enabled()


def test_set_grad_enabled_acts_at_once_and_as_a_block():
    try:
        mt.set_grad_enabled(False)
        assert not mt.is_grad_enabled()
        with mt.set_grad_enabled(True):
            assert mt.is_grad_enabled()
        assert not mt.is_grad_enabled()
    finally:
        mt.set_grad_enabled(True)


def test_an_exception_restores_the_mode():
    with pytest.raises(ZeroDivisionError), mt.no_grad():
        raise ZeroDivisionError
    assert mt.is_grad_enabled()


def test_modes_belong_to_their_thread():
    seen = {}
    with mt.no_grad():
        thread = threading.Thread(target=lambda: seen.update(grad=mt.is_grad_enabled(), inference=mt.is_inference_mode_enabled()))
        thread.start()
        thread.join()
    assert seen == {"grad": True, "inference": False}


def test_backward_works_in_no_grad_mode():
    x = leaf(2.)
    y = x * x
    with mt.no_grad():
        y.backward()
    assert x.grad.tolist() == [4]


def test_inference_tensors_stay_outside_every_graph():
    x = leaf(1.)
    with mt.inference_mode():
        y = x * 2
        assert mt.is_inference_mode_enabled() and not mt.is_grad_enabled()
    assert y.is_inference() and not y.requires_grad
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        y * x
    (y.clone() * x).backward()
    assert x.grad.tolist() == [2]
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        y.add_(1)

    @mt.inference_mode()
    def infer():
        return (x * 2).is_inference()
    assert infer()
    with mt.inference_mode(False):
        assert (x * 2).requires_grad


# ---- leaves ---------------------------------------------------------------------------------------------

def test_detach_shares_memory_and_leaves_the_graph():
    x = leaf(1., 2.)
    d = x.detach()
    assert not d.requires_grad and d.is_leaf
    with mt.no_grad():
        d[0] = 5
    assert x.tolist() == [5, 2]
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [5, 2]


def test_requires_grad_is_for_leaves_of_floating_dtype():
    x = mt.ones(2)
    assert x.requires_grad_() is x and x.requires_grad
    y = x * 2
    assert y.requires_grad_() is y
    with pytest.raises(RuntimeError, match="only change requires_grad flags of leaf variables"):
        y.requires_grad = False
    x.requires_grad_(False)
    assert not (x * 2).requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        mt.ones(2, dtype=mt.int64).requires_grad_()


def test_requires_grad_can_be_switched_off_and_on_again():
    x = leaf(1., 2.)
    (x * 2).sum().backward()
    x.requires_grad = False
    y = x * 2
    assert not y.requires_grad and x.grad.tolist() == [2, 2]
    x.requires_grad = True
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5, 5]


def test_grad_can_be_set_to_a_fitting_tensor_or_none():
    x = leaf(1., 2.)
    x.grad = mt.tensor([5., 5.], dtype=mt.float64)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [7, 7]
    x.grad = None
    assert x.grad is None
    with pytest.raises(RuntimeError):
        x.grad = mt.ones(3, dtype=mt.float64)
    with pytest.raises(TypeError):
        x.grad = [1., 2.]


def test_data_is_replaced_without_history():
    x = leaf(1., 2.)
    x.data = mt.tensor([5., 6.], dtype=mt.float64)
    (x * x).sum().backward()
    assert x.grad.tolist() == [10, 12]


def test_variable_is_the_old_name_of_a_tensor():
    x = mt.ones(2)
    v = mt.autograd.Variable(x, requires_grad=True)
    assert type(v) is mt.Tensor and isinstance(x, mt.autograd.Variable) and v.requires_grad
    x.add_(1)
    assert v.tolist() == [2, 2]
    assert not mt.autograd.Variable(v * 1).requires_grad
    with pytest.raises(TypeError, match="list"):
        mt.autograd.Variable([1.])


# ---- anomaly detection ----------------------------------------------------------------------------------

def test_anomaly_detection_names_the_op_and_the_line():
    x = mt.zeros(2, requires_grad=True)
    with warnings.catch_warnings(record=True) as seen, pytest.raises(RuntimeError, match="returned nan values") as error:
        warnings.simplefilter("always")
        with mt.autograd.detect_anomaly():
            y = (x * 0 / x).sum()                        # the line to be named
            y.backward()
    told = str(error.value) + "".join(str(w.message) for w in seen)
    assert "DivBackward0" in told and "the line to be named" in told
    assert not mt.is_anomaly_enabled()


def test_anomaly_detection_can_leave_nan_alone():
    x = mt.zeros(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mt.autograd.detect_anomaly(check_nan=False):
            (x * 0 / x).sum().backward()
    assert x.grad.isnan().all()


def test_nan_is_no_error_without_anomaly_detection():
    x = mt.zeros(2, requires_grad=True)
    (x * 0 / x).sum().backward()
    assert x.grad.isnan().all()


# ---- size and time --------------------------------------------------------------------------------------

def test_a_deep_graph_is_walked_without_recursion():
    x = leaf(1.)
    y = x
    for _ in range(100_000):
        y = y * 1.
    y.backward()
    assert x.grad.tolist() == [1]
    del y


def test_many_threads_add_to_one_leaf():
    x = mt.ones(100_000, dtype=mt.float64, requires_grad=True)

    def work():
        for _ in range(20):
            (x * 2).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert x.grad.min().item() == x.grad.max().item() == 2 * 20 * 4


def test_backward_may_be_called_inside_a_hook():
    x, inner = leaf(2.), leaf(3.)

    def hook(g):
        with mt.enable_grad():
            (inner * inner).backward()

    y = x * x
    y.register_hook(hook)
    y.backward()
    assert values(x.grad, inner.grad) == [[4], [6]]
