"""Image files of any kind: what is recognised, and what the pixels become."""

import os
import shutil
import threading

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from data import picture_zoo as zoo

from tf_stylegan.data import image_files
from tf_stylegan.data.image_files import DamagedImageError, ImageFile, probe

WHITE = (255, 255, 255)


def read(folder, name, data, **options):
    zoo.fill(folder, {name: (data,)})
    return image_files.read(folder / name, WHITE, **options)


def test_16_bits_are_scaled_not_cut_off(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    grey, notes = read(tmp_path, "a.png", zoo.encoded(PIL.Image.fromarray(ramp)))
    assert notes == ["16-bit"] and grey.mode == "L"
    np.testing.assert_array_equal(grey, np.rint(ramp / 257))
    color, notes = read(tmp_path, "b.png", zoo.deep_png(np.stack([ramp, ramp[::-1], ramp.T], 2)))
    assert notes == ["16-bit"] and color.mode == "RGB"
    expected = np.stack([ramp, ramp[::-1], ramp.T], 2) / 257
    assert np.abs(np.asarray(color) - expected).max() <= 1 and np.asarray(color).max() == 255


def test_one_value_of_16_bits_that_is_transparent(tmp_path):
    values = np.array([[0, 1, 300], [40000, 65535, 0]], np.uint16)  # 1 is black too, but not transparent
    data = zoo.encoded(PIL.Image.fromarray(values), transparency=0)
    grey, notes = read(tmp_path, "a.png", data)
    assert sorted(notes) == ["16-bit", "transparency"] and grey.mode == "L"
    np.testing.assert_array_equal(grey, [[255, 0, 1], [156, 255, 255]])
    for srgb in (False, True):
        black, _ = image_files.read(tmp_path / "a.png", (0, 0, 0), srgb)
        np.testing.assert_array_equal(black, [[0, 0, 1], [156, 255, 0]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_in_every_format(tmp_path, orientation):
    for name, form in (("a.png", "PNG"), ("a.tif", "TIFF")):
        image, notes = read(tmp_path, name, zoo.encoded(zoo.photo((16, 12)), form, exif=zoo.exif(orientation)))
        assert notes == ["EXIF-rotated"] * (orientation > 1)
        assert image.size == ((16, 12) if orientation < 5 else (12, 16))
        np.testing.assert_array_equal(image, PIL.ImageOps.exif_transpose(PIL.Image.open(tmp_path / name)))


def test_colors_follow_the_profile_when_asked_to(tmp_path):
    image = zoo.photo()
    data = zoo.encoded(image, icc_profile=zoo.icc_profile())
    kept, notes = read(tmp_path, "a.png", data)
    np.testing.assert_array_equal(kept, image)
    assert notes == []
    converted, notes = read(tmp_path, "a.png", data, srgb=True)
    assert notes == ["colour profile"] and np.abs(np.asarray(converted, int) - np.asarray(image)).max() > 15


@pytest.mark.parametrize("name", zoo.special())
def test_kinds_are_the_same_with_and_without_profiles(tmp_path, name):
    """The way through the profile must not lose sight of what else a file is."""
    data, kinds = zoo.special()[name]
    _, notes = read(tmp_path, name, data, srgb=True)
    assert set(notes) == kinds - {"grey", "animated"}


def test_palette_and_transparency_with_a_profile(tmp_path):
    image = zoo.with_alpha(zoo.photo()).quantize(32, method=PIL.Image.Quantize.FASTOCTREE)
    flat, notes = read(tmp_path, "a.png", zoo.encoded(image, icc_profile=zoo.icc_profile()), srgb=True)
    assert sorted(notes) == ["colour profile", "palette", "transparency"]
    assert (np.asarray(flat)[:, :40] == 255).all()  # the background is sRGB already


def test_cmyk_with_a_profile(tmp_path):
    inks = np.zeros([16, 16, 4], np.uint8)
    inks[:8, :, 3] = 255
    data = zoo.encoded(PIL.Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=zoo.cmyk_profile(black_lightness=128))
    image, notes = read(tmp_path, "a.tif", data, srgb=True)
    assert sorted(notes) == ["CMYK", "colour profile"] and image.mode == "RGB"
    kept, notes = read(tmp_path, "a.tif", data)
    assert notes == ["CMYK"]
    # Of the two ways black ink looks, the profile's is grey; black point compensation then stretches it to black.
    assert np.asarray(image)[8:].min() > 250 and np.asarray(kept)[:8].max() < 5


@pytest.mark.parametrize("name", zoo.broken())
def test_broken_files(tmp_path, name):
    zoo.fill(tmp_path, zoo.broken())
    found = probe(tmp_path, name)
    if isinstance(found, ImageFile) and name != "raw.NEF":  # a sound header
        with pytest.raises(DamagedImageError, match="truncated"):
            image_files.read(tmp_path / name, WHITE)
    else:
        assert type(found) is {"raw.NEF": ImageFile, "phone.HEIC": type(None)}.get(name, str)  # survey knows those two


def test_what_is_no_picture(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    assert [probe(tmp_path, name) for name in ("notes.txt", "drawing.eps", "gone")] == [None] * 3
    assert probe(tmp_path, "gone.png") == "No such file or directory"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    found = []
    thread = threading.Thread(target=lambda: found.append(probe(tmp_path, "pipe.png")), daemon=True)
    thread.start()
    thread.join(10)
    assert found == [None]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_data_is_no_damage(tmp_path):
    image = zoo.photo()
    data = zoo.encoded(image, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert read(tmp_path, "a.jpg", data)[1] == []


def test_folders_that_cannot_be_listed_are_told(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    zoo.fill(tmp_path, {"a.png": (b"",)})
    zoo.close(monkeypatch, "closed")
    errors = []
    assert image_files.list_files(tmp_path, errors.append) == ["a.png"]
    assert [error.filename for error in errors] == [str(tmp_path / "closed")]
    shutil.rmtree(tmp_path / "closed", ignore_errors=True)


def test_linked_folders_are_followed_unless_they_lead_back(tmp_path):
    for name in ("a", "z"):  # whichever the file system lists first
        (tmp_path / name).mkdir()
        zoo.fill(tmp_path / name, {f"{name}.png": (b"",)})
    (tmp_path / "m").symlink_to(tmp_path / "z")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "over").symlink_to(tmp_path / "z")
    (tmp_path / "z" / "back").symlink_to(tmp_path / "a")
    assert image_files.list_files(tmp_path) == [
        *("a/a.png", "a/over/z.png", "m/back/a.png", "m/z.png", "z/back/a.png", "z/z.png")
    ]


@pytest.mark.parametrize("position", [60, 2000, 20000])
def test_a_png_with_a_wrong_byte_is_damaged(tmp_path, position):
    path = tmp_path / "picture.png"
    PIL.Image.fromarray(np.random.RandomState(0).randint(0, 256, [160, 160, 3], np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[position] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(image_files.DamagedImageError):
        image_files.decode(path, 3)
