"""MNIST: idx files as its authors give them out, the margin, the labels, three digits in one image, bad files."""

import gzip
import struct

import numpy as np
import pytest
from data.importers.imported import IMAGES, LABELS, assert_holds, assert_refused, idx, random_images, shuffled

from tf_stylegan.data.importers.mnist import create_mnist, create_mnistrgb


@pytest.fixture
def mnist(tmp_path):
    """(folder, digits uint8 `[N, 28, 28]`, classes)."""
    digits, classes = random_images(30, 28, 28), (np.arange(30) % 10).astype(np.uint8)
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / IMAGES).write_bytes(packed(idx(digits)))
    (folder / LABELS).write_bytes(packed(idx(classes)))
    return folder, digits, classes


def packed(data):
    return gzip.compress(data, mtime=0)  # no time in it: it is part of tests' names, the same in all processes


def padded(digits):
    images = np.zeros([len(digits), 32, 32, 1], np.uint8)
    images[:, 2:30, 2:30, 0] = digits
    return images


@pytest.mark.parametrize("packed", [True, False])
def test_mnist(mnist, tmp_path, capsys, packed):
    folder, digits, classes = mnist
    if not packed:
        for name in (IMAGES, LABELS):
            (folder / name[:-3]).write_bytes(gzip.decompress((folder / name).read_bytes()))
            (folder / name).unlink()
    assert create_mnist(str(tmp_path / "out"), str(folder)) == 30
    assert_holds(tmp_path / "out", shuffled(padded(digits)), shuffled(classes), 10)
    printed = capsys.readouterr().out
    assert "note: MNIST has 60,000 images, 30 are there" in printed and "30 images 32x32x1" in printed


def test_mnistrgb(mnist, tmp_path):
    folder, digits, _ = mnist
    create_mnistrgb(str(tmp_path / "out"), str(folder), num_images=600, random_seed=7)  # more than one block
    rnd = np.random.RandomState(7)
    grey = padded(digits)[:, :, :, 0]
    expected = [grey[rnd.randint(30, size=3)].transpose(1, 2, 0) for _ in range(600)]  # one at a time, as the original
    assert_holds(tmp_path / "out", expected)
    assert_refused(
        lambda *a: create_mnistrgb(*a, num_images=0), tmp_path / "x", folder, match="--num_images must be at"
    )
    assert_refused(
        lambda *a: create_mnistrgb(*a, random_seed=-1), tmp_path / "x", folder, match="--random_seed must be"
    )


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        (IMAGES, None, f"no {IMAGES} in .*; give the folder"),
        (LABELS, None, f"no {LABELS} in "),
        (IMAGES, b"\x1f\x8b junk", "ubyte.gz is damaged or cut off"),
        (IMAGES, b"not packed at all", "ubyte.gz is damaged or cut off"),
        (IMAGES, packed(idx(np.zeros([3, 28, 28], np.uint8)))[:-12], "is damaged or cut off"),
        (IMAGES, packed(b"\0\0\x08"), "expected 3 dimensions of bytes, it begins 000008"),
        (IMAGES, packed(idx(np.zeros([3], np.uint8))), "expected 3 dimensions of bytes, it begins 00000801"),
        (IMAGES, packed(idx(np.zeros([3, 28, 28], ">f4"), 13)), "it begins 00000d03"),
        (IMAGES, packed(idx(np.zeros([3, 20, 20], np.uint8))), "expected images of 28x28, got 20x20"),
        (IMAGES, packed(idx(np.zeros([0, 28, 28], np.uint8))), "0 items of 0 bytes are announced"),
        (IMAGES, packed(idx(random_images(3, 28, 28)) + b"x"), "3 items of 2,352 bytes are announced, more are"),
        (
            IMAGES,
            packed(b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 28, 28) + bytes(100)),  # costs no memory
            "4,294,967,295 items .* only 100 are there",
        ),
        (LABELS, packed(idx(np.zeros([29], np.uint8))), "idx1-ubyte.gz: expected 30 labels, .* uint8 .29."),
        (LABELS, packed(idx(np.full([30], 10, np.uint8))), "labels must be 0 to 9, one is 10"),
    ],
)
def test_bad_files(mnist, tmp_path, name, content, match):
    folder, _, _ = mnist
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    assert_refused(create_mnist, tmp_path / "out", folder, match=match)


def test_bad_folders(mnist, tmp_path):
    folder, _, _ = mnist
    assert_refused(create_mnist, tmp_path / "out", tmp_path / "no", match="MNIST directory .*no does not exist")
    assert_refused(create_mnist, tmp_path / "out", folder / IMAGES, match="is a file; unpack it and give the folder")
    assert_refused(create_mnist, tmp_path / "out", tmp_path, match=f"no {IMAGES} in")
