"""GradScaler: losses scaled up so that small 16-bit gradients do not vanish, gradients scaled back before the step."""
import warnings

from ..autograd.mode import no_grad
from ..backend import xp


class GradScaler:
    """scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update().

    A step whose gradients are infinite or NaN is left out, and the scale multiplied by `backoff_factor`; after `growth_interval`
    steps without one it is multiplied by `growth_factor`.
    """

    def __init__(self, device="cuda", init_scale=2.0 ** 16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        if enabled and device == "cuda":
            from .. import cuda
            if not cuda.is_available():
                warnings.warn("GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
                enabled = False
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._enabled, self._scale, self._growth_tracker = enabled, float(init_scale), 0
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self.found = {}                              # id of an optimizer -> whether its gradients are not finite, since unscale_

    def is_enabled(self):
        """Whether it scales at all."""
        return self._enabled

    def scale(self, outputs):
        """A tensor, or those of a list or tuple, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(o) for o in outputs])
        return outputs * self._scale

    def unscale_(self, optimizer):
        """Divide the gradients of the optimizer's parameters by the scale; RuntimeError if that was done since the last update()."""
        if not self._enabled:
            return
        if id(optimizer) in self.found:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        bad = False
        with no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.mul_(1 / self._scale)
                        bad = bad or not bool(xp(p.grad.array).isfinite(p.grad.array).all())
        self.found[id(optimizer)] = bad

    def step(self, optimizer, *args, **kwargs):
        """optimizer.step(), its gradients unscaled first, unless one of them is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        if id(optimizer) not in self.found:
            self.unscale_(optimizer)
        return None if self.found[id(optimizer)] else optimizer.step(*args, **kwargs)

    def update(self, new_scale=None):
        """Adapt the scale to what the steps since the last update() found, or set it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self.found:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif any(self.found.values()):
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale, self._growth_tracker = self._scale * self._growth_factor, 0
        self.found = {}

    def get_scale(self):
        """The scale; 1.0 where it is not enabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self):
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        self._growth_interval = new_interval

    def state_dict(self):
        """Scale, factors and the count of good steps; {} where it is not enabled."""
        if not self._enabled:
            return {}
        return {"scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
                "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker}

    def load_state_dict(self, state_dict):
        """Go on from a state_dict()."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler.")
        for name, value in state_dict.items():
            setattr(self, name if name.startswith("_") else "_" + name, value)
