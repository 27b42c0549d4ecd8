"""find-directions, edit, average and interpolate through the command: files, the same picture everywhere, mistakes."""

import functools
import os

import numpy as np
import PIL.Image
import pytest
from command_helpers import CONDITIONAL, CONFIG_F, PROGAN, STYLEGAN1
from film_helpers import read_film
from network_helpers import make_growing_g

from tf_stylegan import run_generator
from tf_stylegan.errors import UserError
from tf_stylegan.legacy import networks
from tf_stylegan.pictures import directions, edits
from tf_stylegan.pictures.painter import Painter


@pytest.fixture(scope="module", autouse=True)
def graphs_are_traced_once():
    """That is tested elsewhere, and takes longer than all the rest."""
    first = functools.lru_cache(Painter)

    def painter(Gs, *options):
        names = ("truncation_psi", "truncation_cutoff", "noise_mode", "class_index")
        return first(Gs).variant(**dict(zip(names, options)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_stylegan.pictures.painter.Painter", painter)
        yield


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(*arguments):
    """Runs run_generator in this process; returns its exit code."""
    return run_generator.main(run_generator.parse_args(["run_generator", *arguments]))


def read_picture(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image).astype(int)


def cells(sheet, rows, columns):
    """`[rows, columns, H, W, …]` of a sheet without captions."""
    height, width = sheet.shape[0] // rows, sheet.shape[1] // columns
    parts = sheet.reshape(rows, height, columns, width, *sheet.shape[2:])
    return np.moveaxis(parts, 2, 1)


def generated(*arguments):
    """The pictures that generate-images makes, by name."""
    assert command("generate-images", "--outdir=plain", *arguments) == 0
    return {name[:-4]: read_picture(os.path.join("plain", name)) for name in sorted(os.listdir("plain"))}


def brightness(pictures):
    """`[F, H, W]`: films keep less of colours."""
    return pictures @ [0.2126, 0.7152, 0.0722]


# find-directions -----------------------------------------------------------------------------------------------------


def test_find_directions(capsys):
    assert command("find-directions", f"--network={CONFIG_F}", "--layers=middle", "--count=4", "--out=d.npz") == 0
    assert os.listdir() == ["d.npz"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Directions of styles 4-7"
    assert printed[-1] == "d.npz"
    painter = Painter(networks.load_generator(CONFIG_F))
    found = directions.read("d.npz", painter)
    expected = directions.find(painter, [4, 5, 6, 7], 4)
    np.testing.assert_array_equal(found.eigenvalues, expected.eigenvalues)
    rows = [line.split() for line in printed[3:7]]
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3]
    for row, value, deviation in zip(rows, found.eigenvalues, found.deviations):
        assert [float(word) for word in row[1:]] == pytest.approx(
            [value, deviation, deviation * np.sqrt(value)], rel=1e-3
        )


def test_find_directions_in_a_numbered_folder_with_a_sheet(capsys):
    arguments = [f"--network={CONFIG_F}", "--sheet", "--count=2", "--seeds=5,3", "--strength", "-4..4", "--steps=3"]
    assert command("find-directions", *arguments) == 0
    folder = os.path.join("results", "00000-find-directions")
    assert sorted(os.listdir(folder)) == ["directions.npz", "directions.png"]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        os.path.join(folder, name) for name in sorted(os.listdir(folder))
    ]
    sheet = read_picture(os.path.join(folder, "directions.png"))
    plain = generated(f"--network={CONFIG_F}", "--seeds=3,5")
    column = sheet[:, -2 * 96 : -96]
    for bottom, seed in ((0, 3), (-96, 5)):  # the last rows are those of the last direction
        picture = plain[f"seed{seed:04d}"].repeat(3, 0).repeat(3, 1)  # 32 pixels a side, enlarged to be seen
        np.testing.assert_array_equal(column[bottom - 96 : bottom or None], picture)


def test_ten_directions_unless_said_otherwise(capsys):
    assert command("find-directions", f"--network={STYLEGAN1}", "--out=d.npz") == 0
    with np.load("d.npz") as file:
        assert file["directions"].shape == (10, 48)
        assert file["layers"].tolist() == list(range(8))


# edit ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network, options",
    [
        (CONFIG_F, []),
        (CONFIG_F, ["--truncation-psi=1.2", "--noise-mode=const"]),
        (CONFIG_F, ["--truncation-psi=-0.5", "--truncation-cutoff=3", "--noise-mode=none"]),
        (CONDITIONAL, ["--class=1", "--trunc=0.8"]),
        (STYLEGAN1, ["--truncation-psi=0.6"]),
    ],
)
def test_strength_0_is_the_picture_itself(network, options):
    seeds = [f"--network={network}", "--seeds=7,3", *options]
    plain = generated(*seeds)
    assert command("edit", *seeds, "--direction=1,0", "--strip=strip.png", "--strength", "-3..3", "--steps=5") == 0
    strip = cells(read_picture("strip.png"), 4, 5)
    for row, name in enumerate(["seed0007", "seed0003", "seed0007", "seed0003"]):
        np.testing.assert_array_equal(strip[row, 2], plain[name])
        changes = [np.abs(picture - plain[name]).mean() for picture in strip[row]]
        assert changes[0] > changes[1] > 0
        assert changes[4] > changes[3] > 0


def test_the_sign_of_the_strength():
    arguments = ["edit", f"--network={CONFIG_F}", "--seeds=7", "--direction=0"]
    assert command(*arguments, "--strength=2..-2", "--steps=3", "--strip=back.png") == 0
    assert command(*arguments, "--strength=-2..2", "--steps=3", "--strip=forth.png") == 0
    assert command(*arguments, "--strength=2", "--strip=one.png", "--out=one.npz") == 0
    back, forth = (cells(read_picture(f"{name}.png"), 1, 3)[0] for name in ("back", "forth"))
    np.testing.assert_array_equal(back, forth[::-1])
    np.testing.assert_array_equal(read_picture("one.png"), forth[2])
    plain = generated(f"--network={CONFIG_F}", "--dlatents=one.npz", "--noise-mode=const")
    assert command(*arguments, "--strength=2", "--strip=const.png", "--noise-mode=const") == 0
    np.testing.assert_array_equal(plain["dlatent00"], read_picture("const.png"))


def test_edits_of_edits_and_of_projected_latents():
    painter = Painter(networks.load_generator(CONFIG_F))
    w = painter.truncated(painter.dlatents(np.random.RandomState(1).randn(2, painter.Gs.latent_size)))
    edits.save_dlatents("w.npz", w)
    found = directions.find(painter)
    found.save("d.npz")
    arguments = ["edit", f"--network={CONFIG_F}", "--dlatents=w.npz", "--directions=d.npz", "--direction=2"]
    assert command(*arguments, "--strength=-1..2", "--steps=4", "--out=moved.npz", "--layers=coarse") == 0
    assert sorted(os.listdir()) == ["d.npz", "moved.npz", "w.npz"]
    with np.load("moved.npz") as file:
        moved = file["dlatents"].reshape(2, 4, *w.shape[1:])
    np.testing.assert_array_equal(moved[:, 1], w)
    np.testing.assert_array_equal(moved[:, :, 4:], np.repeat(w[:, None, 4:], 4, 1))
    np.testing.assert_array_equal(moved[:, 3], found.moved(w, 2, 2, [0, 1, 2, 3]))
    assert command("edit", f"--network={CONFIG_F}", "--dlatents=moved.npz", "--direction=0", "--strip=again.jpg") == 0
    assert read_picture("again.jpg").shape == (8 * 32, 7 * 32, 3)


def test_layers_of_the_directions_found_on_the_way():
    assert command("find-directions", f"--network={CONFIG_F}", "--layers=2-3", "--out=d.npz", "--count=1") == 0
    arguments = ["edit", f"--network={CONFIG_F}", "--seeds=1", "--direction=0", "--strength=3"]
    assert command(*arguments, "--layers=2,3", "--out=a.npz") == 0
    assert command(*arguments, "--directions=d.npz", "--out=b.npz") == 0
    with np.load("a.npz") as a, np.load("b.npz") as b:
        np.testing.assert_allclose(a["w"], b["w"], atol=1e-6)


def test_strips_go_into_a_numbered_folder(capsys):
    assert command("edit", f"--network={CONFIG_F}", "--seeds=1", "--direction=0") == 0
    path = os.path.join("results", "00000-edit", "edit.png")
    assert capsys.readouterr().out.splitlines() == [path]
    assert read_picture(path).shape == (32, 7 * 32, 3)


@pytest.mark.parametrize("ending, codec", [("mp4", "h264"), ("gif", "gif")])
def test_a_film(ending, codec, capsys):
    arguments = ["edit", f"--network={CONFIG_F}", "--seeds=1,2", "--direction=0", "--fps=10", "--duration-sec=2.4"]
    assert command(*arguments, f"--film=smile.{ending}") == 0
    assert os.listdir() == [f"smile.{ending}"]
    assert capsys.readouterr().out.splitlines() == [f"smile.{ending}"]
    frames, about = read_film(f"smile.{ending}")
    assert (frames.shape, about["fps"], about["codec"].strip(",")) == ((24, 32, 64, 3), 10, codec)
    frames = brightness(frames)
    plain = generated(f"--network={CONFIG_F}", "--seeds=1,2")
    both = brightness(np.concatenate([plain["seed0001"], plain["seed0002"]], axis=1))
    assert np.abs(frames[0] - both).mean() < 8
    steps = [np.abs(a - b).mean() for a, b in zip(frames, [*frames[1:], frames[0]])]
    assert steps[-1] < 1.5 * max(steps[0], steps[-2]), "no seam"
    assert np.abs(frames[6] - frames[18]).mean() > 2 * max(steps), "there and back"


def test_film_and_strip_at_once_with_names_of_their_own():
    arguments = ["edit", f"--network={CONFIG_F}", "--seeds=1", "--direction=0-3", "--fps=5", "--duration-sec=1"]
    assert command(*arguments, "--film", "--strip", "--out", "--outdir=o", "--grid-w=4") == 0
    assert sorted(os.listdir("o")) == ["edit.mp4", "edit.npz", "edit.png"]
    assert read_film("o/edit.mp4")[0].shape == (5, 32, 128, 3)
    assert read_picture("o/edit.png").shape == (4 * 32, 7 * 32, 3)


@pytest.mark.parametrize("name", ["frames", "frames/"])
def test_a_film_as_a_folder_of_frames(name, capsys):
    arguments = ["edit", f"--network={CONFIG_F}", "--seeds=1", "--direction=0", "--fps=4", "--duration-sec=1"]
    assert command(*arguments, f"--film={name}") == 0
    assert capsys.readouterr().out == "frames\n"
    frames, _ = read_film("frames")
    assert len(frames) == 4
    np.testing.assert_array_equal(frames[0], generated(f"--network={CONFIG_F}", "--seeds=1")["seed0001"])
    place = "choose another --film; --force writes over files only"
    for force in ([], ["--force"]):
        assert command(*arguments, f"--film={name}", *force) == 2
        assert capsys.readouterr().err == f"error: frames is there already; remove it, or {place}\n"


def test_directions_of_another_network_are_a_note(capsys):
    assert command("find-directions", f"--network={CONFIG_F}", "--count=2", "--out=d.npz") == 0
    arguments = ["--seeds=1", "--direction=0", "--directions=d.npz", "--out=a.npz", "--force"]
    for network, note in [
        (CONFIG_F, ""),
        (STYLEGAN1, "Note: d.npz is of another network: generator 'Generator', here 'GeneratorStyleGAN1', synthesis"),
    ]:
        capsys.readouterr()
        assert command("edit", f"--network={network}", *arguments) == 0
        printed = capsys.readouterr().err
        assert printed.startswith(note) and len(printed.splitlines()) == bool(note)


@pytest.mark.parametrize("options", [["edit", "--seeds=1", "--direction=0"], ["find-directions"]])
def test_layers_of_a_network_that_is_still_growing(options, monkeypatch, capsys):
    G = make_growing_g("config-d")
    G.lod.assign(1.0)
    monkeypatch.setattr(networks, "load_generator", lambda path, precision=None: G)
    assert command(*options, f"--network={CONFIG_F}", "--layers=4-5") == 2
    expected = "error: --layers=4-5: style 5 is past the last; this network has 0-3 (coarse 0-3)\n"
    assert capsys.readouterr().err == expected


# average, interpolate ------------------------------------------------------------------------------------------------


def test_average_of_one(capsys):
    assert command("average", f"--network={CONFIG_F}", "--seeds=1", "--out=mean.npz") == 0
    assert capsys.readouterr().out.splitlines()[0] == "The mean of 1 picture"


@pytest.mark.parametrize("network, options", [(CONFIG_F, []), (STYLEGAN1, ["--truncation-psi=0.4"])])
def test_average(network, options, capsys):
    assert command("average", f"--network={network}", "--seeds=1-20", "--out=mean.npz", *options) == 0
    assert capsys.readouterr().out.splitlines() == ["The mean of 20 pictures", "mean.npz", "mean.png"]
    plain = generated(f"--network={network}", "--dlatents=mean.npz")
    np.testing.assert_array_equal(read_picture("mean.png"), plain["dlatent00"])
    assert command("average", f"--network={network}", "--dlatents=mean.npz", "--outdir=again", "--format=webp") == 0
    assert sorted(os.listdir("again")) == ["average.npz", "average.webp"]
    with np.load("mean.npz") as first, np.load(os.path.join("again", "average.npz")) as second:
        assert sorted(first.files) == ["dlatents", "w"]
        np.testing.assert_array_equal(first["w"], second["dlatents"])


@pytest.mark.parametrize("arguments", [["average", "--seeds=1"], ["interpolate", "--seeds=1,2"]])
def test_the_picture_beside_takes_nobodys_place(arguments, monkeypatch, capsys):
    with open("mine.jpg", "wb") as file:
        file.write(b"holiday")
    arguments = [*arguments, f"--network={CONFIG_F}", "--out=mine.npz", "--format=jpg"]
    with monkeypatch.context() as patched:
        patched.setattr("tf_stylegan.cli.load_tensorflow", None)  # it shows before
        assert command(*arguments) == 2
    place = "choose another --out, beside which it would go; --force writes over it"
    expected = f"mine.jpg is there already; remove it, or {place}"
    assert capsys.readouterr().err == f"error: {expected}\n"
    with open("mine.jpg", "rb") as file:
        assert file.read() == b"holiday"
    assert os.listdir() == ["mine.jpg"]
    assert command(*arguments, "--force") == 0
    assert read_picture("mine.jpg").shape[0] == 32


RESULTS = [
    (["average", "--seeds=1", "--out=a.npz"], "a.npz", "--out"),
    (["interpolate", "--seeds=1,2", "--steps=2", "--out=a.npz"], "a.npz", "--out"),
    (["find-directions", "--out=a.npz"], "a.npz", "--out"),
    (["find-directions", "--out=b.npz", "--sheet=a.png", "--count=1"], "a.png", "--sheet"),
    (["edit", "--seeds=1", "--direction=0", "--out=a.npz"], "a.npz", "--out"),
    (["edit", "--seeds=1", "--direction=0", "--strip=a.png"], "a.png", "--strip"),
    (["edit", "--seeds=1", "--direction=0", "--film=a.gif", "--fps=4", "--duration-sec=1"], "a.gif", "--film"),
    (["edit", "--seeds=1", "--direction=0", "--outdir=."], "edit.png", "--outdir"),
    (["average", "--seeds=1", "--outdir=."], "average.npz", "--outdir"),
]


@pytest.mark.parametrize("arguments, name, option", RESULTS)
def test_a_result_takes_the_place_of_a_file_only_if_forced(arguments, name, option, monkeypatch, capsys):
    with open(name, "wb") as file:
        file.write(b"mine")
    arguments = [*arguments, f"--network={CONFIG_F}"]
    with monkeypatch.context() as patched:
        patched.setattr("tf_stylegan.cli.load_tensorflow", None)  # it shows before
        assert command(*arguments) == 2
    errors = capsys.readouterr().err
    expected = f"{name} is there already; remove it, or choose another {option}; --force writes over it\n"
    assert errors.startswith("error: ") and errors.endswith(expected) and errors.count("\n") == 1
    assert os.listdir() == [name] and os.path.getsize(name) == 4
    assert command(*arguments, "--force") == 0
    assert os.path.getsize(name) > 4


READERS = [
    ["average", "--seeds=1,in.npz"],
    ["average", "--dlatents=in.npz"],
    ["interpolate", "--seeds=1,in.npz"],
    ["find-directions", "--sheet", "--seeds=in.npz"],
    ["edit", "--direction=0", "--dlatents=in.npz"],
    ["edit", "--direction=0", "--seeds=1", "--directions=in.npz"],
]


@pytest.mark.parametrize("out", ["in.npz", "link.npz"])
@pytest.mark.parametrize("arguments", READERS)
def test_what_is_read_is_not_written_even_if_forced(arguments, out, monkeypatch, capsys):
    with open("in.npz", "wb") as file:
        file.write(b"photo")
    os.symlink("in.npz", "link.npz")
    monkeypatch.setattr("tf_stylegan.cli.load_tensorflow", None)  # it shows before
    assert command(*arguments, f"--network={CONFIG_F}", f"--out={out}", "--force") == 2
    expected = f"error: {out} is one of the files that are read; choose another --out\n"
    assert capsys.readouterr().err == expected
    assert sorted(os.listdir()) == ["in.npz", "link.npz"] and os.path.getsize("in.npz") == 5


@pytest.mark.parametrize("arguments", [["average", "--seeds=1"], ["interpolate", "--seeds=1,2"]])
def test_there_is_a_place_for_both_results_or_for_none(arguments, capsys):
    name = "average" if arguments[0] == "average" else "interpolation"
    os.makedirs(f"o/{name}.png")
    assert command(*arguments, f"--network={CONFIG_F}", "--outdir=o") == 2
    assert capsys.readouterr().err == f"error: could not write o/{name}.png: it is a folder\n"
    assert os.listdir("o") == [f"{name}.png"]


def test_interpolate_two():
    assert command("interpolate", f"--network={CONFIG_F}", "--seeds=9,4", "--steps=4", "--out=way.npz") == 0
    assert sorted(os.listdir()) == ["way.npz", "way.png"]
    strip = cells(read_picture("way.png"), 1, 4)[0]
    plain = generated(f"--network={CONFIG_F}", "--seeds=4,9")
    np.testing.assert_array_equal(strip[0], plain["seed0009"])
    np.testing.assert_array_equal(strip[3], plain["seed0004"])
    with np.load("way.npz") as file:
        w = file["dlatents"]
    assert w.shape == (4, 8, 48)
    np.testing.assert_allclose(w[1], (2 * w[0] + w[3]) / 3, atol=1e-5)


def test_interpolate_several_seeds_and_files():
    assert command("average", f"--network={CONFIG_F}", "--seeds=1-20", "--out=mean.npz") == 0
    arguments = [f"--network={CONFIG_F}", "--noise-mode=const", "--truncation-psi=0.9"]
    assert command("interpolate", *arguments, "--seeds=9,mean.npz,4", "--steps=3", "--interp-type=spherical") == 0
    folder = os.path.join("results", "00000-interpolate")
    sheet = cells(read_picture(os.path.join(folder, "interpolation.png")), 2, 3)
    np.testing.assert_array_equal(sheet[0, 2], sheet[1, 0])
    plain = generated(f"--network={CONFIG_F}", "--noise-mode=const", "--dlatents", f"{folder}/interpolation.npz")
    assert len(plain) == 5
    shown = [sheet[0, 0], sheet[0, 1], sheet[0, 2], sheet[1, 1], sheet[1, 2]]
    for number, picture in enumerate(shown):
        np.testing.assert_array_equal(plain[f"dlatent{number:02d}"], picture)
    assert command("interpolate", *arguments, "--seeds=9", "--dlatents=mean.npz", "--steps=2", "--out=b.npz") == 0
    both = cells(read_picture("b.png"), 1, 2)[0]
    np.testing.assert_array_equal(both[0], sheet[0, 0])
    np.testing.assert_array_equal(both[1], sheet[0, 2])


# Mistakes ------------------------------------------------------------------------------------------------------------

EDIT = ["edit", f"--network={CONFIG_F}", "--seeds=1", "--direction=0", "--outdir=o"]
FIND = ["find-directions", f"--network={CONFIG_F}", "--outdir=o"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([*FIND, "--count=0"], "--count=0 is out of range: w has 48 numbers, so 1-48 directions"),
        ([*FIND, "--count=49"], "--count=49 is out of range"),
        ([*FIND, "--layers=8"], "--layers=8: style 8 is past the last; this network has 0-7"),
        ([*FIND, "--layers=fine"], "--layers=fine: this network has no fine styles, only 0-7"),
        ([*FIND, "--layers=big"], "--layers=big: 'big' is neither a number, a range"),
        ([*FIND, "--out=d.pkl"], "--out=d.pkl must end in .npz"),
        ([*FIND, "--out=no/d.npz"], "could not write no/d.npz: there is no folder no"),
        ([*FIND, "--sheet=d.bmp"], "--sheet=d.bmp must end in .png, .jpg or .webp"),
        ([*FIND, "--sheet=d.webp", "--count=48", "--seeds=0-19"], "and --format=webp goes up to 16383 a side"),
        ([*FIND, "--sheet", "--seeds=x"], "--seeds=x: 'x' is neither a number nor a range"),
        ([*FIND, "--sheet", "--strength=low"], "--strength=low must be a number, or two with two dots between"),
        (["find-directions", f"--network={PROGAN}"], "a ProGAN has none"),
        (["find-directions", f"--network={PROGAN}", "--layers=0"], "a ProGAN has none"),
        ([*EDIT, "--direction=-1"], "--direction=-1: -1 is below 0; numbers are from 0 on"),
        ([*EDIT, "--strength=-1e39..1e39"], "--strength=-1e39..1e39 must be from -1000 to 1000"),
        ([*EDIT, "--direction=48"], "--direction=48 is out of range: there are 48 directions, 0-47"),
        ([*EDIT, "--layers=4-9"], "--layers=4-9: style 9 is past the last; this network has 0-7"),
        ([*EDIT, "--strength=1..2..3"], "--strength=1..2..3 must be a number, or two with two dots between, such as"),
        ([*EDIT, "--strength=0..inf"], "--strength=0..inf must be a number"),
        ([*EDIT, "--steps=1"], "--steps=1 must be from 2, the two ends, to 1000"),
        ([*EDIT, "--steps=1001"], "--steps=1001 must be from 2"),
        ([*EDIT, "--strength=3", "--film"], "--strength=3: a film needs two ends, such as -3..3"),
        ([*EDIT, "--film=a.avi"], "--film=a.avi must end in .mp4, .webm or .gif"),
        ([*EDIT, "--film=no/frames"], "could not write no/frames: there is no folder no"),
        ([*EDIT, "--seeds=1-3", "--film", "--grid-w=1", "--grid-h=2"], "has room for 2 pictures, got 3"),
        ([*EDIT, "--film", "--fps=0"], "--fps=0"),
        ([*EDIT, "--film", "--duration-sec=0"], "--duration-sec=0"),
        ([*EDIT, "--film", "--bitrate=-3"], "--bitrate=-3"),
        ([*EDIT, "--film", "--grid-w=1001"], "--grid-w=1001"),
        ([*EDIT, "--strip=no/a.png"], "could not write no/a.png: there is no folder no"),
        ([*EDIT, "--directions=none.npz"], "could not read none.npz: No such file or directory"),
        ([*EDIT, "--directions=narrow.npz"], "narrow.npz: its directions are 47 wide, and this network's w is 48"),
        ([*EDIT, "--directions=w.npz"], "w.npz holds no array named directions; got dlatents, w"),
        ([*EDIT, "--dlatents=narrow.npz"], "narrow.npz: "),
        ([*EDIT[:2], "--direction=0"], "edit needs pictures: give --seeds=LIST, --dlatents=FILE, or both"),
        ([*EDIT[:2], "--direction=0", "--dlatents=w.npz", "--trunc=0.5"], "--truncation-psi is for seeds"),
        ([*EDIT[:2], "--direction=0", "--dlatents=w.npz", "--truncation-cutoff=2"], "--truncation-cutoff is for"),
        (["average", f"--network={CONFIG_F}", "--dlatents=w.npz", "--class=0"], "--class is for seeds: latents from"),
        (["edit", f"--network={PROGAN}", "--seeds=1", "--direction=0"], "a ProGAN has none"),
        (["average", f"--network={CONFIG_F}"], "average needs pictures: give --seeds=LIST"),
        (["average", f"--network={CONFIG_F}", "--seeds=1-"], "--seeds=1-: '1-' is neither a number nor a range"),
        (["average", f"--network={CONFIG_F}", "--seeds=1", "--class=3"], "--class=3 is out of range"),
        (["average", f"--network={PROGAN}", "--seeds=1"], "a ProGAN has none"),
        (["interpolate", f"--network={CONFIG_F}", "--seeds=1"], "interpolate needs two pictures or more, got 1"),
        (
            ["interpolate", f"--network={CONFIG_F}", "--seeds=1,2", "--steps=1"],
            "--steps=1 must be from 2, the two ends",
        ),
        (["interpolate", f"--network={CONFIG_F}", "--seeds=1,2", "--out=x"], "--out=x must end in .npz"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, message, capsys):
    with open("narrow.npz", "wb") as file:
        np.savez(file, directions=np.eye(47)[:3])
    edits.save_dlatents("w.npz", np.zeros([1, 8, 48], np.float32))
    assert command(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: ")
    assert message in printed.err
    left = {os.path.join(folder, file) for folder, _, files in os.walk(".") for file in files}
    assert left == {"./narrow.npz", "./w.npz"}
    assert set(os.listdir()) <= {"narrow.npz", "w.npz", "results"}


@pytest.mark.parametrize(
    "arguments", [[*EDIT, "--film", "--strip", "--out"], [*FIND, "--sheet"], ["average", *EDIT[1:3], "--outdir=o"]]
)
def test_what_fails_while_drawing_leaves_nothing(arguments, monkeypatch, capsys):
    def fail(*_):
        raise UserError("out of paint")

    monkeypatch.setattr(Painter, "draw", fail)
    assert command(*arguments) == 2
    assert capsys.readouterr().err == "error: out of paint\n"
    assert os.listdir() == []


def test_a_range_that_begins_with_a_minus_may_stand_alone():
    parse = run_generator.parse_args
    for spelling in (["--strength", "-3..3"], ["--strength=-3..3"]):
        args = parse(["run_generator", "edit", "--network=x", "--seeds=1", "--direction=0", *spelling, "--steps=5"])
        assert (args.strength, args.steps) == ("-3..3", 5)
