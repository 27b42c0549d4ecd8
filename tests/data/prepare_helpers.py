"""What the tests of prepare share: folders of pictures, and what became of them."""

import csv
import os

import pytest
from data.picture_zoo import photo

from tf_stylegan.data import image_files, prepare
from tf_stylegan.errors import UserError


def fill(folder, count=6, size=(80, 64), first=0):
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        photo(size, seed=number).save(folder / f"{number}.png")


def tree(folder):
    """`{path: bytes}` of what a user sees in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if not path.relative_to(folder).as_posix().startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def log_of(out):
    with open(out / ".prepare" / "log.csv", encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def refused(folder, out, words, **options):
    """The message; checks that what a user sees is as before, and that a new folder stays only if there is to go on."""
    existed, before = out.exists(), tree(out)
    with pytest.raises(UserError, match=words) as caught:
        prepare.prepare(folder, out, **options)
    assert tree(out) == before
    if not existed and out.exists():
        assert len((out / ".prepare" / "journal.jsonl").read_text().splitlines()) > 1
    return str(caught.value)


def count_reads(monkeypatch, fail_at=None):
    """List that grows by the name of every picture that prepare reads; KeyboardInterrupt after `fail_at` of them."""
    names, read = [], image_files.read

    def counted(path, *args, **kwargs):
        if len(names) == fail_at:
            raise KeyboardInterrupt
        names.append(os.path.basename(path))
        return read(path, *args, **kwargs)

    monkeypatch.setattr(image_files, "read", counted)
    return names
