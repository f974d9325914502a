"""The README tells the truth: its tables are those of the committed figures, its commands are those that CI runs, its paths exist."""
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import tables  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_committed_figures():
    assert {m[2] for m in tables.MARKED.finditer(README)} == set(tables.TABLES)
    assert tables.renewed(README) == README, "stale: run python benchmarks/tables.py --write"


def test_a_stale_table_is_noticed():
    start = README.index("<!-- table overhead -->")
    stale = README[:start] + re.sub(r"\d\.\d\d", "9.99", README[start:], count=1)
    assert stale != README and tables.renewed(stale) == README


def test_its_commands_are_those_that_ci_runs():
    blocks = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    first = [line.partition("#")[0].strip() for line in blocks[0].splitlines()]
    assert first == ["python -m pip install -e '.[examples,test]'", "python -m pytest"]
    for command in first:
        assert command.replace("python -m pip install", "install") in CI


def test_every_op_that_the_comparison_leaves_out_is_among_the_differences():
    tree = ast.parse((ROOT / "tests" / "pytorch" / "test_agreement.py").read_text(encoding="utf-8"))
    different, = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "DIFFERENT")
    assert [name for name in different if f"`{name}`" not in README] == []


def test_its_first_program_prints_what_it_says(capsys):
    program = re.search(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    exec(program, {})
    assert capsys.readouterr().out.strip() == re.search(r"# (tensor.*)", program)[1]


def test_every_path_it_names_exists():
    named = set(re.findall(r"`((?:minitorch|examples|benchmarks|tests|kernels|\.ci)/[\w./-]*)`", README)) | \
        set(re.findall(r"\]\(((?!http)[\w./-]+)\)", README))
    assert named and all((ROOT / path).exists() for path in named), sorted(p for p in named if not (ROOT / p).exists())
