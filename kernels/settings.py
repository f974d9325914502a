"""How the simulator runs kernels in this thread, and whether minitorch's ops run on the kernels even for NumPy arrays."""
import contextlib
import contextvars
import dataclasses

from ..autograd import routes

CHOICES = {"mode": ("fast", "check"), "order": ("forward", "reverse", "random"), "asynchronous": ("lazy", "eager", "random")}


@dataclasses.dataclass(frozen=True)
class Settings:
    """mode: "fast"; "check" finds races, bounds, uninitialised reads, missing waits.
    order: in which threads and blocks take turns.  asynchronous: when copies and tensor cores finish: at the wait ("lazy"),
    at once ("eager"), or either ("random").  seed: of the random choices.
    time_limit: seconds that one launch may take, 0 for any time.  threads: of the host, on which blocks run; with one, every run
    is the same (mode="check" always runs on one).  Launches of several threads of Python run one after another.
    Ctrl-C stops a launch of the main thread, and leaves its arrays as they were.
    """
    mode: str = "fast"
    order: str = "forward"
    asynchronous: str = "lazy"
    seed: int = 0
    time_limit: float = 60.0
    threads: int = 1
    ops: bool = False                                # whether minitorch's ops on NumPy arrays run on the kernels

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")


_current = contextvars.ContextVar("settings", default=Settings())  # noqa: B039  (Settings cannot be changed)


def current():
    """The settings in force."""
    return _current.get()


@contextlib.contextmanager
def using(**changes):
    """Within this block kernels launched in the simulator run with these settings."""
    token = _current.set(dataclasses.replace(current(), **changes))
    try:
        yield current()
    finally:
        _current.reset(token)


@contextlib.contextmanager
def simulated(**changes):
    """Within this block minitorch's ops on NumPy arrays run on the CUDA sources, in the simulator: forward and backward.

    changes: settings such as mode="check" or order="random".
    """
    with routes.opened(), using(ops=True, **changes) as settings:
        yield settings
