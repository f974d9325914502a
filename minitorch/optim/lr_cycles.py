"""Schedules in cycles, for steps after every batch: triangles, and the one-cycle policy; momentum moves against the rate."""
import math
from types import FunctionType

from .lr_scheduler import LRScheduler, set_rate


def per_group(optimizer, value, name):
    """`value`, or a list with one for each parameter group, as such a list."""
    groups = optimizer.param_groups
    if not isinstance(value, (list, tuple)):
        return [value] * len(groups)
    if len(value) != len(groups):
        raise ValueError(f"expected {len(groups)} values for {name}, got {len(value)}")
    return list(value)


def momentum_of(group):
    return group["betas"][0] if "betas" in group else group["momentum"]


def set_momentum(group, value):
    """Set momentum, or Adam's first beta, which is one."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


class CyclicLR(LRScheduler):
    """lr rises from base_lr to max_lr in step_size_up steps and falls back in step_size_down, again and again (Smith 2015).

    mode: "triangular" keeps the height, "triangular2" halves it every cycle, "exp_range" multiplies it by gamma every step;
    scale_fn, of the cycle or of the step as scale_mode says ("cycle", "iterations"), replaces the mode.
    """

    def __init__(self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0, scale_fn=None,
                 scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1):
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, per_group(optimizer, base_lr, "base_lr")):
                set_rate(group, lr)
        self.max_lrs = per_group(optimizer, max_lr, "max_lr")
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_fn = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
                raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
            self.base_momentums = per_group(optimizer, base_momentum, "base_momentum")
            self.max_momentums = per_group(optimizer, max_momentum, "max_momentum")
            if last_epoch == -1:
                for group, base, top in zip(optimizer.param_groups, self.base_momentums, self.max_momentums):
                    set_momentum(group, top)
                    group["base_momentum"], group["max_momentum"] = base, top
        super().__init__(optimizer, last_epoch)
        self.base_lrs = per_group(optimizer, base_lr, "base_lr")

    def scale(self, x):
        """The height of a triangle, of the cycle or step that is `x`."""
        if self.scale_fn is not None:
            return self.scale_fn(x)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1), "exp_range": self.gamma ** x}[self.mode]

    def get_lr(self):
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, base, top in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                set_momentum(group, top - (top - base) * height)
        return [base + (top - base) * height for base, top in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self):
        """Everything but the optimizer and scale_fn; of that only the attributes of a callable object, under PyTorch's name."""
        attributes = dict(self.scale_fn.__dict__) if hasattr(self.scale_fn, "__dict__") and not isinstance(self.scale_fn, FunctionType) else None
        return {**{k: v for k, v in super().state_dict().items() if k != "scale_fn"}, "_scale_fn_custom": attributes}

    def load_state_dict(self, state_dict):
        """Go on from what state_dict() gave; scale_fn stays as it is."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if state_dict.get("_scale_fn_custom"):
            self.scale_fn.__dict__.update(state_dict["_scale_fn_custom"])


class OneCycleLR(LRScheduler):
    """lr rises from max_lr / div_factor to max_lr, then falls to the start divided by final_div_factor (Smith and Topin 2017).

    The length is total_steps, or epochs * steps_per_epoch; the rise takes the part pct_start of it. three_phase falls back to
    the start first, as fast as it rose. anneal_strategy: "cos" or "linear".
    """

    def __init__(self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3, anneal_strategy="cos",
                 cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, three_phase=False,
                 last_epoch=-1):
        given = {"total_steps": total_steps} if total_steps is not None else {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        for name, value in given.items():
            if value is None:
                raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"Expected positive integer {name}, but got {value}")
        self.total_steps = total_steps if total_steps is not None else epochs * steps_per_epoch
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        rise = float(pct_start * self.total_steps) - 1
        if three_phase:                              # (last step, from rate, to rate, from momentum, to momentum)
            self.phases = [(rise, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                           (2 * rise, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                           (self.total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
        else:
            self.phases = [(rise, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                           (self.total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        if cycle_momentum and "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        if last_epoch == -1:
            tops, bases = per_group(optimizer, max_momentum, "max_momentum"), per_group(optimizer, base_momentum, "base_momentum")
            for group, lr, base, top in zip(optimizer.param_groups, per_group(optimizer, max_lr, "max_lr"), bases, tops):
                group["initial_lr"], group["max_lr"] = lr / div_factor, lr
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    set_momentum(group, top)
                    group["max_momentum"], group["base_momentum"] = top, base
        super().__init__(optimizer, last_epoch)

    def between(self, start, end, part):
        """The value at `part` of the way from start to end."""
        if self.anneal_strategy == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    def get_lr(self):
        step, start = self.last_epoch, 0.0
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        phases = iter(self.phases)
        end, *keys = next(phases)
        while step > end and (phase := next(phases, None)):
            start, (end, *keys) = end, phase
        part, rates = (step - start) / (end - start), []
        for group in self.optimizer.param_groups:
            rates.append(self.between(group[keys[0]], group[keys[1]], part))
            if self.cycle_momentum:
                set_momentum(group, self.between(group[keys[2]], group[keys[3]], part))
        return rates
