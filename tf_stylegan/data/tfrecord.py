"""The record files on disk: schema, writer and index.

A data set is a folder with one uncompressed TFRecord file per power of two, `<base>-r<log2 resolution>.tfrecords`,
from the full resolution down to 4x4 (`r02`), all with the same images in the same order, and optionally
`<base>-rxx.labels`, a `np.save` of float32 `[N, L]`. A record is an `Example` of `shape` (int64 [3], channels first)
and `data` (the uint8 pixels). Layout of the original: NVlabs/stylegan2 `dataset_tool.py`; written afresh.
"""

import contextlib
import functools
import math
import os
import re

import numpy as np
import tensorflow as tf

from tf_stylegan import files
from tf_stylegan.data.levels import MAX_LOG2, MIN_LOG2, log2_resolution, make_levels
from tf_stylegan.data.staging import alone, partial_folder
from tf_stylegan.errors import UserError

FILE_NAME = re.compile(r"(?P<base>[^.].*)-r(?P<log2>\d\d)\.tfrecords", re.DOTALL)
LABELS_SUFFIX = "-rxx.labels"
VALIDATION = "validation-"  # begins the names of a second set in the same folder, a habit of stylegan2-ada
_HEADER_BYTES = 12  # length (u64) and its masked CRC (u32)
_FOOTER_BYTES = 4  # masked CRC of the data


# ---------------------------------------------------------------------------------------------------------------------
# Schema: one image <-> the records of all resolutions.


def encode_image(image):
    """Serialises one image for every file, full resolution first; see `make_levels`.

    Args:
        image: uint8 `[C, H, W]`, H = W a power of two from 4.
    Returns:
        list of serialised examples, for r<log2 H>, …, r03, r02.
    """
    if (
        image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[1] != image.shape[2]
        or not log2_resolution(image.shape[1])
    ):
        raise ValueError(
            f"encode_image takes uint8 [C, R, R], R a power of two from 4; got {image.dtype} {image.shape}"
        )
    return [_serialize(level) for level in make_levels(image)]


def _serialize(image):
    before, after = _surroundings(image.shape)
    return b"".join((before, image.data, after))


@functools.lru_cache(maxsize=64)
def _surroundings(shape):
    """What stands before and behind the pixels in every record of this shape: bytes, bytes.

    Serialising an example copies its pixels several times while no other thread may run; this way they are copied once.
    """
    size = math.prod(shape)
    feature = {
        "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=shape)),
        "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"\xff" * size])),
    }
    # Deterministic: protobuf maps have no order of their own, and files are compared byte by byte.
    record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
    start = record.index(b"\xff" * min(size, 16))  # what precedes the pixels is the end of a length, below 0x80
    return record[:start], record[start + size :]


def decode_record(serialized, where):
    """Reads what `encode_image` wrote, or the original tool.

    Args:
        serialized: bytes of one example.
        where: "file, record 7", for messages.
    Returns:
        uint8 `[C, H, W]`.
    Raises:
        UserError: when it is no such example, or the pixels do not fill the shape.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
        shape, data = tuple(features["shape"].int64_list.value), features["data"].bytes_list.value[0]
    except Exception as error:  # protobuf's own DecodeError is no public name of TensorFlow
        raise UserError(f"{where}: not an image record with `shape` and `data`; convert the images again") from error
    if len(shape) != 3 or min(shape) < 1 or np.prod(shape) != len(data):
        raise UserError(f"{where}: shape {list(shape)} does not fit its {len(data)} bytes of pixels; convert again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def dataset_files(directory, validation=False):
    """Record and label files in a folder: those of the data set, or those of the validation set beside it."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    names = [name for name in names if name.startswith(VALIDATION) == validation and not name.startswith(".")]
    return [name for name in names if FILE_NAME.fullmatch(name) or name.endswith(LABELS_SUFFIX)]


# ---------------------------------------------------------------------------------------------------------------------
# Writer.


class RecordWriter:
    """Writes a data set; nothing of it is visible in `directory` before the `with` block has ended well.

    Files grow in a hidden sub-folder, and are moved into place labels first, then from the full resolution down: at
    every instant the folder holds either nothing usable or something that reads correctly at full resolution.

    Args:
        directory: folder of the data set, made if need be; its last part names the files.
        resolution: height = width, a power of two from 4.
        num_channels: 1 or 3.
        force: True to replace a data set that is already there (only once the new one is complete).
        validation: write the validation set of that folder: `validation-<base>-…`; the data set itself is left alone.
    Raises:
        UserError: when a data set is already there, or the disk is full or not writable.
    """

    def __init__(self, directory, resolution, num_channels, force=False, validation=False):
        self.directory = os.path.abspath(directory)
        self.image_shape = (num_channels, resolution, resolution)
        self.num_images = 0
        self._log2 = log2_resolution(resolution)
        if not self._log2:
            raise UserError(
                f"resolution must be a power of two from {1 << MIN_LOG2} to {1 << MAX_LOG2}, got {resolution}"
            )
        if not os.path.basename(self.directory):
            raise UserError(f"{directory} has no name that files could have; give a folder such as datasets/cats")
        check_free(self.directory, force, validation)
        self._force, self._validation = force, validation
        self._labels = None
        self._partial, self._writers, self._stack = None, [], None

    @property
    def base(self):
        """Beginning of every file's name."""
        return VALIDATION * self._validation + os.path.basename(self.directory)

    def __enter__(self):
        with contextlib.ExitStack() as stack, self._disk_errors():
            self._partial = stack.enter_context(partial_folder(self.directory))
            stack.callback(self._abandon_writers)
            for name in self._record_names():
                # As bytes: TensorFlow takes any name that the system takes, but no text that is not UTF-8.
                path = os.fsencode(os.path.join(self._partial, name))
                self._writers.append(tf.io.TFRecordWriter(path))
            self._stack = stack.pop_all()
        return self

    def _record_names(self):
        return [f"{self.base}-r{log2:02d}.tfrecords" for log2 in range(self._log2, MIN_LOG2 - 1, -1)]

    def add(self, image):
        """Appends one image, uint8 `[C, H, W]`."""
        if image.shape != self.image_shape:
            raise ValueError(f"image {self.num_images} has shape {image.shape}, the data set {self.image_shape}")
        self.add_encoded(encode_image(image))

    def add_encoded(self, records):
        """Appends one image that `encode_image` has serialised (in another thread, say)."""
        with self._disk_errors():
            for writer, record in zip(self._writers, records, strict=True):
                writer.write(record)
        self.num_images += 1

    def add_many(self, images):
        """Appends images, uint8 `[N, C, H, W]`: quicker than one by one when they are small."""
        if images.shape[1:] != self.image_shape or images.dtype != np.uint8:
            raise ValueError(f"images {images.dtype} {images.shape[1:]}, the data set is uint8 {self.image_shape}")
        with self._disk_errors():
            for writer, level in zip(self._writers, make_levels(images), strict=True):
                for image in level:
                    writer.write(_serialize(image))
        self.num_images += len(images)

    def set_labels(self, labels):
        """Gives the labels of all images, float `[N, L]` in the order of `add`."""
        self._labels = np.asarray(labels, np.float32)

    def complete(self):
        """Writes all that is still to be written: what is left for the end of the block is moving the files.

        Call it on each of several writers whose data sets belong together before the first of their blocks ends.
        """
        if not self.num_images:
            raise UserError(f"no image was added to {self.directory}: nothing written")
        if self._labels is not None and (self._labels.ndim != 2 or len(self._labels) != self.num_images):
            raise ValueError(f"labels {self._labels.shape} for {self.num_images} images")
        with self._disk_errors():
            self._close_writers()
            if self._labels is not None:
                with open(os.path.join(self._partial, self.base + LABELS_SUFFIX), "wb") as file:
                    np.save(file, self._labels)

    def _close_writers(self):
        while self._writers:
            self._writers.pop().close()

    def _abandon_writers(self):
        with contextlib.suppress(tf.errors.OpError):
            self._close_writers()

    def __exit__(self, kind, *_):
        with self._stack:
            if kind is None:
                self.complete()
                with self._disk_errors(), alone(self.directory):
                    check_free(self.directory, self._force, self._validation)  # another process may have been quicker
                    self._move_into_place([self.base + LABELS_SUFFIX] * (self._labels is not None))

    def _move_into_place(self, label_names):
        replaced = os.path.join(self._partial, "replaced")
        os.mkdir(replaced)
        try:
            for name in dataset_files(self.directory, self._validation):
                os.replace(os.path.join(self.directory, name), os.path.join(replaced, name))
            for name in [*label_names, *self._record_names()]:
                os.replace(os.path.join(self._partial, name), os.path.join(self.directory, name))
        except BaseException:  # Ctrl-C too: the old data set comes back whole
            for name in dataset_files(self.directory, self._validation):
                os.unlink(os.path.join(self.directory, name))
            for name in os.listdir(replaced):
                os.replace(os.path.join(replaced, name), os.path.join(self.directory, name))
            raise

    @contextlib.contextmanager
    def _disk_errors(self):
        try:
            yield
        except (OSError, tf.errors.OpError, UnicodeEncodeError) as error:
            reason = getattr(error, "strerror", None) or _said(error)
            raise UserError(
                f"could not write {self.directory}: {reason}; nothing was changed there. {files.advice(reason)}"
            ) from error


def _said(error):
    """The first line of an error of TensorFlow's, without what it says of its own inside."""
    return re.sub(r"\{\{.*?\}\}\s*", "", str(getattr(error, "message", error))).split("\n")[0]


def check_free(directory, force=False, validation=False):
    """Raises UserError when `directory` is a file, or holds a data set that `force` does not allow to replace."""
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise UserError(f"{directory} is a file; give the folder of the data set")
    found = dataset_files(directory, validation)
    if found and not force:
        raise UserError(f"{directory} already holds a data set ({found[0]}, …); choose another folder or give --force")


# ---------------------------------------------------------------------------------------------------------------------
# Index: where each record begins.


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # CRC-32C (Castagnoli), reflected
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def masked_crc32c(data):
    """CRC-32C of bytes with the mask of the TFRecord format (for headers and tests: slow on megabytes)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def index_records(path):
    """Walks the framing of a TFRecord file; of each record only the 12-byte header is read.

    Returns:
        offsets: int64 `[N]`, byte at which each record's header begins.
        lengths: int64 `[N]`, bytes of each record's data, framing not counted.
    Raises:
        UserError: naming file, record and byte offset, when a header is corrupt or the file truncated; when there is
            no record; when the file cannot be read.
    """
    offsets, lengths, sound_headers = [], [], set()
    try:
        with open(path, "rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):  # not on macOS
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # read-ahead would read the pixels too
            size, offset = os.fstat(file.fileno()).st_size, 0
            while offset < size:
                header = os.pread(file.fileno(), _HEADER_BYTES, offset)
                where = f"{path}: record {len(offsets)} at byte {offset}"
                if len(header) < _HEADER_BYTES:
                    raise UserError(f"{where} is truncated; copy or convert the file again")
                if header not in sound_headers:  # records of one size have one header: its CRC is computed once
                    if masked_crc32c(header[:8]) != int.from_bytes(header[8:], "little"):
                        raise UserError(f"{where} is corrupt (length checksum); copy or convert the file again")
                    sound_headers.add(header)
                length = int.from_bytes(header[:8], "little")
                end = offset + _HEADER_BYTES + length + _FOOTER_BYTES
                if end > size:
                    raise UserError(
                        f"{where} is truncated: it ends at byte {end}, the file at {size}; copy or convert it again"
                    )
                offsets.append(offset)
                lengths.append(length)
                offset = end
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    if not offsets:
        raise UserError(f"{path} holds no records; convert the images again")
    return np.array(offsets, np.int64), np.array(lengths, np.int64)


def framed_length(record):
    """Bytes that a record takes in its file: in a file of records of one length, how far apart they begin."""
    return _HEADER_BYTES + len(record) + _FOOTER_BYTES


def index_images(path):
    """`index_records` of a file of images, all of which must have one size.

    Returns:
        offsets: int64 `[N]`.
        shape: `(C, H, W)` of the first image.
    Raises:
        UserError: as `index_records`; naming file and record when record lengths differ or the first is no image.
    """
    offsets, lengths = index_records(path)
    shape = decode_record(read_record(path, offsets[0]), f"{path}: record 0").shape
    odd = np.flatnonzero(lengths != lengths[0])
    if len(odd):
        raise UserError(
            f"{path}: records disagree in shape: record {odd[0]} (byte {offsets[odd[0]]}) has {lengths[odd[0]]} bytes, "
            f"record 0 ({list(shape)}) has {lengths[0]}; convert the images again"
        )
    return offsets, shape


@tf.autograph.experimental.do_not_convert  # it would warn of os.fsencode, whose source it looks for
def record_at(path, offset, buffer_bytes=0):
    """The record at a byte offset, as a scalar string tensor; works in a `tf.data` graph, with no Python per record.

    Args:
        path: the file.
        offset: int64 scalar (tensor) from `index_records`.
        buffer_bytes: read-ahead; 0 reads exactly the record.
    Raises:
        tf.errors.DataLossError: when the data does not match its checksum.
    """
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=[os.fsencode(path)],
        compression_type="",
        buffer_size=buffer_bytes,
        byte_offsets=tf.reshape(offset, [1]),
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string)).take(1).get_single_element()


def read_record(path, offset):
    """Bytes of the record at `offset`; UserError naming file, record and offset when it is damaged."""
    try:
        return record_at(path, tf.constant(offset, tf.int64)).numpy()
    except tf.errors.OpError as error:
        number = np.searchsorted(index_records(path)[0], offset)
        raise damage(path, number, offset, error) from error


def damage(path, number, offset, error):
    """The UserError for a record that TensorFlow could not read."""
    is_checksum = isinstance(error, tf.errors.DataLossError)
    reason = "its data does not fit its checksum" if is_checksum else _said(error)
    return UserError(f"{path}: record {number} at byte {offset} is damaged ({reason}); copy or convert the file again")
