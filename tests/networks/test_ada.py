"""What StyleGAN2-ADA's networks add to those of StyleGAN2: each option by itself (whole files: tests/legacy)."""

import inspect
import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close
from network_helpers import SIZES, SMALL, make_d, make_g, normal, randomise

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Conv2D, MinibatchStddev
from tf_stylegan.networks.discriminator_stylegan2 import DiscriminatorStyleGAN2
from tf_stylegan.networks.mapping import Mapping
from tf_stylegan.networks.registry import build_network
from tf_stylegan.networks.synthesis_stylegan2 import SynthesisStyleGAN2
from tf_stylegan.ops.fused_bias_act import fused_bias_act

# Keywords of the original's functions that describe a network (not those of training or of a single call).
KEYWORDS = {
    Mapping: {
        *("latent_size", "label_size", "dlatent_size", "dlatent_broadcast", "mapping_layers", "mapping_fmaps"),
        *("mapping_lrmul", "mapping_nonlinearity", "normalize_latents", "label_fmaps", "dtype"),
    },
    SynthesisStyleGAN2: {
        *("dlatent_size", "num_channels", "resolution", "fmap_base", "fmap_decay", "fmap_min", "fmap_max"),
        *("fmap_const", "use_noise", "randomize_noise", "architecture", "nonlinearity", "dtype", "num_fp16_res"),
        *("conv_clamp", "resample_kernel", "fused_modconv"),
    },
    DiscriminatorStyleGAN2: {
        *("num_channels", "resolution", "label_size", "fmap_base", "fmap_decay", "fmap_min", "fmap_max"),
        *("mapping_layers", "mapping_fmaps", "mapping_lrmul", "architecture", "nonlinearity", "mbstd_group_size"),
        *("mbstd_num_features", "dtype", "num_fp16_res", "conv_clamp", "resample_kernel", "use_pagan", "pagan_num"),
        *("score_max", "use_spectral_norm"),
    },
}


def make_ada_g(**keywords):
    return make_g(**{"synthesis_func": "G_synthesis", **keywords})


def make_ada_d(**keywords):
    return randomise(build_network("D_main", **{"name": "D", **SIZES, **keywords}))


@pytest.mark.parametrize("cls", KEYWORDS)
def test_keywords_of_the_originals(cls):
    assert KEYWORDS[cls] <= inspect.signature(cls).parameters.keys()


@pytest.mark.parametrize("act", ["linear", "lrelu", "swish"])
def test_clamp(act):
    x = tf.constant(np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6))
    b = normal(6)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = fused_bias_act(x, b, act=act, clamp=0.7)
    free = fused_bias_act(x, b, act=act)
    assert_close(y, np.clip(free, -0.7, 0.7), 0)
    assert np.any(np.abs(free) > 0.7) and np.any(np.abs(free) < 0.7)
    with tf.GradientTape() as free_tape:
        free_tape.watch(x)
        free = fused_bias_act(x, b, act=act)
    expected = np.where(np.abs(free) < 0.7, free_tape.gradient(free, x), 0)
    assert_close(tape.gradient(y, x), expected, 1e-6)


def test_clamp_in_every_layer():
    G, D = make_ada_g(conv_clamp=1e-3), make_ada_d(conv_clamp=1e-3)
    images = G(normal(2, 8), noise_mode="const", truncation_psi=1)
    blocks = len(G.synthesis.blocks)
    assert 0 < np.abs(images).max() < 1e-3 * 4 * blocks  # every ToRGB is cut, their sum is upsampled
    tops = [block.conv1(block.conv0(block.from_rgb(normal(1, 16, 16, 3)))) for block in D.blocks[:1]]
    assert all(np.abs(x).max() <= 1e-3 for x in tops)
    assert D.head.conv.clamp == 1e-3 and D.head.dense.clamp is None and D.blocks[0].skip.clamp is None


def test_whole_batch_is_one_group():
    x = normal(6, 4, 4, 8)
    whole, six = MinibatchStddev(None), MinibatchStddev(6)
    assert_close(whole(x), six(x), 0)
    traced = tf.function(whole, input_signature=[tf.TensorSpec([None, 4, 4, 8])])
    assert_close(traced(x), six(x), 1e-6)
    assert make_ada_d().head.mbstd.group_size is None
    assert make_ada_d(mbstd_num_features=0).head.mbstd is None


def test_labels_are_embedded():
    G = make_ada_g(label_size=3, label_fmaps=5)
    assert G.mapping.dense[0].weight.shape[0] == 8 + 5
    latents, labels = normal(4, 8), tf.eye(4, 3)
    w = G.mapping(latents, labels).numpy()
    assert np.abs(w[0] - G.mapping(latents, labels * 0).numpy()[0]).max() > 1e-3
    # Each part is normalised by itself: without a bias a label's size does not matter, only its direction.
    G.mapping.label_embed.bias.assign(tf.zeros(5))
    assert_close(G.mapping(latents, labels * 7), G.mapping(latents, labels), 1e-5)


def test_score_is_an_inner_product_with_the_label():
    D = make_ada_d(label_size=3, mapping_layers=2)
    images, labels = normal(3, 16, 16, 3), tf.eye(3)
    features = D.output_layer(D.head(_through_blocks(D, images)))
    y = labels
    for layer in D.label_layers:
        y = layer(y)
    expected = np.sum(np.array(features) * np.array(y), axis=1, keepdims=True) / np.sqrt(features.shape[1])
    assert_close(D(images, labels), expected, 1e-5)
    assert [layer.name for layer in D.label_layers] == ["LabelEmbed", "Mapping0", "Mapping1"]


def _through_blocks(D, images):
    x = None
    for block in D.blocks:
        x = block(x, images)
    return x


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer = Conv2D(6, spectral_norm=True)
    layer.build([None, 8, 8, 4])
    matrix = np.reshape(layer.weight.numpy() * layer._factor, [-1, 6])
    _, values, right = np.linalg.svd(matrix, full_matrices=False)
    layer.weight_sn.assign(right[:1] * -2)  # the answer, up to its sign and length: one step finds the value
    scaled = np.reshape(layer.scaled_weight(), [-1, 6])
    assert_close(scaled, matrix / values[0], 1e-5)


def test_comparison_methods_have_their_variables():
    D = make_ada_d(use_spectral_norm=True, use_pagan=True, pagan_num=5, score_max=4)
    paths = {v.path: list(v.shape) for v in D.variables}
    assert paths["D/16x16/Conv0/weight_sn"] == [1, 8] and paths["D/4x4/Conv/weight_sn"] == [1, 8]
    assert "D/16x16/Skip/weight_sn" not in paths and "D/16x16/FromRGB/weight_sn" not in paths
    assert paths["D/16x16/FromRGB/PAGAN/weight"] == [5, 8] and "D/16x16/FromRGB/PAGAN/bias" not in paths
    assert paths["D/Output/weight"] == [8, 4]
    assert D(normal(2, 16, 16, 3)).shape == [2, 1]


@pytest.mark.parametrize("network", ["G", "D"])
def test_config_makes_a_twin(network):
    if network == "G":
        made = make_ada_g(use_noise=False, fmap_const=5, conv_clamp=1.5, num_fp16_res=2, label_size=2, label_fmaps=3)
    else:
        made = make_ada_d(conv_clamp=0.5, label_size=2, mapping_layers=1, mapping_fmaps=7, use_pagan=True)
    twin = type(made).from_config(json.loads(json.dumps(made.get_config())))
    twin.build()
    assert [(v.path, v.shape) for v in twin.variables] == [(v.path, v.shape) for v in made.variables]
    twin.set_weights(made.get_weights())
    args = [normal(2, 8), normal(2, 2)] if network == "G" else [normal(2, 16, 16, 3), normal(2, 2)]
    assert_close(twin(*args), made(*args), 0)


def test_without_noise():
    G = make_ada_g(use_noise=False)
    assert not [v.path for v in G.variables if "noise" in v.path]
    for mode in ("const", "random", "none"):
        assert G(normal(1, 8), noise_mode=mode).shape == [1, 16, 16, 3]


def test_generation_decides_what_is_not_said():
    ada, stylegan2 = make_ada_g(mapping_fmaps=None, dlatent_size=6), make_g(label_size=2)
    assert ada.mapping.dense[0].units == 6 and ada.lod is None
    assert stylegan2.lod is not None and stylegan2.mapping.label_embed is None
    assert make_ada_g(label_size=2).mapping.label_concat is None
    assert make_d().head.mbstd.group_size == 4


@pytest.mark.parametrize("layers", [-1, 10**9, 2.0, "8", None])
def test_number_of_mapping_layers(layers):
    for func, keywords in (("G_main", SMALL), ("D_main", {**SIZES, "label_size": 2})):
        with pytest.raises(UserError, match="mapping_layers must be a whole number from 0 to 64, got"):
            build_network(func, **{**keywords, "mapping_layers": layers})
