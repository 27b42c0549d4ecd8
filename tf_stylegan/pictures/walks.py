"""Where a film is at each frame: walks through latents, turns of noise, sweeps of psi (F5; NumPy only).

Walks that close do so without a repeat: frame F − 1 is followed by frame 0 as every frame is by the next.
"""

import numpy as np

from tf_stylegan.errors import UserError

# Between two keyframes: what becomes of the time, 0 … 1.
EASINGS = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),  # stands still at the keyframes
    "smoother": lambda t: t**3 * (t * (6 * t - 15) + 10),  # and does not jerk there
}
MOST_FRAMES = 10**8  # a month and more of film
_MOST_SMOOTHING = 10  # times the length of a film
_COLUMNS = 64  # of a walk that are filtered at a time: in between they are several times as large
_NEARLY_PARALLEL = 0.9995  # cosine from which a great circle is no better than a straight line


def frame_count(seconds, fps, option="--duration-sec"):
    """Frames of so many seconds; UserError unless there is at least one, and no more than anyone could draw."""
    if not 0 < fps <= 1000:
        raise UserError(f"--fps={fps:g} must be above 0 and at most 1000")
    if not seconds > 0:
        raise UserError(f"{option}={seconds:g} must be above 0")
    check_frames(seconds * fps, f"{option}={seconds:g} at --fps={fps:g}")
    frames = round(seconds * fps)
    if frames < 1:
        raise UserError(f"{option}={seconds:g} is less than one frame at --fps={fps:g}")
    return frames


def check_frames(frames, what="the film"):
    """UserError for more frames than anyone could draw."""
    if frames > MOST_FRAMES:
        raise UserError(f"{what} is more than {MOST_FRAMES // 10**6} million frames; make it shorter")


def smoothing_frames(seconds, frames, fps):
    """Sigma of a walk, in frames; UserError where that is below 0, or so much that nothing would move."""
    if seconds < 0:
        raise UserError(f"--smoothing-sec={seconds:g} must be 0 or more")
    if seconds * fps > _MOST_SMOOTHING * frames:
        most = _MOST_SMOOTHING * frames / fps
        raise UserError(
            f"--smoothing-sec={seconds:g} is too much: the film would stand still; {most:g}, {_MOST_SMOOTHING} times "
            "its length, is the most"
        )
    return seconds * fps


# Gaussian walks, for lerp-video and style-mixing-video ---------------------------------------------------------------


def gaussian_kernel(frames, sigma):
    """Weights `[frames]` of a Gaussian filter around frame 0 of a loop, cut off at 4 sigma as SciPy's; sum 1."""
    reach = int(4 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * np.square(offsets / max(sigma, 1e-9)))
    return np.bincount(offsets % frames, weights / weights.sum(), minlength=frames)


def walk_memory(frames, cells, size):
    """Bytes that `free_walk` and `anchored_walk` take: the walk, and a part of it many times over."""
    return frames * (cells * size * 4 + _COLUMNS * 32)


def smooth_loop(white, sigma):
    """White noise, float32 `[frames, …]` in C order, filtered along its loop of frames, in place; returns it."""
    spectrum = np.fft.rfft(gaussian_kernel(len(white), sigma))
    columns = white.reshape(len(white), -1)
    for start in range(0, columns.shape[1], _COLUMNS):
        part = np.fft.rfft(columns[:, start : start + _COLUMNS], axis=0) * spectrum[:, None]
        columns[:, start : start + _COLUMNS] = np.fft.irfft(part, len(white), axis=0)
    return white


def free_walk(white, sigma):
    """The walk of stylegan2-fun's lerp-video: filtered noise, brought to a root mean square of 1 as a whole.

    Args:
        white: as in `smooth_loop`; becomes the walk.
    """
    walk = smooth_loop(white, sigma)
    power = sum(np.sum(np.square(frame), dtype=np.float64) for frame in walk) / walk.size
    walk /= np.sqrt(power).astype(np.float32)
    return walk


def anchored_walk(anchors, white, sigma):
    """The same kind of walk, drawn among those that pass through given points at frame 0.

    A Gaussian process given its value at one time: what the free walk misses the anchor by is added, faded by how much
    a frame has to do with frame 0 (their correlation).

    Args:
        anchors: latents `[cells, n]` of unit variance.
        white: white noise, float32 `[frames, cells, n]` in C order; becomes the walk.
        sigma: of the filter, in frames.
    Returns:
        float32 `[frames, cells, n]`.
    """
    kernel = gaussian_kernel(len(white), sigma)
    power = np.square(kernel).sum()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(kernel)) ** 2, len(kernel)) / power
    walk = smooth_loop(white, sigma)
    walk /= np.float32(np.sqrt(power))
    misses = anchors - walk[0]
    for frame, weight in zip(walk, correlation.astype(np.float32)):
        frame += weight * misses
    walk[0] = anchors  # not only up to rounding, which could show in a picture
    return walk


def slowed(walk, numbers, slowdown):
    """Frames `numbers` of a closed walk `[frames, …]` that takes `slowdown` times as long, along straight lines.

    For powers of two these are the midpoints that doubling a film again and again puts between its frames.
    """
    numbers = np.asarray(numbers)
    before, part = numbers // slowdown, (numbers % slowdown / slowdown).astype(np.float32)
    return lerp(walk[before % len(walk)], walk[(before + 1) % len(walk)], _beside(part, walk))


# From keyframe to keyframe, for sightseeding -------------------------------------------------------------------------


def legs(numbers, steps, count, ease="linear"):
    """Between which keyframes the frames are.

    Args:
        numbers: frames `[F]`.
        steps: frames from one keyframe to the next.
        count: number of keyframes; the one after the last is the first.
        ease: name of an easing.
    Returns:
        (index before, index after, time between them 0 … 1), each `[F]`.
    """
    numbers = np.asarray(numbers)
    before = numbers // steps % count
    return before, (before + 1) % count, EASINGS[ease](numbers % steps / steps).astype(np.float32)


def lerp(a, b, t):
    """Along the straight line; t of any shape that broadcasts."""
    return a + (b - a) * t


def slerp(a, b, t):
    """Along the arc between the vectors on the last axis, lengths going from one to the other; t broadcasts.

    Vectors that are nearly parallel, or nearly opposite, are joined by a straight line.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = np.sum(a * b, axis=-1, keepdims=True) / np.maximum(lengths, 1e-12)
    straight = np.abs(cosine) > _NEARLY_PARALLEL
    angle = np.arccos(np.where(straight, 0, cosine))
    arc = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return np.where(straight, lerp(a, b, t), arc).astype(np.float32)


INTERPOLATIONS = {"spherical": slerp, "linear": lerp}


def _beside(numbers, array):
    """`[F]` as `[F, 1, …]`, to go with an array `[F, …]`."""
    return np.reshape(numbers, [-1, *[1] * (array.ndim - 1)])


# Circles, sweeps and noise -------------------------------------------------------------------------------------------


def circle_axes(seed, cells, size):
    """Two different axes out of `size` for each cell: `[cells, 2]`; those of stylegan2-fun while they last."""
    rnd = np.random.RandomState(seed)
    if size < 2:
        raise UserError(f"circular-video needs latents of two numbers or more; this network's have {size}")
    if 2 * cells <= size:
        return rnd.choice(size, 2 * cells, replace=False).reshape(2, cells).T
    return np.stack([rnd.choice(size, 2, replace=False) for _ in range(cells)])


def circles(numbers, frames, axes, size, radius=10.0):
    """Latents `[F, cells, size]` on circles in the planes of `axes` `[cells, 2]`, zero elsewhere; once around."""
    angle = 2 * np.pi * np.asarray(numbers)[:, None] / frames
    latents = np.zeros([len(angle), len(axes), size], np.float32)
    cells = np.arange(len(axes))
    latents[:, cells, axes[:, 0]] = radius * np.cos(angle)
    latents[:, cells, axes[:, 1]] = radius * np.sin(angle)
    return latents


def there_and_back(numbers, frames, first, last, ease="smooth", loop=True):
    """Numbers `[F]` that go from `first` to `last`, and with `loop` back again."""
    if loop:
        t = 1 - np.abs(1 - 2 * np.asarray(numbers) / frames)
    else:
        t = np.asarray(numbers) / max(frames - 1, 1)
    return (first + (last - first) * EASINGS[ease](t)).astype(np.float32)


def noise_weights(numbers, frames, harmonics):
    """How to mix unit normal maps into noise that moves, keeps its variance, and closes.

    The noise is a sum of turns, one for each harmonic 1 … K: once around in the whole film, twice, and so on. Among all
    such it is one that begins with the given map (see `anchored_walk`).

    Returns:
        float32 `[F, 1 + 2·K]`: weights of the map to begin with, of K maps, of K more.
    """
    turns = 2 * np.pi * np.outer(np.asarray(numbers) / frames, np.arange(1, harmonics + 1))
    anchor = np.mean(np.cos(turns), axis=1, keepdims=True)
    scale = 1 / np.sqrt(harmonics)
    return np.hstack([anchor, scale * (np.cos(turns) - anchor), scale * np.sin(turns)]).astype(np.float32)


def noise_between(a, b, t):
    """Noise maps on the way from `a` to `b`, each along its arc: their variance stays. t is a number."""
    mixed = []
    for x, y in zip(a, b):  # as slerp, but in float32: the maps of large pictures are millions of numbers
        cosine = float(np.vdot(x, y) / np.sqrt(np.vdot(x, x) * np.vdot(y, y)))
        weights = 1 - t, t
        if abs(cosine) <= _NEARLY_PARALLEL:
            angle = np.arccos(cosine)
            weights = (np.sin(weight * angle) / np.sin(angle) for weight in weights)
        first, second = (np.float32(weight) for weight in weights)
        mixed.append(first * x + second * y)
    return mixed
