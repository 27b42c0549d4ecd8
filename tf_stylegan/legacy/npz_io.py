"""Networks as one `.npz` file, for NumPy users: arrays under legacy names, the rest as JSON (F1, NumPy only).

A member is `Gs/G_synthesis/4x4/Const/const.npy`: the network's name, then the variable's. `networks.json` holds all
that a `NetworkRecord` has beside its arrays, so that reading gives back the records that were written, bit by bit.
"""

import base64
import json
import math
import os
import re
import struct
import zipfile
import zlib

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write
from tf_stylegan.legacy.pickle_limits import (
    DTYPES,
    MAX_DIMENSIONS,
    MAX_LEVELS,
    MAX_NAME,
    MAX_NETWORKS,
    MAX_WRITTEN_DEPTH,
    VERSIONS,
    is_key,
)
from tf_stylegan.legacy.pickle_names import NETWORK_CLASSES
from tf_stylegan.legacy.pickle_records import NetworkRecord, check_records
from tf_stylegan.legacy.pickle_values import CorruptPickleError

INDEX = "networks.json"
_FORMAT = "tf_stylegan networks, 1"
_TEXT_FIELDS = ("name", "func", "class_path", "origin")
_HEADER = re.compile(  # of an .npy file of numbers, as NumPy writes it
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>[<>|](?:b1|[iu][1248]|f[248]))', "
    rb"'fortran_order': (?P<fortran>True|False), 'shape': \((?P<shape>[0-9, ]{0,400})\), \} *\n",
    re.DOTALL,
)

# What a file may ask for; networks of 1024x1024 need a hundredth of these.
_MAX_INDEX = 4 << 20  # bytes of JSON
_MAX_MEMBER_LIST = 4 << 20  # bytes of the zip's directory
_MAX_RATIO = 50  # of all bytes unpacked to those in the file: weights can be packed by a tenth, zeros a thousandfold
_MAX_SLACK = 1 << 20  # bytes that need no justification


# ---- writing


def write(path, records):
    """Writes networks as `.npz`, atomically; arrays go to the file one by one.

    Args:
        path: file to write.
        records: NetworkRecord or tuple of such, of any generation.
    Raises:
        UserError: a record holds something that cannot be written (the message says where), or the file cannot be.
    """
    records = check_records(records)
    writer = _Writer()
    names, networks = set(), []
    for record in records:
        name = record.name
        while name in names:  # a file may hold two networks of one name
            name = f"{record.name[: MAX_NAME - 3]}-{len(names)}"
        names.add(name)
        networks.append({"members": name, **writer.network(record, name)})
    index = json.dumps({"format": _FORMAT, "sources": list(writer.sources), "networks": networks}, indent=1).encode()
    if len(index) > _MAX_INDEX:
        raise UserError(f"what is no array takes {len(index)} bytes; an .npz of networks may hold {_MAX_INDEX}")
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_member(INDEX), index)
        for name, array in writer.arrays.items():
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _member(name):
    info = zipfile.ZipInfo(name)  # of no date: the same networks give the same file
    info.external_attr = 0o644 << 16  # else nobody may read what `unzip` makes of it
    return info


class _Writer:
    def __init__(self):
        self.arrays, self.sources = {}, {}

    def network(self, record, members):
        """What `networks.json` says of a record; its arrays are noted for later."""
        for name, array in record.variables.items():
            self.array(f"{members}/{name}", array)
        components = record.components.items()
        return {
            **{name: getattr(record, name) for name in (*_TEXT_FIELDS, "version")},
            "static_kwargs": self.value(record.static_kwargs, members),
            "extra": self.value(record.extra, members),
            "source": self.sources.setdefault(record.source, len(self.sources)),  # parts share their text
            "variables": list(record.variables),
            "components": {key: self.network(part, f"{members}/{part.name}") for key, part in components},
        }

    def array(self, name, array):
        array = np.asarray(array)
        parts = name.split("/")
        if not re.fullmatch(r"[ -\[\]-~]+", name) or any(part in ("", ".", "..") for part in parts):
            raise UserError(f"{name!a} cannot be the name of an array in an .npz file")
        if name in self.arrays:
            raise UserError(f"two arrays would have the name {name}")
        if array.dtype.str[1:] not in DTYPES or array.ndim > MAX_DIMENSIONS:
            raise UserError(f"{name}: expected an array of plain numbers, got {array.dtype}, {array.ndim} dimensions")
        self.arrays[name] = array

    def value(self, value, where, depth=0):
        """A plain value as JSON; what JSON has not is an object with one key that begins with $."""
        if depth > MAX_WRITTEN_DEPTH:
            raise UserError(f"{where}: nested deeper than {MAX_WRITTEN_DEPTH} levels (or contains itself)")
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, bytes):
            return {"$bytes": base64.b64encode(value).decode()}
        if isinstance(value, np.ndarray):
            name = f"{where}/$array{len(self.arrays)}"
            self.array(name, value)
            return {"$array": name}
        if isinstance(value, list | tuple):
            values = [self.value(part, where, depth + 1) for part in value]
            return values if isinstance(value, list) else {"$tuple": values}
        if isinstance(value, dict):
            if not all(map(is_key, value)):
                raise UserError(f"{where}: only text, None and small integers can be keys in an .npz file")
            parts = {key: self.value(part, where, depth + 1) for key, part in value.items()}
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return parts
            return {"$dict": [list(item) for item in parts.items()]}
        raise UserError(f"{where}: a {type(value).__module__}.{type(value).__name__} cannot be written to an .npz file")


# ---- reading


def read(path):
    """Reads what `write` wrote, also when a zip program has packed it again.

    Nothing in the file is executed, and nothing is allocated that its size does not justify.

    Returns:
        tuple of NetworkRecord; arrays are read-only.
    Raises:
        CorruptPickleError: the file is damaged, or holds no networks.
        UserError: the file cannot be opened.
    """
    path = os.fsdecode(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path} is not a file; give the .npz file")
    try:
        with open(path, "rb") as file:
            _check_member_list(path, file)
            with zipfile.ZipFile(file) as archive:
                return _Reader(path, archive, os.fstat(file.fileno()).st_size).records()
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError) as error:
        raise _corrupt(path, f"it is no sound zip archive ({error})") from error  # RuntimeError: encrypted
    except (
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:  # malformed in other ways
        raise _corrupt(path, f"it is malformed ({type(error).__name__}: {ascii(str(error))[:80]})") from error


def _corrupt(path, what):
    return CorruptPickleError(f"{path} cannot be read as an .npz of networks: {what}")


def _check_member_list(path, file):
    """Refuses a directory of more entries than networks have arrays, before `zipfile` makes objects of them."""
    file.seek(0, os.SEEK_END)
    start = max(0, file.tell() - (1 << 16) - 200)
    file.seek(start)
    tail = file.read()
    sizes = [int.from_bytes(tail[m.end() + 8 : m.end() + 12], "little") for m in re.finditer(rb"PK\x05\x06", tail)]
    long = [int.from_bytes(tail[m.end() + 36 : m.end() + 44], "little") for m in re.finditer(rb"PK\x06\x06", tail)]
    if max([*(size for size in sizes if size != 0xFFFFFFFF), *long], default=0) > _MAX_MEMBER_LIST:
        raise _corrupt(path, "its list of members is longer than networks need")


class _Reader:
    def __init__(self, path, archive, file_size):
        self.path, self.archive = path, archive
        self.members = {info.filename: info for info in archive.infolist()}
        self.used, self.count = set(), 0
        if len(self.members) != len(archive.infolist()):
            raise self.corrupt("two members have one name")
        if INDEX not in self.members:
            checkpoint = "progress.npy" in self.members
            what = "a training checkpoint, no file of networks" if checkpoint else "something else"
            raise self.corrupt(f"it has no {INDEX}, so it holds {what}")
        # Of DEFLATE alone `zipfile` unpacks no more than it is asked for; bz2 and LZMA give a whole chunk's worth.
        for name, info in self.members.items():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self.corrupt(f"{name[:80]!a} is packed in an unusual way; pack it again as plain zip")
        # Stored members may not overlap, packed ones not swell: both would multiply what the file has.
        stored = sum(info.compress_size for info in self.members.values())
        unpacked = sum(info.file_size for info in self.members.values())
        if stored > file_size or unpacked > _MAX_RATIO * file_size + _MAX_SLACK:
            raise self.corrupt(f"its members claim {unpacked} bytes, the file has {file_size}")

    def corrupt(self, what):
        return _corrupt(self.path, what)

    def read(self, name, limit=math.inf):
        info = self.members[name]
        if info.file_size > limit or (
            info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size
        ):
            raise self.corrupt(f"{name} claims {info.file_size} bytes")
        with self.archive.open(info) as member:
            data = member.read(info.file_size)  # with a number, or a packed member may swell beyond what it claims
        if len(data) != info.file_size:
            raise self.corrupt(f"{name} has {len(data)} bytes instead of {info.file_size}")
        self.used.add(name)
        return data

    def records(self):
        index = json.loads(self.read(INDEX, _MAX_INDEX))
        if not isinstance(index, dict) or index.get("format") != _FORMAT:
            raise self.corrupt(f"{INDEX} is not of this format ({_FORMAT})")
        self.sources, networks = index["sources"], index["networks"]
        if not isinstance(networks, list) or not networks or not all(isinstance(s, str) for s in self.sources):
            raise self.corrupt(f"{INDEX} lists no networks")
        records = tuple(self.network(network, self.text(network["members"], "members")) for network in networks)
        if left := sorted(self.members.keys() - self.used):
            raise self.corrupt(f"nothing is said of {', '.join(left[:5])}{', …' * (len(left) > 5)}")
        return records

    def text(self, value, what):
        if not isinstance(value, str) or len(value) > MAX_NAME:
            raise self.corrupt(f"a network's {what} is no short text")
        return value

    def network(self, state, members, level=1):
        self.count += 1
        if self.count > MAX_NETWORKS or level > MAX_LEVELS:
            raise self.corrupt(f"it holds more than {MAX_NETWORKS} networks or {MAX_LEVELS} within each other")
        text = {name: self.text(state[name], name) for name in _TEXT_FIELDS}
        version = state["version"]
        if type(version) is not int or version not in VERSIONS or text["class_path"] not in NETWORK_CLASSES:
            raise self.corrupt(f"network {members[:80]!a} is of an unknown version or class")
        plain = {name: self.value(state[name]) for name in ("static_kwargs", "extra")}
        if not all(isinstance(value, dict) and all(isinstance(key, str) for key in value) for value in plain.values()):
            raise self.corrupt(f"the keywords of network {members[:80]!a} are no keywords")
        names = [self.text(name, "variable") for name in state["variables"]]
        record = NetworkRecord(
            **text,
            **plain,
            version=version,
            source=self.sources[state["source"]],
            variables={name: self.array(f"{members}/{name}") for name in names},
            components={
                self.text(key, "part"): self.network(part, f"{members}/{self.text(part['name'], 'name')}", level + 1)
                for key, part in state["components"].items()
            },
        )
        if len(record.variables) != len(names):
            raise self.corrupt(f"network {members[:80]!a} has two variables of one name")
        return record

    def value(self, value):
        """The reverse of `_Writer.value`."""
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if not isinstance(value, dict):
            return value
        if not any(key.startswith("$") for key in value):
            return {key: self.value(part) for key, part in value.items()}
        ((kind, content),) = value.items()
        if kind == "$bytes":
            return base64.b64decode(content, validate=True)
        if kind == "$array":
            return self.array(content)  # of a name that the archive has
        if kind == "$tuple" and isinstance(content, list):
            return tuple(self.value(part) for part in content)
        if kind == "$dict":
            return {_key(key): self.value(part) for key, part in content}
        raise self.corrupt(f"a value of the unknown kind {kind[:40]!a}")

    def array(self, name):
        name = f"{name}.npy"
        if name not in self.members or name in self.used:
            raise self.corrupt(f"{name[:300]!a} is missing, or asked for twice")
        data = self.read(name)
        header = _HEADER.match(data)  # by hand: NumPy's reader takes any Python
        if not header or header.end() != 10 + int.from_bytes(header["length"], "little"):
            raise self.corrupt(f"{name} is no array of plain numbers")
        shape = tuple(int(size) for size in header["shape"].split(b",") if size)
        dtype = np.dtype(header["dtype"].decode())
        if len(shape) > MAX_DIMENSIONS or math.prod(shape) * dtype.itemsize != len(data) - header.end():
            raise self.corrupt(f"{name} claims the shape {shape} and has {len(data)} bytes"[:300])
        array = np.ndarray(shape, dtype, data, header.end(), order="F" if header["fortran"] == b"True" else "C")
        return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _key(key):
    if not is_key(key):
        raise ValueError("a key of a dict that is no text and no small integer")
    return key
