"""SVHN: a real MATLAB file, the pickles that the original took, the digit 0, bad files."""

import pickle
import sys

import numpy as np
import pytest
from data.importers import python2_pickle
from data.importers.imported import assert_holds, assert_refused, random_images, shuffled

from tf_stylegan.data.importers.svhn import create_svhn

scipy_io = pytest.importorskip("scipy.io")


def save(folder, images, digits, **changes):
    """Images `[N, H, W, 3]` as the authors store them: `[H, W, 3, N]`, class 10 for the digit 0."""
    content = {"X": images.transpose(1, 2, 3, 0), "y": np.where(digits == 0, 10, digits)[:, None].astype(np.uint8)}
    content = {name: value for name, value in (content | changes).items() if value is not None}
    scipy_io.savemat(folder / "train_32x32.mat", content, do_compression=True)


@pytest.fixture
def svhn(tmp_path):
    folder = tmp_path / "svhn"
    folder.mkdir()
    return folder, random_images(23, 32, 32, 3), np.arange(23) % 10


def test_matlab_file(svhn, tmp_path, capsys):
    folder, images, digits = svhn
    save(folder, images, digits)
    assert create_svhn(str(tmp_path / "out"), str(folder)) == 23
    assert_holds(tmp_path / "out", shuffled(images), shuffled(digits), 10)
    assert "note: SVHN has 73,257 images, 23 are there" in capsys.readouterr().out


def save_pickles(folder, images, digits, dumps=python2_pickle.dumps):
    for number, start in enumerate((0, 5, 10), 1):
        part = slice(start, None if number == 3 else start + 5)
        pair = (images[part].transpose(0, 3, 1, 2), digits[part].astype(np.uint8))
        (folder / f"train_{number}.pkl").write_bytes(dumps(pair))


@pytest.mark.parametrize("dumps", [python2_pickle.dumps, pickle.dumps])
def test_pickles(svhn, tmp_path, dumps):
    folder, images, digits = svhn
    save_pickles(folder, images, digits, dumps)
    create_svhn(str(tmp_path / "out"), str(folder))
    assert_holds(tmp_path / "out", shuffled(images), shuffled(digits), 10)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"X": None}, "expected the arrays X and y in it"),
        ({"X": np.zeros([32, 32, 3, 5], np.uint8)}, "y: expected 5 labels, .* got uint8 .23."),
        ({"X": np.zeros([32, 32, 23], np.uint8)}, r"X: expected uint8 \[32, 32, 3, N\], got uint8 \[32, 32, 23\]"),
        ({"X": np.zeros([32, 32, 3, 23])}, "got float64"),
        ({"y": np.full([23, 1], 11, np.uint8)}, "labels must be 0 to 10, one is 11"),
        ({"y": np.full([23, 1], 0.5)}, "whole numbers, .* float64"),
    ],
)
def test_bad_matlab_files(svhn, tmp_path, changes, match):
    folder, images, digits = svhn
    save(folder, images, digits, **changes)
    assert_refused(create_svhn, tmp_path / "out", folder, match=match)


def test_bad_folders(svhn, tmp_path):
    folder, images, digits = svhn
    assert_refused(create_svhn, tmp_path / "out", folder, match="no train_32x32.mat in")
    assert_refused(create_svhn, tmp_path / "out", tmp_path / "no", match="SVHN directory .* does not exist")
    save_pickles(folder, images, digits)
    (folder / "train_2.pkl").write_bytes(pickle.dumps([images]))
    assert_refused(create_svhn, tmp_path / "out", folder, match="train_2.pkl: expected a pair of arrays")
    (folder / "train_2.pkl").unlink()
    assert_refused(create_svhn, tmp_path / "out", folder, match="no train_2.pkl in")
    save(folder, images, digits)
    path = folder / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:5000])
    assert_refused(create_svhn, tmp_path / "out", folder, match="train_32x32.mat is no MATLAB file, or damaged")
    path.write_bytes(b"<html>not found</html>")
    assert_refused(create_svhn, tmp_path / "out", folder, match="is no MATLAB file, or damaged")


def test_without_scipy(svhn, tmp_path, monkeypatch):
    folder, images, digits = svhn
    save(folder, images, digits)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    match = r"SVHN's MATLAB file needs scipy: pip install scipy, or 'tf_stylegan\[imports\]'"
    assert_refused(create_svhn, tmp_path / "out", folder, match=match)
