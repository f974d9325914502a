"""python -m minitorch.benchmark TARGET --reference TARGET --shape 64x64: figures for kernels that are right, from the command line."""
import contextlib
import ctypes
import os
import sys

from . import reports
from .command import Mistake, all_cases, described, function, parser, provider, writable
from .compare import compare


def main(args=None):
    """Compare what the arguments say and print the result; the exit status."""
    args, p = sys.argv[1:] if args is None else list(args), parser()
    try:
        if mode := reports.mode_of(args):
            return reports.run(mode, args[1:])
        return measured(p.parse_args(args))
    except Mistake as mistake:
        print(f"{p.prog}: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{p.prog}: interrupted: nothing was measured to its end, and nothing is written", file=sys.stderr)
        return 130


def measured(options):
    """Print what the arguments ask for; the exit status."""
    if options.save:
        writable("--save", options.save)             # before minutes are spent on what cannot be kept
    found = compared(options)
    print(found.to_json() if options.json else found, end="" if options.json else "\n", flush=True)
    if options.save:
        try:
            found.save(options.save)
        except OSError as error:
            raise Mistake(f"--save {options.save}: {error}") from error
    return 0 if found.ok else 1


def compared(options):
    """The Comparison; Mistake where the arguments make no sense."""
    with apart():
        cases = all_cases(options)
        reference = function(options.reference)
        if not callable(reference):
            raise Mistake(f"--reference {options.reference} is no function")
        try:
            providers = {}
            for text in options.targets:
                made = provider(text, options)
                name = made.name if made.name not in providers else text
                if name in providers:
                    raise Mistake(f"{text} is given more than once")
                providers[name] = made
            return compare(providers, reference, cases, baseline=options.baseline, seconds=options.seconds, cache=options.cache, ulps=options.ulps,
                           variations=not options.no_variations, seed=options.seed, device=options.device)
        except Mistake:
            raise
        except Exception as error:
            notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
            raise Mistake(f"{' '.join(options.targets)} cannot be measured: {described(error)}{notes}") from error


@contextlib.contextmanager
def apart():
    """Within this block what anybody prints goes to standard error, from C too: standard output is the result's."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)           # what C's own printf still holds
        os.dup2(kept, 1)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
