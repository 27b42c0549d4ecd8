"""New folders that are filled at once or not at all, whoever else is at work in them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tf_stylegan.data.staging import new_folder
from tf_stylegan.errors import UserError

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
