"""Pictures moved along directions, averaged, and led from one to the next: w, rows of pictures, films (F5)."""

import math

import numpy as np
from tqdm import tqdm

from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write
from tf_stylegan.pictures.films import Film, Way, frames_at_once, grid_of
from tf_stylegan.pictures.sources import check_noise, noise_in_cells, noise_of, sources_of, truncated

# What is left of a sum that should be 0 is 0 after this; nobody sees the rest.
_DIGITS = 6
_AVERAGED_AT_ONCE = 256


def strip_strengths(first, last, steps):
    """Strengths of a strip, evenly from `first` to `last`: float32 `[steps]`."""
    return (np.round(np.linspace(first, last, steps), _DIGITS) + 0.0).astype(np.float32)


def swing(numbers, frames, first, last):
    """Strengths of a film's frames, which swing between two ends like a pendulum and close without a repeat.

    Frame 0 is where nothing is changed, or the end that is nearest to that.

    Args:
        numbers: frames `[F]`.
        frames: of the whole film, once there and back.
        first, last: the ends.
    Returns:
        float32 `[F]`.
    """
    middle, reach = (first + last) / 2, (last - first) / 2
    start = math.asin(np.clip(-middle / reach, -1, 1)) if reach else 0.0
    angle = start + 2 * np.pi * np.asarray(numbers) / frames
    return (np.round(middle + reach * np.sin(angle), _DIGITS) + 0.0).astype(np.float32)


class Edits:
    """Some pictures along some directions: a row for each pair, direction by direction.

    Args:
        painter: Painter of a network that has w.
        sources: list of Source.
        directions: Directions.
        indices: numbers of the directions.
        layers: numbers of the styles to change, None for those of the directions.
    Raises:
        UserError: for a direction that is not there.
    """

    def __init__(self, painter, sources, directions, indices, layers=None):
        for index in indices:
            directions.check_index(index)
        self._painter, self._directions, self._layers = painter, directions, layers
        self._rows = [(index, picture) for index in indices for picture in range(len(sources))]
        self._w = truncated(painter, sources)
        self._indices, self._sources = indices, sources

    def __len__(self):
        return len(self._rows)

    def names(self):
        """What each row is: list of (number of the direction, name of the picture)."""
        names = [source.name if source.seed is None else f"seed {source.seed}" for source in self._sources]
        return [(index, names[picture]) for index, picture in self._rows]

    def dlatents(self, row, strengths):
        """w of one row as it is drawn: float32 `[steps, num_layers, w_size]`."""
        index, picture = self._rows[row]
        w = np.repeat(self._w[picture][None], len(strengths), 0)
        return self._directions.moved(w, index, strengths, self._layers)

    def pictures(self, strengths):
        """Yields the pictures of each row, uint8 `[steps, H, W, C]`."""
        for row, (_, picture) in enumerate(self._rows):
            noise = noise_of(self._painter, self._sources[picture])  # not kept: maps of 1024 pixels are large
            yield self._painter.draw(self.dlatents(row, strengths), noise)

    def film(self, frames, first, last, columns=None, rows=None):
        """A cell for each row, all swinging together; see `swing` and `films.grid_of`."""
        if columns is None and rows is None and len(self._indices) > 1 and len(self._sources) > 1:
            columns = len(self._sources)
        _, columns, rows = grid_of([*range(len(self))], columns, rows)
        check_noise(self._painter, len(self))
        together = frames_at_once(self._painter.batch_size, len(self), frames) * len(self)
        self._painter.prepare(together)
        own = [noise_of(self._painter, source) for source in self._sources]
        noise = noise_in_cells([own[picture] for _, picture in self._rows])

        def pictures(numbers):
            strengths = swing(numbers, frames, first, last)
            w = np.stack([self.dlatents(row, strengths) for row in range(len(self))], axis=1)
            drawn = self._painter.draw(w.reshape(-1, *w.shape[2:]), noise(len(numbers)))
            return drawn.reshape(len(numbers), len(self), *drawn.shape[1:])

        return Film(self._painter, frames, columns, rows, pictures, range(len(self)))


def average(painter, keyframes):
    """The mean w of some pictures as they are drawn.

    Args:
        painter: Painter of a network that has w.
        keyframes: list of seeds and files, see `sources.sources_of`; what comes twice counts twice.
    Returns:
        (float32 `[1, num_layers, w_size]`, how many pictures it is the mean of).
    """
    total, count = np.zeros([painter.num_layers, painter.w_size]), 0
    starts = range(0, len(keyframes), _AVERAGED_AT_ONCE)
    for start in tqdm(starts, f"latents by {_AVERAGED_AT_ONCE}", disable=None, leave=False):
        w = truncated(painter, sources_of(painter, keyframes[start : start + _AVERAGED_AT_ONCE]))
        total += w.sum(axis=0, dtype=np.float64)
        count += len(w)
    return (total / count)[None].astype(np.float32), count


class Path:
    """From one picture to the next, in even steps through w.

    Args:
        painter: Painter of a network that has w.
        sources: two or more Sources.
        steps: pictures from one to the next, both counted: 2 or more.
        interpolation: one of `walks.INTERPOLATIONS`.
    Raises:
        UserError: fewer than two sources.
    """

    def __init__(self, painter, sources, steps, interpolation="linear"):
        if len(sources) < 2:
            raise UserError(f"interpolate needs two pictures or more, got {len(sources)}")
        self._painter, self._count = painter, (steps - 1) * (len(sources) - 1) + 1

        def noise(index):
            return noise_of(painter, sources[index])

        self._way = Way(truncated(painter, sources), noise, steps - 1, interpolation)

    def __len__(self):
        return self._count

    def dlatents(self):
        """w of all pictures, float32 `[len(self), num_layers, w_size]`; each source's own is exactly there."""
        return self._way.points(np.arange(len(self)))

    def pictures(self):
        """Yields uint8 pictures `[H, W, C]`. Noise that belongs to a seed turns into the next one's."""
        for number, w in enumerate(self.dlatents()):
            yield self._painter.draw(w[None], self._way.noise([number]))[0]


def save_dlatents(path, dlatents):
    """Writes w `[N, num_layers, w_size]` for `--dlatents`, atomically, under the names of both projectors."""
    with atomic_write(path) as file:
        np.savez(file, dlatents=dlatents, w=dlatents)
