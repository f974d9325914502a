"""GPUs by name, with what their makers publish of them: the figures that bounds and rooflines divide by.

    devices.named("H100")                            # a Device; also "H100 PCIe", "A100", "RTX 4090", ...
    devices.found()                                  # the one in this machine, through CuPy: by its name, or from its attributes

Rates are of dense products that are summed in float32, at the boost clock.  What a multiprocessor has is the same for all GPUs of a
compute capability: NVIDIA, CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", and the tuning guides
for what CUDA keeps of a block's shared memory for itself.
"""
import dataclasses

KiB, MiB, GB = 1 << 10, 1 << 20, 10**9


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one multiprocessor of a compute capability has.

    lanes: float32 multiply-adds a clock.  shared: bytes of shared memory, shared_per_block: of those at most for one block, the
    reserved bytes that each block costs besides left out.  shared_unit, register_unit: what a block's bytes and a warp's
    registers are rounded up to.
    """
    capability: str
    lanes: int
    threads: int
    blocks: int
    shared: int
    shared_per_block: int
    reserved: int = KiB
    shared_unit: int = 128
    registers: int = 65536
    register_unit: int = 256
    registers_per_thread: int = 255
    parts: int = 4                                   # schedulers, each with a quarter of the registers
    threads_per_block: int = 1024


LIMITS = {limits.capability: limits for limits in (
    Limits("7.5", 64, 1024, 16, 64 * KiB, 64 * KiB, 0, 256),
    Limits("8.0", 64, 2048, 32, 164 * KiB, 163 * KiB),
    Limits("8.6", 128, 1536, 16, 100 * KiB, 99 * KiB),
    Limits("8.7", 128, 1536, 16, 164 * KiB, 163 * KiB),
    Limits("8.9", 128, 1536, 24, 100 * KiB, 99 * KiB),
    Limits("9.0", 128, 2048, 32, 228 * KiB, 227 * KiB),
    Limits("10.0", 128, 2048, 32, 228 * KiB, 227 * KiB),
    Limits("12.0", 128, 1536, 24, 100 * KiB, 99 * KiB),
)}


@dataclasses.dataclass(frozen=True)
class Device:
    """A GPU: clock in Hz (boost), flops {kind: operations/s}, bandwidth of its memory in bytes/s, l2 and memory in bytes.

    flops: float32 and float64 of ordinary arithmetic; tf32, float16, bfloat16, float8 of tensor cores.  A kind that is not there has no
    published figure.  source: where all of it is from.
    """
    name: str
    limits: Limits
    multiprocessors: int
    clock: float
    flops: dict
    bandwidth: float
    l2: int
    memory: int
    source: str
    reported: tuple = ()                             # how its driver calls it

    @property
    def capability(self):
        return self.limits.capability

    @property
    def arch(self):
        """The architecture that a kernel for it is compiled for, such as "sm_90"."""
        return "sm_" + self.capability.replace(".", "")

    def runs(self, arch):
        """Whether it runs a kernel that needs this architecture: "sm_90a" runs on 9.0 alone, "sm_80" on all from there; None on all."""
        if arch is None:
            return True
        wanted, own = arch.removeprefix("sm_"), self.arch.removeprefix("sm_")
        return own == wanted[:-1] if wanted[-1].isalpha() else int(own) >= int(wanted)

    def __str__(self):
        return f"{self.name}: {self.multiprocessors} multiprocessors at {self.clock / 1e9:.3g} GHz, {self.bandwidth / 1e12:.3g} TB/s, " + \
            ", ".join(f"{kind} {rate / 1e12:.4g} TFLOP/s" for kind, rate in self.flops.items())


def tera(**rates):
    return {kind: rate * 1e12 for kind, rate in rates.items()}


def gpu(name, capability, multiprocessors, mhz, flops, gb_per_second, l2, memory, source, *reported):
    return Device(name, LIMITS[capability], multiprocessors, mhz * 1e6, flops, gb_per_second * 1e9, int(l2 * MiB), memory * GB, source, reported)


A100 = tera(float32=19.5, float64=9.7, tf32=156, float16=312, bfloat16=312)
H100 = tera(float32=66.9, float64=33.5, tf32=494.7, float16=989.4, bfloat16=989.4, float8=1978.9)
A100_PAPER = "NVIDIA A100 Tensor Core GPU Architecture (2020), table 1; NVIDIA A100 datasheet"
H100_PAPER = "NVIDIA H100 Tensor Core GPU Architecture (2022), tables 1 to 3; NVIDIA H100 datasheet"
ADA_PAPER = "NVIDIA Ada GPU Architecture (2022), appendix A"

DEVICES = {device.name: device for device in (
    gpu("T4", "7.5", 40, 1590, tera(float32=8.1, float64=0.254, float16=65), 320, 4, 16,
        "NVIDIA Turing GPU Architecture (2018); NVIDIA T4 datasheet", "Tesla T4"),
    gpu("A100 SXM 40GB", "8.0", 108, 1410, A100, 1555, 40, 40, A100_PAPER, "A100-SXM4-40GB"),
    gpu("A100 SXM 80GB", "8.0", 108, 1410, A100, 2039, 40, 80, A100_PAPER, "A100-SXM4-80GB", "A100-SXM-80GB"),
    gpu("A100 PCIe 80GB", "8.0", 108, 1410, A100, 1935, 40, 80, A100_PAPER, "A100 80GB PCIe"),
    gpu("A10", "8.6", 72, 1695, tera(float32=31.2, float64=0.488, tf32=62.5, float16=125, bfloat16=125), 600, 6, 24, "NVIDIA A10 datasheet", "A10"),
    gpu("RTX 3090", "8.6", 82, 1695, tera(float32=35.6, float64=0.556, tf32=35.6, float16=71, bfloat16=71), 936, 6, 24,
        "NVIDIA Ampere GA102 GPU Architecture (2021), table 2", "GeForce RTX 3090"),
    gpu("RTX 4090", "8.9", 128, 2520, tera(float32=82.6, float64=1.29, tf32=82.6, float16=165.2, bfloat16=165.2, float8=330.3), 1008, 72, 24,
        ADA_PAPER, "GeForce RTX 4090"),
    gpu("L4", "8.9", 58, 2040, tera(float32=30.3, float64=0.473, tf32=60, float16=121, bfloat16=121, float8=242), 300, 48, 24,
        "NVIDIA L4 datasheet (figures with sparsity halved)", "L4"),
    gpu("L40S", "8.9", 142, 2520, tera(float32=91.6, float64=1.43, tf32=183, float16=362, bfloat16=362, float8=733), 864, 96, 48,
        "NVIDIA L40S datasheet", "L40S"),
    gpu("H100 SXM", "9.0", 132, 1980, H100, 3352, 50, 80, H100_PAPER + "; tensor cores at 1830 MHz", "H100 80GB HBM3"),
    gpu("H100 PCIe", "9.0", 114, 1755, tera(float32=51.2, float64=25.6, tf32=378, float16=756, bfloat16=756, float8=1513), 2039, 50, 80,
        H100_PAPER, "H100 PCIe"),
    gpu("H200", "9.0", 132, 1980, H100, 4800, 60, 141, "NVIDIA H200 datasheet; L2 as its driver reports", "H200"),
    gpu("B200", "10.0", 148, 1965, tera(float32=75, float64=37, tf32=1125, float16=2250, bfloat16=2250, float8=4500), 8000, 126, 180,
        "NVIDIA HGX B200 specifications (an eighth of the board, figures with sparsity halved); L2 as its driver reports", "B200"),
    gpu("RTX 5090", "12.0", 170, 2407, tera(float32=104.8, float64=1.64, tf32=104.8, float16=209.5, bfloat16=209.5, float8=419), 1792, 96, 32,
        "NVIDIA RTX Blackwell GPU Architecture (2025), appendix A", "GeForce RTX 5090"),
)}
USUAL = {"A100": "A100 SXM 80GB", "A100 40GB": "A100 SXM 40GB", "A100 80GB": "A100 SXM 80GB", "H100": "H100 SXM"}      # what short names mean


def named(name):
    """The Device of a name, in any case and with or without spaces; a Device as it is.  ValueError for a name that is not there."""
    if isinstance(name, Device):
        return name
    names = {plain(n): d for n, d in DEVICES.items()} | {plain(short): DEVICES[n] for short, n in USUAL.items()}
    if plain(name) not in names:
        raise ValueError(f"no figures of a GPU called {name!r}: there are {', '.join(DEVICES)}")
    return names[plain(name)]


def plain(name):
    return "".join(c for c in str(name).lower().removeprefix("nvidia") if c.isalnum())


def found():
    """The Device in this machine: CuPy's current one, by its name, its multiprocessors as it says itself; RuntimeError without one.

    Of a GPU that is not in DEVICES: from its attributes, without tensor cores.
    """
    from ..backend import load_cupy
    cupy = load_cupy()
    device = cupy.cuda.Device()
    name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
    return of_attributes(name, str(device.compute_capability), getattr(device, "attributes", {}))


def of_attributes(name, capability, attributes):
    """The Device that a driver calls `name`, with the attributes that CuPy gives; capability: such as "90"."""
    known = next((d for d in DEVICES.values() if plain(name) in map(plain, (d.name, *d.reported))), None)
    count = attributes.get("MultiProcessorCount")
    if known:
        same = count in (None, known.multiprocessors)
        part = 1 if same else count / known.multiprocessors          # a slice of it, or a model with fewer
        return dataclasses.replace(known, multiprocessors=count or known.multiprocessors, flops={k: v * part for k, v in known.flops.items()})
    capability = f"{capability[:-1]}.{capability[-1]}"
    if capability not in LIMITS:
        raise RuntimeError(f"{name}: nothing is known of compute capability {capability}: known are {', '.join(LIMITS)}")
    try:
        limits, clock, l2 = LIMITS[capability], attributes["ClockRate"] * 1e3, attributes["L2CacheSize"]
        bandwidth = 2 * attributes["MemoryClockRate"] * 1e3 * attributes["GlobalMemoryBusWidth"] / 8
    except KeyError as error:
        raise RuntimeError(f"{name} is none of {', '.join(DEVICES)}, and does not say its {error.args[0]}") from None
    return Device(name, limits, count, clock, {"float32": 2 * limits.lanes * count * clock}, bandwidth, l2, 0, "attributes that its driver gives")
