"""Films as files: what is in them, and that there is a whole one or none."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from film_helpers import assert_loops, read_film

from tf_stylegan.data.staging import PARTIAL
from tf_stylegan.errors import UserError
from tf_stylegan.pictures import video

FRAMES = 12


def picture(number, height=45, width=61, channels=3):
    """Frame of a loop of soft colours."""
    y, x = np.mgrid[:height, :width]
    turn = 2 * np.pi * number / FRAMES
    waves = [np.sin(x / 9 + turn), np.cos(y / 9 - turn), np.sin((x + y) / 14 + turn), np.ones_like(x)]
    return np.stack([127.5 + 120 * wave for wave in waves[:channels]], axis=-1).astype(np.uint8)


def write(path, form="mp4", fps=30, frames=FRAMES, force=False, **shape):
    with video.FilmWriter(path, fps, form, force=force) as film:
        for number in range(frames):
            film.write(picture(number, **shape))


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """Puts a shell script in place of ffmpeg; it may refer to the real one as $FFMPEG."""

    def make(script):
        path = tmp_path / "bin" / f"ffmpeg-{len(script)}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nFFMPEG={video.ffmpeg_program()}\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
        return path

    return make


@pytest.mark.parametrize("form, codec", [("mp4", "h264"), ("webm", "vp9"), ("gif", "gif"), ("png", None)])
def test_what_is_in_a_film(tmp_path, form, codec):
    path = str(tmp_path / "film") + video.FORMATS[form].ending
    write(path, form, fps=25)
    assert os.listdir(tmp_path) == [os.path.basename(path)], "and nothing beside it"
    frames, about = read_film(path)
    even = form in ("mp4", "webm")
    assert frames.shape == (FRAMES, 45 + even, 61 + even, 3)
    expected = np.stack([picture(number) for number in range(FRAMES)])
    error = np.abs(frames[:, :45, :61].astype(int) - expected)
    assert error.mean() < {"png": 1e-9, "gif": 12}.get(form, 4)
    assert_loops(frames)
    if codec:
        assert about["codec"].rstrip(",") == codec
        assert about["fps"] == pytest.approx(25, rel=0.02)
        assert about["duration"] == pytest.approx(FRAMES / 25, abs=0.02)
    if even:
        assert about["pix_fmt"].startswith("yuv420p(tv, bt709")
        np.testing.assert_allclose(frames[:, 45].astype(int), frames[:, 44], atol=25)  # the edge goes on


def test_colours_survive(tmp_path):
    """Flat colours come back: the matrix that encodes is the one that the file names."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (180, 90, 40)]
    sheet = np.zeros([32, 32 * len(colours), 3], np.uint8)
    for number, colour in enumerate(colours):
        sheet[:, 32 * number : 32 * number + 32] = colour
    for form in ("mp4", "webm"):
        path = str(tmp_path / f"film.{form}")
        with video.FilmWriter(path, 10, form) as film:
            for _ in range(3):
                film.write(sheet)
        frames, _ = read_film(path)
        middles = frames[1, 16, 16::32].astype(int)
        np.testing.assert_allclose(middles, colours, atol=8)


def test_mp4_begins_with_its_index(tmp_path):
    write(tmp_path / "film.mp4")
    data = (tmp_path / "film.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), "a browser can begin before the end is there"


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("form", ["mp4", "gif", "png"])
def test_grey_and_transparent_pictures(tmp_path, form, channels):
    path = str(tmp_path / "film") + video.FORMATS[form].ending
    write(path, form, channels=channels)
    frames, _ = read_film(path)
    assert len(frames) == FRAMES
    expected = np.broadcast_to(picture(0, channels=channels)[:, :, :3], [45, 61, 3])
    assert np.abs(frames[0, :45, :61].astype(int) - expected).mean() < 12


@pytest.mark.parametrize("height, width", [(1, 1), (2, 2), (16, 33), (64, 64)])
@pytest.mark.parametrize("form", ["mp4", "webm"])
def test_any_size(tmp_path, form, height, width):
    write(tmp_path / "film", form, frames=3, height=height, width=width)
    frames, _ = read_film(tmp_path / "film")
    assert frames.shape == (3, height + height % 2, width + width % 2, 3)


@pytest.mark.parametrize("fps", [1, 23.976, 60])
def test_any_rate(tmp_path, fps):
    write(tmp_path / "film.mp4", fps=fps)
    _, about = read_film(tmp_path / "film.mp4")
    assert about["fps"] == pytest.approx(fps, abs=0.01)
    assert about["duration"] == pytest.approx(FRAMES / fps, abs=0.02)


def test_a_gif_never_ends(tmp_path):
    write(tmp_path / "film.gif", "gif")
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in (tmp_path / "film.gif").read_bytes()


def test_a_film_takes_the_place_of_an_older_one_only_if_forced(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"old")
    with pytest.raises(UserError, match="is there already"):
        video.FilmWriter(tmp_path / "film.mp4", 30).__enter__()
    assert (tmp_path / "film.mp4").read_bytes() == b"old"
    write(tmp_path / "film.mp4", frames=2, force=True)
    assert len(read_film(tmp_path / "film.mp4")[0]) == 2
    assert os.listdir(tmp_path) == ["film.mp4"]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("form", ["mp4", "png"])
def test_of_two_films_at_once_the_first_to_end_stays(tmp_path, monkeypatch, form, is_late):
    path = tmp_path / f"film{video.FORMATS[form].ending}"
    problem = "Directory not empty" if form == "png" and is_late else "is there already"
    with pytest.raises(UserError, match=problem), video.FilmWriter(path, 30, form) as second:
        second.write(picture(0))
        write(path, form, frames=3)
        if is_late:  # the first ends after the second has looked
            monkeypatch.setattr(second, "_check_free", lambda: None)
    assert len(read_film(path)[0]) == 3
    assert os.listdir(tmp_path) == [path.name]


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path / "film.mp4", frames=2)
    assert os.listdir(tmp_path) == ["film.mp4"]


@pytest.mark.parametrize("form", video.FORMATS)
@pytest.mark.parametrize("folder", ["run:1", "-y", "100%d", "."])
def test_any_name_of_a_folder(tmp_path, monkeypatch, folder, form):
    monkeypatch.chdir(tmp_path)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "film") if folder != "." else "-film:0"
    write(path, form, frames=2)
    assert os.listdir(folder) == [os.path.basename(path)]
    assert len(read_film(os.path.abspath(path))[0]) >= 2  # of a GIF the reader repeats some


def test_an_ffmpeg_of_a_relative_path(tmp_path, monkeypatch, fake_ffmpeg):
    fake_ffmpeg('exec $FFMPEG "$@"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", os.path.relpath(os.environ["IMAGEIO_FFMPEG_EXE"]))
    write("film.mp4", frames=2)
    assert os.path.isfile("film.mp4")


def test_a_folder_of_frames_is_for_all_to_read(tmp_path):
    write(tmp_path / "film", "png", frames=1)
    (tmp_path / "other").mkdir()
    assert (tmp_path / "film").stat().st_mode == (tmp_path / "other").stat().st_mode


# Nothing is left of a film that failed --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", video.FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interrupted_film_leaves_nothing(tmp_path, form, error):
    (tmp_path / "film.mp4").write_bytes(b"old")
    path = str(tmp_path / "film") + video.FORMATS[form].ending
    with pytest.raises(error), video.FilmWriter(path, 30, form, force=True) as film:
        for number in range(5):
            film.write(picture(number))
        raise error
    assert os.listdir(tmp_path) == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_bytes() == b"old"
    assert no_children()


def test_an_interrupted_film_does_not_wait_for_its_encoder(tmp_path, fake_ffmpeg):
    fake_ffmpeg('case "$*" in *-encoders*) exec $FFMPEG "$@";; esac\nexec sleep 60')
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), video.FilmWriter(tmp_path / "film.mp4", 30) as film:
        for _ in range(3):
            film.write(picture(0, 256, 256))
        raise KeyboardInterrupt
    assert time.perf_counter() - start < 10
    assert os.listdir(tmp_path) == ["bin"]
    assert no_children()


def test_an_interrupted_end_does_not_wait_either(tmp_path, fake_ffmpeg, monkeypatch):
    fake_ffmpeg('case "$*" in *-encoders*) exec $FFMPEG "$@";; esac\ncat >/dev/null; exec sleep 60')
    start, wait = time.perf_counter(), subprocess.Popen.wait

    def interrupted(process, timeout=None):
        if process.poll() is None and process.stdin and process.stdin.closed and not hasattr(process, "told"):
            process.told = True
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt), video.FilmWriter(tmp_path / "film.mp4", 30) as film:
        film.write(picture(0))
    assert time.perf_counter() - start < 10
    assert os.listdir(tmp_path) == ["bin"]
    assert no_children()


def no_children():
    """No ffmpeg is left running."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return not file.read()


def test_a_film_without_frames_is_ours_to_mend(tmp_path):
    with pytest.raises(ValueError, match="without frames"), video.FilmWriter(tmp_path / "film.mp4", 30):
        pass
    assert os.listdir(tmp_path) == []


def test_frames_of_another_size_are_ours_to_mend(tmp_path):
    with pytest.raises(ValueError, match="frames must stay uint8"), video.FilmWriter(tmp_path / "film.mp4", 30) as film:
        film.write(picture(0))
        film.write(picture(0)[:-1])
    assert os.listdir(tmp_path) == []


def test_an_ffmpeg_that_ends_early(tmp_path, fake_ffmpeg):
    fake_ffmpeg(
        'case "$*" in *-encoders*) exec $FFMPEG "$@";; esac\n'
        'head -c 20000 >/dev/null; echo "[out#0/mp4 @ 0x1] Error: No space left on device" >&2; echo Stop. >&2; exit 1'
    )
    with pytest.raises(UserError) as caught, video.FilmWriter(tmp_path / "film.mp4", 30) as film:
        for number in range(100):
            film.write(picture(number))
    assert "could not write" in str(caught.value) and "Error: No space left on device" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("on device. Free some space or choose another folder or format.")
    assert os.listdir(tmp_path) == ["bin"]


def test_an_ffmpeg_that_says_why_is_given_no_advice_on_space(tmp_path, fake_ffmpeg):
    fake_ffmpeg('case "$*" in *-encoders*) exec $FFMPEG "$@";; esac\ncat >/dev/null; echo "It was bad." >&2; exit 3')
    with pytest.raises(UserError, match=r": It was bad\. Choose another folder or format\.$"):
        write(tmp_path / "film.mp4")


def test_an_ffmpeg_that_fails_at_the_end(tmp_path, fake_ffmpeg):
    fake_ffmpeg('case "$*" in *-encoders*) exec $FFMPEG "$@";; esac\ncat >/dev/null; exit 3')
    with pytest.raises(UserError, match=r"could not write .*: ffmpeg ended with 3"):
        write(tmp_path / "film.mp4")
    assert os.listdir(tmp_path) == ["bin"]


def test_drawing_goes_on_while_a_frame_is_encoded_but_not_without_end(tmp_path, fake_ffmpeg):
    fake_ffmpeg('case "$*" in *-encoders*) exec $FFMPEG "$@";; esac\nsleep 1; exec $FFMPEG "$@"')
    frame = picture(0, 256, 256)  # larger than a pipe
    with video.FilmWriter(tmp_path / "film.mp4", 30) as film:
        start = time.perf_counter()
        for _ in range(3):
            film.write(frame)
        quick = time.perf_counter() - start
        for _ in range(4):
            film.write(frame)
        slow = time.perf_counter() - start
    assert quick < 0.8, "waits for the encoder"
    assert slow > 0.8, "keeps every frame in memory"
    assert len(read_film(tmp_path / "film.mp4")[0]) == 7


# Mistakes show before anything is drawn -------------------------------------------------------------------------------


def test_a_missing_encoder(tmp_path, fake_ffmpeg):
    path = fake_ffmpeg("echo ' V....D mpeg4  MPEG-4'")
    with pytest.raises(UserError) as caught:
        video.check_film("mp4")
    assert str(caught.value).startswith(f"{path} has no encoder libx264, which --format=mp4 needs")
    video.check_film("png")


def test_an_ffmpeg_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"could not run .*nowhere: No such file or directory; name another"):
        video.check_film("mp4")


def test_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match="films need imageio-ffmpeg: pip install imageio-ffmpeg"):
        video.check_film("mp4")
    video.check_film("png")


@pytest.mark.parametrize(
    "form, size, fps, bitrate, problem",
    [
        ("mp4", None, 0, "16M", "--fps=0 must be above 0 and at most 1000 with --format=mp4"),
        ("mp4", None, -1, "16M", "--fps=-1 must be above 0"),
        ("gif", None, 60, "16M", "--fps=60 must be above 0 and at most 50 with --format=gif"),
        ("mp4", None, 30, "-5M", "--bitrate=-5M must be a number of bits per second above 0"),
        ("mp4", None, 30, "0", "--bitrate=0 must be"),
        ("mp4", None, 30, "lots", "--bitrate=lots must be"),
        ("mp4", None, 30, "999", "--bitrate=999 is too low: films need bits per second from 1k to 2000M, such as"),
        ("webm", None, 30, "0.5k", "--bitrate=0.5k is too low"),
        ("mp4", None, 30, "99999999999M", "--bitrate=99999999999M is too high"),
        (
            "mp4",
            (16386, 2),
            30,
            "16M",
            "a frame of 16386 x 2 pixels is too large: --format=mp4 goes up to 16384",
        ),
    ],
)
def test_films_that_cannot_be(form, size, fps, bitrate, problem):
    with pytest.raises(UserError) as caught:
        video.check_film(form, size, fps, bitrate)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("bitrate", ["16M", "800k", "1.5m", "2000000", "1k"])
def test_bitrates(bitrate):
    video.check_film("mp4", (64, 64), 30, bitrate)
    assert video.FilmWriter("film.mp4", 30, "mp4", bitrate)


@pytest.mark.parametrize("small, large, bits", [("16m", "16M", 16_000_000), ("1.5m", "1500k", 1_500_000)])
def test_a_small_letter_is_the_same_rate(tmp_path, small, large, bits):
    """To ffmpeg itself m is a thousandth."""
    made = []
    for bitrate in (small, large):
        assert video.bits_of(bitrate) == bits
        with video.FilmWriter(tmp_path / "film.mp4", 30, "mp4", bitrate, force=True) as film:
            for number in range(4):
                film.write(picture(number))
        made.append((tmp_path / "film.mp4").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("form", video.FORMATS)
def test_folders_that_cannot_be_written(tmp_path, form):
    (tmp_path / "file").write_bytes(b"")
    for place in ("nowhere", "file"):
        with pytest.raises(UserError) as caught:
            video.FilmWriter(tmp_path / place / "film", 30, form).__enter__()
        assert f"could not write {tmp_path / place / 'film'}: " in str(caught.value)
    (tmp_path / "film").mkdir()
    with pytest.raises(UserError, match="is there already; remove it"):
        video.FilmWriter(tmp_path / "film", 30, form).__enter__()
    assert sorted(os.listdir(tmp_path)) == ["file", "film"]


def test_frames_are_not_put_among_others(tmp_path):
    (tmp_path / "film").write_bytes(b"mine")
    with pytest.raises(UserError, match="is there already"):
        write(tmp_path / "film", "png")
    assert (tmp_path / "film").read_bytes() == b"mine"


def test_two_channels(tmp_path):
    with pytest.raises(UserError, match="films are of pictures of 1, 3 or 4 channels; this network's have 2"):
        write(tmp_path / "film.mp4", channels=2)
    assert os.listdir(tmp_path) == []


def test_what_a_killed_film_left_is_removed(tmp_path):
    abandoned = tmp_path / f"{PARTIAL}of-old"
    abandoned.mkdir()
    with video.FilmWriter(tmp_path / "one.mp4", 30) as one:
        one.write(picture(0))
        assert not abandoned.exists()
        write(tmp_path / "two.mp4", frames=1)  # leaves alone what somebody is at work in
        one.write(picture(1))
    assert sorted(os.listdir(tmp_path)) == ["one.mp4", "two.mp4"]


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(tmp_path, number, code):
    """A program in the middle of a film: the signal ends it, with nothing left and the right exit code."""
    program = (
        "import signal, sys, time; import numpy as np\n"
        "from tf_stylegan import cli; from tf_stylegan.pictures import video\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells ignore it for jobs with &
        "def film():\n"
        "    with video.FilmWriter(sys.argv[1], 30) as writer:\n"
        "        while True:\n"
        "            writer.write(np.zeros([64, 64, 3], np.uint8)); print('frame', flush=True); time.sleep(0.01)\n"
        "sys.exit(cli.run(film))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "film.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        for _ in range(20):
            assert process.stdout.readline() == b"frame\n"
        assert [name[: len(PARTIAL)] for name in os.listdir(tmp_path)] == [PARTIAL]
        os.killpg(process.pid, number)  # as a terminal does, to all that are in it
        process.stdout.read()
        assert process.stderr.read() == (b"interrupted\n" if number == signal.SIGINT else b"")
        assert process.wait() == code
    assert os.listdir(tmp_path) == []
