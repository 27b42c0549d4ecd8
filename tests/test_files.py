"""Atomic writes, run directories, the log, durations."""

import errno
import os
import subprocess
import sys

import pytest
from tiny_runs import ROOT

from tf_stylegan import files
from tf_stylegan.errors import UserError


def no_space(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_atomic_write(tmp_path):
    path = tmp_path / "a.bin"
    with files.atomic_write(path) as file:
        file.write(b"one")
        assert not path.exists(), "seen only when complete"
    assert path.read_bytes() == b"one"
    with files.atomic_write(str(path), "w") as file:
        file.write("zwölf")
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == "zwölf".encode()
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_an_error_inside_the_block_keeps_the_old_file(tmp_path, error, existed):
    path = tmp_path / "a.bin"
    if existed:
        path.write_bytes(b"old")

    def write_half():
        with files.atomic_write(path) as file:
            file.write(b"half of the new")
            file.flush()
            raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        write_half()
    assert [name.name for name in tmp_path.iterdir()] == (["a.bin"] if existed else [])
    assert not existed or path.read_bytes() == b"old"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch, function):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, function, no_space)
    with (
        pytest.raises(UserError, match=r"a.bin: No space left on device; the previous file, if any, is untouched"),
        files.atomic_write(path) as file,
    ):
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_disk_that_fills_while_writing(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    real_open = open

    def open_full(name, *args, **kwargs):
        # Really makes the temporary file, then hands out one whose every flush fails as on a full disk.
        real_open(name, *args, **kwargs).close()
        return real_open("/dev/full", *args, **kwargs)

    monkeypatch.setattr("builtins.open", open_full)
    with (
        pytest.raises(UserError, match=r"could not write .*a.bin: No space left on device"),
        files.atomic_write(path) as file,
    ):
        file.write(b"x" * 10**6)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(UserError, match=r"could not write .*nowhere/a.bin: No such file or directory"),
        files.atomic_write(tmp_path / "nowhere" / "a.bin"),
    ):
        pytest.fail("the block must not run")
    with pytest.raises(UserError, match=r"could not make the folder .*file/x: Not a directory"):
        files.make_dir(tmp_path / "file" / "x")
    with pytest.raises(UserError, match=r"could not make a run directory in .*file: "):
        files.make_run_dir(tmp_path / "file", "x")


def test_folders_of_our_making_can_be_taken_back(tmp_path):
    made = files.make_dir(tmp_path / "a" / "b")
    assert made == [str(tmp_path / "a" / "b"), str(tmp_path / "a")] and files.make_dir(tmp_path / "a") == []
    (tmp_path / "a" / "file").touch()
    files.remove_empty(made)
    assert os.listdir(tmp_path / "a") == ["file"]
    with pytest.raises(UserError, match="could not make the folder"):
        files.make_dir(tmp_path / "new" / "folder" / ("x" * 300))
    assert os.listdir(tmp_path) == ["a"]


def test_run_directories_are_numbered(tmp_path):
    results = str(tmp_path / "deep" / "results")
    made = [files.make_run_dir(results, f"run{i}") for i in range(3)]
    assert [os.path.basename(path) for path in made] == ["00000-run0", "00001-run1", "00002-run2"]
    os.rmdir(made[1])
    assert os.path.basename(files.make_run_dir(results, "next")) == "00003-next", "one above the highest, no gap filled"
    os.mkdir(os.path.join(results, "123456-long"))
    os.mkdir(os.path.join(results, "not-numbered"))
    assert os.path.basename(files.make_run_dir(results, "next")) == "123457-next"


def test_two_runs_never_share_a_directory(tmp_path, monkeypatch):
    os.mkdir(tmp_path / "00000-run")
    listdir, calls = os.listdir, []

    def outdated(path):
        calls.append(path)
        return [] if len(calls) == 1 else listdir(path)  # the first look was before the other run made its folder

    monkeypatch.setattr(os, "listdir", outdated)
    assert files.make_run_dir(str(tmp_path), "run") == str(tmp_path / "00001-run")


def test_run_directories_newest_first(tmp_path):
    for name in ("00002-b", "00010-c", "00001-a", "other"):
        os.mkdir(tmp_path / name)
    (tmp_path / "00011-notes.txt").write_text("not a run")
    assert [os.path.basename(path) for path in files.run_dirs(tmp_path)] == ["00010-c", "00002-b", "00001-a"]
    assert files.run_dirs(tmp_path / "nowhere") == []


def test_log(tmp_path, capsys):
    path = tmp_path / "log.txt"
    for line in ("first", "zwölf"):
        log = files.Log(path)
        log(line)
        assert path.read_text(encoding="utf-8").endswith(f"{line}\n"), "written at once"
        log.close()
    log.close()
    log("after closing")
    assert path.read_text(encoding="utf-8") == "first\nzwölf\n"
    assert capsys.readouterr().out == "first\nzwölf\nafter closing\n"


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (3599, "59m 59s"),
        (3600, "1h 00m 00s"),
        (86399, "23h 59m 59s"),
        (86400, "1d 00h 00m"),
        (98765, "1d 03h 26m"),
        (10**7, "115d 17h 46m"),
    ],
)
def test_format_time(seconds, text):
    assert files.format_time(seconds) == text


def test_a_locked_folder_is_refused_until_it_is_free(tmp_path):
    (tmp_path / "checkpoint.npz.tmp-123").write_text("half")
    (tmp_path / "checkpoint.npz").write_text("whole")
    with files.locked(tmp_path):
        assert [name.name for name in tmp_path.iterdir()] == ["checkpoint.npz"]  # leftovers are gone
        with pytest.raises(UserError, match="is in use by another process"), files.locked(tmp_path):
            pass
    with files.locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_locked(tmp_path):
    with pytest.raises(UserError, match="could not open the folder"), files.locked(tmp_path / "nowhere"):
        pass


def test_a_log_that_cannot_be_written_is_still_printed(capsys):
    log = files.Log("/dev/full")
    log("a line")
    log.close()
    assert capsys.readouterr().out == "a line\n"


def test_a_log_that_cannot_be_opened(tmp_path):
    with pytest.raises(UserError, match=r"could not write .*log\.txt"):
        files.Log(tmp_path / "nowhere" / "log.txt")


def test_a_folder_or_a_device_is_not_replaced(tmp_path):
    with pytest.raises(UserError, match="it is a folder or a device"), files.atomic_write(tmp_path) as file:
        file.write(b"x")
    with pytest.raises(UserError, match="it is a folder or a device"), files.atomic_write(os.devnull) as file:
        file.write(b"x")
    assert not os.path.isfile(os.devnull)


@pytest.mark.parametrize("lost", ["| true", "> /dev/full", ">&-"])
def test_a_program_goes_on_when_nobody_reads_what_it_prints(tmp_path, lost):
    program = (
        "import time; from tf_stylegan import files; log = files.Log('log.txt'); time.sleep(0.5)\n"
        "for n in range(3): log(str(n))\n"
        "open('end', 'w').close()"
    )
    command = f'"{sys.executable}" -c "$PROGRAM" {lost}'
    environment = {**os.environ, "PROGRAM": program, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert (tmp_path / "end").exists() and (tmp_path / "log.txt").read_text().split() == ["0", "1", "2"]
