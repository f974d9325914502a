"""Sequences of different lengths as one array."""
import numpy as np


def pad_sequences(sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0):
    """(N, maxlen, ...): `value` in front of ("pre") or behind ("post") what is shorter, the same end cut off what is longer.

    maxlen: by default the longest one's length.
    """
    if padding not in ("pre", "post") or truncating not in ("pre", "post"):
        raise ValueError(f'pad_sequences: padding and truncating are "pre" or "post", not {padding!r} and {truncating!r}')
    try:
        rows = [np.asarray(s) for s in sequences]
        lengths = [len(r) for r in rows]
    except (TypeError, ValueError):
        raise ValueError("pad_sequences takes a list of sequences, each a list or an array") from None
    longest = max(lengths, default=0) if maxlen is None else maxlen
    tail = next((r.shape[1:] for r in rows if len(r)), ())
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "USO":
        raise ValueError(f"pad_sequences: value is a string, but dtype={dtype!r}; give dtype=object")
    y = np.full((len(rows), longest, *tail), value, kind)
    for place, row in zip(y, rows):
        if not len(row) or not longest:
            continue
        if row.shape[1:] != tail:
            raise ValueError(f"pad_sequences: a step of shape {row.shape[1:]} among steps of shape {tail}")
        row = row[-longest:] if truncating == "pre" else row[:longest]
        if padding == "post":
            place[:len(row)] = row
        else:
            place[-len(row):] = row
    return y


__all__ = ["pad_sequences"]
