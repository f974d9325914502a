"""Zip archives as PyTorch's format has them: records stored as they are, each at a multiple of 64 bytes, with its CRC-32.

zip's checksums cover the records but not what stands between them.  A file of ours says in its comment the CRC-32 of all
the rest, so that no bit of it can change unnoticed.  A reader takes nothing that two readers could understand differently:
records that overlap, that have one name, or that are called one thing in the index and another in front of them.
"""
import os
import struct
import zipfile
import zlib

import numpy as np

from .files import Damaged

ALIGNMENT, CHUNK = 64, 1 << 20
COMMENT = b"minitorch: crc32 of all but the records "
LOCAL = struct.Struct("<4s5H3L2H")          # the header in front of a record


class Sink:
    """As much of a file as zipfile needs to write to; counts, and sums up what is no record."""

    def __init__(self, file):
        self.file, self.position, self.crc, self.in_record = file, 0, 0, False

    def write(self, data):
        data = memoryview(data).cast("B")
        if data == COMMENT + b"%08x" % 0:            # the last that is written: zipfile does not know its numbers yet
            data = memoryview(COMMENT + b"%08x" % self.crc)
        if not self.in_record:
            self.crc = zlib.crc32(data, self.crc)
        self.file.write(data)
        self.position += len(data)
        return len(data)

    def flush(self):
        pass


class Writer:
    """Writes an archive to a binary file object, from front to end: `with Writer(file) as archive`."""

    def __init__(self, file, folder=""):
        self.sink, self.folder = Sink(file), folder
        self.zip = zipfile.ZipFile(self.sink, "w")   # type: ignore[call-overload]
        self.zip.comment = COMMENT + b"%08x" % 0

    def add(self, name, data):
        """Add a record: bytes, or an array of them."""
        data = memoryview(data).cast("B") if len(data) else memoryview(b"")
        info = zipfile.ZipInfo(self.folder + name)   # dated 1980: the same content makes the same file
        info.file_size = len(data)
        large = len(data) * 1.05 > zipfile.ZIP64_LIMIT
        start = self.sink.position + LOCAL.size + len(info.filename.encode()) + 20 * large + 4
        info.extra = struct.pack("<2s", b"FB") + struct.pack("<H", -start % ALIGNMENT) + b"Z" * (-start % ALIGNMENT)
        with self.zip.open(info, "w", force_zip64=large) as record:
            self.sink.in_record = True
            for i in range(0, len(data), CHUNK):
                record.write(data[i:i + CHUNK])
            self.sink.in_record = False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.zip.close()
        else:
            self.zip.fp = None                       # or zipfile would go on to write the end when it is collected


class Reader:
    """Reads an archive from a seekable binary file; Damaged, BadZipFile where anything about it is odd."""

    def __init__(self, file):
        self.zip = zipfile.ZipFile(file)
        self.records = {info.filename: info for info in self.zip.infolist()}
        if len(self.records) != len(self.zip.infolist()):
            raise Damaged("the archive has two records of one name")
        self.starts, self.mapped = {}, None
        self.check(file)
        self.folder = min(self.records, key=lambda n: self.records[n].header_offset).partition("/")[0] + "/" if self.records else ""

    @property
    def names(self):
        return list(self.records)

    def check(self, file):
        """See that the records lie one after the other, that the file ends with its index, and what the comment says of the rest."""
        size = file.seek(0, os.SEEK_END)
        crc = position = 0
        for info in sorted(self.records.values(), key=lambda r: r.header_offset):
            if not position <= info.header_offset <= self.zip.start_dir:
                raise Damaged(f"record '{info.filename}' overlaps with others or is not in the file")
            file.seek(info.header_offset)
            header = file.read(LOCAL.size)
            if len(header) < LOCAL.size or header[:4] != b"PK\x03\x04" or info.flag_bits & 1:
                raise Damaged(f"record '{info.filename}' is encrypted or not where the index says")
            name_length, extra_length = LOCAL.unpack(header)[-2:]
            if file.read(name_length) != info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"):
                raise Damaged(f"record '{info.filename}' has another name in front of it")
            start = info.header_offset + LOCAL.size + name_length + extra_length
            if start + info.compress_size > self.zip.start_dir:
                raise Damaged(f"record '{info.filename}' goes beyond the end")
            self.starts[info.filename] = start
            crc = zlib.crc32(between(file, position, start), crc)
            position = start + info.compress_size
        comment = self.zip.comment
        rest = between(file, position, size)
        end = rest[-22 - len(comment):][:22]
        if end[:4] != b"PK\x05\x06" or end[20:] != len(comment).to_bytes(2, "little"):
            raise Damaged("the archive does not end where it says, or something stands behind its end")
        ours = comment.startswith(COMMENT)
        if comment and not ours or ours and comment != COMMENT + b"%08x" % zlib.crc32(rest[:len(rest) - len(comment)], crc):
            raise Damaged("the file is damaged: its index does not match its checksum")

    def map(self, file):
        """Read records from now on by mapping the file into memory; their checksums are not looked at."""
        import mmap
        self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def find(self, name):
        """What the index says about the record `name` of the archive's folder; None where there is none."""
        return self.records.get(self.folder + name)

    def read(self, name, lazily=False):
        """The bytes of record `name` as an array of uint8: a new one, or where `lazily` part of the mapped file."""
        info = self.find(name)
        if info is None:
            raise Damaged(f"it has no record '{name}'")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise Damaged(f"record '{name}' is compressed, which neither PyTorch nor minitorch does")
        size, start = info.file_size, self.starts[info.filename]
        if lazily and self.mapped is not None and size and start % 16 == 0:
            return np.frombuffer(self.mapped, np.uint8, size, start)
        array, position = np.empty(size, np.uint8), 0
        with self.zip.open(info) as record:
            while position < size:
                chunk = record.read(min(CHUNK, size - position))         # BadZipFile where the CRC-32 is another
                if not chunk:
                    raise Damaged(f"record '{name}' ends too early")
                array[position:position + len(chunk)] = np.frombuffer(chunk, np.uint8)
                position += len(chunk)
        return array


def between(file, start, stop):
    """The bytes of `file` from `start` to `stop`."""
    file.seek(start)
    return file.read(stop - start)
