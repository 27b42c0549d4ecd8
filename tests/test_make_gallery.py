"""The README's gallery, made from a small network."""

import os

import PIL.Image
from network_helpers import make_g

import tf_stylegan
from tools import make_gallery


def test_four_pictures(tmp_path, capfd):
    tf_stylegan.save_networks(tmp_path / "g.pkl", [make_g()])
    make_gallery.main([str(tmp_path / "g.pkl"), str(tmp_path / "gallery")])
    side, found = 96, {}  # 16 pixels, enlarged in squares
    for name in os.listdir(tmp_path / "gallery"):
        with PIL.Image.open(tmp_path / "gallery" / name) as image:
            found[name] = *image.size, getattr(image, "n_frames", 1)
    assert found == {
        "seeds.png": (10 * side, side, 1),
        "style-mixing.png": (9 * side, 4 * side, 1),
        "edit.png": (9 * side, 3 * side, 1),
        "lerp.webp": (8 * side, side, 48),
    }
    assert capfd.readouterr().out == ""
