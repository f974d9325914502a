"""What a launch does, counted in the simulator without a GPU: operations, bytes, sectors, turns of shared memory, barriers.

    counts(kernel, grid, block, args)                # of one launch of a minitorch.kernels.Kernel
    launched(kernels.softmax, x)                     # a list: of every launch that a call makes
    scaled(measure, {"M": 32, "N": 32, "K": 32}, {"M": 4096, "N": 4096, "K": 4096})

The simulator takes seconds for what a GPU does in microseconds, so problems are small.  `scaled` gives the counts of a large one, only
where that is exact: they follow a polynomial in the sizes, found from small ones and tried at one that it was not made from.
"""
import dataclasses
import itertools
from fractions import Fraction

from ..kernels import Kernel, profile, signature
from ..kernels.kernel import launches

TENSOR = {"half": "float16", "bf16": "bfloat16", "float": "tf32", "__half": "float16", "__nv_bfloat16": "bfloat16"}      # by the operands' type
SCALED = ("blocks", "read", "written", "bytes", "sectors", "ideal_sectors", "banks", "ideal_banks", "accesses", "barriers",
          "least_accesses", "least_sectors", "least_banks")


@dataclasses.dataclass(frozen=True)
class Counts:
    """The counts of one launch, over all its blocks.

    flops: {kind: operations}, kinds as in Device.flops.  read, written: bytes, each counted once, in sectors of 32: what memory must at
    least move when nothing is in a cache.  bytes: moved by all threads to and from global memory.  sectors, ideal_sectors: touched by
    warps, and how few could do.  banks, ideal_banks: turns of shared memory.  accesses: memory instructions of warps.  barriers: times
    that a warp waits at one.  least_...: of accesses, sectors and banks, where vectors that the host's compiler took apart are whole
    again (Profile.least): what bounds are made of.
    """
    kernel: Kernel = dataclasses.field(repr=False, compare=False)
    blocks: int
    block: tuple
    shared_mem: int                                  # dynamic, bytes a block
    flops: dict
    read: int
    written: int
    bytes: int
    sectors: int
    ideal_sectors: int
    banks: int
    ideal_banks: int
    accesses: int
    barriers: int
    least_accesses: int
    least_sectors: int
    least_banks: int

    @property
    def threads(self):
        """Threads of a block."""
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def moved(self):
        """Bytes that memory must at least move."""
        return self.read + self.written

    @property
    def intensity(self):
        """Operations for each byte that memory must move."""
        return sum(self.flops.values()) / self.moved if self.moved else float("inf")

    def as_dict(self):
        """Plain data for JSON."""
        return {"kernel": self.kernel.label, **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)[1:]}, "block": list(self.block)}


def counts(kernel, grid, block, args, shared_mem=0):
    """The Counts of one launch on NumPy arrays, which it runs: outputs are written.  Raises what the simulator finds wrong."""
    found = profile(kernel, grid, block, args, shared_mem)
    grid, block = kernel.fit_shape(grid, block, shared_mem)
    total, cores = found.total, sum(row.flops for row in found if row.what == "tensor core")
    flops = {"float64" if signature.is_double(kernel.parameters, args) else "float32": total("flops") - cores, tensor_kind(kernel): cores}
    return Counts(kernel, grid[0] * grid[1] * grid[2], block, shared_mem, {k: n for k, n in flops.items() if n}, found.read, found.written,
                  sum(row.bytes for row in found if row.what.startswith("global")), total("sectors"), total("ideal_sectors"), total("banks"),
                  total("ideal_banks"), total("accesses"), found.barriers // 32, *(found.least[name] for name in ("accesses", "sectors", "banks")))


def tensor_kind(kernel):
    """The kind of products of a kernel's tensor cores: by its macro `scalar`, or the type of its arrays."""
    types = [kernel.define.get("scalar", ""), *(p.type for p in kernel.parameters)]
    return next((TENSOR[t] for t in types if t in TENSOR), "float16")


def launched(f, *args, **params):
    """[Counts] of the launches that f(*args, **params) makes, in their order; f: a function on NumPy arrays, as those of minitorch.kernels."""
    found = []
    with launches(lambda *launch: found.append(counts(*launch))):
        f(*args, **params)
    if not found:
        raise ValueError(f"{getattr(f, '__name__', f)} launches no kernel on NumPy arrays")
    return found


# ---- larger problems ---------------------------------------------------------------------------------------------------

class Inexact(ValueError):
    """The counts of small problems do not say those of a large one."""


def scaled(measure, units, sizes, degree=1):
    """[Counts] of measure(**sizes), without running it: measure gives a list of Counts, as `launched` does.

    units: {name: size}; sizes: whole multiples of them.  Counts are polynomials of this degree in each size / unit if every block does
    whole tiles of work.  They are found where all sizes are 1 to degree + 1 units, and must hold where all are degree + 2.
    Inexact where they do not, and for sizes that are no multiples.
    """
    if bad := [f"{n}={sizes[n]} of {u}" for n, u in units.items() if sizes[n] % u]:
        raise Inexact(f"counts are known for whole tiles alone, and these are no multiples: {', '.join(bad)}")
    nodes = range(1, degree + 2)
    corners = {corner: measure(**{n: u * c for (n, u), c in zip(units.items(), corner)}) for corner in itertools.product(nodes, repeat=len(units))}
    kernels = [[(c.kernel.label, c.block, c.shared_mem, tuple(c.flops)) for c in each] for each in corners.values()]
    if any(k != kernels[0] for k in kernels):
        raise Inexact("other kernels, blocks or kinds of operations are used at other sizes: there is no one law")
    tried, known = (degree + 2,) * len(units), measure(**{n: u * (degree + 2) for n, u in units.items()})
    if [flat(c) for c in known] != [flat(c) for c in extended(corners, nodes, tried)]:
        raise Inexact(f"counts at {', '.join(f'{n}={u * (degree + 2)}' for n, u in units.items())} are not those that smaller sizes foretell: "
                      "blocks do unequal work, or the law is of a higher degree")
    return extended(corners, nodes, tuple(sizes[n] // u for n, u in units.items()))


def flat(c):
    return {**{name: getattr(c, name) for name in SCALED}, **c.flops}


def extended(corners, nodes, at):
    """Lagrange's polynomial through the corners at one place, for every count of every launch."""
    weights = {corner: product_of(lagrange(nodes, c, x) for c, x in zip(corner, at)) for corner in corners}
    made = []
    for launch in zip(*corners.values()):
        tables = [flat(c) for c in launch]
        values = {name: sum(w * t[name] for w, t in zip(weights.values(), tables)) for name in tables[0]}
        values = {name: int(v) if v.denominator == 1 else float(v) for name, v in values.items()}
        made.append(dataclasses.replace(launch[0], flops={kind: values.pop(kind) for kind in launch[0].flops}, **values))
    return made


def lagrange(nodes, own, x):
    return product_of(Fraction(x - n, own - n) for n in nodes if n != own)


def product_of(numbers):
    y = Fraction(1)
    for n in numbers:
        y *= n
    return y
