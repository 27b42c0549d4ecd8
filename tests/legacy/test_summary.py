"""What is told of a file of networks: against the files' known facts, the networks built from them, and the papers."""

import dataclasses
import json

import numpy as np
import pytest
from helpers import GOLDEN

from tf_stylegan.config import PRESETS
from tf_stylegan.layers.core import weights_from
from tf_stylegan.legacy import networks, pickle_io
from tf_stylegan.legacy.names import to_legacy
from tf_stylegan.legacy.pickle_records import NetworkRecord
from tf_stylegan.legacy.summary import KEYWORDS, summarize
from tf_stylegan.networks.registry import NETWORKS, build_network

SMALL = "fmap_base=256, fmap_max=24, latent_size=48, dlatent_size=48"
ADA = "its own: fmap_base=256, mapping_layers={}, mbstd_group_size=4, D architecture=resnet"
TF = "(TensorFlow pickle version {})"

# file: (generation, config, resolution, channels, labels, latents, w, styles, mapping layers, networks)
EXPECTED = {
    "progan.pkl": (f"ProGAN {TF.format(2)}", None, 32, 3, 0, 24, None, None, None),
    "progan-cond.pkl": (f"ProGAN {TF.format(2)}", None, 16, 1, 3, 24, None, None, None),
    "stylegan1.pkl": (f"StyleGAN1 {TF.format(3)}", None, 32, 3, 0, 48, 48, 8, 8),
    "stylegan2-config-d.pkl": (
        f"StyleGAN2 configs b-d {TF.format(4)}",
        f"config-b or config-c or config-d, but with {SMALL}",
        *(32, 3, 0, 48, 48, 8, 8),
    ),
    "stylegan2-config-e-Gresnet-Dskip-cond.pkl": (
        f"StyleGAN2 configs e-f {TF.format(4)}",
        f"config-e-Gresnet-Dskip, but with {SMALL}",
        *(32, 3, 3, 48, 48, 8, 8),
    ),
    "stylegan2-config-f.pkl": (
        f"StyleGAN2 configs e-f {TF.format(4)}",
        f"config-e or config-f, but with {SMALL}",
        *(32, 3, 0, 48, 48, 8, 8),
    ),
    "stylegan2-ada.pkl": (f"StyleGAN2-ADA {TF.format(5)}", ADA.format(8), 32, 3, 0, 48, 48, 8, 8),
    "stylegan2-ada-clamped.pkl": (f"StyleGAN2-ADA {TF.format(5)}", ADA.format(8), 32, 3, 0, 48, 48, 8, 8),
    "stylegan2-ada-cond.pkl": (f"StyleGAN2-ADA {TF.format(5)}", ADA.format(2), 32, 3, 3, 48, 48, 8, 2),
    "torch-ada.pkl": ("StyleGAN2-ADA (stylegan2-ada-pytorch)", ADA.format(8), 32, 3, 0, 48, 48, 8, 8),
    "torch-ada-cond.pkl": ("StyleGAN2-ADA (stylegan2-ada-pytorch)", ADA.format(2), 32, 3, 3, 48, 48, 8, 2),
    "rosinality.pt": (
        "StyleGAN2 (PyTorch, a checkpoint as rosinality's)",
        f"config-e or config-f, but with {SMALL.replace('256', '384')}, mapping_layers=4",
        *(32, 3, 0, 48, 48, 8, 4),
    ),
}


def records_of(name):
    return pickle_io.read(GOLDEN / "pickles" / name)


@pytest.mark.parametrize("name", EXPECTED)
def test_facts_of_a_file(name):
    facts = summarize(records_of(name))
    generation, config, resolution, *sizes = EXPECTED[name]
    assert facts["generation"] == generation
    assert facts["config"] == config
    assert facts["resolution"] == [resolution, resolution]
    keys = ("channels", "label_size", "latent_size", "dlatent_size", "num_styles", "mapping_layers")
    assert [facts[key] for key in keys] == sizes
    assert facts["lod"] == (
        0.0 if name.split(".")[0] in ("progan", "progan-cond", "stylegan1", "stylegan2-config-d") else None
    )
    assert facts["executed"] is False
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("name", [name for name in EXPECTED if "cond" not in name])
def test_counts_are_those_of_the_networks(name):
    records = records_of(name)
    for told, network, record in zip(
        summarize(records)["networks"], networks.load_networks(GOLDEN / "pickles" / name), records
    ):
        assert told["name"] == network.name and told["func"] == record.func
        assert told["parameters"] == network.num_params()
        assert told["scalars"] == network.num_params(trainable_only=False)
        assert told["variables"] == len(network.variables)
        assert told["unknown_keywords"] == {}


def full_size(func, name, **keywords):
    """The record of a network of full size, whose arrays take no memory."""
    shapes = {}
    with weights_from(lambda path, shape: shapes.update({path.partition("/")[2]: shape})):
        network = build_network(func, name=name, **keywords)
    arrays = {key: to_legacy(key, np.broadcast_to(np.float32(0), shape)) for key, shape in shapes.items()}
    parts = {}
    for part in ("synthesis", "mapping") if func.startswith("G_") else ():
        own = {key: arrays.pop(key) for key in list(arrays) if key.startswith(f"G_{part}/")}
        own = {key.partition("/")[2]: array for key, array in own.items()}
        parts[part] = NetworkRecord(f"G_{part}", network.keywords[f"{part}_func"], variables=own)
    return NetworkRecord(name, func, static_kwargs=keywords, variables=arrays, components=parts)


COUNTS = {  # of the papers' networks at 1024x1024, generator and discriminator
    "config-a": (26_219_627, 23_087_249),
    "config-d": (24_900_764, 23_087_249),
    "config-e": (24_900_764, 24_038_161),
    "config-f": (30_370_060, 29_012_513),
    "config-e-Gorig-Dskip": (23_596_292, 23_087_249),
    "config-e-Gresnet-Dorig": (24_557_316, 23_077_137),
}


@pytest.mark.parametrize("config", COUNTS)
def test_networks_of_full_size(config):
    preset = PRESETS[config]
    own = {} if preset.fmap_base == 16 << 10 else {"fmap_base": preset.fmap_base}  # the default is left out in files
    size = {"num_channels": 3, "resolution": 1024}
    G = full_size(preset.G_func, "G", **own, **size, **preset.G_kwargs)
    D = full_size(preset.D_func, "D", **own, **size, **preset.D_kwargs)
    facts = summarize([G, D])
    assert facts["config"] == ("config-b or config-c or config-d" if config == "config-d" else config)
    assert [network["parameters"] for network in facts["networks"]] == list(COUNTS[config])
    assert (facts["resolution"], facts["num_styles"], facts["latent_size"]) == ([1024, 1024], 18, 512)


@pytest.mark.parametrize(
    "config, origin, resolution, fmap_base, layers, group, architecture",
    [
        ("stylegan2 or paper1024", "dnnlib", 1024, 16384, 8, 4, "resnet"),
        ("paper256", "dnnlib", 256, 8192, 8, 8, "resnet"),
        ("paper512", "dnnlib", 512, 16384, 8, 8, "resnet"),
        ("auto", "dnnlib", 512, 16384, 2, 4, "resnet"),
        ("auto", "dnnlib", 256, 8192, 2, 2, "resnet"),
        ("its own: fmap_base=16384, mapping_layers=2, mbstd_group_size=4, D architecture=resnet", "dnnlib", 256,
         16384, 2, 4, "resnet"),
        ("cifar", "dnnlib", 32, 8192, 2, 32, "orig"),
        ("cifarbaseline", "dnnlib", 32, 8192, 8, 32, "orig"),
        ("cifar", "stylegan2-ada-pytorch", 32, 16384, 2, 32, "orig"),
    ],
)  # fmt: skip
def test_configs_of_ada(config, origin, resolution, fmap_base, layers, group, architecture):
    size = {"resolution": resolution, "fmap_base": fmap_base}
    G = full_size("G_main", "Gs", **size, mapping_layers=layers, synthesis_func="G_synthesis")
    D = full_size("D_main", "D", **size, mbstd_group_size=group, architecture=architecture)
    assert summarize([dataclasses.replace(record, origin=origin) for record in (G, D)])["config"] == config


def test_keywords_are_those_that_the_networks_take():
    for func, cls in NETWORKS.items():
        choices = getattr(cls, "syntheses", [None])
        taken = set().union(*(networks._known_keywords(func, {"synthesis_func": choice}) for choice in choices))
        assert KEYWORDS[func] == taken | networks._RUN_TIME, func


def test_unknown_keywords_and_source_texts():
    G, D, Gs = records_of("stylegan2-config-f.pkl")
    G = dataclasses.replace(G, static_kwargs={**G.static_kwargs, "res_log2": 5, "min_h": 4}, source="x" * 40_000)
    D = dataclasses.replace(D, source="")
    facts = summarize([G, D, Gs])
    assert facts["networks"][0]["unknown_keywords"] == {"res_log2": 5, "min_h": 4}
    assert facts["networks"][0]["keywords"]["fmap_base"] == 256
    assert facts["networks"][2]["unknown_keywords"] == {}
    assert facts["source_characters"] == [40_000, len(Gs.source)]


def test_a_generator_or_a_discriminator_alone():
    _, D, Gs = records_of("stylegan2-config-f.pkl")
    assert summarize([Gs])["config"] == f"config-e or config-f, but with {SMALL}"
    facts = summarize([D])
    assert facts["generation"] == f"StyleGAN2 configs e-f {TF.format(4)}"
    assert facts["config"] == "config-e or config-f, but with fmap_base=256, fmap_max=24"
    assert (facts["resolution"], facts["channels"], facts["num_styles"]) == ([32, 32], 3, None)


def test_networks_that_are_not_square():
    *_, Gs = records_of("stylegan2-config-f.pkl")
    synthesis = Gs.components["synthesis"]
    variables = {**synthesis.variables, "4x4/Const/const": np.zeros([1, 24, 4, 6], np.float32)}
    parts = {**Gs.components, "synthesis": dataclasses.replace(synthesis, variables=variables)}
    assert summarize([dataclasses.replace(Gs, components=parts)])["resolution"] == [48, 32]


@pytest.mark.parametrize(
    "record",
    [
        NetworkRecord("G", "G_main"),
        NetworkRecord("D", "D_paper", version=2),
        NetworkRecord("x", "training.networks_dream.dream"),
        NetworkRecord("G", "G_paper", static_kwargs={"resolution": "big", "label_size": [1]}),
        NetworkRecord(
            *("G", "G_main"),
            variables={
                **{
                    name: np.float32(0)
                    for name in ("lod", "dlatent_avg", "4x4/Const/const", "99999x99999/ToRGB/weight")
                },
                **{name: np.zeros([2, 0]) for name in ("LabelEmbed/weight", "8x8/Conv1/weight", "FromRGB_lod0/weight")},
                "Dense0/weight": np.zeros(3),
            },
        ),
    ],
)
def test_networks_of_which_little_is_known(record):
    facts = summarize([record])
    assert len(facts["networks"]) == 1 and facts["executed"] is False
    if record.func.endswith("dream"):
        assert facts["generation"] == f"unknown kind 'dream' {TF.format(4)}"
