"""What the StyleGAN2 networks say to arguments that cannot be."""

import pytest
import tensorflow as tf
from network_helpers import make_d, make_g

from tf_stylegan.errors import UserError
from tf_stylegan.networks.registry import build_network


def with_zeros(shape):
    return lambda network: network(tf.zeros(shape))


@pytest.mark.parametrize(
    "network, mistake, message",
    [
        ("G", with_zeros([2, 9]), r"latents must be \[N, 8\] for this network, got \(2, 9\)"),
        ("G", with_zeros([8]), r"latents must be \[N, 8\] for this network, got \(8,\)"),
        (
            "G",
            lambda G: G(tf.zeros([2, 8]), tf.zeros([2, 4])),
            r"labels must be \[N, 3\] for this network, got \(2, 4\)",
        ),
        ("G", lambda G: G(tf.zeros([2, 8]), tf.zeros([2])), r"labels must be \[N, 3\] for this network, got \(2,\)"),
        (
            "G",
            lambda G: G(tf.zeros([2, 8]), tf.zeros([1, 3])),
            "labels must have a row per sample: got 1 for a batch of 2",
        ),
        ("G", lambda G: G.synthesis(tf.zeros([2, 5, 8])), r"dlatents must be \[N, 6, 8\], got \(2, 5, 8\)"),
        (
            "G",
            lambda G: G(tf.zeros([2, 8]), noise_mode="loud"),
            "noise_mode must be one of const, random, none; got 'loud'",
        ),
        ("G", lambda G: G.synthesis(tf.zeros([2, 6, 8]), noise=[]), "noise must be 5 maps for this network, got 0"),
        ("D", with_zeros([2, 8, 8, 3]), r"images must be \[N, 16, 16, 3\] for this network, got \(2, 8, 8, 3\)"),
        ("D", with_zeros([2, 16, 16, 1]), r"images must be \[N, 16, 16, 3\] for this network, got \(2, 16, 16, 1\)"),
        ("D", with_zeros([16, 16, 3]), r"images must be \[N, 16, 16, 3\] for this network, got \(16, 16, 3\)"),
        ("D", lambda D: D(tf.zeros([2, 16, 16, 3]), tf.zeros([2, 1])), r"labels must be \[N, 3\] .* got \(2, 1\)"),
        ("D", lambda D: D(tf.zeros([2, 16, 16, 3]), tf.zeros([3, 3])), "got 3 for a batch of 2"),
        ("D", with_zeros([6, 16, 16, 3]), "got a batch of 6 with mbstd_group_size=4"),
    ],
)
def test_mistakes_in_a_call(network, mistake, message):
    with pytest.raises(ValueError, match=message) as caught:
        mistake({"G": make_g, "D": make_d}[network](label_size=3))
    assert len(str(caught.value).splitlines()) == 1, "commands print one line"


@pytest.mark.parametrize("func", ["G_main", "D_stylegan2"])
@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"fmap_bsae": 1}, "fmap_bsae"),
        ({"architecture": "unet"}, "architecture must be one of orig, skip, resnet; got 'unet'"),
        ({"dtype": "float8"}, "dtype must be one of float32, bfloat16, float16; got 'float8'"),
        *(({"resolution": n}, f"power of two from 4 to 1024, got {n}") for n in (0, 2, 6, 48, 2048, -4)),
    ],
)
def test_mistakes_in_keywords(func, keywords, message):
    with pytest.raises(UserError, match=message):
        build_network(func, **keywords)


def test_mistakes_in_names():
    with pytest.raises(UserError, match="unknown network 'G_magic'; known: G_main"):
        build_network("G_magic")
    with pytest.raises(UserError, match=r"mapping_func.*G_mapping.*'G_maping'"):
        build_network("G_main", mapping_func="G_maping")
    with pytest.raises(UserError, match="mbstd_num_features=3 does not divide the 8 channels"):
        make_d(mbstd_num_features=3)
