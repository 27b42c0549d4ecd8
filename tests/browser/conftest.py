"""A page that is served by this process, and a real Chromium to look at it."""

import collections
import os
import shutil
import sys
import threading

import pytest
from browser_helpers import NETWORK, PATIENCE, Visit, wait_for

_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)

Served = collections.namedtuple("Served", "address explorer sessions folder frames")  # frames: one for each of a film

_left = []  # what this process asked of other machines


def _watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
    elif event == "socket.getaddrinfo":
        host = str(arguments[0])
    else:
        return
    if host not in ("127.0.0.1", "::1", "localhost", "None"):
        _left.append(f"{event} {host}")


sys.addaudithook(_watch)  # before Gradio is imported


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    pytest.importorskip("gradio")
    from tf_stylegan.explore import address, server
    from tf_stylegan.explore.__main__ import open_explorer
    from tf_stylegan.explore.page import Page
    from tf_stylegan.explore.session import Sessions

    folder = tmp_path_factory.mktemp("sessions")
    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("gradio"))
    explorer, sessions = open_explorer(NETWORK), Sessions(str(folder))
    drawn, frames = explorer.frames, []

    def counted(film, stop):
        for frame in drawn(film, stop):
            frames.append(None)
            yield frame

    explorer.frames = counted
    listening = address.listen(port=0)
    serving = server.Server(server.make_app(Page(explorer, sessions)), listening)
    thread = threading.Thread(target=serving.run)
    thread.start()
    yield Served(address.address_of(listening, "127.0.0.1"), explorer, sessions, folder, frames)
    serving.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert _left == [], "the server asked other machines"


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not path:
        pytest.skip("no Chromium; name one in CHROMIUM")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=_FLAGS.split())
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, served):
    """Makes Visits; when the test ends, none of them may have asked for anything elsewhere, or complained."""
    visits = []

    def make(**options):
        visits.append(Visit(browser, served.address, **options))
        return visits[-1]

    yield make
    for one in visits:
        one.close()
    wait_for(lambda: not len(served.sessions) and not os.listdir(served.folder), "the sessions to end")
    for one in visits:
        elsewhere = [url for url in one.requests if not url.startswith((served.address, "data:", "blob:"))]
        assert elsewhere == []
        assert one.complaints == []
