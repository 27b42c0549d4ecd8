"""The names a network pickle may ask for, and what each of them does here (standard library and NumPy).

Arrays come out as read-only views of the file's bytes, perhaps unaligned. Copied are those of foreign byte order and
those whose bytes the file has as text (protocols 0 to 2), within the machine's budget.
"""

import math
import re

import numpy as np

from tf_stylegan.legacy.pickle_limits import MAX_DIMENSIONS
from tf_stylegan.legacy.pickle_values import Instance, Marker, Pending

_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")  # plain numbers: an object array would hold pickled objects
_MAX_DIMENSION = 1 << 40


class _PendingDtype(Pending):
    """`dtype('f4', False, True)`; BUILD brings the byte order."""

    __slots__ = ("dtype",)
    what = "unfinished dtype"

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def build(self, machine, state):
        # (version, byte order, subdtype, names, fields, size, alignment, flags); the last three follow from the type
        if (
            type(state) is not tuple
            or len(state) < 5
            or state[1] not in ("<", ">", "|", "=")
            or type(state[1]) is not str
        ):
            raise machine.corrupt("a NumPy dtype with malformed state")
        if any(part is not None for part in state[2:5]):
            raise machine.unsafe("a structured NumPy dtype")
        return self.dtype if state[1] in "|=" else self.dtype.newbyteorder(state[1])


class _PendingArray(Pending):
    """`_reconstruct(ndarray, (0,), b'b')`; BUILD brings shape, dtype and data."""

    __slots__ = ()
    what = "array"

    def build(self, machine, state):
        if type(state) is not tuple or len(state) != 5 or state[0] != 1 or type(state[0]) is not int:
            raise machine.corrupt("a NumPy array with malformed state")
        _, shape, dtype, is_fortran, data = state
        if type(is_fortran) not in (bool, int):  # Python 2 wrote 0 and 1
            raise machine.corrupt("a NumPy array with malformed state")
        return _array(machine, data, dtype, shape, "F" if is_fortran else "C")


def _array(machine, data, dtype, shape, order):
    """View of `data` as an array, after checking that it has exactly that many bytes."""
    if type(dtype) is list or type(data) is list:
        raise machine.unsafe("a NumPy array of objects")
    if type(data) is str:  # Python 2: a byte string, read as Latin-1
        machine.charge(len(data))
        data = data.encode("latin-1")
    if not isinstance(dtype, np.dtype) or type(data) not in (bytes, memoryview) or type(shape) is not tuple:
        raise machine.corrupt("a NumPy array with malformed state")
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n <= _MAX_DIMENSION for n in shape):
        raise machine.corrupt("a NumPy array with an impossible shape")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise machine.corrupt(f"a NumPy array of shape {list(shape)}, {dtype}, with {len(data)} bytes of data")
    array = np.frombuffer(data, dtype).reshape(shape, order=order)
    if not dtype.isnative:
        machine.charge(array.nbytes)
        array = array.astype(dtype.newbyteorder("="))
    return array


def _dtype(machine, args):
    if not 1 <= len(args) <= 3 or type(args[0]) is not str:
        raise machine.corrupt("a NumPy dtype with malformed arguments")
    if not _DTYPE.fullmatch(args[0]):
        raise machine.unsafe(f"the NumPy dtype {args[0][:40]!a}")
    return _PendingDtype(np.dtype(args[0]))


def _reconstruct(machine, args):
    if len(args) != 3 or type(args[0]) is not Marker or args[0].name != "numpy.ndarray":
        raise machine.unsafe("a NumPy array of a class other than ndarray")
    return _PendingArray()


def _scalar(machine, args):
    if len(args) != 2:
        raise machine.corrupt("a NumPy scalar with malformed arguments")
    dtype, data = args
    return _array(machine, data, dtype, (), "C")[()]


def _frombuffer(machine, args):
    if len(args) != 4 or args[3] not in ("C", "F") or type(args[3]) is not str:
        raise machine.corrupt("a NumPy array with malformed arguments")
    return _array(machine, *args)


def _encode(machine, args):
    """Protocol 2 has no bytes: Python 3 wrote them as text that Latin-1 turns into bytes."""
    if len(args) != 2 or type(args[0]) is not str or args[1] not in ("latin1", "latin-1") or type(args[1]) is not str:
        raise machine.unsafe("_codecs.encode with other arguments than a text and 'latin1'")
    machine.charge(len(args[0]))
    return args[0].encode("latin-1")


def _empty_bytes(machine, args):
    if args:
        raise machine.unsafe("bytes() with arguments")
    return b""


def _ordered_dict(machine, args):
    """`OrderedDict()` or, from Python 2, `OrderedDict([[key, value], ...])`."""
    pairs = args[0] if args else []
    if len(args) > 1 or type(pairs) is not list or not all(type(p) in (list, tuple) and len(p) == 2 for p in pairs):
        raise machine.corrupt("an OrderedDict with malformed arguments")
    machine.charge(100 * len(pairs))
    machine.check_keys([key for key, _ in pairs])
    result = dict(pairs)
    machine.ordered_dicts[id(result)] = result  # held, so that the id stays its own
    return result


def _new_dict(machine, name):
    return {}


def allow(*markers):
    """Table for `Machine` of these markers."""
    return {marker.name: marker for marker in markers}


NUMPY_NAMES = allow(
    Marker("numpy.ndarray"),
    Marker("numpy.dtype", call=_dtype),
    *(
        Marker(f"numpy.{core}.{name}", call=call)
        for core in ("core", "_core")  # NumPy 2 renamed it
        for name, call in (
            ("multiarray._reconstruct", _reconstruct),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _frombuffer),
        )
    ),
    Marker("_codecs.encode", call=_encode),
    Marker("__builtin__.bytes", call=_empty_bytes),
    Marker("builtins.bytes", call=_empty_bytes),
    Marker("collections.OrderedDict", call=_ordered_dict),
)
"""Arrays and plain containers; any family of files needs these."""

NETWORK_CLASSES = ("dnnlib.tflib.network.Network", "tfutil.Network")  # versions 3-5, and 2 (ProGAN)

NETWORK_NAMES = NUMPY_NAMES | allow(
    *(Marker(name, new=Instance) for name in NETWORK_CLASSES),
    Marker("dnnlib.util.EasyDict", new=_new_dict),
    Marker("dnnlib.EasyDict", new=_new_dict),
)
"""All that a `Network` pickle of the TensorFlow family may ask for."""
