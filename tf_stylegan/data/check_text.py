"""What `check` found, for the terminal and for programs."""

import collections
import json

from tf_stylegan.data.words import counted, printable
from tf_stylegan.files import atomic_write, format_time

_SHOWN = 10  # findings of a kind, files of a group
_MUST, _MAY = "Must be fixed", "Worth knowing"


def to_text(result, show_all=False):
    """What to print.

    Args:
        result: `check.Result`.
        show_all: list every finding, not the first ten of each kind.
    """
    lines = [*headline(result), ""]
    heading = None
    for problem in result.problems:
        if heading != (heading := _MUST if problem.must_fix else _MAY):
            lines += [heading, ""]
        lines.append(f"  {problem.title}: {problem.count:,}")
        shown = problem.findings if show_all else problem.findings[:_SHOWN]
        lines += [f"    {line(finding, None if show_all else _SHOWN)}" for finding in shown]
        if more := len(problem.findings) - len(shown):
            lines.append(f"    … and {more:,} more {'groups ' if problem.findings[0].others else ''}(--all lists them)")
        lines += [f"    -> {problem.advice}", ""]
    return "\n".join([*lines, verdict(result)])


def headline(result):
    """What was read: two lines."""
    num_bytes = sum(picture.num_bytes for picture in result.pictures)
    line = f"{printable(result.folder)}: {counted(result.num_pictures, 'picture')}, {format_bytes(num_bytes)}"
    if result.others:
        names = ", ".join(printable(path) for path in result.others[:3]) + (", …" if len(result.others) > 3 else "")
        line += f", {counted(len(result.others), 'other file')} ({names})"
    line += f"; read in {format_time(result.seconds)}"
    sizes = collections.Counter(picture.size for picture in result.pictures).most_common()
    texts = [f"{size[0]}x{size[1]} ({count:,})" for size, count in sizes[:3]]
    more = [counted(len(sizes) - 3, "other")] if len(sizes) > 3 else []
    return [line, f"sizes: {', '.join(texts + more)}"] if sizes else [line]


def verdict(result):
    """The last line."""
    if result.num_must_fix:
        return f"{result.num_must_fix:,} of {counted(result.num_pictures, 'picture')} must be fixed"
    return "nothing must be fixed" if result.problems else "nothing to complain about"


def line(finding, max_others=None):
    """One finding: a picture and what there is to say, and of a group so many of the others, None for all."""
    text = printable(finding.path)
    if finding.detail:
        text += f": {printable(finding.detail)}"
    others = finding.others[:max_others]
    if others:
        text += " ~ " if others[0][1] else " = "
        text += ", ".join(printable(path) + (f" ({what})" if what else "") for path, what in others)
    if more := len(finding.others) - len(others):
        text += f", and {more:,} more"
    return text


def format_bytes(count):
    """`12 KB`, `3.4 MB`, `2.1 GB`."""
    for unit in ("bytes", "KB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} MB" if count < 1000 else f"{count / 1000:.1f} GB"


def write_json(file, result):
    """Writes everything that was found, for programs.

    {"folder", "pictures", "other_files": […], "must_fix": number, "problems": [{"kind", "title", "must_fix", "advice",
    "findings": [{"path", "detail", "others": [{"path", "detail"}, …]}, …]}, …]}; "others" only in groups.
    """
    problems = [
        {
            "kind": problem.kind,
            "title": problem.title,
            "must_fix": problem.must_fix,
            "advice": problem.advice,
            "findings": [_as_dict(finding) for finding in problem.findings],
        }
        for problem in result.problems
    ]
    content = {
        "folder": result.folder,
        "pictures": result.num_pictures,
        "other_files": result.others,
        "must_fix": result.num_must_fix,
        "problems": problems,
    }
    with atomic_write(file, "w") as stream:
        json.dump(content, stream, indent=1)
        stream.write("\n")


def _as_dict(finding):
    entry = {"path": finding.path, "detail": finding.detail}
    if finding.others:
        entry["others"] = [{"path": path, "detail": what} for path, what in finding.others]
    return entry
