"""Looking at data sets: contact sheet, extraction, facts, comparison."""

import json
import os

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tf_stylegan import images
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.labels import is_one_hot, summary, to_plain
from tf_stylegan.data.levels import log2_resolution
from tf_stylegan.data.tfrecord import dataset_files, decode_record, index_images, read_record, record_at
from tf_stylegan.data.words import counted
from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write

_MAX_SHEET_PIXELS = 4096  # width of a contact sheet
_RANGE_SAMPLE = 1000  # images looked at for the dynamic range


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
    print(f"{out}: images {numbers[0]} to {numbers[-1]} of {info.name!r} at {resolution}x{resolution}")
    info_labels = info.load_labels()[start : start + len(numbers)]
    if info.label_size and is_one_hot(info_labels):
        classes = info_labels.argmax(axis=1)
        for row in range(0, len(classes), columns):
            print("classes: " + " ".join(map(str, classes[row : row + columns])))


def extract(tfrecord_dir, output_dir, resolution=None, force=False):
    """Writes every image as `img00000000.png`, … and the labels, if any, as `dataset.json`.

    That file is what `create_from_images --labels` reads.

    Raises:
        UserError: when `output_dir` is not empty, unless `force`.
    """
    info = find_dataset(tfrecord_dir, resolution=resolution)
    if os.path.isdir(output_dir) and os.listdir(output_dir) and not force:
        raise UserError(f"{output_dir} is not empty; choose another folder or give --force to write into it")
    try:
        os.makedirs(output_dir, exist_ok=True)
    except OSError as error:
        raise UserError(f"could not make the folder {output_dir}: {error.strerror or error}") from error
    names = [f"img{number:08d}.png" for number in range(info.num_images)]
    for name, image in zip(tqdm(names, "images", disable=None), read_images(info.file_at(0))):
        images.save_png(os.path.join(output_dir, name), image)
    if info.label_size:
        with atomic_write(os.path.join(output_dir, "dataset.json"), "w") as file:
            json.dump({"labels": [list(pair) for pair in zip(names, to_plain(info.load_labels()))]}, file)
    print(f"{counted(info.num_images, 'image')} in {output_dir}")


def describe(tfrecord_dir):
    """Prints a data set's facts: resolution, images, labels, range, files; checks the index of every file.

    Raises:
        UserError: when a file is damaged, or disagrees with the others.
    """
    info = find_dataset(tfrecord_dir)
    low, high = 255, 0
    sample = range(0, info.num_images, -(-info.num_images // _RANGE_SAMPLE))  # spread over the whole set
    for image in read_images(info.file_at(0), sample):
        low, high = min(low, image.min()), max(high, image.max())
    print(f"name           {info.name}")
    print(f"folder         {info.directory}")
    print(f"images         {info.num_images}")
    print(f"resolution     {info.resolution}x{info.resolution}")
    print(f"channels       {info.num_channels} ({'grey' if info.num_channels == 1 else 'colour'})")
    print(f"dynamic range  {low} to {high}" + (f" (of {len(sample)} images)" if len(sample) < info.num_images else ""))
    print(f"labels         {summary(info.load_labels()) if info.label_size else 'none'}")
    for log2, path in sorted(info.files.items(), reverse=True):
        offsets, shape = index_images(path)
        print(f"file           {os.path.basename(path)}  {os.path.getsize(path):,} bytes")
        expected = (info.num_channels, 1 << log2, 1 << log2)
        if shape != expected or len(offsets) != info.num_images:
            raise UserError(
                f"{path}: expected {counted(info.num_images, 'image')} {list(expected)}, got {len(offsets)} of "
                f"{list(shape)}; convert the images again"
            )
    records = [name for name in dataset_files(tfrecord_dir, validation=True) if name.endswith(".tfrecords")]
    if records:  # sorted: the last has the full resolution
        offsets, (_, height, width) = index_images(os.path.join(tfrecord_dir, records[-1]))
        print(f"validation     {counted(len(offsets), 'image')} {width}x{height} ({records[-1]}, …)")
    missing = [f"r{log2:02d}" for log2 in range(2, log2_resolution(info.resolution)) if log2 not in info.files]
    if missing:
        print(f"missing        {', '.join(missing)} (needed for growing from low resolution only)")


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
    print("\n".join(["different:", *differences]) if differences else "identical")
    return 1 if differences else 0
