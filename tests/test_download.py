"""From names to files: addresses against a server on this machine, names against the table of published networks."""

import hashlib
import http.server
import io
import json
import os
import pathlib
import socket
import threading
import time
import types
import urllib.parse
import urllib.request

import pytest
from download_server import DATA, Handler

from tf_stylegan import download
from tf_stylegan.download import local_path
from tf_stylegan.errors import UserError
from tf_stylegan.published import PUBLISHED


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.released = [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache folder, empty; no proxy stands between us and ourselves."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_STYLEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def assert_refused(address, *words):
    """`local_path` raises one line that holds all the words; returns it."""
    with pytest.raises(UserError) as caught:
        local_path(address)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message
    return message


def damage(path):
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)


# ---- paths and names


@pytest.mark.parametrize("path", ["network.pkl", "runs/nowhere.pkl", pathlib.Path("a/b.pkl"), "network", "C:\\x.pkl"])
def test_paths_are_left_alone(path, cache):
    assert local_path(path) is path
    assert not cache.exists()


def test_a_file_goes_before_a_published_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ffhq").write_bytes(DATA)
    assert local_path("ffhq") == "ffhq"


def test_file_addresses(tmp_path):
    path = tmp_path / "my network.pkl"
    path.write_bytes(DATA)
    assert local_path(path.as_uri()) == str(path)
    assert local_path(f"file://localhost{path.as_uri().removeprefix('file://')}") == str(path)
    assert local_path("file:///nowhere/x.pkl") == "/nowhere/x.pkl"
    digest = hashlib.sha256(DATA).hexdigest()
    assert local_path(f"{path.as_uri()}#sha256={digest.upper()}") == str(path)
    assert_refused(f"{path.as_uri()}#sha256={'0' * 64}", str(path), digest)
    assert_refused("file://server/x.pkl", "another machine (server)", "three slashes")


@pytest.mark.parametrize(
    "name, words",
    [
        ("ffqh", ["ffqh is neither a file nor a published network", "ffhq"]),
        ("stylegan2-ffhq-config-g", ["did you mean", "stylegan2-ffhq-config-f"]),
        ("gdrive:networks/stylegan2-ffhq-config-z.pkl", ["gdrive:networks/stylegan2-ffhq-config-f.pkl"]),
        ("gdrive:something", ["unknown", "NVlabs/stylegan2"]),
        ("ftp://example.org/x.pkl", ["https://"]),
        ("s3://bucket/x.pkl", ["https://"]),
        ("https://", ["https://server/file"]),
        ("https://user:secret@example.org/x.pkl", ["without user or password"]),
        ("http://[::1/x.pkl", ["is no address"]),
        ("https://drive.google.com/drive/folders/1MASQyN5m0voPcx7", ["no link to a single file"]),
        ("https://example.org/x.pkl#sha256=123", ["64 hexadecimal digits"]),
    ],
)
def test_what_names_no_file(name, words):
    assert "secret" not in assert_refused(name, *words)


@pytest.fixture
def asked(monkeypatch):
    """Names are turned into addresses, which are listed and not fetched."""
    addresses = []
    monkeypatch.setattr(download, "fetch", lambda address: addresses.append(address) or "somewhere")
    return addresses


@pytest.mark.parametrize(
    "name, end",
    [
        ("ffhq", "/stylegan2/networks/stylegan2-ffhq-config-f.pkl"),
        ("FFHQ", "/stylegan2/networks/stylegan2-ffhq-config-f.pkl"),
        ("cars", "/stylegan2/networks/stylegan2-car-config-f.pkl"),
        ("stylegan2-horse-config-a", "/stylegan2/networks/stylegan2-horse-config-a.pkl"),
        ("ffhq-config-e-Gskip-Dorig", "/stylegan2/networks/table2/stylegan2-ffhq-config-e-Gskip-Dorig.pkl"),
        ("gdrive:networks/stylegan2-cat-config-a.pkl", "/stylegan2/networks/stylegan2-cat-config-a.pkl"),
        (
            "gdrive:networks/table2/stylegan2-car-config-e-Gorig-Dresnet.pkl",
            "/stylegan2/networks/table2/stylegan2-car-config-e-Gorig-Dresnet.pkl",
        ),
        ("metfaces", "/stylegan2-ada/pretrained/metfaces.pkl"),
        ("stylegan2-ada-pytorch-metfaces", "/stylegan2-ada-pytorch/pretrained/metfaces.pkl"),
        (
            "ffhq256",
            "/stylegan2-ada/pretrained/transfer-learning-source-nets/ffhq-res256-mirror-paper256-noaug.pkl",
        ),
        ("stylegan2-ffhqu-256x256", "/stylegan2/versions/1/files/stylegan2-ffhqu-256x256.pkl"),
        ("stylegan1-ffhq", "drive.google.com/uc?id=1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"),
    ],
)
def test_published_names(name, end, asked):
    assert local_path(name) == "somewhere"
    (address,) = asked
    assert address.startswith("https://") and address.endswith(end)


def test_the_table_of_published_names():
    assert len([name for name in PUBLISHED if name.startswith("gdrive:")]) == 18 + 18
    for name, address in PUBLISHED.items():
        assert name == name.lower() and not name.endswith((" ", "-"))
        parts = urllib.parse.urlsplit(address)
        assert parts.scheme == "https" and (parts.path.endswith(".pkl") or parts.query.startswith("id="))


@pytest.mark.parametrize(
    "link",
    [
        "https://drive.google.com/uc?id=1aB-_9",
        "https://drive.google.com/uc?export=download&id=1aB-_9",
        "https://drive.google.com/open?id=1aB-_9",
        "http://drive.google.com/file/d/1aB-_9/view?usp=sharing",
        "https://drive.google.com/file/u/0/d/1aB-_9/view",
        "https://drive.usercontent.google.com/download?id=1aB-_9&export=download",
    ],
)
def test_links_to_google_drive(link):
    expected = "https://drive.usercontent.google.com/download?id=1aB-_9&export=download&confirm=t"
    assert download._direct(link) == expected
    assert download._direct(f"{link}{'&' if '?' in link else '?'}resourcekey=0-x") == f"{expected}&resourcekey=0-x"


@pytest.mark.parametrize(
    "platform, variables, expected",
    [
        ("linux", {"TF_STYLEGAN_CACHE": "/big/nets", "XDG_CACHE_HOME": "/x"}, "/big/nets"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/tf_stylegan"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/me/.cache/tf_stylegan"),
        ("linux", {}, "/me/.cache/tf_stylegan"),
        ("darwin", {}, "/me/Library/Caches/tf_stylegan"),
    ],
)
def test_where_the_cache_is(platform, variables, expected, monkeypatch):
    for name in ("TF_STYLEGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(download.sys, "platform", platform)
    assert download.cache_dir() == expected


# ---- downloads


@pytest.mark.parametrize("kind", ["good", "without-length", "redirect", "named"])
def test_a_download(kind, server, cache, capfd):
    path = local_path(f"{server.url}/{kind}/net.pkl")
    assert pathlib.Path(path).read_bytes() == DATA
    name = "my_net_work_.pkl" if kind == "named" else "net.pkl"
    assert os.path.basename(path) == name and path.startswith(str(cache))
    assert files(cache) == ["download.json", name]
    note = json.loads((pathlib.Path(path).parent / "download.json").read_text())
    assert note["url"] == f"{server.url}/{kind}/net.pkl" and note["size"] == len(DATA)
    assert note["sha256"] == hashlib.sha256(DATA).hexdigest() and note["time"].endswith("Z")
    assert capfd.readouterr() == ("", "")  # no progress bar where nobody watches
    assert os.stat(path).st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_chunked_download(server):
    assert pathlib.Path(local_path(f"{server.url}/chunked")).read_bytes() == b"hello"


def test_a_terminal_gets_a_progress_bar(server, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    local_path(f"{server.url}/good/net.pkl")
    assert "net.pkl: 100%" in terminal.getvalue() and "0.98M/0.98M" in terminal.getvalue()


def test_the_second_time_needs_no_network(server):
    address = f"{server.url}/good/net.pkl"
    path = local_path(address)
    server.shutdown()
    server.server_close()
    assert local_path(address) == local_path(f"{address}#sha256={hashlib.sha256(DATA).hexdigest()}") == path
    assert server.asked == ["/good/net.pkl"]


def test_a_touched_file_is_looked_at_again(server, monkeypatch):
    address = f"{server.url}/good/net.pkl"
    path = local_path(address)
    os.utime(path, (1, 1))
    assert local_path(address) == path
    monkeypatch.setattr(download, "_sha256", lambda path: pytest.fail("looked twice"))
    assert local_path(address) == path
    assert len(server.asked) == 1


@pytest.mark.parametrize("harm", ["damaged", "short", "gone", "no note", "odd note"])
def test_a_damaged_file_is_downloaded_again(harm, server, cache):
    address = f"{server.url}/good/net.pkl"
    path = pathlib.Path(local_path(address))
    note = path.parent / "download.json"
    if harm == "damaged":
        damage(path)
    elif harm == "short":
        path.write_bytes(DATA[:-1])
    elif harm == "gone":
        path.unlink()
    elif harm == "no note":
        note.unlink()
    else:
        note.write_text('["x"]')
    assert local_path(address) == str(path)
    assert path.read_bytes() == DATA and files(cache) == ["download.json", "net.pkl"]
    assert len(server.asked) == 2


def test_who_reads_a_replaced_file_goes_on(server):
    path = pathlib.Path(local_path(f"{server.url}/good/net.pkl"))
    damage(path)
    with path.open("rb") as file:
        local_path(f"{server.url}/good/net.pkl")
        assert file.read() != path.read_bytes() == DATA  # another file of that name: nobody sees half of either


def test_a_checksum(server, cache):
    address, digest = f"{server.url}/good/net.pkl", hashlib.sha256(DATA).hexdigest()
    assert_refused(f"{address}#sha256={'0' * 64}", "another file", digest, "0" * 64)
    assert files(cache) == []
    path = pathlib.Path(local_path(f"{address}#sha256={digest.upper()}"))
    assert_refused(f"{address}#sha256={'0' * 64}", "another file")
    assert path.read_bytes() == DATA  # the good one was not given up
    assert local_path(address) == str(path) and len(server.asked) == 3


@pytest.mark.parametrize(
    "kind, words",
    [
        ("page", ["a web page came instead of a file", "Google Drive - Quota exceeded"]),
        ("nothing", ["404 Not Found"]),
        ("forbidden", ["403 Forbidden"]),
        ("half", ["300000 bytes came, 1024000 were announced"]),
        ("reset", ["the connection broke", "reset"]),
        ("empty", ["0 bytes came"]),
        ("gzip", ["sends it as gzip"]),
        ("to-file", ["file:///etc/hostname"]),
        ("to-ftp", ["sends on to ftp://127.0.0.1/x.pkl, which is not followed"]),
        ("circle", ["infinite loop"]),
        ("to-bracket", ["Invalid IPv6 URL"]),
        ("to-dots", ["label empty or too long"]),
        ("accepted", ["202 Accepted"]),
        ("part", ["206 Partial Content"]),
        ("huge", ["100000000000000000 bytes were announced", "has room for"]),
        ("more", ["more than the 3 bytes came that were announced"]),
    ],
)
def test_downloads_that_fail(kind, words, server, cache):
    address = f"{server.url}/{kind}/net.pkl"
    message = assert_refused(address, f"could not download {address}: ", *words)
    assert str(cache) in message and "give the path" in message
    assert files(cache) == []


def test_a_host_that_cannot_be():
    assert_refused("https://example..org/x.pkl", "could not download https://example..org/x.pkl: ", "label empty")


@pytest.mark.parametrize("kind", ["long-number", "odd-name"])
def test_headers_that_make_no_sense_are_left_alone(kind, server):
    path = pathlib.Path(local_path(f"{server.url}/{kind}/net.pkl"))
    assert path.read_bytes() == DATA and path.name == "net.pkl"


@pytest.mark.parametrize("kind", ["without-length", "chunked", "long-number"])
def test_a_file_of_unknown_size_leaves_room_on_the_disk(kind, server, cache, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=(1 << 30) + 4))
    assert_refused(f"{server.url}/{kind}/net.pkl", "more than the 4 bytes came that there is room for")
    assert files(cache) == []
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=len(DATA)))
    local_path(f"{server.url}/good/net.pkl")  # of known size


def test_a_page_of_titles(server):
    start = time.process_time()
    assert_refused(f"{server.url}/titles/net.pkl", "a web page came instead of a file:")
    assert time.process_time() - start < 1


def test_a_failure_keeps_the_older_file(server, cache, monkeypatch):
    address = f"{server.url}/good/net.pkl"
    path = pathlib.Path(local_path(address))
    damage(path)
    before = path.read_bytes()
    monkeypatch.setattr(Handler, "answer_good", Handler.answer_half)
    assert_refused(address, "300000 bytes came")
    assert path.read_bytes() == before and files(cache) == ["download.json", "net.pkl"]


def test_a_server_that_says_nothing(server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    assert_refused(f"{server.url}/silent", "timed out")


def test_no_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/x.pkl"
    assert_refused(address, address, "Connection refused", "give the path of that file")


def test_no_network(monkeypatch):
    def nobody(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert_refused("ffhq", "stylegan2-ffhq-config-f.pkl: Name or service not known")


def test_no_way_down_from_https_to_http():
    request = urllib.request.Request("https://example.org/x.pkl")
    with pytest.raises(UserError, match=r"sends on to http://example\.org/y\.pkl, which is not followed"):
        download._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/y.pkl")


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TF_STYLEGAN_CACHE", str(tmp_path / "file"))
    assert_refused(f"{server.url}/good/net.pkl", "could not keep", "set TF_STYLEGAN_CACHE to another folder")


def test_odd_addresses(server, cache):
    path = local_path(f"{server.url}/good/größe und so.pkl?a=b c")
    assert server.asked == ["/good/gr%C3%B6%C3%9Fe%20und%20so.pkl?a=b%20c"]
    assert os.path.basename(path) == "gr__e_und_so.pkl"
    assert os.path.basename(local_path(f"{server.url}/good/download.json")) == "network.pkl"
    assert local_path(pathlib.Path(f"{server.url}/good/x.pkl")) == local_path(f"{server.url}/good/x.pkl")


@pytest.mark.parametrize("locks", [True, False])
def test_downloads_at_the_same_time(locks, server, cache, monkeypatch, capfd):
    if not locks:  # as on some network drives

        def flock(*_):
            raise OSError(37, "No locks available")

        monkeypatch.setattr(download.fcntl, "flock", flock)
    address, results = f"{server.url}/slow/net.pkl", []
    threads = [threading.Thread(target=lambda: results.append(local_path(address))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and len(set(results)) == 1
    assert pathlib.Path(results[0]).read_bytes() == DATA and files(cache) == ["download.json", "net.pkl"]
    assert len(server.asked) == (1 if locks else 4)
    assert capfd.readouterr().err.count("waiting for another process") == (3 if locks else 0)


def test_what_a_killed_process_left_is_removed(server, cache):
    path = pathlib.Path(local_path(f"{server.url}/good/net.pkl"))
    (path.parent / "net.pkl.123-00ff.part").write_bytes(b"half")
    local_path(f"{server.url}/good/net.pkl")
    assert files(cache) == ["download.json", "net.pkl"]
