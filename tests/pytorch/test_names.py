"""Names that PyTorch programs use are here too: those of 114 training programs, operators, and every public class of nn and optim.

What is left out is written down with the reason; a name that is missing without one fails, and so does a reason that no longer holds.
"""
import importlib
import inspect

import pytest

import minitorch

# Counted over 114 public training programs (language models, vision, sequences, generative models, reinforcement learning).

IN_FIFTY = """
manual_seed Tensor.backward nn.Module nn.Module.parameters nn.Linear optim.Optimizer.step optim.Optimizer.zero_grad Tensor.__getitem__
no_grad Tensor.__add__ cat nn.CrossEntropyLoss Tensor.item Tensor.size Tensor.to Tensor.view nn.Module.train
""".split()

IN_TWENTY = """
zeros nn.Module.eval Tensor.__mul__ optim.Adam Tensor.shape nn.Sequential tensor device from_numpy randn arange Tensor.__truediv__
Tensor.mean Tensor.reshape matmul nn.Embedding ones Tensor.sum nn.Dropout Tensor.transpose nn.Module.to nn.functional.cross_entropy
nn.Conv2d utils.data.DataLoader Tensor.__len__ nn.functional.softmax nn.Parameter optim.SGD Tensor.detach float32 utils.data.Dataset
Tensor.__eq__ Tensor.unsqueeze nn.ModuleList nn.ReLU Tensor.type Tensor.__setitem__ Tensor.device exp int64 Tensor.contiguous Tensor.data
nn.LayerNorm tanh save stack LongTensor Tensor.argmax Tensor.numpy cos log nn.functional.relu sin
""".split()

IN_TEN = """
meshgrid nn.Module.state_dict optim.AdamW Tensor.__radd__ Tensor.dtype abs bmm eye ones_like sigmoid Tensor.__iadd__ Tensor.__rmul__
Tensor.eq cosh cuda.device_count int32 linspace normal rand sinh zeros_like Tensor long nn.Module.zero_grad Tensor.grad Tensor.__sub__
Tensor.float nn.BatchNorm2d nn.LazyLinear nn.Module.apply nn.LSTM Tensor.max Tensor.numel cuda.is_available nn.MSELoss nn.MaxPool2d
nn.init.zeros_ Tensor.expand multinomial nn.functional.log_softmax optim.lr_scheduler.CosineAnnealingLR Tensor.__pow__ Tensor.permute
nn.Flatten nn.Module.forward nn.Softmax nn.init.xavier_uniform_ nn.utils.clip_grad_norm_
""".split()

IN_FIVE = """
Tensor.__iter__ nn.GELU nn.Module.register_buffer nn.functional.dropout Tensor.__gt__ Tensor.__lt__ Tensor.__neg__ Tensor.clamp
Tensor.masked_fill Tensor.pow Tensor.t Tensor.tolist cuda.manual_seed_all max nn.LazyConv2d nn.NLLLoss utils.data.RandomSampler
utils.data.dataloader.DataLoader FloatTensor Tensor.__matmul__ Tensor.chunk Tensor.squeeze nn.Identity nn.Tanh randperm sum tril
Tensor.__format__ Tensor.__rtruediv__ Tensor.add_ Tensor.clone Tensor.fill_ Tensor.narrow Tensor.repeat Tensor.split inference_mode
nn.AdaptiveAvgPool2d nn.AvgPool2d nn.RNN nn.Transformer nn.functional.avg_pool2d nn.init.uniform_ sqrt Tensor.__bool__ Tensor.__isub__
Tensor.dim Tensor.new_zeros Tensor.requires_grad nn.Module.add_module nn.ModuleDict nn.Sigmoid nn.init.normal_ utils.data.TensorDataset
""".split()

IN_TWO = """
Tensor.T Tensor.exp Tensor.flatten Tensor.mm float nn.BCEWithLogitsLoss nn.Buffer pow randint Tensor.__float__ Tensor.__int__
Tensor.__invert__ Tensor.__ne__ Tensor.cos Tensor.masked_fill_ Tensor.sin Tensor.std Tensor.swapaxes Tensor.zero_ load mm nn.BCELoss nn.GRU
nn.LazyBatchNorm2d nn.LeakyReLU nn.Module.named_parameters nn.functional.max_pool2d nn.functional.sigmoid nn.functional.tanh optim.Adadelta
optim.lr_scheduler.StepLR randn_like repeat_interleave topk BoolTensor Tensor.__imul__ Tensor.__rsub__ Tensor.byte Tensor.cpu Tensor.relu
Tensor.requires_grad_ Tensor.softmax Tensor.view_as argmax distributions.Categorical einsum empty flatten full gather gt min nn.Conv1d
nn.Module.named_modules nn.functional.adaptive_avg_pool2d nn.functional.binary_cross_entropy nn.functional.nll_loss nn.functional.one_hot
nn.functional.pad nn.functional.smooth_l1_loss nn.init.ones_ nn.init.xavier_normal_ nonzero rsqrt where
""".split()

IN_ONE = """
Generator Tensor.__and__ Tensor.__array__ Tensor.__ge__ Tensor.__le__ Tensor.__mod__ Tensor.abs Tensor.bmm Tensor.double Tensor.expand_as
Tensor.flip Tensor.gather Tensor.index_fill_ Tensor.is_cuda Tensor.log Tensor.long Tensor.mT Tensor.nelement Tensor.norm Tensor.normal_
Tensor.repeat_interleave Tensor.scatter_ Tensor.sigmoid Tensor.type_as argsort autograd.Function bfloat16 bool dot double erf finfo float16
full_like is_grad_enabled log1p nn.BatchNorm1d nn.ConvTranspose2d nn.Dropout2d nn.InstanceNorm2d nn.KLDivLoss nn.LSTMCell nn.LazyBatchNorm1d
nn.Module.children nn.Module.double nn.Module.load_state_dict nn.PixelShuffle nn.ReflectionPad2d nn.functional.conv2d nn.functional.elu
nn.functional.interpolate nn.functional.layer_norm nn.functional.mse_loss nn.functional.scaled_dot_product_attention
nn.init._calculate_fan_in_and_fan_out nn.init.calculate_gain nn.init.orthogonal_ nn.parallel.DistributedDataParallel optim.LBFGS
optim.Optimizer optim.lr_scheduler.LambdaLR reshape roll spmm triu uint8 unsqueeze
""".split()

# Functions, and methods of Tensor where PyTorch has them.
OPERATORS = """
abs acos add addbmm addcdiv addcmul addmm addmv all allclose amax amin aminmax any arange argmax argmin argsort as_strided asin atan atan2
atanh acosh asinh baddbmm block_diag bmm broadcast_tensors broadcast_to bucketize cat cdist ceil chunk clamp clamp_max clamp_min clone
contiguous cos cosh count_nonzero cross cummax cummin cumprod cumsum diag diag_embed diagonal diff dist div dot einsum eq equal erf erfc
erfinv exp exp2 expand expand_as expm1 eye fill flatten flip float_power floor floor_divide fmax fmin fmod frac full full_like gather ge gt
heaviside hstack vstack dstack index_add index_copy index_fill index_put index_select inner isclose isfinite isinf isnan item kron kthvalue
le lerp lgamma digamma linalg.norm linalg.vector_norm linalg.matrix_norm linalg.inv linalg.det linalg.slogdet linalg.solve linalg.cholesky
linalg.multi_dot linalg.matrix_power linspace log log10 log1p log2 log_softmax logaddexp logcumsumexp logical_and logical_not logical_or
logical_xor logit logsumexp lt masked_fill masked_scatter masked_select matmul max maximum mean median meshgrid min minimum mm movedim mul
mv nan_to_num nanmean nansum narrow ne neg new_empty new_full new_ones new_zeros norm nonzero nn.functional.adaptive_avg_pool1d
nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool2d nn.functional.alpha_dropout nn.functional.avg_pool1d
nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.batch_norm nn.functional.bilinear nn.functional.binary_cross_entropy
nn.functional.binary_cross_entropy_with_logits nn.functional.celu nn.functional.conv1d nn.functional.conv2d nn.functional.conv3d
nn.functional.conv_transpose1d nn.functional.conv_transpose2d nn.functional.conv_transpose3d nn.functional.cosine_embedding_loss
nn.functional.cosine_similarity nn.functional.cross_entropy nn.functional.ctc_loss nn.functional.dropout nn.functional.dropout2d
nn.functional.elu nn.functional.embedding nn.functional.embedding_bag nn.functional.gaussian_nll_loss nn.functional.gelu nn.functional.glu
nn.functional.group_norm nn.functional.hardshrink nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh
nn.functional.hinge_embedding_loss nn.functional.huber_loss nn.functional.instance_norm nn.functional.interpolate nn.functional.kl_div
nn.functional.l1_loss nn.functional.layer_norm nn.functional.leaky_relu nn.functional.linear nn.functional.local_response_norm
nn.functional.logsigmoid nn.functional.margin_ranking_loss nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.max_pool3d
nn.functional.mish nn.functional.mse_loss nn.functional.nll_loss nn.functional.normalize nn.functional.pad nn.functional.pairwise_distance
nn.functional.pixel_shuffle nn.functional.pixel_unshuffle nn.functional.poisson_nll_loss nn.functional.prelu nn.functional.relu
nn.functional.relu6 nn.functional.rms_norm nn.functional.scaled_dot_product_attention nn.functional.selu nn.functional.silu
nn.functional.smooth_l1_loss nn.functional.soft_margin_loss nn.functional.softmin nn.functional.softplus nn.functional.softshrink
nn.functional.softsign nn.functional.tanhshrink nn.functional.threshold nn.functional.triplet_margin_loss nn.functional.unfold
nn.functional.multi_margin_loss nn.functional.multilabel_soft_margin_loss ones ones_like outer permute positive pow prod quantile rand_like
randint randn randn_like ravel reciprocal remainder renorm repeat repeat_interleave reshape reshape_as roll rot90 round rsqrt rsub scatter
scatter_add scatter_reduce searchsorted select sgn sigmoid sign signbit sin sinc sinh softmax sort split split_with_sizes sqrt square
squeeze stack std std_mean sub sum t take take_along_dim tan tanh tensor_split tensordot tile topk trace transpose tril triu true_divide
trunc unbind unflatten unfold unique unsqueeze var var_mean vdot view view_as where xlogy zeros zeros_like __getitem__ __radd__ __rsub__
__rmul__ __rdiv__ __rpow__ __rmatmul__ T mT float double long int bool type_as
""".split()

# What is not here, by the reason.
REASONS = {
    "there are no complex numbers here": "linalg.eig linalg.eigvals",
    "PyTorch's own, for overriding functions and for its type annotations":
        """nn.functional.has_torch_function nn.functional.has_torch_function_unary nn.functional.has_torch_function_variadic
           nn.functional.assert_int_or_pair nn.factory_kwargs""",
    "8-bit floats and groups of matrices, for GPUs of certain kinds":
        """nn.functional.ScalingType nn.functional.SwizzleType nn.functional.scaled_mm nn.functional.grouped_mm
           nn.functional.scaled_grouped_mm""",
    "new and still changing in PyTorch":
        "nn.LinearCrossEntropyLoss nn.LinearCrossEntropyOptions nn.functional.linear_cross_entropy optim.swap_in_optimizer_params_and_state",
    "there are no sparse gradients here": "optim.SparseAdam",
    "pipes of data, which PyTorch has given up":
        """utils.data.argument_validation utils.data.functional_datapipe utils.data.guaranteed_datapipes_determinism
           utils.data.non_deterministic utils.data.runtime_validation utils.data.runtime_validation_disabled utils.data.DataChunk
           utils.data.DFIterDataPipe utils.data.IterDataPipe utils.data.MapDataPipe""",
    "a view of memory laid out anew, in place: as_strided says it without": "as_strided_",
    "factorisations that no program counted above uses":
        """linalg.cholesky_ex linalg.solve_ex linalg.inv_ex linalg.householder_product linalg.ldl_factor linalg.ldl_factor_ex
           linalg.ldl_solve linalg.lu linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve linalg.tensorinv linalg.tensorsolve
           linalg.vander""",
}
LEFT_OUT = {name: reason for reason, names in REASONS.items() for name in names.split()}

PROGRAMS = IN_FIFTY + IN_TWENTY + IN_TEN + IN_FIVE + IN_TWO + IN_ONE


def found(name, root):
    """What stands at a dotted path; AttributeError if nothing does."""
    for part in name.split("."):
        root = getattr(root, part)
    return root


def missing(names):
    """Those that are neither functions of minitorch nor methods of its tensors."""
    out = []
    for name in names:
        try:
            found(name, minitorch)
        except (AttributeError, ImportError):
            if not hasattr(minitorch.Tensor, name):
                out.append(name)
    return out


def test_the_names_that_programs_use_are_here():
    assert set(missing(PROGRAMS)) <= LEFT_OUT.keys()


def test_the_operators_are_here():
    assert set(missing(OPERATORS)) <= LEFT_OUT.keys()


def test_operators_are_methods_where_pytorchs_are():
    torch = pytest.importorskip("torch")
    lost = [name + end for name in OPERATORS for end in ("", "_")
            if hasattr(torch.Tensor, name + end) and not hasattr(minitorch.Tensor, name + end)]
    assert not set(lost) - LEFT_OUT.keys()


@pytest.mark.parametrize("place", ["nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler", "utils.data", "linalg"])
def test_public_names_of_a_module_are_here(place):
    torch = pytest.importorskip("torch")
    theirs, home = found(place, torch), f"torch.{place}".replace(".functional", "")
    public = [name for name, value in vars(theirs).items()
              if not name.startswith("_") and (inspect.isclass(value) or inspect.isroutine(value))
              and (value.__module__ or home).startswith((home, "torch._C"))]
    lost = {name for name in public if not hasattr(importlib.import_module("minitorch." + place), name)}
    assert not {f"{place}.{name}" for name in lost} - LEFT_OUT.keys()


def test_what_is_left_out_is_not_here():
    there = [name for name in LEFT_OUT if name not in missing([name])]
    assert not there
