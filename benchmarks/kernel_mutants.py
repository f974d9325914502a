"""Removes every synchronisation of every CUDA source, one at a time, and sees whether the proofs notice.

    python benchmarks/kernel_mutants.py                  # all of them: some minutes; writes results/kernel_mutants.json
    python benchmarks/kernel_mutants.py attention.cu     # of one source or header

A mutant is a kernel without one barrier, wait, fence, arrival or commit.  It is noticed when a case of a function that launches
it gives a wrong result or a report: in one of the fast mode's three turns, or else with every check on.
"""
import argparse
import contextlib
import dataclasses
import json
import re
import shutil
import tempfile
import time
from pathlib import Path

from minitorch import kernels
from minitorch.kernels import kernel as launching
from minitorch.kernels import signature, source
from minitorch.kernels.proof import FUNCTIONS, TURNS, prove
from minitorch.kernels.simulator import SimulatorError

RESULTS = Path(__file__).parent / "results" / "kernel_mutants.json"
FOLDER = Path(kernels.__file__).parent
NOT_MUTATED = ("ptx.cuh",)                           # where these functions are defined
CALLS = ("__syncthreads __syncwarp __threadfence bar_sync bar_arrive cp_async_commit cp_async_wait mbar_fence_init mbar_arrive "
         "mbar_arrive_cluster mbar_expect_tx mbar_wait fence_proxy_async bulk_commit bulk_wait bulk_wait_read wgmma_fence wgmma_commit "
         "wgmma_wait cluster_sync cluster_arrive cluster_wait load_acquire store_release").split()
STATEMENT = re.compile(rf"(?<![\w#])(?:{'|'.join(CALLS)})(?:<[^;<>]*>)?\([^;]*?\);")
MOST_CASES = 60                                      # of those that run the statement
DEVICE = re.compile(r"__device__[^;{}]*?\b(\w+)\s*\([^;{}]*\)\s*\{")

# Statements whose absence changes nothing, as "file: statement in its line": why.
REDUNDANT = {}


@dataclasses.dataclass
class Mutant:
    """One source or header without one statement; `function`: of a header, the device function that it stood in."""
    path: Path
    line: int
    statement: str
    text: str
    function: str = ""
    noticed: str = ""                                # in mode "fast", in mode "check", or ""
    report: str = ""

    @property
    def reason(self):
        """Why it need not be noticed, where that is known."""
        return REDUNDANT.get(f"{self.path.name}: {self.statement}", "")


def mutants(path):
    """Every mutant of a source; comments are left alone."""
    text = path.read_text(encoding="utf-8")
    bare = signature.COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for m in STATEMENT.finditer(bare):
        around = DEVICE.findall(bare[:m.start()]) if path.suffix == ".cuh" else []
        yield Mutant(path, bare.count("\n", 0, m.start()) + 1, m[0], text[:m.start()] + ";" + text[m.end():], (around or [""])[-1])


def included(path, seen=None):
    """A source and every header of this folder that it includes."""
    seen = {path} if seen is None else seen
    for name in source.INCLUDE.findall(path.read_text(encoding="utf-8")):
        header = source.find(name, path.parent)
        if header is not None and header not in seen:
            seen.add(header)
            included(header, seen)
    return seen


def launched_files():
    """[(seconds, function's name, case, the sources that it launches kernels of)] for every case."""
    rows = []
    for name, f in FUNCTIONS.items():
        for i in range(len(f.cases)):
            start = time.perf_counter()
            with launching.launches() as launched:
                prove(f, i, f.dtypes[0])
            rows.append((time.perf_counter() - start, name, i, {kernel.path for kernel, *_ in launched if kernel.path}))
    return rows


def reaching(mutant, rows):
    """The cases that run kernels with the mutant's statement: of each function in turn the quickest, the slowest, and so on."""
    def runs(path):
        files = included(path)
        return mutant.path in files and (not mutant.function or any(mutant.function in f.read_text(encoding="utf-8") for f in files - {mutant.path}))
    turns = {}
    for _, name, i, paths in sorted(rows, key=lambda row: row[:3]):
        if any(map(runs, paths)):
            turns.setdefault(name, []).append((name, i))
    order, lists = [], list(turns.values())
    while any(lists):
        order += [cases.pop(0) for cases in lists if cases]
        order += [cases.pop() for cases in lists if cases]
    return order


@contextlib.contextmanager
def planted(mutant):
    """Within this block kernels that use the mutant's file are compiled with the mutant."""
    changed = [(k, k.path, k.text) for k in launching.KERNELS.values() if k.path and mutant.path in included(k.path)]
    with tempfile.TemporaryDirectory() as folder:
        for file in FOLDER.glob("*.cu*"):
            shutil.copy(file, folder)
        (Path(folder) / mutant.path.name).write_text(mutant.text, encoding="utf-8")
        for k, path, _ in changed:
            k.path = Path(folder) / path.name
            k.text = k.path.read_text(encoding="utf-8")
        forget(changed)
        try:
            yield
        finally:
            for k, path, text in changed:
                k.path, k.text = path, text
            forget(changed)


def forget(changed):
    """Let the simulator compile these kernels anew."""
    for k, *_ in changed:
        kernels.simulator.run._compiled.pop(k, None)


def judge(mutant, cases):
    """Fill in by what the mutant is noticed, if anything."""
    with planted(mutant):
        for mode, turns in (("fast", TURNS), ("check", TURNS[::2])):
            for name, i in cases:
                for order, asynchronous in turns:
                    try:
                        with kernels.using(mode=mode, order=order, asynchronous=asynchronous, time_limit=20):
                            prove(FUNCTIONS[name], i, FUNCTIONS[name].dtypes[0])
                    except (AssertionError, SimulatorError) as error:
                        mutant.noticed, mutant.report = mode, re.sub(r"\S+/(\w+\.cuh?:)", r"\1", str(error).strip().split("\n")[-1].strip())
                        return


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="*", help="names of .cu and .cuh files; all by default")
    parser.add_argument("--most", type=int, default=MOST_CASES, help="cases tried on a mutant")
    options = parser.parse_args()
    cases, rows = launched_files(), []
    for path in sorted(FOLDER.glob("*.cu*")):
        if path.name in NOT_MUTATED or options.source and path.name not in options.source:
            continue
        for mutant in mutants(path):
            judge(mutant, reaching(mutant, cases)[:options.most])
            rows.append(mutant)
            shown = mutant.noticed or ("redundant" if mutant.reason else "MISSED")
            print(f"{path.name}:{mutant.line:<4} {mutant.statement[:44]:44} {shown:9} {mutant.report[:110]}", flush=True)
    noticed, known = sum(bool(m.noticed) for m in rows), sum(not m.noticed and bool(m.reason) for m in rows)
    print(f"{len(rows)} mutants: {noticed} noticed ({sum(m.noticed == 'fast' for m in rows)} of them in fast mode), {known} change nothing, "
          f"{len(rows) - noticed - known} missed: {100 * noticed / max(1, len(rows)):.1f} %")
    if not options.source:
        table = [{"source": m.path.name, "line": m.line, "statement": m.statement, "noticed": m.noticed, "report": m.report, "reason": m.reason}
                 for m in rows]
        RESULTS.write_text(json.dumps({"mutants": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
