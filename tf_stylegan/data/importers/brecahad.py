"""BreCaHAD's microscope images, cut into overlapping squares as stylegan2-ada's authors did."""

import concurrent.futures
import os

import PIL.Image
from tqdm import tqdm

from tf_stylegan.data.importers.common import check_folder
from tf_stylegan.data.parallel import num_threads, ordered
from tf_stylegan.data.staging import new_folder
from tf_stylegan.data.words import counted, say
from tf_stylegan.errors import UserError

_STEPS = {256: 256, 512: 256}  # side of the squares -> pixels from one to the next


def extract_brecahad_crops(brecahad_dir, output_dir, cropsize=256):
    """Writes `0000.png`, … for `create_from_images`: squares from left to right, and in each place from top to bottom.

    Args:
        brecahad_dir: folder of the `.tif` files.
        output_dir: folder to fill; it must be empty or not exist yet.
        cropsize: 256, or 512 for squares that overlap by half.
    Returns:
        number of images written.
    Raises:
        UserError: nothing has been written then.
    """
    if cropsize not in _STEPS:
        raise UserError(f"--cropsize must be 256 or 512, got {cropsize}")
    check_folder(brecahad_dir, "BreCaHAD")
    names = sorted(name for name in os.listdir(brecahad_dir) if name.endswith(".tif"))
    if not names:
        raise UserError(f"no .tif files in {brecahad_dir}; give BreCaHAD's folder `images`")
    count = 0
    with new_folder(output_dir) as folder, concurrent.futures.ThreadPoolExecutor(num_threads(None)) as pool:

        def save(job):
            number, image = job
            image.save(os.path.join(folder, f"{number:04d}.png"))

        def jobs():
            for name in tqdm(names, "images", disable=None):
                for image in _squares(os.path.join(brecahad_dir, name), cropsize):
                    yield count_up(), image

        def count_up():
            nonlocal count
            count += 1
            return count - 1

        for _ in ordered(pool, save, jobs()):
            pass
        if not count:
            raise UserError(f"no image in {brecahad_dir} is as large as {cropsize}x{cropsize}")
    say(f"{counted(count, 'image')} in {output_dir}")
    return count


def _squares(path, size):
    try:
        with PIL.Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); download it again") from error
    for left in range(0, image.width - size + 1, _STEPS[size]):
        for top in range(0, image.height - size + 1, _STEPS[size]):
            yield image.crop((left, top, left + size, top + size))
