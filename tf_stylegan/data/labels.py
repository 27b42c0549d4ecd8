"""Labels for a folder of images: from class folders, or from a JSON or CSV file."""

import csv
import json
import os
import posixpath
import unicodedata

import numpy as np

from tf_stylegan.data.words import counted, say, shorten
from tf_stylegan.errors import UserError

FILE = "dataset.json"  # the label file that lies in a folder of images
_MAX_VALUES = 1 << 31  # one-hot labels live in memory: 8 GiB, far above any data set


def from_folders(paths):
    """Each first-level sub-folder is a class, in alphabetical order.

    Args:
        paths: relative paths with "/".
    Returns:
        labels: {path: class number}.
        classes: list of folder names.
    Raises:
        UserError: when an image lies in no sub-folder.
    """
    loose = [path for path in paths if "/" not in path]
    if loose:
        raise UserError(
            f"--class-folders: {counted(len(loose), 'image lies', 'images lie')} in no sub-folder ({shorten(loose)}); "
            "move each into its class's"
        )
    classes = sorted({path.split("/")[0] for path in paths})
    numbers = {name: number for number, name in enumerate(classes)}
    return {path: numbers[path.split("/")[0]] for path in paths}, classes


def from_file(file, paths, known=()):
    """Reads labels from a file.

    JSON: `{"labels": [["path", 3], …]}` (as stylegan2-ada-pytorch's dataset.json) or `{"path": 3, …}`. CSV:
    `path,label`, with or without a line of titles. A label is a class number, or numbers: a list in JSON, further
    columns in CSV. Paths are relative to the folder of images.

    Args:
        file: path ending in .json or .csv.
        paths: images that need a label.
        known: further images that may have one (left out for being damaged).
    Returns:
        {path: int or list of floats} for all `paths`.
    Raises:
        UserError: for a file of another form, and for images without labels or labels without images.
    """
    check_file(file)
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:  # sig: Excel begins its files with a mark
            pairs = _read_csv(stream) if file.lower().endswith(".csv") else _read_json(stream)
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, UserError):
            raise UserError(f"{file}: {error}") from error
        if isinstance(error, UnicodeDecodeError):
            raise UserError(f"{file}: not readable as a label file: it is no UTF-8 text; save it as UTF-8") from error
        raise UserError(f"{file}: not readable as a label file ({error}); see --help for its form") from error
    labels, exact = {}, {*paths, *known}
    spellings = {unicodedata.normalize("NFC", path): path for path in exact}  # macOS writes ä as a and dots
    for path, label in pairs:
        path = posixpath.normpath(path.replace("\\", "/"))
        if path not in exact:
            path = spellings.get(unicodedata.normalize("NFC", path), path)
        if path in labels and labels[path] != label:
            raise UserError(f"{file}: {path} has two labels, {labels[path]} and {label}")
        labels[path] = _checked(label, f"{file}: label of {path}")
    missing = [path for path in paths if path not in labels]
    unknown = sorted(set(labels) - set(paths) - set(known))
    if missing or unknown:
        parts = []
        if missing:
            have = "has" if len(missing) == 1 else "have"
            parts.append(f"{len(missing)} of {counted(len(paths), 'image')} {have} no label ({shorten(missing)})")
        if unknown:
            parts.append(f"{counted(len(unknown), 'label is', 'labels are')} for no image ({shorten(unknown)})")
        raise UserError(f"{file}: {'; '.join(parts)}; paths must be relative to the folder of images")
    return {path: labels[path] for path in paths}


def of_folder(folder):
    """Path of the label file that lies in a folder of images; None for none, and for one that says there are none."""
    file = os.path.join(folder, FILE)
    if not os.path.isfile(file):
        return None
    try:
        with open(file, encoding="utf-8-sig") as stream:
            content = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return file  # for `from_file` to say what is wrong with it
    return None if _says_none(content) else file


def _says_none(content):
    """Whether it is the `{"labels": null}` that stylegan2-ada-pytorch writes."""
    return isinstance(content, dict) and content.get("labels", 0) is None


def check_file(file):
    """Raises UserError when there is no label file, or a folder in its place."""
    if not os.path.exists(file):
        raise UserError(f"label file {file} does not exist")
    if os.path.isdir(file):
        raise UserError(f"label file {file} is a folder; give the .json or .csv file")


def to_array(labels, paths=None, file=None, order=None):
    """Class numbers -> one-hot, lists -> rows: float32 `[N, L]`; UserError when kinds or widths differ.

    Args:
        labels: list of ints or of lists of floats.
        paths: the images they belong to, for messages; None for their numbers.
        file: the file they come from, for messages, or None.
        order: numbers of the labels in the order of the rows; None for theirs.
    """
    where = f"{file}: " if file else ""
    kinds = [f"{counted(len(x), 'number')} in a list" if isinstance(x, list) else "a class number" for x in labels]
    odd = next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)
    if odd is not None:
        got = ", ".join(f"{kinds[i]} for {paths[i] if paths else f'image {i}'}" for i in (0, odd))
        raise UserError(f"{where}labels must all be class numbers or all lists of one length, got {got}")
    if isinstance(labels[0], list):
        return np.array(labels if order is None else [labels[number] for number in order], np.float32)
    count = max(labels) + 1
    if count * len(labels) > _MAX_VALUES:
        whose = f" (of {paths[labels.index(count - 1)]})" if paths else ""
        raise UserError(
            f"{where}class numbers go up to {count - 1}{whose}; number the classes 0, 1, 2, … without large gaps"
        )
    array = np.zeros([len(labels), count], np.float32)
    array[np.arange(len(labels)), labels if order is None else np.array(labels)[order]] = 1
    return array


def to_plain(rows):
    """Labels `[N, L]` as `dataset.json` has them: class numbers where these tell everything, else lists of numbers."""
    # How many classes there are is read off the highest one: without an image of it, the rows have to be written out.
    whole = is_one_hot(rows) and rows[:, -1].any()
    return rows.argmax(axis=1).tolist() if whole else rows.tolist()


def is_one_hot(rows):
    """Whether labels `[N, L]` are classes, one of L for each image."""
    return rows.shape[1] > 1 and bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())


def summary(rows, short=False):
    """What labels `[N, L]` are: "3 classes (0: 12, 1: 7, 2: 9)" or "2 numbers, -1 to 1".

    Args:
        short: True to list no more than ten classes.
    """
    if not is_one_hot(rows):
        return f"{counted(rows.shape[1], 'number')}, {rows.min():g} to {rows.max():g}"
    counts = [f"{number}: {count}" for number, count in enumerate(rows.sum(axis=0).astype(int))]
    return f"{len(counts)} classes ({shorten(counts) if short else ', '.join(counts)})"


def note_empty_classes(rows):
    """A line that names the classes without any image, or None."""
    empty = np.flatnonzero(rows.sum(axis=0) == 0).tolist() if is_one_hot(rows) else []
    if len(empty) > 1:
        return f"note: classes {shorten(empty)} have no images"
    return f"note: class {empty[0]} has no images" if empty else None


def _read_json(stream):
    content = json.load(stream)
    if isinstance(content, dict) and isinstance(content.get("labels"), list):
        content = content["labels"]
        for number, pair in enumerate(content):
            if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
                raise UserError(
                    f'"labels" must be a list of ["path", label], entry {number} is {json.dumps(pair)[:80]}'
                )
        return content
    if not isinstance(content, dict) or _says_none(content):
        raise UserError('expected {"labels": [["path", label], …]} or {"path": label, …}')
    return list(content.items())


def _read_csv(stream):
    rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    for row in rows:
        if len(row) == 1:  # semicolons, as a spreadsheet of some countries writes them, or tabs
            raise UserError(f"expected path,label separated by commas, got {row[0]!r}")
    if rows and rows[0][0].strip().lower() in ("path", "file", "filename", "image", "name"):
        rows = rows[1:]
    pairs = []
    for row in rows:
        try:
            values = [float(text) for text in row[1:]]
        except ValueError as error:
            raise UserError(f"label of {row[0]} is no number: {', '.join(row[1:])}") from error
        is_class = len(values) == 1 and values[0].is_integer() and "." not in row[1]
        pairs.append((row[0].strip(), int(values[0]) if is_class else values))
    if pairs and all(isinstance(label, list) and len(label) == 1 and label[0].is_integer() for _, label in pairs):
        say(
            f"note: the labels are whole numbers with a point ({pairs[0][1][0]}, …), as pandas writes classes: taken "
            "as one number for each image; write them without the point if they are classes"
        )
    return pairs


def _checked(label, where):
    if isinstance(label, int) and not isinstance(label, bool) and label >= 0:
        return label
    numbers = isinstance(label, list) and all(isinstance(x, (int, float)) and np.isfinite(x) for x in label)
    if numbers and label:
        return label
    raise UserError(f"{where} must be a class number from 0 or a list of numbers, got {label!r}")
