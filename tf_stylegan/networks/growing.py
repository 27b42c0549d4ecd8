"""Progressive growing: which layers contribute at a level of detail, and how two resolutions fade (F3).

Level of detail 0 is the full resolution, 1 half of it, and so on; at a fraction the two neighbours are mixed
(ProGAN, section 2 and figure 2; the "linear" and "recursive" structures of the originals, whose values are the same).
"""

import math

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops.upfirdn_2d import downsample_2d, upsample_2d

# The originals build their graphs in these ways; what they compute is the same.
STRUCTURES = ("auto", "fixed", "linear", "recursive")


class Lod:
    """A level of detail whose whole part is known when a graph is traced.

    Args:
        floor: int, the whole part.
        fraction: float or scalar tensor in [0, 1); 0 as a Python number leaves the fading layers out of the graph.
    """

    def __init__(self, floor, fraction=0.0):
        self.floor, self.fraction = floor, fraction

    def __str__(self):
        return f"{self.floor} and a fraction" if tf.is_tensor(self.fraction) else f"{self.floor + self.fraction:g}"

    @property
    def fades(self):
        return tf.is_tensor(self.fraction) or self.fraction != 0

    @classmethod
    def of(cls, lod, variable=None, highest=None):
        """A Lod from a number, a Lod, or None: the value that a network's `lod` variable has when a graph is traced.

        Raises:
            UserError: for a lod below 0 or above `highest` (4x4 pixels), or a tensor of a graph that is being traced.
        """
        if lod is None:
            with tf.init_scope():
                lod = float(variable.numpy())
        if not isinstance(lod, Lod):
            try:
                number = float(lod)
            except TypeError as error:
                raise UserError("lod must be a number; in a graph, growing.Lod(whole part, fraction)") from error
            if not math.isfinite(number):
                raise UserError(f"lod must be a finite number, got {number}")
            lod = cls(math.floor(number), number - math.floor(number))
        if lod.floor < 0 or (highest is not None and lod.floor + lod.fades > highest):
            span = "0 or more" if highest is None else f"from 0 to {highest} at this resolution"
            raise UserError(f"lod must be {span}, got {lod}")
        return lod


def fade(fine, coarse, lod):
    """`fine` mixed with `coarse` by the fraction of `lod`."""
    return fine + (coarse - fine) * tf.cast(lod.fraction, fine.dtype)


def grow_images(blocks, to_rgb, first, lod, full_size=True):
    """Runs a synthesis up to a level of detail.

    Args:
        blocks: list of functions of the features, one per resolution above the first.
        to_rgb: list of functions from features to pictures, one per resolution from the first on.
        first: features of the first resolution.
        lod: Lod.
        full_size: repeat the pixels of a lower level of detail up to the full resolution, as the originals do.
    Returns:
        pictures `[N, R, R, C]`, R the full resolution or, without `full_size`, that of `lod.floor`.
    """
    last = len(blocks) - lod.floor
    x, before = first, None
    for block in blocks[:last]:
        x, before = block(x), x
    images = to_rgb[last](x)
    if lod.fades:
        images = fade(images, upsample_2d(to_rgb[last - 1](before)), lod)
    return upsample_2d(images, factor=2**lod.floor) if lod.floor and full_size else images


def shrink_images(images, resolution, from_rgb, blocks, lod):
    """Runs a discriminator's blocks from a level of detail down to 4x4.

    Args:
        images: `[N, R, R, C]`, R the full resolution or that of `lod.floor`.
        resolution: the full one.
        from_rgb: list of functions from pictures to features, full resolution first, one more than `blocks`.
        blocks: list of functions of the features, each halving the size.
        lod: Lod.
    Returns:
        features at 4x4.
    """
    factor = 2**lod.floor
    if images.shape[1] == resolution and factor > 1:
        images = downsample_2d(images, factor=factor)
    elif images.shape[1] != resolution // factor:
        raise UserError(
            f"images must be {resolution} pixels wide, or {resolution // factor} at this level of detail; "
            f"got {images.shape}"
        )
    x = from_rgb[lod.floor](images)
    if lod.fades:
        coarse = from_rgb[lod.floor + 1](downsample_2d(images))
        x = fade(blocks[lod.floor](x), coarse, lod)
        return _through(blocks[lod.floor + 1 :], x)
    return _through(blocks[lod.floor :], x)


def _through(blocks, x):
    for block in blocks:
        x = block(x)
    return x
