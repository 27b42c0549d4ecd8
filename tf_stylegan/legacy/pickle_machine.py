"""Reads the pickle format without executing anything (standard library only).

Python's own unpickler imports and calls whatever a file names. This machine knows the same opcodes (protocols 0-5), but
a global name resolves only through an allow-list, and then only to a `Marker` that cannot be called; what happens on
REDUCE, NEWOBJ and BUILD is written by hand for each allowed name (`pickle_names.py`). All else is refused by name.

A hostile file costs little: lengths are checked against the bytes that are there before anything is allocated, long
byte strings are views of the file, the number of opcodes is bounded, and the finished value is refused when it is
cyclic, deeper than `MAX_DEPTH` or, written out as a tree, larger than its file justifies. So code that walks the value
may simply recurse. Pickles inside a pickle (PyTorch's tensors) are read by machines that share one `Budget`.

Two things are stricter than Python: a frame must hold whole opcodes and end where it says, and STOP must leave exactly
one value. Bytes after STOP are left alone, as Python leaves them.
"""

import re
import struct
from collections.abc import Callable, Mapping

from tf_stylegan.legacy.pickle_limits import is_key
from tf_stylegan.legacy.pickle_opcodes import HANDLERS
from tf_stylegan.legacy.pickle_values import CorruptPickleError, Instance, Marker, Pending, UnsafePickleError

MAX_OPCODES = 250_000  # the three networks of a 1024x1024 StyleGAN2 take about 10,000, a PyTorch file below 100,000
MAX_DEPTH = 100  # levels of containers in the finished value; network files have about 10
MAX_NODES = 500_000  # values in the finished value when shared ones are counted as often as they appear
MAX_LINE = 4096  # bytes of a number or name written as text
_STOP = 0x2E
_NEWLINE = re.compile(b"\n")


class Budget:
    """What one file may still cost, shared by all pickles in it.

    Args:
        size: bytes of the file.
    """

    def __init__(self, size):
        self.opcodes = MAX_OPCODES
        self.bytes_to_copy = 2 * size + (1 << 20)


class Machine:
    """One run over one pickle; see the module's text.

    Args:
        data: bytes, mmap or a memoryview of one.
        file: name for messages.
        allowed: `{"module.name": Marker}`, all that the file may ask for.
        start: offset of the pickle's first byte.
        persistent: `(machine, id) -> value` for objects kept outside the pickle, None: there are none.
        budget: of the file that this pickle is a part of, None for a file of its own.
    """

    def __init__(
        self,
        data,
        file,
        allowed: Mapping[str, Marker],
        start=0,
        persistent: Callable | None = None,
        budget: Budget | None = None,
    ):
        self.file, self.allowed, self.persistent = file, allowed, persistent
        self.view = memoryview(data).toreadonly()
        self.budget = budget or Budget(len(self.view))
        self.size = self.limit = len(self.view)
        self.in_frame = False  # then `limit` is the frame's end
        self.position = self.opcode_at = start
        self.stack, self.outer_stacks, self.memo = [], [], {}
        self.ordered_dicts = {}  # id -> dict, of those that were OrderedDicts: these may have attributes

    def run(self):
        """Returns the pickled value; `position` is then the offset behind STOP.

        Raises:
            UnsafePickleError, CorruptPickleError
        """
        try:
            return self._run()
        except (UnsafePickleError, CorruptPickleError):
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, Warning, struct.error) as error:
            # More ways to be wrong than are worth a message each: an empty stack, an unknown memo key, bad UTF-8.
            # Warning: an unknown backslash escape, where the caller turns warnings into errors.
            raise self.corrupt(f"the pickle is malformed ({type(error).__name__}: {ascii(str(error))[:80]})") from error

    def _run(self):
        handlers, budget = HANDLERS, self.budget
        while budget.opcodes > 0:
            budget.opcodes -= 1
            self.opcode_at = at = self.position
            if at >= self.limit:
                self.in_frame, self.limit = False, self.size
                if at >= self.size:
                    raise self.corrupt(
                        "the file ends in the middle of the pickle; it was not written or downloaded whole"
                    )
            code = self.view[at]
            self.position = at + 1
            if code == _STOP:
                return self._stop()
            handler = handlers[code]
            if handler is None:
                raise self.corrupt(f"0x{code:02x} is no pickle opcode")
            handler(self)
        raise self.corrupt(f"more than {MAX_OPCODES} opcodes, far more than a network file needs")

    def _stop(self):
        if self.outer_stacks or len(self.stack) != 1:
            raise self.corrupt("STOP with values left over or none")
        if self.in_frame and self.position != self.limit:
            raise self.corrupt("STOP before the frame's end")
        self._check_tree(self.stack[0])
        return self.stack[0]

    # ---- for handlers

    def corrupt(self, what):
        """The error to raise for damage at the current opcode."""
        return CorruptPickleError(f"{self.file}: byte {self.opcode_at}: {what}.")

    def unsafe(self, what):
        """The error to raise for something that is not allowed; `what` names it."""
        return UnsafePickleError(
            f"{self.file}: byte {self.opcode_at}: the file asks for {what}, which network files do not need and which "
            "could run code; nothing was executed. If you trust the file, convert it with the code it came from."
        )

    def charge(self, byte_count):
        """Counts bytes that a handler copies: a file may not multiply its data (one string, a thousand times)."""
        self.budget.bytes_to_copy -= byte_count
        if self.budget.bytes_to_copy < 0:
            raise self.corrupt("the pickle copies far more data than it holds")

    def take(self, count):
        """View of the next `count` bytes."""
        start = self.position
        if count > self.limit - start:
            raise self.corrupt(
                f"{count} bytes are announced, {self.limit - start} are there" + (" in this frame" * self.in_frame)
            )
        self.position = start + count
        return self.view[start : start + count]

    def number(self, kind):
        """The next fixed-size number."""
        return kind.unpack(self.take(kind.size))[0]

    def line(self, max_bytes=MAX_LINE):
        """The bytes up to the next newline, without it."""
        start = self.position
        end = _NEWLINE.search(self.view, start, min(self.limit, start + max_bytes))
        if end is None:
            raise self.corrupt("a line of text has no end")
        self.position = end.end()
        return bytes(self.view[start : end.start()])

    def pop_mark(self):
        """The values since the last MARK."""
        if not self.outer_stacks:
            raise self.corrupt("a MARK is missing")
        values, self.stack = self.stack, self.outer_stacks.pop()
        return values

    def top(self, kind):
        """The topmost value, which must be of exactly this type."""
        value = self.stack[-1]
        if type(value) is not kind:
            raise self.corrupt(f"a {kind.__name__} is needed here, not a {type(value).__name__}")
        return value

    def remember(self, key):
        """Files the topmost value in the memo."""
        if not 0 <= key < 1 << 32:
            raise self.corrupt("memo index out of range")
        value = self.stack[-1]
        self.memo[key] = value
        if isinstance(value, Pending):
            value.memo_keys.append(key)

    def look_up(self, module, name):
        """Pushes the marker of an allowed global name."""
        full = f"{module[:200]}.{name[:200]}"
        marker = self.allowed.get(full)
        if marker is None:
            raise self.unsafe(ascii(full))
        self.stack.append(marker)

    def check_keys(self, keys):
        """Refuses what should not be hashed."""
        for key in keys:  # hashing a deep tuple recurses in C
            if type(key) is not bytes and not is_key(key):
                raise self.corrupt(f"a {type(key).__name__} as key of a dict or member of a set")

    def _check_tree(self, root):
        """Refuses a cyclic, deep or (through sharing) exploding value; linear in the file, no recursion."""
        max_nodes = min(MAX_NODES, 20_000 + self.size)
        done, entered, todo = {}, set(), [root]  # done: id -> (values in it, levels)
        while todo:
            node = todo[-1]
            if id(node) in done:
                todo.pop()
                continue
            if isinstance(node, Pending):
                raise self.corrupt(f"an {node.what} without its data")
            children = _children(node)
            inner = [id(child) for child in children if type(child) not in _LEAVES]
            ahead = [child for child in children if type(child) not in _LEAVES and id(child) not in done]
            if not ahead:
                count = 1 + len(children) + sum(done[key][0] - 1 for key in inner)
                depth = 1 + max(done[key][1] for key in inner) if inner else 1
                if count > max_nodes or depth > MAX_DEPTH:
                    raise self.corrupt("values nested too deep, or shared so often that they would fill the memory")
                done[id(node)] = count, depth
                todo.pop()
            elif any(id(child) in entered for child in ahead):  # entered and not done: we are inside it
                raise self.corrupt("a value that contains itself")
            else:
                entered.add(id(node))
                todo.extend(ahead)


_LEAVES = frozenset((type(None), bool, int, float, str, bytes, memoryview, Marker))


def _children(node):
    if isinstance(node, Instance):
        return (node.state,)
    if isinstance(node, dict):
        return node.values()  # keys are plain, see check_keys
    return node if isinstance(node, (list, tuple, set, frozenset)) else ()
