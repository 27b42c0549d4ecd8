"""What happens between mapping and synthesis: truncation, noise, style mixing, the average of w."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from network_helpers import make_g, normal

from tf_stylegan.ops.random import Source

LAYERS = 6  # of the small network


def const(G, latents, **kwargs):
    return G(latents, noise_mode="const", **kwargs).numpy()


@pytest.mark.parametrize("cutoff", [None, 0, 1, 4, LAYERS, 99])
@pytest.mark.parametrize("psi", [0.0, 0.3, 1.0, 1.5, -1.0])
def test_truncation(psi, cutoff):
    """`w_avg + (w − w_avg) · psi` for the first `cutoff` styles, w for the rest."""
    G, latents = make_g(), normal(3, 8)
    w, w_avg = G.mapping(latents).numpy(), G.w_avg.numpy()
    expected = w_avg + (w - w_avg) * psi
    if cutoff is not None:
        expected[:, cutoff:] = w[:, cutoff:]
    assert_close(G.truncate(w, psi, cutoff), expected, 1e-6)
    images = const(G, latents, truncation_psi=psi, truncation_cutoff=cutoff)
    assert_close(images, G.synthesis(expected.astype(np.float32), noise_mode="const"), 1e-5)


def test_truncation_of_the_network_and_of_the_call():
    latents = normal(3, 8)
    own = make_g(truncation_psi=0.7, truncation_cutoff=2)
    for psi, cutoff in ((0.7, 2), (0.2, 2), (0.7, 5)):
        asked = {"truncation_psi": psi, "truncation_cutoff": cutoff}
        given = {key: asked[key] for key in asked if asked[key] != own.keywords[key]}
        assert_close(const(own, latents, **given), const(make_g(), latents, **asked), 1e-6)
    off = make_g(truncation_psi=None)
    assert_close(const(off, latents), const(make_g(truncation_psi=1), latents), 0)
    assert not np.allclose(const(off, latents), const(make_g(), latents))


def test_psi_may_be_a_tensor():
    G, latents = make_g(), normal(3, 8)
    traced = tf.function(lambda psi: G(latents, truncation_psi=psi, truncation_cutoff=3, noise_mode="const"))
    for psi in (0.25, 1.0):
        assert_close(traced(tf.constant(psi)), const(G, latents, truncation_psi=psi, truncation_cutoff=3), 1e-5)
    assert traced.experimental_get_tracing_count() == 1


def test_all_of_psi_zero_is_one_face():
    images = const(make_g(), normal(3, 8), truncation_psi=0)
    assert_close(images[1:], np.repeat(images[:1], 2, axis=0), 1e-6)


def test_noise_modes():
    G, w = make_g(), normal(2, LAYERS, 8)
    none, fixed = G.synthesis(w, noise_mode="none"), G.synthesis(w, noise_mode="const")
    random = [G.synthesis(w, noise_mode="random") for _ in range(2)]
    different = [none, fixed, *random]
    for i, a in enumerate(different):
        for b in different[:i]:
            assert np.abs(a - b).max() > 1e-2
    assert_close(G.synthesis(w, noise_mode="const"), fixed, 0)
    assert_close(G.synthesis(w, noise_mode="none"), none, 0)


def test_random_noise_differs_between_samples_and_follows_its_seed():
    G, w = make_g(), tf.repeat(normal(1, LAYERS, 8), 2, axis=0)
    first = G.synthesis(w, noise_mode="random", seed=[1, 2])
    assert np.abs(first[0] - first[1]).max() > 1e-2
    assert_close(G.synthesis(w, noise_mode="random", seed=[1, 2]), first, 0)
    assert np.abs(G.synthesis(w, noise_mode="random", seed=[1, 3]) - first).max() > 1e-2
    fixed = G.synthesis(w, noise_mode="const")
    assert_close(fixed[0], fixed[1], 1e-6)


@pytest.mark.parametrize("randomize_noise, mode", [(True, "random"), (False, "const")])
def test_noise_mode_of_the_network(randomize_noise, mode):
    G, w = make_g(randomize_noise=randomize_noise), normal(2, LAYERS, 8)
    assert_close(G.synthesis(w, seed=[1, 2]), G.synthesis(w, noise_mode=mode, seed=[1, 2]), 0)


def test_noise_of_strength_zero_changes_nothing():
    G, w = make_g(), normal(2, LAYERS, 8)
    for variable in G.variables:
        if variable.path.endswith("noise_strength"):
            variable.assign(0.0)
    none = G.synthesis(w, noise_mode="none")
    assert_close(G.synthesis(w, noise_mode="const"), none, 1e-7)
    assert_close(G.synthesis(w, noise_mode="random"), none, 1e-7)


def test_noise_maps_of_the_caller_take_the_place_of_the_stored_ones():
    G, w = make_g(), normal(2, LAYERS, 8)
    assert [v.shape[1] for v in G.synthesis.noise] == [4, 8, 8, 16, 16]
    fixed = G.synthesis(w, noise_mode="const")
    maps = [tf.convert_to_tensor(v) for v in G.synthesis.noise]
    assert_close(G.synthesis(w, noise_mode="const", noise=maps), fixed, 0)
    per_sample = [tf.concat([noise, noise * 2], axis=0) for noise in maps]
    images = G.synthesis(w, noise_mode="const", noise=per_sample)
    assert_close(images[:1], fixed[:1], 1e-5)
    assert_close(images[1:], G.synthesis(w, noise_mode="const", noise=[noise * 2 for noise in maps])[1:], 1e-5)


def test_each_style_reaches_its_layers_only():
    """The last style is that of the last ToRGB alone: changing it leaves everything before as it was."""
    G, w = make_g(architecture="orig"), normal(1, LAYERS, 8).numpy()
    features = []
    for layer in range(LAYERS):
        changed = w.copy()
        changed[:, layer] += 1
        features.append(np.abs(G.synthesis(changed, noise_mode="const") - G.synthesis(w, noise_mode="const")).max())
    assert min(features) > 1e-3
    block, x = G.synthesis.blocks[0], normal(1, LAYERS, 8)
    assert_close(block(None, [x[:, 0]], [None]), block(None, [x[:, 0], x[:, 1]], [None]), 0)


def cut_of(G, latents, mixed):
    """Index of the first style that is not that of `latents`."""
    same = np.isclose(mixed, G.mapping(latents), atol=1e-5).all(axis=(0, 2))
    cut = int(same.sum())
    assert same[:cut].all(), "the styles of the first latents come first"
    return cut


@pytest.mark.parametrize("prob", [1.0, 0.5])
def test_style_mixing(prob):
    G, latents = make_g(style_mixing_prob=prob, dlatent_avg_beta=None), normal(2, 8)
    mix = tf.function(lambda seed: G.training_dlatents(latents, seed=seed))
    count = 300
    cuts = np.array([cut_of(G, latents, mix(tf.constant([5, n]))) for n in range(count)])
    mixed = cuts[cuts < LAYERS]
    assert len(mixed) == count if prob == 1 else len(mixed) / count == pytest.approx(prob, abs=0.1)
    numbers = np.bincount(mixed, minlength=LAYERS)
    assert numbers[0] == 0, "the first style is always that of the first latents"
    np.testing.assert_allclose(numbers[1:] / len(mixed), 1 / (LAYERS - 1), atol=0.08)


@pytest.mark.parametrize("prob", [0, None, 0.0])
def test_no_style_mixing(prob):
    G, latents = make_g(style_mixing_prob=prob), normal(2, 8)
    for n in range(5):
        assert_close(G.training_dlatents(latents, seed=[0, n]), G.mapping(latents), 0)


def test_style_mixing_at_the_smallest_size():
    G, latents = make_g(resolution=4, style_mixing_prob=1.0), normal(2, 8)
    mixed, w = G.training_dlatents(latents, seed=[0, 0]), G.mapping(latents)
    assert_close(mixed[:, 0], w[:, 0], 0)
    assert np.abs(mixed[:, 1] - w[:, 1]).max() > 1e-3


@pytest.mark.parametrize("count", [2, 3])
def test_replicas_together_draw_what_one_device_would(count):
    G = make_g(style_mixing_prob=0.9, dlatent_avg_beta=None)
    latents, labels = normal(6, 8), None
    for n in range(4):
        whole = G(latents, labels, training=True, noise_mode="random", seed=Source([3, n]))
        for index in range(count):
            part = G(latents[index::count], training=True, noise_mode="random", seed=Source([3, n], index, count))
            assert_close(part, whole[index::count], 1e-5)


def test_average_of_w_moves_in_training():
    """`w_avg ← mean + (w_avg − mean) · beta`, mean over the batch, before styles are mixed."""
    G, latents = make_g(dlatent_avg_beta=0.8, style_mixing_prob=1.0), normal(5, 8)
    before, mean = G.w_avg.numpy(), G.mapping(latents)[:, 0].numpy().mean(axis=0)
    G(latents, training=True)
    assert_close(G.w_avg, 0.8 * before + 0.2 * mean, 1e-6)
    assert np.abs(G.w_avg - before).max() > 1e-3
    traced = tf.function(lambda x: G.training_dlatents(x))
    traced(latents)
    assert_close(G.w_avg, 0.64 * before + 0.36 * mean, 1e-6)


def test_average_of_w_stays_otherwise():
    G, latents = make_g(), normal(5, 8)
    before = G.w_avg.numpy()
    G(latents)
    G(latents, truncation_psi=0.3, truncation_cutoff=2, training=False)
    assert_close(G.w_avg, before, 0)
    G.training_dlatents(latents * np.inf)  # one bad batch must not poison it
    assert_close(G.w_avg, before, 0)
    fixed = make_g(dlatent_avg_beta=None)
    fixed(latents, training=True)
    assert_close(fixed.w_avg, before, 0)


def test_training_does_not_truncate():
    G, latents = make_g(style_mixing_prob=None, dlatent_avg_beta=None, truncation_psi=0.1), normal(2, 8)
    trained = G(latents, training=True, noise_mode="const")
    assert_close(trained, const(G, latents, truncation_psi=1), 1e-6)
