"""BERT, GPT-2, Llama and ViT against Hugging Face's transformers: the same folder of weights, the same numbers, gradients and texts."""
import json
import sys

import numpy as np
import pytest

import minitorch as ours
from minitorch import models
from minitorch.models.generation import likely

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
NEEDED = """AutoConfig BertConfig BertForMaskedLM GPT2Config GPT2LMHeadModel LlamaConfig LlamaForCausalLM ViTConfig ViTModel
            TopPLogitsWarper""".split()


def imported():
    """transformers, which would take our folder kernels/ for a package that it knows, and needs no torchvision for these models."""
    hidden = ("kernels", "torchvision")
    kept = {name: sys.modules.pop(name) for name in hidden if name in sys.modules}
    sys.modules.update(dict.fromkeys(hidden))
    try:
        transformers = pytest.importorskip("transformers")
        for name in NEEDED:                          # its files are read when first asked for
            getattr(transformers, name)
    finally:
        for name in hidden:
            del sys.modules[name]
        sys.modules.update(kept)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


transformers = imported()

SIZES = dict(vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40)
BERT = dict(SIZES, max_position_embeddings=16)
LLAMA = dict(SIZES, num_key_value_heads=2, bos_token_id=None, eos_token_id=None)
GPT2 = dict(vocab_size=61, n_positions=24, n_embd=24, n_layer=2, n_head=4, bos_token_id=None, eos_token_id=None)
VIT = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, image_size=12, patch_size=4)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}

IDS = np.random.default_rng(0).integers(1, 61, (3, 9))
RIGHT = np.arange(9) < np.array([[9], [6], [2]])     # padding behind the text
LEFT = RIGHT[:, ::-1].copy()                         # and before it
PICTURES = np.random.default_rng(1).normal(size=(3, 3, 12, 12)).astype("float32")
LABELS = np.where(np.random.default_rng(2).random((3, 9)) < 0.4, IDS, -100)
CLASSES = np.array([1, 0, 4])

CASES = {
    "BERT": ("BertModel", "BertConfig", BERT, dict(input_ids=IDS)),
    "BERT, padded, two texts": ("BertModel", "BertConfig", dict(BERT, hidden_act="gelu_new"),
                                dict(input_ids=IDS, attention_mask=RIGHT.astype(int), token_type_ids=IDS % 2, position_ids=np.arange(9)[None] + 3)),
    "BERT, masked": ("BertForMaskedLM", "BertConfig", BERT, dict(input_ids=IDS, attention_mask=RIGHT.astype(int), labels=LABELS)),
    "BERT, masked, not tied": ("BertForMaskedLM", "BertConfig", dict(BERT, tie_word_embeddings=False), dict(input_ids=IDS, labels=LABELS)),
    "BERT, first training": ("BertForPreTraining", "BertConfig", BERT,
                             dict(input_ids=IDS, labels=LABELS, next_sentence_label=np.array([0, 1, 1]))),
    "BERT, classes": ("BertForSequenceClassification", "BertConfig", dict(BERT, num_labels=5, hidden_act="relu"),
                      dict(input_ids=IDS, attention_mask=RIGHT.astype(int), labels=CLASSES)),
    "BERT, regression": ("BertForSequenceClassification", "BertConfig", dict(BERT, num_labels=1),
                         dict(input_ids=IDS, labels=np.array([0.5, -1, 2], "float32"))),
    "BERT, many labels": ("BertForSequenceClassification", "BertConfig", dict(BERT, num_labels=3),
                          dict(input_ids=IDS, labels=np.eye(3, dtype="float32"))),
    "GPT-2, base": ("GPT2Model", "GPT2Config", GPT2, dict(input_ids=IDS, token_type_ids=IDS % 2)),
    "GPT-2": ("GPT2LMHeadModel", "GPT2Config", GPT2, dict(input_ids=IDS, labels=LABELS)),
    "GPT-2, padded": ("GPT2LMHeadModel", "GPT2Config", dict(GPT2, n_inner=30, activation_function="relu", scale_attn_by_inverse_layer_idx=True),
                      dict(input_ids=IDS, attention_mask=LEFT.astype(int), labels=LABELS)),
    "Llama": ("LlamaForCausalLM", "LlamaConfig", LLAMA, dict(input_ids=IDS, labels=LABELS)),
    "Llama, padded, tied": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
                            dict(input_ids=IDS, attention_mask=LEFT.astype(int), labels=LABELS)),
    "Llama 3, long": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, head_dim=8, rope_parameters={"rope_theta": 500.0, **LLAMA3}),
                      dict(input_ids=IDS, position_ids=np.arange(9)[None] * 40)),
    "Llama, linear": ("LlamaModel", "LlamaConfig", dict(LLAMA, rope_parameters={"rope_theta": 99.0, "rope_type": "linear", "factor": 4.0}),
                      dict(input_ids=IDS)),
    "ViT": ("ViTModel", "ViTConfig", VIT, dict(pixel_values=PICTURES)),
    "ViT, oblong": ("ViTModel", "ViTConfig", dict(VIT, image_size=(12, 8), patch_size=(4, 2), qkv_bias=False, pooler_output_size=7),
                    dict(pixel_values=PICTURES[..., :8])),
    "ViT, classes": ("ViTForImageClassification", "ViTConfig", dict(VIT, num_labels=5), dict(pixel_values=PICTURES, labels=CLASSES)),
}


def theirs(name, config, sizes, seed=0):
    """One of transformers' models with weights large enough that everything matters."""
    torch.manual_seed(seed)
    model = getattr(transformers, name)(getattr(transformers, config)(**sizes)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return model


def tensors(library, arrays):
    return {name: library.tensor(a) for name, a in arrays.items()}


def older(name):
    """A parameter of transformers' newer ViT by the name that it has in files."""
    products = [(f"attention.{part[0]}_proj", f"attention.attention.{part}") for part in ("query", "key", "value")]
    for new, old in (("layers.", "encoder.layer."), ("attention.o_proj", "attention.output.dense"), ("mlp.fc1", "intermediate.dense"),
                     ("mlp.fc2", "output.dense"), *products):
        name = name.replace(new, old)
    return name


def numbers(y):
    return {name: value for name in ("loss", "logits", "last_hidden_state", "pooler_output", "prediction_logits", "seq_relationship_logits")
            if (value := getattr(y, name, None)) is not None}


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_of_transformers(case, tmp_path):
    name, config, sizes, inputs = CASES[case]
    reference = theirs(name, config, sizes)
    reference.save_pretrained(tmp_path)
    model = getattr(models, name).from_pretrained(tmp_path)
    assert not model.training
    expected, y = (m(**tensors(library, inputs), output_hidden_states=True) for m, library in ((reference, torch), (model, ours)))
    assert numbers(y).keys() == numbers(expected).keys()
    for key, value in numbers(y).items():
        np.testing.assert_allclose(value.detach().numpy(), numbers(expected)[key].detach().numpy(), rtol=1e-5, atol=1e-5, err_msg=key)
    assert len(y.hidden_states) == len(expected.hidden_states)
    for a, b in zip(y.hidden_states, expected.hidden_states):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-5)

    for outcome in (numbers(y), numbers(expected)):
        (outcome["loss"] if "loss" in outcome else sum((value ** 2).sum() for value in outcome.values())).backward()
    rename = older if config == "ViTConfig" else str
    gradients = {rename(name): p.grad for name, p in reference.named_parameters()}
    own = dict(model.named_parameters())
    assert own.keys() == gradients.keys()
    for key, p in own.items():
        if gradients[key] is None:
            assert p.grad is None, key
        else:
            largest = gradients[key].abs().max().item()
            np.testing.assert_allclose(p.grad.numpy(), gradients[key].numpy(), rtol=1e-4, atol=1e-4 * max(largest, 1.0), err_msg=key)


@pytest.mark.parametrize("case", CASES)
def test_transformers_loads_what_save_pretrained_writes(case, tmp_path):
    name, config, sizes, inputs = CASES[case]
    ours.manual_seed(1)
    sizes = dict(sizes)
    if "rope_parameters" in sizes:
        rope = sizes.pop("rope_parameters")
        sizes.update(rope_theta=rope["rope_theta"], rope_scaling={key: v for key, v in rope.items() if key != "rope_theta"})
    model = getattr(models, name)(getattr(models, config)(**sizes)).eval()
    model.save_pretrained(tmp_path)
    reference, info = getattr(transformers, name).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected, y = (numbers(m(**tensors(library, inputs))) for m, library in ((reference, torch), (model, ours)))
    for key, value in y.items():
        np.testing.assert_allclose(value.detach().numpy(), expected[key].detach().numpy(), rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("saved, loaded", [("BertModel", "BertForMaskedLM"), ("BertForMaskedLM", "BertModel"),
                                           ("BertForPreTraining", "BertForSequenceClassification"), ("GPT2Model", "GPT2LMHeadModel"),
                                           ("GPT2LMHeadModel", "GPT2Model"), ("LlamaModel", "LlamaForCausalLM"),
                                           ("LlamaForCausalLM", "LlamaModel"), ("ViTModel", "ViTForImageClassification"),
                                           ("ViTForImageClassification", "ViTModel")])
def test_bases_and_heads_load_into_each_other_as_in_transformers(saved, loaded, tmp_path):
    config, sizes = next(case[1:3] for case in CASES.values() if case[0][:3] == saved[:3])
    theirs(saved, config, sizes).save_pretrained(tmp_path)
    reference, expected = getattr(transformers, loaded).from_pretrained(tmp_path, output_loading_info=True)
    model, info = getattr(models, loaded).from_pretrained(tmp_path, output_loading_info=True)
    assert set(info["missing_keys"]) == set(expected["missing_keys"]) - {"cls.predictions.decoder.bias"}      # which is another's
    rename = older if config == "ViTConfig" else str
    values = {rename(name): t for name, t in reference.state_dict().items()}
    for name, t in model.state_dict().items():
        if name not in info["missing_keys"]:
            assert (t.numpy() == values[name].numpy()).all(), name


LANGUAGE_MODELS = {"GPT-2": ("GPT2LMHeadModel", "GPT2Config", GPT2), "Llama": ("LlamaForCausalLM", "LlamaConfig", LLAMA)}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("case", LANGUAGE_MODELS)
def test_greedy_texts_are_those_of_transformers_with_and_without_a_cache(case, padded, tmp_path):
    reference = theirs(*LANGUAGE_MODELS[case])
    reference.save_pretrained(tmp_path)
    model = getattr(models, LANGUAGE_MODELS[case][0]).from_pretrained(tmp_path)
    prompt = dict(input_ids=np.where(LEFT, IDS, 0), attention_mask=LEFT.astype(int)) if padded else dict(input_ids=IDS)
    plain = reference.generate(**tensors(torch, prompt), max_new_tokens=12, do_sample=False, pad_token_id=0)
    ends = [int(plain[0, 12]), int(plain[1, 15])]    # tokens that come up: one text after another ends early
    for eos in (None, ends[0], ends):
        expected = reference.generate(**tensors(torch, prompt), max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=eos)
        for use_cache in (True, False):
            ids = model.generate(**tensors(ours, prompt), max_new_tokens=12, pad_token_id=0, eos_token_id=eos, use_cache=use_cache)
            assert ids.tolist() == expected.tolist()


@pytest.mark.parametrize("files", ["several", "pickled", "several pickled"])
def test_weights_in_several_files_or_in_pytorchs_format_load(files, tmp_path):
    reference = theirs("BertModel", "BertConfig", BERT)
    state = reference.state_dict()
    if files == "several":
        reference.save_pretrained(tmp_path, max_shard_size="10KB")
        assert len(set(json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"].values())) > 2
    else:
        reference.config.save_pretrained(tmp_path)
        torch.save(state, tmp_path / "pytorch_model.bin")
    if files == "several pickled":
        (tmp_path / "pytorch_model.bin").unlink()
        places = {name: f"pytorch_model-{i % 2}.bin" for i, name in enumerate(state)}
        for part in set(places.values()):
            torch.save({name: t for name, t in state.items() if places[name] == part}, tmp_path / part)
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    model = models.BertModel.from_pretrained(tmp_path)
    for name, t in state.items():
        assert (model.state_dict()[name].numpy() == t.numpy()).all(), name


def test_sampling_keeps_the_tokens_that_transformers_keeps():
    scores = np.random.default_rng(3).normal(size=(20, 61)).astype("float32") * 3
    for temperature in (0.5, 1.0, 2.0):
        for k in (1, 5, 61):
            for p in (0.1, 0.5, 0.9, 0.99):
                expected = torch.tensor(scores)
                for warper, value in (("Temperature", temperature), ("TopK", k), ("TopP", p)):
                    expected = getattr(transformers, f"{warper}LogitsWarper")(value)(None, expected)
                kept = likely(ours.tensor(scores) / temperature, k, p)
                assert (np.isfinite(kept.numpy()) == np.isfinite(expected.numpy())).all()
