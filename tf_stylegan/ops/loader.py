"""Finds the compiled operations, checks that they were made for this TensorFlow, and chooses who computes (F1).

Nothing here ever fails an import: without a usable library TensorFlow's own operations are used.
"""

import contextlib
import contextvars
import dataclasses
import functools
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops import build

CHOICES = ("auto", "custom", "reference")
VARIABLE = "TF_STYLEGAN_OPS"
LIMITS, LIMIT = ("base", "avx2", "avx512"), "TF_STYLEGAN_MAX_ISA"  # read by the compiled kernels
HOW_TO_BUILD = "python -m tf_stylegan.doctor --build compiles them"
HOW_TO_REBUILD = "python -m tf_stylegan.doctor --build --force compiles them"

_portable = contextvars.ContextVar("portable", default=False)


@dataclasses.dataclass(frozen=True)
class Library:
    """What was found: the opened library or None, its path or None, and one line that says why it is so.

    `broken`: something is there that cannot be used.
    """

    ops: Any
    path: Path | None
    why: str
    broken: bool = False


@contextlib.contextmanager
def portable():
    """Graphs traced inside can leave this program: they hold TensorFlow's own operations and gradients only."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_portable():
    """Whether `portable` is in force."""
    return _portable.get()


def find(places, tensorflow, cuda=False):
    """(path or None, why) of the library for a `build.TensorFlow`: the first usable one in `places`.

    cuda: prefer one that has CUDA kernels.
    """
    source, found, reasons = build.sources(), [], []
    wanted = tensorflow.built_for(build.digest(source) if source else "")
    for place in places:
        path = place / tensorflow.library
        if not path.is_file():
            others = [f"{other} was made for another TensorFlow" for other in sorted(place.glob("compiled_ops-*.so"))]
            reasons += [f"{other} than this {tensorflow.version}: {HOW_TO_BUILD} anew" for other in others]
            continue
        data = path.read_bytes()
        made_for = re.search(rb"TF_STYLEGAN_BUILT_FOR\{([^}]*)\}", data)
        made_for = made_for[1].decode(errors="replace") if made_for else "nobody knows what"
        if _cut_short(data):
            reasons.append(f"{path} is not whole: {HOW_TO_BUILD} anew")
        elif made_for == wanted or (source is None and made_for.startswith(wanted)):
            found.append((path, f"{path} ({made_for})", build.CUDA_SYMBOL in data))
        else:
            reasons.append(f"{path} was made for {made_for}, but this is {wanted}: {HOW_TO_BUILD} anew")
    if found:
        return max(found, key=lambda item: cuda and item[2])[:2]  # the first of several
    return None, [*reasons, f"no compiled operations in {' or '.join(map(str, places))}: {HOW_TO_BUILD}"][0]


def _cut_short(data):
    """Whether a 64-bit ELF file ends before its table of sections does, which is the last thing in it.

    To open such a file can end the process (SIGBUS) where nothing can catch it.
    """
    if data[:5] != b"\x7fELF\x02" or len(data) < 64:
        return False  # something else, which cannot be opened and says so
    offset, size, count = (int.from_bytes(data[a:b], sys.byteorder) for a, b in ((40, 48), (58, 60), (60, 62)))
    return offset + size * count > len(data)


@functools.cache
def library():
    """The `Library` of this process, opened when first asked for."""
    try:
        path, why = find(build.folders(), build.TensorFlow.installed(), has_gpu())
    except OSError as error:
        return Library(None, None, f"the compiled operations cannot be read: {error}", broken=True)
    if path is None:
        return Library(None, None, why, broken=not why.startswith("no compiled"))
    try:
        ops = tf.load_op_library(str(path))
    except (OSError, tf.errors.OpError) as error:
        first = str(error).splitlines()[0]
        return Library(None, path, f"{path} cannot be opened: {first}: {HOW_TO_REBUILD} anew", broken=True)
    if not hasattr(ops, "tf_stylegan_upfirdn2d"):
        return Library(None, path, f"{path} holds other operations: {HOW_TO_REBUILD} anew", broken=True)
    if has_gpu():
        trouble = _cuda_trouble(path)
        if trouble:
            return Library(ops, path, f"{path} cannot use the GPU: {trouble}: {HOW_TO_BUILD} anew", broken=True)
    return Library(ops, path, why)


@functools.cache
def cpu_flags():
    """What this processor can do, in Linux's words; empty where nobody tells."""
    try:
        found = re.search(r"^flags\s*:(.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"), re.M)
    except OSError:
        found = None
    return frozenset(found[1].split() if found else ())


def has_gpu():
    """Whether TensorFlow may use a GPU here."""
    return bool(tf.config.get_visible_devices("GPU"))


def _cuda_trouble(path):
    """Why the library's CUDA kernels cannot run on this machine's GPU, or None."""
    from tf_stylegan.ops import native

    return native.Kernels(path).cuda_trouble()


def choice(impl="auto"):
    """What is asked for: `impl`, or where that is "auto" the environment's TF_STYLEGAN_OPS."""
    if impl not in CHOICES:
        raise UserError(f"impl must be one of {', '.join(CHOICES)}; got {impl!r}")
    asked = os.environ.get(VARIABLE) or "auto"
    if asked not in CHOICES:
        raise UserError(f"{VARIABLE} must be one of {', '.join(CHOICES)}; got {asked!r}")
    limit = os.environ.get(LIMIT)
    if limit and limit not in LIMITS:
        raise UserError(f"{LIMIT} must be one of {', '.join(LIMITS)}; got {limit!r}")
    return asked if impl == "auto" else impl


def implementation(impl="auto"):
    """ "custom" or "reference": who computes an operation that is called with `impl`.

    Raises:
        UserError: if "custom" is asked for and there is no usable library, or for a setting that is none.
    """
    asked = choice(impl)
    if asked == "reference" or is_portable():
        return "reference"
    found = library()
    if asked == "custom" and found.ops is None:
        raise UserError(f"the compiled operations were asked for, but: {found.why}")
    if found.broken and asked == "auto":
        _warn_once(found.why)
        return "reference"
    return "reference" if found.ops is None else "custom"


@functools.cache
def _warn_once(why):
    warnings.warn(f"{why}. {build.INSTEAD}.", stacklevel=2)


def ops():
    """The opened library's functions; call only where `implementation` said "custom"."""
    return library().ops
