"""The films: what each shows at each frame, and how frames are drawn (F5).

A film is drawn a few frames at a time and handed to the writer at once: none is ever in memory as a whole. All but
those with `loop=False` close without a repeat. Noise modes mean what they mean for pictures: with "seed" every cell
keeps the noise of its seed.
"""

import functools
import math

import numpy as np
from tqdm import tqdm

from tf_stylegan.errors import UserError
from tf_stylegan.pictures import walks
from tf_stylegan.pictures.painter import seed_latents
from tf_stylegan.pictures.sheets import Sheet, check_memory
from tf_stylegan.pictures.sources import check_noise, noise_in_cells, noise_of, truncated


class Film:
    """Frames of a grid of cells.

    Args:
        painter: Painter.
        frames: how many.
        columns, rows: of the grid.
        pictures: function of frame numbers `[F]` to uint8 pictures `[F, cells, H, W, C]`.
        cells: which cells of the grid these are, counted row by row.
        still: function that draws those that do not move, {cell: picture}; cells that are neither are black.
    Raises:
        UserError: more frames than anyone could draw.
    """

    def __init__(self, painter, frames, columns, rows, pictures, cells, still=None):
        walks.check_frames(frames)
        self.painter, self.frames, self.columns, self.rows = painter, frames, columns, rows
        self._pictures, self._cells, self._still = pictures, cells, still or dict

    @property
    def size(self):
        """(width, height) of a frame."""
        height, width, _ = self.painter.picture_shape
        return self.columns * width, self.rows * height

    def __iter__(self):
        """Yields uint8 frames `[H, W, C]`, each an array of its own."""
        sheet = Sheet(self.columns, self.rows, self.painter.picture_shape)
        for cell, picture in self._still().items():
            sheet.put(cell, picture)
        step = frames_at_once(self.painter.batch_size, len(self._cells), self.frames)
        for start in range(0, self.frames, step):
            numbers = np.arange(start, start + step) % self.frames  # past the end: for the graph's sake
            for pictures in self._pictures(numbers)[: self.frames - start]:
                for cell, picture in zip(self._cells, pictures):
                    sheet.put(cell, picture)
                yield sheet.pixels.copy()


def frames_at_once(batch, cells, frames):
    """How many frames to draw together: so many that their cells fill whole batches, but not more than there are."""
    return min(batch // math.gcd(batch, cells), 2 ** math.ceil(math.log2(frames)))


def record(film, writer):
    """Draws a film into an open FilmWriter, with a progress bar on terminals."""
    for frame in tqdm(film, "frames", film.frames, unit="frame", disable=None, leave=False):
        writer.write(frame)


def grid_of(seeds, columns=None, rows=None):
    """The grid of some seeds, as stylegan2-fun arranges them.

    Args:
        seeds: one, or several. One with a grid's size stands for the seeds from it on, one a cell.
        columns, rows: None to choose: about as wide as high.
    Returns:
        (seeds, columns, rows).
    Raises:
        UserError: several seeds that do not fit into the grid, or one with too few after it.
    """
    for name, value in (("--grid-w", columns), ("--grid-h", rows)):
        if value is not None and not 1 <= value <= 1000:
            raise UserError(f"{name}={value} must be from 1 to 1000")
    if len(seeds) == 1 and (columns or rows):
        columns, rows = columns or 1, rows or 1
        if seeds[0] + columns * rows > 2**32:
            problem = f"counts on from seed {seeds[0]} past the last seed, {2**32 - 1}"
            raise UserError(f"a grid of {columns} x {rows} {problem}; make it smaller, or list the seeds")
        return [seeds[0] + cell for cell in range(columns * rows)], columns, rows
    if columns is None:
        columns = math.ceil(len(seeds) / rows) if rows else math.ceil(math.sqrt(len(seeds)))
    rows = rows or math.ceil(len(seeds) / columns)
    if columns * rows < len(seeds):
        room = f"{columns * rows} picture{'s' * (columns * rows > 1)}"
        raise UserError(f"--grid-w={columns} --grid-h={rows} has room for {room}, got {len(seeds)}")
    return seeds, columns, rows


def _in_cells(draw, values, noise):
    """Pictures of values `[F, cells, …]` with the noise of `noise_in_cells`, drawn by a method of a Painter."""
    frames, cells = values.shape[:2]
    pictures = draw(values.reshape(-1, *values.shape[2:]), noise(frames))
    return pictures.reshape(frames, cells, *pictures.shape[1:])


def _walk(painter, seeds, frames, sigma):
    """Walks that begin at the pictures of seeds: `[frames, cells, latent_size]`."""
    size = painter.Gs.latent_size
    _check_walk(frames, len(seeds), size)
    white = np.empty([frames, len(seeds), size], np.float32)
    anchors = []
    for cell, seed in enumerate(seeds):
        rnd = np.random.RandomState(seed)
        anchors.append(rnd.randn(size))
        for frame in white:
            frame[cell] = rnd.randn(size)
    return walks.anchored_walk(np.stack(anchors).astype(np.float32), white, sigma)


def _free_walk(painter, seeds, frames, cells, sigma):
    """stylegan2-fun's walks, number for number: of several seeds, or of as many cells as there are from one."""
    size = painter.Gs.latent_size
    _check_walk(frames, cells, size)
    white = np.empty([frames, cells, size], np.float32)
    is_one = len(seeds) == 1 and cells > 1
    for seed, part in [(seeds, white)] if is_one else zip(seeds, white.swapaxes(0, 1)):
        rnd = np.random.RandomState(seed)
        for frame in part:
            frame[:] = rnd.randn(*frame.shape)
    return walks.free_walk(white, sigma)


def _check_walk(frames, cells, size):
    check_memory(walks.walk_memory(frames, cells, size), f"a walk of {frames} frames x {cells} cells")


def lerp_film(painter, seeds, frames, sigma, columns=None, rows=None, slowdown=1, free=False):
    """Each cell wanders through z, smoothly and at random (lerp-video).

    Args:
        painter: of any network.
        seeds, columns, rows: see `grid_of`. Each cell begins with the picture of its seed.
        frames: at normal speed.
        sigma: of the smoothing, in frames.
        slowdown: power of two; the film has as many times more frames, on straight lines between those of the walk.
        free: stylegan2-fun's walk, which does not pass through the seeds' pictures.
    """
    cell_seeds, columns, rows = grid_of(seeds, columns, rows)
    cells = len(cell_seeds)
    check_noise(painter, cells)
    if free:
        walk = _free_walk(painter, seeds, frames, cells, sigma)
    else:
        walk = _walk(painter, cell_seeds, frames, sigma)
    noise = noise_in_cells([painter.latents_of(seed)[1] for seed in cell_seeds])

    def pictures(numbers):
        return _in_cells(painter.paint, walks.slowed(walk, numbers, slowdown), noise)

    return Film(painter, frames * slowdown, columns, rows, pictures, range(cells))


def style_mixing_film(painter, row_seeds, columns, styles, frames, sigma, only_mixes=False):
    """Rows wander as in `lerp_film`, columns stand still; a mix is its column with some of the row's styles.

    Args:
        painter: of a network that has w.
        row_seeds: list of seeds.
        columns: list of Source.
        styles: numbers of the styles that come from the row.
        frames, sigma: see `lerp_film`.
        only_mixes: leave out the first row and column, which show what is mixed.
    """
    check_noise(painter, len(row_seeds) * (len(columns) + 1))
    walk = _walk(painter, row_seeds, frames, sigma)
    fixed, count, rows = truncated(painter, columns), len(columns), len(row_seeds)
    column_noise = [noise_of(painter, column) for column in columns]
    own = 0 if only_mixes else 1
    per_cell = []
    for seed in row_seeds:
        per_cell += [painter.latents_of(seed)[1]] * own + column_noise
    noise = noise_in_cells(per_cell)

    def pictures(numbers):
        z = walk[numbers].reshape(-1, walk.shape[2])
        moving = painter.truncated(painter.dlatents(z)).reshape(len(numbers), rows, 1, *fixed.shape[1:])
        mixes = np.tile(fixed, [len(numbers), rows, 1, 1, 1])
        mixes[..., styles, :] = moving[..., styles, :]
        w = mixes if only_mixes else np.concatenate([moving, mixes], axis=2)
        return _in_cells(painter.draw, w.reshape(len(numbers), -1, *fixed.shape[1:]), noise)

    wide = count + own
    cells = [(row + own) * wide + column for row in range(rows) for column in range(wide)]

    def still():
        return dict(enumerate(_in_cells(painter.draw, fixed[None], noise_in_cells(column_noise))[0], start=1))

    return Film(painter, frames, wide, rows + own, pictures, cells, None if only_mixes else still)


class Way:
    """The way from keyframe to keyframe, through w or z; at a keyframe it is there to the bit.

    Args:
        points: of the keyframes, `[count, …]`; w is truncated, so that even steps of it are even steps of the picture.
        noise: function of a keyframe's number to its maps of noise, or to None.
        steps: frames from one to the next.
        interpolation: one of `walks.INTERPOLATIONS`.
        ease: one of `walks.EASINGS`.
    """

    def __init__(self, points, noise, steps, interpolation, ease="linear"):
        self._points, self._between = points, walks.INTERPOLATIONS[interpolation]
        self._maps = functools.lru_cache(maxsize=3)(noise)  # two and the next: maps of 1024 pixels are large
        self._steps, self._ease = steps, ease

    def _legs(self, numbers):
        return walks.legs(numbers, self._steps, len(self._points), self._ease)

    def points(self, numbers):
        """Points at frames `[F]`: float32 `[F, …]`."""
        before, after, t = self._legs(numbers)
        t = t.reshape(-1, *[1] * (self._points.ndim - 1))
        return self._between(self._points[before], self._points[after], t)

    def noise(self, numbers):
        """Maps `[F, h, w, 1]` at frames `[F]`, which turn from one keyframe's into the next one's; or None."""
        before, after, t = self._legs(numbers)
        if self._maps(before[0]) is None:
            return None
        at = [walks.noise_between(self._maps(i), self._maps(j), x) for i, j, x in zip(before, after, t)]
        return [np.concatenate(same) for same in zip(*at)]


def sightseeding_film(painter, keyframes, steps, interpolation="spherical", in_z=False, ease="linear", loop=True):
    """From keyframe to keyframe; at each it shows that seed's or file's picture.

    Args:
        painter: of a network that has w, unless `in_z`.
        keyframes: list of seeds, or with `in_z` False of Source.
        steps: frames from one keyframe to the next.
        interpolation: "spherical" or "linear".
        in_z: interpolate latents z instead of w.
        ease: one of `walks.EASINGS`.
        loop: go on from the last keyframe to the first. A last keyframe that equals the first is then left out.
    """
    if loop and len(keyframes) > 1 and _same(keyframes[0], keyframes[-1]):
        keyframes = keyframes[:-1]
    if len(keyframes) < 2:
        raise UserError("sightseeding needs two or more different seeds or files of latents")
    count = len(keyframes)
    if in_z:
        points = np.concatenate([seed_latents(painter.Gs, seed) for seed in keyframes])
        draw, noise = painter.paint, lambda index: painter.latents_of(keyframes[index])[1]
    else:
        points = truncated(painter, keyframes)
        draw, noise = painter.draw, lambda index: noise_of(painter, keyframes[index])
    way = Way(points, noise, steps, interpolation, ease)

    def pictures(numbers):
        return draw(way.points(numbers), way.noise(numbers))[:, None]

    return Film(painter, steps * count if loop else steps * (count - 1) + 1, 1, 1, pictures, [0])


def _same(a, b):
    return a == b if isinstance(a, int) else np.array_equal(a.dlatents, b.dlatents) and a.psi == b.psi


def circular_film(painter, seed, frames, columns=3, rows=2, radius=10.0):
    """Each cell goes around a circle in the plane of two of z's axes, chosen at random; the rest of z is zero.

    Args:
        painter: of any network.
        seed: of the choice; with the noise mode "seed" also of the noise of all cells.
        frames: once around.
        columns, rows: of the grid.
        radius: of the circles; without meaning for networks that normalise z, which is all but the oddest.
    """
    _, columns, rows = grid_of([0], columns, rows)
    size = painter.Gs.latent_size
    axes = walks.circle_axes(seed, columns * rows, size)
    noise = noise_in_cells([painter.latents_of(seed)[1]] * len(axes))

    def pictures(numbers):
        return _in_cells(painter.paint, walks.circles(numbers, frames, axes, size, radius), noise)

    return Film(painter, frames, columns, rows, pictures, range(len(axes)))


def truncation_film(painter, sources, frames, first, last, columns=None, rows=None, ease="smooth", loop=True):
    """The same pictures from psi `first` to psi `last`, and with `loop` back.

    Args:
        painter: of a network that has w.
        sources: list of Source, one a cell; psi is applied to those from files too.
        frames: of the whole film.
        the others: see `grid_of` and `walks.there_and_back`.
    """
    _, columns, rows = grid_of([*range(len(sources))], columns, rows)
    check_noise(painter, len(sources))
    w = np.stack([source.dlatents for source in sources])
    noise = noise_in_cells([noise_of(painter, source) for source in sources])

    def pictures(numbers):
        psi = walks.there_and_back(numbers, frames, first, last, ease, loop)
        now = painter.truncated(np.tile(w, [len(numbers), 1, 1]), np.repeat(psi, len(w)))
        return _in_cells(painter.draw, now.reshape(len(numbers), *w.shape), noise)

    return Film(painter, frames, columns, rows, pictures, range(len(sources)))


def noise_film(painter, sources, frames, columns=None, rows=None, turns=3, seed=0):
    """The same pictures while their noise moves, smoothly and in a loop. Frame 0 is the picture itself.

    Args:
        painter: of a network that has w and noise, in the noise mode "seed" or "const".
        sources: list of Source, one a cell.
        frames: of the whole film.
        turns: how lively: the noise is a sum of waves that turn once in the film, twice, and so on up to this.
        seed: of the noise that is turned to.
        the others: see `grid_of`.
    """
    if painter.noise_mode not in ("seed", "const"):
        raise UserError(f"noise-video moves noise that is there: --noise-mode=seed or const, not {painter.noise_mode}")
    stored = painter.stored_noise()
    if not stored:
        raise UserError("noise-video: this network uses no noise")
    _, columns, rows = grid_of([*range(len(sources))], columns, rows)
    check_noise(painter, len(sources))
    w = truncated(painter, sources)
    rnd = np.random.RandomState([seed, turns])
    others = [[rnd.randn(*m.shape).astype(np.float32) for m in stored] for _ in range(2 * turns)]  # of all cells
    anchors = [noise_of(painter, source) or stored for source in sources]

    def pictures(numbers):
        drawn = []
        for weights in walks.noise_weights(numbers, frames, turns):
            moved = [sum(weight * m for weight, m in zip(weights[1:], same)) for same in zip(*others)]
            for cell, anchor in enumerate(anchors):
                maps = [weights[0] * a + m for a, m in zip(anchor, moved)]
                drawn.append((w[cell], maps))
        noise = [np.concatenate(same) for same in zip(*(maps for _, maps in drawn))]
        pictures = painter.draw(np.stack([cell for cell, _ in drawn]), noise)
        return pictures.reshape(len(numbers), len(sources), *pictures.shape[1:])

    return Film(painter, frames, columns, rows, pictures, range(len(sources)))
