"""Parameter and Buffer: tensors that a Module notices when they are assigned to it."""
from ..tensor import Tensor, wrap


class Parameter(Tensor):
    """A tensor that is a Module's parameter when assigned as its attribute; it requires grad unless told otherwise.

    It shares its storage with `data`.
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = Tensor(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be a Tensor, not {type(data).__name__}")
        self = wrap(data.array, counter=data.counter, cls=cls)
        return self.requires_grad_() if requires_grad else self

    def __init__(self, data=None, requires_grad=True):
        pass

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = again = type(self)(self.detach().clone(), self.requires_grad)
            again.__dict__.update(self.__dict__)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return rebuild, (type(self), self.detach(), self.requires_grad, self.__dict__)


class Buffer(Tensor):
    """A tensor that is a Module's buffer when assigned as its attribute: part of its state, not trained.

    persistent: whether it stands in the module's state_dict.
    """

    __slots__ = ()

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = Tensor(0)
        self = wrap(data.array, counter=data.counter, cls=cls)
        self.persistent = persistent
        return self.requires_grad_() if data.requires_grad else self

    def __init__(self, data=None, *, persistent=True):
        pass

    def __reduce_ex__(self, protocol):
        return rebuild_buffer, (self.detach(), self.persistent)


def rebuild(cls, data, requires_grad, attributes):
    """What unpickling a Parameter calls."""
    self = cls(data, requires_grad)
    self.__dict__.update(attributes)
    return self


def rebuild_buffer(data, persistent):
    """What unpickling a Buffer calls."""
    return Buffer(data, persistent=persistent)
