"""Colour profiles: pixels as a camera, a monitor or a printer means them -> sRGB (Pillow's LittleCMS)."""

import functools
import io

import numpy as np
import PIL.Image
import PIL.ImageCms

# Rounding of two ways to write sRGB down stays below this; Adobe RGB and Display P3 are tens of levels away.
_SAME_LEVELS = 2
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_srgb(image, profile):
    """Converts the colours of a picture to sRGB: relative colorimetric, with black point compensation.

    Args:
        image: loaded Pillow image of any mode; 16-bit grey is returned as it is.
        profile: ICC profile, bytes.
    Returns:
        image: mode L for grey, RGBA with its transparency if it has any, else RGB; `image` itself when the profile
            is sRGB in other words, or useless.
        note: "colour profile", "useless colour profile" (damaged, or for another kind of pixels), None for sRGB.
    """
    if image.mode.startswith("I"):
        return image, None
    alpha = None
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        straight = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
        alpha = straight.getchannel("A")
        colors = straight.convert("L" if image.mode[0] in "1L" else "RGB")
    else:
        colors = image if image.mode in _SPACES else image.convert("L" if image.mode == "1" else "RGB")
    grey = colors.mode == "L"
    transform = _transform(profile, colors.mode)
    if transform == "useless" and grey:  # some programs leave the RGB profile in when they turn a picture grey
        colors = colors.convert("RGB")
        transform = _transform(profile, "RGB")
    if isinstance(transform, str):
        return image, None if transform == "sRGB" else "useless colour profile"
    colors = transform.apply(colors)
    if grey and alpha is None:
        colors = colors.convert("L")
    if alpha is not None:
        colors.putalpha(alpha)
    return colors, "colour profile"


def differs(profile, mode):
    """Whether a profile means other colours than sRGB for pictures of a mode of Pillow's."""
    mode = mode if mode in _SPACES else "L" if mode[0] in "1LI" else "RGB"
    transform = _transform(profile, mode)
    if transform == "useless" and mode == "L":  # as in `to_srgb`
        transform = _transform(profile, "RGB")
    return not isinstance(transform, str)


@functools.lru_cache(maxsize=64)  # a folder's pictures come from a few cameras, and building one takes milliseconds
def _transform(profile, mode):
    """A transform from pixels of `mode` to RGB; "sRGB" when there is nothing to do, "useless" when it cannot be."""
    try:
        source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return "useless"
        transform = PIL.ImageCms.buildTransform(
            source,
            PIL.ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=PIL.ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # Without its cache of one colour a transform may be used by many threads.
            flags=PIL.ImageCms.Flags.BLACKPOINTCOMPENSATION | PIL.ImageCms.Flags.NOCACHE,
        )
        if mode == "CMYK":
            return transform
        sample = _sample(mode)
        change = np.asarray(transform.apply(sample), int) - np.asarray(sample.convert("RGB"), int)
    except (PIL.ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "useless"
    return "sRGB" if np.abs(change).max() <= _SAME_LEVELS else transform


def _sample(mode):
    """Colours from all over the cube, or all greys: profiles are compared by what they do, their names vary."""
    if mode == "L":
        return PIL.Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return PIL.Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3))
