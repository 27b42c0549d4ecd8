"""Writes pickles as Python 2's cPickle did, protocol 2: byte strings, each in the memo, lists by the thousand."""

import struct

import numpy as np


def dumps(value):
    return b"\x80\x02" + _Writer().save(value) + b"."


class _Writer:
    def __init__(self):
        self.memos = 0

    def put(self):
        number, self.memos = self.memos + 1, self.memos + 1
        return b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)

    def save(self, value):
        return getattr(self, f"save_{type(value).__name__}")(value)

    def save_dict(self, value):
        start = b"}" + self.put() + b"("
        return start + b"".join(self.save(key) + self.save(item) for key, item in value.items()) + b"u"

    def save_list(self, value):
        parts = [b"]" + self.put()]
        for start in range(0, len(value), 1000):
            parts += [b"(", *map(self.save, value[start : start + 1000]), b"e"]
        return b"".join(parts)

    def save_tuple(self, value):
        items = b"".join(map(self.save, value))
        close = {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(value))
        return (items + close if close else b"(" + items + b"t") + self.put()

    def save_int(self, value):
        if 0 <= value < 256:
            return b"K" + bytes([value])
        return b"M" + struct.pack("<H", value) if 0 <= value < 65536 else b"J" + struct.pack("<i", value)

    def save_str(self, value):
        return self.save_bytes(value.encode("latin-1"))

    def save_bytes(self, value):
        head = b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))
        return head + value + self.put()

    def save_ndarray(self, value):
        kind = value.dtype.str[1:].encode()
        order = b"|" if value.itemsize == 1 else b"<"
        start = b"cnumpy.core.multiarray\n_reconstruct\n" + self.put() + b"cnumpy\nndarray\n" + self.put()
        start += self.save((0,)) + self.save(b"b") + b"\x87" + self.put() + b"R" + self.put()
        dtype = b"cnumpy\ndtype\n" + self.put() + self.save(kind) + b"K\x00K\x01\x87" + self.put() + b"R" + self.put()
        dtype += b"(K\x03" + self.save(order) + b"NNN" + self.save(-1) + self.save(-1) + b"K\x00t" + self.put() + b"b"
        state = b"(K\x01" + self.save(value.shape) + dtype + b"\x89" + self.save(np.ascontiguousarray(value).tobytes())
        return start + state + b"t" + self.put() + b"b"
