"""What users write for seeds, styles and latents (F5; NumPy only, so that mistakes show before TensorFlow loads)."""

import os
import re
import zipfile
import zlib

import numpy as np

from tf_stylegan.errors import UserError

NOISE_MODES = {
    "seed": "part of the seed, as in NVlabs/stylegan2",
    "const": "as stored in the network, as in stylegan2-ada-pytorch",
    "random": "new for each picture",
    "none": "no noise",
}
# Two styles a resolution, as the StyleGAN paper counts them: 4²–8², 16²–32², 64² and up. StyleGAN2 has one style for
# 4², so that there every resolution begins one style earlier.
STYLE_NAMES = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}
_MOST_SEEDS = 10**6  # of a range
_KEYS = ("dlatents", "w")  # of .npz files: stylegan2-ada's projector, stylegan2-ada-pytorch's


def parse_seeds(text, option="--seeds", in_order=False):
    """`"0,1,66-70"` to `[0, 1, 66, 67, 68, 69, 70]`.

    Args:
        text: numbers and upward ranges with commas between.
        option: name of the option, for messages.
        in_order: keep the order and what comes twice; else sorted, each once.
    Raises:
        UserError: for anything else.
    """
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not match:
            if re.fullmatch(r"\s*-\d+\s*", part):
                raise UserError(f"{option}={text}: {part.strip()} is below 0; numbers are from 0 on")
            raise UserError(f"{option}={text}: {part.strip()!r} is neither a number nor a range such as 66-70")
        first, last = int(match[1]), int(match[2] or match[1])
        if last >= 2**32:
            raise UserError(f"{option}={text}: {last} is out of range; a seed is from 0 to {2**32 - 1}")
        if last < first:
            raise UserError(f"{option}={text}: {part.strip()!r} must go upwards")
        if last - first >= _MOST_SEEDS:
            raise UserError(f"{option}={text}: {part.strip()!r} is more than a million seeds; make it shorter")
        seeds += range(first, last + 1)
    return seeds if in_order else sorted(set(seeds))


def parse_styles(text, num_layers=None, option="--col-styles"):
    """`"0-3,7"` or `"coarse,fine"` to the numbers of styles, sorted.

    Args:
        num_layers: how many styles the network has; None to look at the grammar alone.
    Raises:
        UserError: another word, or a style that the network does not have.
    """
    end, styles = num_layers or 10**6, set()
    for part in (part.strip() for part in text.split(",")):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
        if match:
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise UserError(f"{option}={text}: {part!r} must go upwards")
        elif part in STYLE_NAMES:
            first, stop = STYLE_NAMES[part]
            last = min(stop or end, end) - 1
            if last < first:
                raise UserError(f"{option}={text}: this network has no {part} styles, only 0-{end - 1}{_names(end)}")
        else:
            names = ", ".join(STYLE_NAMES)
            raise UserError(f"{option}={text}: {part!r} is neither a number, a range such as 0-6, nor one of {names}")
        if num_layers and last >= end:
            problem = f"style {last} is past the last; this network has 0-{end - 1}{_names(end)}"
            raise UserError(f"{option}={text}: {problem}")
        styles.update(range(first, last + 1) if num_layers else ())
    return sorted(styles)


def _names(end):
    present = {name: span for name, span in STYLE_NAMES.items() if span[0] < end}
    spans = [f"{name} {first}-{min(stop or end, end) - 1}" for name, (first, stop) in present.items()]
    return f" ({', '.join(spans)})"


def parse_keyframes(text, option="--seeds"):
    """Seeds and latent files in the order given: `"4,projected.npz,7-9"` to `[4, "projected.npz", 7, 8, 9]`."""
    keyframes = []
    for part in text.split(","):
        if part.strip().lower().endswith((".npz", ".npy")):
            keyframes.append(part.strip())
        else:
            try:
                keyframes += parse_seeds(part, option, in_order=True)
            except UserError as error:
                hint = ", nor a file of latents (.npz, .npy)" if "neither" in str(error) else ""
                problem = str(error).removeprefix(f"{option}={part}: ")
                raise UserError(f"{option}={text}: {problem}{hint}") from error
    return keyframes


def read_dlatents(path, num_layers, w_size):
    """Latents w from a file, as projectors write them.

    Args:
        path: `.npy`, or `.npz` with the key `dlatents`, `w`, or a single array: `[L, w]` for one picture, `[N, L, w]`
            for several; with 1 in place of L, or without it, one w for all layers.
        num_layers, w_size: of the network.
    Returns:
        float32 `[N, num_layers, w_size]`.
    Raises:
        UserError: the file cannot be read, holds something else, or is of another network.
    """
    array = _read_array(path)
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path}: latents must be numbers, got an array of {array.dtype}")
    shape = list(array.shape)
    array = array.reshape([1] * (2 - array.ndim) + shape) if array.ndim < 2 else array
    array = array[None] if array.ndim == 2 else array
    if array.ndim == 3 and not len(array):
        raise UserError(f"{path}: holds no pictures")
    fits = array.ndim == 3 and array.shape[1] in (1, num_layers) and array.shape[2] == w_size
    if not fits:
        wanted = f"[{num_layers}, {w_size}] or [1, {w_size}], or several of them, [N, …, {w_size}]"
        raise UserError(f"{path}: latents for this network must be {wanted}; got {shape}")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{path}: holds numbers that are not finite")
    return np.broadcast_to(array, [len(array), num_layers, w_size])


def _read_array(path):
    if not os.fspath(path).lower().endswith((".npz", ".npy")):
        raise UserError(f"{path}: latents are read from .npz and .npy files")
    try:
        with open(path, "rb") as opened:
            loaded = np.load(opened)  # which refuses pickled objects
            if isinstance(loaded, np.ndarray):
                return loaded
            names = loaded.files
            name = next((key for key in _KEYS if key in names), names[0] if len(names) == 1 else None)
            if name is None:
                found = ", ".join(names) or "nothing"
                raise UserError(f"{path}: expected an array named {' or '.join(_KEYS)}, or a single one; got {found}")
            return loaded[name]
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, KeyError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        # Not in NumPy's words: they recommend to load such files unsafely.
        raise UserError(f"{path} is no file of NumPy numbers, or damaged") from error
