"""What pictures and films start from: seeds, and latents w from files (F5)."""

import dataclasses
import functools
import itertools
import os

import numpy as np

from tf_stylegan.pictures.latents import read_dlatents
from tf_stylegan.pictures.painter import seed_latents
from tf_stylegan.pictures.sheets import check_memory


@dataclasses.dataclass
class Source:
    """One picture's worth of input.

    Attributes:
        name: for file names: the seed, or the file's name without ending, with `.0`, `.1` … where it holds several.
            Different sources have different names, see `sources_of_each`.
        seed: None for latents from a file.
        dlatents: `[num_layers, w_size]`, not truncated.
        psi: None for the Painter's; 1 for latents from a file, which are drawn as they are.
    """

    name: str
    seed: int | None
    dlatents: np.ndarray
    psi: float | None


def sources_of(painter, keyframes):
    """Sources of seeds and files in the order given.

    Args:
        painter: Painter of a network that has w.
        keyframes: see `latents.parse_keyframes`.
    Returns:
        list of Source; a file may bring several.
    """
    return sources_of_each(painter, keyframes)[0]


def sources_of_each(painter, *lists):
    """`sources_of` of several lists of keyframes, a list for each.

    Results are called after their sources, so names are given once among all of them: seeds have their numbers, and of
    files that are called alike the later ones also have their folder's name, or a number.
    """
    keyframes = [keyframe for one in lists for keyframe in one]
    check_memory(len(keyframes) * painter.num_layers * painter.w_size * 12, f"latents of {len(keyframes)} seeds")
    seeds = [keyframe for keyframe in keyframes if isinstance(keyframe, int)]
    z = [seed_latents(painter.Gs, seed) for seed in seeds]
    w_of_seeds = iter(painter.dlatents(np.concatenate(z)) if z else ())
    owners = {str(seed): seed for seed in seeds}  # of names

    def of(keyframe):
        if isinstance(keyframe, int):
            return [Source(str(keyframe), keyframe, next(w_of_seeds), None)]
        found = read_dlatents(keyframe, painter.num_layers, painter.w_size)
        for name in _names(keyframe):
            names = [name] if len(found) == 1 else [f"{name}.{number}" for number in range(len(found))]
            if all(owners.get(taken, keyframe) == keyframe for taken in (name, *names)):
                break
        owners.update(dict.fromkeys((name, *names), keyframe))
        return [Source(name, None, w, 1.0) for name, w in zip(names, found)]

    return [[source for keyframe in one for source in of(keyframe)] for one in lists]


def _names(path):
    """What a file may be called, the best first."""
    folder, file = os.path.split(os.path.abspath(path))
    stem = os.path.splitext(file)[0]
    yield stem
    yield f"{os.path.basename(folder)}_{stem}"
    yield from (f"{stem}_{number}" for number in itertools.count(2))


def truncated(painter, sources):
    """w of sources as they are drawn: `[N, num_layers, w_size]`."""
    psi = [painter.psi if source.psi is None else source.psi for source in sources]
    return painter.truncated(np.stack([source.dlatents for source in sources]), psi)


def noise_of(painter, source):
    """Maps of a source's noise, a list of `[1, h, w, 1]`, where they belong to the seed; None in other noise modes.

    Latents from a file have no seed: theirs is the stored noise.
    """
    if painter.noise_mode != "seed" or not painter.has_w:
        return None
    return painter.stored_noise() if source.seed is None else painter.latents_of(source.seed)[1]


def check_noise(painter, cells):
    """UserError where the noise of so many cells, each with its own, does not fit into memory."""
    if painter.noise_mode == "seed" and painter.has_w:
        size = sum(int(np.prod(stored.shape)) for stored in painter.Gs.synthesis.noise)
        check_memory(size * cells * 8, f"the noise of {cells} seeds")


def noise_in_cells(per_cell):
    """Function of a number of frames to the noise of all cells in all of them, for `Painter.draw`.

    Args:
        per_cell: for each cell None, or a list of maps `[1, h, w, 1]`.
    """
    if per_cell[0] is None:
        return lambda frames: None
    if all(maps is per_cell[0] for maps in per_cell):
        return lambda frames: per_cell[0]
    once = [np.concatenate(same) for same in zip(*per_cell)]
    return functools.lru_cache(maxsize=1)(lambda frames: [np.tile(m, [frames, 1, 1, 1]) for m in once])
