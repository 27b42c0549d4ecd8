"""The progressively grown networks beyond the recorded values: sizes, keywords, saving, mistakes."""

import inspect
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from network_helpers import GROWING, SMALL, draw, make_growing_d, make_growing_g, normal

from tf_stylegan.errors import UserError
from tf_stylegan.networks.discriminator_stylegan import DiscriminatorStyleGAN
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.progan import DiscriminatorProGAN, GeneratorProGAN
from tf_stylegan.networks.registry import build_network
from tf_stylegan.networks.stylegan1 import (
    DiscriminatorStyleGAN1,
    GeneratorStyleGAN1,
    MappingStyleGAN1,
    SynthesisStyleGAN1,
)
from tf_stylegan.networks.synthesis_stylegan_revised import SynthesisStyleGANRevised

REVISED = {"synthesis_func": "G_synthesis_stylegan_revised"}
RGB_1024 = {"num_channels": 3, "resolution": 1024}


def progan_g_count():
    """Dense and convolution at 4x4, two convolutions per size above, a ToRGB for every one."""
    channels = [min(8192 // 2**stage, 512) for stage in range(1, 10)]  # at 4, 8 … 1024
    count = 512 * 16 * 512 + 512 + (9 * 512 + 1) * 512
    for fmaps_in, fmaps in itertools.pairwise(channels):
        count += (9 * fmaps_in + 1) * fmaps + (9 * fmaps + 1) * fmaps
    return count + sum((fmaps + 1) * 3 for fmaps in channels)


@pytest.mark.parametrize(
    "func, keywords, count",
    [
        ("G_main", {**REVISED, "fmap_base": 8 << 10}, 24_900_764),
        ("D_stylegan", {"fmap_base": 8 << 10}, 23_087_249),
        ("G_style", {}, 26_219_627),
        ("D_basic", RGB_1024, 23_087_249),
        ("G_paper", RGB_1024, progan_g_count()),
        ("D_paper", RGB_1024, 23_087_249),
    ],
)
def test_parameter_counts_are_the_originals(func, keywords, count, monkeypatch):
    monkeypatch.setattr(keras.initializers, "RandomNormal", lambda stddev: "zeros")  # drawing 30 million takes a second
    network = build_network(func, **keywords)
    assert network.num_params() == count
    assert (network.resolution, network.num_channels) == (1024, 3)
    if func in ("G_main", "G_style"):
        assert network.mapping.num_params() == 2_101_248


def to_rgb_of_lods(network, lods):
    """Paths of the ToRGB or FromRGB layers of levels of detail."""
    return {v.path for v in network.variables for lod in lods if f"RGB_lod{lod}/" in v.path}


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("resolution", [4, 8, 16, 32, 64])
def test_every_size_runs_forward_and_back(resolution, kind):
    batch, channels, label_size = {4: (1, 3, 0), 8: (3, 1, 3), 16: (8, 3, 2), 32: (1, 1, 0), 64: (3, 3, 5)}[resolution]
    size = {"resolution": resolution, "num_channels": channels, "label_size": label_size}
    G, D = make_growing_g(kind, **size), make_growing_d(kind, **size)
    labels = normal(batch, label_size)
    with tf.GradientTape() as tape:
        images = draw(G, normal(batch, 8), labels)
        scores = D(images, labels)
        loss = tf.reduce_sum(scores**3)
    assert images.shape == [batch, resolution, resolution, channels]
    assert images.dtype == tf.float32
    assert scores.shape == [batch, 1]
    variables = G.trainable_variables + D.trainable_variables
    unused = to_rgb_of_lods(G, range(1, 9)) | to_rgb_of_lods(D, range(1, 9))
    assert len(unused) == {4: 0, 8: 1, 16: 2, 32: 3, 64: 4}[resolution] * (6 if kind == "config-d" else 4)
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables])):
        if variable.path in unused:
            assert gradient is None, variable.path
            continue
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("label_size", [0, 3])
def test_samples_do_not_see_each_other(label_size, kind):
    """A batch of 8 is eight batches of one, except for D's minibatch statistics."""
    G, D = make_growing_g(kind, label_size=label_size), make_growing_d(kind, label_size=label_size, mbstd_group_size=1)
    latents, labels = normal(8, 8), normal(8, label_size)
    images = draw(G, latents, labels)
    scores = D(images, labels)
    for n in (0, 7):
        one = slice(n, n + 1)
        assert_close(draw(G, latents[one], labels[one]), images[one], 1e-5)
        assert_close(D(images[one], labels[one]), scores[one], 1e-5)
    with_groups = make_growing_d(kind, label_size=label_size)
    assert not np.allclose(with_groups(images, labels)[:4], with_groups(images[:4], labels[:4]), rtol=1e-4)
    assert draw(G, latents[:0]).shape == [0, 16, 16, 3]
    assert D(images[:0]).shape == [0, 1]


@pytest.mark.parametrize("kind", GROWING)
def test_labels(kind):
    G, D, latents, labels = make_growing_g(kind, label_size=3), make_growing_d(kind, label_size=3), normal(2, 8), None
    images = draw(G, latents)
    assert_close(images, draw(G, latents, tf.zeros([2, 3])), 0)
    labels = tf.eye(3)[:2]
    assert not np.allclose(images, draw(G, latents, labels))
    if kind == "progan":  # its discriminator classifies, which is not built here; labels change nothing
        assert_close(D(images, labels), D(images), 0)
    else:
        assert not np.any(D(images))
        assert_close(D(images, 2 * labels), 2 * D(images, labels).numpy(), 1e-6)


PARTS = {"fmap_base": 32, "fmap_decay": 0.5, "fmap_max": 20, "dtype": "float32", "structure": "recursive"}
SIZE = {"num_channels": 1, "resolution": 8}
STYLEGAN1 = {"nonlinearity": "relu", "use_wscale": False, "fused_scale": True, "blur_filter": [1, 3, 3, 1]}
TRUNCATION = {"truncation_psi": 0.8, "truncation_cutoff": 3, "dlatent_avg_beta": 0.9, "style_mixing_prob": 0.5}
# Every keyword that the original's function has, at a value other than its own.
KEYWORDS = {
    GeneratorStyleGAN1: {**TRUNCATION, "mapping_func": "G_mapping", "synthesis_func": "G_synthesis"},
    Generator: {**TRUNCATION, "mapping_func": "G_mapping", **REVISED},
    MappingStyleGAN1: {
        "latent_size": 5,
        "label_size": 2,
        "dlatent_size": 6,
        "dlatent_broadcast": 4,
        "mapping_layers": 3,
        "mapping_fmaps": 7,
        "mapping_lrmul": 0.1,
        "mapping_nonlinearity": "relu",
        "use_wscale": False,
        "normalize_latents": False,
        "dtype": "float32",
    },
    SynthesisStyleGAN1: {
        **PARTS,
        **SIZE,
        **STYLEGAN1,
        "dlatent_size": 6,
        "use_styles": False,
        "const_input_layer": False,
        "use_noise": False,
        "randomize_noise": False,
        "use_pixel_norm": True,
        "use_instance_norm": False,
    },
    SynthesisStyleGANRevised: {
        **PARTS,
        **SIZE,
        "dlatent_size": 6,
        "fmap_min": 3,
        "randomize_noise": False,
        "nonlinearity": "swish",
        "resample_kernel": None,
        "fused_modconv": False,
    },
    DiscriminatorStyleGAN1: {
        **PARTS,
        **SIZE,
        **STYLEGAN1,
        "label_size": 2,
        "mbstd_group_size": 2,
        "mbstd_num_features": 2,
    },
    DiscriminatorStyleGAN: {
        **PARTS,
        **SIZE,
        "label_size": 2,
        "fmap_min": 3,
        "nonlinearity": "elu",
        "mbstd_group_size": 2,
        "mbstd_num_features": 2,
        "resample_kernel": [1, 2, 1],
    },
    GeneratorProGAN: {
        **PARTS,
        **SIZE,
        "label_size": 2,
        "latent_size": 5,
        "normalize_latents": False,
        "use_wscale": False,
        "use_pixelnorm": False,
        "pixelnorm_epsilon": 1e-4,
        "use_leakyrelu": False,
        "fused_scale": False,
    },
    DiscriminatorProGAN: {
        **PARTS,
        **SIZE,
        "label_size": 2,
        "use_wscale": False,
        "mbstd_group_size": 2,
        "fused_scale": False,
    },
}


def call(network, batch=2):
    """Calls any of the networks, without randomness; a generator truncates as it was told."""
    if hasattr(network, "from_rgb"):
        return network(
            normal(batch, *[network.resolution] * 2, network.num_channels), normal(batch, network.label_size)
        )
    if hasattr(network, "check_dlatents"):
        return network(normal(batch, network.num_layers, network.dlatent_size), noise_mode="const")
    extra = {"noise_mode": "const"} if isinstance(network, Generator) else {}
    return network(normal(batch, network.latent_size), normal(batch, network.label_size), **extra)


@pytest.mark.parametrize("cls", KEYWORDS)
def test_every_keyword_of_the_originals(cls):
    parameters = inspect.signature(cls).parameters
    later = {"name", "embed_labels", "label_fmaps"}  # StyleGAN2-ADA's, which its mapping network shares with this one
    assert KEYWORDS[cls].keys() == {name for name, p in parameters.items() if p.kind != p.VAR_KEYWORD} - later
    keywords = {**SMALL, **KEYWORDS[cls]} if issubclass(cls, Generator) else KEYWORDS[cls]
    network = cls(**keywords)
    network.build()
    config = network.get_config()
    assert {key: config[key] for key in keywords} == keywords
    twin = cls.from_config(json.loads(json.dumps(config)))
    twin.build()
    assert twin.get_config() == config
    assert [v.path for v in twin.variables] == [v.path for v in network.variables]
    twin.set_weights(network.get_weights())
    y = call(network)
    assert np.isfinite(y).all()
    assert np.std(y) > 0
    assert_close(call(twin), y, 0)


@pytest.mark.parametrize("kind", GROWING)
@pytest.mark.parametrize("network", ["G", "D"])
def test_keras_file_and_weights_file(network, kind, tmp_path):
    model = {"G": make_growing_g, "D": make_growing_d}[network](kind, label_size=3, name=network)
    model.lod.assign(0.6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = build_network(GROWING[kind][0 if network == "G" else 2], **model.get_config())
    assert not np.allclose(call(fresh), call(model))
    fresh.load_weights(tmp_path / "model.weights.h5")
    for twin in (loaded, fresh):
        assert [v.path for v in twin.variables] == [v.path for v in model.variables]
        for ours, theirs in zip(model.variables, twin.variables):
            np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
        assert_close(call(twin), call(model), 0)


@pytest.mark.parametrize("kind", GROWING)
def test_names_of_variables(kind):
    networks = [make_growing_g(kind, name="G"), make_growing_d(kind, name="D"), make_growing_g(kind, name="Gs")]
    paths = [v.path for network in networks for v in network.variables]
    assert len(set(paths)) == len(paths)
    for network in networks:
        assert all(v.path.startswith(f"{network.name}/") for v in network.variables)
    kept = {v.path for v in networks[0].non_trainable_variables}
    synthesis = {"G/dlatent_avg", "G/G_synthesis/lod"}
    noise = {f"G/G_synthesis/noise{i}" for i in range({"config-a": 6, "config-d": 5, "progan": 0}[kind])}
    assert kept == {"G/lod", *noise, *(synthesis if kind != "progan" else ())}
    assert {v.path for v in networks[1].non_trainable_variables} == {"D/lod"}


@pytest.mark.parametrize("kind", GROWING)
def test_unknown_batch_size_in_a_graph(kind):
    G, D = make_growing_g(kind, label_size=3), make_growing_d(kind, label_size=3)

    @tf.function(input_signature=[tf.TensorSpec([None, 8]), tf.TensorSpec([None, 3])])
    def draw_and_score(latents, labels):
        images = draw(G, latents, labels)
        return images, D(images, labels)

    for batch in (1, 3, 8):
        images, scores = draw_and_score(normal(batch, 8), normal(batch, 3))
        assert_close(images, draw(G, normal(batch, 8), normal(batch, 3)), 1e-5)
        assert_close(scores, D(images, normal(batch, 3)), 1e-5)
    assert draw_and_score.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("func", sorted({func for g, _, d in GROWING.values() for func in (g, d)}))
@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"fmap_bsae": 1}, "fmap_bsae"),
        ({"structure": "spiral"}, "structure must be one of auto, fixed, linear, recursive; got 'spiral'"),
        ({"dtype": "float8"}, "dtype must be one of float32.*; got 'float8'"),
        *(({"resolution": n}, f"power of two from 4 to 1024, got {n}") for n in (0, 2, 48, 2048)),
    ],
)
def test_mistakes_in_keywords(func, keywords, message):
    with pytest.raises(UserError, match=message) as caught:
        build_network(func, **{**(REVISED if func == "G_main" else {}), **keywords})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("func", ["G_style", "D_basic"])
def test_mistakes_in_keywords_of_stylegan1(func):
    with pytest.raises(UserError, match="fused_scale must be True, False or 'auto', got 'sometimes'"):
        build_network(func, fused_scale="sometimes", resolution=8)
    with pytest.raises(UserError, match="mapping_func must be one of G_mapping"):
        build_network("G_style", mapping_func="G_maping")
    with pytest.raises(UserError, match="synthesis_func must be one of G_synthesis; got 'G_synthesis_stylegan2'"):
        build_network("G_style", synthesis_func="G_synthesis_stylegan2")
    with pytest.raises(UserError, match=r"images must be \[N, 16, 16, 3\] for this network, got \(2, 16, 16, 1\)"):
        make_growing_d("config-a")(tf.zeros([2, 16, 16, 1]))
    with pytest.raises(UserError, match=r"latents must be \[N, 8\] for this network, got \(2, 9\)"):
        make_growing_g("progan")(tf.zeros([2, 9]))
