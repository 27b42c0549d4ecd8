"""What is wrong with a folder of pictures, or worth knowing, before it becomes a data set."""

import collections
import concurrent.futures
import dataclasses
import os
import time

import PIL.ExifTags
import PIL.Image
from tqdm import tqdm

from tf_stylegan.data import duplicates, image_files, parallel, survey
from tf_stylegan.data.fingerprint import Fingerprint, fingerprint
from tf_stylegan.data.levels import log2_resolution
from tf_stylegan.errors import UserError

MIN_SIZE = 4  # pixels of the shorter side; the smallest data set
MOST_ASPECT = 100  # longer side by shorter, of what can keep its shape
DISTANCE = 4  # bits; a copy saved anew differs in 0 to 2, unrelated photos in 20 and more
SHARPNESS = 20.0  # see fingerprint.sharpness
_ANIMATED_FORMATS = {"GIF", "PNG", "WEBP", "AVIF", "TIFF"}  # others' further frames are previews (MPO) or layers (PSD)
_WHITE = (255, 255, 255)

# kind -> (title, what to do about it). `judge` decides which of them must be fixed.
KINDS = {
    "damaged": ("Damaged or unreadable", "replace them, or leave them out with prepare --skip-bad"),
    "too small": ("Too small", "replace or remove them; prepare --min-size leaves them out"),
    "wrong size": (
        "Not square, or not of one power of two",
        "prepare --size=N crops and scales; so does create_from_images --crop --resize=N",
    ),
    "same": ("Exact duplicates", "prepare --drop-duplicates keeps the largest of each group"),
    "alike": ("Near duplicates", "look at them (--report); prepare --drop-duplicates keeps the largest of each group"),
    "blurred": ("Blurred or flat", "look at them (--report); prepare --drop-blurred leaves them out"),
    "not square": ("Not square", "prepare --crop=center|smart|pad says how they become square"),
    "enlarged": ("Would be enlarged", "they will look soft; prepare --min-size leaves them out"),
    "animated": ("Animated, or of several pages", "the first frame is taken"),
    "EXIF-rotated": ("Turned by their EXIF tag", "they are turned upright"),
    "colour profile": (
        "Colour profile other than sRGB",
        "prepare converts to sRGB, create_from_images does not",
    ),
    "useless colour profile": ("Useless colour profile", "the colours are taken as sRGB"),
    "CMYK": ("CMYK", "converted to RGB"),
    "transparency": ("Transparent", "laid over --background"),
    "palette": ("Palette", "converted to RGB"),
    "Adobe RGB": (
        "Adobe RGB by their EXIF data, without a colour profile",
        "taken as sRGB, they come out dull; put the profile in, or save them as sRGB",
    ),
    "16-bit": ("16 bits a channel", "scaled to 8"),
    "dark 16-bit": (
        "16 bits a channel, of which the highest are never used",
        "they come out dark; make white 65535 of them, or save them with 8 bits",
    ),
    "grey": ("Grey among coloured", "converted to RGB"),
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that was read whole: path, size (upright), Pillow's names of format and mode, notes as of
    `image_files.read`, number of frames, bytes of the file, and its fingerprint."""

    path: str
    size: tuple
    format: str
    mode: str
    notes: tuple
    num_frames: int
    num_bytes: int
    fingerprint: Fingerprint


@dataclasses.dataclass(frozen=True)
class Finding:
    """One picture, or a group of them: path, what there is to say, and for groups ((path, what), …) of the others."""

    path: str
    detail: str = ""
    others: tuple = ()


@dataclasses.dataclass(frozen=True)
class Problem:
    """All findings of one kind, a key of `KINDS`."""

    kind: str
    must_fix: bool
    findings: list

    @property
    def title(self):
        return KINDS[self.kind][0]

    @property
    def advice(self):
        return KINDS[self.kind][1]

    @property
    def count(self):
        """How many pictures would have to be changed, or go: of a group all but one."""
        return sum(len(finding.others) or 1 for finding in self.findings)


@dataclasses.dataclass(frozen=True)
class Result:
    """Of a check: the folder, pictures read whole, `{path: what is wrong}` of those that could not be, the paths of
    other files, and the problems, those that must be fixed first."""

    folder: str
    pictures: list
    bad: dict
    others: list
    problems: list
    seconds: float

    @property
    def num_pictures(self):
        return len(self.pictures) + len(self.bad)

    @property
    def num_must_fix(self):
        return len({finding.path for problem in self.problems if problem.must_fix for finding in problem.findings})


def check(folder, size=None, min_size=MIN_SIZE, distance=DISTANCE, blur=SHARPNESS, num_threads=None):
    """Reads all pictures below a folder, on all cores, and judges them.

    Args:
        folder: searched recursively; linked folders are followed, hidden ones are not.
        size: resolution that the pictures will be scaled to; None to judge them as they are to be converted.
        min_size: pixels that the shorter side must have.
        distance: bits of the perceptual hash in which near duplicates may differ; None not to look for them.
        blur: pictures of a sharpness below this are blurred; 0 for none.
        num_threads: None for all cores.
    Returns:
        Result.
    Raises:
        UserError: for no folder, no pictures, and impossible options.
    """
    check_options(size, min_size, distance, blur, num_threads)
    start = time.monotonic()
    files, bad = survey.list_folder(folder)
    pictures, others = [], []
    with concurrent.futures.ThreadPoolExecutor(parallel.num_threads(num_threads)) as pool:
        results = parallel.ordered(pool, lambda path: (path, examine(folder, path)), files)
        for path, found in tqdm(results, "pictures", len(files), disable=None):
            if isinstance(found, Picture):
                pictures.append(found)
            elif found is None:
                others.append(path)
            else:
                bad[path] = found
    if not pictures and not bad:
        raise UserError(survey.no_pictures(folder, files))
    problems = judge(pictures, bad, size, min_size, distance, blur)
    return Result(os.fspath(folder), pictures, bad, others, problems, time.monotonic() - start)


def check_options(size, min_size, distance, blur, num_threads):
    """Raises UserError for values that these options of check and prepare cannot have."""
    if size is not None and not log2_resolution(size):
        raise UserError(f"--size must be a power of two from 4 to 8192, got {size}")
    if min_size < 1:
        raise UserError(f"--min-size must be at least 1, got {min_size}")
    if distance is not None and not 0 <= distance <= 32:
        raise UserError(f"--distance must be 0 to 32 bits, or off, got {distance}")
    if not 0 <= blur < float("inf"):
        raise UserError(f"--blur must be a number from 0, got {blur}")
    parallel.num_threads(num_threads)


def examine(folder, path):
    """Reads one file whole: a Picture; a text saying what is wrong with it; None when it is no picture."""
    found = survey.classify(folder, path)
    if not isinstance(found, image_files.ImageFile):
        return found
    file = os.path.join(folder, path)
    try:
        with PIL.Image.open(file) as image:
            file_format = image.format
            is_adobe = file_format in ("JPEG", "MPO") and _is_adobe_rgb(image)
            num_frames = getattr(image, "n_frames", 1) if file_format in _ANIMATED_FORMATS else 1
        image, notes = image_files.read(file, _WHITE, srgb=True)
        num_bytes = os.path.getsize(file)
    except image_files.DamagedImageError as error:
        return error.reason
    except Exception as error:  # counting frames reads on in the file, with as many kinds of errors
        return image_files.reason_of(error)
    notes += ["Adobe RGB"] * is_adobe + ["grey"] * found.is_grey
    return Picture(path, image.size, file_format, found.mode, tuple(notes), num_frames, num_bytes, fingerprint(image))


def _is_adobe_rgb(image):
    """Whether a camera's file means Adobe RGB and says so in its EXIF data only (DCF 2.0, "optional colour space")."""
    if image.info.get("icc_profile"):
        return False
    try:
        exif = image.getexif()
        color_space = exif.get_ifd(PIL.ExifTags.IFD.Exif).get(PIL.ExifTags.Base.ColorSpace)
        return color_space == 0xFFFF and exif.get_ifd(PIL.ExifTags.IFD.Interop).get(1) == "R03"
    except Exception:  # broken EXIF data, of as many kinds as there are writers of it
        return False


def judge(pictures, bad, size=None, min_size=MIN_SIZE, distance=DISTANCE, blur=SHARPNESS):
    """Sorts what was read into problems.

    What cannot be read or is too small must be fixed, and without `size` what create_from_images would refuse: prepare
    makes all pictures square and of that size. The rest is noted.

    Args:
        pictures: list of Picture.
        bad: `{path: what is wrong}`.
        size, min_size, distance, blur: see `check`.
    Returns:
        list of Problem without empty ones, those that must be fixed first.
    """
    found = collections.defaultdict(list)
    found["damaged"] = [Finding(path, reason) for path, reason in sorted(bad.items())]
    large = []
    for picture in pictures:
        width, height = picture.size
        shorter = min(picture.size)
        if shorter < min_size:
            found["too small"].append(Finding(picture.path, f"{width}x{height}, less than {min_size}"))
        else:
            large.append(image_files.ImageFile(picture.path, picture.size, picture.mode))
            if size and width != height:
                too_long = ", too long for --crop=none" * (max(picture.size) > MOST_ASPECT * shorter)
                found["not square"].append(Finding(picture.path, f"{width}x{height}{too_long}"))
            if size and shorter < size:
                found["enlarged"].append(Finding(picture.path, f"{width}x{height} to {size}"))
        if picture.num_frames > 1:
            found["animated"].append(Finding(picture.path, f"{picture.format}, {picture.num_frames} frames"))
        for note in picture.notes:
            found[note].append(Finding(picture.path))
    if not size:
        _, misfits, _ = image_files.find_misfits(large)
        found["wrong size"] = [Finding(path, what) for path, what in misfits.items()]
    if len(found["grey"]) == len(pictures):  # then the data set is grey, which is as good
        del found["grey"]
    blurred = sorted((p.fingerprint.sharpness, p.path) for p in pictures if p.fingerprint.sharpness < blur)
    found["blurred"] = [Finding(path, f"sharpness {sharpness:.1f}") for sharpness, path in blurred]
    found["same"], found["alike"] = find_duplicates(pictures, distance)
    must_fix = ("damaged", "too small", "wrong size")
    return [Problem(kind, kind in must_fix, found[kind]) for kind in KINDS if found[kind]]


def find_duplicates(pictures, distance):
    """Groups of exact and of near duplicates (none when `distance` is None), two lists of Finding.

    First in each stands the one to keep: of most pixels, then of most bytes, as copies lose detail and not gain it.
    """
    order = sorted(range(len(pictures)), key=lambda i: keep_first(pictures[i]))
    prints = [picture.fingerprint for picture in pictures]
    same = duplicates.exact([p.digest for p in prints], order)
    copies = {number for group in same.values() for number in group}
    alike = {}
    if distance is not None:
        order = [number for number in order if number not in copies]
        alike = duplicates.near([p.look for p in prints], [p.color for p in prints], order, distance)
    same = [
        Finding(pictures[first].path, others=tuple((pictures[other].path, "") for other in group))
        for first, group in same.items()
    ]
    alike = [
        Finding(pictures[first].path, others=tuple((pictures[other].path, f"{bits} bits") for other, bits in group))
        for first, group in alike.items()
    ]
    return (sorted(findings, key=lambda finding: finding.path) for findings in (same, alike))


def keep_first(picture):
    """Sorting key: of duplicates the one of most pixels is kept, then of most bytes, then the first by name."""
    return -picture.size[0] * picture.size[1], -picture.num_bytes, picture.path
