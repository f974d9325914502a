"""Config: the sizes and choices that make a model, as Hugging Face's config.json holds them.

A subclass is a dataclass whose fields have that file's names.  What a file says beyond them is kept and written back, but
what would change the computation and is not built here is refused by its name: a model that loads computes what it should.
"""
import dataclasses
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ..nn import functional as F
from ..serialization import replacing

tanh_gelu = partial(F.gelu, approximate="tanh")
ACTIVATIONS = {
    "gelu": F.gelu, "gelu_python": F.gelu, "gelu_new": tanh_gelu, "gelu_fast": tanh_gelu, "gelu_pytorch_tanh": tanh_gelu,
    "quick_gelu": lambda x: x * F.sigmoid(1.702 * x), "relu": F.relu, "silu": F.silu, "swish": F.silu, "tanh": F.tanh,
    "sigmoid": F.sigmoid, "mish": F.mish,
}


@dataclass(kw_only=True)
class Config:
    """What all models have in common.  ValueError for sizes that do not fit together and for choices that are not built."""

    model_type: ClassVar[str]                        # the name of the family in config.json
    built: ClassVar[dict[str, tuple]] = {}           # what of a file's other fields is built, first the default
    nowhere: ClassVar[dict[str, tuple]] = {"quantization_config": (None,), "is_encoder_decoder": (False,), "pruned_heads": ({}, None)}

    initializer_range: float = 0.02                  # deviation of fresh weights
    num_labels: int = 2                              # of a model that classifies
    id2label: dict[int, str] | None = None           # their names; sets num_labels
    problem_type: str | None = None                  # "regression", "single_label_classification", "multi_label_classification"
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None      # ends generation
    tie_word_embeddings: bool = True                 # the output layer's weight is the embedding's
    others: dict[str, Any] = field(default_factory=dict, init=False, repr=False)     # a file's fields that are not used here

    def __post_init__(self):
        if self.id2label is not None:
            self.id2label = {int(number): name for number, name in self.id2label.items()}
            self.num_labels = len(self.id2label)
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.type is int and (type(value) is not int or value < 1):
                self.refuse(f"{f.name} must be a whole number above zero, not {value!r}")

    def refuse(self, why):
        raise ValueError(f"{type(self).__name__}: {why}")

    def check_activation(self, name):
        """ValueError where the field `name` names no known function."""
        if getattr(self, name) not in ACTIVATIONS:
            self.refuse(f"{name} {getattr(self, name)!r} is not built; there are {', '.join(ACTIVATIONS)}")

    def check_heads(self, size, heads):
        """ValueError where the field `size` cannot be split into as many parts as the field `heads` says."""
        if getattr(self, size) % getattr(self, heads):
            self.refuse(f"{size} {getattr(self, size)} is not a multiple of {heads} {getattr(self, heads)}")

    # ---- files --------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, values, **changes):
        """The config that config.json's `values` mean, with `changes` to them. TypeError for changes to fields that it does not have."""
        fields = {f.name for f in dataclasses.fields(cls) if f.init}
        for name in changes.keys() - fields:
            raise TypeError(f"{cls.__name__} has no field {name!r}")
        values = {**values, **changes}
        family = values.pop("model_type", cls.model_type)
        if family != cls.model_type:
            raise ValueError(f"{cls.__name__}: this is the config of a {family!r} model, not of a {cls.model_type!r}")
        for name, choices in {**cls.nowhere, **cls.built}.items():
            if name in values and values[name] not in choices:
                raise ValueError(f"{cls.__name__}: {name}={values[name]!r} is not built, only {choices[0]!r}")
        if "num_labels" in changes and "id2label" not in changes:
            values.pop("id2label", None)             # names of the old labels
        config = cls(**{name: values.pop(name) for name in fields & values.keys()})
        config.others = {name: value for name, value in values.items() if name not in ("label2id", "architectures", "transformers_version")}
        return config

    @classmethod
    def from_pretrained(cls, folder, **changes):
        """The config in `folder`/config.json, with `changes` to it."""
        path = Path(folder) / "config.json"
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"from_pretrained(): there is no folder {str(folder)!r} (models are read from folders, never downloaded)")
        if not path.is_file():
            raise FileNotFoundError(f"from_pretrained(): there is no config.json in {str(folder)!r}")
        try:
            values = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"{path} holds no JSON object")
        return cls.from_dict(values, **changes)

    def to_dict(self):
        """What from_dict understands, in JSON's types."""
        values = {**self.others, "model_type": self.model_type, **dataclasses.asdict(self)}
        del values["others"], values["num_labels"]
        names = values.pop("id2label") or ({i: f"LABEL_{i}" for i in range(self.num_labels)} if self.num_labels != 2 else {})
        if names:
            values.update(id2label={str(i): name for i, name in names.items()}, label2id={name: i for i, name in names.items()})
        return values

    def save_pretrained(self, folder, architectures=()):
        """Write `folder`/config.json; architectures: the class names of the model beside it."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        values = {**self.to_dict(), **({"architectures": list(architectures)} if architectures else {})}
        with replacing(str(Path(folder) / "config.json")) as path:
            Path(path).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf-8")
