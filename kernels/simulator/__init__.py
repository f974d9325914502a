"""Runs CUDA kernels without a GPU: the same source, compiled for the CPU against a model of the machine."""
import functools
import tempfile
from pathlib import Path

from ..settings import current
from ..signature import members
from ..tensor_map import TensorMap
from . import cusim
from .cusim import SimError as SimulatorError


@functools.cache
def module(path, text, define, mode, double):
    if path is None:
        folder = Path(tempfile.mkdtemp())
        path = folder / "kernel.cu"
        path.write_text(text)
    return cusim.Module(str(path), "check" if mode == "check" else "fast", tuple(f"-D{k}={v}" for k, v in define),
                        real="double" if double else "float", include=(str(Path(__file__).parent.parent),))


def launch(kernel, grid, block, args, shared_mem, double):
    settings = current()
    m = module(kernel.path, kernel.text, tuple(kernel.define.items()), settings.mode, double)
    where = {role: [i for i, p in enumerate(kernel.parameters) if p.role == role] for role in ("out", "inout", "scratch")}
    outputs = [i for i in where["out"] if args[i] is not None]
    for i in outputs:
        for a in members(args[i]):
            a.view("u1").reshape(-1)[...] = 0xff
    args = [cusim.tensor_map(a.array, a.box, a.swizzle) if isinstance(a, TensorMap) else a for a in args]
    m(kernel.name, grid, block, args, shared_mem=shared_mem, cluster=kernel.cluster, order=settings.order, async_=settings.asynchronous,
      seed=settings.seed, outputs=outputs, inout=where["inout"], workspace=where["scratch"])
