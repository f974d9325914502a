"""Files: a model as one zip archive of JSON and weights, or its weights alone; reading executes nothing.

    metadata.json              the format and its version
    config.json                the model's configuration, what compile() was given, the shapes of its inputs
    model.weights.pt           the weights by name, and the optimizer's state, as minitorch's save() writes them
"""
import contextlib
import io
import json
import os
import warnings
import zipfile

import minitorch as torch

from ...serialization import replacing
from ...tensor import Tensor
from ..registry import deserialize, serialize
from ..variable import shown
from ..version import FORMAT
from .model import check_built, zeros_like_signature

WEIGHTS = "model.weights.pt"


def named_weights(model):
    """{path: weight} in the order of model.weights."""
    paths, seen = {}, set()

    def visit(module, path):
        if id(module) in seen:
            return
        seen.add(id(module))
        for name, w in (*module._parameters.items(), *module._buffers.items()):
            if w is not None and id(w) not in seen:
                seen.add(id(w))
                plain = key = "/".join([*path, name])
                count = 1
                while key in paths:
                    count += 1
                    key = f"{plain}_{count}"
                paths[key] = w
        for name, child in module._modules.items():
            if child is not None:
                visit(child, [*path, getattr(child, "name", name)])
    model._flatten()
    visit(model, [])
    return paths


def target(filepath, overwrite):
    path = os.fspath(filepath)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder: give the name of a file, such as model.keras")
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists already; overwrite=True replaces it")
    return path


def save_weights(model, filepath, overwrite=True):
    check_built(model, "save_weights()")
    torch.save({name: w.detach() for name, w in named_weights(model).items()}, target(filepath, overwrite))


def load_weights(model, filepath, skip_mismatch=False):
    path = os.fspath(filepath)
    if is_model(path):
        with opened(path) as archive:
            found = torch.load(io.BytesIO(archive.read(WEIGHTS)), weights_only=True)["weights"]
    else:
        found = torch.load(path, weights_only=True)
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise ValueError(f"{path} does not hold a model's weights")
    check_built(model, "load_weights()")
    put(model, found, path, skip_mismatch)


def is_model(path):
    """Whether a file is a whole model, rather than weights alone, which are an archive too."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name in ("config.json", "model.weights.h5") for name in archive.namelist())


def put(model, found, path, skip_mismatch=False):
    """Copy weights from the file into the model, in order. ValueError, all that differs named, where they do not fit."""
    own = named_weights(model)
    if len(own) != len(found) and not skip_mismatch:
        raise ValueError(f'{path} holds {len(found)} weights, but model "{model.name}" has {len(own)}: it was saved from another model')
    wrong = [f"{mine} has {shown(w.shape)}, {theirs} in the file {shown(t.shape)}"
             for (mine, w), (theirs, t) in zip(own.items(), found.items()) if w.shape != t.shape]
    if wrong and not skip_mismatch:
        raise ValueError(f"the weights in {path} do not fit: {'; '.join(wrong[:5])}{' ...' if len(wrong) > 5 else ''}")
    with torch.no_grad():
        for w, t in zip(own.values(), found.values()):
            if w.shape == t.shape:
                w.copy_(t)


def save_model(model, filepath, overwrite=True, include_optimizer=True, **kwargs):
    """Write `model` as one file, which load_model() reads. TypeError for layers that hold what no file can, such as a lambda."""
    if kwargs.pop("save_format", "keras") not in ("keras", None) or kwargs:
        raise TypeError(f"save(): unknown arguments {', '.join(kwargs) or 'save_format'}: there is one format, minitorch's own")
    path = target(filepath, overwrite)
    check_built(model, "save()")
    compiled = None
    if model.compiled:
        try:
            compiled = serialize(model.get_compile_config())
        except TypeError as error:
            warnings.warn(f"what compile() was given is not saved: {error}", stacklevel=3)
    config = {"model": serialize(model), "compile": compiled, "signature": model._signature}
    state = model.optimizer.state() if include_optimizer and model.compiled and compiled is not None else None
    weights = io.BytesIO()
    torch.save({"weights": {name: w.detach() for name, w in named_weights(model).items()}, "optimizer": state}, weights)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("metadata.json", json.dumps(FORMAT))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr(WEIGHTS, weights.getvalue())


@contextlib.contextmanager
def opened(path):
    """The archive; RuntimeError, naming the file, for one that is damaged or of another program."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "model.weights.h5" in names:
                raise NotImplementedError(f"{path} was written by Keras itself: its weights are in HDF5, which is not read here. There, "
                                          "numpy.savez(file, *model.get_weights()) writes what set_weights() takes here")
            if not {"config.json", WEIGHTS} <= names:
                raise RuntimeError(f"{path} is a zip archive, but holds no model")
            yield archive
    except zipfile.BadZipFile as error:
        raise RuntimeError(f"{path} is damaged or no saved model: {error}") from None


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """The model that save() wrote, compiled as it was, with its optimizer where that stood.

    custom_objects: {name: class or function} for those of your own that are not registered.  Nothing in the file is executed.
    """
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise FileNotFoundError(f"load_model: there is no file {path}")
    with opened(path) as archive:
        try:
            config = json.loads(archive.read("config.json"))
        except ValueError as error:
            raise RuntimeError(f"{path} is damaged: {error}") from None
        data = torch.load(io.BytesIO(archive.read(WEIGHTS)), weights_only=True)
    model = deserialize(config["model"], custom_objects)
    if not model.weights and config["signature"] is not None:
        with torch.no_grad():
            model(zeros_like_signature(config["signature"]))
    put(model, data["weights"], path)
    if compile and config["compile"] is not None:
        model.compile(**deserialize(config["compile"], custom_objects))
        if data["optimizer"] is not None:
            model.optimizer.load_state(data["optimizer"])
    return model
