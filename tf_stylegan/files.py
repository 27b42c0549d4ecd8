"""Run directories, atomic writes and the log (F0: standard library only)."""

import contextlib
import datetime
import errno
import fcntl
import os
import re
import sys

from tf_stylegan.errors import UserError


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Opens a temporary file beside `path` and renames it over `path` only when the block ends well.

    A crash, a full disk or an error inside the block leaves whatever was at `path` as it was, and no rubbish beside it.

    Args:
        path: file to write; its folder must exist.
        mode: "wb" or "w" (UTF-8).
    Yields:
        the open file object.
    Raises:
        UserError: when the disk is full or the folder cannot be written.
    """
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"could not write {path}: it is a folder or a device; give the name of a file")
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = str(error.strerror or error)
        raise UserError(
            f"could not write {path}: {reason}; the previous file, if any, is untouched. {advice(reason)}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def advice(reason, other="another folder"):
    """One sentence on what to do about a write that failed for `reason`, the words of an OSError."""
    full = any(os.strerror(code) in reason for code in (errno.ENOSPC, errno.EDQUOT))
    return f"{'Free some space or choose' if full else 'Choose'} {other}."


def make_dir(path):
    """Makes a folder and those above it.

    Returns:
        paths of those that were not there before, innermost first, for `remove_empty`.
    Raises:
        UserError: when it cannot be made.
    """
    made, folder = [], os.path.abspath(path)
    while not os.path.isdir(folder):
        made.append(folder)
        folder = os.path.dirname(folder)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        remove_empty(made)
        raise UserError(f"could not make the folder {path}: {error.strerror or error}") from error
    return made


def remove_empty(folders):
    """Removes those of the folders that are empty, one after the other."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def make_run_dir(result_dir, description):
    """Creates `result_dir/NNNNN-description`, NNNNN one above the highest number there (numbering of the originals).

    Returns:
        the new folder's path.
    Raises:
        UserError: when the folder cannot be made.
    """
    try:
        os.makedirs(result_dir, exist_ok=True)
        while True:
            numbers = [int(m[1]) for m in (re.match(r"(\d+)-", name) for name in os.listdir(result_dir)) if m]
            path = os.path.join(result_dir, f"{max(numbers, default=-1) + 1:05d}-{description}")
            with contextlib.suppress(FileExistsError):  # another run took the number meanwhile: try the next
                os.mkdir(path)
                return path
    except OSError as error:
        raise UserError(f"could not make a run directory in {result_dir}: {error.strerror or error}") from error


def run_dirs(result_dir):
    """Paths of the run directories in `result_dir`, newest (highest number) first."""
    if not os.path.isdir(result_dir):
        return []
    numbered = [(int(m[1]), name) for name in os.listdir(result_dir) if (m := re.match(r"(\d+)-", name))]
    paths = [os.path.join(result_dir, name) for _, name in sorted(numbered, reverse=True)]
    return [path for path in paths if os.path.isdir(path)]


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes out of a folder for as long as the block runs; the system frees it whatever happens.

    What a process that was killed left half-written in there is removed.

    Raises:
        UserError: when another process holds the folder, or there is none.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)  # of the folder itself: no lock file is left behind
    except OSError as error:
        raise UserError(f"could not open the folder {folder}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder} is in use by another process; wait for it to end, or stop it") from error
        except OSError as error:
            raise UserError(
                f"{folder} cannot be locked: {error.strerror or error}; choose a folder elsewhere"
            ) from error
        for name in os.listdir(folder):
            if re.search(r"\.tmp-\d+$", name):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
        yield
    finally:
        os.close(descriptor)


def leave(numbers):
    """What is written to these descriptors from now on goes nowhere: nobody is there, and writing would be an error."""
    for number in numbers:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


class Log:
    """Prints lines and appends them to `log.txt`; tqdm bars on the terminal are left whole.

    Neither is a reason to end a run: a log that cannot be written is only printed, and where nobody reads what is
    printed any more (`| head`, a full disk, a terminal that is gone), that goes nowhere.
    """

    def __init__(self, path=None):
        self._file = None
        if path:
            try:
                self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 (closed in close)
            except OSError as error:
                raise UserError(f"could not write {path}: {error.strerror or error}") from error

    def __call__(self, line=""):
        from tqdm import tqdm  # imported late: this module stays importable without it

        try:
            if sys.stdout is not None:  # as it is where it was closed before the program began
                tqdm.write(line, file=sys.stdout)
                sys.stdout.flush()
        except OSError:
            leave([sys.stdout.fileno()])  # also for what Python still has to say there when it ends
        if self._file:
            with contextlib.suppress(OSError):
                self._file.write(f"{line}\n")

    def close(self):
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def format_time(seconds):
    """`1d 02h 03m`, `2h 03m 04s`, `3m 04s` or `4s`, as the originals print durations."""
    seconds = round(seconds)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours:02d}h {minutes:02d}m"
    if hours:
        return f"{hours}h {minutes:02d}m {seconds % 60:02d}s"
    return f"{minutes}m {seconds % 60:02d}s" if minutes else f"{seconds}s"


def timestamp():
    """Local time to the second, ISO 8601."""
    return datetime.datetime.now().isoformat(timespec="seconds")
