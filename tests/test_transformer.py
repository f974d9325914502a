"""Attention with heads and transformers against their equations; masks; copies, files, refusals."""
import copy
import math

import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch.gradcheck import check
from minitorch.nn import functional as F
from minitorch.ops import attention_tiles
from minitorch.ops.attention import by_ops


def wide(module):
    minitorch.manual_seed(0)
    return module.double().eval()


def randn(*shape, seed=0):
    return minitorch.tensor(np.random.default_rng(seed).normal(size=shape))


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13)


# ---- attention ------------------------------------------------------------------------------------------------

def test_attention_with_heads_is_attention_in_each():
    m, q, k, v = wide(nn.MultiheadAttention(6, 3)), randn(4, 2, 6), randn(5, 2, 6, seed=1), randn(5, 2, 6, seed=2)
    y, weights = m(q, k, v, average_attn_weights=False)
    w, b = m.in_proj_weight.chunk(3), m.in_proj_bias.chunk(3)
    q, k, v = (F.linear(t, w[i], b[i]) for i, t in enumerate((q, k, v)))
    joined = []
    for head in range(3):
        part = slice(2 * head, 2 * head + 2)
        scores = minitorch.einsum("lne,sne->nls", q[..., part], k[..., part]) / math.sqrt(2)
        close(weights[:, head], scores.softmax(-1))
        joined.append(minitorch.einsum("nls,sne->lne", scores.softmax(-1), v[..., part]))
    close(y, m.out_proj(minitorch.cat(joined, -1)))


def test_weights_are_the_mean_of_the_heads_and_sum_to_one():
    m, x = wide(nn.MultiheadAttention(6, 2)), randn(4, 2, 6)
    _, mean = m(x, x, x)
    _, each = m(x, x, x, average_attn_weights=False)
    assert each.shape == (2, 2, 4, 4) and m(x, x, x, need_weights=False)[1] is None
    close(mean, each.mean(1))
    close(mean.sum(-1), minitorch.ones(2, 4).double())


@pytest.mark.parametrize("more", [dict(), dict(add_bias_kv=True), dict(add_zero_attn=True), dict(add_bias_kv=True, add_zero_attn=True)], ids=str)
def test_what_a_mask_hides_has_no_influence(more):
    m, q, k = wide(nn.MultiheadAttention(6, 2, **more)), randn(4, 2, 6), randn(5, 2, 6, seed=1).requires_grad_()
    padding = minitorch.tensor([[False, False, True, True, True], [False, False, False, False, False]])
    for need_weights in (True, False):
        k.grad = None
        y = m(q, k, k, padding, need_weights=need_weights)[0]
        y.sum().backward()
        assert (k.grad[2:, 0] == 0).all() and (k.grad[:, 1] != 0).any(-1).all() and (k.grad[:2, 0] != 0).any(-1).all()
        close(y[:, :1], m(q[:, :1], k[:2, :1], k[:2, :1])[0])


def test_booleans_and_minus_infinity_mask_alike():
    m, x = wide(nn.MultiheadAttention(6, 2)), randn(4, 2, 6)
    mask = minitorch.ones(4, 4).triu(1).bool()
    numbers = nn.Transformer.generate_square_subsequent_mask(4, dtype=minitorch.float64)
    expected = m(x, x, x, attn_mask=mask)[0]
    close(expected, m(x, x, x, attn_mask=numbers)[0])
    close(expected, m(x, x, x, attn_mask=numbers, is_causal=True, need_weights=False)[0])
    close(expected, m(x, x, x, attn_mask=numbers.expand((4, 4, 4)), need_weights=False)[0])


def test_the_batch_comes_first_or_second_or_not_at_all():
    m, n, x = wide(nn.MultiheadAttention(6, 2)), wide(nn.MultiheadAttention(6, 2, batch_first=True)), randn(4, 2, 6)
    n.load_state_dict(m.state_dict())
    y, weights = m(x, x, x)
    z, same = n(*[x.transpose(0, 1)] * 3)
    close(y, z.transpose(0, 1))
    close(weights, same)
    alone, its = m(x[:, 0], x[:, 0], x[:, 0])
    close(alone, y[:, 0])
    close(its, weights[0])


def test_dropout_drops_weights_while_training_only():
    m, x = wide(nn.MultiheadAttention(6, 2, 0.5)), randn(8, 2, 6)
    assert (m(x, x, x)[1] > 0).all()
    assert 0.2 < float((m.train()(x, x, x, average_attn_weights=False)[1] == 0).double().mean()) < 0.8


def test_parameters_stand_in_pytorchs_order():
    assert list(nn.MultiheadAttention(4, 2, add_bias_kv=True).state_dict()) == [
        "in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"]
    assert list(nn.MultiheadAttention(4, 2, bias=False, kdim=3).state_dict()) == [
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]


# ---- transformers ---------------------------------------------------------------------------------------------

def test_an_encoder_layer_is_its_equations():
    x = randn(4, 2, 6)
    for first in (True, False):
        m = wide(nn.TransformerEncoderLayer(6, 2, 8, norm_first=first))

        def attention(x, m=m):
            return m.self_attn(x, x, x)[0]

        def network(x, m=m):
            return m.linear2(m.linear1(x).relu())
        if first:
            y = x + attention(m.norm1(x))
            y = y + network(m.norm2(y))
        else:
            y = m.norm1(x + attention(x))
            y = m.norm2(y + network(y))
        close(m(x), y)


def test_a_decoder_layer_is_its_equations():
    m, x, memory = wide(nn.TransformerDecoderLayer(6, 2, 8, activation="gelu")), randn(4, 2, 6), randn(5, 2, 6, seed=1)
    y = m.norm1(x + m.self_attn(x, x, x)[0])
    y = m.norm2(y + m.multihead_attn(y, memory, memory)[0])
    y = m.norm3(y + m.linear2(F.gelu(m.linear1(y))))
    close(m(x, memory), y)


def test_a_causal_decoder_does_not_see_what_comes_after():
    m, src, tgt = wide(nn.Transformer(6, 2, 1, 2, 8)), randn(5, 2, 6), randn(4, 2, 6, seed=1)
    mask = m.generate_square_subsequent_mask(4, dtype=minitorch.float64)
    y = m(src, tgt, tgt_mask=mask)
    for hint in (None, True, False):
        close(m(src, tgt[:3], tgt_mask=mask[:3, :3], tgt_is_causal=hint), y[:3])
    assert not minitorch.allclose(m(src, tgt)[:3], y[:3])


def test_the_hint_is_given_only_for_a_causal_mask():
    class Layer(nn.TransformerEncoderLayer):
        def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
            seen.append(is_causal)
            return src
    m, x, seen = nn.TransformerEncoder(Layer(4, 2, 4), 1), minitorch.zeros(3, 1, 4), []
    causal = nn.Transformer.generate_square_subsequent_mask(3)
    for mask, hint in ((None, None), (causal, None), (causal.bool(), None), (causal * 0, None), (causal, False), (causal * 0, True)):
        m(x, mask, is_causal=hint)
    assert seen == [False, True, True, False, False, True]


def test_layers_of_a_stack_start_alike_and_are_separate():
    m = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 4, activation=nn.GELU()), 2)
    a, b = m.layers
    assert minitorch.equal(a.linear1.weight, b.linear1.weight) and a.linear1.weight is not b.linear1.weight
    assert type(a.activation) is nn.GELU and a.activation is not b.activation
    d = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 4, activation=nn.GELU()), 2)
    assert type(d.layers[1].activation) is nn.GELU


def test_derivatives_with_masks():
    m = wide(nn.Transformer(4, 2, 1, 1, 5, activation="gelu", batch_first=True, norm_first=True))
    padding = minitorch.tensor([[False, False, True]])
    report = check(lambda x, y: m(x, y, tgt_mask=m.generate_square_subsequent_mask(2, dtype=minitorch.float64), src_key_padding_mask=padding,
                                  memory_key_padding_mask=padding), (randn(1, 3, 4), randn(1, 2, 4, seed=1)))
    assert report.ok, report


@pytest.mark.parametrize("dtype", [minitorch.float32, minitorch.float64], ids=str)
@pytest.mark.parametrize("size", [0.1, 1, 300], ids=["small", "usual", "large"])
@pytest.mark.parametrize("mask", ["none", "causal", "booleans", "numbers"])
def test_scores_of_any_size(mask, size, dtype):
    """Those that are bounded are not shifted before their exponentials, others are; in double precision by ops there is no such choice."""
    q, k, v = (randn(2, 300, 8, seed=i).to(dtype) for i in range(3))
    given = {"none": None, "causal": None, "booleans": randn(300, 300, seed=4) > 0.5, "numbers": (randn(300, 300, seed=4) * size).to(dtype)}[mask]
    if mask == "booleans":
        given[7] = False                             # it sees nothing
    leaves = [t.requires_grad_() for t in (q * size ** 0.5, k * size ** 0.5, v)]
    exact = [t.detach().double().requires_grad_() for t in leaves]
    with minitorch.backends.using(loops="never", blas="numpy"):
        y = F.scaled_dot_product_attention(*leaves, given, is_causal=mask == "causal")
    same = by_ops(*exact, given.double() if mask == "numbers" else given, mask == "causal", 8 ** -0.5)
    tolerance = 1e-12 if dtype is minitorch.float64 else 1e-5 * max(1, size)
    assert (y.double() - same).abs().max() <= tolerance * same.abs().max()
    with minitorch.backends.using(loops="never", blas="numpy"):
        found = minitorch.autograd.grad(y.square().sum(), leaves)
    for a, b in zip(found, minitorch.autograd.grad(same.square().sum(), exact), strict=True):
        assert (a.double() - b).abs().max() <= 10 * tolerance * max(b.abs().max(), 1)


@pytest.mark.parametrize("mask", ["none", "causal", "booleans", "numbers", "numbers with a gradient"])
def test_exponentials_that_forward_keeps_change_no_gradient(mask, monkeypatch):
    q, k, v = (randn(2, n, 300, 8, seed=i).float().requires_grad_() for i, n in enumerate((4, 2, 2)))
    given = None if mask in ("none", "causal") else randn(300, 300, seed=4) > 0.5 if mask == "booleans" else randn(300, 300, seed=4).float()
    leaves = [q, k, v, given.requires_grad_()] if "with" in mask else [q, k, v]

    def gradients(most):
        monkeypatch.setattr(attention_tiles, "KEPT", most)
        with minitorch.backends.using(loops="never", blas="numpy"):
            y = F.scaled_dot_product_attention(q, k, v, given, is_causal=mask == "causal", enable_gqa=True)
            monkeypatch.setattr(minitorch.threads, "count", 1)             # they shared the heads otherwise
            assert (y.node.saved[3 * y.node.plan.kept.index("p")] is not None) == bool(most)
            return minitorch.autograd.grad(y.square().sum(), leaves)
    for a, b in zip(gradients(1 << 25), gradients(0), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-5, 1e-5)


def test_keys_that_a_position_does_not_see_may_be_anything():
    q, k, v = (randn(2, 300, 8, seed=i).float().requires_grad_() for i in range(3))
    broken = k.detach().clone()
    broken[:, 200:] = math.nan
    with minitorch.backends.using(loops="never"):
        y, same = (F.scaled_dot_product_attention(q, keys, v, is_causal=True) for keys in (broken, k))
    assert y[:, 200:].isnan().all()
    np.testing.assert_allclose(y[:, :200].detach().numpy(), same[:, :200].detach().numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("shapes, said", [
    (((2, 3, 4), (2, 3, 5), (2, 3, 5)), r"query and key must have as many numbers in a position \(axis -1\), .* \(2, 3, 4\) and \(2, 3, 5\)"),
    (((3, 4), (6, 4), (5, 4)), r"key and value must have as many positions \(axis -2\), .* \(6, 4\) and \(5, 4\)")])
def test_attention_refuses_shapes_that_do_not_go_together(shapes, said):
    with pytest.raises(RuntimeError, match=said):
        F.scaled_dot_product_attention(*[randn(*shape) for shape in shapes])


def test_second_derivatives_of_attention():
    m = wide(nn.MultiheadAttention(4, 2))
    for need_weights in (True, False):
        assert check(lambda x, n=need_weights: m(x, x, x, need_weights=n)[0], (randn(3, 1, 4),), order=2).ok


def test_a_transformer_is_copied_saved_and_loaded(tmp_path):
    m, src, tgt = wide(nn.Transformer(4, 2, 1, 1, 5)), randn(3, 2, 4), randn(2, 2, 4, seed=1)
    close(copy.deepcopy(m)(src, tgt), m(src, tgt))
    minitorch.save(m.state_dict(), tmp_path / "transformer.safetensors")
    n = nn.Transformer(4, 2, 1, 1, 5).double().eval()
    n.load_state_dict(minitorch.load(tmp_path / "transformer.safetensors"))
    close(n(src, tgt), m(src, tgt))


@pytest.mark.parametrize("call, error, words", [
    (lambda: nn.MultiheadAttention(6, 4), AssertionError, "divisible by num_heads"),
    (lambda: nn.MultiheadAttention(6, 0), ValueError, "greater than 0"),
    (lambda: nn.MultiheadAttention(4, 2)(minitorch.ones(3, 2, 4), minitorch.ones(3, 4), minitorch.ones(3, 4)), AssertionError, "to be 3-D"),
    (lambda: nn.MultiheadAttention(4, 2)(*[minitorch.ones(3, 2, 4)] * 3, attn_mask=minitorch.ones(2, 3)), RuntimeError, r"should be \(3, 3\)"),
    (lambda: nn.MultiheadAttention(4, 2)(*[minitorch.ones(3, 2, 4)] * 3, minitorch.ones(2, 2)), AssertionError, r"expected \(2, 3\)"),
    (lambda: nn.MultiheadAttention(4, 2)(*[minitorch.ones(3, 2, 4)] * 3, is_causal=True), RuntimeError, "Need attn_mask"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), RuntimeError, "should be relu/gelu, not sin"),
    (lambda: nn.Transformer(4, 2, 1, 1, 4)(minitorch.ones(3, 2, 4), minitorch.ones(3, 1, 4)), RuntimeError, "batch number"),
    (lambda: nn.Transformer(4, 2, 1, 1, 4)(minitorch.ones(3, 2, 4), minitorch.ones(3, 2, 2)), RuntimeError, "feature number")])
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
