"""Maxima and sums of what a sliding window sees, and the ways back.

Images are (M, D, H, W), of size 1 along the first axes where fewer slide.  `window` holds three numbers for each axis in turn:
the kernel, the step, the padding before, the spacing of taps.  Taps in the padding are never looked at.
"""
from math import prod

import numpy as np

from .. import threads
from . import inline, loop

LEAST = 1 << 15                                      # numbers of the larger side that are worth another thread
U = np.uint64                                        # an index that cannot be negative: no test for it stands in the way of vectors


@inline
def first(position, step, padding, spacing):
    """The first tap along an axis that is not in the padding before it."""
    return max(0, (padding - position * step + spacing - 1) // spacing)


@inline
def reaches(taps, step, padding, spacing, size, positions):
    """For each tap of an axis: its place at position 0, the first position at which it is inside, and the first at which no longer."""
    found = np.empty((taps, 3), np.int64)
    for tap in range(taps):
        offset = tap * spacing - padding
        low = max(0, (step - 1 - offset) // step)
        found[tap] = offset, low, max(low, min(positions, (size - 1 - offset) // step + 1))
    return found


# ---- maximum ----------------------------------------------------------------------------------------------------

@inline
def apart(row, step, lines):
    """Every step-th number of a row, from each beginning: lines[r, j] = row[j * step + r]."""
    for r in range(step):
        line = lines[r]
        for j in range((row.size - r + step - 1) // step):
            o = U(j)
            line[o] = row[o * U(step) + U(r)]


@loop
def maxima(start, stop, x, y, which, window):
    KD, KH, KW, SD, SH, SW, PD, PH, PW, DD, DH, DW = window
    _, D, H, W = x.shape
    none, index = x.dtype.type(-np.inf), which.dtype.type
    inside, lines = reaches(KW, SW, PW, DW, W, y.shape[3]), np.empty((SW, W // SW + 1), x.dtype)
    for i in range(start, stop):
        for d in range(y.shape[1]):
            for h in range(y.shape[2]):
                out, w = y[i, d, h], which[i, d, h]
                d0, h0 = first(d, SD, PD, DD), first(h, SH, PH, DH)
                lead = (d0 * KH + h0) * KW
                for o in range(out.size):
                    out[o], w[o] = none, lead
                o = 0
                while o < out.size and o * SW < PW:
                    w[o] = lead + first(o, SW, PW, DW)
                    o += 1
                for kd in range(d0, KD):
                    r = d * SD - PD + kd * DD
                    if r >= D:
                        break
                    for kh in range(h0, KH):
                        s = h * SH - PH + kh * DH
                        if s >= H:
                            break
                        if SW == 1:
                            apart(x[i, r, s], 1, lines)
                        elif SW == 2:
                            apart(x[i, r, s], 2, lines)
                        else:
                            apart(x[i, r, s], SW, lines)
                        for kw in range(KW):
                            offset, low, high = inside[kw]
                            place, tap = offset + low * SW, index((kd * KH + kh) * KW + kw)
                            seen, best, taps = lines[place % SW][place // SW:], out[low:high], w[low:high]
                            for j in range(best.size):
                                later = (seen[j] > best[j]) | (seen[j] != seen[j])
                                best[j] = seen[j] if later else best[j]
                                taps[j] = tap if later else taps[j]


@inline
def larger(v, tap, most, which):
    """(the larger of v and `most`, which of the two taps it was): NaN is the largest, the later one of equal NaNs."""
    later = (v > most) | (v != v)
    return v if later else most, np.uint8(tap) if later else which


@loop
def maxima_of_tiles(start, stop, x, y, which):
    """Windows of 2 x 2 side by side: x (M, 1, H, W) -> (M, 1, H // 2, W // 2)."""
    for i in range(start, stop):
        for h in range(y.shape[2]):
            a, b, out, w = x[i, 0, 2 * h], x[i, 0, 2 * h + 1], y[i, 0, h], which[i, 0, h]
            for j in range(out.size):
                o = U(j)
                left, right = U(2) * o, U(2) * o + U(1)
                most, k = larger(a[right], 1, a[left], np.uint8(0))
                most, k = larger(b[left], 2, most, k)
                out[o], w[o] = larger(b[right], 3, most, k)


@inline
def places(window):
    """Where each tap of a window stands at position 0: (taps, 3)."""
    KD, KH, KW, SD, SH, SW, PD, PH, PW, DD, DH, DW = window
    found = np.empty((KD * KH * KW, 3), np.int64)
    for tap in range(len(found)):
        found[tap] = tap // (KH * KW) * DD - PD, tap // KW % KH * DH - PH, tap % KW * DW - PW
    return found


@loop
def put(start, stop, g, which, gx, window):
    SD, SH, SW = window[3:6]
    _, D, H, W = gx.shape
    place = places(window)
    for i in range(start, stop):
        gx[i] = gx.dtype.type(0)
        for d in range(g.shape[1]):
            for h in range(g.shape[2]):
                for w in range(g.shape[3]):
                    tap = which[i, d, h, w]
                    r, s, t = place[tap, 0] + d * SD, place[tap, 1] + h * SH, place[tap, 2] + w * SW
                    if 0 <= r < D and 0 <= s < H and 0 <= t < W:
                        gx[i, r, s, t] += g[i, d, h, w]


@loop
def put_in_tiles(start, stop, g, which, gx):
    zero = gx.dtype.type(0)
    for i in range(start, stop):
        H, W = 2 * g.shape[2], 2 * g.shape[3]
        gx[i, 0, H:] = zero
        gx[i, 0, :, W:] = zero
        for h in range(g.shape[2]):
            here, w = g[i, 0, h], which[i, 0, h]
            for r in range(2):                       # two rows at once would be compiled one number at a time
                row = gx[i, 0, 2 * h + r]
                for j in range(here.size):
                    o = U(j)
                    v, k = here[o], w[o]
                    row[U(2) * o], row[U(2) * o + U(1)] = v if k == 2 * r else zero, v if k == 2 * r + 1 else zero


@loop
def pick(start, stop, x, which, y, window):
    SD, SH, SW = window[3:6]
    _, D, H, W = x.shape
    place = places(window)
    for i in range(start, stop):
        for d in range(y.shape[1]):
            for h in range(y.shape[2]):
                for w in range(y.shape[3]):
                    tap = which[i, d, h, w]
                    r, s, t = place[tap, 0] + d * SD, place[tap, 1] + h * SH, place[tap, 2] + w * SW
                    y[i, d, h, w] = x[i, r, s, t] if 0 <= r < D and 0 <= s < H and 0 <= t < W else x.dtype.type(0)


# ---- sum --------------------------------------------------------------------------------------------------------

@inline
def add_taps(x, step, y):
    for j in range(y.size):
        o = U(j)
        y[o] += x[o * U(step)]


@loop
def sums(start, stop, x, divisor, y, window):
    KD, KH, KW, SD, SH, SW, PD, PH, PW, DD, DH, DW = window
    _, D, H, W = x.shape
    inside = reaches(KW, SW, PW, DW, W, y.shape[3])
    line = np.empty(W, x.dtype)                      # the sum of the rows that a row of windows sees
    for i in range(start, stop):
        for d in range(y.shape[1]):
            for h in range(y.shape[2]):
                line[:] = x.dtype.type(0)
                for kd in range(first(d, SD, PD, DD), KD):
                    r = d * SD - PD + kd * DD
                    if r >= D:
                        break
                    for kh in range(first(h, SH, PH, DH), KH):
                        s = h * SH - PH + kh * DH
                        if s >= H:
                            break
                        add_taps(x[i, r, s], 1, line)
                out = y[i, d, h]
                out[:] = x.dtype.type(0)
                for kw in range(KW):
                    offset, low, high = inside[kw]
                    if SW == 1:
                        add_taps(line[offset + low * SW:], 1, out[low:high])
                    elif SW == 2:
                        add_taps(line[offset + low * SW:], 2, out[low:high])
                    else:
                        add_taps(line[offset + low * SW:], SW, out[low:high])
                for o in range(out.size):
                    out[o] /= divisor


@loop
def sums_of_tiles(start, stop, x, divisor, y):
    for i in range(start, stop):
        for h in range(y.shape[2]):
            a, b, out = x[i, 0, 2 * h], x[i, 0, 2 * h + 1], y[i, 0, h]
            for j in range(out.size):
                o = U(j)
                left, right = U(2) * o, U(2) * o + U(1)
                out[o] = (a[left] + a[right] + (b[left] + b[right])) / divisor


@loop
def spread(start, stop, g, divisor, gx, window):
    KD, KH, KW, SD, SH, SW, PD, PH, PW, DD, DH, DW = window
    _, D, H, W = gx.shape
    inside = reaches(KW, SW, PW, DW, W, g.shape[3])
    line = np.empty(W, g.dtype)                      # what every row that a row of windows sees receives from it
    for i in range(start, stop):
        gx[i] = gx.dtype.type(0)
        for d in range(g.shape[1]):
            for h in range(g.shape[2]):
                line[:] = g.dtype.type(0)
                here = g[i, d, h]
                for kw in range(KW):
                    offset, low, high = inside[kw]
                    to, part = line[offset + low * SW:], here[low:high]
                    for j in range(part.size):
                        o = U(j)
                        to[o * U(SW)] += part[o] / divisor
                for kd in range(first(d, SD, PD, DD), KD):
                    r = d * SD - PD + kd * DD
                    if r >= D:
                        break
                    for kh in range(first(h, SH, PH, DH), KH):
                        s = h * SH - PH + kh * DH
                        if s >= H:
                            break
                        add_taps(line, 1, gx[i, r, s])


@loop
def spread_over_tiles(start, stop, g, divisor, gx):
    zero = gx.dtype.type(0)
    for i in range(start, stop):
        H, W = 2 * g.shape[2], 2 * g.shape[3]
        gx[i, 0, H:] = zero
        gx[i, 0, :, W:] = zero
        for h in range(g.shape[2]):
            a, b, here = gx[i, 0, 2 * h], gx[i, 0, 2 * h + 1], g[i, 0, h]
            for j in range(here.size):
                o = U(j)
                left, right, v = U(2) * o, U(2) * o + U(1), here[o] / divisor
                a[left], a[right], b[left], b[right] = v, v, v, v


# ---- what the ops call ------------------------------------------------------------------------------------------

def images(x):
    """(N, C, *size) as (M, D, H, W)."""
    return x.reshape(x.shape[0] * x.shape[1], *(1,) * (5 - x.ndim), *x.shape[2:])


def flat(kernel, slide):
    """The window as loops take it."""
    parts = (kernel, 1), (slide.stride, 1), (tuple(a for a, _ in slide.padding), 0), (slide.dilation, 1)
    return tuple(n for values, fill in parts for n in (fill,) * (3 - len(kernel)) + values)


def run(loops, window, large, small, *arrays):
    """The loop over all images: loops[0], or loops[1] for windows of 2 x 2 side by side, all of them whole."""
    D, H, W = large.shape[1:]
    tiles = window == (1, 2, 2, 1, 2, 2, 0, 0, 0, 1, 1, 1) and D == 1 and 2 * small.shape[2] <= H and 2 * small.shape[3] <= W
    least = 1 + LEAST // max(1, D * H * W)
    if tiles:
        threads.run(loops[1], len(large), *arrays, least=least)
    else:
        threads.run(loops[0], len(large), *arrays, window, least=least)


def winners(x, out, kernel, slide):
    """(the maxima, the number of the first tap that holds each) of x (N, C, *size): (N, C, *out)."""
    y = np.empty(x.shape[:2] + out, x.dtype)
    which = np.empty(y.shape, "u1" if prod(kernel) <= 256 else "i4")
    x, small, taps = images(x), images(y), images(which)
    run((maxima, maxima_of_tiles), flat(kernel, slide), x, small, x, small, taps)
    return y, which


def put_at_winners(g, which, size, kernel, slide):
    """Each number of g at the tap that `which` names, zero elsewhere: (N, C, *out) -> (N, C, *size)."""
    gx = np.empty(g.shape[:2] + size, g.dtype)
    large, small = images(gx), images(g)
    run((put, put_in_tiles), flat(kernel, slide), large, small, small, images(which), large)
    return gx


def pick_winners(x, which, kernel, slide):
    """The number of x at the tap that `which` names."""
    y = np.empty(which.shape, x.dtype)
    threads.run(pick, y.shape[0] * y.shape[1], images(x), images(which), images(y), flat(kernel, slide), least=1 + LEAST // max(1, prod(x.shape[2:])))
    return y


def sum_windows(x, out, kernel, slide, divisor):
    """The sum of what each window sees, divided by a number: (N, C, *size) -> (N, C, *out)."""
    y = np.empty(x.shape[:2] + out, x.dtype)
    x, small = images(x), images(y)
    run((sums, sums_of_tiles), flat(kernel, slide), x, small, x, x.dtype.type(divisor), small)
    return y


def spread_windows(g, size, kernel, slide, divisor):
    """Each number of g, divided, added to all that its window sees: (N, C, *out) -> (N, C, *size)."""
    gx = np.empty(g.shape[:2] + size, g.dtype)
    large, small = images(gx), images(g)
    run((spread, spread_over_tiles), flat(kernel, slide), large, small, small, g.dtype.type(divisor), large)
    return gx
