"""Files of the PyTorch families are read without PyTorch, as records of StyleGAN2-ADA for TensorFlow."""

import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from helpers import GOLDEN, golden
from legacy.torch_files import Tensor, old_layout, read_tree, tensor, torch_pickle, zip_bytes, zip_layout

from tf_stylegan.errors import UserError
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.pickle_values import Instance

PICKLES = GOLDEN / "pickles"
ADA, COND, ROSINALITY = (PICKLES / name for name in ("torch-ada.pkl", "torch-ada-cond.pkl", "rosinality.pt"))
FILES = {"ada": ADA, "cond": COND, "rosinality": ROSINALITY}


# ---- the files as Python's own unpickler sees them

STORAGES = {"FloatStorage": "<f4"}


def rebuild_tensor(storage, offset, shape, stride, *_):
    index = offset + sum(np.arange(n).reshape(-1, *[1] * (len(shape) - i - 1)) * stride[i] for i, n in enumerate(shape))
    return storage[index]


def load_from_bytes(data):
    file = io.BytesIO(data)
    for _ in range(3):  # magic number, protocol, facts
        Reference(file).load()
    _, kind, _, _, count, _ = Reference(file).load()
    Reference(file).load()  # the list of keys: this one
    assert struct.unpack("<q", file.read(8)) == (count,)
    return np.frombuffer(file.read(), STORAGES[kind])


class Reference(pickle.Unpickler):
    """Python's unpickler, with functions of this file in place of PyTorch's, and dicts for modules."""

    names = {
        "torch_utils.persistence._reconstruct_persistent_obj": lambda meta: meta["state"],
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_tensor_v2": rebuild_tensor,
        "torch.storage._load_from_bytes": load_from_bytes,
        "torch.FloatStorage": "FloatStorage",
        "dnnlib.util.EasyDict": dict,
    }

    def find_class(self, module, name):
        if module.startswith(("numpy", "collections")):
            return super().find_class(module, name)
        return self.names[f"{module}.{name}"]

    def persistent_load(self, pid):
        return pid


class ZipReference(Reference):
    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        super().__init__(self.zip.open("rosinality/data.pkl"))

    def persistent_load(self, pid):
        return np.frombuffer(self.zip.read(f"rosinality/data/{pid[2]}"), STORAGES[pid[1]])


def flat(state, prefix=""):
    """`{path: array}` of a module's state, filters left out."""
    found = {prefix + name: value for key in ("_parameters", "_buffers") for name, value in state[key].items()}
    found = {name: value for name, value in found.items() if value is not None and "filter" not in name}
    for name, part in state["_modules"].items():
        found |= flat(part, f"{prefix}{name}.")
    return found


def reference(path):
    """`{name of the record: {name in the file: array}}`, filters left out."""
    names = {"G": "G", "D": "D", "G_ema": "Gs", "g_ema": "Gs", "d": "D"}
    if path != ROSINALITY:
        value = Reference(io.BytesIO(path.read_bytes())).load()
        return {names[key]: flat(value[key]) for key in ("G", "D", "G_ema")}
    value = ZipReference(path).load()
    states = {names[key]: {n: a for n, a in value[key].items() if "kernel" not in n} for key in ("d", "g_ema")}
    states["Gs"]["latent_avg"] = value["latent_avg"]
    return states


@pytest.fixture(scope="module", params=FILES)
def file(request):
    path = FILES[request.param]
    return path, {record.name: record for record in pickle_io.read(path)}, golden(f"pickles/{path.stem}")


def test_every_number_arrives_once(file):
    path, records, _ = file
    expected = reference(path)
    assert list(records) == (["D", "Gs"] if path == ROSINALITY else ["G", "D", "Gs"])
    for name, record in records.items():
        arrays, originals = record.all_variables(), expected[name]
        assert len(arrays) == len(originals)
        assert all(array.dtype == np.float32 and not array.flags.writeable for array in arrays.values() if array.ndim)
        found = [a.ravel() + (1 if key.endswith("mod_bias") else 0) for key, a in arrays.items()]
        found, wanted = np.concatenate(found), np.concatenate([a.ravel() for a in originals.values()])
        np.testing.assert_allclose(np.sort(found), np.sort(wanted), atol=1e-6)


def test_layouts(file):
    path, records, _ = file
    state, arrays = reference(path)["Gs"], records["Gs"].all_variables()
    is_ada = path != ROSINALITY
    up = state["synthesis.b16.conv0.weight"] if is_ada else state["convs.2.conv.weight"][0]
    same = state["synthesis.b16.conv1.weight"] if is_ada else state["convs.3.conv.weight"][0]
    np.testing.assert_array_equal(arrays["G_synthesis/16x16/Conv0_up/weight"], np.einsum("oiyx->yxio", up)[::-1, ::-1])
    np.testing.assert_array_equal(arrays["G_synthesis/16x16/Conv1/weight"], np.einsum("oiyx->yxio", same))
    noise = state["synthesis.b16.conv1.noise_const" if is_ada else "noises.noise_4"].reshape(16, 16)
    np.testing.assert_array_equal(arrays["G_synthesis/noise4"][0, 0], noise)
    strength = state["synthesis.b16.conv0.noise_strength" if is_ada else "convs.2.noise.weight"]
    assert arrays["G_synthesis/16x16/Conv0_up/noise_strength"] == strength and strength != 0
    modulation = state["synthesis.b16.torgb.affine.bias" if is_ada else "to_rgbs.1.conv.modulation.bias"]
    np.testing.assert_array_equal(arrays["G_synthesis/16x16/ToRGB/mod_bias"], modulation - 1)
    state, arrays = reference(path)["D"], records["D"].all_variables()
    down = state["b16.conv1.weight" if is_ada else "convs.2.conv2.1.weight"]
    np.testing.assert_array_equal(arrays["16x16/Conv1_down/weight"], np.einsum("oiyx->yxio", down))
    dense = state["b4.fc.weight" if is_ada else "final_linear.0.weight"]
    np.testing.assert_array_equal(arrays["4x4/Dense0/weight"], dense.T)


def mapping(record, latents, labels):
    """The mapping network in NumPy."""
    kwargs, arrays = record.static_kwargs, record.components["mapping"].variables

    def normalized(x):
        return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-8)

    x = normalized(latents)
    if kwargs["label_size"]:
        weight = arrays["LabelEmbed/weight"] / np.sqrt(kwargs["label_size"])
        x = np.concatenate([x, normalized(labels @ weight + arrays["LabelEmbed/bias"])], axis=1)
    for index in range(kwargs["mapping_layers"]):
        weight, bias = arrays[f"Dense{index}/weight"], arrays[f"Dense{index}/bias"]
        rate = kwargs["mapping_lrmul"]
        x = x @ (weight * (rate / np.sqrt(len(weight)))) + bias * rate
        x = np.maximum(x, 0.2 * x) * np.sqrt(2)
    return x


def test_mapping_gives_the_recorded_w(file):
    _, records, data = file
    latents = np.random.RandomState(5).randn(2, 48)
    labels = np.eye(3)[[1, 1]]
    expected = data["ws"] if data["ws"].ndim == 2 else data["ws"][:, 0]
    actual = mapping(records["Gs"], latents, labels)
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


def test_names_are_those_of_tensorflow():
    for ours, theirs in (("torch-ada", "stylegan2-ada"), ("torch-ada-cond", "stylegan2-ada-cond")):
        for record, expected in zip(
            pickle_io.read(PICKLES / f"{ours}.pkl"), pickle_io.read(PICKLES / f"{theirs}.pkl"), strict=True
        ):
            names = [name for name in record.all_variables() if not name.startswith("Mapping")]  # PyTorch's D has some
            assert names == list(expected.all_variables())
            assert (record.name, record.func, record.version) == (expected.name, expected.func, 5)
            assert (record.class_path, record.extra) == (expected.class_path, expected.extra)
            assert record.components.keys() == expected.components.keys()
            for key, part in record.components.items():
                other = expected.components[key]
                assert (part.name, part.func, part.version, part.extra) == (other.name, other.func, 5, other.extra)
                assert part.static_kwargs.items() >= {"resolution": 32, "fmap_base": 256}.items()
    assert pickle_io.read(ADA)[0].components["mapping"].static_kwargs["dlatent_broadcast"] == 8


GENERATOR = {
    "num_channels": 3, "resolution": 32, "label_size": 0, "latent_size": 48, "dlatent_size": 48, "fmap_base": 256,
    "fmap_max": 24, "mapping_layers": 8, "mapping_fmaps": 48, "mapping_lrmul": 0.01, "mapping_nonlinearity": "lrelu",
    "label_fmaps": None, "architecture": "skip", "nonlinearity": "lrelu", "conv_clamp": 256, "num_fp16_res": 2,
    "resample_kernel": [1, 3, 3, 1], "truncation_psi": 1,
}  # fmt: skip
DISCRIMINATOR = {
    "num_channels": 3, "resolution": 32, "label_size": 0, "fmap_base": 256, "fmap_max": 24, "architecture": "resnet",
    "nonlinearity": "lrelu", "conv_clamp": 256, "num_fp16_res": 2, "resample_kernel": [1, 3, 3, 1], "mapping_layers": 0,
    "mapping_fmaps": None, "mapping_lrmul": 0.1, "mbstd_group_size": 4, "mbstd_num_features": 1,
}  # fmt: skip


def test_keywords():
    generator, discriminator, average = pickle_io.read(ADA)
    assert generator.static_kwargs == average.static_kwargs == GENERATOR
    assert discriminator.static_kwargs == DISCRIMINATOR
    generator, discriminator, average = pickle_io.read(COND)
    assert average.static_kwargs == {**GENERATOR, "label_size": 3, "mapping_layers": 2, "label_fmaps": 48}
    labels = {"label_size": 3, "mapping_layers": 8, "mapping_fmaps": 24, "mapping_lrmul": 0.01}
    assert discriminator.static_kwargs == {**DISCRIMINATOR, **labels}
    discriminator, average = pickle_io.read(ROSINALITY)
    plain = {"conv_clamp": None, "num_fp16_res": 0, "fmap_base": 384}  # all resolutions have 24 feature maps
    assert average.static_kwargs == {**GENERATOR, **plain, "mapping_layers": 4}
    assert discriminator.static_kwargs == {**DISCRIMINATOR, **plain}


def test_origin_and_source_text(tmp_path):
    for path, origin, text in (
        (ADA, "stylegan2-ada-pytorch", "# source removed\n"),
        (ROSINALITY, "rosinality", ""),
        (PICKLES / "stylegan2-ada.pkl", "dnnlib", "# network source removed\n"),
    ):
        records = pickle_io.read(path)
        pickle_io.write(tmp_path / "out.pkl", records)
        for record, written in zip(records, pickle_io.read(tmp_path / "out.pkl"), strict=True):
            assert (record.origin, record.source) == (origin, text)
            assert (written.origin, written.source) == ("dnnlib", text if origin == "dnnlib" else "")
            assert written.static_kwargs == record.static_kwargs and written.extra == record.extra
            assert_same(written, record)


def assert_same(actual, expected, tolerance=0.0):
    actual, expected = actual.all_variables(), expected.all_variables()
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape and actual[name].dtype == np.float32, name
        np.testing.assert_allclose(actual[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("write", [torch_pickle, old_layout, zip_layout, lambda tree: zip_layout(tree, is_long=True)])
def test_layouts_of_files(file, write, tmp_path):
    path, records, _ = file
    (tmp_path / "x.bin").write_bytes(write(read_tree(path)))
    for record in pickle_io.read(tmp_path / "x.bin"):
        assert_same(record, records[record.name])
        assert record.static_kwargs == records[record.name].static_kwargs


def test_arrays_are_views(tmp_path):
    wide = tensor(np.zeros((1 << 22), "f4"))  # 16 MiB
    for path, write in ((COND, torch_pickle), (ROSINALITY, zip_layout), (ROSINALITY, old_layout)):
        tree = read_tree(path)
        (tmp_path / "x.bin").write_bytes(write({**tree, "ada_aug_p": wide, "g_optim": {"state": {0: wide}}}))
        tracemalloc.start()
        records = pickle_io.read(tmp_path / "x.bin")
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
        tracemalloc.stop()
        copied = {name for name, array in records[-1].all_variables().items() if array.base is None}
        assert all(name.endswith("mod_bias") for name in copied)


def test_what_comes_along_in_a_checkpoint():
    """As train.py of rosinality writes it: optimizers, the command line, the parameter dictionary's `_metadata`."""
    tree = read_tree(ROSINALITY)
    arguments = Instance(None, "argparse.Namespace")
    arguments.state = {"size": 32, "ckpt": None, "lr": 0.002, "wandb": False}
    moments = {"step": 3, "exp_avg": tree["latent_avg"], "exp_avg_sq": tree["latent_avg"]}
    optimizer = {"state": {0: moments}, "param_groups": [{"lr": 0.1, "betas": (0.0, 0.99), "params": [0]}]}
    whole = {
        "g": tree["g_ema"],
        **tree,
        "g_optim": optimizer,
        "d_optim": optimizer,
        "args": arguments,
        "ada_aug_p": 0.5,
    }
    records = pickle_io.parse(zip_layout(whole))
    assert [record.name for record in records] == ["G", "D", "Gs"]
    assert_same(records[0], records[2])
    del whole["latent_avg"]
    with pytest.warns(UserWarning, match="without the average of w, .* get the mean of 4096 mapped latents instead"):
        records = pickle_io.parse(old_layout(whole))
    assert not records[2].variables["dlatent_avg"].any() and records[2].static_kwargs["truncation_psi"] == 1
    bare = {name: value for name, value in tree["g_ema"].items() if not name.startswith("noises.")}
    with pytest.warns(UserWarning, match="without the average"), pytest.warns(UserWarning, match="without noise maps"):
        (record,) = pickle_io.parse(zip_layout(bare))
    assert record.name == "Gs" and not record.all_variables()["G_synthesis/noise6"].any()
    with pytest.warns(UserWarning, match="it holds 'teacher' too"):
        assert len(pickle_io.parse(zip_layout({**tree, "teacher": tree["g_ema"]}))) == 2


def test_the_versions_behind_a_state_dict():
    tree = read_tree(ROSINALITY)
    data = zip_layout(tree)
    pickled = zipfile.ZipFile(io.BytesIO(data)).read("archive/data.pkl")
    ordered = b"ccollections\nOrderedDict\n(tR"
    attribute = b"}X\x09\0\0\0_metadata" + ordered + b"sb"
    changed = pickled.replace(b"}(", ordered + b"(", 2)  # the file, and its first dictionary
    changed = changed[:-1] + attribute + b"."
    assert changed.count(b"_metadata") == 1
    assert len(pickle_io.parse(zip_layout(tree, pickled=changed))) == 2


def converted(value, kind):
    """A tree of plain dicts whose float32 tensors are of another type."""
    if type(value) is Tensor:
        array = value.array()
        if kind == "bfloat16":
            result = tensor((array.view(np.uint32) >> 16).astype("<u2") if array.ndim else np.zeros((), "<u2"))
            result.storage.kind = kind
            return result
        return tensor(array.astype(kind))
    return type(value)((key, converted(part, kind)) for key, part in value.items())


@pytest.mark.parametrize("kind, tolerance", [("<f2", 1e-3), ("bfloat16", 2e-2), ("<f8", 0)])
@pytest.mark.parametrize("write", [old_layout, zip_layout])
def test_other_types_become_float32(kind, tolerance, write):
    expected = pickle_io.read(ROSINALITY)
    for record, other in zip(pickle_io.parse(write(converted(read_tree(ROSINALITY), kind))), expected, strict=True):
        assert_same(record, other, tolerance)
        assert record.static_kwargs == other.static_kwargs


def test_strides_offsets_and_repetition():
    tree = read_tree(ROSINALITY)
    state = tree["g_ema"]
    for name in ("style.1.weight", "conv1.conv.weight"):
        array = state[name].array()
        last = np.ascontiguousarray(np.moveaxis(array, -1, 0))  # the memory in another order
        stride = tuple(step // 4 for step in np.moveaxis(last, 0, -1).strides)
        shifted = tensor(np.concatenate([[7, 7, 7], last.ravel()]).astype("f4"))
        state[name] = tensor(array, storage=shifted.storage, offset=3, stride=stride)
    state["conv1.activate.bias"] = tensor(np.float32(0.25), shape=(24,), stride=(0,))
    (expected,) = pickle_io.read(ROSINALITY)[1:]
    for write in (torch_pickle, old_layout, zip_layout):
        (record,) = pickle_io.parse(write({"g_ema": state, "latent_avg": tree["latent_avg"]}))
        arrays = record.all_variables()
        assert (arrays.pop("G_synthesis/4x4/Conv/bias") == 0.25).all()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected.all_variables()[name])


@pytest.mark.parametrize(
    "members, says",
    [
        (["weights.npy", "a/b.npy"], r"NumPy arrays \(\.npz\)"),
        (["progress.npy", "G.npy"], "a training checkpoint of tf_stylegan"),
        (["config.json", "metadata.json", "model.weights.h5"], "a Keras model"),
        (["a/data.pkl", "a/constants.pkl", "a/code/__torch__.py"], "a TorchScript program"),
        (["network.pkl", "readme.txt"], "give the one you want, such as 'network.pkl'"),
        (["seed0001.png"], "a zip archive of pictures"),
        (["notes.txt"], "a zip archive of 1 members such as 'notes.txt'"),
    ],
)
def test_other_zip_archives(members, says, tmp_path):
    (tmp_path / "x.zip").write_bytes(zip_bytes([(name, b"") for name in members]))
    with pytest.raises(UserError, match=says) as caught:
        pickle_io.read(tmp_path / "x.zip")
    assert str(tmp_path / "x.zip") in str(caught.value)
    with zipfile.ZipFile(tmp_path / "y.zip", "w", zipfile.ZIP_DEFLATED) as file:  # compressed ones as well
        for name in members:
            file.writestr(name, b"x" * 100)
    with pytest.raises(UserError, match=says):
        pickle_io.read(tmp_path / "y.zip")
