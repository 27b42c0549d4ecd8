"""Seeds and latents to pictures: the Painter, the recorded pictures through the command, mistakes."""

import itertools
import os
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from helpers import GOLDEN, golden
from network_helpers import GROWING, make_d, make_g, make_growing_g

import tf_stylegan
from tf_stylegan import images, run_generator
from tf_stylegan.errors import UserError
from tf_stylegan.pictures.painter import Painter, class_labels, seed_inputs

CONFIG_F = str(GOLDEN / "pickles" / "stylegan2-config-f.pkl")
CONDITIONAL = str(GOLDEN / "pickles" / "stylegan2-config-e-Gresnet-Dskip-cond.pkl")


def command(*arguments):
    """Runs `generate-images` in this process; returns its exit code."""
    return run_generator.main(run_generator.parse_args(["run_generator", "generate-images", *arguments]))


def read_png(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image)


def test_labels_of_a_class():
    G = make_g(label_size=3)
    np.testing.assert_array_equal(class_labels(G, 2, 2), [[0, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(class_labels(G, 0, 1), [[1, 0, 0]])
    np.testing.assert_array_equal(class_labels(G, None, 2), np.zeros([2, 3]))
    assert class_labels(make_g(), None, 5).shape == (5, 0)
    for index in (-1, 3):
        with pytest.raises(UserError, match=f"--class={index} is out of range: 0 … 2"):
            class_labels(G, index, 1)
    with pytest.raises(UserError, match="--class=0 is out of range: this network has no classes; leave the option out"):
        class_labels(make_g(), 0, 1)


def test_a_seed_draws_latents_then_every_noise_map():
    latents, maps = seed_inputs(make_g(), 7)
    rnd = np.random.RandomState(7)
    np.testing.assert_array_equal(latents, rnd.randn(1, 8).astype(np.float32))
    assert [noise.shape for noise in maps] == [(1, r, r, 1) for r in (4, 8, 8, 16, 16)]
    for noise in maps:
        np.testing.assert_array_equal(noise.ravel(), rnd.randn(noise.size).astype(np.float32))


def test_a_picture_does_not_depend_on_its_company():
    """Seeds are drawn in batches; the last, incomplete one is filled up."""
    G = make_g(resolution=64)
    seeds = [3, 1, 4, *range(100, 120)]
    assert len(seeds) > Painter(G).batch_size, "more than a batch"
    drawn = dict(Painter(G).seed_pictures(seeds))
    assert list(drawn) == seeds
    for seed in (4, 119):
        ((_, alone),) = Painter(G).seed_pictures([seed])
        assert alone.dtype == np.uint8
        assert alone.shape == (64, 64, 3)
        assert np.abs(alone.astype(int) - drawn[seed]).max() <= 1
    assert len({picture.tobytes() for picture in drawn.values()}) == len(seeds)


def test_w_is_truncated_as_the_network_does_it():
    G = make_g(truncation_psi=0.6)
    painter, latents = Painter(G), np.random.RandomState(0).randn(5, 8)
    w = painter.dlatents(latents)
    assert w.dtype == np.float32
    np.testing.assert_allclose(w, G.mapping(latents.astype(np.float32)).numpy(), atol=1e-6)
    for psi, cutoff in ((None, None), (0.3, None), (0.3, 2), (-1.0, 4), (1.0, 3), (0.0, 0)):
        expected = G.truncate(w, psi, cutoff)
        np.testing.assert_allclose(painter.truncated(w, psi, cutoff), expected, atol=1e-6)
        np.testing.assert_allclose(painter.variant(truncation_psi=psi, truncation_cutoff=cutoff).truncated(w), expected)
    each = painter.truncated(w, [0, 0.25, 0.5, 1, 2], 3)
    for number, psi in enumerate([0, 0.25, 0.5, 1, 2]):
        np.testing.assert_allclose(each[number], painter.truncated(w, psi, 3)[number], atol=1e-6)


def test_one_graph_per_batch_size_whatever_else_changes():
    painter = Painter(make_g(), noise_mode="const")
    for count, psi in itertools.product((3, 4, 20), (0.1, 0.7)):
        w = painter.variant(truncation_psi=psi).dlatents(np.random.RandomState(0).randn(count, 8))
        assert painter.variant(truncation_psi=psi).draw(w).shape == (count, 16, 16, 3)
    assert len(painter._graphs) == 2, "for 4 and for 16"
    noisy = painter.variant(noise_mode="seed", class_index=None)
    latents, maps = noisy.latents_of(1)
    for noise in (maps, [np.repeat(m, 3, 0) for m in maps]):
        noisy.paint(np.repeat(latents, 3, 0), noise)
    assert len(painter._graphs) == 3, "noise maps are arguments, one for all or one for each"
    assert painter.noise_mode == "const", "a variant does not change its model"


def test_a_painter_of_any_network():
    for kind in GROWING:
        painter = Painter(make_growing_g(kind))
        assert painter.picture_shape == (16, 16, 3)
        latents, noise = painter.latents_of(4)
        assert painter.has_w == (noise is not None) == (kind != "progan")
        assert painter.paint(latents, noise).shape == (1, 16, 16, 3)
        assert painter.paint(np.zeros([0, 8])).shape == (0, 16, 16, 3)
    for needs_w in ("num_layers", "w_size", "w_avg", "psi"):
        with pytest.raises(UserError, match="needs a network with intermediate latents w"):
            getattr(painter, needs_w)
    for call in (painter.dlatents, painter.truncated, painter.draw):
        with pytest.raises(UserError, match="a ProGAN has none"):
            call(np.zeros([1, 8]))


def test_mistakes_show_when_a_painter_is_made():
    G = make_g(label_size=3)
    for options, problem in (
        ({"noise_mode": "loud"}, "--noise-mode=loud must be one of"),
        ({"class_index": 3}, "--class=3 is out of range: 0 … 2"),
        (
            {"truncation_cutoff": -1},
            "--truncation-cutoff=-1 is out of range: this network has 6 styles, so from 0 to 6",
        ),
        ({"truncation_cutoff": 7}, "--truncation-cutoff=7 is out of range: this network has 6 styles, so from 0 to 6"),
        ({"truncation_psi": np.inf}, "truncation_psi must be a finite number"),
    ):
        with pytest.raises(UserError, match=problem):
            Painter(G, **options)
        with pytest.raises(UserError, match=problem):
            Painter(G).variant(**options)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_latents_that_are_not_finite_are_not_drawn(bad):
    painter = Painter(make_g(), noise_mode="none")
    w = np.zeros([3, painter.num_layers, painter.w_size], np.float32)
    w[2, 1, 0] = bad
    with pytest.raises(UserError, match="the latents are not finite: an option is too large"):
        painter.draw(w)
    with pytest.raises(UserError, match="the latents are not finite"):
        painter.paint(np.full([1, 8], bad))


def test_classes_are_arguments_too():
    G = make_g(label_size=3)
    painter, latents = Painter(G, 1.0, noise_mode="none"), np.random.RandomState(0).randn(2, 8)
    for index in (None, 0, 2):
        labels = class_labels(G, index, 2)
        expected = G(latents.astype(np.float32), labels, truncation_psi=1.0, noise_mode="none").numpy()
        drawn = painter.variant(class_index=index).paint(latents)
        assert np.abs(drawn.astype(int) - images.to_uint8(expected)).max() <= 1


def test_noise_modes():
    tf.random.set_seed(None)  # another test may have set it: then new graphs begin their random numbers anew
    G = make_g()

    def draw(mode):
        ((_, picture),) = Painter(G, noise_mode=mode).seed_pictures([1])
        return picture.astype(int)

    latents, maps = seed_inputs(G, 1)
    for mode, given in (("seed", {"noise": maps}), ("const", {})):
        dlatents = G.truncate(G.mapping(latents))
        expected = images.to_uint8(G.synthesis(dlatents, noise_mode="const", **given))[0]
        assert np.abs(draw(mode) - expected).max() <= 1
    assert (draw("seed") == draw("seed")).all()
    assert (draw("none") == draw("none")).all()
    assert (draw("random") != draw("random")).any()
    assert (draw("seed") != draw("const")).any()
    with pytest.raises(UserError, match="--noise-mode=loud must be one of seed, const, random, none"):
        draw("loud")


@pytest.mark.parametrize("network, extra", [(CONFIG_F, []), (CONDITIONAL, ["--class=1"])])
@pytest.mark.parametrize("variant, psi", [("psi05", ["--truncation-psi=0.5"]), ("default", [])])
def test_recorded_pictures_through_the_command(tmp_path, network, extra, variant, psi, capsys):
    data = golden(f"pickles/{os.path.basename(network)[:-4]}")
    seeds = [int(seed) for seed in data["seeds"]]
    outdir = str(tmp_path / "new" / "pictures")
    arguments = [f"--network={network}", f"--seeds={','.join(map(str, seeds))}", f"--outdir={outdir}", *psi, *extra]
    assert command(*arguments) == 0
    assert sorted(os.listdir(outdir)) == [f"seed{seed:04d}.png" for seed in sorted(seeds)]
    for seed, expected in zip(seeds, data[f"images_{variant}"]):
        picture = read_png(os.path.join(outdir, f"seed{seed:04d}.png")).astype(int)
        assert np.abs(picture - expected).max() <= 1
    printed = capsys.readouterr().out.splitlines()
    assert printed == [os.path.join(outdir, f"seed{seed:04d}.png") for seed in sorted(seeds)]


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_in_a_numbered_folder(tmp_path, channels):
    tf_stylegan.save_networks(tmp_path / "g.pkl", [make_g(num_channels=channels)])
    arguments = [f"--network={tmp_path / 'g.pkl'}", "--seeds=1-5", f"--result-dir={tmp_path / 'results'}", "--grid"]
    for number in range(2):
        assert command(*arguments) == 0
        folder = tmp_path / "results" / f"{number:05d}-generate-images"
        names = [f"seed{seed:04d}.png" for seed in range(1, 6)]
        assert sorted(os.listdir(folder)) == ["grid.png", *names]
        pictures = np.stack([read_png(folder / name).reshape(16, 16, channels) for name in names])
        grid = read_png(folder / "grid.png").reshape(32, 48, channels)
        np.testing.assert_array_equal(grid, images.make_grid(pictures, columns=3))
        assert np.std(grid) > 0


def test_as_a_program(tmp_path):
    arguments = [f"--network={CONFIG_F}", "--seeds=7", f"--outdir={tmp_path / 'a'}"]
    program = [sys.executable, "-m", "tf_stylegan.run_generator", "generate-images"]
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, cwd=GOLDEN.parent.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "a" / "seed0007.png")]
    ((_, expected),) = Painter(tf_stylegan.load_networks(CONFIG_F)[2]).seed_pictures([7])
    assert np.abs(read_png(tmp_path / "a" / "seed0007.png").astype(int) - expected).max() <= 1


def test_a_mistake_as_a_program(tmp_path):
    program = [sys.executable, "-m", "tf_stylegan.run_generator", "generate-images"]
    done = subprocess.run(
        [*program, "--network=nowhere.pkl", "--seeds=1", f"--outdir={tmp_path / 'a'}"],
        capture_output=True,
        text=True,
        cwd=GOLDEN.parent.parent,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    # TensorFlow itself greets on stderr while it is imported, and no setting stops it.
    ours = [line for line in done.stderr.splitlines() if not re.match(r"[IWE]0000 |WARNING: All log messages", line)]
    assert ours == ["error: could not read nowhere.pkl: No such file or directory"]
    assert os.listdir(tmp_path) == []


def not_a_pickle(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def truncated(path):
    with open(CONFIG_F, "rb") as file:
        path.write_bytes(file.read()[:100_000])


def empty(path):
    path.write_bytes(b"")


def folder(path):
    path.mkdir()


def without_generator(path):
    tf_stylegan.save_networks(path, [make_d(name="Rembrandt")])


def good(path):
    tf_stylegan.save_networks(path, [make_g()])


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        (lambda path: None, [], "could not read {path}: No such file or directory"),
        (not_a_pickle, [], "{path}"),
        (truncated, [], "{path}"),
        (empty, [], "{path}"),
        (folder, [], "{path}"),
        (without_generator, [], "{path} holds no generator, only Rembrandt"),
        (good, ["--seeds=5-3"], "--seeds=5-3: '5-3' must go upwards"),
        (good, ["--seeds=one"], "--seeds=one: 'one' is neither a number nor a range"),
        (good, ["--class=0"], "--class=0 is out of range: this network has no classes"),
        (good, ["--class=-1"], "--class=-1 is out of range"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, make, arguments, message):
    path = tmp_path / "network.pkl"
    make(path)
    before = os.listdir(tmp_path)
    assert command(f"--network={path}", "--seeds=1", f"--result-dir={tmp_path / 'results'}", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: ")
    assert message.format(path=path) in printed.err
    assert os.listdir(tmp_path) == before, "no folder made"


def test_an_output_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "taken").write_bytes(b"")
    assert command(f"--network={CONFIG_F}", "--seeds=1", f"--outdir={tmp_path / 'taken'}") == 2
    error = capsys.readouterr().err
    assert f"--outdir={tmp_path / 'taken'} is a file, not a folder" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [["--seeds=1"], ["--network=x"], ["--network=x", "--seeds=1", "--outdir=a", "--result-dir=b"], ["--psi=1"]],
)
def test_arguments_that_do_not_fit_together(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_cutoff_that_cannot_be_is_one_line(tmp_path, capsys):
    arguments = ["--network", str(GOLDEN / "pickles/stylegan2-config-f.pkl"), "--seeds=0", "--truncation-cutoff=-3"]
    assert command(*arguments, f"--outdir={tmp_path}") == 2
    assert (
        "error: --truncation-cutoff=-3 is out of range: this network has 8 styles, so from 0 to 8\n"
        in capsys.readouterr().err
    )
