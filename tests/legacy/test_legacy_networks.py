"""Real files of the original through Keras networks and back, and what other readers expect of the files we write."""

import dataclasses
import warnings

import numpy as np
import pytest
from helpers import GOLDEN, assert_close, golden, nchw_to_nhwc, nhwc_to_nchw
from network_helpers import make_d, make_g

import tf_stylegan
from tf_stylegan.errors import UserError
from tf_stylegan.generate import seed_images
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.names import get_variables
from tf_stylegan.legacy.networks import network_from_record, record_from_network
from tf_stylegan.networks.generator import Generator

FILES = ["stylegan2-config-f", "stylegan2-config-e-Gresnet-Dskip-cond"]


@pytest.fixture(scope="module", params=FILES)
def file(request):
    """(name, (G, D, Gs), what was recorded of them)."""
    networks = tf_stylegan.load_networks(GOLDEN / "pickles" / f"{request.param}.pkl")
    return request.param, networks, golden(f"pickles/{request.param}")


def one_hot(network, index, count):
    """Labels of one class; `[count, 0]` where the network takes none."""
    labels = np.zeros([count, network.label_size], np.float32)
    labels[:, index : index + 1] = 1
    return labels


def full_config(network):
    """All keywords of a network, those of a generator's parts included, at their defaults too."""
    parts = [network.mapping.get_config(), network.synthesis.get_config()] if isinstance(network, Generator) else []
    own = ("truncation_psi", "truncation_cutoff", "dlatent_avg_beta", "style_mixing_prob")
    return [{name: getattr(network, name) for name in own}, *parts] if parts else [network.get_config()]


def test_kinds_and_names(file):
    name, (G, D, Gs), _ = file
    assert [network.name for network in (G, D, Gs)] == ["G", "D", "Gs"]
    assert G.label_size == D.label_size == Gs.label_size == (3 if name.endswith("cond") else 0)
    kinds = ("resnet", "skip") if name.endswith("cond") else ("skip", "resnet")
    assert (G.synthesis.architecture, D.architecture) == kinds
    assert not np.array_equal(G.synthesis.blocks[0].const.const, Gs.synthesis.blocks[0].const.const)


def test_scores(file):
    _, (_, D, _), data = file
    images = nchw_to_nhwc(data["D_input"])
    assert_close(D(images, one_hot(D, 0, len(images))), data["D_scores"], 1e-4)


def test_images_of_the_stored_noise(file):
    _, (_, _, Gs), data = file
    latents = np.random.RandomState(5).randn(2, Gs.latent_size).astype(np.float32)
    images = Gs(latents, one_hot(Gs, 1, 2), truncation_psi=0.7, noise_mode="const")
    assert_close(nhwc_to_nchw(images), data["stored_noise_psi07"], 1e-4)


@pytest.mark.parametrize("variant, psi", [("psi05", 0.5), ("psi1", 1.0), ("default", None)])
def test_images_of_seeds(file, variant, psi):
    _, (_, _, Gs), data = file
    drawn = dict(seed_images(Gs, list(data["seeds"]), psi, class_index=1 if Gs.label_size else None))
    assert list(drawn) == list(data["seeds"])
    difference = np.stack(list(drawn.values())).astype(int) - data[f"images_{variant}"]
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.01  # where the last bit decides which way a number is cut off


def variables_of(records):
    return [record.all_variables() for record in records]


def assert_same_variables(actual, expected):
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected):
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            assert ours[name].dtype == np.float32
            np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_saving_keeps_every_bit(file, tmp_path):
    name, networks, _ = file
    path = tmp_path / "saved.pkl"
    tf_stylegan.save_networks(path, networks)
    original, saved = (pickle_io.read(p) for p in (GOLDEN / "pickles" / f"{name}.pkl", path))
    assert_same_variables(variables_of(saved), variables_of(original))
    again = tf_stylegan.load_networks(path)
    assert_same_variables([get_variables(n) for n in again], [get_variables(n) for n in networks])
    assert [full_config(n) for n in again] == [full_config(n) for n in networks]
    second = tmp_path / "again.pkl"
    tf_stylegan.save_networks(second, again)
    assert second.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "keywords",
    [
        {"truncation_psi": 0.7, "truncation_cutoff": 3, "style_mixing_prob": None, "dlatent_avg_beta": 0.9},
        {"label_size": 2, "num_channels": 1, "architecture": "orig", "normalize_latents": False},
        {"fmap_min": 2, "fmap_decay": 0.9, "nonlinearity": "relu", "resample_kernel": [1, 2, 1], "mapping_lrmul": 0.1},
    ],
)
def test_keywords_survive(keywords, tmp_path):
    G = make_g(**keywords)
    tf_stylegan.save_networks(tmp_path / "g.pkl", [G])
    (loaded,) = tf_stylegan.load_networks(tmp_path / "g.pkl")
    assert {key: loaded.get_config()[key] for key in keywords} == keywords
    assert_same_variables([get_variables(loaded)], [get_variables(G)])
    latents = np.ones([2, 8], np.float32)
    assert_close(loaded(latents, noise_mode="const"), G(latents, noise_mode="const"), 0)


def test_variables_that_do_not_fit():
    record = record_from_network(make_d(num_channels=1, resolution=4))
    variables = dict(record.variables)
    del variables["4x4/Conv/bias"], variables["Output/weight"]
    variables |= {"4x4/Extra/weight": np.zeros(3), "PAGAN/bias": np.zeros(1), "Output/bias": np.zeros(7)}
    with pytest.raises(UserError) as caught:
        network_from_record(dataclasses.replace(record, variables=variables), "some.pkl")
    message = str(caught.value)
    assert message.startswith("some.pkl: the variables do not fit network D: ")
    assert "missing: 4x4/Conv/bias, Output/weight;" in message
    assert "left over: 4x4/Extra/weight, PAGAN/bias;" in message
    assert "Output/bias is [7], the network has [1]" in message
    assert len(message.splitlines()) == 1


def test_variables_of_parts_that_do_not_fit():
    record = record_from_network(make_g())
    mapping = record.components["mapping"]
    fewer = {name: array for name, array in mapping.variables.items() if not name.startswith("Dense1")}
    broken = {**record.components, "mapping": dataclasses.replace(mapping, variables=fewer)}
    with pytest.raises(UserError, match="missing: G_mapping/Dense1/bias, G_mapping/Dense1/weight"):
        network_from_record(dataclasses.replace(record, components=broken))


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"func": "training.networks_dream.G_dream"},
            "^x.pkl: G is a network of kind 'training.networks_dream.G_dream'",
        ),
        ({"name": "a/b"}, "^x.pkl: "),
        ({"static_kwargs": {"resolution": "big"}}, "^x.pkl: "),
        ({"static_kwargs": {"resolution": [16]}}, "^x.pkl: "),
        ({"static_kwargs": {"resolution": 17}}, "^x.pkl: resolution must be a power of two from 4 to 1024, got 17"),
        ({"static_kwargs": {"latent_size": "x"}}, "^x.pkl: "),
        (
            {"static_kwargs": {"architecture": "unet"}},
            "^x.pkl: architecture must be one of orig, skip, resnet; got 'unet'",
        ),
    ],
)
def test_networks_that_cannot_be_built(changes, message):
    record = dataclasses.replace(record_from_network(make_g()), **changes)
    with pytest.raises(UserError, match=message):
        network_from_record(record, "x.pkl")


def test_parts_of_an_unknown_kind():
    record = record_from_network(make_g())
    parts = {**record.components, "synthesis": dataclasses.replace(record.components["synthesis"], func="a.G_cubist")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing about keywords: they belong to the part that is not known
        with pytest.raises(UserError, match=r"^x.pkl: synthesis_func must be .*got 'G_cubist'"):
            network_from_record(dataclasses.replace(record, components=parts), "x.pkl")


def test_keywords_nobody_knows_are_named_and_left_out():
    record = record_from_network(make_g())
    strange = {**record.static_kwargs, "res_log2": 4, "min_h": 4, "is_validation": True, "truncation_psi_val": 0.3}
    with pytest.warns(UserWarning, match="x.pkl: G has keywords this version does not know: min_h, res_log2$"):
        network = network_from_record(dataclasses.replace(record, static_kwargs=strange), "x.pkl")
    assert full_config(network) == full_config(make_g())


def test_a_file_of_another_kind_says_so():
    with pytest.raises(UserError, match=r"nowhere.pkl: No such file"):
        tf_stylegan.load_networks("nowhere.pkl")
