"""Networks' functions, without modules: what PyTorch calls torch.nn.functional, collected from the op table."""
from ..autograd.op import HOMES

globals().update(HOMES["functional"])
__all__ = sorted(HOMES["functional"])
