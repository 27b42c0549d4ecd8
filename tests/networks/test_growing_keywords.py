"""What each keyword of StyleGAN1's and ProGAN's networks does: variables that come and go, values that change."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close, relative_error
from network_helpers import GROWING, draw, make_growing_d, make_growing_g, normal

EVERY_STRUCTURE = [("structure", value) for value in ("auto", "fixed", "linear", "recursive")]


def paths(network):
    return {v.path for v in network.variables}


def with_variables_of(network, other):
    """Gives `network` the values of `other` where names and shapes agree; returns it."""
    values = {v.path: v for v in other.variables}
    for variable in network.variables:
        if variable.path in values and values[variable.path].shape == variable.shape:
            variable.assign(values[variable.path])
    return network


def run_and_check_gradients(network, call, without):
    """Every variable has a finite gradient that is not zero, those whose path holds one of `without` have none."""
    with tf.GradientTape() as tape:
        y = call()
        loss = tf.reduce_sum(y * normal(*y.shape))
    for variable, gradient in zip(
        network.trainable_variables, tape.gradient(loss, [v.value for v in network.trainable_variables])
    ):
        if any(part in variable.path for part in without):
            assert gradient is None, variable.path
        else:
            assert np.isfinite(gradient).all(), variable.path
            assert np.abs(gradient).max() > 0, variable.path
    return y


# keyword, value, what it adds, what it takes away (parts of the variables' paths), whether the pictures stay the same
SYNTHESIS = [
    ("use_styles", False, (), ("StyleMod",), False),
    ("const_input_layer", False, ("4x4/Dense/",), ("4x4/Const/",), False),
    ("use_noise", False, (), ("/Noise/", "G_synthesis/noise"), False),
    ("use_noise", 1, (), (), True),
    ("use_wscale", False, (), (), False),
    ("use_pixel_norm", True, (), (), False),
    ("use_instance_norm", False, (), (), False),
    ("nonlinearity", "relu", (), (), False),
    ("normalize_latents", False, (), (), False),
    ("fused_scale", "auto", (), (), True),
    ("fused_scale", False, (), (), True),
    ("fused_scale", True, (), (), False),
    ("blur_filter", None, (), (), False),
    ("blur_filter", [1, 3, 3, 1], (), (), False),
    ("blur_filter", [2, 4, 2], (), (), True),
    *((*structure, (), (), True) for structure in EVERY_STRUCTURE),
]
PROGAN_G = [
    ("normalize_latents", False, (), (), False),
    ("use_wscale", False, (), (), False),
    ("use_pixelnorm", False, (), (), False),
    ("pixelnorm_epsilon", 0.5, (), (), False),
    ("use_leakyrelu", False, (), (), False),
    ("fused_scale", False, ("/Conv0/",), ("/Conv0_up/",), False),
    *((*structure, (), (), True) for structure in [*EVERY_STRUCTURE, ("structure", None)]),
]


def check_variables(network, plain, added, removed):
    ours, theirs = paths(network), paths(plain)
    assert bool(added or removed) == (ours != theirs)
    assert all(any(part in path for part in added) for path in ours - theirs)
    assert all(any(part in path for part in removed) for path in theirs - ours)
    for part in removed:
        assert not any(part in path for path in ours), part


@pytest.mark.parametrize(
    "kind, keyword, value, added, removed, same",
    [("config-a", *case) for case in SYNTHESIS] + [("progan", *case) for case in PROGAN_G],
)
def test_generator(kind, keyword, value, added, removed, same):
    plain, latents = make_growing_g(kind), normal(2, 8)
    G = with_variables_of(make_growing_g(kind, **{keyword: value}), plain)
    check_variables(G, plain, added, removed)
    unused = ["ToRGB_lod1", "ToRGB_lod2", *(["G_mapping"] if keyword == "use_styles" else [])]
    images = run_and_check_gradients(G, lambda: draw(G, latents), unused)
    assert images.shape == [2, 16, 16, 3]
    error = relative_error(images, draw(plain, latents))
    assert error < 1e-5 if same else error > 1e-3, error


def test_without_styles_w_is_one_layer_wide():
    G, latents = make_growing_g("config-a", use_styles=False, const_input_layer=False), normal(2, 8)
    assert G.num_layers == 1
    assert G.mapping(latents).shape == [2, 1, 8]
    assert_close(G.training_dlatents(latents, seed=[0, 0]), G.mapping(latents), 0)  # nothing to mix
    images = draw(G, latents)
    assert np.abs(images[0] - images[1]).max() > 1e-2, "the dense layer brings w in"
    constant = draw(make_growing_g("config-a", use_styles=False), latents)
    assert_close(constant[0], constant[1], 1e-6)


def test_noise_keyword_and_noise_mode_are_one():
    plain, latents = make_growing_g("config-a"), normal(2, 8)
    G = with_variables_of(make_growing_g("config-a", use_noise=False), plain)
    assert_close(draw(G, latents), draw(plain, latents, noise_mode="none"), 0)
    assert_close(draw(G, latents, noise_mode="random"), draw(G, latents), 0)


def test_epsilon_of_pixel_norm():
    """`x / √(mean x² + epsilon)` of the latents comes first; a tiny latent shows it."""
    for epsilon in (1e-8, 0.5):
        G, z = make_growing_g("progan", pixelnorm_epsilon=epsilon), normal(1, 8)
        scaled = z / np.sqrt(np.mean(np.square(z)) + epsilon)
        plain = with_variables_of(make_growing_g("progan", pixelnorm_epsilon=epsilon, normalize_latents=False), G)
        assert_close(G(z), plain(scaled), 1e-5)


# as SYNTHESIS; a change of the input width of 4x4/Conv keeps the names
STYLEGAN1_D = [
    ("nonlinearity", "relu", (), (), False),
    ("use_wscale", False, (), (), False),
    ("mbstd_group_size", 2, (), (), False),
    ("mbstd_group_size", 0, (), (), False),
    ("mbstd_group_size", 1, (), (), False),
    ("mbstd_num_features", 4, (), (), False),
    ("fused_scale", "auto", (), (), True),
    ("fused_scale", False, (), (), True),
    ("fused_scale", True, (), (), True),  # going down, fused is only faster
    ("blur_filter", None, (), (), False),
    ("blur_filter", [2, 4, 2], (), (), True),
    *((*structure, (), (), True) for structure in EVERY_STRUCTURE),
]
REVISED_D = [
    ("resample_kernel", None, (), (), False),
    ("resample_kernel", [2, 6, 6, 2], (), (), True),
    *(case for case in STYLEGAN1_D if case[0] in ("nonlinearity", "mbstd_group_size", "mbstd_num_features")),
    *((*structure, (), (), True) for structure in EVERY_STRUCTURE),
]
PROGAN_D = [
    ("use_wscale", False, (), (), False),
    ("mbstd_group_size", 2, (), (), False),
    ("mbstd_group_size", 0, (), (), False),
    ("fused_scale", False, ("/Conv1/",), ("/Conv1_down/",), False),
    *((*structure, (), (), True) for structure in [*EVERY_STRUCTURE, ("structure", None)]),
]


@pytest.mark.parametrize(
    "kind, keyword, value, added, removed, same",
    [("config-a", *case) for case in STYLEGAN1_D]
    + [("config-d", *case) for case in REVISED_D]
    + [("progan", *case) for case in PROGAN_D],
)
def test_discriminator(kind, keyword, value, added, removed, same):
    plain, images = make_growing_d(kind), normal(4, 16, 16, 3)
    D = with_variables_of(make_growing_d(kind, **{keyword: value}), plain)
    check_variables(D, plain, added, removed)
    scores = run_and_check_gradients(D, lambda: D(images), ["FromRGB_lod1", "FromRGB_lod2"])
    assert scores.shape == [4, 1]
    features = 4 if keyword == "mbstd_num_features" else int(keyword != "mbstd_group_size" or value > 1)
    assert D.head.conv.weight.shape[2] == 8 + features
    error = relative_error(scores, plain(images))
    assert error < 1e-5 if same else error > 1e-4, error


@pytest.mark.parametrize("kind", GROWING)
def test_numbers_of_channels(kind):
    shapes = {v.path: tuple(v.shape) for v in make_growing_d(kind, fmap_base=64, fmap_max=16).variables}
    assert shapes["D/FromRGB_lod0/weight"] == (1, 1, 3, 8)
    assert shapes["D/FromRGB_lod2/weight"] == (1, 1, 3, 16)
    assert shapes["D/16x16/Conv0/weight"] == (3, 3, 8, 8)
    assert shapes["D/8x8/Conv1_down/weight"] == (3, 3, 16, 16)
    shapes = {v.path: tuple(v.shape) for v in make_growing_g(kind, fmap_base=64, fmap_max=16).variables}
    scope = "G" if kind == "progan" else "G/G_synthesis"
    assert shapes[f"{scope}/8x8/Conv0_up/weight"] == (3, 3, 16, 16)
    assert shapes[f"{scope}/16x16/Conv0_up/weight"] == (3, 3, 16, 8)
    assert shapes[f"{scope}/ToRGB_lod0/weight"] == (1, 1, 8, 3)
    assert shapes[f"{scope}/ToRGB_lod2/weight"] == (1, 1, 16, 3)
