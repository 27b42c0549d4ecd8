"""Finding a data set on disk, and checking that it can be trained on."""

import dataclasses
import hashlib
import os

import numpy as np

from tf_stylegan.data.tfrecord import (
    FILE_NAME,
    LABELS_SUFFIX,
    dataset_files,
    framed_length,
    index_images,
    log2_resolution,
    read_record,
)
from tf_stylegan.data.words import counted, shorten
from tf_stylegan.errors import UserError


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What a data set is, from its first record, its index and its labels; see `find_dataset`."""

    name: str
    directory: str
    resolution: int  # height = width in pixels of the images to train on
    num_channels: int
    num_images: int
    files: dict  # {log2 of the resolution: path}, none above `resolution`
    labels_path: str | None
    label_size: int  # 0 without labels

    def file_at(self, lod=0):
        """Path of the records at level of detail `lod` (0 = full resolution); UserError when there is none."""
        log2 = log2_resolution(self.resolution) - int(lod)
        if log2 not in self.files:
            size = self.resolution >> int(lod)
            raise UserError(
                f"data set {self.name!r}: no records for {size}x{size} (-r{log2:02d}.tfrecords) in {self.directory}, "
                f"only for {_sizes(self.files)}; convert the images again to get every resolution"
            )
        return self.files[log2]

    def load_labels(self):
        """All labels, float32 `[num_images, label_size]` in record order; `[num_images, 0]` without labels."""
        if self.labels_path is None:
            return np.zeros([self.num_images, 0], np.float32)
        return _load_labels(self.labels_path)[: self.num_images]

    def fingerprint(self):
        """What the data set is, as 16 hex digits: equal for a copy under another name, another for other images.

        Of the pixels only the first and the last image are read, so that it costs nothing for a data set of any size:
        what was converted anew from other images is noticed, an image changed in the middle of a file is not.

        Raises:
            UserError: when the file cannot be read, or one of the two images is damaged.
        """
        path = self.file_at(0)
        first = read_record(path, 0)
        # All records have one length: `find_dataset` has seen to it.
        last = read_record(path, (self.num_images - 1) * framed_length(first))
        try:
            size = os.path.getsize(path)
        except OSError as error:
            raise UserError(f"could not read {path}: {error.strerror or error}") from error
        facts = (self.resolution, self.num_channels, self.num_images, self.label_size, size)
        return hashlib.sha256(" ".join(map(str, facts)).encode() + b"\n" + first + last).hexdigest()[:16]


def find_dataset(data_dir, name=None, resolution=None, max_images=None):
    """Finds and checks a data set: `--data-dir=./datasets --dataset=ffhq` is the folder `./datasets/ffhq`.

    The files may be named otherwise than the folder. Only the file of the full resolution has to exist; ask
    `DatasetInfo.file_at` for another level of detail.

    Args:
        data_dir: folder of data sets, or the data set itself when `name` is None.
        name: sub-folder, None for `data_dir` itself.
        resolution: train on this smaller resolution, None for the largest there is.
        max_images: take only the first so many, None for all.
    Returns:
        DatasetInfo.
    Raises:
        UserError: for anything missing, ambiguous, damaged or in disagreement.
    """
    directory = os.fspath(data_dir) if name is None else os.path.join(data_dir, name)
    title = os.path.basename(os.path.abspath(directory))
    if not os.path.isdir(data_dir):
        what = "is a file" if os.path.exists(data_dir) else "does not exist"
        if name is None:
            raise UserError(
                f"{data_dir} {what}; give the folder of a data set, which holds <name>-r<log2>.tfrecords files"
            )
        raise UserError(f"data directory {data_dir} {what}; give the folder of the data sets as --data-dir")
    if name is not None and (not name.strip() or not os.path.isdir(directory)):
        others = sorted(entry.name for entry in os.scandir(data_dir) if entry.is_dir())
        found = f"there are: {shorten(others)}" if others else "it has no folders"
        if not name.strip():
            raise UserError(
                f"the name of the data set (--dataset) is empty; give that of a folder in {data_dir} ({found})"
            )
        what = (
            f"{directory} is a file, no data set"
            if os.path.exists(directory)
            else f"no data set {name!r} in {data_dir}"
        )
        raise UserError(f"{what} ({found}); make one with tools/convert_tfrecords.py create_from_images")
    groups = {}
    for file in dataset_files(directory):
        if match := FILE_NAME.fullmatch(file):
            groups.setdefault(match["base"], {})[int(match["log2"])] = os.path.join(directory, file)
    if not groups:
        partial = [file for file in os.listdir(directory) if file.startswith(".partial-")]
        found = f"only {partial[0]}, of a conversion unfinished or interrupted" if partial else "none"
        raise UserError(
            f"no record files (<name>-r<log2>.tfrecords) in {directory}: found {found}; "
            "make them with tools/convert_tfrecords.py create_from_images"
        )
    if len(groups) > 1:
        raise UserError(f"{directory} holds several data sets: {', '.join(groups)}; give each its own folder")
    (base, files), top = next(iter(groups.items())), max(next(iter(groups.values())))
    if resolution is not None:
        top = log2_resolution(resolution)
        if top not in files:
            raise UserError(f"data set {title!r} has no records of resolution {resolution}, only {_sizes(files)}")
    offsets, (channels, height, width) = index_images(files[top])
    if height != width or height != 1 << top:
        raise UserError(
            f"{files[top]}: images are {width}x{height}, expected {1 << top}x{1 << top} from the file's name; "
            "only square images can be trained on: convert them with --crop and --resize"
        )
    labels_path = _find_labels(directory, base)
    label_size = 0
    if labels_path:
        labels = _load_labels(labels_path)
        label_size = labels.shape[1]
        if len(labels) != len(offsets):
            raise UserError(
                f"{labels_path} has {counted(len(labels), 'label')} but {files[top]} {counted(len(offsets), 'image')}; "
                "convert again"
            )
    if max_images is not None and max_images < 1:
        raise UserError(f"max_images must be at least 1, got {max_images}")
    return DatasetInfo(
        name=title,
        directory=directory,
        resolution=height,
        num_channels=channels,
        num_images=min(len(offsets), max_images or len(offsets)),
        files={log2: path for log2, path in files.items() if log2 <= top},
        labels_path=labels_path,
        label_size=label_size,
    )


def _sizes(files):
    return ", ".join(str(1 << log2) for log2 in sorted(files, reverse=True))


def _find_labels(directory, base):
    names = [name for name in dataset_files(directory) if name.endswith(LABELS_SUFFIX)]
    if len(names) > 1 and base + LABELS_SUFFIX not in names:
        raise UserError(f"{directory} holds several label files: {', '.join(names)}; keep {base}{LABELS_SUFFIX}")
    if base + LABELS_SUFFIX in names:
        names = [base + LABELS_SUFFIX]
    return os.path.join(directory, names[0]) if names else None


def _load_labels(path):
    try:
        labels = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:  # in NumPy's words: load it unsafely
        raise UserError(f"{path}: damaged, or not a label file (np.save of float32 [N, L]); convert again") from error
    if labels.ndim != 2 or labels.dtype.kind not in "fiub":
        raise UserError(
            f"{path}: expected labels float32 [N, L], got {labels.dtype} {list(labels.shape)}; convert again"
        )
    labels = labels.astype(np.float32, copy=False)
    if not np.isfinite(labels).all():
        raise UserError(f"{path}: label {np.argwhere(~np.isfinite(labels))[0][0]} is not finite; convert again")
    return labels
