"""Image files of any kind -> square uint8 arrays: finding them, checking their sizes, decoding them."""

import collections
import dataclasses
import logging
import os
import re
import warnings

import numpy as np
import PIL.Image
import PIL.ImageColor

from tf_stylegan.data import color_profiles
from tf_stylegan.data.levels import log2_resolution
from tf_stylegan.data.resize import resize as resize_image
from tf_stylegan.errors import UserError

# Files with these endings are meant to be images: when Pillow cannot read one, it is damaged, not "no image".
_IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".tga", ".jp2", ".avif"),
    *(".pgm", ".ppm", ".pnm"),
)
_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"}
_DEEP_MODES = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
_DIRECT_MODES = {"1", "L", "RGB", "RGBA", "LA", "La", "RGBa", "P", "PA", "CMYK", "YCbCr", "HSV", "RGBX"}
# Pillow knows the headers of these; their contents are films, or drawn by other programs (Ghostscript).
_NO_PICTURES = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """An image as its header tells: path relative to the folder with "/", (width, height), Pillow's mode, and whether
    it has a colour profile of other colours than sRGB."""

    path: str
    size: tuple
    mode: str
    has_profile: bool = False

    @property
    def is_grey(self):
        return self.mode in _GREY_MODES


class DamagedImageError(UserError):
    """An image file that cannot be read whole; `reason` says why, for lists of several."""

    def __init__(self, path, reason):
        super().__init__(f"{path} is damaged ({reason}); replace it, or leave damaged files out with --skip-bad")
        self.reason = reason


def hush_pillow():
    """For commands: Pillow talks about odd metadata in pictures that are read all the same, and about large ones; what
    cannot be read is listed anyway."""
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def list_files(folder, on_error=None):
    """All files below `folder`, as sorted paths relative to it with "/".

    Linked folders are followed, wherever they lead, unless they lead back to a folder that they lie in.

    Args:
        on_error: called with the OSError of each folder that cannot be listed; None to pass over those.
    """
    folder = os.fspath(folder)
    found, ways = [], {folder: (os.path.realpath(folder),)}  # ways: folder -> where those that lead to it really are
    for parent, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        way, subfolders = ways.pop(parent), folders[:]
        folders.clear()
        for name in subfolders:
            path = os.path.join(parent, name)
            real = os.path.realpath(path) if os.path.islink(path) else os.path.join(way[-1], name)
            if not name.startswith(".") and real not in way:
                folders.append(name)
                ways[path] = (*way, real)
        relative = os.path.relpath(parent, folder)
        found += [name if relative == "." else f"{relative}/{name}".replace(os.sep, "/") for name in names]
    return sorted(found)


def probe(folder, path):
    """Reads an image's header.

    Returns:
        ImageFile; None when the file is no image; a string saying what is wrong when it is a damaged one.
    """
    if os.path.basename(path).startswith("."):  # .DS_Store, and macOS's "._photo.jpg", which hold no picture
        return None
    file, is_named = os.path.join(folder, path), path.lower().endswith(_IMAGE_ENDINGS)
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe would be waited for
        return None
    try:
        with PIL.Image.open(file) as image:
            if image.format in _NO_PICTURES:
                return None
            if image.mode not in _DIRECT_MODES | _DEEP_MODES:
                return f"pixels of kind {image.mode!r} have no known range: save it as 8-bit RGB"
            if image.mode == "I" and any(";32" in str(tile[3]) for tile in image.tile):  # else of 16, kept in 32
                return "pixels of 32 bits have no known range: save it as 8-bit RGB"
            profile = image.info.get("icc_profile")
            return ImageFile(
                path, image.size, image.mode, bool(profile) and color_profiles.differs(profile, image.mode)
            )
    except Exception as error:  # as in `read`
        if isinstance(error, PIL.UnidentifiedImageError):
            return "not readable as an image" if is_named else None
        if isinstance(error, FileNotFoundError | PermissionError) and not is_named:  # broken links, for one
            return None
        return reason_of(error)


def find_misfits(images, resize=None, crop=False):
    """The resolution of the data set that these images make, and those whose sizes do not allow it.

    Args:
        images: list of ImageFile.
        resize: resolution they will be scaled to, or None.
        crop: True when they will be cropped to a square.
    Returns:
        resolution: height = width in pixels.
        misfits: `{path: "8x12 (not square)"}`, empty when all is well.
        options: what would help, a list of texts.
    """
    sides = [min(image.size) for image in images]
    usable = collections.Counter(side for side in sides if log2_resolution(side))
    target = resize or (usable.most_common(1)[0][0] if usable else None)
    misfits, options = {}, set()
    for image, side in zip(images, sides):
        reasons = []
        if image.size[0] != image.size[1] and not crop:
            reasons.append("not square")
            options.add("--crop cuts out the central square")
        if not resize and side != target:
            reasons.append(f"most are {target}x{target}" if side in usable else "not a power of two from 4")
            options.add("--resize=N scales all to NxN, a power of two")
        if reasons:
            misfits[image.path] = f"{image.size[0]}x{image.size[1]} ({', '.join(reasons)})"
    return target, misfits, sorted(options)


def decode(path, channels, resize=None, crop=False, resize_filter="auto", background=(255, 255, 255)):
    """Reads one image file.

    Turned as its EXIF tag says; transparency laid over `background`; 16 bits scaled to 8; CMYK, palette and the other
    modes converted as Pillow does; of several frames the first.

    Args:
        path: the file.
        channels: 1 or 3.
        resize: height = width to scale to, or None.
        crop: cut out the central square first.
        resize_filter: "box", "lanczos", or "auto": box when shrinking by a whole number, else Lanczos. Box by a whole
            number is the exact mean: shrinking by 4 gives what the records two levels of detail down hold, which is
            how the published 256x256 FFHQ was made and what its FIDs were measured with.
        background: (R, G, B).
    Returns:
        image: uint8 `[channels, H, W]`.
        notes: list of what was converted, for counting.
    Raises:
        DamagedImageError: when the file is damaged.
    """
    image, notes = read(path, background)
    return fit(image, notes, channels, resize, crop, resize_filter)


def read(path, background, srgb=False):
    """The first half of `decode`: one image file as it is meant to be seen, its size kept.

    Args:
        path: the file.
        background: (R, G, B), laid under transparent pixels.
        srgb: convert the colours from the file's profile, if it has one, to sRGB; else the numbers are kept.
    Returns:
        image: Pillow image in mode L or RGB.
        notes: list of what was converted, for counting.
    Raises:
        DamagedImageError: when the file is damaged.
    """
    try:
        with PIL.Image.open(path) as image:
            # Pillow cuts 16-bit colour to 8 bits on its own; only the raw mode, gone after loading, tells of it.
            notes = ["16-bit"] if image.mode in _DEEP_MODES or any(";16" in str(t[3]) for t in image.tile) else []
            is_turned = image.format == "TIFF" and _orientation(image) in _UPRIGHT  # while loading, and the tag goes
            image.load()  # before the orientation: PNG's reader loads for it too, and there errors are passed over
            if notes and _is_dark(image):
                notes.append("dark 16-bit")
            turn, profile = _UPRIGHT.get(_orientation(image)), image.info.get("icc_profile")
            notes += ["EXIF-rotated"] * (is_turned or turn is not None)
            image = image if turn is None else image.transpose(turn)
            image = _without_depth(image) if image.mode in _DEEP_MODES else image
            if srgb and profile:
                kind = image.mode
                image, note = color_profiles.to_srgb(image, profile)
                if note:
                    notes.append(note)
                notes += ["palette"] * (kind in ("P", "PA") and image.mode != kind)
                notes += ["CMYK"] * (kind == "CMYK" and image.mode != kind)
            image, more = _to_8_bit(image, background)
    except Exception as error:  # which one depends on the format's reader; none of them is a mistake of ours
        raise DamagedImageError(path, reason_of(error)) from error
    return image, notes + more


def _is_dark(image):
    """Whether a picture of 16 bits uses 12 of them at most: from a camera, say, that counts to 4095."""
    if image.mode in _DEEP_MODES:
        return np.asarray(image).max() < 4096
    return np.asarray(image.convert("RGB")).max() < 16  # what Pillow has left of them


def _orientation(image):
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # broken EXIF data does not make the picture unusable
        return 1


def reason_of(error):
    """What an error of Pillow's says, in one line without the path, which the reader knows."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, PIL.Image.DecompressionBombError):
        megapixels = int(re.search(r"\d+", str(error))[0]) // 1_000_000
        return f"{megapixels} megapixels, at most {2 * PIL.Image.MAX_IMAGE_PIXELS // 1_000_000} are read; scale it down"
    return " ".join(str(error).split()) or type(error).__name__


def fit(image, notes, channels, resize=None, crop=False, resize_filter="auto"):
    """The second half of `decode`, of a Pillow image in mode L or RGB; `notes` are those of the first half."""
    more = []
    if channels == 3 and image.mode == "L":
        more.append("grey to RGB")
    elif channels == 1 and image.mode == "RGB":
        more.append("RGB to grey")
    image = image.convert("L" if channels == 1 else "RGB")
    if crop and image.width != image.height:
        more.append("cropped")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if resize and image.size != (resize, resize):
        more.append("enlarged" if resize > image.width else "shrunk")
        image = resize_image(image, (resize, resize), resize_filter)
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)), notes + more  # CHW


def _without_depth(image):
    """16 bits of grey -> L, or LA where one of their values means transparency."""
    values, clear = np.asarray(image), image.info.get("transparency")
    # Pillow's "I" holds 16 bits in 32 for some formats; 257 takes 65535 to 255 exactly.
    grey = PIL.Image.fromarray(np.rint((values.astype(np.float32) / 257).clip(0, 255)).astype(np.uint8))
    if clear is not None:
        grey.putalpha(PIL.Image.fromarray((values != clear).astype(np.uint8) * 255))
    return grey


def _to_8_bit(image, background):
    """Any mode that `probe` lets through, but not of 16 bits -> L or RGB, and notes."""
    notes = ["palette"] if image.mode in ("P", "PA") else []
    if image.mode == "CMYK":
        notes.append("CMYK")
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        grey = image.mode in _GREY_MODES
        layer = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        canvas = PIL.Image.new("RGBA", image.size, (*background, 255))
        flat = PIL.Image.alpha_composite(canvas, layer).convert("RGB")
        return (flat.convert("L") if grey else flat), [*notes, "transparency"]
    return image.convert("L" if image.mode in _GREY_MODES else "RGB"), notes


def parse_color(text):
    """A colour as CSS writes it ("white", "#ff8000") -> (R, G, B); UserError when it is none."""
    try:
        return PIL.ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise UserError(f"--background: {text!r} is no colour; give a name (white) or #rrggbb") from error
