"""What a safely read pickle is made of, and the two errors it may end in (standard library only).

Beside Python's plain values there are only these: `Marker` stands for an allowed name, `Instance` for an object of an
allowed class, `Pending` for a value that is not finished yet. None of them does anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tf_stylegan.errors import UserError


class UnsafePickleError(UserError):
    """The file asks for something that could run code; the message names it. Nothing was executed."""


class CorruptPickleError(UserError):
    """The file is damaged, is no pickle or is not what it should be; the message names the file and the byte."""


@dataclass(frozen=True)
class Marker:
    """What an allowed global name becomes: inert, it only says which handlers apply.

    Args:
        name: "module.name" as in the file.
        call: handler of REDUCE, `(machine, args) -> value`, or None: may not be called.
        new: handler of NEWOBJ, `(machine, name) -> value`, or None: cannot be instantiated. Arguments must be empty.
    """

    name: str
    call: Callable | None = None
    new: Callable | None = None


class Pending:
    """A value that a later BUILD replaces, such as an array before its data; `memo_keys`: where it is remembered."""

    __slots__ = ("memo_keys",)
    what = "object"

    def __init__(self):
        self.memo_keys = []

    def build(self, machine, state):
        """Returns the value that takes the place of this one; every kind has its own way."""
        raise TypeError(f"{type(self).__name__} takes no BUILD")


class Instance:
    """An object of an allowed class: its name and, after BUILD, its state dictionary. No behaviour."""

    __slots__ = ("class_path", "state")

    def __init__(self, machine, class_path):
        self.class_path, self.state = class_path, None
