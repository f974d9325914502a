"""What few programs ask of tensors: kinds that are not here, windows, indices; the answers are PyTorch's."""
import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")       # of what is deprecated

EXPRESSIONS = """
x.is_cpu
x.is_sparse
x.is_quantized
x.is_meta
x.name
x.output_nr
x.get_device()
T.get_device(x)
x.is_pinned()
x.is_complex()
T.is_complex(x)
x.is_conj()
x.is_signed()
T.is_signed(x.byte())
x.is_same_size(x + 1)
x.conj()
x.real
T.real(x)
x.to_dense()
x.resolve_conj()
x.gcd
T.isreal(x)
x.isposinf()
T.isneginf(T.tensor([1.0, -T.inf, T.inf]))
x.long().gcd(T.tensor(6))
x.long().gcd_(T.tensor(6))
T.lcm(x.long(), T.tensor([4]))
x.select_scatter(T.zeros(3), 0, 1)
x.cov()
x.clone().fill_diagonal_(7)
T.zeros(7, 3).fill_diagonal_(1.0, wrap=True)
T.zeros(3, 3, 3).fill_diagonal_(2)
T.range(1, 4)
T.range(0, 1, 0.25)
x.clone().resize_(3, 1)
str(list(x.clone().resize_as_(T.zeros(2)).shape))
T.svd(x).S
str(list(T.svd(x, some=False).V.shape))
x.svd(compute_uv=False).U
x.corrcoef()
T.trapz(x)
T.unravel_index(T.tensor([5, 3, -1]), (2, 3))
T.hann_window(5)
T.hann_window(5, periodic=False)
T.hann_window(1)
T.hann_window(0)
T.hamming_window(6, dtype=T.float64)
T.hamming_window(6, True, 0.5, 0.4)
T.blackman_window(7)
T.bartlett_window(7, False)
T.kaiser_window(7)
T.kaiser_window(7, False, 3.0)
T.special.expit(x)
T.special.gammaln(x)
T.special.logsumexp(x, 1)
""".strip().splitlines()


def answer(library, text):
    x = library.tensor([[1.0, 2.5, -3.0], [4.0, 0.5, 6.0]])
    found = eval(text, {"T": library, "x": x})
    if callable(found):
        return "callable"
    if isinstance(found, tuple):
        return [t.numpy() for t in found]
    return found.numpy() if hasattr(found, "numpy") else found


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_answer_is_pytorchs(text):
    ours, theirs = answer(minitorch, text), answer(torch, text)
    if isinstance(theirs, (np.ndarray, list)):
        for a, b in zip(*((v if isinstance(v, list) else [v]) for v in (ours, theirs))):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    else:
        assert ours == theirs


def test_a_name_that_no_tensor_has_is_refused():
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nonsense'"):
        minitorch.ones(2).nonsense  # noqa: B018
    assert not hasattr(minitorch.ones(2), "__cuda_array_interface__")
    assert minitorch.ones(2).layout is minitorch.strided
