"""What a comparison found, printed as a table and kept as JSON.  This is the schema, all of it:

    schema       "minitorch.benchmark/1"
    reference    name of the reference; baseline: name of the provider that ratios are relative to, or null
    confidence   of all intervals;  cache: "warm" or "cold";  device: "cpu" or "cuda"
    ceiling      bandwidth, bandwidth_in_cache (bytes/s), flops {dtype: operations/s}, margin; measured in the same run
    provenance   versions, processor, GPU, commit, command, seed; state before and after: clocks, temperatures, load; busy_threads: threads and
                 child processes of this process that worked before anybody was called
    cases        a list of
        name, dtype, inputs [[shape, dtype] or number], outputs [[shape, dtype]]
        flops (declared, or null), bytes, bytes_declared (whether by the user)
        rows     a list, one for each provider, of
            provider, verdict ("passed" or "refused"), precision
            reasons        [{name, when, what}]: why it is refused; names are the keys of judge.REASONS
            limits         [text]: variations of the case that it declines by raising an error
            notes          [text]
            error          {ulps, allowed, own}: its largest error, what is allowed, that of the reference in the same precision
            deterministic  whether the same inputs gave the same bits
            simulated      whether it ran in the simulator: then timing and ratio are null
            timing         {median, p20, p80, min, max, low, high, rounds, calls, correlation}, microseconds per call; `kind`: "host",
                           "graph" or "events"; launch: microseconds of launching alone (host: of a call that does
                           nothing, which is in the time; graph: which is not)
            samples        [microseconds per call of each round]
            ratio          {median, low, high, confidence, rounds, correlation}: its time / the baseline's; below 1 is faster
            rates          {GB/s, GFLOP/s, of_ceiling, bound ("memory" or "arithmetic", of which that share is)}
            counts         of a kernel in the simulator: {accesses, bytes (global), sectors, ideal_sectors, banks, ideal_banks, flops, grid, block,
                           shared_mem}, as minitorch.kernels.profile counts them

Times of a refused provider are not kept: a figure for a wrong result is no figure.
"""
import dataclasses
import json
import math
import os

from ..serialization import replacing
from .interval import Interval
from .judge import REASONS, Reason

TIMED = ("median", "p20", "p80", "low", "high", "rounds", "correlation")     # what tables, plots and comparisons of files read of a timing
FOOTER = ("cpu", "pinned", "processors", "numpy", "commit", "changed", "seed")       # and of the provenance
SCHEMA = "minitorch.benchmark/1"


class Refused(AssertionError):
    """A provider is refused; the message says which, on what, and why."""


@dataclasses.dataclass
class Row:
    """One provider on one case; see the module's docstring."""
    provider: str
    precision: str
    reasons: list = dataclasses.field(default_factory=list)
    limits: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    error: dict = dataclasses.field(default_factory=lambda: {"ulps": None, "allowed": None, "own": None})
    deterministic: bool | None = None
    simulated: bool = False
    timing: dict | None = None
    samples: list = dataclasses.field(default_factory=list)
    ratio: dict | None = None
    rates: dict = dataclasses.field(default_factory=dict)
    counts: dict | None = None

    @property
    def verdict(self):
        return "refused" if self.reasons else "passed"

    @property
    def names(self):
        """The names of the reasons, each once."""
        return list(dict.fromkeys(r.name for r in self.reasons))

    @property
    def interval(self):
        """The ratio as an Interval, or None."""
        return Interval(**self.ratio) if self.ratio else None


@dataclasses.dataclass
class CaseResult:
    """All providers on one case."""
    name: str
    dtype: str
    inputs: list
    outputs: list
    flops: float | None
    bytes: float | None
    bytes_declared: bool
    rows: list

    def __getitem__(self, provider):
        """The row of a provider, by name."""
        for row in self.rows:
            if row.provider == provider:
                return row
        raise KeyError(f"{provider} was not measured: {', '.join(r.provider for r in self.rows)} were")


@dataclasses.dataclass
class Comparison:
    """What compare() returns: print it, save it, or let it raise."""
    reference: str
    baseline: str | None
    confidence: float
    cache: str
    device: str
    ceiling: dict | None
    provenance: dict
    cases: list

    @property
    def ok(self):
        """Whether nobody is refused."""
        return not self.refusals()

    def refusals(self):
        """[(case's name, row)] of all that are refused."""
        return [(c.name, row) for c in self.cases for row in c.rows if row.reasons]

    def __getitem__(self, case):
        """A case's result, by name or number."""
        if isinstance(case, int):
            return self.cases[case]
        for c in self.cases:
            if c.name == case:
                return c
        raise KeyError(f"no case {case}: there are {', '.join(c.name for c in self.cases)}")

    def raise_on_failure(self):
        """Refused, with all reasons, unless every provider passed on every case; else the comparison itself."""
        if not self.ok:
            raise Refused("\n".join(f"{row.provider} on {name}: {reason}" for name, row in self.refusals() for reason in row.reasons))
        return self

    def as_dict(self):
        """Plain data, as the module's docstring has it."""
        found = {"schema": SCHEMA, **dataclasses.asdict(self)}
        for case, plain in zip(self.cases, found["cases"]):
            for row, p in zip(case.rows, plain["rows"]):
                p["verdict"] = row.verdict
        return found

    def to_json(self):
        """The JSON text; infinity and NaN are null."""
        return json.dumps(finite(self.as_dict()), indent=1, allow_nan=False) + "\n"

    def save(self, path):
        """Write the JSON to a file, in one step."""
        with replacing(os.fspath(path)) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(self.to_json())

    def __str__(self):
        return "\n\n".join(table(self, case) for case in self.cases) + "\n" + footer(self)


def load(path):
    """The Comparison that a file holds; ValueError where it holds none."""
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError(f"{path} holds no comparison: its schema is {found.get('schema') if isinstance(found, dict) else None}, not {SCHEMA}")
    return from_dict(found)


def from_dict(found):
    """The Comparison of what as_dict() gave."""
    cases = []
    try:
        for case in found["cases"]:
            rows = [Row(**fields(Row, row, "reasons"), reasons=[Reason(**r) for r in row["reasons"]]) for row in case["rows"]]
            for row in rows:
                whole(row)
            cases.append(CaseResult(**fields(CaseResult, case, "rows"), rows=rows))
        for key in FOOTER:
            found["provenance"][key]
        return Comparison(**fields(Comparison, found, "cases"), cases=cases)
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no whole comparison of {SCHEMA}: {error}") from error


def whole(row):
    """KeyError or TypeError for a row whose figures are not all there."""
    for key in (*TIMED,) if row.timing is not None else ():
        float(row.timing[key])
    if row.ratio is not None:
        float(row.interval.median)
    for key in ("ulps", "allowed", "own"):
        row.error[key]


def fields(kind, found, but):
    """What a dictionary has for a dataclass's fields, one left out."""
    return {f.name: found[f.name] for f in dataclasses.fields(kind) if f.name != but}


def finite(x):
    if isinstance(x, dict):
        return {str(k): finite(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [finite(v) for v in x]
    x = x.item() if hasattr(x, "item") else x
    return None if isinstance(x, float) and not math.isfinite(x) else x


# ---- printed -----------------------------------------------------------------------------------------------------------

def table(comparison, case):
    """A case's table: time, interval of the ratio, rate, error, verdict; below it what is to be said of each."""
    against = f"/ {comparison.baseline}" if comparison.baseline else "ratio"
    head = ("provider", "us", "p20", "p80", against, f"{comparison.confidence:.0%} of repeats", "GB/s", "GFLOP/s", "of ceiling", "ulp", "verdict")
    rows = [(row.provider, *cells(row), row.verdict if not row.reasons else "REFUSED: " + ", ".join(row.names)) for row in case.rows]
    widths = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
    lines = [f"{case.name}, {case.dtype}"]
    for r in (head, *rows):
        lines.append("  ".join(x.ljust(w) if i in (0, len(head) - 1) else x.rjust(w) for i, (x, w) in enumerate(zip(r, widths))).rstrip())
    for row in case.rows:
        lines += [f"  {row.provider}: {text}" for text in (*map(str, row.reasons), *(f"declines {t}" for t in row.limits), *row.notes)]
    return "\n".join(lines)


def cells(row):
    t, r = row.timing, row.ratio
    ulp, own = row.error["ulps"], row.error["own"]
    return (*(number(t[k]) if t else "-" for k in ("median", "p20", "p80")), f"{r['median']:.3f}" if r else "-",
            f"{r['low']:.3f} to {r['high']:.3f}" if r else "-", *(number(row.rates.get(k)) for k in ("GB/s", "GFLOP/s")),
            f"{row.rates['of_ceiling']:.0%}" if row.rates.get("of_ceiling") else "-",
            "-" if ulp is None or row.error["allowed"] is None else
            f"{ulp:.2g} of {row.error['allowed']:.3g}" + (f" (own {own:.2g})" if own is not None else ""))


def number(x):
    return "-" if x is None else f"{x:.4g}"


def footer(comparison):
    p = comparison.provenance
    where = (p.get("gpu") or {}).get("name") or p["cpu"]
    pinned = "pinned to one processor" if p["pinned"] else f"free to run on {len(p['processors'])} processors (not pinned)"
    pinned += f", beside {p['busy_threads']} busy threads or processes of its own" if p.get("busy_threads") else ""
    commit = (p["commit"] or "none")[:9] + (" and changes" if p["changed"] else "")
    return (f"{where}, {pinned}, caches {comparison.cache}, NumPy {p['numpy']}, commit {commit}, "
            f"seed {p['seed']}; errors in ulp of the declared type, own: of the reference {comparison.reference} in that type")


def explained(name):
    """What a reason's name means."""
    return REASONS[name]
