"""The names that PyTorch's files ask for: tensors, their storages, and modules saved with their source text.

Standard library and NumPy; PyTorch is not needed. Everything stays inert: a tensor is a view to be taken of a storage,
a module is its class name, its state and the text nobody runs. Two layouts hold the storages: `torch_archive` reads
zip archives, `read_chained` the older layout, which is also that of every tensor inside a pickle
(`torch.storage._load_from_bytes`). Facts: torch/serialization.py, torch/_utils.py and stylegan2-ada-pytorch's
torch_utils/persistence.py.
"""

import math
import struct

import numpy as np

from tf_stylegan.legacy.pickle_limits import MAX_DIMENSIONS
from tf_stylegan.legacy.pickle_machine import Machine
from tf_stylegan.legacy.pickle_names import NUMPY_NAMES, allow
from tf_stylegan.legacy.pickle_values import Instance, Marker

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout
_PROTOCOL = 1001
_NUMEL = struct.Struct("<q")
_BFLOAT16 = "bfloat16"  # NumPy has no such type: read as the upper halves of float32
_STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": _BFLOAT16,
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "|i1",
    "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
    "torch.storage.UntypedStorage": "|u1",
}
_MAX_SIZE = 1 << 40
_MAX_REPEATED = 1 << 16  # elements of a tensor that is larger than its storage (an expanded one)


class Storage:
    """A flat run of numbers of one type; several tensors may be views of it.

    Args:
        kind: NumPy's name of the type, or "bfloat16".
        numel: how many numbers the file says it has. `data`, once it is there, has exactly that many.
    """

    __slots__ = ("data", "kind", "numel")

    def __init__(self, kind, numel):
        self.kind, self.numel, self.data = kind, numel, None

    @property
    def nbytes(self):
        """Bytes that `data` must have."""
        return self.numel * (2 if self.kind == _BFLOAT16 else np.dtype(self.kind).itemsize)


class Tensor:
    """A view of a storage, within its bounds: `offset`, `shape` and `stride` count elements."""

    __slots__ = ("offset", "shape", "storage", "stride")

    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self):
        """The tensor as a read-only view of the file; of other types than float32 a converted copy."""
        kind = self.storage.kind
        dtype = np.dtype("<u2" if kind == _BFLOAT16 else kind)
        strides = [step * dtype.itemsize for step in self.stride]
        array = np.ndarray(self.shape, dtype, self.storage.data, self.offset * dtype.itemsize, strides)
        if kind == _BFLOAT16:
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32, copy=False)


class Module(Instance):
    """A `torch.nn.Module` saved with its source text: `class_path` is only the class's name, `state` its attributes."""

    __slots__ = ("source",)

    def __init__(self, name, state, source):
        self.class_path, self.state, self.source = name, state, source


class Storages(dict):
    """The storages of one archive, key to Storage: `Machine` asks it for persistent objects."""

    def __call__(self, machine, pid):
        if type(pid) is not tuple or not pid or pid[0] != "storage" or type(pid[0]) is not str:
            kind = pid[0] if type(pid) is tuple and pid and type(pid[0]) is str else type(pid).__name__
            raise machine.unsafe(f"a persistent object of kind {kind[:80]!a}")
        if len(pid) not in (5, 6) or (len(pid) == 6 and pid[5] is not None):
            raise machine.corrupt("a storage that is a view of another one; PyTorch writes none since 0.4")
        _, marker, key, location, numel = pid[:5]
        if type(marker) is not Marker or marker.name not in _STORAGES:
            name = marker.name if type(marker) is Marker else type(marker).__name__
            raise machine.unsafe(f"a storage of type {name}")
        if type(key) is not str or not (key.isascii() and key.isdecimal() and len(key) <= 20):
            raise machine.corrupt(f"a storage with the key {ascii(key)[:80]}, which is no number")
        if type(location) is not str or type(numel) is not int or not 0 <= numel <= _MAX_SIZE:
            raise machine.corrupt("a storage of impossible size")
        storage = self.setdefault(key, Storage(_STORAGES[marker.name], numel))
        if (storage.kind, storage.numel) != (_STORAGES[marker.name], numel):
            raise machine.corrupt(f"two different storages with the key {key}")
        return storage


def read_chained(machine, allowed):
    """Reads the rest of the older layout, whose first pickle (the magic number) `machine` has just read.

    Pickles follow each other: a protocol number, facts about the machine that saved, the value, the storages' keys;
    then come the storages, each a count and raw little-endian numbers, to the end of the data.

    Args:
        machine: where the magic number was; the rest is read from its position, within its budget.
        allowed: names that the value may ask for.
    Returns:
        the value, storages filled.
    """

    def read_next(names, persistent=None):
        following = Machine(machine.view, machine.file, names, machine.position, persistent, machine.budget)
        value = following.run()
        machine.position, machine.opcode_at = following.position, following.opcode_at
        return value

    storages = Storages()
    protocol, system = read_next({}), read_next({})
    if type(protocol) is not int or protocol != _PROTOCOL or type(system) is not dict:
        raise machine.corrupt("a PyTorch file of an unknown protocol")
    if system.get("little_endian") is not True:
        raise machine.corrupt("a PyTorch file written on a big-endian machine")
    value, keys = read_next(allowed, storages), read_next({})
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise machine.corrupt("a PyTorch file without its list of storages")
    if sorted(keys) != sorted(storages):
        raise machine.corrupt("the list of storages does not name the storages of this PyTorch file")
    for key in keys:
        storage = storages[key]
        machine.opcode_at, machine.in_frame, machine.limit = machine.position, False, machine.size
        if (numel := machine.number(_NUMEL)) != storage.numel:
            raise machine.corrupt(f"storage {key} has {numel} numbers, {storage.numel} were announced")
        storage.data = machine.take(storage.nbytes)
    if machine.position != machine.size:
        raise machine.corrupt(f"{machine.size - machine.position} bytes are left over behind the last storage")
    return value


def _load_from_bytes(machine, args):
    """The bytes of a saved storage: a file of its own, of which only storage types may be asked for."""
    if len(args) != 1 or type(args[0]) not in (bytes, memoryview):
        raise machine.corrupt("a tensor without its bytes")
    where = f"{machine.file}: byte {machine.opcode_at}: in a tensor"
    inner = Machine(args[0], where, {}, budget=machine.budget)
    if inner.run() != MAGIC:
        raise inner.corrupt("no saved PyTorch storage")
    storage = read_chained(inner, STORAGE_NAMES)
    if type(storage) is not Storage:
        raise inner.corrupt(f"a {type(storage).__name__} where a storage belongs")
    return storage


def _rebuild_tensor(machine, args):
    if len(args) not in (6, 7) or type(args[0]) is not Storage or type(args[4]) is not bool:
        raise machine.corrupt("a tensor with malformed arguments")
    storage, offset, shape, stride, _, *hooks_and_metadata = args
    if any(part is not None and (type(part) is not dict or part) for part in hooks_and_metadata):
        raise machine.corrupt("a tensor with hooks or metadata")
    for numbers in ((offset,), shape, stride):
        if type(numbers) is not tuple or not all(type(n) is int and 0 <= n <= _MAX_SIZE for n in numbers):
            raise machine.corrupt("a tensor of impossible shape")
    if len(shape) != len(stride) or len(shape) > MAX_DIMENSIONS:
        raise machine.corrupt("a tensor of impossible shape")
    count = math.prod(shape)
    end = offset + 1 + sum((n - 1) * step for n, step in zip(shape, stride)) if count else offset
    if end > storage.numel or count > max(storage.numel, _MAX_REPEATED):
        raise machine.corrupt(
            f"a tensor of shape {list(shape)}, strides {list(stride)}, offset {offset}, which reaches outside its "
            f"storage of {storage.numel}"
        )
    return Tensor(storage, offset, shape, stride)


def _rebuild_parameter(machine, args):
    if len(args) != 3 or type(args[0]) is not Tensor or args[2] not in ({}, None):
        raise machine.corrupt("a parameter with malformed arguments")
    return args[0]


def _reconstruct_module(machine, args):
    meta = args[0] if len(args) == 1 else None
    if type(meta) is not dict or not all(type(key) is str for key in meta):
        raise machine.corrupt("a module without its description")
    if meta.get("type") != "class":
        raise machine.unsafe(f"a persistent object of type {ascii(meta.get('type'))[:80]}")
    name, state, source = meta.get("class_name"), meta.get("state"), meta.get("module_src")
    if type(name) is not str or len(name) > 200 or type(state) is not dict or type(source) is not str:
        raise machine.corrupt("a module without name, state or source text")
    if not all(type(key) is str for key in state):
        raise machine.corrupt("a module with attributes that have no name")
    return Module(name, state, source)


def _set(machine, args):
    """Protocols below 4 write a set as a call with the list of its members."""
    if len(args) != 1 or type(args[0]) is not list:
        raise machine.corrupt("a set with malformed arguments")
    machine.charge(100 * len(args[0]))
    machine.check_keys(args[0])
    return set(args[0])


def _size(machine, args):
    if len(args) != 1 or type(args[0]) is not tuple:
        raise machine.corrupt("a torch.Size with malformed arguments")
    return args[0]


def _device(machine, args):
    """Where a tensor was: of no interest, but kept."""
    return args


STORAGE_NAMES = allow(*(Marker(name) for name in _STORAGES))
"""All that the pickle of a lone storage may ask for."""

_TYPES = "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool"

TORCH_NAMES = (
    NUMPY_NAMES
    | STORAGE_NAMES
    | allow(
        *(Marker(f"torch.{name}") for name in _TYPES.split()),
        Marker("torch.storage.TypedStorage"),
        Marker("torch.Size", call=_size),
        Marker("torch.device", call=_device),
        Marker("torch.storage._load_from_bytes", call=_load_from_bytes),
        Marker("torch._utils._rebuild_tensor_v2", call=_rebuild_tensor),
        Marker("torch._utils._rebuild_parameter", call=_rebuild_parameter),
        Marker("torch_utils.persistence._reconstruct_persistent_obj", call=_reconstruct_module),
        Marker("argparse.Namespace", new=Instance),
        Marker("builtins.set", call=_set),
        Marker("__builtin__.set", call=_set),
    )
)
"""All that a PyTorch file of the StyleGAN family may ask for, beside `dnnlib`'s dictionaries."""
