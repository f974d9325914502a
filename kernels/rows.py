"""How rows are shared out among threads, for the kernels that work along the last axis (rows.cuh)."""
import dataclasses

from .kernel import library
from .proof import scalar
from .signature import address

VERSIONS = ("simple", "held", "streamed")


@dataclasses.dataclass(frozen=True)
class Plan:
    """One way to work on `rows` rows of `columns` entries."""
    version: str
    rows: int
    columns: int
    threads: int                                     # that share a row
    parts: int = 1                                   # vectors that each of them holds
    vector: int = 1                                  # entries in a vector

    @property
    def block(self):
        if self.version != "held" or self.threads > 32:
            return self.threads
        return min(128, up(self.rows * self.threads, 32))

    @property
    def grid(self):
        return -(-self.rows // max(1, self.block // self.threads))

    def kernel(self, file, name, x, **define):
        """`name`_`version` of a file, compiled for this plan and the storage type of x."""
        if self.version == "held":
            define.update(THREADS=self.threads, PARTS=self.parts)
        if self.version != "simple":
            define.update(VECTOR=self.vector)
        return library(file, f"{name}_{self.version}", {"scalar": scalar(x), **define})


def plan(name, version, rows, columns, arrays, most=16, versions=VERSIONS):
    """The Plan for arrays of `rows` rows, the first of which says the storage type.

    version: one of `versions`, or None to choose.  most: entries that a thread may hold: 16 and what goes with them fit in the registers of 1024.
    Rows that a block of 1024 threads cannot hold are streamed; where there is no such version, left to the simple one.
    """
    if version not in (None, *versions):
        raise ValueError(f"{name}: version must be {', '.join(versions)}, not {version!r}")
    width = 8 if arrays[0].dtype.itemsize == 2 else 4
    aligned = all(address(a) % 16 == 0 for a in arrays if a is not None)
    vector = width if columns % width == 0 and aligned else 1
    vectors = max(1, columns // vector)
    fits = vectors * vector <= 1024 * most
    if version == "held" and not fits:
        raise ValueError(f"{name}: a row of {columns} entries is too long to be held by a block (at most {1024 * most})")
    version = version or ("held" if fits else versions[-1] if versions[-1] != "held" else "simple")
    if version == "simple":
        return Plan(version, rows, columns, min(256, up(columns, 32)))
    if version == "streamed":
        return Plan(version, rows, columns, min(1024, up(vectors, 32)), vector=vector)
    if vectors * vector <= 32 * most:
        threads = 8 if vectors <= 8 else 32
        return Plan(version, rows, columns, threads, power(-(-vectors // threads)), vector)
    parts = max(1, most // vector)
    return Plan(version, rows, columns, power(-(-vectors // parts)), parts, vector)


def up(n, multiple):
    return -(-n // multiple) * multiple


def power(n):
    """The smallest power of two that is at least n."""
    return 1 << (n - 1).bit_length()
