"""Counts, lists and names as the commands for data print them."""

import subprocess
import sys
from pathlib import Path

from data import image_folders, prepare_helpers
from data import picture_zoo as zoo
from data.image_folders import picture

from tf_stylegan.data.words import counted, printable, say, shorten

ROOT = Path(__file__).resolve().parents[2]


def test_words(capsys):
    assert [counted(number, "file") for number in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]
    assert counted(2, "image is", "images are") == "2 images are"
    assert shorten(range(3)) == "0, 1, 2" and shorten(map(str, range(1011))).endswith("9, and 1,001 more")
    assert shorten(zoo.NAMES[2:4]) == "new\\nline.png, bell\\x07\\x1b[31mred.png"
    assert all(printable(name).isprintable() for name in zoo.NAMES)
    say("a\udcff\nb")
    assert capsys.readouterr().out == "a\\udcff\\nb\n"


def test_every_name_in_a_list_of_errors_is_one_line(folder):
    picture((8, 8)).save(folder / "a.png")
    picture((8, 9)).save(folder / "odd\n.png")
    expected = "  odd\\n.png: 8x9 (not square)"
    assert image_folders.refused(folder, "1 of 2 images").split("\n")[1:] == [expected]
    (folder / "odd\n.png").write_bytes(b"")
    assert image_folders.refused(folder, "1 of 2 images").split("\n")[1:] == ["  odd\\n.png: an empty file"]
    message = prepare_helpers.refused(folder, folder.parent / "squares", "1 of 2 pictures")
    assert message.split("\n")[1:] == ["  odd\\n.png: an empty file"]


def test_any_name_can_be_printed(folder):
    """On a terminal that takes UTF-8 only, whatever the data set, the folder and the files are called."""
    folder = folder.rename(folder.parent / "in\udcff\nside")
    picture((8, 8)).save(folder / "a.png")
    zoo.fill(folder, {"note\udcff\n.txt": (b"",), "cut\udcff\n.png": (b"",)})
    out, png, archive = (folder.parent / f"{name}\udcff\n" for name in ("out", "png", "h5"))
    for tool, *arguments in (
        ("prepare_images.py", "prepare", folder, folder.parent / "squares\udcff", "--skip-bad"),
        ("convert_tfrecords.py", "create_from_images", out, folder, "--skip-bad"),
        ("convert_tfrecords.py", "info", out),
        ("convert_tfrecords.py", "unpack", out, png),
        ("convert_tfrecords.py", "convert_to_hdf5", archive, out),
    ):
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / tool), *map(str, arguments)], capture_output=True, text=True,
            env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:strict", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert "\\udcff" in done.stdout and all(line.isprintable() for line in done.stdout.splitlines())
        assert not any(line.startswith("side") for line in done.stdout.splitlines())
