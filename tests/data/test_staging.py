"""New folders that are filled at once or not at all, whoever else is at work in them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tf_stylegan.data import staging
from tf_stylegan.data.staging import PARTIAL, new_folder, work_folder
from tf_stylegan.errors import UserError
from tf_stylegan.files import locked

ROOT = Path(__file__).resolve().parents[2]
WORK = """
import sys
from tf_stylegan.data.staging import new_folder
with new_folder(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def worker(tmp_path):
    """(process, its hidden folder): another process that is filling the folder."""
    command = [sys.executable, "-c", WORK, str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def test_of_two_at_once_the_slower_is_refused(tmp_path, worker):
    _, theirs = worker
    with new_folder(tmp_path / "out") as folder:
        Path(folder, "a").write_text("ours")
    assert theirs.is_dir()  # it is at work
    with pytest.raises(UserError, match="is not empty"), new_folder(tmp_path / "late") as folder:
        Path(folder, "b").write_text("ours")
        Path(tmp_path, "late", "a").write_text("of somebody else")
    assert os.listdir(tmp_path / "late") == ["a"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path, worker):
    process, theirs = worker
    Path(theirs, "half").write_text("half")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with new_folder(tmp_path / "out") as folder:
        Path(folder, "a").write_text("whole")
    assert os.listdir(tmp_path / "out") == ["a"]


def test_who_has_locked_the_folder_is_not_waited_for(tmp_path):
    """A run holds its folder while it trains; films may be put in there."""
    with locked(tmp_path), work_folder(tmp_path) as folder:
        assert os.path.dirname(folder) == str(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_new_one_that_is_taken_for_an_old_one_is_made_again(tmp_path, monkeypatch):
    open_folder, names = os.open, []

    def late(path, flags, **more):
        if os.path.basename(path).startswith(PARTIAL) and path not in names:
            names.append(path)
            if len(names) < 3:
                staging._remove_abandoned(path)
        return open_folder(path, flags, **more)

    monkeypatch.setattr(os, "open", late)
    with work_folder(tmp_path) as folder:
        assert os.path.isdir(folder) and folder == names[2] and os.listdir(tmp_path) == [os.path.basename(folder)]
