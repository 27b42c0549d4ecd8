"""Network files of the StyleGAN family: all read without executing anything, TensorFlow's pickles written for everyone.

A pickle of TensorFlow's family holds a tuple (G, D, Gs) of networks or a single one. A network is a name, a build
function's name, keywords, its variables, sub-networks ("components") and the source text of the module that built it,
which the originals execute on loading and which here is only kept. Versions 2 (ProGAN) to 5 (StyleGAN2-ADA) differ
little; names are as in dnnlib/tflib/network.py. PyTorch's files become the same records: `torch_networks`.
"""

import mmap
import os
import re
import stat

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write
from tf_stylegan.legacy.pickle_limits import MAX_LEVELS, MAX_NAME, MAX_NETWORKS, VERSIONS
from tf_stylegan.legacy.pickle_machine import Machine
from tf_stylegan.legacy.pickle_names import NETWORK_NAMES
from tf_stylegan.legacy.pickle_records import STATE_FIELDS, NetworkRecord, check_records, has_clash
from tf_stylegan.legacy.pickle_values import CorruptPickleError, Instance
from tf_stylegan.legacy.pickle_writer import PickleWriter
from tf_stylegan.legacy.torch_archive import MAGICS, read_zip
from tf_stylegan.legacy.torch_networks import records
from tf_stylegan.legacy.torch_pickle import MAGIC, TORCH_NAMES, Module, read_chained

_OTHER_FORMATS = (  # what people's downloads turn out to be
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"<", "a web page: the download failed"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a picture, not a network"),
    (b"\xff\xd8\xff", "a picture, not a network"),
)
_ADDRESS = re.compile(r"https?:/", re.IGNORECASE)
_NAMES = NETWORK_NAMES | TORCH_NAMES  # which family a file is of shows only as it is read


def read(path):
    """Reads a network file of any family, recognised by its content; nothing in it is executed.

    Those are `Network` pickles of TensorFlow (ProGAN to StyleGAN2-ADA), pickles of stylegan2-ada-pytorch and of the
    StyleGAN2 networks of stylegan3, and checkpoints of rosinality/stylegan2-pytorch. PyTorch is not needed.

    The file is mapped: variables take no memory until they are used, and no time either, except that zip archives are
    read once for their checksums. It must not be changed in place meanwhile (replacing it, as `write` does, is fine).

    Returns:
        tuple of NetworkRecord: (G, D, Gs), or those of them that the file holds. Records of PyTorch's families have
        the names, layouts and keywords of StyleGAN2-ADA for TensorFlow. A checkpoint without the average of w gives
        zeros for it, with a warning, and the record's `truncation_psi` is 1; `network_from_record` makes up for it.
    Raises:
        UnsafePickleError: the file asks for something that could run code.
        CorruptPickleError: the file is damaged or holds no networks that are known here.
        UserError: the file cannot be opened.
    """
    path = os.fsdecode(path)
    if _ADDRESS.match(path):
        raise UserError(f"{path} is an address: download the file first, then give its path")
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; give the .pkl file")
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path} is not a file")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if status.st_size else b""
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    return parse(data, path)


def _open_without_waiting(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe in place of the file would wait for a writer


def parse(data, file="pickle"):
    """As `read`, from bytes or an mmap; `file` is the name for messages."""
    for magic, what in _OTHER_FORMATS:
        if data[: len(magic)] == magic:
            raise CorruptPickleError(f"{file}: byte 0: this is {what}.")
    if data[:4] in MAGICS:
        return records(read_zip(data, file, _NAMES), file, len(data))
    machine = Machine(data, file, _NAMES)
    value = machine.run()
    if type(value) is int and value == MAGIC:
        value = read_chained(machine, _NAMES)
    if type(value) in (dict, Module):
        return records(value, file, len(data))
    networks = value if type(value) in (tuple, list) else (value,)
    if not networks or not all(type(network) is Instance for network in networks):
        raise CorruptPickleError(
            f"{file}: byte 0: expected a tuple (G, D, Gs) of networks or one network, "
            f"got {_a(type(value))}" + (f" of {_kinds(networks)}" if networks is value else "") + "."
        )
    reader = _Reader(file)
    return tuple(reader.network(network, f"network {i}") for i, network in enumerate(networks))


def _a(kind):
    """ "an int", "a str"."""
    name = kind.__name__
    return f"{'an' if name.startswith((*'aeioAEIO', 'ndarray')) else 'a'} {name}"


def _kinds(values):
    return ", ".join(sorted({type(value).__name__ for value in values})[:5]) or "nothing"


class _Reader:
    """Turns inert instances into records. The machine vouches that they are finite trees, so this recurses."""

    def __init__(self, file):
        self.file, self.count, self.converted = file, 0, {}

    def corrupt(self, what):
        return CorruptPickleError(f"{self.file}: byte 0: a readable pickle, but {what}.")

    def network(self, instance, where, level=1):
        self.count += 1
        if self.count > MAX_NETWORKS or level > MAX_LEVELS:
            raise self.corrupt(f"it holds more than {MAX_NETWORKS} networks or {MAX_LEVELS} within each other")
        state = instance.state
        if state is None or not all(type(key) is str for key in state):
            raise self.corrupt(f"{where} has no state")
        state = dict(state)
        version = self.get(state, where, "version", int)
        if version not in VERSIONS:
            raise self.corrupt(f"{where} is of version {str(version)[:20]}; versions {VERSIONS} are known")
        if version == 2:
            state.setdefault("components", {})  # ProGAN had none
        name = self.get(state, where, "name", str)
        components = self.get(state, where, "components", dict)
        if not all(type(key) is str and type(value) is Instance for key, value in components.items()):
            raise self.corrupt(f"{where} has components that are no networks")
        parts = components.items()
        record = NetworkRecord(
            name=self.short(name, where),
            func=self.short(self.get(state, where, "build_func_name", str), where),
            version=version,
            static_kwargs=self.get(state, where, "static_kwargs", dict),
            components={
                self.short(key, where): self.network(part, f"component {key[:40]!a}", level + 1) for key, part in parts
            },
            variables=self.variables(self.get(state, where, "variables", list), where),
            source=self.get(state, where, "build_module_src", str),
            class_path=instance.class_path,
            extra=self.plain({key: value for key, value in state.items() if key not in STATE_FIELDS}, where),
        )
        if has_clash(record):
            raise self.corrupt(f"{where} has two variables of one name")
        return record

    def short(self, name, where):
        if len(name) > MAX_NAME:
            raise self.corrupt(f"{where} has a name of {len(name)} characters")
        return name

    def get(self, state, where, key, kind):
        if key not in state:
            raise self.corrupt(f"{where} has no {key}")
        value = state[key]
        if kind is str and type(value) is memoryview:  # long text of Python 2
            value = str(self.plain(value, where), "latin-1")
        elif key == "static_kwargs":
            value = self.plain(value, where)
        if type(value) is not kind or (key == "static_kwargs" and not all(type(k) is str for k in value)):
            raise self.corrupt(f"the {key} of {where} is {_a(type(value))}")
        return value

    def variables(self, pairs, where):
        variables = {}
        for pair in pairs:
            if type(pair) not in (tuple, list) or len(pair) != 2 or type(pair[0]) is not str:
                raise self.corrupt(f"the variables of {where} are not pairs of name and array")
            name, value = self.short(pair[0], where), pair[1]
            if name in variables or not isinstance(value, (np.ndarray, np.generic)):
                raise self.corrupt(f"variable {name[:80]!a} of {where} is there twice or is no array")
            variables[name] = np.asarray(value)
        return variables

    def plain(self, value, where):
        """Copy of a value of None, numbers, text, bytes, lists, tuples, dicts and arrays; anything else is an error."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str, bytes, np.ndarray):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if kind is memoryview:  # shared ones are copied once, so that a file cannot multiply itself
            if id(value) not in self.converted:
                self.converted[id(value)] = bytes(value)
            return self.converted[id(value)]
        if kind in (list, tuple):
            return kind(self.plain(part, where) for part in value)
        if kind is dict:
            return {key: self.plain(part, where) for key, part in value.items()}
        raise self.corrupt(f"{where} has {_a(kind)} where plain values belong")


def write(path, records, protocol=4):
    """Writes a network pickle that the originals, stylegan2-ada-pytorch and this package read, with any NumPy.

    Source text of PyTorch's families is left out: readers of such pickles would run it. The file replaces `path` only
    when it is complete. Arrays go to it one by one, C-contiguous ones without a copy.

    Args:
        path: file to write.
        records: tuple of NetworkRecord; one alone (or a tuple of one) is written as a single network.
        protocol: 3 or 4.
    Raises:
        UserError: a record that cannot be written (the message says where), or the file cannot be.
    """
    records = check_records(records)
    with atomic_write(path) as file:
        writer = PickleWriter(file, protocol)
        if len(records) == 1:
            _write_network(writer, records[0])
        else:
            with writer.tuple():
                for record in records:
                    _write_network(writer, record)
        writer.stop()


def _write_network(writer, record):
    where = f"network {record.name}"
    with writer.instance(record.class_path), writer.dict():
        writer.item("version", record.version)
        writer.item("name", record.name)
        writer.item("static_kwargs", record.static_kwargs, where)
        if record.components or record.version > 2:
            writer.value("components")
            with writer.dict():
                for key, component in record.components.items():
                    writer.value(key)
                    _write_network(writer, component)
        writer.item("build_module_src", record.source if record.origin == "dnnlib" else "")
        writer.item("build_func_name", record.func)
        writer.value("variables")
        with writer.list():
            for name, value in record.variables.items():
                with writer.tuple():
                    writer.value(name)
                    writer.array(value, f"{where}, variable {name}")
        for key, value in record.extra.items():
            writer.item(key, value, where)
