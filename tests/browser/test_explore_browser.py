"""The page in a real browser, as a person uses it."""

import asyncio
import concurrent.futures
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import PIL.Image
import pytest
from browser_helpers import NETWORK, PATIENCE, Visit, read_png, wait_for
from film_helpers import assert_loops, read_film

from tf_stylegan import run_generator


def generated(folder, *options):
    """The picture of `run_generator generate-images`."""
    arguments = ["run_generator", "generate-images", f"--network={NETWORK}", f"--outdir={folder}", *options]
    assert run_generator.main(run_generator.parse_args(arguments)) == 0
    (name,) = os.listdir(folder)
    return np.asarray(PIL.Image.open(folder / name))


def test_the_picture_is_that_of_the_command_line(visit, tmp_path):
    one = visit()
    assert one.page.title() == "stylegan2-config-e-Gresnet-Dskip-cond · explore"
    one.fill("Seed", "66")
    wait_for(lambda: one.note().startswith("Seed 66 ·"), "the seed")
    assert re.search(r"· \d+ ms$|· [\d.]+ s$", one.note()), "how long it took"
    name, data = one.download("Download the picture as PNG")
    assert name == "seed0066.png"
    expected = generated(tmp_path, "--seeds=66", "--class=0")
    assert np.array_equal(read_png(data), expected)
    assert np.array_equal(one.picture(), expected)


def test_sliders_and_buttons_change_the_picture(visit, served):
    one, look = visit(), served.explorer
    first = one.picture()
    box = one.page.locator("#psi input[type=range]").bounding_box()
    one.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    one.page.mouse.down()
    for step in range(10):
        one.page.mouse.move(box["x"] + box["width"] * (0.6 + 0.03 * step), box["y"] + box["height"] / 2)
    one.changed(first)
    one.page.mouse.up()
    psi = float(one.page.get_by_role("spinbutton", name="number input for Truncation psi").input_value())
    assert psi > 0.8
    one.becomes(look.picture(look.settings(0, psi, class_index=0)))
    one.press("Next seed")
    one.becomes(look.picture(look.settings(1, psi, class_index=0)))
    one.press("Previous seed")
    one.press("Previous seed")
    one.becomes(look.picture(look.settings(0, psi, class_index=0)))
    before = one.picture()
    one.press("Random")
    one.changed(before)
    one.fill("Seed", "3")
    one.page.locator("#class input").fill("1")
    one.becomes(look.picture(look.settings(3, psi, class_index=1)))
    one.page.locator("#class input").fill("")
    one.tab("More")
    one.page.get_by_label("As stored").check()
    one.slide("Truncation cutoff", "ArrowLeft", 3)
    one.becomes(look.picture(look.settings(3, psi, look.num_layers - 3, "const")))


def test_style_mixing(visit, served):
    one, look = visit(), served.explorer
    one.tab("Mixing")
    one.page.get_by_label("Mix in styles of a second seed").check()
    one.fill("Second seed", "5")
    mixed = look.settings(0, class_index=0, mix=True, mix_seed=5, mix_range="coarse")
    one.becomes(look.picture(mixed))
    assert np.array_equal(one.picture("#second img"), look.picture(look.second(mixed)).squeeze())
    one.page.get_by_label("Middle (4–7)").check()
    one.becomes(look.picture(look.settings(0, class_index=0, mix=True, mix_seed=5, mix_range="middle")))
    one.page.get_by_label("From–to").check()
    one.fill("From style", "1")
    one.fill("To style", "2")
    own = look.settings(0, class_index=0, mix=True, mix_seed=5, mix_range="from–to", mix_first=1, mix_last=2)
    one.becomes(look.picture(own))
    name, data = one.download("Download its latents w as .npz")
    assert name == "seed0000-mix0005.npz"
    with np.load(io.BytesIO(data)) as latents:
        assert np.array_equal(latents["dlatents"], look.dlatents(own))
    one.page.get_by_label("Mix in styles of a second seed").uncheck()
    one.becomes(look.picture(look.settings(0, class_index=0)))


def test_directions(visit, served):
    one, look = visit(), served.explorer
    plain = one.picture()
    one.slide("All 0", "ArrowRight", 20)
    one.tab("Coarse")
    one.slide("Coarse 1", "ArrowLeft", 10)
    strengths = [2.0, *[0] * (look.sliders - 1), 0, -1.0]
    expected = look.picture(look.settings(0, class_index=0, strengths=strengths))
    assert (expected.squeeze() != plain).any()
    one.becomes(expected)
    assert one.note().startswith("Seed 0, edited ·")
    one.press("Back to 0")
    one.becomes(plain)


def test_a_film_of_kept_pictures(visit, served, tmp_path):
    one, look = visit(), served.explorer
    one.tab("Film")
    one.press("Make the film")
    wait_for(lambda: "two different pictures" in one.page.locator("#film").inner_text(), "the hint")
    one.press("Keep for film")
    wait_for(lambda: one.page.locator(".kept li").count() == 1, "the kept picture")
    one.keep([3, 4, 8])
    one.press("Remove 3 of 4, seed 4")
    wait_for(lambda: one.page.locator(".kept li").count() == 2 + 1, "the list to shrink")
    one.press("Move 3 of 3, seed 8 to the front")
    one.page.get_by_role("button", name="Show 2 of 3, seed 8").click()
    one.becomes(look.picture(look.settings(8, class_index=0)))
    one.page.get_by_role("spinbutton", name="number input for Seconds from one to the next").fill("0.5")
    one.page.get_by_label("24", exact=True).check()
    one.press("Make the film")
    one.page.wait_for_selector("#film video")
    wait_for(lambda: one.page.evaluate("document.querySelector('#film video').currentTime > 0.2"), "the film to play")
    name, data = one.download("Download the film as MP4")
    assert name == "walk-0-8-3.mp4"
    (tmp_path / name).write_bytes(data)
    frames, about = read_film(tmp_path / name)
    assert frames.shape == (36, 512, 512, 3)
    assert (about["codec"], about["fps"]) == ("h264", 24)
    assert_loops(frames)
    for index, seed in enumerate((0, 8, 3)):
        picture = look.picture(look.settings(seed, class_index=0)).astype(float)
        assert np.abs(frames[12 * index, 8::16, 8::16] - picture).mean() < 8, "the film passes through the pictures"


def test_a_kept_picture_comes_back_with_all_its_settings(visit, served):
    one, look = visit(), served.explorer
    one.page.locator("#class input").fill("1")
    one.slide("All 1", "ArrowRight", 15)
    one.tab("Mixing")
    one.page.get_by_label("Mix in styles of a second seed").check()
    one.fill("Second seed", "5")
    strengths = [0, 1.5]
    picture = look.picture(look.settings(0, class_index=1, mix=True, mix_seed=5, strengths=strengths))
    one.becomes(picture)
    one.press("Keep for film")
    one.tab("Film")
    wait_for(lambda: one.page.locator(".kept li").count() == 1, "the kept picture")
    one.tab("Directions")
    one.press("Back to 0")
    one.tab("Mixing")
    one.page.get_by_label("Mix in styles of a second seed").uncheck()
    one.fill("Seed", "9")
    one.becomes(look.picture(look.settings(9, class_index=1)))
    one.tab("Film")
    one.press("Show 1 of 1, seed 0, mixed with seed 5, edited")
    one.becomes(picture)


def test_two_browsers_do_not_meet(visit, served):
    one, two = visit(), visit(color_scheme="dark")
    look = served.explorer
    assert len(served.sessions) == 2
    one.fill("Seed", "7")
    two.fill("Seed", "9")
    two.slide("Truncation psi", "End")
    one.becomes(look.picture(look.settings(7, class_index=0)))
    two.becomes(look.picture(look.settings(9, 1.5, class_index=0)))
    one.tab("Film")
    two.tab("Film")
    one.keep([1, 2])
    assert two.page.locator(".kept li").count() == 0
    two.keep([5])
    assert one.page.locator(".kept li").count() == 2
    link = one.page.get_by_label("Download the picture as PNG").get_attribute("href")
    one.close()
    wait_for(lambda: len(served.sessions) == 1, "the session to end")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(served.address + link)
    two.becomes(look.picture(look.settings(9, 1.5, class_index=0)))


def test_who_leaves_while_a_film_is_made_stops_it(visit, served):
    one, two = visit(), visit()
    before = len(served.frames)
    for each, seeds, seconds in ((one, range(20), "10"), (two, [1, 2], "2")):
        each.tab("Film")
        each.keep(list(seeds))
        each.page.get_by_label("60", exact=True).check()
        each.page.get_by_role("spinbutton", name="number input for Seconds from one to the next").fill(seconds)
        each.press("Make the film")
        each.page.wait_for_selector("#film progress")
    wait_for(lambda: len(served.frames) > before + 20, "frames")
    one.close()
    wait_for(lambda: len(served.sessions) == 1, "the session to end")
    two.page.wait_for_selector("#film video")  # which goes on
    frames = len(served.frames)
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "film"], "the encoder to end", 10)
    time.sleep(1)
    assert len(served.frames) == frames
    assert frames - before < 20 * 600, "the film was stopped long before its end"
    assert len(os.listdir(served.folder)) == 1


def test_stop(visit, served):
    one = visit()
    one.tab("Film")
    one.keep([1, 2, 3])
    one.slide("Seconds from one to the next", "End")
    one.press("Make the film")
    one.page.wait_for_selector("#film progress")
    one.press("Stop")
    wait_for(lambda: one.page.locator("#film").inner_text() == "Stopped.", "the words")
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "film"], "the encoder to end", 10)
    frames = len(served.frames)
    time.sleep(0.5)
    assert len(served.frames) == frames
    one.slide("Seconds from one to the next", "Home")
    one.press("Make the film")
    one.page.wait_for_selector("#film video")  # Stop is not for the next one …
    one.press("Stop")
    time.sleep(0.5)
    assert one.page.locator("#film video").count() == 1  # … nor for one that is made


def test_stop_before_the_first_frame(visit, served, monkeypatch):
    one, walk, begun, go = visit(), served.explorer.walk, threading.Event(), threading.Event()

    def slow(*args):
        begun.set()
        assert go.wait(PATIENCE)
        return walk(*args)

    monkeypatch.setattr(served.explorer, "walk", slow)
    one.tab("Film")
    one.keep([1, 2])
    one.press("Make the film")
    assert begun.wait(PATIENCE)
    session = served.sessions.with_token(os.listdir(served.folder)[0])
    stop = session.stop
    one.press("Stop")
    wait_for(stop.is_set, "the button")
    go.set()
    wait_for(lambda: one.page.locator("#film").inner_text() == "Stopped.", "the words")


def test_seeds_that_are_added_can_be_stopped_and_nothing_kept_meanwhile_is_lost(visit, served, monkeypatch):
    one, picture = visit(), served.explorer.picture

    def slow(settings, urgent=True):
        time.sleep(0 if urgent else 0.3)
        return picture(settings, urgent)

    monkeypatch.setattr(served.explorer, "picture", slow)
    one.tab("Film")
    one.fill("Seeds to add", "10-40")
    one.press("Add")
    wait_for(lambda: "2 of 31 pictures" in one.page.locator("#film").inner_text(), "how far it is")
    one.press("Keep for film")
    wait_for(lambda: one.page.locator(".kept li").count() == 1, "the kept picture")
    one.press("Stop")
    wait_for(lambda: one.page.locator("#film").inner_text() == "Stopped.", "the words")
    wait_for(lambda: 3 <= one.page.locator(".kept li").count() < 20, "what was drawn")
    names = [each.get_attribute("title") for each in one.page.locator(".kept .show").all()[:3]]
    assert [name.rpartition(", ")[2] for name in names] == ["seed 0", "seed 10", "seed 11"]


def test_who_waits_for_other_films_sees_it_and_may_leave_the_line(visit, served):
    others, last = [visit() for _ in range(4)], visit()
    for each in (*others, last):
        each.tab("Film")
        each.keep(list(range(20)))
        each.page.get_by_label("60", exact=True).check()
        each.slide("Seconds from one to the next", "End")
        each.press("Make the film")
        if each is not last:
            each.page.wait_for_selector("#film progress")
    words = last.page.locator("#film .subdued")
    wait_for(lambda: words.inner_text() == "Waiting for the films of others.", "the words")
    last.press("Stop")
    wait_for(lambda: words.inner_text() == "Stopped.", "the words")
    for each in others:
        each.press("Stop")
        wait_for(lambda each=each: each.page.locator("#film .subdued").inner_text() == "Stopped.", "the words")
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "film"], "the encoders to end", 10)
    frames = len(served.frames)
    time.sleep(1)
    assert words.inner_text() == "Stopped."
    assert len(served.frames) == frames, "nor is the film of who left made in the end"
    last.slide("Seconds from one to the next", "Home")
    last.press("Make the film")
    last.page.wait_for_selector("#film video")


def test_mistakes_are_one_line_on_the_page(visit, capfd):
    one = visit()
    picture = one.picture()
    psi = one.page.get_by_role("spinbutton", name="number input for Truncation psi")
    for text in ("30", "-30", ""):  # past both ends of the slider
        psi.fill(text)
        time.sleep(0.3)
    psi.fill("0.5")
    for fill, words in [
        (lambda: one.fill("Seed", "-3"), "A seed must be a whole number from 0 to 4294967295, got -3"),
        (lambda: one.fill("Seed", ""), "A seed must be a whole number from 0 to 4294967295, got nothing"),
        (lambda: (one.fill("Seed", "0"), one.page.locator("#class input").fill("99")), "The class must be"),
    ]:
        fill()
        wait_for(lambda words=words: one.note().startswith(words), words)
        assert one.page.get_by_role("alert").count() == 1
    assert np.array_equal(one.picture(), picture), "the last picture stays"
    one.page.locator("#class input").fill("0")
    wait_for(lambda: one.note().startswith("Seed 0 ·"), "the note of a picture")
    assert "error" not in one.page.locator("body").inner_text().lower()
    one.tab("Film")
    one.fill("Seeds to add", "3,x")
    one.press("Add")
    words = "Seeds: 'x' is neither a number nor a range such as 66-70"
    wait_for(lambda: one.page.locator("#film").inner_text() == words, "the words")
    assert capfd.readouterr().err == ""


def test_what_is_no_mistake_of_the_user_is_one_line_too(visit, served, monkeypatch, capfd):
    one = visit()

    def fail(settings):
        raise MemoryError("inside")

    monkeypatch.setattr(served.explorer, "picture", fail)
    one.press("Next seed")
    words = "This did not work (MemoryError); the terminal says more"
    wait_for(lambda: one.note() == words, "the words")
    assert "Traceback" in capfd.readouterr().err


def test_what_was_overtaken_is_not_drawn(visit, served, monkeypatch):
    one, look, drawn = visit(), served.explorer, []
    picture = look.picture

    def slow(settings):
        drawn.append(settings)
        time.sleep(0.4)
        return picture(settings)

    monkeypatch.setattr(look, "picture", slow)
    one.slide("Truncation psi", "ArrowRight", 40)
    psi = float(one.page.get_by_role("spinbutton", name="number input for Truncation psi").input_value())
    one.becomes(picture(look.settings(0, psi, class_index=0)))
    assert 2 <= len(drawn) <= 20
    assert drawn[-1].psi == psi
    assert len({settings.psi for settings in drawn}) == len(drawn), "none is drawn twice"


def test_small_pictures_are_shown_in_squares(visit):
    one = visit()
    shot = read_png(one.page.locator("#view img").screenshot(scale="css"))[..., :3].astype(int)
    picture = one.picture().astype(int)
    times = shot.shape[0] // picture.shape[0]
    assert shot.shape[:2] == (times * picture.shape[0], times * picture.shape[1])
    assert times >= 10
    assert np.abs(shot - picture.repeat(times, 0).repeat(times, 1))[8:-8, 8:-8].max() <= 2


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_a_narrow_screen(visit, color_scheme):
    one = visit(width=375, height=740, color_scheme=color_scheme)
    for tab in ("Directions", "Mixing", "Film", "More"):
        one.tab(tab)
        assert one.page.evaluate("document.documentElement.scrollWidth") <= 375
        controls = one.page.locator("#bench :is(button, input, a, textarea):visible")
        boxes = [box for box in (each.bounding_box() for each in controls.all()) if box]
        assert len(boxes) > 10
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 375 for box in boxes), tab
    one.tab("Directions")
    one.page.mouse.wheel(0, 400)
    wait_for(lambda: one.page.evaluate("scrollY") > 100, "the page to scroll")
    box = one.page.locator("#view img").bounding_box()
    assert 0 <= box["y"] < 740 / 3, "the picture stays in sight"
    background = one.page.evaluate("getComputedStyle(document.querySelector('#view')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 150) == (color_scheme == "dark")


def test_every_control_has_a_name(visit):
    one = visit()
    one.tab("Film")
    one.keep([1, 2])
    roles = ("button", "link", "slider", "spinbutton", "textbox", "checkbox", "radio", "tab", "image")
    session = one.context.new_cdp_session(one.page)
    seen = set()
    for tab in ("Directions", "Mixing", "Film", "More"):
        one.tab(tab)
        for node in session.send("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if role in roles and not node.get("ignored"):
                assert node.get("name", {}).get("value", "").strip(), node
                seen.add(role)
    assert seen >= set(roles) - {"image"}


def test_keys_reach_everything(visit, served):
    one, look = visit(), served.explorer
    one.page.locator("#seed input").focus()
    one.page.keyboard.press("ArrowUp")
    one.becomes(look.picture(look.settings(1, class_index=0)))
    one.page.keyboard.press("Tab")
    one.page.keyboard.press("Tab")
    one.page.keyboard.press("Enter")  # Next seed
    one.becomes(look.picture(look.settings(2, class_index=0)))


def test_nothing_of_gradio_but_the_controls(visit):
    one = visit()
    assert one.page.locator("footer").count() == 0 or not one.page.locator("footer").is_visible()
    assert "gradio" not in one.page.locator("body").inner_text().lower()


def test_the_browser_refuses_what_would_leave(visit, served):
    one = visit()
    for script in ("fetch('http://192.0.2.1/x')", "new Promise((y, n) => { const i = new Image(); i.onerror = n; "):
        script += "i.onload = y; i.src = 'http://192.0.2.1/x.png' })" if "Promise" in script else ""
        assert one.page.evaluate(f"{script}.then(() => 'left', () => 'refused')") == "refused"
    assert all("Content Security Policy" in text for text in one.complaints)
    assert len(one.complaints) >= 2
    one.complaints.clear()
    one.requests[:] = [url for url in one.requests if "192.0.2.1" not in url]
    for headers in ({"Host": "website.example"}, {"Origin": "http://website.example"}):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(served.address, headers=headers))


def test_other_websites_get_no_answer_on_any_address(served):
    from tf_stylegan.explore.server import Guard

    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def answers(message):
        statuses.append(message.get("status"))

    for origin, status in ((b"http://here.example", 200), (b"http://evil.example", 403)):
        statuses, headers = [], [(b"host", b"here.example"), (b"origin", origin)]
        asked = Guard(page, local=False)({"type": "http", "headers": headers}, None, answers)
        with concurrent.futures.ThreadPoolExecutor() as pool:  # in this thread Playwright has a loop
            pool.submit(asyncio.run, asked).result()
        assert statuses[0] == status


@pytest.mark.parametrize(
    "number, code, words",
    [(signal.SIGINT, 0, "Stopped.\n"), (signal.SIGTERM, 143, ""), (signal.SIGHUP, 129, "")],
)
def test_the_command(browser, tmp_path, number, code, words):
    """From the terminal: it says where, serves, and Ctrl-C ends it though a page is open, leaving nothing."""
    command = [sys.executable, "-m", "tf_stylegan.explore", f"--network={NETWORK}", "--no-browser"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:  # fmt: skip
        try:
            line = process.stdout.readline()
            match = re.fullmatch(r"stylegan2-\S+: open (http://127.0.0.1:\d+/) in a browser. Ctrl-C ends it.\n", line)
            assert match, line + process.stderr.read()
            one = Visit(browser, match[1])
            assert one.picture().shape == (32, 32, 3)
            assert [name for name in os.listdir(tmp_path) if "explore" in name]
            process.send_signal(number)
            assert process.wait(PATIENCE) == code
            assert process.stdout.read() == words
            assert process.stderr.read() == ""
            one.close()
        finally:
            process.kill()
    assert os.listdir(tmp_path) == []
