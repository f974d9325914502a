"""Random programs of ops, views and in-place writes, a thousand and some longer ones: the same values and gradients as PyTorch, or both refuse.

Where PyTorch alone refuses, because it saved a value that ours does not need, it is run again with what it saved kept, and must agree.

`python tests/pytorch/test_programs.py 10000` runs as many as it is told and counts the outcomes.
"""
import collections
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from programs import Difference, Program  # noqa: E402

import minitorch  # noqa: E402

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own


@pytest.mark.parametrize("block", range(20))
def test_fifty_programs_agree(block):
    outcomes = collections.Counter(Program(seed, minitorch, torch).run() for seed in range(50 * block, 50 * block + 50))
    assert outcomes["gradients"] > 20                # most programs must reach the comparison


@pytest.mark.parametrize("block", range(5))
def test_twenty_longer_programs_agree(block):
    """In which views of views are written to, and what refuses once is met again."""
    outcomes = collections.Counter(Program(seed, minitorch, torch, length=40).run() for seed in range(20 * block, 20 * block + 20))
    assert outcomes["gradients"] + outcomes["both refuse"] > 15


def main(count):
    outcomes, shown = collections.Counter(), 0
    for seed in range(count):
        try:
            outcomes[Program(seed, minitorch, torch).run()] += 1
        except Difference as difference:
            outcomes["different"] += 1
            shown += 1
            print(f"seed {seed}: {difference if shown <= 3 else str(difference).splitlines()[0]}\n")
    print(", ".join(f"{n} {what}" for what, n in outcomes.most_common()))
    return outcomes["different"]


if __name__ == "__main__":
    import warnings
    warnings.simplefilter("ignore")
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000) > 0)
