"""Distributions: densities, moments, entropies, divergences and refusals are PyTorch's; samples have the moments."""
import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")

# The call, with T a tensor from numbers; then values at which the density is asked for.
ROWS = """
Normal(T([0.5, -1.0]), T([1.5, 0.3])) | [0.2, -0.9]
Normal(0.0, 2.0) | 1.5
LogNormal(T([0.5, -1.0]), T([0.5, 0.3])) | [0.2, 0.9]
Laplace(T([0.5, -1.0]), 1.2) | [0.2, -3.0]
Uniform(T([0.5, -1.0]), T([1.5, 3.0])) | [0.7, 2.0]
Exponential(T([0.5, 2.0])) | [0.7, 2.0]
Bernoulli(T([0.3, 0.8])) | [1.0, 0.0]
Bernoulli(logits=T([0.3, -0.8])) | [1.0, 0.0]
Geometric(T([0.3, 0.8])) | [1.0, 0.0]
Poisson(T([0.3, 4.0])) | [1.0, 3.0]
Categorical(T([[0.3, 0.2, 0.9], [1.0, 2.0, 3.0]])) | [1, 2]
Categorical(logits=T([[0.3, 0.2, 0.9], [1.0, 2.0, 3.0]])) | [1, 2]
OneHotCategorical(T([0.3, 0.2, 0.9])) | [0.0, 1.0, 0.0]
Independent(Normal(T([0.5, -1.0]), 2.0), 1) | [0.2, -0.9]
""".strip().splitlines()


def built(row, library, T):
    call, _, values = row.partition(" | ")
    return eval(call, {**vars(library.distributions), "T": T}), library.tensor(eval(values))


def asked(d, x):
    """name -> number array (or the kind of error) of all that can be asked."""
    found = {"log_prob": d.log_prob(x), "repr": repr(d).replace("minitorch.Size", "torch.Size"),
             "batch": tuple(d.batch_shape), "event": tuple(d.event_shape)}
    for name in ("mean", "variance", "stddev", "mode", "entropy", "perplexity", "cdf", "icdf"):
        try:
            value = getattr(d, name)
            value = value(x if name == "cdf" else x * 0 + 0.3) if name.endswith("cdf") else value() if callable(value) else value
        except NotImplementedError:
            value = "not implemented"
        found[name] = value
    return {name: v if isinstance(v, (str, tuple)) else v.detach().numpy() for name, v in found.items()}


@pytest.mark.parametrize("row", ROWS)
def test_what_is_known_of_a_distribution_is_pytorchs(row):
    ours, theirs = asked(*built(row, minitorch, minitorch.tensor)), asked(*built(row, torch, torch.tensor))
    for name in theirs:
        if isinstance(theirs[name], (str, tuple)):
            assert isinstance(ours[name], np.ndarray) or ours[name] == theirs[name], name
        else:
            assert ours[name].dtype == theirs[name].dtype, name
            np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("row", ROWS)
def test_gradients_reach_the_parameters_as_in_pytorch(row):
    def gradients(library):
        leaves = []

        def T(values):
            leaves.append(library.tensor(values, requires_grad=True))
            return leaves[-1]
        d, x = built(row, library, T)
        y = d.log_prob(x).sum()
        if "Poisson" not in row:
            y = y + 0.3 * d.entropy().sum()
        if leaves:
            y.backward()
        return [t.grad.numpy() for t in leaves]
    for g, h in zip(gradients(minitorch), gradients(torch)):
        np.testing.assert_allclose(g, h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row", ROWS)
def test_samples_have_the_moments(row):
    minitorch.manual_seed(0)
    d, _ = built(row, minitorch, minitorch.tensor)
    x = d.sample((20000,))
    assert x.shape == (20000, *d.batch_shape, *d.event_shape) and not x.requires_grad
    if row.startswith("Categorical"):
        seen = np.stack([(x.numpy() == k).mean(0) for k in range(3)], -1)
        np.testing.assert_allclose(seen, d.probs.numpy(), atol=0.02)
        return
    spread = d.stddev.numpy()
    np.testing.assert_allclose(x.numpy().mean(0), d.mean.numpy(), atol=0.05 * spread.max())
    np.testing.assert_allclose(x.numpy().std(0), spread, rtol=0.1)


PAIRS = [(a, b) for a in ROWS for b in ROWS if a.split("(")[0] == b.split("(")[0] and "LogNormal" not in a and "Geometric" not in a]


@pytest.mark.parametrize("a, b", PAIRS)
def test_divergences_are_pytorchs(a, b):
    def divergence(library):
        return library.distributions.kl_divergence(built(a, library, library.tensor)[0], built(b, library, library.tensor)[0])
    np.testing.assert_allclose(divergence(minitorch).numpy(), divergence(torch).numpy(), rtol=1e-4, atol=1e-6)


REFUSED = ["Normal(T([0.0]), T([-1.0]))", "Categorical()", "Categorical(T(0.5))", "Categorical(T([-1.0, 2.0]))", "Bernoulli(T([1.5]))",
           "Uniform(2.0, 1.0)", "Exponential(-1.0)", "Poisson(-1.0)", "Categorical(T([0.5, 0.5])).log_prob(T([3]))",
           "Uniform(0.0, 1.0).log_prob(T(2.0))", "Bernoulli(T([0.5])).log_prob(T([0.5]))", "Independent(Normal(0.0, 1.0), 1)",
           "kl_divergence(Normal(0.0, 1.0), Bernoulli(T([0.5])))"]


@pytest.mark.parametrize("call", REFUSED)
def test_mistakes_are_refused_as_in_pytorch(call):
    for library in (torch, minitorch):
        with pytest.raises((ValueError, NotImplementedError)) as caught:
            eval(call, {**vars(library.distributions), "T": library.tensor})
        if library is torch:
            kind = type(caught.value)
    assert caught.type is kind


def test_a_sample_can_be_differentiated_where_pytorchs_can():
    scale = minitorch.tensor([2.0], requires_grad=True)
    minitorch.distributions.Normal(0.0, scale).rsample((3,)).sum().backward()
    assert scale.grad is not None
    minitorch.distributions.Normal(minitorch.tensor(0.0), 1.0, validate_args=False)
    with pytest.raises(NotImplementedError):
        minitorch.distributions.Categorical(minitorch.tensor([0.5, 0.5])).rsample()
