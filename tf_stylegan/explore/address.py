"""Where the page is, and who may ask for it (F6; standard library only)."""

import errno
import ipaddress
import socket
import urllib.parse

from tf_stylegan.errors import UserError

PORT = 7860


def is_loopback(host):
    """Whether an address or a name is one of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host="127.0.0.1", port=None):
    """A socket that listens.

    Args:
        host: address or name of this machine.
        port: None for PORT, or any other that is free if that is taken.
    Raises:
        UserError: the port is taken, or the host is not this machine's.
    """
    wanted = PORT if port is None else port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host={host}: {getattr(error, 'strerror', None) or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE and port is None:
            return listen(host, 0)
        raise UserError(f"could not listen at {host}, port {wanted}: {error.strerror}; choose another") from error
    return listening


def address_of(listening, host):
    """What to type into a browser."""
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def is_ours(headers, local):
    """Whether the headers of a request, {bytes: bytes}, are those of a page of ours.

    A website could send forms here, or have its own name point here: such requests carry another origin or host.

    Args:
        local: whether the page is on a loopback address; elsewhere a machine may have any name.
    """
    host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
    try:
        named, sender = urllib.parse.urlsplit(f"//{host}").hostname, urllib.parse.urlsplit(origin).netloc
    except ValueError:
        return False
    return (not local or is_loopback(named or "")) and (not origin or sender == host)
