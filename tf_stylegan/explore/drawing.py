"""Settings to w, pictures and films: the one network that all browsers share (F6; no web page here)."""

import contextlib
import dataclasses
import functools
import heapq
import itertools
import threading

import numpy as np

from tf_stylegan.errors import UserError
from tf_stylegan.explore import settings as controls
from tf_stylegan.explore.settings import Settings
from tf_stylegan.pictures import directions, films, latents, walks
from tf_stylegan.pictures.painter import Painter
from tf_stylegan.pictures.sources import Source

SLIDERS = 5  # directions of each group
_FILMS_AT_A_TIME = 4


class Stopped(Exception):
    """The film was stopped, or nobody looks any more."""


class Turns:
    """One drawing at a time, first come, first served; but who looks at a picture goes before who makes a film."""

    def __init__(self):
        self._changed, self._waiting, self._numbers, self._busy = threading.Condition(), [], itertools.count(), False

    @contextlib.contextmanager
    def take(self, urgent):
        """Waits for its turn and holds it, the only one there is, while the `with` block runs."""
        ticket = (not urgent, next(self._numbers))
        with self._changed:
            heapq.heappush(self._waiting, ticket)
            self._changed.wait_for(lambda: not self._busy and self._waiting[0] == ticket)
            heapq.heappop(self._waiting)
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()


class Explorer:
    """One network to look at, for all browsers; it holds nothing of theirs.

    Args:
        Gs: Generator or GeneratorProGAN.
        name: of the network, as a person would say it.
    Attributes:
        films: semaphore of those that are made at a time, each with an encoder of its own.
    """

    def __init__(self, Gs, name="network"):
        self.Gs, self.name, self.painter = Gs, name, Painter(Gs)
        self.has_w = self.painter.has_w
        self.label_size = Gs.label_size
        self.num_layers = self.painter.num_layers if self.has_w else 0
        self.psi = self.painter.psi if self.has_w else None
        self.cutoff = Gs.truncation_cutoff if self.has_w else None
        self.films = threading.BoundedSemaphore(_FILMS_AT_A_TIME)
        self._turns, self._finding = Turns(), threading.Lock()
        self._found = {}

    @functools.cached_property
    def picture_shape(self):
        """(H, W, C)."""
        return self.painter.picture_shape

    @functools.cached_property
    def groups(self):
        """{name of a group of styles: their numbers}: all, and those of coarse, middle, fine that the network has."""
        if not self.has_w:
            return {}
        try:
            used = len(directions.style_weights(self.painter))  # a grown network may not use all of them yet
        except UserError:
            return {}
        groups = {"all": list(range(used))}
        for name, (first, stop) in latents.STYLE_NAMES.items():
            styles = groups["all"][first:stop]
            if styles and styles != groups["all"]:
                groups[name] = styles
        return groups

    @property
    def sliders(self):
        """How many directions each group has."""
        return min(SLIDERS, self.painter.w_size) if self.groups else 0

    def directions(self, group, class_index=None):
        """The Directions of a group of styles, in deviations of the w of a class, found when first asked for."""
        key = group, class_index
        with self._finding:
            if key not in self._found:
                painter = self.painter.variant(class_index=class_index)
                self._found[key] = directions.find(painter, self.groups[group], self.sliders)
        return self._found[key]

    def settings(
        self, seed, psi=None, cutoff=None, noise_mode="seed", class_index=None, mix=False, mix_seed=None,
        mix_range="coarse", mix_first=None, mix_last=None, strengths=(),
    ):  # fmt: skip
        """Settings of what the controls hold.

        Args:
            mix: whether styles of `mix_seed` are mixed in; which, `controls.mixed_styles` says.
            strengths: of the directions, group after group.
            the others: as Settings; any kind of value.
        Raises:
            UserError: a value that cannot be, in words for the page.
        """
        seed = controls.whole_number(seed, "A seed", 0, controls.LARGEST_SEED)
        class_index = controls.class_number(class_index, self.label_size)
        if not self.has_w:
            return Settings(seed, class_index=class_index)
        psi = self.psi if psi is None else controls.real_number(psi, "Truncation psi", -10, 10)
        if cutoff is not None:
            cutoff = controls.whole_number(cutoff, "The truncation cutoff", 0, self.num_layers)
        mode = controls.check_noise_mode(noise_mode)
        mixed = {}
        if mix:
            mixed["mix_seed"] = controls.whole_number(mix_seed, "The second seed", 0, controls.LARGEST_SEED)
            mixed["mix_styles"] = controls.mixed_styles(mix_range, mix_first, mix_last, self.num_layers)
        names = [(group, number) for group in self.groups for number in range(self.sliders)]
        moves = tuple(
            (group, number, controls.real_number(strength, "A direction", -100, 100))
            for (group, number), strength in zip(names, strengths)
            if strength != 0
        )
        return Settings(seed, psi, cutoff, mode, class_index, **mixed, moves=moves)

    def dlatents(self, settings):
        """w of some Settings as it is drawn, truncated, mixed and moved: float32 `[1, num_layers, w_size]`."""
        painter = self._painter(settings)
        seeds = [settings.seed] if settings.mix_seed is None else [settings.seed, settings.mix_seed]
        z = np.concatenate([painter.latents_of(seed)[0] for seed in seeds])
        w = painter.truncated(painter.dlatents(z))
        if settings.mix_seed is not None:
            w[0, list(settings.mix_styles)] = w[1, list(settings.mix_styles)]
        w = w[:1]
        for group, number, strength in settings.moves:
            w = self.directions(group, settings.class_index).moved(w, number, strength)
        return w

    def picture(self, settings, urgent=True):
        """uint8 `[H, W, C]`; of a plain seed it is the picture of `run_generator generate-images`.

        Args:
            urgent: whether somebody looks; else it is drawn when nobody does, as frames of films are.
        """
        painter = self._painter(settings)
        with self._turns.take(urgent):
            z, noise = painter.latents_of(settings.seed)
            if self.has_w:
                return painter.draw(self.dlatents(settings), noise)[0]
            return painter.paint(z)[0]

    def second(self, settings):
        """Settings of the second seed alone, to show what is mixed in."""
        return dataclasses.replace(settings, seed=settings.mix_seed, mix_seed=None, mix_styles=(), moves=())

    def walk(self, kept, seconds, fps, ease="smooth", loop=True, noise_mode="seed"):
        """A film from picture to picture, on straight lines in w (of a ProGAN on arcs in z).

        Args:
            kept: list of Settings.
            seconds: from one picture to the next.
            fps: frames per second.
            ease: one of `walks.EASINGS`.
            loop: go on from the last picture to the first.
            noise_mode: of the whole film.
        Returns:
            films.Film.
        Raises:
            UserError: too few pictures, or numbers that cannot be.
        """
        seconds = controls.real_number(seconds, "The seconds", 0.05, 60)
        fps = controls.whole_number(fps, "The frames per second", 1, 120)
        steps = round(seconds * fps)
        if steps < 1:
            raise UserError(f"{seconds:g} seconds are less than one frame; take more, or more frames per second")
        if ease not in walks.EASINGS:
            raise UserError(f"The pace must be one of {', '.join(walks.EASINGS)}, got {ease}")
        if not self.has_w:
            classes = {settings.class_index for settings in kept}
            seeds = [settings.seed for settings in kept]
            if len(classes) > 1:
                raise UserError("Between the classes of this network there is no way: keep pictures of one class")
            _check_two(seeds)
            painter = self.painter.variant(class_index=classes.pop())
            return films.sightseeding_film(painter, seeds, steps, "spherical", True, ease, loop)
        painter = self.painter.variant(noise_mode=controls.check_noise_mode(noise_mode), truncation_psi=1)
        points = [self.dlatents(settings)[0] for settings in kept]
        _check_two(points)
        sources = [Source(settings.name, settings.seed, w, 1.0) for settings, w in zip(kept, points)]
        return films.sightseeding_film(painter, sources, steps, "linear", False, ease, loop)

    def frames(self, film, stop):
        """Yields the frames of a film; raises Stopped when the event `stop` is set."""
        drawn = iter(film)
        while True:
            with self._turns.take(urgent=False):
                if stop.is_set():
                    raise Stopped
                frame = next(drawn, None)
            if frame is None:
                return
            yield frame

    def _painter(self, settings):
        return self.painter.variant(
            truncation_psi=settings.psi,
            truncation_cutoff=settings.cutoff,
            noise_mode=settings.noise_mode,
            class_index=settings.class_index,
        )


def _check_two(points):
    """UserError unless some seeds, or w, are two different ones or more."""
    if all(np.array_equal(point, points[0]) for point in points[1:]):
        raise UserError("A walk needs two different pictures or more; keep some first")
