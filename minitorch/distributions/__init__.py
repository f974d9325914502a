"""Probability distributions: samples, logarithms of densities, entropies, divergences, by the names of torch.distributions."""
from .continuous import Exponential, Laplace, LogNormal, Normal, Uniform
from .discrete import Bernoulli, Categorical, Geometric, OneHotCategorical, Poisson
from .distribution import Distribution, Independent
from .divergence import kl_divergence, register_kl

__all__ = ["Bernoulli", "Categorical", "Distribution", "Exponential", "Geometric", "Independent", "Laplace", "LogNormal", "Normal",
           "OneHotCategorical", "Poisson", "Uniform", "kl_divergence", "register_kl"]
