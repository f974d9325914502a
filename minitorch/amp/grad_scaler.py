"""GradScaler: losses scaled up so that small 16-bit gradients do not vanish, gradients scaled back before the step."""
import math
import warnings

import numpy as np

from ..autograd.mode import no_grad
from ..backend import xp
from ..dtypes import F16
from ..tensor import Tensor

READY, UNSCALED, STEPPED = "ready", "unscaled", "stepped"


class GradScaler:
    """scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update().

    A step whose gradients are infinite or NaN is left out, and the scale multiplied by `backoff_factor`; after `growth_interval`
    steps without one it is multiplied by `growth_factor`.  AssertionError for factors that do not grow or do not shrink.
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
        self._device, self._enabled = device, enabled
        self._scale, self._growth_tracker = init_scale, 0
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self._used = False                           # whether anything was scaled yet
        self._states = {}                            # id of an optimizer -> (stage since the last update, whether gradients were not finite)

    def is_enabled(self):
        """Whether it scales at all."""
        return self._enabled

    def scale(self, outputs):
        """A tensor, or those of an iterable, times the scale; ValueError for anything else."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if not self._used:
                self._scale, self._used = float(np.float32(self._scale)), True       # in float32 from now on, as PyTorch's
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(o) for o in outputs])
        if not hasattr(outputs, "__iter__"):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        return map(self.scale, outputs)

    def _require_use(self, name):
        if not self._used:
            raise AssertionError(f"Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or outputs) "
                                 "earlier in the iteration.")

    def unscale_(self, optimizer):
        """Divide the gradients of the optimizer's parameters by the scale, once between two update().

        RuntimeError when called again or after step(), ValueError for float16 gradients: parameters stay in float32.
        """
        if not self._enabled:
            return
        self._require_use("unscale_")
        stage, _ = self._states.get(id(optimizer), (READY, None))
        if stage == UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage == STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(g.array.dtype == F16 for g in gradients):
            raise ValueError("Attempting to unscale FP16 gradients.")
        inverse, bad = float(np.float32(1 / self._scale)), None
        with no_grad():
            for g in gradients:
                bad = bool(bad) or not bool(xp(g.array).isfinite(g.array).all())
                g.mul_(inverse)
        self._states[id(optimizer)] = UNSCALED, bad

    def step(self, optimizer, *args, **kwargs):
        """optimizer.step(), its gradients unscaled first, unless one of them is infinite or NaN; returns its result, or None.

        RuntimeError for a closure, or when called twice between two update(); AssertionError where there is no gradient at all.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._require_use("step")
        stage, bad = self._states.get(id(optimizer), (READY, None))
        if stage == STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if stage == READY:
            self.unscale_(optimizer)
            stage, bad = self._states[id(optimizer)]
        if bad is None:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None if bad else optimizer.step(*args, **kwargs)
        self._states[id(optimizer)] = STEPPED, bad
        return result

    def update(self, new_scale=None):
        """Adapt the scale to what the steps since the last update() found, or set it to a number or a tensor of one element."""
        if not self._enabled:
            return
        self._require_use("update")
        found = [bad for _, bad in self._states.values() if bad is not None]
        if new_scale is not None:
            if isinstance(new_scale, Tensor) and (new_scale.array.size != 1 or new_scale.requires_grad):
                raise AssertionError("new_scale should be a float or a 1-element tensor with requires_grad=False.")
            self._scale = float(np.float32(float(new_scale)))
        elif not found:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif any(found):
            self._scale, self._growth_tracker = float(np.float32(self._scale * self._backoff_factor)), 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                with np.errstate(over="ignore"):
                    grown = float(np.float32(self._scale * self._growth_factor))
                self._scale, self._growth_tracker = grown if math.isfinite(grown) else self._scale, 0
        self._states = {}

    # ---- asked and set --------------------------------------------------------------------------------------

    def get_scale(self):
        """The scale; 1.0 where it is not enabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self):
        """What the scale is multiplied by after enough good steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Multiply the scale by this after enough good steps."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """What the scale is multiplied by after a bad step."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Multiply the scale by this after a bad step."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """How many good steps in a row let the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Let the scale grow after so many good steps in a row."""
        self._growth_interval = new_interval

    def state_dict(self):
        """Scale, factors and the count of good steps; {} where it is not enabled."""
        if not self._enabled:
            return {}
        return {"scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
                "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker}

    def load_state_dict(self, state_dict):
        """Go on from a state_dict(), of PyTorch's too; RuntimeError for an empty one."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler.")
        self._scale = float(np.float32(state_dict["scale"])) if self._used else state_dict["scale"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._growth_tracker = state_dict["growth_interval"], state_dict["_growth_tracker"]
