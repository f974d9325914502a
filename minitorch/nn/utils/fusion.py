"""Batch norm in evaluation as part of the layer before it; modules without starting values; an old name."""
import copy
import inspect
import warnings

from ... import zeros_like
from ..parameter import Parameter
from . import clip_grad_norm_


def fused(weight, bias, mean, var, eps, scale, shift, shape):
    """Weight and bias of the layer with the batch norm's factor and offset in them; `shape`: how the factor meets the weight."""
    bias = zeros_like(mean) if bias is None else bias
    factor = (1 if scale is None else scale) * (var + eps).rsqrt()
    made = (weight * factor.reshape(shape)).to(weight.dtype), ((bias - mean) * factor + (0 if shift is None else shift)).to(bias.dtype)
    return tuple(Parameter(t.detach(), p is None or p.requires_grad) for t, p in zip(made, (weight, bias)))


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """The (weight, bias) of one convolution that computes what a convolution and then a batch norm do."""
    shape = [1, -1] if transpose else [-1, 1]
    return fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape + [1] * (conv_w.ndim - 2))


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """The (weight, bias) of one linear map that computes what a linear map and then a batch norm do."""
    return fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def joined(layer, bn, weights, **options):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Fusion needs running statistics")
    layer = copy.deepcopy(layer)
    layer.weight, layer.bias = weights(layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, **options)
    return layer


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A convolution that computes bn(conv(x)); AssertionError unless both are in evaluation."""
    return joined(conv, bn, fuse_conv_bn_weights, transpose=transpose)


def fuse_linear_bn_eval(linear, bn):
    """A linear map that computes bn(linear(x)); AssertionError unless both are in evaluation."""
    return joined(linear, bn, fuse_linear_bn_weights)


def skip_init(module_cls, *args, **kwargs):
    """module_cls(*args, **kwargs), whose starting values do not matter: they are drawn all the same."""
    if not isinstance(module_cls, type):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    return module_cls(*args, **kwargs)


def convert_conv2d_weight_memory_format(module, memory_format):
    """The module as it is: tensors lie in memory row by row."""
    return module


convert_conv3d_weight_memory_format = convert_conv2d_weight_memory_format


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """clip_grad_norm_, by its old name."""
    warnings.warn("`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
