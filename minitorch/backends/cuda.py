"""The switches of PyTorch's CUDA backend: they can be set and read, and change nothing."""
import contextlib
from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=True, allow_bf16_reduced_precision_reduction=True)
sdp = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built():
    """Whether CuPy is there to compute on a GPU."""
    from ..cuda import is_available
    return is_available()


def switch(name):
    def enable(enabled):
        sdp[name] = bool(enabled)

    def enabled():
        return sdp[name]
    enable.__doc__ = f"Allow, or not, PyTorch's way {name!r} to compute attention."
    enabled.__doc__ = f"Whether PyTorch's way {name!r} to compute attention is allowed."
    return enable, enabled


enable_flash_sdp, flash_sdp_enabled = switch("flash")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = switch("mem_efficient")
enable_math_sdp, math_sdp_enabled = switch("math")
enable_cudnn_sdp, cudnn_sdp_enabled = switch("cudnn")


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Within this block the ways to compute attention are allowed as given."""
    before = dict(sdp)
    sdp.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield {}
    finally:
        sdp.update(before)
