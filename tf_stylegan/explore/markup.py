"""The parts of the page that are HTML, as text (F6; standard library only)."""

import base64
import html

from tf_stylegan.explore.settings import OWN_RANGE


def escaped(text):
    """Text for HTML, inside quotes as well; no sign is left that the page's templates would read."""
    return html.escape(str(text)).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;")


def data_address(data, kind="image/png"):
    """`data:` address of some bytes: a picture that needs no second request, and does not flicker."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def header(name, facts):
    """The name of the network and a line of facts, at the top."""
    return f'<header><h1>{escaped(name)}</h1><p class="subdued">{escaped(facts)}</p></header>'


def picture(data, words, width, height, times):
    """The picture, enlarged in squares if it is small.

    Args:
        data: bytes of a PNG.
        words: what a screen reader says.
        width, height: in pixels.
        times: how many times it is enlarged where there is room.
    """
    kind = ' class="squares"' if times > 1 else ""
    size = f"--wide:{width}px;--ratio:{width}/{height}"
    return (
        f'<figure class="stage" style="{size}"><img{kind} src="{data_address(data)}" alt="{escaped(words)}" '
        f'decoding="sync" draggable="true"></figure>'
    )


def facts(words):
    """The line under the picture."""
    return f'<p class="subdued">{escaped(words)}</p>'


def problem(words):
    """One line about something that does not work, which screen readers say at once."""
    return f'<p class="problem" role="alert">{escaped(words)}</p>'


def downloads(token, number, name, with_latents):
    """Links to the files of a picture."""
    address = f"made/{token}/{number}"
    links = [_link(f"{address}.png", f"{name}.png", "PNG", "Download the picture as PNG")]
    if with_latents:
        links.append(_link(f"{address}.npz", f"{name}.npz", "Latents", "Download its latents w as .npz"))
    return f'<p class="links">{"".join(links)}</p>'


def _link(address, name, words, spoken):
    return (
        f'<a class="download" href="{escaped(address)}" download="{escaped(name)}" title="{escaped(spoken)}" '
        f'aria-label="{escaped(spoken)}">↓ {escaped(words)}</a>'
    )


def second_picture(data, seed, styles, times):
    """The small picture that styles are mixed in from."""
    kind = ' class="squares"' if times > 1 else ""
    first, last = styles[0], styles[-1]
    which = f"Style {first}" if first == last else f"Styles {first}–{last}"
    return (
        f'<figure class="second"><img{kind} src="{data_address(data)}" alt="Picture of the second seed, {seed}">'
        f'<figcaption class="subdued">{which} from seed {seed}</figcaption></figure>'
    )


def kept_list(kept):
    """The pictures of a walk, each with buttons.

    Args:
        kept: list of (name, bytes of a small PNG).
    """
    if not kept:
        return '<p class="subdued empty">Nothing yet. Keep the picture you see, or add seeds.</p>'
    items = []
    for index, (name, data) in enumerate(kept):
        place = f"{index + 1} of {len(kept)}, {name}"
        buttons = [
            ("show", "", f"Show {place}", f'<img src="{data_address(data)}" alt="">'),
            ("left", " disabled" * (index == 0), f"Move {place} to the front", "‹"),
            ("remove", "", f"Remove {place}", "×"),
            ("right", " disabled" * (index == len(kept) - 1), f"Move {place} to the back", "›"),
        ]
        made = "".join(
            f'<button type="button" class="{act}" data-act="{act}" data-index="{index}" title="{escaped(words)}" '
            f'aria-label="{escaped(words)}"{more}>{content}</button>'
            for act, more, words, content in buttons
        )
        items.append(f"<li>{made}</li>")
    return f'<ol class="kept" aria-label="Pictures of the walk">{"".join(items)}</ol>'


# What the buttons of kept_list do: they tell the page which was pressed.
KEPT_SCRIPT = """
element.addEventListener('click', event => {
    const button = event.target.closest('button[data-act]');
    if (button) trigger('click', {act: button.dataset.act, index: Number(button.dataset.index)});
});
"""


def progress(made, count, seconds_left, what="frames"):
    """How far a film is, or something else of so many parts."""
    left = "" if seconds_left is None else f", about {max(1, round(seconds_left))} s left"
    return (
        f'<div class="making"><progress value="{made}" max="{count}" aria-label="{what.capitalize()} made"></progress>'
        f'<p class="subdued">{made} of {count} {what}{left}</p></div>'
    )


def film(token, number, name, words, times):
    """A film to watch and to download."""
    address, kind = f"made/{token}/{number}.mp4", ' class="squares"' if times > 1 else ""
    return (
        f'<figure class="film"><video{kind} src="{address}" controls autoplay loop muted playsinline '
        f'aria-label="The film"></video><figcaption class="subdued">{escaped(words)}</figcaption>'
        f'<p class="links">{_link(address, f"{name}.mp4", "MP4", "Download the film as MP4")}</p></figure>'
    )


def range_names(num_layers, spans):
    """[(words, value)] of the choice of styles: those of `spans`, {name: (first, stop)}, that the network has."""
    names = []
    for name, (first, stop) in spans.items():
        if first < num_layers:
            last = min(stop or num_layers, num_layers) - 1
            names.append((f"{name.capitalize()} ({first}–{last})", name))
    return [*names, ("From–to", OWN_RANGE)]
