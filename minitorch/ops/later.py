"""Ops that many programs do without: a file of them is read when one of its names is first asked for.

The names stand here by the place where users find them, as the homes of ops do; "Tensor" has the methods.
"""
import importlib

from ..autograd.op import HOMES
from ..tensor import Tensor

FILES = {
    "functional": {
        "adaptive": """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
                       lp_pool1d lp_pool2d lp_pool3d""",
        "attention": "scaled_dot_product_attention",
        "choices": "gumbel_softmax pdist",
        "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
        "cross_entropy": "binary_cross_entropy binary_cross_entropy_with_logits cross_entropy nll_loss",
        "ctc": "ctc_loss",
        "dropout": "alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout",
        "embedding": "embedding embedding_bag one_hot",
        "fold": "fold unfold",
        "grid": "affine_grid grid_sample",
        "linear": "bilinear linear",
        "loss": "gaussian_nll_loss huber_loss kl_div l1_loss mse_loss poisson_nll_loss smooth_l1_loss",
        "margin": """cosine_embedding_loss cosine_similarity hinge_embedding_loss margin_ranking_loss multi_margin_loss multilabel_margin_loss
                     multilabel_soft_margin_loss pairwise_distance soft_margin_loss triplet_margin_loss triplet_margin_with_distance_loss""",
        "multihead": "multi_head_attention_forward",
        "normalize": "batch_norm group_norm instance_norm layer_norm local_response_norm normalize rms_norm",
        "pixels": "channel_shuffle pixel_shuffle pixel_unshuffle",
        "pool": "avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d",
        "resample": "interpolate upsample upsample_bilinear upsample_nearest",
        "unpool": """adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices fractional_max_pool2d
                     fractional_max_pool2d_with_indices fractional_max_pool3d fractional_max_pool3d_with_indices max_pool1d_with_indices
                     max_pool2d_with_indices max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d""",
    },
    "linalg": {
        "decompose": "cholesky eigh eigvalsh pinv qr svd svdvals",
        "linalg": "det diagonal inv matrix_power slogdet solve solve_triangular",
        "matrix_exp": "matrix_exp",
        "matrix_norms": "cond lstsq matrix_norm matrix_rank",
        "vectors": "cross multi_dot vecdot",
    },
    "torch": {
        "adaptive": "adaptive_avg_pool1d",
        "choices": "pdist",
        "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
        "ctc": "ctc_loss",
        "decompose": "cholesky cholesky_inverse cholesky_solve pinverse",
        "dropout": "alpha_dropout dropout feature_alpha_dropout",
        "einsum": "einsum tensordot",
        "gamma": "digamma digamma_ lgamma lgamma_ polygamma",
        "linalg": "det inverse logdet matrix_power slogdet trace",
        "margin": "cosine_similarity pairwise_distance",
        "matrix_exp": "matrix_exp",
        "normalize": "layer_norm rms_norm",
        "pixels": "channel_shuffle pixel_shuffle pixel_unshuffle",
        "pool": "avg_pool1d max_pool1d max_pool2d max_pool3d",
        "put_into": "diagonal_scatter select_scatter slice_scatter",
        "recurrent": "gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell",
        "scatter_reduce": "scatter_reduce",
        "search": "bincount bucketize histc isin searchsorted",
        "seldom": "angle qr range resize_as_ svd unsafe_chunk unsafe_split",
        "sequence": "gru lstm rnn_relu rnn_tanh",
        "tapers": """bartlett_window blackman_window gcd gcd_ hamming_window hann_window isneginf isposinf isreal kaiser_window lcm
                     lcm_""",
        "trapezoids": "combinations corrcoef cov cumulative_trapezoid trapezoid trapz unravel_index vander",
        "vectors": "cdist chain_matmul cross renorm",
    },
    "Tensor": {
        "decompose": "cholesky cholesky_inverse cholesky_solve pinverse",
        "gamma": "digamma digamma_ lgamma lgamma_ polygamma polygamma_",
        "linalg": "det inverse logdet matrix_power slogdet trace",
        "matrix_exp": "matrix_exp",
        "put_into": "diagonal_scatter select_scatter slice_scatter",
        "scatter_reduce": "scatter_reduce scatter_reduce_",
        "search": "bincount histc",
        "seldom": "angle fill_diagonal_ qr resize_ resize_as_ svd unsafe_chunk unsafe_split",
        "tapers": "gcd gcd_ isneginf isposinf isreal lcm lcm_",
        "trapezoids": "corrcoef cov",
        "vectors": "cross renorm renorm_",
    },
}
WHERE = {home: {name: file for file, names in files.items() for name in names.split()} for home, files in FILES.items()}


def read(file):
    importlib.import_module(f"{__package__}.{file}")


def find(home, name):
    """The op of that name at `home`, its file read now; None where there is none."""
    file = WHERE[home].get(name)
    if file is None:
        return None
    read(file)
    return HOMES[home].get(name)


def method(name, file):
    """Stands for a method of tensors: its first call reads the file, which puts the method itself in this place.

    A Tensor.__getattr__ would do as well, but with one Python reads every attribute of a tensor the long way: 0.1 us more for each op.
    """
    def read_and_call(self, *args, **kw):
        read(file)
        return getattr(Tensor, name)(self, *args, **kw)
    read_and_call.__name__, read_and_call.__qualname__ = name, f"Tensor.{name}"
    return read_and_call


for _name, _file in WHERE["Tensor"].items():
    setattr(Tensor, _name, method(_name, _file))


def read_all():
    """Read every file: the op table is then complete."""
    for files in FILES.values():
        for file in files:
            read(file)
