"""A visit to the page of tf_stylegan.explore with a real browser."""

import io
import time
import urllib.request

import numpy as np
import PIL.Image
from helpers import GOLDEN

NETWORK = str(GOLDEN / "pickles" / "stylegan2-config-e-Gresnet-Dskip-cond.pkl")
PATIENCE = 60  # seconds; machines that run tests are busy


def wait_for(condition, what, seconds=PATIENCE):
    """The first true value of `condition()`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


def read_png(data):
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


class Visit:
    """One browser that has the page open, with a list of what it asked for and what it complained of."""

    def __init__(self, browser, address, width=1280, height=800, **options):
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)
        self.picture()

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def picture(self, selector="#view img"):
        """The pixels of the picture on the page."""
        source = self.page.wait_for_selector(selector).get_attribute("src")
        return read_png(urllib.request.urlopen(source).read())  # a data: address

    def changed(self, before, selector="#view img"):
        """The picture as soon as it is another one."""

        def other():
            now = self.picture(selector)
            return [now] if now.shape != before.shape or (now != before).any() else None

        return wait_for(other, "another picture")[0]

    def becomes(self, expected):
        wait_for(lambda: np.array_equal(self.picture(), expected.squeeze()), "the picture expected")

    def note(self):
        return self.page.locator("#note").inner_text()

    def tab(self, name):
        self.page.get_by_role("tab", name=name, exact=True).click()

    def slide(self, name, key, times=1):
        """Moves a slider by keys."""
        slider = self.page.get_by_role("slider", name=f"range slider for {name}", exact=True)
        slider.focus()
        for _ in range(times):
            slider.press(key)

    def fill(self, label, text):
        self.page.get_by_label(label, exact=True).fill(text)

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def keep(self, seeds):
        """Puts seeds on the list of the film."""
        count = self.page.locator(".kept li").count() + len(seeds)
        self.fill("Seeds to add", ",".join(map(str, seeds)))
        self.press("Add")
        wait_for(lambda: self.page.locator(".kept li").count() == count, "the kept pictures")

    def download(self, label):
        """(name, bytes) of what a link brings."""
        with self.page.expect_download() as caught:
            self.page.get_by_label(label, exact=True).click()
        return caught.value.suggested_filename, caught.value.path().read_bytes()

    def close(self):
        self.context.close()
