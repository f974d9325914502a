"""Pickles read without executing them: a machine for those of pickle's instructions that build plain data.

It calls nothing but the functions of `names` and what the program trusts (see `trust`).  Lists, dicts and sets are filled
only where they are just that, and attributes are set only on OrderedDicts (the versions in a state_dict).
"""
import collections
import pickle
import pickletools
import struct

import numpy as np

from . import names
from .files import Damaged
from .names import Allowed, hashable
from .tensors import Storage
from .trust import trusted

BLOCKED = ("sys", "os", "posix", "nt", "subprocess")     # never, whatever the program trusts
MARK = object()


class Unpickler:
    """Reads one pickle from `data`, starting at `position`; `persistent` answers for storages."""

    def __init__(self, data, persistent, position=0, encoding="utf-8"):
        self.data, self.persistent, self.position, self.encoding = data, persistent, position, encoding
        self.stack, self.memo, self.own = [], {}, {id(thing) for thing in trusted.values()}

    def load(self):
        """The object that the pickle describes."""
        while True:
            opcode = self.take(1)
            if opcode == pickle.STOP:
                return self.value(self.pop())
            step = STEPS.get(opcode)
            if step is None:
                raise Damaged(f"its pickle holds the instruction {name_of(opcode)}, which load(weights_only=True) does not follow")
            step(self)

    # ---- bytes, and the stack ---------------------------------------------------------------------------------

    def take(self, n):
        """The next `n` bytes."""
        start, self.position = self.position, self.position + n
        if self.position > len(self.data):
            raise Damaged(f"its pickle ends where {n} more bytes should stand")
        return self.data[start:self.position]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self):
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise Damaged("its pickle ends within a name")
        start, self.position = self.position, end + 1
        return self.data[start:end].decode("utf-8")

    def pop(self):
        if not self.stack or self.stack[-1] is MARK:
            raise Damaged("its pickle takes from an empty stack")
        return self.stack.pop()

    def top(self):
        if not self.stack or self.stack[-1] is MARK:
            raise Damaged("its pickle needs something that is not there")
        return self.stack[-1]

    def since_mark(self):
        """Everything after the last mark, taken from the stack."""
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is MARK:
                items = self.stack[i + 1:]
                del self.stack[i:]
                return items
        raise Damaged("its pickle lacks a mark")

    def push(self, x):
        self.stack.append(x)

    def value(self, x):
        """`x` where it may stand in data: not a function, a storage, or a type of storages."""
        if type(x) in (Allowed, names.StorageType, Storage):
            raise Damaged(f"it holds {x!r} itself as data, not a tensor")
        return x

    # ---- containers ---------------------------------------------------------------------------------------------

    def append(self, items):
        target = self.top()
        if type(target) is not list:
            raise Damaged(f"its pickle appends to a {type(target).__name__}")
        target.extend([self.value(v) for v in items])

    def add(self, items):
        target = self.top()
        if type(target) is not set:
            raise Damaged(f"its pickle adds to a {type(target).__name__}")
        target.update([hashable(v) for v in items])

    def set_items(self, items):
        target = self.top()
        if type(target) not in (dict, collections.OrderedDict, collections.Counter) or len(items) % 2:
            raise Damaged(f"its pickle sets items of a {type(target).__name__}")
        for k, v in zip(items[::2], items[1::2]):
            target[hashable(k)] = self.value(v)

    def pair(self):
        v = self.pop()
        return [self.pop(), v]

    # ---- names and calls ------------------------------------------------------------------------------------------

    def find(self, module, name):
        """What a name stands for; Damaged where the file may not name it."""
        full = full_name(module, name)
        if full.partition(".")[0] in BLOCKED:
            raise Damaged(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked: the file wants to execute it")
        known = names.meaning(full)
        if known is None:
            known = trusted.get(full)
        if known is None:
            raise Damaged(refusal(full))
        return known

    def reduce(self):
        arguments, function = self.pop(), self.pop()
        if type(arguments) is not tuple:
            raise Damaged("its pickle calls a function without arguments")
        if type(function) is Allowed:
            self.push(function.call(*arguments))
        elif id(function) in self.own:
            self.push(function(*arguments))
        else:
            raise Damaged(f"its pickle calls {function!r}")

    def new(self):
        arguments, kind = self.pop(), self.pop()
        if id(kind) not in self.own:
            if type(kind) is not Allowed or kind.name not in ("collections.OrderedDict", "collections.Counter", "torch.Size"):
                raise Damaged(f"its pickle makes an object of {kind!r}")
            self.push(kind.call(*arguments))
        else:
            self.push(kind.__new__(kind, *arguments))

    def build(self):
        state, target = self.pop(), self.top()
        if isinstance(target, np.dtype):
            names.check_dtype_state(target, state)
        elif type(target) is np.ndarray:
            names.fill_array(target, state)
        elif type(target) is collections.OrderedDict:
            if type(state) is not dict or not all(type(k) is str and not hasattr(collections.OrderedDict, k) for k in state):
                raise Damaged("its pickle sets attributes of an OrderedDict that are none, or that would hide methods")
            target.__dict__.update(state)
        elif id(type(target)) in self.own:
            set_state(target, state)
        else:
            raise Damaged(f"its pickle sets attributes of a {type(target).__name__}")

    def persist(self):
        place = self.pop()
        if type(place) is not tuple or not place:
            raise Damaged("its pickle refers to something that is no storage")
        self.push(self.persistent(place))


def set_state(target, state):
    """What unpickling does to an object of a class without __setstate__."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    state, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    if state:
        target.__dict__.update(state)
    for k, v in (slots or {}).items():
        setattr(target, k, v)


def full_name(module, name):
    """A name as Python 3 has it."""
    return f"{'builtins' if module == '__builtin__' else module}.{name}"


def refusal(full):
    if full.startswith("torch."):
        return (f"GLOBAL {full} was not an allowed global by default: the file holds an object of PyTorch's own, not only tensors and plain "
                "data. Of a module or an optimizer save the state_dict() there.")
    return (f"GLOBAL {full} was not an allowed global by default. If you trust it, say so by "
            f"`minitorch.serialization.add_safe_globals([{full.rpartition('.')[2]}])` or the context manager `safe_globals`. "
            "load(..., weights_only=False) lets the file call whatever it names: do that only where you trust its source.")


def name_of(opcode):
    known = pickletools.code2op.get(opcode.decode("latin1"))
    return known.name if known else repr(opcode)


def refused_names(data):
    """The names in a pickle that an Unpickler would refuse, sorted."""
    found, strings = set(), []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            found.add(full_name(*argument.split(" ", 1)))
        elif opcode.name == "STACK_GLOBAL":
            found.add(full_name(*strings[-2:]))
        elif isinstance(argument, str):
            strings.append(argument)
    return sorted(name for name in found if names.meaning(name) is None and name not in trusted)


# ---- the instructions -----------------------------------------------------------------------------------------------

def text(form):
    return lambda u: u.push(str(u.take(u.number(form)), "utf-8", "surrogatepass"))


def old_text(form):
    def step(u):
        raw = u.take(u.number(form))
        u.push(raw if u.encoding == "bytes" else raw.decode(u.encoding))
    return step


def tuple_of(n):
    def step(u):
        items = [u.pop() for _ in range(n)]
        u.push(tuple(items[::-1]))
    return step


def remember(form):
    def step(u):
        u.memo[u.number(form)] = u.top()
    return step


def recall(form):
    return lambda u: u.push(u.memo[u.number(form)])


def dict_of(items):
    return {hashable(k): v for k, v in zip(items[::2], items[1::2], strict=True)}


def stack_global(u):
    name, module = u.pop(), u.pop()
    if type(name) is not str or type(module) is not str:
        raise Damaged("its pickle names a class by something that is no text")
    u.push(u.find(module, name))


STEPS = {
    pickle.PROTO: lambda u: u.take(1), pickle.FRAME: lambda u: u.take(8),
    pickle.MARK: lambda u: u.stack.append(MARK), pickle.POP: lambda u: u.stack.pop(), pickle.POP_MARK: lambda u: u.since_mark(),
    pickle.NONE: lambda u: u.push(None), pickle.NEWTRUE: lambda u: u.push(True), pickle.NEWFALSE: lambda u: u.push(False),
    pickle.BININT: lambda u: u.push(u.number("<i")), pickle.BININT1: lambda u: u.push(u.number("B")),
    pickle.BININT2: lambda u: u.push(u.number("<H")), pickle.BINFLOAT: lambda u: u.push(u.number(">d")),
    pickle.LONG1: lambda u: u.push(int.from_bytes(u.take(u.number("B")), "little", signed=True)),
    pickle.LONG4: lambda u: u.push(int.from_bytes(u.take(u.number("<I")), "little", signed=True)),
    pickle.BINUNICODE: text("<I"), pickle.SHORT_BINUNICODE: text("B"), pickle.BINUNICODE8: text("<Q"),
    pickle.BINSTRING: old_text("<I"), pickle.SHORT_BINSTRING: old_text("B"),
    pickle.BINBYTES: lambda u: u.push(u.take(u.number("<I"))), pickle.SHORT_BINBYTES: lambda u: u.push(u.take(u.number("B"))),
    pickle.BINBYTES8: lambda u: u.push(u.take(u.number("<Q"))), pickle.BYTEARRAY8: lambda u: u.push(bytearray(u.take(u.number("<Q")))),
    pickle.EMPTY_TUPLE: lambda u: u.push(()), pickle.EMPTY_LIST: lambda u: u.push([]), pickle.EMPTY_DICT: lambda u: u.push({}),
    pickle.EMPTY_SET: lambda u: u.push(set()), pickle.TUPLE: lambda u: u.push(tuple(u.since_mark())),
    pickle.TUPLE1: tuple_of(1), pickle.TUPLE2: tuple_of(2), pickle.TUPLE3: tuple_of(3),
    pickle.LIST: lambda u: u.push(u.since_mark()), pickle.DICT: lambda u: u.push(dict_of(u.since_mark())),
    pickle.FROZENSET: lambda u: u.push(names.make_frozenset(u.since_mark())),
    pickle.APPEND: lambda u: u.append([u.pop()]), pickle.APPENDS: lambda u: u.append(u.since_mark()),
    pickle.ADDITEMS: lambda u: u.add(u.since_mark()),
    pickle.SETITEM: lambda u: u.set_items(u.pair()), pickle.SETITEMS: lambda u: u.set_items(u.since_mark()),
    pickle.BINPUT: remember("B"), pickle.LONG_BINPUT: remember("<I"), pickle.BINGET: recall("B"), pickle.LONG_BINGET: recall("<I"),
    pickle.MEMOIZE: lambda u: u.memo.__setitem__(len(u.memo), u.top()),
    pickle.GLOBAL: lambda u: u.push(u.find(u.line(), u.line())), pickle.STACK_GLOBAL: stack_global,
    pickle.REDUCE: Unpickler.reduce, pickle.NEWOBJ: Unpickler.new, pickle.BUILD: Unpickler.build, pickle.BINPERSID: Unpickler.persist,
}
