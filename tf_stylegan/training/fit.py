"""What of a file's variables fits a network, and how to say it in few words (F4)."""

import re

# Names that differ in one of these are told together: a resolution, the number that a part of the name ends with.
_RESOLUTION = re.compile(r"(?<![^/])\d+x\d+(?=/)")
_NUMBER = re.compile(r"(?<=[a-z])(?<!\dx)\d+(?=/|$)")


class Fit:
    """Compares by name and shape; what has both in common can be copied.

    Args:
        shapes: dict of names to shapes of a network's variables.
        arrays: dict of names to arrays of a file, in the network's layout.
    Attributes:
        copied: names that fit.
        reshaped: names that the file has in another shape.
        missing: names that the file lacks.
        left_over: names that only the file has.
    """

    def __init__(self, shapes, arrays):
        self.shapes, self.arrays = shapes, arrays
        found = [name for name in shapes if name in arrays]
        self.copied = [name for name in found if tuple(arrays[name].shape) == tuple(shapes[name])]
        self.reshaped = [name for name in found if tuple(arrays[name].shape) != tuple(shapes[name])]
        self.missing = [name for name in shapes if name not in arrays]
        self.left_over = [name for name in arrays if name not in shapes]

    @property
    def whole(self):
        """Whether everything fits: no variable on either side is without its counterpart."""
        return not (self.reshaped or self.missing or self.left_over)

    def copy_into(self, variables):
        """Assigns what fits to variables, `{name: variable}` of the network that was compared."""
        for name in self.copied:
            variables[name].assign(self.arrays[name])

    def lines(self):
        """What fits and what does not, as lines of text."""
        if self.whole:
            return [f"all {len(self.shapes)} variables fit"]
        everything = [*self.shapes, *self.left_over]
        found = [f"{len(self.copied)} of {len(self.shapes)} variables fit: {name_list(self.copied, everything)}"]
        if self.missing:
            found.append(f"not in the file ({len(self.missing)}): {name_list(self.missing, everything)}")
        if self.left_over:
            found.append(f"only in the file ({len(self.left_over)}): {name_list(self.left_over, everything)}")
        if self.reshaped:
            name = self.reshaped[0]
            theirs, ours = (" × ".join(map(str, shape)) for shape in (self.arrays[name].shape, self.shapes[name]))
            example = f"{name.rsplit('/', 1)[-1]} of the first is {theirs} in the file, {ours} here"
            found.append(f"of another shape ({len(self.reshaped)}): {name_list(self.reshaped, everything)}; {example}")
        return found


def name_list(names, everything):
    """Names of variables in few words: `G_mapping/*, 4x4/Conv/bias, {8x8,16x16}/Conv1/bias, noise{3,4}`.

    Args:
        names: the names to tell.
        everything: all names there are; `layer/*` stands for all of a layer's.
    """
    chosen, told = set(names), {}
    for name in names:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            prefix = "/".join(parts[:depth]) + "/"
            if all(other in chosen for other in everything if other.startswith(prefix)):
                name = f"{prefix}*"
                break
        told[name] = None
    for pattern in (_RESOLUTION, _NUMBER):
        told = _tell_together(told, pattern)
    return ", ".join(told) or "none"


def _tell_together(names, pattern):
    """Names that differ only in the first place where `pattern` matches become one, with braces."""
    groups = {}
    for name in names:
        match = pattern.search(name)
        key = (name[: match.start()], name[match.end() :]) if match else (name,)
        groups.setdefault(key, []).append(match[0] if match else "")
    return [
        key[0] if len(key) == 1 else f"{key[0]}{_braced(values)}{key[1]}" for key, values in groups.items()
    ]  # fmt: skip


def _braced(values):
    return values[0] if len(values) == 1 else f"{{{','.join(values)}}}"
