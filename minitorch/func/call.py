"""functional_call: a module with other parameters, for the length of one call."""
from ..tensor import Tensor


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """module(*args, **kwargs) with parameters and buffers replaced by the tensors of a dict, or of several without common names.

    args: a tuple, or the single argument.  A tensor that the module holds under several names is replaced under all of them
    (tie_weights).  strict: RuntimeError for a name that is missing or unknown; unknown names are ignored otherwise.
    """
    new = merged(parameter_and_buffer_dicts)
    places = {}                                      # name -> (table, key): where a parameter or buffer is kept
    for prefix, part in module.named_modules(remove_duplicate=False):
        for table in (part._parameters, part._buffers):
            for key, value in table.items():
                if value is not None:
                    places[f"{prefix}.{key}" if prefix else key] = (table, key)
    if strict:
        refuse(module, "Missing", [name for name in places if name not in new])
        refuse(module, "Unexpected", [name for name in new if name not in places])
    before = {name: table[key] for name, (table, key) in places.items()}
    replaced = {id(before[name]): new[name] for name in places if name in new} if tie_weights else {}
    for name, (table, key) in places.items():
        table[key] = new.get(name, replaced.get(id(before[name]), before[name]))
    try:
        return module(*(args if isinstance(args, tuple) else () if args is None else (args,)), **(kwargs or {}))
    finally:
        for name, (table, key) in places.items():
            if name in new:                          # a buffer that forward assigned anew
                owner = next(d for d in as_list(parameter_and_buffer_dicts) if name in d)
                owner[name] = table[key]
            table[key] = before[name]


def as_list(dicts):
    return [dicts] if isinstance(dicts, dict) else list(dicts)


def merged(dicts):
    """One dict of all names; ValueError for a name that stands in two."""
    if not isinstance(dicts, (dict, list, tuple)):
        raise ValueError(f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}")
    new = {}
    for d in as_list(dicts):
        if not isinstance(d, dict):
            raise ValueError(f"Expected all elements of parameter_and_buffer_dicts to be dictionaries, but got {type(d)}")
        twice = [name for name in d if name in new]
        if twice:
            raise ValueError(f"{twice} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        new.update(d)
    for name, value in new.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"functional_call: {name}: {value!r} is not an instance of minitorch.Tensor")
    return new


def refuse(module, what, names):
    if names:
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:\n\t{what} key(s): {', '.join(map(repr, names))}.")
