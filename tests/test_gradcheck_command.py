"""python -m minitorch.gradcheck: verdicts in words and in the exit status, and mistakes in the user's words."""
import json
import subprocess
import sys

import pytest

from minitorch.gradcheck.__main__ import main

MINE = """
import numpy as np
import minitorch

print("a line that must not mix with the report")

def softplus(x):
    return (1 + x.exp()).log()

def dense(x, w):
    return (x @ w).tanh()

def lookup(i, table):
    return table[i]

class Wrong(minitorch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3

class Net(minitorch.nn.Module):
    def __init__(self, n, bias=True):
        super().__init__()
        self.linear = minitorch.nn.Linear(n, 2, bias=bias)

    def forward(self, x):
        return self.linear(x).tanh()

net = Net(3)

def square(x):
    return x ** 2

def square_vjp(g, x):
    return 2 * g * x

def square_wrong(g, x):
    return g * x

def broken(x):
    raise ValueError("not today")

def logarithm(x):
    assert (x > 0).all()
    return x.log()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "mine_to_check.py").write_text(MINE)
    (folder / "bad_to_check.py").write_text("x = 1\nimport nothing_of_that_name\n")
    (folder / "worse_to_check.py").write_text("x = (\n")
    return folder


def command(folder, *args):
    """(exit status, printed, printed as an error) of the command in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "minitorch.gradcheck", *args], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """The same without a process: the current folder is the user's."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(folder))])
    monkeypatch.delitem(sys.modules, "mine_to_check", raising=False)         # of another folder, where this one was made anew

    def run(*args):
        capsys.readouterr()
        try:
            status = main(["mine_to_check:" + args[0] if ":" not in args[0] else args[0], *args[1:]])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()
    return run


def test_the_command_runs_in_the_users_folder(folder):
    status, printed, _ = command(folder, "mine_to_check:softplus", "--shape", "3x4")
    assert status == 0 and printed.startswith("gradient of softplus: correct") and "x                (3, 4)" in printed
    status, printed, _ = command(folder, "mine_to_check:Wrong", "--shape", "3")
    assert status == 1 and printed.startswith("gradient of Wrong: wrong") and "1.5 times" in printed
    status, printed, words = command(folder, "mine_to_check:softpluss", "--shape", "3")
    assert status == 2 and not printed and words.endswith("mine_to_check has no function 'softpluss': did you mean softplus?\n")


@pytest.mark.parametrize("args, status, words", [
    (("softplus", "--shape", "scalar"), 0, "()"), (("softplus", "--shape", "5"), 0, "(5,)"), (("softplus", "--shape", "2,3"), 0, "(2, 3)"),
    (("softplus", "--shape", "0x3"), 0, "softplus: correct"), (("softplus", "--shape", "3", "--dtype", "float32"), 0, "compared in float64"),
    (("dense", "--shape", "8x4", "--shape", "4x2"), 0, "w                (4, 2)"),
    (("dense", "--shape", "8x4", "--shape", "4x2", "--second"), 0, "cotangent 0      (8, 2)"),
    (("softplus", "--shape", "3", "--forward"), 0, "softplus: correct"), (("softplus", "--shape", "3", "--seed", "7"), 0, "seed 7"),
    (("logarithm", "--shape", "3x3:positive"), 0, "correct"), (("logarithm", "--shape", "3x3", "--domain", "positive"), 0, "correct"),
    (("logarithm", "--shape", "3x3", "--low", "0.5", "--high", "2"), 0, "correct"), (("logarithm", "--shape", "3x3"), 2, "AssertionError"),
    (("lookup", "--integers", "6:10", "--shape", "10x3"), 0, "table            (10, 3)"),
    (("lookup", "--integers", "6", "--shape", "5"), 0, "correct"),
    (("lookup", "--integers", "50:10", "--shape", "5"), 2, "out of"),
    (("net", "--shape", "4x3"), 0, "linear.weight    (2, 3)"), (("Net", "--module", "3, bias=False", "--shape", "4x3"), 0, "linear.weight    (2, 3)"),
    (("minitorch.nn:Linear", "--module", "4, 3", "--shape", "8x4", "--dtype", "float32"), 0, "weight           (3, 4)         float32"),
    (("square", "--vjp", "mine_to_check:square_vjp", "--shape", "5"), 0, "correct"),
    (("square", "--vjp", "mine_to_check:square_wrong", "--shape", "5"), 1, "0.5 times")])
def test_what_it_checks_and_what_it_says(run, args, status, words):
    found, printed, error = run(*args)
    assert (found, words in (error if status == 2 else printed)) == (status, True), printed + error


@pytest.mark.parametrize("args, words", [
    (("softplus",), "give --shape (or --integers) once for each input"),
    (("nothing_at_all:f", "--shape", "3"), "no module named 'nothing_at_all': it is looked for in the current folder"),
    (("bad_to_check:f", "--shape", "3"),
     "the module bad_to_check cannot be imported: bad_to_check.py:2: ModuleNotFoundError: No module named 'nothing_of"),
    (("worse_to_check:f", "--shape", "3"), "the module worse_to_check cannot be imported: SyntaxError"),
    ((":softplus", "--shape", "3"), "is not of the form MODULE:NAME"), (("softplus", "--shape", "3y4"), "--shape '3y4' is not a shape: write 3x4"),
    (("softplus", "--shape", ""), "is not a shape"), (("softplus", "--shape", "3x-1"), "is not a shape"),
    (("softplus", "--shape", "3", "--dtype", "float31"), "'float31' is none of float64, float32, float16, bfloat16: did you mean float32?"),
    (("softplus", "--shape", "3", "--domain", "big"), "--domain: 'big' is none of normal, positive"),
    (("softplus", "--shape", "3:big"), "--shape '3:big': 'big' is none of normal"),
    (("softplus", "--shape", "3:definite"), "definite matrices are square"),
    (("softplus", "--shape", "3", "--low", "3", "--high", "1"), "--low 3 must be below --high 1"),
    (("lookup", "--integers", "3:x", "--shape", "3"), "the number that they stay below"),
    (("lookup", "--integers", "3:3", "--integers", "3"), "every input holds integers"),
    (("broken", "--shape", "3"), "mine_to_check:broken cannot be checked with inputs 3 float64: mine_to_check.py:"),
    (("dense", "--shape", "3x4", "--shape", "3x4"), "inputs 3x4 float64, 3x4 float64: mine_to_check.py:11: RuntimeError: matmul"),
    (("dense", "--shape", "3x4"), "missing 1 required positional argument: 'w'"),
    (("softplus", "--module", "3", "--shape", "3"), "--module gives arguments to an nn.Module class, which mine_to_check:softplus is not"),
    (("Net", "--module", "3, x", "--shape", "3"), "is not a list of arguments"), (("Net", "--shape", "3"), "Net() cannot be made: TypeError"),
    (("square", "--vjp", "mine_to_check:no_vjp", "--shape", "3"), "has no function 'no_vjp'"),
    (("square", "--vjp", "mine_to_check:square_vjp", "--shape", "3", "--second"), "order=2 needs a function of Tensors"),
    (("softplus", "--shape", "3", "--seed", "-1"), "--seed -1 must not be negative"),
    (("softplus", "--shape", "3", "--seed", "99999999999999999999"), "--seed 99999999999999999999 must be below 2 ** 64"),
    (("softplus", "--shape", "3000000x3000000"), "inputs of these shapes cannot be made: Unable to allocate"),
    (("softplus", "--shape", "3", "--seed", "x"), "argument --seed: invalid int value: 'x'"),
    (("softplus", "--shape", "3", "--plot", "no/such/folder.png"), "--plot no/such/folder.png:")])
def test_mistakes_are_said_in_the_users_words(run, args, words):
    if "--plot" in args:
        pytest.importorskip("matplotlib")
    status, printed, error = run(*args)
    assert (status, printed, words in error, "Traceback" in error) == (2, "", True, False), error


def test_json_holds_the_report(run):
    status, printed, _ = run("Wrong", "--shape", "3", "--json")
    report = json.loads(printed)
    assert status == 1 and report["verdict"] == "wrong" and not report["ok"] and report["outputs"] == [[3]]
    one, = report["inputs"]
    assert (one["shape"], one["dtype"], one["verdict"], one["worst_claimed"]) == ([3], "float64", "wrong", 3.0)
    assert abs(one["worst_numeric"] - 2) < 1e-9
    assert one["worst"][0] == one["worst"][1] and "constant factor" in one["bug"]
    status, printed, _ = run("softplus", "--shape", "0", "--json")
    assert status == 0 and json.loads(printed)["inputs"][0]["numeric"] is None       # NaN is no JSON


def test_a_module_gets_its_keyword_arguments(run):
    assert "linear.bias" in run("Net", "--module", "3, bias=True", "--shape", "4x3")[1]
    assert "linear.bias" not in run("Net", "--module", "3, bias=False", "--shape", "4x3")[1]


def test_a_plot_is_saved(run, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("softplus", "--shape", "3", "--plot", str(tmp_path / "steps.png"))[0] == 0
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
