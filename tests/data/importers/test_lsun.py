"""LSUN: a real database of JPEG and WebP files, cut and scaled as the original does; broken images and databases."""

import io
import sys

import numpy as np
import PIL.Image
import pytest
from data.importers.imported import assert_holds, assert_refused, random_images

from tf_stylegan.data.importers.lsun import create_lsun, create_lsun_wide
from tf_stylegan.errors import UserError

lmdb = pytest.importorskip("lmdb")


def encoded(width, height, form, seed=0, mode="RGB", **options):
    small = PIL.Image.fromarray(random_images(1, 5, 7, 3, seed=seed)[0])
    file = io.BytesIO()
    small.resize((width, height), PIL.Image.Resampling.BICUBIC).convert(mode).save(file, form, **options)
    return file.getvalue()


def rotated():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return encoded(40, 30, "JPEG", seed=5, exif=exif)


FILES = {  # in the order of keys, which is not the one they are put in
    b"0a1.webp": encoded(50, 33, "WEBP", seed=1),
    b"1b2.jpg": encoded(33, 50, "JPEG", seed=2),
    b"2c3.jpg": b"no image",
    b"3d4.jpg": encoded(40, 40, "JPEG", seed=3, mode="L"),
    b"4e5.jpg": encoded(90, 60, "JPEG", seed=4)[:900],
    b"5f6.jpg": rotated(),
    b"6a7.webp": encoded(16, 16, "WEBP", seed=6),
}
SOUND = [key for key in FILES if key not in (b"2c3.jpg", b"4e5.jpg")]


def store(folder, files):
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for key in reversed(list(files)):
            transaction.put(key, files[key])
    return folder


@pytest.fixture
def category(tmp_path):
    return store(tmp_path / "cat_train_lmdb", FILES)


def decoded(key):
    image = PIL.Image.open(io.BytesIO(FILES[key])).convert("RGB")
    return np.rot90(np.asarray(image), -1) if key == b"5f6.jpg" else np.asarray(image)


def scaled(pixels, size):
    return np.asarray(PIL.Image.fromarray(np.ascontiguousarray(pixels)).resize(size, PIL.Image.Resampling.LANCZOS))


def squares(keys, resolution):
    for key in keys:
        pixels = decoded(key)
        h, w, crop = *pixels.shape[:2], min(pixels.shape[:2])
        pixels = pixels[(h - crop) // 2 : (h + crop) // 2, (w - crop) // 2 : (w + crop) // 2]
        yield scaled(pixels, (resolution, resolution))


def test_lsun(category, tmp_path, capsys):
    assert create_lsun(str(tmp_path / "out"), str(category), resolution=16) == 5
    assert_holds(tmp_path / "out", list(squares(SOUND, 16)))
    printed = capsys.readouterr().out
    assert "5 images 16x16x3" in printed
    assert "left out 2 images that cannot be read: '2c3.jpg': cannot identify image" in printed
    assert "'4e5.jpg': image file is truncated" in printed


def test_as_many_as_asked_for_without_the_broken_ones(category, tmp_path, capsys):
    assert create_lsun(str(tmp_path / "out"), str(category), resolution=8, max_images=3) == 3
    assert_holds(tmp_path / "out", list(squares(SOUND[:3], 8)))
    assert "left out 1 image that" in capsys.readouterr().out


def test_lsun_wide(category, tmp_path, capsys):
    assert create_lsun_wide(str(tmp_path / "out"), str(category), width=32, height=20, max_images=None) == 3
    expected = []
    for key in (b"0a1.webp", b"1b2.jpg", b"3d4.jpg"):
        pixels = decoded(key)
        h, w = pixels.shape[:2]
        rows = int(np.round(32 * h / w))
        canvas = np.zeros([32, 32, 3], np.uint8)
        canvas[6:26] = scaled(pixels[(h - rows) // 2 : (h + rows) // 2], (32, 20))
        expected.append(canvas)
    assert_holds(tmp_path / "out", expected)
    printed = capsys.readouterr().out
    assert "left out 2 images smaller than 32x20\nleft out 2 images that cannot be read" in printed


def test_images_are_read_as_they_are_needed(tmp_path, monkeypatch):
    files = {f"{number:05d}".encode(): encoded(8, 8, "WEBP", seed=number) for number in range(300)}
    folder, taken = store(tmp_path / "many_lmdb", files), 0
    real = PIL.Image.open

    def count(*args):
        nonlocal taken
        taken += 1
        return real(*args)

    monkeypatch.setattr(PIL.Image, "open", count)
    create_lsun(str(tmp_path / "out"), str(folder), resolution=8, max_images=10)
    assert 10 <= taken < 300


def test_bad_arguments(category, tmp_path):
    for options, match in (
        ({"resolution": 200}, "--resolution must be a power of two from 4, got 200"),
        ({"max_images": 0}, "--max_images must be at least 1, got 0"),
    ):
        assert_refused(lambda *a, o=options: create_lsun(*a, **o), tmp_path / "out", category, match=match)
    for options, match in (
        ({"width": 500}, "--width must be a power of two from 4, got 500"),
        ({"width": 32, "height": 33}, "--height must be from 1 to the width, 32, got 33"),
    ):
        assert_refused(lambda *a, o=options: create_lsun_wide(*a, **o), tmp_path / "out", category, match=match)


def test_nothing_of_use(tmp_path):
    folder = store(tmp_path / "bad_lmdb", {b"a": b"no image", b"b": FILES[b"6a7.webp"]})
    match = "of use: of 2, 1 cannot be read .'a': cannot identify image.*, 1 are smaller than 512x384"
    assert_refused(create_lsun_wide, tmp_path / "out", folder, match=match)
    assert_refused(create_lsun, tmp_path / "out", store(tmp_path / "empty", {}), match="of use: of 0, 0 cannot be read")


def test_bad_databases(category, tmp_path):
    assert_refused(create_lsun, tmp_path / "out", tmp_path / "no", match="LSUN directory .*no does not exist")
    assert_refused(create_lsun, tmp_path / "out", tmp_path, match=r"no data.mdb in .*; give the folder of one LSUN")
    data = (category / "data.mdb").read_bytes()
    (category / "data.mdb").write_bytes(data[: len(data) // 2])  # an unfinished download
    assert_refused(create_lsun, tmp_path / "out", category, match=r"data.mdb is cut off: [\d,]+ bytes are there of")
    for junk in (b"", b"junk", b"\0" * 20_000):
        (category / "data.mdb").write_bytes(junk)
        assert_refused(create_lsun, tmp_path / "out", category, match="data.mdb is no LMDB database, or damaged")


def test_the_database_is_not_changed(category, tmp_path):
    before = {path.name: path.read_bytes() for path in category.iterdir()}
    (category / "lock.mdb").unlink()
    create_lsun(str(tmp_path / "out"), str(category), resolution=4)
    after = {path.name: path.read_bytes() for path in category.iterdir()}
    assert after == {"data.mdb": before["data.mdb"]}


def test_without_lmdb(category, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    match = r"LSUN's database needs lmdb: pip install lmdb, or 'tf_stylegan\[imports\]'"
    assert_refused(create_lsun, tmp_path / "out", category, match=match)


def test_an_interrupted_import_leaves_nothing(category, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tf_stylegan.data.tfrecord.RecordWriter.add_encoded", interrupt)
    with pytest.raises(KeyboardInterrupt):
        create_lsun(str(tmp_path / "out"), str(category), resolution=16)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="is a file; give the folder of the data set"):
        create_lsun(str(category / "data.mdb"), str(category))
