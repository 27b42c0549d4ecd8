"""Progressive growing: fades without jumps, layers that are not in use cost nothing, sizes of pictures, mistakes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from network_helpers import CONVOLUTIONS, GROWING, draw, make_growing_d, make_growing_g, normal

from tf_stylegan.errors import UserError
from tf_stylegan.networks.growing import Lod

SIZE = {"resolution": 32}  # levels of detail 0 … 3
TINY = 1e-5
STYLED = ("config-a", "config-d")


def enlarged(images, factor):
    return np.asarray(images).repeat(factor, axis=1).repeat(factor, axis=2)


@pytest.mark.parametrize("kind", GROWING)
def test_no_jump_where_a_layer_comes_in(kind):
    G, D, latents, images = (
        make_growing_g(kind, **SIZE),
        make_growing_d(kind, **SIZE),
        normal(2, 8),
        normal(4, 32, 32, 3),
    )
    drawn, scored = [], []
    for lod in (1, 2, 3):
        for run, x, seen in ((draw, (G, latents), drawn), (D, (images,), scored)):
            here = run(*x, lod=lod)
            seen.append(here)
            for near in (lod - TINY, lod + TINY):
                if near <= 3:
                    assert_close(run(*x, lod=near), here, 100 * TINY, near)
            middle = run(*x, lod=lod - 0.5)
            assert np.abs(middle - here).max() > 1e-2 * np.abs(here).max()
    for seen in (drawn, scored):
        for a, b in itertools.pairwise(seen):
            assert np.abs(a - b).max() > 1e-2 * np.abs(a).max()


@pytest.mark.parametrize("kind", GROWING)
def test_a_fade_is_a_straight_line(kind):
    """Between two levels of detail the pictures, and the features behind FromRGB, are mixed in proportion."""
    G, latents = make_growing_g(kind, **SIZE), normal(2, 8)
    start, end = draw(G, latents, lod=1), draw(G, latents, lod=2)
    for fraction in (0.25, 0.7):
        assert_close(draw(G, latents, lod=1 + fraction), start * (1 - fraction) + end * fraction, 1e-5)


def layers_in_use(network, lod):
    """Whether a variable's path is one of those that contribute at a level of detail, by its scope."""
    largest = 32 // 2 ** int(lod)
    rgb = [int(lod)] if lod == int(lod) else [int(lod), int(lod) + 1]

    def used(path):
        scopes = path.split("/")
        sizes = [int(scope.split("x")[0]) for scope in scopes if scope[0].isdigit()]
        lods = [int(scope.split("_lod")[1]) for scope in scopes if "_lod" in scope]
        return all(size <= largest for size in sizes) and all(lod in rgb for lod in lods)

    return {v.path for v in network.trainable_variables if used(v.path)}


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("lod", [0, 0.5, 1, 1.25, 2, 2.9, 3])
def test_only_layers_in_use_get_gradients(lod, kind):
    G, D = make_growing_g(kind, **SIZE), make_growing_d(kind, **SIZE)
    with tf.GradientTape(persistent=True) as tape:
        images = draw(G, normal(2, 8), lod=lod)
        drawn = tf.reduce_sum(images * normal(*images.shape))
        scored = tf.reduce_sum(D(normal(4, 32, 32, 3), lod=lod) ** 3)
    for network, loss in ((G, drawn), (D, scored)):
        gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
        found = {v.path: g for v, g in zip(network.trainable_variables, gradients) if g is not None}
        assert found.keys() == layers_in_use(network, lod)
        assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in found.values())


@pytest.mark.parametrize("kind", GROWING)
def test_a_fraction_of_zero_as_a_tensor_keeps_the_fading_layers_in_the_graph(kind):
    G, D = make_growing_g(kind, **SIZE), make_growing_d(kind, **SIZE)
    for network, run, rgb in ((G, lambda lod: draw(G, normal(2, 8), lod=lod), "ToRGB"), (D, None, "FromRGB")):
        run = run or (lambda lod: D(normal(4, 32, 32, 3), lod=lod))
        with tf.GradientTape() as tape:
            y = run(Lod(1, tf.constant(0.0)))
            total = tf.reduce_sum(y)
        assert_close(y, run(1), 1e-6)
        gradients = tape.gradient(total, [v.value for v in network.trainable_variables])
        for variable, gradient in zip(network.trainable_variables, gradients):
            if f"{rgb}_lod2/" in variable.path:
                assert not np.any(gradient), variable.path
        named = {v.path for v, g in zip(network.trainable_variables, gradients) if g is not None}
        assert named == layers_in_use(network, 1.5)


def convolutions(function, shape):
    graph = tf.function(function).get_concrete_function(tf.TensorSpec(shape)).graph
    return sum(op.type.startswith(CONVOLUTIONS) for op in graph.get_operations())


@pytest.mark.parametrize("kind", GROWING)
def test_blocks_above_the_level_of_detail_are_not_in_the_graph(kind):
    for lod in (1, 3):
        counts = []
        for size, level in ((SIZE, lod), ({"resolution": 32 >> lod}, 0)):  # a network no larger than that has as many
            G, D = make_growing_g(kind, **size), make_growing_d(kind, **size)
            drawn = convolutions(lambda z, G=G, level=level: draw(G, z, lod=level), [2, 8])
            scored = convolutions(lambda x, D=D, level=level: D(x, lod=level), [4, 32 >> lod, 32 >> lod, 3])
            counts.append((drawn, scored))
        assert counts[0] == counts[1]
        assert min(counts[0]) >= 2


@pytest.mark.parametrize("kind", STYLED)
@pytest.mark.parametrize("lod", [0, 0.3, 1, 1.6, 2, 3])
def test_small_pictures_of_the_generator(lod, kind):
    """Without `full_size` the pictures are those of full size without the repeated pixels."""
    G, latents = make_growing_g(kind, **SIZE), normal(2, 8)
    w, factor = G.mapping(latents), 2 ** int(lod)
    full = G.synthesize(w, noise_mode="const", lod=lod)
    small = G.synthesize(w, noise_mode="const", lod=lod, full_size=False)
    assert full.shape == [2, 32, 32, 3]
    assert small.shape == [2, 32 // factor, 32 // factor, 3]
    assert_close(enlarged(small, factor), full, 1e-6)
    assert_close(draw(G, latents, lod=lod), full, 1e-6)


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("lod", [1, 1.4, 2, 2.5, 3])
def test_small_pictures_for_the_discriminator(lod, kind):
    D, factor = make_growing_d(kind, label_size=3, **SIZE), 2 ** int(lod)
    small, labels = normal(4, 32 // factor, 32 // factor, 3), normal(4, 3)
    scores = D(small, labels, lod=lod)
    assert_close(D(tf.constant(enlarged(small, factor)), labels, lod=lod), scores, 1e-5)
    assert np.std(scores) > 0
    with pytest.raises(UserError, match=f"images must be 32 pixels wide, or {32 // factor} at this level of detail"):
        D(normal(4, 64, 64, 3), labels, lod=lod)
    with pytest.raises(UserError, match="images must be 32 pixels wide"):
        D(small, labels, lod=0)


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize(
    "lod, message",
    [
        (-0.1, r"lod must be .*0.*, got -0.1$"),
        (-1, r"lod must be .*0.*, got -1$"),
        (3.01, "lod must be from 0 to 3 at this resolution, got 3.01$"),
        (4, "lod must be from 0 to 3 at this resolution, got 4$"),
        (float("nan"), "lod must be a finite number, got nan"),
        (float("inf"), "lod must be a finite number, got inf"),
        (Lod(-1, 0.5), r"lod must be .*0.*, got -0.5$"),
        (Lod(3, tf.constant(0.5)), "lod must be from 0 to 3 at this resolution, got 3 and a fraction"),
    ],
)
def test_lod_out_of_range(lod, message, kind):
    G, D = make_growing_g(kind, **SIZE), make_growing_d(kind, **SIZE)
    for run in (lambda lod: draw(G, normal(2, 8), lod=lod), lambda lod: D(normal(4, 32, 32, 3), lod=lod)):
        with pytest.raises(UserError, match=message) as caught:
            run(lod)
        assert len(str(caught.value).splitlines()) == 1
    if not isinstance(lod, Lod):
        D.lod.assign(lod)
        with pytest.raises(UserError, match="lod must be"):
            D(normal(4, 32, 32, 3))


def test_a_tensor_of_a_graph_is_no_lod():
    G = make_growing_g("config-d", **SIZE)
    with pytest.raises(UserError, match=r"in a graph, growing.Lod\(whole part, fraction\)"):
        tf.function(lambda lod: draw(G, normal(2, 8), lod=lod), autograph=False)(tf.constant(1.5))
    assert_close(draw(G, normal(2, 8), lod=tf.constant(1.5)), draw(G, normal(2, 8), lod=1.5), 0)


@pytest.mark.parametrize("kind", GROWING)
def test_unknown_batch_and_a_fraction_that_is_a_tensor(kind):
    G, D = make_growing_g(kind, label_size=3, **SIZE), make_growing_d(kind, label_size=3, **SIZE)

    @tf.function(input_signature=[tf.TensorSpec([None, 8]), tf.TensorSpec([None, 3]), tf.TensorSpec([])])
    def draw_and_score(latents, labels, fraction):
        images = draw(G, latents, labels, lod=Lod(1, fraction))
        return images, D(images, labels, lod=Lod(1, fraction))

    for batch, fraction in ((1, 0.0), (3, 0.35), (8, 0.9)):
        latents, labels = normal(batch, 8), normal(batch, 3)
        images, scores = draw_and_score(latents, labels, tf.constant(fraction))
        assert_close(images, draw(G, latents, labels, lod=1 + fraction), 1e-5)
        assert_close(scores, D(images, labels, lod=1 + fraction), 1e-5)
    assert draw_and_score.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("kind", GROWING)
def test_the_lod_variable_counts_where_a_call_does_not_say(kind):
    G, D, latents, images = (
        make_growing_g(kind, **SIZE),
        make_growing_d(kind, **SIZE),
        normal(2, 8),
        normal(4, 32, 32, 3),
    )
    for lod in (0.0, 1.5, 3.0):
        G.lod.assign(lod)
        D.lod.assign(lod)
        assert_close(draw(G, latents), draw(G, latents, lod=lod), 0)
        assert_close(D(images), D(images, lod=lod), 0)
        assert_close(draw(G, latents, lod=1), draw(G, latents, lod=Lod(1)), 0)


@pytest.mark.parametrize("kind", STYLED)
@pytest.mark.parametrize("prob", [1.0, 0.5])
@pytest.mark.parametrize("lod, layers", [(0, 8), (1, 6), (1.7, 6), (2, 4), (3, 2)])
def test_styles_are_mixed_among_the_layers_in_use(lod, layers, prob, kind):
    """The first style stays, each later one of the first `num_layers − 2·floor(lod)` may begin the other w."""
    G, latents = make_growing_g(kind, style_mixing_prob=prob, dlatent_avg_beta=None, **SIZE), normal(2, 8)
    mix = tf.function(lambda seed: G.training_dlatents(latents, seed=seed, lod=lod))
    w, cuts = G.mapping(latents), []
    for n in range(120):
        same = np.isclose(mix(tf.constant([5, n])), w, atol=1e-5).all(axis=(0, 2))
        cuts.append(int(same.sum()))
        assert same[: cuts[-1]].all(), "the styles of the first latents come first"
    mixed = [cut for cut in cuts if cut < layers]
    assert set(mixed) == set(range(1, layers))
    assert set(cuts) - set(mixed) == (set() if prob == 1 else {layers})
    assert len(mixed) / len(cuts) == pytest.approx(prob, abs=0.12)


@pytest.mark.parametrize("kind", STYLED)
def test_average_of_w_and_truncation(kind):
    G, latents = make_growing_g(kind, dlatent_avg_beta=0.8, style_mixing_prob=1.0, **SIZE), normal(5, 8)
    before, w = G.w_avg.numpy(), G.mapping(latents).numpy()
    expected = before + (w - before) * 0.3
    assert_close(G.truncate(w, 0.3, G.num_layers), expected, 1e-6)
    expected[:, 2:] = w[:, 2:]
    images = draw(G, latents, truncation_psi=0.3, truncation_cutoff=2, lod=1)
    assert_close(images, G.synthesize(tf.constant(expected), noise_mode="const", lod=1), 1e-5)
    assert_close(G.w_avg, before, 0)
    G(latents, training=True, lod=1.5)
    assert_close(G.w_avg, 0.8 * before + 0.2 * w[:, 0].mean(axis=0), 1e-6)


def test_truncation_of_the_networks_themselves():
    """StyleGAN1 truncates the first eight styles by 0.7, the revised networks all by 0.5."""
    for kind, psi, cutoff in (("config-a", 0.7, 8), ("config-d", 0.5, None)):
        G, latents = make_growing_g(kind, resolution=64), normal(2, 8)
        w, w_avg = G.mapping(latents).numpy(), G.w_avg.numpy()
        expected = w_avg + (w - w_avg) * psi
        if cutoff:
            expected[:, cutoff:] = w[:, cutoff:]
        assert_close(G.truncate(w), expected, 1e-6)
        assert w.shape[1] == 10
