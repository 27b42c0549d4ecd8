"""The StyleGAN2 networks beyond the recorded values: sizes, keywords, saving, mistakes."""

import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from network_helpers import SMALL, make_d, make_g, normal

from tf_stylegan.networks.discriminator_stylegan2 import DiscriminatorStyleGAN2
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.mapping import Mapping
from tf_stylegan.networks.registry import build_network
from tf_stylegan.networks.synthesis_stylegan2 import SynthesisStyleGAN2

E, F = {"fmap_base": 8 << 10}, {"fmap_base": 16 << 10}


@pytest.mark.parametrize(
    "func, keywords, count",
    [
        ("G_main", F, 30_370_060),
        ("D_stylegan2", F, 29_012_513),
        ("G_main", E, 24_900_764),
        ("D_stylegan2", E, 24_038_161),
        ("G_main", {**E, "architecture": "orig"}, 23_596_292),
        ("G_main", {**E, "architecture": "resnet"}, 24_557_316),
        ("D_stylegan2", {**E, "architecture": "orig"}, 23_077_137),
        ("D_stylegan2", {**E, "architecture": "skip"}, 23_087_249),
        ("G_main", {**F, "resolution": 512}, 30_276_583),
        ("D_stylegan2", {**F, "resolution": 512}, 28_982_849),
        ("G_main", {**F, "resolution": 256}, 30_034_338),
        ("D_stylegan2", {**F, "resolution": 256}, 28_864_129),
    ],
)
def test_parameter_counts_are_the_originals(func, keywords, count, monkeypatch):
    monkeypatch.setattr(keras.initializers, "RandomNormal", lambda stddev: "zeros")  # drawing 30 million takes a second
    network = build_network(func, **keywords)
    assert network.num_params() == count
    assert network.resolution == keywords.get("resolution", 1024)
    if func == "G_main":
        assert network.mapping.num_params() == 2_101_248
        assert network.num_params(trainable_only=False) > count


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
@pytest.mark.parametrize("resolution", [4, 8, 16, 32, 64])
def test_every_size_runs_forward_and_back(resolution, architecture):
    case = {4: (1, 3, 0), 8: (3, 1, 3), 16: (8, 3, 2), 32: (1, 1, 0), 64: (3, 3, 5)}
    batch, channels, label_size = case[resolution]
    size = {"resolution": resolution, "architecture": architecture, "num_channels": channels, "label_size": label_size}
    G, D = make_g(**size), make_d(**size)
    labels = normal(batch, label_size)
    with tf.GradientTape() as tape:
        images = G(normal(batch, 8), labels, noise_mode="const", truncation_psi=1)
        scores = D(images, labels)
        loss = tf.reduce_sum(scores**3)
    assert images.shape == [batch, resolution, resolution, channels]
    assert images.dtype == tf.float32
    assert scores.shape == [batch, 1]
    variables = G.trainable_variables + D.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables])):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("label_size", [0, 3])
def test_samples_do_not_see_each_other(label_size):
    """A batch of 8 is eight batches of one, except for D's minibatch statistics."""
    G, D = make_g(label_size=label_size), make_d(label_size=label_size, mbstd_group_size=1)
    latents, labels = normal(8, 8), normal(8, label_size)
    images = G(latents, labels, noise_mode="const")
    scores = D(images, labels)
    for n in (0, 7):
        one = slice(n, n + 1)
        assert_close(G(latents[one], labels[one], noise_mode="const"), images[one], 1e-5)
        assert_close(D(images[one], labels[one]), scores[one], 1e-5)
    assert np.std(scores) > 0
    assert_close(D(images[:4], labels[:4]), scores[:4], 1e-5)
    with_groups = make_d(label_size=label_size, mbstd_group_size=4)
    assert not np.allclose(with_groups(images, labels)[:4], with_groups(images[:4], labels[:4]), rtol=1e-4)


@pytest.mark.parametrize("label_size", [0, 3])
def test_empty_batch(label_size):
    G, D = make_g(label_size=label_size), make_d(label_size=label_size)
    images = G(tf.zeros([0, 8]), noise_mode="random")
    assert images.shape == [0, 16, 16, 3]
    assert D(images).shape == [0, 1]


def test_no_labels_are_labels_of_zero():
    G, D, latents = make_g(label_size=3), make_d(label_size=3), normal(2, 8)
    images = G(latents, noise_mode="const")
    assert_close(images, G(latents, tf.zeros([2, 3]), noise_mode="const"), 0)
    assert not np.allclose(images, G(latents, tf.eye(3)[:2], noise_mode="const"))
    assert not np.any(D(images))
    weights = D(images, tf.eye(3)[:2]).numpy()
    assert_close(D(images, 2 * tf.eye(3, dtype=tf.int32)[:2]), 2 * weights, 1e-6)


KEYWORDS = {
    Generator: {
        "truncation_psi": 0.8,
        "truncation_cutoff": 3,
        "dlatent_avg_beta": 0.9,
        "style_mixing_prob": 0.5,
        "mapping_func": "G_mapping",
        "synthesis_func": "G_synthesis_stylegan2",
    },
    Mapping: {
        "latent_size": 5,
        "label_size": 2,
        "dlatent_size": 6,
        "dlatent_broadcast": 4,
        "mapping_layers": 3,
        "mapping_fmaps": 7,
        "mapping_lrmul": 0.1,
        "mapping_nonlinearity": "relu",
        "normalize_latents": False,
        "dtype": "float32",
    },
    SynthesisStyleGAN2: {
        "dlatent_size": 6,
        "num_channels": 1,
        "resolution": 8,
        "fmap_base": 32,
        "fmap_decay": 0.5,
        "fmap_min": 3,
        "fmap_max": 20,
        "randomize_noise": False,
        "architecture": "resnet",
        "nonlinearity": "swish",
        "dtype": "float32",
        "resample_kernel": None,
        "fused_modconv": False,
    },
    DiscriminatorStyleGAN2: {
        "num_channels": 1,
        "resolution": 8,
        "label_size": 2,
        "fmap_base": 32,
        "fmap_decay": 0.5,
        "fmap_min": 3,
        "fmap_max": 20,
        "architecture": "skip",
        "nonlinearity": "elu",
        "mbstd_group_size": 2,
        "mbstd_num_features": 2,
        "dtype": "float32",
        "resample_kernel": [1, 2, 1],
    },
}


def call(network, batch=2):
    """Calls any of the four networks, without randomness."""
    if isinstance(network, DiscriminatorStyleGAN2):
        shape = [network.resolution, network.resolution, network.num_channels]
        return network(normal(batch, *shape), normal(batch, network.label_size))
    if isinstance(network, SynthesisStyleGAN2):
        return network(normal(batch, network.num_layers, network.dlatent_size), noise_mode="const")
    extra = {"noise_mode": "const"} if isinstance(network, Generator) else {}
    return network(normal(batch, network.latent_size), normal(batch, network.label_size), **extra)


@pytest.mark.parametrize("cls", KEYWORDS)
def test_every_keyword_of_the_originals(cls):
    assert KEYWORDS[cls].keys() <= inspect.signature(cls).parameters.keys()
    keywords = {**SMALL, **KEYWORDS[cls]} if cls is Generator else KEYWORDS[cls]
    network = cls(**keywords)
    network.build()
    config = network.get_config()
    assert {key: config[key] for key in keywords} == keywords
    twin = cls.from_config(json.loads(json.dumps(config)))
    twin.build()
    assert twin.get_config() == config
    assert [v.path for v in twin.variables] == [v.path for v in network.variables]
    twin.set_weights(network.get_weights())
    assert_close(call(twin), call(network), 0)


def test_a_generator_hands_keywords_to_its_parts():
    parts = {**KEYWORDS[SynthesisStyleGAN2], **KEYWORDS[Mapping]}
    del parts["dlatent_broadcast"]
    G = build_network("training.networks_stylegan2.G_main", **parts)
    for part in (G.mapping, G.synthesis):
        for key in part.keywords.keys() & parts.keys():
            assert part.keywords[key] == parts[key], key
    assert G.mapping.dlatent_broadcast == G.num_layers == 4
    assert call(G).shape == [2, 8, 8, 1]


def test_what_keywords_do():
    shapes = {v.path.split("/", 1)[1]: tuple(v.shape) for v in make_d(fmap_base=64, fmap_max=16, fmap_min=9).variables}
    assert shapes["16x16/FromRGB/weight"] == (1, 1, 3, 9)
    assert shapes["8x8/Conv1_down/weight"] == (3, 3, 16, 16)
    assert make_d(mbstd_num_features=4).head.conv.weight.shape[2] == make_d().head.conv.weight.shape[2] + 3
    assert make_d(mbstd_group_size=0).head.mbstd is None
    latents = normal(2, 8)
    assert_close(make_g().mapping(latents), make_g().mapping(3 * latents), 1e-5)
    plain = make_g(normalize_latents=False)
    assert not np.allclose(plain.mapping(latents), plain.mapping(3 * latents))
    assert_close(make_g(fused_modconv=False)(latents, noise_mode="const"), make_g()(latents, noise_mode="const"), 0)
    assert make_g(mapping_layers=3).mapping(latents).shape == [2, 6, 8]
    assert Mapping(latent_size=4)(tf.zeros([2, 4])).shape == [2, 512]


@pytest.mark.parametrize("network", ["G", "D"])
def test_keras_file_and_weights_file(network, tmp_path):
    make = {"G": make_g, "D": make_d}[network]
    model = make(label_size=3, name=network)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = build_network({"G": "G_main", "D": "D_stylegan2"}[network], **model.get_config())
    assert not np.allclose(call(fresh), call(model))
    fresh.load_weights(tmp_path / "model.weights.h5")
    for twin in (loaded, fresh):
        assert [v.path for v in twin.variables] == [v.path for v in model.variables]
        for ours, theirs in zip(model.variables, twin.variables):
            np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
        assert_close(call(twin), call(model), 0)


def test_unknown_batch_size_in_a_graph():
    G, D = make_g(label_size=3), make_d(label_size=3)

    @tf.function(input_signature=[tf.TensorSpec([None, 8]), tf.TensorSpec([None, 3])])
    def draw_and_score(latents, labels):
        images = G(latents, labels, noise_mode="const", truncation_psi=0.7)
        return images, D(images, labels)

    for batch in (1, 3, 8):
        latents, labels = normal(batch, 8), normal(batch, 3)
        images, scores = draw_and_score(latents, labels)
        assert_close(images, G(latents, labels, noise_mode="const", truncation_psi=0.7), 1e-5)
        assert_close(scores, D(images, labels), 1e-5)
    assert draw_and_score.experimental_get_tracing_count() == 1


def test_names_of_variables():
    networks = [make_g(name="G"), make_d(name="D"), make_g(name="Gs")]
    paths = [v.path for network in networks for v in network.variables]
    assert len(set(paths)) == len(paths)
    for network in networks:
        assert all(v.path.startswith(f"{network.name}/") for v in network.variables)
    kept = {v.path for v in networks[0].non_trainable_variables}
    assert kept == {"G/lod", "G/dlatent_avg", *(f"G/G_synthesis/noise{i}" for i in range(5))}
    assert not networks[1].non_trainable_variables
