"""What `check` found, as one web page with thumbnails that needs nothing from anywhere else."""

import base64
import concurrent.futures
import html
import io
import os
import urllib.parse

from tqdm import tqdm

from tf_stylegan.data import check_text, image_files, parallel
from tf_stylegan.data.words import printable
from tf_stylegan.files import atomic_write

# A page of thousands of findings would not open: so many are shown with thumbnails (some 8 KB each), more by name.
_MAX_SHOWN = 40  # findings of a kind
_MAX_GROUP = 8  # pictures of a group
_MAX_NAMED = 1000  # findings of a kind
_THUMBNAIL = 240  # pixels

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --card: #f4f4f2; --text: #1c1c1a; --soft: #63635e; --line: #dcdcd6;
  --must: #b3261e; --may: #3b6ea8; }
@media (prefers-color-scheme: dark) { :root { --back: #151514; --card: #21211f; --text: #ecece8; --soft: #a3a39c;
  --line: #3a3a36; --must: #ff8a80; --may: #8ab4f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
.soft, figcaption span, summary { color: var(--soft); }
.verdict { font-weight: 600; color: var(--may); }
.verdict.must { color: var(--must); }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: 1rem 0; }
nav a { border: 1px solid var(--may); border-radius: 1rem; padding: .15rem .7rem; color: var(--may);
  text-decoration: none; }
nav a.must { border-color: var(--must); color: var(--must); }
section { border-top: 3px solid var(--may); margin: 1.8rem 0; padding-top: .6rem; }
section.must { border-color: var(--must); }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 42vw), 1fr)); gap: .6rem;
  margin: .7rem 0; align-items: start; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: .7rem; }
.group { border: 1px solid var(--line); border-radius: .5rem; padding: 0 .6rem; }
figure { margin: 0; background: var(--card); border-radius: .4rem; overflow: hidden; }
figure a { display: flex; height: 9.5rem; align-items: center; justify-content: center; color: var(--soft); }
figure img { width: 100%; height: 100%; object-fit: contain; }
figcaption { padding: .35rem .5rem .5rem; font-size: .8rem; line-height: 1.3; overflow-wrap: anywhere; }
figcaption b, figcaption span { display: block; }
figcaption b { color: var(--may); font-weight: 500; }
.must figcaption b { color: var(--must); }
figcaption em { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden;
  font-style: normal; }
li { overflow-wrap: anywhere; font-size: .85rem; }
"""


def write_report(file, result, num_threads=None):
    """Writes the page, atomically.

    Args:
        file: path of the page; its links lead to the pictures from there.
        result: `check.Result`.
        num_threads: of making the thumbnails; None for all cores.
    """
    shown = [problem.findings[:_MAX_SHOWN] for problem in result.problems]
    paths = {path for findings in shown for finding in findings for path in _paths_of(finding)[:_MAX_GROUP]}
    thumbnails = _thumbnails(result.folder, sorted(paths), num_threads)
    page = _Page(result, os.path.dirname(os.path.abspath(file)), thumbnails)
    with atomic_write(file, "w") as stream:
        stream.writelines(page.parts())


def _paths_of(finding):
    return [finding.path, *(path for path, _ in finding.others)]


def _thumbnails(folder, paths, num_threads):
    """`{path: data URI}` of those that can be read."""

    def make(path):
        try:
            image, _ = image_files.read(os.path.join(folder, path), (255, 255, 255), srgb=True)
        except image_files.DamagedImageError:
            return None
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=75)
        return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()

    with concurrent.futures.ThreadPoolExecutor(parallel.num_threads(num_threads)) as pool:
        made = list(tqdm(pool.map(make, paths), "thumbnails", len(paths), disable=None))
    return {path: uri for path, uri in zip(paths, made) if uri}


class _Page:
    """The page of one result; `base` is the folder that its links start from."""

    def __init__(self, result, base, thumbnails):
        self._result, self._base, self._thumbnails = result, base, thumbnails
        self._pictures = {picture.path: picture for picture in result.pictures}

    def parts(self):
        """Yields the page piece by piece."""
        result = self._result
        title = f"Check of {_text(os.path.basename(os.path.abspath(result.folder)))}"
        # The page may show its own pictures and use its own style, and nothing else: whatever a file is named.
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        yield (
            f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{_STYLE}</style>\n<h1>{title}</h1>\n"
        )
        for line in check_text.headline(result):
            yield f'<p class="soft">{_text(line)}</p>\n'
        yield f'<p class="verdict{" must" if result.num_must_fix else ""}">{_text(check_text.verdict(result))}</p>\n'
        yield '<nav aria-label="Kinds of findings">\n'
        for number, problem in enumerate(result.problems):
            kind = ' class="must"' if problem.must_fix else ""
            yield f'<a href="#p{number}"{kind}>{_text(problem.title)} {problem.count:,}</a>\n'
        yield "</nav>\n<main>\n"
        for number, problem in enumerate(result.problems):
            yield from self._section(number, problem)
        yield "</main>\n</html>\n"

    def _section(self, number, problem):
        severity = "must be fixed" if problem.must_fix else "worth knowing"
        yield f'<section id="p{number}"{" class=must" if problem.must_fix else ""}>\n'
        yield f'<h2>{_text(problem.title)}: {problem.count:,} <span class="soft">· {severity}</span></h2>\n'
        yield f"<p>{_text(problem.advice)}</p>\n"
        shown, rest = problem.findings[:_MAX_SHOWN], problem.findings[_MAX_SHOWN:]
        if shown[0].others:
            yield f'<div class="groups">{"".join(map(self._group, shown))}</div>\n'
        else:
            yield f'<div class="row">{"".join(self._figure(f.path, f.detail) for f in shown)}</div>\n'
        if rest:
            yield f"<details><summary>{len(rest):,} more, without pictures</summary>\n<ul>\n"
            for finding in rest[:_MAX_NAMED]:
                yield f"<li>{_text(check_text.line(finding, _MAX_GROUP - 1))}</li>\n"
            yield "</ul>\n"
            if len(rest) > _MAX_NAMED:
                yield f"<p>… and {len(rest) - _MAX_NAMED:,} more; --all and --json list them all.</p>\n"
            yield "</details>\n"
        yield "</section>\n"

    def _group(self, finding):
        others = finding.others[: _MAX_GROUP - 1]
        figures = [self._figure(finding.path, "the one to keep"), *(self._figure(path, what) for path, what in others)]
        more = len(finding.others) - len(others)
        note = f'<p class="soft">and {more:,} more</p>' if more else ""
        return f'<div class="group"><div class="row">{"".join(figures)}</div>{note}</div>\n'

    def _figure(self, path, detail):
        address = os.path.relpath(os.path.join(os.path.abspath(self._result.folder), path), self._base)
        address = urllib.parse.quote(os.fsencode(address))
        picture, uri = self._pictures.get(path), self._thumbnails.get(path)
        content = f'<img src="{uri}" alt="" loading="lazy">' if uri else "no picture"
        facts = ""
        if picture:
            size = "{}x{}".format(*picture.size)
            facts = f"{size}, {picture.format}, {check_text.format_bytes(picture.num_bytes)}"
            detail = "" if detail == size else detail
        lines = [
            f"<em>{_text(path)}</em>",
            f"<b>{_text(detail)}</b>" if detail else "",
            f"<span>{_text(facts)}</span>" if facts else "",
        ]
        caption = f"<figcaption>{''.join(lines)}</figcaption>"
        return f'<figure title="{_text(path)}"><a href="./{address}">{content}</a>{caption}</figure>\n'


def _text(text):
    """Anything, a file's name for one, as text of a page."""
    return html.escape(printable(text))
