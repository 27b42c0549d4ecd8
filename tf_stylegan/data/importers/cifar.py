"""CIFAR-10 and CIFAR-100 in their "python version": pickles written by Python 2, read here without running them."""

import os

import numpy as np

from tf_stylegan.data.importers.common import (
    check_array,
    check_classes,
    check_files,
    check_folder,
    note_count,
    read_pickle,
    write_arrays,
)
from tf_stylegan.data.tfrecord import check_free
from tf_stylegan.errors import UserError

_NUM_IMAGES = 50_000  # to train with, in both


def create_cifar10(tfrecord_dir, cifar10_dir, ignore_labels=False, force=False):
    """CIFAR-10's training images, 32x32 RGB, with one-hot labels.

    Args:
        tfrecord_dir: folder to write.
        cifar10_dir: folder of `data_batch_1` to `data_batch_5`, or the one around it.
        ignore_labels: leave the labels out.
        force: replace a data set that is there.
    Returns:
        number of images written.
    Raises:
        UserError: a file is missing, damaged or of another kind; nothing has been written then.
    """
    names = [f"data_batch_{number}" for number in range(1, 6)]
    return _create(tfrecord_dir, cifar10_dir, "CIFAR-10", names, "labels", 10, ignore_labels, force)


def create_cifar100(tfrecord_dir, cifar100_dir, force=False):
    """CIFAR-100's training images with one-hot labels of its hundred fine classes; see `create_cifar10`.

    Args:
        cifar100_dir: folder of the file `train`, or the one around it.
    """
    return _create(tfrecord_dir, cifar100_dir, "CIFAR-100", ["train"], "fine_labels", 100, False, force)


def _create(tfrecord_dir, folder, what, names, labels_key, num_classes, ignore_labels, force):
    check_free(tfrecord_dir, force)
    check_folder(folder, what)
    inner = os.path.join(folder, what.lower() + ("-batches-py" if what == "CIFAR-10" else "-python"))
    folder = inner if os.path.isdir(inner) else folder
    check_files(folder, names, f"{what}'s python version")
    parts = [_read_batch(os.path.join(folder, name), labels_key, num_classes) for name in names]
    images, classes = (np.concatenate(arrays) for arrays in zip(*parts))
    note_count(what, _NUM_IMAGES, len(images))
    return write_arrays(tfrecord_dir, images, None if ignore_labels else classes, num_classes, force)


def _read_batch(path, labels_key, num_classes):
    """Images uint8 `[N, 3, 32, 32]` and classes `[N]` of one file."""
    batch = read_pickle(path)
    if type(batch) is not dict or not {"data", labels_key} <= batch.keys():
        raise UserError(f"{path} is no batch of images: expected `data` and `{labels_key}` in it")
    data, classes = batch["data"], batch[labels_key]
    if not isinstance(data, np.ndarray):
        raise UserError(f"{path}: expected an array of images as `data`, got {type(data).__name__}")
    check_array(data, (None, 3 * 32 * 32), f"{path}: `data`")
    if not isinstance(classes, np.ndarray) and not (type(classes) is list and all(type(c) is int for c in classes)):
        raise UserError(f"{path}: expected a list of class numbers as `{labels_key}`")
    return data.reshape(-1, 3, 32, 32), check_classes(classes, len(data), num_classes, f"{path}: `{labels_key}`")
