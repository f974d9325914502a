"""Linear algebra beyond the op table: singular matrices, equal eigenvalues, errors with shapes, einsum's plans."""
import numpy as np
import pytest

import minitorch
from minitorch import autograd, tensor
from minitorch.nn import functional as F


def filled(*shape):
    return tensor(np.random.default_rng(0).normal(size=shape))


@pytest.mark.parametrize("call, words", [
    (lambda: filled(3, 4) @ filled(5, 6), r"matmul: \(3, 4\) @ \(5, 6\): inner sizes 4 and 5 differ"),
    (lambda: filled(2, 3, 4) @ filled(3, 4, 5), r"matmul: \(2, 3, 4\) @ \(3, 4, 5\): the leading sizes do not broadcast"),
    (lambda: filled(3) @ tensor(1.0).double(), "at least 1D"),
    (lambda: filled(3, 4) @ filled(4, 5).float(), "same dtype"),
    (lambda: F.linear(filled(2, 3), filled(4, 5)), r"linear: \(2, 3\) @ \(5, 4\): inner sizes 3 and 5 differ"),
    (lambda: minitorch.einsum("ij,jk->ik", filled(3, 4), filled(5, 6)), "subscript j has sizes 4 and 5"),
    (lambda: minitorch.einsum("ij->k", filled(3, 4)), "each subscript of the output must be in an input"),
    (lambda: minitorch.bmm(filled(2, 3, 4), filled(3, 4, 5)), "batch sizes 2 and 3 differ"),
    (lambda: minitorch.linalg.inv(filled(2, 3)), "batches of square matrices"),
])
def test_errors_name_the_shapes(call, words):
    with pytest.raises(RuntimeError, match=words):
        call()


@pytest.mark.parametrize("call", [lambda a: minitorch.linalg.inv(a), lambda a: minitorch.linalg.solve(a, a),
                                  lambda a: minitorch.linalg.cholesky(a - 1.0)])
def test_a_singular_matrix_is_a_linalg_error(call):
    with pytest.raises(minitorch.linalg.LinAlgError):
        call(tensor([[0.0, 0.0], [0.0, 0.0]]))


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    a = tensor([[[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, 3.0]]]).requires_grad_()
    a.det().sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), [[[4, -2], [-2, 1]], [[3, 0], [0, 1]]], atol=1e-5)


def test_eigenvalues_have_gradients_where_some_are_equal():
    a = tensor(np.eye(3) * 2.0).requires_grad_()
    (minitorch.linalg.eigvalsh(a) ** 2).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 4 * np.eye(3))
    a.grad = None
    (minitorch.linalg.svdvals(a) ** 2).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 4 * np.eye(3))


def test_the_surplus_vectors_of_a_full_svd_have_no_gradient():
    a = filled(4, 2).requires_grad_()
    u, s, vh = minitorch.linalg.svd(a)
    autograd.grad(s.sum(), [a], retain_graph=True)
    with pytest.raises(RuntimeError, match="full_matrices=True are not differentiable"):
        u.sum().backward()


def test_outputs_of_one_step_used_in_gradient_and_in_loss_add_up():
    def loss(a):
        values, vectors = minitorch.linalg.eigh(a)
        g, = autograd.grad((values ** 3).sum(), [a], create_graph=True)
        return (g * g).sum() + (values ** 2).sum() + (vectors ** 4).sum()
    a = np.array([[2.0, 0.3, 0.1], [0.3, 3.0, 0.2], [0.1, 0.2, 5.0]])
    v = np.array([[1.0, 0.5, 0.2], [0.5, -1.0, 0.3], [0.2, 0.3, 0.4]])
    leaf = tensor(a).requires_grad_()
    h, = autograd.grad(loss(leaf), [leaf])
    ends = [loss(tensor(a + t * 1e-6 * v).requires_grad_()).item() for t in (1, -1)]
    np.testing.assert_allclose((h.numpy() * v).sum(), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("equation, shapes", [
    ("abc,cd,bd->ad", [(2, 3, 4), (4, 5), (3, 5)]), ("i,->i", [(3,), ()]), ("bi,bi,b->", [(2, 3), (2, 3), (2,)]), ("...i->i...", [(2, 3, 4)]),
    ("a...b,b...c->a...c", [(2, 3, 4), (4, 3, 5)]), ("ij,ij,ij->ij", [(2, 3)] * 3), (" i j , j k ->  k", [(2, 3), (3, 4)]),
    ("ab,bc,cd,de,ef->af", [(2, 9), (9, 3), (3, 8), (8, 2), (2, 4)]), ("iijk,kl->il", [(3, 3, 2, 4), (4, 5)]),
])
def test_einsum_is_numpys(equation, shapes):
    xs = [filled(*s) for s in shapes]
    np.testing.assert_allclose(minitorch.einsum(equation, *xs).numpy(), np.einsum(equation, *[x.numpy() for x in xs]), atol=1e-12)


def test_einsum_takes_lists_of_axes_too():
    a, b = filled(3, 4), filled(4, 2)
    assert minitorch.equal(minitorch.einsum(a, [0, 1], b, [1, 2], [2, 0]), minitorch.einsum("ij,jk->ki", [a, b]))


def test_arrays_stand_on_either_side():
    a, b = filled(3, 4), np.ones((4, 2))
    np.testing.assert_allclose((a @ b).numpy(), a.numpy() @ b)
    np.testing.assert_allclose((b.T @ a.T).numpy(), b.T @ a.numpy().T)
