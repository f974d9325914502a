"""One call of a provider: its guarded inputs and outputs, what it gave, and what else it did.

    call = Call(provider, case, pristine, like, ...)     # inputs copied into rooms, outputs poisoned
    raw = provider.call(call.given, case.params)
    call.keep(raw)                                       # at once: copies of the results as they are when the clock stops
    call.misdeeds("before")                              # Reasons, apart from whether the numbers are right
"""
import numpy as np

from . import watch
from .buffers import Room
from .judge import Reason
from .providers import handed, received

PATIENCE, LOOK = 0.12, 0.005                         # seconds that a wrong result is given to change, to be called late; between two looks


class Call:
    """The memory of one call.

    pristine: the inputs as drawn, never handed out.  like: [(shape, dtype)] of the outputs, for providers that write them.
    fill: what stands around the arrays; shift: bytes by which they start after a page.
    """

    def __init__(self, provider, case, pristine, like, fill="nan", shift=0, seed=0):
        self.provider, self.case, self.pristine = provider, case, pristine
        self.inputs = [Room(a, case.strided, fill, shift, seed=seed) if isinstance(a, np.ndarray) else a for a in pristine]
        self.outputs = [Room(np.empty(shape, dtype), False, fill, shift, True, seed) for shape, dtype in like] if provider.writes else []
        self.given = self.arrays()
        self.found, self.kept = None, None

    def arrays(self):
        """The arrays as the provider's library has them, over the rooms' memory."""
        return [handed(r.view if isinstance(r, Room) else r, self.provider.library) for r in (*self.inputs, *self.outputs)]

    def keep(self, raw):
        """Copies of the results, made at once.  Lazy: what came is no array."""
        self.found = [r.view for r in self.outputs] if self.provider.writes else received(raw)
        self.kept = [np.array(y) for y in self.found]

    def rooms(self):
        return [r for r in (*self.inputs, *self.outputs) if isinstance(r, Room)]

    def misdeeds(self, when):
        """What it did besides computing: wrote to or around its inputs, left outputs unwritten, returned its input's memory."""
        found = []
        for what, rooms in (("input", self.inputs), ("output", self.outputs)):
            for i, room in enumerate(rooms):
                touched = room.touched() if isinstance(room, Room) else None
                if touched == "outside":
                    found.append(Reason("outside", when, f"bytes around {what} {i} {room.view.shape} changed"))
                elif touched == "inside":
                    found.append(Reason("input", when, f"input {i} {room.view.shape} holds other numbers after the call"))
        if not self.provider.writes:
            for i, y in enumerate(self.found):
                if y.size and any(isinstance(r, Room) and r.holds(y.__array_interface__["data"][0]) for r in self.inputs):
                    found.append(Reason("alias", when, f"result {i} is memory of an input"))
                elif shares(y):
                    found.append(Reason("alias", when, f"entries of result {i} {y.shape} share memory: it is a view of less, not written out"))
        return found

    def unwritten(self, when):
        return [Reason("unwritten", when, f"{n} of {r.view.size} entries of output {i} hold what stood there before")
                for i, r in enumerate(self.outputs) if (n := r.unwritten())]

    def changed(self, patience=0.0):
        """Whether the results are no longer those that were there when the clock stopped; looks again and again for a while."""
        for left in range(round(patience / LOOK), -1, -1):           # looks and not time, which may pass while this process stands still
            if any(a.shape != b.shape or a.tobytes() != b.tobytes() for a, b in zip(self.found, self.kept)):
                return True
            if left:
                watch.pause(LOOK)
        return False

    def spoil(self):
        """Overwrite results that nobody else holds, so that freed memory gives no right answers away."""
        for y in self.found or ():
            if y.flags.owndata and y.flags.writeable:
                y.reshape(-1).view(np.uint8)[...] = 0xAD


def shares(y):
    """Whether an array is one number shown as several, as broadcasting gives it."""
    return any(n > 1 and step == 0 for n, step in zip(y.shape, y.strides)) and y.size > 0
