"""From what a user typed for a network to a file on this machine (F0: standard library, tqdm for the progress bar).

A path stays as it is. Addresses and the names of published networks are downloaded once, into a cache: one folder per
address, holding the file and `download.json`, which says where it came from and what its checksum is.
"""

import contextlib
import difflib
import fcntl
import hashlib
import html
import http.client
import json
import os
import re
import secrets
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from tf_stylegan.errors import UserError
from tf_stylegan.published import PUBLISHED

TIMEOUT_SECONDS = 30  # without a byte, not for the whole file
_CHUNK = 1 << 18
_RESERVE = 1 << 30  # bytes that a file of unknown size leaves free on the disk
_NOTE = "download.json"

# ---- names


def local_path(name):
    """Path of the file that a user means, downloaded first where it is not on this machine.

    Args:
        name: a path; a `file://`, `http://` or `https://` address, which may end in `#sha256=…`; a link to a file on
            Google Drive; one of `PUBLISHED` (in any case), or one of the `gdrive:networks/….pkl` of NVlabs/stylegan2.
            A file of that name on this machine goes first.
    Returns:
        path: what was given, where that is a path (whether or not it exists), else that of a complete file.
    Raises:
        UserError: unknown name, no network, another file than expected.
    """
    text = os.fsdecode(name)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", text)
    if scheme and scheme[1].lower() in ("http", "https"):
        return fetch(text)
    if scheme and scheme[1].lower() == "file":
        return _file_path(text)
    if scheme and text[scheme.end() : scheme.end() + 1] == "/":
        raise UserError(f"{text}: addresses begin with https://, http:// or file://; download it, then give its path")
    if os.path.isfile(text):
        return name
    if text.lower() in PUBLISHED:
        return fetch(PUBLISHED[text.lower()])
    is_word = re.fullmatch(r"[\w-]+", text) and not os.path.exists(text)  # a path has a folder or an ending
    if is_word or text.lower().startswith("gdrive:"):
        near = difflib.get_close_matches(text.lower(), PUBLISHED, n=4, cutoff=0.7)
        if near:
            raise UserError(f"{text} is neither a file nor a published network; did you mean {', '.join(near)}?")
        if not is_word:
            raise UserError(f"{text} is unknown; known are those of NVlabs/stylegan2, gdrive:networks/….pkl")
    return name


def _file_path(address):
    parts = urllib.parse.urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise UserError(
            f"{address} names another machine ({parts.netloc}); file:// takes three slashes: file:///folder/file"
        )
    path = urllib.request.url2pathname(parts.path)
    expected = _expected(parts.fragment, address)
    if expected and os.path.isfile(path) and _sha256(path) != expected:
        raise UserError(f"{path} is not the file that {address} asks for: its sha256 is {_sha256(path)}")
    return path


def _expected(fragment, address):
    """The checksum of `sha256=…` behind an address's #, lower case; None where there is none."""
    if not fragment.startswith("sha256"):
        return None
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if not match:
        raise UserError(f"{address}: behind # belongs sha256= and 64 hexadecimal digits")
    return match[1].lower()


def _direct(address):
    """The address that answers with the file itself: links to Google Drive lead to a page about it."""
    parts = urllib.parse.urlsplit(address)
    if parts.hostname not in ("drive.google.com", "docs.google.com", "drive.usercontent.google.com"):
        # What people paste from browsers may hold spaces and other letters, which do not travel.
        path, query = (urllib.parse.quote(part, safe="/%:=&?~+!$,;'@()*[]") for part in (parts.path, parts.query))
        return urllib.parse.urlunsplit((parts.scheme.lower(), parts.netloc, path or "/", query, ""))
    query = urllib.parse.parse_qs(parts.query)
    key = re.match(r"/file/.*?\bd/([\w-]+)", parts.path) or re.fullmatch(r"([\w-]+)", query.get("id", [""])[0])
    if not key:
        raise UserError(f"{address} is no link to a single file on Google Drive; open it and copy the link of the file")
    asked = {"id": key[1], "export": "download", "confirm": "t"}
    if "resourcekey" in query:
        asked["resourcekey"] = query["resourcekey"][0]
    return f"https://drive.usercontent.google.com/download?{urllib.parse.urlencode(asked)}"


# ---- the cache


def cache_dir():
    """Folder that downloads are kept in: $TF_STYLEGAN_CACHE, else where the system keeps such things."""
    if os.environ.get("TF_STYLEGAN_CACHE"):
        return os.path.abspath(os.path.expanduser(os.environ["TF_STYLEGAN_CACHE"]))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # so the XDG specification
        base = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return os.path.join(os.path.expanduser(base), "tf_stylegan")


def fetch(address):
    """Path of a downloaded file; what is in the cache and undamaged is used without network.

    Args:
        address: `http://` or `https://`, perhaps with `#sha256=…`.
    Returns:
        path of the complete file.
    Raises:
        UserError: in one line what failed, where, and what to do.
    """
    address, _, fragment = re.sub(r"^(https?):/+", r"\1://", address, flags=re.IGNORECASE).partition("#")
    try:
        expected, direct = _expected(fragment, address), _direct(address)
        host = urllib.parse.urlsplit(direct).hostname
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{address} is no address: {error}") from error
    if not host or "@" in urllib.parse.urlsplit(direct).netloc:
        raise UserError(
            f"{address.rpartition('@')[2]} must be an address https://server/file, without user or password"
        )
    key = hashlib.sha256(direct.encode()).hexdigest()[:16]
    folder = os.path.join(cache_dir(), f"{re.sub(r'[^a-z0-9.-]', '_', host)}-{key}")
    try:
        os.makedirs(folder, exist_ok=True)
        with _locked(folder):
            path = _cached(folder, expected)
            return path or _download(address, direct, folder, expected)
    except OSError as error:
        raise UserError(
            f"could not keep {address} in {folder}: {error.strerror or error}; make room there, or set "
            "TF_STYLEGAN_CACHE to another folder"
        ) from error


@contextlib.contextmanager
def _locked(folder):
    """Lets one process at a time work on a folder of the cache; the others wait."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that downloads into {folder}", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # some network drives know no locks; files are put in place whole all the same
            yield
            return
        for name in os.listdir(folder):
            if name.endswith(".part"):  # of a process that was killed: the living hold the lock
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
        yield
    finally:
        os.close(descriptor)


def _cached(folder, expected):
    """Path of the file in a folder of the cache; None where there is none, a damaged one, or not the expected one."""
    try:
        with open(os.path.join(folder, _NOTE), encoding="utf-8") as file:
            note = json.load(file)
        path = os.path.join(folder, os.path.basename(note["name"]))
        status = os.stat(path)
        if (status.st_size, status.st_mtime_ns) != (note["size"], note["mtime_ns"]):
            if _sha256(path) != note["sha256"]:
                return None
            with contextlib.suppress(OSError):  # only touched: spare the next one the look, if we may
                _write_note(folder, {**note, "mtime_ns": status.st_mtime_ns})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if expected in (None, note["sha256"]) else None


def _write_note(folder, note):
    with _whole_file(os.path.join(folder, _NOTE)) as file:
        file.write(json.dumps(note, indent=2).encode() + b"\n")


@contextlib.contextmanager
def _whole_file(path):
    """A file under a name nobody else has, renamed to `path` only when the block ends well."""
    temporary = f"{path}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


# ---- the network


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https only, and never from https to http."""

    def redirect_request(self, request, file, code, message, headers, address):
        allowed = ("https",) if request.type == "https" else ("http", "https")
        if urllib.parse.urlsplit(address).scheme.lower() not in allowed:
            raise _failed(request.full_url, f"the server sends on to {address}, which is not followed")
        return super().redirect_request(request, file, code, message, headers, address)


def _opener():
    """As `urllib.request.build_opener`, without the handlers of `file:`, `ftp:` and `data:`."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _failed(address, what):
    what = " ".join(str(what).split())  # servers may say anything, over several lines
    what = "".join(character for character in what if character.isprintable())[:300]
    return UserError(
        f"could not download {address}: {what}. If it can be had on another machine or with a browser, give "
        f"the path of that file instead; downloads are kept in {cache_dir()}"
    )


def _download(address, direct, folder, expected):
    """Downloads into a folder of the cache; what is there under the same name is replaced at the very end."""
    from tqdm import tqdm  # late: this module stays importable without it

    headers = {"User-Agent": "tf_stylegan", "Accept-Encoding": "identity"}
    with _open(address, urllib.request.Request(direct, headers=headers)) as response:
        if response.status != 200:  # "accepted, come back later", a part, or nothing at all
            raise _failed(address, f"the server answers {response.status} {response.reason}")
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
        free = shutil.disk_usage(folder).free
        most = max(0, free - _RESERVE) if total is None else total
        if most > free:
            raise _failed(address, f"{most} bytes were announced, {folder} has room for {free}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _failed(address, f"the server sends it as {response.headers['Content-Encoding']}")
        path = os.path.join(folder, _file_name(response.headers, direct))
        digest, size = hashlib.sha256(), 0
        bar = {"total": total, "unit": "B", "unit_scale": True, "unit_divisor": 1024, "desc": os.path.basename(path)}
        with _whole_file(path) as file, tqdm(**bar, disable=None) as progress:  # None: only on a terminal
            while chunk := _read(address, response):
                if not size:
                    _check_no_page(address, chunk)
                digest.update(chunk)
                size += len(chunk)
                if size > most:
                    why = "there is room for" if total is None else "were announced"
                    raise _failed(address, f"more than the {most} bytes came that {why}")
                file.write(chunk)
                progress.update(len(chunk))
            # Without a size announced, a connection that ends early looks like the end: only a checksum would tell.
            if not size or size != (total or size):
                raise _failed(address, f"{size} bytes came" + (f", {total} were announced" if total else ""))
            if expected not in (None, digest.hexdigest()):
                raise _failed(address, f"it is another file: its sha256 is {digest.hexdigest()}, expected {expected}")
    note = {"url": address, "name": os.path.basename(path), "size": size, "sha256": digest.hexdigest()}
    note |= {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "mtime_ns": os.stat(path).st_mtime_ns}
    _write_note(folder, note)
    return path


def _open(address, request):
    try:
        return _opener().open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            raise _failed(address, f"the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failed(address, _reason(error.reason)) from error
    except UserError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: of a host's name, also further on
        raise _failed(address, _reason(error)) from error


def _read(address, response):
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _failed(address, f"the connection broke ({_reason(error)})") from error


def _reason(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check_no_page(address, start):
    """Refuses web pages: what Google Drive answers when a file is asked for too often, or a site before a login."""
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"<":  # no network file begins like that
        return
    title = re.search(
        r"<title[^>]*>(.*?)</title>", start[:4096].decode("utf-8", "replace"), re.DOTALL | re.IGNORECASE
    )  # quadratic in the worst case
    named = f" ({' '.join(html.unescape(title[1]).split())[:100]})" if title else ""
    raise _failed(address, f"a web page came instead of a file{named}: a login, a limit, or a wrong address")


def _file_name(headers, address):
    """What the server calls the file, else the end of its address, in plain characters."""
    try:
        name = headers.get_filename()
    except (AttributeError, LookupError, TypeError, ValueError):  # of malformed ones, in the email package
        name = None
    name = name or urllib.parse.unquote(urllib.parse.urlsplit(address).path)
    name = re.sub(r"[^\w.()+-]", "_", re.split(r"[/\\]", name)[-1], flags=re.ASCII).lstrip(".")[-100:]
    return name if name and name != _NOTE and not name.endswith(".part") else "network.pkl"
