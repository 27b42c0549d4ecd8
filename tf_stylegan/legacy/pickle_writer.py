"""Emits pickle opcodes by hand: protocol 3 or 4, no frames, nothing memoised (standard library and NumPy only).

Python's pickler would need a class to import and would write NumPy 2's module names, which older installations lack.
What is written here is what NumPy 1 writes for arrays; Python 3.4 and newer read it (protocol 3: any Python 3).
"""

import contextlib
import pickle as opcodes  # for the names of the opcodes only
import struct

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.legacy.pickle_limits import DTYPES, MAX_DIMENSIONS, MAX_WRITTEN_DEPTH, is_key

_U4_END = 1 << 32


class PickleWriter:
    """Writes one pickle to an open binary file: `value`, `array` and the containers in order, then `stop`.

    Args:
        file: open for writing bytes.
        protocol: 3 or 4.
    """

    def __init__(self, file, protocol=4):
        if protocol not in (3, 4):
            raise UserError(f"pickle protocol must be 3 or 4, got {protocol!r}")
        self.file, self.protocol = file, protocol
        self._emit(opcodes.PROTO, bytes([protocol]))

    def _emit(self, *parts):
        for part in parts:
            self.file.write(part)

    def stop(self):
        """Ends the pickle."""
        self._emit(opcodes.STOP)

    @contextlib.contextmanager
    def tuple(self):
        """What is written inside the block becomes a tuple."""
        self._emit(opcodes.MARK)
        yield
        self._emit(opcodes.TUPLE)

    @contextlib.contextmanager
    def list(self):
        """What is written inside the block becomes a list."""
        self._emit(opcodes.EMPTY_LIST, opcodes.MARK)
        yield
        self._emit(opcodes.APPENDS)

    @contextlib.contextmanager
    def dict(self):
        """What is written inside the block, key by value, becomes a dict."""
        self._emit(opcodes.EMPTY_DICT, opcodes.MARK)
        yield
        self._emit(opcodes.SETITEMS)

    @contextlib.contextmanager
    def instance(self, class_path):
        """An object of this class without calling its constructor; the dict written inside the block is its state."""
        self._global(class_path)
        self._emit(opcodes.EMPTY_TUPLE, opcodes.NEWOBJ)
        yield
        self._emit(opcodes.BUILD)

    def _global(self, path):
        module, name = path.rsplit(".", 1)
        self._emit(opcodes.GLOBAL, f"{module}\n{name}\n".encode("ascii"))

    def item(self, key, value, where=""):
        """A key and its value, inside `dict`."""
        self.value(key)
        self.value(value, f"{where}, {key}")

    def value(self, value, where="", depth=0):
        """Writes None, bool, int, float, str, bytes, NumPy scalars (as Python's), arrays; list, tuple, dict of these.

        Raises:
            UserError: anything else, naming `where`.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if depth > MAX_WRITTEN_DEPTH:
            raise UserError(f"{where}: nested deeper than {MAX_WRITTEN_DEPTH} levels (or contains itself)")
        if value is None:
            self._emit(opcodes.NONE)
        elif isinstance(value, bool):
            self._emit(opcodes.NEWTRUE if value else opcodes.NEWFALSE)
        elif isinstance(value, int):
            self._int(int(value), where)
        elif isinstance(value, float):
            self._emit(opcodes.BINFLOAT, struct.pack(">d", value))
        elif isinstance(value, str):
            data = value.encode("utf-8", "surrogatepass")
            self._counted(opcodes.BINUNICODE, opcodes.BINUNICODE8, data, len(data), where)
        elif isinstance(value, bytes):
            self._bytes(value, len(value), where)
        elif isinstance(value, np.ndarray):
            self.array(value, where)
        elif isinstance(value, (list, tuple)):
            with self.list() if isinstance(value, list) else self.tuple():
                for part in value:
                    self.value(part, where, depth + 1)
        elif isinstance(value, dict):
            with self.dict():
                for key, part in value.items():
                    if not is_key(key):
                        raise UserError(
                            f"{where}: a {type(key).__name__} as key cannot be written; text and small integers can"
                        )
                    self.value(key, where)
                    self.value(part, where, depth + 1)
        else:
            raise UserError(
                f"{where}: a {type(value).__module__}.{type(value).__name__} cannot be written to a network pickle; "
                "plain numbers, text, lists, tuples, dicts and NumPy arrays can"
            )

    def _int(self, value, where):
        if 0 <= value < 256:
            self._emit(opcodes.BININT1, bytes([value]))
        elif -(1 << 31) <= value < 1 << 31:
            self._emit(opcodes.BININT, struct.pack("<i", value))
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(data) > 255:
                raise UserError(f"{where}: an integer of {len(data)} bytes cannot be written")
            self._emit(opcodes.LONG1, bytes([len(data)]), data)

    def _bytes(self, data, count, where):
        if count < 256:
            self._emit(opcodes.SHORT_BINBYTES, bytes([count]), data)
        else:
            self._counted(opcodes.BINBYTES, opcodes.BINBYTES8, data, count, where)

    def _counted(self, code, code_long, data, count, where):
        if count < _U4_END:
            self._emit(code, struct.pack("<I", count), data)
        elif self.protocol >= 4:
            self._emit(code_long, struct.pack("<Q", count), data)
        else:
            raise UserError(f"{where}: {count} bytes do not fit in pickle protocol 3; use protocol 4")

    def array(self, array, where):
        """An array or NumPy scalar (as array of no dimensions) the way NumPy 1 pickles it: little-endian, C order.

        Raises:
            UserError: not an array of plain numbers, naming `where`.
        """
        if not isinstance(array, (np.ndarray, np.generic)) or array.dtype.str[1:] not in DTYPES:
            what = f"array of {array.dtype}" if isinstance(array, (np.ndarray, np.generic)) else type(array).__name__
            raise UserError(f"{where}: expected a NumPy array of plain numbers, got {what}")
        shape = array.shape
        if len(shape) > MAX_DIMENSIONS:
            raise UserError(f"{where}: an array of {len(shape)} dimensions cannot be written, {MAX_DIMENSIONS} can")
        # No copy for the usual array; others are copied one at a time.
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        self._global("numpy.core.multiarray._reconstruct")
        self._global("numpy.ndarray")
        self._emit(
            opcodes.BININT1, b"\0", opcodes.TUPLE1, opcodes.SHORT_BINBYTES, b"\1b", opcodes.TUPLE3, opcodes.REDUCE
        )
        with self.tuple():
            self._emit(opcodes.BININT1, b"\1")
            self.value(shape)
            self._dtype(array.dtype)
            self._emit(opcodes.NEWFALSE)  # not Fortran order
            self._bytes(array.view(np.uint8), array.nbytes, where)
        self._emit(opcodes.BUILD)

    def _dtype(self, dtype):
        self._global("numpy.dtype")
        with self.tuple():
            self.value(dtype.str[1:])
            self._emit(opcodes.NEWFALSE, opcodes.NEWTRUE)
        self._emit(opcodes.REDUCE)
        with self.tuple():
            for part in (3, "|" if dtype.itemsize == 1 else "<", None, None, None, -1, -1, 0):
                self.value(part)
        self._emit(opcodes.BUILD)
