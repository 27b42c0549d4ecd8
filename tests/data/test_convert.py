"""Folders of images -> data sets: every kind of image, every kind of bad input; looking at data sets."""

import concurrent.futures
import re
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from data import picture_zoo as zoo
from data.image_folders import class_folders, convert_folder, images_of, picture, refused
from helpers import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data import convert, image_files, image_folder, inspect, parallel, tfrecord, unpack
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.importers import hdf5
from tf_stylegan.errors import UserError

RGB64 = GOLDEN / "tfrecords" / "rgb64"


# Images


def test_golden_data_set(tmp_path):
    convert.create_from_images(tmp_path / "rgb64", RGB64.parent / "rgb64-images")
    for path in RGB64.iterdir():
        assert (tmp_path / "rgb64" / path.name).read_bytes() == path.read_bytes()


def test_shrinking_by_a_whole_number_gives_the_lower_records(tmp_path):
    convert.create_from_images(tmp_path / "small", RGB64.parent / "rgb64-images", resize=16)
    assert (tmp_path / "small/small-r04.tfrecords").read_bytes() == (RGB64 / "rgb64-r04.tfrecords").read_bytes()


def test_recursive_sorted_and_names_what_is_no_image(folder, capsys):
    (folder / "b").mkdir()
    (folder / ".hidden").mkdir()
    (folder / "loop").symlink_to(folder)
    for number, name in enumerate(["z.png", "b/a.bmp", "b/c.webp", ".hidden/no.png", "._z.png"]):
        picture(seed=number).save(folder / name, lossless=True)
    for number in range(12):
        (folder / f"note{number:02d}.txt").write_text("no image")
    info = convert_folder(folder, shuffle=False)
    expected = [np.asarray(picture(seed=number)) for number in (1, 2, 0)]
    np.testing.assert_array_equal(images_of(info), expected)
    printed = capsys.readouterr().out
    assert "ignored 13 files that are no images: ._z.png, note00.txt" in printed and "and 3 more" in printed


def of_mode(mode):
    grey = np.linspace(0, 255, 64).reshape(8, 8)
    if mode == "I;16":
        return PIL.Image.fromarray((grey * 257).astype(np.uint16)), np.rint((grey * 257).astype(int) / 257), "16-bit"
    if mode == "RGBA":
        pixels = np.zeros([8, 8, 4], np.uint8)
        pixels[:4] = (255, 0, 0, 255)  # the lower half is transparent black
        expected = np.full([8, 8, 3], 255)
        expected[:4] = (255, 0, 0)
        return PIL.Image.fromarray(pixels), expected, "transparency"
    if mode == "LA":
        pixels = np.zeros([8, 8, 2], np.uint8)
        pixels[:4] = (100, 255)
        expected = np.full([8, 8], 255)
        expected[:4] = 100
        return PIL.Image.fromarray(pixels, "LA"), expected, "transparency"
    image = picture(mode="RGB" if mode == "P" else mode)
    if mode == "P":
        image = image.quantize(16)
    notes = {"CMYK": "CMYK", "P": "palette"}
    return image, np.asarray(image.convert("L" if mode in ("1", "L") else "RGB")), notes.get(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "RGB", "RGBA", "P", "CMYK"])
def test_image_modes(folder, capsys, mode):
    image, expected, note = of_mode(mode)
    image.save(folder / f"x.{'tif' if mode == 'CMYK' else 'png'}")
    info = convert_folder(folder)
    assert info.num_channels == (1 if mode in ("1", "L", "LA", "I;16") else 3)
    np.testing.assert_array_equal(images_of(info)[0].squeeze(), expected)
    printed = capsys.readouterr().out
    assert f"converted: 1 {note}" in printed if note else "converted" not in printed


def test_16_bit_colour_is_counted(folder, capsys):
    pixels = np.full([8, 8, 3], 200 * 256 + 1, np.uint16)
    (folder / "deep.png").write_bytes(zoo.deep_png(pixels))  # Pillow writes no such file
    assert (images_of(convert_folder(folder))[0] == 200).all()
    assert "converted: 1 16-bit" in capsys.readouterr().out


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(folder, capsys, orientation):
    upright = np.zeros([16, 16], np.uint8)
    upright[:8] = 255
    upright[:8, :8] = 128
    undo = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1]}
    undo |= {5: upright.T, 6: np.rot90(upright), 7: np.rot90(upright, 2).T, 8: np.rot90(upright, -1)}
    stored = PIL.Image.fromarray(np.ascontiguousarray(undo[orientation]))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored.save(folder / "x.png", exif=exif)
    np.testing.assert_array_equal(images_of(convert_folder(folder))[0][:, :, 0], upright)
    assert ("1 EXIF-rotated" in capsys.readouterr().out) == (orientation > 1)


def test_grey_and_colour_mixed(folder, capsys):
    picture().save(folder / "a.png")
    picture(mode="L").save(folder / "b.png")
    info = convert_folder(folder, shuffle=False)
    np.testing.assert_array_equal(images_of(info)[1], np.repeat(np.asarray(picture(mode="L"))[:, :, None], 3, axis=2))
    assert "1 grey to RGB" in capsys.readouterr().out
    assert convert_folder(folder, channels=1, force=True).num_channels == 1


def test_background(folder):
    PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(folder / "x.png")
    assert images_of(convert_folder(folder, background="#102030"))[0][0, 0].tolist() == [16, 32, 48]
    with pytest.raises(UserError, match="--background: 'blurple' is no colour"):
        convert.create_from_images(folder.parent / "other", folder, background="blurple")


def test_crop_and_resize(folder, capsys):
    wide = np.zeros([10, 30, 3], np.uint8)
    wide[:, 10:20] = 77
    PIL.Image.fromarray(wide).save(folder / "wide.png")
    picture((32, 32)).save(folder / "large.png")
    images = images_of(convert_folder(folder, crop=True, resize=8, shuffle=False))
    blocks = np.asarray(picture((32, 32))).reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(images[0], np.rint(blocks))
    assert (images[1] == 77).all()
    assert "converted: 1 cropped, 2 shrunk" in capsys.readouterr().out


@given(st.sampled_from([4, 8, 16]), st.integers(1, 4), st.sampled_from(["auto", "box", "lanczos"]))
def test_decode_always_gives_the_size_asked_for(tmp_path_factory, size, factor, method):
    path = tmp_path_factory.mktemp("decode") / "x.png"
    PIL.Image.new("RGB", (size * factor + factor // 2, size * factor + 1), (9, 9, 9)).save(path)
    pixels, _ = image_files.decode(path, 3, size, crop=True, resize_filter=method)
    assert pixels.shape == (3, size, size) and pixels.dtype == np.uint8 and (pixels == 9).all()


# Bad input


def test_sizes_that_do_not_fit_are_all_listed(folder):
    sizes = {"a": (8, 8), "b": (8, 8), "c": (16, 16), "d": (8, 12), "e": (10, 10), "f": (2, 2)}
    for name, size in sizes.items():
        picture(size).save(folder / f"{name}.png")
    message = refused(folder, "4 of 6 images", "--crop", "--resize=N", "nothing was written")
    assert message.split("\n")[1:] == [
        "  c.png: 16x16 (most are 8x8)",
        "  d.png: 8x12 (not square)",
        "  e.png: 10x10 (not a power of two from 4)",
        "  f.png: 2x2 (not a power of two from 4)",
    ]
    assert "c.png" not in refused(folder, "1 of 6 images", "--crop", "d.png: 8x12", resize=8)
    refused(folder, "3 of 6 images", "--resize=N", crop=True)
    refused(folder, "--resize must be a power of two from 4, got 12", resize=12)
    assert convert_folder(folder, crop=True, resize=8).num_images == 6


def test_not_square_alone_needs_only_a_crop(folder):
    picture((8, 16)).save(folder / "tall.png")
    assert "--resize" not in refused(folder, "1 of 1 image ", "--crop", "tall.png: 8x16 (not square)")


def cut(path):
    """Leaves a picture its header and some of its pixels."""
    path.write_bytes(path.read_bytes()[:3000])


def test_damaged_images(folder, capsys):
    for number in range(4):
        picture((64, 64), seed=number).save(folder / f"{number}.png")
    cut(folder / "1.png")
    refused(folder, "1 of 4 images", "cannot be read; replace it, or leave it out with --skip-bad", "  1.png: ")
    (folder / "2.jpg").write_bytes(b"junk")
    info = convert_folder(folder, skip_bad=True, shuffle=False)
    np.testing.assert_array_equal(images_of(info), [np.asarray(picture((64, 64), seed=n)) for n in (0, 2, 3)])
    assert "left out 2 images that cannot be read: 1.png, 2.jpg" in capsys.readouterr().out


def test_all_damaged_images_are_in_one_message(folder):
    for number in range(30):
        picture((64, 64), seed=number).save(folder / f"{number:02d}.png")
    for number in (3, 4, 17, 29):
        cut(folder / f"{number:02d}.png")
    (folder / "x.jpg").write_bytes(b"junk")  # the only one whose header tells
    message = refused(folder, "5 of 31 images", "cannot be read; replace them", "--skip-bad", "nothing was written:\n")
    assert [line.split(":")[0].strip() for line in message.split("\n")[1:]] == [
        *("03.png", "04.png", "17.png", "29.png", "x.jpg")
    ]
    assert convert_folder(folder, skip_bad=True).num_images == 26


def test_damaged_images_are_not_complained_about_for_their_size(folder, monkeypatch):
    for number in range(3):
        picture((64, 64), seed=number).save(folder / f"{number}.png")
    picture((60, 80)).save(folder / "tall.png")
    picture((60, 90)).save(folder / "cut.png")
    cut(folder / "cut.png")
    message = refused(folder, "1 of 4 images", "tall.png: 60x80", "and 1 of 5 images", "cannot be read", "  cut.png: ")
    assert "cut.png: 60x90" not in message
    assert "cut.png" not in refused(folder, "1 of 4 images", "tall.png", skip_bad=True)
    monkeypatch.setattr(image_folder, "_MAX_LOOKS", 2)  # the odd ones are looked at first
    refused(folder, "1 of 4 images", "tall.png: 60x80", "and 1 of 5 images", "cannot be read", "  cut.png: ")
    (folder / "tall.png").unlink()
    refused(folder, "1 of 4 images", "cannot be read", "cut.png: ")
    assert convert_folder(folder, skip_bad=True).num_images == 3


@pytest.mark.parametrize("options", [{}, {"skip_bad": True}])
def test_only_damaged_images(folder, options):
    (folder / "a.png").write_bytes(b"junk")
    assert "--skip-bad" not in refused(folder, "1 of 1 image", "cannot be read; replace it; nothing", **options)
    picture((64, 64)).save(folder / "b.png")
    cut(folder / "b.png")
    assert "--skip-bad" not in refused(folder, "2 of 2 images", "a.png: ", "b.png: ", **options)


def test_what_check_says_of_a_folder_is_said_here_too(folder, monkeypatch):
    picture().save(folder / "a.png")
    zoo.fill(folder, {name: zoo.broken()[name] for name in ("phone.HEIC", "raw.NEF", "renamed.jpg", "page.jpg")})
    (folder / "closed").mkdir()
    zoo.close(monkeypatch, "closed")
    message = refused(folder, "5 of 6 images", "cannot be read", "--skip-bad")
    assert [line.partition(":")[0].strip() for line in message.split("\n")[1:]] == [
        *("closed", "page.jpg", "phone.HEIC", "raw.NEF", "renamed.jpg")
    ]
    for words in (
        "kind that is not read here (HEIC)",
        "(raw); save it as PNG",
        "web page",
        "folder: Permission denied",
    ):
        assert words in message
    for command, target in ((unpack.pack, folder.parent / "out"), (hdf5.hdf5_from_images, folder.parent / "x.h5")):
        arguments = (folder, target) if command is unpack.pack else (target, folder)
        with pytest.raises(UserError, match="5 of 6 images"):
            command(*map(str, arguments))


def test_float_pixels_are_refused(folder):
    PIL.Image.fromarray(np.zeros([8, 8], np.float32)).save(folder / "x.tif")
    refused(folder, "x.tif: pixels of kind 'F' have no known range")


def test_nothing_to_convert(folder):
    refused(folder, "no pictures in", "(0 files)")
    (folder / "x.txt").touch()
    refused(folder, "no pictures in", "(1 file)")
    refused(folder / "nowhere", "image directory", "does not exist")
    refused(folder / "x.txt", "image directory", "x.txt is a file; give the folder")


@pytest.mark.parametrize("name", ["", "sub/out", "../link/out", "../in/../in/out"])
def test_output_among_the_images(folder, name):
    picture().save(folder / "x.png")
    (folder.parent / "link").symlink_to(folder)
    with pytest.raises(UserError, match=r"(is also|lies inside) the folder of images .*; write .* beside it$"):
        convert.create_from_images(folder / name, folder)
    assert [path.name for path in folder.iterdir()] == ["x.png"]
    convert.create_from_images(folder.parent / "in-records", folder)  # the name alone does not matter


@pytest.mark.parametrize("threads", [0, -1])
def test_threads(folder, threads):
    picture().save(folder / "x.png")
    refused(folder, f"--threads must be at least 1, got {threads}", num_threads=threads)


def test_one_image_is_not_plural(folder, capsys):
    picture().save(folder / "x.png")
    (folder / "x.txt").touch()
    picture((64, 64)).save(folder / "y.png")
    cut(folder / "y.png")
    info = convert_folder(folder, skip_bad=True, resize=8)
    unpack.extract(info.directory, str(folder.parent / "png"))
    printed = capsys.readouterr().out
    assert "ignored 1 file that is no image: x.txt\n" in printed
    assert "left out 1 image that cannot be read: y.png" in printed
    assert f"1 image 8x8x3 in {folder.parent / 'out'}\n" in printed
    assert f"1 image in {folder.parent / 'png'}\n" in printed


def test_does_not_overwrite(folder):
    picture().save(folder / "x.png")
    convert_folder(folder)
    with pytest.raises(UserError, match=r"already holds a data set.*--force"):
        convert_folder(folder)
    assert convert_folder(folder, force=True).num_images == 1


@pytest.mark.parametrize("shuffle", [False, True])
def test_memory_does_not_grow_with_the_number_of_images(folder, monkeypatch, shuffle):
    """Of reading headers and of converting, few results wait at a time, also when writing is slower than decoding."""
    alive, most = weakref.WeakSet(), []

    class Pool(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *args, **kwargs):
            future = super().submit(*args, **kwargs)
            alive.add(future)
            most.append(len(alive))
            return future

    add = tfrecord.RecordWriter.add_encoded

    def slowly(*args):
        time.sleep(0.001)
        add(*args)

    monkeypatch.setattr(convert.concurrent.futures, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(tfrecord.RecordWriter, "add_encoded", slowly)
    count = 20 * parallel.num_cores()
    for number in range(count):
        picture((4, 4), seed=number).save(folder / f"{number}.png")
    assert convert_folder(folder, shuffle=shuffle).num_images == count
    assert len(most) == 2 * count and max(most) <= 5 * parallel.num_cores() + 1


# Digits, and looking at data sets


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits"
    convert.create_digits(path)
    return path


def test_digits(digits):
    sklearn = pytest.importorskip("sklearn.datasets")
    info = find_dataset(digits)
    assert (info.num_images, info.resolution, info.num_channels, info.label_size) == (1797, 32, 1, 10)
    source = sklearn.load_digits()
    np.testing.assert_array_equal(info.load_labels().argmax(axis=1), source.target)
    images = np.stack(images_of(info))[:, :, :, 0]
    assert images.min() == 0 and images.max() == 255
    # What was enlarged is still there: averaged back to 8x8 (inside the margin) it is close to the source.
    small = [np.asarray(PIL.Image.fromarray(image).resize((10, 10), PIL.Image.Resampling.BOX)) for image in images[:50]]
    error = np.stack(small)[:, 1:-1, 1:-1] - source.images[:50] * (255 / 16)
    assert np.sqrt((error**2).mean()) < 25


def test_digits_without_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match=re.escape("pip install 'tf_stylegan[demo]'")):
        convert.create_digits(tmp_path / "digits")
    assert not list(tmp_path.iterdir())


def test_display(digits, tmp_path, capsys):
    inspect.display(digits, str(tmp_path / "grid.png"), count=6, start=10)
    sheet = np.asarray(PIL.Image.open(tmp_path / "grid.png"))
    assert sheet.shape == (2 * 32, 3 * 32)
    expected = list(inspect.read_images(find_dataset(digits).file_at(0), [10, 15]))
    np.testing.assert_array_equal(sheet[:32, :32], expected[0][:, :, 0])
    np.testing.assert_array_equal(sheet[32:, 64:], expected[1][:, :, 0])
    assert "images 10 to 15" in capsys.readouterr().out
    inspect.display(digits, str(tmp_path / "small.png"), count=4, resolution=8)
    assert PIL.Image.open(tmp_path / "small.png").size == (16, 16)
    with pytest.raises(UserError, match="has images 0 to 1796"):
        inspect.display(digits, str(tmp_path / "x.png"), start=1797)


def test_info(digits, capsys):
    inspect.describe(digits)
    printed = capsys.readouterr().out
    for words in ("1797", "32x32", "1 (grey)", "0 to 255", "10 classes (0: 178, 1: 182", "digits-r02.tfrecords"):
        assert words in printed


def test_info_reads_every_record_unless_in_a_hurry(folder, capsys):
    class_folders(folder)
    directory = convert_folder(folder).directory
    with tfrecord.RecordWriter(directory, 8, 3, validation=True) as writer:
        writer.add_many(np.zeros([2, 3, 8, 8], np.uint8))
    inspect.describe(directory)
    assert "checked        every record of every file\n" in capsys.readouterr().out
    for name in ("out-r03", "out-r02", "validation-out-r03", "validation-out-r02"):
        path = Path(directory) / f"{name}.tfrecords"
        sound = path.read_bytes()
        path.write_bytes(sound[:-9] + bytes([sound[-9] ^ 1]) + sound[-8:])
        number = 1 if "validation" in name else 2
        offset = tfrecord.index_records(path)[0][number]
        if name == "out-r02":
            inspect.describe(directory, quick=True)
            assert "checked        number and size of records (--quick)\n" in capsys.readouterr().out
        message = f"{path}: record {number} at byte {offset} is damaged (its data does not fit its checksum); copy or "
        with pytest.raises(UserError, match=re.escape(message)):
            inspect.describe(directory)
        path.write_bytes(sound[:offset])  # a record less than the others have
        with pytest.raises(UserError, match=r"expected .* images? .* got|holds no records"):
            inspect.describe(directory, quick=True)
        path.write_bytes(sound)
    inspect.describe(directory)


def test_a_sheet_is_a_png_file(digits, tmp_path):
    with pytest.raises(UserError, match=r"a.jpg: the sheet is written as PNG; give a name that ends in \.png"):
        inspect.display(digits, str(tmp_path / "a.jpg"))
    assert not list(tmp_path.iterdir())


def test_extract_and_convert_again_is_the_identity(tmp_path, capsys):
    class_folders(tmp_path / "in")
    info = convert_folder(tmp_path / "in", class_folders=True)
    unpack.extract(info.directory, str(tmp_path / "png"))
    files = sorted(path.name for path in (tmp_path / "png").iterdir())
    assert files == ["dataset.json", "img00000000.png", "img00000001.png", "img00000002.png"]
    with pytest.raises(UserError, match=r"is not empty.*--force"):
        unpack.extract(info.directory, str(tmp_path / "png"))
    label_file = str(tmp_path / "png" / "dataset.json")
    convert.create_from_images(tmp_path / "again", tmp_path / "png", shuffle=False, label_file=label_file)
    assert inspect.compare(info.directory, tmp_path / "again") == 0
    assert capsys.readouterr().out.endswith("identical\n")


def test_compare_tells_the_first_differences(digits, folder, capsys):
    class_folders(folder)
    convert_folder(folder)
    assert inspect.compare(folder.parent / "out", digits) == 1
    assert "resolution: 8 and 32\nnum channels: 3 and 1\nnum images: 3 and 1797" in capsys.readouterr().out
    convert.create_from_images(folder.parent / "b", folder, class_folders=True)
    assert inspect.compare(folder.parent / "out", folder.parent / "b") == 1
    assert inspect.compare(folder.parent / "out", folder.parent / "b", ignore_labels=True) == 0
    picture(seed=9).save(folder / "dog/deep/1.png")
    convert.create_from_images(folder.parent / "c", folder)
    assert inspect.compare(folder.parent / "out", folder.parent / "c") == 1
    assert "1 of 3 images at 8x8, the first is" in capsys.readouterr().out


def test_damaged_record_while_reading(folder):
    class_folders(folder)
    info = convert_folder(folder)
    path = Path(info.file_at(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"out-r03.tfrecords: record 1 at byte \d+ is damaged \(its data does not fit"):
        unpack.extract(info.directory, str(folder.parent / "png"))
