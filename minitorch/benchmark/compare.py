"""compare(): providers beside a reference, examined, timed in interleaved rounds, examined while and after it.

    found = compare({"mine": f, "numpy": numpy.matmul}, numpy.matmul, [((64, 64), (64, 64)), ((100, 30), (30, 70))])
    print(found); found.save("matmul.json"); found.raise_on_failure()

Nobody sees the same numbers twice, apart from the check that equal numbers give equal bits; the reference is asked after each call.
"""
import secrets

import numpy as np

from . import guard, provenance, watch
from .case import as_cases
from .providers import Provider, as_providers
from .host import Host
from .results import Comparison
from .truth import Reference

SYSTEM = secrets.SystemRandom()                      # what a provider could foresee, it would


def compare(providers, reference, cases, *, baseline=None, seconds=1.5, rounds=None, confidence=0.95, cache="warm", ulps=None, variations=True,
            seed=None, dtype=None, device="cpu"):
    """The Comparison of some providers on some cases.

    providers: a callable, a list or {name: callable or Provider}.  reference: a function of NumPy arrays, which it gets in float64.
    cases: a Case or tuple, or a list: see Case.  baseline: the provider that ratios are relative to; None: the reference, in the
    case's dtype, is timed too and is the baseline; False: no ratios.
    seconds: for the rounds of one case; rounds: so many instead.  cache: "warm" or "cold".  ulps: largest error allowed; None: 32,
    or 16 times the reference's own in that dtype (128 where it computes in float64 whatever it gets), or what the length of declared
    sums explains.
    variations: also neighbouring sizes, strides, other numbers.  seed: to repeat a run, whose numbers a provider could foresee; None: a new
    one, kept in the provenance, that repeats the examination, while nobody can foresee the numbers of timed calls.
    device: "cpu", or "cuda" for arrays on the GPU (needs CuPy).
    TypeError and ValueError for what makes no sense, and whatever the reference raises on the case itself.
    """
    if cache not in ("warm", "cold"):
        raise ValueError(f"cache must be 'warm' or 'cold', not {cache!r}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be from 0.5 to below 1, not {confidence}")
    if not seconds >= 0:
        raise ValueError(f"seconds must be 0 or more, not {seconds}")
    if ulps is not None and not ulps > 0:
        raise ValueError(f"ulps must be above 0, not {ulps}")
    if rounds is not None and rounds < 8:
        raise ValueError(f"{rounds} rounds are too few for an interval: at least 8")
    if seed is not None and int(seed) < 0:
        raise ValueError(f"seed must not be negative, and is {seed}")
    if strange := guard.replaced():
        raise RuntimeError(f"{', '.join(strange[:5])}: replaced before anything was compared; a figure that rests on it would be none")
    providers, cases, reference = as_providers(providers), as_cases(cases, dtype), Reference(reference)
    baseline = baseline_of(providers, reference, baseline)
    numbers = Numbers(secrets.randbits(64) if seed is None else int(seed), seed is not None)
    if device == "cuda":
        from .gpu import Gpu
        machine = Gpu(cache)
    elif device == "cpu":
        machine = Host(cache)
    else:
        raise ValueError(f"device must be 'cpu' or 'cuda', not {device!r}")
    known, start = {t: watch.work_of(t) for t in watch.threads()}, watch.nanoseconds()
    told = {**provenance.gathered(numbers.seed, device), "before": provenance.state(device)}
    if known.keys() - {watch.this_thread()}:         # which may have to wait for a processor
        watch.pause(max(0.0, watch.LOOK - (watch.nanoseconds() - start) * 1e-9))
    busy = watch.active(known, start)                # with work of the user's own, before anybody is called
    told["busy_threads"] = len(busy)
    with guard.Guard(reference.f, busy) as watching:
        done = [machine.case(case, providers, reference, numbers, watching, baseline, seconds=seconds, rounds=rounds, confidence=confidence,
                             ulps=ulps, variations=variations) for case in cases]
    told["after"] = provenance.state(device)
    return Comparison(reference.name, baseline, confidence, cache, device, machine.ceiling.as_dict() if machine.ceiling else None, told, done)


def baseline_of(providers, reference, baseline):
    """The baseline's name; the reference joins the providers where it is the baseline."""
    if baseline is None:
        name = "reference" if reference.name in providers else reference.name
        providers[name] = Provider(reference.f, name)
        return name
    if baseline is not False and baseline not in providers:
        raise ValueError(f"baseline: no provider is called {baseline!r}: there are {', '.join(providers)}")
    return baseline or None


class Numbers:
    """Seeds that do not repeat: callable."""

    def __init__(self, seed, given=True):
        self.seed, self.count, self.given = seed, 0, given
        self.order = np.random.default_rng([seed, 1])

    def __call__(self):
        self.count += 1
        return [self.seed, 0, self.count]

    def unforeseen(self):
        """A seed that nobody can know beforehand, for what is timed; of a run that is to be repeated the next one."""
        return self() if self.given else SYSTEM.getrandbits(64)

    def one_of(self, n):
        """A number below n that nobody can know beforehand."""
        return SYSTEM.randrange(n)

    def fraction(self):
        """A number of [0, 1) that nobody can know beforehand."""
        return SYSTEM.random()
