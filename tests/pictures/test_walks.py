"""Walks: they close, they pass where they should, they keep their variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.errors import UserError
from tf_stylegan.pictures import walks

FRAMES = 90


def steps(path):
    """Length of the step from each frame to the next, the last one back to frame 0."""
    path = np.asarray(path, np.float64).reshape(len(path), -1)
    return np.linalg.norm(np.roll(path, -1, axis=0) - path, axis=1)


def assert_closes(path, least=1e-6):
    """The step that closes the loop is like its neighbours, and the film moves at all."""
    length = steps(path)
    assert length.max() > least
    assert length[-1] <= 1.2 * max(length[-2], length[0]) + 1e-9
    assert length[-1] >= 0.8 * min(length[-2], length[0]) - 1e-9


def white(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


# Random walks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.0, 0.4, 3.0, 9.0, 50.0])
def test_smoothing_is_a_circular_gaussian_filter(sigma):
    noise = white(FRAMES, 3)
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    expected = sum(
        weight / weights.sum() * np.roll(noise, offset, axis=0)
        for offset, weight in zip(range(-reach, reach + 1), weights)
    )
    np.testing.assert_allclose(walks.smooth_loop(noise, sigma), expected, atol=1e-5)  # in place


def test_smoothing_keeps_shape_and_columns_apart():
    noise = white(FRAMES, 3, 400)  # more columns than are filtered at a time
    smooth = walks.smooth_loop(noise.copy(), 5)
    assert smooth.shape == noise.shape and smooth.dtype == np.float32
    for cell, column in ((0, 0), (1, 111), (1, 112), (2, 399)):
        alone = walks.smooth_loop(noise[:, cell, column : column + 1].copy(), 5)
        np.testing.assert_allclose(smooth[:, cell, column : column + 1], alone, atol=1e-6)


def test_free_walk():
    walk = walks.free_walk(white(FRAMES, 2, 64), 6)
    assert np.sqrt(np.mean(walk**2)) == pytest.approx(1, abs=1e-5)
    assert_closes(walk)


@pytest.mark.parametrize("sigma", [3, 9, 200])
def test_anchored_walk_begins_at_its_anchors(sigma):
    anchors = white(4, 64, seed=1)
    walk = walks.anchored_walk(anchors, white(FRAMES, 4, 64), sigma)
    assert walk.dtype == np.float32
    np.testing.assert_array_equal(walk[0], anchors)
    assert_closes(walk, 0)


def test_anchored_walk_has_unit_variance_at_every_frame_and_forgets():
    anchors, many = white(1, 20000, seed=1), white(60, 1, 20000)
    walk = walks.anchored_walk(anchors, many, 5)
    np.testing.assert_allclose(np.std(walk, axis=(1, 2)), 1, atol=0.03)
    correlation = [np.corrcoef(walk[0, 0], frame[0])[0, 1] for frame in walk]
    assert correlation[1] > 0.97
    assert abs(correlation[30]) < 0.05, "half a loop away, many sigmas"
    np.testing.assert_allclose(correlation[1:], correlation[:0:-1], atol=0.03)


def test_slowing_puts_midpoints_between_frames():
    walk = white(7, 2, 3)
    expected = walk
    for _ in range(3):
        middle = (expected + np.roll(expected, -1, axis=0)) / 2
        expected = np.stack([expected, middle], axis=1).reshape(-1, 2, 3)
    np.testing.assert_allclose(walks.slowed(walk, np.arange(56), 8), expected, atol=1e-5)
    np.testing.assert_array_equal(walks.slowed(walk, [3, 6], 1), walk[[3, 6]])
    smooth = walks.anchored_walk(white(2, 3), white(FRAMES, 2, 3), 9)
    assert_closes(walks.slowed(smooth, np.arange(4 * FRAMES), 4))


# Keyframes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ease", walks.EASINGS)
def test_easings_go_from_0_to_1_and_never_back(ease):
    t = walks.EASINGS[ease](np.linspace(0, 1, 101))
    assert t[0] == 0 and t[-1] == pytest.approx(1)
    assert t[50] == pytest.approx(0.5)
    assert (np.diff(t) >= 0).all()
    assert (np.diff(t)[0] < 0.002) == (ease != "linear"), "stands still at a keyframe"


def test_legs():
    before, after, t = walks.legs(np.arange(13), 4, 3)
    np.testing.assert_array_equal(before, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0])
    np.testing.assert_array_equal(after, [1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(t[:5], [0, 0.25, 0.5, 0.75, 0])
    np.testing.assert_allclose(walks.legs([1, 2], 4, 3, "smooth")[2], [0.15625, 0.5])


@given(st.floats(0, 1), st.integers(0, 100))
def test_slerp_turns_evenly_and_keeps_lengths_between(t, seed):
    a, b = white(2, 5, 16, seed=seed).astype(np.float64)
    middle = walks.slerp(a, b, t)
    unit_a, unit_b, unit = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b, walks.slerp(a, b, t)))
    whole = np.arccos(np.sum(unit_a * unit_b, axis=-1))
    on_sphere = walks.slerp(unit_a, unit_b, t)
    np.testing.assert_allclose(np.linalg.norm(on_sphere, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.arccos(np.clip(np.sum(unit_a * on_sphere, axis=-1), -1, 1)), t * whole, atol=2e-3)
    assert middle.shape == unit.shape == (5, 16)
    np.testing.assert_allclose(walks.slerp(a, b, 0.0), a, atol=1e-5)
    np.testing.assert_allclose(walks.slerp(a, b, 1.0), b, atol=1e-5)


def test_slerp_of_each_layer_by_itself():
    a, b = white(2, 3, 8)
    together = walks.slerp(a, b, 0.3)
    for layer in range(3):
        np.testing.assert_allclose(together[layer], walks.slerp(a[layer], b[layer], 0.3), atol=1e-6)


def test_slerp_where_there_is_no_arc():
    a = white(1, 8)
    for b in (a, -a, 0 * a):
        middle = walks.slerp(a, b, 0.25)
        assert np.isfinite(middle).all()
    np.testing.assert_allclose(walks.slerp(a, a, 0.25), a, atol=1e-6)


# Circles, sweeps, noise ----------------------------------------------------------------------------------------------


def test_circles():
    axes = walks.circle_axes(5, 6, 64)
    assert axes.shape == (6, 2)
    assert len(set(axes.ravel())) == 12, "no axis twice while they last"
    np.testing.assert_array_equal(axes.T.ravel(), np.random.RandomState(5).choice(64, 12, replace=False))
    latents = walks.circles(np.arange(FRAMES), FRAMES, axes, 64, 10.0)
    np.testing.assert_allclose(np.linalg.norm(latents, axis=-1), 10, atol=1e-5)
    assert (np.count_nonzero(latents, axis=-1) <= 2).all()
    assert_closes(latents)
    np.testing.assert_allclose(steps(latents), steps(latents)[0], rtol=1e-4)  # evenly, so no frame comes twice


def test_circles_in_few_axes():
    axes = walks.circle_axes(1, 40, 8)
    assert axes.shape == (40, 2)
    assert (axes[:, 0] != axes[:, 1]).all()
    with pytest.raises(UserError, match="needs latents of two numbers or more; this network's have 1"):
        walks.circle_axes(1, 1, 1)


@pytest.mark.parametrize("ease", walks.EASINGS)
def test_there_and_back(ease):
    psi = walks.there_and_back(np.arange(FRAMES), FRAMES, -1, 1, ease)
    assert psi[0] == -1 and psi[FRAMES // 2] == 1
    np.testing.assert_allclose(psi[1:], psi[:0:-1], atol=1e-5)
    assert_closes(psi)
    there = walks.there_and_back(np.arange(5), 5, 0.5, 1.5, "linear", loop=False)
    np.testing.assert_allclose(there, [0.5, 0.75, 1, 1.25, 1.5])
    assert walks.there_and_back([0], 1, 2, 3, ease, loop=False) == [2]


@pytest.mark.parametrize("harmonics", [1, 3, 8])
def test_noise_keeps_its_variance_and_closes(harmonics):
    weights = walks.noise_weights(np.arange(FRAMES), FRAMES, harmonics)
    assert weights.shape == (FRAMES, 1 + 2 * harmonics)
    np.testing.assert_allclose(weights[0], [1] + [0] * 2 * harmonics, atol=1e-6)
    np.testing.assert_allclose(np.square(weights).sum(axis=1), 1, atol=1e-5)
    assert_closes(weights)


def test_noise_between():
    a, b = white(2, 1, 50, 50, 1)
    for t in (0.0, 0.3, 0.5, 1.0):
        (mixed,) = walks.noise_between([a], [b], t)
        assert np.std(mixed) == pytest.approx(1, abs=0.05)
        assert mixed.dtype == np.float32
    np.testing.assert_array_equal(walks.noise_between([a], [b], 0.0)[0], a)
    np.testing.assert_allclose(walks.noise_between([a], [b], 1.0)[0], b, atol=1e-6)


# How long ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds, fps, frames", [(30, 30, 900), (0.5, 3, 2), (1 / 30, 30, 1), (2, 29.97, 60)])
def test_frames(seconds, fps, frames):
    assert walks.frame_count(seconds, fps) == frames


@pytest.mark.parametrize(
    "seconds, fps, problem",
    [
        (0, 30, "--duration-sec=0 must be above 0"),
        (-1, 30, "--duration-sec=-1 must be above 0"),
        (0.01, 30, "--duration-sec=0.01 is less than one frame at --fps=30"),
        (1, 0, "--fps=0 must be above 0 and at most 1000"),
        (1, -5, "--fps=-5 must be above 0"),
        (1, 1001, "--fps=1001 must be above 0 and at most 1000"),
    ],
)
def test_films_of_no_length(seconds, fps, problem):
    with pytest.raises(UserError) as caught:
        walks.frame_count(seconds, fps)
    assert str(caught.value).startswith(problem)
