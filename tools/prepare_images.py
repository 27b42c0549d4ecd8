"""Gets folders of pictures into shape for a data set: `python tools/prepare_images.py --help`."""

import argparse
import os
import sys

from tf_stylegan import cli
from tf_stylegan.data import check, check_report, check_text, crop, image_files, labels, prepare, resize
from tf_stylegan.data.words import say
from tf_stylegan.errors import UserError

_ENDINGS = {"--json": ".json", "--report": (".html", ".htm")}

_EPILOG = """examples:
  %(prog)s check photos/cats --report=cats.html
  %(prog)s prepare photos/cats cats-256 --size=256 --crop=smart --drop-duplicates
  %(prog)s check cats-256

Every command has its own --help.  Make a data set of the result with
  python tools/convert_tfrecords.py create_from_images datasets/cats cats-256"""

_CHECK = """Reads every picture below DIR and lists what is wrong with it, or worth knowing.
Exit code 1 when something must be fixed: what cannot be read, what is smaller than --min-size (prepare would leave it
out), and without --size what create_from_images would refuse; prepare makes all pictures square and of that size."""

_PREPARE = """Writes every picture below SRC as a PNG file, upright, in 8-bit sRGB, square and of one size, to the same
sub-folders of DST. SRC is only read. An interrupted run goes on when it is started again."""


def build_parser():
    """The command line, as an ArgumentParser."""
    parser = cli.ArgumentParser(
        prog="prepare_images.py",
        description="Checks folders of pictures, and makes sets of equal squares of them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    p = commands.add_parser("check", help="List what is wrong with a folder of pictures.", description=_CHECK)
    p.add_argument("folder", metavar="DIR", help="pictures, in sub-folders too")
    p.add_argument("--size", type=int, metavar="N", help="judge the pictures as they are to be scaled to NxN")
    p.add_argument(
        "--min-size", type=int, default=check.MIN_SIZE, metavar="N",
        help=f"pixels that the shorter side must have ({check.MIN_SIZE})",
    )  # fmt: skip
    _add_distance_and_blur(p)
    p.add_argument("--all", action="store_true", help="list every finding, not the first ten of a kind")
    p.add_argument("--json", metavar="FILE", help="write all findings to FILE, for programs")
    p.add_argument("--report", metavar="HTML", help="write a page with thumbnails, one file, for a browser")
    _add_threads(p)

    p = commands.add_parser("prepare", help="Make squares of one size.", description=_PREPARE)
    p.add_argument("source", metavar="SRC", help="pictures, in sub-folders too")
    p.add_argument("target", metavar="DST", help="folder to write")
    p.add_argument("--size", type=int, metavar="N", help="scale to NxN, N a power of two (sizes are kept)")
    p.add_argument(
        "--crop", choices=crop.METHODS, default="center",
        help="center: the middle square; smart: the square with most detail; pad: bars of --background; none: the "
        "shape is kept, and --size is the shorter side (center)",
    )  # fmt: skip
    p.add_argument(
        "--filter", choices=resize.FILTERS, default="auto",
        help="box: mean of blocks; area: mean of areas; auto: box when shrinking by a whole number, else Lanczos. "
        "FFHQ at 256x256 must be made by box or auto (auto)",
    )  # fmt: skip
    p.add_argument(
        "--drop-duplicates", action="store_true",
        help="of pictures that are equal, or alike by --distance, keep the one of most pixels",
    )  # fmt: skip
    p.add_argument("--drop-blurred", action="store_true", help="leave out what is blurred or flat by --blur")
    _add_distance_and_blur(p)
    p.add_argument(
        "--min-size",
        type=int,
        default=check.MIN_SIZE,
        metavar="N",
        help=f"leave out pictures whose shorter side is smaller ({check.MIN_SIZE})",
    )
    p.add_argument(
        "--background", default="white", metavar="COLOR", help="under transparent pixels, and of bars (white)"
    )
    p.add_argument(
        "--labels", metavar="FILE",
        help="label file, JSON or CSV as for create_from_images (SRC/dataset.json, if any); DST/dataset.json will "
        "hold the labels of the pictures that stay",
    )  # fmt: skip
    p.add_argument("--skip-bad", action="store_true", help="leave unreadable pictures out instead of stopping")
    p.add_argument(
        "--force", action="store_true",
        help="begin afresh, beside what else is in DST: all that prepare has made there is replaced, once the new is "
        "complete; other files stay, and one that is in the way is an error",
    )  # fmt: skip
    _add_threads(p)
    return parser


def _add_distance_and_blur(parser):
    parser.add_argument(
        "--distance", type=_distance, default=check.DISTANCE, metavar="BITS",
        help="near duplicates differ in at most so many of their hash's 63 bits; off: exact duplicates only "
        f"({check.DISTANCE})",
    )  # fmt: skip
    parser.add_argument(
        "--blur", type=float, default=check.SHARPNESS, metavar="X",
        help="blurred is what has a smaller variance of the Laplacian at 256 pixels; 0 for nothing "
        f"({check.SHARPNESS:g})",
    )  # fmt: skip


def _add_threads(parser):
    parser.add_argument("--threads", type=int, metavar="N", help="how many to use (all cores)")


def _distance(text):
    if text.lower() in ("off", "none"):
        return None
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of bits nor off") from error


def main(argv=None):
    """Parses the command line and calls `tf_stylegan.data.check` or `prepare`; returns the exit code."""
    arguments = vars(build_parser().parse_args(argv))
    image_files.hush_pillow()
    arguments["num_threads"] = arguments.pop("threads")
    if arguments.pop("command") == "prepare":
        arguments["resize_filter"], arguments["label_file"] = arguments.pop("filter"), arguments.pop("labels")
        prepare.prepare(**arguments)
        return 0
    show_all, json_file, report = (arguments.pop(name) for name in ("all", "json", "report"))
    for option, file in (("--json", json_file), ("--report", report)):
        _check_writable(option, file, arguments["folder"])
    if json_file and report and os.path.realpath(json_file) == os.path.realpath(report):
        raise UserError(f"--json and --report are the same file, {report}; give each a name of its own")
    result = check.check(**arguments)
    print(check_text.to_text(result, show_all))
    if json_file:
        check_text.write_json(json_file, result)
    if report:
        check_report.write_report(report, result, arguments["num_threads"])
        say(f"page: {report}")
    return 1 if result.num_must_fix else 0


def _check_writable(option, file, pictures):
    """Raises UserError now for what could not be written when all pictures have been read, or is one of their files."""
    folder = os.path.dirname(os.path.abspath(file or ""))
    if file and (os.path.isdir(file) or not os.path.isdir(folder) or not os.access(folder, os.W_OK)):
        raise UserError(f"{option}={file}: not a file that can be written; give a name in a folder that is there")
    inside = os.path.realpath(file or "").startswith(os.path.join(os.path.realpath(pictures), ""))
    ours = (file or "").lower().endswith(_ENDINGS[option]) and os.path.basename(file) != labels.FILE
    if file and inside and os.path.lexists(file) and not ours:
        raise UserError(f"{option}={file} is a file of {pictures}, which is only read; choose another name")


if __name__ == "__main__":
    sys.exit(cli.run(main))
