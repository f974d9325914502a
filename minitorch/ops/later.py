"""Ops that few programs use: a file of them is read when one of its names is first asked for.

The names stand here by the place where users find them, as the homes of ops do.
"""
import importlib

from ..autograd.op import HOMES
from ..tensor import Tensor

FILES = {
    "functional": {
        "choices": "gumbel_softmax pdist",
        "ctc": "ctc_loss",
        "grid": "affine_grid grid_sample",
        "multihead": "multi_head_attention_forward",
        "resample": "interpolate upsample upsample_bilinear upsample_nearest",
        "unpool": """adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices
                     fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d fractional_max_pool3d_with_indices
                     max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d""",
    },
    "linalg": {
        "matrix_exp": "matrix_exp",
    },
    "torch": {
        "put_into": "diagonal_scatter select_scatter slice_scatter",
        "seldom": """angle qr range resize_as_ svd unsafe_chunk unsafe_split""",
        "tapers": """bartlett_window blackman_window gcd gcd_ hamming_window hann_window isneginf isposinf isreal kaiser_window lcm
                     lcm_""",
        "trapezoids": "combinations corrcoef cov cumulative_trapezoid trapezoid trapz unravel_index vander",
        "choices": "pdist",
        "ctc": "ctc_loss",
        "matrix_exp": "matrix_exp",
        "recurrent": "gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell",
        "sequence": "gru lstm rnn_relu rnn_tanh",
    },
}
WHERE = {home: {name: file for file, names in files.items() for name in names.split()} for home, files in FILES.items()}


def find(home, name):
    """The op of that name at `home`, its file read now; None where there is none."""
    file = WHERE[home].get(name)
    if file is None:
        return None
    importlib.import_module(f"{__package__}.{file}")
    return HOMES[home].get(name)


METHODS = {name: file for file, names in {
    "matrix_exp": "matrix_exp",
    "put_into": "diagonal_scatter select_scatter slice_scatter",
    "seldom": """angle fill_diagonal_ qr resize_ resize_as_ svd unsafe_chunk unsafe_split""",
    "tapers": "gcd gcd_ isneginf isposinf isreal lcm lcm_",
    "trapezoids": "corrcoef cov",
}.items() for name in names.split()}


def method(self, name):
    """A method of tensors whose file is read now: called for names that Tensor does not have."""
    if name in METHODS:
        importlib.import_module(f"{__package__}.{METHODS[name]}")
        return object.__getattribute__(self, name)
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


Tensor.__getattr__ = method


def read_all():
    """Read every file: the op table is then complete."""
    for files in FILES.values():
        for file in files:
            importlib.import_module(f"{__package__}.{file}")
