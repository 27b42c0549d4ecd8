"""Squares: which part of a picture stays, and what is added."""

import numpy as np
import PIL.Image
import pytest
from data.picture_zoo import photo

from tf_stylegan.data import crop


def with_subject(size, box):
    """A smooth picture with a detailed thing in it."""
    ramp = np.linspace(60, 120, size[0])[None, :, None] + np.linspace(0, 30, size[1])[:, None, None]
    image = PIL.Image.fromarray(np.broadcast_to(ramp, (size[1], size[0], 3)).astype(np.uint8))
    thing = PIL.Image.fromarray(np.random.RandomState(0).randint(0, 256, [8, 8, 3]).astype(np.uint8))
    image.paste(thing.resize((box[2] - box[0], box[3] - box[1]), PIL.Image.Resampling.NEAREST), box[:2])
    return image


@pytest.mark.parametrize("place", [0, 100, 200])
@pytest.mark.parametrize("upright", [True, False])
def test_smart_crop_takes_the_subject(place, upright):
    box = (20, place, 80, place + 60) if upright else (place, 20, place + 60, 80)
    image = with_subject((100, 260) if upright else (260, 100), box)
    square, notes = crop.fit(image, None, "smart")
    assert square.size == (100, 100) and notes == ["cropped"]
    thing = np.asarray(image.crop(box))
    colors = {tuple(color) for color in thing.reshape(-1, 3)}
    kept = sum(tuple(color) in colors for color in np.asarray(square).reshape(-1, 3))
    assert kept == thing.shape[0] * thing.shape[1]  # the thing whole, and the background has no such colours


def test_smart_crop_is_repeatable_and_finds_the_middle_of_nothing():
    image = photo((200, 90))
    assert crop.find_subject(image) == crop.find_subject(image.copy())
    assert crop.find_subject(PIL.Image.new("RGB", (300, 100), "red")) == 0.5
    assert crop.find_subject(PIL.Image.new("L", (100, 300))) < 0.5  # of tall pictures rather above the middle
    assert 0 <= crop.find_subject(PIL.Image.new("RGB", (1, 3000))) <= 1


def test_center_crop_as_create_from_images_does_it():
    image = photo((101, 64))
    square, _ = crop.fit(image, None, "center")
    np.testing.assert_array_equal(square, np.asarray(image)[:, 18 : 18 + 64])


@pytest.mark.parametrize("size, scaled", [((100, 50), (64, 32)), ((30, 90), (21, 64)), ((1, 400), (1, 64))])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pad(size, scaled, mode):
    image = PIL.Image.new(mode, size, "blue" if mode == "RGB" else 7)
    square, notes = crop.fit(image, 64, "pad", background=(255, 0, 0))
    assert square.size == (64, 64) and notes[-1] == "padded"
    inside = np.asarray(square)[(64 - scaled[1]) // 2 :, (64 - scaled[0]) // 2 :][: scaled[1], : scaled[0]]
    color, bar = ((0, 0, 255), (255, 0, 0)) if mode == "RGB" else (7, 76)
    assert (inside == color).all()
    assert (np.asarray(square) == bar).all(axis=-1 if mode == "RGB" else ()).sum() == 64 * 64 - scaled[0] * scaled[1]


def test_none_keeps_the_shape_and_size_is_the_shorter_side():
    image, notes = crop.fit(photo((200, 100)), 32, "none")
    assert image.size == (64, 32) and notes == ["shrunk"]
    assert crop.fit(photo((20, 30)), 40, "none")[0].size == (40, 60)
    assert crop.fit(photo((20, 30)), None, "none")[1] == []


def test_nothing_is_done_to_what_fits():
    image = photo((32, 32))
    for method in crop.METHODS:
        fitted, notes = crop.fit(image, 32, method)
        assert notes == [] and fitted is image
