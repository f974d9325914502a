"""BERT, GPT-2, Llama and ViT on their own: shapes, the cache, generation, files, refusals, gradients by finite differences."""
import json
from functools import partial

import numpy as np
import pytest

import minitorch as torch
from minitorch import gradcheck, models, nn, serialization
from minitorch.models.attention import Cache
from minitorch.models.generation import likely
from minitorch.models.outputs import classification_loss

SMALL = dict(hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20)
CONFIGS = {
    "Bert": partial(models.BertConfig, vocab_size=23, max_position_embeddings=10, **SMALL),
    "GPT2": partial(models.GPT2Config, vocab_size=23, n_positions=30, n_embd=12, n_layer=2, n_head=2, eos_token_id=None),
    "Llama": partial(models.LlamaConfig, vocab_size=23, num_key_value_heads=1, eos_token_id=None, **SMALL),
    "ViT": partial(models.ViTConfig, image_size=8, patch_size=4, **SMALL),
}
MODELS = ["BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification", "GPT2Model", "GPT2LMHeadModel", "LlamaModel",
          "LlamaForCausalLM", "ViTModel", "ViTForImageClassification"]
LANGUAGE_MODELS = ["GPT2LMHeadModel", "LlamaForCausalLM"]
IDS = torch.tensor(np.random.default_rng(0).integers(1, 23, (2, 7)))
PICTURES = torch.tensor(np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype("float32"))
needs_safetensors = pytest.mark.usefixtures("safetensors")


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors")


def made(name, seed=0, **changes):
    """A model with weights large enough that everything matters."""
    torch.manual_seed(seed)
    family = next(f for f in CONFIGS if name.startswith(f))
    return getattr(models, name)(CONFIGS[family](initializer_range=0.3, **changes)).eval()


def inputs_of(name):
    return PICTURES if name.startswith("ViT") else IDS


def close(a, b, within=1e-5):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=within, atol=within)


# ---- what they compute ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, shapes", [
    ("BertModel", dict(last_hidden_state=(2, 7, 12), pooler_output=(2, 12))),
    ("BertForMaskedLM", dict(logits=(2, 7, 23))),
    ("BertForPreTraining", dict(prediction_logits=(2, 7, 23), seq_relationship_logits=(2, 2))),
    ("BertForSequenceClassification", dict(logits=(2, 2))),
    ("GPT2Model", dict(last_hidden_state=(2, 7, 12))),
    ("GPT2LMHeadModel", dict(logits=(2, 7, 23))),
    ("LlamaModel", dict(last_hidden_state=(2, 7, 12))),
    ("LlamaForCausalLM", dict(logits=(2, 7, 23))),
    ("ViTModel", dict(last_hidden_state=(2, 5, 12), pooler_output=(2, 12))),
    ("ViTForImageClassification", dict(logits=(2, 2))),
])
def test_results_have_names_shapes_and_numbers(name, shapes):
    y = made(name)(inputs_of(name), output_hidden_states=True)
    assert {key: tuple(y[key].shape) for key in shapes} == shapes
    assert y[0] is y[next(iter(shapes))]             # what is not there has no number
    assert len(y.hidden_states) == 3 and list(y)[-1] is y.hidden_states


@pytest.mark.parametrize("name", MODELS)
def test_dropout_is_active_while_training_alone(name):
    rates = dict(resid_pdrop=0.5) if name.startswith("GPT2") else dict(attention_dropout=0.5) if name.startswith("Llama") else \
        dict(hidden_dropout_prob=0.5)
    model = made(name, **rates)
    assert (model(inputs_of(name))[0] == model(inputs_of(name))[0]).all()
    model.train()
    assert not (model(inputs_of(name))[0] == model(inputs_of(name))[0]).all()


@pytest.mark.parametrize("name", ["BertModel", *LANGUAGE_MODELS])
def test_padding_changes_nothing_for_the_text_beside_it(name):
    model, short = made(name), IDS[:, :4]
    there = torch.tensor([[1] * 4 + [0] * 3] * 2)
    close(model(IDS, attention_mask=there)[0][:, :4], model(short)[0])


def test_llama_sees_distances_not_places():
    model = made("LlamaForCausalLM")
    close(model(IDS, position_ids=torch.arange(7) + 100).logits, model(IDS).logits, within=1e-4)


def test_llamas_scalings_slow_the_slow_pairs_down():
    config = dict(SMALL, head_dim=8, rope_theta=100.0)
    plain = models.LlamaModel(models.LlamaConfig(**config)).rotary_emb.speeds
    linear = models.LlamaModel(models.LlamaConfig(**config, rope_scaling={"type": "linear", "factor": 4.0})).rotary_emb.speeds
    assert linear == [speed / 4 for speed in plain]
    scaling = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
    llama3 = models.LlamaModel(models.LlamaConfig(**config, rope_scaling=scaling)).rotary_emb.speeds
    turns = [16 * speed / (2 * np.pi) for speed in plain]                  # 2.5, 0.8, 0.25, 0.08 of them in 16 positions
    assert llama3[1:] == linear[1:] and linear[0] < llama3[0] < plain[0]
    assert np.isclose(llama3[0], plain[0] * (1 / 4 + 3 / 4 * (turns[0] - 1) / (4 - 1)))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name):
    model = made(name)
    y = model(inputs_of(name))
    sum((t ** 2).sum() for t in y.to_tuple() if isinstance(t, torch.Tensor)).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not (p.grad.any() or key.endswith("key.bias"))] == []


class Loss(nn.Module):
    """A model and what it is asked."""

    def __init__(self, model, **inputs):
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self):
        return self.model(**self.inputs).loss


@pytest.mark.parametrize("name, inputs", [
    ("BertForPreTraining", dict(input_ids=IDS, labels=IDS, next_sentence_label=torch.tensor([0, 1]))),
    ("GPT2LMHeadModel", dict(input_ids=IDS, labels=IDS, attention_mask=(torch.arange(7) > 1).long().expand(2, 7))),
    ("LlamaForCausalLM", dict(input_ids=IDS, labels=IDS)),
    ("ViTForImageClassification", dict(pixel_values=PICTURES.double(), labels=torch.tensor([0, 1]))),
])
def test_gradients_are_those_of_finite_differences(name, inputs):
    model = made(name).double()
    for key, p in model.named_parameters():          # softmax does not see what is added to all keys: the gradient is zero, which
        p.requires_grad_(not key.endswith("key.bias"))       # differences cannot tell from a small one
    report = gradcheck.check(Loss(model, **inputs))
    assert report.ok, str(report)


@pytest.mark.parametrize("problem_type, num_labels, labels", [
    ("regression", 1, torch.tensor([0.5, -1.0])), ("regression", 3, torch.ones(2, 3)), ("single_label_classification", 3, torch.tensor([2, 0])),
    ("multi_label_classification", 3, torch.tensor([[1.0, 0, 1], [0, 0, 1]]))])
def test_the_kind_of_loss_is_named_or_seen_from_the_labels(problem_type, num_labels, labels):
    logits = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.2, 0.1]])[:, :num_labels]
    named = classification_loss(logits, labels, CONFIGS["Bert"](num_labels=num_labels, problem_type=problem_type))
    assert named.shape == () and named > 0
    if (problem_type, num_labels) != ("regression", 3):
        assert classification_loss(logits, labels, CONFIGS["Bert"](num_labels=num_labels)) == named


# ---- the cache and generation -----------------------------------------------------------------------------------

@pytest.mark.parametrize("pieces", [[1] * 7, [3, 4], [5, 1, 1]], ids=str)
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_text_read_in_pieces_gives_the_same_scores(name, pieces):
    model, cache = made(name), Cache()
    mask = torch.tensor([[1] * 7, [0, 0] + [1] * 5])
    found, end = [], 0
    for n in pieces:
        start, end = end, end + n
        y = model(IDS[:, start:end], attention_mask=mask[:, :end], past_key_values=cache)
        assert y.past_key_values is cache and cache.get_seq_length() == end
        found.append(y.logits)
    close(torch.cat(found, 1), model(IDS, attention_mask=mask).logits)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_texts_are_the_same_without_a_cache(name):
    model = made(name)
    for options in (dict(), dict(do_sample=True, temperature=0.8, top_k=7, top_p=0.9)):
        texts = [model.generate(IDS, max_new_tokens=10, use_cache=use_cache, generator=torch.Generator().manual_seed(4), **options)
                 for use_cache in (True, False)]
        assert texts[0].shape == (2, 17) and (texts[0] == texts[1]).all() and (texts[0][:, :7] == IDS).all()


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_the_seed_decides_what_is_drawn(name):
    model = made(name)

    def text(seed, **options):
        torch.manual_seed(seed)
        return model.generate(IDS, max_new_tokens=12, do_sample=True, **options).tolist()
    assert text(1) == text(1) != text(2)
    greedy = model.generate(IDS, max_new_tokens=12).tolist()
    assert text(1, top_k=1) == text(2, top_p=1e-6) == text(3, temperature=1e-4) == greedy


def test_a_text_that_has_ended_is_filled_up():
    model = made("GPT2LMHeadModel")
    plain = model.generate(IDS, max_new_tokens=8).tolist()
    end = plain[0][9]
    stop = plain[0].index(end, 7)
    texts = model.generate(IDS, max_new_tokens=8, eos_token_id=end, pad_token_id=0).tolist()
    assert texts[0] == plain[0][:stop + 1] + [0] * (len(texts[0]) - stop - 1)
    both = [end, next(token for token in plain[1][7:] if token != end)]
    assert len(model.generate(IDS, max_new_tokens=8, eos_token_id=both)[0]) < 15       # all have ended


def test_likely_tokens_are_the_top_k_and_enough_for_top_p():
    scores = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    for k, p, kept in ((None, 1.0, "1111"), (0, 1.0, "1111"), (9, 1.0, "1111"), (2, 1.0, "0101"), (None, 0.39, "0100"), (None, 0.41, "0101"),
                       (None, 0.69, "0101"), (None, 0.71, "0111"), (3, 0.5, "0101")):
        assert "".join(str(int(finite)) for finite in likely(scores, k, p).isfinite()[0]) == kept, (k, p)


@pytest.mark.parametrize("options, words", [
    (dict(input_ids=IDS[0]), "must be (batch, positions)"), (dict(input_ids=IDS[:, :0]), "with a first token"),
    (dict(max_new_tokens=0), "max_new_tokens must be above zero"), (dict(temperature=0.0), "temperature must be above zero"),
    (dict(top_k=-1), "top_k must not be negative"), (dict(top_p=0.0), "top_p must be above 0"), (dict(top_p=1.5), "at most 1, not 1.5"),
    (dict(max_new_tokens=24), "7 tokens and 24 new ones are more than the model's 30 positions"),
    (dict(attention_mask=torch.tensor([[1] * 7, [1] * 6 + [0]])), "filled up on the left"),
    (dict(attention_mask=torch.ones(2, 6)), "the shape of input_ids")])
def test_senseless_generation_is_refused(options, words):
    with pytest.raises(ValueError) as error:
        made("GPT2LMHeadModel").generate(**{"input_ids": IDS, **options})
    assert words in str(error.value)


@pytest.mark.parametrize("name, call, words", [
    ("BertModel", lambda m: m(IDS.repeat(1, 2)), "a text of 14 tokens is longer than the model's 10 positions"),
    ("GPT2Model", lambda m: m(IDS.repeat(1, 5)), "a text of 35 tokens is longer than the model's 30 positions"),
    ("BertModel", lambda m: m(IDS, attention_mask=torch.ones(2, 6)), "attention_mask must be (batch, positions): (2, 7) here, not (2, 6)"),
    ("LlamaModel", lambda m: m(IDS, attention_mask=torch.ones(2, 1, 7, 7)), "(2, 7) here, not (2, 1, 7, 7)"),
    ("ViTModel", lambda m: m(PICTURES[:, :, :4]), "pixel_values must be (N, 3, 8, 8), not (2, 3, 4, 8)")])
def test_inputs_that_do_not_fit_are_refused(name, call, words):
    with pytest.raises(ValueError) as error:
        call(made(name))
    assert words in str(error.value)


# ---- files ------------------------------------------------------------------------------------------------------

@needs_safetensors
@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_comes_back(name, tmp_path):
    model = made(name)
    model.save_pretrained(tmp_path / "folder")
    again = type(model).from_pretrained(tmp_path / "folder")
    assert not again.training and again.config == model.config
    assert (again(inputs_of(name))[0] == model(inputs_of(name))[0]).all()
    assert json.loads((tmp_path / "folder" / "config.json").read_text())["architectures"] == [name]


@needs_safetensors
def test_what_a_file_lacks_or_has_beyond_the_model_is_named(tmp_path):
    made("BertForMaskedLM").save_pretrained(tmp_path)
    with pytest.warns(UserWarning) as found:
        model = models.BertForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    fresh, left_out = (str(w.message) for w in found)
    assert "bert.pooler.dense.weight, bert.pooler.dense.bias, classifier.weight, classifier.bias are not in the file and start fresh" in fresh
    assert "cls.predictions.bias" in left_out and "are not part of BertForSequenceClassification and were left out" in left_out
    assert model.classifier.weight.shape == (3, 12)


@needs_safetensors
def test_weights_of_a_wrong_shape_or_another_model_are_refused(tmp_path):
    made("BertModel").save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match=r"do not fit their config(.|\n)*size mismatch for embeddings.word_embeddings.weight"):
        models.BertModel.from_pretrained(tmp_path, vocab_size=24)
    serialization.save({"fc.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match="none of the tensors in .* is one of BertModel's"):
        models.BertModel.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="this is the config of a 'bert' model, not of a 'gpt2'"):
        models.GPT2Model.from_pretrained(tmp_path)


@needs_safetensors
def test_older_names_and_constants_are_understood(tmp_path):
    bert, gpt2 = made("BertForMaskedLM"), made("GPT2LMHeadModel")
    state = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t + 1
             for name, t in bert.state_dict().items()}
    state["bert.embeddings.position_ids"] = torch.arange(10)[None]
    bert.config.save_pretrained(tmp_path / "bert")
    serialization.save(state, tmp_path / "bert" / "model.safetensors")
    again, info = models.BertForMaskedLM.from_pretrained(tmp_path / "bert", output_loading_info=True)
    assert info == {"missing_keys": [], "unexpected_keys": []}
    close(again.bert.embeddings.LayerNorm.weight, bert.bert.embeddings.LayerNorm.weight + 1)

    state = {name.removeprefix("transformer."): t for name, t in gpt2.state_dict().items() if name != "lm_head.weight"}
    state |= {"h.0.attn.bias": torch.ones(1, 1, 30, 30).tril(), "h.1.attn.masked_bias": torch.tensor(-1e4)}
    gpt2.config.save_pretrained(tmp_path / "gpt2")
    serialization.save(state, tmp_path / "gpt2" / "model.safetensors")
    again, info = models.GPT2LMHeadModel.from_pretrained(tmp_path / "gpt2", output_loading_info=True)
    assert info == {"missing_keys": [], "unexpected_keys": []} and again.lm_head.weight is again.transformer.wte.weight
    close(again(IDS).logits, gpt2(IDS).logits)


@needs_safetensors
def test_weights_come_in_the_type_that_is_asked_for(tmp_path):
    made("GPT2Model").half().save_pretrained(tmp_path)
    for dtype, expected in ((None, torch.float32), ("auto", torch.float16), (torch.float64, torch.float64)):
        model = models.GPT2Model.from_pretrained(tmp_path, dtype=dtype)
        assert {p.dtype for p in model.parameters()} == {expected}


@needs_safetensors
def test_an_index_names_files_beside_it(tmp_path):
    model = made("GPT2Model")
    model.config.save_pretrained(tmp_path)
    names = list(model.state_dict())
    places = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(names)}
    for part in set(places.values()):
        serialization.save({name: t for name, t in model.state_dict().items() if places[name] == part}, tmp_path / part)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert (models.GPT2Model.from_pretrained(tmp_path)(IDS)[0] == model(IDS)[0]).all()
    for content, words in (("{", "is damaged"), ("[]", "is damaged"), ('{"weight_map": 3}', "is damaged"),
                           (json.dumps({"weight_map": {"a": "../part-0.safetensors"}}), "files outside its folder: ../part-0.safetensors"),
                           (json.dumps({"weight_map": {**places, "wte.bias": "part-0.safetensors"}}), "tensors that its files lack: wte.bias")):
        index.write_text(content)
        with pytest.raises(RuntimeError, match=words):
            models.GPT2Model.from_pretrained(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder 'gpt2-large' .*never downloaded"):
        models.GPT2Model.from_pretrained("gpt2-large")
    with pytest.raises(FileNotFoundError, match="there is no config.json"):
        models.GPT2Model.from_pretrained(tmp_path)
    for content, words in (("{", "is damaged"), ("[1]", "no JSON object")):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ValueError, match=words):
            models.GPT2Model.from_pretrained(tmp_path)
    CONFIGS["GPT2"]().save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="no model.safetensors, pytorch_model.bin or index"):
        models.GPT2Model.from_pretrained(tmp_path)


# ---- configs ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family, field, value, words", [
    ("Bert", "hidden_act", "gelu_10", "hidden_act 'gelu_10' is not built; there are gelu, "),
    ("Bert", "position_embedding_type", "relative_key", "position_embedding_type='relative_key' is not built, only 'absolute'"),
    ("Bert", "is_decoder", True, "is_decoder=True is not built"),
    ("Bert", "add_cross_attention", True, "add_cross_attention=True is not built"),
    ("Bert", "num_attention_heads", 5, "hidden_size 12 is not a multiple of num_attention_heads 5"),
    ("Bert", "hidden_size", "12", "hidden_size must be a whole number above zero, not '12'"),
    ("Bert", "pruned_heads", {"0": [1]}, "pruned_heads={'0': [1]} is not built"),
    ("GPT2", "activation_function", "laplace", "activation_function 'laplace' is not built"),
    ("GPT2", "add_cross_attention", True, "add_cross_attention=True is not built"),
    ("GPT2", "n_layer", 0, "n_layer must be a whole number above zero, not 0"),
    ("Llama", "rope_scaling", {"rope_type": "yarn", "factor": 2.0}, "rope_scaling of type 'yarn' is not built; there are default, linear, llama3"),
    ("Llama", "rope_scaling", {"type": "linear"}, "rope_scaling of type 'linear' lacks factor"),
    ("Llama", "rope_parameters", {"rope_theta": 1e4, "rope_type": "longrope"}, "rope_scaling of type 'longrope' is not built"),
    ("Llama", "rope_parameters", {"rope_theta": 1e4, "partial_rotary_factor": 0.5}, "partial_rotary_factor other than 1 is not built"),
    ("Llama", "num_key_value_heads", 3, "num_attention_heads 2 is not a multiple of num_key_value_heads 3"),
    ("Llama", "quantization_config", {"bits": 4}, "quantization_config={'bits': 4} is not built"),
    ("ViT", "pooler_act", "softmax", "pooler_act 'softmax' is not built"),
])
def test_what_is_not_built_is_refused_by_name(family, field, value, words):
    values = CONFIGS[family]().to_dict()
    with pytest.raises(ValueError) as error:
        type(CONFIGS[family]()).from_dict({**values, field: value})
    assert words in str(error.value)


def test_a_config_keeps_what_it_does_not_know():
    values = dict(CONFIGS["Llama"]().to_dict(), task="answering", id2label={"0": "no", "1": "yes", "2": "well"})
    config = models.LlamaConfig.from_dict(values)
    assert config.num_labels == 3 and config.id2label[2] == "well"
    assert config.to_dict()["task"] == "answering" and config.to_dict()["label2id"] == {"no": 0, "yes": 1, "well": 2}
    assert models.LlamaConfig.from_dict(values, num_labels=5).num_labels == 5
    newer = models.LlamaConfig.from_dict({"rope_parameters": {"rope_theta": 5.0, "rope_type": "linear", "factor": 2.0}})
    assert newer.rope_theta == 5.0 and newer.rope_scaling == {"rope_type": "linear", "factor": 2.0}
    with pytest.raises(TypeError, match="LlamaConfig has no field 'hiden_size'"):
        models.LlamaConfig.from_dict(values, hiden_size=3)
    with pytest.raises(TypeError, match="wants a GPT2Config, not LlamaConfig"):
        models.GPT2Model(config)
