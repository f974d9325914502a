"""gradcheck.mutants and kill_rate: mistakes of every kind, in derivatives of every kind, and the telling of true ones from others."""
import numpy as np
import pytest

import minitorch
from minitorch import autograd, gradcheck
from minitorch.autograd.op import OPS


def randn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def words(found):
    return [m.mistake for m in found]


class Scaled(autograd.Function):
    """a * sin(b), with a saved value of each."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b.sin()

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b.sin(), g * a * b.cos()


def vjp(g, x, w):
    return g @ w.T, x.T @ g


# ---- which mistakes are made --------------------------------------------------------------------------------------------

def test_mistakes_of_every_kind_are_made_in_the_text():
    def f(g, x, eps=1e-6):
        total = x.sum() + 2 * eps
        total += 1.5
        return -(g.T @ x) / total ** 2 * (x > 0)
    found = words(gradcheck.mutants(f))
    for mistake in ("`x.sum()` without its sum", "eps ten times as large", "`2 * eps` with 3 for 2", "`total += 1.5` with = for +=",
                    "1.5 off by a hundredth", "`g.T` without its transpose", "`g.T @ x` with its operands exchanged", "`x > 0` with >= for >",
                    "`total ** 2` with an exponent one larger", "`-(g.T @ x)` without its minus", "`x` stale: its entries in reverse order"):
        assert mistake in found, mistake


def test_the_mutants_of_each_result_are_separate():
    found = words(gradcheck.mutants(vjp))
    assert "result 0 times 1.01" in found and "result 1 transposed" in found
    g, x, w = randn(3, 2), randn(3, 4), randn(4, 2)
    wrong = next(m for m in gradcheck.mutants(vjp) if m.mistake == "result 1 times 1.01").wrong
    a, b = wrong(g, x, w)
    np.testing.assert_array_equal(a, vjp(g, x, w)[0])
    np.testing.assert_allclose(b, 1.01 * vjp(g, x, w)[1])


@pytest.mark.parametrize("target", [OPS["tanh"], OPS["matmul"], OPS["linalg.svd"], OPS["normalize_layer"], Scaled, vjp])
def test_mutants_are_the_same_each_time_and_a_sample_is_seeded(target):
    every = list(map(str, gradcheck.mutants(target)))
    assert len(every) > 6 and len(set(every)) > 0.8 * len(every)
    assert every == list(map(str, gradcheck.mutants(target)))
    five = [list(map(str, gradcheck.mutants(target, 5, seed))) for seed in (0, 0, 1)]
    assert five[0] == five[1] != five[2] and len(five[0]) == 5 and set(five[0]) <= set(every)


@pytest.mark.parametrize("name", ["tanh", "matmul", "linalg.svd", "sum", "joined"])
def test_mutants_run_on_arrays_and_on_tensors(name):
    """Under create_graph derivatives compute with tensors, and so must their mutants, to the same numbers."""
    op = OPS[name]
    args, params = op.cases[0]
    leaves = [minitorch.tensor(d.draw(np.random.default_rng(0)), requires_grad=True) for d in args]
    for m in gradcheck.mutants(op):
        if not m.mistake.startswith(("the result", "the first result", "the last result")):
            continue
        with m.planted(), np.errstate(all="ignore"):
            y = op(*leaves, **params)
            ys = list(y) if isinstance(y, tuple) else [y]
            us = [minitorch.tensor(randn(*t.shape)) for t in ys]
            plain = autograd.grad(ys, leaves, us, retain_graph=True)
            recorded = autograd.grad(ys, leaves, us, create_graph=True)
        for a, b in zip(plain, recorded):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=str(m))


def test_what_is_no_derivative_is_refused():
    with pytest.raises(TypeError, match="expected an op"):
        gradcheck.mutants(3)


# ---- planting ----------------------------------------------------------------------------------------------------------

def gradient(f, *xs):
    leaves = [minitorch.tensor(x, requires_grad=True) for x in xs]
    f(*leaves).sum().backward()
    return [x.grad.numpy() for x in leaves]


@pytest.mark.parametrize("target, call, xs", [(minitorch.tanh, minitorch.tanh, [randn(3)]), (Scaled, Scaled.apply, [randn(3), randn(3, seed=1)])])
def test_a_planted_mutant_is_gone_afterwards_also_after_an_error(target, call, xs):
    right = gradient(call, *xs)
    m = next(m for m in gradcheck.mutants(target) if "times 1.01" in m.mistake)
    with pytest.raises(ZeroDivisionError), m.planted():
        assert not np.allclose(gradient(call, *xs)[0], right[0], rtol=1e-3)
        raise ZeroDivisionError
    for a, b in zip(gradient(call, *xs), right):
        np.testing.assert_array_equal(a, b)


def both_orders(target, *xs):
    """A test of a Function: its first and second derivatives at xs."""
    def test():
        for order in (1, 2):
            gradcheck.check(target, xs, order=order, find=False, raise_on_failure=True)
    return test


def test_functions_that_inherit_backward_or_call_it_vjp():
    class Child(Scaled):
        pass

    class Named(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def vjp(ctx, g):
            return 3 * g
    for target, xs in ((Child, [randn(2), randn(2)]), (Named, [randn(2)])):
        score = gradcheck.kill_rate(target, both_orders(target, *xs))
        assert score.killed and not score.survived, score
    assert "backward" not in vars(Child) and "apply" not in vars(Child)


# ---- the score ---------------------------------------------------------------------------------------------------------

def test_a_good_test_kills_all_that_differ():
    score = gradcheck.kill_rate(Scaled, both_orders(Scaled, randn(3), randn(3, seed=1)))
    assert score.rate == 1 and len(score.killed) > 15, score
    assert all(m.evidence for m in score.killed)


def test_a_plain_function_is_given_to_the_test():
    x, w = randn(3, 4), randn(4, 2, seed=1)
    score = gradcheck.kill_rate(vjp, lambda f: gradcheck.check((lambda x, w: x @ w, f), (x, w), raise_on_failure=True))
    assert score.rate == 1 and len(score.killed) > 15 and all("detached" in m.mistake for m in score.equivalent), score


def test_a_weak_test_lets_mutants_survive_and_the_score_says_where():
    def shape_only():
        assert gradient(Scaled.apply, randn(3), randn(3))[0].shape == (3,)
    score = gradcheck.kill_rate(Scaled, shape_only)
    assert score.rate == 0
    assert "survived: Scaled: " in str(score) and "differs at call 0, " in str(score)


def test_without_inputs_to_start_from_nothing_is_called_equivalent():
    score = gradcheck.kill_rate(Scaled, lambda: None)
    assert score.rate == 0 and not score.equivalent and "inputs unknown" in str(score)


def test_a_mistake_that_changes_nothing_is_equivalent():
    def doubled(g, x):
        return g * 2 * (x == x) * 1.0
    score = gradcheck.kill_rate(doubled, lambda f: gradcheck.check((lambda x: 2 * x, f), randn(4), raise_on_failure=True))
    assert "`g * 2 * (x == x) * 1.0` with / for *" in words(score.equivalent)
    assert "`g * 2 * (x == x)` without its second factor" in words(score.survived), score          # it differs for NaN
    assert score.rate < 1 and not any("times 1.01" in w for w in words(score.equivalent))


def test_zero_gradients_hide_factors_but_no_offsets():
    score = gradcheck.kill_rate(minitorch.floor, lambda: gradcheck.check(minitorch.floor, minitorch.tensor(randn(4)), raise_on_failure=True))
    assert "the result times 1.01" in words(score.equivalent) and words(score.killed) == ["the result plus 0.01"] and not score.survived


class Square(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


@pytest.mark.parametrize("order, outcome", [(1, "survived"), (2, "killed")])
def test_a_difference_in_second_derivatives_alone_is_one(order, outcome):
    detached = next(m for m in gradcheck.mutants(Square) if "detached" in m.mistake)
    gradcheck.kill_rate([detached], lambda: gradcheck.check(Square, randn(3), order=order, raise_on_failure=True))
    assert detached.outcome == outcome, detached.evidence


def test_second_derivatives_that_fit_another_gradient_than_the_plain_one_are_wrong():
    """The reference of an op, from which its second derivatives come, may be wrong and its derivatives yet fit each other."""
    op, target = OPS["cross_entropy_each"], minitorch.tensor([0, 2, 1, 1])
    m = next(m for m in gradcheck.mutants(op) if str(m) == "the reference of cross_entropy_loss: the result times 1.01")
    assert gradcheck.check(lambda x: op(x, target), randn(4, 3), order=2).ok
    with m.planted():
        report = gradcheck.check(lambda x: op(x, target), randn(4, 3), order=2)
    assert report.verdict == "wrong" and "1.01 times" in str(report)


def test_the_test_must_pass_without_mutants():
    def failing():
        raise ValueError("no luck")
    with pytest.raises(AssertionError, match="fails without any mutant: no luck"):
        gradcheck.kill_rate(minitorch.tanh, failing)


def test_scores_add_up_and_print_on_one_screen():
    total = gradcheck.Score()
    for name in ("tanh", "mul", "matmul", "linalg.svd", "cross_entropy_each", "clamp"):
        total += gradcheck.kill_rate(OPS[name], lambda: None)
    assert total.rate == 0 and len(total.survived) > 60
    shown = str(total).split("\n")
    assert len(shown) < 70 and "more survived" in shown[-1] and "0 of" in shown[0]
    assert np.isnan(gradcheck.Score().rate)
