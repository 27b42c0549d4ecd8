"""Unpacking and packing: byte for byte there and back, all kinds of labels, who goes where, folders of others."""

import json
import re

import numpy as np
import PIL.Image
import pytest
from data.importers.imported import random_images
from helpers import GOLDEN

from tf_stylegan.data import inspect, unpack
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.tfrecord import RecordWriter
from tf_stylegan.errors import UserError

RGB64 = GOLDEN / "tfrecords" / "rgb64"


def make_set(directory, count=5, channels=3, resolution=8, labels=None, seed=0):
    """Writes a data set; returns its images, uint8 `[N, C, R, R]`."""
    images = random_images(count, channels, resolution, resolution, seed=seed)
    with RecordWriter(directory, resolution, channels) as writer:
        writer.add_many(images)
        if labels is not None:
            writer.set_labels(labels)
    return images


def contents(directory, prefix=""):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name.startswith(prefix)}


def packed(folder, **options):
    """Packs the folder as the data set `set` beside it."""
    out = folder.parent / "packed" / "set"
    unpack.pack(str(folder), str(out), **options)
    return out


def images_in(path):
    return np.stack(list(inspect.read_images(str(path)))).transpose(0, 3, 1, 2)


def refused(function, *arguments, match, **options):
    with pytest.raises(UserError) as caught:
        function(*map(str, arguments), **options)
    assert re.search(match, str(caught.value)), str(caught.value)


RANDOM = np.random.RandomState(0).randn(5, 3)
LABELS = {
    "none": None,
    "classes": np.eye(3)[[0, 2, 1, 1, 0]],
    "highest class without an image": np.eye(4)[[0, 2, 1, 1, 0]],
    "numbers": RANDOM,
    "tiny and huge numbers": RANDOM * np.float32([1e-38, 1e38, -0.0]),
    "one number": np.float32([[1], [1], [1], [1], [1]]),
    "several classes at once": np.float32([[0, 1], [1, 1], [0, 0], [1, 0], [1, 0]]),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_there_and_back(tmp_path, labels, channels, capsys):
    make_set(tmp_path / "set", labels=labels, channels=channels)
    assert unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png")) == 5
    assert contents(packed(tmp_path / "png")) == contents(tmp_path / "set")
    assert "ignored" not in capsys.readouterr().out


def test_golden_data_set_there_and_back(tmp_path):
    unpack.unpack(str(RGB64), str(tmp_path / "png"))
    unpack.pack(str(tmp_path / "png"), str(tmp_path / "rgb64"))
    assert contents(tmp_path / "rgb64") == contents(RGB64)


def test_unpacked_folder(tmp_path):
    images = make_set(tmp_path / "set", count=1003, resolution=4, labels=np.eye(2)[np.arange(1003) % 2])
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    names = sorted(path.relative_to(tmp_path / "png").as_posix() for path in (tmp_path / "png").rglob("*.*"))
    assert len(names) == 1004 and names[0] == "00000/img00000000.png" and names[-1] == "dataset.json"
    assert names[999:1003] == [f"{n // 1000:05d}/img{n:08d}.png" for n in (999, 1000, 1001, 1002)]
    picture = PIL.Image.open(tmp_path / "png" / "00001" / "img00001001.png")
    np.testing.assert_array_equal(np.asarray(picture), images[1001].transpose(1, 2, 0))
    table = json.loads((tmp_path / "png" / "dataset.json").read_text())["labels"]
    assert table[1001] == ["00001/img00001001.png", 1] and len(table) == 1003


def test_resolution(tmp_path):
    images = make_set(tmp_path / "set", resolution=16)
    for method, name in (("lanczos", "a"), ("box", "b")):
        unpack.unpack(str(tmp_path / "set"), str(tmp_path / name), resolution=4, resize_filter=method)
        picture = np.asarray(PIL.Image.open(tmp_path / name / "00000" / "img00000003.png"))
        if method == "box":
            expected = np.rint(images[3].reshape(3, 4, 4, 4, 4).mean(axis=(2, 4))).transpose(1, 2, 0)
        else:
            whole = PIL.Image.fromarray(np.ascontiguousarray(images[3].transpose(1, 2, 0)))
            expected = np.asarray(whole.resize((4, 4), PIL.Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(picture, expected)
    refused(
        unpack.unpack,
        tmp_path / "set",
        tmp_path / "c",
        resolution=0,
        match="--resolution must be from 1 to 8192, got 0",
    )
    assert not (tmp_path / "c").exists()


def test_unpacking_leaves_all_or_nothing(tmp_path):
    make_set(tmp_path / "set", resolution=16)
    path = tmp_path / "set" / "set-r04.tfrecords"
    data = path.read_bytes()
    path.write_bytes(data[:-100] + b"damage" + data[-94:])
    (tmp_path / "empty").mkdir()
    for name in ("new/folder", "empty"):
        refused(unpack.unpack, tmp_path / "set", tmp_path / name, match="set-r04.tfrecords: record 4 .* is damaged")
    assert not (tmp_path / "new").exists() and not list((tmp_path / "empty").iterdir())
    path.write_bytes(data)
    (tmp_path / "empty" / "x").touch()
    refused(unpack.unpack, tmp_path / "set", tmp_path / "empty", match="is not empty; choose another folder")
    refused(unpack.unpack, tmp_path / "set", tmp_path / "empty" / "x", match="x is a file; give a folder")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["x"]


def test_extracting_leaves_all_or_nothing(tmp_path):
    make_set(tmp_path / "set", resolution=16, labels=np.eye(5))
    make_set(tmp_path / "other", resolution=8, seed=1, count=2)
    path = tmp_path / "set" / "set-r04.tfrecords"
    data = path.read_bytes()
    path.write_bytes(data[:-100] + b"damage" + data[-94:])
    refused(unpack.extract, tmp_path / "set", tmp_path / "new" / "png", match="record 4 .* is damaged")
    assert not (tmp_path / "new").exists()
    unpack.extract(str(tmp_path / "other"), str(tmp_path / "png"))
    (tmp_path / "png" / "mine.txt").write_text("mine")
    before = contents(tmp_path / "png")
    refused(unpack.extract, tmp_path / "set", tmp_path / "png", match="is not empty; .* give --force to write into it")
    refused(unpack.extract, tmp_path / "set", tmp_path / "png", force=True, match="record 4 .* is damaged")
    assert contents(tmp_path / "png") == before
    path.write_bytes(data)
    (tmp_path / "png" / "dataset.json").mkdir()
    refused(unpack.extract, tmp_path / "set", tmp_path / "png", force=True, match="dataset.json is a folder, in")
    (tmp_path / "png" / "dataset.json").rmdir()
    assert contents(tmp_path / "png") == before
    unpack.extract(str(tmp_path / "set"), str(tmp_path / "png"), force=True)
    after = contents(tmp_path / "png")
    assert (
        after["mine.txt"] == b"mine" and len(after) == 5 + 2 and after["img00000000.png"] != before["img00000000.png"]
    )


def test_full_disk_while_unpacking(tmp_path, monkeypatch):
    make_set(tmp_path / "set")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", fail)
    refused(
        unpack.unpack, tmp_path / "set", tmp_path / "png", match="could not write .*No space left.*; nothing was left"
    )
    assert not (tmp_path / "png").exists()


# Packing


def as_ada_deals(num_images, num_train, num_validation, mirror, seed):
    """(mirrored, number) of the training set and numbers of the validation set, as stylegan2-ada's tool forms them."""
    order = np.arange(num_images)
    if seed is not None:
        np.random.RandomState(seed).shuffle(order)
    train, validation = order[:num_train], order[num_train : num_train + num_validation]
    pairs = np.stack([np.zeros(num_train, int), train], axis=-1)
    if mirror:
        pairs = np.concatenate([pairs, np.stack([np.ones(num_train, int), train], axis=-1)])
        if seed is not None:
            np.random.RandomState(seed).shuffle(pairs)
    return pairs, validation


@pytest.mark.parametrize("seed", [None, 0, 5])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(("num_train", "num_validation"), [(None, 0), (None, 4), (7, 0), (7, 6)])
def test_who_goes_where(tmp_path, capsys, seed, mirror, num_train, num_validation):
    labels = np.random.RandomState(1).randn(13, 2).astype(np.float32)
    images = make_set(tmp_path / "set", count=13, labels=labels)
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    out = packed(tmp_path / "png", num_train=num_train, num_validation=num_validation, mirror=mirror, seed=seed)
    pairs, validation = as_ada_deals(13, num_train or 13 - num_validation, num_validation, mirror, seed)
    expected = [images[n][:, :, ::-1] if flip else images[n] for flip, n in pairs]
    np.testing.assert_array_equal(images_in(out / "set-r03.tfrecords"), expected)
    np.testing.assert_array_equal(np.load(out / "set-rxx.labels"), labels[pairs[:, 1]])
    assert find_dataset(out).num_images == len(pairs)
    if num_validation:
        np.testing.assert_array_equal(images_in(out / "validation-set-r03.tfrecords"), images[validation])
        np.testing.assert_array_equal(np.load(out / "validation-set-rxx.labels"), labels[validation])
        assert len(contents(out, "validation-")) == 3
    else:
        assert not contents(out, "validation-")
    suffix = f", {num_validation} for validation" if num_validation else ""
    assert f"{len(pairs)} images 8x8x3 in {out}{suffix}\n" in capsys.readouterr().out


def test_wrong_numbers(tmp_path):
    make_set(tmp_path / "set")
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    for options, match in (
        ({"num_train": 6}, "there are 5 images, which cannot give 6 for training and 0 for validation"),
        ({"num_validation": 5}, "cannot give 0 for training and 5 for validation"),
        ({"num_train": 3, "num_validation": 3}, "cannot give 3 for training and 3"),
        ({"num_train": 0}, "cannot give 0 for training"),
        ({"num_validation": -1}, "--num_validation must not be negative, got -1"),
        ({"seed": -1}, "--seed must be a number from 0 to 4294967295, got -1"),
    ):
        refused(unpack.pack, tmp_path / "png", tmp_path / "out", match=match, **options)
    assert not (tmp_path / "out").exists()


def test_existing_data_sets(tmp_path, capsys):
    make_set(tmp_path / "set")
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    out = packed(tmp_path / "png", num_validation=2)
    before = contents(out)
    inspect.describe(out)
    assert "\nvalidation     2 images 8x8 (validation-set-r03.tfrecords, …)\n" in capsys.readouterr().out
    refused(unpack.pack, tmp_path / "png", out, match="already holds a data set")
    refused(unpack.pack, tmp_path / "png", out, force=True, match="holds a validation set .*would no longer belong")
    assert contents(out) == before
    packed(tmp_path / "png", num_validation=1, force=True)
    assert len(images_in(out / "validation-set-r03.tfrecords")) == 1 and find_dataset(out).num_images == 4


def test_a_disk_that_fills_up_at_the_end_leaves_neither_set(tmp_path, monkeypatch):
    make_set(tmp_path / "set", labels=np.eye(5))
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    save, calls = np.save, []

    def fail_at_the_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        save(*args)

    monkeypatch.setattr(np, "save", fail_at_the_second)
    refused(unpack.pack, tmp_path / "png", tmp_path / "out", num_validation=2, match="could not write .*No space left")
    assert len(calls) == 2 and not (tmp_path / "out").exists()


def test_folders_of_others(tmp_path):
    """What `extract`, stylegan2-ada's `unpack` and stylegan2-ada-pytorch's dataset tool leave can be packed too."""
    images = make_set(tmp_path / "set", labels=np.eye(3)[[0, 2, 1, 1, 0]])
    unpack.extract(str(tmp_path / "set"), str(tmp_path / "flat"))
    assert contents(packed(tmp_path / "flat")) == contents(tmp_path / "set")
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    (tmp_path / "png" / "dataset.json").write_text('{"labels": null}')
    out = packed(tmp_path / "png", force=True)
    assert find_dataset(out).label_size == 0
    (tmp_path / "png" / "dataset.json").unlink()
    np.savez(tmp_path / "png" / "pack_extras.npz", labels=np.eye(4, dtype=np.uint8)[[0, 2, 1, 1, 0]], num_images=5)
    packed(tmp_path / "png", force=True)
    assert np.load(out / "set-rxx.labels").tolist() == np.eye(4)[[0, 2, 1, 1, 0]].tolist()
    np.savez(tmp_path / "png" / "pack_extras.npz", labels=np.zeros([5, 0], np.uint8), num_images=5)
    packed(tmp_path / "png", force=True)
    assert find_dataset(out).label_size == 0
    np.testing.assert_array_equal(images_in(out / "set-r03.tfrecords"), images)
    for content, match in (
        ({"labels": np.zeros([4, 2], np.uint8)}, r"pack_extras.npz: expected labels \[5, L\].* got uint8 \[4, 2\]"),
        ({"num_images": 5}, "pack_extras.npz: not the labels that stylegan2-ada's unpack writes"),
        ({"labels": np.array([[{}]] * 5)}, "pack_extras.npz: not the labels"),
    ):
        np.savez(tmp_path / "png" / "pack_extras.npz", **content)
        refused(unpack.pack, tmp_path / "png", tmp_path / "x", match=match)
    (tmp_path / "png" / "pack_extras.npz").write_bytes(b"junk")
    refused(unpack.pack, tmp_path / "png", tmp_path / "x", match="pack_extras.npz: not the labels")


def test_edited_folders(tmp_path):
    images = make_set(tmp_path / "set", labels=np.eye(3)[[0, 2, 1, 1, 0]])
    unpack.unpack(str(tmp_path / "set"), str(tmp_path / "png"))
    inner = tmp_path / "png" / "00000"
    retouched = PIL.Image.open(inner / "img00000001.png").convert("RGBA")
    retouched.save(inner / "img00000001.png")
    np.testing.assert_array_equal(images_in(packed(tmp_path / "png") / "set-r03.tfrecords"), images)

    def changed(match, change, undo):
        change()
        refused(unpack.pack, tmp_path / "png", tmp_path / "x", match=match)
        assert not (tmp_path / "x").exists()
        undo()

    third, aside, table = inner / "img00000003.png", tmp_path / "aside.png", tmp_path / "png" / "dataset.json"
    match = "expected 00000/img00000003.png where 00000/img00000004.png is; .* Use create_from_images"
    changed(match, lambda: third.rename(aside), lambda: aside.rename(third))
    extra = tmp_path / "png" / "a.png"
    changed("where a.png is|expected .* where", lambda: retouched.save(extra), extra.unlink)
    sound, labels = third.read_bytes(), table.read_text()
    changed(
        "1 of 5 images .* cannot be read; replace it; nothing was written",
        lambda: third.write_bytes(sound[:-30]),
        lambda: third.write_bytes(sound),
    )
    second = inner / "img00000002.png"
    second.write_bytes(b"")
    changed(
        "2 of 5 images .* cannot be read; (.|\n)*img00000002.png: .*\n.*img00000003.png: ",
        lambda: third.write_bytes(sound[:-30]),
        lambda: third.write_bytes(sound),
    )
    PIL.Image.fromarray(images[2].transpose(1, 2, 0)).save(second)
    changed(
        "1 of 5 images .* do(es)? not have the size .*; create_from_images can mend",
        lambda: PIL.Image.new("RGB", (16, 16)).save(third),
        lambda: third.write_bytes(sound),
    )
    changed(
        "dataset.json: 1 of 5 images has no label",
        lambda: table.write_text(json.dumps({"labels": json.loads(labels)["labels"][:4]})),
        lambda: table.write_text(labels),
    )
    changed("dataset.json: not readable", lambda: table.write_text("{oops"), lambda: table.write_text(labels))
    refused(unpack.pack, tmp_path / "no", tmp_path / "x", match="image directory .*no does not exist")
    packed(tmp_path / "png", force=True)
