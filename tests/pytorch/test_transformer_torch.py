"""Attention and transformer modules with PyTorch's weights: the same outputs and gradients in float64, the same refusals."""
import numpy as np
import pytest
from test_recurrent_torch import agree, numbers
from test_recurrent_torch import pair as eval_pair

import minitorch
from minitorch import nn

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:.*(enable_nested_tensor|nested tensors|mismatched).*:UserWarning")

MASKS = {                                            # of q (L, S) with H heads and a batch of 2
    "none": lambda L, S, H: None,
    "bool": lambda L, S, H: np.random.default_rng(5).random((L, S)) < 0.3,
    "float": lambda L, S, H: np.random.default_rng(5).normal(size=(L, S)),
    "heads": lambda L, S, H: np.random.default_rng(5).normal(size=(2 * H, L, S)),
    "causal": lambda L, S, H: np.triu(np.full((L, S), -np.inf), 1),
}
PADDING = np.array([[False, False, False, True, True], [False, False, False, False, True]])
PADDINGS = {"none": None, "bool": PADDING, "float": np.where(PADDING, -np.inf, 0.3)}
both_masks = pytest.mark.parametrize("mask, padding", [
    *((mask, "none") for mask in MASKS), ("none", "bool"), ("none", "float"), ("bool", "bool"), ("heads", "float"), ("causal", "bool")])


def tensor(lib, a):
    return a if a is None else lib.tensor(a)


# ---- attention ------------------------------------------------------------------------------------------------

ATTENTIONS = """
nn.MultiheadAttention(6, 2)
nn.MultiheadAttention(6, 3, bias=False)
nn.MultiheadAttention(6, 2, add_bias_kv=True)
nn.MultiheadAttention(6, 2, add_zero_attn=True)
nn.MultiheadAttention(6, 2, 0.0, True, True, True, 4, 3)
nn.MultiheadAttention(6, 2, kdim=4, bias=False)
nn.MultiheadAttention(6, 1, batch_first=True)
nn.MultiheadAttention(6, 2, batch_first=True, vdim=5)
""".strip().splitlines()


@pytest.mark.parametrize("options", [dict(), dict(need_weights=False), dict(average_attn_weights=False)], ids=str)
@both_masks
@pytest.mark.parametrize("call", ATTENTIONS)
def test_attention_is_pytorchs(call, mask, padding, options):
    ours, theirs = eval_pair(call)

    def attend(m, lib, q, k, v):
        return m(q, k, v, tensor(lib, PADDINGS[padding]), attn_mask=tensor(lib, MASKS[mask](4, 5, m.num_heads)), **options)
    first = (lambda a, b: (b, a)) if ours.batch_first else lambda a, b: (a, b)
    agree(ours, theirs, attend, (*first(4, 2), 6), (*first(5, 2), ours.kdim), (*first(5, 2), ours.vdim))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("call", ["nn.MultiheadAttention(6, 2)", "nn.MultiheadAttention(6, 2, batch_first=True, bias=False)",
                                  "nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True)"])
def test_attention_to_itself_and_to_one_memory(call, training):
    ours, theirs = eval_pair(call)
    ours.train(training), theirs.train(training)
    causal = MASKS["causal"](5, 5, 2)
    four, five = [(2, L, 6) if ours.batch_first else (L, 2, 6) for L in (4, 5)]
    for options in (dict(), dict(need_weights=False)):
        agree(ours, theirs, lambda m, lib, x, o=options: m(x, x, x, **o), five)
        agree(ours, theirs, lambda m, lib, x, y, o=options: m(x, y, y, **o), four, five)
        agree(ours, theirs, lambda m, lib, x, o=options: m(x, x, x, attn_mask=lib.tensor(causal), is_causal=True, **o), five)


@pytest.mark.parametrize("options", [dict(), dict(need_weights=False), dict(average_attn_weights=False)], ids=str)
@pytest.mark.parametrize("call", ["nn.MultiheadAttention(6, 2)", "nn.MultiheadAttention(6, 2, batch_first=True, kdim=4, vdim=4)"])
def test_attention_without_a_batch(call, options):
    ours, theirs = eval_pair(call)
    E = ours.kdim

    def masked(m, lib, q, k, v):
        return m(q, k, v, lib.tensor(PADDING[0]), attn_mask=lib.tensor(MASKS["bool"](4, 5, 2)), **options)

    def by_head(m, lib, q, k, v):
        return m(q, k, v, attn_mask=lib.tensor(MASKS["heads"](4, 5, 1)), **options)
    agree(ours, theirs, lambda m, lib, q, k, v: m(q, k, v, **options), (4, 6), (5, E), (5, E))
    agree(ours, theirs, masked, (4, 6), (5, E), (5, E))
    agree(ours, theirs, by_head, (4, 6), (5, E), (5, E))


def test_static_keys_and_values():
    def call(m, lib, q, k, v, w, b, sk, sv):
        return lib.nn.functional.multi_head_attention_forward(q, k, v, 6, 2, w, None, None, None, True, 0.0, b, None, static_k=sk, static_v=sv)
    agree(nn.Identity(), torch.nn.Identity(), call, (4, 2, 6), (5, 2, 6), (5, 2, 6), (18, 6), (6, 6), (4, 5, 3), (4, 5, 3))


# ---- transformers -----------------------------------------------------------------------------------------------

ENCODERS = """
nn.TransformerEncoderLayer(6, 2, 8, 0.0)
nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", 1e-3, True, True, False)
nn.TransformerEncoderLayer(6, 3, 8, 0.0, activation=nn.Tanh(), norm_first=True)
nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.0), 2)
nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.0, nn.functional.silu, batch_first=True), 2, nn.LayerNorm(6))
nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.0, norm_first=True, bias=False), 2, nn.LayerNorm(6), False, False)
""".strip().splitlines()

DECODERS = """
nn.TransformerDecoderLayer(6, 2, 8, 0.0)
nn.TransformerDecoderLayer(6, 2, 8, 0.0, "gelu", 1e-3, True, True, False)
nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 3, 8, 0.0, norm_first=True), 2)
nn.TransformerDecoderLayer(6, 2, 8, 0.0, nn.GELU(), batch_first=True)
nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 2, 8, 0.0, nn.functional.silu, batch_first=True), 2, nn.LayerNorm(6))
""".strip().splitlines()

TRANSFORMERS = """
nn.Transformer(6, 2, 1, 2, 8, 0.0)
nn.Transformer(6, 2, 2, 1, 8, 0.0, "gelu", batch_first=True, norm_first=True)
nn.Transformer(6, 3, 1, 1, 8, 0.0, bias=False, layer_norm_eps=1e-3)
nn.Transformer(6, 2, 1, 1, 8, 0.0, custom_encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 4, 0.0), 1))
""".strip().splitlines()


def attention_of(module):
    return next(m for m in module.modules() if isinstance(m, nn.MultiheadAttention))


def shape(module, L):
    return (2, L, 6) if attention_of(module).batch_first else (L, 2, 6)


def both_modes(call):
    """The pair while training, which drops nothing, and in evaluation."""
    for training in (True, False):
        ours, theirs = eval_pair(call)
        yield ours.train(training), theirs.train(training)


@both_masks
@pytest.mark.parametrize("call", ENCODERS)
def test_an_encoder_is_pytorchs(call, mask, padding):
    for ours, theirs in both_modes(call):
        def encode(m, lib, x, H=attention_of(ours).num_heads, **options):
            return m(x, tensor(lib, MASKS[mask](5, 5, H)), src_key_padding_mask=tensor(lib, PADDINGS[padding]), **options)
        agree(ours, theirs, encode, shape(ours, 5))
        if mask == "causal":
            agree(ours, theirs, lambda m, lib, x, encode=encode: encode(m, lib, x, is_causal=True), shape(ours, 5))
            agree(ours, theirs, lambda m, lib, x, encode=encode: encode(m, lib, x, is_causal=False), shape(ours, 5))


@both_masks
@pytest.mark.parametrize("call", DECODERS)
def test_a_decoder_is_pytorchs(call, mask, padding):
    for ours, theirs in both_modes(call):
        def decode(m, lib, x, memory, H=attention_of(ours).num_heads, **options):
            p = tensor(lib, PADDINGS[padding])
            return m(x, memory, tensor(lib, MASKS[mask](4, 4, H)), tensor(lib, MASKS["float"](4, 5, H)),
                     None if p is None else p[:, 1:], p, **options)
        agree(ours, theirs, decode, shape(ours, 4), shape(ours, 5))
        if mask == "causal":
            agree(ours, theirs, lambda m, lib, x, y, decode=decode: decode(m, lib, x, y, tgt_is_causal=True), shape(ours, 4), shape(ours, 5))


@pytest.mark.parametrize("call", TRANSFORMERS)
def test_a_transformer_is_pytorchs(call):
    for ours, theirs in both_modes(call):
        def plain(m, lib, x, y):
            return m(x, y)

        def masked(m, lib, x, y):
            causal = m.generate_square_subsequent_mask(4, dtype=lib.float64)
            p = lib.tensor(PADDING)
            return m(x, y, tgt_mask=causal, src_key_padding_mask=p, memory_key_padding_mask=p, tgt_is_causal=True)
        agree(ours, theirs, plain, shape(ours, 5), shape(ours, 4))
        agree(ours, theirs, masked, shape(ours, 5), shape(ours, 4))
        agree(ours, theirs, plain, (5, 6), (4, 6))


def test_without_gradients_only_padded_positions_differ():
    ours, theirs = eval_pair(ENCODERS[4].replace("nn.functional.silu", '"relu"'))
    x, seen = np.random.default_rng(0).normal(size=(2, 5, 6)), ~PADDING
    with minitorch.no_grad(), torch.no_grad():       # PyTorch's fast path
        a = ours.eval()(minitorch.tensor(x), src_key_padding_mask=minitorch.tensor(PADDING))
        b = theirs.eval()(torch.tensor(x), src_key_padding_mask=torch.tensor(PADDING))
    np.testing.assert_allclose(numbers(a)[seen], numbers(b)[seen], rtol=1e-11, atol=1e-13)


def test_the_causal_mask():
    for dtype in ("float32", "float64", "bool"):
        a = nn.Transformer.generate_square_subsequent_mask(4, dtype=getattr(minitorch, dtype))
        b = torch.nn.Transformer.generate_square_subsequent_mask(4, dtype=getattr(torch, dtype))
        np.testing.assert_array_equal(numbers(a), numbers(b))
    assert nn.Transformer.generate_square_subsequent_mask(2).dtype is minitorch.float32


def test_a_causal_mask_of_booleans_is_recognised():
    for ours, theirs in both_modes(DECODERS[2]):
        mask = np.triu(np.ones((4, 4), bool), 1)
        agree(ours, theirs, lambda m, lib, x, y, mask=mask: m(x, y, lib.tensor(mask)), (4, 2, 6), (5, 2, 6))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", [*ATTENTIONS, *ENCODERS, *DECODERS, *TRANSFORMERS])
def test_printed_and_made_as_pytorchs(call):
    ours, theirs = eval_pair(call)
    assert repr(ours) == repr(theirs)
    torch.manual_seed(0)
    minitorch.manual_seed(0)
    fresh, other = eval(call, {"nn": nn}), eval(call, {"nn": torch.nn})
    for (name, p), q in zip(fresh.named_parameters(), other.parameters()):
        a, b = numbers(p), numbers(q)
        if a.std() == 0 or b.std() == 0:
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            assert 0.4 < np.abs(a).max() / np.abs(b).max() < 2.5, name


REFUSED = """
nn.MultiheadAttention(6, 4)
nn.MultiheadAttention(0, 2)
nn.MultiheadAttention(6, -1)
nn.MultiheadAttention(6, 2)(z(6), z(6), z(6))
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 6), z(5, 6))
nn.MultiheadAttention(6, 2)(z(4, 6), z(5, 2, 6), z(5, 2, 6))
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(4, 2, 6))
nn.MultiheadAttention(6, 2, vdim=3)(z(4, 2, 6), z(5, 2, 6), z(4, 2, 3))
nn.MultiheadAttention(6, 2, vdim=3)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 4))
nn.MultiheadAttention(6, 2)(z(4, 2, 5), z(5, 2, 5), z(5, 2, 5))
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), z(5) > 0)
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), z(2, 4) > 0)
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), z(2, 5).long())
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), attn_mask=z(4, 5).long())
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), attn_mask=z(5, 4))
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), attn_mask=z(2, 4, 5))
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), attn_mask=z(5))
nn.MultiheadAttention(6, 2)(z(4, 6), z(5, 6), z(5, 6), attn_mask=z(3, 4, 5))
nn.MultiheadAttention(6, 2)(z(4, 6), z(5, 6), z(5, 6), z(2, 5) > 0)
nn.MultiheadAttention(6, 2)(z(4, 2, 6), z(5, 2, 6), z(5, 2, 6), is_causal=True)
nn.MultiheadAttention(6, 2)(z(4, 2, 6).double(), z(5, 2, 6).double(), z(5, 2, 6).double())
nn.TransformerEncoderLayer(6, 2, activation="tanh")
nn.TransformerEncoderLayer(6, 4)
nn.TransformerEncoderLayer(6, 2)(z(5, 2, 6), is_causal=True)
nn.TransformerEncoderLayer(6, 2)(z(5, 2, 6), z(5, 5).int())
nn.TransformerDecoderLayer(6, 2)(z(5, 2, 6), z(4, 2, 5))
nn.TransformerDecoderLayer(6, 2, dropout=2)
nn.Transformer(6, 2, 1, 1, 8)(z(5, 2, 6), z(4, 3, 6))
nn.Transformer(6, 2, 1, 1, 8, batch_first=True)(z(5, 2, 6), z(4, 2, 6))
nn.Transformer(6, 2, 1, 1, 8)(z(5, 2, 6), z(4, 2, 5))
""".strip().splitlines()


@pytest.mark.parametrize("expression", REFUSED)
def test_refused_as_in_pytorch(expression):
    found = []
    for lib in (torch, minitorch):
        with pytest.raises(Exception) as caught:
            eval(expression, {"nn": lib.nn, "z": lib.zeros})
        found.append(caught.type)
    assert issubclass(found[1], found[0]), (found, caught.value)


def test_masks_of_two_types_are_warned_of():
    for lib in (torch, minitorch):
        m, x = lib.nn.MultiheadAttention(6, 2), lib.zeros(5, 2, 6)
        with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
            m(x, x, x, lib.tensor(PADDING), attn_mask=lib.zeros(5, 5))
