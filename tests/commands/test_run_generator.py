"""Every command of run_generator on small networks: the files it leaves, and what is in them."""

import itertools
import os

import numpy as np
import PIL.Image
import pytest
from command_helpers import CONDITIONAL, CONFIG_F, FILMS, PICKLES, PROGAN, read_picture, run
from film_helpers import assert_loops, read_film
from helpers import golden

import tf_stylegan
from tf_stylegan import images, interpolation_videos
from tf_stylegan.pictures.painter import Painter, seed_inputs


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


def test_files_of_one_name_are_different_pictures(tmp_path):
    """Results are called after their sources: what is called alike is told apart, and seeds keep their numbers."""
    rnd, paths = np.random.RandomState(0), {}
    for name in ("pa/w.npz", "pb/w.npz", "5.npz"):
        paths[name] = tmp_path / name
        paths[name].parent.mkdir(exist_ok=True)
        np.savez(paths[name], dlatents=rnd.randn(2 if name == "pb/w.npz" else 1, 8, 48).astype(np.float32))
    columns = ",".join(map(str, ["5", *paths.values(), paths["pa/w.npz"]]))
    sources = [f"--row-seeds={paths['5.npz']}", f"--col-seeds={columns}", "--col-styles=0-7"]
    assert run("style-mixing-example", *sources, f"--outdir={tmp_path / 'out'}") == 0
    own = f"{tmp_path.name}_5"
    columns = ["5", "w", "pb_w.0", "pb_w.1", own]
    names = [*(f"{name}-{name}" for name in columns), *(f"{own}-{name}" for name in columns), "grid"]
    assert sorted(os.listdir(tmp_path / "out")) == sorted({f"{name}.png" for name in names})
    pictures = {read_picture(tmp_path / "out" / f"{own}-{name}.png").tobytes() for name in columns}
    assert len(pictures) == len(columns)


def test_noise_of_seeds_is_drawn_once_a_line(tmp_path, monkeypatch):
    drawn, latents_of = [], Painter.latents_of
    monkeypatch.setattr(Painter, "latents_of", lambda self, seed: drawn.append(seed) or latents_of(self, seed))
    arguments = ["--row-seeds=1,2", "--col-seeds=3-6", "--noise-mode=seed", f"--outdir={tmp_path}"]
    assert run("style-mixing-example", *arguments) == 0
    assert drawn == [3, 4, 5, 6, 1, 2]


def test_latents_of_files_need_no_graph_for_the_noise_of_seeds(tmp_path, monkeypatch):
    np.save(tmp_path / "w.npy", np.zeros([8, 48]))
    modes, graph = [], Painter._graph
    monkeypatch.setattr(
        Painter, "_graph", lambda self, batch, shapes: modes.append(shapes) or graph(self, batch, shapes)
    )
    assert run("generate-images", f"--dlatents={tmp_path / 'w.npy'}", f"--outdir={tmp_path}") == 0
    assert modes and not any(modes)


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
        ("sightseeding", ["--seeds=1,2,3"], "1-2-3-sightseeding", (36, 32, 32)),
    ],
)
@pytest.mark.parametrize("options", [["--noise-mode=seed", "--format=png"], []], ids=["frames", "mp4"])
def test_films(tmp_path, command, arguments, name, shape, options):
    length = "--seed-sec=1.2" if command == "sightseeding" else "--duration-sec=1.2"
    assert run(command, *arguments, *options, length, "--fps=10", f"--outdir={tmp_path}") == 0
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


@pytest.mark.parametrize("form", ["mp4", "webm", "png"])
def test_a_film_takes_the_place_of_another_only_if_forced(tmp_path, form, monkeypatch, capsys):
    arguments = ["circular-video", "--seed=1", "--fps=10", f"--format={form}", f"--outdir={tmp_path}"]
    assert run(*arguments, "--duration-sec=0.2") == 0
    (path,) = tmp_path.iterdir()
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr("tf_stylegan.pictures.painter.Painter._in_batches", None)  # it shows before a frame is drawn
        assert run(*arguments, "--duration-sec=0.5") == 2
    hint = "--force writes over files only" if form == "png" else "--force writes over it"
    expected = f"error: {path} is there already; remove it, or choose another --outdir; {hint}\n"
    assert capsys.readouterr().err == expected
    assert len(read_film(path)[0]) == 2
    assert run(*arguments, "--duration-sec=0.5", "--force") == (2 if form == "png" else 0)
    assert len(read_film(path)[0]) == (2 if form == "png" else 5)
    assert list(tmp_path.iterdir()) == [path]


def test_a_numbered_folder(tmp_path):
    arguments = ["--seeds=1", "--duration-sec=0.1", f"--result-dir={tmp_path}"]
    for number in range(2):
        assert run("noise-video", *arguments) == 0
        assert os.listdir(tmp_path / f"{number:05d}-noise-video") == ["1x1-noise.mp4"]
