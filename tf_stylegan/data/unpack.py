"""Data sets as folders of PNG files and back again, labels and all, with nothing lost on the way.

The folder is laid out as stylegan2-ada's `unpack` does it, `00000/img00000000.png` with a thousand images to a folder;
labels are a `dataset.json`, as stylegan2-ada-pytorch's dataset tool reads and writes it.
"""

import collections
import concurrent.futures
import json
import os
import re
import zipfile

import numpy as np
from tqdm import tqdm

from tf_stylegan.data import image_files, labels, png
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.image_folder import ImageFolder
from tf_stylegan.data.inspect import read_images
from tf_stylegan.data.parallel import num_threads, ordered
from tf_stylegan.data.staging import new_folder
from tf_stylegan.data.tfrecord import RecordWriter, check_free, dataset_files, encode_image
from tf_stylegan.data.words import counted, say
from tf_stylegan.errors import UserError
from tf_stylegan.images import to_pillow

_ADA_LABELS = "pack_extras.npz"  # stylegan2-ada's: whole numbers from 0 to 255 only
_NAME = re.compile(r"(?:\d{5,}/)?img(\d{8,})\.png")

MOST_PIXELS = 8192  # of a side


def unpack(tfrecord_dir, output_dir, resolution=None, resize_filter="lanczos"):
    """Writes every image as a PNG file, and the labels, if any, as `dataset.json`.

    Args:
        tfrecord_dir: folder of the data set.
        output_dir: folder to fill; it must be empty or not exist yet.
        resolution: scale to this height = width, None to leave the images as they are.
        resize_filter: "lanczos" as stylegan2-ada does, or "box": by a whole number, the exact mean.
    Returns:
        number of images written.
    Raises:
        UserError: nothing has been written then.
    """
    info = find_dataset(tfrecord_dir)
    if resolution is not None and not 1 <= resolution <= MOST_PIXELS:
        raise UserError(f"--resolution must be from 1 to {MOST_PIXELS}, got {resolution}")
    names = [f"{number // 1000:05d}/img{number:08d}.png" for number in range(info.num_images)]
    return _write_images(info, names, output_dir, resolution, resize_filter)


def extract(tfrecord_dir, output_dir, resolution=None, force=False):
    """`unpack` without sub-folders, `img00000000.png`, …; lower resolutions are those of the records.

    Args:
        tfrecord_dir, output_dir: see `unpack`.
        resolution: one that the data set has, None for the full one.
        force: write into a folder that is not empty; only files of the same names are replaced.
    """
    info = find_dataset(tfrecord_dir, resolution=resolution)
    return _write_images(info, [f"img{number:08d}.png" for number in range(info.num_images)], output_dir, force=force)


def _write_images(info, names, output_dir, resolution=None, resize_filter="lanczos", force=None):
    with new_folder(output_dir, force) as folder, concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool:
        for parent in sorted({os.path.dirname(name) for name in names}):
            os.makedirs(os.path.join(folder, parent), exist_ok=True)

        def save(item):
            name, pixels = item
            image = to_pillow(pixels)
            if resolution is not None:
                pixels, _ = image_files.fit(image, [], info.num_channels, resolution, resize_filter=resize_filter)
                image = to_pillow(pixels.transpose(1, 2, 0))
            image.save(os.path.join(folder, name))

        saved = ordered(pool, save, zip(names, read_images(info.file_at(0))))
        for _ in tqdm(saved, "images", info.num_images, disable=None):
            pass
        if info.label_size:
            with open(os.path.join(folder, labels.FILE), "w", encoding="utf-8") as file:
                json.dump({"labels": [list(pair) for pair in zip(names, labels.to_plain(info.load_labels()))]}, file)
    say(f"{counted(info.num_images, 'image')} in {output_dir}")
    return info.num_images


def pack(unpacked_dir, tfrecord_dir, num_train=None, num_validation=0, mirror=False, seed=None, force=False):
    """Makes a data set of an unpacked folder, and a validation set (`validation-…`) beside it if asked for.

    Args:
        unpacked_dir: folder written by `unpack` (or `extract`, stylegan2-ada's `unpack`, stylegan2-ada-pytorch's
            dataset tool); the images may have been edited.
        tfrecord_dir: folder to write.
        num_train: images of the training set; None for all that the validation set leaves.
        num_validation: images of the validation set, those after the training set's.
        mirror: add every training image mirrored.
        seed: deal out the images in this random order; None for the order of their numbers. The orders are those of
            stylegan2-ada.
        force: replace a data set that is there.
    Returns:
        number of images in the training set.
    Raises:
        UserError: nothing has been written then.
    """
    check_free(tfrecord_dir, force)
    if num_validation:
        check_free(tfrecord_dir, force, validation=True)
    elif found := dataset_files(tfrecord_dir, validation=True):
        raise UserError(
            f"{tfrecord_dir} holds a validation set ({found[0]}, …), which would no longer belong to the new data set; "
            "delete it or choose another folder"
        )
    if seed is not None and not 0 <= seed < 1 << 32:
        raise UserError(f"--seed must be a number from 0 to {(1 << 32) - 1}, got {seed}")
    with concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool:
        folder = ImageFolder(pool, unpacked_dir, options=False, unsaid=(labels.FILE, _ADA_LABELS))
        if folder.damaged:  # all is lost; the rest is read to name whatever else is damaged
            collections.deque(folder.work_through(range(len(folder.images)), lambda _, path: png.decode(path, 3)), 0)
        _check_names(folder)
        num_train = _check_counts(len(folder.images), num_train, num_validation)
        table = _read_labels(folder)
        train, mirrored, validation = _deal(len(folder.images), num_train, num_validation, mirror, seed)
        channels = 1 if folder.is_grey else 3

        def fill(writer, numbers, flips):
            def work(position, path):
                pixels, _ = png.decode(path, channels)
                return encode_image(np.ascontiguousarray(pixels[:, :, ::-1]) if flips[position] else pixels)

            for _, records in folder.work_through(numbers, work):
                writer.add_encoded(records)
            if table is not None:
                writer.set_labels(table[numbers])
            writer.complete()

        with RecordWriter(tfrecord_dir, folder.resolution, channels, force) as writer:
            fill(writer, train, mirrored)
            if num_validation:
                with RecordWriter(tfrecord_dir, folder.resolution, channels, force, validation=True) as other:
                    fill(other, validation, np.zeros(num_validation, bool))
    size = f"{folder.resolution}x{folder.resolution}x{channels}"
    say(
        f"{counted(len(train), 'image')} {size} in {tfrecord_dir}"
        + f", {num_validation} for validation" * (num_validation > 0)
    )
    if table is not None:
        say(f"labels: {labels.summary(table[train], short=True)}")
    return len(train)


def _check_names(folder):
    """UserError unless the images are numbered without a gap (paths are sorted, and so are the numbers in them)."""
    for number, image in enumerate(folder.images):
        match = _NAME.fullmatch(image.path)
        if not match or int(match[1]) != number:
            expected = f"{number // 1000:05d}/img{number:08d}.png"
            raise UserError(
                f"{folder.directory}: expected {expected} where {image.path} is; an unpacked folder holds all numbers "
                "from 0 on. Use create_from_images for any other folder"
            )


def _check_counts(num_images, num_train, num_validation):
    """The number of images to train on."""
    if num_validation < 0:
        raise UserError(f"--num_validation must not be negative, got {num_validation}")
    if num_train is None:
        num_train = num_images - num_validation
    if num_train < 1 or num_train + num_validation > num_images:
        raise UserError(
            f"there are {counted(num_images, 'image')}, which cannot give {num_train} for training and "
            f"{num_validation} for validation; change --num_train or --num_validation"
        )
    return num_train


def _deal(num_images, num_train, num_validation, mirror, seed):
    """Deals as stylegan2-ada does: numbers of the training set, which of them are mirrored, numbers for validation."""
    order = np.arange(num_images)
    if seed is not None:
        np.random.RandomState(seed).shuffle(order)
    train, validation = np.split(order[: num_train + num_validation], [num_train])
    flips = np.zeros(num_train, bool)
    if mirror:
        train, flips = np.tile(train, 2), np.repeat([False, True], num_train)
        if seed is not None:
            both = np.arange(2 * num_train)
            np.random.RandomState(seed).shuffle(both)
            train, flips = train[both], flips[both]
    return train, flips, validation


def _read_labels(folder):
    """Labels of all images, float32 `[N, L]`, or None."""
    paths = [image.path for image in folder.images]
    if path := labels.of_folder(folder.directory):
        by_path = labels.from_file(path, paths, known=folder.damaged)
        return labels.to_array([by_path[path] for path in paths], paths, path)
    if os.path.exists(os.path.join(folder.directory, labels.FILE)):
        return None  # it says so
    path = os.path.join(folder.directory, _ADA_LABELS)
    if not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            table = file["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not the labels that stylegan2-ada's unpack writes ({error})") from error
    if table.ndim != 2 or len(table) != folder.num_files or table.dtype.kind not in "fiub":
        raise UserError(
            f"{path}: expected labels [{folder.num_files}, L] for the images that are there, got {table.dtype} "
            f"{list(table.shape)}; unpack again"
        )
    return table.astype(np.float32) if table.shape[1] else None
