"""The recorded values of the original's StyleGAN2 networks: pictures, scores, gradients of first and second order."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close, golden, nchw_to_nhwc, nhwc_to_nchw

from tf_stylegan.legacy.names import get_variables, set_variables
from tf_stylegan.networks.registry import build_network

pytestmark = pytest.mark.usefixtures("impl")  # TensorFlow's own operations, and the compiled ones

TOLERANCE = 1e-4
SECOND_ORDER = 1e-3
KINDS = ("skip", "orig", "resnet", "cond")


def recorded_network(name):
    """(network with the recorded variables, recorded arrays)."""
    data = golden(f"nets/{name}")
    network = build_network(json.loads(str(data["func"])), name=name[0], **json.loads(str(data["kwargs"])))
    set_variables(network, {key[4:]: data[key] for key in data if key.startswith("var/")})
    return network, data


@pytest.mark.parametrize("kind", KINDS)
def test_generator(kind):
    G, data = recorded_network(f"G_stylegan2_{kind}")
    latents, labels = data["latents"], data["labels"]
    assert_close(G.mapping(latents, labels), data["dlatents"], TOLERANCE)
    variants = [key for key in data if key.startswith("images_")]
    assert len(variants) == 3
    for key in variants:
        psi, cutoff = re.fullmatch(r"images_lod0_psi([\d.]+)(?:_cutoff(\d+))?", key).groups()
        images = G(
            latents,
            labels,
            truncation_psi=float(psi),
            truncation_cutoff=None if cutoff is None else int(cutoff),
            noise_mode="const",
        )
        assert_close(nhwc_to_nchw(images), data[key], TOLERANCE, key)


def test_truncation_is_that_of_the_config_where_a_call_does_not_say():
    G, data = recorded_network("G_stylegan2_skip")
    assert G.truncation_psi == 0.5
    own = G(data["latents"], noise_mode="const")
    assert_close(own, G(data["latents"], noise_mode="const", truncation_psi=0.5), 0)
    assert not np.allclose(own, nchw_to_nhwc(data["images_lod0_psi1"]), atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_discriminator(kind):
    D, data = recorded_network(f"D_stylegan2_{kind}")
    images, labels = tf.constant(nchw_to_nhwc(data["images"])), data["labels"]
    variables = [v.value for v in D.trainable_variables]
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(images)
            scores = D(images, labels)
            total = tf.reduce_sum(scores)
        gradients = inner.gradient(total, images)
        r1 = tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
        penalty = tf.reduce_mean(r1)
    assert_close(scores, data["scores_lod0"], TOLERANCE)
    assert_close(nhwc_to_nchw(gradients), data["dscore_dimages_lod0"], TOLERANCE)
    assert_close(r1, data["r1_lod0"], TOLERANCE)

    second = outer.gradient(penalty, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    norms = {v.path.removeprefix("D/"): np.linalg.norm(grad) for v, grad in zip(D.trainable_variables, second)}
    expected = dict(zip((str(name) for name in data["r1_grad_names"]), data["r1_grad_norms_lod0"]))
    assert norms.keys() == expected.keys()
    for name, norm in expected.items():
        assert norms[name] == pytest.approx(norm, rel=SECOND_ORDER, abs=1e-9), name


@pytest.mark.parametrize("name", [f"{network}_stylegan2_{kind}" for network in "GD" for kind in KINDS])
def test_variables_are_the_recorded_ones_and_come_back_unchanged(name):
    network, data = recorded_network(name)
    recorded = {key[4:]: data[key] for key in data if key.startswith("var/")}
    variables = get_variables(network)
    assert variables.keys() == recorded.keys()
    for key, array in recorded.items():
        np.testing.assert_array_equal(variables[key], array, err_msg=key)
