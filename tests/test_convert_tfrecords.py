"""The command line: every command from its arguments in both spellings, its help, its mistakes."""

import gzip
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
from data import picture_zoo as zoo
from data.image_folders import class_folders, picture
from data.importers import python2_pickle
from data.importers.imported import BATCHES, IMAGES, LABELS, idx, make_batch, random_images

from tf_stylegan import cli
from tf_stylegan.data import inspect
from tf_stylegan.data.dataset import find_dataset
from tools import convert_tfrecords

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    *("create_from_images", "create_digits", "display", "extract", "info", "compare", "unpack", "pack"),
    *("create_mnist", "create_mnistrgb", "create_cifar10", "create_cifar100", "create_svhn", "create_celeba"),
    *("create_lsun", "create_lsun_wide", "create_from_hdf5", "convert_to_hdf5", "hdf5_from_images"),
    "extract_brecahad_crops",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of three images in two classes; what is made of it lies beside it."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # main sets these: let pytest put them back
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    class_folders(tmp_path / "in")
    return tmp_path / "in"


def run(*arguments):
    """What `main` returns for a command line; errors come out as exceptions."""
    return convert_tfrecords.main(list(map(str, arguments)))


def command(*arguments):
    """The command in a process of its own."""
    line = [sys.executable, str(ROOT / "tools" / "convert_tfrecords.py"), *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}  # the package may not be installed here
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False)


def test_command_line_error_is_one_line_and_code_2(folder):
    result = command("info", folder)
    assert result.returncode == 2
    last = result.stderr.strip().split("\n")[-1]
    assert last.startswith("error: no record files") and "Traceback" not in result.stderr
    result = command("create_from_images", folder.parent / "out", folder, "--threads=-1")
    assert result.returncode == 2 and result.stderr.strip().endswith("got -1; leave it out for all cores")


def test_help_needs_no_tensorflow(capsys):
    for name in ("", *COMMANDS):
        with pytest.raises(SystemExit) as caught:
            convert_tfrecords.main([name, "--help"] if name else ["--help"])
        assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert set(COMMANDS) <= set(printed.split("options:")[0].split())
    assert "usage: convert_tfrecords.py pack UNPACKED_DIR TFRECORD_DIR [options]" in printed
    result = subprocess.run([sys.executable, "-X", "importtime", ROOT / "tools/convert_tfrecords.py", "--help"],
                            capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True)  # fmt: skip
    assert "tensorflow" not in result.stderr


@pytest.mark.parametrize("spelling", ["--ignore-labels", "--ignore_labels", "--ignore_labels=1"])
def test_folders_of_images(folder, spelling):
    out, other, png = (folder.parent / name for name in ("out", "other", "png"))
    assert run("create_from_images", out, folder, "--class-folders", "--threads=1") == 0
    assert run("create_from_images", other, folder, "--shuffle=1", "--resize=8", "--crop") == 0
    assert run("compare", out, other) == 1
    assert run("compare", out, other, spelling) == 0
    assert run("display", out, f"--out={png}.png") == 0
    assert run("extract", out, png) == 0
    assert run("info", out) == 0


def test_large_images_and_profiles(folder, monkeypatch, capsys):
    """Pillow's own warning, an error in these tests, is not heard; what is done, or not, about colours is."""
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 40)  # of 64
    picture().save(folder / "wide.png", icc_profile=zoo.icc_profile())
    srgb = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    picture(seed=1).save(folder / "srgb.png", icc_profile=srgb)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run("create_from_images", folder.parent / "out", folder) == 0
    note = "1 image has a colour profile that is not applied; prepare_images.py prepare converts them\n"
    assert note in capsys.readouterr().out


@pytest.mark.parametrize("as_options", [False, True])
def test_unpack_and_pack(folder, as_options):
    out, png, again = (folder.parent / name for name in ("out", "png", "again"))
    run("create_from_images", out, folder, "--class-folders")
    if as_options:
        assert run("unpack", "--tfrecord_dir", out, "--output_dir", png) == 0
        assert run("pack", "--unpacked_dir", png, "--tfrecord_dir", again, "--num_train", 2, "--num_validation", 1,
                   "--mirror", 1, "--seed", 3) == 0  # fmt: skip
        assert find_dataset(again).num_images == 4 and (again / "validation-again-rxx.labels").exists()
        assert run("unpack", "--tfrecord-dir", out, folder.parent / "small", "--resolution=4") == 0
        assert PIL.Image.open(folder.parent / "small/00000/img00000000.png").size == (4, 4)
    else:
        assert run("unpack", out, png) == 0
        assert run("pack", png, again) == 0
        assert run("compare", out, again) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["unpack"], "unpack takes TFRECORD_DIR and OUTPUT_DIR: TFRECORD_DIR and OUTPUT_DIR missing"),
        (["unpack", "--output_dir=x", "y", "z"], "unpack takes TFRECORD_DIR and OUTPUT_DIR: what is 'z'?"),
        (["pack", "--tfrecord_dir", "x"], "pack takes UNPACKED_DIR and TFRECORD_DIR: UNPACKED_DIR missing"),
        (["pack", "nowhere", "x"], "image directory nowhere does not exist"),
        (["create_lsun", "x", "nowhere", "--max-images=0"], "--max_images must be at least 1, got 0"),
        (["create_lsun", "x", "nowhere"], "LSUN directory nowhere does not exist"),
        (["create_lsun_wide", "x", "nowhere", "--width=7"], "--width must be a power of two"),
        (["create_celeba", "x", "nowhere", "--cx=0"], "--cx must be from 64 to 114"),
        (["create_svhn", "x", "nowhere"], "SVHN directory nowhere does not exist"),
        (["create_cifar100", "x", "nowhere"], "CIFAR-100 directory nowhere does not exist"),
        (["create_from_hdf5", "x", "nowhere.h5"], "HDF5 archive nowhere.h5 does not exist"),
        (["hdf5_from_images", "x.h5", "nowhere"], "image directory nowhere does not exist"),
        (
            ["convert_to_hdf5", "x.h5", "nowhere"],
            "nowhere does not exist; give the folder of a data set, which holds <name>",
        ),
        (
            ["info", "nowhere"],
            "error: nowhere does not exist; give the folder of a data set, which holds <name>-r<log2>",
        ),
        (["extract_brecahad_crops", "nowhere", "x", "--cropsize=1"], "--cropsize must be 256 or 512, got 1"),
    ],
)
def test_mistakes(folder, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(folder.parent)
    assert cli.run(convert_tfrecords.main, arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


@pytest.mark.parametrize("spelling", ["_", "-"])
def test_small_images(folder, spelling):
    images, classes = random_images(10, 32, 32, 3), np.arange(10)
    source = folder.parent / "source"
    source.mkdir()
    for number, name in enumerate(BATCHES):
        part = slice(2 * number, 2 * number + 2)
        (source / name).write_bytes(python2_pickle.dumps(make_batch(images[part], classes[part])))
    batch = make_batch(images, classes, "fine_labels")
    (source / "train").write_bytes(python2_pickle.dumps(batch))
    (source / IMAGES).write_bytes(gzip.compress(idx(random_images(10, 28, 28))))
    (source / LABELS).write_bytes(gzip.compress(idx(classes.astype(np.uint8))))
    out = {name: folder.parent / name for name in ("cifar10", "cifar100", "mnist", "mnistrgb")}
    assert run("create_cifar10", out["cifar10"], source, f"--ignore{spelling}labels=1") == 0
    assert run("create_cifar100", out["cifar100"], source) == 0
    assert run("create_mnist", out["mnist"], source) == 0
    assert (
        run("create_mnistrgb", out["mnistrgb"], source, f"--num{spelling}images=12", f"--random{spelling}seed=5") == 0
    )
    sizes = {name: (find_dataset(path).num_images, find_dataset(path).label_size) for name, path in out.items()}
    assert sizes == {"cifar10": (10, 0), "cifar100": (10, 100), "mnist": (10, 10), "mnistrgb": (12, 0)}


def test_large_images(folder):
    root = folder.parent
    faces = root / "faces" / "img_align_celeba_png"
    faces.mkdir(parents=True)
    pictures = [PIL.Image.fromarray(image) for image in random_images(3, 218, 178, 3)]
    for number, face in enumerate(pictures):
        face.save(faces / f"{number}.png")
    assert run("create_celeba", root / "celeba", root / "faces", "--cx=90", "--cy=100") == 0
    first = next(inspect.read_images(find_dataset(root / "celeba").file_at(0)))
    corners = [np.asarray(face)[36:164, 26:154] for face in pictures]
    assert any((first == corner).all() for corner in corners)

    (root / "tifs").mkdir()
    PIL.Image.new("RGB", (600, 520)).save(root / "tifs" / "a.tif")
    options = ("--brecahad_dir", root / "tifs", "--output_dir", root / "crops", "--cropsize", 512)
    assert run("extract_brecahad_crops", *options) == 0
    assert len(list((root / "crops").iterdir())) == 1


def test_hdf5(folder):
    pytest.importorskip("h5py")
    root = folder.parent
    run("create_from_images", root / "set", folder, "--shuffle=0", "--class-folders")
    assert run("convert_to_hdf5", root / "set.h5", root / "set", "--compress=1") == 0
    assert run("create_from_hdf5", root / "again", root / "set.h5", "--shuffle=0") == 0
    assert run("compare", root / "set", root / "again") == 0
    assert run("hdf5_from_images", root / "set.h5", folder, "--compress", "--force") == 0
    assert run("create_from_hdf5", root / "again", root / "set.h5", "--shuffle=0", "--force") == 0
    assert run("compare", root / "set", root / "again", "--ignore-labels") == 0
    assert find_dataset(root / "again").label_size == 0


@pytest.mark.parametrize("spelling", ["_", "-"])
def test_lsun(folder, spelling):
    lmdb = pytest.importorskip("lmdb")
    root = folder.parent
    with lmdb.open(str(root / "cat_lmdb"), map_size=1 << 20) as database, database.begin(write=True) as transaction:
        for number, path in enumerate(sorted(folder.rglob("*.png"))):
            transaction.put(b"%d" % number, path.read_bytes())
    assert run("create_lsun", root / "square", root / "cat_lmdb", "--resolution=4", f"--max{spelling}images=2") == 0
    options = ("--width=8", "--height=6", f"--max{spelling}images=1")
    assert run("create_lsun_wide", root / "wide", root / "cat_lmdb", *options) == 0
    assert (find_dataset(root / "square").num_images, find_dataset(root / "wide").num_images) == (2, 1)
    assert find_dataset(root / "wide").resolution == 8


def test_svhn(folder):
    scipy_io = pytest.importorskip("scipy.io")
    content = {"X": random_images(32, 32, 3, 4), "y": np.array([[1], [2], [10], [9]], np.uint8)}
    scipy_io.savemat(folder.parent / "train_32x32.mat", content)
    assert run("create_svhn", folder.parent / "svhn", folder.parent) == 0
    assert sorted(find_dataset(folder.parent / "svhn").load_labels().argmax(axis=1)) == [0, 1, 2, 9]
