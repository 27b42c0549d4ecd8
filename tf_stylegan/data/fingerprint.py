"""What is kept of a picture to compare it with others: its pixels' hash, its look in 63 bits, its sharpness."""

import dataclasses
import hashlib

import numpy as np
import PIL.Image

_SIDE = 32  # pixels, of the small picture whose look is taken
_KEPT = 8  # frequencies in each direction
_SHARPNESS_SIDE = 256  # pixels, of the shorter side
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # as Pillow turns RGB to grey
_COSINES = np.cos(np.pi / _SIDE * np.arange(_KEPT)[:, None] * (np.arange(_SIDE) + 0.5)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """Of one picture.

    Attributes:
        digest: hexadecimal hash of its size and pixels; equal means the same picture to the last bit.
        look: perceptual hash, an int below 2^64; the number of differing bits tells how alike two pictures look.
        color: mean (R, G, B), 0 to 255, which `look` knows nothing of.
        sharpness: variance of the Laplacian, see `sharpness`.
    """

    digest: str
    look: int
    color: tuple
    sharpness: float


def fingerprint(image):
    """The fingerprint of a Pillow image in mode L or RGB; grey and the same grey stored as RGB are equal."""
    colored = image.convert("RGB")
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(np.ascontiguousarray(colored))
    return Fingerprint(digest.hexdigest()[:32], *look_and_color(colored), sharpness(image))


def look_and_color(image):
    """`look` and `color` of a `Fingerprint`, for a Pillow image in mode L or RGB."""
    # Bilinear: copies of other sizes come out closer than by box, no farther than by Lanczos.
    small = image.convert("RGB").resize((_SIDE, _SIDE), PIL.Image.Resampling.BILINEAR)
    small = np.asarray(small, np.float32)  # HWC
    return _look(small @ _LUMA), tuple(int(level) for level in np.rint(small.mean(axis=(0, 1))))


def _look(grey):
    """The perceptual hash "pHash": which of the lowest frequencies are above their median.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1; as
    there, of the 8x8 lowest coefficients of the cosine transform of a 32x32 picture, but without the mean level.
    Saving as JPEG, scaling, brightness and contrast change few bits of it.

    Args:
        grey: float32 `[32, 32]`.
    """
    waves = (_COSINES @ grey @ _COSINES.T).ravel()[1:]
    waves[np.abs(waves) < 1e-3 * _SIDE * _SIDE] = 0  # below a thousandth of a level: no more than rounding
    bits = np.append(waves > np.median(waves), False)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def sharpness(image):
    """How much fine detail a picture has: the variance of its Laplacian, low for one that is blurred or flat.

    Measured on grey levels 0 to 255 after shrinking to 256 pixels on the shorter side (smaller pictures as they are),
    so that large photos and small ones are judged alike. Source: Pertuz, Puig, Garcia, "Analysis of focus measure
    operators for shape-from-focus", 2013, LAPV.

    Args:
        image: Pillow image in mode L or RGB.
    Returns:
        float; photos in focus have from 300 to 5000, the same blurred by a Gaussian of 1 pixel (of the 256) 25 to
        140, of 2 pixels 6 to 15.
    """
    grey = image.convert("L")
    scale = min(grey.size) / _SHARPNESS_SIDE
    if scale > 1:
        size = [max(1, round(side / scale)) for side in grey.size]
        grey = grey.resize(size, PIL.Image.Resampling.BOX)
    x = np.pad(np.asarray(grey).astype(np.int16), 1, mode="edge")
    laplacian = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * x[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float32))
