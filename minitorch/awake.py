"""Waiting for another thread awake: without the system, which takes 30 to 50 microseconds to wake one, and without the interpreter's lock.

    flag = Flag()
    flag.set()                                       # in one thread
    flag.wait()                                      # in another: until then, or for about half a millisecond

POSIX's lfind looks for a text among so many that lie so many bytes apart: 0 bytes apart, it looks at one place again and again, which is
a wait with an end.  Who sets a flag holds the interpreter's lock and lets go of it a moment later, to begin or to go on; until then whoever asks
for the lock is put to sleep after all.  So the text is long, and comparing it with an equal one takes that moment.  Where the C
library lacks a function, nobody waits awake.
"""
import ctypes

LOOKS, LENGTH = 130_000, 500                         # of 4 ns, each; of a text that takes 1 microsecond to compare


def finder():
    """lfind(text, places, number, step, compare) and the function that compares two texts, a byte at a time; None where they are not known."""
    try:
        library = ctypes.CDLL(None)
        find, compare = library.lfind, library.strverscmp
    except (OSError, AttributeError, TypeError):
        return None, None
    address = ctypes.c_void_p
    find.argtypes, find.restype = [address, address, address, ctypes.c_size_t, address], address
    return find, ctypes.cast(compare, address)


find, compare = finder()
looks = ctypes.c_size_t(LOOKS)


class Flag:
    """What one thread sets and another waits for; `moment`: microseconds from the setting of it to the end of the wait."""

    def __init__(self, moment):
        text = b"!" + moment * LENGTH * b"."
        self.memory, self.wanted = ctypes.create_string_buffer(text), ctypes.create_string_buffer(text)
        self.call = [ctypes.addressof(self.wanted), ctypes.addressof(self.memory), ctypes.addressof(looks), 0, compare]
        self.clear()

    def clear(self):
        self.memory[0] = 0

    def set(self):
        self.memory[0] = 33

    def is_set(self):
        return self.memory[0] == b"!"

    def wait(self):
        """Until the flag is set, or for a while."""
        if find:
            find(*self.call)
