"""Text that every Python brings along: the sources of its standard library, and the English in their docstrings.

Nothing is downloaded, and nothing is imported or executed: the files are read.  The modules come in an order that looks
random but depends on their names alone, so that the first few of them are already a fair sample, the same on each run.
How much there is differs a little from one version of Python to the next.
"""
import ast
import inspect
import sys
import sysconfig
import warnings
import zlib
from pathlib import Path

LEFT_OUT = {"encodings", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "this", "turtledemo"}       # tables, tests, long repetitions


def modules():
    """(name, path) of every module of the standard library that is written in Python, in the order described above.

    OSError where this Python came without its sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for top in sorted(sys.stdlib_module_names):
        file, folder = root / f"{top}.py", root / top
        found += [(top, file)] if file.is_file() else []
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    found = [(name, path) for name, path in found if not LEFT_OUT & set(name.split(".")) and "_tests" not in name]
    if len(found) < 100:
        raise OSError(f"this Python came without the sources of its standard library: {root} has {len(found)} modules")
    return sorted(found, key=lambda pair: (zlib.crc32(pair[0].encode()), pair[0]))


def sources(size=None, only=None):
    """(module, source) pairs, in a fixed mixed order; size: stop after this many characters; only: these top-level names alone."""
    return bounded(((name, path.read_text("utf-8", "replace")) for name, path in modules() if belongs(name, only)), size)


def docstrings(size=None, only=None):
    """(module, English) pairs: what a module's docstrings say, those of its classes and functions too, blank lines between them."""
    return bounded(((name, written_in(path)) for name, path in modules() if belongs(name, only)), size)


def belongs(name, only):
    return only is None or name.split(".")[0] in only


def written_in(path):
    """All docstrings of one file, in its order, as one text."""
    with warnings.catch_warnings():                  # of invalid escapes and the like, in code that is not ours
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):            # files that are there to be wrong
            return ""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [(getattr(node, "lineno", 0), ast.get_docstring(node, clean=False)) for node in ast.walk(tree) if isinstance(node, kinds)]
    return "\n\n".join(inspect.cleandoc(text) for _, text in sorted((line, text) for line, text in found if text))


def bounded(pairs, size):
    """The pairs with a text in them, up to `size` characters in total; the last text is cut."""
    kept, total = [], 0
    for name, text in pairs:
        text = text if size is None else text[:size - total]
        if text.strip():
            kept.append((name, text))
            total += len(text)
        if size is not None and total >= size:
            break
    return kept
