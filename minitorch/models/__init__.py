"""Whole networks, by the names under which their published weights are known.

ResNets have torchvision's names; BERT, GPT-2, Llama and ViT those of Hugging Face's transformers, whose folders of
config.json and weights `from_pretrained` reads and `save_pretrained` writes.
"""
import importlib as _importlib

_LATER = {name: file for file, names in {
    "bert": "BertConfig BertForMaskedLM BertForPreTraining BertForSequenceClassification BertModel",
    "generation": "Generator",
    "gpt2": "GPT2Config GPT2LMHeadModel GPT2Model",
    "llama": "LlamaConfig LlamaForCausalLM LlamaModel",
    "pretrained": "PretrainedModel",
    "resnet": "ResNet resnet18 resnet34 resnet50 resnet101 resnet152",
    "vit": "ViTConfig ViTForImageClassification ViTModel",
}.items() for name in names.split()}
__all__ = sorted(_LATER)


def __getattr__(name):
    """A family's file is read when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(_importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    return found
