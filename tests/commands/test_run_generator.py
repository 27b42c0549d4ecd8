"""Every command of run_generator on small networks: the files it leaves, what is in them, mistakes, signals."""

import functools
import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest
from film_helpers import assert_loops, read_film
from helpers import GOLDEN, golden
from network_helpers import make_g

import tf_stylegan
from tf_stylegan import images, interpolation_videos, run_generator
from tf_stylegan.legacy import networks
from tf_stylegan.pictures.painter import seed_inputs

PICKLES = GOLDEN / "pickles"
CONFIG_F = str(PICKLES / "stylegan2-config-f.pkl")
PROGAN = str(PICKLES / "progan.pkl")
CONDITIONAL = str(PICKLES / "stylegan2-ada-cond.pkl")
FILMS = {
    "lerp-video": ["--seeds=1,2"],
    "style-mixing-video": ["--row-seed=1", "--col-seeds=2"],
    "sightseeding": ["--seeds=1,2"],
    "circular-video": ["--seed=1"],
    "truncation-video": ["--seeds=1"],
    "noise-video": ["--seeds=1"],
}


@pytest.fixture(autouse=True, scope="module")
def _each_network_is_opened_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load_generator", functools.cache(networks.load_generator))
        yield


def run(command, *arguments, network=CONFIG_F):
    """Runs a command in this process; returns its exit code."""
    return run_generator.main(run_generator.parse_args(["run_generator", command, f"--network={network}", *arguments]))


def read_picture(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def seed_pictures(folder, seeds, *arguments, network=CONFIG_F):
    """What generate-images makes of seeds: {seed: picture}."""
    listed = ",".join(map(str, seeds))
    assert run("generate-images", f"--seeds={listed}", f"--outdir={folder / 'seeds'}", *arguments, network=network) == 0
    return {seed: read_picture(folder / "seeds" / f"seed{seed:04d}.png") for seed in seeds}


def cell(frame, column, row, side=32):
    return frame[row * side : (row + 1) * side, column * side : (column + 1) * side]


def assert_same(picture, expected, tolerance=1):
    assert np.abs(picture.astype(int) - expected).max() <= tolerance


# Pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stylegan2-config-f", "stylegan2-ada-cond", "stylegan1", "stylegan2-config-d"])
def test_recorded_style_mixes(tmp_path, name, capsys):
    data, out = golden(f"pickles/{name}"), str(tmp_path / "out")
    arguments = ["--row-seeds=1,2", "--col-seeds=3,4", "--col-styles=0-2", "--truncation-psi=0.7", f"--outdir={out}"]
    assert run("style-mixing-example", *arguments, network=PICKLES / f"{name}.pkl") == 0
    names = ["3-3", "4-4", "1-1", "1-3", "1-4", "2-2", "2-3", "2-4", "grid"]
    assert capsys.readouterr().out.splitlines() == [os.path.join(out, f"{name}.png") for name in names]
    assert sorted(os.listdir(out)) == sorted(f"{name}.png" for name in names)
    pictures = {name: read_picture(os.path.join(out, f"{name}.png")) for name in names}
    for pair, expected in zip(itertools.product((1, 2), (3, 4)), data["style_mixing"]):
        assert_same(pictures["{}-{}".format(*pair)], expected)
    rows = [["", "3-3", "4-4"], ["1-1", "1-3", "1-4"], ["2-2", "2-3", "2-4"]]
    cells = [pictures.get(name, np.zeros_like(pictures["1-1"])) for row in rows for name in row]
    np.testing.assert_array_equal(pictures["grid"], images.make_grid(np.stack(cells), columns=3))


def test_style_mixing_of_the_noise_of_seeds_and_of_named_styles(tmp_path):
    expected = seed_pictures(tmp_path, [5, 8], "--truncation-psi=0.5")
    arguments = ["--row-seeds=8,5", "--col-seeds=5", "--noise-mode=seed", f"--outdir={tmp_path / 'a'}"]
    assert run("style-mixing-example", "--col-styles=middle,coarse", *arguments) == 0
    names = ["5-5.png", "8-8.png", "8-5.png", "grid.png"]
    assert sorted(os.listdir(tmp_path / "a")) == sorted(names)
    grid = read_picture(tmp_path / "a" / "grid.png")
    for at, seed in (((1, 0), 5), ((0, 1), 8), ((0, 2), 5), ((1, 2), 5)):
        assert_same(cell(grid, *at), expected[seed])
    # All styles of the column, with the row's noise.
    Gs = tf_stylegan.load_networks(CONFIG_F)[2]
    w = Gs.truncate(Gs.mapping(seed_inputs(Gs, 5)[0]), 0.5)
    mixed = Gs.synthesis(w, noise_mode="const", noise=seed_inputs(Gs, 8)[1])
    assert_same(cell(grid, 1, 1), images.to_uint8(mixed.numpy())[0])


def test_pictures_of_latents_from_a_file(tmp_path):
    """A projected picture: drawn as it is, also beside seeds; other programs' files of one or several."""
    Gs = tf_stylegan.load_networks(CONFIG_F)[2]
    w = np.random.RandomState(0).randn(3, Gs.num_layers, Gs.mapping.dlatent_size).astype(np.float32)
    np.savez(tmp_path / "photo.npz", dlatents=w)
    np.save(tmp_path / "one.npy", w[0])
    expected = images.to_uint8(Gs.synthesis(w, noise_mode="const").numpy())
    for mode, drawn in (("seed", expected), ("none", images.to_uint8(Gs.synthesis(w, noise_mode="none").numpy()))):
        arguments = [f"--dlatents={tmp_path / 'photo.npz'}", f"--noise-mode={mode}", f"--outdir={tmp_path / mode}"]
        assert run("generate-images", *arguments, "--grid") == 0
        assert sorted(os.listdir(tmp_path / mode)) == [*(f"dlatent{n:02d}.png" for n in range(3)), "grid.png"]
        for number in range(3):
            assert_same(read_picture(tmp_path / mode / f"dlatent{number:02d}.png"), drawn[number])
    sources = [f"--row-seeds={tmp_path / 'one.npy'}", f"--col-seeds=7,{tmp_path / 'photo.npz'}", "--trunc=0.3"]
    assert run("style-mixing-example", *sources, f"--outdir={tmp_path / 'mixed'}") == 0
    assert_same(read_picture(tmp_path / "mixed" / "one-one.png"), expected[0])
    assert_same(read_picture(tmp_path / "mixed" / "photo.2-photo.2.png"), expected[2])
    assert (tmp_path / "mixed" / "one-7.png").exists()


@pytest.mark.parametrize("form, name", [("jpg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_formats_of_pictures(tmp_path, form, name):
    assert run("generate-images", "--seeds=1,2", "--create-grid", f"--format={form}", f"--outdir={tmp_path}") == 0
    assert sorted(os.listdir(tmp_path)) == [f"grid.{form}", f"seed0001.{form}", f"seed0002.{form}"]
    for file in os.listdir(tmp_path):
        with PIL.Image.open(tmp_path / file) as image:
            assert image.format == name
            assert image.size == ((64, 32) if file.startswith("grid") else (32, 32))


def test_class_and_precision(tmp_path, capsys):
    drawn = {}
    for options in ((), ("--class=0",), ("--class=1",), ("--class=1", "--precision=bfloat16")):
        drawn[options] = seed_pictures(tmp_path, [1], *options, network=CONDITIONAL)[1].astype(int)
        printed = capsys.readouterr()
        assert ("classes; choose one with --class." in printed.err) == (not options)
        assert "Note" not in printed.out
    by_class = [drawn[options] for options in list(drawn)[:3]]
    assert all(np.abs(a - b).mean() > 1 for a, b in itertools.combinations(by_class, 2))
    half = np.abs(drawn["--class=1", "--precision=bfloat16"] - drawn[("--class=1",)])
    assert 0 < half.mean() < 3


# Films ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form, codec", [("mp4", "h264"), ("webm", "vp9"), ("gif", "gif"), ("png", None)])
def test_lerp_video(tmp_path, form, codec, capsys):
    ending = "" if form == "png" else f".{form}"
    path = tmp_path / "out" / f"3x2-lerp-1xslowdown{ending}"
    arguments = ["--seeds=3,1,2,5,4,1", "--duration-sec=1.2", "--fps=20", f"--format={form}", "--truncation-psi=0.7"]
    assert run("lerp-video", *arguments, f"--outdir={tmp_path / 'out'}") == 0
    assert capsys.readouterr().out.splitlines() == [str(path)]
    assert os.listdir(tmp_path / "out") == [path.name]
    frames, about = read_film(path)
    assert frames.shape == (24, 64, 96, 3)
    assert_loops(frames, slack=2)
    assert (frames[:, 36:, 68:] < 24).all(), "the missing cell is black"
    if codec:
        assert about["codec"].rstrip(",") == codec
        assert about["duration"] == pytest.approx(1.2, abs=0.01)
    if form == "png":
        expected = seed_pictures(tmp_path, [1, 2, 3, 4, 5], "--truncation-psi=0.7", "--noise-mode=const")
        for number in range(5):
            assert_same(cell(frames[0], number % 3, number // 3), expected[number + 1])


@pytest.mark.parametrize(
    "command, arguments, name, shape",
    [
        ("lerp-video", ["--seeds=9", "--grid-w=2", "--grid-h=1", "--slowdown=2"], "2x1-lerp-2xslowdown", (24, 32, 64)),
        ("lerp-video", ["--seeds=9", "--free-walk", "--smoothing-sec=0.1"], "1x1-lerp-1xslowdown", (12, 32, 32)),
        ("style-mixing-video", ["--row-seed=1", "--col-seeds=2,3"], "2x1-style-mixing", (12, 64, 96)),
        ("style-mixing-video", ["--row-seed=1", "--col-seeds=2", "--only-stylemix"], "1x1-style-mixing", (12, 32, 32)),
        ("circular-video", ["--seed=1"], "3x2-circular", (12, 64, 96)),
        ("truncation-video", ["--seeds=1-3", "--psi=-1..1"], "2x2-truncation", (12, 64, 64)),
        ("noise-video", ["--seeds=1", "--grid-w=2"], "2x1-noise", (12, 32, 64)),
    ],
)
@pytest.mark.parametrize("options", [["--noise-mode=seed", "--format=png"], []], ids=["frames", "mp4"])
def test_films(tmp_path, command, arguments, name, shape, options):
    arguments = [*arguments, *options, "--duration-sec=1.2", "--fps=10", f"--outdir={tmp_path}"]
    assert run(command, *arguments) == 0
    (file,) = os.listdir(tmp_path)
    frames, about = read_film(tmp_path / file)
    assert frames.shape == (*shape, 3)
    if options:
        assert file == name
        assert_loops(frames, slack=2)
    else:
        assert file == f"{name}.mp4"
        assert about["codec"] == "h264" and about["fps"] == 10
        assert about["duration"] == pytest.approx(shape[0] / 10)
        assert_loops(frames, slack=3)  # the encoder's first frame is better than its last


def test_pictures_of_films_are_those_of_generate_images(tmp_path):
    expected = seed_pictures(tmp_path, [1, 2, 4], "--truncation-psi=0.7")
    common = ["--noise-mode=seed", "--format=png", "--duration-sec=0.4", "--fps=10", f"--outdir={tmp_path}"]
    psi = "--truncation-psi=0.7"
    assert run("style-mixing-video", "--row-seed=1", "--col-seeds=2,4", psi, *common) == 0
    frame = read_film(tmp_path / "2x1-style-mixing")[0][0]
    for at, seed in (((1, 0), 2), ((2, 0), 4), ((0, 1), 1)):
        assert_same(cell(frame, *at), expected[seed])
    assert run("truncation-video", "--seeds=1,2", "--psi=0.7..1", "--no-loop", *common) == 0
    frames = read_film(tmp_path / "2x1-truncation")[0]
    assert len(frames) == 4
    for column, seed in enumerate([1, 2]):
        assert_same(cell(frames[0], column, 0), expected[seed])
    assert run("noise-video", "--seeds=1,2", psi, *common) == 0
    assert_same(cell(read_film(tmp_path / "2x1-noise")[0][0], 1, 0), expected[2])


@pytest.mark.parametrize("extra", [[], ["--interp-type=linear", "--smooth"], ["--interp-in-z", "--ease=smoother"]])
def test_sightseeding(tmp_path, extra):
    expected = seed_pictures(tmp_path, [1, 2, 4], "--truncation-psi=1")
    arguments = ["--seed-sec=0.3", "--fps=20", "--noise-mode=seed", "--format=png", f"--outdir={tmp_path}", *extra]
    assert run("sightseeding", "--seeds=4,1-2,1", *arguments) == 0
    frames, _ = read_film(tmp_path / "4-1-2-1-sightseeding")
    assert len(frames) == 24
    for number, seed in enumerate([4, 1, 2, 1]):
        assert_same(frames[6 * number], expected[seed])
    assert_loops(frames, slack=2)


def test_sightseeding_past_a_photo_and_no_further(tmp_path):
    Gs = tf_stylegan.load_networks(CONFIG_F)[2]
    w = np.random.RandomState(0).randn(1, 1, Gs.mapping.dlatent_size).astype(np.float32)
    np.savez(tmp_path / "photo.npz", w=w)
    arguments = ["--seed-sec=0.5", "--fps=6", "--no-loop", "--trunc=0.7", "--format=png", f"--outdir={tmp_path / 'a'}"]
    assert run("sightseeding", f"--seeds=4,{tmp_path / 'photo.npz'}", *arguments) == 0
    frames, _ = read_film(tmp_path / "a" / "4-photo-sightseeding")
    assert len(frames) == 4
    expected = images.to_uint8(Gs.synthesis(np.tile(w, [1, Gs.num_layers, 1]), noise_mode="const").numpy())[0]
    assert_same(frames[-1], expected)
    many = ",".join(map(str, range(1000, 1100)))
    assert run("sightseeding", f"--seeds={many}", "--seed-sec=0.1", "--fps=10", f"--outdir={tmp_path / 'b'}") == 0
    assert os.listdir(tmp_path / "b") == ["1000-and-99-more-sightseeding.mp4"]


def test_interpolation_videos(tmp_path):
    for command, name in (("lerp-video", "2x1-lerp-1xslowdown.mp4"), ("style-mixing-video", "1x1-style-mixing.mp4")):
        arguments = [command, f"--pkl-path={CONFIG_F}", *FILMS[command], "--duration-sec=0.2", f"--outdir={tmp_path}"]
        assert interpolation_videos.main(interpolation_videos.parse_args(["interpolation_videos", *arguments])) == 0
        assert len(read_film(tmp_path / name)[0]) == 6


@pytest.mark.parametrize("command", FILMS)
def test_progan_and_grey(tmp_path, command, capsys):
    """Of what needs no w a film, of the rest one line."""
    arguments = [*FILMS[command], "--fps=4", "--outdir", str(tmp_path / "out")]
    arguments.append("--seed-sec=1" if command == "sightseeding" else "--duration-sec=1")
    walks = command in ("lerp-video", "circular-video")
    assert run(command, *arguments, network=PICKLES / "progan-cond.pkl") == (0 if walks else 2)
    if walks:
        (name,) = os.listdir(tmp_path / "out")
        frames, _ = read_film(tmp_path / "out" / name)
        assert len(frames) == 4
        assert (np.ptp(frames.astype(int), axis=-1) <= 6).all(), "grey"
        return
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Note: ")]
    assert len(errors) == 1 and "ProGAN" in errors[0]
    assert os.listdir(tmp_path) == []
    if command == "sightseeding":
        assert run(command, *arguments, "--interp-in-z", network=PROGAN) == 0
        assert os.listdir(tmp_path / "out") == ["1-2-sightseeding.mp4"]


def test_a_numbered_folder(tmp_path):
    arguments = ["--seeds=1", "--duration-sec=0.1", f"--result-dir={tmp_path}"]
    for number in range(2):
        assert run("noise-video", *arguments) == 0
        assert os.listdir(tmp_path / f"{number:05d}-noise-video") == ["1x1-noise.mp4"]


# Mistakes ------------------------------------------------------------------------------------------------------------


def latents_of_another_network(folder):
    np.save(folder / "w.npy", np.zeros([18, 512]))


def taken(folder):
    (folder / "out").write_bytes(b"")


def frames_are_there(folder):
    (folder / "out" / "1x1-noise").mkdir(parents=True)


def nothing(folder):
    pass


SHORT = ["--duration-sec=0.2"]


@pytest.mark.parametrize(
    "make, command, arguments, message",
    [
        (nothing, "lerp-video", ["--seeds=1,x"], "--seeds=1,x: 'x' is neither a number nor a range such as 66-70"),
        (nothing, "lerp-video", ["--seeds=1", "--duration-sec=0"], "--duration-sec=0 must be above 0"),
        (nothing, "lerp-video", ["--seeds=1", "--fps=0"], "--fps=0 must be above 0"),
        (nothing, "lerp-video", ["--seeds=1", "--bitrate=-16M"], "--bitrate=-16M must be a number of bits per second"),
        (nothing, "lerp-video", ["--seeds=1", "--slowdown=3"], "--slowdown=3 must be a power of two"),
        (nothing, "lerp-video", ["--seeds=1", "--slowdown=0"], "--slowdown=0 must be a power of two"),
        (nothing, "lerp-video", ["--seeds=1-3", "--grid-w=1", "--grid-h=2"], "has room for 2 seeds, got 3"),
        (nothing, "lerp-video", ["--seeds=1", "--grid-w=0"], "--grid-w=0 must be from 1 to 1000"),
        (nothing, "lerp-video", ["--seeds=1", "--grid-w=600", *SHORT], "a frame of 19200 x 32 pixels is too large"),
        (nothing, "lerp-video", ["--seeds=1", "--smoothing-sec=-1"], "--smoothing-sec=-1 must be 0 or more"),
        (nothing, "lerp-video", ["--seeds=1", "--duration-sec=1e9"], "GiB of memory"),
        (nothing, "lerp-video", ["--seeds=1", "--format=gif", "--fps=60"], "at most 50 with --format=gif"),
        (nothing, "lerp-video", ["--seeds=1", "--network=nowhere.pkl"], "could not read nowhere.pkl"),
        (nothing, "lerp-video", ["--seeds=1", "--class=1"], "--class=1 is out of range: this network has no classes"),
        (
            nothing,
            "lerp-video",
            ["--seeds=1", "--truncation-cutoff=-1"],
            "truncation_cutoff must be a number of styles",
        ),
        (taken, "lerp-video", ["--seeds=1", *SHORT], "out is a file, not a folder; choose another"),
        (nothing, "lerp-video", ["--seeds=1", "--bitrate=1"], "--bitrate=1 is too low"),
        (nothing, "lerp-video", ["--seeds=4294967295", "--grid-w=2"], "counts on from seed 4294967295 past the last"),
        (nothing, "style-mixing-video", ["--row-seed=x", "--col-seeds=1"], "--row-seed=x: 'x' is neither a number"),
        (nothing, "style-mixing-video", ["--row-seed=1", "--col-seeds=1", "--col-styles=0-8"], "this network has 0-7"),
        (
            nothing,
            "style-mixing-example",
            ["--row-seeds=1", "--col-seeds=2", "--col-styles=8"],
            "style 8 is past the last",
        ),
        (
            nothing,
            "style-mixing-example",
            ["--row-seeds=1", "--col-seeds=2", "--col-styles=fine"],
            "has no fine styles",
        ),
        (
            nothing,
            "style-mixing-example",
            ["--row-seeds=1", "--col-seeds=no.npz"],
            "could not read no.npz: No such file",
        ),
        (nothing, "sightseeding", ["--seeds=1"], "sightseeding needs two or more different seeds"),
        (nothing, "sightseeding", ["--seeds=1,2", "--seed-sec=0"], "--seed-sec=0 must be above 0"),
        (
            nothing,
            "sightseeding",
            ["--seeds=1,w.npz", "--interp-in-z"],
            "--interp-in-z goes from seed to seed, but w.npz",
        ),
        (latents_of_another_network, "sightseeding", ["--seeds=1,{folder}/w.npy"], "got [18, 512]"),
        (latents_of_another_network, "generate-images", ["--dlatents={folder}/w.npy"], "must be [8, 48] or [1, 48]"),
        (nothing, "generate-images", ["--dlatents=w.npy", "--trunc=0.7"], "--truncation-psi is for seeds"),
        (nothing, "generate-images", ["--seeds=0-999999", "--grid"], "1000 x 1000 pictures"),
        (nothing, "generate-images", ["--seeds=0-999999", "--grid", "--format=webp"], "32000 x 32000 pixels"),
        (nothing, "circular-video", ["--seed=1,2"], "--seed=1,2 must be one number"),
        (nothing, "circular-video", ["--seed=1", "--radius=0"], "--radius=0 is no circle"),
        (nothing, "circular-video", ["--seed=1", "--radius=1e39"], "--radius=1e+39 is too large; it can be up to"),
        (
            nothing,
            "truncation-video",
            ["--seeds=1", "--psi=0.5"],
            "--psi=0.5 must be two numbers with two dots between",
        ),
        (nothing, "truncation-video", ["--seeds=1", "--psi=0..nan"], "--psi=0..nan must be two numbers"),
        (nothing, "truncation-video", ["--seeds=1", "--truncation-psi=1"], "leave --truncation-psi out"),
        (nothing, "noise-video", ["--seeds=1", "--turns=0"], "--turns=0 must be from 1 to 16"),
        (nothing, "noise-video", ["--seeds=1", "--noise-mode=none"], "--noise-mode=seed or const, not none"),
        (frames_are_there, "noise-video", ["--seeds=1", "--format=png", *SHORT], "is there already; remove it"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, monkeypatch, make, command, arguments, message):
    monkeypatch.setattr("tf_stylegan.pictures.painter.Painter._in_batches", None)  # nothing is drawn before
    if "1000 x 1000" in message:
        monkeypatch.setattr("os.sysconf", lambda name: 2**15)  # a machine of one GiB
    make(tmp_path)
    before = sorted(path for path, _, _ in os.walk(tmp_path))
    arguments = [argument.format(folder=tmp_path) for argument in arguments]
    network = [] if any(argument.startswith("--network") for argument in arguments) else [f"--network={CONFIG_F}"]
    option = "--outdir" if make in (taken, frames_are_there) else "--result-dir"
    place = f"{option}={tmp_path / ('out' if option == '--outdir' else 'results')}"
    args = run_generator.parse_args(["run_generator", command, *network, *arguments, place])
    assert run_generator.main(args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    errors = printed.err.splitlines()
    assert len(errors) == 1 and errors[0].startswith("error: "), printed.err
    assert message in errors[0]
    assert sorted(path for path, _, _ in os.walk(tmp_path)) in (before, [*before, str(tmp_path / "results")])


@pytest.mark.parametrize("option", ["--outdir", "--result-dir"])
def test_folders_that_are_none(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_bytes(b"")
    problems = {"": f"{option}= is empty; name a folder", "README.md": f"{option}=README.md is a file, not a folder"}
    for value, problem in problems.items():
        assert run("generate-images", "--seeds=1", f"{option}={value}") == 2
        assert problem in capsys.readouterr().err
    assert os.listdir() == ["README.md"]


def test_truncation_of_a_progan_is_a_note(tmp_path, capsys):
    for options, noted in (([], 0), (["--truncation-psi=0.5"], 1), (["--truncation-cutoff=2"], 1)):
        arguments = ["--seed=1", "--duration-sec=0.1", *options, f"--outdir={tmp_path}"]
        assert run("circular-video", *arguments, network=PROGAN) == 0
        printed = capsys.readouterr()
        assert printed.err.count("Note: a ProGAN has no truncation") == noted
        assert len(printed.out.splitlines()) == 1


def test_a_missing_encoder_shows_before_tensorflow_is_loaded(tmp_path, monkeypatch, capsys):
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text("#!/bin/sh\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(ffmpeg))
    monkeypatch.setattr("tf_stylegan.cli.load_tensorflow", None)
    for command, arguments in FILMS.items():
        assert run(command, *arguments) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert "has no encoder libx264, which --format=mp4 needs" in error


def test_choices_and_missing_options(capsys):
    for arguments in (
        ["lerp-video"],
        ["lerp-video", "--seeds=1"],
        ["generate-images", f"--network={CONFIG_F}", "--seeds=1", "--dlatents=w.npy"],
        ["sightseeding", f"--network={CONFIG_F}", "--seeds=1", "--ease=jump"],
        ["lerp-video", f"--network={CONFIG_F}", "--seeds=1", "--fps=inf"],
        ["no-video"],
        [],
    ):
        with pytest.raises(SystemExit) as caught:
            run_generator.parse_args(["run_generator", *arguments])
        assert caught.value.code == 2
        assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("error, code", [(KeyboardInterrupt, 130), (SystemExit(143), 143)])
def test_an_interrupted_film_leaves_nothing(tmp_path, monkeypatch, error, code):
    """Also not the folder that was made for it; but a folder that was there, with what is in it."""
    from tf_stylegan.pictures.painter import Painter

    drawn, draw = [], Painter._in_batches

    def interrupted(self, *arguments):
        drawn.append(len(drawn))
        if len(drawn) > 3:
            raise error
        return draw(self, *arguments)

    monkeypatch.setattr(Painter, "_in_batches", interrupted)
    for place, left in ((f"--result-dir={tmp_path / 'results'}", []), (f"--outdir={tmp_path}", ["results"])):
        drawn.clear()
        try:
            assert run("lerp-video", "--seeds=1", "--duration-sec=4", place) == code
        except SystemExit as ended:
            assert ended.code == code
        assert len(drawn) == 4
        assert os.listdir(tmp_path / "results") == []
        assert os.listdir(tmp_path) == ["results"] or left == []


def test_a_signal_to_the_program(tmp_path):
    tf_stylegan.save_networks(tmp_path / "g.pkl", [make_g()])
    program = [sys.executable, "-m", "tf_stylegan.run_generator", "lerp-video", f"--network={tmp_path / 'g.pkl'}"]
    command = [*program, "--seeds=1", "--duration-sec=3000", f"--outdir={tmp_path / 'out'}"]
    with subprocess.Popen(command, cwd=GOLDEN.parent.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out"):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
        assert process.stdout.read() == b""
    assert not (tmp_path / "out").exists()
