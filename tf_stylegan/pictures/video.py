"""Films: frames stream to ffmpeg, and a file appears whole or not at all (F5; NumPy, Pillow, imageio-ffmpeg)."""

import contextlib
import functools
import os
import queue
import re
import subprocess
import tempfile
import threading

import numpy as np

from tf_stylegan import files
from tf_stylegan.data.staging import work_folder
from tf_stylegan.errors import UserError
from tf_stylegan.images import to_pillow

# The matrix of HD, and said so in the file: players that are told nothing guess, and colours shift. Both need 4:2:0,
# which is all that browsers and phones decode.
_HD = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
_COLOURS = ["-vf", f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{_HD}"]
# x264 would look 40 frames ahead, which is a gigabyte where frames are sheets of large pictures.
_AHEAD = ["-x264-params", "rc-lookahead=10:sync-lookahead=0"]
_LEAST_BITRATE, _MOST_BITRATE = 1000, 2 * 10**9  # below, x264 refuses
_WAITING_FRAMES = 3  # that may wait for the encoder
_THREADS = min(os.cpu_count() or 1, 8)  # x264 and VP9 keep a frame or more for each


class Format:
    """How a kind of film is written: ending, encoder of ffmpeg's (None: none), longest side, highest rate of frames."""

    def __init__(self, ending, encoder, longest, most_fps, *options):
        self.ending, self.encoder, self.longest, self.most_fps = ending, encoder, longest, most_fps
        self.options = options


FORMATS = {
    "mp4": Format(".mp4", "libx264", 16384, 1000, *_AHEAD, *_COLOURS, "-movflags", "+faststart", "-f", "mp4"),
    "webm": Format(".webm", "libvpx-vp9", 16384, 1000, *_COLOURS, "-cpu-used", "4", "-row-mt", "1", "-f", "webm"),
    "gif": Format(".gif", "gif", 65535, 50),  # delays are hundredths, and browsers take 1 of them for 10
    "png": Format("", None, 2**31 - 1, 1000),  # a folder of numbered frames
}


def ffmpeg_program():
    """Path of the ffmpeg that imageio-ffmpeg brings, or of the one IMAGEIO_FFMPEG_EXE names."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise UserError(
            "films need imageio-ffmpeg: pip install imageio-ffmpeg (the extra `video`); --format=png does without"
        ) from error
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError("imageio-ffmpeg has no ffmpeg; name one in IMAGEIO_FFMPEG_EXE, or use --format=png") from error


@functools.lru_cache
def _encoders(program):
    try:
        done = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "strerror", None) or "it ends with an error"
        raise UserError(f"could not run {program}: {reason}; name another ffmpeg in IMAGEIO_FFMPEG_EXE") from error
    return set(re.findall(r"^ V\S+ (\S+)", done.stdout, re.MULTILINE))


def bits_of(bitrate):
    """`"16M"` or `"800k"` to bits per second, an int; UserError for what is none, or too few or too many."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", bitrate)
    if not match or float(match[1]) == 0:
        raise UserError(f"--bitrate={bitrate} must be a number of bits per second above 0, such as 16M or 800k")
    bits = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()]
    if not _LEAST_BITRATE <= bits <= _MOST_BITRATE:
        fault = "low" if bits < _LEAST_BITRATE else "high"
        raise UserError(
            f"--bitrate={bitrate} is too {fault}: films need bits per second from {_LEAST_BITRATE // 1000}k to "
            f"{_MOST_BITRATE // 10**6}M, such as 16M or 800k"
        )
    return round(bits)


def check_film(form, size=None, fps=None, bitrate="16M"):
    """UserError for a film that cannot be written, all that can be told beforehand.

    Args:
        form: one of FORMATS.
        size: (width, height), or None while it is unknown.
        fps, bitrate: as `FilmWriter`.
    """
    kind = FORMATS[form]
    if fps is not None and not 0 < fps <= kind.most_fps:
        raise UserError(f"--fps={fps:g} must be above 0 and at most {kind.most_fps} with --format={form}")
    bits_of(bitrate)
    if size and max(size) > kind.longest:
        raise UserError(
            f"a frame of {size[0]} x {size[1]} pixels is too large: --format={form} goes up to {kind.longest} a side"
        )
    if kind.encoder and kind.encoder not in _encoders(ffmpeg_program()):
        raise UserError(
            f"{ffmpeg_program()} has no encoder {kind.encoder}, which --format={form} needs; name another ffmpeg in "
            "IMAGEIO_FFMPEG_EXE, or use --format=png"
        )


class FilmWriter:
    """Writes a film, frame by frame, while the next ones are drawn: `with FilmWriter(…) as film: film.write(frame)`.

    Everything goes into a hidden folder beside `path`; the film gets its name when the block has ended well. After an
    error, Ctrl-C, or a signal that became an exception, nothing is left; what a killed program left, the next removes.

    Args:
        path: file to write, for "png" a folder; what does not exist yet, nor when the film gets its name.
        fps: frames per second.
        form: "mp4": H.264 that browsers and phones play; "webm": VP9; "gif": endless, one palette for all frames;
            "png": a folder of numbered frames.
        bitrate: bits per second, such as "16M"; for mp4 and webm.
        force: take the place of a file that is there; of a folder never.
    Raises:
        UserError: the film cannot be written; most reasons show before the first frame is.
    """

    def __init__(self, path, fps, form="mp4", bitrate="16M", force=False):
        check_film(form, None, fps, bitrate)
        self._force = force
        self.path, self._form, self._fps, self._bitrate = os.fspath(path), form, fps, bitrate
        self._stack = contextlib.ExitStack()
        self._queue, self._error, self._sink, self._thread = queue.Queue(_WAITING_FRAMES), None, None, None

    def __enter__(self):
        self._check_free()
        try:
            self._folder = self._stack.enter_context(work_folder(os.path.dirname(os.path.abspath(self.path))))
        except OSError as error:
            raise self._problem(error) from error
        return self

    def write(self, frame):
        """Takes a uint8 frame `[H, W, C]`, C = 1, 3 or 4; the caller must not change it afterwards."""
        if self._sink is None:
            self._start(frame.shape)
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"frames must stay uint8 {self._shape}, got {frame.dtype} {frame.shape}")
        self._put(frame)

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                if self._thread is None:
                    raise ValueError("a film without frames")
                self._put(None)
                self._thread.join()
                if self._error is not None:
                    raise self._error
                self._publish(self._sink.finish())
        except OSError as problem:
            raise self._problem(problem) from problem
        finally:
            self._clean()

    def _check_free(self):
        if os.path.lexists(self.path) and (os.path.isdir(self.path) or self._form == "png" or not self._force):
            raise self._taken()

    def _taken(self):
        return UserError(f"{self.path} is there already; remove it, or choose another folder")

    def _publish(self, made):
        """Gives the film its name; without `force` not that of a film that another program has finished meanwhile."""
        self._check_free()
        if not self._force and os.path.isfile(made):
            try:
                os.link(made, self.path)  # which, unlike a new name, replaces nothing
                return
            except FileExistsError as error:
                raise self._taken() from error
            except OSError:
                pass  # a file system without links, where the check above is all there is
        os.replace(made, self.path)

    def _start(self, shape):
        height, width, channels = self._shape = shape
        check_film(self._form, (width, height), self._fps, self._bitrate)
        if channels not in (1, 3, 4):
            raise UserError(f"films are of pictures of 1, 3 or 4 channels; this network's have {channels}")
        sinks = {"png": _Frames, "gif": _Gif}
        self._sink = sinks.get(self._form, _Encoder)(self._folder, self._form, self._fps, self._bitrate)
        self._thread = threading.Thread(target=self._work, name="film", daemon=True)
        self._thread.start()

    def _put(self, frame):
        while self._error is None:
            with contextlib.suppress(queue.Full):
                self._queue.put(frame, timeout=0.5)  # or look again whether the thread has met an error
                return
        raise self._error

    def _work(self):
        """The thread: hands frames on until None comes."""
        try:
            while (frame := self._queue.get()) is not None:
                self._sink.write(frame)
        except OSError as error:
            self._error = self._problem(error)
        except Exception as error:  # ours
            self._error = error

    def _problem(self, error):
        if isinstance(error, BrokenPipeError) and self._sink:  # ffmpeg has ended: it knows why
            error = self._sink.problem()
        reason = str(getattr(error, "strerror", None) or error).rstrip(". ")
        return UserError(f"could not write {self.path}: {reason}. {files.advice(reason, 'another folder or format')}")

    def _clean(self):
        if self._thread:
            self._sink.stop()
            while self._thread.is_alive():  # starting ffmpeg, writing to it, or waiting for a frame
                self._sink.stop()
                with contextlib.suppress(queue.Empty, queue.Full):
                    self._queue.get_nowait()
                with contextlib.suppress(queue.Full):
                    self._queue.put_nowait(None)
                self._thread.join(0.01)
            self._sink.close()
        self._stack.close()


# Where frames go: write(frame) in the writer's thread; then finish() → path of what was made, or stop(); then close() -


class _Frames:
    def __init__(self, folder, *_):
        self._folder, self._count = os.path.join(folder, "frames"), 0
        os.mkdir(self._folder)  # its own: the other one is for this program's eyes only

    def write(self, frame):
        to_pillow(frame).save(os.path.join(self._folder, f"{self._count:06d}.png"), compress_level=4)
        self._count += 1

    def finish(self):
        return self._folder

    def stop(self):
        pass

    def close(self):
        pass


class _Encoder:
    """An ffmpeg that reads frames from a pipe.

    It works in the folder: parts of paths it would take for protocols (`run:1`), options (`-x`) or numbers (`%d`).
    """

    def __init__(self, folder, form, fps, bitrate):
        self._kind, self._fps, self._bitrate = FORMATS[form], fps, bitrate
        self._folder, self._process = folder, None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)

    def output(self):
        """Options of the output file, and its name."""
        bits = str(bits_of(self._bitrate))  # in digits: the m of ffmpeg is a thousandth
        rate = ["-b:v", bits, "-threads", str(_THREADS)]
        return ["-c:v", self._kind.encoder, *rate, *self._kind.options, "film"]

    def even(self):
        return True  # sizes that 4:2:0 can halve

    def write(self, frame):
        frame = frame[:, :, :3] if frame.shape[2] >= 3 else np.repeat(frame, 3, axis=2)
        if self.even():
            frame = np.pad(frame, [(0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)], "edge")
        if self._process is None:
            source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{frame.shape[1]}x{frame.shape[0]}"]
            self._run([*source, "-r", f"{self._fps}", "-i", "-", *self.output()])
        self._process.stdin.write(np.ascontiguousarray(frame).data)

    def finish(self):
        self._wait()
        return os.path.join(self._folder, "film")

    def stop(self):
        if self._process:
            self._process.kill()

    def close(self):
        if self._process:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
        self._log.close()

    def problem(self):
        """What ffmpeg said last."""
        self._process.wait()
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace")
        lines = [re.sub(r"^(\[[^]]*\] )+", "", line) for line in text.splitlines()]
        full = [line for line in lines if "No space left" in line]
        return OSError((full or lines or [f"ffmpeg ended with {self._process.returncode}"])[-1])

    def _run(self, arguments):
        program = ffmpeg_program()
        program = os.path.abspath(program) if os.path.dirname(program) else program
        # In a session of its own: Ctrl-C is for this program, which then stops it.
        self._process = subprocess.Popen(
            [program, "-hide_banner", "-loglevel", "error", "-y", *arguments], cwd=self._folder,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def _wait(self):
        self._process.stdin.close()
        if self._process.wait():
            raise self.problem()


class _Gif(_Encoder):
    """First without loss into a file, from which the palette is made: of all frames, without keeping them in memory."""

    def even(self):
        return False

    def output(self):
        return ["-c:v", "ffv1", "-pix_fmt", "bgr0", "-f", "matroska", "frames"]

    def finish(self):
        self._wait()
        frames, palette = ["-i", "frames"], "palette.png"
        self._run([*frames, "-vf", "palettegen=stats_mode=full", "-frames:v", "1", palette])
        self._wait()
        use = "paletteuse=dither=sierra2_4a:diff_mode=rectangle"
        self._run([*frames, "-i", palette, "-lavfi", use, "-loop", "0", "-f", "gif", "film"])
        return super().finish()
