"""Real files of the original through Keras networks and back, and what other readers expect of the files we write."""

import dataclasses
import tracemalloc
import warnings

import numpy as np
import pytest
from helpers import GOLDEN, assert_close, golden, nchw_to_nhwc, nhwc_to_nchw
from legacy.torch_files import read_tree, zip_layout
from network_helpers import make_d, make_g, randomise

import tf_stylegan
from tf_stylegan.errors import UserError
from tf_stylegan.images import to_uint8
from tf_stylegan.legacy import export, npz_io, pickle_io, reading
from tf_stylegan.legacy.names import get_variables
from tf_stylegan.legacy.networks import network_from_record, record_from_network
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.registry import build_network
from tf_stylegan.pictures.painter import Painter

pytestmark = pytest.mark.usefixtures("impl")  # TensorFlow's own operations, and the compiled ones

# file -> labels, architectures of G and D, layers of the mapping network
FILES = {
    "stylegan2-config-f": (0, "skip", "resnet", 8),
    "stylegan2-config-e-Gresnet-Dskip-cond": (3, "resnet", "skip", 8),
    "stylegan2-ada": (0, "skip", "resnet", 8),
    "stylegan2-ada-clamped": (0, "skip", "resnet", 8),
    "stylegan2-ada-cond": (3, "skip", "resnet", 2),
    "stylegan2-ada-cond-dmap": (3, "resnet", "resnet", 2),
}


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
    labels, *architectures, layers = FILES[name]
    assert G.label_size == D.label_size == Gs.label_size == labels
    assert [G.synthesis.architecture, D.architecture] == architectures
    assert len(G.mapping.dense) == layers
    assert G.is_ada == ("ada" in name) and D.keywords["embed_labels"] == G.is_ada
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


def test_style_mixes(file):
    # Rows are seeds 1 and 2, columns 3 and 4 with the styles 0 to 2 of the rows' pictures replaced by the columns'.
    _, (_, _, Gs), data = file
    latents = np.concatenate([np.random.RandomState(seed).randn(1, Gs.latent_size) for seed in (1, 2, 3, 4)])
    w = Gs.truncate(Gs.mapping(latents.astype(np.float32)), 0.7).numpy()
    mixes = [np.concatenate([w[column][:3], w[row][3:]]) for row in (0, 1) for column in (2, 3)]
    images = to_uint8(Gs.synthesize(np.stack(mixes), noise_mode="const").numpy())
    assert np.abs(images.astype(int) - data["style_mixing"]).max() <= 1


@pytest.mark.parametrize("variant, psi", [("psi05", 0.5), ("psi1", 1.0), ("default", None)])
def test_images_of_seeds(file, variant, psi):
    _, (_, _, Gs), data = file
    drawn = dict(Painter(Gs, psi, class_index=1 if Gs.label_size else None).seed_pictures(list(data["seeds"])))
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


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"mapping_lrmul": 0}, "mapping_lrmul must be a finite number above 0, got 0"),
        ({"fmap_decay": -1e300}, "fmap_decay must be a finite number above -1"),
        ({"fmap_max": 10**11}, "fmap_max must be a whole number from 1 to 16384, got 100000000000"),
        ({"mapping_fmaps": 10**11}, "mapping_fmaps must be a whole number from 1 to 16384"),
        ({"label_size": -1}, "label_size must be a whole number from 0 to"),
        ({"num_channels": "x"}, "num_channels must be a whole number"),
        ({"resample_kernel": "abc"}, "resample_kernel must be up to 32 numbers"),
        ({"resample_kernel": [1, -1]}, "whose sum is not 0"),
        ({"resample_kernel": [[1, 2], [3]]}, "resample_kernel must be"),
        ({"truncation_psi": float("nan")}, "truncation_psi must be a finite number, got nan"),
        ({"truncation_cutoff": "x"}, "truncation_cutoff must be a whole number"),
        ({"nonlinearity": "os.system"}, "nonlinearity must be one of linear, relu"),
        ({"conv_clamp": -1}, "conv_clamp must be a finite number above 0"),
    ],
    ids=str,
)
def test_keywords_that_cannot_be(keywords, message):
    record = record_from_network(make_g())
    record = dataclasses.replace(record, static_kwargs={**record.static_kwargs, **keywords})
    with pytest.raises(UserError, match=f"^x.pkl: .*{message}"):
        network_from_record(record, "x.pkl")


def test_numbers_that_are_not_finite_are_told():
    record = record_from_network(make_g())
    broken = {**record.variables, "dlatent_avg": record.variables["dlatent_avg"] * np.nan}
    with pytest.warns(UserWarning, match="x.pkl: G has numbers that are not finite in dlatent_avg: it is damaged"):
        network_from_record(dataclasses.replace(record, variables=broken), "x.pkl")


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


def test_a_file_that_fails_names_its_unknown_keywords():
    record = record_from_network(make_g())
    strange = {**record.static_kwargs, "res_log2": 4, "fmap_max": 0}
    with pytest.raises(UserError, match=r"^x.pkl: fmap_max must be .*; its keywords res_log2 are not known here$"):
        network_from_record(dataclasses.replace(record, static_kwargs=strange), "x.pkl")


def test_thousands_of_foreign_variables_are_a_short_line():
    record = record_from_network(make_d(resolution=4))
    strange = {f"foreign\x1b[2J/{'x' * 150}{i}": np.zeros(1) for i in range(5000)}
    with pytest.raises(UserError, match=r"left over: foreign\\x1b\[2J/xxx.* and 4988 more$") as caught:
        network_from_record(dataclasses.replace(record, variables={**record.variables, **strange}))
    assert len(str(caught.value)) < 1500 and "\x1b" not in str(caught.value)
    other = {name: np.zeros(7) for name in record_from_network(make_g()).all_variables()}
    with pytest.raises(UserError, match=r" and \d+ more") as caught:
        network_from_record(dataclasses.replace(record_from_network(make_g()), variables=other, components={}))
    assert len(str(caught.value)) < 2000


def test_warnings_do_not_command_the_terminal():
    record = record_from_network(make_g())
    strange = {f"a\x1b]0;title\x07{i}{'x' * 500}": 0 for i in range(1000)}
    strange = dataclasses.replace(record, name="G\x9b31m", static_kwargs={**record.static_kwargs, **strange})
    with pytest.warns(UserWarning, match="keywords this version does not know") as caught:
        network_from_record(strange, "x.pkl")
    message = str(caught[0].message)
    assert message.isprintable() and len(message) < 1500
    assert r"a\x1b]0;title\x07" in message and message.endswith(" and 988 more")


def test_an_average_that_a_file_does_not_have(tmp_path):
    """rosinality's checkpoints of a training have none, and truncation toward zero is no truncation."""
    path = GOLDEN / "pickles/rosinality.pt"
    tree = read_tree(path)
    del tree["latent_avg"]
    (tmp_path / "training.pt").write_bytes(zip_layout(tree))
    with pytest.warns(UserWarning, match="get the mean of 4096 mapped latents instead"):
        Gs = tf_stylegan.load_generator(tmp_path / "training.pt")
    w = Gs.mapping(np.random.RandomState(7).randn(20_000, Gs.latent_size))[:, 0].numpy()
    spread = np.abs(w - w.mean(0)).mean()
    assert np.abs(Gs.w_avg - w.mean(0)).max() < 0.1 * spread < np.abs(w.mean(0)).max()
    with pytest.warns(UserWarning, match="4096"):
        again = tf_stylegan.load_generator(tmp_path / "training.pt", precision="bfloat16")
    np.testing.assert_array_equal(again.w_avg, Gs.w_avg)  # of a fixed seed
    whole = pickle_io.read(path)[-1].variables["dlatent_avg"]
    np.testing.assert_array_equal(tf_stylegan.load_generator(path).w_avg, whole)
    tf_stylegan.save_networks(tmp_path / "saved.pkl", Gs)
    np.testing.assert_array_equal(tf_stylegan.load_generator(tmp_path / "saved.pkl").w_avg, Gs.w_avg)


def test_an_average_of_labelled_latents():
    record = pickle_io.read(GOLDEN / "pickles/torch-ada-cond.pkl")[-1]
    zeros = np.zeros_like(record.variables["dlatent_avg"])
    Gs = network_from_record(dataclasses.replace(record, variables={"dlatent_avg": zeros}))
    latents, labels = np.random.RandomState(7).randn(30_000, Gs.latent_size), np.eye(3)[np.arange(30_000) % 3]
    w = Gs.mapping(latents, labels)[:, 0].numpy()
    assert np.abs(Gs.w_avg - w.mean(0)).max() < 0.1 * np.abs(w - w.mean(0)).mean()


def test_a_network_alone_is_saved_too(tmp_path):
    D = make_d(resolution=4)
    tf_stylegan.save_networks(tmp_path / "d.pkl", D)
    (again,) = tf_stylegan.load_networks(tmp_path / "d.pkl")
    assert_same_variables([get_variables(again)], [get_variables(D)])


def test_which_generator_is_drawn_with(tmp_path):
    G, D, Gs = pickle_io.read(GOLDEN / "pickles/stylegan2-config-f.pkl")
    other = dataclasses.replace(G, name="G2")
    for records, name in (([G, D, Gs], "Gs"), ([Gs, D, G], "Gs"), ([G, D, other], "G2"), ([G, D], "G")):
        assert reading.choose_generator(records).name == name
        pickle_io.write(tmp_path / "x.pkl", records)
        assert tf_stylegan.load_generator(tmp_path / "x.pkl").name == name
    assert reading.choose_generator([D]) is None
    pickle_io.write(tmp_path / "x.pkl", D)
    with pytest.raises(UserError, match=r"x.pkl holds no generator, only D \(D_stylegan2\)$"):
        tf_stylegan.load_generator(tmp_path / "x.pkl")


def test_a_file_of_another_kind_says_so():
    with pytest.raises(UserError, match=r"nowhere.pkl: No such file"):
        tf_stylegan.load_networks("nowhere.pkl")


def test_only_one_network():
    path = GOLDEN / "pickles/stylegan2-ada.pkl"
    Gs = tf_stylegan.load_networks(path, only="Gs")
    assert Gs.name == "Gs"
    assert_same_variables([get_variables(Gs)], [pickle_io.read(path)[2].all_variables()])
    with pytest.raises(UserError, match=r"holds no network named 'G_ema', only G, D, Gs$"):
        tf_stylegan.load_networks(path, only="G_ema")


def test_what_a_file_says_of_a_network_is_kept(file, tmp_path):
    """Source text, version, inputs and outputs go out as they came in, with what the networks have learned since."""
    name, _, _ = file
    records = pickle_io.read(GOLDEN / "pickles" / f"{name}.pkl")
    text = "def G_main(): pass  # somebody's own text, kept to the letter\n"
    parts = [
        {key: dataclasses.replace(part, source=text + key) for key, part in record.components.items()}
        for record in records
    ]
    records = [dataclasses.replace(r, source=text, components=c) for r, c in zip(records, parts)]
    records[1] = dataclasses.replace(records[1], static_kwargs={**records[1].static_kwargs, "freeze_layers": 1})
    pickle_io.write(tmp_path / "in.pkl", records)
    networks = tf_stylegan.load_networks(tmp_path / "in.pkl")
    for variable in networks[2].variables:
        variable.assign(variable + 1)
    tf_stylegan.save_networks(tmp_path / "out.pkl", networks)
    saved = pickle_io.read(tmp_path / "out.pkl")
    for old, new in zip(records, saved, strict=True):
        assert (new.version, new.source, new.extra, new.func) == (old.version, text, old.extra, old.func)
        assert new.static_kwargs.items() >= old.static_kwargs.items()
        assert [part.source for part in new.components.values()] == [text + key for key in old.components]
        assert list(new.variables) == list(old.variables)
        change = 1 if new.name == "Gs" else 0
        for key, array in old.all_variables().items():
            np.testing.assert_array_equal(new.all_variables()[key], array + np.float32(change))


def test_what_a_file_only_claims_is_not_allocated():
    """Shapes are compared before there is any memory for them."""
    record = record_from_network(make_g())
    huge = {"fmap_base": 1 << 40, "fmap_max": 1 << 14, "latent_size": 1 << 14, "resolution": 1024}
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"do not fit network G: missing: .*left over|the network has"):
            network_from_record(dataclasses.replace(record, static_kwargs={**record.static_kwargs, **huge}))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_comparison_methods_of_ada(tmp_path):
    keywords = {"resolution": 16, "fmap_base": 64, "fmap_max": 8, "use_spectral_norm": True, "use_pagan": True}
    D = randomise(build_network("D_main", name="D", pagan_num=3, score_max=4, **keywords))
    tf_stylegan.save_networks(tmp_path / "d.pkl", [D])
    (record,) = pickle_io.read(tmp_path / "d.pkl")
    assert {"16x16/Conv0/weight_sn", "16x16/FromRGB/PAGAN/weight"} <= record.variables.keys()
    (loaded,) = tf_stylegan.load_networks(tmp_path / "d.pkl")
    assert loaded.get_config() == D.get_config()
    images = np.ones([2, 16, 16, 3], np.float32)
    assert_close(loaded(images), D(images), 0)


def test_files_of_other_formats_open_too(file, tmp_path):
    """What tools/convert_pickle.py writes, and addresses."""
    name, (_, _, Gs), _ = file
    path = GOLDEN / "pickles" / f"{name}.pkl"
    npz_io.write(tmp_path / "networks.npz", pickle_io.read(path))
    export.write_keras(tmp_path / "Gs.keras", Gs)
    opened = [
        tf_stylegan.load_networks(f"file://{path}", only="Gs"),
        tf_stylegan.load_networks(tmp_path / "networks.npz", only="Gs"),
        *tf_stylegan.load_networks(tmp_path / "Gs.keras"),
    ]
    for network in opened:
        assert_same_variables([get_variables(network)], [get_variables(Gs)])
        assert full_config(network) == full_config(Gs)
