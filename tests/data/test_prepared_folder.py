"""The folder that prepare fills: names in it, stopping and going on, what else may lie there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import PIL.Image
import pytest
from data import picture_zoo as zoo
from data.picture_zoo import photo
from data.prepare_helpers import count_reads, fill, refused, tree
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data import check, prepare, prepared_folder
from tf_stylegan.data.prepared_folder import output_names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def out(folder):
    return folder.parent / "out"


# Names


def test_names():
    names = output_names(
        ["b/x.jpg", "a.jpg", "a.PNG", "a.webp", "c.tar.gif", "d", "e.png/1.jpg", "e.jpg", "f.jpg.png", "g.png", "G.png"]
    )
    assert names == {
        "a.PNG": "a.png", "a.jpg": "a.jpg.png", "a.webp": "a.webp.png", "b/x.jpg": "b/x.png", "c.tar.gif": "c.tar.png",
        "d": "d.png", "e.jpg": "e-2.png", "e.png/1.jpg": "e.png/1.png", "f.jpg.png": "f.jpg.png",
        "G.png": "G.png", "g.png": "g-2.png",
    }  # fmt: skip


def test_names_that_are_too_long_are_cut():
    long, umlauts = "x" * 252, "ä" * 126
    paths = [f"a/{long}.jpg", f"a/{long[1:]}.jpg", f"a/{long}.gif", f"b/{umlauts}.webp", f"b/{umlauts[1:]}.webp"]
    names = output_names(paths)
    assert names[f"a/{long[1:]}.jpg"] == f"a/{long[1:]}.png"  # it fits: nobody else gets it
    assert {names[f"a/{long}.jpg"], names[f"a/{long}.gif"]} == {f"a/{long[3:]}-2.png", f"a/{long[3:]}-3.png"}
    assert names[f"b/{umlauts[1:]}.webp"] == f"b/{umlauts[1:]}.png"
    assert all(len(os.path.basename(name).encode()) <= 255 for name in names.values())


def test_pictures_with_long_names_are_made(folder, out):
    for number, ending in enumerate((".jpg", ".bmp")):
        photo(seed=number).save(folder / ("x" * 251 + ending))
    assert prepare.prepare(folder, out, size=32) == len(tree(out)) == 2
    assert prepare.prepare(folder, out, size=32) == 2


PARTS = st.text("aAb.-2", min_size=1, max_size=3).filter(lambda part: part.strip("."))
ENDINGS = st.sampled_from([".png", ".PNG", ".jpg", ".png.jpg", "-2.png", ""])


@given(st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=3), ENDINGS), max_size=12))
def test_names_never_meet(parts):
    paths = sorted({"/".join(folders) + ending for folders, ending in parts})
    paths = [path for path in paths if not any(other.startswith(path + "/") for other in paths)]
    names = output_names(paths)
    folded = [name.casefold() for name in names.values()]
    folders = {"/".join(path.split("/")[:end]).casefold() for path in paths for end in range(1, path.count("/") + 1)}
    assert len(set(folded)) == len(paths) and not folders & set(folded)
    assert all(name.endswith(".png") and os.path.dirname(name) == os.path.dirname(path) for path, name in names.items())
    assert output_names(reversed(paths)) == names


# Stopping and going on


def test_unreadable_pictures_are_listed_together_and_the_rest_is_kept(folder, out, monkeypatch):
    fill(folder, 3)
    zoo.fill(folder, {name: entry for name, entry in zoo.broken().items() if name.startswith(("cut", "empty"))})
    message = refused(folder, out, "3 of 6 pictures in .* cannot be read", size=32)
    assert "the 3 done are kept: run the same command again to go on" in message and "--skip-bad" in message
    for name in ("cut.jpg", "cut.png", "empty.jpg"):
        assert f"\n  {name}: " in message
    assert tree(out) == {} and check.survey.list_folder(out) == ([], {})
    made = count_reads(monkeypatch)
    prepare.prepare(folder, out, size=32, skip_bad=True)
    assert set(tree(out)) == {"0.png", "1.png", "2.png"} and sorted(made) == ["cut.jpg", "cut.png"]


def test_an_interrupted_run_goes_on_and_ends_as_an_unbroken_one(folder, out, monkeypatch, capsys):
    fill(folder, 12)
    photo((80, 64), seed=3).save(folder / "copy.bmp")
    options = {"size": 32, "drop_duplicates": True, "num_threads": 1}
    prepare.prepare(folder, out.parent / "unbroken", **options)
    with monkeypatch.context() as patch:
        names = count_reads(patch, fail_at=5)
        with pytest.raises(KeyboardInterrupt):
            prepare.prepare(folder, out, **options)
    assert len(names) == 5 and tree(out) == {} and "run the same command again to go on" in capsys.readouterr().err
    journal = out / ".prepare" / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == 1 + 5
    with open(journal, "a") as file:  # as when the machine went down
        file.write('{"path": "7.png", "num_by')
    names = count_reads(monkeypatch)
    prepare.prepare(folder, out, **options)
    assert len(names) == 8 and tree(out) == tree(out.parent / "unbroken")
    assert [name for name in os.listdir(out) if name.startswith(".")] == [".prepare"]
    assert sorted(os.listdir(out / ".prepare")) == ["journal.jsonl", "log.csv"]


# Slow from the fifth picture on, so that there is time to stop it.
SLOW = """
import sys, time
from tf_stylegan import cli
from tf_stylegan.data import image_files
from tools import prepare_images
read, count = image_files.read, []
def slow(*args, **kwargs):
    count.append(time.sleep(len(count) // 4))
    return read(*args, **kwargs)
image_files.read = slow
sys.exit(cli.run(prepare_images.main))
"""


def test_a_killed_run_goes_on(folder, out):
    fill(folder, 8)
    command = [sys.executable, "-c", SLOW, "prepare", str(folder), str(out), "--size=32", "--threads=1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = out / ".prepare" / "journal.jsonl"
    end = time.monotonic() + 30
    while time.monotonic() < end and not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (143, "") and "run the same command again to go on" in errors
    assert tree(out) == {} and 3 < journal.read_bytes().count(b"\n") < 9
    prepare.prepare(folder, out, size=32)
    prepare.prepare(folder, out.parent / "unbroken", size=32)
    assert tree(out) == tree(out.parent / "unbroken") and len(tree(out)) == 8


def test_a_later_run_does_what_is_new(folder, out, monkeypatch):
    fill(folder, 4)
    prepare.prepare(folder, out, size=32)
    before = tree(out)
    (folder / "1.png").unlink()
    photo((64, 64), seed=50).save(folder / "2.png")
    photo((64, 64), seed=51).save(folder / "new.png")
    (out / "3.png").write_bytes(b"half")  # what a crash of the machine may leave
    (out / "mine.png").write_bytes(b"not of prepare's making")
    (out / "1.png").write_bytes(b"mine too, by now")
    names = count_reads(monkeypatch)
    prepare.prepare(folder, out, size=32)
    after = tree(out)
    assert sorted(names) == ["2.png", "3.png", "new.png"]
    assert set(after) == {"0.png", "2.png", "3.png", "new.png", "mine.png", "1.png"}
    assert after["0.png"] == before["0.png"] and after["3.png"] == before["3.png"] and after["2.png"] != before["2.png"]


def test_what_is_dropped_can_be_chosen_anew_without_reading_all(folder, out, monkeypatch):
    fill(folder, 3)
    photo((80, 64), seed=1).save(folder / "z.bmp")
    prepare.prepare(folder, out, size=32)
    everything = tree(out)
    names = count_reads(monkeypatch)
    prepare.prepare(folder, out, size=32, drop_duplicates=True)
    assert names == [] and set(tree(out)) == set(everything) - {"1.png"}
    prepare.prepare(folder, out, size=32)
    assert names == ["1.png"] and tree(out) == everything


def test_a_run_that_finished_nothing_binds_nobody_to_its_settings(folder, out):
    fill(folder, 2)
    (folder / "bad.png").write_bytes(b"no picture")
    refused(folder, out, "bad.png", size=32)
    prepare.prepare(folder, out, size=16, skip_bad=True)
    assert {PIL.Image.open(out / name).size for name in tree(out)} == {(16, 16)}


def test_other_settings_are_refused_unless_forced(folder, out):
    fill(folder, 2)
    fill(folder.parent / "other", 1, first=7)
    prepare.prepare(folder, out, size=32)
    (out / "mine.txt").write_text("mine")
    refused(folder, out, "was prepared with size 32, crop center, now it is size 64, crop pad", size=64, crop="pad")
    refused(folder.parent / "other", out, "was prepared with source ../in, now it is source ../other", size=32)
    prepare.prepare(folder.parent / "other", out, size=32, force=True)
    assert set(tree(out)) == {"7.png", "mine.txt"}


def test_folders_that_hold_other_things_are_refused_unless_forced(folder, out):
    fill(folder, 1)
    out.mkdir()
    (out / ".DS_Store").write_text("nothing that counts")
    prepare.prepare(folder, out, size=32)
    other = out.parent / "other"
    other.mkdir()
    (other / "mine.png").write_text("mine")
    refused(folder, other, "is not empty and not of prepare's making", size=32)
    assert tree(other) == {"mine.png": b"mine"} and os.listdir(other) == ["mine.png"]
    prepare.prepare(folder, other, size=32, force=True)
    assert tree(other) == {**tree(out), "mine.png": b"mine"}


def test_files_of_the_users_own_are_never_overwritten(folder, out, monkeypatch):
    fill(folder, 3)
    out.mkdir()
    photo(seed=9).save(out / "0.png")
    (out / "dataset.json").write_text("mine")
    labels = folder.parent / "labels.csv"
    labels.write_text("0.png,0\n1.png,1\n2.png,2\n")
    names = count_reads(monkeypatch)
    refused(folder, out, "write over this file, .*: 0.png; move it away", size=32, force=True)
    refused(folder, out, "these 2 files.*: 0.png, dataset.json; move them", size=32, force=True, label_file=labels)
    assert names == [] and not (out / ".prepare").exists()
    (out / "0.png").unlink()
    prepare.prepare(folder, out, size=32, force=True)
    assert (out / "dataset.json").read_text() == "mine"
    photo(seed=8).save(out / "1.png")  # retouched
    photo(seed=10).save(folder / "new.png")
    refused(folder, out, "write over this file, not, or no longer, of its making: 1.png", size=32)
    (out / "1.png").unlink()
    (out / "dataset.json").unlink()
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"0.png", "1.png", "2.png", "new.png"}


def test_a_file_where_a_folder_must_be(folder, out):
    fill(folder, 3)
    prepare.prepare(folder, out, size=32)
    (out / "cat").mkdir()
    (out / "cat" / "old").write_bytes(b"mine")
    (folder / "0.png").unlink()
    (folder / "cat").mkdir()
    fill(folder / "cat" / "old", 1)
    words = f"{out}/cat/old is a file where a folder must be; move it away. Nothing was changed there"
    for _ in range(2):
        assert refused(folder, out, "is a file", size=32) == words
    (out / "cat" / "old").unlink()
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"1.png", "2.png", "cat/old/0.png"}


def test_a_folder_takes_the_name_of_a_picture_of_ours(folder, out):
    fill(folder, 2)
    prepare.prepare(folder, out, size=32)
    (folder / "0.png").unlink()
    fill(folder / "0.png", 1)
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"0.png/0.png", "1.png"}


# A run that fails over a folder that is finished


BAD_RUNS = {
    "nothing left": {"min_size": 9999},
    "forced, nothing left": {"min_size": 9999, "force": True},
    "forced, other settings": {"size": 64, "force": True},
    "unreadable pictures": {},
}


@pytest.mark.parametrize("options", BAD_RUNS.values(), ids=BAD_RUNS)
def test_a_failing_run_leaves_a_finished_folder_as_it_was(folder, out, options):
    fill(folder, 3)
    (folder / "dataset.json").write_text('{"0.png": 0, "1.png": 1, "2.png": 2, "bad.png": 0}')
    photo((80, 64), seed=7).save(folder / "bad.png")
    prepare.prepare(folder, out, size=32)
    before, good = tree(out), (folder / "bad.png").read_bytes()
    (folder / "bad.png").write_bytes(b"junk")
    for _ in range(2):
        refused(folder, out, "cannot be read|would be left", **{"size": 32, **options})
    assert set(before) == {"0.png", "1.png", "2.png", "bad.png", "dataset.json"}
    (folder / "bad.png").write_bytes(good)
    prepare.prepare(folder, out, **{"size": 32, **options, "min_size": 1})  # it is still known to be of our making
    prepare.prepare(folder, out.parent / "fresh", **{"size": 32, **options, "min_size": 1})
    assert tree(out) == tree(out.parent / "fresh")


def test_a_first_run_that_makes_nothing_leaves_nothing(folder, out):
    fill(folder, 2)
    refused(folder, out, "would be left", min_size=9999)
    assert not out.exists()


def test_a_forced_run_that_stopped_goes_on_without_force(folder, out, monkeypatch):
    fill(folder, 3)
    prepare.prepare(folder, out, size=32)
    before = tree(out)
    (folder / "bad.png").write_bytes(b"junk")
    words = "the 3 done are kept: run the same command again, without --force, to go on"
    refused(folder, out, words, size=64, force=True)
    (folder / "bad.png").unlink()
    names = count_reads(monkeypatch)
    prepare.prepare(folder, out, size=64)
    assert names == [] and set(tree(out)) == set(before) and tree(out) != before


def test_names_of_earlier_runs_are_not_forgotten(folder, out):
    zoo.fill(folder, {"a.jpg": (zoo.encoded(photo(seed=1), "JPEG"),), "b.jpg": (zoo.encoded(photo(seed=2), "JPEG"),)})
    photo(seed=3).save(folder / "a.webp")
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"a.jpg.png", "a.webp.png", "b.png"}
    (folder / "a.webp").unlink()  # a.jpg becomes a.png
    (folder / "bad.jpg").write_bytes(b"junk")
    for _ in range(2):
        refused(folder, out, "1 of 3 pictures .* cannot be read", size=32)
    prepare.prepare(folder, out, size=32, skip_bad=True)
    prepare.prepare(folder, out.parent / "fresh", size=32, skip_bad=True)
    assert tree(out) == tree(out.parent / "fresh") and set(tree(out)) == {"a.png", "b.png"}


def test_a_picture_of_an_earlier_run_goes_also_when_it_was_made_anew_and_dropped(folder, out):
    fill(folder, 3)
    prepare.prepare(folder, out, size=32)
    photo((80, 64), seed=0).save(folder / "1.png", compress_level=1)  # a copy of 0.png now
    (folder / "bad.png").write_bytes(b"junk")
    refused(folder, out, "cannot be read", size=32)
    prepare.prepare(folder, out, size=32, skip_bad=True, drop_duplicates=True)
    prepare.prepare(folder, out.parent / "fresh", size=32, skip_bad=True, drop_duplicates=True)
    assert tree(out) == tree(out.parent / "fresh") and len(tree(out)) == 2


def test_nothing_goes_before_the_new_has_its_place(folder, out, monkeypatch):
    fill(folder, 2)
    prepare.prepare(folder, out, size=32)
    (folder / "0.png").unlink()
    photo(seed=9).save(folder / "new.png")

    replace = os.replace

    def full(source, place):
        if place == str(out / "new.png"):
            raise OSError(28, os.strerror(28))
        replace(source, place)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        refused(folder, out, "could not write .*: No space left", size=32)
    prepare.prepare(folder, out, size=32)
    assert set(tree(out)) == {"1.png", "new.png"}


def test_two_at_once_are_refused(folder, out):
    fill(folder, 1)
    with prepared_folder.PreparedFolder(out, {}):
        refused(folder, out, "in use by another process", size=32)


def test_a_full_disk_leaves_what_is_done_to_go_on_with(folder, out, monkeypatch):
    fill(folder, 4)
    save, count = PIL.Image.Image.save, []

    def full(self, path, *args, **kwargs):
        count.append(path)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        return save(self, path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(PIL.Image.Image, "save", full)
        refused(folder, out, "could not write 2.png .*No space left", size=32, num_threads=1)
    assert prepare.prepare(folder, out, size=32) == 4
