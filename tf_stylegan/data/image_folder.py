"""A folder of images on its way into a data set: what is in it, whether it fits together, and all of it decoded."""

import os

from tqdm import tqdm

from tf_stylegan.data import image_files, survey
from tf_stylegan.data.parallel import num_cores, ordered
from tf_stylegan.data.words import counted, printable, say, shorten
from tf_stylegan.errors import UserError

_MAX_LOOKS = 200  # images decoded to see which are damaged, before sizes are complained about
_CAN_MEND = "; create_from_images can mend or leave out such images"


class ImageFolder:
    """Reads all headers below a folder and checks that the images make a data set.

    Args:
        pool: executor for reading.
        directory: the folder, searched recursively.
        resize, crop: what will be done to the images, see `image_files.decode`.
        skip_bad: leave damaged images out rather than stopping.
        options: whether the command has `--resize`, `--crop` and `--skip-bad`, which messages then advise.
        unsaid: names of files that are no images, and not worth a word either.
    Attributes:
        images: list of ImageFile, sorted by path, those known to be damaged left out.
        damaged: `{path: what is wrong}` of images that cannot be read, and of sub-folders that cannot be listed.
        resolution: height = width that the images have, or will be given.
    Raises:
        UserError: no folder, no images, or sizes that do not make a data set; all of them are listed.
    """

    def __init__(self, pool, directory, resize=None, crop=False, skip_bad=False, options=True, unsaid=()):
        if not os.path.isdir(directory):
            if os.path.exists(directory):
                raise UserError(f"image directory {directory} is a file; give the folder that holds the images")
            raise UserError(f"image directory {directory} does not exist")
        self.directory = directory
        self._pool, self._skip_bad, self._options = pool, skip_bad, options
        self.images, self.damaged, others = survey.survey(pool, directory)
        if ignored := [path for path in others if path not in unsaid]:
            what = counted(len(ignored), "file that is no image", "files that are no images")
            say(f"ignored {what}: {shorten(ignored)}")
        self.num_files = len(self.images) + len(self.damaged)
        self.resolution = self._check_sizes(resize, crop)
        if not self.images:
            raise self._damage()

    @property
    def is_grey(self):
        return all(image.is_grey for image in self.images)

    def work_through(self, numbers, function):
        """Calls `function(position, path)` for the images of these numbers, on all cores, in this order.

        Images that it finds damaged (`DamagedImageError`) do not end the pass, so that one message lists them all.

        Yields:
            number, result; for none any more after one was damaged, unless `skip_bad`.
        Raises:
            UserError: at the end, when images are damaged and not to be skipped, or none is left.
        """

        def work(item):
            position, number = item
            try:
                return number, function(position, os.path.join(self.directory, self.images[number].path)), None
            except image_files.DamagedImageError as error:
                return number, None, error.reason

        any_left = False
        for number, result, reason in tqdm(
            ordered(self._pool, work, enumerate(numbers), 4 * num_cores()), "images", len(numbers), disable=None
        ):
            if reason is not None:
                self.damaged[self.images[number].path] = reason
            elif self._skip_bad or not self.damaged:  # else the rest is read only to learn what else is damaged
                any_left = True
                yield number, result
        if self.damaged and (not self._skip_bad or not any_left):
            raise self._damage()

    def _check_sizes(self, resize, crop):
        """The resolution; UserError listing the images whose sizes do not fit.

        A file cut off in its pixels has a sound header. So that nobody scales or crops such a file first and learns of
        the damage later, some images are decoded before sizes are complained about, the odd ones first.
        """
        resolution, misfits, _ = image_files.find_misfits(self.images, resize, crop)
        if misfits:
            suspects = sorted(self.images, key=lambda image: image.path not in misfits)[:_MAX_LOOKS]
            looks = ordered(self._pool, self._look, suspects, window=64)
            looks = tqdm(looks, "looking for damage", len(suspects), disable=None)
            self.damaged.update((path, reason) for path, reason in looks if reason is not None)
            self.images = [image for image in self.images if image.path not in self.damaged]
            resolution, misfits, options = image_files.find_misfits(self.images, resize, crop)
        if misfits:
            advice = f"; {'; '.join(options)}" if self._options else _CAN_MEND
            message = (
                f"{len(misfits)} of {counted(len(self.images), 'image')} in {self.directory} "
                f"{'does' if len(misfits) == 1 else 'do'} not have the size of a data set, square and one power of two "
                f"for all{advice}; nothing was written:"
            )
            message += "".join(f"\n  {printable(path)}: {what}" for path, what in misfits.items())
            if self.damaged and not self._skip_bad:
                message += f"\nand {self._damage()}"
            raise UserError(message)
        return resolution

    def _look(self, image):
        try:
            image_files.decode(os.path.join(self.directory, image.path), channels=3)
        except image_files.DamagedImageError as error:
            return image.path, error.reason
        return image.path, None

    def _damage(self):
        """The UserError that lists all images that cannot be read."""
        them = "it" if len(self.damaged) == 1 else "them"
        skip = f", or leave {them} out with --skip-bad" if len(self.damaged) < self.num_files else ""
        return UserError(
            f"{len(self.damaged)} of {counted(self.num_files, 'image')} in {self.directory} cannot be read; "
            f"replace {them}{skip if self._options else ''}; nothing was written:"
            + "".join(f"\n  {printable(path)}: {reason}" for path, reason in sorted(self.damaged.items()))
        )
