"""Special functions by the names of torch.special."""
from .autograd.op import HOMES

NAMES = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma"}        # those that are called otherwise elsewhere
SAME = """digamma erf erfc erfinv exp2 expm1 log1p log_softmax logit logsumexp polygamma round sinc softmax xlogy"""
globals().update({name: HOMES["torch"][name] for name in SAME.split() if name in HOMES["torch"]})
globals().update({name: HOMES["torch"][there] for name, there in NAMES.items()})
