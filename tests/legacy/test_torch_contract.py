"""What stylegan2-ada-pytorch's legacy.py asks of a file before it loads it: keywords, version, names, shapes."""

import pytest

import tf_stylegan
from tf_stylegan.config import Options, resolve
from tf_stylegan.legacy import pickle_io
from tf_stylegan.networks.registry import build_network

# What stylegan2-ada-pytorch's legacy.py knows; any other keyword makes it refuse the file.
G_KEYWORDS = {
    *("latent_size", "label_size", "dlatent_size", "resolution", "num_channels"),
    *("mapping_layers", "label_fmaps", "mapping_fmaps", "mapping_nonlinearity", "mapping_lrmul"),
    *("w_avg_beta", "fmap_base", "fmap_max", "num_fp16_res", "conv_clamp"),
    *("architecture", "resample_kernel", "use_noise", "nonlinearity", "truncation_psi"),
    *("truncation_cutoff", "style_mixing_prob", "structure"),
}
D_KEYWORDS = {
    *("label_size", "resolution", "num_channels", "architecture", "fmap_base"),
    *("fmap_max", "num_fp16_res", "conv_clamp", "mapping_fmaps", "nonlinearity"),
    *("resample_kernel", "freeze_layers", "mapping_layers", "mapping_lrmul", "mbstd_group_size"),
    *("mbstd_num_features", "structure"),
}


def expected_g(resolution, nf, w, layers, architecture):
    """Names through the keys of the components, and shapes: spec C5 of an unconditional generator."""
    shapes = {"dlatent_avg": (w,), "lod": ()}
    for i in range(layers):
        shapes |= {f"mapping/Dense{i}/weight": (w, w), f"mapping/Dense{i}/bias": (w,)}

    def modulated(scope, size, inputs, outputs):
        names = {"weight": (size, size, inputs, outputs), "mod_weight": (w, inputs), "mod_bias": (inputs,)}
        names["bias"] = (outputs,)
        if size == 3:
            names["noise_strength"] = ()
        shapes.update({f"synthesis/{scope}/{name}": shape for name, shape in names.items()})

    shapes["synthesis/4x4/Const/const"] = (1, nf[4], 4, 4)
    shapes["synthesis/noise0"] = (1, 1, 4, 4)
    modulated("4x4/Conv", 3, nf[4], nf[4])
    res, i = 4, 1
    while True:
        if architecture == "skip" or res == resolution:
            modulated(f"{res}x{res}/ToRGB", 1, nf[res], 3)
        if res == resolution:
            return shapes
        res *= 2
        modulated(f"{res}x{res}/Conv0_up", 3, nf[res // 2], nf[res])
        modulated(f"{res}x{res}/Conv1", 3, nf[res], nf[res])
        if architecture == "resnet":
            shapes[f"synthesis/{res}x{res}/Skip/weight"] = (1, 1, nf[res // 2], nf[res])
        for _ in range(2):
            shapes[f"synthesis/noise{i}"] = (1, 1, res, res)
            i += 1


def expected_d(resolution, nf, architecture):
    shapes = {}

    def layer(scope, *shape):
        shapes.update({f"{scope}/weight": shape, f"{scope}/bias": shape[-1:]})

    res = resolution
    while res >= 4:
        if architecture == "skip" or res == resolution:
            layer(f"{res}x{res}/FromRGB", 1, 1, 3, nf[res])
        if res > 4:
            layer(f"{res}x{res}/Conv0", 3, 3, nf[res], nf[res])
            layer(f"{res}x{res}/Conv1_down", 3, 3, nf[res], nf[res // 2])
            if architecture == "resnet":
                shapes[f"{res}x{res}/Skip/weight"] = (1, 1, nf[res], nf[res // 2])
        res //= 2
    layer("4x4/Conv", 3, 3, nf[4] + 1, nf[4])
    layer("4x4/Dense0", nf[4] * 16, nf[4])
    layer("Output", nf[4], 1)
    return shapes


def collect(record, prefix=""):
    """Variables as legacy.py names them: through the keys of the components."""
    found = {f"{prefix}{name}": array for name, array in record.variables.items()}
    for key, component in record.components.items():
        found |= collect(component, f"{prefix}{key}/")
    return found


@pytest.mark.parametrize("config", ["config-f", "config-e", "config-e-Gorig-Dorig", "config-e-Gresnet-Dskip"])
def test_contract_with_stylegan2_ada_pytorch(config, tmp_path):
    options = Options(
        data_dir="", dataset="", config=config, fmap_base=256, fmap_max=24, latent_size=16, mapping_layers=3
    )
    made = resolve(options, resolution=32, num_channels=3, label_size=0)
    networks = [
        build_network("G_main", name="G", **made.G_kwargs),
        build_network("D_stylegan2", name="D", **made.D_kwargs),
        build_network("G_main", name="Gs", **made.G_kwargs),
    ]
    path = tmp_path / "network-snapshot-000000.pkl"
    tf_stylegan.save_networks(path, networks)
    G, D, Gs = pickle_io.read(path)
    assert [(n.name, n.func) for n in (G, D, Gs)] == [("G", "G_main"), ("D", "D_stylegan2"), ("Gs", "G_main")]

    for network, known in ((G, G_KEYWORDS), (D, D_KEYWORDS), (Gs, G_KEYWORDS)):
        assert set(network.static_kwargs) <= known
        everything = [network, *network.components.values()]
        assert {record.version for record in everything} == {4}
        assert {record.class_path for record in everything} == {"dnnlib.tflib.network.Network"}
        for record in everything:
            assert all(line.startswith("#") for line in record.source.splitlines()), "originals execute this text"
        assert network.static_kwargs.items() >= {"resolution": 32, "num_channels": 3, "label_size": 0}.items()
        assert network.static_kwargs.items() >= {"fmap_base": 256, "fmap_max": 24}.items()
    # Where its defaults differ from the original's.
    written_g = {"latent_size": 16, "dlatent_size": 16, "mapping_fmaps": 16, "mapping_layers": 3}
    assert G.static_kwargs.items() >= {**written_g, "architecture": made.G_kwargs["architecture"]}.items()
    written_d = {"mbstd_group_size": 4, "mbstd_num_features": 1, "architecture": made.D_kwargs["architecture"]}
    assert D.static_kwargs.items() >= written_d.items()

    nf = {4: 24, 8: 24, 16: 24, 32: 16}  # min(256 / 2^(log2 res − 1), 24)
    for network in (G, Gs):
        assert set(network.components) == {"synthesis", "mapping"}
        found = {name: array.shape for name, array in collect(network).items()}
        assert found == expected_g(32, nf, 16, 3, made.G_kwargs["architecture"])
    found = {name: array.shape for name, array in collect(D).items()}
    assert found == expected_d(32, nf, made.D_kwargs["architecture"])
    assert not D.components


@pytest.mark.parametrize("labels", [0, 3])
def test_contract_of_ada(labels, tmp_path):
    """Networks of StyleGAN2-ADA made here, not read from a file: version 5, its functions, no unknown keyword."""
    sizes = {"resolution": 16, "num_channels": 3, "label_size": labels, "fmap_base": 256, "fmap_max": 24}
    sizes |= {"conv_clamp": 256, "mapping_layers": 2}
    latents = {"latent_size": 16, "dlatent_size": 16, "synthesis_func": "G_synthesis"}
    networks = [
        build_network("G_main", name="G", **sizes, **latents),
        build_network("D_main", name="D", **sizes),
        build_network("G_main", name="Gs", **sizes, **latents),
    ]
    path = tmp_path / "ada.pkl"
    tf_stylegan.save_networks(path, networks)
    G, D, _ = pickle_io.read(path)
    assert (G.func, D.func) == ("G_main", "D_main")
    assert {name: part.func for name, part in G.components.items()} == {
        "synthesis": "G_synthesis",
        "mapping": "G_mapping",
    }
    assert {record.version for record in (G, D, *G.components.values())} == {5}
    assert set(G.static_kwargs) <= G_KEYWORDS and set(D.static_kwargs) <= D_KEYWORDS
    assert D.static_kwargs["mbstd_group_size"] is None and D.static_kwargs["mapping_layers"] == 2
    assert G.static_kwargs["mapping_fmaps"] is None
    assert G.extra == {
        "input_names": ["latents_in", "labels_in"],
        "output_names": ["images_out"],
        "input_shapes": [[None, 16], [None, labels]],
        "output_shapes": [[None, 3, 16, 16]],
    }
    assert G.components["synthesis"].extra["input_shapes"] == [[None, 6, 16]]
    assert G.components["mapping"].extra["output_shapes"] == [[None, 6, 16]]
    assert D.extra["input_shapes"] == [[None, 3, 16, 16], [None, labels]]
    assert "lod" not in G.variables
    found = {name: array.shape for name, array in {**collect(G), **collect(D)}.items()}
    embedded = {"mapping/LabelEmbed/weight": (3, 16), "LabelEmbed/weight": (3, 24), "Mapping1/bias": (24,)}
    assert (found.items() >= embedded.items()) == bool(labels)
