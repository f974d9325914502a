"""A ladder of versions on one HTML page: tables, roofline, ratios, each version's source with the lines that are new, provenance.

    save_page("matmul.html", "matmul, step by step", bounds=bounds, sources=sources_of(kernels))

The file stands alone: pictures are in it, nothing is loaded from elsewhere, nothing runs.  All that comes from results is escaped.
"""
import difflib
import html
import json
import os
import re

from ..serialization import replacing
from . import plots
from .bound import HEAD, cells
from .results import cells as measured_cells
from .results import finite, footer

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0 } .wide { overflow-x: auto }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap } th { border-bottom: 2px solid #888 }
th:first-child, td:first-child, td:last-child, th:last-child { text-align: left }
pre { background: #f6f6f6; padding: .8em; overflow-x: auto; font-size: 12.5px; line-height: 1.4 }
.new { background: #c9efcf; display: inline-block; min-width: 100% }
.refused { color: #b00 } .note { color: #555 } svg { max-width: 100%; height: auto }
"""


def page(title, *, comparisons=(), bounds=(), sources=(), roofs=()):
    """The page as text.

    comparisons: of results.  bounds: of bound.bound, a row each.  sources: [(version's name, text)], each shown beside the one before.
    roofs: of plots.roof, a picture each, with the bounds and what was measured below it; none given: the bounds' device, or what the
    comparisons measured.  ImportError without matplotlib where there is anything to draw.
    """
    parts = [f"<h1>{escaped(title)}</h1>"]
    if bounds:
        parts += ["<h2>What the simulator counts, and the least time</h2>", bounds_table(bounds)]
    for c in comparisons:
        parts += ["<h2>What was measured</h2>", *(case_table(c, case) for case in c.cases), f'<p class="note">{escaped(footer(c))}</p>']
    parts += pictures(comparisons, bounds, roofs)
    if sources:
        parts += ["<h2>Versions</h2>", *ladder(sources)]
    if comparisons or bounds:
        parts += ["<h2>Provenance</h2>", *(f"<pre>{escaped(json.dumps(finite(c.provenance), indent=1))}</pre>" for c in comparisons)]
        parts += [f"<p>{escaped(line)}</p>" for line in dict.fromkeys(f"{b.device}. Source: {b.device.source}." for b in bounds)]
    body = "\n".join(parts)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8" />\n<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n'
            f"<body>\n{body}\n</body>\n</html>\n")


def save_page(path, title, **what):
    """Write a page to a file, in one step; the arguments are page's."""
    text = page(title, **what)
    with replacing(os.fspath(path)) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def escaped(text):
    """Text as it stands in HTML; characters that no document may hold, as they are written in Python."""
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", lambda m: repr(m[0])[1:-1], str(text)))


# ---- tables ------------------------------------------------------------------------------------------------------------

def grid(head, rows):
    def line(values, tag):
        return "<tr>" + "".join(f"<{tag}>{v}</{tag}>" for v in values) + "</tr>"
    return "\n".join(['<div class="wide"><table>', line(map(escaped, head), "th"), *(line(r, "td") for r in rows), "</table></div>"])


def bounds_table(bounds):
    names = ", ".join(dict.fromkeys(b.device.name for b in bounds))
    notes = [f"{b.counts.kernel.name}: {b.resources['spills']} bytes of registers are spilled to memory." for b in bounds
             if b.resources and b.resources["spills"]]
    notes += sorted({f"Registers and static shared memory are unknown: {b.unknown}." for b in bounds if not b.resources})
    return grid(HEAD, [map(escaped, cells(b)) for b in bounds]) + (
        f'\n<p class="note">Least times on {escaped(names)}, in microseconds. A bound, not a time: no launch is faster, most are slower. '
        f"{escaped(' '.join(notes))}</p>")


def case_table(comparison, case):
    head = ("provider", "us", "p20", "p80", f"/ {comparison.baseline}" if comparison.baseline else "ratio", f"{comparison.confidence:.0%} of repeats",
            "GB/s", "GFLOP/s", "of ceiling", "ulp", "verdict")
    rows, said = [], []
    for row in case.rows:
        verdict = f'<span class="refused">refused: {escaped(", ".join(row.names))}</span>' if row.reasons else escaped(row.verdict)
        rows.append((escaped(row.provider), *map(escaped, measured_cells(row)), verdict))
        said += [f"{row.provider}: {text}" for text in (*map(str, row.reasons), *(f"declines {t}" for t in row.limits), *row.notes)]
    notes = "".join(f"<li>{escaped(text)}</li>" for text in said)
    return f"<h3>{escaped(case.name)}, {escaped(case.dtype)}</h3>\n{grid(head, rows)}" + (f'\n<ul class="note">{notes}</ul>' if notes else "")


# ---- pictures ----------------------------------------------------------------------------------------------------------

def pictures(comparisons, bounds, roofs):
    timed = [p for c in comparisons for p in plots.of_comparison(c)]
    least = plots.of_bounds(bounds)
    chosen = [(r, timed + least) for r in roofs]
    if not roofs:
        for device in dict.fromkeys(b.device.name for b in bounds):
            mine = [b for b in bounds if b.device.name == device]
            chosen.append((plots.roof(mine[0].device), plots.of_bounds(mine)))
        chosen += [(plots.roof(c), plots.of_comparison(c)) for c in comparisons if c.ceiling]
    figures = [plots.roofline(r, points) for r, points in chosen if points]
    figures += [plots.ratios(c) for c in comparisons if any(row.ratio for case in c.cases for row in case.rows)]
    return ["<h2>Pictures</h2>", *(f"<div>{plots.svg(f, f'figure{i}')}</div>" for i, f in enumerate(figures))] if figures else []


# ---- sources -----------------------------------------------------------------------------------------------------------

def ladder(sources):
    """Each version's text, lines that the one before has not marked."""
    parts, before = [], None
    for name, text in sources:
        lines = text.rstrip("\n").split("\n")
        new = differing(before, lines) if before is not None else set()
        shown = "\n".join(f'<span class="new">{escaped(line)}</span>' if i in new else escaped(line) for i, line in enumerate(lines))
        told = f", {len(new)} of {len(lines)} lines are not in the version before" if before is not None else f", {len(lines)} lines"
        parts.append(f"<h3>{escaped(name)}</h3>\n<p class=\"note\">{escaped(name)}{told}</p>\n<pre>{shown}</pre>")
        before = lines
    return parts


def differing(before, after):
    """The numbers of lines of `after` that are new, whatever their indentation."""
    match = difflib.SequenceMatcher(None, [line.strip() for line in before], [line.strip() for line in after], autojunk=False)
    return {i for tag, _, _, start, end in match.get_opcodes() if tag in ("replace", "insert") for i in range(start, end) if after[i].strip()}


def source_of(kernel):
    """The text of one kernel within its source: from the comment above it to its closing brace."""
    text, masked = kernel.text, blank(kernel.text)
    found = re.search(rf"[^;{{}}]*\b__global__\b[^;{{}}]*?\b{re.escape(kernel.name)}\s*\([^;{{}}]*\{{", masked)
    if not found:                                    # the name is made by a macro
        return text
    depth, end = 1, found.end()
    while depth and end < len(text):
        depth += (masked[end] == "{") - (masked[end] == "}")
        end += 1
    return text[head_of(text, found.start(), found.end()):end] + "\n"


def head_of(text, start, end):
    """Where the paragraph begins that a kernel's parameter list ends."""
    gap = text.rfind("\n\n", start, end)
    return gap + 2 if gap >= 0 else start + len(text[start:end]) - len(text[start:end].lstrip())


def blank(text):
    """The text with comments and strings as spaces, so that braces in them count for nothing."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def sources_of(kernels):
    """[(name, source)] of some kernels, for page()."""
    return [(k.name, source_of(k)) for k in kernels]
