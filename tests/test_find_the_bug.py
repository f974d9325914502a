"""The exercise examples/find_the_bug.py: every bug is there and is seen, every solution is right, and the program helps as it says."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minitorch.gradcheck.report import CORRECT, NOT_FINITE, WRONG

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))
import bugs_solved  # noqa: E402
import find_the_bug  # noqa: E402
from find_the_bug import BUGS  # noqa: E402

each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda b: b.name)
NAMED = {"mean_of_squares": "constant factor", "decay": "wrong sign", "linear": "transpose", "scale_rows": "missing sum",
         "convolve": "off by one", "rms_norm": "epsilon"}                  # which the report itself calls by name


def test_there_are_twelve_of_different_shapes():
    assert len(BUGS) == 12 == len({b.shape for b in BUGS}) == len({b.name for b in BUGS})


@each_bug
def test_the_planted_bug_is_seen(bug):
    report = bug.report()
    assert report.verdict == (NOT_FINITE if bug.name == "softplus" else WRONG), report
    assert NAMED.get(bug.name, "") in " ".join(i.bug for i in report.inputs), report


@each_bug
def test_the_solution_is_right(bug):
    assert bug.report(bugs_solved).verdict == CORRECT, bug.report(bugs_solved)


@each_bug
def test_help_comes_step_by_step(bug, capsys):
    def printed(*options):
        assert find_the_bug.main([str(bug.number), *options]) == 0
        return capsys.readouterr().out
    plain, hint, solution = printed(), printed("--hint"), printed("--solution")
    assert bug.code(find_the_bug.bugs) in plain and f"{bug.number} --hint" in plain and bug.shape not in plain
    assert f"Look for {bug.shape}." in hint and "gradient of " in hint and bug.code(bugs_solved) not in hint
    assert f"It is {bug.shape}." in solution and bug.code(bugs_solved) in solution


def test_the_introduction_lists_them_and_all_shows_everything(capsys):
    find_the_bug.main([])
    listed = capsys.readouterr().out
    assert all(re.search(rf"^ *{b.number}  {b.name} .*{re.escape(b.title)}$", listed, re.M) for b in BUGS) and "repaired  " not in listed
    find_the_bug.main(["--all"])
    everything = capsys.readouterr().out
    assert all(b.solution in everything and b.hint in everything for b in BUGS)
    assert find_the_bug.main(["--check"]) == 1 and "repaired" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        find_the_bug.main(["13"])


def test_check_tells_what_the_reader_has_repaired(tmp_path):
    def check(text, *number):
        (tmp_path / "bugs.py").write_text(text)
        run = subprocess.run([sys.executable, "find_the_bug.py", *number, "--check"], cwd=tmp_path, capture_output=True, text=True)
        return run.returncode, run.stdout
    for name in ("find_the_bug.py", "bugs_solved.py"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())
    planted = (EXAMPLES / "bugs.py").read_text()
    answers = re.sub(r"^from bugs import .*$", "", (EXAMPLES / "bugs_solved.py").read_text(), flags=re.M)
    code, out = check(planted + answers)
    assert code == 0 and out.count("repaired") == 12, out
    one = planted.replace("return 2 * g * x", "return 2 * g * x / x.size")
    assert check(one, "1") == (0, "  1  mean_of_squares  repaired\n")
    code, out = check(one.replace("return g * np.exp(-x)", "return h"))
    assert code == 1 and out.count("repaired") == 1 and "raises NameError: name 'h' is not defined" in out, out
