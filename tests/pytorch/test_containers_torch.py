"""Lists and dictionaries of modules and parameters: what each method and operator gives, or the class of its error, as in PyTorch."""
from collections import OrderedDict

import pytest

import minitorch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own

# In each: s, l, d are a Sequential, ModuleList and ModuleDict of three modules; p and q a ParameterList and ParameterDict.
EXPRESSIONS = """
len(s), len(l), len(d), len(p), len(q)
s[0]; s[-1]; s[1:]; s[3]; s["a"]; s[-4]; s[1.0]
l[0]; l[-1]; l[::2]; l[3]; l["0"]; l[True]
d["a"]; d["z"]; d[0]
p[0]; p[-1]; p[5]; p[0:2]; q["w"]; q["z"]
[type(m).__name__ for m in s]; [type(m).__name__ for m in l]; list(d); list(q); [tuple(x.shape) for x in p]
s.append(nn.ReLU()); s.extend([nn.ReLU(), nn.Tanh()]); s.insert(1, nn.ReLU()); s.insert(9, nn.ReLU()); s.pop(0); s.append(3)
s + nn.Sequential(nn.ReLU()); s * 2; 2 * s; s * 0; s + 3
done(s.__delitem__(0), s); done(s.__delitem__(slice(0, 2)), s); done(s.__setitem__(1, nn.ReLU()), s); done(s.__setitem__(7, nn.ReLU()), s)
l.append(nn.ReLU()); l.extend([nn.ReLU()]); l.extend(3); done(l.insert(0, nn.Tanh()), l); l.pop(1); l.pop(); l + [nn.ReLU()]; l + 3
done(l.__delitem__(1), l); done(l.__delitem__(slice(1, None)), l); done(l.__setitem__(-1, nn.ReLU()), l); l(x); nn.ModuleList(3)
l.append(None); nn.ModuleList([nn.ReLU(), None]); nn.ModuleList(nn.ReLU() for _ in range(3)); nn.ModuleList()
list(d.keys()); [str(m) for m in d.values()]; [k for k, _ in d.items()]; d.pop("a"); d.pop("z"); "a" in d; done(d.clear(), d)
done(d.update({"n": nn.ReLU()}), d); done(d.update([["n", nn.ReLU()]]), d); d.update(3); d.update([["n"]]); d(x); d.get("a")
done(d.__setitem__("b", nn.ReLU()), d); done(d.__delitem__("a"), d); d.__setitem__("b", 3); d.__setitem__(3, nn.ReLU())
d.__setitem__("a.b", nn.ReLU()); d.__setitem__("", nn.ReLU()); nn.ModuleDict({"keys": nn.ReLU()}); nn.ModuleDict()
nn.ModuleDict([("a", nn.ReLU()), ("b", nn.Tanh())]); nn.ModuleDict(OrderedDict(z=nn.ReLU(), a=nn.Tanh())); nn.ModuleDict({"forward": nn.ReLU()})
nn.Sequential(OrderedDict(z=nn.ReLU(), a=nn.Tanh())); nn.Sequential(nn.ReLU(), None); nn.Sequential([nn.ReLU()]); nn.Sequential()
nn.Sequential(nn.ReLU())(x); nn.Sequential()(x); s(x); s.z
len(p.append(T.ones(2))); len(p.extend([T.ones(1)])); p.extend(3); [type(v).__name__ for v in nn.ParameterList([T.ones(2), 3, "a"])]; p(x)
done(p.__setitem__(0, nn.Parameter(T.ones(7))), tuple(p[0].shape)); p.__setitem__(9, 3); list(nn.ParameterList([T.ones(1)]).state_dict())
sorted(q.keys()); [k for k, _ in q.items()]; q.pop("w").shape == (2,); q.pop("z"); q.popitem()[0]; "w" in q; q.get("z"); q.get("z", 5)
done(q.update({"n": T.ones(3)}), list(q)); done(q.clear(), list(q)); q.setdefault("w", 3) is q["w"]; q.setdefault("new"); list(q.copy())
list(q | {"k": T.ones(1)}); list({"k": T.ones(1)} | q); list(q.fromkeys(["a", "b"])); q(x); list(reversed(q)); done(q.__delitem__("w"), list(q))
[n for n, _ in s.named_parameters()]; [n for n, _ in d.named_modules()]; [n for n, _ in l.named_children()]; list(d.state_dict())
s.get_submodule("0"); d.get_submodule("z"); s.get_parameter("0.weight").shape == (4, 3); s.get_parameter("weight"); s.get_submodule("")
s.add_module("extra", nn.ReLU()); s.add_module("0.5", nn.ReLU()); s.add_module("training", nn.ReLU()); s.add_module(3, nn.ReLU())
s.register_module("r", nn.ReLU()); s.register_buffer("weight", 3); s.register_parameter("p", T.ones(1)); s.register_parameter("a.b", None)
done(setattr(s, "extra", nn.ReLU()), s); done(delattr(s, "0"), s); delattr(s, "z"); done(setattr(s, "0", None), s); setattr(s[0], "weight", 3)
s.train(False).training; s.train(3); s.eval()[0].training; s.requires_grad_(False)[0].weight.requires_grad; s.double()[0].weight.dtype == T.float64
s.to(T.int64); s.to("nowhere"); s.type(T.float64)[0].bias.dtype == T.float64; s.load_state_dict({}); s.load_state_dict(3); s.zero_grad()
s.load_state_dict({"0.weight": T.ones(4, 3), "0.bias": T.ones(5)}, strict=False); nn.Linear(2, 3).bogus; nn.Linear(2); nn.Linear(2, 3, 4, 5, 6, 7)
nn.Module()(x); nn.Module(); list(nn.Module().parameters()); nn.Module().named_parameters().__next__(); s.half().float()[0].weight.dtype == T.float32
""".strip()


def entries():
    return [e.strip() for e in EXPRESSIONS.replace("\n", ";").split(";")]


def answer(library, text):
    """What an expression gives, in words, or the error."""
    nn = library.nn
    library.manual_seed(0)

    def modules():
        return [nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)]
    names = {"T": library, "nn": nn, "x": library.ones(2, 3), "s": nn.Sequential(*modules()), "l": nn.ModuleList(modules()),
             "d": nn.ModuleDict(dict(zip("abc", modules()))), "p": nn.ParameterList([library.ones(2), library.ones(1, 3)]),
             "q": nn.ParameterDict({"w": library.ones(2), "v": library.ones(3)}), "OrderedDict": OrderedDict, "done": lambda _, y: y}
    try:
        found = eval(text, names)
    except Exception as error:
        return error
    if isinstance(found, library.Tensor):
        return tuple(found.shape), str(found.dtype).rpartition(".")[2]
    return repr(found).replace("minitorch.", "torch.").replace("torch.", "")


@pytest.mark.parametrize("text", entries())
def test_it_gives_what_pytorchs_gives(text):
    ours, theirs = answer(minitorch, text), answer(torch, text)
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"PyTorch raises {theirs!r}, ours gives {ours}"
        assert isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)), f"PyTorch raises {theirs!r}, ours {ours!r}"
    else:
        assert ours == theirs
