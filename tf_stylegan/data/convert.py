"""Making data sets: from a folder of images, or from scikit-learn's handwritten digits."""

import collections
import concurrent.futures
import os
import pathlib

import numpy as np
import PIL.Image
from tqdm import tqdm

from tf_stylegan.data import image_files, labels
from tf_stylegan.data.labels import counted
from tf_stylegan.data.tfrecord import RecordWriter, check_free, encode_image, log2_resolution
from tf_stylegan.errors import UserError

_SHUFFLE_SEED = 123  # of the original tool: the same images give the same records
_MAX_LOOKS = 200  # images decoded to see which are damaged, before sizes are complained about


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
        label_file: JSON or CSV, see `labels.from_file`.
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
    if class_folders and label_file:
        raise UserError("--class-folders and --labels exclude each other; give one")
    if label_file:
        labels.check_file(label_file)
    _check_folders(tfrecord_dir, image_dir)
    if num_threads is not None and num_threads < 1:
        raise UserError(f"--threads must be at least 1, got {num_threads}; leave it out for all cores")
    num_threads = num_threads or _num_cores()
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        images, damaged = _survey(pool, image_dir)
        num_files = len(images) + len(damaged)
        images, resolution = _check_sizes(pool, image_dir, images, damaged, resize, crop, skip_bad)
        if not images:
            raise _damage(damaged, num_files, image_dir)
        channels = channels or (1 if all(image.is_grey for image in images) else 3)
        table = _label_table(images, damaged, class_folders, label_file)
        order = np.arange(len(images))
        if shuffle:
            np.random.RandomState(_SHUFFLE_SEED).shuffle(order)

        def work(number):
            path = os.path.join(image_dir, images[number].path)
            try:
                pixels, notes = image_files.decode(path, channels, resize, crop, resize_filter, color)
            except image_files.DamagedImageError as error:
                return number, None, error.reason
            return number, encode_image(pixels) if skip_bad or not damaged else [], notes

        converted, kept = collections.Counter(), []
        with RecordWriter(tfrecord_dir, resolution, channels, force) as writer:
            results = _ordered(pool, work, order, window=4 * num_threads)
            for number, records, notes in tqdm(results, "images", len(order), disable=None):
                if records is None:
                    damaged[images[number].path] = notes
                elif skip_bad or not damaged:  # else the rest is read only to learn what else is damaged
                    writer.add_encoded(records)
                    kept.append(number)
                    converted.update(notes)
            if damaged and (not skip_bad or not kept):
                raise _damage(damaged, num_files, image_dir)
            if table is not None:
                table = table[kept]
                writer.set_labels(table)
    print(f"{counted(len(kept), 'image')} {resolution}x{resolution}x{channels} in {tfrecord_dir}")
    if table is not None:
        print(f"labels: {labels.summary(table, short=True)}")
        if note := labels.note_empty_classes(table):
            print(note)
    if converted:
        print("converted: " + ", ".join(f"{count} {note}" for note, count in sorted(converted.items())))
    if damaged:
        print(f"left out {counted(len(damaged), 'damaged image')}: {labels.shorten(sorted(damaged))}")
    return len(kept)


def _check_folders(tfrecord_dir, image_dir):
    if not os.path.isdir(image_dir):
        if os.path.exists(image_dir):
            raise UserError(f"image directory {image_dir} is a file; give the folder that holds the images")
        raise UserError(f"image directory {image_dir} does not exist")
    inner, outer = pathlib.Path(tfrecord_dir).resolve(), pathlib.Path(image_dir).resolve()
    if inner.is_relative_to(outer):
        where = "is also" if inner == outer else "lies inside"
        raise UserError(
            f"{tfrecord_dir} {where} the folder of images {image_dir}; write the data set to a folder beside it"
        )


def _survey(pool, image_dir):
    """Reads all headers: (list of ImageFile, `{path: what is wrong}` of damaged ones)."""
    files = image_files.list_files(image_dir)
    found = pool.map(lambda path: image_files.probe(image_dir, path), files)
    found = list(tqdm(found, "headers", len(files), disable=None))
    images = [image for image in found if isinstance(image, image_files.ImageFile)]
    damaged = {path: reason for path, reason in zip(files, found) if isinstance(reason, str)}
    ignored = [path for path, reason in zip(files, found) if reason is None]
    if ignored:
        what = counted(len(ignored), "file that is no image", "files that are no images")
        print(f"ignored {what}: {labels.shorten(ignored)}")
    if not images and not damaged:
        raise UserError(
            f"no images in {image_dir} ({counted(len(files), 'file')}); give a folder of PNG, JPEG, … files"
        )
    return images, damaged


def _check_sizes(pool, image_dir, images, damaged, resize, crop, skip_bad):
    """(images that are not known to be damaged, resolution); UserError listing those whose sizes do not fit.

    A file cut off in its pixels has a sound header. So that nobody scales or crops such a file first and learns of the
    damage later, some images are decoded before sizes are complained about, the odd ones first; `damaged` grows.
    """
    resolution, misfits, _ = image_files.find_misfits(images, resize, crop)
    if misfits:

        def look(image):
            try:
                image_files.decode(os.path.join(image_dir, image.path), channels=3)
            except image_files.DamagedImageError as error:
                return image.path, error.reason
            return image.path, None

        suspects = sorted(images, key=lambda image: image.path not in misfits)[:_MAX_LOOKS]
        looks = tqdm(_ordered(pool, look, suspects, window=64), "looking for damage", len(suspects), disable=None)
        damaged.update((path, reason) for path, reason in looks if reason is not None)
        images = [image for image in images if image.path not in damaged]
        resolution, misfits, options = image_files.find_misfits(images, resize, crop)
    if misfits:
        message = (
            f"{len(misfits)} of {counted(len(images), 'image')} in {image_dir} {'does' if len(misfits) == 1 else 'do'} "
            f"not have the size of a data set, square and one power of two for all; {'; '.join(options)}; "
            "nothing was written:"
        )
        message += "".join(f"\n  {path}: {what}" for path, what in misfits.items())
        if damaged and not skip_bad:
            message += f"\nand {_damage(damaged, len(images) + len(damaged), image_dir)}"
        raise UserError(message)
    return images, resolution


def _damage(damaged, num_files, image_dir):
    """The UserError that lists all damaged images, `{path: what is wrong}`."""
    are, them = ("is", "it") if len(damaged) == 1 else ("are", "them")
    skip = f", or leave {them} out with --skip-bad" if len(damaged) < num_files else ""
    return UserError(
        f"{len(damaged)} of {counted(num_files, 'image')} in {image_dir} {are} damaged; replace {them}{skip}; "
        "nothing was written:" + "".join(f"\n  {path}: {reason}" for path, reason in sorted(damaged.items()))
    )


def _label_table(images, damaged, class_folders, label_file):
    """Labels of all images, float32 `[N, L]`, or None."""
    paths = [image.path for image in images]
    if label_file:
        by_path = labels.from_file(label_file, paths, known=damaged)
    elif class_folders:
        by_path, classes = labels.from_folders(paths)
        print("classes: " + ", ".join(f"{number} = {name}" for number, name in enumerate(classes)))
    else:
        return None
    return labels.to_array([by_path[path] for path in paths], paths, label_file)


def _num_cores():
    """Cores this process may use (fewer than there are in a container)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ordered(pool, function, items, window):
    """`pool.map` that holds no more than `window` results at a time, so that memory stays constant."""
    pending = collections.deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


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
    print(f"{counted(len(digits.images), 'image')} 32x32x1 in {tfrecord_dir}")
    return len(digits.images)
