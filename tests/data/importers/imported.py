"""What the tests of all importers share: comparing what was written with what was put in, refusals, file formats."""

import os
import re
import struct

import numpy as np
import pytest

from tf_stylegan.data import inspect
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.errors import UserError

BATCHES = [f"data_batch_{number}" for number in range(1, 6)]  # CIFAR-10
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"  # MNIST


def random_images(count, *shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, [count, *shape]).astype(np.uint8)


def shuffled(values):
    """Values in the order in which the original tool writes them."""
    order = np.arange(len(values))
    np.random.RandomState(123).shuffle(order)
    return [values[number] for number in order]


def assert_holds(directory, images, classes=None, num_classes=0):
    """Checks a data set's images `[H, W, C]`, in order, all its resolutions, and its one-hot labels."""
    info = find_dataset(directory)
    np.testing.assert_array_equal(list(inspect.read_images(info.file_at(0))), np.stack(images))
    assert min(info.files) == 2 and len(info.files) == int(info.resolution).bit_length() - 2
    small = np.stack(images).astype(np.float64)
    while small.shape[1] > 4:
        n, h, w, c = small.shape
        small = small.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
    np.testing.assert_array_equal(list(inspect.read_images(info.files[2])), np.rint(small))
    if classes is None:
        assert info.labels_path is None
    else:
        expected = np.zeros([len(images), num_classes], np.float32)
        expected[np.arange(len(images)), classes] = 1
        stored = np.load(info.labels_path)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, expected)


def assert_refused(function, out, *arguments, match):
    """Checks that a UserError of one line is raised, and that nothing at all was written."""
    with pytest.raises(UserError) as caught:
        function(str(out), *map(str, arguments))
    message = str(caught.value)
    assert re.search(match, message), message
    assert "\n" not in message
    assert not os.path.exists(out)
    assert not os.path.exists(out.parent) or not [name for name in os.listdir(out.parent) if ".partial" in name]


def make_batch(images, classes, labels_key="labels"):
    """What is in a batch: images `[N, 32, 32, 3]` as rows of red, green, blue."""
    return {
        "batch_label": "training batch",
        labels_key: [int(number) for number in classes],
        "data": images.transpose(0, 3, 1, 2).reshape(len(images), -1),
        "filenames": [f"picture_{number:06d}.png" for number in range(len(images))],
    }


def idx(array, kind=8):
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
