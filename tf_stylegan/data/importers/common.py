"""What the importers of published data sets share: their writer for arrays, and words for what goes wrong."""

import contextlib
import os

import numpy as np
from tqdm import tqdm

from tf_stylegan.data.convert import shuffled_order
from tf_stylegan.data.tfrecord import RecordWriter
from tf_stylegan.data.words import counted, say, shorten
from tf_stylegan.errors import UserError
from tf_stylegan.legacy.pickle_machine import Machine
from tf_stylegan.legacy.pickle_names import NUMPY_NAMES
from tf_stylegan.legacy.pickle_values import UnsafePickleError

BLOCK = 256  # small images that are encoded together


@contextlib.contextmanager
def needs(package, what):
    """Around the import of a package that only imports of data sets need: UserError that says how to get it."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"{what} needs {package}: pip install {package}, or 'tf_stylegan[imports]'") from error


def check_folder(folder, what):
    """UserError unless there is such a folder."""
    if not os.path.isdir(folder):
        state = "is a file; unpack it and give the folder" if os.path.exists(folder) else "does not exist"
        raise UserError(f"{what} directory {folder} {state}")


def check_files(folder, names, what, advice=""):
    """UserError that lists those of the files that are missing."""
    missing = [name for name in names if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise UserError(f"no {shorten(missing)} in {folder}; give the folder of {what}{advice}")


def check_array(array, shape, where):
    """UserError unless an array is uint8 of this shape; None stands for any length."""
    fits = len(array.shape) == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape))
    if array.dtype != np.uint8 or not fits:
        expected = ", ".join("N" if size is None else str(size) for size in shape)
        raise UserError(f"{where}: expected uint8 [{expected}], got {array.dtype} {list(array.shape)}")


def check_classes(classes, num_images, num_classes, where):
    """Class numbers as an array `[N]`; UserError when they are none, too many or out of range."""
    classes = np.asarray(classes)
    if classes.ndim != 1 or classes.dtype.kind not in "iu" or len(classes) != num_images:
        raise UserError(
            f"{where}: expected {counted(num_images, 'label')}, whole numbers, one for each image, got "
            f"{classes.dtype} {list(classes.shape)}"
        )
    if num_images and (classes.min() < 0 or classes.max() >= num_classes):
        odd = classes.min() if classes.min() < 0 else classes.max()
        raise UserError(f"{where}: labels must be 0 to {num_classes - 1}, one is {odd}")
    return classes.astype(np.int64)


def note_count(what, published, found):
    """Tells when there are more or fewer images than the published data set has: half a download looks like a whole."""
    if found != published:
        say(f"note: {what} has {published:,} images, {found:,} are there")


def write_arrays(tfrecord_dir, images, classes, num_classes, force):
    """Writes small images that lie in memory, in the shuffled order of the original, with one-hot labels.

    Args:
        images: uint8 `[N, C, R, R]`.
        classes: int `[N]`, or None for no labels.
    Returns:
        number of images written.
    """
    order = shuffled_order(len(images))
    with (
        RecordWriter(tfrecord_dir, images.shape[2], images.shape[1], force) as writer,
        tqdm(desc="images", total=len(order), disable=None) as bar,
    ):
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            writer.add_many(images[block])
            bar.update(len(block))
        if classes is not None:
            writer.set_labels(np.eye(num_classes, dtype=np.float32)[classes[order]])
    tell(tfrecord_dir, len(order), images.shape[1:], None if classes is None else num_classes)
    return len(order)


def tell(tfrecord_dir, num_images, shape, num_classes=None):
    """Prints what was written; `shape` is `(C, H, W)`."""
    suffix = f", {num_classes} classes" if num_classes else ""
    say(f"{counted(num_images, 'image')} {shape[2]}x{shape[1]}x{shape[0]} in {tfrecord_dir}{suffix}")


class _DataMachine(Machine):
    """The machine that reads pickles without running them, with words for data sets."""

    def unsafe(self, what):
        return UnsafePickleError(
            f"{self.file}: byte {self.opcode_at}: the file asks for {what}, which arrays and labels do not need and "
            "which could run code; nothing was executed. Download the data set again from its authors."
        )


def read_pickle(path):
    """Reads a pickle of arrays, lists and dictionaries (Python 2's too, text as Latin-1); nothing in it is executed."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    return _DataMachine(data, path, NUMPY_NAMES).run()
