"""The README's tables, from the figures under benchmarks/results/.

    python benchmarks/tables.py            print them
    python benchmarks/tables.py --write    put them between the README's markers <!-- table NAME --> and <!-- end -->

Fresh figures come from `python benchmarks/NAME.py --json`.
"""
import argparse
import re
from pathlib import Path

import benchmark_power
import cpu
import gpu
import gradcheck_power
import growth
import memory
import nvrtc
import ops
import overhead
import timing

README = Path(__file__).parent.parent / "README.md"
TABLES = {"overhead": overhead.table, "memory": memory.table, "nvrtc": nvrtc.table, "gradcheck_power": gradcheck_power.table,
          "benchmark_power": benchmark_power.table, "cpu": cpu.table, "ops": ops.table, "growth": growth.table, "gpu": gpu.table}
WHERE = {"nvrtc": nvrtc.where, "gradcheck_power": gradcheck_power.where, "benchmark_power": benchmark_power.where, "cpu": cpu.where,
         "ops": ops.where, "growth": growth.where, "gpu": gpu.where}                           # if not from this machine's clock
MARKED = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def text(name):
    """The table `name` and a line on where it was measured; nothing for a GPU's as long as nobody has measured on one."""
    if name == "gpu" and not (timing.RESULTS / "gpu.json").exists():
        return ""
    figures = timing.read(name)
    if name in WHERE:
        return f"{TABLES[name](figures)}\n\n{WHERE[name](figures)}\n"
    versions = f"Python {figures['python']}, NumPy {figures['numpy']}, PyTorch {figures['torch']}"
    return f"{TABLES[name](figures)}\n\n{versions}; {figures['cpu']}, one thread. `python benchmarks/{name}.py`\n"


def renewed(readme):
    """The README's text with every table as the figures give it."""
    return MARKED.sub(lambda m: m[1] + text(m[2]) + m[3], readme)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew the tables in README.md")
    if parser.parse_args().write:
        README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n".join(text(name) for name in TABLES))


if __name__ == "__main__":
    main()
