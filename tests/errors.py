"""A table of mistakes: a call that must fail, the class of its error, and what the message must say.

Each call takes the library as `mt`, so that PyTorch can be asked the same (tests/pytorch/test_errors_torch.py).
"""
from typing import NamedTuple


class Mistake(NamedTuple):
    name: str
    call: object                           # a function of the library
    kind: type
    words: str                             # a regular expression for minitorch's message: the op and the shapes


def leaf(mt, *shape):
    return mt.ones(*shape, requires_grad=True)


def step(mt, *shape):
    return leaf(mt, *shape) * 1


def backward(mt, y):
    y.backward()


def with_x(make, *uses):
    """Make x, then use it."""
    def call(mt):
        x = make(mt)
        for use in uses:
            use(mt, x)
    return call


def overwritten(make, save, write):
    """A value is saved by `save`, changed by `write`, and wanted by backward."""
    def call(mt):
        x = make(mt)
        y = save(mt, x)
        write(mt, x, y)
        y.sum().backward()
    return call


R, T, X, V, N = RuntimeError, TypeError, IndexError, ValueError, NotImplementedError

SHAPES = [
    ("add", lambda mt: mt.ones(2, 3) + mt.ones(2, 4), R, r"add.*\(3\).*\(4\).*\(2, 3\).*\(2, 4\)"),
    ("mul", lambda mt: mt.ones(2, 3) * mt.ones(4, 3), R, r"mul.*\(2\).*\(4\).*dimension 0"),
    ("sub of three and four axes", lambda mt: mt.ones(5, 1, 3) - mt.ones(2, 4, 2), R, r"sub.*\(3\).*\(2\)"),
    ("where", lambda mt: mt.where(mt.ones(2, dtype=mt.bool), mt.ones(3), mt.ones(3)), R, r"where.*\(2\).*\(3\)"),
    ("maximum", lambda mt: mt.maximum(mt.ones(2), mt.ones(3)), R, r"maximum.*\(2\).*\(3\)"),
    ("add_ cannot grow", lambda mt: mt.ones(3).add_(mt.ones(2, 3)), R, r"add_.*\[3\].*\[2, 3\]"),
    ("copy_", lambda mt: mt.ones(3).copy_(mt.ones(4)), R, r"copy_|expand"),
    ("matmul", lambda mt: mt.ones(3, 4) @ mt.ones(5, 6), R, r"matmul.*3.*4.*5.*6"),
    ("matmul of vectors", lambda mt: mt.ones(3) @ mt.ones(4), R, r"matmul.*3.*4"),
    ("matmul of numbers", lambda mt: mt.matmul(mt.tensor(1.), mt.ones(3)), R, r"matmul"),
    ("matmul of batches", lambda mt: mt.ones(2, 3, 4) @ mt.ones(3, 4, 5), R, r"matmul.*\b2\b.*\b3\b"),
    ("mm of a vector", lambda mt: mt.mm(mt.ones(3), mt.ones(3, 3)), R, r"mm"),
    ("bmm", lambda mt: mt.bmm(mt.ones(2, 3, 4), mt.ones(3, 4, 5)), R, r"bmm.*2.*3"),
    ("dot", lambda mt: mt.dot(mt.ones(3), mt.ones(4)), R, r"(dot|matmul).*3.*4"),
    ("einsum sizes", lambda mt: mt.einsum("ij,jk->ik", mt.ones(2, 3), mt.ones(4, 5)), R, r"einsum"),
    ("einsum letters", lambda mt: mt.einsum("ij->ik", mt.ones(2, 3)), R, r"einsum"),
    ("outer", lambda mt: mt.outer(mt.ones(2, 2), mt.ones(2)), R, r"outer"),
    ("reshape", lambda mt: mt.ones(2, 3).reshape(4, 2), R, r"shape '?\[4, 2\]'? is invalid for input of size 6"),
    ("reshape with two -1", lambda mt: mt.ones(2, 3).reshape(-1, -1), R, r"only one dimension can be inferred"),
    ("reshape with -1 that does not fit", lambda mt: mt.ones(2, 3).reshape(4, -1),
     R, r"shape '?\[4, -1\]'? is invalid for input of size 6"),
    ("view of strides that do not fit", lambda mt: mt.ones(2, 3).t().view(6), R, r"view"),
    ("expand", lambda mt: mt.ones(2, 3).expand(4, 3), R, r"expand.*\b4\b.*\b2\b"),
    ("expand to fewer axes", lambda mt: mt.ones(2, 3).expand(3), R, r"expand"),
    ("cat", lambda mt: mt.cat([mt.ones(2, 3), mt.ones(2, 4)]), R, r"cat|Sizes of tensors must match"),
    ("cat of different axes", lambda mt: mt.cat([mt.ones(2, 3), mt.ones(2)]), R, r"cat|same number of dimensions"),
    ("cat of nothing", lambda mt: mt.cat([]), V, r"cat"),
    ("stack", lambda mt: mt.stack([mt.ones(2), mt.ones(3)]), R, r"stack.*\[2\].*\[3\]"),
    ("permute", lambda mt: mt.ones(2, 3).permute(0, 0), R, r"permute"),
    ("permute of too few", lambda mt: mt.ones(2, 3).permute(0), R, r"permute"),
    ("squeeze of an axis that is not there", lambda mt: mt.ones(2, 3).squeeze(2), X, r"Dimension out of range"),
    ("unsqueeze", lambda mt: mt.ones(2).unsqueeze(3), X, r"Dimension out of range"),
    ("transpose", lambda mt: mt.ones(2, 3).transpose(0, 2), X, r"Dimension out of range"),
    ("t of three axes", lambda mt: mt.ones(2, 3, 4).t(), R, r"\bt\b"),
    ("split", lambda mt: mt.ones(5).split([2, 2]), R, r"split"),
    ("chunk into none", lambda mt: mt.ones(5).chunk(0), R, r"chunk"),
    ("flatten", lambda mt: mt.ones(2, 3).flatten(1, 0), R, r"flatten"),
    ("gather", lambda mt: mt.ones(2, 3).gather(0, mt.zeros(2, dtype=mt.int64)), R, r"gather|same number of dimensions"),
    ("linear", lambda mt: mt.nn.functional.linear(mt.ones(2, 3), mt.ones(4, 5)), R, r"(linear|mat).*3.*5"),
    ("conv2d channels", lambda mt: mt.nn.functional.conv2d(mt.ones(1, 3, 8, 8), mt.ones(4, 2, 3, 3)), R, r"(conv2d|weight).*\b3\b"),
    ("conv2d kernel larger than input", lambda mt: mt.nn.functional.conv2d(mt.ones(1, 1, 2, 2), mt.ones(1, 1, 3, 3)), R, r"[Kk]ernel"),
    ("conv2d of two axes", lambda mt: mt.nn.functional.conv2d(mt.ones(2, 2), mt.ones(1, 1, 3, 3)), R, r"conv2d"),
    ("max_pool2d of nothing left", lambda mt: mt.nn.functional.max_pool2d(mt.ones(1, 1, 2, 2), 3), R, r"max_pool2d|[Oo]utput size"),
    ("max_pool2d padding", lambda mt: mt.nn.functional.max_pool2d(mt.ones(1, 1, 4, 4), 2, padding=2), R, r"pad"),
    ("cross_entropy batch", lambda mt: mt.nn.functional.cross_entropy(mt.ones(2, 3), mt.zeros(3, dtype=mt.int64)),
     V, r"batch.?size|cross_entropy"),
    ("layer_norm", lambda mt: mt.nn.functional.layer_norm(mt.ones(2, 3), (4,)), R, r"normalized_shape.*\[4\]|layer_norm"),
    ("batch_norm of one value per channel", lambda mt: mt.nn.functional.batch_norm(mt.ones(1, 3), None, None, training=True), V,
     r"more than 1 value per channel"),
    ("pad", lambda mt: mt.nn.functional.pad(mt.ones(2), (1, 1, 1, 1)), R, r"[Pp]ad"),
    ("inverse", lambda mt: mt.linalg.inv(mt.ones(2, 3)), R, r"inv.*square|square"),
    ("inverse of a singular matrix", lambda mt: mt.linalg.inv(mt.zeros(2, 2)), R, r"singular"),
    ("cholesky of no positive matrix", lambda mt: mt.linalg.cholesky(-mt.eye(2)), R, r"cholesky.*positive-definite"),
    ("solve", lambda mt: mt.linalg.solve(mt.eye(2), mt.ones(3)), R, r"solve"),
]

DTYPES = [
    ("matmul of two dtypes", lambda mt: mt.ones(2, 2) @ mt.ones(2, 2, dtype=mt.float64), R, r"matmul.*dtype|same dtype"),
    ("mean of integers", lambda mt: mt.arange(3).mean(), R, r"mean.*dtype|int64"),
    ("softmax of integers", lambda mt: mt.arange(3).softmax(0), N, r"softmax"),
    ("integer add_ of a float", lambda mt: mt.arange(3).add_(mt.ones(3)), R, r"add_?.*float32 can't be cast.*int64|result type"),
    ("in-place division of integers", lambda mt: mt.arange(3).div_(2), R, r"result type"),
    ("bitwise and of floats", lambda mt: mt.ones(2) & mt.ones(2), N, r"bitwise.*float32"),
    ("inverting floats", lambda mt: ~mt.ones(2), T, r"bitwise_not|invert"),
    ("negative bool", lambda mt: -mt.ones(2, dtype=mt.bool), R, r"[Nn]egation.*bool"),
    ("bool minus bool", lambda mt: mt.ones(2, dtype=mt.bool) - mt.ones(2, dtype=mt.bool), R, r"[Ss]ubtraction.*bool"),
    ("gradient of an integer", lambda mt: mt.arange(3).requires_grad_(), R, r"floating point"),
    ("integer tensor that requires grad", lambda mt: mt.tensor([1, 2], requires_grad=True), R, r"[Ff]loating point"),
    ("index of floats", lambda mt: mt.ones(3)[mt.ones(2)], X, r"tensors used as ind"),
    ("gather with floats", lambda mt: mt.ones(3).gather(0, mt.ones(2)), R, r"gather.*int64|int64"),
    ("cross_entropy with float classes", lambda mt: mt.nn.functional.cross_entropy(mt.ones(2, 3), mt.ones(2)),
     R, r"cross_entropy|nll|long|int64|float"),
    ("embedding with floats", lambda mt: mt.nn.functional.embedding(mt.ones(2), mt.ones(3, 2)), R, r"embedding|indices"),
    ("integer power to a negative", lambda mt: mt.arange(3) ** -1, R, r"negative integer powers"),
    ("tensor of strings", lambda mt: mt.tensor(["a"]), V, r"str"),
    ("tensor of uneven lists", lambda mt: mt.tensor([[1, 2], [3]]), V, r"length"),
    ("dropout probability", lambda mt: mt.nn.functional.dropout(mt.ones(2), p=1.5), V, r"1\.5"),
    ("default dtype int", lambda mt: mt.set_default_dtype(mt.int64), T, r"floating"),
    ("zeros of a wrong dtype", lambda mt: mt.zeros(2, dtype="number"), T, r"dtype.*number"),
]

INDICES = [
    ("index", lambda mt: mt.ones(3)[3], X, r"index 3 is out of bounds.*3"),
    ("negative index", lambda mt: mt.ones(3)[-4], X, r"index -4 is out of bounds.*3"),
    ("too many indices", lambda mt: mt.ones(3)[0, 0], X, r"too many indices"),
    ("list index", lambda mt: mt.ones(3)[[0, 5]], X, r"index 5 is out of bounds"),
    ("mask of another shape", lambda mt: mt.ones(3)[mt.ones(4, dtype=mt.bool)], X, r"mask"),
    ("string index", lambda mt: mt.ones(3)["a"], T, r""),
    ("indices that do not broadcast", lambda mt: mt.ones(3, 3)[[0, 1], [0, 1, 2]], X, r"broadcast"),
    ("assignment of another shape", lambda mt: mt.ones(3).__setitem__(slice(0, 2), mt.ones(3)), R, r"3.*2|shape"),
    ("sum over an axis that is not there", lambda mt: mt.ones(2, 3).sum(2),
     X, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)"),
    ("sum twice over an axis", lambda mt: mt.ones(2, 3).sum((0, 0)), R, r"dim 0 appears multiple times"),
    ("max of nothing", lambda mt: mt.ones(0).max(), R, r"max"),
    ("argmax of nothing", lambda mt: mt.ones(0).argmax(), X, r"argmax"),
    ("softmax axis", lambda mt: mt.ones(2).softmax(1), X, r"Dimension out of range"),
    ("index_select out of range", lambda mt: mt.ones(3).index_select(0, mt.tensor([3])), X, r"index.*out of"),
    ("gather out of range", lambda mt: mt.ones(3).gather(0, mt.tensor([3])), R, r"index 3 is out of bounds"),
    ("scatter out of range", lambda mt: mt.zeros(3).scatter(0, mt.tensor([3]), 1.), R, r"index 3 is out of bounds"),
    ("embedding out of range", lambda mt: mt.nn.functional.embedding(mt.tensor([3]), mt.ones(3, 2)), X, r"index"),
    ("cross_entropy class out of range", lambda mt: mt.nn.functional.cross_entropy(mt.ones(1, 3), mt.tensor([3])),
     X, r"Target 3 is out of bounds"),
    ("topk of too many", lambda mt: mt.ones(3).topk(4), R, r"topk|k not in range|selected index k out of range"),
    ("select", lambda mt: mt.ones(3).select(0, 3), X, r"select|out of range"),
    ("narrow", lambda mt: mt.ones(3).narrow(0, 2, 2), R, r"start.*length.*exceeds"),
    ("one_hot out of range", lambda mt: mt.nn.functional.one_hot(mt.tensor([3]), 3), R, r"num_classes"),
]

GRADIENTS = [
    ("backward of a constant", lambda mt: mt.ones(()).backward(), R, r"does not require grad and does not have a grad_fn"),
    ("backward of a vector", lambda mt: step(mt, 3).backward(), R, r"grad can be implicitly created only for scalar outputs.*|scalar"),
    ("backward with a gradient of another shape", lambda mt: step(mt, 3).backward(mt.ones(2)), R, r"grad_output\[0\].*2.*3"),
    ("backward with a number for a gradient", lambda mt: step(mt, 1).backward(1.), T, r"Tensors or None.*float"),
    ("backward with too many gradients", lambda mt: mt.autograd.backward([step(mt, 1)], [mt.ones(1)] * 2), R, r"1 tensors and 2 gradients"),
    ("backward for no inputs", lambda mt: step(mt, 1).backward(inputs=[]), R, r"cannot be empty"),
    ("backward in no_grad", lambda mt: mt.no_grad()(lambda: leaf(mt, 3).sum())().backward(), R, r"does not require grad"),
    ("backward of a detached result", lambda mt: step(mt, 1).detach().backward(), R, r"does not require grad"),
    ("backward of an argmax", lambda mt: leaf(mt, 3).argmax().backward(), R, r"does not require grad"),
    ("backward twice", with_x(lambda mt: leaf(mt, 3).exp().sum(), backward, backward), R,
     r"second time.*ExpBackward0"),
    ("backward twice through a product", with_x(lambda mt: (leaf(mt, 3) * leaf(mt, 3)).sum(), backward, backward),
     R, r"second time.*MulBackward0"),
    ("grad twice", with_x(lambda mt: leaf(mt, 3), lambda mt, x: [mt.autograd.grad(y, x) for y in [x.exp().sum()] * 2]),
     R, r"second time.*ExpBackward0"),
    ("grad of an unused input", lambda mt: mt.autograd.grad(step(mt, 1), leaf(mt, 2)),
     R, r"not have been used in the graph.*input 0.*\(2,\)"),
    ("grad by a constant", lambda mt: mt.autograd.grad(step(mt, 1), mt.ones(2)), R, r"does not require grad.*"),
    ("grad of a vector", lambda mt: (lambda x: mt.autograd.grad(x * 2, x))(leaf(mt, 3)), R, r"scalar"),
    ("grad of a number", lambda mt: mt.autograd.grad(3., leaf(mt, 1)), T, r""),
    ("grad with contradicting options", lambda mt: mt.autograd.grad(step(mt, 1), leaf(mt, 2), materialize_grads=True, allow_unused=False),
     V, r"allow_unused"),
    ("grad_outputs of another length", lambda mt: (lambda x: mt.autograd.grad([x * 1, x * 2], x, [mt.ones(3)]))(leaf(mt, 3)), R,
     r"2 tensors and 1 gradients"),
    ("numpy of what requires grad", lambda mt: leaf(mt, 2).numpy(), R, r"detach\(\)\.numpy\(\)"),
    ("numpy of a result", lambda mt: step(mt, 2).numpy(), R, r"detach\(\)\.numpy\(\)"),
    ("requires_grad of a result", lambda mt: step(mt, 2).requires_grad_(False), R, r"leaf variables"),
    ("requires_grad of a result, set once more", lambda mt: setattr(step(mt, 2), "requires_grad", True), R, r"leaf variables"),
    ("retain_grad of a constant", lambda mt: mt.ones(2).retain_grad(), R, r"retain_grad.*requires_grad=False"),
    ("hook on a constant", lambda mt: mt.ones(2).register_hook(print), R, r"hook"),
    ("hook that returns a number", with_x(lambda mt: step(mt, 1), lambda mt, y: y.register_hook(lambda g: 3.), backward),
     T, r"hook.*float"),
    ("hook that changes the shape", with_x(lambda mt: step(mt, 1), lambda mt, y: y.register_hook(lambda g: mt.ones(2)), backward),
     R, r"hook.*\(1,\).*\(2,\)"),
    ("post-accumulate hook on a result", lambda mt: step(mt, 1).register_post_accumulate_grad_hook(print), R, r"non-leaf"),
    ("grad of another shape", lambda mt: setattr(leaf(mt, 2), "grad", mt.ones(3)), R, r"size.*3.*2"),
    ("grad of another dtype", lambda mt: setattr(leaf(mt, 2), "grad", mt.ones(2, dtype=mt.float64)), R, r"type.*float64.*float32"),
    ("grad that is no tensor", lambda mt: setattr(leaf(mt, 2), "grad", 3.), T, r"float"),
    ("deepcopy of a result", lambda mt: __import__("copy").deepcopy(step(mt, 2)), R, r"[Oo]nly Tensors created explicitly by the user"),
    ("out= with a gradient", lambda mt: mt.add(leaf(mt, 2), leaf(mt, 2), out=mt.ones(2)), R, r"add.*out="),
]

WRITES = [
    ("in-place on a leaf", lambda mt: leaf(mt, 3).add_(1), R, r"add_.*leaf Variable that requires grad"),
    ("in-place operator on a leaf", lambda mt: leaf(mt, 3).__imul__(2), R, r"mul_?.*leaf Variable that requires grad"),
    ("assignment to a leaf", lambda mt: leaf(mt, 3).__setitem__(0, 1.), R, r"leaf Variable that requires grad"),
    ("in-place on a view of a leaf", lambda mt: leaf(mt, 3)[1:].add_(1), R, r"view of a leaf Variable that requires grad"),
    ("in-place on an expanded tensor", lambda mt: mt.ones(1).expand(3).add_(1), R, r"add_?.*single memory location"),
    ("in-place product on an expanded tensor", lambda mt: mt.ones(2, 1).expand(2, 3).mul_(2), R, r"mul_?.*single memory location"),
    ("in-place on one of several views", lambda mt: step(mt, 4).chunk(2)[0].add_(1), R, r"multiple views"),
    ("in-place on a row of unbind", lambda mt: step(mt, 2, 2).unbind()[0].mul_(2), R, r"multiple views"),
    ("saved input of mul", overwritten(lambda mt: step(mt, 3), lambda mt, x: x * x, lambda mt, x, y: x.add_(1)), R,
     r"modified by an inplace operation.*float32 \[3\].*MulBackward0.*version 1; expected version 0"),
    ("saved input of sin", overwritten(lambda mt: step(mt, 2, 3), lambda mt, x: x.sin(), lambda mt, x, y: x.zero_()), R,
     r"modified by an inplace operation.*\[2, 3\].*SinBackward0"),
    ("saved output of exp", overwritten(lambda mt: step(mt, 3), lambda mt, x: x.exp(), lambda mt, x, y: y.mul_(2)), R,
     r"modified by an inplace operation.*ExpBackward0"),
    ("saved output of sigmoid", overwritten(lambda mt: step(mt, 3), lambda mt, x: x.sigmoid(), lambda mt, x, y: y.add_(1)), R,
     r"modified by an inplace operation.*SigmoidBackward0"),
    ("saved weight of matmul", overwritten(lambda mt: step(mt, 3, 3), lambda mt, x: leaf(mt, 2, 3) @ x, lambda mt, x, y: x.mul_(2)),
     R, r"modified by an inplace operation.*\[3, 3\]"),
    ("saved input written in no_grad", overwritten(lambda mt: leaf(mt, 3), lambda mt, x: x * x, lambda mt, x, y: mt.no_grad()(x.add_)(1)),
     R, r"modified by an inplace operation.*version 1; expected version 0"),
    ("saved input written through a view", overwritten(lambda mt: step(mt, 3), lambda mt, x: x * x, lambda mt, x, y: x[:1].zero_()), R,
     r"modified by an inplace operation"),
    ("saved input written through detach", overwritten(lambda mt: step(mt, 3), lambda mt, x: x * x, lambda mt, x, y: x.detach().zero_()), R,
     r"modified by an inplace operation"),
    ("inference tensor saved", lambda mt: mt.inference_mode()(lambda: mt.ones(2))() * leaf(mt, 2), R, r"Inference tensors cannot be saved"),
    ("inference tensor written", lambda mt: mt.inference_mode()(lambda: mt.ones(2))().add_(1), R, r"Inplace update to inference tensor"),
]

CALLS = [
    ("item of many", lambda mt: mt.ones(2).item(), R, r"2 elements cannot be converted to Scalar"),
    ("float of many", lambda mt: float(mt.ones(2)), V, r"[Oo]nly one element|converted to Scalar|one element"),
    ("truth of many", lambda mt: bool(mt.ones(2)), R, r"[Bb]oolean value of Tensor with more than one value is ambiguous"),
    ("truth of none", lambda mt: bool(mt.ones(0)), R, r"ambiguous|no values"),
    ("len of a number", lambda mt: len(mt.ones(())), T, r"len\(\) of a 0-d tensor"),
    ("iteration over a number", lambda mt: list(mt.ones(())), T, r"iteration over a 0-d tensor"),
    ("unknown argument", lambda mt: mt.exp(mt.ones(2), speed=3), T, r"exp\(\).*speed"),
    ("unknown argument of a method", lambda mt: mt.ones(2).sum(fast=True), T, r"sum\(\).*fast"),
    ("missing argument", lambda mt: mt.mul(mt.ones(2)), T, r"mul\(\).*other"),
    ("too many arguments", lambda mt: mt.exp(mt.ones(2), mt.ones(2), 3, 4), T, r"exp\(\)"),
    ("argument given twice", lambda mt: mt.mul(mt.ones(2), mt.ones(2), other=mt.ones(2)), T, r"mul\(\).*other"),
    ("list for a tensor", lambda mt: mt.exp([1., 2.]), T, r"exp\(\).*input.*must be Tensor.*list"),
    ("string for a tensor", lambda mt: mt.ones(2) + "a", T, r"str"),
    ("None for a tensor", lambda mt: mt.mul(mt.ones(2), None), T, r"mul\(\).*other.*NoneType|None"),
    ("tensors for cat", lambda mt: mt.cat(mt.ones(2)), T, r"cat"),
    ("cuda without a GPU", lambda mt: mt.ones(2, device="cuda"), R, r"cuda"),
    ("to cuda without a GPU", lambda mt: mt.ones(2).to("cuda"), R, r"cuda"),
    ("unknown device", lambda mt: mt.ones(2, device="tpu9"), R, r"device.*tpu9"),
    ("negative size", lambda mt: mt.zeros(-1), R, r"negative dimension -1"),
    ("arange without end", lambda mt: mt.arange(0, 5, -1), R, r"arange|bound"),
    ("randint without room", lambda mt: mt.randint(5, 5, (2,)), R, r"randint|from.*to|expects"),
    ("multinomial of too many", lambda mt: mt.multinomial(mt.ones(2), 3), R, r"multinomial|replacement"),
    ("bernoulli outside [0, 1]", lambda mt: mt.bernoulli(mt.tensor([2.])), R, r"bernoulli|p"),
    ("eye of a negative size", lambda mt: mt.eye(-1), R, r"-1"),
    ("optimizer without parameters", lambda mt: mt.optim.SGD([], lr=0.1), V, r"empty parameter list"),
    ("optimizer with a negative rate", lambda mt: mt.optim.SGD([leaf(mt, 1)], lr=-1.), V, r"learning rate.*-1"),
    ("optimizer for a result", lambda mt: mt.optim.SGD([step(mt, 1)], lr=0.1), V, r"non-leaf"),
    ("state_dict with other names", lambda mt: mt.nn.Linear(2, 2).load_state_dict({"w": mt.ones(2, 2)}), R, r"Linear.*(?s:.*)weight"),
    ("state_dict with other shapes", lambda mt: mt.nn.Linear(2, 2).load_state_dict({"weight": mt.ones(3, 2), "bias": mt.ones(2)}), R,
     r"(?s:.*)size mismatch for weight.*3, 2.*2, 2"),
    ("missing attribute of a module", lambda mt: mt.nn.Linear(2, 2).colour, AttributeError, r"Linear.*colour"),
    ("module before init", lambda mt: setattr(type("Net", (mt.nn.Module,), {"__init__": lambda self: None})(), "part", mt.nn.Linear(2, 2)),
     AttributeError, r"before Module.__init__"),
    ("module without forward", lambda mt: mt.nn.Module()(mt.ones(1)), NotImplementedError, r"forward"),
    ("load of a file that is not there", lambda mt: mt.load("no such file"), FileNotFoundError, r"no such file"),
    ("linear module", lambda mt: mt.nn.Linear(3, 4)(mt.ones(2, 5)), R, r"(linear|mat).*5.*3"),
]

MISTAKES = [Mistake(*row) for rows in (SHAPES, DTYPES, INDICES, GRADIENTS, WRITES, CALLS) for row in rows]
