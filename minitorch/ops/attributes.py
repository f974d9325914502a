"""What programs ask tensors about kinds that do not exist here (sparse, complex, quantized, shared), and questions of place and sign."""
import numpy as np

from ..autograd.op import HOMES
from ..tensor import Tensor
from .creation import require_tensor


def answer(value, doc):
    return property(lambda self: value, doc=doc)


for _kind in ("sparse", "quantized", "meta", "mkldnn", "nested", "mps", "sparse_csr", "vulkan", "xla", "xpu"):
    setattr(Tensor, "is_" + _kind, answer(False, f"False: there are no {_kind} tensors."))
Tensor.is_cpu = property(lambda self: type(self.array) is np.ndarray, doc="Whether it is in the computer's own memory.")
Tensor.name = answer(None, "None: tensors have no names.")
Tensor.output_nr = property(lambda self: 0 if self.grad_fn is None else getattr(self.node, "index", 0), doc="Which of its op's outputs it is.")


def itself(name, doc):
    """A method, or function, that gives the tensor itself."""
    def method(self, *args, **kwargs):
        return require_tensor(self, name)
    method.__name__, method.__doc__ = name, doc
    return method


def no(name, doc):
    """A method, or function, that answers False."""
    def method(self):
        require_tensor(self, name)
        return False
    method.__name__, method.__doc__ = name, doc
    return method


for _name in ("conj", "resolve_conj", "resolve_neg", "conj_physical", "real"):
    HOMES["torch"][_name] = itself(_name, "The tensor itself: there are no complex ones.")
    if _name != "real":
        setattr(Tensor, _name, HOMES["torch"][_name])
Tensor.real = property(lambda self: self, doc="The tensor itself: there are no complex ones.")
for _name in ("to_dense", "pin_memory", "share_memory_"):
    setattr(Tensor, _name, itself(_name, "The tensor itself: its memory is as it is."))
for _name in ("is_complex", "is_conj", "is_neg"):
    setattr(Tensor, _name, no(_name, "False: there are no complex tensors."))
for _name in ("is_pinned", "is_shared", "is_coalesced"):
    setattr(Tensor, _name, no(_name, "False: memory is ordinary memory."))
HOMES["torch"].update(is_conj=Tensor.is_conj, is_neg=Tensor.is_neg)


def is_signed(input):
    """Whether its dtype has negative numbers."""
    return require_tensor(input, "is_signed").array.dtype.kind not in "bu"


def is_same_size(input, other):
    """Whether the shapes are equal."""
    return require_tensor(input, "is_same_size").shape == other.shape


def get_device(input):
    """The number of its GPU; -1 on the CPU."""
    return -1 if require_tensor(input, "get_device").is_cpu else input.device.index


for _f in (is_signed, is_same_size, get_device):
    HOMES["torch"][_f.__name__] = _f
    setattr(Tensor, _f.__name__, _f)


def layout(self):
    """minitorch.strided: the only layout."""
    from ..settings import strided
    return strided


Tensor.layout = property(layout)
