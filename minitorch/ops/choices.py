"""Choices at random that gradients pass through, and distances between all rows."""
import warnings

from ..autograd.op import HOMES, composed
from ..cases import normal
from ..tensor import Tensor
from .creation import require_tensor, zeros_like
from .random import rand_like


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample of the distribution over `dim` that `logits` give, softened at temperature tau (Jang et al. 2017, Maddison et al. 2017).

    hard: one-hot vectors, with the gradient of the soft ones.
    """
    require_tensor(logits, "gumbel_softmax")
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -(-(-rand_like(logits)).log1p()).clamp(min=1e-38).log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    return zeros_like(soft).scatter_(dim, soft.detach().argmax(dim, keepdim=True), 1.0) - soft.detach() + soft


HOMES["functional"]["gumbel_softmax"] = gumbel_softmax


@composed(home="torch functional", method=False)
def pdist(input, p=2.0):
    """The p-norm distances between all pairs of rows, i < j: (N, M) -> (N (N - 1) / 2,)."""
    if not isinstance(input, Tensor):
        raise TypeError(f"pdist(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    i, j = HOMES["torch"]["triu_indices"](input.shape[0], input.shape[0], 1).to(input.device)
    return HOMES["linalg"]["vector_norm"](input[i] - input[j], p, dim=1)


pdist.case(normal(4, 3))
pdist.case(normal(3, 2), 1.0)
pdist.case(normal(4, 3), 3.0)
