"""run_generator's mistakes, notes and signals: one line, and nothing that is left."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from command_helpers import CONDITIONAL, CONFIG_F, FILMS, PROGAN, STYLEGAN1, run
from helpers import GOLDEN
from network_helpers import make_g

import tf_stylegan
from tf_stylegan import run_generator


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
        (nothing, "lerp-video", ["--seeds=1-3", "--grid-w=1", "--grid-h=2"], "has room for 2 pictures, got 3"),
        (nothing, "lerp-video", ["--seeds=1", "--grid-w=0"], "--grid-w=0 must be from 1 to 1000"),
        (nothing, "lerp-video", ["--seeds=1", "--grid-w=600", *SHORT], "a frame of 19200 x 32 pixels is too large"),
        (nothing, "lerp-video", ["--seeds=1", "--smoothing-sec=-1"], "--smoothing-sec=-1 must be 0 or more"),
        (nothing, "lerp-video", ["--seeds=1-99", "--duration-sec=3e6"], "GiB of memory"),
        (nothing, "lerp-video", ["--seeds=1", "--duration-sec=1e9"], "--fps=30 is more than 100 million frames"),
        (
            nothing,
            "circular-video",
            ["--seed=1", "--duration-sec=1e308", "--fps=1000"],
            "--duration-sec=1e+308 at --fps",
        ),
        (nothing, "circular-video", ["--seed=1", "--duration-sec=1e300"], "is more than 100 million frames; make it"),
        (nothing, "sightseeding", ["--seeds=1,2", "--seed-sec=1e300"], "--seed-sec=1e+300 at --fps=30 is more than"),
        (nothing, "sightseeding", ["--seeds=1-9", "--seed-sec=3e6"], "the film is more than 100 million frames"),
        (nothing, "lerp-video", ["--seeds=1", f"--slowdown={2**70}", *SHORT], "the film is more than 100 million"),
        (nothing, "lerp-video", ["--seeds=1", "--smoothing-sec=1e9"], "--smoothing-sec=1e+09 is too much: the film"),
        (
            nothing,
            "lerp-video",
            ["--seeds=1", "--smoothing-sec=3", *SHORT],
            "would stand still; 2, 10 times its length",
        ),
        (nothing, "truncation-video", ["--seeds=1", "--psi=-1e39..1"], "--psi=-1e39..1 must be from -1000 to 1000"),
        (
            nothing,
            "generate-images",
            ["--seeds=1", "--truncation-cutoff=9"],
            "this network has 8 styles, so from 0 to 8",
        ),
        (nothing, "generate-images", ["--dlatents=w.npy", "--truncation-cutoff=3"], "--truncation-cutoff is for seeds"),
        (nothing, "generate-images", ["--dlatents=w.npy", "--class=0"], "--class is for seeds: latents from files"),
        (
            nothing,
            "generate-images",
            ["--seeds=1", "--precision=bfloat16", f"--network={STYLEGAN1}"],
            "--precision=bfloat16: networks of this kind compute in float32 only",
        ),
        (nothing, "lerp-video", ["--seeds=1", "--format=gif", "--fps=60"], "at most 50 with --format=gif"),
        (nothing, "lerp-video", ["--seeds=1", "--network=nowhere.pkl"], "could not read nowhere.pkl"),
        (nothing, "lerp-video", ["--seeds=1", "--class=1"], "--class=1 is out of range: this network has no classes"),
        (
            nothing,
            "lerp-video",
            ["--seeds=1", "--truncation-cutoff=-1"],
            "--truncation-cutoff=-1 is out of range",
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
    before = sorted(tmp_path.rglob("*"))
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
    assert sorted(tmp_path.rglob("*")) == before


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
        arguments = ["--seed=1", "--duration-sec=0.1", *options, f"--outdir={tmp_path}", "--force"]
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
    new = tmp_path / "new" / "a" / "b"
    for place in (f"--result-dir={new}", f"--outdir={tmp_path}", f"--outdir={new}"):
        drawn.clear()
        try:
            assert run("lerp-video", "--seeds=1", "--duration-sec=4", place) == code
        except SystemExit as ended:
            assert ended.code == code
        assert len(drawn) == 4
        assert [*tmp_path.rglob("*")] == []


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_the_program(tmp_path, number, code):
    tf_stylegan.save_networks(tmp_path / "g.pkl", [make_g()])
    program = [sys.executable, "-m", "tf_stylegan.run_generator", "lerp-video", f"--network={tmp_path / 'g.pkl'}"]
    command = [*program, "--seeds=1", "--duration-sec=3000", f"--outdir={tmp_path / 'out'}"]
    with subprocess.Popen(command, cwd=GOLDEN.parent.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "out").exists() or not os.listdir(tmp_path / "out"):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait() == code
        assert process.stdout.read() == b""
    assert not (tmp_path / "out").exists()


def test_a_terminal_that_closes(tmp_path):
    """Its hang-up is a signal, and from then on progress bars have nowhere to be."""
    tf_stylegan.save_networks(tmp_path / "g.pkl", [make_g()])
    program = [sys.executable, "-m", "tf_stylegan.run_generator", "lerp-video", f"--network={tmp_path / 'g.pkl'}"]
    command = [*program, "--seeds=1", "--duration-sec=3000", f"--outdir={tmp_path / 'out'}"]
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # without a size bars are empty

    def in_the_terminal():
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        command, cwd=GOLDEN.parent.parent, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=in_the_terminal,
    ) as process:  # fmt: skip
        os.close(theirs)
        while b"frames:" not in os.read(ours, 1000):
            assert process.poll() is None
        assert os.listdir(tmp_path / "out")
        os.close(ours)
        assert process.wait(60) == 129
    assert os.listdir(tmp_path) == ["g.pkl"]


# Films that are too large, and notes ---------------------------------------------------------------------------------


LARGE = [
    ["circular-video", "--seed=1", "--duration-sec=0.1"],
    ["edit", "--seeds=1,2", "--direction=0", "--film", "--noise-mode=const", "--duration-sec=0.1"],
]


@pytest.mark.parametrize("arguments", LARGE)
def test_frames_that_fit_into_no_memory(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.setattr("os.sysconf", lambda name: 2**8)  # a machine of 64 KiB
    assert run(*arguments, f"--outdir={tmp_path / 'out'}") == 2
    size = "96 x 64" if arguments[0] == "circular-video" else "64 x 32"
    assert f"error: a film of {size} pixels would need" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_noise_of_edits_that_fits_into_no_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.sysconf", lambda name: 2**8)
    assert run("edit", "--seeds=1,2", "--direction=0", "--film", f"--outdir={tmp_path / 'out'}") == 2
    assert "error: the noise of 2 seeds would need" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("arguments", LARGE)
def test_a_film_that_few_can_play_is_a_note(tmp_path, monkeypatch, capsys, arguments):
    for pixels, noted in ((96 * 64, 0), (32 * 32, 1)):
        monkeypatch.setattr("tf_stylegan.commands.options.DECODED_PIXELS", pixels)
        assert run(*arguments, f"--outdir={tmp_path}", "--force") == 0
        printed = capsys.readouterr()
        assert printed.err.count("Note: many phones and browsers play no H.264 of ") == noted
        assert "Note" not in printed.out


def test_noise_of_columns_that_fits_into_no_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.sysconf", lambda name: 900)
    arguments = ["--row-seeds=1", "--col-seeds=1-30", "--noise-mode=seed", f"--outdir={tmp_path / 'out'}"]
    assert run("style-mixing-example", *arguments) == 2
    assert "error: the noise of 30 seeds would need" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate-images", "--seeds=1", "--trunc=1e39"],
        ["generate-images", "--seeds=1", "--truncation-psi=-1001"],
        ["lerp-video", "--seeds=1", "--truncation-psi=1e39"],
    ],
)
def test_psi_is_bounded(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be from -1000 to 1000" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate-images", "--dlatents="],
        ["edit", "--dlatents=", "--direction=0"],
        ["edit", "--seeds=1", "--direction=0", "--directions="],
        ["average", "--dlatents="],
        ["generate-images", "--seeds=1", "--network="],
    ],
)
def test_empty_names_of_files(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the name of the file is empty; give one, or leave the option out" in line


def test_latents_of_a_conditional_network_need_no_class(tmp_path, capsys):
    Gs = tf_stylegan.load_networks(CONDITIONAL)[2]
    np.save(tmp_path / "w.npy", np.zeros([Gs.num_layers, Gs.mapping.dlatent_size]))
    for command in ("generate-images", "average"):
        assert run(command, f"--dlatents={tmp_path / 'w.npy'}", f"--outdir={tmp_path}", network=CONDITIONAL) == 0
        assert capsys.readouterr().err == ""


def test_switches_say_yes_and_no():
    parse = run_generator.parse_args
    for command, option, name in [
        ("generate-images --seeds=1", "--create-grid", "grid"),
        ("generate-images --seeds=1", "--grid", "grid"),
        ("lerp-video --seeds=1", "--free-walk", "free_walk"),
        ("style-mixing-video --row-seed=1 --col-seeds=1", "--only-stylemix", "only_stylemix"),
        ("sightseeding --seeds=1", "--interp-in-z", "interp_in_z"),
        ("sightseeding --seeds=1", "--smooth", "smooth"),
        ("sightseeding --seeds=1", "--no-loop", "no_loop"),
        ("truncation-video --seeds=1", "--no-loop", "no_loop"),
    ]:
        arguments = ["run_generator", *command.split(), "--network=x"]
        given = [[], [option], [f"{option}=True"], [f"{option}=1"], [f"{option}=False"], [f"{option}=no"]]
        values = [getattr(parse([*arguments, *more]), name) for more in given]
        assert values == [False, True, True, True, False, False], option
