"""PyTorch's gradcheck and gradgradcheck: whole Jacobians, by differences and by backward, compared entry by entry.

Existing tests run unchanged: arguments, order of checks, errors and leading words are PyTorch's.  New ones do better with
`minitorch.gradcheck.check`, which needs no step and no tolerance, takes float32, and tells a wrong gradient from a kink or noise.
The work is in minitorch/gradcheck/jacobians.py, which is read at the first call.
"""

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient does not agree with differences, or does not behave as a gradient should."""


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, check_undefined_grad=True,
              check_grad_dtypes=False, check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False,
              check_backward_ad=True, fast_mode=False, masked=None):
    """True if backward of `func` agrees with central differences of step eps, within atol + rtol * |difference quotient|.

    Every entry of every input that requires grad is moved in place, so that a function that reads them from elsewhere
    (the parameters of a module) is checked too.  GradcheckError otherwise, or False where raise_exception is False; ValueError where
    no input requires grad; RuntimeError for an input whose entries share memory.  A warning for inputs that are not float64.

    nondet_tol: by how much two backward passes may differ.  check_undefined_grad: custom functions must bear None for the
    gradient of an output.  check_forward_ad: compare the directional derivatives of func.jvp as well; jvp of a custom
    Function is not called by these.  check_batched_grad: func.vmap over backward must agree with a loop.
    fast_mode: not PyTorch's one projection of the Jacobian but the directions of minitorch.gradcheck.check, in which no wrong
    entry hides; whole Jacobians are computed only where these show something and a tolerance must decide.
    Accepted, with nothing to find: check_grad_dtypes (the engine casts every gradient to the dtype of its tensor),
    check_batched_forward_grad (func.vmap over func.jvp is a loop), masked (there are no sparse tensors).

    With eps, atol and rtol left alone, the error ends with what minitorch.gradcheck.check says: the worst entry, the mistake it looks like.
    """
    from ..gradcheck import jacobians
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    options = jacobians.Options(eps, atol, rtol, nondet_tol, check_undefined_grad, check_batched_grad, check_forward_ad, check_backward_ad,
                                fast_mode)
    return verdict(raise_exception, jacobians.run, func, inputs, options)


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, gen_non_contig_grad_outputs=False,
                  raise_exception=True, nondet_tol=0.0, check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False,
                  check_fwd_over_rev=False, check_rev_over_rev=True, fast_mode=False, masked=False):
    """True if the gradient of `func` itself has the right gradient, by its inputs and by grad_outputs: gradcheck of both as inputs.

    grad_outputs: the gradients arriving at func's outputs; drawn where None, not contiguous with gen_non_contig_grad_outputs.
    check_fwd_over_rev: compare func.jvp of the gradient as well.  Everything else is as in gradcheck.
    """
    from ..gradcheck import jacobians
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_batched_grad=True requires check_rev_over_rev to be True")
    options = jacobians.Options(eps, atol, rtol, nondet_tol, check_undefined_grad, check_batched_grad, check_fwd_over_rev, check_rev_over_rev,
                                fast_mode)
    return verdict(raise_exception, jacobians.run_second, func, inputs, grad_outputs, gen_non_contig_grad_outputs, options)


def verdict(raise_exception, run, *args):
    """True if run(*args) finds nothing wrong; else its GradcheckError, or False."""
    try:
        run(*args)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True
