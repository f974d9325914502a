"""Schedules: a learning rate as a function of the number of steps done."""
import math

from ..registry import Configured


class LearningRateSchedule(Configured):
    """The base: __call__(step) gives the rate of the step that follows `step` others."""

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__} needs a __call__(step)")


def above(name, value):
    if value <= 0:
        raise ValueError(f"{name} must be above 0, not {value!r}")
    return value


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate^(step / decay_steps); staircase: of the whole part of the quotient."""

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        self.initial, self.steps, self.rate, self.staircase = initial_learning_rate, above("decay_steps", decay_steps), decay_rate, staircase

    def __call__(self, step):
        done = step / self.steps
        return self.initial * self.rate ** (math.floor(done) if self.staircase else done)


class InverseTimeDecay(ExponentialDecay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)."""

    def __call__(self, step):
        done = step / self.steps
        return self.initial / (1 + self.rate * (math.floor(done) if self.staircase else done))


class PolynomialDecay(LearningRateSchedule):
    """From initial_learning_rate to end_learning_rate in decay_steps, as (1 - step / decay_steps)^power; cycle: and again."""

    def __init__(self, initial_learning_rate, decay_steps, end_learning_rate=0.0001, power=1.0, cycle=False, name="PolynomialDecay"):
        self.initial, self.steps, self.end = initial_learning_rate, above("decay_steps", decay_steps), end_learning_rate
        self.power, self.cycle = power, cycle

    def __call__(self, step):
        steps = self.steps * max(1, math.ceil(step / self.steps)) if self.cycle else self.steps
        return (self.initial - self.end) * (1 - min(step, steps) / steps) ** self.power + self.end


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to and including step boundaries[i], the last value after all."""

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(f"PiecewiseConstantDecay: {len(boundaries)} boundaries need {len(boundaries) + 1} values, not {len(values)}")
        self.boundaries, self.values = boundaries, values

    def __call__(self, step):
        return next((v for b, v in zip(self.boundaries, self.values) if step <= b), self.values[-1])


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from initial_learning_rate to alpha of it in decay_steps (Loshchilov & Hutter 2016).

    warmup_target: first, in warmup_steps, straight up to this rate, from which the wave then goes down.
    """

    def __init__(self, initial_learning_rate, decay_steps, alpha=0.0, name="CosineDecay", warmup_target=None, warmup_steps=0):
        self.initial, self.steps, self.alpha = initial_learning_rate, above("decay_steps", decay_steps), alpha
        self.target, self.warmup = warmup_target, warmup_steps

    def __call__(self, step):
        top = self.initial
        if self.target is not None:
            top = self.target
            if step < self.warmup:
                return self.initial + (self.target - self.initial) * step / self.warmup
            step -= self.warmup
        wave = 0.5 * (1 + math.cos(math.pi * min(step, self.steps) / self.steps))
        return top * ((1 - self.alpha) * wave + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosine waves one after another, each t_mul times as long and m_mul times as high as the last."""

    def __init__(self, initial_learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0, name="SGDRDecay"):
        self.initial, self.first, self.alpha = initial_learning_rate, above("first_decay_steps", first_decay_steps), alpha
        self.t_mul, self.m_mul = t_mul, m_mul

    def __call__(self, step):
        done, high = step / self.first, 1.0
        length = 1.0
        while done >= length:
            done -= length
            length *= self.t_mul
            high *= self.m_mul
        wave = 0.5 * high * (1 + math.cos(math.pi * done / length))
        return self.initial * ((1 - self.alpha) * wave + self.alpha)
