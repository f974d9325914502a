"""Names to objects and back: what makes a string such as "relu" mean a function, and a layer a piece of JSON.

An object with a configuration is written as {"module": "keras.layers", "class_name": "Dense", "config": {...}}.  Reading looks
the class up in the rooms of this package or among the classes that the program itself has registered; nothing else is
imported, and nothing that a file holds is executed.
"""
import contextlib
import difflib
import importlib
import inspect
import types

import numpy as np

from ..tensor import Tensor

ROOMS = ("layers", "models", "initializers", "regularizers", "constraints", "activations", "losses", "metrics", "optimizers",
         "optimizers.schedules")
registered = {}                            # "package>Name", and while a scope is open the name alone -> class or function


class Configured:
    """An object that knows the arguments it was made with: get_config() gives them, from_config() makes its equal."""

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        with contextlib.suppress(TypeError, ValueError):         # a wrong call is refused by __init__, in its own words
            object.__setattr__(self, "_arguments", arguments(cls, args, kwargs))
        return self

    def get_config(self):
        """The arguments this object was made with, in JSON's types."""
        return {name: serialize(value) for name, value in self.__dict__.get("_arguments", {}).items()}

    @classmethod
    def from_config(cls, config):
        """The object that get_config() described."""
        return cls(**{name: deserialize(value) for name, value in config.items()})


def arguments(cls, args, kwargs):
    """{name: value} of a call of the class, its defaults included."""
    bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)
    bound.apply_defaults()
    found, parameters = {}, bound.signature.parameters
    for name, value in list(bound.arguments.items())[1:]:
        if parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found.update(value)
        elif parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL:
            found[name] = value
    return found


# ---- names ------------------------------------------------------------------------------------------------

def named(kind, table, name):
    """table[name]; ValueError that lists what there is."""
    if name in table:
        return table[name]
    custom = custom_object(name)
    if custom is not None:
        return custom
    close = difflib.get_close_matches(str(name), [str(n) for n in table], 1)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    raise ValueError(f"unknown {kind} {name!r}{hint} There are: {', '.join(sorted(map(str, table)))}")


def resolver(kind, table, wanted="a name, a configuration or a function", base=None):
    """A function get(identifier) for one kind of object: None stays, a name is looked up, what can be called is taken."""
    def get(identifier):
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            return deserialize(identifier)
        if isinstance(identifier, str):
            identifier = named(kind, table, identifier)
        if inspect.isclass(identifier) and base is not None and issubclass(identifier, base):
            identifier = identifier()
        if not callable(identifier) and not (base is not None and isinstance(identifier, base)):
            raise TypeError(f"a {kind} is {wanted}, not {type(identifier).__name__}: {identifier!r}")
        return identifier
    get.__doc__ = f"The {kind} that a name, a configuration or an object stands for; None stays None."
    return get


def register_keras_serializable(package="Custom", name=None):
    """A decorator that lets load_model() find a class or function of your own, under "package>name"."""
    def enter(thing):
        registered[f"{package}>{name or thing.__name__}"] = thing
        thing._registered_name = f"{package}>{name or thing.__name__}"
        return thing
    return enter


@contextlib.contextmanager
def custom_object_scope(objects):
    """While the block runs, the names in `objects` mean these classes and functions."""
    before = dict(registered)
    registered.update(objects or {})
    try:
        yield
    finally:
        registered.clear()
        registered.update(before)


def custom_object(name):
    """The registered class or function of that name, or None."""
    if name in registered:
        return registered[name]
    return next((thing for key, thing in registered.items() if key.partition(">")[2] == name), None)


def get_custom_objects():
    """The table of registered classes and functions, which may be added to."""
    return registered


# ---- objects to JSON's types and back -----------------------------------------------------------------------

def room_of(thing):
    """The room of this package that a class or function is found in ("layers"), or None."""
    parts = (thing.__module__ or "").split(".")
    if parts[:2] != __name__.split(".")[:2]:
        return None
    rooms = [parts[2], *ROOMS] if len(parts) > 2 and parts[2] in ROOMS else ROOMS
    return next((room for room in rooms if getattr(importlib.import_module(f"{__package__}.{room}"), thing.__name__, None) is thing), None)


def serialize(x):
    """`x` in JSON's types. TypeError for what has neither a configuration nor a name."""
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (list, tuple)):
        return [serialize(v) for v in x]
    if isinstance(x, dict):
        return {k: serialize(v) for k, v in x.items()}
    if isinstance(x, (np.ndarray, Tensor)):
        array = np.asarray(x.detach().cpu().numpy() if isinstance(x, Tensor) else x)
        return {"class_name": "__array__", "config": {"dtype": array.dtype.name, "values": array.tolist()}}
    if isinstance(x, slice):
        return {"class_name": "__slice__", "config": [x.start, x.stop, x.step]}
    if x is Ellipsis:
        return {"class_name": "__ellipsis__", "config": None}
    if isinstance(x, types.FunctionType) or inspect.isclass(x) or inspect.isbuiltin(x):
        return {**whereabouts(x), "class_name": "function", "config": x.__name__}
    if hasattr(x, "get_config"):
        return {**whereabouts(type(x)), "class_name": type(x).__name__, "config": serialize(x.get_config())}
    if callable(x) and getattr(x, "__name__", None):
        return {**whereabouts(x), "class_name": "function", "config": x.__name__}
    raise TypeError(f"a {type(x).__name__} cannot be saved: it has no get_config()")


def whereabouts(thing):
    room = room_of(thing) if hasattr(thing, "__module__") else None
    if room is None:
        if getattr(thing, "__name__", "") == "<lambda>":
            raise TypeError("a lambda cannot be saved: give the function a name, and decorate it with "
                            "keras.utils.register_keras_serializable()")
        return {"module": None, "registered_name": getattr(thing, "_registered_name", thing.__name__)}
    return {"module": f"keras.{room}"}


def deserialize(x, custom_objects=None):
    """What serialize() was given. ValueError, naming it, for a class or function that is not known here."""
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize(x)
    if isinstance(x, (list, tuple)):
        return [deserialize(v) for v in x]
    if not isinstance(x, dict):
        return x
    if "class_name" not in x or "config" not in x:
        return {k: deserialize(v) for k, v in x.items()}
    name, config = x["class_name"], x["config"]
    if name == "__array__":
        return np.array(config["values"], config["dtype"])
    if name == "__slice__":
        return slice(*config)
    if name == "__ellipsis__":
        return Ellipsis
    thing = found(x.get("module"), x.get("registered_name"), config if name == "function" else name)
    return thing if name == "function" else thing.from_config(config)


def found(module, registered_name, name):
    """The class or function of that name: the program's own, or of the rooms of this package."""
    own = custom_object(registered_name) or custom_object(name)
    if own is not None:
        return own
    room = (module or "").removeprefix("keras.")
    for where in [room] if room in ROOMS else ROOMS:
        thing = getattr(importlib.import_module(f"{__package__}.{where}"), str(name), None)
        if callable(thing) and (inspect.isfunction(thing) or hasattr(thing, "from_config") or where == "activations"):
            return thing
    raise ValueError(f"unknown class or function {name!r}: pass load_model(..., custom_objects={{{name!r}: ...}}), or decorate "
                     "its definition with keras.utils.register_keras_serializable()")
