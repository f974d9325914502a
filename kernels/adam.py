"""Adam and AdamW over many tensors in one launch, on the kernel of adam.cu.

The kernel reaches the tensors through tables of their addresses.  On a GPU both the tables and the list of chunks stay there
from step to step as long as the arrays are the same ones: a step then costs one launch and no copy.
"""
import functools
import math

import numpy as np

from ..backend import xp
from ..cases import normal, positive
from .kernel import library
from .proof import proven, scalar

THREADS, CHUNK = 256, 4096                           # of a block; numbers that a block takes, a multiple of 4


@functools.lru_cache(maxsize=64)
def chunks(sizes, library_of, where):
    """(blocks, 3): for each block its tensor, its first number there, how many there are; on the device where the tensors are.

    where: that device and the stream, on which alone the list is sure to have arrived.
    """
    counts = [-(-n // CHUNK) for n in sizes]
    tensor = np.repeat(np.arange(len(sizes)), counts)
    first = np.concatenate([np.arange(c) for c in counts]) * CHUNK
    return library_of.asarray(np.stack([tensor, first, np.minimum(np.array(sizes)[tensor] - first, CHUNK)], axis=1).astype(np.int64))


def adam_reference(params, grads, exp_avgs, exp_avg_sqs, step, lr, betas, eps, weight_decay, decoupled, amsgrad=False, maximize=False,
                   max_exp_avg_sqs=None):
    new = []
    for x, g, m, v, most in zip(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs if amsgrad else exp_avg_sqs):
        g = -g if maximize else g
        x, g = (x * (1 - lr * weight_decay), g) if decoupled else (x, g + weight_decay * x)
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
        most = np.maximum(most, v) if amsgrad else v
        x = x - lr / (1 - betas[0] ** step) * m / (np.sqrt(most) / math.sqrt(1 - betas[1] ** step) + eps)
        new.append((x, m, v, most))
    return tuple(a for arrays in list(zip(*new))[:4 if amsgrad else 3] for a in arrays)


@proven(reference=adam_reference, dtypes="float32 float16 bfloat16")
def adam_step(params, grads, exp_avgs, exp_avg_sqs, step, lr, betas, eps, weight_decay, decoupled, amsgrad=False, maximize=False,
              max_exp_avg_sqs=None):
    """x -= lr m' / (sqrt(v') + eps) in place for lists of arrays, with the running means of g and g^2, m and v; step counts from 1.

    decoupled: x shrinks by lr * weight_decay (AdamW); otherwise weight_decay * x is added to g.  amsgrad: v' never falls, by
    max_exp_avg_sqs.  Gradients have their parameter's dtype; the means have it or are in float32.  Returns the changed arrays:
    parameters, m, v, and with amsgrad the largest v.
    """
    tables = [list(params), list(grads), list(exp_avgs), list(exp_avg_sqs)] + ([list(max_exp_avg_sqs or ())] if amsgrad else [])
    for what, table in zip(("grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"), tables[1:]):
        if len(table) != len(params):
            raise ValueError(f"adam_step: {len(table)} {what} for {len(params)} parameters")
        for i, (a, x) in enumerate(zip(table, params)):
            if a.shape != x.shape:
                raise ValueError(f"adam_step: {what}[{i}] has shape {tuple(a.shape)}, its parameter {tuple(x.shape)}")
    alike = {}                                       # one launch for all tensors of the same dtypes
    for i, (x, m) in enumerate(zip(params, exp_avgs)):
        if x.size:
            alike.setdefault((x.dtype, m.dtype), []).append(i)
    beta1, beta2 = betas
    numbers = (lr / (1 - beta1 ** step), 1 / math.sqrt(1 - beta2 ** step), beta1, beta2, 1 - beta1, 1 - beta2, eps,
               0.0 if decoupled else weight_decay, 1 - lr * weight_decay if decoupled else 1.0, -1.0 if maximize else 1.0)
    for chosen in alike.values():
        x, g, m, v, *most = [[table[i] for i in chosen] for table in tables]
        library_of = xp(x[0])
        g = [library_of.ascontiguousarray(a) for a in g]
        where = None if library_of is np else (x[0].device.id, library_of.cuda.get_current_stream().ptr)
        list_of_chunks = chunks(tuple([a.size for a in x]), library_of, where)
        kernel = library("adam.cu", "adam", {"scalar": scalar(x[0]), "moment": scalar(m[0])})
        kernel(len(list_of_chunks), THREADS, (x, g, m, v, most[0] if most else None, list_of_chunks, *numbers))
    return tuple(a for table in (tables[0], *tables[2:]) for a in table)


def tensors(*shapes, full=False):
    """The lists of a step for parameters of these shapes: parameters, gradients, and the means, of squares too, perhaps in float32."""
    return [[kind(*shape, full=f) for shape in shapes] for kind, f in ((normal, False), (normal, False), (normal, full), (positive, full))]


adam_step.case(*tensors((3, 4), (1,), (), (7,), (0, 2)), 1, 1e-2, (0.9, 0.999), 1e-8, 0.0, False)
adam_step.case(*tensors((5,), (2, 3)), 3, 1e-2, (0.8, 0.99), 1e-6, 0.1, False, maximize=True)
adam_step.case(*tensors((5,), (2, 4)), 100, 1e-1, (0.9, 0.999), 1e-8, 0.5, True)
adam_step.case(*tensors((9,), (1, 1), full=True), 2, 1e-2, (0.9, 0.95), 1e-8, 0.1, True, amsgrad=True,
               max_exp_avg_sqs=[positive(9, full=True), positive(1, 1, full=True)])
adam_step.case(*tensors((4,)), 2, 1e-2, (0.0, 0.0), 1e-8, 0.1, False, amsgrad=True, maximize=True, max_exp_avg_sqs=[positive(4)])
adam_step.case(*tensors((CHUNK + 5,), (3,)), 5, 1e-3, (0.9, 0.999), 1e-8, 1e-2, True)
