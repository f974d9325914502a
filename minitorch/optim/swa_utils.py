"""Averages of a model's weights over training: stochastic weight averaging (Izmailov et al. 2018) and moving averages."""
import copy
import math
from itertools import chain

from .. import int64, no_grad, tensor
from ..nn import Module
from ..nn.normalization import BatchNorm
from .lr_scheduler import LRScheduler

__all__ = ["AveragedModel", "SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn"]


def get_ema_avg_fn(decay=0.999):
    """avg_fn for AveragedModel: decay * average + (1 - decay) * new. ValueError for a decay outside [0, 1]."""
    if not 0 <= decay <= 1:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    def ema_update(ema_param, current_param, num_averaged):
        with no_grad():
            return decay * ema_param + (1 - decay) * current_param
    return ema_update


def get_swa_avg_fn():
    """avg_fn for AveragedModel: the mean of all."""
    def swa_update(averaged_param, current_param, num_averaged):
        with no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)
    return swa_update


def over_lists(avg_fn):
    """A function of two lists of parameters that writes avg_fn of each pair into the first."""
    def update(averaged, current, num_averaged):
        with no_grad():
            for a, p in zip(averaged, current):
                a.copy_(avg_fn(a, p, num_averaged) if a.is_floating_point() else p)
    return update


def get_ema_multi_avg_fn(decay=0.999):
    """multi_avg_fn for AveragedModel: decay * average + (1 - decay) * new, of lists."""
    return over_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn():
    """multi_avg_fn for AveragedModel: the mean of all, of lists."""
    return over_lists(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of the model, under `.module`, whose parameters are averages of those that update_parameters() has seen.

    avg_fn(average, new, count) for each, or multi_avg_fn for lists; at first, and by default, their mean.
    use_buffers: buffers are averaged too; otherwise they are those of the last model seen.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model):
        """Take the present parameters of `model` into the average."""
        def members(m):
            return [t.detach() for t in (chain(m.parameters(), m.buffers()) if self.use_buffers else m.parameters())]
        averaged, current = members(self.module), [t.to(self.n_averaged.device) for t in members(model)]
        if int(self.n_averaged) == 0:
            for a, p in zip(averaged, current):
                a.copy_(p)
        elif self.avg_fn is not None:
            for a, p in zip(averaged, current):
                a.copy_(self.avg_fn(a, p, self.n_averaged))
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averaged, current, self.n_averaged)
        if not self.use_buffers:
            for a, b in zip(self.module.buffers(), model.buffers()):
                a.detach().copy_(b.detach())
        self.n_averaged += 1


def update_bn(loader, model, device=None):
    """Measure the statistics of all batch norms anew, as plain means over the batches of `loader`."""
    norms = [m for m in model.modules() if isinstance(m, BatchNorm)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    was_training = model.training
    model.train()
    with no_grad():
        for batch in loader:
            batch = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(batch if device is None else batch.to(device))
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Goes from each group's rate to `swa_lr` in anneal_epochs, along a cosine or a line, and stays there."""

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        rates = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(optimizer.param_groups)
        if len(rates) != len(optimizer.param_groups):
            raise ValueError(f"swa_lr must have the same length as optimizer.param_groups. swa_lr has {len(rates)}, optimizer.param_groups has "
                             f"{len(optimizer.param_groups)}.")
        for group, rate in zip(optimizer.param_groups, rates):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def share(self, step):
        """How much of the way has been gone after so many steps."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self):
        step = max(1, self._step_count - 1) if self.anneal_epochs == 0 else self._step_count - 1
        before, now = self.share(step - 1), self.share(step)
        rates = []
        for group in self.optimizer.param_groups:
            start = group["swa_lr"] if before == 1 else (group["lr"] - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates
