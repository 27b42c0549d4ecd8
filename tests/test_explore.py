"""The page without its browser: settings, pictures, films, sessions. Nothing here needs Gradio."""

import contextlib
import io
import os
import re
import sys
import threading
import time

import numpy as np
import PIL.Image
import pytest
from film_helpers import assert_loops, read_film
from helpers import GOLDEN
from network_helpers import make_g, randomise

from tf_stylegan import run_generator
from tf_stylegan.errors import UserError
from tf_stylegan.explore import __main__ as command
from tf_stylegan.explore import drawing, markup, session
from tf_stylegan.explore.settings import OWN_RANGE, Settings, seeds_of
from tf_stylegan.networks.registry import build_network
from tf_stylegan.pictures import directions
from tf_stylegan.pictures.painter import Painter, seed_inputs

PICKLES = GOLDEN / "pickles"
CONDITIONAL = "stylegan2-config-e-Gresnet-Dskip-cond.pkl"


@pytest.fixture(scope="module")
def explorer():
    return drawing.Explorer(make_g(resolution=32), "small")


@pytest.fixture(scope="module")
def growing():
    """Of a network without w."""
    keywords = {"latent_size": 8, "resolution": 8, "fmap_base": 64, "fmap_max": 8, "label_size": 3, "name": "Gs"}
    return drawing.Explorer(randomise(build_network("G_paper", **keywords)), "old")


@pytest.fixture
def own(tmp_path):
    """A Session."""
    return session.Session(str(tmp_path))


def read_png(data):
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def generated(tmp_path, network, *options):
    """The picture of `run_generator generate-images`."""
    arguments = ["run_generator", "generate-images", f"--network={network}", f"--outdir={tmp_path}", *options]
    assert run_generator.main(run_generator.parse_args(arguments)) == 0
    (name,) = os.listdir(tmp_path)
    return np.asarray(PIL.Image.open(tmp_path / name))


# Pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, values, options",
    [
        ("stylegan2-config-f.pkl", {}, []),
        ("stylegan2-config-f.pkl", {"psi": 0.8, "noise_mode": "const"}, ["--truncation-psi=0.8", "--noise-mode=const"]),
        (CONDITIONAL, {"class_index": 1, "cutoff": 4}, ["--class=1", "--truncation-cutoff=4"]),
        ("stylegan1.pkl", {"noise_mode": "none"}, ["--noise-mode=none"]),
        ("progan.pkl", {}, []),
    ],
)
def test_a_seed_is_the_picture_of_the_command_line(tmp_path, name, values, options):
    network = str(PICKLES / name)
    opened = command.open_explorer(network)
    picture = opened.picture(opened.settings(66, **values))
    expected = generated(tmp_path, network, "--seeds=66", *options)
    assert np.array_equal(picture.squeeze(), expected)
    assert opened.name == name[:-4]
    assert np.array_equal(read_png(session.png(picture)), expected)


def test_latents_that_are_downloaded_make_the_picture_again(tmp_path):
    network = str(PICKLES / "stylegan2-config-f.pkl")
    opened = command.open_explorer(network)
    settings = opened.settings(3, 0.7, noise_mode="const", mix=True, mix_seed=5, strengths=[1.5])
    path = tmp_path / "latents.npz"
    path.write_bytes(session.latents_file(opened, settings))
    (tmp_path / "out").mkdir()
    picture = generated(tmp_path / "out", network, f"--dlatents={path}", "--noise-mode=const")
    assert np.array_equal(picture, opened.picture(settings))


def test_mixing_takes_the_chosen_styles_of_the_second_seed(explorer):
    painter = Painter(explorer.Gs, 0.6)
    one, two = (painter.truncated(painter.dlatents(seed_inputs(explorer.Gs, seed)[0]))[0] for seed in (1, 2))
    for choice, taken in [
        ({"mix_range": "coarse"}, [0, 1, 2, 3]),
        ({"mix_range": "middle"}, [4, 5, 6, 7]),
        ({"mix_range": OWN_RANGE, "mix_first": 2, "mix_last": 2}, [2]),
    ]:
        w = explorer.dlatents(explorer.settings(1, 0.6, mix=True, mix_seed=2, **choice))[0]
        for layer in range(explorer.num_layers):
            assert np.allclose(w[layer], two[layer] if layer in taken else one[layer], atol=1e-6), (choice, layer)
    unmixed = explorer.settings(1, 0.6, mix=False, mix_seed="nonsense")
    assert unmixed == explorer.settings(1, 0.6)
    mixed = explorer.settings(1, 0.6, mix=True, mix_seed=2)
    assert explorer.second(mixed) == explorer.settings(2, 0.6)


def test_directions_add_up_and_stay_in_their_styles(explorer):
    assert {name: (s[0], s[-1]) for name, s in explorer.groups.items()} == {
        "all": (0, 7),
        "coarse": (0, 3),
        "middle": (4, 7),
    }
    count = explorer.sliders
    plain = explorer.dlatents(explorer.settings(1))
    assert explorer.settings(1, strengths=[0] * count * 3) == explorer.settings(1), "0 is no change"

    def moved(**strengths):
        values = [strengths.get(f"{group}{number}", 0) for group in explorer.groups for number in range(count)]
        return explorer.dlatents(explorer.settings(1, strengths=values)) - plain

    coarse, middle = moved(coarse1=2.0), moved(middle0=-1)
    assert np.abs(coarse[0, :4]).max() > 0.01
    assert not coarse[0, 4:].any()
    assert not middle[0, :4].any()
    assert np.allclose(moved(coarse1=2.0, middle0=-1), coarse + middle, atol=1e-5)
    assert np.array_equal(explorer.picture(explorer.settings(1, strengths=[0.0])), explorer.picture(Settings(1, 0.5)))
    assert (explorer.picture(explorer.settings(1, strengths=[3])) != explorer.picture(explorer.settings(1))).any()


def test_directions_are_measured_in_the_class_of_the_picture():
    look = command.open_explorer(str(PICKLES / CONDITIONAL))
    found = [look.directions("all", index).deviations for index in (None, 0, 1)]
    assert not np.allclose(found[1], found[2])
    known = directions.find(look.painter.variant(class_index=1), look.groups["all"], look.sliders)
    assert np.array_equal(found[2], known.deviations), "as edit --class=1"
    plain, moved = (look.dlatents(look.settings(3, class_index=1, strengths=strengths)) for strengths in ([0], [2]))
    assert np.array_equal(moved, known.moved(plain, 0, 2))


def test_a_network_without_w(growing):
    assert (growing.groups, growing.sliders, growing.psi) == ({}, 0, None)
    assert growing.settings(4, class_index=2, psi="any") == Settings(4, class_index=2)
    assert growing.picture(growing.settings(4, class_index=2)).shape == (8, 8, 1)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"seed": None}, "A seed must be a whole number from 0 to 4294967295, got nothing"),
        ({"seed": -1}, "A seed must be .* got -1"),
        ({"seed": 1.5}, "A seed must be .* got 1.5"),
        ({"seed": 2**32}, "A seed must be .* got 4294967296"),
        ({"seed": float("nan")}, "A seed must be .* got nan"),
        ({"seed": "many"}, "A seed must be .* got many"),
        ({"seed": True}, "A seed must be .* got True"),
        ({"psi": float("nan")}, "Truncation psi must be a number from -10 to 10, got nan"),
        ({"psi": "x"}, "Truncation psi must be a number"),
        ({"cutoff": 9}, "The truncation cutoff must be a whole number from 0 to 8, got 9"),
        ({"noise_mode": "loud"}, "The noise must be one of seed, const, random, none, got loud"),
        ({"class_index": 0}, "This network has no classes"),
        ({"mix": True, "mix_seed": None}, "The second seed must be a whole number"),
        ({"mix": True, "mix_seed": 1, "mix_range": "fine"}, "this network has no fine styles"),
        (
            {"mix": True, "mix_seed": 1, "mix_range": OWN_RANGE, "mix_first": 0, "mix_last": 8},
            "The last style .* 0 to 7",
        ),
        ({"mix": True, "mix_seed": 1, "mix_range": OWN_RANGE, "mix_first": 3, "mix_last": 2}, "upwards, got 3 to 2"),
        ({"strengths": ["x"]}, "A direction must be a number"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(explorer, values, words):
    with pytest.raises(UserError, match=words) as caught:
        explorer.settings(**{"seed": 0, **values})
    assert "\n" not in str(caught.value)


def test_a_class_that_is_not_there(growing):
    with pytest.raises(UserError, match="The class must be a whole number from 0 to 2, got 3"):
        growing.settings(0, class_index=3)
    assert growing.settings(0, class_index="").class_index is None


def test_seeds_to_add():
    assert seeds_of("5, 3,7-9,3", 9) == [5, 3, 7, 8, 9, 3]
    with pytest.raises(UserError, match=r"^Seeds: 'x' is neither a number nor a range"):
        seeds_of("3,x", 9)
    with pytest.raises(UserError, match=r"^Seeds: '' is neither"):
        seeds_of(None, 9)
    with pytest.raises(UserError, match="10 seeds; there is room for 9"):
        seeds_of("0-9", 9)


def test_names_and_words():
    settings = Settings(7, mix_seed=12, mix_styles=(0,), moves=(("all", 0, 1.0),))
    assert (Settings(7).name, settings.name) == ("seed0007", "seed0007-mix0012-edited")
    assert settings.words == "seed 7, mixed with seed 12, edited"


def test_small_pictures_are_enlarged_in_squares():
    assert [session.enlargement(*size) for size in ((32, 32), (256, 128), (512, 512), (1024, 4))] == [16, 2, 1, 1]
    frame = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = session.enlarged(frame, 3)
    assert large.shape == (6, 6, 3)
    assert np.array_equal(large[1::3, 1::3], frame)
    assert session.enlarged(frame, 1) is frame
    assert read_png(session.thumbnail(np.full([300, 200, 1], 7, np.uint8))).shape == (100, 66)
    with pytest.raises(UserError, match="2 channels cannot be shown"):
        session.png(np.zeros([4, 4, 2], np.uint8))


# Films ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise_mode", ["seed", "const"])
def test_a_walk_passes_through_its_pictures(explorer, noise_mode):
    values = [{"seed": 1, "psi": 0.3}, {"seed": 2, "mix": True, "mix_seed": 3}, {"seed": 4, "strengths": [0, 2]}]
    kept = [explorer.settings(noise_mode=noise_mode, **one) for one in values]
    film = explorer.walk(kept, 0.5, 8, "smooth", True, noise_mode)
    frames = np.stack([*explorer.frames(film, threading.Event())]).astype(int)
    assert len(frames) == film.frames == 12
    for index, settings in enumerate(kept):
        assert np.abs(frames[4 * index] - explorer.picture(settings)).max() <= 1
    open_ended = explorer.walk(kept, 0.5, 8, "linear", False, noise_mode)
    assert open_ended.frames == 9


def test_a_walk_of_a_network_without_w(growing):
    kept = [growing.settings(seed, class_index=1) for seed in (1, 2)]
    film = growing.walk(kept, 1, 4)
    frames = [*growing.frames(film, threading.Event())]
    assert len(frames) == 8
    assert np.abs(frames[4].astype(int) - growing.picture(kept[1])).max() <= 1
    with pytest.raises(UserError, match="keep pictures of one class"):
        growing.walk([*kept, growing.settings(3, class_index=0)], 1, 4)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"kept": []}, "A walk needs two different pictures or more"),
        ({"kept": [Settings(1, 0.5), Settings(1, 0.5)]}, "A walk needs two different pictures or more"),
        ({"seconds": 0}, "The seconds must be a number from 0.05 to 60, got 0"),
        ({"fps": 0.5}, "The frames per second must be a whole number from 1 to 120, got 0.5"),
        ({"seconds": 0.05, "fps": 1}, "^0.05 seconds are less than one frame; take more, or more frames per second$"),
        ({"kept": [Settings(7, 0.5), Settings(7, 0.5, noise_mode="const")]}, "A walk needs two different pictures"),
        ({"kept": [Settings(7, 0), Settings(8, 0), Settings(9, 0)], "loop": False}, "A walk needs two different"),
        ({"ease": "jerky"}, "The pace must be one of"),
        ({"noise_mode": "loud"}, "The noise must be one of"),
    ],
)
def test_walks_that_cannot_be(explorer, change, words):
    with pytest.raises(UserError, match=words):
        explorer.walk(**{"kept": [Settings(1, 0.5), Settings(2, 0.5)], "seconds": 1, "fps": 10, **change})


def test_a_film_is_a_file_of_its_session(explorer, own):
    film = explorer.walk([Settings(1, 1), Settings(2, 1)], 0.5, 12)
    assert [*own.make_film(explorer, film, 12, own.stop, times=4)] == list(range(1, 13))
    number, path = own.film
    frames, about = read_film(path)
    assert frames.shape == (12, 128, 128, 3)
    assert (about["codec"], about["fps"]) == ("h264", 12)
    assert_loops(frames)
    assert [*own.make_film(explorer, film, 12, own.stop)][-1] == 12
    assert own.film[0] != number
    assert os.listdir(own.folder) == [os.path.basename(own.film[1])], "one film at a time"
    own.close()
    assert not os.path.exists(own.folder)


def test_a_film_that_is_stopped_leaves_nothing(explorer, own, monkeypatch):
    film = explorer.walk([Settings(1, 1), Settings(2, 1)], 10, 60)
    made = own.make_film(explorer, film, 60, own.stop)
    next(made)
    own.end_work()
    with monkeypatch.context() as patch, pytest.raises(drawing.Stopped):
        patch.setattr(Painter, "draw", None)  # nor is another frame drawn
        next(made)
    assert os.listdir(own.folder) == []
    assert own.film is None
    made = own.make_film(explorer, film, 60, own.stop)
    next(made)
    own.close()  # the browser has gone
    with pytest.raises(drawing.Stopped):
        next(made)
    with pytest.raises(drawing.Stopped):
        next(own.make_film(explorer, film, 60, own.stop))
    assert not os.path.exists(own.folder)


def test_stop_ends_what_has_begun_and_only_that(explorer, own):
    begun = own.stop  # as a film whose way is still looked for
    own.end_work()
    film = explorer.walk([Settings(1, 1), Settings(2, 1)], 0.5, 12)
    with pytest.raises(drawing.Stopped):
        next(own.make_film(explorer, film, 12, begun))
    assert explorer.films.acquire(blocking=False), "no place is lost"
    explorer.films.release()
    assert [*own.make_film(explorer, film, 12, own.stop)][-1] == 12
    film, seeds = own.make_film(explorer, film, 12, own.stop), own.add(explorer, [Settings(1), Settings(2)], own.stop)
    for work in (film, seeds):
        next(work)
    own.end_work()
    for work in (film, seeds):
        with pytest.raises(drawing.Stopped):
            next(work)
    own.close()
    own.end_work()
    assert own.stop.is_set(), "of a session that is closed for good"


def test_a_film_waits_for_those_of_others_and_may_be_stopped_there(explorer, own):
    film = explorer.walk([Settings(1, 1), Settings(2, 1)], 0.5, 12)
    with contextlib.ExitStack() as others:
        for _ in range(4):
            others.enter_context(explorer.films)
        made = own.make_film(explorer, film, 12, own.stop)
        assert [next(made), next(made)] == [0, 0]
        own.end_work()
        with pytest.raises(drawing.Stopped):
            next(made)
        made = own.make_film(explorer, film, 12, own.stop)
        assert next(made) == 0
    assert [*made] == list(range(1, 13))
    assert all(explorer.films.acquire(blocking=False) for _ in range(4)), "no place is lost"
    explorer.films.release(4)


def test_who_looks_goes_before_who_films():
    turns, order, threads = drawing.Turns(), [], []

    def wait(name, urgent):
        with turns.take(urgent):
            order.append(name)

    with turns.take(urgent=False):
        for name, urgent in [("film 1", False), ("film 2", False), ("picture 1", True), ("picture 2", True)]:
            threads.append(threading.Thread(target=wait, args=[name, urgent]))
            threads[-1].start()
            while len(turns._waiting) < len(threads):
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order == ["picture 1", "picture 2", "film 1", "film 2"]


# Sessions ------------------------------------------------------------------------------------------------------------


def test_a_session_remembers_its_last_pictures(explorer, own):
    number, shown = own.show(explorer, Settings(1, 1))
    assert np.array_equal(read_png(shown.data), explorer.picture(Settings(1, 1)))
    assert own.show(explorer, Settings(1, 1)) == (number, shown), "not drawn again"
    noisy = Settings(1, 1, noise_mode="random")
    assert own.show(explorer, noisy)[0] != own.show(explorer, noisy)[0]
    others = [own.show(explorer, Settings(seed, 1))[0] for seed in range(2, 10)]
    assert own.shown(number) is None, "only the last ones"
    assert own.shown(others[-1]).settings == Settings(9, 1)


def test_a_small_picture_is_that_of_the_page(explorer, own):
    for mode in ("seed", "random"):
        settings = Settings(1, 1, noise_mode=mode)
        for _ in range(2):
            _, shown = own.show(explorer, settings)
        expected = session.thumbnail(read_png(shown.data))
        assert own.small(settings, None) == expected == own.small(settings, None), "not drawn again"


def test_small_pictures_do_not_meet(explorer, own):
    """Of two events of one page each gets its own."""

    def draw():
        other = own.small(Settings(2), lambda: np.full([4, 4, 3], 2, np.uint8))
        assert read_png(other).max() == 2
        return np.full([4, 4, 3], 1, np.uint8)

    assert read_png(own.small(Settings(1), draw)).max() == 1
    assert read_png(own.small(Settings(1), None)).max() == 1


def test_pictures_to_add_let_others_go_first(explorer, own, monkeypatch):
    urgencies, take = [], explorer._turns.take
    monkeypatch.setattr(explorer._turns, "take", lambda urgent: urgencies.append(urgent) or take(urgent))
    wanted = [Settings(seed, 1) for seed in (1, 2)]
    added = [*own.add(explorer, wanted, own.stop)]
    assert [settings for settings, _ in added] == wanted
    assert added[1][1] == session.thumbnail(explorer.picture(wanted[1]))
    assert urgencies == [False, False, True]


def test_sessions_do_not_meet(explorer, tmp_path):
    sessions = session.Sessions(str(tmp_path))
    one, two = sessions.of("one"), sessions.of("two")
    assert sessions.of("one") is one
    assert one.token != two.token
    number, _ = one.show(explorer, Settings(1, 1))
    assert two.shown(number) is None
    assert sessions.with_token(two.token) is two
    assert sessions.with_token("é guess") is None
    sessions.end("one")
    sessions.end("one")
    assert one.stop.is_set()
    assert not two.stop.is_set()
    assert os.listdir(tmp_path) == [two.token]
    assert sessions.with_token(one.token) is None
    assert sessions.of("one") is not one, "who comes back begins anew"
    sessions.end_all()
    assert os.listdir(tmp_path) == []


def test_browsers_that_vanished_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_MOST_SESSIONS", 3)
    sessions = session.Sessions(str(tmp_path))
    first = [sessions.of(key) for key in "abc"]
    assert sessions.of("a") is first[0]
    sessions.of("d")
    assert [one.stop.is_set() for one in first] == [False, True, False], "the one that was away longest"
    assert len(sessions) == len(os.listdir(tmp_path)) == 3


# HTML ----------------------------------------------------------------------------------------------------------------


def test_no_name_becomes_markup():
    name = "<b onclick='x'>${evil}{{evil}}\"&"
    texts = [
        markup.header(name, name),
        markup.problem(name),
        markup.facts(name),
        markup.picture(b"", name, 4, 4, 2),
        markup.downloads("token", 1, name, True),
        markup.kept_list([(name, b"")]),
        markup.film("token", 1, name, name, 1),
    ]
    for text in texts:
        assert "evil" in text
        assert not re.search(r"<b |\$|\{|'", text), text


def test_the_list_has_a_button_for_everything():
    text = markup.kept_list([("seed 1", b"x"), ("seed 2", b"y")])
    assert re.findall(r'data-act="(\w+)" data-index="(\d)"', text) == [
        (act, index) for index in "01" for act in ("show", "left", "remove", "right")
    ]
    assert text.count(" disabled") == 2, "the first cannot go to the front, the last not to the back"
    assert 'aria-label="Remove 2 of 2, seed 2"' in text


def test_style_names_of_small_networks():
    spans = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}
    assert markup.range_names(6, spans)[:2] == [("Coarse (0–3)", "coarse"), ("Middle (4–5)", "middle")]
    assert [value for _, value in markup.range_names(18, spans)] == ["coarse", "middle", "fine", OWN_RANGE]


def test_all_of_this_goes_without_gradio():
    assert "gradio" not in sys.modules
