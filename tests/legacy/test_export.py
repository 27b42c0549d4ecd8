"""Keras' files and SavedModels: drawn from in a fresh process, read back bit by bit, hostile ones refused."""

import io
import json
import struct
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import GOLDEN, assert_close, golden, nchw_to_nhwc
from network_helpers import make_d, make_g

from tf_stylegan.errors import UserError
from tf_stylegan.legacy import export, pickle_io
from tf_stylegan.legacy.networks import network_from_record, record_from_network

FILES = [
    "progan-cond.pkl",
    "stylegan1.pkl",
    "stylegan2-config-d.pkl",
    "stylegan2-config-f.pkl",
    "stylegan2-config-e-Gresnet-Dskip-cond.pkl",
    "stylegan2-ada-clamped.pkl",
    "stylegan2-ada-cond-dmap.pkl",
    "torch-ada-cond.pkl",
    "rosinality.pt",
]
SCORED = ["progan-cond.pkl", "stylegan2-config-e-Gresnet-Dskip-cond.pkl", "stylegan2-ada-cond-dmap.pkl"]
KEYS = [*(f"{name}/Gs" for name in FILES), *(f"{name}/D" for name in SCORED)]
# One of every kind that computes in its own way; the others' files are read in this process only, to save seconds.
FRESH_KEYS = [key for key in KEYS if not key.startswith(("stylegan2-config-e", "stylegan2-ada-clamped", "torch"))]
RECORDED = ("stored_noise_psi07", "images_psi0.7_const", "images_lod0")  # names of what the originals drew

# Opens everything, the SavedModels before anything of ours is imported.
FRESH = """
import sys
import numpy as np, tensorflow as tf
inputs, results = dict(np.load("inputs.npz")), {}
def of(key, *names):
    return {name: inputs[f"{key}/{name}"] for name in names if f"{key}/{name}" in inputs}
keys = sorted({name.rpartition("/")[0] for name in inputs})
for key in keys:
    model = tf.saved_model.load(f"{key}.saved")
    signatures = model.signatures
    if "scores" in signatures:
        results[f"{key}/saved"] = signatures["scores"](**of(key, "images", "labels"))["scores"]
        continue
    psi = {"truncation_psi": np.float32(0.7)} if "mapping" in signatures else {}
    results[f"{key}/saved"] = signatures["generate"](**of(key, "latents", "labels"), **psi)["images"]
    if psi:
        w = signatures["mapping"](**of(key, "latents", "labels"))["dlatents"]
        results[f"{key}/dlatents"] = w
        results[f"{key}/synthesis"] = signatures["synthesis"](dlatents=w)["images"]
assert not any(name.startswith("tf_stylegan") for name in sys.modules)
import keras
import tf_stylegan.networks.registry
for key in keys:
    network = keras.saving.load_model(f"{key}.keras")
    if "images" in of(key, "images"):
        results[f"{key}/keras"] = network(*of(key, "images", "labels").values())
    else:
        plain = {"truncation_psi": 0.7, "noise_mode": "const"} if hasattr(network, "synthesis") else {}
        results[f"{key}/keras"] = network(*of(key, "latents", "labels").values(), **plain)
np.savez("results.npz", **{name: np.asarray(value) for name, value in results.items()})
"""


def load(name, network):
    records = {record.name: record for record in pickle_io.read(GOLDEN / "pickles" / name)}
    return network_from_record(records[network])


def inputs_of(network, data):
    """What the recorded pictures and scores were made from."""
    count = len(data["D_input"]) if not hasattr(network, "latent_size") else 2
    labels = np.zeros([count, network.label_size], np.float32)
    labels[:, 0 if count > 2 else 1 : 1 if count > 2 else 2] = 1
    if count > 2:
        inputs = {"images": nchw_to_nhwc(data["D_input"])}
    else:
        inputs = {"latents": np.random.RandomState(5).randn(2, network.latent_size).astype(np.float32)}
    if "latents" in data:  # ProGAN
        inputs = {"latents": data["latents"]} if count == 2 else inputs
        labels = data["labels"] if count == 2 else np.zeros_like(labels)
    return inputs | ({"labels": labels} if network.label_size else {})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(folder of `.keras` files, {"file/network": (network, inputs)})."""
    folder, networks = tmp_path_factory.mktemp("exports"), {}
    for key in KEYS:
        name, _, kind = key.partition("/")
        network = load(name, kind)
        networks[key] = network, inputs_of(network, golden(f"pickles/{name.rpartition('.')[0]}"))
        (folder / name).mkdir(exist_ok=True)
        export.write_keras(folder / f"{key}.keras", network)
    return folder, networks


@pytest.fixture(scope="module")
def fresh(exported):
    """{"file/network": what a fresh process made of it, by kind of file}."""
    folder, networks = exported
    inputs = {}
    for key in FRESH_KEYS:
        network, own = networks[key]
        export.write_saved_model(folder / f"{key}.saved", network)
        inputs |= {f"{key}/{what}": array for what, array in own.items()}
    np.savez(folder / "inputs.npz", **inputs)
    run = subprocess.run([sys.executable, "-c", FRESH], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "custom gradient" not in run.stderr
    results = {key: {} for key in FRESH_KEYS}
    for name, array in np.load(folder / "results.npz").items():
        results[name.rpartition("/")[0]][name.rpartition("/")[2]] = array
    return results


def draw(network, inputs):
    plain = {"truncation_psi": 0.7, "noise_mode": "const"} if hasattr(network, "synthesis") else {}
    return network(*inputs.values(), **plain)


# ---- what a fresh process sees


@pytest.mark.parametrize("key", [key for key in FRESH_KEYS if key.endswith("/Gs")])
def test_a_generator_in_a_fresh_process(key, exported, fresh):
    network, inputs = exported[1][key]
    data = golden(f"pickles/{key.rpartition('.')[0]}")
    recorded = next(data[name] for name in RECORDED if name in data)
    assert_close(fresh[key]["saved"], nchw_to_nhwc(recorded), 1e-4)
    images = draw(network, inputs)
    assert_close(fresh[key]["keras"], images, 0)
    assert_close(fresh[key]["saved"], images, 1e-5)
    if not hasattr(network, "synthesis"):
        assert set(fresh[key]) == {"saved", "keras"}
        return
    w = network.mapping(*inputs.values())
    assert_close(fresh[key]["dlatents"], w, 1e-5)
    assert_close(fresh[key]["synthesis"], network.synthesize(w, noise_mode="const"), 1e-5)


@pytest.mark.parametrize("key", [key for key in FRESH_KEYS if key.endswith("/D")])
def test_a_discriminator_in_a_fresh_process(key, exported, fresh):
    network, inputs = exported[1][key]
    data = golden(f"pickles/{key.rpartition('.')[0]}")
    assert_close(fresh[key]["saved"], data.get("D_scores", data.get("D_out0_lod0")), 1e-4)
    assert_close(fresh[key]["keras"], network(*inputs.values()), 0)


# ---- .keras


@pytest.mark.parametrize("key", KEYS)
def test_reading_back_keeps_every_bit(key, exported, tmp_path):
    folder, networks = exported
    network, inputs = networks[key]
    again = export.read_keras(folder / f"{key}.keras")
    assert type(again) is type(network) and again.name == network.name
    assert again.get_config() == network.get_config()
    if key not in FRESH_KEYS and key.endswith("/Gs"):
        assert_close(draw(again, inputs), draw(network, inputs), 0)
    pickle_io.write(tmp_path / "again.pkl", record_from_network(again))
    (written,) = pickle_io.read(tmp_path / "again.pkl")
    name, _, kind = key.partition("/")
    original = next(record for record in pickle_io.read(GOLDEN / "pickles" / name) if record.name == kind)
    assert (written.func, written.version) == (original.func, original.version)
    assert written.class_path == original.class_path
    homes = {2: "tkarras/progressive", 3: "NVlabs/stylegan\n", 4: "NVlabs/stylegan2\n", 5: "NVlabs/stylegan2-ada\n"}
    assert homes[written.version] in written.source
    expected = record_from_network(network).all_variables()
    actual = written.all_variables()
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], np.asarray(array, np.float32), err_msg=name)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(path, members) of a small network."""
    path = tmp_path_factory.mktemp("small") / "d.keras"
    export.write_keras(path, make_d(resolution=4))
    with zipfile.ZipFile(path) as archive:
        return path, {name: archive.read(name) for name in archive.namelist()}


def assert_refused(path, *words, reader=export.read_keras):
    with pytest.raises(UserError) as caught:
        reader(path)
    message = str(caught.value)
    assert str(path) in message and len(message.splitlines()) == 1, message
    for word in words:
        assert word in message


def write_members(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.update(registered_name="os>system", module="os", class_name="system"), ["'os>system'"]),
        (lambda c: c.update(registered_name=None), ["None"]),
        (
            lambda c: c["config"].update(fmap_max=1 << 14, fmap_base=1 << 24),
            ["a larger network than it has weights for"],
        ),
        (lambda c: c["config"].update(label_size=10**5), ["a larger network than it has weights for"]),
        (lambda c: c["config"].update(fmap_max=4), []),
        (lambda c: c["config"].update(resolution=17), ["resolution must be a power of two"]),
        (lambda c: c["config"].update(mapping_layers=10**9, embed_labels=True, label_size=3), []),
        (lambda c: c["config"].update(truth="x"), ["truth"]),
        (lambda c: c["config"].update(fmap_base="big"), []),
        (lambda c: c["config"].update(name="a/b"), []),
        (lambda c: c["config"].update(nonlinearity={"class_name": "Lambda"}), ["'nonlinearity' is no plain value"]),
        (lambda c: c["config"].update(resample_kernel=[{"module": "os"}]), ["'resample_kernel' is no plain value"]),
        (lambda c: c.update(config=None), []),
        (lambda c: c.clear(), ["registered_name"]),
    ],
)
def test_a_config_that_asks_for_something_else(change, words, small, tmp_path):
    config = json.loads(small[1]["config.json"])
    change(config)
    path = tmp_path / "d.keras"
    write_members(path, {**small[1], "config.json": json.dumps(config)})
    assert_refused(path, *words)


@pytest.mark.parametrize("text", [b"{", b"[]", b"null", b"[" * 100_000, b"\xff", b" " * (2 << 20)])
def test_a_config_that_is_none(text, small, tmp_path):
    path = tmp_path / "d.keras"
    write_members(path, {**small[1], "config.json": text})
    assert_refused(path)


def test_another_model(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)]).save(path)
    assert_refused(path, "Keras model of kind", "tf_stylegan>Generator")


def test_damaged_archives(small, tmp_path):
    path = tmp_path / "d.keras"
    good = small[0].read_bytes()
    for cut in range(0, len(good), len(good) // 12):
        path.write_bytes(good[:cut])
        assert_refused(path)
    middle = good.find(b"model.weights.h5") + 3000
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    assert_refused(path)
    for name in ("config.json", "model.weights.h5"):
        write_members(path, {key: data for key, data in small[1].items() if key != name})
        assert_refused(path, name)


@pytest.mark.parametrize("weights", ["fewer", "shape", "bomb", "nothing"])
def test_weights_that_do_not_fit(weights, small, tmp_path):
    buffer = io.BytesIO(small[1]["model.weights.h5"])
    with h5py.File(buffer, "a") as file:
        sets = []
        file.visititems(lambda name, item: sets.append(name) if isinstance(item, h5py.Dataset) else None)
        if weights == "fewer":
            del file[sets[0]]
        elif weights != "nothing":
            shape = {"shape": [3], "bomb": [1 << 45]}[weights]
            del file[sets[0]]
            file.create_dataset(sets[0], shape, "f4", chunks=(1,) if weights == "shape" else (1 << 20,))
    data = b"" if weights == "nothing" else buffer.getvalue()
    path = tmp_path / "d.keras"
    write_members(path, {**small[1], "model.weights.h5": data})
    assert_refused(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_packed_members_may_swell(packing, member, small, tmp_path):
    path = tmp_path / "d.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in small[1].items():
            archive.writestr(name, data, packing if name == member else zipfile.ZIP_STORED)
    assert_refused(path, "its members are packed")


def test_a_member_that_claims_more_than_the_file(small, tmp_path):
    path = tmp_path / "d.keras"
    write_members(path, small[1])
    data, size = path.read_bytes(), struct.pack("<I", len(small[1]["model.weights.h5"]))
    path.write_bytes(data.replace(size, struct.pack("<I", 1 << 30)))
    assert_refused(path, "its members claim", "1073741824")


@pytest.mark.parametrize("chunked", [True, False])
def test_weights_that_are_only_claimed(chunked, small, tmp_path):
    """HDF5 keeps no bytes of what nobody wrote; reading it would give 64 MB all the same."""
    buffer = io.BytesIO(small[1]["model.weights.h5"])
    with h5py.File(buffer, "a") as file:
        sets = []
        file.visititems(lambda name, item: sets.append(name) if isinstance(item, h5py.Dataset) else None)
        del file[sets[0]]
        file.create_dataset(sets[0], [16 << 20], "f4", chunks=(1 << 20,) if chunked else None)
    path = tmp_path / "d.keras"
    write_members(path, {**small[1], "model.weights.h5": buffer.getvalue()})
    assert path.stat().st_size < 1 << 20
    assert_refused(path, "its weights are in chunks" if chunked else "its weights claim 67")


def test_files_and_endings(small, tmp_path):
    assert_refused(tmp_path / "nowhere.keras", "No such file")
    assert_refused(tmp_path, "not a file")
    (tmp_path / "x.h5").write_bytes(small[0].read_bytes())
    assert_refused(tmp_path / "x.h5", "must end in .keras")
    with pytest.raises(UserError, match=r"net\.h5: a file in Keras' format must end in \.keras"):
        export.write_keras(tmp_path / "net.h5", make_d(resolution=4))
    with pytest.raises(UserError, match=r"could not write .*d\.keras: No such file"):
        export.write_keras(tmp_path / "no" / "d.keras", make_d(resolution=4))
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


# ---- SavedModel


def test_signatures(tmp_path):
    G = make_g(label_size=3, resolution=8)
    export.write_saved_model(tmp_path / "g", G)
    model = tf.saved_model.load(tmp_path / "g")
    inputs = {name: dict(f.structured_input_signature[1]) for name, f in model.signatures.items()}
    latents, labels = ({what: tf.TensorSpec([None, n], name=what)} for what, n in (("latents", 8), ("labels", 3)))
    psi = {"truncation_psi": tf.TensorSpec([], name="truncation_psi")}
    assert inputs == {
        "mapping": latents | labels,
        "synthesis": {"dlatents": tf.TensorSpec([None, 4, 8], name="dlatents")},
        "generate": latents | labels | psi,
    }
    z, c = np.random.RandomState(0).randn(5, 8).astype("f4"), np.eye(3, dtype="f4")[[0, 1, 2, 0, 1]]
    generate = model.signatures["generate"]
    for value in (1.0, 0.5, 0.0):
        images = generate(latents=z, labels=c, truncation_psi=np.float32(value))["images"]
        assert_close(images, G(z, c, truncation_psi=value, noise_mode="const"), 1e-5)
    np.testing.assert_array_equal(images, generate(latents=z, labels=c, truncation_psi=np.float32(0))["images"])


def test_pictures_can_be_differentiated(tmp_path):
    G = make_g(resolution=8)
    export.write_saved_model(tmp_path / "g", G)
    model = tf.saved_model.load(tmp_path / "g")
    w = tf.constant(np.random.RandomState(0).randn(2, 4, 8), tf.float32)
    gradients = []
    for draw in (
        lambda w: model.signatures["synthesis"](dlatents=w)["images"],
        lambda w: G.synthesize(w, noise_mode="const"),
    ):
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = tf.reduce_sum(tf.square(draw(w)))
        gradients.append(tape.gradient(y, w))
    assert_close(*gradients, 1e-4)


def test_where_a_saved_model_goes(tmp_path):
    D = make_d(resolution=4)
    (tmp_path / "empty").mkdir()
    export.write_saved_model(f"{tmp_path / 'empty'}/", D)
    assert (tmp_path / "empty" / "saved_model.pb").is_file()
    before = sorted(path.name for path in (tmp_path / "empty").iterdir())
    write = lambda path: export.write_saved_model(path, D)  # noqa: E731
    assert_refused(tmp_path / "empty", "exists and is not an empty folder", reader=write)
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == before
    (tmp_path / "file").write_text("x")
    assert_refused(tmp_path / "file", "exists and is not an empty folder", reader=write)
    assert_refused(tmp_path / "file" / "deeper", "could not write", reader=write)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]
