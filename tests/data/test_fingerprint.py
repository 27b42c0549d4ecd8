"""What tells pictures apart: hash of the pixels, look, sharpness."""

import io

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageFilter
import pytest
from data.picture_zoo import encoded, photo

from tf_stylegan.data.fingerprint import fingerprint, sharpness


def bits(a, b):
    return (fingerprint(a).look ^ fingerprint(b).look).bit_count()


def test_digest_is_of_size_and_pixels():
    image = photo()
    digest = fingerprint(image).digest
    assert digest == fingerprint(PIL.Image.open(io.BytesIO(encoded(image, "BMP")))).digest
    pixels = np.array(image)
    pixels[95, 95, 2] ^= 1
    assert digest != fingerprint(PIL.Image.fromarray(pixels)).digest
    assert digest != fingerprint(PIL.Image.fromarray(np.asarray(image).reshape(48, 192, 3))).digest
    grey = image.convert("L")
    assert fingerprint(grey) == fingerprint(grey.convert("RGB")) != fingerprint(image)


SAVED_ANEW = {
    "jpeg": lambda image: PIL.Image.open(io.BytesIO(encoded(image, "JPEG", quality=40))),
    "smaller": lambda image: image.resize((60, 60)),
    "larger": lambda image: image.resize((200, 200)),
    "brighter": lambda image: PIL.ImageEnhance.Brightness(image).enhance(1.15),
    "paler": lambda image: PIL.ImageEnhance.Contrast(image).enhance(0.8),
    "blurred": lambda image: image.filter(PIL.ImageFilter.GaussianBlur(1)),
    "grey": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("change", SAVED_ANEW)
def test_copies_look_alike(change):
    distances = [bits(image, SAVED_ANEW[change](image)) for image in (photo((128, 96), seed) for seed in range(20))]
    assert np.mean(distances) < 2.5 and max(distances) <= 4  # what check takes for a copy


def test_other_pictures_do_not():
    photos = [photo(seed=seed) for seed in range(40)]
    distances = [bits(a, b) for i, a in enumerate(photos) for b in photos[:i]]
    assert min(distances) > 10 and 28 < np.mean(distances) < 35
    assert bits(photos[0], photos[0].transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)) > 10


def test_flat_pictures_have_no_look_but_a_color():
    red, white = PIL.Image.new("RGB", (40, 30), "red"), PIL.Image.new("RGB", (30, 40), "white")
    assert fingerprint(red).look == fingerprint(white).look == 0
    assert (fingerprint(red).color, fingerprint(white).color) == ((255, 0, 0), (255, 255, 255))


def test_sharpness_is_the_variance_of_the_laplacian():
    pixels = np.zeros([5, 5], np.uint8)
    pixels[2, 2] = 10
    values = np.array([-40, 10, 10, 10, 10] + [0] * 20)
    assert sharpness(PIL.Image.fromarray(pixels)) == pytest.approx(values.var())
    assert sharpness(PIL.Image.new("RGB", (700, 300), "red")) == 0
    assert sharpness(PIL.Image.new("L", (1, 9000))) == 0


def test_sharpness_falls_with_blur_and_does_not_depend_on_the_size():
    image = photo((256, 256))
    values = [sharpness(image.filter(PIL.ImageFilter.GaussianBlur(radius))) for radius in (0, 0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True) and values[0] > 20 > values[-1]
    large = image.resize((1024, 1024), PIL.Image.Resampling.NEAREST)
    assert sharpness(large) == pytest.approx(values[0])
