"""CIFAR-10 and CIFAR-100: batches as Python 2 wrote them, compared pixel for pixel, and every kind of bad batch."""

import pickle

import numpy as np
import pytest
from data.importers import python2_pickle
from data.importers.imported import BATCHES, assert_holds, assert_refused, make_batch, random_images, shuffled

from tf_stylegan.data.importers.cifar import create_cifar10, create_cifar100
from tf_stylegan.errors import UserError


@pytest.fixture
def cifar10(tmp_path):
    """(folder, images NHWC, classes): five batches, one of them larger than what is kept as text."""
    images = random_images(60, 32, 32, 3)
    classes = np.arange(60) % 10
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    bounds = [0, 5, 10, 15, 20, 60]
    for name, start, end in zip(BATCHES, bounds, bounds[1:]):
        (folder / name).write_bytes(python2_pickle.dumps(make_batch(images[start:end], classes[start:end])))
    return folder, images, classes


def test_the_batches_are_what_python_2_wrote(cifar10):
    folder, images, classes = cifar10
    batch = pickle.loads((folder / BATCHES[4]).read_bytes(), encoding="latin1")  # as the original tool reads them
    np.testing.assert_array_equal(batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), images[20:])
    assert batch["labels"] == classes[20:].tolist() and batch["filenames"][1] == "picture_000001.png"


@pytest.mark.parametrize("inside", [True, False])
def test_cifar10(cifar10, tmp_path, capsys, inside):
    folder, images, classes = cifar10
    assert create_cifar10(str(tmp_path / "out"), str(folder if inside else tmp_path)) == 60
    assert_holds(tmp_path / "out", shuffled(images), shuffled(classes), 10)
    printed = capsys.readouterr().out
    assert "note: CIFAR-10 has 50,000 images, 60 are there" in printed and "60 images 32x32x3" in printed


def test_labels_can_be_left_out(cifar10, tmp_path):
    folder, images, _ = cifar10
    create_cifar10(str(tmp_path / "out"), str(folder), ignore_labels=True)
    assert_holds(tmp_path / "out", shuffled(images))


def test_an_existing_data_set_stays(cifar10, tmp_path):
    folder, images, _ = cifar10
    create_cifar10(str(tmp_path / "out"), str(folder))
    with pytest.raises(UserError, match="already holds a data set"):
        create_cifar10(str(tmp_path / "out"), str(folder))
    create_cifar10(str(tmp_path / "out"), str(folder), ignore_labels=True, force=True)
    assert_holds(tmp_path / "out", shuffled(images))


def test_cifar100(tmp_path):
    images, classes = random_images(25, 32, 32, 3), [99, *range(24)]
    batch = make_batch(images, classes, "fine_labels") | {"coarse_labels": [0] * 25}
    (tmp_path / "cifar-100-python").mkdir()
    (tmp_path / "cifar-100-python" / "train").write_bytes(python2_pickle.dumps(batch))
    create_cifar100(str(tmp_path / "out"), str(tmp_path))
    assert_holds(tmp_path / "out", shuffled(images), shuffled(classes), 100)


def test_written_anew_by_python_3(cifar10, tmp_path):
    folder, images, classes = cifar10
    for name in BATCHES:
        batch = pickle.loads((folder / name).read_bytes(), encoding="latin1")
        (folder / name).write_bytes(pickle.dumps(batch | {"labels": np.array(batch["labels"])}, protocol=4))
    create_cifar10(str(tmp_path / "out"), str(folder))
    assert_holds(tmp_path / "out", shuffled(images), shuffled(classes), 10)


def bad_batch(**changes):
    return make_batch(random_images(4, 32, 32, 3), [0, 1, 2, 3]) | changes


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (bad_batch(labels=[0, 1, 2]), "data_batch_3: `labels`: expected 4 labels, .* one for each image, got int64 "),
        (bad_batch(labels=[0, 1, 2, 10]), "labels must be 0 to 9, one is 10"),
        (bad_batch(labels=[0, 1, 2, -1]), "labels must be 0 to 9, one is -1"),
        (bad_batch(labels=["a"] * 4), "expected a list of class numbers as `labels`"),
        (bad_batch(labels=np.zeros(4)), "whole numbers, .* got float64"),
        (bad_batch(data=np.zeros([4, 100], np.uint8)), r"expected uint8 \[N, 3072\], got uint8 \[4, 100\]"),
        (bad_batch(data=np.zeros([4, 3072], np.float32)), r"got float32 \[4, 3072\]"),
        (bad_batch(data="text"), "expected an array of images as `data`, got str"),
        ({"data": np.zeros([4, 3072], np.uint8)}, "is no batch of images: expected `data` and `labels`"),
        ([1, 2], "data_batch_3 is no batch of images"),
        (bad_batch(filenames=Evil()), "asks for '.*print', .*nothing was executed"),
    ],
)
def test_bad_batches(cifar10, tmp_path, capsys, batch, match):
    folder, _, _ = cifar10
    (folder / BATCHES[2]).write_bytes(pickle.dumps(batch, protocol=2))
    assert_refused(create_cifar10, tmp_path / "out", folder, match=match)
    assert "run" not in capsys.readouterr().out


def test_bad_folders(cifar10, tmp_path):
    folder, _, _ = cifar10
    assert_refused(create_cifar10, tmp_path / "out", tmp_path / "no", match="CIFAR-10 directory .*no does not exist")
    (tmp_path / "cifar-10-python.tar.gz").touch()
    assert_refused(
        create_cifar10, tmp_path / "out", tmp_path / "cifar-10-python.tar.gz", match="is a file; unpack it and give"
    )
    assert_refused(create_cifar100, tmp_path / "out", folder, match="no train in .*CIFAR-100's python version")
    whole = (folder / BATCHES[1]).read_bytes()
    (folder / BATCHES[1]).write_bytes(whole[:-1000])
    assert_refused(create_cifar10, tmp_path / "out", folder, match="data_batch_2: byte .* are there")
    (folder / BATCHES[1]).unlink()
    (folder / BATCHES[4]).unlink()
    assert_refused(create_cifar10, tmp_path / "out", folder, match="no data_batch_2, data_batch_5 in")
