"""Networks of PyTorch's files become keywords, or the message says what no keyword expresses."""

import tracemalloc
import warnings

import numpy as np
import pytest
from helpers import golden
from legacy.test_torch_pickle import ADA, COND, FILES, GENERATOR, ROSINALITY
from legacy.torch_files import read_tree, tensor, torch_pickle, zip_layout

import tf_stylegan
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.pickle_values import CorruptPickleError
from tf_stylegan.legacy.torch_pickle import Module

pytestmark = pytest.mark.usefixtures("impl")  # TensorFlow's own operations, and the compiled ones


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_images_and_scores(path):
    networks = {network.name: network for network in tf_stylegan.load_networks(path)}
    generator, discriminator, data = networks["Gs"], networks["D"], golden(f"pickles/{path.stem}")
    latents = np.random.RandomState(5).randn(2, 48).astype(np.float32)
    size = generator.label_size
    labels, fake_labels = (np.eye(size, dtype=np.float32)[rows] if size else None for rows in ([1, 1], [0] * 4))
    names = [name for name in data if name.startswith("images")]
    assert len(names) == (2 if path == ROSINALITY else 4)
    for name in names:
        _, psi, noise_mode = name.split("_")
        images = generator(latents, labels, truncation_psi=float(psi[3:]), noise_mode=noise_mode)
        assert_near(np.moveaxis(images.numpy(), 3, 1), data[name])
    assert_near(discriminator(np.moveaxis(data["D_input"], 1, 3), fake_labels).numpy(), data["D_scores"])


def assert_near(actual, expected):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 1e-4 * np.abs(expected).max()


def parts(tree, key, pattern=""):
    """The states of a network's modules whose path starts or ends so, by path."""
    found, todo = {}, [("", tree[key])]
    while todo:
        path, part = todo.pop()
        found[path] = part.state
        todo += [(f"{path}.{name}".lstrip("."), inner) for name, inner in part.state["_modules"].items() if inner]
    return {path: state for path, state in found.items() if path.endswith(pattern)}


def test_networks_without_skips():
    tree = read_tree(ADA)
    for path, state in (*parts(tree, "G_ema").items(), *parts(tree, "D").items()):
        if "architecture" in state:
            state["architecture"] = "orig"
            state["_modules"].pop("skip", None)
            if path != "synthesis.b32":
                state["_modules"].pop("torgb", None)
    _, discriminator, average = pickle_io.parse(torch_pickle(tree))
    assert average.static_kwargs["architecture"] == discriminator.static_kwargs["architecture"] == "orig"
    names = [name for name in average.all_variables() if "ToRGB" in name]
    assert {name.split("/")[1] for name in names} == {"32x32"}
    assert not [name for name in discriminator.variables if "Skip" in name]


def test_networks_without_noise_average_and_deviation():
    tree = read_tree(ADA)
    for path, state in parts(tree, "G_ema").items():
        if path.endswith(("conv0", "conv1")):
            state["use_noise"] = False
            del state["_buffers"]["noise_const"], state["_parameters"]["noise_strength"]
    state = parts(tree, "G_ema", "mapping")["mapping"]
    state["w_avg_beta"] = None
    del state["_buffers"]["w_avg"]
    head = parts(tree, "D", "b4")["b4"]
    head["_modules"]["mbstd"] = None
    weight = head["_modules"]["conv"].state["_parameters"]["weight"]
    array = weight.array()[:, :24]
    head["_modules"]["conv"].state["_parameters"]["weight"] = tensor(array)
    head["_modules"]["conv"].state["weight_gain"] = 1 / np.sqrt(24 * 9)
    with pytest.warns(UserWarning, match="network G_ema comes without the average of w"):
        _, discriminator, average = pickle_io.parse(torch_pickle(tree))
    assert average.static_kwargs["use_noise"] is False
    assert average.components["mapping"].static_kwargs["dlatent_avg_beta"] is None
    assert not [name for name in average.all_variables() if "noise" in name]
    assert not average.variables["dlatent_avg"].any()
    assert discriminator.static_kwargs["mbstd_num_features"] == 0
    assert discriminator.variables["4x4/Conv/weight"].shape == (3, 3, 24, 24)


def test_other_keywords():
    tree = read_tree(COND)
    for path, state in parts(tree, "G_ema").items():
        if path.startswith("mapping.fc"):
            state["bias_gain"], state["activation"] = 0.1, "linear"
            state["weight_gain"] = np.float64(0.1 / np.sqrt(state["_parameters"]["weight"].shape[1]))
        if "in_features" not in state and path.endswith("affine"):
            state["in_features"] = 48  # as stylegan3 keeps it
        for name in ("conv_clamp", "fp16_channels_last"):
            if name in state:
                state[name] = 12.5
        if "use_fp16" in state:
            state["use_fp16"] = False
        if "resample_filter" in state["_buffers"] and not path.endswith("conv1"):
            kernel = np.array([1, 2, 1], "f4") / 4
            state["_buffers"]["resample_filter"] = tensor(np.outer(kernel, kernel))
    state = parts(tree, "G_ema")["mapping"]
    state["w_avg_beta"] = 0.998
    tree["G_ema"].state["_init_kwargs"]["temperature"] = 2
    parts(tree, "D", "b4.mbstd")["b4.mbstd"]["group_size"] = None
    with pytest.warns(UserWarning, match="network G_ema was made with arguments .* know: 'temperature'"):
        _, discriminator, average = pickle_io.parse(torch_pickle(tree))
    assert average.origin == "stylegan3" and discriminator.origin == "stylegan2-ada-pytorch"
    assert average.static_kwargs == {
        **GENERATOR, "label_size": 3, "mapping_layers": 2, "label_fmaps": 48, "mapping_lrmul": 0.1, "num_fp16_res": 0,
        "mapping_nonlinearity": "linear", "conv_clamp": 12.5, "resample_kernel": [1, 2, 1],
    }  # fmt: skip
    assert average.components["mapping"].static_kwargs["dlatent_avg_beta"] == 0.998
    assert discriminator.static_kwargs["mbstd_group_size"] is None


def test_single_networks_and_files_of_some():
    tree = read_tree(ADA)
    for value, names in (
        (tree["G_ema"], ["Gs"]),
        (tree["D"], ["D"]),
        ({"D": tree["D"], "G": None, "G_ema": tree["G_ema"]}, ["D", "Gs"]),
    ):
        assert [record.name for record in pickle_io.parse(torch_pickle(value))] == names
    tree["augment_pipe"] = Module("AugmentPipe", {"_buffers": {}}, "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(pickle_io.parse(torch_pickle({**tree, "training_set_kwargs": {"path": "x"}}))) == 3


def change(path, name, value):
    def apply(tree):
        parts(tree, "G_ema", path)[path][name] = value

    return apply


def change_d(path, name, value):
    def apply(tree):
        parts(tree, "D", path)[path][name] = value

    return apply


def remove(path, key, name):
    def apply(tree):
        del parts(tree, "G_ema", path)[path][key][name]

    return apply


def add(path, name, value):
    def apply(tree):
        parts(tree, "G_ema", path)[path]["_parameters"][name] = value

    return apply


def other_filter(path, array):
    def apply(tree):
        parts(tree, "G_ema", path)[path]["_buffers"]["resample_filter"] = tensor(array)

    return apply


FILTER = tensor(np.ones((4, 4), "f4"))


@pytest.mark.parametrize(
    "edit, says",
    [
        (
            change("synthesis.b8.conv0", "conv_clamp", 128),
            "conv_clamp of network G_ema is 256 in .* 128 in",
        ),
        (change("synthesis.b8.conv0", "conv_clamp", "x"), "conv_clamp of synthesis.b8.conv0 is a str"),
        (change("synthesis.b8", "architecture", "orig"), "architecture of network G_ema"),
        (change("synthesis.b8.conv1", "activation", "relu"), "activation of network G_ema is 'lrelu'"),
        (change("synthesis.b8.conv1", "act_gain", 1.0), "another gain"),
        (change("synthesis.b8.conv1", "use_noise", False), "use_noise of network"),
        (change("synthesis.b8.conv1.affine", "activation", "lrelu"), "activation of network"),
        (change("synthesis.b8.conv1.affine", "bias_gain", 0.5), "does not follow from its shape"),
        (change("synthesis.b8.torgb", "weight_gain", 0.5), "weight_gain of synthesis.b8.torgb"),
        (change("synthesis.b32", "use_fp16", False), r"computes in float16 at \[16\]"),
        (change("mapping.fc3", "bias_gain", 0.02), "weight_gain of mapping.fc3"),
        (change("mapping", "num_layers", 7), "has left over mapping.fc7.bias, mapping.fc7.weight"),
        (change("mapping", "num_layers", 9), "has no module mapping.fc8"),
        (change("mapping", "num_layers", 10**9), "num_layers of mapping is 1000000000"),
        (change("", "img_resolution", 64), "has no module synthesis.b64"),
        (change("", "img_resolution", 16), "has left over synthesis.b32.conv0"),
        (change("", "img_resolution", 48), "no power of two"),
        (change("", "img_resolution", 1 << 40), "img_resolution of network G_ema"),
        (change("", "img_resolution", "32"), "is a str"),
        (change("", "z_dim", 47), r"mapping.fc0.weight of network G_ema is \[48, 48\], which does not give"),
        (change("", "c_dim", 3), "lacks mapping.embed.bias, mapping.embed.weight"),
        (change("", "img_channels", 1), r"torgb.weight of network G_ema is \[3, 24, 1, 1\]"),
        (remove("", "_modules", "mapping"), "has no module mapping"),
        (remove("synthesis", "_modules", "b8"), "has no module synthesis.b8"),
        (
            remove("synthesis.b8.conv1", "_parameters", "bias"),
            "lacks synthesis.b8.conv1.bias and has left over no",
        ),
        (remove("mapping", "_buffers", "w_avg"), "lacks mapping.w_avg"),
        (add("synthesis.b8.conv1", "bias2", FILTER), "lacks nothing and has left over synthesis.b8.conv1.bias2"),
        (add("synthesis.b8.conv1", "weight", FILTER), "feature maps that follow no rule"),
        (add("synthesis.b16.conv0", "weight", FILTER), r"is \[4, 4\], which does not give"),
        (other_filter("synthesis.b8.conv0", np.ones((4, 4), "f4")), "is another filter than its neighbours"),
        (other_filter("synthesis.b4", np.eye(4, dtype="f4")), "rows and columns do not share"),
        (other_filter("synthesis.b4", np.zeros(4, "f4")), "its sum is 0"),
        (other_filter("synthesis.b4", np.full(4, np.nan, "f4")), "its sum is nan"),
        (other_filter("synthesis.b4", np.ones((2, 3), "f4")), r"its shape is \[2, 3\]"),
        (change_d("b4.mbstd", "group_size", 0), "group_size of b4.mbstd is out of range"),
        (change_d("b4.mbstd", "num_channels", 2), r"b4.conv.weight of network D is \[24, 25, 3, 3\]"),
        (change_d("b4.fc", "activation", "relu"), "activation of network D"),
        (change_d("b4.out", "activation", "lrelu"), "are not linear"),
        (change_d("b8.conv1", "conv_clamp", None), "conv_clamp of network D"),
        (change_d("", "img_channels", True), "is a bool"),
    ],
)
def test_networks_that_keywords_cannot_express(edit, says):
    tree = read_tree(ADA)
    tree["G"] = None
    edit(tree)
    with pytest.raises(CorruptPickleError, match=says):
        pickle_io.parse(torch_pickle(tree))


def test_checkpoints_with_wrong_names():
    for edit, says in (
        (lambda state: state.pop("convs.1.conv.weight"), "lacks convs.1.conv.weight and has left over nothing"),
        (lambda state: state.pop("convs.0.conv.blur.kernel"), "lacks convs.0.conv.blur.kernel"),
        (lambda state: state.update(extra=FILTER), "lacks nothing and has left over extra"),
        (lambda state: state.pop("to_rgbs.0.bias"), "has left over"),
        (lambda state: state.update({"style.1.weight": FILTER}), r"is \[4, 4\]|does not give"),
        (lambda state: state.update({"to_rgbs.1.upsample.kernel": tensor(np.eye(4, dtype="f4"))}), "do not share"),
    ):
        tree = read_tree(ROSINALITY)
        edit(tree["g_ema"])
        with pytest.raises(CorruptPickleError, match=says):
            pickle_io.parse(zip_layout(tree))


def test_much_from_little():
    """Many tensors may share one storage, as long as the networks are not far larger than the file."""
    tree = read_tree(ROSINALITY)
    shared = tensor(np.zeros(1 << 16, "f2"))
    count = 300
    state = {f"style.{i}.weight": tensor(np.zeros((256, 256)), storage=shared.storage) for i in range(1, count)}
    state |= {f"style.{i}.bias": tensor(np.zeros(256), storage=shared.storage) for i in range(1, count)}
    rest = {
        name: tensor(np.zeros([256 if n == 48 else n for n in value.shape], "f4"))
        for name, value in tree["g_ema"].items()
        if not name.startswith("style.") and "kernel" not in name
    }
    rest |= {name: value for name, value in tree["g_ema"].items() if "kernel" in name}
    tracemalloc.start()
    with pytest.raises(CorruptPickleError, match="far larger than the file"):
        pickle_io.parse(zip_layout({**state, **rest}))
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
