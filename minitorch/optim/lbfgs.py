"""L-BFGS: quasi-Newton steps from the last few changes of position and gradient, with a strong-Wolfe line search.

Nocedal and Wright, Numerical Optimization, algorithms 7.4 (directions) and 3.5, 3.6 (line search); the interpolation
and its safeguards follow Schmidt's minFunc, as PyTorch's do.
"""
from typing import NamedTuple

import numpy as np

from ..autograd.mode import enable_grad
from ..backend import xp
from ..tensor import wrap
from .optimizer import Optimizer, number, require

ARMIJO, CURVATURE = 1e-4, 0.9              # c1 and c2 of the strong Wolfe conditions
SEARCH_STEPS = 25


class LBFGS(Optimizer):
    """Each step(closure) runs up to max_iter quasi-Newton iterations, calling closure again for each; one parameter group only.

    line_search_fn: None takes steps of length lr, "strong_wolfe" searches each step's length.
    """

    def __init__(self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
                 line_search_fn=None):
        require(number(lr) >= 0, f"Invalid learning rate: {lr}")
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, dict(lr=lr, max_iter=max_iter, max_eval=max_eval, tolerance_grad=tolerance_grad,
                                      tolerance_change=tolerance_change, history_size=history_size, line_search_fn=line_search_fn))
        require(len(self.param_groups) == 1, "LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure):
        """One run of the method; returns the loss at its start."""
        group, = self.param_groups
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        closure = enable_grad()(closure)
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        lr, evaluations = number(group["lr"]), 1
        first_loss = closure()
        loss, g = float(first_loss.detach().array), self.flat_gradient()
        state["func_evals"] += 1
        if abs(g).max() <= group["tolerance_grad"]:
            return first_loss
        for i in range(group["max_iter"]):
            state["n_iter"] += 1
            d = self.direction(g, state, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = wrap(g.copy()), loss
            t = min(1.0, 1.0 / float(abs(g).sum())) * lr if state["n_iter"] == 1 else lr
            slope = float(g @ d)
            state["d"], state["t"] = wrap(d), t
            if slope > -group["tolerance_change"]:
                break
            last, calls, before = i == group["max_iter"] - 1, 0, loss
            if group["line_search_fn"]:
                start = [p.array.copy() for p in group["params"]]

                def look(t, d=d, start=start):
                    self.place(start, t, d)
                    f, g = float(closure().detach().array), self.flat_gradient()
                    return Point(t, f, g, float(g @ d))
                found, calls = strong_wolfe(look, Point(0.0, loss, g, slope), t, float(abs(d).max()))
                t, loss, g = found.t, found.f, found.g
                self.place(start, t, d)
            else:
                self.place([p.array for p in group["params"]], t, d)
                if not last:
                    loss, g, calls = float(closure().detach().array), self.flat_gradient(), 1
            state["t"] = t
            evaluations += calls
            state["func_evals"] += calls
            if last or evaluations >= group["max_eval"] or abs(g).max() <= group["tolerance_grad"] \
                    or abs(d * t).max() <= group["tolerance_change"] or abs(loss - before) < group["tolerance_change"]:
                break
        return first_loss

    def direction(self, g, state, history):
        """Minus the gradient times the inverse Hessian that the remembered changes describe."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"].array, state["d"].array * state["t"]
        ys = y @ s
        if ys > 1e-10:
            if len(changes) == history:
                changes.pop(0), steps.pop(0), ro.pop(0)
            changes.append(wrap(y))
            steps.append(wrap(s))
            ro.append(wrap(np.asarray(1 / ys)))
            state["H_diag"] = wrap(np.asarray(ys / (y @ y)))
        remembered = [(y.array, s.array, float(r.array)) for y, s, r in zip(changes, steps, ro)]
        d, al = -g, state.setdefault("al", [None] * history)         # "al" is PyTorch's name for the weights of the way down
        for i in reversed(range(len(remembered))):
            y, s, r = remembered[i]
            al[i] = float(s @ d) * r
            d -= al[i] * y
        d *= float(number(state["H_diag"]))
        for (y, s, r), a in zip(remembered, al):
            d += (a - float(y @ d) * r) * s
        return d

    def flat_gradient(self):
        """All gradients in one array, zeros where there is none."""
        params = self.param_groups[0]["params"]
        library = xp(params[0].array)
        g = [library.zeros(p.array.size, p.array.dtype) if p.grad is None else p.grad.array.reshape(-1) for p in params]
        return library.concatenate(g)

    def place(self, start, t, d):
        """Parameters = start + t * d."""
        at = 0
        for p, x in zip(self.param_groups[0]["params"], start):
            p.array[...] = x + (t * d[at:at + x.size]).reshape(x.shape)
            p.counter[0] += 1
            at += x.size


class Point(NamedTuple):
    """A place on the line: step length, loss, gradient, slope along the line."""
    t: float
    f: float
    g: object
    slope: float


def lowest_of_cubic(a, b, bounds=None):
    """Where the cubic through two points with their slopes is lowest, within `bounds` (None: between the points)."""
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return (low + high) / 2
    if a.t > b.t:
        a, b = b, a
    d2 = square ** 0.5
    return min(max(b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2), low), high)


def strong_wolfe(look, start, t, size, tolerance=1e-9):
    """(a point with enough descent and a flat enough slope, how many points were looked at)."""
    before, now, calls = start, look(t), 1
    for count in range(SEARCH_STEPS):
        if now.f > start.f + ARMIJO * now.t * start.slope or count > 1 and now.f >= before.f or \
                abs(now.slope) > -CURVATURE * start.slope and now.slope >= 0:
            bracket = [before, now]                  # the wanted point lies between these
            break
        if abs(now.slope) <= -CURVATURE * start.slope:
            return now, calls
        t = lowest_of_cubic(before, now, (now.t + 0.01 * (now.t - before.t), now.t * 10))
        before, now = now, look(t)
        calls += 1
    else:
        count, bracket = SEARCH_STEPS, [start, now]
    stuck = False
    while count < SEARCH_STEPS and abs(bracket[1].t - bracket[0].t) * size >= tolerance:
        low, high = sorted(bracket, key=lambda p: p.f)               # low: the better one
        t = lowest_of_cubic(*bracket)
        left, right = sorted(p.t for p in bracket)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:        # too near an end: once is allowed, twice is no progress
            if stuck or t >= right or t <= left:
                t, stuck = (right - margin if abs(t - right) < abs(t - left) else left + margin), False
            else:
                stuck = True
        else:
            stuck = False
        now = look(t)
        calls, count = calls + 1, count + 1
        if now.f > start.f + ARMIJO * t * start.slope or now.f >= low.f:
            bracket[bracket.index(high)] = now
        else:
            if abs(now.slope) <= -CURVATURE * start.slope:
                return now, calls
            i, j = bracket.index(low), bracket.index(high)
            if now.slope * (high.t - low.t) >= 0:
                bracket[j] = low
            bracket[i] = now
    return min(bracket, key=lambda p: p.f), calls
