"""Where the latent commands write: options, checks before anything is drawn, and the paths (F6)."""

import contextlib
import os

from tf_stylegan import cli
from tf_stylegan.commands.options import check_free, output_folder
from tf_stylegan.errors import UserError
from tf_stylegan.pictures.sheets import FORMATS


def add_file(parser, option, text):
    """An option that asks for a file, and may name it."""
    parser.add_argument(option, nargs="?", const="", metavar="FILE", help=text)


def add_out(parser, stem):
    """Options of a command that writes latents and their picture."""
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"latents to write, for --dlatents; the picture goes beside (default: {stem}.npz in the results' folder)",
    )
    parser.add_argument("--format", default="png", choices=list(FORMATS), help="of the picture (default: %(default)s)")
    add_force(parser)


def add_force(parser):
    """The option that lets results take the place of files."""
    cli.add_switch(parser, "--force", help="write over files that are there already, but never over one that is read")


def endings(names):
    """Words for the endings of files: `.png, .jpg or .webp`."""
    *first, last = (f".{name}" for name in names)
    return f"{', '.join(first)} or {last}"


def form_of(path, option, forms, default):
    """The format of a file by its ending, one of `forms`; `default` where it has no name of its own."""
    if not path:
        return default
    form = os.path.splitext(path)[1][1:].lower()
    if form not in forms:
        raise UserError(f"{option}={path} must end in {endings(forms)}")
    check_place(path)
    return form


def check_out(path):
    """UserError unless `--out`, if it is given, can be a file of latents."""
    if path is not None:
        if not path.lower().endswith(".npz"):
            raise UserError(f"--out={path} must end in .npz")
        check_place(path)


def check_results(args, inputs, wanted):
    """UserError for results that would take the place of files, see `check_free`; before the network is opened.

    Args:
        inputs: files that are read; what is no name of one is passed over.
        wanted: see `places_of`.
    """
    inputs = [args.network, *(name for name in inputs if isinstance(name, str))]
    for option, (path, name) in wanted.items():
        if path:
            beside = "--out, beside which it would go"
            check_free(path, beside if option == "picture" else f"--{option}", args.force, inputs)
        elif path is not None and args.outdir:  # other folders are new
            check_free(os.path.join(args.outdir, name), "--outdir", args.force, inputs)


def with_picture(args, keyframes, stem):
    """What `places_of` wants for latents and their picture, which goes beside `--out`; both are checked."""
    check_out(args.out)
    beside = ""
    if args.out is not None:
        beside = f"{os.path.splitext(args.out)[0]}.{args.format}"
        check_place(beside)
    wanted = {"out": (args.out or "", f"{stem}.npz"), "picture": (beside, f"{stem}.{args.format}")}
    check_results(args, keyframes, wanted)
    return wanted


def check_place(path):
    """UserError, before anything is drawn, for a file that cannot be written."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise UserError(f"could not write {path}: there is no folder {folder}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"could not write {path}: it is {'a folder' if os.path.isdir(path) else 'a device'}")
    if not os.access(folder, os.W_OK):
        raise UserError(f"could not write {path}: no permission")


@contextlib.contextmanager
def places_of(args, wanted):
    """Paths of what is to be written, by option; yields those that were asked for.

    Args:
        wanted: {option: (its value, a name in the folder for results where the value is "")}; None was not asked for.
    """
    wanted = {option: pair for option, pair in wanted.items() if pair[0] is not None}
    if all(path for path, _ in wanted.values()):
        yield {option: path for option, (path, _) in wanted.items()}
        return
    with output_folder(args) as folder:
        places = {option: path or os.path.join(folder, name) for option, (path, name) in wanted.items()}
        for path in places.values():
            check_place(path)  # all of them, rather than half a result
        yield places
