"""Directions in w: against NumPy's singular values, what they do to the styles, files of them."""

import os

import numpy as np
import pytest
import tensorflow as tf
from helpers import GOLDEN, assert_close
from network_helpers import SMALL, make_g, make_growing_g, randomise

from tf_stylegan.errors import UserError
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.networks import load_generator
from tf_stylegan.networks.registry import build_network
from tf_stylegan.pictures import directions
from tf_stylegan.pictures.painter import Painter

PICKLES = GOLDEN / "pickles"
STYLEGAN2 = ("stylegan2-config-f", "stylegan2-config-d", "stylegan2-ada-cond", "torch-ada")


@pytest.fixture(scope="module")
def painter():
    return Painter(make_g())


def painter_of(name):
    (file,) = PICKLES.glob(f"{name}.p*[tl]")
    return Painter(load_generator(file))


def recorded_styles(name):
    """What w is multiplied by for each style, from the file's arrays alone: list of `[w, channels]`."""
    (file,) = PICKLES.glob(f"{name}.p*[tl]")
    synthesis = pickle_io.read(file)[-1].components["synthesis"]
    arrays = {key: np.array(value, np.float64) for key, value in synthesis.variables.items()}
    sizes = sorted({int(key.split("x")[0]) for key in arrays if key[0].isdigit()})
    names = ["4x4/Conv", *(f"{r}x{r}/{conv}" for r in sizes[1:] for conv in ("Conv0_up", "Conv1"))]
    if name == "stylegan1":
        found = [arrays[f"{layer}/StyleMod/weight"] for layer in ("4x4/Const", *names)]
    else:
        last = "ToRGB_lod0" if "ToRGB_lod0/mod_weight" in arrays else f"{sizes[-1]}x{sizes[-1]}/ToRGB"
        found = [arrays[f"{layer}/mod_weight"] for layer in (*names, last)]
    return [weight / np.sqrt(len(weight)) for weight in found]


@pytest.mark.parametrize("layers", [None, [0, 1, 2, 3], [5], [7]])
@pytest.mark.parametrize("name", [*STYLEGAN2, "stylegan1"])
def test_against_singular_values(name, layers):
    recorded = recorded_styles(name)
    stacked = np.concatenate([recorded[layer] for layer in layers or range(8)], axis=1).T
    _, singular, right = np.linalg.svd(stacked)
    painter = painter_of(name)
    found = directions.find(painter, layers)
    assert found.layers == (layers or list(range(8)))
    assert found.vectors.shape == (painter.w_size, painter.w_size)
    expected = np.zeros(painter.w_size)
    expected[: len(singular)] = np.square(singular)
    assert_close(found.eigenvalues, expected, 1e-5)
    apart = singular[:-1] - singular[1:] > 1e-3 * singular[0]
    sure = [k for k in range(len(singular) - 1) if apart[k] and (k == 0 or apart[k - 1])]
    assert len(sure) > min(len(singular), 10) // 2
    assert_close(np.abs(np.sum(found.vectors[sure] * right[sure], axis=1)), np.ones(len(sure)), 1e-4)


def test_unit_length_sorted_signed_and_repeatable(painter):
    found, again = directions.find(painter), directions.find(painter)
    assert_close(found.vectors @ found.vectors.T, np.eye(8), 1e-5)
    assert (np.diff(found.eigenvalues) <= 0).all()
    largest = np.argmax(np.abs(found.vectors), axis=1)
    assert (found.vectors[np.arange(8), largest] > 0).all()
    for name in ("vectors", "eigenvalues", "deviations"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
    few = directions.find(painter, count=3)
    assert len(few) == 3
    np.testing.assert_array_equal(few.vectors, found.vectors[:3])
    assert found.vectors.dtype == found.eigenvalues.dtype == found.deviations.dtype == np.float32


@pytest.mark.parametrize("layers", [[0, 1, 2, 3], [4, 5, 6]])
@pytest.mark.parametrize("name", STYLEGAN2)
def test_styles_move_more_than_along_random_directions(name, layers):
    recorded = recorded_styles(name)
    found = directions.find(painter_of(name), layers)
    width = found.vectors.shape[1]
    others = np.random.RandomState(1).randn(200, width)
    others /= np.linalg.norm(others, axis=1, keepdims=True)

    def change(vectors):
        return np.sqrt(sum(np.square(vectors @ recorded[layer]).sum(axis=1) for layer in layers))

    moved, random = change(found.vectors), change(others)
    assert moved[0] > 1.2 * random.max()
    assert moved[-1] < 0.8 * random.min()
    assert_close(moved, np.sqrt(found.eigenvalues), 1e-4)


def test_what_moving_does(painter):
    found = directions.find(painter, [2, 3])
    w = painter.dlatents(np.random.RandomState(0).randn(4, 8))
    before = w.copy()
    moved = found.moved(w, 1, [-3, 0, 0.5, 2])
    np.testing.assert_array_equal(w, before)
    np.testing.assert_array_equal(moved[1], w[1])
    np.testing.assert_array_equal(moved[:, [0, 1, 4, 5]], w[:, [0, 1, 4, 5]])
    steps = (moved - w)[:, 2:4] / found.deviations[1]
    expected = np.array([-3, 0, 0.5, 2])[:, None, None] * found.vectors[1]
    assert_close(steps, np.broadcast_to(expected, steps.shape), 1e-5)
    np.testing.assert_array_equal(found.moved(w, 1, 2.0)[3], moved[3])
    elsewhere = found.moved(w, 1, 2.0, layers=[5])
    np.testing.assert_array_equal(elsewhere[:, :5], w[:, :5])
    assert np.abs(elsewhere[:, 5] - w[:, 5]).max() > 0.1
    for index in (-1, 8):
        with pytest.raises(UserError, match=f"--direction={index} is out of range: there are 8 directions, 0-7"):
            found.moved(w, index, 1)


@pytest.mark.parametrize("name", ["stylegan2-config-f", "stylegan2-config-d", "stylegan1"])
def test_only_the_chosen_layers_notice(name):
    """The features up to the first layer that is edited stay the same to the bit, those after it change."""
    painter = painter_of(name)
    blocks = painter.Gs.synthesis.blocks
    found = directions.find(painter, list(range(4, 8)))
    w = painter.truncated(painter.dlatents(np.random.RandomState(0).randn(1, painter.Gs.latent_size)))
    maps = [stored.numpy() for stored in painter.Gs.synthesis.noise]
    features = []
    for dlatents in (w, found.moved(w, 0, 3.0)):
        x, layer, seen = None, 0, []
        for block in blocks:
            count = len(block.convs) + (1 if getattr(block, "start", None) is not None else 0)
            styles = [tf.constant(dlatents[:, i]) for i in range(layer, layer + count)]
            x = block(x, styles, [tf.constant(m) for m in maps[layer : layer + count]])
            layer += count
            seen.append(x.numpy())
        features.append(seen)
    for before, after, block in zip(*features, blocks):
        size = int(block.name.split("x")[0])
        assert np.array_equal(before, after) == (size <= 8), block.name


def test_deviations_are_those_of_w():
    painter = painter_of("stylegan2-config-f")
    found = directions.find(painter, count=5)
    latents = np.random.RandomState(99).randn(20000, painter.Gs.latent_size).astype(np.float32)
    w = painter.dlatents(latents)[:, 0]
    assert_close(found.deviations, np.std(w @ found.vectors.T, axis=0), 0.05)


def test_deviations_are_those_of_the_class():
    painter = painter_of("stylegan2-ada-cond")
    of_class = [directions.find(painter.variant(class_index=index), count=4) for index in (0, 1)]
    np.testing.assert_array_equal(of_class[0].vectors, of_class[1].vectors)
    assert (of_class[0].deviations != of_class[1].deviations).all()
    assert of_class[1].network["class"] == 1


def test_a_grown_network_counts_the_styles_in_use():
    for kind in ("config-a", "config-d"):
        G = make_growing_g(kind)
        assert len(directions.style_weights(Painter(G))) == 6
        G.lod.assign(1.0)
        painter = Painter(G)
        weights = directions.style_weights(painter)
        assert len(weights) == 4
        assert directions.find(painter).layers == [0, 1, 2, 3]
        with pytest.raises(UserError, match=r"styles \[4\] are out of range; this network has 0-3"):
            directions.find(painter, [4])
    np.testing.assert_array_equal(weights[-1], G.synthesis.to_rgb[1].scaled_mod_weight().numpy())


def test_a_dense_start_is_styled_too():
    G = make_growing_g("config-a", const_input_layer=False)
    assert [weight.shape[1] for weight in directions.style_weights(Painter(G))] == [16] * 6


def test_networks_without_directions():
    with pytest.raises(UserError, match="a ProGAN has none"):
        directions.find(Painter(make_growing_g("progan")))
    with pytest.raises(UserError, match="made without styles"):
        directions.find(Painter(make_growing_g("config-a", use_styles=False)))
    broken = randomise(build_network("G_main", **SMALL))
    broken.synthesis.blocks[0].convs[0].mod_weight.assign(np.full([8, 8], np.nan))
    with pytest.raises(UserError, match="weights are not finite numbers"):
        directions.find(Painter(broken))


@pytest.mark.parametrize("count", [0, -1, 9])
def test_a_count_that_cannot_be(painter, count):
    with pytest.raises(UserError, match=f"--count={count} is out of range: w has 8 numbers, so 1-8 directions"):
        directions.find(painter, count=count)


# Files ---------------------------------------------------------------------------------------------------------------


def test_a_file_gives_back_what_was_saved(tmp_path, painter):
    found = directions.find(painter, [1, 3, 4], count=5)
    found.save(tmp_path / "d.npz")
    assert os.listdir(tmp_path) == ["d.npz"]
    loaded = directions.read(tmp_path / "d.npz", painter)
    for name in ("vectors", "eigenvalues", "deviations"):
        assert_close(getattr(loaded, name), getattr(found, name), 1e-6)
    assert loaded.layers == [1, 3, 4]
    assert loaded.network == found.network
    assert loaded.network["resolution"] == 16
    assert loaded.network["w_size"] == 8
    assert directions.read(tmp_path / "d.npz", painter, [0]).layers == [0]
    with np.load(tmp_path / "d.npz") as file:
        assert sorted(file.files) == ["deviations", "directions", "eigenvalues", "layers", "network"]


@pytest.mark.parametrize("shape", [[8], [1, 8], [3, 8]])
def test_arrays_of_other_tools(tmp_path, painter, shape):
    vectors = 5 * np.random.RandomState(0).randn(*shape)
    np.save(tmp_path / "boundary.npy", vectors)
    loaded = directions.read(tmp_path / "boundary.npy", painter)
    rows = vectors.reshape(-1, 8)
    assert_close(loaded.vectors, rows / np.linalg.norm(rows, axis=1, keepdims=True))
    assert loaded.layers == [0, 1, 2, 3, 4, 5]
    assert np.isnan(loaded.eigenvalues).all()
    w = painter.dlatents(np.random.RandomState(5).randn(5000, 8))[:, 0]
    assert_close(loaded.deviations, np.std(w @ loaded.vectors.T, axis=0), 0.05)


def npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


GOOD = np.eye(8, dtype=np.float32)[:2]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: None, "could not read {path}: No such file or directory"),
        (lambda path: path.write_bytes(b"no array"), "{path} is no file of directions"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), "{path} is no file of directions"),
        (lambda path: npz(path, w=GOOD), "{path} holds no array named directions; got w. find-directions makes such"),
        (lambda path: npz(path), "{path} holds no array named directions; got nothing"),
        (
            lambda path: npz(path, directions=GOOD[:, :7]),
            "{path}: its directions are 7 wide, and this network's w is 8",
        ),
        (
            lambda path: npz(path, directions=GOOD[None]),
            r"directions must be numbers \[K, 8\]; got float32 \[1, 2, 8\]",
        ),
        (lambda path: npz(path, directions=GOOD[:0]), r"directions must be numbers \[K, 8\]; got float32 \[0, 8\]"),
        (lambda path: npz(path, directions=np.array(["a"])), r"directions must be numbers \[K, 8\]; got <U1 \[1\]"),
        (lambda path: npz(path, directions=GOOD * 0), "a direction must be of finite length above 0"),
        (lambda path: npz(path, directions=GOOD * np.nan), "a direction must be of finite length above 0"),
        (
            lambda path: npz(path, directions=GOOD, layers=[3, 6]),
            "are of styles 3 to 6; this network has 0-5, so choose",
        ),
        (lambda path: npz(path, directions=GOOD, layers=[-1]), "are of styles -1 to -1; this network has 0-5"),
        (lambda path: npz(path, directions=GOOD, layers=[0.5]), r"layers must be whole numbers; got float64 \[1\]"),
        (lambda path: npz(path, directions=GOOD, deviations=[1.0]), r"deviations must be 2 numbers.*got float64 \[1\]"),
        (lambda path: npz(path, directions=GOOD, network="{"), "{path} is no file of directions"),
    ],
)
def test_files_that_are_none(tmp_path, painter, make, message):
    path = tmp_path / "d.npz"
    make(path)
    with pytest.raises(UserError, match=message.format(path=path)):
        directions.read(path, painter)


def test_a_file_that_holds_code_is_not_run(tmp_path, painter):
    np.save(tmp_path / "d.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match="is no file of directions"):
        directions.read(tmp_path / "d.npy", painter)
