"""The recorded values of the progressively grown networks at every recorded level of detail, first and second order."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import GOLDEN, assert_close, golden, nchw_to_nhwc, nhwc_to_nchw

from tf_stylegan.legacy.names import set_variables
from tf_stylegan.legacy.networks import load_networks
from tf_stylegan.networks.growing import Lod
from tf_stylegan.networks.registry import build_network

pytestmark = pytest.mark.usefixtures("impl")  # TensorFlow's own operations, and the compiled ones

TOLERANCE = 1e-4
SECOND_ORDER = 1e-3
GENERATORS = ("G_stylegan_revised", "G_style", "G_style_cond", "G_style_fused128", "G_style_fused_true")
DISCRIMINATORS = ("D_stylegan", "D_basic", "D_basic_cond", "D_basic_fused128", "D_basic_fused_true")


def recorded_network(name):
    """(network with the recorded variables, recorded arrays)."""
    data = golden(f"nets/{name}")
    kwargs = json.loads(str(data["kwargs"]))
    if "fused" in name:
        kwargs.pop("fmap_min", None)  # not a keyword of StyleGAN1's networks, which let it pass unused
    network = build_network(json.loads(str(data["func"])), name=name[0], **kwargs)
    set_variables(network, {key[4:]: data[key] for key in data if key.startswith("var/")})
    return network, data


@pytest.mark.parametrize("name", GENERATORS)
def test_generator(name):
    G, data = recorded_network(name)
    variants = [key for key in data if key.startswith("images_")]
    assert len(variants) >= 3
    for key in variants:
        lod, psi, cutoff = re.fullmatch(r"images_lod([\d.]+)_psi([\d.]+)(?:_cutoff(\d+))?", key).groups()
        images = G(
            data["latents"],
            data["labels"],
            truncation_psi=float(psi),
            truncation_cutoff=None if cutoff is None else int(cutoff),  # the network's own: 8 or none
            noise_mode="const",
            lod=float(lod),
        )
        assert_close(nhwc_to_nchw(images), data[key], TOLERANCE, key)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator(name):
    D, data = recorded_network(name)
    images, labels = tf.constant(nchw_to_nhwc(data["images"])), data["labels"]
    variables = [v.value for v in D.trainable_variables]
    lods = [key.removeprefix("scores_lod") for key in data if key.startswith("scores_lod")]
    assert lods
    for lod in lods:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(images)
                scores = D(images, labels, lod=float(lod))
                total = tf.reduce_sum(scores)
            gradients = inner.gradient(total, images)
            r1 = tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
            penalty = tf.reduce_mean(r1)
        assert_close(scores, data[f"scores_lod{lod}"], TOLERANCE, lod)
        assert_close(nhwc_to_nchw(gradients), data[f"dscore_dimages_lod{lod}"], TOLERANCE, lod)
        assert_close(r1, data[f"r1_lod{lod}"], TOLERANCE, lod)
        second = outer.gradient(penalty, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norms = {v.path.removeprefix("D/"): np.linalg.norm(grad) for v, grad in zip(D.trainable_variables, second)}
        expected = dict(zip((str(n) for n in data["r1_grad_names"]), data[f"r1_grad_norms_lod{lod}"]))
        assert norms.keys() == expected.keys()
        for key, norm in expected.items():
            assert norms[key] == pytest.approx(norm, rel=SECOND_ORDER, abs=1e-9), (lod, key)


@pytest.mark.parametrize("name", ["progan", "progan-cond"])
def test_progan(name):
    data = golden(f"pickles/{name}")
    _, D, Gs = load_networks(GOLDEN / f"pickles/{name}.pkl")
    for lod in ("0", "0.6", "1"):
        images = Gs(data["latents"], data["labels"], lod=float(lod))
        assert_close(nhwc_to_nchw(images), data[f"images_lod{lod}"], TOLERANCE, lod)
        scores = D(nchw_to_nhwc(data["D_input"]), lod=float(lod))
        assert_close(scores, data[f"D_out0_lod{lod}"], TOLERANCE, lod)


def test_the_lod_variable_counts_where_a_call_does_not_say():
    G, data = recorded_network("G_stylegan_revised")
    G.lod.assign(1.7)
    images = G(data["latents"], truncation_psi=1, noise_mode="const")
    assert_close(nhwc_to_nchw(images), data["images_lod1.7_psi1"], TOLERANCE)
    traced = tf.function(lambda z: G(z, truncation_psi=1, noise_mode="const"))
    assert_close(nhwc_to_nchw(traced(data["latents"])), data["images_lod1.7_psi1"], TOLERANCE)


@pytest.mark.parametrize("name", ["G_stylegan_revised", "G_style"])
def test_one_trace_serves_every_fraction_of_a_lod(name):
    G, data = recorded_network(name)
    traces = []

    @tf.function
    def draw(latents, fraction):
        traces.append(1)
        return G(latents, truncation_psi=1, noise_mode="const", lod=Lod(1, fraction))

    for lod in ("1", "1.7"):
        images = draw(data["latents"], tf.constant(float(lod) - 1))
        assert_close(nhwc_to_nchw(images), data[f"images_lod{lod}_psi1"], TOLERANCE)
    assert len(traces) == 1
