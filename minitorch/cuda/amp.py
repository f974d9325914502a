"""Mixed precision by its old names, for device "cuda"."""
import functools

from .. import amp
from ..dtypes import float16


class autocast(amp.autocast):
    """minitorch.amp.autocast("cuda", ...)."""

    def __init__(self, enabled=True, dtype=float16, cache_enabled=True):
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """minitorch.amp.GradScaler("cuda", ...)."""

    def __init__(self, init_scale=2.0 ** 16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


custom_fwd, custom_bwd = functools.partial(amp.custom_fwd, device_type="cuda"), functools.partial(amp.custom_bwd, device_type="cuda")
