"""Kill examples/digits.py at random moments, resume it, and compare: the weights must be the same, bit for bit.

Each trial kills a training run with SIGKILL at a random moment, kills the resumed run at another one, lets the
next one finish, and compares its weights with those of a run that was left alone.  After every kill the
checkpoint, if there is one, must load.  The last line is the result; the exit status is 0 only for all the same.

    python benchmarks/resume.py [--trials 20] [--seed 0] [-- options for digits.py]
"""
import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import minitorch

SCRIPT = Path(__file__).parent.parent / "examples" / "digits.py"
QUICK = ["--epochs", "4", "--checkpoint-every", "2"]      # so often that many kills hit a checkpoint being written


def start(out, options):
    """digits.py, writing into folder `out`."""
    return subprocess.Popen([sys.executable, str(SCRIPT), "--out", str(out), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, kill_after=None):
    """Wait for it, or kill it after so many seconds."""
    try:
        _, errors = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"digits.py failed with exit status {process.returncode}:\n{errors.decode()}")


def leave_alone(out, options):
    """A whole run: the seconds until it starts to train, and until it ends."""
    began = time.perf_counter()
    process = start(out, options)
    process.stdout.readline()
    ready = time.perf_counter() - began
    finish(process)
    return ready, time.perf_counter() - began


def weights(out):
    """The finished weights, as bytes by name."""
    return {name: (str(w.dtype), tuple(w.shape), w.numpy().tobytes()) for name, w in minitorch.load(out / "weights.safetensors").items()}


def trial(out, options, moments):
    """A run killed at each of these moments (seconds after its start) and resumed; its weights."""
    for i, moment in enumerate(moments):
        finish(start(out, [*options, "--resume"] if i else options), kill_after=moment)
        if (out / "checkpoint.safetensors").exists():
            minitorch.load(out / "checkpoint.safetensors")               # raises for a damaged file
    finish(start(out, [*options, "--resume"]))
    return weights(out)


def compare(trials, seed, options):
    """How many of so many killed and resumed runs ended in the weights of the run left alone."""
    rng, same = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        ready, end = leave_alone(Path(folder) / "whole", options)
        whole = weights(Path(folder) / "whole")
        print(f"left alone: trains after {ready:.1f} s, ends after {end:.1f} s", flush=True)
        for i in range(trials):
            moments = [rng.uniform(ready, end), rng.uniform(ready, end)]
            equal = trial(Path(folder) / f"trial{i}", options, moments) == whole
            same += equal
            at = " and ".join(f"{m:.2f}" for m in moments)
            print(f"killed at {at} s: {'the same weights' if equal else 'DIFFERENT weights'}", flush=True)
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help=f"for digits.py, after --; default: {' '.join(QUICK)}")
    args = parser.parse_args()
    same = compare(args.trials, args.seed, args.options or QUICK)
    print(f"{same} of {args.trials} runs, each killed at two random moments and resumed, ended in the same weights bit for bit; "
          "no damaged file")
    return 0 if same == args.trials else 1


if __name__ == "__main__":
    sys.exit(main())
