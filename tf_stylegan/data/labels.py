"""Labels for a folder of images: from class folders, or from a JSON or CSV file."""

import csv
import json
import posixpath

import numpy as np

from tf_stylegan.errors import UserError

_MAX_SHOWN = 10
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
            f"--class-folders: {len(loose)} images lie in no sub-folder ({shorten(loose)}); move each into its class's"
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
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            pairs = _read_csv(stream) if file.lower().endswith(".csv") else _read_json(stream)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise UserError(f"{file}: {error}") from error
        raise UserError(f"{file}: not readable as a label file ({error}); see --help for its form") from error
    labels = {}
    for path, label in pairs:
        path = posixpath.normpath(path.replace("\\", "/"))
        if path in labels and labels[path] != label:
            raise UserError(f"{file}: {path} has two labels, {labels[path]} and {label}")
        labels[path] = _checked(label, f"{file}: label of {path}")
    missing = [path for path in paths if path not in labels]
    unknown = sorted(set(labels) - set(paths) - set(known))
    if missing or unknown:
        parts = [f"{len(missing)} of {len(paths)} images have no label ({shorten(missing)})"] if missing else []
        parts += [f"{len(unknown)} labels are for no image ({shorten(unknown)})"] if unknown else []
        raise UserError(f"{file}: {'; '.join(parts)}; paths must be relative to the folder of images")
    return {path: labels[path] for path in paths}


def to_array(labels):
    """Class numbers -> one-hot, lists -> rows: float32 `[N, L]`; UserError when kinds or widths differ.

    Args:
        labels: list of ints or of lists of floats, in record order.
    """
    widths = {len(label) if isinstance(label, list) else None for label in labels}
    if widths == {None}:
        count = max(labels) + 1
        if count * len(labels) > _MAX_VALUES:
            raise UserError(f"class numbers go up to {count - 1}; number the classes 0, 1, 2, … without large gaps")
        array = np.zeros([len(labels), count], np.float32)
        array[np.arange(len(labels)), labels] = 1
        return array
    if len(widths) != 1:
        found = ", ".join(sorted("class numbers" if width is None else f"{width} numbers" for width in widths))
        raise UserError(f"labels must all be class numbers or all have as many numbers, got {found}")
    return np.array(labels, np.float32)


def shorten(names):
    """The first ten names, and how many more there are."""
    names = list(names)
    more = f", and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(map(str, names[:_MAX_SHOWN])) + more


def _read_json(stream):
    content = json.load(stream)
    if isinstance(content, dict) and isinstance(content.get("labels"), list):
        content = content["labels"]
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in content):
            raise UserError('"labels" must be a list of ["path", label]')
        return content
    if not isinstance(content, dict) or content.get("labels", 0) is None:
        raise UserError('expected {"labels": [["path", label], …]} or {"path": label, …}')
    return list(content.items())


def _read_csv(stream):
    rows = [row for row in csv.reader(stream) if row]
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
    return pairs


def _checked(label, where):
    if isinstance(label, int) and not isinstance(label, bool) and label >= 0:
        return label
    numbers = isinstance(label, list) and all(isinstance(x, (int, float)) and np.isfinite(x) for x in label)
    if numbers and label:
        return label
    raise UserError(f"{where} must be a class number from 0 or a list of numbers, got {label!r}")
