"""Files of StyleGAN1, of StyleGAN2's config-d and of ProGAN through Keras networks and back."""

import functools

import numpy as np
import pytest
from helpers import GOLDEN, assert_close, golden, nchw_to_nhwc, nhwc_to_nchw
from network_helpers import draw, make_d, make_g, make_growing_d, make_growing_g, normal

import tf_stylegan
from tf_stylegan.errors import UserError
from tf_stylegan.images import to_uint8
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.names import get_variables, set_variables
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
from tf_stylegan.pictures.painter import Painter

pytestmark = pytest.mark.usefixtures("impl")  # TensorFlow's own operations, and the compiled ones

# file -> classes of G and D, their functions, those of G's parts
KINDS = {
    "stylegan1": (
        (GeneratorStyleGAN1, DiscriminatorStyleGAN1, MappingStyleGAN1, SynthesisStyleGAN1),
        ("G_style", "D_basic", "G_mapping", "G_synthesis"),
    ),
    "stylegan2-config-d": (
        (Generator, DiscriminatorStyleGAN, None, SynthesisStyleGANRevised),
        ("G_main", "D_stylegan", "G_mapping", "G_synthesis_stylegan_revised"),
    ),
    "progan": ((GeneratorProGAN, DiscriminatorProGAN), ("G_paper", "D_paper")),
    "progan-cond": ((GeneratorProGAN, DiscriminatorProGAN), ("G_paper", "D_paper")),
}
STYLED = ["stylegan1", "stylegan2-config-d"]


def load(name):
    return tf_stylegan.load_networks(GOLDEN / f"pickles/{name}.pkl")


def check_kinds(networks, name):
    G, D, Gs = networks
    classes = KINDS[name][0]
    assert [network.name for network in networks] == ["G", "D", "Gs"]
    assert (type(G), type(D), type(Gs)) == (classes[0], classes[1], classes[0])
    if classes[2:]:
        assert (type(G.mapping), type(G.synthesis)) == (classes[2] or type(G.mapping), classes[3])


def check_functions(records, name):
    functions = KINDS[name][1]
    assert [record.func for record in records] == [functions[0], functions[1], functions[0]]
    for record in (records[0], records[2]):
        assert {part: c.func for part, c in record.components.items()} == dict(
            zip(("mapping", "synthesis"), functions[2:])
        )


@pytest.mark.parametrize("name", STYLED)
def test_images_and_scores(name):
    networks, data = load(name), golden(f"pickles/{name}")
    check_kinds(networks, name)
    _, D, Gs = networks
    assert_close(D(nchw_to_nhwc(data["D_input"])), data["D_scores"], 1e-4)
    latents = np.random.RandomState(5).randn(2, Gs.latent_size).astype(np.float32)
    images = Gs(latents, truncation_psi=0.7, noise_mode="const")
    assert_close(nhwc_to_nchw(images), data["stored_noise_psi07"], 1e-4)
    for variant, psi in (("psi05", 0.5), ("psi1", 1.0), ("default", None)):
        drawn = dict(Painter(Gs, psi).seed_pictures(list(data["seeds"])))
        assert list(drawn) == list(data["seeds"])
        difference = np.stack(list(drawn.values())).astype(int) - data[f"images_{variant}"]
        assert np.abs(difference).max() <= 1
        assert np.mean(difference != 0) < 0.01  # where the last bit decides which way a number is cut off


@pytest.mark.parametrize("name", KINDS)
def test_saving_keeps_every_bit(name, tmp_path):
    networks = load(name)
    path = tmp_path / "saved.pkl"
    tf_stylegan.save_networks(path, networks)
    original, saved = (pickle_io.read(p) for p in (GOLDEN / f"pickles/{name}.pkl", path))
    check_functions(original, name)
    check_functions(saved, name)
    for ours, theirs in zip(saved, original):
        ours, theirs = ours.all_variables(), theirs.all_variables()
        assert ours.keys() == theirs.keys()
        for key, array in theirs.items():
            np.testing.assert_array_equal(ours[key], array, err_msg=key)
    again = tf_stylegan.load_networks(path)
    check_kinds(again, name)
    for ours, theirs in zip(again, networks):
        ours, theirs = get_variables(ours), get_variables(theirs)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in theirs)
    latents, labels = normal(2, again[2].latent_size), normal(2, again[2].label_size)
    for lod in (0, 1.3):
        assert_close(draw(again[2], latents, labels, lod=lod), draw(networks[2], latents, labels, lod=lod), 0)
    second = tmp_path / "again.pkl"
    tf_stylegan.save_networks(second, again)
    assert second.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["stylegan1", "progan"])
def test_the_source_of_a_saved_network_is_a_comment(name, tmp_path):
    """The originals execute this text."""
    tf_stylegan.save_networks(tmp_path / "saved.pkl", load(name))
    for record in pickle_io.read(tmp_path / "saved.pkl"):
        for part in (record, *record.components.values()):
            assert part.source
            assert all(line.startswith("#") for line in part.source.splitlines())


@pytest.mark.parametrize(
    "kind, keywords",
    [
        ("config-a", {"truncation_psi": 0.5, "truncation_cutoff": 3, "style_mixing_prob": None, "blur_filter": None}),
        ("config-a", {"use_styles": False, "const_input_layer": False, "use_noise": False, "fused_scale": True}),
        ("config-a", {"label_size": 2, "use_wscale": False, "use_pixel_norm": True, "use_instance_norm": False}),
        ("config-d", {"label_size": 2, "num_channels": 1, "resample_kernel": [1, 2, 1], "fmap_min": 3}),
        ("progan", {"label_size": 2, "use_pixelnorm": False, "fused_scale": False, "use_leakyrelu": False}),
    ],
)
def test_keywords_and_level_of_detail_survive(kind, keywords, tmp_path):
    G = make_growing_g(kind, **keywords)
    shared = {"label_size", "num_channels", "use_wscale", "fused_scale", "blur_filter", "resample_kernel"}
    D = make_growing_d(kind, **{key: value for key, value in keywords.items() if key in shared})
    for network in (G, D):
        network.lod.assign(0.75)
    tf_stylegan.save_networks(tmp_path / "saved.pkl", [G, D])
    loaded_G, loaded_D = tf_stylegan.load_networks(tmp_path / "saved.pkl")
    assert (type(loaded_G), type(loaded_D)) == (type(G), type(D))
    assert {key: loaded_G.get_config()[key] for key in keywords} == keywords
    assert loaded_G.lod.numpy() == loaded_D.lod.numpy() == 0.75
    latents, labels = normal(2, 8), normal(2, G.label_size)
    images = draw(G, latents, labels)
    assert_close(draw(loaded_G, latents, labels), images, 0)
    assert_close(loaded_D(images, labels), D(images, labels), 0)
    whole = draw(G, latents, labels, lod=0)
    assert np.abs(whole - images).max() > 1e-2, "the lod of the file counts"


def test_variables_of_another_generation_do_not_fit():
    a, d = make_growing_g("config-a"), make_growing_g("config-d")
    with pytest.raises(UserError, match=r"missing: .*Noise/weight.*left over: .*mod_weight"):
        set_variables(a, get_variables(d))
    with pytest.raises(UserError, match=r"unknown keyword resample_kernel; known: .*blur_filter"):
        build_network("G_style", resample_kernel=[1, 3, 3, 1], resolution=8)


@pytest.mark.parametrize("name", STYLED)
def test_style_mixes(name):
    # As in test_legacy_networks.py: rows are seeds 1 and 2, columns 3 and 4, styles 0 to 2 come from the columns.
    Gs, data = load(name)[2], golden(f"pickles/{name}")
    latents = np.concatenate([np.random.RandomState(seed).randn(1, Gs.latent_size) for seed in (1, 2, 3, 4)])
    w = Gs.truncate(Gs.mapping(latents.astype(np.float32)), 0.7, truncation_cutoff=Gs.num_layers).numpy()
    mixes = [np.concatenate([w[column][:3], w[row][3:]]) for row in (0, 1) for column in (2, 3)]
    images = to_uint8(Gs.synthesize(np.stack(mixes), noise_mode="const").numpy())
    assert np.abs(images.astype(int) - data["style_mixing"]).max() <= 1


@pytest.mark.parametrize("kind", ["config-a", "config-d", "config-f", "progan"])
def test_numbers_of_numpy_are_numbers(kind):
    """`RandomState.randn` gives float64, as all tutorials have it."""
    make = (
        (make_g, make_d)
        if kind == "config-f"
        else [functools.partial(f, kind) for f in (make_growing_g, make_growing_d)]
    )
    G, D = (f(label_size=2) for f in make)
    z, labels = np.random.RandomState(0).randn(2, G.latent_size), np.eye(2)
    images = draw(G, z, labels)
    assert_close(images, draw(G, z.astype(np.float32), labels), 0)
    assert_close(D(np.asarray(images, np.float64), labels), D(images, labels), 0)
    if kind != "progan":
        w = np.random.RandomState(1).randn(2, G.num_layers, 8)
        truncated = G.truncate(w, 0.5)
        assert_close(truncated, G.truncate(w.astype(np.float32), 0.5), 0)
        for drawn in (G.synthesis(w, noise_mode="const"), G.synthesize(np.asarray(truncated, np.float64))):
            assert drawn.shape == images.shape
