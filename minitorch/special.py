"""Special functions by the names of torch.special."""
from .autograd.op import HOMES
from .ops import later

NAMES = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma"}        # those that are called otherwise elsewhere
SAME = """digamma erf erfc erfinv exp2 expm1 log1p log_softmax logit logsumexp polygamma round sinc softmax xlogy"""
for _name, _there in {**NAMES, **{name: name for name in SAME.split()}}.items():
    globals()[_name] = later.find("torch", _there) or HOMES["torch"][_there]
