"""The HDF5 archives of ProGAN's time: read, and written for programs that still want them.

An archive holds an array uint8 `[N, C, R, R]` for each resolution, `data1024x1024` down to `data1x1`; labels lie beside
it in `<name>-labels.npy`, float32 `[N, L]`.
"""

import concurrent.futures
import contextlib
import math
import os
import re

import numpy as np
from tqdm import tqdm

from tf_stylegan.data import png
from tf_stylegan.data.convert import shuffled_order
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.image_folder import ImageFolder
from tf_stylegan.data.importers.common import needs, tell
from tf_stylegan.data.inspect import read_images
from tf_stylegan.data.levels import log2_resolution, make_levels
from tf_stylegan.data.parallel import num_threads, ordered
from tf_stylegan.data.tfrecord import RecordWriter, check_free, encode_image
from tf_stylegan.data.words import counted, say, shorten
from tf_stylegan.errors import UserError

_CHUNK_BYTES = 128  # at least, of the original: small images share a chunk
_BLOCK_BYTES = 1 << 24  # written at once


def create_from_hdf5(tfrecord_dir, hdf5_filename, shuffle=True, force=False):
    """Writes the images of an archive's largest resolution, and its labels if there are any.

    Args:
        tfrecord_dir: folder to write.
        hdf5_filename: the archive, such as `celeba-hq-1024x1024.h5`.
        shuffle: write in the shuffled order of the original tool.
        force: replace a data set that is there.
    Returns:
        number of images written.
    Raises:
        UserError: no such archive, a damaged one, or one of other arrays; nothing has been written then.
    """
    check_free(tfrecord_dir, force)
    with _reading(hdf5_filename) as (images, table):
        num_images, shape = len(images), images.shape[1:]
        order = shuffled_order(num_images) if shuffle else np.arange(num_images)
        with (
            concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool,
            RecordWriter(tfrecord_dir, shape[1], shape[0], force) as writer,
        ):
            rows = _rows(hdf5_filename, images, order)  # read here, in one thread: the library has one lock for all
            for records in tqdm(ordered(pool, encode_image, rows), "images", num_images, disable=None):
                writer.add_encoded(records)
            if table is not None:
                writer.set_labels(table[order])
    tell(tfrecord_dir, num_images, shape)
    return num_images


def convert_to_hdf5(hdf5_filename, tfrecord_dir, compress=False, force=False):
    """Writes a data set as an archive.

    Args:
        hdf5_filename: file to write.
        tfrecord_dir: folder of the data set.
        compress: gzip the images (slow).
        force: replace an archive that is there.
    Returns:
        number of images written.
    Raises:
        UserError: nothing has been written then.
    """
    info = find_dataset(tfrecord_dir)
    with (
        _Writer(hdf5_filename, info.resolution, info.num_channels, compress, force) as writer,
        concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool,
    ):
        levels = ordered(pool, lambda pixels: _levels(pixels.transpose(2, 0, 1)), read_images(info.file_at(0)))
        for image in tqdm(levels, "images", info.num_images, disable=None):
            writer.add(image)
        if info.label_size:
            writer.set_labels(info.load_labels())
    say(f"{counted(info.num_images, 'image')} in {hdf5_filename}")
    return info.num_images


def hdf5_from_images(hdf5_filename, image_dir, compress=False, force=False):
    """Writes a folder of images, sorted by path, as an archive; see `convert_to_hdf5`.

    The images have to be square and of one size, a power of two.
    """
    _check_free(hdf5_filename, force)
    with concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool:
        folder = ImageFolder(pool, image_dir, options=False)
        channels = 1 if folder.is_grey else 3
        with _Writer(hdf5_filename, folder.resolution, channels, compress, force) as writer:
            everything = range(len(folder.images))
            for _, levels in folder.work_through(everything, lambda _, path: _levels(png.decode(path, channels)[0])):
                writer.add(levels)
    say(f"{counted(len(folder.images), 'image')} in {hdf5_filename}")
    return len(folder.images)


def _levels(image):
    return list(make_levels(image, min_log2=0))


def _labels_path(path):
    return os.path.splitext(path)[0] + "-labels.npy"


@contextlib.contextmanager
def _reading(path):
    """Yields the images of the largest resolution, `[N, C, R, R]` on disk, and labels float32 `[N, L]` or None."""
    if not os.path.isfile(path):
        state = "is a folder; give the .h5 file" if os.path.isdir(path) else "does not exist"
        raise UserError(f"HDF5 archive {path} {state}")
    with needs("h5py", "reading HDF5"):
        import h5py
    with contextlib.ExitStack() as stack:
        with _read_errors(path):
            archive = stack.enter_context(h5py.File(path, "r"))
            found = [value for key, value in archive.items() if key.startswith("data")]
            found = [value for value in found if isinstance(value, h5py.Dataset) and value.ndim == 4]
        if not found:
            there = shorten(archive) or "an empty archive"
            raise UserError(f"{path}: expected arrays of images named data<R>x<R>, got {there}")
        images = max(found, key=lambda value: value.shape[3])
        channels, height, width = images.shape[1:]
        if images.dtype != np.uint8 or channels not in (1, 3) or height != width or not log2_resolution(height):
            raise UserError(
                f"{path}: {images.name} must be uint8 [N, 1 or 3, R, R], R a power of two from 4, got {images.dtype} "
                f"{list(images.shape)}"
            )
        yield images, _read_labels(_labels_path(path), len(images))


@contextlib.contextmanager
def _read_errors(path):
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:  # what h5py raises for damage
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is no HDF5 archive, or damaged ({reason}); copy or download it again") from error


def _rows(path, images, numbers):
    for number in numbers:
        with _read_errors(path):
            image = images[number]
        yield image


def _read_labels(path, num_images):
    if not os.path.exists(path):
        return None
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a file of labels (np.save of float32 [N, L]): {error}") from error
    if table.ndim != 2 or len(table) != num_images or table.dtype.kind not in "fiub" or not np.isfinite(table).all():
        raise UserError(
            f"{path}: expected finite labels [{num_images}, L] for the images of the archive, got {table.dtype} "
            f"{list(table.shape)}"
        )
    return table.astype(np.float32)


def _check_free(path, force):
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UserError(f"there is no folder {folder} to write {os.path.basename(path)} to; make it first")
    for there in (path, _labels_path(path)):
        if os.path.isdir(there):
            raise UserError(f"{there} is a folder; give the name of a file to write")
        if os.path.exists(there) and not force:
            raise UserError(f"{there} is already there; choose another name or give --force")


class _Writer:
    """Writes an archive and its labels, which take their places only when the `with` block has ended well."""

    def __init__(self, path, resolution, channels, compress, force):
        _check_free(path, force)
        self._path = os.path.abspath(path)
        self._shapes = [(channels, 1 << log2, 1 << log2) for log2 in range(log2_resolution(resolution), -1, -1)]
        self._options = {"compression": "gzip", "compression_opts": 4} if compress else {}
        self._partial = f"{self._path}.tmp-{os.getpid()}"
        self._file = self._labels = None

    def __enter__(self):
        with needs("h5py", "writing HDF5"):
            import h5py
        try:
            with self._disk_errors():
                self._file = h5py.File(self._partial, "w")
                self._arrays = [
                    self._file.create_dataset(
                        f"data{shape[1]}x{shape[2]}",
                        shape=(0, *shape),
                        maxshape=(None, *shape),
                        chunks=(-(-_CHUNK_BYTES // math.prod(shape)), *shape),
                        dtype=np.uint8,
                        **self._options,
                    )
                    for shape in self._shapes
                ]
        except BaseException:
            self._abandon()
            raise
        self._pending = [[] for _ in self._arrays]
        return self

    def add(self, levels):
        """Appends one image, `make_levels` of it down to 1x1."""
        for array, pending, level in zip(self._arrays, self._pending, levels, strict=True):
            pending.append(level)
            if len(pending) * level.size >= _BLOCK_BYTES:
                self._flush(array, pending)

    def set_labels(self, table):
        """Gives the labels of all images, float32 `[N, L]`."""
        self._labels = table

    def _flush(self, array, pending):
        if pending:
            with self._disk_errors():
                array.resize(len(array) + len(pending), axis=0)
                array[-len(pending) :] = np.stack(pending)
            pending.clear()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._finish()
        finally:
            self._abandon()

    def _finish(self):
        labels_path, partial_labels = _labels_path(self._path), f"{self._partial}.npy"
        for array, pending in zip(self._arrays, self._pending):
            self._flush(array, pending)
        with self._disk_errors():
            self._file.flush()
            self._file.close()
            if self._labels is not None:
                np.save(partial_labels, self._labels)
                os.replace(partial_labels, labels_path)
            elif os.path.exists(labels_path):
                os.unlink(labels_path)  # of the archive that is replaced
            os.replace(self._partial, self._path)

    def _abandon(self):
        """Removes what has not taken its place."""
        if self._file:  # open
            # What HDF5 could not write it would write again when it closes, and end the process when that fails too.
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, self._file.id.get_vfd_handle())
            os.close(null)
            with contextlib.suppress(OSError, RuntimeError):
                self._file.close()
        for path in (self._partial, f"{self._partial}.npy"):
            with contextlib.suppress(OSError):
                os.unlink(path)

    @contextlib.contextmanager
    def _disk_errors(self):
        try:
            yield
        except (OSError, RuntimeError, UnicodeEncodeError) as error:
            text = " ".join(str(error).split())
            number = getattr(error, "errno", None) or int((re.search(r"errno = (\d+)", text) or [0, 0])[1])
            reason = os.strerror(number) if number else text[:200]
            raise UserError(
                f"could not write {self._path}: {reason}; free some space or choose another place"
            ) from error
