"""Optimizer: groups of parameters with their options, the state of each parameter, and how both are saved.

A subclass says in `update` how one parameter moves.  It works on plain arrays, in place and outside the graph,
in blocks that stay in the processor's cache.
"""
import collections
import copy
import functools
import importlib
import itertools
import warnings

import numpy as np

from .. import backend, dtypes, threads
from ..autograd import loops
from ..autograd.engine import RemovableHandle
from ..autograd.mode import enable_grad
from ..blas import place
from ..ops.from_data import from_dlpack
from ..tensor import Tensor, wrap

BLOCK = 1 << 17                            # elements that a step works on at a time
WORTH = 1 << 17                            # elements that are worth another thread
UNIT = 1 << 14                             # elements of the smallest block of a parameter with more: each is rounded alike, whoever moves it
SCALARS = {"step", "mu_product", "eta", "mu"}          # state that is one number for a whole parameter


def counted(step):
    """A subclass's step() with the hooks around it, and a mark that schedulers look for."""
    @functools.wraps(step)
    def method(self, *args, **kwargs):
        for hook in list(self.hooks["step_pre"].values()):
            answer = hook(self, args, kwargs)
            if answer is not None:
                args, kwargs = answer
        loss = step(self, *args, **kwargs)
        self._opt_called = True
        for hook in list(self.hooks["step_post"].values()):
            hook(self, args, kwargs)
        return loss
    return method


class Optimizer:
    """Moves parameters along their gradients.

    params: tensors, or (name, tensor) pairs, or dicts {"params": tensors, option: value, ...}, one for each group.
    defaults: the options of groups that do not say otherwise.
    TypeError for what is no tensor, ValueError for no parameters, tensors that an op made, and groups that overlap.
    """

    def __init__(self, params, defaults):
        if defaults.get("fused") and defaults.get("differentiable"):
            raise RuntimeError("`fused` does not support `differentiable`")
        if defaults.get("fused") and defaults.get("foreach"):
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        self.defaults = defaults
        self.state = collections.defaultdict(dict)           # parameter -> {name: Tensor or number}
        self.param_groups = []
        self.hooks = collections.defaultdict(dict)           # place -> {number: hook}
        self.waiting = []                                    # what by_blocks puts off
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, "
                            f"but got {type(params).__name__}")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = counted(cls.step)

    def add_param_group(self, param_group):
        """One more group: {"params": tensors, option: value, ...}; options left out take the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                            "will change between runs. Please use a list instead.")
        params = [params] if isinstance(params, Tensor) else list(params)
        named = bool(params) and isinstance(params[0], tuple)
        if self.param_groups and named != ("param_names" in self.param_groups[0]):
            raise ValueError("all optimizer param groups should be with/without names.")
        if named:
            param_group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(p) for p in params}) < len(params):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        if {id(p) for p in params} & {id(p) for g in self.param_groups for p in g["params"]}:
            raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = params
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    # ---- steps ------------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none=True):
        """Forget all gradients: make them None, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                else:
                    if p.grad.requires_grad:
                        p.grad = p.grad.detach()
                    p.grad.array[...] = 0
                    p.grad.counter[0] += 1

    @counted
    def step(self, closure=None):
        """Move every parameter that has a gradient. closure: computes the loss again and its gradients; its result is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            try:
                if not (params and self.move_together(params, group)):
                    for p in params:
                        self.move(p, group)
            finally:
                self.move_blocks()
        return loss

    def move_together(self, params, group):
        """Move all these parameters of a group at once, if the subclass can; whether it did."""
        return False

    def move(self, p, group):
        """update() for parameter `p`: 16-bit parameters and their state in float32, rounded once at the end."""
        x, g, state = p.array, p.grad.array, self.state.get(p, {})
        if not dtypes.is_half(x.dtype):
            self.update(x, g, state, group)
        else:
            wide = {k: wrap(v.array.astype(dtypes.F32)) if k not in SCALARS else v for k, v in state.items()}
            wide_x = x.astype(dtypes.F32)
            self.update(wide_x, g.astype(dtypes.F32), wide, group)
            self.move_blocks()
            x[...] = wide_x
            for k, v in wide.items():
                state[k] = wrap(v.array.astype(x.dtype)) if k not in SCALARS else v
        if state:
            self.state[p] = state
        p.counter[0] += 1

    def update(self, param, grad, state, group):
        """Change array `param` by its gradient, the tensors in `state` (empty at first) and the options of `group`."""
        raise NotImplementedError

    def by_blocks(self, move, *arrays):
        """move(*block) for the blocks of the arrays, at the end of the step: the threads share those of all parameters."""
        if all([type(a) is np.ndarray and a.flags.c_contiguous for a in arrays]):
            self.waiting.append((move, [a.reshape(-1) for a in arrays]))
        else:
            move(*arrays)

    def move_blocks(self):
        """What by_blocks has put off."""
        waiting, self.waiting = self.waiting, []
        ends, block = list(itertools.accumulate([lines[0].size for _, lines in waiting])), BLOCK * min(2, threads.get_num_threads())

        def part(start, stop):
            for end, (move, lines) in zip(ends, waiting):
                n = lines[0].size
                first, last = cut(start - end + n, n), cut(stop - end + n, n)
                while first < last:
                    after = last if last - first < block + UNIT else first + block
                    move(*[a[first:after] for a in lines])
                    first = after
        if waiting:
            several = ends[-1] >= 2 * WORTH and apart([lines[0] for _, lines in waiting])
            threads.run(part, ends[-1], least=WORTH if several else ends[-1])

    # ---- saving -------------------------------------------------------------------------------------------

    def state_dict(self):
        """{"state": {number of the parameter: its state}, "param_groups": [options and parameter numbers]}, as PyTorch's."""
        for hook in list(self.hooks["state_dict_pre"].values()):
            hook(self)
        number = {}
        for p in itertools.chain.from_iterable(g["params"] for g in self.param_groups):
            number.setdefault(id(p), len(number))
        groups = [{**{k: v for k, v in g.items() if k != "params"}, "params": [number[id(p)] for p in g["params"]]}
                  for g in self.param_groups]
        result = {"state": {number[id(p)] if isinstance(p, Tensor) else p: s for p, s in self.state.items()}, "param_groups": groups}
        for hook in list(self.hooks["state_dict_post"].values()):
            answer = hook(self, result)
            result = result if answer is None else answer
        return result

    def load_state_dict(self, state_dict):
        """Take over what state_dict() gave, here or in PyTorch, as a copy. ValueError where the groups differ in number or size."""
        state_dict = dict(state_dict)
        for hook in list(self.hooks["load_pre"].values()):
            answer = hook(self, state_dict)
            state_dict = state_dict if answer is None else answer
        groups, saved = self.param_groups, copy.deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved):
            raise ValueError(f"loaded state dict has a different number of parameter groups: {len(saved)} where the optimizer has "
                             f"{len(groups)}")
        owner = {}
        for ours, theirs in zip(groups, saved):
            if len(ours["params"]) != len(theirs["params"]):
                raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                                 f"{len(theirs['params'])} parameters where the optimizer has {len(ours['params'])}")
            owner.update(zip(theirs["params"], ours["params"]))
        self.state = collections.defaultdict(dict)
        for key, values in state_dict["state"].items():
            if key in owner:
                self.state[owner[key]] = {name: fitted(value, owner[key], name) for name, value in values.items()}
            else:
                self.state[key] = values
        for ours, theirs in zip(groups, saved):
            ours.update({k: v for k, v in theirs.items() if k != "params" and (k != "param_names" or k in ours)})
        for hook in list(self.hooks["load_post"].values()):
            hook(self)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.waiting = []
        self.__dict__.update(state)
        self.__dict__.setdefault("hooks", collections.defaultdict(dict))

    def __repr__(self):
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # ---- hooks --------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook):
        """Call hook(optimizer, args, kwargs) before each step; it may return other (args, kwargs)."""
        return RemovableHandle(self.hooks["step_pre"], hook)

    def register_step_post_hook(self, hook):
        """Call hook(optimizer, args, kwargs) after each step."""
        return RemovableHandle(self.hooks["step_post"], hook)

    def register_state_dict_pre_hook(self, hook):
        """Call hook(optimizer) before state_dict()."""
        return RemovableHandle(self.hooks["state_dict_pre"], hook)

    def register_state_dict_post_hook(self, hook):
        """Call hook(optimizer, state_dict) after state_dict(); it may return another."""
        return RemovableHandle(self.hooks["state_dict_post"], hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Call hook(optimizer, state_dict) before load_state_dict(); it may return another."""
        return RemovableHandle(self.hooks["load_pre"], hook)

    def register_load_state_dict_post_hook(self, hook):
        """Call hook(optimizer) after load_state_dict()."""
        return RemovableHandle(self.hooks["load_post"], hook)


def fitted(value, p, name):
    """A copy of a loaded state value: tensors in the dtype and place of parameter `p`, but the count of steps as it is."""
    if isinstance(value, dict):
        return {k: fitted(v, p, name) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([fitted(v, p, name) for v in value])
    if not isinstance(value, Tensor):
        if isinstance(value, (int, float, str, bool)) or value is None or not hasattr(value, "__dlpack__"):
            return copy.deepcopy(value)
        array = from_dlpack(value).array             # another library's tensor
    else:
        array = value.array
    if name == "step":
        return wrap(backend.to_numpy(array).astype(dtypes.F32))
    array = backend.move(array, p.device)
    return wrap(backend.xp(array).array(array, dtype=p.array.dtype if dtypes.is_float(p.array.dtype) else None))


# ---- for update() -----------------------------------------------------------------------------------------

def require(condition, message):
    """ValueError(message) unless the condition holds."""
    if not condition:
        raise ValueError(message)


def buffer(state, name, x, value=0.0):
    """The array that `state` keeps under `name` for parameter `x`; at first filled with `value`."""
    if name not in state:
        state[name] = wrap(backend.xp(x).full_like(x, value))
    return state[name].array


def next_step(state):
    """Count one more step in state["step"] (a 0-d float32 tensor, as in PyTorch) and return the count."""
    if "step" not in state:
        state["step"] = wrap(np.zeros((), dtypes.F32))
    elif not isinstance(state["step"], Tensor):
        state["step"] = wrap(np.array(state["step"], dtypes.F32))
    state["step"].array += 1
    return float(state["step"].array)


def number(option):
    """An option as a Python number: learning rates may be tensors of one element; ValueError for more."""
    if not isinstance(option, Tensor):
        return option
    require(option.array.size == 1, "Tensor lr must be 1-element")
    return option.array.item()


def apart(arrays):
    """Whether no two of some contiguous NumPy arrays overlap in memory: then threads may write to them side by side."""
    spans = sorted([(place(x), x.nbytes) for x in arrays])
    return all([a + n <= b for (a, n), (b, _) in itertools.pairwise(spans)])


def cut(i, n):
    """Where range(n) is cut near i: at a multiple of UNIT, or at an end, with no shorter piece beside it."""
    if not 0 < i < n:
        return 0 if i <= 0 else n
    i -= i % UNIT
    return i if n - i >= UNIT or i == 0 else n


def loops_for(*arrays, least=4096):
    """minitorch.loops.optim where its loops take these arrays, of a parameter, its gradient and its state; else None."""
    x = arrays[0]
    if not loops.wanted(x, least) or not all(type(a) is np.ndarray and a.dtype is x.dtype and a.flags.c_contiguous for a in arrays):
        return None
    return importlib.import_module("minitorch.loops.optim")


def ascent_removed(x, g, group):
    """The gradient to descend along: turned around to maximize, with the weight decay of the L2 penalty. Never `g` changed in place."""
    if group.get("maximize"):
        g = -g
    decay = number(group["weight_decay"])
    if decay:
        g = g + decay * x
    return g
