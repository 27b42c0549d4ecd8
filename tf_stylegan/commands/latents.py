"""run_generator's tools for latents w: directions to edit along, averages, ways from picture to picture (F6)."""

import os

from tqdm import tqdm

from tf_stylegan.commands.options import (
    SOURCES,
    STYLES,
    add_drawing_options,
    add_film_options,
    add_grid,
    check_files_only,
    check_film,
    check_free,
    ends_of,
    file_name,
    note,
    open_painter,
    record_film,
    say,
)
from tf_stylegan.commands.outputs import (
    add_file,
    add_force,
    add_out,
    check_out,
    check_place,
    check_results,
    endings,
    form_of,
    places_of,
    with_picture,
)
from tf_stylegan.errors import UserError
from tf_stylegan.pictures import video, walks
from tf_stylegan.pictures.latents import parse_keyframes, parse_seeds, parse_styles
from tf_stylegan.pictures.sheets import FORMATS, Sheet, check_picture, save_picture

_MOST_STEPS = 1000
_FILMS = [form for form, kind in video.FORMATS.items() if kind.ending]


def add_commands(commands):
    """Adds the sub-commands; `commands` as `add_subparsers` returns it."""
    found = commands.add_parser(
        "find-directions", help="directions in w that change pictures most, from the weights alone", allow_abbrev=False
    )
    add_drawing_options(found)
    found.add_argument("--layers", metavar="LIST", help=f"styles they are to change: {STYLES} (default: all)")
    found.add_argument("--count", type=int, metavar="N", help="how many, the strongest first (default: 10)")
    found.add_argument("--out", metavar="FILE", help="file to write (default: directions.npz in the results' folder)")
    add_file(found, "--sheet", f"also draw them: a row for each direction and picture, {endings(FORMATS)}")
    found.add_argument("--seeds", default="0-2", metavar="LIST", help=f"of the sheet: {SOURCES} (default: %(default)s)")
    _add_strength(found)
    add_force(found)
    found.set_defaults(run=find_directions)

    edit = commands.add_parser("edit", help="pictures moved along directions: strips and films", allow_abbrev=False)
    add_drawing_options(edit)
    _add_sources(edit)
    edit.add_argument(
        "--direction", required=True, metavar="LIST", help="numbers of directions, from 0 on, such as 0,2-4"
    )
    edit.add_argument(
        "--directions",
        metavar="FILE",
        type=file_name,
        help="from find-directions, or .npy [K, w]; default: found in the network",
    )
    edit.add_argument(
        "--layers", metavar="LIST", help=f"styles to change: {STYLES} (default: those of the directions, else all)"
    )
    _add_strength(edit)
    add_file(edit, "--strip", f"a row of pictures for each direction and picture, {endings(FORMATS)} (the default)")
    add_file(edit, "--film", f"there and back without a seam, {endings(_FILMS)}; without ending: a folder of frames")
    add_file(edit, "--out", "the strip's latents, .npz for --dlatents")
    add_film_options(edit, 6.0, " of the film")
    add_grid(edit, of=" of the film")
    add_force(edit)
    edit.set_defaults(run=edit_pictures)

    mean = commands.add_parser("average", help="the mean w of some pictures, and its picture", allow_abbrev=False)
    add_drawing_options(mean)
    _add_sources(mean)
    add_out(mean, "average")
    mean.set_defaults(run=average_pictures)

    between = commands.add_parser("interpolate", help="a strip from picture to picture, through w", allow_abbrev=False)
    add_drawing_options(between)
    _add_sources(between)
    _add_steps(between, "pictures from one to the next, both counted")
    between.add_argument(
        "--interp-type", default="linear", choices=list(walks.INTERPOLATIONS), help="(default: %(default)s)"
    )
    add_out(between, "interpolation")
    between.set_defaults(run=interpolate_pictures)


def _add_sources(parser):
    parser.add_argument("--seeds", metavar="LIST", help=SOURCES)
    parser.add_argument(
        "--dlatents",
        metavar="FILE",
        type=file_name,
        help="latents w, .npz or .npy, after those of --seeds; drawn as they are",
    )


def _add_strength(parser):
    parser.add_argument(
        "--strength",
        default="-3..3",
        metavar="FROM..TO",
        help="how far, in standard deviations of w along the direction; 0 is the picture itself (default: %(default)s)",
    )
    _add_steps(parser, "pictures in a row")


def _add_steps(parser, text):
    parser.add_argument("--steps", type=int, default=7, metavar="N", help=f"{text} (default: %(default)s)")


# The commands: check what can be checked, open the network, draw, write -----------------------------------------------


def find_directions(args):
    """Finds directions, prints and saves them, and draws a sheet of them."""
    sheet_form = form_of(args.sheet, "--sheet", FORMATS, "png")
    keyframes, (first, last) = parse_keyframes(args.seeds), _strengths(args)
    check_out(args.out)
    wanted = {"out": (args.out or "", "directions.npz"), "sheet": (args.sheet, "directions.png")}
    check_results(args, keyframes, wanted)
    if args.layers is not None:
        parse_styles(args.layers, None, "--layers")
    painter = open_painter(args)
    from tf_stylegan.pictures import directions
    from tf_stylegan.pictures.contact_sheet import ContactSheet
    from tf_stylegan.pictures.edits import Edits, strip_strengths
    from tf_stylegan.pictures.sources import sources_of

    layers = None
    if args.layers is not None:
        layers = parse_styles(args.layers, painter.acting_layers, "--layers")
    found = directions.find(painter, layers, min(10, painter.w_size) if args.count is None else args.count)
    if args.sheet is not None:
        painter.prepare(args.steps)
        edits = Edits(painter, sources_of(painter, keyframes), found, range(len(found)))
        strengths = strip_strengths(first, last, args.steps)
        captions = [f"{index}: {name}" for index, name in edits.names()]
        columns = [f"{strength:+.3g}" if strength else "0" for strength in strengths]
        sheet = ContactSheet(captions, columns, painter.picture_shape, len(edits) // len(found))
        check_picture(1, 1, sheet.shape, sheet_form)
    with places_of(args, wanted) as places:
        if args.sheet is not None:
            pixels = sheet.filled(tqdm(edits.pictures(strengths), "rows", len(edits), disable=None, leave=False))
        found.save(places["out"])
        say(_table(found))
        say(places["out"])
        if args.sheet is not None:
            save_picture(places["sheet"], pixels)
            say(places["sheet"])


def _table(found):
    """Directions for people: what each does to w and to the styles."""
    styles = _ranges(found.layers)
    lines = [f"Directions of styles {styles}", "", "direction  eigenvalue  deviation of w  styles at strength 1"]
    for index, (value, deviation) in enumerate(zip(found.eigenvalues, found.deviations)):
        lines.append(f"{index:9}  {value:10.4g}  {deviation:14.4g}  {deviation * value**0.5:20.4g}")
    return "\n".join([*lines, ""])


def _ranges(numbers):
    """`[0, 1, 2, 5]` as "0-2, 5"."""
    parts = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def edit_pictures(args):
    """Moves pictures along directions: strips, films, latents."""
    if args.strip is None and args.film is None and args.out is None:
        args.strip = ""
    keyframes, (first, last) = list(dict.fromkeys(_keyframes(args))), _strengths(args)
    indices = list(dict.fromkeys(parse_seeds(args.direction, "--direction", in_order=True)))
    strip_form = form_of(args.strip, "--strip", FORMATS, "png")
    if args.film:
        args.film = os.path.normpath(args.film)  # a folder may end in a slash
    if args.film and not os.path.splitext(args.film)[1]:
        film_form = "png"
        check_free(args.film, "--film", args.force, is_folder=True)
        check_place(args.film)
    else:
        film_form = form_of(args.film, "--film", _FILMS, "mp4")
    if args.out:
        check_out(args.out)
    wanted = {"strip": (args.strip, "edit.png"), "film": (args.film, "edit.mp4"), "out": (args.out, "edit.npz")}
    check_results(args, [*keyframes, args.directions], wanted)
    if args.layers is not None:
        parse_styles(args.layers, None, "--layers")
    if args.film is not None:
        frames = walks.frame_count(args.duration_sec, args.fps)
        if first == last:
            raise UserError(f"--strength={args.strength}: a film needs two ends, such as -3..3")
        video.check_film(film_form, None, args.fps, args.bitrate)
    painter = open_painter(args)
    import numpy as np

    from tf_stylegan.pictures import directions
    from tf_stylegan.pictures.edits import Edits, save_dlatents, strip_strengths
    from tf_stylegan.pictures.sources import sources_of

    sources = sources_of(painter, keyframes)
    layers = None if args.layers is None else parse_styles(args.layers, painter.acting_layers, "--layers")
    if args.directions is not None:
        known = directions.read(args.directions, painter, layers)
        if strangeness := known.strangeness(painter):
            note(f"{args.directions} is of another network: {strangeness}.")
    else:
        known = directions.find(painter, layers)
    edits = Edits(painter, sources, known, indices, layers)
    strengths = strip_strengths(first, last, args.steps)
    if args.strip is not None:
        painter.prepare(len(strengths))
        check_picture(len(strengths), len(edits), painter.picture_shape, strip_form)
    if args.film is not None:
        film = edits.film(frames, first, last, args.grid_w, args.grid_h)
        check_film(args, film, film_form)
    with places_of(args, wanted) as places:
        if args.strip is not None:
            sheet = Sheet(len(strengths), len(edits), painter.picture_shape)
            rows = tqdm(edits.pictures(strengths), "rows", len(edits), disable=None, leave=False)
            for row, pictures in enumerate(rows):
                for column, picture in enumerate(pictures):
                    sheet.put(row * len(strengths) + column, picture)
            save_picture(places["strip"], sheet.pixels)
            say(places["strip"])
        if args.out is not None:
            save_dlatents(places["out"], np.concatenate([edits.dlatents(row, strengths) for row in range(len(edits))]))
            say(places["out"])
        if args.film is not None:
            record_film(args, film, film_form, places["film"])


def average_pictures(args):
    """Saves the mean w of pictures, and draws it."""
    keyframes, has_seeds = _of_pictures(args)
    wanted = with_picture(args, keyframes, "average")
    painter = open_painter(args, has_seeds)
    from tf_stylegan.pictures.edits import average, save_dlatents

    if painter.noise_mode == "seed":
        painter = painter.variant(noise_mode="const")  # the mean of many seeds has none of its own
    painter.prepare(1)
    check_picture(1, 1, painter.picture_shape, args.format)
    with places_of(args, wanted) as places:
        dlatents, count = average(painter, keyframes)
        picture = painter.draw(dlatents)[0]
        save_dlatents(places["out"], dlatents)
        save_picture(places["picture"], picture)
        say(f"The mean of {count} picture{'s' * (count > 1)}")
        say(places["out"])
        say(places["picture"])


def interpolate_pictures(args):
    """Draws and saves the way from picture to picture."""
    keyframes, has_seeds = _of_pictures(args)
    if not 2 <= args.steps <= _MOST_STEPS:
        raise UserError(f"--steps={args.steps} must be from 2, the two ends, to {_MOST_STEPS}")
    wanted = with_picture(args, keyframes, "interpolation")
    painter = open_painter(args, has_seeds)
    from tf_stylegan.pictures.edits import Path, save_dlatents
    from tf_stylegan.pictures.sources import sources_of

    sources = sources_of(painter, keyframes)
    path = Path(painter, sources, args.steps, args.interp_type)
    legs = len(sources) - 1
    painter.prepare(1)
    check_picture(args.steps, legs, painter.picture_shape, args.format)
    with places_of(args, wanted) as places:
        sheet = Sheet(args.steps, legs, painter.picture_shape)
        for number, picture in enumerate(tqdm(path.pictures(), "pictures", len(path), disable=None, leave=False)):
            leg, step = divmod(number, args.steps - 1)
            if leg < legs:
                sheet.put(leg * args.steps + step, picture)
            if leg and not step:  # the last of a row is the first of the next
                sheet.put(leg * args.steps - 1, picture)
        save_dlatents(places["out"], path.dlatents())
        save_picture(places["picture"], sheet.pixels)
        say(places["out"])
        say(places["picture"])


# What they share ------------------------------------------------------------------------------------------------------


def _keyframes(args):
    """Seeds and files of latents, in the order given."""
    keyframes = [] if args.seeds is None else parse_keyframes(args.seeds)
    keyframes += [] if args.dlatents is None else [args.dlatents]
    if not keyframes:
        raise UserError(f"{args.command} needs pictures: give --seeds=LIST, --dlatents=FILE, or both")
    if not _has_seeds(keyframes):
        check_files_only(args)
    return keyframes


def _has_seeds(keyframes):
    return any(isinstance(keyframe, int) for keyframe in keyframes)


def _of_pictures(args):
    """`_keyframes` of a command that has no use for classes but to draw seeds; and whether there are seeds."""
    keyframes = _keyframes(args)
    if not _has_seeds(keyframes):
        check_files_only(args, ("--class", args.class_index))
    return keyframes, _has_seeds(keyframes)


def _strengths(args):
    """The ends of `--strength`."""
    first, last = ends_of(args.strength, "--strength", single=True)
    if first == last:
        args.steps = 1
    elif not 2 <= args.steps <= _MOST_STEPS:
        raise UserError(f"--steps={args.steps} must be from 2, the two ends, to {_MOST_STEPS}")
    return first, last
