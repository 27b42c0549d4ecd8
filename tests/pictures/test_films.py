"""Films as frames: they begin with the seeds' pictures, pass keyframes, close, and are drawn a few at a time."""

import itertools
import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from film_helpers import assert_loops
from network_helpers import make_g, make_growing_g

from tf_stylegan.errors import UserError
from tf_stylegan.pictures import edits, films, walks
from tf_stylegan.pictures.painter import Painter
from tf_stylegan.pictures.sources import Source, sources_of

MODES = ["seed", "const", "none"]


@pytest.fixture(scope="module")
def G():
    return make_g()


@pytest.fixture(scope="module")
def painters(G):
    """Painter of a noise mode; one set of graphs for the whole file."""
    painter = Painter(G, 0.7)
    return lambda mode="const", **options: painter.variant(noise_mode=mode, **options)


def seed_picture(painter, seed):
    ((_, picture),) = painter.seed_pictures([seed])
    return picture


def cell(frame, column, row, side=16):
    return frame[row * side : (row + 1) * side, column * side : (column + 1) * side]


def assert_same(picture, expected):
    assert np.abs(picture.astype(int) - expected).max() <= 1


def frames_of(film):
    frames = list(film)
    assert len(frames) == film.frames
    assert {frame.shape[1::-1] for frame in frames} == {film.size}
    assert len({id(frame) for frame in frames}) == len(frames), "an array of its own for each: writers keep them"
    return np.stack(frames)


# Walks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_lerp_begins_with_the_pictures_of_the_seeds(painters, mode):
    painter = painters(mode)
    film = films.lerp_film(painter, [3, 7, 11], 24, sigma=2.4)
    assert (film.columns, film.rows) == (2, 2)
    frames = frames_of(film)
    for number, seed in enumerate([3, 7, 11]):
        assert_same(cell(frames[0], number % 2, number // 2), seed_picture(painter, seed))
    assert not frames[:, 16:, 16:].any(), "the cell that is missing is black"
    assert_loops(frames)


def test_one_seed_and_a_grid_count_on(painters):
    painter = painters()
    frame = next(iter(films.lerp_film(painter, [2**32 - 3], 24, 2.4, columns=3, rows=1)))
    for column, seed in enumerate([2**32 - 3, 2**32 - 2, 2**32 - 1]):
        assert_same(cell(frame, column, 0), seed_picture(painter, seed))
    with pytest.raises(UserError, match="2 x 1 counts on from seed 4294967295 past the last seed, 4294967295; make it"):
        films.lerp_film(painter, [2**32 - 1], 24, 2.4, columns=2, rows=1)


def test_slowdown_keeps_frames_and_puts_others_between(painters):
    quick = frames_of(films.lerp_film(painters(), [5], 12, 2))
    slow = frames_of(films.lerp_film(painters(), [5], 12, 2, slowdown=4))
    assert len(slow) == 48
    for number in range(12):
        assert_same(slow[4 * number], quick[number])
    assert_loops(slow)


def test_free_walks_are_those_of_the_original(painters, G):
    """Filtered noise of each seed, or of one seed for all cells, over a common root mean square."""
    painter = painters()
    seeds = [3, 8]
    white = np.stack([np.random.RandomState(seed).randn(20, 8).astype(np.float32) for seed in seeds], axis=1)
    walk = walks.smooth_loop(white, 2)
    walk /= np.sqrt(np.mean(np.square(walk)))
    frames = frames_of(films.lerp_film(painter, seeds, 20, 2, free=True))
    assert_same(cell(frames[7], 1, 0), painter.paint(walk[7, 1:])[0])
    assert_loops(frames)
    white = np.random.RandomState([3]).randn(20, 6, 8).astype(np.float32)
    walk = walks.smooth_loop(white, 2)
    walk /= np.sqrt(np.mean(np.square(walk)))
    frame = frames_of(films.lerp_film(painter, [3], 20, 2, columns=3, rows=2, free=True))[4]
    assert_same(cell(frame, 1, 1), painter.paint(walk[4, 4:5])[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("only", [False, True])
def test_style_mixing(painters, mode, only):
    painter = painters(mode)
    columns, styles = sources_of(painter, [4, 5]), [0, 1, 2]
    frames = frames_of(films.style_mixing_film(painter, [1, 2], columns, styles, 24, 2.4, only))
    assert frames.shape == (24, *((32, 32) if only else (48, 48)), 3)
    rows = sources_of(painter, [1, 2])
    for (r, row), (c, column) in itertools.product(enumerate(rows), enumerate(columns)):
        w = column.dlatents.copy()
        w[styles] = row.dlatents[styles]
        noise = painter.latents_of(column.seed)[1]
        expected = painter.draw(painter.truncated(w[None]), noise)[0]
        assert_same(cell(frames[0], c + (not only), r + (not only)), expected)
    if not only:
        assert not frames[:, :16, :16].any()
        for number, seed in enumerate([4, 5], start=1):
            assert_same(cell(frames[0], number, 0), seed_picture(painter, seed))
            np.testing.assert_array_equal(cell(frames[17], number, 0), cell(frames[0], number, 0))
        for number, seed in enumerate([1, 2], start=1):
            assert_same(cell(frames[0], 0, number), seed_picture(painter, seed))
    assert_loops(frames)


# Keyframes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", walks.INTERPOLATIONS)
@pytest.mark.parametrize("in_z", [False, True])
def test_sightseeding_passes_through_its_seeds(painters, mode, interpolation, in_z):
    painter, seeds = painters(mode), [4, 9, 9, 7]
    points = seeds if in_z else sources_of(painter, seeds)
    frames = frames_of(films.sightseeding_film(painter, points, 6, interpolation, in_z))
    assert len(frames) == 24
    for number, seed in enumerate(seeds):
        assert_same(frames[6 * number], seed_picture(painter, seed))
    assert_same(frames[9], frames[6])  # from a seed to itself
    assert not np.array_equal(frames[3], frames[0])
    assert_loops(frames, slack=2)


def test_sightseeding_there_and_not_back(painters):
    painter = painters("seed")
    frames = frames_of(films.sightseeding_film(painter, sources_of(painter, [4, 9]), 6, loop=False))
    assert len(frames) == 7
    assert_same(frames[0], seed_picture(painter, 4))
    assert_same(frames[-1], seed_picture(painter, 9))


def test_coming_home_by_oneself_does_not_stop_twice(painters):
    painter = painters()
    closed = frames_of(films.sightseeding_film(painter, sources_of(painter, [4, 9, 4]), 5))
    np.testing.assert_array_equal(closed, frames_of(films.sightseeding_film(painter, sources_of(painter, [4, 9]), 5)))
    for points in ([4], [4, 4]):
        with pytest.raises(UserError, match="sightseeding needs two or more different seeds or files"):
            films.sightseeding_film(painter, points, 5, in_z=True)


@pytest.mark.parametrize("mode", ["seed", "const"])
def test_latents_of_files_are_drawn_as_they_are(painters, G, mode):
    painter = painters(mode)
    w = np.random.RandomState(0).randn(G.num_layers, 8).astype(np.float32)
    points = [*sources_of(painter, [4]), Source("mine", None, w, 1.0)]
    frames = frames_of(films.sightseeding_film(painter, points, 5))
    assert_same(frames[0], seed_picture(painter, 4))
    assert_same(frames[5], painter.variant(noise_mode="const").draw(w[None])[0])
    frame = next(iter(films.style_mixing_film(painter, [1], points, [0], 4, 1)))
    assert_same(cell(frame, 2, 0), frames[5])


@pytest.mark.parametrize("interpolation", walks.INTERPOLATIONS)
def test_the_way_past_a_file_is_that_of_interpolate(painters, G, interpolation, monkeypatch):
    """Through w as it is drawn: from a seed near the average to a file's latents in even steps."""
    painter, drawn = painters("seed", truncation_psi=0.0), []
    w = np.random.RandomState(0).randn(G.num_layers, 8).astype(np.float32)
    points = [*sources_of(painter, [4]), Source("mine", None, w, 1.0)]
    path = edits.Path(painter, points, 6, interpolation)
    draw = Painter.draw
    monkeypatch.setattr(Painter, "draw", lambda self, w, noise: drawn.append(w) or draw(self, w, noise))
    frames = frames_of(films.sightseeding_film(painter, points, 5, interpolation, loop=False))
    np.testing.assert_array_equal(np.concatenate(drawn)[:6], path.dlatents())
    for frame, expected in zip(frames, path.pictures()):
        assert_same(frame, expected)
    if interpolation == "linear":
        steps = np.linalg.norm(np.diff(path.dlatents(), axis=0), axis=(1, 2))
        np.testing.assert_allclose(steps, steps.mean(), rtol=1e-4)


def test_easing_stands_still_at_keyframes(painters):
    points = sources_of(painters(), [4, 9])
    steady, eased = (frames_of(films.sightseeding_film(painters(), points, 16, ease=e)) for e in ("linear", "smoother"))
    first = [np.abs(frames[1].astype(int) - frames[0]).mean() for frames in (steady, eased)]
    assert first[1] < first[0] / 3


# Circles, sweeps, noise ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_circles(painters, mode):
    painter = painters(mode)
    film = films.circular_film(painter, 5, 40)
    assert (film.columns, film.rows) == (3, 2)
    frames = frames_of(film)
    axes = walks.circle_axes(5, 6, 8)
    z = np.zeros([1, 8], np.float32)
    z[0, axes[4, 0]] = 10
    assert_same(cell(frames[0], 1, 1), painter.paint(z, painter.latents_of(5)[1])[0])
    z[0, axes[4]] = 0, 10
    assert_same(cell(frames[10], 1, 1), painter.paint(z, painter.latents_of(5)[1])[0])
    assert_loops(frames)


@pytest.mark.parametrize("mode", MODES)
def test_truncation_goes_there_and_back(painters, mode):
    painter = painters(mode)
    frames = frames_of(films.truncation_film(painter, sources_of(painter, [3, 4]), 16, -1, 1))
    for number, psi in ((0, -1), (8, 1)):
        for column, seed in enumerate([3, 4]):
            assert_same(cell(frames[number], column, 0), seed_picture(painter.variant(truncation_psi=psi), seed))
    np.testing.assert_array_equal(frames[3], frames[13])
    assert_loops(frames)
    once = frames_of(films.truncation_film(painter, sources_of(painter, [3]), 9, 0, 1, loop=False))
    assert_same(once[-1], seed_picture(painter.variant(truncation_psi=1), 3))


@pytest.mark.parametrize("mode", ["seed", "const"])
def test_noise_moves_and_pictures_stay(painters, mode):
    painter = painters(mode)
    frames = frames_of(films.noise_film(painter, sources_of(painter, [3, 4]), 24, turns=2))
    for column, seed in enumerate([3, 4]):
        assert_same(cell(frames[0], column, 0), seed_picture(painter, seed))
    assert_loops(frames)
    still = painter.variant(noise_mode="none")
    assert np.std(frames.astype(float), axis=0).mean() > 1
    middle = np.abs(frames.mean(axis=0)[:, :16] - seed_picture(still, 3)).mean()
    assert middle < np.abs(frames.astype(int)[:, :, :16] - seed_picture(still, 3)).mean(), "around the same picture"


def test_noise_that_is_not_there(painters):
    for mode in ("random", "none"):
        with pytest.raises(UserError, match=f"--noise-mode=seed or const, not {mode}"):
            films.noise_film(painters(mode), sources_of(painters(), [1]), 4)
    silent = Painter(make_g(use_noise=False))
    with pytest.raises(UserError, match="this network uses no noise"):
        films.noise_film(silent.variant(noise_mode="const"), sources_of(silent, [1]), 4)
    assert len(frames_of(films.lerp_film(silent, [1, 2], 3, 1))) == 3
    assert len(frames_of(films.sightseeding_film(silent, sources_of(silent, [1, 2]), 3))) == 6


def test_random_noise_never_repeats(painters):
    points = sources_of(painters(), [4, 4, 9])
    frames = frames_of(films.sightseeding_film(painters("random"), points, 2))
    assert not np.array_equal(frames[0], frames[1])


# Any network ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["seed", "const"])
def test_progan(mode):
    painter = Painter(make_growing_g("progan"), noise_mode=mode)
    frames = frames_of(films.lerp_film(painter, [1, 2], 12, 1.5))
    assert_same(cell(frames[0], 1, 0), seed_picture(painter, 2))
    assert_loops(frames)
    frames = frames_of(films.sightseeding_film(painter, [1, 2], 4, in_z=True))
    assert_same(frames[4], seed_picture(painter, 2))
    assert_loops(frames_of(films.circular_film(painter, 1, 24, 2, 1)))
    with pytest.raises(UserError, match="needs a network with intermediate latents w"):
        sources_of(painter, [1])


def test_grey_classes_and_networks_of_style_gan_1():
    for network in (make_g(num_channels=1, label_size=3), make_growing_g("config-a")):
        painter = Painter(network, 0.7, class_index=2 if network.label_size else None)
        frames = frames_of(films.lerp_film(painter, [1, 2], 10, 2))
        assert frames.shape == (10, 16, 32, network.num_channels)
        assert_same(cell(frames[0], 1, 0), seed_picture(painter, 2))


# How it is drawn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch, cells, frames, expected", [(16, 1, 900, 16), (16, 6, 900, 8), (4, 6, 900, 2)])
def test_cells_of_some_frames_fill_whole_batches(batch, cells, frames, expected):
    assert films.frames_at_once(batch, cells, frames) == expected
    assert expected * cells % batch == 0


def test_short_films_are_not_drawn_in_long_parts():
    assert [films.frames_at_once(16, 1, frames) for frames in (1, 2, 3, 5, 100)] == [1, 2, 4, 8, 16]


def test_a_film_is_one_graph_and_never_in_memory(painters, monkeypatch):
    painter, sizes = Painter(make_g(), 0.7), []
    draw = painter._in_batches
    monkeypatch.setattr(painter, "_in_batches", lambda w, noise: sizes.append(len(w)) or draw(w, noise))
    film = films.lerp_film(painter.variant(), [1], 37, 4)
    film.painter._in_batches = painter._in_batches
    iterator = iter(film)
    next(iterator)
    assert sizes == [16], "the second part is not drawn before it is wanted"
    assert len(list(iterator)) == 36
    assert sizes == [16, 16, 16]
    assert len(painter._graphs) == 1


@pytest.mark.parametrize(
    "seeds, columns, rows, expected",
    [
        ([1], None, None, ([1], 1, 1)),
        ([1, 2, 3, 4, 5], None, None, ([1, 2, 3, 4, 5], 3, 2)),
        ([1, 2, 3, 4, 5], 5, None, ([1, 2, 3, 4, 5], 5, 1)),
        ([1, 2, 3, 4, 5], None, 5, ([1, 2, 3, 4, 5], 1, 5)),
        ([1, 2, 3], 3, 2, ([1, 2, 3], 3, 2)),
        ([7], 3, 2, ([7, 8, 9, 10, 11, 12], 3, 2)),
        ([7], None, 2, ([7, 8], 1, 2)),
    ],
)
def test_grids(seeds, columns, rows, expected):
    assert films.grid_of(seeds, columns, rows) == expected


def test_grids_that_do_not_fit():
    with pytest.raises(UserError, match="--grid-w=2 --grid-h=1 has room for 2 pictures, got 3"):
        films.grid_of([1, 2, 3], 2, 1)
    with pytest.raises(UserError, match="has room for 1 picture, got 3"):
        films.grid_of([1, 2, 3], 1, 1)
    for columns in (0, -1, 1001):
        with pytest.raises(UserError, match=f"--grid-w={columns} must be from 1 to 1000"):
            films.grid_of([1], columns, 1)


@pytest.mark.parametrize("walk", ["anchored", "free", "free of one seed"])
@pytest.mark.parametrize("cells", [1, 6])
def test_walks_take_the_memory_that_is_counted(walk, cells):
    """The walk itself and little more, however many cells there are."""
    size, frames = 512, 1000
    painter = SimpleNamespace(Gs=SimpleNamespace(latent_size=size))
    seeds = [*range(cells)]
    tracemalloc.start()
    if walk == "anchored":
        films._walk(painter, seeds, frames, 90)
    else:
        films._free_walk(painter, seeds[:1] if "one" in walk else seeds, frames, cells, 90)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counted = walks.walk_memory(frames, cells, size)
    assert 0.9 * counted < peak < 1.05 * counted
    assert counted <= frames * size * 4 * (cells + 1)


def test_walks_that_fit_into_no_memory(painters):
    with pytest.raises(UserError, match=r"a walk of 100000000 frames x 4 cells would need .* GiB of memory"):
        films.lerp_film(painters(), [1, 2, 3, 4], 10**8, 90)


def test_noise_that_fits_into_no_memory(painters, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 2**6)  # a machine of four KiB
    for make in (
        lambda painter: films.lerp_film(painter, [1, 2], 2, 1),
        lambda painter: films.truncation_film(painter, [1, 2], 2, 0, 1),
        lambda painter: films.noise_film(painter, [1, 2], 2),
    ):
        with pytest.raises(UserError, match="the noise of 2 seeds would need"):
            make(painters("seed"))
    with pytest.raises(UserError, match="latents of 20 seeds would need"):
        sources_of(painters("seed"), list(range(20)))


def test_names_of_files_that_are_called_alike(painters, tmp_path):
    paths = [str(tmp_path / place / "x" / "w.npy") for place in "abc"] + [str(tmp_path / "7.npy")]
    for number, path in enumerate(paths):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        np.save(path, np.full([6, 8], number))
    sources = sources_of(painters(), [paths[3], *paths[:3], paths[0], 7])
    assert [source.name for source in sources] == [f"{tmp_path.name}_7", "w", "x_w", "w_2", "w", "7"]
    assert [source.dlatents[0, 0] for source in sources[:5]] == [3, 0, 1, 2, 0]


def test_many_seeds_are_mapped_together_and_stay_in_order(painters):
    painter = painters()
    sources = sources_of(painter, [9, 4, 9, 1])
    assert [source.seed for source in sources] == [9, 4, 9, 1]
    for source in sources:
        np.testing.assert_allclose(source.dlatents, painter.dlatents(painter.latents_of(source.seed)[0])[0], atol=1e-6)
