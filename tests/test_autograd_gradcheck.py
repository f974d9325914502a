"""autograd.gradcheck and gradgradcheck give the outcomes that are written beside the programs, and say more where they fail."""
import contextlib
import inspect
import subprocess
import sys

import numpy as np
import pytest
from gradchecks import PROGRAMS, custom, f32, f64, outcome

import minitorch
from minitorch.autograd import gradcheck, gradgradcheck
from minitorch.autograd.gradcheck import GradcheckError

pytestmark = [pytest.mark.filterwarnings("ignore:Input #:UserWarning"), pytest.mark.filterwarnings("ignore:Backwards compat:UserWarning")]


@pytest.mark.parametrize("program", PROGRAMS, ids=repr)
def test_a_program_gives_the_outcome_beside_it(program):
    found, message = outcome(program, minitorch)
    wanted, words = program.here
    assert found == wanted and message.startswith(words), message


def wrong(x):
    return custom(minitorch, backward=lambda g: g * 3)(x)


def test_the_error_is_a_runtime_error_and_is_where_pytorch_has_it():
    assert issubclass(GradcheckError, RuntimeError) and inspect.isfunction(minitorch.autograd.gradcheck)
    with pytest.raises(GradcheckError):
        gradcheck(wrong, f64(minitorch))


def test_a_failure_ends_with_the_worst_entry_and_the_mistake_it_looks_like():
    with pytest.raises(GradcheckError, match=r"(?s)minitorch\.gradcheck\.check says:\n.*worst entry: d output\[\d\] / d x\[\d\] is 2, claimed 3"
                                             r".*a constant factor.*1\.5 times"):
        gradcheck(wrong, f64(minitorch))
    with pytest.raises(GradcheckError, match="(?s)says:.*NOT DIFFERENTIABLE HERE.*a kink"):
        gradcheck(minitorch.relu, f64(minitorch, 0.0, 1.0))
    with pytest.raises(GradcheckError, match="(?s)says:.*: correct .*compared in float64"), pytest.warns(UserWarning):
        gradcheck(minitorch.sin, f32(minitorch))
    with pytest.raises(GradcheckError, match="(?s)says:.*gradient of cos: wrong"):
        def cos(x):
            return wrong(x)
        gradcheck(cos, f64(minitorch))


def test_with_a_step_of_ones_own_the_report_is_left_out():
    with pytest.raises(GradcheckError, match="^(?!(.|\n)*says)"):
        gradcheck(wrong, f64(minitorch), eps=1e-5)


def test_inputs_are_as_before_after_every_outcome():
    for f in (minitorch.sin, wrong, lambda x: x[7]):
        for fast in (False, True):
            x = f64(minitorch)
            before = x.detach().clone()
            with contextlib.suppress(GradcheckError, IndexError):
                gradcheck(f, x, fast_mode=fast)
            assert (x == before).all() and x.grad is None and x._version == 0


def raising_late(calls):
    def f(x):
        calls.append(1)
        if len(calls) > 3:
            raise ZeroDivisionError("the fourth call")
        return x * 2
    return f


def test_inputs_are_as_before_when_the_function_raises_halfway():
    x = f64(minitorch)
    with pytest.raises(ZeroDivisionError):
        gradcheck(raising_late([]), x)
    assert x.tolist() == [1.0, -2.0, 3.0]


def test_warnings_name_the_callers_line():
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision") as caught:
        gradcheck(lambda x: x * 2, f32(minitorch), eps=1e-2)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="check_undefined_grad=False") as caught, pytest.raises(GradcheckError):
        gradcheck(custom(minitorch, backward=lambda g: 1 + minitorch.zeros(3) if g is None else g * 2, materialize=False), f64(minitorch))
    assert caught[0].filename == __file__


# ---- fast mode ------------------------------------------------------------------------------------------------------------

def dense(size, entry, error):
    """tanh(W x), with one wrong entry in its Jacobian of `size` columns."""
    w = minitorch.tensor(np.random.default_rng(0).normal(size=(size, size)) / size ** 0.5)

    class Dense(minitorch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.y = (w @ x).tanh()
            return ctx.y.clone()

        @staticmethod
        def backward(ctx, g):
            right = w.T @ (g * (1 - ctx.y ** 2))
            right[entry] += error * g[entry]
            return right
    return Dense.apply


@pytest.mark.parametrize("error", [1e-2, 0.1, 1.0])
def test_fast_mode_sees_one_wrong_entry_among_ninety_thousand(error):
    x = minitorch.tensor(np.random.default_rng(1).normal(size=300), requires_grad=True)
    assert gradcheck(dense(300, 17, 0.0), x, fast_mode=True)
    with pytest.raises(GradcheckError, match=r"worst entry: d output\[17\] / d input 0\[17\]"):
        gradcheck(dense(300, 17, error), x, fast_mode=True)


def test_fast_mode_takes_few_evaluations_of_a_large_function():
    calls = []

    def f(x):
        calls.append(1)
        return x.sin()
    assert gradcheck(f, minitorch.tensor(np.random.default_rng(1).normal(size=5000), requires_grad=True), fast_mode=True, check_undefined_grad=False)
    assert len(calls) < 60


def test_fast_mode_takes_float32():
    with pytest.warns(UserWarning):
        assert gradcheck(minitorch.sin, f32(minitorch), fast_mode=True)
    with pytest.warns(UserWarning), pytest.raises(GradcheckError):
        gradcheck(wrong, f32(minitorch), fast_mode=True)


def test_outputs_without_gradient_are_left_out_in_float32_too():
    with pytest.warns(UserWarning):
        assert gradcheck(lambda x: (x * 2, x.detach(), x.argmax()), f32(minitorch), fast_mode=True)


def test_fast_mode_leaves_small_mistakes_to_the_tolerances():
    tiny = custom(minitorch, forward=lambda x: x * 1e-7, backward=lambda g: g * 0)
    assert gradcheck(tiny, f64(minitorch)) and gradcheck(tiny, f64(minitorch), fast_mode=True)
    with pytest.raises(GradcheckError, match="all zeros"):
        gradcheck(tiny, f64(minitorch), fast_mode=True, atol=1e-9)


# ---- vmap -----------------------------------------------------------------------------------------------------------------

def test_a_random_backward_cannot_be_batched():
    noisy = custom(minitorch, backward=lambda g: g * 2 + 0 * minitorch.rand(3).double())
    assert gradcheck(noisy, f64(minitorch))
    with pytest.raises(GradcheckError, match=r"(?s)While computing batched gradients, got: vmap: called random operation.*check_batched_grad=False"):
        gradcheck(noisy, f64(minitorch), check_batched_grad=True)


def test_second_order_needs_an_output_with_gradient():
    with pytest.raises(ValueError, match="at least one output"):
        gradgradcheck(lambda x: x.detach(), f64(minitorch))


@pytest.mark.parametrize("scattered", [False, True])
def test_second_order_draws_gradients_in_the_layout_asked_for(scattered):
    seen = []
    cube = custom(minitorch, lambda x: x * 2, lambda g: seen.append(g.is_contiguous()) or g * 2)
    assert gradgradcheck(cube, f64(minitorch), gen_non_contig_grad_outputs=scattered)
    assert seen[0] is not scattered


def test_random_numbers_of_the_caller_are_left_alone():
    minitorch.manual_seed(0)
    state = minitorch.get_rng_state()
    assert gradgradcheck(minitorch.sin, f64(minitorch)) and gradcheck(minitorch.sin, f64(minitorch), fast_mode=True)
    assert (minitorch.get_rng_state() == state).all()


def test_importing_minitorch_does_not_read_the_checks():
    look = "import sys, minitorch; minitorch.autograd.gradcheck; print('minitorch.gradcheck' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "False\n"
