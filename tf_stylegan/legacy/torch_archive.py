"""Zip archives of PyTorch: `NAME/data.pkl` beside one uncompressed member `NAME/data/KEY` for each storage.

Standard library only. The archive's tables are checked before anything is believed: members are stored as they are,
lie within the file, do not overlap and have plain names that occur once. Python's `zipfile` would check none of this
and would fill the memory with a hostile list of members. Checksums are compared of the members that are used.
Format: PKWARE's APPNOTE, sections 4.3 and 4.4.
"""

import struct
import zlib
from dataclasses import dataclass

from tf_stylegan.legacy.pickle_machine import Budget, Machine
from tf_stylegan.legacy.pickle_values import CorruptPickleError
from tf_stylegan.legacy.torch_pickle import Storages

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # a member; the end of an archive without members
_MAX_MEMBERS = 20_000  # a training checkpoint of a 1024x1024 network has about 1,500
_END = struct.Struct("<4s4H2IH")  # signature, disk, disk, members here, members, bytes of the list, its offset, comment
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_U16, _U32 = 0xFFFF, 0xFFFFFFFF  # "see the 64-bit field"


@dataclass(frozen=True)
class _Member:
    name: str
    flags: int
    method: int
    checksum: int
    stored_bytes: int
    bytes: int
    offset: int


def read_zip(data, file, allowed):
    """Reads a PyTorch archive.

    Args:
        data: bytes or mmap, the whole file.
        file: name for messages.
        allowed: names that its pickle may ask for.
    Returns:
        the pickled value, its tensors views of the file.
    Raises:
        CorruptPickleError: damaged, or another kind of archive: the message says which.
        UnsafePickleError
    """
    view = memoryview(data).toreadonly()
    archive = _Archive(view, file)
    name = archive.find_pickle()
    folder = name.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.members and bytes(archive.content(f"{folder}byteorder")[:10]) != b"little":
        raise archive.corrupt("a PyTorch file written on a big-endian machine")
    storages = Storages()
    machine = Machine(archive.content(name), f"{file}: data.pkl", allowed, 0, storages, Budget(len(view)))
    value = machine.run()
    for key, storage in storages.items():
        content = archive.content(f"{folder}data/{key}")
        if len(content) != storage.nbytes:
            raise archive.corrupt(f"storage {key} has {len(content)} bytes, {storage.nbytes} were announced")
        storage.data = content
    return value


class _Archive:
    """The members of a zip archive, `{name: _Member}`."""

    def __init__(self, view, file):
        self.view, self.file = view, file
        count, start, end = self._end()
        self.members = self._list(count, start, end)
        self.list_start = start
        self.contents = None

    def corrupt(self, what):
        return CorruptPickleError(f"{self.file}: byte 0: {what}.")

    def damaged(self, what):
        return self.corrupt(f"this is a zip archive, but {what}; it is damaged or was not downloaded whole")

    def unpack(self, kind, offset, signature):
        """The fields behind a signature that must stand at an offset."""
        if not 0 <= offset <= len(self.view) - kind.size:
            raise self.damaged("a part of it lies outside the file")
        found, *fields = kind.unpack_from(self.view, offset)
        if found != signature:
            raise self.damaged(f"byte {offset} does not begin what it should")
        return fields

    def _end(self):
        """Number of members, first byte and end of their list."""
        tail = bytes(self.view[-(_END.size + _U16) :])
        at = len(self.view) - len(tail) + tail.rfind(b"PK\x05\x06")
        if at < len(self.view) - len(tail):
            raise self.damaged("the list of its members, at the end, is missing")
        disk, list_disk, here, count, size, start, comment = self.unpack(_END, at, b"PK\x05\x06")
        if at + _END.size + comment != len(self.view):
            raise self.damaged("it does not end where it says")
        end = at
        if at >= _LOCATOR64.size and self.view[at - _LOCATOR64.size : at - _LOCATOR64.size + 4] == b"PK\x06\x07":
            _, end, _ = self.unpack(_LOCATOR64, at - _LOCATOR64.size, b"PK\x06\x07")
            _, _, _, disk64, list_disk64, here64, count64, size64, start64 = self.unpack(_END64, end, b"PK\x06\x06")
            long = (disk64, list_disk64, here64, count64, size64, start64)
            for short, value, limit in zip(
                (disk, list_disk, here, count, size, start), long, (_U16, _U16, _U16, _U16, _U32, _U32)
            ):
                if short not in (value, limit):
                    raise self.damaged("its two ends contradict each other")
            disk, list_disk, here, count, size, start = long
        if disk or list_disk or here != count or start + size != end:
            raise self.damaged("its end contradicts the list of its members")
        if count > _MAX_MEMBERS:
            raise self.corrupt(f"this is a zip archive of {count} members, far more than a network file needs")
        return count, start, end

    def _list(self, count, start, end):
        members = {}
        for _ in range(count):
            fields = self.unpack(_ENTRY, start, b"PK\x01\x02")
            _, _, flags, method, _, _, checksum, stored, size, *fields = fields
            name_bytes, extra_bytes, comment, disk, _, _, offset = fields
            name_at = start + _ENTRY.size
            start = name_at + name_bytes + extra_bytes + comment
            if start > end:
                raise self.damaged("the list of its members is cut off")
            name = bytes(self.view[name_at : name_at + name_bytes]).decode("utf-8", "backslashreplace")
            extra = self.view[name_at + name_bytes : name_at + name_bytes + extra_bytes]
            size, stored, offset = self._long(extra, size, stored, offset)
            if name in members:
                raise self.corrupt(f"this is a zip archive with two members of the name {ascii(name)[:80]}")
            if disk:
                raise self.damaged("it is one of several parts")
            members[name] = _Member(name, flags, method, checksum, stored, size, offset)
        if start != end:
            raise self.damaged("the list of its members is longer than it says")
        return members

    def _long(self, extra, *numbers):
        """Replaces numbers that do not fit in 32 bits by those of the 64-bit field."""
        if _U32 not in numbers:
            return numbers
        position = 0
        while position + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, position)
            field = extra[position + 4 : position + 4 + length]
            position += 4 + length
            if kind == 1:
                count = sum(number == _U32 for number in numbers)
                if len(field) < 8 * count:
                    break
                values = iter(struct.unpack_from(f"<{count}Q", field))
                return tuple(next(values) if number == _U32 else number for number in numbers)
        raise self.damaged("a size is missing")

    def find_pickle(self):
        """Name of the member `NAME/data.pkl`; an archive without one is refused with what it is instead."""
        names = set(self.members)
        found = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(found) != 1 or found[0].replace("data.pkl", "constants.pkl") in names:
            raise self.corrupt(f"this is {_what_it_is(self.members)}")
        for name in names:
            if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
                raise self.corrupt(f"this is a PyTorch archive with a member named {ascii(name)[:80]}")
        self.contents = self._places()
        return found[0]

    def _places(self):
        """`{name: (first byte, end)}` of all members' contents, which may not overlap."""
        places, last_end = {}, 0
        for member in sorted(self.members.values(), key=lambda member: member.offset):
            fields = self.unpack(_LOCAL, member.offset, b"PK\x03\x04")
            _, flags, method, _, _, _, _, _, name_bytes, extra_bytes = fields
            name = bytes(self.view[member.offset + _LOCAL.size :][:name_bytes]).decode("utf-8", "backslashreplace")
            if name != member.name or method != member.method or flags != member.flags:
                raise self.damaged(f"member {ascii(member.name)[:80]} is listed differently")
            if method != 0 or flags & 1 or member.stored_bytes != member.bytes:
                raise self.corrupt(
                    f"this is a PyTorch archive whose member {ascii(member.name)[:80]} is compressed or encrypted, "
                    "which PyTorch does not write: unpack the archive and pack it again uncompressed (zip -0)"
                )
            start = member.offset + _LOCAL.size + name_bytes + extra_bytes
            if member.offset < last_end or start + member.bytes > self.list_start:
                raise self.damaged(f"member {ascii(member.name)[:80]} overlaps another one or the list of members")
            last_end = start + member.bytes
            places[member.name] = start, last_end
        return places

    def content(self, name):
        """View of a member's bytes."""
        if name not in self.contents:
            raise self.corrupt(f"this is a PyTorch archive, but its member {ascii(name)[:80]} is missing")
        start, end = self.contents[name]
        expected = self.members[name].checksum
        if expected and zlib.crc32(self.view[start:end]) != expected:  # 0: written without checksums
            raise self.damaged(f"the bytes of member {ascii(name)[:80]} are not those that were written")
        return self.view[start:end]


def _what_it_is(names):
    """What people's other zip archives turn out to be."""
    if "progress.npy" in names:  # training.state writes such archives
        return "a training checkpoint of tf_stylegan: give a network-*.pkl, or resume with it as checkpoint-*.npz"
    if not names:
        return "a zip archive without members"
    if all(name.endswith(".npy") for name in names):
        return "a zip archive of NumPy arrays (.npz), not a network file"
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return "a zip archive with a Keras model (.keras): load it with keras.models.load_model"
    if any(name.endswith("/constants.pkl") for name in names):
        return (
            "a zip archive with a TorchScript program (torch.jit.save), which only PyTorch can run: give the "
            "checkpoint it was made from"
        )
    inner = sorted(name for name in names if name.endswith((".pkl", ".pt", ".pth")))
    if inner:
        return f"a zip archive around other files: unpack it and give the one you want, such as {ascii(inner[0])[:80]}"
    if any(name.lower().endswith((".png", ".jpg", ".jpeg", ".webp")) for name in names):
        return "a zip archive of pictures, not a network"
    return f"a zip archive of {len(names)} members such as {ascii(min(names))[:80]}, not a network file"
