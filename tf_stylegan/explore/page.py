"""What the controls of the page do (F6; Gradio).

Every control is an input of one event, `draw`; while a picture is being drawn the browser keeps only the newest state
of the controls, so what was overtaken is never drawn. What a browser keeps is in its own `gr.State` and Session.
"""

import functools
import sys
import time
import traceback

import gradio as gr

from tf_stylegan.errors import UserError
from tf_stylegan.explore import markup
from tf_stylegan.explore.drawing import Stopped
from tf_stylegan.explore.layout import QUIET, Layout
from tf_stylegan.explore.session import MOST_KEPT
from tf_stylegan.explore.settings import OWN_RANGE, Settings, seeds_of

_TELL_EVERY = 0.25  # seconds, how far a film is


class Page:
    """The page of an Explorer for any number of Sessions; `layout.blocks` is what Gradio serves."""

    def __init__(self, explorer, sessions):
        self.explorer, self.sessions = explorer, sessions
        self.layout = Layout(explorer)
        with self.layout.blocks:
            self._wire(self.layout)

    def _wire(self, page):
        drawn = [page.view, page.note, page.links, *([page.second] if self.explorer.has_w else [])]
        # One event for all: the browser then holds back all but the newest state while one picture is drawn.
        gr.on(
            [page.blocks.load, *(control.change for control in page.inputs)],
            self.draw, page.inputs, drawn, trigger_mode="always_last", **QUIET,
        )  # fmt: skip
        keep = {**QUIET, "trigger_mode": "once"}
        kept = [page.kept, page.kept_view]
        page.keep.click(self.keep_picture, [page.kept, *page.inputs], [*kept, page.note], **keep)
        # Never in Gradio's queue, where nobody is told anything: who has to wait for others is told how far it is.
        keep["concurrency_limit"] = None
        added = gr.on(
            [page.add.click, page.seeds.submit], self.add_seeds,
            [page.kept, page.seeds, *page.inputs], [page.added, page.film_view, page.seeds], **keep,
        )  # fmt: skip
        # By itself, with the list as it is by then.
        added.then(self.put_added, [page.kept, page.added], [*kept, page.added], **QUIET)
        page.clear.click(lambda: ((), markup.kept_list([])), None, kept, **QUIET)
        page.kept_view.click(self.change_kept, page.kept, [*kept, *page.inputs], **QUIET)
        noise = [page.controls["noise_mode"]] if self.explorer.has_w else []
        page.make.click(self.make_film, [page.kept, *page.film_options, *noise], page.film_view, **keep)
        page.stop.click(self.stop_film, None, None, queue=False, **QUIET)
        page.blocks.unload(self.leave)

    def settings(self, values):
        """Settings of the values of all controls, in the order of the inputs."""
        count = len(self.layout.controls)
        return self.explorer.settings(**dict(zip(self.layout.controls, values)), strengths=values[count:])

    def values(self, settings):
        """What the controls must hold to show some Settings: the reverse of `settings`."""
        held = {name: getattr(settings, name, gr.skip()) for name in self.layout.controls}
        held["mix"] = settings.mix_seed is not None
        if settings.mix_seed is not None:
            held.update(mix_range=OWN_RANGE, mix_first=settings.mix_styles[0], mix_last=settings.mix_styles[-1])
        else:
            held["mix_seed"] = gr.skip()
        strengths = {(group, number): strength for group, number, strength in settings.moves}
        sliders = [(group, number) for group in self.explorer.groups for number in range(self.explorer.sliders)]
        return [*(held[name] for name in self.layout.controls), *(strengths.get(slider, 0) for slider in sliders)]

    # The picture ------------------------------------------------------------------------------------------------------

    def draw(self, request: gr.Request, *values):
        """The picture, the line under it, its links, and the picture that is mixed in."""

        def work():
            settings = self.settings(values)
            session = self.sessions.of(request.session_hash)
            number, picture = session.show(self.explorer, settings)
            shown = [
                markup.picture(picture.data, f"Picture of {settings.words}", *self.layout.size, self.layout.times),
                markup.facts(f"{settings.words.capitalize()} · {_seconds(picture.seconds)}"),
                markup.downloads(session.token, number, settings.name, self.explorer.has_w),
            ]
            return [*shown, *([self._second(session, settings)] if self.explorer.has_w else [])]

        return _guarded(
            work, lambda words: [gr.skip(), words, gr.skip(), *([gr.skip()] if self.explorer.has_w else [])]
        )

    def _second(self, session, settings):
        if settings.mix_seed is None:
            return ""
        other = self.explorer.second(settings)
        data = session.small(other, functools.partial(self.explorer.picture, other))
        return markup.second_picture(data, other.seed, settings.mix_styles, self.layout.times)

    # The pictures of the film -----------------------------------------------------------------------------------------

    def keep_picture(self, request: gr.Request, kept, *values):
        """Puts the picture that the controls describe at the end of the list."""

        def work():
            if len(kept) >= MOST_KEPT:
                raise UserError(f"There is room for {MOST_KEPT} pictures; remove some first")
            settings = self.settings(values)
            session = self.sessions.of(request.session_hash)
            small = session.small(settings, functools.partial(self.explorer.picture, settings))
            more = (*kept, (settings, small))
            return [more, _list(more), gr.skip()]

        return _guarded(work, lambda words: [gr.skip(), gr.skip(), words])

    def add_seeds(self, request: gr.Request, kept, text, *values):
        """Draws plain pictures of seeds, with the truncation, noise and class of now, and says how far it is."""
        session, added = self.sessions.of(request.session_hash), []
        stop = session.stop
        try:
            seeds = seeds_of(text, MOST_KEPT - len(kept))
            now = self.settings([0, *values[1:]])
            plain = [Settings(seed, now.psi, now.cutoff, now.noise_mode, now.class_index) for seed in seeds]
            yield (), markup.progress(0, len(seeds), None, "pictures"), gr.skip()
            for one in session.add(self.explorer, plain, stop):
                added.append(one)
                yield (), markup.progress(len(added), len(seeds), None, "pictures"), gr.skip()
            yield tuple(added), "", ""
        except Stopped:
            yield tuple(added), markup.facts("Stopped."), gr.skip()
        except Exception as error:
            yield tuple(added), _in_words(error), gr.skip()

    def put_added(self, kept, added):
        """Puts the pictures of `add_seeds` at the end of the list, as far as there still is room."""
        kept = (*kept, *added)[:MOST_KEPT]
        return [kept, _list(kept), ()]

    def change_kept(self, event: gr.EventData, kept):
        """What a button in the list asks for: to show, move or remove a picture."""
        index, act = event._data.get("index", -1), event._data.get("act")
        still = [gr.skip()] * len(self.layout.inputs)
        if not 0 <= index < len(kept):
            return [gr.skip(), gr.skip(), *still]
        if act == "show":
            return [gr.skip(), gr.skip(), *self.values(kept[index][0])]
        others = [*kept[:index], *kept[index + 1 :]]
        if act in ("left", "right"):
            others.insert(max(index + (1 if act == "right" else -1), 0), kept[index])
        return [tuple(others), _list(others), *still]

    # The film ---------------------------------------------------------------------------------------------------------

    def make_film(self, request: gr.Request, kept, seconds, fps, ease, loop, enlarge, noise_mode="seed"):
        """Says how far the film is, then shows it."""
        session = self.sessions.of(request.session_hash)
        stop = session.stop  # of now: who presses it while the way is looked for means this film
        try:
            film = self.explorer.walk([one for one, _ in kept], seconds, fps, ease, loop, noise_mode)
            times = self.layout.times if enlarge else 1
            yield markup.progress(0, film.frames, None)
            start = told = time.perf_counter()
            for made in session.make_film(self.explorer, film, fps, stop, times):
                now = time.perf_counter()
                if not made:
                    start = now
                    yield markup.facts("Waiting for the films of others.")
                elif now - told > _TELL_EVERY:
                    told = now
                    yield markup.progress(made, film.frames, (now - start) / made * (film.frames - made))
            number, _ = session.film
            width, height = film.size
            facts = (
                f"{film.frames} frames, {film.frames / fps:.1f} s, {width * times} × {height * times} · "
                f"made in {_seconds(time.perf_counter() - start)}"
            )
            name = "-".join(["walk", *(str(one.seed) for one, _ in kept[:6])])
            yield markup.film(session.token, number, name, facts, times)
        except Stopped:
            yield markup.facts("Stopped.")
        except Exception as error:
            yield _in_words(error)

    def stop_film(self, request: gr.Request):
        """Ends the film, and the drawing of seeds to add."""
        self.sessions.of(request.session_hash).end_work()

    def leave(self, request: gr.Request):
        """The browser has closed the page, or gone to another."""
        self.sessions.end(request.session_hash)


def _list(kept):
    return markup.kept_list([(settings.words, data) for settings, data in kept])


def _guarded(work, otherwise):
    """`work()`; if that fails, `otherwise` of one line of HTML that says why."""
    try:
        return work()
    except Exception as error:
        return otherwise(_in_words(error))


def _in_words(error):
    """One line of HTML about an error; what is no mistake of the user goes to the terminal in full, too."""
    if isinstance(error, UserError):
        return markup.problem(error)
    traceback.print_exception(error, file=sys.stderr)
    return markup.problem(f"This did not work ({type(error).__name__}); the terminal says more")


def _seconds(taken):
    return f"{taken * 1000:.0f} ms" if taken < 1 else f"{taken:.1f} s"
