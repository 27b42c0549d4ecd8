"""Looking at data sets: contact sheet, facts, comparison."""

import os

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tf_stylegan import images
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.labels import is_one_hot, summary
from tf_stylegan.data.levels import log2_resolution
from tf_stylegan.data.tfrecord import (
    FILE_NAME,
    damage,
    dataset_files,
    decode_record,
    index_images,
    read_record,
    record_at,
)
from tf_stylegan.data.words import counted, say
from tf_stylegan.errors import UserError

_MAX_SHEET_PIXELS = 4096  # width of a contact sheet
_RANGE_SAMPLE = 1000  # images looked at for the dynamic range
_READ_BYTES = 1 << 22  # at once, where a file is read from end to end


def read_images(path, numbers=None):
    """Generates the images of one record file, uint8 `[H, W, C]`.

    Args:
        path: the file.
        numbers: which records, in this order; None for all.
    Raises:
        UserError: naming file, record and offset when one is damaged.
    """
    offsets, _ = index_images(path)
    numbers = np.arange(len(offsets)) if numbers is None else np.array(numbers)
    records = tf.data.Dataset.from_tensor_slices(offsets[numbers]).map(lambda offset: record_at(path, offset))
    iterator = records.prefetch(8).as_numpy_iterator()
    for number in numbers:
        try:
            record = next(iterator)
        except tf.errors.OpError:
            record = read_record(path, offsets[number])  # says what is wrong with it, or reads it after all
        yield decode_record(record, f"{path}: record {number} at byte {offsets[number]}").transpose(1, 2, 0)  # HWC


def display(tfrecord_dir, out="grid.png", count=64, start=0, resolution=None):
    """Writes a contact sheet of `count` images from number `start` on, and prints what is on it.

    Args:
        tfrecord_dir: folder of the data set.
        out: PNG to write.
        count: images on the sheet.
        start: number of the first one.
        resolution: of the images; None for the largest that keeps the sheet within 4096 pixels.
    Raises:
        UserError: when there are no such images or the file cannot be written.
    """
    if not os.fspath(out).lower().endswith(".png"):
        raise UserError(f"--out={out}: the sheet is written as PNG; give a name that ends in .png")
    info = find_dataset(tfrecord_dir)
    if not 0 <= start < info.num_images or count < 1:
        raise UserError(f"--start={start} --count={count}: {info.name!r} has images 0 to {info.num_images - 1}")
    numbers = range(start, min(start + count, info.num_images))
    columns, _ = images.grid_size(len(numbers))
    if resolution is None:
        fitting = [log2 for log2 in info.files if columns << log2 <= _MAX_SHEET_PIXELS]
        resolution = 1 << max(fitting, default=min(info.files))
    path = find_dataset(tfrecord_dir, resolution=resolution).file_at(0)
    sheet = images.make_grid(np.stack(list(read_images(path, numbers))), columns)
    images.save_png(out, sheet)
    say(f"{out}: images {numbers[0]} to {numbers[-1]} of {info.name!r} at {resolution}x{resolution}")
    info_labels = info.load_labels()[start : start + len(numbers)]
    if info.label_size and is_one_hot(info_labels):
        classes = info_labels.argmax(axis=1)
        for row in range(0, len(classes), columns):
            say("classes: " + " ".join(map(str, classes[row : row + columns])))


def describe(tfrecord_dir, quick=False):
    """Prints a data set's facts: resolution, images, labels, range, files; reads every record of every file.

    Args:
        tfrecord_dir: folder of the data set.
        quick: look at the beginnings of records only, which tell their number and size, but not whether pixels are
            damaged.
    Raises:
        UserError: when a file is damaged, or disagrees with the others.
    """
    info = find_dataset(tfrecord_dir)
    low, high = 255, 0
    sample = range(0, info.num_images, -(-info.num_images // _RANGE_SAMPLE))  # spread over the whole set
    for image in read_images(info.file_at(0), sample):
        low, high = min(low, image.min()), max(high, image.max())
    say(f"name           {info.name}")
    say(f"folder         {info.directory}")
    say(f"images         {info.num_images}")
    say(f"resolution     {info.resolution}x{info.resolution}")
    say(f"channels       {info.num_channels} ({'grey' if info.num_channels == 1 else 'colour'})")
    say(f"dynamic range  {low} to {high}" + (f" (of {len(sample)} images)" if len(sample) < info.num_images else ""))
    say(f"labels         {summary(info.load_labels()) if info.label_size else 'none'}")
    for path in sorted(info.files.values(), reverse=True):
        _check_file(path, info.num_images, info.num_channels, quick)
        say(f"file           {os.path.basename(path)}  {os.path.getsize(path):,} bytes")
    records = [name for name in dataset_files(tfrecord_dir, validation=True) if name.endswith(".tfrecords")]
    if records:  # sorted: the last has the full resolution
        offsets, (channels, height, width) = index_images(os.path.join(tfrecord_dir, records[-1]))
        for name in reversed(records):
            _check_file(os.path.join(tfrecord_dir, name), len(offsets), channels, quick)
        say(f"validation     {counted(len(offsets), 'image')} {width}x{height} ({records[-1]}, …)")
    missing = [f"r{log2:02d}" for log2 in range(2, log2_resolution(info.resolution)) if log2 not in info.files]
    if missing:
        say(f"missing        {', '.join(missing)} (needed for growing from low resolution only)")
    say("checked        " + ("number and size of records (--quick)" if quick else "every record of every file"))


def _check_file(path, num_images, num_channels, quick):
    """UserError unless a record file holds so many images, of the resolution in its name, none of them damaged."""
    offsets, shape = index_images(path)
    log2 = int(FILE_NAME.fullmatch(os.path.basename(path))["log2"])
    expected = (num_channels, 1 << log2, 1 << log2)
    if shape != expected or len(offsets) != num_images:
        raise UserError(
            f"{path}: expected {counted(num_images, 'image')} {list(expected)}, got {len(offsets)} of "
            f"{list(shape)}; convert the images again"
        )
    if quick:
        return
    records = iter(tf.data.TFRecordDataset(os.fsencode(path), buffer_size=_READ_BYTES))
    for number in tqdm(range(len(offsets)), f"r{log2:02d}", disable=None):
        try:
            next(records)
        except (tf.errors.OpError, StopIteration) as error:
            raise damage(path, number, offsets[number], error) from error


def compare(tfrecord_dir_a, tfrecord_dir_b, ignore_labels=False):
    """Compares two data sets, every resolution and the labels, and prints "identical" or the first differences.

    Returns:
        0 when identical, 1 when not (the command's exit code).
    """
    a, b = find_dataset(tfrecord_dir_a), find_dataset(tfrecord_dir_b)
    differences = []
    for what in ("resolution", "num_channels", "num_images"):
        if getattr(a, what) != getattr(b, what):
            differences.append(f"{what.replace('_', ' ')}: {getattr(a, what)} and {getattr(b, what)}")
    only = sorted(a.files.keys() ^ b.files.keys())
    if only and not differences:
        differences.append("resolutions in one only: " + ", ".join(str(1 << log2) for log2 in only))
    if not ignore_labels:
        labels_a, labels_b = a.load_labels(), b.load_labels()
        if labels_a.shape != labels_b.shape:
            differences.append(f"labels: {list(labels_a.shape)} and {list(labels_b.shape)}")
        elif (labels_a != labels_b).any():
            differences.append(f"label of image {np.flatnonzero((labels_a != labels_b).any(axis=1))[0]}")
    if not differences or all(line.startswith("label") for line in differences):
        for log2 in sorted(a.files.keys() & b.files.keys(), reverse=True):
            numbers = tqdm(range(a.num_images), f"r{log2:02d}", disable=None)
            triples = zip(numbers, read_images(a.files[log2]), read_images(b.files[log2]))
            differing = [number for number, x, y in triples if x.shape != y.shape or (x != y).any()]
            if differing:
                differences.append(
                    f"{len(differing)} of {a.num_images} images at {1 << log2}x{1 << log2}, the first is {differing[0]}"
                )
    for line in ["different:", *differences] if differences else ["identical"]:
        say(line)
    return 1 if differences else 0
