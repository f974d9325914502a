"""Depthwise convolution of images, one filter for each channel: a sum of shifted rows, without columns, and its two transposes."""
import numpy as np

from .. import threads
from . import loop
from .places import U, inside

LEAST = 1 << 15                                      # numbers that are worth another thread
FORWARD, BACKWARD, WEIGHT = range(3)


@loop
def taps(start, stop, x, w, y, shape, kernel, out, stride, padding, dilation, what):
    """For channels `start` to `stop` of all images counted together, x, w, y flat, and every tap:

    FORWARD y[p] += w[t] x[q], BACKWARD x[q] += w[t] y[p], WEIGHT w[n, t] += x[q] y[p], for position p and what it sees at q.
    """
    (C, H, W), (OH, OW), (KH, KW), step = shape, out, kernel, U(stride[1])
    for k in range(start, stop):
        for i in range(KH):
            top, bottom = inside(H, OH, stride[0], i * dilation[0] - padding[0])
            for j in range(KW):
                shift = j * dilation[1] - padding[1]
                left, right = inside(W, OW, stride[1], shift)
                place = U(((k if what == WEIGHT else k % C) * KH + i) * KW + j)
                tap, total, n = w[place], x.dtype.type(0), U(right - left)
                for a in range(top, bottom):
                    p = U((k * OH + a) * OW + left)
                    q = U((k * H + a * stride[0] + i * dilation[0] - padding[0]) * W + left * stride[1] + shift)
                    if what == FORWARD:
                        if step == U(1):
                            for b in range(n):
                                y[p + b] += tap * x[q + b]
                        else:
                            for b in range(n):
                                y[p + b] += tap * x[q + b * step]
                    elif what == BACKWARD:
                        if step == U(1):
                            for b in range(n):
                                x[q + b] += tap * y[p + b]
                        else:
                            for b in range(n):
                                x[q + b * step] += tap * y[p + b]
                    else:
                        for b in range(n):
                            total += x[q + b * step] * y[p + b]
                if what == WEIGHT:
                    w[place] = total


def run(x, w, y, slide, what):
    padding = tuple(a for a, _ in slide.padding)
    channels = x.shape[0] * x.shape[1]
    threads.run(taps, channels, x.reshape(-1), w.reshape(-1), y.reshape(-1), x.shape[1:], w.shape[-2:], y.shape[2:],
                slide.stride, padding, slide.dilation, what, least=1 + LEAST // max(1, y.shape[2] * y.shape[3]))


def forward(x, w, bias, slide):
    """(N, C, H, W), (C, 1, KH, KW) -> (N, C, OH, OW)."""
    y = np.zeros((*x.shape[:2], *slide.positions(x.shape[2:], w.shape[2:])), x.dtype)
    if bias is not None:
        y += bias[:, None, None]
    run(x, w, y, slide, FORWARD)
    return y


def input_gradient(g, w, bias, size, slide):
    """The transpose of forward in x."""
    x = np.zeros((*g.shape[:2], *size), g.dtype)
    if bias is not None:
        x += bias[:, None, None]
    run(x, w, g, slide, BACKWARD)
    return x


def weight_gradient(x, g, kernel, slide):
    """The transpose of forward in w."""
    w = np.zeros((x.shape[0], x.shape[1], 1, *kernel), x.dtype)             # of each image
    run(x, w, g, slide, WEIGHT)
    return w.sum(axis=0)
