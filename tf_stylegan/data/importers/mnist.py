"""MNIST in the files its authors give out (`train-images-idx3-ubyte.gz`), and three of its digits as one RGB image."""

import gzip
import math
import os
import zlib

import numpy as np
from tqdm import tqdm

from tf_stylegan.data.importers.common import (
    BLOCK,
    check_classes,
    check_folder,
    note_count,
    tell,
    write_arrays,
)
from tf_stylegan.data.tfrecord import RecordWriter, check_free
from tf_stylegan.errors import UserError

_IMAGES, _LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
_NUM_IMAGES, _NUM_CLASSES = 60_000, 10
_READ_BYTES = 1 << 24


def create_mnist(tfrecord_dir, mnist_dir, force=False):
    """MNIST's training images, 28x28 with a black margin of two pixels, and one-hot labels.

    Args:
        tfrecord_dir: folder to write.
        mnist_dir: folder of the two `train-…` files, packed (.gz) or not. Other sets in this form will do, such as
            Fashion-MNIST.
        force: replace a data set that is there.
    Returns:
        number of images written.
    Raises:
        UserError: a file is missing, damaged or of another kind; nothing has been written then.
    """
    check_free(tfrecord_dir, force)
    images = _read_images(mnist_dir)
    classes, where = _read_idx(mnist_dir, _LABELS, dimensions=1)
    classes = check_classes(classes, len(images), _NUM_CLASSES, where)
    return write_arrays(tfrecord_dir, images[:, None], classes, _NUM_CLASSES, force)  # NCHW


def create_mnistrgb(tfrecord_dir, mnist_dir, num_images=1_000_000, random_seed=123, force=False):
    """Images of three digits, one in each channel, drawn at random as the original tool draws them; no labels.

    Args:
        num_images: how many.
        random_seed: of `numpy.random.RandomState`.
    """
    check_free(tfrecord_dir, force)
    if num_images < 1:
        raise UserError(f"--num_images must be at least 1, got {num_images}")
    if not 0 <= random_seed < 1 << 32:
        raise UserError(f"--random_seed must be a number from 0 to {(1 << 32) - 1}, got {random_seed}")
    digits = _read_images(mnist_dir)  # NHW
    rnd = np.random.RandomState(random_seed)
    with RecordWriter(tfrecord_dir, 32, 3, force) as writer, tqdm(desc="images", total=num_images, disable=None) as bar:
        for start in range(0, num_images, BLOCK):
            count = min(BLOCK, num_images - start)
            writer.add_many(digits[rnd.randint(len(digits), size=[count, 3])])
            bar.update(count)
    tell(tfrecord_dir, num_images, (3, 32, 32))
    return num_images


def _read_images(folder):
    """uint8 `[N, 32, 32]`."""
    images, where = _read_idx(folder, _IMAGES, dimensions=3)
    if images.shape[1:] != (28, 28):
        raise UserError(f"{where}: expected images of 28x28, got {images.shape[2]}x{images.shape[1]}")
    note_count("MNIST", _NUM_IMAGES, len(images))
    return np.pad(images, [(0, 0), (2, 2), (2, 2)])


def _read_idx(folder, name, dimensions):
    """Reads an "idx" file of bytes: the array and the file's path.

    Its header is two zeros, 8 for bytes, the number of dimensions, and each dimension in four bytes, highest first.
    """
    check_folder(folder, "MNIST")
    paths = [os.path.join(folder, name + ending) for ending in (".gz", "")]
    path = next(filter(os.path.isfile, paths), None)
    if path is None:
        raise UserError(f"no {name}.gz in {folder}; give the folder of MNIST's four files")
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
                raise UserError(
                    f"{path} is not {name}: expected {dimensions} dimensions of bytes, it begins {header[:4].hex()}"
                )
            shape = np.frombuffer(header, ">u4", offset=4).tolist()
            data = bytearray()
            while part := file.read(_READ_BYTES):  # piecemeal: what the header announces may be a lie
                data += part
                if len(data) > math.prod(shape):
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged or cut off ({error}); download it again") from error
    if len(data) != math.prod(shape) or not data:
        more = "more" if len(data) > math.prod(shape) else f"only {len(data):,}"
        raise UserError(f"{path}: {shape[0]:,} items of {math.prod(shape):,} bytes are announced, {more} are there")
    return np.frombuffer(data, np.uint8).reshape(shape), path
