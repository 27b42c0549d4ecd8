"""How the page is started and where it listens. Nothing here needs Gradio."""

import pytest

from tf_stylegan.errors import UserError
from tf_stylegan.explore import __main__ as command
from tf_stylegan.explore import address


def test_where_it_listens():
    with address.listen() as first, address.listen() as second:
        assert first.getsockname() != second.getsockname(), "another port if the default is taken"
        assert all(one.getsockname()[0] == "127.0.0.1" for one in (first, second)), "nobody else can open it"
        port = second.getsockname()[1]
        assert address.address_of(second, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        assert address.address_of(second, "0.0.0.0") == f"http://127.0.0.1:{port}/"
        assert address.address_of(second, "::1") == f"http://[::1]:{port}/"
        with pytest.raises(UserError, match=rf"could not listen at 127.0.0.1, port {port}: Address already in use"):
            address.listen(port=port)
    with pytest.raises(UserError, match=r"^--host=no host: "):
        address.listen("no host")
    with pytest.raises(UserError, match=r"could not listen at 203.0.113.1, port 7860: "):
        address.listen("203.0.113.1")


@pytest.mark.parametrize(
    "host, origin, local, elsewhere",
    [
        ("127.0.0.1:7860", None, True, True),
        ("localhost:9000", "http://localhost:9000", True, True),
        ("[::1]:7860", "http://[::1]:7860", True, True),
        ("127.0.0.2:7860", "http://127.0.0.2:7860", True, True),
        ("some.example:7860", None, False, True),
        ("some.example:7860", "http://some.example:7860", False, True),
        ("some.example:7860", "https://evil.example", False, False),
        ("127.0.0.1.evil.example", None, False, True),
        ("127.0.0.1:7860", "https://evil.example", False, False),
        ("127.0.0.1:7860", "http://127.0.0.1:3000", False, False),
        ("127.0.0.1:7860", "null", False, False),
        ("[", None, False, False),
        ("", None, False, True),
    ],
)
def test_other_websites_get_no_answer(host, origin, local, elsewhere):
    """A page on a loopback address is asked by that address alone; elsewhere a machine may have any name."""
    headers = {b"host": host.encode(), **({b"origin": origin.encode()} if origin else {})}
    assert address.is_ours(headers, local=True) is local
    assert address.is_ours(headers, local=False) is elsewhere


def test_loopback():
    assert all(map(address.is_loopback, ("127.0.0.1", "127.0.0.2", "127.255.0.1", "::1", "localhost")))
    assert not any(map(address.is_loopback, ("0.0.0.0", "192.168.0.1", "::", "127.0.0.1.example", "", "example")))


def run_command(*arguments):
    return command.run(command.parse_args(["explore", *arguments]))


def test_what_is_missing_is_said_first(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert run_command("--network=nowhere.pkl") == 2
    expected = "error: the page needs gradio and imageio_ffmpeg: pip install -e '.[explore]'\n"
    assert capsys.readouterr().err == expected


def test_a_network_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: name)
    assert run_command("--network=nowhere.pkl") == 2
    assert capsys.readouterr().err == "error: could not read nowhere.pkl: No such file or directory\n"


@pytest.mark.parametrize("arguments", [[], ["--network=x", "--port=70000"], ["--network=x", "--port=x"], ["--share"]])
def test_arguments_that_cannot_be(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run_command(*arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_terminal_is_not_taken_over_by_a_browser(monkeypatch):
    monkeypatch.setattr(command.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not command.has_screen()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert command.has_screen()
