"""Views and in-place writes: the right gradient, or PyTorch's error; never a wrong number in silence."""
import numpy as np
import pytest

import minitorch as mt


def leaf(*values):
    return mt.tensor(values, dtype=mt.float64, requires_grad=True)


def test_a_view_shares_memory_and_counts_writes_with_its_base():
    x = mt.zeros(2, 3)
    v = x[1]
    v.add_(1)
    assert x.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert x._version == v._version == 1
    assert v._base is x and x._base is None


def test_a_view_of_a_view_has_the_same_base():
    x = mt.zeros(2, 3)
    assert x[1][0:2]._base is x


def test_a_write_through_a_view_reaches_the_history_of_its_base():
    w = leaf(2., 3.)
    x = mt.zeros(4, dtype=mt.float64)
    x[1:3].copy_(w)
    (x * x).sum().backward()
    assert x.grad_fn is not None
    assert w.grad.tolist() == [4, 6]


def test_a_write_through_a_view_cuts_off_what_it_replaced():
    a = leaf(1., 2., 3.)
    x = a * 2
    x[0] = 7.
    x.sum().backward()
    assert a.grad.tolist() == [0, 2, 2]


def test_a_write_to_the_base_reaches_the_history_of_its_views():
    a = leaf(1., 2., 3.)
    x = a * 1
    v = x[1:]
    x.mul_(5)
    v.sum().backward()
    assert a.grad.tolist() == [0, 5, 5]


def test_a_write_through_one_view_reaches_another():
    a = leaf(1., 2., 3.)
    x = a * 1
    v, u = x[1:], x.view(3, 1)
    v.mul_(3)
    u.sum().backward()
    assert a.grad.tolist() == [1, 3, 3]


def test_chained_views_of_every_kind_pass_writes_on():
    a = mt.arange(12., dtype=mt.float64).requires_grad_()
    x = a * 1
    v = x.view(3, 4).t()[1:3].unsqueeze(0).transpose(1, 2)
    v.mul_(10)
    x.sum().backward()
    assert a.grad.view(3, 4).tolist() == [[1, 10, 10, 1]] * 3


def test_saved_values_that_were_overwritten_are_an_error():
    a = leaf(1., 2.)
    x = a * 1
    y = x * x
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*Mul.*version 1; expected version 0"):
        y.sum().backward()


def test_a_saved_output_that_was_overwritten_is_an_error():
    x = leaf(1., 2.)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_an_overwritten_value_that_nobody_needs_is_fine():
    a = leaf(1., 2.)
    x = a * 1
    y = x + 1
    x.mul_(3)
    (x + y).sum().backward()
    assert a.grad.tolist() == [4, 4]


def test_in_place_ops_keep_the_old_value_that_they_need_themselves():
    a, b = leaf(1., 2.), leaf(3., 4.)
    x = a * 1
    x.mul_(b)
    x.sum().backward()
    assert b.grad.tolist() == [1, 2]


def test_the_result_of_an_in_place_op_is_what_its_derivative_uses():
    a = leaf(0., 1.)
    x = a * 1
    x.exp_()
    x.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.exp([0., 1.]))


@pytest.mark.parametrize("write", [lambda x: x.add_(1), lambda x: x.zero_(), lambda x: x[0:1].add_(1), lambda x: x.__setitem__(0, 1.)])
def test_a_leaf_that_requires_grad_cannot_be_written_to(write):
    x = leaf(1., 2.)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad is being used in an in-place operation"):
        write(x)
    assert x.tolist() == [1, 2]


def test_no_grad_and_data_writes_are_allowed():
    x = leaf(1., 2.)
    with mt.no_grad():
        x.add_(1)
    x.data.mul_(2)
    assert x.tolist() == [4, 6] and x.requires_grad and x._version == 1


def test_expanded_views_cannot_be_written_to():
    with pytest.raises(RuntimeError, match="single memory location"):
        mt.zeros(1, 3).expand(2, 3).add_(1)


@pytest.mark.parametrize("grad", [False, True])
def test_numbers_cannot_be_written_where_the_region_is_expanded(grad):
    x = (mt.ones(2, requires_grad=grad) * 1).expand(2, 2)
    for region in (np.s_[:, 0], np.s_[:], np.s_[..., 1:]):
        for value in (0.5, mt.tensor(0.5), mt.ones(1)):
            with pytest.raises(RuntimeError, match="__setitem__: .*single memory location|copy_: .*single memory location"):
                x[region] = value
    x[0] = 0.5                                       # elements of their own, that the other row shows too
    assert x.tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("grad", [False, True])
def test_an_assignment_that_reads_other_places_of_its_memory_is_refused_or_reads_first(grad):
    x = (mt.arange(4., requires_grad=grad) if grad else mt.arange(4.)) * 1
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor"):
        x[:3] = x[1:]
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor"):
        x.copy_(x[1:2])
    x[:] = x[2:3]                                    # which is expanded first, so that nobody sees it
    assert x.tolist() == [2, 2, 2, 2]


def test_a_view_whose_history_cannot_be_cut_again_can_be_looked_at():
    x = mt.ones(3, requires_grad=True) * 1
    view, _ = x.split(2)
    x.mul_(2)
    assert view.requires_grad_() is view and view.requires_grad
    assert repr(view) == "tensor([2., 2.], grad_fn=<Invalid>)"
    with pytest.raises(RuntimeError, match="returns multiple views"):
        view.sum()


def by_columns():
    """(a leaf, its double in memory column by column)."""
    a = mt.tensor([[1., 2., 3.], [4., 5., 6.]], dtype=mt.float64, requires_grad=True)
    return a, a.T * 2


@pytest.mark.parametrize("cut, write, factors", [
    (lambda x: x.T.reshape(-1), lambda v: v.mul_(3), [[3, 3, 3], [3, 3, 3]]),
    (lambda x: x.T.view(-1), lambda v: v[1:].mul_(3), [[1, 3, 3], [3, 3, 3]]),
    (lambda x: x.T.flatten(), lambda v: v[2:4].zero_(), [[1, 1, 0], [0, 1, 1]]),
    (lambda x: x.T.reshape(3, 2), lambda v: v[:, 0].mul_(3), [[3, 1, 3], [1, 3, 1]])])
def test_what_is_written_through_a_reshaped_view_of_a_base_in_columns_is_in_its_gradient(cut, write, factors):
    a, x = by_columns()
    assert x.stride() == (1, 3)
    write(cut(x))
    weights = mt.arange(1., 7, dtype=mt.float64).reshape(3, 2)
    expected = 2 * np.array(factors) * weights.T.numpy()
    assert x.tolist() == (np.array(factors) * 2 * a.detach().numpy()).T.tolist()
    g, = mt.autograd.grad((x * weights).sum(), a, create_graph=True)
    assert g.tolist() == expected.tolist()
    h, = mt.autograd.grad((x * x * weights).sum(), a)
    assert h.tolist() == (4 * np.array(factors) * expected * a.detach().numpy()).tolist()


def test_gradients_that_lie_in_columns_pass_through_written_views():
    a = mt.tensor([[1., 2., 3.], [4., 5., 6.]], dtype=mt.float64, requires_grad=True)
    x = a * 2
    x.view(-1)[2:].mul_(3)
    (x.T * mt.arange(1., 7, dtype=mt.float64).reshape(3, 2)).sum().backward()
    assert a.grad.tolist() == [[2, 6, 30], [12, 24, 36]]


def test_strides_of_empty_tensors_are_those_of_one_entry():
    x = mt.ones(3)
    assert mt.zeros(2, 0, 3).stride() == (3, 3, 1) and x[x > 5].stride() == (1,) and x[3:].stride() == (1,)
    assert mt.ones(2, 3, 4)[:, 3:].stride() == (12, 4, 1)


def test_a_write_that_reads_other_places_of_its_memory_is_refused():
    x = mt.arange(3.).expand(1, 3).clone()
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor"):
        x[0, 1:].add_(x[0, :2])
    x.add_(x)
    assert x.tolist() == [[0, 2, 4]]


def test_views_of_functions_with_several_views_cannot_be_written_to():
    x = leaf(1., 2., 3., 4.) * 1
    first, _ = x.chunk(2)
    with pytest.raises(RuntimeError, match="multiple views"):
        first.add_(1)


def test_views_cut_in_no_grad_cannot_be_written_to_outside():
    x = leaf(1., 2.) * 1
    with mt.no_grad():
        v = x[0:1]
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        v.add_(1)


def test_the_result_must_fit_its_place():
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        mt.zeros(3).add_(mt.zeros(2, 3))
    with pytest.raises(RuntimeError, match="can't be cast"):
        mt.zeros(3, dtype=mt.int64).add_(0.5)


def test_detached_tensors_share_memory_and_the_count_but_no_history():
    x = leaf(1., 2.) * 1
    d = x.detach()
    y = x * x
    d.add_(1)
    assert x.tolist() == [2, 3] and not d.requires_grad
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_indexed_assignment_differentiates_both_sides():
    a, v = leaf(1., 2., 3.), leaf(10., 20.)
    x = a * 1
    x[mt.tensor([0, 2])] = v
    (x * mt.tensor([1., 2., 3.], dtype=mt.float64)).sum().backward()
    assert a.grad.tolist() == [0, 2, 0] and v.grad.tolist() == [1, 3]


def test_second_derivatives_pass_through_writes():
    a = leaf(2., 3.)
    x = a * a
    x[0:1].mul_(a[1:])
    g, = mt.autograd.grad(x.sum(), a, create_graph=True)      # x = [a0^2 a1, a1^2]
    assert g.tolist() == [2 * 2 * 3, 4 + 6]
    h, = mt.autograd.grad(g[0], a)
    assert h.tolist() == [6, 4]


def test_graphs_with_views_and_writes_die_by_reference_counting():
    import gc
    import weakref
    gc.collect()
    gc.disable()
    try:
        x = leaf(1., 2., 3.) * 1
        v = x[1:]
        v.mul_(2)
        v.sum()
        node = weakref.ref(v.grad_fn)
        del x, v
        assert node() is None
    finally:
        gc.enable()


def test_a_view_of_a_buffer_without_history_can_be_written_to_again_and_again():
    a, buffer = leaf(1., 2., 3.), mt.zeros(3, dtype=mt.float64)
    v = buffer[1:]
    v.add_(a[:2])
    v.mul_(3)
    v.add_(a[1:])
    buffer.sum().backward()
    assert a.grad.tolist() == [3, 4, 1]


def test_overwritten_indices_of_a_maximum_are_noticed():
    x = leaf(1., 3., 2.)
    values, indices = x.max(0)
    indices.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        values.backward()


def test_a_recorded_write_to_windows_that_overlap_is_refused():
    x = leaf(1., 2., 3., 4.) * 1
    with pytest.raises(RuntimeError, match="overlap in memory"):
        x.unfold(0, 2, 1).mul_(2)
    x.unfold(0, 2, 2).mul_(2)
    assert x.tolist() == [2, 4, 6, 8]
