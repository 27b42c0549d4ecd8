"""What the commands of run_generator share: options, opening the network, films, where the results go (F6)."""

import argparse
import contextlib
import math
import os
import sys

from tqdm import tqdm

from tf_stylegan import cli, files
from tf_stylegan.errors import UserError
from tf_stylegan.pictures import video
from tf_stylegan.pictures.latents import NOISE_MODES
from tf_stylegan.pictures.sheets import check_memory

SOURCES = "seeds, or files of latents (.npz, .npy), such as 4,9,photo.npz"
STYLES = (
    "numbers, ranges, coarse (0-3: 4²-8²), middle (4-7: 16²-32²), fine (from 8 on: 64² and up), as StyleGAN counts "
    "them; in StyleGAN2 each resolution begins one style earlier"
)
MOST = 1000  # of psi and strengths: pictures are long gone there
DECODED_PIXELS = 4096 * 2304  # level 5.2 of H.264, which is as far as most decoders go


# Kinds of values -----------------------------------------------------------------------------------------------------


def finite(text):
    """A number that is neither NaN nor infinite."""
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no finite number")


def some_psi(text):
    """A truncation psi."""
    psi = finite(text)
    if abs(psi) > MOST:
        raise argparse.ArgumentTypeError(f"{text} must be from -{MOST} to {MOST}")
    return psi


def file_name(text):
    """The name of a file, which may not be empty."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the file is empty; give one, or leave the option out")
    return text


def ends_of(text, option, single=False):
    """`"-3..3"` to (-3.0, 3.0), and with `single` `"2"` to (2.0, 2.0); UserError for anything else."""
    try:
        ends = [finite(end) for end in text.split("..")]
        first, last = ends * 2 if single and len(ends) == 1 else ends
    except (ValueError, argparse.ArgumentTypeError) as error:
        wanted = "a number, or two" if single else "two numbers"
        raise UserError(f"{option}={text} must be {wanted} with two dots between, such as -1..1") from error
    if max(abs(first), abs(last)) > MOST:
        raise UserError(f"{option}={text} must be from -{MOST} to {MOST}")
    return first, last


# Options -------------------------------------------------------------------------------------------------------------


def add_precision(parser):
    """`--precision`."""
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "float16"],
        help="of the features inside the network: bfloat16 is faster where the machine has it, float16 on GPUs",
    )


def add_drawing_options(parser, truncation_psi=None, noise_mode="seed", noise_help=""):
    """Options of everything that draws.

    Args:
        parser: of the sub-command.
        truncation_psi: default, None for the network's own.
        noise_mode: default.
        noise_help: why it is, where that is not plain.
    """
    parser.add_argument(
        *parser.network_options,
        dest="network",
        required=True,
        metavar="FILE",
        type=file_name,
        help="network pickle of any generation, its address, or a known name",
    )
    default = "the network's own (StyleGAN2 0.5)" if truncation_psi is None else "%(default)s"
    parser.add_argument(
        *("--truncation-psi", "--trunc"),
        type=some_psi,
        default=truncation_psi,
        metavar="PSI",
        help=f"1 is no truncation; default: {default}",
    )
    parser.add_argument("--truncation-cutoff", type=int, metavar="N", help="truncate only the first N styles")
    parser.add_argument("--class", dest="class_index", type=int, metavar="N", help="class of a conditional network")
    parser.add_argument(
        "--noise-mode",
        default=noise_mode,
        choices=list(NOISE_MODES),
        help="; ".join(f"{mode}: {text}" for mode, text in NOISE_MODES.items())
        + f" (default: %(default)s{noise_help})",
    )
    add_precision(parser)
    folder = parser.add_mutually_exclusive_group()
    parser.set_defaults(usual_psi=truncation_psi)
    folder.add_argument("--outdir", metavar="DIR", help="write into this folder")
    folder.add_argument(
        "--result-dir", default="results", metavar="DIR", help="make a numbered folder in here (default: %(default)s)"
    )


def add_film_options(parser, seconds=30.0, of=""):
    """`--duration-sec`, unless `seconds` is None, `--fps` and `--bitrate`; `of` says of which of several results."""
    if seconds is not None:
        parser.add_argument(
            "--duration-sec", type=finite, default=seconds, metavar="SEC", help=f"length{of} (default: %(default)g)"
        )
    parser.add_argument("--fps", type=finite, default=30, metavar="N", help="frames per second (default: %(default)g)")
    parser.add_argument("--bitrate", default="16M", help="bits per second, of mp4 and webm (default: %(default)s)")


def add_grid(parser, columns=None, rows=None, of=""):
    """`--grid-w` and `--grid-h` with their defaults; `of` says of which of several results."""
    default = " (default: %(default)s)" if columns else "; default: about as wide as high"
    parser.add_argument("--grid-w", type=int, default=columns, metavar="N", help=f"columns{of}{default}")
    parser.add_argument("--grid-h", type=int, default=rows, metavar="N", help=f"rows{of}{default}")


# The network ---------------------------------------------------------------------------------------------------------


def open_network(network, precision=None):
    """The generator of a file, an address or a known name, and TensorFlow with it.

    The file is looked at first, which takes no time; TensorFlow takes seconds.
    """
    from tf_stylegan.download import local_path
    from tf_stylegan.legacy import reading

    path = local_path(network)
    if not reading.needs_tensorflow(path):
        reading.read_records(path)
    cli.load_tensorflow()
    from tf_stylegan.legacy.networks import load_generator

    try:
        return load_generator(path, precision)
    except UserError as error:
        if precision is not None and "dtype must be one of float32;" in str(error):
            raise UserError(f"--precision={precision}: networks of this kind compute in float32 only") from error
        raise


def open_painter(args, has_seeds=True):
    """Painter of the network and the drawing options of a command; every mistake in them shows here.

    Args:
        has_seeds: whether there are seeds to draw, rather than latents from files alone, which classes do not change.
    """
    if args.outdir is not None:
        _check_folder("--outdir", args.outdir)
    Gs = open_network(args.network, args.precision)
    from tf_stylegan.pictures.painter import Painter

    painter = Painter(Gs, args.truncation_psi, args.truncation_cutoff, args.noise_mode, args.class_index)
    if has_seeds and Gs.label_size and args.class_index is None:
        note(f"this network has {Gs.label_size} classes; choose one with --class.")
    if not painter.has_w and (args.truncation_psi not in (None, args.usual_psi) or args.truncation_cutoff is not None):
        note("a ProGAN has no truncation: --truncation-psi and --truncation-cutoff change nothing.")
    return painter


def check_files_only(args, *more):
    """UserError for options that change nothing where all latents are from files.

    Args:
        more: other options than those of truncation, (name, value).
    """
    options = ("--truncation-psi", args.truncation_psi), ("--truncation-cutoff", args.truncation_cutoff), *more
    for option, value in options:
        if value is not None:
            problem = "latents from files are drawn as they are; leave one of the two out"
            raise UserError(f"{option} is for seeds: {problem}")


# Films ---------------------------------------------------------------------------------------------------------------


def check_film(args, film, form):
    """UserError for a film that cannot be written, and a note on one that few can play; before anything is drawn."""
    width, height = film.size
    video.check_film(form, film.size, args.fps, args.bitrate)
    check_memory(width * height * 30, f"a film of {width} x {height} pixels")  # some frames, and the encoder's
    if form == "mp4" and width * height > DECODED_PIXELS:
        note(f"many phones and browsers play no H.264 of {width} x {height} pixels; a smaller grid is for all.")


def record_film(args, film, form, path):
    """Draws a film into a file and says its name; `check_film` first."""
    from tf_stylegan.pictures.films import record

    with video.FilmWriter(path, args.fps, form, args.bitrate, args.force) as writer:
        record(film, writer)
    say(path)


# Results -------------------------------------------------------------------------------------------------------------


def _check_folder(option, folder):
    """UserError for a folder without a name, and for a file."""
    if not folder:
        raise UserError(f"{option}= is empty; name a folder, or leave it out")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f"{option}={folder} is a file, not a folder; choose another")


def check_free(path, option, force, inputs=(), is_folder=False):
    """UserError for a result whose name is taken, before anything heavy is done.

    A folder in the place of a file is left to whoever writes the file.

    Args:
        option: what the name is from, for messages.
        force: write over a file, but never over one of the inputs.
        inputs: names of files that the command reads; what is no file, such as an address, is passed over.
        is_folder: the result is a folder of frames, which takes the place of nothing.
    """
    if any(os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other) for other in inputs):
        raise UserError(f"{path} is one of the files that are read; choose another {option}")
    if is_folder:
        taken, hint = os.path.lexists(path), "--force writes over files only"
    else:
        taken = os.path.lexists(path) and not os.path.isdir(path) and not force
        hint = "--force writes over it"
    if taken:
        raise UserError(f"{path} is there already; remove it, or choose another {option}; {hint}")


@contextlib.contextmanager
def output_folder(args):
    """Makes the folder that results go into, yields its path; by an error, what was made and stays empty goes again."""
    if not args.outdir:
        _check_folder("--result-dir", args.result_dir)
    made = files.make_dir(args.outdir or args.result_dir)
    try:
        folder = args.outdir
        if not folder:
            folder = files.make_run_dir(args.result_dir, args.command)
            made.insert(0, folder)
        yield folder
    except BaseException:
        files.remove_empty(made)
        raise


def note(line):
    """Prints a remark on standard error: standard output is for what was made."""
    tqdm.write(f"Note: {line}", file=sys.stderr)


def say(line):
    """Prints a line on standard output, above a progress bar if there is one."""
    tqdm.write(line, file=sys.stdout)
