"""Strips and films along directions, averages, ways from picture to picture."""

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st
from network_helpers import make_g

from tf_stylegan.errors import UserError
from tf_stylegan.pictures import directions, edits
from tf_stylegan.pictures.painter import Painter
from tf_stylegan.pictures.sources import sources_of

ENDS = st.floats(-20, 20).map(lambda x: round(x, 2))


@pytest.fixture(scope="module")
def painter():
    return Painter(make_g(), truncation_psi=0.7)


@pytest.fixture(scope="module")
def found(painter):
    return directions.find(painter)


@pytest.mark.parametrize("last, steps", [(3, 7), (0.3, 7), (1.1, 11), (1e-3, 21)])
def test_the_middle_of_a_strip_is_the_picture_itself(last, steps):
    strengths = edits.strip_strengths(-last, last, steps)
    assert strengths[steps // 2] == 0
    assert not np.signbit(strengths[steps // 2])
    assert_close(strengths, np.linspace(-last, last, steps), 1e-3)


@given(ENDS, ENDS.filter(bool), st.integers(3, 300))
def test_a_swing_goes_there_and_back(first, reach, frames):
    last = first + reach
    strengths = edits.swing(np.arange(frames), frames, first, last)
    low, high = sorted([first, last])
    assert strengths.min() >= low - 1e-5
    assert strengths.max() <= high + 1e-5
    assert abs(strengths[0] - np.clip(0, low, high)) < 1e-5, "begins at the picture itself, or as near as it goes"
    steps = np.abs(np.diff(strengths, append=strengths[:1]))
    assert steps.max() <= abs(reach) * np.pi / frames + 1e-4, "nowhere faster than a pendulum, not at the seam either"
    if frames >= 60:
        assert strengths.max() - strengths.min() > 0.99 * abs(reach)
    np.testing.assert_array_equal(edits.swing(np.arange(frames) + frames, frames, first, last)[0], strengths[0])


def test_a_swing_between_opposites_begins_with_exactly_nothing():
    for ends in ((-3, 3), (3, -3), (0, 2), (-0.1, 0.7), (-1.3, 0.4)):
        assert edits.swing(np.arange(4), 4, *ends)[0] == 0


def test_rows_are_direction_by_direction(painter, found):
    rows = edits.Edits(painter, sources_of(painter, [5, 6]), found, [2, 0])
    assert len(rows) == 4
    assert rows.names() == [(2, "seed 5"), (2, "seed 6"), (0, "seed 5"), (0, "seed 6")]
    strengths = edits.strip_strengths(-2, 2, 3)
    plain = dict(painter.seed_pictures([5, 6]))
    drawn = list(rows.pictures(strengths))
    for (_, name), pictures in zip(rows.names(), drawn):
        np.testing.assert_array_equal(pictures[1], plain[int(name.split()[1])])
        assert (pictures[0] != pictures[1]).any()
        assert (pictures[2] != pictures[1]).any()
    w = painter.truncated(painter.dlatents(painter.latents_of(6)[0]))
    np.testing.assert_array_equal(rows.dlatents(3, strengths)[2:], found.moved(w, 0, 2))
    expected = painter.draw(found.moved(w, 0, 2), painter.latents_of(6)[1])
    np.testing.assert_array_equal(drawn[3][2:], expected)


def test_layers_other_than_those_of_the_directions(painter, found):
    rows = edits.Edits(painter, sources_of(painter, [5]), found, [0], layers=[4])
    w = rows.dlatents(0, np.float32([0, 3]))
    assert (w[0] != w[1]).any(axis=1).tolist() == [False, False, False, False, True, False]


def test_a_direction_that_is_not_there(painter, found):
    with pytest.raises(UserError, match="--direction=8 is out of range: there are 8 directions, 0-7"):
        edits.Edits(painter, sources_of(painter, [5]), found, [0, 8])


@pytest.mark.parametrize("noise_mode", ["seed", "const", "none"])
def test_a_film_begins_with_the_pictures_and_closes(painter, found, noise_mode):
    painter = painter.variant(noise_mode=noise_mode)
    film = edits.Edits(painter, sources_of(painter, [5, 6, 7]), found, [0, 1]).film(20, -2, 2)
    assert film.size == (48, 32)
    frames = [frame.astype(int) for frame in film]
    assert len(frames) == 20
    plain = np.concatenate([picture for _, picture in painter.seed_pictures([5, 6, 7])], axis=1)
    np.testing.assert_array_equal(frames[0][:16], plain)
    np.testing.assert_array_equal(frames[0][16:], plain)
    steps = [np.abs(a - b).mean() for a, b in zip(frames, [*frames[1:], frames[0]])]
    assert 0 < steps[-1] <= 1.5 * max(steps[0], steps[1]), "the seam is a step like its neighbours"
    assert np.abs(frames[5] - frames[15]).mean() > 3 * max(steps), "there is not back"


def test_the_grid_of_a_film(painter, found):
    sources = sources_of(painter, [5, 6])
    for indices, asked, size in [
        ([0, 1, 2], (None, None), (32, 48)),
        ([0], (None, None), (32, 16)),
        ([0, 1, 2], (3, None), (48, 32)),
        ([0, 1, 2], (None, 1), (96, 16)),
    ]:
        assert edits.Edits(painter, sources, found, indices).film(4, -1, 1, *asked).size == size
    with pytest.raises(UserError, match="--grid-w=2 --grid-h=1 has room for 2 pictures, got 6"):
        edits.Edits(painter, sources, found, [0, 1, 2]).film(4, -1, 1, 2, 1)


def test_the_average_of_many(painter, tmp_path):
    edits.save_dlatents(tmp_path / "two.npz", np.stack([np.full([6, 8], 1.0), np.full([6, 8], 3.0)]).astype(np.float32))
    seeds = list(range(300))
    w = painter.truncated(painter.dlatents(np.concatenate([painter.latents_of(seed)[0] for seed in seeds])))
    mean, count = edits.average(painter, seeds)
    assert (mean.shape, mean.dtype, count) == ((1, 6, 8), np.float32, 300)
    assert_close(mean[0], w.mean(axis=0), 1e-5)
    mean, count = edits.average(painter, [*seeds, str(tmp_path / "two.npz")])
    assert count == 302
    assert_close(mean[0], (w.sum(axis=0) + 4) / 302, 1e-5, "latents from files are taken as they are")
    assert_close(edits.average(painter, [1, 2, 2])[0][0], (w[1] + 2 * w[2]) / 3, 1e-5)


def test_the_average_of_very_many_shows_how_far_it_is(painter, monkeypatch):
    bars = []
    monkeypatch.setattr(edits, "tqdm", lambda parts, words, **options: bars.append((len(parts), options)) or parts)
    edits.average(painter, list(range(600)))
    assert bars == [(3, {"disable": None, "leave": False})]


def test_the_cutoff_holds_for_averages_too(painter):
    cut = painter.variant(truncation_psi=0.0, truncation_cutoff=4)
    mean, _ = edits.average(cut, [1, 2])
    assert_close(mean[0, :4], np.broadcast_to(painter.w_avg, [4, 8]), 1e-5)
    assert np.abs(mean[0, 4:] - painter.w_avg).max() > 0.01


@pytest.mark.parametrize("interpolation", ["linear", "spherical"])
@pytest.mark.parametrize("noise_mode", ["seed", "const"])
def test_a_path_passes_through_the_pictures(painter, interpolation, noise_mode):
    painter = painter.variant(noise_mode=noise_mode)
    path = edits.Path(painter, sources_of(painter, [3, 1, 9]), 5, interpolation)
    drawn, w = list(path.pictures()), path.dlatents()
    assert len(path) == len(drawn) == len(w) == 9
    for place, seed in ((0, 3), (4, 1), (8, 9)):
        ((_, plain),) = painter.seed_pictures([seed])
        np.testing.assert_array_equal(drawn[place], plain)
        np.testing.assert_array_equal(w[place], painter.truncated(painter.dlatents(painter.latents_of(seed)[0]))[0])
    lengths = np.linalg.norm(np.diff(w, axis=0), axis=(1, 2))
    if interpolation == "linear":
        assert_close(lengths[:4], np.full(4, lengths[:4].mean()), 1e-4)
        assert_close(w[1], 0.75 * w[0] + 0.25 * w[4])
    assert lengths.max() < 1.5 * lengths.mean()


def test_the_noise_of_a_path_stays_noise(painter, monkeypatch):
    seen = []
    monkeypatch.setattr(Painter, "draw", lambda self, w, noise: seen.append(noise) or np.zeros([1, 1, 1, 1], np.uint8))
    list(edits.Path(painter, sources_of(painter, [3, 4]), 3).pictures())
    assert len(seen) == 3
    for before, between, after in zip(*seen):
        middle = before + after
        assert_close(between / np.linalg.norm(between), middle / np.linalg.norm(middle), 1e-5, "half way")
        lengths = sorted([np.linalg.norm(before), np.linalg.norm(after)])
        assert 0.99 * lengths[0] <= np.linalg.norm(between) <= 1.01 * lengths[1], "and no weaker"


def test_a_path_needs_two(painter):
    with pytest.raises(UserError, match="interpolate needs two pictures or more, got 1"):
        edits.Path(painter, sources_of(painter, [3]), 5)


def test_saved_latents_have_both_names(painter, tmp_path):
    w = painter.dlatents(np.random.RandomState(0).randn(2, 8))
    edits.save_dlatents(tmp_path / "w.npz", w)
    with np.load(tmp_path / "w.npz") as file:
        assert sorted(file.files) == ["dlatents", "w"]
        for name in file.files:
            np.testing.assert_array_equal(file[name], w)
