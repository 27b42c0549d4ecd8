"""Half precision is for the features inside: weights, styles, pictures and scores stay float32, and hardly differ."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import GOLDEN
from network_helpers import CONVOLUTIONS, draw, make_d, make_g, make_growing_d, make_growing_g, normal

import tf_stylegan
from tf_stylegan.errors import UserError

HALVES = {"bfloat16": 2**-8, "float16": 2**-11}  # half of the last digit
KINDS = ["skip", "orig", "resnet", "config-d"]


def generator(kind, **keywords):
    return make_growing_g(kind, **keywords) if "config" in kind else make_g(architecture=kind, **keywords)


def discriminator(kind, **keywords):
    return make_growing_d(kind, **keywords) if "config" in kind else make_d(architecture=kind, **keywords)


def relative(actual, expected):
    """Mean difference over the mean size."""
    actual, expected = np.array(actual), np.array(expected)
    assert np.all(np.isfinite(actual))
    return np.abs(actual - expected).mean() / np.abs(expected).mean()


def uses(function, *args):
    """Types in which the convolutions of a function's graph are computed."""
    graph = tf.function(function).get_concrete_function(*args).graph
    return {op.outputs[0].dtype.name for op in graph.get_operations() if op.type.startswith(CONVOLUTIONS)}


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("kind", KINDS)
def test_pictures(kind, precision):
    full, half = generator(kind), generator(kind, dtype=precision)
    images, latents = draw(full, normal(4, 8)), normal(4, 8)
    ours = draw(half, latents)
    assert ours.dtype == tf.float32 and {v.dtype for v in half.variables} == {"float32"}
    assert uses(lambda z: draw(half, z), latents) == {precision}
    assert 0 < relative(ours, images) < 20 * HALVES[precision]


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_gradients(kind, precision):
    full, half = discriminator(kind), discriminator(kind, dtype=precision)
    images = normal(4, 16, 16, 3)

    def run(D):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images)
            scores = D(images)
            mean = tf.reduce_mean(scores) * 1024  # small gradients are lost in float16: hence loss scaling
        assert scores.dtype == tf.float32
        image_gradient = tape.gradient(mean, images)
        weights = tape.gradient(mean, D.trainable_variables)
        return scores, image_gradient, tf.concat([tf.reshape(g, [-1]) for g in weights if g is not None], 0)

    for ours, expected in zip(run(half), run(full)):
        assert 0 < relative(ours, expected) < 80 * HALVES[precision]  # some features change their sign


@pytest.mark.parametrize("precision", HALVES)
def test_a_file_is_opened_in_half_precision(precision, tmp_path):
    path = GOLDEN / "pickles/stylegan2-ada-clamped.pkl"
    exact, Gs = (tf_stylegan.load_networks(path, only="Gs", precision=p) for p in (None, precision))
    latents = np.random.RandomState(0).randn(4, Gs.latent_size).astype(np.float32)
    difference = np.abs(Gs(latents, noise_mode="const") - exact(latents, noise_mode="const"))
    assert 0 < difference.mean() * 127.5 < 3  # of 255
    tf_stylegan.save_networks(tmp_path / "again.pkl", [Gs])
    assert tf_stylegan.load_networks(tmp_path / "again.pkl")[0].synthesis.keywords["dtype"] == "float32"


def test_large_features_do_not_overflow():
    """Float16 ends at 65504; demodulation takes any scale away again, so layers scale down before they add up."""
    G, exact = make_g(dtype="float16"), make_g()
    for network in (G, exact):
        for block in network.synthesis.blocks:
            for conv in block.convs:
                conv.weight.assign(conv.weight * 1e4)
                conv.mod_bias.assign(conv.mod_bias + 1e4)
    assert relative(draw(G, normal(2, 8)), draw(exact, normal(2, 8))) < 0.05


def test_networks_without_half_precision_say_so():
    with pytest.raises(UserError, match="dtype must be one of float32; got 'bfloat16'"):
        tf_stylegan.load_networks(GOLDEN / "pickles/stylegan1.pkl", only="Gs", precision="bfloat16")
