"""Weight and spectral norm in their first form: a hook computes the weight anew before every forward."""
import warnings

from ... import mv, no_grad, randn, vdot
from .. import functional as F
from ..conv import ConvTranspose1d
from ..parameter import Parameter
from .parametrizations import length_except


def attached(kind, module, name):
    """(key, hook) of that kind for that name; None where there is none."""
    for key, entry in module._forward_pre_hooks.items():
        if isinstance(entry.call, kind) and entry.call.name == name:
            return key, entry.call
    return None


def attach(hook, module, label):
    if attached(type(hook), module, hook.name):
        raise RuntimeError(f"Cannot register two {label} hooks on the same parameter {hook.name}")
    hook.start(module)
    module.register_forward_pre_hook(hook)
    return module


def detach(kind, module, name, label):
    found = attached(kind, module, name)
    if found is None:
        raise ValueError(f"{label} of '{name}' not found in {module}")
    found[1].end(module)
    del module._forward_pre_hooks[found[0]]
    return module


class WeightNorm:
    """weight = weight_g weight_v / |weight_v|."""

    def __init__(self, name, dim):
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module):
        v = getattr(module, self.name + "_v")
        return v * (getattr(module, self.name + "_g") / length_except(v, self.dim))

    def start(self, module):
        weight = getattr(module, self.name)
        del module._parameters[self.name]
        module.register_parameter(self.name + "_g", Parameter(length_except(weight.detach(), self.dim)))
        module.register_parameter(self.name + "_v", Parameter(weight.detach()))
        self(module, ())

    def end(self, module):
        weight = self.compute_weight(module)
        for name in (self.name, self.name + "_g", self.name + "_v"):
            delattr(module, name)
        setattr(module, self.name, Parameter(weight.detach()))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module, name="weight", dim=0):
    """Train the parameter as a length <name>_g and a direction <name>_v; parametrizations.weight_norm is the newer form."""
    warnings.warn("`minitorch.nn.utils.weight_norm` is deprecated in favor of `minitorch.nn.utils.parametrizations.weight_norm`.",
                  FutureWarning, stacklevel=2)
    return attach(WeightNorm(name, dim), module, "weight_norm")


def remove_weight_norm(module, name="weight"):
    """Make the parameter an ordinary one again; ValueError where it has no weight norm."""
    return detach(WeightNorm, module, name, "weight_norm")


class SpectralNorm:
    """weight = weight_orig / its largest singular value, which the power method follows in weight_u and weight_v."""

    def __init__(self, name="weight", n_power_iterations=1, dim=0, eps=1e-12):
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def as_matrix(self, weight):
        return weight.movedim(self.dim, 0).flatten(1)

    def compute_weight(self, module, do_power_iteration):
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.as_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(mv(matrix.T, u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(mv(matrix, v), dim=0, eps=self.eps))
        u, v = u.clone(), v.clone()                  # the next step writes over them before backward
        return weight / vdot(u, mv(matrix, v))

    def start(self, module):
        weight = getattr(module, self.name)
        del module._parameters[self.name]
        module.register_parameter(self.name + "_orig", weight)
        setattr(module, self.name, weight.detach())
        for end, n in zip(("_u", "_v"), self.as_matrix(weight).shape):
            start = randn(n, dtype=weight.dtype).to(weight.device)
            module.register_buffer(self.name + end, F.normalize(start, dim=0, eps=self.eps))

    def end(self, module):
        with no_grad():
            weight = self.compute_weight(module, False)
        for name in (self.name, self.name + "_u", self.name + "_v", self.name + "_orig"):
            delattr(module, name)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide the parameter by its largest singular value; parametrizations.spectral_norm is the newer form."""
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose1d) else 0
    return attach(SpectralNorm(name, n_power_iterations, dim, eps), module, "spectral_norm")


def remove_spectral_norm(module, name="weight"):
    """Make the parameter an ordinary one again; ValueError where it has no spectral norm."""
    return detach(SpectralNorm, module, name, "spectral_norm")
