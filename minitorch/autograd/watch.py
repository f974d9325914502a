"""Watching the graph: anomaly detection and checksums.  While nothing watches, a step pays for one test.

Anomaly detection: steps remember the user's lines that made them, and a derivative that fails or gives NaN names them.
Checksums: steps sum what they save, and backward notices numbers that changed without being counted.
"""
import warnings

from ..backend import is_array, to_numpy, xp

watchers = []                                        # functions that are shown every new step
anomaly, nan_is_error = False, True


def watch(f):
    """Show f every step made from now on, in every thread, until unwatch(f)."""
    watchers.append(f)


def unwatch(f):
    watchers.remove(f)


def made(node):
    """Show a new step to the watchers."""
    for f in dict.fromkeys(watchers):
        f(node)


def watched_vjp(node, g, create_graph):
    """node.vjp, under watch."""
    if node.extra is not None and node.extra.sums is not None:
        check_sums(node)
    try:
        results = node.vjp(g, create_graph)
    except Exception:
        if anomaly:
            warnings.warn(f"Error detected in {node.name()}. {place(node)}", stacklevel=2)
        raise
    if anomaly and nan_is_error:
        look_for_nan(node, results)
    return results


# ---- anomaly detection ----------------------------------------------------------------------------------

class set_detect_anomaly:
    """Switch anomaly detection on or off, at once or for the length of a `with` block; check_nan: NaN is an error."""

    def __init__(self, mode, check_nan=True):
        self.before = anomaly, nan_is_error
        self.switch(bool(mode), check_nan)

    def switch(self, mode, check_nan):
        global anomaly, nan_is_error
        if mode != anomaly:
            (watch if mode else unwatch)(remember_place)
        anomaly, nan_is_error = mode, check_nan

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.switch(*self.before)


class detect_anomaly(set_detect_anomaly):
    """Within this block a derivative that gives NaN raises RuntimeError naming its op and the line that called it."""

    def __init__(self, check_nan=True):
        super().__init__(True, check_nan)


def is_anomaly_enabled():
    """Whether anomaly detection is on."""
    return anomaly


def is_anomaly_check_nan_enabled():
    """Whether anomaly detection takes NaN for an error."""
    return nan_is_error


def remember_place(node):
    """Keep the user's lines that made `node`: the frames outside this package (and outside traceback, which walks them)."""
    import traceback                                 # here, as zlib below: few programs watch
    passed = (__name__.partition(".")[0], "traceback")
    frames = ((f, line) for f, line in traceback.walk_stack(None) if f.f_globals.get("__name__", "").partition(".")[0] not in passed)
    node.extras().where = list(reversed(traceback.StackSummary.extract(frames, limit=8)))


def place(node):
    """The lines that made `node`, as text."""
    if node.extra is None or node.extra.where is None:
        return "No forward pass information: enable anomaly detection during the forward pass to see the line that made it."
    import traceback
    return "Traceback of forward call that caused the error:\n" + "".join(traceback.format_list(node.extra.where))


def look_for_nan(node, results):
    """RuntimeError if a gradient that `node` computed holds a NaN."""
    for i, g in enumerate(results):
        array = getattr(g, "array", g)
        if array is not None and bool(xp(array).isnan(array).any()):
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output. {place(node)}")


# ---- checksums ------------------------------------------------------------------------------------------

def set_checksums(mode):
    """Switch paranoid mode: backward raises RuntimeError where numbers saved by a step changed without being counted,
    through `.data`, through a NumPy array that shares the memory, or in another library.

    Both the forward and the backward pass must run while it is on.  It reads everything that is saved twice.
    """
    if bool(mode) != (sum_saved in watchers):
        (watch if mode else unwatch)(sum_saved)


def sum_saved(node):
    if node.saved:
        node.extras().sums = [checksum(value) for value in node.saved[::3]]


def checksum(value):
    """A CRC of an array's bytes; None for anything else."""
    import zlib
    return zlib.crc32(to_numpy(value).tobytes()) if is_array(value) else None


def check_sums(node):
    """RuntimeError if what `node` saved is not what it was, though no counted write explains it."""
    for i, before in enumerate(node.extra.sums if len(node.saved) == 3 * len(node.extra.sums) else ()):    # not when freed
        value, counter, count = node.saved[3 * i:3 * i + 3]
        if is_array(value) and counter[0] == count and checksum(value) != before:
            raise RuntimeError(f"The array of shape {list(value.shape)} that {node.name()} saved as '{node.saved_name(i)}' was changed by "
                               "a write that went past the version counters: through .data, NumPy, or another library that shares it.")
