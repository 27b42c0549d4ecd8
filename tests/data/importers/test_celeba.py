"""CelebA: the square around the face, both kinds of files, bad images."""

import numpy as np
import PIL.Image
import pytest
from data.importers.imported import assert_holds, assert_refused, random_images, shuffled

from tf_stylegan.data.importers.celeba import create_celeba


@pytest.fixture
def celeba(tmp_path):
    """(folder, images `[N, 218, 178, 3]`), as PNG files."""
    images = random_images(6, 218, 178, 3)
    folder = tmp_path / "celeba" / "img_align_celeba_png"
    folder.mkdir(parents=True)
    for number, image in enumerate(images, 1):
        PIL.Image.fromarray(image).save(folder / f"{number:06d}.png")
    return folder.parent, images


def test_celeba(celeba, tmp_path, capsys):
    folder, images = celeba
    assert create_celeba(str(tmp_path / "out"), str(folder)) == 6
    assert_holds(tmp_path / "out", shuffled(images[:, 57:185, 25:153]))
    assert "note: CelebA has 202,599 images, 6 are there" in capsys.readouterr().out


def test_another_centre_from_the_folder_itself(celeba, tmp_path):
    folder, images = celeba
    create_celeba(str(tmp_path / "out"), str(folder / "img_align_celeba_png"), cx=64, cy=154)
    assert_holds(tmp_path / "out", shuffled(images[:, 90:218, 0:128]))


def test_jpeg_files(celeba, tmp_path):
    folder, images = celeba
    inner = folder / "img_align_celeba"
    (folder / "img_align_celeba_png").rename(inner)
    expected = []
    for number, image in enumerate(images, 1):
        (inner / f"{number:06d}.png").unlink()
        PIL.Image.fromarray(image).save(inner / f"{number:06d}.jpg")
        expected.append(np.asarray(PIL.Image.open(inner / f"{number:06d}.jpg"))[57:185, 25:153])
    create_celeba(str(tmp_path / "out"), str(folder))
    assert_holds(tmp_path / "out", shuffled(expected))


def test_bad_input(celeba, tmp_path):
    folder, _ = celeba
    out = tmp_path / "out"
    assert_refused(create_celeba, out, tmp_path / "no", match="CelebA directory .*no does not exist")
    assert_refused(create_celeba, out, tmp_path, match="no images in .*; give the folder that holds img_align_celeba")
    assert_refused(lambda *a: create_celeba(*a, cx=63), out, folder, match="--cx must be from 64 to 114 .* got 63")
    assert_refused(lambda *a: create_celeba(*a, cy=155), out, folder, match="--cy must be from 64 to 154 .* got 155")
    PIL.Image.new("RGB", (178, 217)).save(folder / "img_align_celeba_png" / "000003.png")
    (folder / "img_align_celeba_png" / "000005.png").write_bytes(b"junk")
    match = "2 of 6 images .* cannot be used .000003.png: 178x217, not 178x218, 000005.png: .*; nothing was written"
    assert_refused(create_celeba, out, folder, match=match)
