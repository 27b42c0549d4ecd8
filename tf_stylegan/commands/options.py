"""What the commands of run_generator share: options, opening the network, where the results go (F6)."""

import argparse
import contextlib
import math
import os
import sys

from tqdm import tqdm

from tf_stylegan import cli, files
from tf_stylegan.errors import UserError

NOISE_MODES = {
    "seed": "part of the seed, as in NVlabs/stylegan2",
    "const": "as stored in the network, as in stylegan2-ada-pytorch",
    "random": "new for each picture",
    "none": "no noise",
}


def finite(text):
    """A number that is neither NaN nor infinite."""
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no finite number")


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
        help="network pickle of any generation, its address, or a known name",
    )
    default = "the network's own (StyleGAN2 0.5)" if truncation_psi is None else "%(default)s"
    parser.add_argument(
        *("--truncation-psi", "--trunc"),
        type=finite,
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
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "float16"],
        help="of the features inside the network: bfloat16 is faster where the machine has it, float16 on GPUs",
    )
    folder = parser.add_mutually_exclusive_group()
    parser.set_defaults(usual_psi=truncation_psi)
    folder.add_argument("--outdir", metavar="DIR", help="write into this folder")
    folder.add_argument(
        "--result-dir", default="results", metavar="DIR", help="make a numbered folder in here (default: %(default)s)"
    )


def open_painter(args):
    """Painter of the network and the drawing options of a command; every mistake in them shows here."""
    from tf_stylegan.download import local_path
    from tf_stylegan.legacy import pickle_io

    if args.outdir is not None:
        _check_folder("--outdir", args.outdir)
    network = local_path(args.network)
    if not os.fspath(network).endswith((".npz", ".keras")):
        pickle_io.read(network)  # a look at the file takes no time; TensorFlow, needed from here on, takes seconds
    cli.load_tensorflow()
    from tf_stylegan.legacy.networks import load_generator
    from tf_stylegan.pictures.painter import Painter

    Gs = load_generator(network, args.precision)
    painter = Painter(Gs, args.truncation_psi, args.truncation_cutoff, args.noise_mode, args.class_index)
    if Gs.label_size and args.class_index is None:
        note(f"this network has {Gs.label_size} classes; choose one with --class.")
    if not painter.has_w and (args.truncation_psi not in (None, args.usual_psi) or args.truncation_cutoff is not None):
        note("a ProGAN has no truncation: --truncation-psi and --truncation-cutoff change nothing.")
    return painter


def _check_folder(option, folder):
    """UserError for a folder without a name, and for a file."""
    if not folder:
        raise UserError(f"{option}= is empty; name a folder, or leave it out")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f"{option}={folder} is a file, not a folder; choose another")


@contextlib.contextmanager
def output_folder(args):
    """Makes the folder that results go into, yields its path, and takes it away again if it stays empty by an error."""
    made = args.outdir if args.outdir and not os.path.isdir(args.outdir) else None
    if args.outdir:
        folder = args.outdir
        files.make_dir(folder)
    else:
        _check_folder("--result-dir", args.result_dir)
        folder = made = files.make_run_dir(args.result_dir, args.command)
    try:
        yield folder
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # which also means: not empty
                os.rmdir(folder)
        raise


def note(line):
    """Prints a remark on standard error: standard output is for what was made."""
    tqdm.write(f"Note: {line}", file=sys.stderr)


def say(line):
    """Prints a line on standard output, above a progress bar if there is one."""
    tqdm.write(line, file=sys.stdout)
