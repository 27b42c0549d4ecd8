"""Writes files the way PyTorch does, without it: `torch_pickle`, `zip_layout` and `old_layout` of any value.

A value is made of plain Python values, NumPy arrays (they become tensors), `OrderedDict`, and what the reader makes of
a file (`Tensor`, `Module`), so that a file can be read, changed and written again. `Raw` puts opcodes in between.
"""

import pickle
import struct
import zlib
from collections import OrderedDict

import numpy as np
from legacy.hostile_pickles import call, integer, long_bytes, name, text

from tf_stylegan.legacy.pickle_machine import Machine
from tf_stylegan.legacy.pickle_names import NETWORK_NAMES
from tf_stylegan.legacy.pickle_values import Instance
from tf_stylegan.legacy.torch_archive import read_zip
from tf_stylegan.legacy.torch_pickle import MAGIC, TORCH_NAMES, Module, Storage, Tensor

NAMES = NETWORK_NAMES | TORCH_NAMES
TYPES = {"<f4": "Float", "<f8": "Double", "<f2": "Half", "bfloat16": "BFloat16", "<i8": "Long", "|u1": "Byte"}
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Raw(bytes):
    """Opcodes that leave one value on the stack."""


def read_tree(path):
    """What a file holds before it is turned into records."""
    data = path.read_bytes()
    return read_zip(data, "file", NAMES) if data[:2] == b"PK" else Machine(data, "file", NAMES).run()


def module(class_name, parameters=(), buffers=(), modules=(), **attributes):
    """A module as PyTorch keeps it."""
    state = {"training": False, "_parameters": dict(parameters), "_buffers": dict(buffers), "_modules": dict(modules)}
    return Module(class_name, {**state, **attributes}, "raise SystemExit('the source text was executed')\n")


def tensor(array, **changes):
    """The Tensor of an array; `changes` are its own arguments `storage`, `offset`, `shape` and `stride`."""
    array = np.asarray(array)
    storage = Storage(array.dtype.str, array.size)
    storage.data = memoryview(np.ascontiguousarray(array).tobytes())
    stride = [step // array.itemsize for step in np.empty(array.shape, array.dtype).strides]
    given = {"storage": storage, "offset": 0, "shape": array.shape, "stride": tuple(stride), **changes}
    return Tensor(given["storage"], given["offset"], given["shape"], given["stride"])


class _Emitter:
    """Opcodes of values; `storage` says how a storage is written."""

    def __init__(self, storage):
        self.storage = storage

    def __call__(self, value):
        kind = type(value)
        if kind is Raw:
            return bytes(value)
        if value is None or kind is bool:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, np.generic):
            return pickle.dumps(value, 2)[2:-1]  # without PROTO and STOP; it remembers, but nothing recalls
        if isinstance(value, np.ndarray):
            return self(tensor(value))
        if isinstance(value, int):
            return integer(value)
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return text(value)
        if isinstance(value, (bytes, memoryview)):
            return long_bytes(len(value), bytes(value))
        if isinstance(value, (list, tuple)):
            body = b"(" + b"".join(map(self, value))
            return b"]" + body + b"e" if kind is list else body + b"t"
        if isinstance(value, set):
            return call(name("builtins", "set"), self(sorted(value)))
        if isinstance(value, dict):
            new = call(name("collections", "OrderedDict")) if kind is OrderedDict else b"}"
            return new + b"(" + b"".join(self(key) + self(part) for key, part in value.items()) + b"u"
        if kind is Module:
            meta = {"type": "class", "version": 6, "module_src": value.source, "class_name": value.class_path}
            return call(
                name("torch_utils.persistence", "_reconstruct_persistent_obj"), self({**meta, "state": value.state})
            )
        if kind is Instance:
            return name(*value.class_path.rsplit(".", 1)) + b")\x81" + self(value.state) + b"b"
        assert kind is Tensor, kind
        args = (Raw(self.storage(value.storage)), value.offset, value.shape, value.stride, False, OrderedDict())
        return call(name("torch._utils", "_rebuild_tensor_v2"), *map(self, args))


def storage_id(storage, key, *more):
    """The persistent id of a storage, as opcodes."""
    kind = name("torch", f"{TYPES[storage.kind]}Storage")
    return (
        b"(" + text("storage") + kind + text(str(key)) + text("cpu") + integer(storage.numel) + b"".join(more) + b"tQ"
    )


def dumps(emitted):
    """A pickle of protocol 2."""
    return b"\x80\x02" + emitted + b"."


def storage_bytes(storage):
    """A storage saved by itself, what is inside every tensor of a pickle."""
    return _chained(dumps(storage_id(storage, 77, b"N")), {"77": storage})


def _chained(pickled, storages, system=SYSTEM, keys=None):
    plain = _Emitter(None)
    parts = [dumps(plain(MAGIC)), dumps(plain(1001)), dumps(plain(system)), pickled]
    parts.append(dumps(plain(list(storages) if keys is None else keys)))
    for storage in storages.values():
        parts += [struct.pack("<q", storage.numel), storage.data]
    return b"".join(parts)


def torch_pickle(value):
    """What pickle.dump writes, as stylegan2-ada-pytorch does."""
    emit = _Emitter(lambda storage: call(name("torch.storage", "_load_from_bytes"), emit(storage_bytes(storage))))
    return dumps(emit(value))


def _with_ids(value, *more):
    """(pickle, {key: Storage}) with persistent ids."""
    storages, keys = {}, {}

    def emit_storage(storage):
        key = keys.setdefault(id(storage), str(len(keys)))
        storages[key] = storage
        return storage_id(storage, key, *more)

    return dumps(_Emitter(emit_storage)(value)), storages


def old_layout(value, **changes):
    """What torch.save wrote before PyTorch 1.6; `changes`: of the chained parts."""
    pickled, storages = _with_ids(value, b"N")
    return _chained(pickled, {**storages, **changes.pop("storages", {})}, **changes)


def zip_layout(value, folder="archive", changes=(), pickled=None, **options):
    """What torch.save writes; `changes`: more members or others in place of its own (None: without it)."""
    written, storages = _with_ids(value)
    members = {"data.pkl": written if pickled is None else pickled, "byteorder": b"little"}
    members |= {f"data/{key}": bytes(storage.data) for key, storage in storages.items()}
    members |= {"version": b"3\n", **dict(changes)}
    named = [(f"{folder}/{key}", content) for key, content in members.items() if content is not None]
    return zip_bytes(named, **options)


def zip_bytes(members, method=0, flags=0, end=(), entry=(), local=(), is_long=False):
    """A zip archive of (name, content) pairs; not compressed, whatever `method` says.

    Args:
        end, entry, local: fields to change in the archive's end, in every entry of its list, before every member.
        is_long: with the 64-bit end that PyTorch writes.
    """
    data, listed = b"", b""
    for key, content in members:
        size, crc = len(content), zlib.crc32(content)
        there = {"name": key.encode(), "extra": b"FB\x04\x00ZZZZ", "method": method, "flags": flags, **dict(local)}
        here = {"name": key.encode(), "offset": len(data), "size": size, "stored": size, "extra": b"", "disk": 0}
        here |= {"method": method, "flags": flags, **dict(entry)}
        fields = (there["flags"], there["method"], 0, 0, crc, size, size, len(there["name"]), len(there["extra"]))
        data += struct.pack("<4s5H3I2H", b"PK\3\4", 20, *fields) + there["name"] + there["extra"] + content
        fields = (here["flags"], here["method"], 0, 0, crc, here["stored"], here["size"], len(here["name"]))
        fields += (len(here["extra"]), 0, here["disk"], 0, 0, here["offset"])
        listed += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *fields) + here["name"] + here["extra"]
    last = {"count": len(members), "size": len(listed), "start": len(data), "comment": b"", "disk": 0, **dict(end)}
    data += listed
    if is_long:
        fields = (44, 45, 45, 0, 0, last["count"], last["count"], last["size"], last["start"])
        data += struct.pack("<4sQ2H2I4Q", b"PK\6\6", *fields)
        data += struct.pack("<4sIQI", b"PK\6\7", 0, last["start"] + last["size"], 1)
        last |= {"count": 0xFFFF, "size": 0xFFFFFFFF, "start": 0xFFFFFFFF}
    fields = (last["disk"], last["disk"], last["count"], last["count"], last["size"], last["start"])
    return data + struct.pack("<4s4H2IH", b"PK\5\6", *fields, len(last["comment"])) + last["comment"]
