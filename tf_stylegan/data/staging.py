"""Filling a folder with many files that appear in it only when all of them are there (standard library only)."""

import contextlib
import os
import shutil
import tempfile

from tf_stylegan.errors import UserError


@contextlib.contextmanager
def new_folder(directory):
    """Yields a hidden folder inside `directory`; what was put there is moved up when the block ends well.

    Args:
        directory: folder that is empty or does not exist yet.
    Raises:
        UserError: when it holds something, cannot be made, or an OSError ends the block (a full disk).
    """
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise UserError(f"{directory} is a file; give a folder")
    if os.path.isdir(directory) and os.listdir(directory):
        raise UserError(f"{directory} is not empty; choose another folder, or empty it first")
    made, partial = [], None  # folders of our making, innermost first
    try:
        folder = os.path.abspath(directory)
        while not os.path.isdir(folder):
            made.append(folder)
            folder = os.path.dirname(folder)
        os.makedirs(directory, exist_ok=True)
        partial = tempfile.mkdtemp(prefix=".partial-", dir=directory)
        yield partial
        for name in sorted(os.listdir(partial)):
            os.replace(os.path.join(partial, name), os.path.join(directory, name))
    except OSError as error:
        raise UserError(
            f"could not write {directory}: {error.strerror or error}; nothing was left there. "
            "Free some space or choose another folder."
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):  # only an empty folder goes
                os.rmdir(folder)
