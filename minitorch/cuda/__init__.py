"""The GPU, asked by PyTorch's names: whether there is one, its memory, its generator of random numbers.

Without CuPy or a GPU there are 0 devices, what only asks or seeds does nothing, and what needs a device raises AssertionError.
"""
import functools

from .. import backend, random


@functools.cache
def cupy():
    """CuPy, or None where it or a GPU is missing."""
    try:
        return backend.load_cupy()
    except RuntimeError:
        return None


def needed():
    """CuPy; AssertionError with the reason where it or a GPU is missing."""
    try:
        return backend.load_cupy()
    except RuntimeError as error:
        raise AssertionError(str(error)) from None


def index_of(device):
    """The number of a GPU: of an int, a device or its name; None: the current one."""
    lib = needed()
    if device is None:
        return lib.cuda.Device().id
    index = device if isinstance(device, int) else backend.device(device).index
    return lib.cuda.Device().id if index is None else index


def is_available():
    """Whether device "cuda" can be used: CuPy is installed and finds a GPU."""
    return cupy() is not None


def device_count():
    """How many GPUs there are."""
    lib = cupy()
    return lib.cuda.runtime.getDeviceCount() if lib else 0


def init():
    """Start CUDA; AssertionError where there is none."""
    needed()


def is_initialized():
    """Whether a GPU is in use."""
    return len(backend.MODULES) > 1


def is_bf16_supported(including_emulation=True):
    """Whether there is a GPU: bfloat16 is computed on all of them, in float32."""
    return is_available()


# ---- which GPU ----------------------------------------------------------------------------------------------

def current_device():
    """The number of the GPU in use."""
    return index_of(None)


def set_device(device):
    """Use the GPU of that number from now on."""
    needed().cuda.Device(index_of(device)).use()


class device:
    """Within this block another GPU is used: `with cuda.device(1):`; None or -1 changes nothing."""

    def __init__(self, device):
        self.wanted = None if device is None or device == -1 else index_of(device)

    def __enter__(self):
        if self.wanted is not None:
            self.before = current_device()
            set_device(self.wanted)

    def __exit__(self, *error):
        if self.wanted is not None:
            set_device(self.before)


def get_device_name(device=None):
    """What the maker calls the GPU."""
    return get_device_properties(device).name


def get_device_capability(device=None):
    """The GPU's compute capability, such as (9, 0)."""
    found = get_device_properties(device)
    return found.major, found.minor


class Properties:
    """What is known about a GPU: name, major, minor, total_memory (bytes), multi_processor_count."""

    def __init__(self, found):
        self.name = found["name"].decode() if isinstance(found["name"], bytes) else found["name"]
        self.major, self.minor, self.total_memory = found["major"], found["minor"], found["totalGlobalMem"]
        self.multi_processor_count = found["multiProcessorCount"]

    def __repr__(self):
        return (f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
                f"total_memory={self.total_memory // 2 ** 20}MB, multi_processor_count={self.multi_processor_count})")


def get_device_properties(device=None):
    """The Properties of a GPU."""
    lib = needed()
    return Properties(lib.cuda.runtime.getDeviceProperties(index_of(device)))


def get_arch_list():
    """[]: kernels are compiled for the GPU at hand."""
    return []


def synchronize(device=None):
    """Wait until the GPU has done all that was asked of it."""
    needed().cuda.Device(index_of(device)).synchronize()


# ---- memory -------------------------------------------------------------------------------------------------

def memory_allocated(device=None):
    """How many bytes tensors hold on the GPU; 0 without one."""
    lib = cupy()
    return lib.get_default_memory_pool().used_bytes() if lib else 0


def memory_reserved(device=None):
    """How many bytes the pool of memory holds on the GPU, in use or not; 0 without one."""
    lib = cupy()
    return lib.get_default_memory_pool().total_bytes() if lib else 0


max_memory_allocated = max_memory_reserved = memory_reserved     # the pool keeps what it once needed, until empty_cache()


def empty_cache():
    """Give memory that no tensor uses back to the system."""
    lib = cupy()
    if lib:
        lib.get_default_memory_pool().free_all_blocks()


def reset_peak_memory_stats(device=None):
    """Measure the peak anew: the pool gives back what is not in use."""
    empty_cache()


def mem_get_info(device=None):
    """(free, total) bytes of the GPU."""
    return needed().cuda.Device(index_of(device)).mem_info


# ---- random numbers -----------------------------------------------------------------------------------------

def manual_seed(seed):
    """Seed the GPU's generator, also one that is made later."""
    random.seeds["seed"] = int(seed)
    if "cuda" in random.DEFAULTS:
        random.DEFAULTS["cuda"].manual_seed(int(seed))


manual_seed_all = manual_seed


def seed():
    """Seed the GPU's generator from the system's randomness."""
    manual_seed(random.random_bits(63))


seed_all = seed


def initial_seed():
    """The seed of the GPU's generator."""
    needed()
    return random.default_for("cuda").initial_seed()


def get_rng_state(device="cuda"):
    """Where in its sequence the GPU's generator is."""
    needed()
    return random.default_for("cuda").get_state()


def set_rng_state(new_state, device="cuda"):
    """Go on from a state of get_rng_state()."""
    needed()
    random.default_for("cuda").set_state(new_state)


# ---- streams and events ---------------------------------------------------------------------------------------

class Event:
    """A mark in the GPU's work: record() it, wait for it, measure the milliseconds between two."""

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        self.event = needed().cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream=None):
        self.event.record(stream)

    def synchronize(self):
        self.event.synchronize()

    def query(self):
        return self.event.done

    def elapsed_time(self, end_event):
        return needed().cuda.get_elapsed_time(self.event, end_event.event)


def current_stream(device=None):
    """The stream that takes the GPU's work: CuPy's, with synchronize()."""
    return needed().cuda.get_current_stream()


def __getattr__(name):
    if name == "amp":
        import importlib
        return importlib.import_module(f"{__name__}.amp")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
