"""PretrainedModel: a module made from a Config, with weights that are read and written as Hugging Face's libraries do.

A folder holds config.json and the weights: model.safetensors or pytorch_model.bin, or several of these files and an index
that says which tensor is where.  A model is a base (BertModel), or a base with a head (BertForMaskedLM), whose
base's tensors have a prefix ("bert."); files of either kind load into models of either kind.
"""
import json
import re
import warnings
from pathlib import Path

from .. import serialization
from ..nn import init
from ..nn.conv import Conv2d
from ..nn.embedding import Embedding
from ..nn.linear import Linear
from ..nn.module import Module


class PretrainedModel(Module):
    """Base of all models here: `config`, fresh weights, from_pretrained and save_pretrained."""

    config_class: type
    base_model_prefix = ""                           # the attribute of models with a head that holds the base
    tied: dict[str, str] = {}                        # {name: name of the parameter that it is}, under config.tie_word_embeddings
    ignored = r"$^"                                  # names in files that are no parameters: constants of older versions
    renamed: dict[str, str] = {}                     # {pattern: replacement} of older versions' names

    def __init__(self, config):
        if not isinstance(config, self.config_class):
            raise TypeError(f"{type(self).__name__}() wants a {self.config_class.__name__}, not {type(config).__name__}")
        super().__init__()
        self.config = config

    # ---- fresh weights ------------------------------------------------------------------------------------------

    def post_init(self):
        """Draw the weights and tie those that are one: each model's constructor ends with it."""
        for child in self.children():
            if not isinstance(child, PretrainedModel):           # which has drawn its own
                child.apply(self._init_weights)
        self.tie_weights()

    def _init_weights(self, module):
        """Draw the weights of one part: from N(0, initializer_range), biases and the padding's row zero."""
        if isinstance(module, (Linear, Embedding, Conv2d)):
            init.normal_(module.weight, std=self.config.initializer_range)
            if getattr(module, "bias", None) is not None:
                init.zeros_(module.bias)
            if getattr(module, "padding_idx", None) is not None:
                init.zeros_(module.weight[module.padding_idx])

    def tie_weights(self):
        """Make one parameter of those that are to be one."""
        for name, source in self.ties().items():
            path, _, attribute = name.rpartition(".")
            setattr(self.get_submodule(path), attribute, self.get_parameter(source))

    def ties(self):
        return self.tied if self.config.tie_word_embeddings else {}

    # ---- files --------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, folder, *, config=None, dtype=None, output_loading_info=False, **changes):
        """The model whose config.json and weights are in `folder`, in evaluation mode.

        config: instead of the folder's.  changes: to its fields (num_labels=5).  dtype: of the weights; None: the default
        dtype, "auto": that in the file.  output_loading_info: return (model, {"missing_keys": ..., "unexpected_keys": ...}).
        Weights that the file lacks start fresh, and what it has beyond the model is left out; a warning names both.
        FileNotFoundError, ValueError for what is not built, RuntimeError for weights of wrong shapes, or that are another model's.
        """
        config = config or cls.config_class.from_pretrained(folder, **changes)
        model = cls(config)
        state, left_out = model.fitted(read_weights(Path(folder)))
        found = {t.dtype for t in state.values() if t.dtype.is_floating_point}
        if dtype is not None:
            model.to((found or {None}).pop() if dtype == "auto" else dtype)
        try:
            missing, unexpected = model.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise RuntimeError(f"from_pretrained(): the weights in {str(folder)!r} do not fit their config. {error}") from None
        missing = [name for name in missing if name not in model.ties()]
        unexpected = [*left_out, *unexpected]
        if len(unexpected) == len(state) + len(left_out):
            raise RuntimeError(f"from_pretrained(): none of the tensors in {str(folder)!r} is one of {cls.__name__}'s")
        model.eval()
        if output_loading_info:
            return model, {"missing_keys": missing, "unexpected_keys": unexpected}
        for names, what in ((missing, "are not in the file and start fresh"), (unexpected, f"are not part of {cls.__name__} and were left out")):
            if names:
                warnings.warn(f"from_pretrained(): {str(folder)!r}: {', '.join(names)} {what}", stacklevel=2)
        return model

    def fitted(self, state):
        """The tensors of a file by this model's names, and the names of those that belong to another model's head."""
        for old, new in self.renamed.items():
            state = {re.sub(old, new, name): t for name, t in state.items()}
        state = {name: t for name, t in state.items() if not re.search(self.ignored, name)}
        prefix, left_out = f"{self.base_model_prefix}.", []
        has_prefix = any(name.startswith(prefix) for name in state)
        if hasattr(self, self.base_model_prefix):
            if not has_prefix:                                   # a base's file for a model with a head
                own = self.state_dict().keys()
                state = {name if name in own else prefix + name: t for name, t in state.items()}
        elif has_prefix:                                         # the other way round
            left_out = [name for name in state if not name.startswith(prefix)]
            state = {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
        for name, source in self.ties().items():
            if name in state:
                t = state.pop(name)
                state.setdefault(source, t)
        return state, left_out

    def save_pretrained(self, folder):
        """Write config.json and model.safetensors, each in one step; parameters that are one are written once."""
        self.config.save_pretrained(folder, architectures=[type(self).__name__])
        state = {name: t for name, t in self.state_dict().items() if name not in self.ties()}
        serialization.save(state, Path(folder) / "model.safetensors")


def read_weights(folder):
    """{name: tensor} of all weight files in `folder`."""
    for name in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"):
        path = folder / name
        if path.is_file():
            return merged(path) if name.endswith(".json") else loaded(path)
    raise FileNotFoundError(f"from_pretrained(): there is no model.safetensors, pytorch_model.bin or index of such files in {str(folder)!r}")


def merged(index):
    """The tensors that an index file names, from the files beside it that have them."""
    try:
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
        foreign = [file for file in files if Path(file).name != file]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RuntimeError(f"from_pretrained(): {index} is damaged: {type(error).__name__}: {error}") from None
    if foreign:
        raise RuntimeError(f"from_pretrained(): {index} names files outside its folder: {', '.join(foreign)}")
    state = {}
    for file in files:
        state.update(loaded(index.parent / file))
    lacking = [name for name in places if name not in state]
    if lacking:
        raise RuntimeError(f"from_pretrained(): {index} promises tensors that its files lack: {', '.join(lacking)}")
    return state


def loaded(path):
    state = serialization.load(path, map_location="cpu")
    if not isinstance(state, dict):
        raise RuntimeError(f"from_pretrained(): {path} holds no dict of tensors")
    return state
