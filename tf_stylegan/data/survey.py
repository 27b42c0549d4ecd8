"""What lies in a folder of pictures: the pictures, the files that should be some but are not, and the rest."""

import os

from tqdm import tqdm

from tf_stylegan.data import image_files
from tf_stylegan.data.parallel import ordered
from tf_stylegan.data.words import counted
from tf_stylegan.errors import UserError

# Pictures that Pillow does not read, or of which it reads no more than a thumbnail.
_UNREAD = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **dict.fromkeys((".jxl", ".svg", ".xcf", ".exr", ".hdr", ".kra", ".clip", ".ai"), ""),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".dng", ".pef", ".srw"), "raw"),
}


def list_folder(folder):
    """All files below a folder, as `image_files.list_files`, and the sub-folders that cannot be listed.

    Returns:
        files: list of paths.
        closed: `{path of a sub-folder: why}`.
    Raises:
        UserError: when there is no such folder, or it cannot be listed.
    """
    if not os.path.isdir(folder):
        if os.path.exists(folder):
            raise UserError(f"{folder} is a file; give the folder that holds the pictures")
        raise UserError(f"the folder {folder} does not exist")
    errors = []
    files = image_files.list_files(folder, errors.append)
    closed = {os.path.relpath(error.filename, folder): f"folder: {error.strerror}" for error in errors}
    if "." in closed:
        raise UserError(f"{folder} cannot be listed: {errors[0].strerror}")
    return files, closed


def classify(folder, path):
    """What a file is, by its contents' beginning.

    Returns:
        `image_files.ImageFile` of a picture; a text saying what is wrong with a file that should be one; None for a
        file that is none and was never meant to be.
    """
    name = os.path.basename(path)
    if name.startswith("."):
        return None
    file = os.path.join(folder, path)
    kind = _UNREAD.get(os.path.splitext(name)[1].lower())
    if kind is not None and os.path.isfile(file):
        kind = f" ({kind})" if kind else ""
        return f"a picture of a kind that is not read here{kind}; save it as PNG or JPEG"
    result = image_files.probe(folder, path)
    return _what_is(file) if result == "not readable as an image" else result


def _what_is(file):
    """Words for a file that is named like a picture and is none."""
    try:
        with open(file, "rb") as stream:
            start = stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    except OSError as error:
        return error.strerror
    if not start:
        return "an empty file"
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "no picture but a web page"
    if start[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return "a picture of a kind that is not read here (HEIC); save it as PNG or JPEG"
    return "not readable as a picture"


def survey(pool, folder):
    """Reads all headers below a folder.

    Args:
        pool: executor for reading.
        folder: searched recursively.
    Returns:
        images: list of `image_files.ImageFile`, sorted by path.
        bad: `{path: what is wrong}`.
        others: list of the paths of all other files.
    Raises:
        UserError: when there is no folder, or no picture in it.
    """
    files, bad = list_folder(folder)
    images, others = [], []
    found = ordered(pool, lambda path: (path, classify(folder, path)), files)
    for path, what in tqdm(found, "headers", len(files), disable=None):
        if isinstance(what, image_files.ImageFile):
            images.append(what)
        elif what is None:
            others.append(path)
        else:
            bad[path] = what
    if not images and not bad:
        raise UserError(no_pictures(folder, files))
    return images, bad, others


def no_pictures(folder, files):
    """The message for a folder without any picture."""
    return f"no pictures in {folder} ({counted(len(files), 'file')}); give a folder of PNG, JPEG, … files"
