"""CelebA's aligned faces: a square of 128 pixels from each."""

import concurrent.futures
import os

from tqdm import tqdm

from tf_stylegan.data import image_files
from tf_stylegan.data.convert import shuffled_order
from tf_stylegan.data.importers.common import check_folder, note_count, tell
from tf_stylegan.data.parallel import num_threads, ordered
from tf_stylegan.data.tfrecord import RecordWriter, check_free, encode_image
from tf_stylegan.data.words import shorten
from tf_stylegan.errors import UserError

_WIDTH, _HEIGHT, _RESOLUTION = 178, 218, 128
_HALF = _RESOLUTION // 2
_NUM_IMAGES = 202_599
_FOLDERS = ("img_align_celeba_png", "img_align_celeba/img_align_celeba", "img_align_celeba", "")


def create_celeba(tfrecord_dir, celeba_dir, cx=89, cy=121, force=False):
    """CelebA's aligned images in the shuffled order of the original, cropped; no labels.

    Args:
        tfrecord_dir: folder to write.
        celeba_dir: folder of `img_align_celeba_png` or `img_align_celeba`, or one of these. The first has the pixels of
            the published results, the second JPEG files that differ a little from them.
        cx, cy: centre of the square in the image of 178x218 pixels.
        force: replace a data set that is there.
    Returns:
        number of images written.
    Raises:
        UserError: no images, or some that are damaged or of another size; nothing has been written then.
    """
    check_free(tfrecord_dir, force)
    for option, value, size in (("--cx", cx, _WIDTH), ("--cy", cy, _HEIGHT)):
        if not _HALF <= value <= size - _HALF:
            raise UserError(f"{option} must be from {_HALF} to {size - _HALF} for the square to fit, got {value}")
    check_folder(celeba_dir, "CelebA")
    paths = _find_images(celeba_dir)
    note_count("CelebA", _NUM_IMAGES, len(paths))

    def work(path):
        try:
            pixels, _ = image_files.decode(path, 3)
        except image_files.DamagedImageError as error:
            return path, None, error.reason
        if pixels.shape[1:] != (_HEIGHT, _WIDTH):
            return path, None, f"{pixels.shape[2]}x{pixels.shape[1]}, not {_WIDTH}x{_HEIGHT}"
        return path, encode_image(pixels[:, cy - _HALF : cy + _HALF, cx - _HALF : cx + _HALF]), None

    bad = []
    with (
        concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool,
        RecordWriter(tfrecord_dir, _RESOLUTION, 3, force) as writer,
    ):
        jobs = (paths[number] for number in shuffled_order(len(paths)))
        for path, records, reason in tqdm(ordered(pool, work, jobs), "images", len(paths), disable=None):
            if reason is not None:
                bad.append(f"{os.path.basename(path)}: {reason}")
            elif not bad:  # else the rest is read only to learn what else is wrong
                writer.add_encoded(records)
        if bad:
            raise UserError(
                f"{len(bad)} of {len(paths)} images in {celeba_dir} cannot be used ({shorten(sorted(bad))}); "
                "download CelebA again; nothing was written"
            )
    tell(tfrecord_dir, len(paths), writer.image_shape)
    return len(paths)


def _find_images(celeba_dir):
    """Paths of the PNG files, else of the JPEG files, of the first sub-folder that has any, sorted."""
    for folder in (os.path.join(celeba_dir, name) for name in _FOLDERS):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for endings in (".png", (".jpg", ".jpeg")):
            if found := [name for name in names if name.lower().endswith(endings) and not name.startswith(".")]:
                return [os.path.join(folder, name) for name in found]
    raise UserError(f"no images in {celeba_dir}; give the folder that holds img_align_celeba_png or img_align_celeba")
