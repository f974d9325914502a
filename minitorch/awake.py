"""Queues between threads whose reader waits awake: without the system, which takes 30 to 50 microseconds to wake a thread.

    box = Box()
    box.put(item)                                    # in one thread
    box.get()                                        # in another: it waits awake for about half a millisecond, then asleep

It waits without the interpreter's lock, by POSIX's lfind, which looks for a text among so many that lie so many bytes apart: 0 bytes
apart, it looks at one place again and again, which is a wait with an end.  Who puts something in holds the lock and lets go of it a moment
later, to begin or to go on with work of its own; who asks for the lock before that is put to sleep after all.  So the text is long: to
compare it with an equal one takes that moment.  Where the C library lacks a function the reader sleeps.
"""
import ctypes
import functools

LOOKS = 280_000                                      # of 2 to 4 ns
TEXT = b"!" + 4000 * b"."                            # takes 8 microseconds to compare: half of it is too little beside work that empties the cache

try:
    library, address = ctypes.CDLL(None), ctypes.c_void_p
    find, compare = library.lfind, ctypes.cast(library.strverscmp, address)          # which compares byte by byte
    find.argtypes, find.restype = [address, address, address, ctypes.c_size_t, address], address
except (OSError, AttributeError, TypeError):         # another C library
    find = compare = None                            # type: ignore[assignment]


class Box:
    def __init__(self):
        from queue import SimpleQueue
        self.queue, self.looks = SimpleQueue(), ctypes.c_size_t(LOOKS)
        self.flag, self.wanted = ctypes.create_string_buffer(b"?" + TEXT[1:]), ctypes.create_string_buffer(TEXT)
        places = [ctypes.addressof(part) for part in (self.wanted, self.flag, self.looks)]
        self.wait = functools.partial(find, *places, 0, compare) if find else lambda: None

    def put(self, item):
        self.queue.put(item)
        self.flag[0] = b"!"

    def get(self):
        self.flag[0] = b"?"
        if self.queue.empty():
            self.wait()
        return self.queue.get()
