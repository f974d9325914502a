"""The divergence of Kullback and Leibler: the expectation under p of log p - log q."""
from .. import inf, where
from .continuous import Exponential, Laplace, Normal, Uniform
from .discrete import Bernoulli, Categorical, OneHotCategorical, Poisson
from .distribution import Independent, summed

RULES: dict = {}                           # (class of p, class of q) -> function


def register_kl(type_p, type_q):
    """A decorator: the function computes kl_divergence of these two classes."""
    def enter(f):
        RULES[type_p, type_q] = f
        return f
    return enter


def kl_divergence(p, q):
    """The divergence of q from p; NotImplementedError for classes without a rule."""
    for a in type(p).__mro__:
        for b in type(q).__mro__:
            if (a, b) in RULES:
                return RULES[a, b](p, q)
    raise NotImplementedError(f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}")


@register_kl(Normal, Normal)
def _(p, q):
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())


@register_kl(Laplace, Laplace)
def _(p, q):
    ratio, far = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + far / q.scale + ratio * (-far / p.scale).exp() - 1


@register_kl(Exponential, Exponential)
def _(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Uniform, Uniform)
def _(p, q):
    y = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), inf, y)


@register_kl(Poisson, Poisson)
def _(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Bernoulli, Bernoulli)
def _(p, q):
    from .. import nn
    softplus = nn.functional.softplus
    t1 = p.probs * (softplus(-q.logits) + p.probs.log())
    t2 = (1 - p.probs) * (softplus(q.logits) + (-p.probs).log1p())
    t1 = where(q.probs == 0, inf, t1)
    t2 = where(q.probs == 1, inf, t2)
    return where(p.probs == 0, 0.0, t1) + where(p.probs == 1, 0.0, t2)


@register_kl(Categorical, Categorical)
def _(p, q):
    t = p.probs * (p.logits - q.logits)
    t = where((q.probs == 0).expand_as(t), inf, t)
    return where((p.probs == 0).expand_as(t), 0.0, t).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _(p, q):
    return kl_divergence(p._categorical, q._categorical)


@register_kl(Independent, Independent)
def _(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: the two Independent distributions sum over different numbers of axes")
    return summed(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
