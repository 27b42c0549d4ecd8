"""HDF5 archives: read as ProGAN wrote them, written for programs of its time, there and back, bad archives."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from data.importers.imported import assert_holds, assert_refused, random_images, shuffled

from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.importers.hdf5 import convert_to_hdf5, create_from_hdf5, hdf5_from_images
from tf_stylegan.data.tfrecord import RecordWriter
from tf_stylegan.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
h5py = pytest.importorskip("h5py")


@pytest.fixture
def archive(tmp_path):
    """(path, images `[N, 16, 16, 3]`), with a smaller array beside them whose content says where it is from."""
    images = random_images(9, 16, 16, 3)
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file.create_dataset("data16x16", data=images.transpose(0, 3, 1, 2), chunks=(1, 3, 16, 16))
        file.create_dataset("data8x8", data=np.zeros([9, 3, 8, 8], np.uint8))
        file.create_dataset("labels", data=np.zeros([9, 1, 1, 32]))
    return tmp_path / "small.h5", images


def test_create_from_hdf5(archive, tmp_path):
    path, images = archive
    assert create_from_hdf5(str(tmp_path / "out"), str(path)) == 9
    assert_holds(tmp_path / "out", shuffled(images))
    create_from_hdf5(str(tmp_path / "straight"), str(path), shuffle=False)
    assert_holds(tmp_path / "straight", images)


def test_labels_lie_beside_the_archive(archive, tmp_path):
    path, _ = archive
    table = np.random.RandomState(0).randn(9, 4)
    np.save(tmp_path / "small-labels.npy", table)
    create_from_hdf5(str(tmp_path / "out"), str(path))
    stored = np.load(find_dataset(tmp_path / "out").labels_path)
    np.testing.assert_array_equal(stored, shuffled(table.astype(np.float32)))
    for bad, match in (
        (table[:8], r"expected finite labels \[9, L\] for the images of the archive, got float64 \[8, 4\]"),
        (table[:, 0], r"got float64 \[9\]"),
        (table * np.nan, "expected finite labels"),
        (np.array([[{}]] * 9), "small-labels.npy: not a file of labels"),
    ):
        np.save(tmp_path / "small-labels.npy", bad)
        assert_refused(create_from_hdf5, tmp_path / "other", path, match=match)


@pytest.mark.parametrize("compress", [False, True])
def test_there_and_back(tmp_path, compress):
    images, table = random_images(11, 3, 32, 32), np.random.RandomState(0).randn(11, 3).astype(np.float32)
    with RecordWriter(tmp_path / "set", 32, 3) as writer:
        writer.add_many(images)
        writer.set_labels(table)
    path = tmp_path / "set.h5"
    assert convert_to_hdf5(str(path), str(tmp_path / "set"), compress=compress) == 11
    with h5py.File(path) as file:
        assert sorted(file) == sorted(f"data{size}x{size}" for size in (32, 16, 8, 4, 2, 1))
        means = images.astype(np.float64)
        for size in (32, 16, 8, 4, 2, 1):
            array = file[f"data{size}x{size}"]
            assert array.dtype == np.uint8 and array.maxshape[0] is None
            assert array.compression == ("gzip" if compress else None)
            np.testing.assert_array_equal(array[:], np.rint(means))
            if size > 1:
                means = means.reshape(11, 3, size // 2, 2, size // 2, 2).mean(axis=(3, 5))
    create_from_hdf5(str(tmp_path / "again"), str(path), shuffle=False)
    for name in ("r05.tfrecords", "r02.tfrecords", "rxx.labels"):
        assert (tmp_path / "again" / f"again-{name}").read_bytes() == (tmp_path / "set" / f"set-{name}").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "set", "set-labels.npy", "set.h5"]


def test_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("tf_stylegan.data.importers.hdf5._BLOCK_BYTES", 1000)  # of the larger levels, not of the small
    images = random_images(11, 1, 16, 16)
    with RecordWriter(tmp_path / "set", 16, 1) as writer:
        writer.add_many(images)
    convert_to_hdf5(str(tmp_path / "set.h5"), str(tmp_path / "set"))
    with h5py.File(tmp_path / "set.h5") as file:
        np.testing.assert_array_equal(file["data16x16"][:], images)
        assert file["data1x1"].shape == (11, 1, 1, 1)


def test_an_archive_is_replaced_with_its_labels_or_not_at_all(tmp_path):
    for name, labelled in (("a", True), ("b", False)):
        with RecordWriter(tmp_path / name, 4, 1) as writer:
            writer.add_many(random_images(3, 1, 4, 4))
            if labelled:
                writer.set_labels(np.eye(3))
    path = tmp_path / "x.h5"
    convert_to_hdf5(str(path), str(tmp_path / "a"))
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"x.h5 is already there; choose another name or give --force"):
        convert_to_hdf5(str(path), str(tmp_path / "b"))
    records = tmp_path / "b" / "b-r02.tfrecords"
    sound = records.read_bytes()
    records.write_bytes(sound[:-9] + b"x" + sound[-8:])
    with pytest.raises(UserError, match="is damaged"):
        convert_to_hdf5(str(path), str(tmp_path / "b"), force=True)
    assert path.read_bytes() == before and (tmp_path / "x-labels.npy").exists()
    records.write_bytes(sound)
    convert_to_hdf5(str(path), str(tmp_path / "b"), force=True)
    assert not (tmp_path / "x-labels.npy").exists()  # they would be taken for its own
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "x.h5"]
    with pytest.raises(UserError, match=r"there is no folder .*no to write y.h5 to"):
        convert_to_hdf5(str(tmp_path / "no" / "y.h5"), str(tmp_path / "b"))
    with pytest.raises(UserError, match="a is a folder; give the name of a file"):
        convert_to_hdf5(str(tmp_path / "a"), str(tmp_path / "b"))


FULL = """
import resource, sys
from tf_stylegan import cli
from tf_stylegan.data.importers.hdf5 import convert_to_hdf5
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(cli.run(convert_to_hdf5, *sys.argv[2:]))
"""


@pytest.mark.parametrize("room", [0, 1000, 100_000])  # when it begins, at the first arrays, in the middle
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, room):
    with RecordWriter(tmp_path / "set", 64, 3) as writer:
        writer.add_many(random_images(40, 3, 64, 64))
    command = [sys.executable, "-c", FULL, str(room), str(tmp_path / "x.h5"), str(tmp_path / "set")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    message = f"error: could not write {tmp_path}/x.h5: File too large; free some space or choose another place"
    assert (done.returncode, lines) == (2, [message]), done.stderr
    assert "Traceback" not in done.stderr and [path.name for path in tmp_path.iterdir()] == ["set"]


def test_names_that_are_too_long_leave_nothing(tmp_path):
    with RecordWriter(tmp_path / "set", 8, 3) as writer:
        writer.add_many(random_images(1, 3, 8, 8))
    with pytest.raises(UserError, match=r"could not write .*: File name too long"):
        convert_to_hdf5(str(tmp_path / ("x" * 252 + ".h5")), str(tmp_path / "set"))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_hdf5_from_images(folder):
    images = random_images(4, 8, 8, 3)
    for number, image in enumerate(images):
        PIL.Image.fromarray(image).save(folder / f"{number}.png")
    path = folder.parent / "x.h5"
    hdf5_from_images(str(path), str(folder))
    create_from_hdf5(str(folder.parent / "out"), str(path), shuffle=False)
    assert_holds(folder.parent / "out", images)
    (folder / "2.png").write_bytes(b"junk")
    match = "1 of 4 images in .* cannot be read; replace it; nothing was written"
    with pytest.raises(UserError, match=match):
        hdf5_from_images(str(folder.parent / "y.h5"), str(folder))
    PIL.Image.fromarray(images[0, :4]).save(folder / "2.png")
    with pytest.raises(
        UserError, match=r"1 of 4 images .*; create_from_images can mend or leave out such images; nothing"
    ):
        hdf5_from_images(str(folder.parent / "y.h5"), str(folder))
    assert not (folder.parent / "y.h5").exists()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({}, "expected arrays of images named data<R>x<R>, got an empty archive"),
        ({"images": np.zeros([2, 3, 8, 8], np.uint8)}, "got images"),
        ({"data8x8": np.zeros([2, 3, 8], np.uint8)}, "got data8x8"),
        ({"data8x8": np.zeros([2, 3, 8, 8], np.float32)}, r"must be uint8 .* got float32 \[2, 3, 8, 8\]"),
        ({"data8x8": np.zeros([2, 8, 8, 3], np.uint8)}, r"got uint8 \[2, 8, 8, 3\]"),
        ({"data9x9": np.zeros([2, 3, 9, 9], np.uint8)}, "a power of two from 4"),
        ({"data8x8": np.zeros([0, 3, 8, 8], np.uint8)}, "no image was added"),
    ],
)
def test_bad_archives(tmp_path, arrays, match):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, value in arrays.items():
            file.create_dataset(name, data=value)
    assert_refused(create_from_hdf5, tmp_path / "out", tmp_path / "x.h5", match=match)


def test_damaged_archives(archive, tmp_path):
    path, _ = archive
    out, data = tmp_path / "out", path.read_bytes()
    for content in (b"", b"junk", data[:100], data[: len(data) // 2]):
        path.write_bytes(content)
        assert_refused(create_from_hdf5, out, path, match="small.h5 is no HDF5 archive, or damaged")
    with h5py.File(path, "w") as file:
        image = random_images(1, 1, 64, 64)
        file.create_dataset("data64x64", data=image, chunks=(1, 1, 64, 64), compression="gzip")
        offset = file["data64x64"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 100 : offset + 200] = bytes(100)
    path.write_bytes(data)
    assert_refused(create_from_hdf5, out, path, match="small.h5 is no HDF5 archive, or damaged")
    assert_refused(create_from_hdf5, out, tmp_path / "no.h5", match="HDF5 archive .*no.h5 does not exist")
    assert_refused(create_from_hdf5, out, tmp_path, match="is a folder; give the .h5 file")


def test_without_h5py(archive, tmp_path, monkeypatch):
    path, _ = archive
    monkeypatch.setitem(sys.modules, "h5py", None)
    match = r"reading HDF5 needs h5py: pip install h5py, or 'tf_stylegan\[imports\]'"
    assert_refused(create_from_hdf5, tmp_path / "out", path, match=match)


def test_grey_images(tmp_path):
    images = random_images(3, 8, 8, 1)
    with h5py.File(tmp_path / "grey.h5", "w") as file:
        file.create_dataset("data8x8", data=images.transpose(0, 3, 1, 2))
    create_from_hdf5(str(tmp_path / "out"), str(tmp_path / "grey.h5"), shuffle=False)
    assert_holds(tmp_path / "out", images)
