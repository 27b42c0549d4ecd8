"""Filling a folder with files that appear in it only when all of them are there (standard library only)."""

import contextlib
import fcntl
import os
import shutil
import tempfile

from tf_stylegan.errors import UserError
from tf_stylegan.files import advice, make_dir, remove_empty

PARTIAL = ".partial-"  # begins the names of hidden folders in which a process is at work


@contextlib.contextmanager
def partial_folder(directory):
    """`work_folder` in a folder that is made if need be; those made go in the end if they are empty then."""
    made = make_dir(directory)
    try:
        with work_folder(directory) as partial:
            yield partial
    finally:
        remove_empty(made)


@contextlib.contextmanager
def work_folder(directory):
    """Yields a new hidden folder inside `directory`, an existing folder; it goes when the block ends.

    What processes that were killed have left of their hidden folders is removed first: a lock that the system frees
    tells who is still at work.
    """
    partial, lock = None, None
    try:
        for name in os.listdir(directory):
            if name.startswith(PARTIAL):
                _remove_abandoned(os.path.join(directory, name))
        while lock is None:
            partial = tempfile.mkdtemp(prefix=PARTIAL, dir=directory)
            lock = _lock_new(partial)
        yield partial
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock_new(folder):
    """Descriptor that holds a lock; None if another process took the folder for an old one before it had the lock."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        with contextlib.suppress(OSError):  # some network drives know no locks: then nothing is ever removed
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # waits for who is removing it
        if os.path.isdir(folder):
            return descriptor
        os.close(descriptor)
    return None


def _remove_abandoned(folder):
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def alone(directory):
    """Makes others who call this for the same folder wait, for the short time in which names are put in place."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(directory, force=None):
    """Yields a hidden folder inside `directory`; what was put there is moved up when the block ends well.

    Args:
        directory: folder that is empty or does not exist yet.
        force: it may hold something, of which files of the same names are replaced; False where that can be asked
            for, None where it cannot.
    Raises:
        UserError: when it holds something, cannot be made, or an OSError ends the block (a full disk).
    """
    _check_free(directory, force)
    try:
        with partial_folder(directory) as partial:
            yield partial
            names = sorted(os.listdir(partial))
            with alone(directory):
                _check_free(directory, force, names)  # somebody else may have filled it meanwhile
                for name in names:
                    os.replace(os.path.join(partial, name), os.path.join(directory, name))
    except OSError as error:
        reason = str(error.strerror or error)
        raise UserError(f"could not write {directory}: {reason}; nothing was left there. {advice(reason)}") from error


def _check_free(directory, force, names=()):
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise UserError(f"{directory} is a file; give a folder")
    found = os.listdir(directory) if os.path.isdir(directory) else []
    if not force and any(not name.startswith(PARTIAL) for name in found):
        mend = "empty it first" if force is None else "give --force to write into it"
        raise UserError(f"{directory} is not empty; choose another folder, or {mend}")
    for name in names:
        if os.path.isdir(os.path.join(directory, name)):
            raise UserError(f"{os.path.join(directory, name)} is a folder, in the way of a file; move it away")
