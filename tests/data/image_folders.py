"""Folders of pictures for tests, and what becomes of them."""

import re

import numpy as np
import PIL.Image
import pytest

from tf_stylegan.data import convert, inspect
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.errors import UserError


def picture(size=(8, 8), mode="RGB", seed=0):
    pixels = np.random.RandomState(seed).randint(0, 256, [size[1], size[0], 3]).astype(np.uint8)
    return PIL.Image.fromarray(pixels).convert(mode)


def convert_folder(folder, **options):
    out = folder.parent / "out"
    convert.create_from_images(out, folder, **options)
    return find_dataset(out)


def images_of(info):
    return list(inspect.read_images(info.file_at(0)))


def refused(folder, *parts, **options):
    """The message of the UserError; checks its parts and that nothing was written."""
    out = folder.parent / "out"
    with pytest.raises(UserError) as caught:
        convert.create_from_images(out, folder, **options)
    message = str(caught.value)
    assert re.search("(?s)" + ".*".join(re.escape(str(part)) for part in parts), message), message
    assert not out.exists()
    return message


def class_folders(folder):
    for number, name in enumerate(["cat/1.png", "cat/2.png", "dog/deep/1.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed=number).save(folder / name)
