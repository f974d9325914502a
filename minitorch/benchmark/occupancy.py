"""How many blocks of a kernel a multiprocessor holds at a time, from its registers, shared memory and threads.

    occupancy("H100", threads=256, registers=64, shared=8192)        # 4 blocks, 32 of 64 warps: 50%, limited by registers

The rules are those of NVIDIA's cuda_occupancy.h, for compute capability 7.5 and later: registers are given to a warp in units of 256,
from the quarter of the register file where it runs; shared memory to a block in units of 128 bytes, with 1 KiB more for CUDA itself.
"""
import dataclasses
import math

from .devices import named

WARP = 32


@dataclasses.dataclass(frozen=True)
class Occupancy:
    """blocks, warps: on a multiprocessor at a time; share: of the warps that it could hold.  limits: {what: blocks that it allows}.

    limited_by: what allows the fewest blocks, all of them where several do.  registers: None where they are unknown; then blocks is
    what the rest allows at most.
    """
    blocks: int
    warps: int
    share: float
    limits: dict
    registers: int | None
    shared: int

    @property
    def limited_by(self):
        return [what for what, n in self.limits.items() if n == self.blocks]

    def __str__(self):
        return (f"{'' if self.registers is not None else 'at most '}{self.blocks} blocks, {self.warps} warps: {self.share:.0%}, "
                f"limited by {' and '.join(self.limited_by)}" + ("" if self.registers is not None else "; registers unknown"))


def occupancy(device, threads, registers=None, shared=0):
    """The Occupancy of blocks of `threads` threads with so many registers each and so many bytes of shared memory a block, static and dynamic.

    ValueError for a block that the device cannot run at all.
    """
    device = named(device)
    has = device.limits
    if not 1 <= threads <= has.threads_per_block:
        raise ValueError(f"a block has 1 to {has.threads_per_block} threads, not {threads}")
    if shared > has.shared_per_block:
        raise ValueError(f"{device.name} gives a block {has.shared_per_block} bytes of shared memory at most, not {shared}")
    if registers is not None and not 0 <= registers <= has.registers_per_thread:
        raise ValueError(f"a thread has {has.registers_per_thread} registers at most, not {registers}")
    warps = math.ceil(threads / WARP)
    limits = {"threads": has.threads // WARP // warps, "blocks": has.blocks}
    if registers:
        each = rounded(registers * WARP, has.register_unit)
        if rounded(warps, has.parts) * each > has.registers:
            raise ValueError(f"{threads} threads with {registers} registers each are more than the {has.registers} of {device.name}")
        limits["registers"] = has.registers // has.parts // each * has.parts // warps
    if shared or has.reserved:
        limits["shared memory"] = has.shared // max(1, rounded(shared + has.reserved, has.shared_unit))
    blocks = min(limits.values())
    return Occupancy(blocks, blocks * warps, blocks * warps * WARP / has.threads, limits, registers, shared)


def rounded(n, unit):
    return -(-n // unit) * unit


def waves(device, blocks, resident):
    """In how many waves so many blocks run, `resident` of them on a multiprocessor at a time; the last may be a part of one."""
    return blocks / (named(device).multiprocessors * resident)
