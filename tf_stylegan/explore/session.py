"""What belongs to one browser: its last pictures, its film, and a folder that goes with it (F6; no web page here)."""

import collections
import contextlib
import dataclasses
import functools
import io
import itertools
import os
import secrets
import shutil
import threading
import time

import numpy as np
import PIL.Image

from tf_stylegan.errors import UserError
from tf_stylegan.explore.drawing import Stopped
from tf_stylegan.explore.settings import Settings
from tf_stylegan.images import to_pillow
from tf_stylegan.pictures.video import FilmWriter

MOST_KEPT = 64  # pictures of a walk
_MOST_SESSIONS = 64  # a browser that vanished without a word is forgotten at last
_PICTURES = 8  # of a session that can still be downloaded: the one on the page, and some before it
_LOOK_EVERY = 0.1  # seconds, whether a film may begin
_LARGE = 512  # pixels a side that need no enlarging


def enlargement(height, width):
    """How many times a small picture is enlarged to be looked at; 1 for large ones."""
    return max(1, _LARGE // max(height, width))


def enlarged(frame, times):
    """A frame with every pixel a square of `times` pixels."""
    return frame if times == 1 else frame.repeat(times, 0).repeat(times, 1)


def png(picture):
    """A PNG file of a uint8 picture `[H, W, C]`, as bytes."""
    if picture.shape[2] not in (1, 3, 4):
        raise UserError(f"Pictures of {picture.shape[2]} channels cannot be shown, only of 1, 3 or 4")
    file = io.BytesIO()
    to_pillow(picture).save(file, "PNG", compress_level=1)  # for its own size a network has no time to lose
    return file.getvalue()


def thumbnail(picture, side=96):
    """A small PNG of a picture, as bytes."""
    height, width, channels = picture.shape
    step = max(1, max(height, width) // side)
    height, width = height // step * step, width // step * step
    boxes = picture[:height, :width].reshape(height // step, step, width // step, step, channels)
    return png(boxes.mean(axis=(1, 3)).astype(np.uint8))


@dataclasses.dataclass(frozen=True)
class Shown:
    """A picture that is, or was, on the page."""

    settings: Settings
    data: bytes
    seconds: float  # that it took

    @functools.cached_property
    def small(self):
        """Bytes of a small picture of it."""
        with PIL.Image.open(io.BytesIO(self.data)) as image:
            picture = np.asarray(image)
        return thumbnail(picture.reshape(*picture.shape[:2], -1))


class Session:
    """What one browser's page has made: its last pictures, its film, and a folder that goes with it.

    Attributes:
        token: secret part of the addresses of its files.
        stop: event that will end what is in the making now, or waits for its turn: who begins takes it along.
    """

    def __init__(self, parent):
        self.token, self.stop = secrets.token_urlsafe(16), threading.Event()
        self.folder = os.path.join(parent, self.token)
        os.mkdir(self.folder)
        self._numbers, self._shown, self._lock = itertools.count(1), collections.OrderedDict(), threading.Lock()
        self._small = None, b""
        self.film = None  # (number, path) of the last one

    def show(self, explorer, settings):
        """The picture of some Settings, from memory where it is one of the last.

        Returns:
            (number of the picture, Shown).
        """
        with self._lock:
            known = [number for number, shown in self._shown.items() if shown.settings == settings]
            if known and settings.noise_mode != "random":
                self._shown.move_to_end(known[-1])
                return known[-1], self._shown[known[-1]]
        start = time.perf_counter()
        data = png(explorer.picture(settings))
        shown = Shown(settings, data, time.perf_counter() - start)
        with self._lock:
            number = next(self._numbers)
            self._shown[number] = shown
            while len(self._shown) > _PICTURES:
                self._shown.popitem(last=False)
        return number, shown

    def shown(self, number):
        """The Shown of a number, None where it is forgotten."""
        with self._lock:
            return self._shown.get(number)

    def small(self, settings, draw):
        """Bytes of a small picture of some Settings: of one that was shown, the last one made here, or `draw()`."""
        with self._lock:
            shown = [shown for shown in self._shown.values() if shown.settings == settings]
            last, data = self._small
        if shown:
            return shown[-1].small
        if last != settings:
            data = thumbnail(draw())
            self._small = settings, data
        return data

    def add(self, explorer, wanted, stop):
        """Yields (Settings, bytes of a small picture) of each of some Settings; drawn when nobody looks at pictures.

        Raises:
            Stopped: by the event `stop`.
        """
        for settings in wanted:
            if stop.is_set():
                raise Stopped
            yield settings, self.small(settings, functools.partial(explorer.picture, settings, urgent=False))

    def make_film(self, explorer, film, fps, stop, times=1):
        """Makes a film in place of the last one, and says how far it is.

        Args:
            film: of `Explorer.walk`.
            stop: event that ends it.
            times: how many times frames are enlarged.
        Yields:
            number of frames made; 0, again and again, while it waits for the films of others.
        Raises:
            UserError: it cannot be written. Stopped: by `stop`.
        """
        while not explorer.films.acquire(timeout=_LOOK_EVERY):
            yield 0
            if stop.is_set():
                raise Stopped
        try:
            if stop.is_set():
                raise Stopped
            number = next(self._numbers)
            path = os.path.join(self.folder, f"{number}.mp4")
            with FilmWriter(path, fps) as writer:
                for made, frame in enumerate(explorer.frames(film, stop), start=1):
                    writer.write(enlarged(frame, times))
                    yield made
        finally:
            explorer.films.release()
        if self.film:
            with contextlib.suppress(OSError):
                os.unlink(self.film[1])
        self.film = number, path

    def end_work(self):
        """Stops what is in the making; what begins later is not meant."""
        with self._lock:
            if not self.stop.is_set():  # it stays so where the session is closed
                self.stop.set()
                self.stop = threading.Event()

    def close(self):
        """Stops its work for good and removes its files."""
        with self._lock:
            self.stop.set()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """The sessions of all browsers, by the key that the web page knows each by.

    Args:
        folder: an existing folder that theirs are made in.
    """

    def __init__(self, folder):
        self._folder, self._sessions, self._lock = folder, collections.OrderedDict(), threading.Lock()

    def __len__(self):
        return len(self._sessions)

    def of(self, key):
        """The Session of a key, a new one if need be: a page that was away may come back."""
        with self._lock:
            session = self._sessions.pop(key, None) or Session(self._folder)
            self._sessions[key] = session  # the last in use stands last
            forgotten = [self._sessions.popitem(last=False)[1] for _ in range(len(self._sessions) - _MOST_SESSIONS)]
        for one in forgotten:
            one.close()
        return session

    def with_token(self, token):
        """The Session with a token, or None."""
        with self._lock:
            found = [s for s in self._sessions.values() if secrets.compare_digest(s.token.encode(), token.encode())]
        return found[0] if found else None

    def end(self, key):
        """Ends a session: its film stops, its files go."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session:
            session.close()

    def end_all(self):
        """Ends all sessions."""
        for key in list(self._sessions):
            self.end(key)


def latents_file(explorer, settings):
    """An .npz file with a picture's w, as bytes, for `generate-images --dlatents` and the other tools."""
    file, w = io.BytesIO(), explorer.dlatents(settings)
    np.savez(file, dlatents=w, w=w)
    return file.getvalue()
