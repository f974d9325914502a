"""Programs that call gradcheck, with what they must give here and in PyTorch: True, False, or an error and its leading words.

A program is a function of the library.  `here` marks the few whose outcome is another here on purpose: it stands in place of
the outcome in PyTorch, with the reason beside it.
"""


class Program:
    def __init__(self, name, run, outcome, words="", here=None):
        self.name, self.run, self.outcome, self.words, self.here = name, run, outcome, words, here or (outcome, words)

    def __repr__(self):
        return self.name


def f64(mt, *values, shape=None, grad=True):
    t = mt.tensor(values or (1.0, -2.0, 3.0), dtype=mt.float64)
    return (t if shape is None else t.reshape(shape)).detach().requires_grad_(grad)


def f32(mt, *values):
    return mt.tensor(values or (1.0, -2.0), dtype=mt.float32, requires_grad=True)


def custom(mt, forward=lambda x: x * 2, backward=lambda g: g * 2, materialize=True):
    """A custom function, not called yet: forward(x) and backward(*grads) are given."""
    class Double(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return forward(x)

        @staticmethod
        def backward(ctx, *grads):
            return backward(*grads)
    return Double.apply


def cube(mt, wrong_second):
    class Cube(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        def backward(ctx, g):
            x, = ctx.saved_tensors
            return 3 * g * (x.detach() if wrong_second else x) ** 2
    return Cube.apply


def gradcheck(mt, f, *inputs, **options):
    return mt.autograd.gradcheck(f, inputs, **options)


def second(mt, f, *inputs, **options):
    return mt.autograd.gradgradcheck(f, inputs, **options)


def million(mt, factor):
    """x times a million, with a gradient off by a factor."""
    return custom(mt, forward=lambda x: x * 1e6, backward=lambda g: g * (1e6 * factor))


def drifting(size):
    """A backward that gives a little more at each call."""
    calls = []

    def backward(g):
        calls.append(1)
        return g * (2 + size * len(calls))
    return backward


def parameters(mt, wrong):
    """The idiom that checks a module: the arguments are its parameters, which the function reads from the module."""
    model = mt.nn.Linear(2, 3).double()
    x = mt.ones(4, 2, dtype=mt.float64)
    double = custom(mt, backward=lambda g: g * (3 if wrong else 2))
    return mt.autograd.gradcheck(lambda *_: double(model(x)), tuple(model.parameters()))


def refused_none(*grads):
    if grads[0] is None:
        raise RuntimeError("no gradient")
    return grads[0] * 2


def transposed(mt):
    return f64(mt, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, shape=(2, 3), grad=False).t().requires_grad_()


def overlapping(mt):
    return f64(mt, 0.0, 1.0, 2.0, 3.0, 4.0, grad=False).as_strided((2, 3), (1, 1)).requires_grad_()


def expanded(mt):
    return mt.ones(1, dtype=mt.float64).expand(3).requires_grad_()


G = "GradcheckError"
MISMATCH = "Jacobian mismatch for output 0 with respect to input 0,\nnumerical:tensor("
NONE_WANTS = "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
NO_SECOND = "trying to differentiate twice a function that was marked with @once_differentiable"


def once(mt):
    class Once(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        @mt.autograd.function.once_differentiable
        def backward(ctx, g):
            return 3 * g * ctx.saved_tensors[0] ** 2
    return Once.apply


PROGRAMS = [Program(*row) for row in [
    # ---- right gradients
    ("sin", lambda mt: gradcheck(mt, mt.sin, f64(mt)), True),
    ("one tensor, not in a tuple", lambda mt: mt.autograd.gradcheck(mt.sin, f64(mt)), True),
    ("inputs in a list", lambda mt: mt.autograd.gradcheck(mt.mul, [f64(mt), f64(mt, 2.0)]), True),
    ("product that broadcasts", lambda mt: gradcheck(mt, mt.mul, f64(mt, shape=(3, 1)), f64(mt)), True),
    ("several outputs", lambda mt: gradcheck(mt, lambda x: (x * 2, x.sum(), x.exp()), f64(mt)), True),
    ("outputs in a list", lambda mt: gradcheck(mt, lambda x: [x * 2, x.sum()], f64(mt)), True),
    ("an output of whole numbers", lambda mt: gradcheck(mt, lambda x: x.max(0), f64(mt)), True),
    ("an output without gradient", lambda mt: gradcheck(mt, lambda x: (x * 2, x.detach()), f64(mt)), True),
    ("a number among the inputs", lambda mt: gradcheck(mt, lambda x, n: x * n, f64(mt), 2.0), True),
    ("indices among the inputs", lambda mt: gradcheck(mt, lambda x, i: x[i], f64(mt), mt.tensor([0, 2])), True),
    ("an input that is not used", lambda mt: gradcheck(mt, lambda x, y: x * 2, f64(mt), f64(mt)), True),
    ("an input without gradient", lambda mt: gradcheck(mt, lambda x, y: x * y, f64(mt), f64(mt, grad=False)), True),
    ("transposed input", lambda mt: gradcheck(mt, lambda x: x * x, transposed(mt)), True),
    ("every second entry", lambda mt: gradcheck(mt, lambda x: x.exp(), f64(mt, 1.0, 2.0, 3.0, 4.0, grad=False)[::2].requires_grad_()), True),
    ("an axis of size 1", lambda mt: gradcheck(mt, mt.sin, f64(mt, grad=False)[None].requires_grad_()), True),
    ("a result as input", lambda mt: gradcheck(mt, lambda x: x * x, f64(mt) * 1), True),
    ("zero-size input", lambda mt: gradcheck(mt, lambda x: x * 2, mt.zeros(0, 3, dtype=mt.float64, requires_grad=True)), True),
    ("zero-size output", lambda mt: gradcheck(mt, lambda x: x[:0] * 2, f64(mt)), True),
    ("0-d input", lambda mt: gradcheck(mt, mt.exp, mt.tensor(0.5, dtype=mt.float64, requires_grad=True)), True),
    ("writes to a copy", lambda mt: gradcheck(mt, lambda x: x.clone().mul_(x), f64(mt)), True),
    ("float32, linear, with a large step", lambda mt: gradcheck(mt, lambda x: x * 2, f32(mt), eps=1e-2), True),
    ("parameters of a module", lambda mt: parameters(mt, False), True),
    ("custom function", lambda mt: gradcheck(mt, custom(mt), f64(mt)), True),
    ("gradient in float32, cast by the engine", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: (g * 2).to(mt.float32)), f64(mt),
                                                                       check_grad_dtypes=True), True),
    ("masked", lambda mt: gradcheck(mt, mt.sin, f64(mt), masked=True), True),
    ("forward mode", lambda mt: gradcheck(mt, mt.sin, f64(mt), check_forward_ad=True), True),
    ("forward mode alone", lambda mt: gradcheck(mt, mt.mul, f64(mt), f64(mt), check_forward_ad=True, check_backward_ad=False), True),
    ("batched", lambda mt: gradcheck(mt, mt.sin, f64(mt), check_batched_grad=True), True),
    ("batched forward", lambda mt: gradcheck(mt, mt.sin, f64(mt), check_forward_ad=True, check_batched_forward_grad=True), True),
    ("fast", lambda mt: gradcheck(mt, lambda x: (x.sin(), x.sum()), f64(mt), fast_mode=True), True),
    ("fast, parameters that are read from elsewhere", lambda mt: (lambda w: gradcheck(mt, lambda _: w * w, w, fast_mode=True))(f64(mt)), True),
    # ---- nothing to differentiate
    ("no output with gradient", lambda mt: gradcheck(mt, lambda x: x.detach() * 0, f64(mt)), True),
    ("outputs of whole numbers alone", lambda mt: gradcheck(mt, lambda x: x.argmax(), f64(mt)), True),
    ("a detached output that moves", lambda mt: gradcheck(mt, lambda x: x.detach() * 2, f64(mt)), G,
     "Numerical gradient for function expected to be zero"),
    ("no input with gradient", lambda mt: gradcheck(mt, mt.sin, f64(mt, grad=False)), ValueError, NONE_WANTS),
    ("no input with gradient, no exception wanted", lambda mt: gradcheck(mt, mt.sin, f64(mt, grad=False), raise_exception=False),
     ValueError, NONE_WANTS),
    ("a number as the only input", lambda mt: mt.autograd.gradcheck(lambda x: x, 3.0), ValueError, NONE_WANTS),
    ("a number as output", lambda mt: gradcheck(mt, lambda x: 3.0, f64(mt)), AttributeError, "'float' object has no attribute 'requires_grad'"),
    ("None as output", lambda mt: gradcheck(mt, lambda x: None, f64(mt)), AttributeError, "'NoneType' object has no attribute 'requires_grad'"),
    # ---- wrong gradients
    ("half as much again", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 3), f64(mt)), G, MISMATCH + "[[2.0000, 0.0000, 0.0000],"),
    ("wrong, no exception wanted", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 3), f64(mt), raise_exception=False), False),
    ("slightly wrong", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 2.01), f64(mt)), G, MISMATCH),
    ("slightly wrong, within rtol", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 2.01), f64(mt), rtol=0.1), True),
    ("slightly wrong, within atol", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 2.01), f64(mt), atol=0.1), True),
    ("large and slightly wrong", lambda mt: gradcheck(mt, million(mt, 1.01), f64(mt), rtol=1e-3, atol=0.1), G, MISMATCH),
    ("large and slightly wrong, within rtol", lambda mt: gradcheck(mt, million(mt, 1.01), f64(mt), rtol=0.1), True),
    ("large and slightly wrong, within rtol, fast", lambda mt: gradcheck(mt, million(mt, 1.01), f64(mt), rtol=0.1, fast_mode=True), True),
    ("never computed", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: None), f64(mt)), G, MISMATCH),
    ("wrong in the second output", lambda mt: gradcheck(mt, lambda x: (x * 2, custom(mt, backward=lambda g: -g)(x)), f64(mt)), G,
     "Jacobian mismatch for output 1 with respect to input 0,\nnumerical:tensor("),
    ("wrong in the second input", lambda mt: gradcheck(mt, lambda x, y: x * custom(mt, backward=lambda g: g)(y), f64(mt), f64(mt)), G,
     "Jacobian mismatch for output 0 with respect to input 1,\nnumerical:tensor("),
    ("inputs without gradient are not counted", lambda mt: gradcheck(mt, lambda x, y: custom(mt, backward=lambda g: g)(y),
                                                                    f64(mt, grad=False), f64(mt)), G, MISMATCH),
    ("wrong, transposed input", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g), transposed(mt)),
     G, MISMATCH),
    ("parameters of a module, wrong", lambda mt: parameters(mt, True), G, MISMATCH),
    ("fast, wrong", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 3), f64(mt), fast_mode=True), G,
     "Jacobian mismatch for output 0 with respect to input 0,\nnumerical:"),
    ("fast, wrong in the second input", lambda mt: gradcheck(mt, lambda x, y: x * custom(mt, backward=lambda g: g)(y), f64(mt), f64(mt),
                                                             fast_mode=True), G,
     "Jacobian mismatch for output 0 with respect to input 1,\nnumerical:"),
    ("fast, wrong in the second output", lambda mt: gradcheck(mt, lambda x: (x * 2, custom(mt, backward=lambda g: -g)(x)), f64(mt),
                                                              fast_mode=True), G,
     "Jacobian mismatch for output 1 with respect to input 0,\nnumerical:"),
    ("fast, within rtol", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 2.01), f64(mt), fast_mode=True, rtol=0.1, atol=0.1), True),
    ("forward mode of a custom function", lambda mt: gradcheck(mt, custom(mt), f64(mt), check_forward_ad=True), NotImplementedError,
     "You must implement the jvp function for custom autograd.Function", (True, "")),          # here it is made by differentiating backward
    # ---- points and dtypes at which differences fail
    ("relu at 0", lambda mt: gradcheck(mt, mt.relu, f64(mt, 0.0, 2.0)), G, MISMATCH + "[[0.5000, 0.0000],"),
    ("abs at 0", lambda mt: gradcheck(mt, lambda x: (x.abs() + x), f64(mt, 0.0, 2.0)), True),
    ("a jump", lambda mt: gradcheck(mt, lambda x: x.floor() + x, f64(mt, 1.0, 0.5)), G, MISMATCH),
    ("relu at 0, fast", lambda mt: gradcheck(mt, mt.relu, f64(mt, 0.0, 0.0), fast_mode=True), G,
     "Jacobian mismatch for output 0 with respect to input 0,\nnumerical:"),
    ("NaN", lambda mt: gradcheck(mt, mt.log, f64(mt, -1.0, 2.0)), G, MISMATCH),
    ("float32", lambda mt: gradcheck(mt, mt.sin, f32(mt)), G, MISMATCH),
    ("a step of 0", lambda mt: gradcheck(mt, mt.sin, f64(mt), eps=0.0), G, MISMATCH + "[[nan, nan, nan]"),
    # ---- inputs that cannot be moved
    ("expanded input", lambda mt: gradcheck(mt, mt.sin, expanded(mt)), RuntimeError,
     "The 0th input has a dimension with stride 0. gradcheck only supports"),
    ("expanded second input", lambda mt: gradcheck(mt, mt.mul, f64(mt), expanded(mt)), RuntimeError, "The 1th input has a dimension with stride 0."),
    ("expanded input, no exception wanted", lambda mt: gradcheck(mt, mt.sin, expanded(mt), raise_exception=False), RuntimeError, "The 0th input has"),
    ("overlapping input", lambda mt: gradcheck(mt, lambda x: x * x, overlapping(mt)), G, MISMATCH),
    ("a function that writes to its input", lambda mt: gradcheck(mt, lambda x: x.add_(1), f64(mt) * 1), G, MISMATCH),
    ("a function that writes to its input, fast", lambda mt: gradcheck(mt, lambda x: x.add_(1), f64(mt) * 1, fast_mode=True), True, "",
     (G, "Jacobian mismatch for output 0 with respect to input 0,\nnumerical:")),          # PyTorch's one projection misses it
    # ---- gradients that do not behave
    ("random function", lambda mt: gradcheck(mt, lambda x: x * mt.rand(3).to(mt.float64), f64(mt)), G, MISMATCH),
    ("drifting backward", lambda mt: gradcheck(mt, custom(mt, backward=drifting(1e-9)), f64(mt)), G,
     "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values, although "
     "analytical gradient matches numerical gradient.The tolerance for nondeterminism was 0.0."),
    ("drifting backward, allowed", lambda mt: gradcheck(mt, custom(mt, backward=drifting(1e-9)), f64(mt), nondet_tol=1e-6), True),
    ("drifting and wrong", lambda mt: gradcheck(mt, custom(mt, backward=drifting(1.0)), f64(mt)), G, "Backward is not reentrant"),
    ("not linear", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 2 + 1e-7), f64(mt)), G, "backward not multiplied by grad_output"),
    ("refuses None", lambda mt: gradcheck(mt, custom(mt, backward=refused_none, materialize=False), f64(mt)), G,
     "Expected backward function to handle undefined output grads."),
    ("refuses None, not checked", lambda mt: gradcheck(mt, custom(mt, backward=refused_none, materialize=False), f64(mt),
                                                         check_undefined_grad=False), True),
    ("a TypeError for None", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g * 2, materialize=False), f64(mt)), TypeError,
     "unsupported operand"),
    ("something for None", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: 1 + mt.zeros(3) if g is None else g * 2, materialize=False),
                                                f64(mt)), G,
     "Expected all input grads to be undefined or zero when all output grads are undefined or zero."),
    ("None for None", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: None if g is None else g * 2, materialize=False), f64(mt)), True),
    ("refuses None for one of two outputs", lambda mt: gradcheck(mt, custom(mt, lambda x: (x * 2, x * 3), refused_none, False), f64(mt)),
     RuntimeError, "no gradient"),
    ("something for None of one output", lambda mt: gradcheck(mt, custom(mt, lambda x: (x * 2, x * 3), lambda a, b: sum(
        7 if g is None else g * n for g, n in ((a, 2), (b, 3))), False), f64(mt)), G, MISMATCH),
    ("something for None of one output, fast", lambda mt: gradcheck(mt, custom(mt, lambda x: (x * 2, x * 3), lambda a, b: sum(
        7 if g is None else g * n for g, n in ((a, 2), (b, 3))), False), f64(mt), fast_mode=True), G,
     "Jacobian mismatch for output 0 with respect to input 0,\nnumerical:"),
    ("None for one of two outputs, borne", lambda mt: gradcheck(mt, custom(mt, lambda x: (x * 2, x * 3), lambda a, b: None if a is b is None else sum(
        0 if g is None else g * n for g, n in ((a, 2), (b, 3))), False), f64(mt)), True),
    ("a gradient of another shape", lambda mt: gradcheck(mt, custom(mt, backward=lambda g: g[:2]), f64(mt)), RuntimeError,
     "Function DoubleBackward returned an invalid gradient at index 0 - got [2] but expected shape compatible with [3]"),
    ("an error in the function", lambda mt: gradcheck(mt, lambda x: 1 / 0, f64(mt), raise_exception=False), ZeroDivisionError, "division by zero"),
    # ---- arguments
    ("nothing to check", lambda mt: gradcheck(mt, mt.sin, f64(mt), check_backward_ad=False), AssertionError,
     "Expected at least one of check_forward_ad or check_backward_ad to be True"),
    ("batched without backward", lambda mt: gradcheck(mt, mt.sin, f64(mt), check_backward_ad=False, check_forward_ad=True, check_batched_grad=True),
     AssertionError, "Setting check_batched_grad=True requires check_backward_ad to be True"),
    ("batched forward without forward", lambda mt: gradcheck(mt, mt.sin, f64(mt), check_batched_forward_grad=True), AssertionError,
     "Setting check_batched_forward_grad=True requires check_forward_ad to be True"),
    ("options by position", lambda mt: mt.autograd.gradcheck(mt.sin, f64(mt), 1e-6), TypeError,
     "gradcheck() takes 2 positional arguments but 3 were given"),
    ("an unknown option", lambda mt: mt.autograd.gradcheck(mt.sin, f64(mt), step=1e-6), TypeError,
     "gradcheck() got an unexpected keyword argument 'step'"),
    # ---- second order
    ("second order of sin", lambda mt: second(mt, mt.sin, f64(mt)), True),
    ("second order of a linear function", lambda mt: second(mt, lambda x: x * 2, f64(mt)), True),
    ("second order, several of each", lambda mt: second(mt, lambda x, y: (x * y, (x * x).sum()), f64(mt), f64(mt)), True),
    ("second order, an input without gradient", lambda mt: second(mt, lambda x, y, n: x * x * y * n, f64(mt), f64(mt, grad=False), 2), True),
    ("second order, gradients given", lambda mt: mt.autograd.gradgradcheck(mt.sin, f64(mt), f64(mt, 1.0, 1.0, 1.0)), True),
    ("second order, scattered gradients", lambda mt: second(mt, lambda x: x.exp().sum(0), f64(mt), gen_non_contig_grad_outputs=True), True),
    ("second order, forward over reverse", lambda mt: second(mt, mt.sin, f64(mt), check_fwd_over_rev=True), True),
    ("second order, fast", lambda mt: second(mt, mt.sin, f64(mt), fast_mode=True), True),
    ("second order, batched", lambda mt: second(mt, mt.sin, f64(mt), check_batched_grad=True), True),
    ("second order of a cube", lambda mt: second(mt, cube(mt, False), f64(mt)), True),
    ("second order, wrong", lambda mt: second(mt, cube(mt, True), f64(mt)), G, MISMATCH),
    ("second order, wrong, no exception wanted", lambda mt: second(mt, cube(mt, True), f64(mt), raise_exception=False), False),
    ("second order, wrong, fast", lambda mt: second(mt, cube(mt, True), f64(mt), fast_mode=True), G, "Jacobian mismatch for output 0"),
    ("second order of what is differentiated once", lambda mt: second(mt, once(mt), f64(mt)), G, MISMATCH,
     (RuntimeError, NO_SECOND)),                     # here it is refused
    ("second order, no input with gradient", lambda mt: second(mt, mt.sin, f64(mt, grad=False)), ValueError, NONE_WANTS),
    ("second order, nothing to check", lambda mt: second(mt, mt.sin, f64(mt), check_rev_over_rev=False), AssertionError,
     "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"),
    ("second order, a gradient of another shape", lambda mt: mt.autograd.gradgradcheck(mt.sin, f64(mt), f64(mt, 1.0, 1.0)), RuntimeError,
     "Mismatch in shape: grad_output[0] has a shape of "),
]]


def outcome(program, mt):
    """(what came back or the class of error, PyTorch's own class by name; the message)"""
    try:
        return program.run(mt), ""
    except Exception as error:
        return (G if type(error).__name__ == G else type(error)), str(error)
