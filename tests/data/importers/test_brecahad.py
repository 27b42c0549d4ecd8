"""BreCaHAD's crops: where they are cut, and what is refused."""

import numpy as np
import PIL.Image
import pytest
from data.importers.imported import assert_refused, random_images

from tf_stylegan.data.importers.brecahad import extract_brecahad_crops


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for number, (width, height) in enumerate([(800, 520), (600, 300)]):
        PIL.Image.fromarray(random_images(1, height, width, 3, seed=number)[0]).save(tmp_path / "in" / f"{number}.tif")
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("size", "places"),
    [
        (256, [(0, x, y) for x in (0, 256, 512) for y in (0, 256)] + [(1, x, 0) for x in (0, 256)]),
        (512, [(0, x, 0) for x in (0, 256)]),
    ],
)
def test_crops(folder, size, places):
    out = folder.parent / "out"
    assert extract_brecahad_crops(str(folder), str(out), cropsize=size) == len(places)
    assert sorted(path.name for path in out.iterdir()) == [f"{number:04d}.png" for number in range(len(places))]
    for number, (source, x, y) in enumerate(places):
        expected = np.asarray(PIL.Image.open(folder / f"{source}.tif"))[y : y + size, x : x + size]
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(out / f"{number:04d}.png")), expected)


def test_bad_input(folder):
    def crop(output, source, **options):
        extract_brecahad_crops(source, output, **options)

    out = folder.parent / "out"
    assert_refused(lambda *a: crop(*a, cropsize=300), out, folder, match="--cropsize must be 256 or 512, got 300")
    assert_refused(crop, out, folder / "no", match="BreCaHAD directory .* does not exist")
    assert_refused(crop, out, folder.parent, match="no .tif files in")
    (folder / "0.tif").unlink()
    assert_refused(lambda *a: crop(*a, cropsize=512), out, folder, match="is as large as 512x512")
    (folder / "2.tif").write_bytes(b"junk")
    assert_refused(crop, out, folder, match="2.tif is damaged")
    assert_refused(crop, folder.parent / "x" / "y", folder, match="2.tif is damaged")
    assert not (folder.parent / "x").exists()
