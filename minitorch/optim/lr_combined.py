"""Schedules made of others, one after the other or at once, and the one that looks at the loss."""
import bisect
import math

from .lr_scheduler import LRScheduler, plain, set_rate
from .optimizer import Optimizer


class Combined(LRScheduler):
    """A base for schedules made of others, whose states are saved with its own."""

    def state_dict(self):
        """Everything but the optimizer, with the state of every scheduler inside."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "_schedulers")}
        return {**state, "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict):
        """Go on from what state_dict() gave."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(state)


class SequentialLR(Combined):
    """schedulers[0] until epoch milestones[0], then schedulers[1] from its own epoch 0, and so on."""

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        if not schedulers:
            raise ValueError("SequentialLR expects at least one scheduler to be chained, but got no scheduler.")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"SequentialLR at index {i} should be a scheduler whose step() takes no loss, "
                                 f"but got {type(scheduler).__name__}")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR expects all schedulers to belong to the same optimizer, but got scheduler at index {i} "
                                 "of another")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError("SequentialLR expects number of schedulers provided to be one more than the number of milestone points, "
                             f"but got {len(schedulers)} schedulers and {len(milestones)} milestones")
        self.optimizer, self._schedulers, self._milestones = optimizer, schedulers, milestones
        self.last_epoch = last_epoch
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        for scheduler in schedulers:                 # take back the step that each took when it was made
            undo(scheduler)
        self._initial_step()

    def _initial_step(self):
        self.last_epoch += 1
        first = self._schedulers[bisect.bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self):
        """Set the rates of the next epoch."""
        self.last_epoch += 1
        i = bisect.bisect_right(self._milestones, self.last_epoch)
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            self.begin(self._schedulers[i])
        else:
            self._schedulers[i].step()
        self._last_lr = self._schedulers[i].get_last_lr()

    def begin(self, scheduler):
        """Start a schedule at its own epoch 0, from the initial rates."""
        if not isinstance(scheduler, Combined):
            scheduler.step(0)
            return
        for group in self.optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        scheduler._initial_step()


def undo(scheduler):
    """Take back one step of a schedule and of those inside it."""
    for inner in getattr(scheduler, "_schedulers", ()):
        undo(inner)
    if hasattr(scheduler, "last_epoch"):
        scheduler.last_epoch -= 1


class ChainedScheduler(Combined):
    """All schedulers at once: each step() steps every one, and their factors multiply."""

    def __init__(self, schedulers, optimizer=None):
        if not schedulers:
            raise ValueError("ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.")
        optimizer = optimizer or schedulers[0].optimizer
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"ChainedScheduler at index {i} should be a scheduler whose step() takes no loss, "
                                 f"but got {type(scheduler).__name__}")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"ChainedScheduler expects all schedulers to belong to the same optimizer, but got scheduler at index {i} "
                                 "of another")
        self.optimizer, self._schedulers = optimizer, schedulers
        self._last_lr = self.rates()

    def _initial_step(self):
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = self.rates()

    def step(self):
        """Step every scheduler."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self.rates()


class ReduceLROnPlateau(LRScheduler):
    """lr is multiplied by `factor` when the loss given to step() has not improved for more than `patience` epochs.

    mode: "min" for losses, "max" for scores. threshold: what counts as better, relative ("rel") or absolute ("abs").
    cooldown: epochs to wait after a reduction. min_lr: a bound for all groups, or one for each. eps: smaller changes are not made.
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0,
                 eps=1e-8):
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        groups = optimizer.param_groups
        if isinstance(min_lr, (list, tuple)) and len(min_lr) != len(groups):
            raise ValueError(f"expected {len(groups)} min_lrs, got {len(min_lr)}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * len(groups)
        self.last_epoch = 0
        self._last_lr = self.rates()
        self._reset()

    def _reset(self):
        self.best = math.inf if self.mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = 0

    def step(self, metrics, epoch=None):
        """Take note of an epoch's loss, and reduce the rates when it is time."""
        current = float(plain(metrics))
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self.rates()

    def reduce(self):
        missing = len(self.optimizer.param_groups) - len(self.min_lrs)
        if missing > 0 and self.default_min_lr is None:
            raise RuntimeError("The number of param groups in the `optimizer` differs from when `ReduceLROnPlateau` was initialized; "
                               "give min_lr as one number")
        for group, least in zip(self.optimizer.param_groups, self.min_lrs + [self.default_min_lr] * missing):
            old = plain(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                set_rate(group, new)

    @property
    def in_cooldown(self):
        """Whether the epochs after a reduction are still being waited out."""
        return self.cooldown_counter > 0

    def is_better(self, a, best):
        """Whether loss `a` improves on `best` by more than the threshold."""
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * a < sign * best * (1 - sign * self.threshold)
        return sign * a < sign * best - self.threshold
