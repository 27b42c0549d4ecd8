"""Colour profiles against the formulas behind them."""

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
from data.picture_zoo import cmyk_profile, icc_profile, photo, with_alpha

from tf_stylegan.data.color_profiles import to_srgb

ADOBE = icc_profile()
SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


def adobe_to_srgb(pixels):
    """By the matrices of the two standards (Adobe RGB (1998), 4.3.5.3; IEC 61966-2-1), 0 to 255."""
    linear = (pixels / 255.0) ** (563 / 256)
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_rgb = [[3.24063, -1.53721, -0.49863], [-0.96893, 1.87576, 0.04152], [0.05571, -0.20402, 1.05700]]
    linear = (linear @ np.array(to_xyz).T @ np.array(to_rgb).T).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_adobe_rgb():
    image = photo()
    converted, note = to_srgb(image, ADOBE)
    expected = adobe_to_srgb(np.asarray(image, float))
    assert note == "colour profile" and np.abs(np.asarray(converted) - expected).max() < 2
    assert np.abs(np.asarray(image) - expected).max() > 15  # the conversion is one


@pytest.mark.parametrize(
    "gamut", [SRGB, icc_profile((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), 2.2, "called otherwise")]
)
def test_srgb_by_any_name_is_left_alone(gamut):
    image = photo()
    converted, note = to_srgb(image, gamut)
    if gamut is SRGB:
        assert note is None and converted is image
    else:  # a pure power instead of the curve of sRGB: dark colours differ
        assert note == "colour profile" and np.abs(np.asarray(converted, int) - np.asarray(image)).max() < 12


@pytest.mark.parametrize("profile", [b"", b"nonsense", ADOBE[:150], ADOBE[:60] + b"?" * 400])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P"])
def test_useless_profiles(profile, mode):
    image = photo().convert(mode)
    converted, note = to_srgb(image, profile)
    assert converted is image and note == "useless colour profile"


def test_transparency_stays():
    image = with_alpha(photo())
    converted, note = to_srgb(image, ADOBE)
    assert note == "colour profile" and converted.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(converted)[..., 3], np.asarray(image)[..., 3])
    expected = adobe_to_srgb(np.asarray(image, float)[..., :3])
    assert np.abs(np.asarray(converted)[..., :3] - expected).max() < 2


def test_palette_and_grey_with_a_profile_of_colours():
    image = photo().quantize(16)
    converted, note = to_srgb(image, ADOBE)
    expected = adobe_to_srgb(np.asarray(image.convert("RGB"), float))
    assert note == "colour profile" and np.abs(np.asarray(converted) - expected).max() < 2
    grey, note = to_srgb(photo().convert("L"), ADOBE)
    assert note == "colour profile" and grey.mode == "L"
    expected = adobe_to_srgb(np.asarray(photo().convert("L").convert("RGB"), float))[..., 0]
    assert np.abs(np.asarray(grey) - expected).max() < 2


def test_cmyk():
    inks = np.zeros([2, 3, 4], np.uint8)
    inks[1, :, 3] = 255  # black ink only
    image = PIL.Image.fromarray(inks, "CMYK")
    converted, note = to_srgb(image, cmyk_profile())
    assert note == "colour profile" and converted.mode == "RGB"
    assert np.asarray(converted)[0].min() > 250 and np.asarray(converted)[1].max() < 60
    assert to_srgb(photo(), cmyk_profile())[1] == "useless colour profile"  # inks' profile in a picture of lights
