"""python -m minitorch.benchmark TARGET --reference TARGET --shape 64x64: figures for kernels that are right, from the command line."""
import contextlib
import sys

from . import reports
from .command import Mistake, all_cases, described, function, parser, provider
from .compare import compare


def main(args=None):
    """Compare what the arguments say and print the result; the exit status."""
    args, p = sys.argv[1:] if args is None else list(args), parser()
    if mode := reports.mode_of(args):
        try:
            return reports.run(mode, args[1:])
        except Mistake as mistake:
            print(f"{p.prog}: {mistake}", file=sys.stderr)
            return 2
    options = p.parse_args(args)
    try:
        found = compared(options)
        if options.save:
            saved(found, options.save)
    except Mistake as mistake:
        print(f"{p.prog}: {mistake}", file=sys.stderr)
        return 2
    print(found.to_json() if options.json else found, end="" if options.json else "\n")
    return 0 if found.ok else 1


def compared(options):
    """The Comparison; Mistake where the arguments make no sense."""
    with contextlib.redirect_stdout(sys.stderr):     # what the user's modules print must not mix with the result
        cases = all_cases(options)
        reference = function(options.reference)
        try:
            providers = {}
            for text in options.targets:
                made = provider(text, options)
                providers[made.name if made.name not in providers else text] = made
            return compare(providers, reference, cases, baseline=options.baseline, seconds=options.seconds, cache=options.cache, ulps=options.ulps,
                           variations=not options.no_variations, seed=options.seed, device=options.device)
        except Mistake:
            raise
        except Exception as error:
            raise Mistake(f"{' '.join(options.targets)} cannot be measured: {described(error)}") from error


def saved(found, path):
    try:
        found.save(path)
    except OSError as error:
        raise Mistake(f"--save {path}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
