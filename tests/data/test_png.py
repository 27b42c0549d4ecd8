"""The quick way to decode PNG files: always what the slow way gives, and taken only where it may be."""

import io
import struct

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from data.image_folders import picture
from data.picture_zoo import chunk

from tf_stylegan.data import image_files, png


def saved(folder, image, **options):
    image.save(folder / "x.png", **options)
    return str(folder / "x.png")


def with_chunk(folder, image, kind, data, last=False):
    """A PNG file with one more chunk, before the pixels or at the end."""
    file = io.BytesIO()
    image.save(file, "PNG")
    content = file.getvalue()
    at = len(content) - 12 if last else 33
    (folder / "x.png").write_bytes(content[:at] + chunk(kind, data) + content[at:])
    return str(folder / "x.png")


def assert_same(path, **options):
    channels = options.pop("channels", 3)
    quick, notes = png.decode(path, channels, **options)
    slow, slow_notes = image_files.decode(path, channels, **options)
    np.testing.assert_array_equal(quick, slow)
    assert (notes, quick.dtype, quick.flags.c_contiguous) == (slow_notes, np.uint8, True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"resize": 8}, {"resize": 8, "crop": True}, {"crop": True}, {"resize": 32, "resize_filter": "box"}]
)
def test_plain_files(tmp_path, mode, channels, options):
    size = (24, 16) if options.get("crop") else (16, 16)
    path = saved(tmp_path, picture(size, mode))
    np.testing.assert_array_equal(png.read_plain(path).squeeze(), np.asarray(picture(size, mode)))
    assert_same(path, channels=channels, **options)


def test_chunks_that_say_nothing_about_pixels(tmp_path):
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("Title", "a cat")
    info.add_itxt("Comment", "eine Katze", "de")
    info.add_text("Long", "x" * 2000, zip=True)
    path = saved(tmp_path, picture(), pnginfo=info, dpi=(72, 72), icc_profile=b"profile")
    assert png.read_plain(path) is not None
    assert_same(path)


EXIF = PIL.Image.Exif()
EXIF[0x0112] = 6
XMP = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"tRNS", struct.pack(">3H", 1, 2, 3)),
        (b"eXIf", EXIF.tobytes()[6:]),
        (b"iTXt", XMP),
        (b"tEXt", b"Raw profile type exif\0" + b"\nexif\n 10\n" + EXIF.tobytes().hex().encode()),
        (b"cICP", bytes(4)),
        (b"juNk", b""),
    ],
)
def test_chunks_that_may_change_the_picture(tmp_path, kind, data, last):
    path = with_chunk(tmp_path, picture(), kind, data, last)
    assert png.read_plain(path) is None
    assert_same(path)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16"])
def test_other_kinds_of_pixels(tmp_path, mode):
    image = PIL.Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)) if mode == "I;16" else picture(mode=mode)
    path = saved(tmp_path, image)
    assert png.read_plain(path) is None
    assert_same(path)


def test_animated_files(tmp_path):
    path = saved(tmp_path, picture(), save_all=True, append_images=[picture(seed=1)])
    assert png.read_plain(path) is None
    assert_same(path)


def test_other_formats_and_no_file(tmp_path):
    picture().save(tmp_path / "x.jpg")
    assert png.read_plain(tmp_path / "x.jpg") is None
    assert_same(str(tmp_path / "x.jpg"))
    assert png.read_plain(tmp_path / "no.png") is None and png.read_plain(tmp_path) is None


@pytest.mark.parametrize("size", [0, 8, 20, 33, 40, 60, 150, -12, -16, -20])
def test_damage_is_left_to_the_slow_way(tmp_path, size):
    path = saved(tmp_path, picture())
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[:size])
    try:
        image_files.decode(path, 3)
    except image_files.DamagedImageError as error:
        with pytest.raises(image_files.DamagedImageError) as caught:
            png.decode(path, 3)
        assert caught.value.reason == error.reason
    else:
        assert_same(path)


def test_every_changed_byte_gives_what_the_slow_way_gives(tmp_path):
    path = saved(tmp_path, picture())
    content = (tmp_path / "x.png").read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x15
        (tmp_path / "x.png").write_bytes(damaged)
        try:
            expected = image_files.decode(path, 3)[0]
        except image_files.DamagedImageError:
            pixels = png.read_plain(path)
            assert pixels is None or np.array_equal(pixels, np.asarray(picture())), position  # a checksum of metadata
        else:
            np.testing.assert_array_equal(png.decode(path, 3)[0], expected, str(position))
