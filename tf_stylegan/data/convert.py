"""Making data sets: from a folder of images, or from scikit-learn's handwritten digits."""

import collections
import concurrent.futures
import pathlib

import numpy as np
import PIL.Image
from tqdm import tqdm

from tf_stylegan.data import image_files, labels, parallel, png
from tf_stylegan.data.image_folder import ImageFolder
from tf_stylegan.data.levels import log2_resolution
from tf_stylegan.data.tfrecord import RecordWriter, check_free, encode_image
from tf_stylegan.data.words import counted, say, shorten
from tf_stylegan.errors import UserError

_SHUFFLE_SEED = 123  # of the original tool: the same images give the same records


def shuffled_order(count):
    """Numbers of `count` images in the order in which the original tool writes them, int64 `[count]`."""
    order = np.arange(count)
    np.random.RandomState(_SHUFFLE_SEED).shuffle(order)
    return order


def create_from_images(
    tfrecord_dir,
    image_dir,
    shuffle=True,
    channels=None,
    resize=None,
    resize_filter="auto",
    crop=False,
    background="white",
    class_folders=False,
    label_file=None,
    ignore_labels=False,
    skip_bad=False,
    force=False,
    num_threads=None,
):
    """Converts a folder of images (searched recursively, sorted by path) and prints a summary.

    Two passes: every header is read and checked before anything is written, then the images are decoded by all cores,
    a few at a time. Damaged images do not end either pass, so that one message lists them all. `tfrecord_dir` changes
    only when all of it has gone well.

    Args:
        tfrecord_dir: folder to write; its last part names the files.
        image_dir: folder of images; files that are no images are ignored and named.
        shuffle: write in the shuffled order of the original tool.
        channels: 1, 3, or None for 1 when all are grey, else 3.
        resize, resize_filter, crop, background: see `image_files.decode`; background as text.
        class_folders: each first-level sub-folder is a class.
        label_file: JSON or CSV, see `labels.from_file`; without this and `class_folders`, `image_dir`/dataset.json is
            taken if there is one.
        ignore_labels: write none.
        skip_bad: leave damaged images out rather than stopping.
        force: replace a data set that is there.
        num_threads: of decoding, at least 1; None for all cores.
    Returns:
        number of images written.
    Raises:
        UserError: see there; nothing has been written then.
    """
    check_free(tfrecord_dir, force)
    color = image_files.parse_color(background)
    if resize is not None and not log2_resolution(resize):
        raise UserError(f"--resize must be a power of two from 4, got {resize}")
    if bool(class_folders) + bool(label_file) + bool(ignore_labels) > 1:
        raise UserError("--class-folders, --labels and --ignore-labels exclude each other; give one")
    if label_file:
        labels.check_file(label_file)
    _check_output(tfrecord_dir, image_dir)
    with concurrent.futures.ThreadPoolExecutor(parallel.num_threads(num_threads)) as pool:
        own_labels = None if class_folders or label_file or ignore_labels else labels.of_folder(image_dir)
        unsaid = (labels.FILE,) if own_labels or ignore_labels else ()
        folder = ImageFolder(pool, image_dir, resize, crop, skip_bad, unsaid=unsaid)
        if profiles := sum(image.has_profile for image in folder.images):
            have = counted(profiles, "image has", "images have")
            say(f"{have} a colour profile that is not applied; prepare_images.py prepare converts them")
        channels = channels or (1 if folder.is_grey else 3)
        order = shuffled_order(len(folder.images)) if shuffle else range(len(folder.images))
        table = _label_table(folder, order, class_folders, label_file, own_labels)

        def work(_, path):
            pixels, notes = png.decode(path, channels, resize, crop, resize_filter, color)
            return encode_image(pixels), notes

        converted, kept = collections.Counter(), []
        with RecordWriter(tfrecord_dir, folder.resolution, channels, force) as writer:
            for number, (records, notes) in folder.work_through(order, work):
                writer.add_encoded(records)
                kept.append(number)
                converted.update(notes)
            if table is not None:
                if len(kept) < len(order):
                    table = table[np.isin(order, kept)]
                writer.set_labels(table)
    say(f"{counted(len(kept), 'image')} {folder.resolution}x{folder.resolution}x{channels} in {tfrecord_dir}")
    if table is not None:
        say(f"labels: {labels.summary(table, short=True)}")
        if note := labels.note_empty_classes(table):
            say(note)
    if converted:
        say("converted: " + ", ".join(f"{count} {note}" for note, count in sorted(converted.items())))
    if folder.damaged:
        say(f"left out {counted(len(folder.damaged), 'image')} that cannot be read: {shorten(sorted(folder.damaged))}")
    return len(kept)


def _check_output(tfrecord_dir, image_dir):
    inner, outer = pathlib.Path(tfrecord_dir).resolve(), pathlib.Path(image_dir).resolve()
    if inner.is_relative_to(outer):
        where = "is also" if inner == outer else "lies inside"
        raise UserError(
            f"{tfrecord_dir} {where} the folder of images {image_dir}; write the data set to a folder beside it"
        )


def _label_table(folder, order, class_folders, label_file, own_labels):
    """Labels of the images of these numbers, in this order, float32 `[N, L]`, or None."""
    paths, by_path = [image.path for image in folder.images], None
    if label_file:
        by_path = labels.from_file(label_file, paths, known=folder.damaged)
    elif class_folders:
        by_path, classes = labels.from_folders(paths)
        say("classes: " + ", ".join(f"{number} = {name}" for number, name in enumerate(classes)))
    elif own_labels:
        try:
            by_path = labels.from_file(own_labels, paths, known=folder.damaged)
        except UserError as error:
            raise UserError(f"{error}; --ignore-labels leaves the labels out") from error
        say(f"labels are those of {own_labels} (--ignore-labels leaves them out)")
    if by_path is None:
        return None
    return labels.to_array([by_path[path] for path in paths], paths, label_file or own_labels, order)


def create_digits(tfrecord_dir, force=False):
    """Writes scikit-learn's 1,797 handwritten digits as 32x32 grey images with one-hot labels.

    The 8x8 images of 16 grey levels get a black margin of one pixel (they touch their borders) and are enlarged with
    a bicubic filter. Source: UCI "Optical recognition of handwritten digits", as in `sklearn.datasets.load_digits`;
    it comes with scikit-learn, nothing is downloaded.

    Returns:
        number of images written.
    Raises:
        UserError: when scikit-learn is not installed, or a data set is there and `force` not given.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError("the digits come with scikit-learn: pip install 'tf_stylegan[demo]'") from error
    check_free(tfrecord_dir, force)
    digits = load_digits()
    with RecordWriter(tfrecord_dir, 32, 1, force) as writer:
        for small in tqdm(digits.images, "digits", disable=None):
            levels = PIL.Image.fromarray(
                np.pad(small * (255 / 16), 1).astype(np.float32)
            )  # mode F: rounded once, below
            large = np.asarray(levels.resize((32, 32), PIL.Image.Resampling.BICUBIC))
            writer.add(np.rint(large).clip(0, 255).astype(np.uint8)[None])  # CHW
        writer.set_labels(labels.to_array(digits.target.tolist()))
    say(f"{counted(len(digits.images), 'image')} 32x32x1 in {tfrecord_dir}")
    return len(digits.images)
