"""Ready parametrizations: weights as length times direction, of spectral norm 1, or orthogonal."""
from ... import cat, eye, linalg, mv, no_grad, randn, vdot, zeros_like
from ...tensor import Tensor
from .. import functional as F
from ..conv import ConvTranspose1d
from ..module import Module
from . import parametrize


def length_except(v, dim):
    """The norm over all axes but `dim`, kept; dim -1: over all, as one number."""
    if dim == -1:
        return v.norm()
    if v.ndim == 1:
        return v.abs()
    return linalg.vector_norm(v, dim=[i for i in range(v.ndim) if i != dim % v.ndim], keepdim=True)


def weight_of(module, name):
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


# ---- length and direction (Salimans & Kingma 2016) ------------------------------------------------------------

class _WeightNorm(Module):
    """g v / |v|."""

    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / length_except(weight_v, self.dim))

    def right_inverse(self, weight):
        return length_except(weight, self.dim), weight


class OldNames:
    """A hook: what nn.utils.weight_norm saved as <name>_g and <name>_v is loaded as the originals."""

    def __init__(self, name):
        self.name = name

    def __call__(self, module, state_dict, prefix, *rest):
        old = [prefix + self.name + end for end in ("_g", "_v")]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{self.name}.original{i}"] = state_dict.pop(key)


def weight_norm(module, name="weight", dim=0):
    """Have the tensor computed as g v / |v|, one length for each index along `dim` (None: one for all).

    State dicts of nn.utils.weight_norm can be loaded.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module.register_load_state_dict_pre_hook(OldNames(name))
    return module


# ---- spectral norm (Miyato et al. 2018) -----------------------------------------------------------------------

class _SpectralNorm(Module):
    """weight / its largest singular value, which a step of the power method at each reading while training follows."""

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.dim, self.eps = dim % ndim, eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self.as_matrix(weight)
            for label, n in zip(("_u", "_v"), matrix.shape):
                start = randn(n, dtype=weight.dtype).to(weight.device)
                self.register_buffer(label, F.normalize(start, dim=0, eps=eps))
            self.follow(matrix, 15)

    def as_matrix(self, weight):
        """The weight with axis `dim` first and all others as one."""
        return weight.movedim(self.dim, 0).flatten(1)

    def follow(self, matrix, steps):
        """Power method: u and v come nearer to the first singular vectors."""
        with no_grad():
            for _ in range(steps):
                self._u.copy_(F.normalize(mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(mv(matrix.T, self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self.as_matrix(weight)
        if self.training:
            self.follow(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()      # the next step writes over them before backward
        return weight / vdot(u, mv(matrix, v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Have the tensor divided by its largest singular value, with axis `dim` (0; 1 for transposed convolutions) against all others."""
    weight = weight_of(module, name)
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d) else 0
    return parametrize.register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


# ---- orthogonal (Lezcano-Casado 2019) -------------------------------------------------------------------------

def reflected(A):
    """The first columns of the product of the reflections I - 2 w w^T / |w|^2, w the columns of A (n, k) below a diagonal of ones."""
    n, k = A.shape[-2:]
    w = A.tril(-1) + eye(n, k, dtype=A.dtype).to(A.device)
    q = eye(n, k, dtype=A.dtype).to(A.device).expand(A.shape)
    for i in reversed(range(k)):
        column = w[..., i:i + 1]
        q = q - 2 * column @ (column.mT @ q) / (column * column).sum(-2, keepdim=True)
    return q


class _Orthogonal(Module):
    """base times an orthogonal matrix made of the triangle of X: its exponential, Cayley transform, or reflections."""

    def __init__(self, weight, orthogonal_map, *, use_trivialization=True):
        super().__init__()
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        wide = X.shape[-2] < X.shape[-1]
        X = X.mT if wide else X
        n, k = X.shape[-2:]
        if self.orthogonal_map == "householder":
            Q = reflected(X) * X.diagonal(dim1=-2, dim2=-1).detach().sign().unsqueeze(-2)
        else:
            X = X.tril()
            if n != k:
                X = cat([X, X.new_zeros(*X.shape[:-1], n - k)], -1)
            A, one = X - X.mT, eye(n, dtype=X.dtype).to(X.device)
            Q = linalg.matrix_exp(A) if self.orthogonal_map == "matrix_exp" else linalg.solve(one - 0.5 * A, one + 0.5 * A)
            Q = Q[..., :k]
        if "base" in self._buffers:
            Q = self.base @ Q
        return Q.mT if wide else Q

    def right_inverse(self, Q):
        if Q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}.")
        if "base" not in self._buffers:
            raise NotImplementedError("It is not possible to assign to the orthogonal parametrizations when use_trivialization=False.")
        with no_grad():
            tall = Q.mT if Q.shape[-2] < Q.shape[-1] else Q
            n, k = tall.shape[-2:]
            if n != k:                               # completed to a square
                tall = cat([tall, randn(*tall.shape[:-1], n - k, dtype=Q.dtype).to(Q.device)], -1)
            gram = tall.mT @ tall - eye(n, dtype=Q.dtype).to(Q.device)
            near = 10 * n * (1.2e-7 if Q.array.dtype.itemsize < 8 else 2.2e-16)
            if float(gram.abs().max()) > near:
                tall, r = linalg.qr(tall)
                tall = tall * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
            self.base = tall.clone()
            start = zeros_like(Q)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return start


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Have the tensor, a matrix or a batch of them, kept orthogonal: rows or columns, whichever are fewer, orthonormal.

    orthogonal_map: "matrix_exp" (for square ones), "cayley" or "householder" (for others).
    """
    weight = weight_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-1] == weight.shape[-2] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    if orthogonal_map == "householder" and not use_trivialization:
        raise NotImplementedError("orthogonal: the map 'householder' needs use_trivialization=True")
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, made, unsafe=True)
