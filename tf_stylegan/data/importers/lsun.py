"""One category of LSUN: a database (LMDB) of JPEG or WebP files, of which nothing is ever held in memory but a few."""

import concurrent.futures
import contextlib
import io
import os

import numpy as np
import PIL.Image
import PIL.ImageOps
from tqdm import tqdm

from tf_stylegan.data.importers.common import check_files, check_folder, needs, tell
from tf_stylegan.data.levels import log2_resolution
from tf_stylegan.data.parallel import num_threads, ordered
from tf_stylegan.data.tfrecord import RecordWriter, check_free, encode_image
from tf_stylegan.data.words import counted, say, shorten
from tf_stylegan.errors import UserError

_LANCZOS = PIL.Image.Resampling.LANCZOS
_MAX_KEPT = 10  # keys of broken images that are told


def create_lsun(tfrecord_dir, lmdb_dir, resolution=256, max_images=None, force=False):
    """The central square of every image, scaled with Lanczos' filter, in the order of the database's keys; no labels.

    Args:
        tfrecord_dir: folder to write.
        lmdb_dir: unpacked category, such as `bedroom_train_lmdb`, with `data.mdb` in it.
        resolution: height = width of the images, a power of two.
        max_images: stop after so many, None for all.
        force: replace a data set that is there.
    Returns:
        number of images written; those that cannot be read are left out and counted.
    Raises:
        UserError: no such database, or a damaged one; nothing has been written then.
    """
    if not log2_resolution(resolution):
        raise UserError(f"--resolution must be a power of two from 4, got {resolution}")

    def fit(image):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((resolution, resolution), _LANCZOS)
        return np.asarray(image)

    return _create(tfrecord_dir, lmdb_dir, resolution, max_images, fit, "", force)


def create_lsun_wide(tfrecord_dir, lmdb_dir, width=512, height=384, max_images=None, force=False):
    """Images of another shape, centred on black squares: LSUN Car at 512x384 was made like this.

    As in the original, the rows that are cut out are as many as the whole image has *after* scaling to `width`, so
    that images larger than that are pressed together sideways. The published figures are of such images.

    Args:
        width: of the images and of the squares, a power of two.
        height: at most `width`; an image that does not fill `width` x `height` is left out.
    """
    if not log2_resolution(width):
        raise UserError(f"--width must be a power of two from 4, got {width}")
    if not 1 <= height <= width:
        raise UserError(f"--height must be from 1 to the width, {width}, got {height}")

    def fit(image):
        rows = int(np.round(width * image.height / image.width))
        if image.width < width or rows < height:
            return None
        top = (image.height - rows) // 2
        image = image.crop((0, top, image.width, top + rows)).resize((width, height), _LANCZOS)
        canvas = np.zeros([width, width, 3], np.uint8)
        canvas[(width - height) // 2 :][:height] = image
        return canvas

    return _create(tfrecord_dir, lmdb_dir, width, max_images, fit, f"smaller than {width}x{height}", force)


def _create(tfrecord_dir, lmdb_dir, resolution, max_images, fit, too_small, force):
    """`fit` takes a Pillow image to uint8 `[H, W, C]`, or to None when it is `too_small`."""
    check_free(tfrecord_dir, force)
    if max_images is not None and max_images < 1:
        raise UserError(f"--max_images must be at least 1, got {max_images}")

    def work(item):
        key, data = item
        try:
            with PIL.Image.open(io.BytesIO(data)) as image:
                pixels = fit(PIL.ImageOps.exif_transpose(image).convert("RGB"))
        except Exception as error:  # like the original, whatever is wrong with one of millions of files from the web
            return key, None, " ".join(str(error).split())[:100] or type(error).__name__
        return key, None if pixels is None else encode_image(pixels.transpose(2, 0, 1)), None

    num_small, broken = 0, []
    with (
        _database(lmdb_dir) as (entries, num_entries),
        concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool,
        RecordWriter(tfrecord_dir, resolution, 3, force) as writer,
    ):
        total = min(num_entries, max_images or num_entries)
        for key, records, reason in tqdm(ordered(pool, work, entries), "images", total, disable=None):
            if reason is not None:
                broken.append(f"{key.decode('latin-1')!a}: {reason}" if len(broken) < _MAX_KEPT else "")
            elif records is None:
                num_small += 1
            else:
                writer.add_encoded(records)
                if writer.num_images == max_images:
                    break
        if not writer.num_images:
            small = f", {num_small} are {too_small}" if num_small else ""
            why = f" ({shorten(broken)})" if broken else ""
            raise UserError(
                f"no image in {lmdb_dir} is of use: of {num_entries}, {len(broken)} cannot be read{why}{small}"
            )
    tell(tfrecord_dir, writer.num_images, writer.image_shape)
    if num_small:
        say(f"left out {counted(num_small, 'image')} {too_small}")
    if broken:
        say(f"left out {counted(len(broken), 'image')} that cannot be read: {shorten(broken)}")
    return writer.num_images


@contextlib.contextmanager
def _database(folder):
    """Opens a database to read: yields an iterator of (key, value) and the number of these; UserError for damage."""
    check_folder(folder, "LSUN")
    check_files(folder, ["data.mdb"], "one LSUN category (…_lmdb)", ", unpacked")
    with needs("lmdb", "LSUN's database"):
        import lmdb
    path = os.path.join(folder, "data.mdb")
    try:
        with lmdb.open(folder, readonly=True, lock=False, create=False) as database:
            # A page that is missing at the end would be met by a signal that ends the process, not by an error.
            expected = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            if os.path.getsize(path) < expected:
                raise UserError(
                    f"{path} is cut off: {os.path.getsize(path):,} bytes are there of {expected:,}; "
                    "download or unpack it again"
                )
            with database.begin() as transaction:
                yield transaction.cursor(), transaction.stat()["entries"]
    except lmdb.Error as error:
        raise UserError(f"{path} is no LMDB database, or damaged ({error}); download or unpack it again") from error
