"""Optimizer: Keras' manners around an optimizer of minitorch: no parameters until built, clipping, decay, schedules.

`rule(params)` makes the optimizer of minitorch that moves the parameters.  Its learning rate is set before each step, from the
schedule where there is one.
"""
import math

import minitorch as torch

from ..registry import Configured
from .schedules import LearningRateSchedule


class Rate(float):
    """A learning rate: a number with what Keras' programs ask of a variable."""

    def numpy(self):
        """The number."""
        return float(self)

    def assign(self, value):
        """Set the optimizer's learning rate."""
        self.owner.learning_rate = value


class Optimizer(Configured):
    """The base: learning_rate is a number, a schedule, or a function without arguments.

    weight_decay: before a step each weight shrinks by learning_rate * weight_decay of it.  clipnorm limits the norm of each
    gradient, global_clipnorm that of all together, clipvalue each number.  ValueError for more than one of them.
    """

    def __init__(self, learning_rate=0.01, weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None, use_ema=False,
                 ema_momentum=0.99, ema_overwrite_frequency=None, loss_scale_factor=None, gradient_accumulation_steps=None, name=None,
                 **kwargs):
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        for unsupported, value in (("use_ema", use_ema), ("loss_scale_factor", loss_scale_factor),
                                   ("gradient_accumulation_steps", gradient_accumulation_steps)):
            if value:
                raise NotImplementedError(f"{type(self).__name__}: {unsupported} is not supported")
        kwargs.pop("jit_compile", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(map(repr, kwargs))}")
        if sum(c is not None for c in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError("only one of clipnorm, clipvalue and global_clipnorm can be given")
        self.name, self.weight_decay = name or type(self).__name__.lower(), weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.iterations, self.inner, self.excluded, self._pending = 0, None, [], None
        self.learning_rate = learning_rate

    def rule(self, params):
        """The optimizer of minitorch that moves these parameters."""
        raise NotImplementedError(f"{type(self).__name__} needs a method rule(params)")

    def prepare(self, group):
        """Set options of the group that change with the step, which self.iterations counts from 0."""

    # ---- the rate ---------------------------------------------------------------------------------------

    @property
    def learning_rate(self):
        """The rate of the next step; may be set, unless a schedule decides it."""
        rate = self._rate
        rate = Rate(rate(self.iterations) if isinstance(rate, LearningRateSchedule) else rate() if callable(rate) else rate)
        rate.owner = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(getattr(self, "_rate", None), LearningRateSchedule) and not callable(value):
            raise TypeError("this optimizer was made with a schedule, which decides its learning rate: it cannot be set")
        if not callable(value):
            value = float(value)
            if not value >= 0:
                raise ValueError(f"the learning rate must be a number from 0 on, not {value}")
        self._rate = value

    lr = learning_rate

    # ---- steps ------------------------------------------------------------------------------------------

    def build(self, variables):
        """Take over the variables that are to be moved."""
        variables = list(variables)
        if not variables:
            raise ValueError("the model has no weights to train: every layer is frozen, or has none")
        self.params = variables
        self.inner = self.rule(variables)
        if self._pending is not None:
            self.inner.load_state_dict(self._pending)
            self._pending = None

    def apply(self, grads, trainable_variables=None):
        """One step along gradients, for the variables in the same order; a gradient that is None leaves its variable."""
        variables = self.params if trainable_variables is None else list(trainable_variables)
        if self.inner is None:
            self.build(variables)
        known = {id(p) for p in self.params}
        if not all(id(v) in known for v in variables):
            raise ValueError("the optimizer was built for other variables: a model whose layers were frozen, freed or added must be "
                             "compiled again")
        grads = self.clipped(list(grads))
        group = self.inner.param_groups[0]
        group["lr"] = float(self.learning_rate)
        self.prepare(group)
        with torch.no_grad():
            for p in self.params:
                p.grad = None
            for p, g in zip(variables, grads):
                p.grad = g
                if self.weight_decay and g is not None and not any(p is e for e in self.excluded):
                    p.mul_(1 - self.weight_decay * group["lr"])
            self.inner.step()
        self.iterations += 1

    def apply_gradients(self, grads_and_vars):
        """apply() for (gradient, variable) pairs."""
        grads, variables = zip(*grads_and_vars)
        self.apply(grads, variables)

    def clipped(self, grads):
        """The gradients within their limits."""
        def shortened(g, norm, limit):
            return g if g is None or norm <= limit else g * (limit / norm)

        def norm(g):
            return float(g.square().sum().sqrt())
        if self.clipnorm:
            return [None if g is None else shortened(g, norm(g), self.clipnorm) for g in grads]
        if self.global_clipnorm:
            whole = math.sqrt(sum(norm(g) ** 2 for g in grads if g is not None))
            return [shortened(g, whole, self.global_clipnorm) for g in grads]
        if self.clipvalue:
            return [None if g is None else g.clamp(-self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Leave these variables out of weight_decay."""
        if var_names:
            raise NotImplementedError("exclude_from_weight_decay takes var_list, the variables themselves")
        self.excluded += list(var_list or [])

    # ---- saving -----------------------------------------------------------------------------------------

    def state(self):
        """What load_state() takes: the number of steps, and the state of each parameter."""
        return {"iterations": self.iterations, "inner": None if self.inner is None else self.inner.state_dict()}

    def load_state(self, state):
        """Go on from what state() gave."""
        self.iterations = int(state["iterations"])
        if self.inner is None:
            self._pending = state["inner"]
        elif state["inner"] is not None:
            self.inner.load_state_dict(state["inner"])

    def get_config(self):
        config = super().get_config()
        if not callable(self._rate):
            config["learning_rate"] = self._rate
        return {k: v for k, v in config.items() if k != "lr"}
