"""Record files: bytes of the original tool, the index against damage of every kind, the writer, discovery."""

import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data import tfrecord
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.errors import UserError

RGB64 = GOLDEN / "tfrecords" / "rgb64"


def make_images(count, resolution=8, channels=1, seed=0):
    return np.random.RandomState(seed).randint(0, 256, [count, channels, resolution, resolution]).astype(np.uint8)


def write(directory, images, labels=None, force=False):
    with tfrecord.RecordWriter(directory, images.shape[-1], images.shape[1], force) as writer:
        for image in images:
            writer.add(image)
        if labels is not None:
            writer.set_labels(labels)
    return directory


def write_raw(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)


def damage(path, position, value=None):
    data = bytearray(path.read_bytes())
    data[position] = data[position] ^ 0xFF if value is None else value
    path.write_bytes(data)


def user_error(*parts):
    return pytest.raises(UserError, match="(?s)" + ".*".join(re.escape(str(part)) for part in parts))


# Schema


def test_golden_records_byte_by_byte():
    for path in sorted(RGB64.glob("*.tfrecords")):
        log2 = int(path.name[-12:-10])
        full = tf.data.TFRecordDataset(str(RGB64 / "rgb64-r06.tfrecords")).as_numpy_iterator()
        ours = [tfrecord.encode_image(tfrecord.decode_record(r, ""))[6 - log2] for r in full]
        assert ours == list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def test_golden_files_whole(tmp_path):
    images = [
        tfrecord.decode_record(r, "")
        for r in tf.data.TFRecordDataset(str(RGB64 / "rgb64-r06.tfrecords")).as_numpy_iterator()
    ]
    write(tmp_path / "rgb64", np.stack(images))
    for path in RGB64.iterdir():
        assert (tmp_path / "rgb64" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 8, 8), (3, 16, 16), (1, 256, 256), (3, 512, 512)])
def test_records_are_those_of_protobuf(shape):
    for image in (make_images(1, shape[1], shape[0])[0], np.full(shape, 255, np.uint8), np.zeros(shape, np.uint8)):
        feature = {
            "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=shape)),
            "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        assert tfrecord.encode_image(image)[0] == example.SerializeToString(deterministic=True)


def test_many_at_once_are_as_one_by_one(tmp_path):
    images = make_images(9, 32, 3)
    write(tmp_path / "one" / "set", images)
    with tfrecord.RecordWriter(tmp_path / "many" / "set", 32, 3) as writer:
        writer.add_many(images[:4])
        writer.add_many(images[4:].transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2))  # any layout in memory
    for path in (tmp_path / "one" / "set").iterdir():
        assert (tmp_path / "many" / "set" / path.name).read_bytes() == path.read_bytes()
    with (
        pytest.raises(ValueError, match="the data set is uint8"),
        tfrecord.RecordWriter(tmp_path / "x", 8, 3) as writer,
    ):
        writer.add_many(make_images(2, 8, 1))


def test_lower_resolutions_carry_float_means():
    # A pattern where carrying and rounding at every step disagree.
    image = np.zeros([1, 16, 16], np.uint8)
    image[:, :, 1::2] = 1  # 2x2 mean 0.5: rint(0.5) = 0
    image[:, 2::4, :] = 1  # every second block becomes 0.75
    levels = [tfrecord.decode_record(r, "").astype(np.float64) for r in tfrecord.encode_image(image)]
    exact = image.reshape(1, 4, 4, 4, 4).mean(axis=(2, 4))
    assert [x.shape[1] for x in levels] == [16, 8, 4]
    np.testing.assert_array_equal(levels[2], np.rint(exact))  # 0.625 -> 1
    assert (levels[1].reshape(1, 4, 2, 4, 2).mean(axis=(2, 4)) == 0.5).all()  # from the quantised level: rint gives 0


@pytest.mark.parametrize("record", [b"", b"\xff\xff", tf.train.Example().SerializeToString()])
def test_decode_record_names_what_is_no_image(record):
    with user_error("here", "not an image record"):
        tfrecord.decode_record(record, "here")


def test_decode_record_checks_the_number_of_pixels():
    record = tfrecord.encode_image(make_images(1)[0])[0].replace(b"\x01\x08\x08", b"\x03\x08\x08")
    with user_error("here", "shape [3, 8, 8] does not fit its 64 bytes"):
        tfrecord.decode_record(record, "here")


# Index


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=12))
def test_index_finds_every_record(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("index") / "any.tfrecords"
    write_raw(path, records)
    offsets, lengths = tfrecord.index_records(path)
    assert (offsets.dtype, lengths.dtype) == (np.int64, np.int64)
    assert lengths.tolist() == [len(record) for record in records]
    assert [tfrecord.read_record(str(path), offset) for offset in offsets] == records


def test_index_reads_only_the_headers(tmp_path):
    path = tmp_path / "huge.tfrecords"  # sparse: 300 records of 1 GiB take next to no space
    length = 1 << 30
    header = length.to_bytes(8, "little")
    header += tfrecord.masked_crc32c(header).to_bytes(4, "little")
    with open(path, "wb") as file:
        for number in range(300):
            file.seek(number * (length + 16))
            file.write(header)
        file.truncate(300 * (length + 16))
    offsets, lengths = tfrecord.index_records(path)
    assert len(offsets) == 300 and (lengths == length).all() and offsets[-1] == 299 * (length + 16)


@pytest.fixture
def three(tmp_path):
    """A data set of three 8x8 images: records of r03 are 104 + 16 bytes or so."""
    write(tmp_path / "three", make_images(3))
    return tmp_path / "three" / "three-r03.tfrecords"


def test_index_names_a_corrupt_length(three):
    offset = tfrecord.index_records(three)[0][1]
    damage(three, offset + 2)
    with user_error(three, f"record 1 at byte {offset} is corrupt"):
        tfrecord.index_records(three)


@given(cut=st.integers(1, 150))
def test_index_names_a_truncated_record(tmp_path_factory, cut):
    folder = write(tmp_path_factory.mktemp("cut") / "cut", make_images(3))
    path = folder / "cut-r03.tfrecords"
    offsets, _ = tfrecord.index_records(path)
    size = path.stat().st_size
    os.truncate(path, size - cut)
    if size - cut == offsets[2] or size - cut == offsets[1]:
        return  # cut between records: nothing in the file tells; counts are compared elsewhere
    last = np.searchsorted(offsets, size - cut) - 1
    with user_error(path, f"record {last} at byte {offsets[last]} is truncated"):
        tfrecord.index_records(path)


def test_index_of_nothing(tmp_path):
    (tmp_path / "empty").touch()
    with user_error(tmp_path / "empty", "holds no records"):
        tfrecord.index_records(tmp_path / "empty")
    with user_error("could not read", tmp_path / "missing", "No such file"):
        tfrecord.index_records(tmp_path / "missing")


def test_records_of_other_lengths_are_named(three):
    small, large = (tfrecord.encode_image(make_images(1, size)[0])[0] for size in (8, 16))
    write_raw(three, [small, small, large])
    offset = tfrecord.index_records(three)[0][2]
    with user_error(three, "disagree in shape", f"record 2 (byte {offset})", "[1, 8, 8]"):
        find_dataset(three.parent)


def test_damaged_pixels_are_named(three):
    offset = int(tfrecord.index_records(three)[0][1])
    damage(three, offset + 40)
    with user_error(f"{three}: record 1 at byte {offset} is damaged (its data does not fit its checksum); copy"):
        tfrecord.read_record(str(three), offset)


# Writer


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nothing_is_left_of_an_interrupted_conversion(tmp_path):
    with pytest.raises(KeyboardInterrupt), tfrecord.RecordWriter(tmp_path / "a" / "b", 8, 1) as writer:
        writer.add(make_images(1)[0])
        assert not [name for name in os.listdir(tmp_path / "a" / "b") if not name.startswith(".")]
        with user_error("no record files", ".partial-", "unfinished or interrupted"):
            find_dataset(tmp_path / "a", "b")
        raise KeyboardInterrupt
    assert everything(tmp_path) == []


def test_an_interrupted_replacement_leaves_the_old_data_set(tmp_path, monkeypatch):
    old, new = make_images(3), make_images(2, 16)
    write(tmp_path / "set", old, np.eye(3))
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    with pytest.raises(KeyboardInterrupt), tfrecord.RecordWriter(tmp_path / "set", 16, 1, force=True) as writer:
        writer.add(new[0])
        raise KeyboardInterrupt
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before
    replace, calls = os.replace, []

    def fail_at_the_fifth(*args):
        calls.append(args)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        replace(*args)

    monkeypatch.setattr(os, "replace", fail_at_the_fifth)  # old files moved aside, one new one in place
    with user_error("could not write", "No space left on device", "nothing was changed"):
        write(tmp_path / "set", new, force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before


def test_of_two_conversions_at_once_the_slower_is_refused(tmp_path):
    with user_error("already holds a data set"), tfrecord.RecordWriter(tmp_path / "set", 8, 1) as slow:
        slow.add(make_images(1)[0])
        write(tmp_path / "set", make_images(3))
    assert find_dataset(tmp_path / "set").num_images == 3
    assert everything(tmp_path / "set") == ["set-r02.tfrecords", "set-r03.tfrecords"]


def test_what_a_killed_conversion_left_goes_with_the_next(tmp_path):
    write(tmp_path / "set", make_images(1))
    (tmp_path / "set" / ".partial-dead").mkdir()
    (tmp_path / "set" / ".partial-dead" / "set-r03.tfrecords").write_bytes(b"half")
    with tfrecord.RecordWriter(tmp_path / "set", 8, 1, force=True) as alive:
        alive.add(make_images(1)[0])
        write(tmp_path / "set", make_images(2), force=True)  # leaves the one alone that is at work
    assert everything(tmp_path / "set") == ["set-r02.tfrecords", "set-r03.tfrecords"]
    assert find_dataset(tmp_path / "set").num_images == 1


@pytest.mark.parametrize("length", [245, 255])  # of the folder, to which the files' names add 14
def test_names_that_are_too_long_leave_nothing(tmp_path, length):
    with user_error("could not write", "File name too long", "nothing was changed there"):
        write(tmp_path / "new" / ("x" * length), make_images(1))
    assert everything(tmp_path) == []


def test_names_that_are_no_utf8(tmp_path):
    images = make_images(2)
    info = find_dataset(write(tmp_path / "no\udcffutf8", images, np.eye(2)))
    assert (info.num_images, info.label_size) == (2, 2)
    assert (tfrecord.decode_record(tfrecord.read_record(info.file_at(0), 0), "") == images[0]).all()


def test_force_replaces_the_data_set_and_nothing_else(tmp_path):
    write(tmp_path / "set", make_images(3, 16), np.eye(3))
    for name in ("notes.txt", "validation-set-r04.tfrecords"):
        (tmp_path / "set" / name).write_bytes(b"keep")
    with user_error("already holds a data set", "--force"):
        write(tmp_path / "set", make_images(1))
    write(tmp_path / "set", make_images(2), force=True)
    kept = ["notes.txt", "validation-set-r04.tfrecords"]
    assert everything(tmp_path / "set") == sorted(["set-r02.tfrecords", "set-r03.tfrecords", *kept])
    assert find_dataset(tmp_path, "set").num_images == 2


def test_a_validation_set_lies_beside_the_data_set(tmp_path):
    train, other = make_images(3), make_images(2, seed=1)
    write(tmp_path / "set", train)
    with tfrecord.RecordWriter(tmp_path / "set", 8, 1, validation=True) as writer:
        writer.add_many(other)
        writer.set_labels(np.eye(2))
    write(tmp_path / "validation-set", other, np.eye(2))
    names = ["validation-set-r02.tfrecords", "validation-set-r03.tfrecords", "validation-set-rxx.labels"]
    assert everything(tmp_path / "set") == sorted(["set-r02.tfrecords", "set-r03.tfrecords", *names])
    for name in names:
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "validation-set" / name).read_bytes()
    assert find_dataset(tmp_path / "set").num_images == 3
    with user_error("already holds a data set (validation-set-r02.tfrecords"):
        tfrecord.RecordWriter(tmp_path / "set", 8, 1, validation=True)
    with tfrecord.RecordWriter(tmp_path / "set", 8, 1, force=True, validation=True) as writer:
        writer.add_many(train)
    assert everything(tmp_path / "set") == sorted(["set-r02.tfrecords", "set-r03.tfrecords", *names[:2]])


def test_nothing_is_moved_before_all_is_written(tmp_path):
    with user_error("no image was added"), tfrecord.RecordWriter(tmp_path / "set", 8, 1) as writer:
        writer.add_many(make_images(2))
        writer.complete()
        with tfrecord.RecordWriter(tmp_path / "set", 8, 1, validation=True) as other:
            other.complete()
    assert everything(tmp_path) == []


def test_writer_refuses_what_it_cannot_hold(tmp_path):
    for resolution in (0, 2, 24, 1 << 14):
        with user_error("power of two", resolution):
            tfrecord.RecordWriter(tmp_path / "x", resolution, 3)
    (tmp_path / "file").touch()
    with user_error("file is a file"):
        tfrecord.RecordWriter(tmp_path / "file", 8, 3)
    with user_error("no image was added"), tfrecord.RecordWriter(tmp_path / "x", 8, 3):
        pass
    with pytest.raises(ValueError, match="shape"), tfrecord.RecordWriter(tmp_path / "x", 8, 3) as writer:
        writer.add(make_images(1)[0])
    assert everything(tmp_path) == ["file"]


# Discovery


def test_find_dataset(tmp_path):
    labels = np.eye(5, dtype=np.float32)
    write(tmp_path / "cats", make_images(5, 16, 3), labels)
    info = find_dataset(str(tmp_path), "cats")
    assert (info.name, info.resolution, info.num_channels, info.num_images, info.label_size) == ("cats", 16, 3, 5, 5)
    assert sorted(info.files) == [2, 3, 4] and info.file_at(1).endswith("cats-r03.tfrecords")
    np.testing.assert_array_equal(info.load_labels(), labels)
    assert find_dataset(tmp_path / "cats").name == "cats"
    small = find_dataset(tmp_path, "cats", resolution=8, max_images=2)
    assert (small.resolution, small.num_images, sorted(small.files)) == (8, 2, [2, 3])
    assert small.load_labels().shape == (2, 5)


def test_no_labels_are_labels_of_no_width(three):
    info = find_dataset(three.parent)
    assert info.labels_path is None and info.load_labels().shape == (3, 0)


def test_renamed_folder_and_missing_lower_resolutions(three):
    folder = three.parent.rename(three.parent.parent / "renamed")
    (folder / "three-r02.tfrecords").unlink()
    info = find_dataset(folder.parent, "renamed")
    assert info.name == "renamed" and info.num_images == 3
    with user_error("renamed", "no records for 4x4", "-r02", "every resolution"):
        info.file_at(1)
    with user_error("no records of resolution 4, only 8"):
        find_dataset(folder, resolution=4)


def test_nothing_there(tmp_path):
    with user_error("data directory", tmp_path / "nowhere", "does not exist", "--data-dir"):
        find_dataset(tmp_path / "nowhere", "x")
    with user_error("no data set 'x'", "it has no folders", "create_from_images"):
        find_dataset(tmp_path, "x")
    (tmp_path / "y").mkdir()
    with user_error("no data set 'x'", "there are: y"):
        find_dataset(tmp_path, "x")
    with user_error("no record files", tmp_path / "y", "found none"):
        find_dataset(tmp_path, "y")
    (tmp_path / "file").touch()
    with user_error("data directory", tmp_path / "file", "is a file", "--data-dir"):
        find_dataset(tmp_path / "file", "x")
    with user_error(tmp_path / "file", "is a file, no data set", "there are: y"):
        find_dataset(tmp_path, "file")


def test_more_data_sets_than_are_listed(tmp_path):
    for number in range(11):
        (tmp_path / f"set{number:02d}").mkdir()
    with user_error("no data set 'nope'", "there are: set00, ", "set09, and 1 more)"):
        find_dataset(tmp_path, "nope")


@pytest.mark.parametrize("name", ["", "  "])
def test_empty_name(three, name):
    with user_error("the name of the data set (--dataset) is empty", three.parent, "it has no folders"):
        find_dataset(three.parent, name)
    with user_error("is empty", "there are: three"):
        find_dataset(three.parent.parent, name)
    assert find_dataset(three.parent).num_images == find_dataset(three.parent, None).num_images == 3


# Fingerprint


def test_fingerprint_is_that_of_the_content(tmp_path):
    images, labels = make_images(5, 16, 3), np.eye(5, dtype=np.float32)
    info = find_dataset(write(tmp_path / "cats", images, labels))
    fingerprint = info.fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", fingerprint) and info.fingerprint() == fingerprint
    shutil.copytree(tmp_path / "cats", tmp_path / "elsewhere" / "copy")
    assert find_dataset(tmp_path / "elsewhere", "copy").fingerprint() == fingerprint
    assert find_dataset(write(tmp_path / "again", images, labels)).fingerprint() == fingerprint
    assert find_dataset(tmp_path, "cats", max_images=5).fingerprint() == fingerprint
    others = {fingerprint}
    others |= {find_dataset(tmp_path, "cats", max_images=count).fingerprint() for count in (1, 2, 4)}
    others.add(find_dataset(tmp_path, "cats", resolution=8).fingerprint())
    for number in (0, 4):
        changed = images.copy()
        changed[number, 0, 0, 0] ^= 1
        others.add(find_dataset(write(tmp_path / f"changed{number}", changed, labels)).fingerprint())
    others.add(find_dataset(write(tmp_path / "more", np.concatenate([images, images[-1:]]))).fingerprint())
    others.add(find_dataset(write(tmp_path / "unlabelled", images)).fingerprint())
    assert len(others) == 9


def test_fingerprint_stays_what_it_is():
    assert find_dataset(RGB64).fingerprint() == "26db78f211b5fe00"  # runs remember it: a change ends their resuming


def test_fingerprint_takes_the_last_image_that_is_used(three):
    expected = [tfrecord.read_record(str(three), offset) for offset in tfrecord.index_records(three)[0]]
    taken = []
    read = tfrecord.read_record

    def spy(path, offset):
        taken.append(read(path, offset))
        return taken[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_stylegan.data.dataset.read_record", spy)
        find_dataset(three.parent, max_images=2).fingerprint()
        find_dataset(three.parent).fingerprint()
    assert taken == [expected[0], expected[1], expected[0], expected[2]]  # and nothing else, however large the file


def test_fingerprint_of_a_file_that_changed(three):
    info = find_dataset(three.parent)
    damage(three, 40)
    with user_error(three, "record 0 at byte 0 is damaged"):
        info.fingerprint()
    three.unlink()
    with user_error(three):
        info.fingerprint()


def test_two_data_sets_in_one_folder(three):
    shutil.copy(three, three.parent / "validation-three-r03.tfrecords")  # belongs to it: stylegan2-ada's habit
    assert find_dataset(three.parent).num_images == 3
    shutil.copy(three, three.parent / "four-r03.tfrecords")
    with user_error("several data sets: four, three"):
        find_dataset(three.parent)


def test_shapes_that_cannot_be_trained_on(three):
    feature = {
        "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 4, 16])),
        "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes(64)])),
    }
    write_raw(three, [tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()])
    with user_error(three, "16x4, expected 8x8", "square", "--crop"):
        find_dataset(three.parent)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (np.zeros([4, 2], np.float32), ["has 4 labels", "3 images"]),
        (np.zeros([3], np.float32), ["expected labels float32 [N, L]", "[3]"]),
        (np.full([3, 1], np.nan, np.float32), ["label 0 is not finite"]),
        (np.array([[{}]] * 3), ["not a label file"]),  # would need pickle
        (None, ["not a label file"]),
    ],
)
def test_bad_labels(three, labels, parts):
    path = three.parent / "three-rxx.labels"
    with open(path, "wb") as file:
        file.write(b"junk") if labels is None else np.save(file, labels)
    with user_error(path, *parts):
        find_dataset(three.parent)
