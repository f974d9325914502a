"""autograd.functional and func: vjp, jvp, Jacobians, Hessians, transforms that nest; all of it holds of PyTorch too."""
import pytest

import minitorch as mt
from minitorch import func
from minitorch.autograd import functional


def tensor(*values):
    return mt.tensor(values, dtype=mt.float64)


def cubes(x):
    return x ** 3


def mixed(x, w):
    """Two outputs of two inputs: x w, and the sum of x^2 w."""
    return x * w, (x * x * w).sum()


X, W = tensor(1., 2., 3.), tensor(4., 5., 6.)
ONE = mt.ones(3, dtype=mt.float64)


def lists(tree):
    if isinstance(tree, (tuple, list)):
        return [lists(t) for t in tree]
    return {k: lists(v) for k, v in tree.items()} if isinstance(tree, dict) else tree.tolist()


# ---- autograd.functional ----------------------------------------------------------------------------------

def test_vjp_and_jvp_of_one_tensor():
    y, g = functional.vjp(cubes, X, W)
    assert lists((y, g)) == [[1, 8, 27], [12, 60, 162]]
    assert lists(functional.jvp(cubes, X, W)) == [[1, 8, 27], [12, 60, 162]]


def test_results_have_the_structure_of_inputs_and_outputs():
    ys, gs = functional.vjp(mixed, (X, W), (ONE, tensor(1.)[0]))
    assert lists(ys) == [[4, 10, 18], 4 + 20 + 54]
    assert lists(gs) == [[4 + 8, 5 + 20, 6 + 36], [1 + 1, 2 + 4, 3 + 9]]
    ys, ts = functional.jvp(mixed, (X, W), (ONE, ONE))
    assert lists(ts) == [[5, 7, 9], 8 + 20 + 36 + 1 + 4 + 9]


def test_v_may_be_left_out_for_one_element():
    assert lists(functional.vjp(lambda x: (x ** 2).sum(), X)[1]) == [2, 4, 6]
    assert lists(functional.jvp(lambda x: x ** 2, tensor(3.))[1]) == [6]


def test_jacobian_has_a_row_for_every_output():
    assert lists(functional.jacobian(cubes, X)) == [[3, 0, 0], [0, 12, 0], [0, 0, 27]]
    assert functional.jacobian(lambda x: x.outer(x), X).shape == (3, 3, 3)
    j = functional.jacobian(mixed, (X, W))
    assert [[t.shape for t in row] for row in j] == [[(3, 3), (3, 3)], [(3,), (3,)]]
    assert lists(j[1]) == [[8, 20, 36], [1, 4, 9]]


def test_the_jacobian_of_what_does_not_depend_is_zero():
    assert lists(functional.jacobian(lambda x, w: x * 2, (X, tensor(1.)))[1]) == [[0], [0], [0]]
    assert lists(functional.vjp(lambda x: W.sum(), X)[1]) == [0, 0, 0]
    assert lists(functional.jvp(lambda x: W * 1, X, ONE)[1]) == [0, 0, 0]


def test_hessian_and_its_products():
    def f(x):
        return (x[0] ** 2 * x[1] + x[2] ** 3)
    h = [[4, 2, 0], [2, 0, 0], [0, 0, 18]]
    assert lists(functional.hessian(f, X)) == h
    assert lists(functional.vhp(f, X, W)) == [29, [26, 8, 108]]
    assert lists(functional.hvp(f, X, W)) == [29, [26, 8, 108]]
    assert lists(functional.hvp(lambda x: (x ** 3).sum(), tensor(2.))[1]) == [12]


def test_the_hessian_of_several_inputs_is_a_tuple_of_tuples():
    h = functional.hessian(lambda a, b: (a * a * b).sum(), (X, W))
    assert lists(h[0][0]) == [[8, 0, 0], [0, 10, 0], [0, 0, 12]]
    assert lists(h[0][1]) == lists(h[1][0]) == [[2, 0, 0], [0, 4, 0], [0, 0, 6]]
    assert lists(h[1][1]) == [[0] * 3] * 3


def test_create_graph_leaves_results_in_the_graph():
    x = X.clone().requires_grad_()
    j = functional.jacobian(cubes, x, create_graph=True)
    j.sum().backward()
    assert x.grad.tolist() == [6, 12, 18]
    x.grad = None
    functional.hvp(lambda x: (x ** 4).sum(), x, ONE, create_graph=True)[1].sum().backward()
    assert x.grad.tolist() == [24, 48, 72]


def test_results_are_outside_the_graph_otherwise():
    x = X.clone().requires_grad_()
    y, g = functional.vjp(cubes, x, ONE)
    assert not y.requires_grad and not g.requires_grad and x.grad is None
    assert not functional.jacobian(cubes, x).requires_grad
    assert not functional.hessian(lambda x: (x ** 3).sum(), x).requires_grad


def test_they_work_in_no_grad_mode():
    with mt.no_grad():
        assert lists(functional.jacobian(cubes, tensor(2.))) == [[12]]


@pytest.mark.parametrize("call", [
    lambda: functional.vjp(lambda x: W.sum(), X, strict=True),
    lambda: functional.jvp(lambda x: W * 1, X, ONE, strict=True),
    lambda: functional.jacobian(lambda x, w: x * 2, (X, W), strict=True),
    lambda: functional.hessian(lambda x: x.sum(), X, strict=True)])
def test_strict_refuses_independence(call):
    with pytest.raises(RuntimeError):
        call()


@pytest.mark.parametrize("call, kind, words", [
    (lambda: functional.vjp(cubes, X), RuntimeError, "can only be None"),
    (lambda: functional.jvp(cubes, X), RuntimeError, "can only be None"),
    (lambda: functional.vjp(cubes, X, (ONE, ONE)), RuntimeError, "v should contain a single Tensor"),
    (lambda: functional.vjp(cubes, X, ONE[:2]), RuntimeError, "invalid size"),
    (lambda: functional.jvp(mixed, (X, W), (ONE,)), RuntimeError, "invalid length"),
    (lambda: functional.vjp(cubes, [1., 2.]), TypeError, "either a Tensor or a tuple of Tensors"),
    (lambda: functional.vjp(lambda x: 3., X), TypeError, "either a Tensor or a tuple of Tensors"),
    (lambda: functional.hessian(cubes, X), RuntimeError, "single element"),
    (lambda: functional.hessian(mixed, (X, W)), RuntimeError, "single Tensor"),
    (lambda: functional.jacobian(cubes, X, strict=True, vectorize=True), RuntimeError, "not supported together"),
    (lambda: functional.jacobian(cubes, X, strategy="sideways"), AssertionError, "forward-mode")])
def test_bad_calls_are_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


# ---- func: transforms -------------------------------------------------------------------------------------

def test_grad_makes_a_function_that_nests():
    f = lambda x: x.sin()                                # noqa: E731
    x = mt.tensor(0.5, dtype=mt.float64)
    assert func.grad(f)(x).item() == pytest.approx(x.cos().item())
    assert func.grad(func.grad(f))(x).item() == pytest.approx(-x.sin().item())
    assert func.grad(func.grad(func.grad(f)))(x).item() == pytest.approx(-x.cos().item())


def test_inner_and_outer_variables_stay_apart():
    x = mt.tensor(2., dtype=mt.float64)
    assert func.grad(lambda x: x * func.grad(lambda y: x * y)(mt.tensor(1., dtype=mt.float64)))(x).item() == 4
    assert func.grad(lambda x: func.grad(lambda y: (x * y) ** 2)(x))(x).item() == 6 * 4       # d/dx of 2 x^3


def test_argnums_choose_the_arguments():
    f = lambda a, b: (a * b * b).sum()                   # noqa: E731
    assert lists(func.grad(f, argnums=1)(X, W)) == [8, 20, 36]
    assert lists(func.grad(f, argnums=(0, 1))(X, W)) == [[16, 25, 36], [8, 20, 36]]
    assert lists(func.grad(f, argnums=-1)(X, W)) == [8, 20, 36]


def test_aux_rides_along():
    f = lambda x: ((x ** 2).sum(), {"double": x * 2})    # noqa: E731
    g, aux = func.grad(f, has_aux=True)(X)
    assert lists(g) == [2, 4, 6] and lists(aux) == {"double": [2, 4, 6]} and not aux["double"].requires_grad
    g, (value, aux) = func.grad_and_value(f, has_aux=True)(X)
    assert value.item() == 14


def test_arguments_may_be_trees():
    params = {"w": W, "more": [X, X * 2]}
    g = func.grad(lambda p: (p["w"] * p["more"][0]).sum() + p["more"][1].sum())(params)
    assert lists(g) == {"w": [1, 2, 3], "more": [[4, 5, 6], [1, 1, 1]]}


def test_results_stay_in_the_graph_only_for_others():
    p = X.clone().requires_grad_()
    assert not func.grad(lambda x: (x * x).sum())(X).requires_grad
    g = func.grad(lambda x: (x * p).sum())(X)
    assert g.requires_grad
    g.sum().backward()
    assert p.grad.tolist() == [1, 1, 1]
    with mt.no_grad():
        assert not func.grad(lambda x: (x * p).sum())(X).requires_grad
    nested = func.grad(lambda x: func.grad(lambda y: (y * y * x).sum())(W).sum())(X)
    assert not nested.requires_grad and nested.tolist() == [8, 10, 12]


def test_vjp_gives_a_function_to_be_called_again():
    y, pull = func.vjp(lambda x, w: x * w, X, W)
    assert lists(y) == [4, 10, 18] and not y.requires_grad
    assert lists(pull(ONE)) == [[4, 5, 6], [1, 2, 3]]
    assert lists(pull(ONE * 2)) == [[8, 10, 12], [2, 4, 6]]


def test_vjp_of_a_tree_of_outputs():
    y, pull, aux = func.vjp(lambda x: ({"a": x * 2, "b": x.sum()}, x * 7), X, has_aux=True)
    assert lists(pull({"a": ONE, "b": mt.tensor(1., dtype=mt.float64)})) == [[3, 3, 3]]
    assert lists(aux) == [7, 14, 21]


def test_jvp_pushes_a_tangent():
    y, t = func.jvp(cubes, (X,), (ONE,))
    assert lists((y, t)) == [[1, 8, 27], [3, 12, 27]]
    ys, ts = func.jvp(mixed, (X, W), (ONE, ONE))
    assert lists(ts) == [[5, 7, 9], 78]


def test_jvp_inside_grad():
    g = func.grad(lambda x: func.jvp(lambda y: (y ** 3).sum(), (x,), (ONE,))[1])(X)
    assert lists(g) == [6, 12, 18] and not g.requires_grad


def test_jacrev_and_jacfwd_agree():
    for jac in (func.jacrev, func.jacfwd):
        assert lists(jac(cubes)(X)) == [[3, 0, 0], [0, 12, 0], [0, 0, 27]]
        j = jac(lambda a, b: {"y": a[:2] * b[0]}, argnums=(0, 1))(X, W)
        assert lists(j) == {"y": [[[4, 0, 0], [0, 4, 0]], [[1, 0, 0], [2, 0, 0]]]}
        j, aux = jac(lambda x: (x * 2, x * 3), has_aux=True)(X)
        assert lists(aux) == [3, 6, 9]


def test_hessian_of_trees():
    h = func.hessian(lambda p: (p["a"] ** 2 * p["b"]).sum())({"a": tensor(3.), "b": tensor(5.)})
    assert lists(h) == {"a": {"a": [[10]], "b": [[6]]}, "b": {"a": [[6]], "b": [[0]]}}


def test_linearize_is_the_jvp_at_a_point():
    y, push = func.linearize(cubes, X)
    assert lists(push(ONE)) == [3, 12, 27] and lists(push(ONE * 2)) == [6, 24, 54]


def test_derivatives_of_every_order_by_composing_both_ways():
    f = lambda x: (x ** 4).sum()                         # noqa: E731
    third = func.jacfwd(func.jacrev(func.grad(f)))(tensor(1., 2.))
    assert lists(third) == [[[24, 0], [0, 0]], [[0, 0], [0, 48]]]


# ---- func: vmap and modules -------------------------------------------------------------------------------

def test_vmap_runs_a_function_over_a_batch():
    a = mt.arange(6, dtype=mt.float64).reshape(2, 3)
    assert lists(func.vmap(lambda x: x.sum())(a)) == [3, 12]
    assert lists(func.vmap(lambda x, y: (x * y).sum(), in_dims=(1, None))(a, tensor(1., 10.))) == [30, 41, 52]
    assert lists(func.vmap(lambda x: x * 2, out_dims=1)(a)) == [[0, 6], [2, 8], [4, 10]]
    trees = func.vmap(lambda d: {"s": d["u"] + d["v"]}, in_dims=({"u": 0, "v": None},))
    assert lists(trees({"u": a, "v": W})) == {"s": [[4, 6, 8], [7, 9, 11]]}


def test_vmap_does_not_slice_keyword_arguments():
    assert func.vmap(lambda x, b: x + b)(mt.ones(3, 2), b=mt.ones(3, 2)).shape == (3, 3, 2)


def test_vmap_of_grad_gives_the_gradient_of_every_example():
    w, xs = tensor(1., 2.), tensor(1., 2., 3., 4.).reshape(2, 2)
    per_example = func.vmap(func.grad(lambda w, x: (w * x).sum() ** 2), in_dims=(None, 0))(w, xs)
    assert lists(per_example) == [[10, 20], [66, 88]]


def test_vmap_and_random_numbers():
    x = mt.zeros(3)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        func.vmap(lambda x: x + mt.rand(()))(x)
    same = func.vmap(lambda x: x + mt.rand(()), randomness="same")(x).tolist()
    different = func.vmap(lambda x: x + mt.rand(()), randomness="different")(x).tolist()
    assert len(set(same)) == 1 and len(set(different)) == 3


@pytest.mark.parametrize("call, kind, words", [
    (lambda: func.grad(cubes)(X), RuntimeError, "scalar"),
    (lambda: func.grad(lambda x: 3.)(X), RuntimeError, "to return (a Tensor|only tensors)"),
    (lambda: func.grad(lambda x: x)(3.), ValueError, "must be Tensor"),
    (lambda: func.grad(cubes, argnums=2)(X), RuntimeError, "only 1 positional inputs"),
    (lambda: func.grad(cubes, argnums=())(X), RuntimeError, "non-empty"),
    (lambda: func.grad(cubes, argnums=(0, 0))(X), RuntimeError, "unique"),
    (lambda: func.grad(cubes, argnums="x")(X), RuntimeError, "argnums must be int"),
    (lambda: func.grad(lambda x: x.sum(), has_aux=True)(X), RuntimeError, "aux"),
    (lambda: func.grad(lambda x: x.sum())(mt.ones(2, dtype=mt.int64)), RuntimeError, "floating point"),
    (lambda: func.jvp(cubes, X, X), RuntimeError, "tuple"),
    (lambda: func.jvp(cubes, (X,), (X, X)), RuntimeError, "structure"),
    (lambda: func.jvp(cubes, (X,), (X[:2],)), RuntimeError, "size|shape"),
    (lambda: func.vjp(cubes, X)[1]((X, X)), RuntimeError, "structure"),
    (lambda: func.vjp(cubes, X)[1](X[:2]), RuntimeError, "shape"),
    (lambda: func.vjp(lambda x: 3, X), RuntimeError, "only tensors"),
    (lambda: func.vmap(cubes)(3.), ValueError, "non-Tensor"),
    (lambda: func.vmap(cubes, in_dims=4)(X), ValueError, "in_dim=4"),
    (lambda: func.vmap(mixed)(X, W[:2]), ValueError, "same size"),
    (lambda: func.vmap(mixed, in_dims=(0,))(X, W), ValueError, "structure"),
    (lambda: func.vmap(lambda x: 3)(X), ValueError, "only return Tensors"),
    (lambda: func.vmap(cubes, randomness="maybe"), RuntimeError, "randomness")])
def test_bad_transforms_are_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        result = call()
        result(X)                                        # PyTorch checks some options when the function is called


def test_functional_call_uses_other_parameters_for_one_call():
    m = mt.nn.Linear(2, 1).double()
    before = m.weight
    new = {"weight": tensor(1., 2.).reshape(1, 2).requires_grad_(), "bias": tensor(3.)}
    y = func.functional_call(m, new, (tensor(1., 1.).reshape(1, 2),))
    assert y.item() == 6 and m.weight is before
    y.sum().backward()
    assert new["weight"].grad.tolist() == [[1, 1]] and before.grad is None
    g = func.grad(lambda p, x: func.functional_call(m, p, x).sum())({k: v.detach() for k, v in new.items()}, tensor(5., 7.))
    assert lists(g) == {"weight": [[5, 7]], "bias": [1]}


def test_functional_call_checks_names():
    m = mt.nn.Linear(2, 1)
    x, w, b = mt.ones(1, 2), mt.ones(1, 2), mt.ones(1)
    with pytest.raises(RuntimeError, match="Missing key"):
        func.functional_call(m, {"weight": w}, x, strict=True)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        func.functional_call(m, {"weight": w, "bias": b, "other": w}, x, strict=True)
    with pytest.raises(ValueError, match="multiple dictionaries"):
        func.functional_call(m, ({"weight": w}, {"weight": w}), x)
    with pytest.raises(TypeError, match="not an instance"):
        func.functional_call(m, {"weight": 3.}, x)
    with pytest.raises(ValueError, match="dict"):
        func.functional_call(m, 3, x)


def test_functional_call_shows_writes_to_buffers():
    class Counter(mt.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", mt.zeros(()))

        def forward(self, x):
            self.count = self.count + 1
            return x * self.count

    m, new = Counter(), {"count": mt.tensor(10.)}
    assert func.functional_call(m, new, mt.ones(())).item() == 11
    assert m.count.item() == 0 and new["count"].item() == 11


def test_tied_weights_are_replaced_together():
    m = mt.nn.Sequential(mt.nn.Linear(2, 2, bias=False), mt.nn.Linear(2, 2, bias=False))
    m[1].weight = m[0].weight
    y = func.functional_call(m, {"0.weight": mt.eye(2) * 3}, mt.ones(1, 2))
    assert y.tolist() == [[9, 9]]
    with mt.no_grad():
        m[0].weight.copy_(mt.eye(2))
    assert func.functional_call(m, {"0.weight": mt.eye(2) * 3}, mt.ones(1, 2), tie_weights=False).tolist() == [[3, 3]]
