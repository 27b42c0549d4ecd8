"""run_generator's films (F6)."""

import os

from tf_stylegan import cli
from tf_stylegan.commands.options import (
    SOURCES,
    add_drawing_options,
    add_film_options,
    add_grid,
    check_film,
    check_free,
    ends_of,
    finite,
    open_painter,
    output_folder,
    record_film,
)
from tf_stylegan.commands.pictures import add_styles, styles_of
from tf_stylegan.errors import UserError
from tf_stylegan.pictures import video, walks
from tf_stylegan.pictures.latents import parse_keyframes, parse_seeds, parse_styles

SMOOTHING_SEC = 3.0  # of the walks, as in stylegan2-fun
SHORT_SEC = 30.0  # films below this are smoothed less, in proportion: they would stand still otherwise
LONGEST_NAME = 150  # bytes
_MOST_RADIUS = 10**6  # of circles; networks square it


def add_commands(commands):
    """Adds the sub-commands; `commands` as `add_subparsers` returns it."""
    lerp = _film(commands, "lerp-video", lerp_video, "a walk through latents, one cell per seed", psi=1.0)
    lerp.add_argument(
        "--seeds", required=True, metavar="LIST", help="several, or one with the grid's size: it counts on"
    )
    add_grid(lerp)
    _add_walk(lerp)
    lerp.add_argument(
        "--slowdown", type=int, default=1, metavar="N", help="make it so many times as long: 1, 2, 4, 8 …"
    )
    cli.add_switch(lerp, "--free-walk", help="stylegan2-fun's walk, which does not begin at the seeds' pictures")

    mixing = _film(
        commands, "style-mixing-video", style_mixing_video, "a walk, mixed into pictures that stand", psi=0.7
    )
    mixing.add_argument(
        "--row-seed", required=True, metavar="LIST", help="what walks: a seed, or several for more rows"
    )
    mixing.add_argument("--col-seeds", required=True, metavar="LIST", help=SOURCES)
    add_styles(mixing, "styles of the columns that come from the row")
    cli.add_switch(mixing, "--only-stylemix", help="leave out the first row and column")
    _add_walk(mixing)

    sights = _film(commands, "sightseeding", sightseeding, "from picture to picture", psi=1.0, seconds=None)
    sights.add_argument("--seeds", required=True, metavar="LIST", help=f"{SOURCES}; in this order")
    sights.add_argument(
        "--seed-sec", type=finite, default=5.0, metavar="SEC", help="from one to the next (default: %(default)g)"
    )
    sights.add_argument(
        "--interp-type", default="spherical", choices=list(walks.INTERPOLATIONS), help="(default: %(default)s)"
    )
    cli.add_switch(sights, "--interp-in-z", help="in z instead of w")
    _add_ease(sights, "linear")
    cli.add_switch(sights, "--smooth", help="the same as --ease=smooth")
    cli.add_switch(sights, "--no-loop", help="end at the last instead of going back to the first")

    circular = _film(commands, "circular-video", circular_video, "circles in planes of z", psi=1.0)
    circular.add_argument("--seed", "--seeds", required=True, metavar="N", help="of the choice of planes")
    add_grid(circular, 3, 2)
    circular.add_argument(
        "--radius", type=finite, default=10.0, metavar="R", help="of the circles (default: %(default)g)"
    )

    truncation = _film(commands, "truncation-video", truncation_video, "the same pictures at all psi", seconds=10.0)
    truncation.add_argument("--seeds", required=True, metavar="LIST", help=SOURCES)
    truncation.add_argument(
        "--psi",
        default="-1..1",
        metavar="FROM..TO",
        help="there and back; in place of --truncation-psi (default: %(default)s)",
    )
    add_grid(truncation)
    _add_ease(truncation, "smooth")
    cli.add_switch(truncation, "--no-loop", help="there, but not back")

    noise = _film(commands, "noise-video", noise_video, "the same pictures while their noise moves", seconds=10.0)
    noise.add_argument("--seeds", required=True, metavar="LIST", help=SOURCES)
    add_grid(noise)
    noise.add_argument("--turns", type=int, default=3, metavar="N", help="how lively, from 1 on (default: %(default)s)")


def _film(commands, name, run, text, psi=None, seconds=30.0):
    parser = commands.add_parser(name, help=f"film: {text}", allow_abbrev=False)
    add_drawing_options(parser, psi, "const", ", since noise that stays put lets the eye follow what moves")
    add_film_options(parser, seconds)
    parser.add_argument(
        "--format",
        default="mp4",
        choices=list(video.FORMATS),
        help="H.264, VP9, GIF, or a folder of frames (default: %(default)s)",
    )
    cli.add_switch(parser, "--force", help="write over a film of the same name in --outdir")
    parser.set_defaults(run=run)
    return parser


def _add_walk(parser):
    parser.add_argument(
        "--smoothing-sec",
        type=finite,
        metavar="SEC",
        help=f"of the walk; less is livelier (default: {SMOOTHING_SEC:g}; a tenth of films under {SHORT_SEC:g})",
    )


def _add_ease(parser, default):
    parser.add_argument(
        "--ease", default=default, choices=list(walks.EASINGS), help="how to leave and arrive (default: %(default)s)"
    )


# The commands: check what can be checked, open the network, make the film -------------------------------------------


def lerp_video(args):
    """Walks through latents, one in each cell."""
    seeds, frames = parse_seeds(args.seeds), _frames(args)
    if args.slowdown < 1 or args.slowdown & (args.slowdown - 1):
        raise UserError(f"--slowdown={args.slowdown} must be a power of two: 1, 2, 4, 8 …")
    sigma = _sigma(args, frames)
    painter = _open(args)
    from tf_stylegan.pictures import films

    film = films.lerp_film(painter, seeds, frames, sigma, args.grid_w, args.grid_h, args.slowdown, args.free_walk)
    _record(args, film, f"{film.columns}x{film.rows}-lerp-{args.slowdown}xslowdown")


def style_mixing_video(args):
    """Walks whose styles are mixed into pictures that stand."""
    seeds, frames = parse_seeds(args.row_seed, "--row-seed"), _frames(args)
    columns = parse_keyframes(args.col_seeds, "--col-seeds")
    if args.col_styles is not None:
        parse_styles(args.col_styles)
    sigma = _sigma(args, frames)
    painter = _open(args)
    from tf_stylegan.pictures import films
    from tf_stylegan.pictures.sources import sources_of

    styles = styles_of(args, painter)
    columns = sources_of(painter, list(dict.fromkeys(columns)))
    film = films.style_mixing_film(painter, seeds, columns, styles, frames, sigma, args.only_stylemix)
    _record(args, film, f"{len(columns)}x{len(seeds)}-style-mixing")


def sightseeding(args):
    """Goes from picture to picture."""
    keyframes = parse_keyframes(args.seeds)
    files = [keyframe for keyframe in keyframes if isinstance(keyframe, str)]
    if args.interp_in_z and files:
        raise UserError(f"--interp-in-z goes from seed to seed, but {files[0]} holds w; leave one of the two out")
    steps = walks.frame_count(args.seed_sec, args.fps, "--seed-sec")
    painter = _open(args)
    from tf_stylegan.pictures import films
    from tf_stylegan.pictures.sources import sources_of

    if not painter.has_w and not args.interp_in_z:
        raise UserError("a ProGAN has no intermediate latents w to walk through; add --interp-in-z")
    points = keyframes if args.interp_in_z else sources_of(painter, keyframes)
    ease = "smooth" if args.smooth else args.ease
    film = films.sightseeding_film(
        painter, points, steps, args.interp_type, args.interp_in_z, ease, not args.no_loop
    )  # fmt: skip
    names = [str(point) if args.interp_in_z else point.name for point in points]
    name = "-".join(names)
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"{names[0][:30]}-and-{len(names) - 1}-more"
    _record(args, film, f"{name}-sightseeding")


def circular_video(args):
    """Goes around circles in planes of z."""
    seeds, frames = parse_seeds(args.seed, "--seed"), _frames(args)
    if len(seeds) > 1:
        raise UserError(f"--seed={args.seed} must be one number")
    if args.radius == 0:
        raise UserError("--radius=0 is no circle")
    if abs(args.radius) > _MOST_RADIUS:
        raise UserError(f"--radius={args.radius:g} is too large; it can be up to {_MOST_RADIUS}")
    painter = _open(args)
    from tf_stylegan.pictures import films

    film = films.circular_film(painter, seeds[0], frames, args.grid_w, args.grid_h, args.radius)
    _record(args, film, f"{film.columns}x{film.rows}-circular")


def truncation_video(args):
    """Takes pictures through a range of psi."""
    keyframes, frames = parse_keyframes(args.seeds), _frames(args)
    first, last = ends_of(args.psi, "--psi")
    if args.truncation_psi is not None:
        raise UserError("truncation-video goes through --psi=FROM..TO; leave --truncation-psi out")
    painter = _open(args)
    from tf_stylegan.pictures import films
    from tf_stylegan.pictures.sources import sources_of

    sources = sources_of(painter, _counted_on(keyframes, args))
    film = films.truncation_film(
        painter, sources, frames, first, last, args.grid_w, args.grid_h, args.ease, not args.no_loop
    )  # fmt: skip
    _record(args, film, f"{film.columns}x{film.rows}-truncation")


def noise_video(args):
    """Moves the noise of pictures."""
    keyframes, frames = parse_keyframes(args.seeds), _frames(args)
    if not 1 <= args.turns <= 16:
        raise UserError(f"--turns={args.turns} must be from 1 to 16")
    painter = _open(args)
    from tf_stylegan.pictures import films
    from tf_stylegan.pictures.sources import sources_of

    sources = sources_of(painter, _counted_on(keyframes, args))
    film = films.noise_film(painter, sources, frames, args.grid_w, args.grid_h, args.turns)
    _record(args, film, f"{film.columns}x{film.rows}-noise")


def _counted_on(keyframes, args):
    """One seed and a grid's size: the seeds from it on, one a cell, as in lerp-video."""
    from tf_stylegan.pictures.films import grid_of

    return grid_of(keyframes, args.grid_w, args.grid_h)[0] if isinstance(keyframes[0], int) else keyframes


def _frames(args):
    return walks.frame_count(args.duration_sec, args.fps)


def _sigma(args, frames):
    """Smoothing in frames."""
    seconds = args.smoothing_sec
    if seconds is None:
        seconds = SMOOTHING_SEC * min(args.duration_sec / SHORT_SEC, 1)
    return walks.smoothing_frames(seconds, frames, args.fps)


def _open(args):
    video.check_film(args.format, None, args.fps, args.bitrate)  # before TensorFlow's seconds
    return open_painter(args)


def _record(args, film, name):
    check_film(args, film, args.format)
    name += video.FORMATS[args.format].ending
    if args.outdir:  # other folders are new
        check_free(os.path.join(args.outdir, name), "--outdir", args.force, is_folder=args.format == "png")
    with output_folder(args) as folder:
        record_film(args, film, args.format, os.path.join(folder, name))
