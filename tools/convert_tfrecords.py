"""Makes and looks at data sets of TFRecords: `python tools/convert_tfrecords.py --help`."""

import argparse
import os
import sys

from tf_stylegan import cli

_EPILOG = """examples:
  %(prog)s create_from_images datasets/cats ~/photos/cats --crop --resize=256
  %(prog)s create_digits datasets/digits
  %(prog)s display datasets/cats --out=cats.png
  %(prog)s info datasets/cats

Every command has its own --help.  Train on the result with
  python -m tf_stylegan.run_training --data-dir=datasets --dataset=cats --config=config-f"""

_LABELS_HELP = """label file: JSON {"labels": [["path", 3], ...]} or {"path": 3, ...}, or CSV path,label;
                     a label is a class number or numbers; paths are relative to IMAGE_DIR"""


def build_parser():
    """The command line, as an ArgumentParser."""
    parser = argparse.ArgumentParser(
        prog="convert_tfrecords.py",
        description="Makes, shows, checks and unpacks data sets: folders of TFRecords, one file per resolution.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, summary, *folders):
        sub = commands.add_parser(name, help=summary, description=summary)
        for folder, text in folders:
            sub.add_argument(folder.lower(), metavar=folder, help=text)
        return sub

    records = ("TFRECORD_DIR", "folder of the data set, e.g. datasets/cats")

    p = command(
        "create_from_images", "Convert a folder of images.", records, ("IMAGE_DIR", "images, in sub-folders too")
    )
    p.add_argument("--shuffle", type=_bool, default=True, metavar="BOOL", help="write in a fixed random order (1)")
    p.add_argument("--resize", type=int, metavar="N", help="scale all images to NxN, N a power of two")
    p.add_argument(
        "--resize-filter",
        choices=["auto", "box", "lanczos"],
        default="auto",
        help="auto: box (exact mean) when shrinking by a whole number, else Lanczos (auto)",
    )
    p.add_argument("--crop", action="store_true", help="cut out the central square of images that are not square")
    p.add_argument(
        "--channels", type=int, choices=[1, 3], help="1 grey, 3 colour (default: 1 when all images are grey, else 3)"
    )
    p.add_argument("--background", default="white", metavar="COLOR", help="laid under transparent pixels (white)")
    p.add_argument(
        "--class-folders", action="store_true", help="each first-level sub-folder is a class, one-hot labels"
    )
    p.add_argument("--labels", metavar="FILE", help=" ".join(_LABELS_HELP.split()))
    p.add_argument("--skip-bad", action="store_true", help="leave damaged image files out instead of stopping")
    p.add_argument("--threads", type=int, metavar="N", help="decoding threads (all cores)")
    _add_force(p, "replace a data set that is there")

    p = command("create_digits", "Make the demo set: 1,797 handwritten digits, 32x32, from scikit-learn.", records)
    _add_force(p, "replace a data set that is there")

    p = command("display", "Write a contact sheet as PNG (no screen needed).", records)
    p.add_argument("--out", default="grid.png", metavar="PNG", help="file to write (grid.png)")
    p.add_argument("--count", type=int, default=64, help="images on the sheet (64)")
    p.add_argument("--start", type=int, default=0, help="number of the first image (0)")
    p.add_argument("--resolution", type=int, metavar="N", help="of each image (the largest that fits 4096 pixels)")

    p = command("extract", "Write all images as PNG files.", records, ("OUTPUT_DIR", "folder for img00000000.png, ..."))
    p.add_argument("--resolution", type=int, metavar="N", help="of the images (the full one)")
    _add_force(p, "write into a folder that is not empty")

    command("info", "Print resolution, images, labels and files, and check every file.", records)

    p = command(
        "compare",
        "Compare two data sets; exit code 1 when they differ.",
        ("TFRECORD_DIR_A", "a data set"),
        ("TFRECORD_DIR_B", "another"),
    )
    p.add_argument(
        "--ignore-labels", "--ignore_labels", type=_bool, nargs="?", const=True, default=False, metavar="BOOL",
        help="compare the images only",
    )  # fmt: skip
    return parser


def _add_force(parser, text):
    parser.add_argument("--force", action="store_true", help=text)


def _bool(text):
    if text.lower() in ("1", "true", "t", "yes", "y"):
        return True
    if text.lower() in ("0", "false", "f", "no", "n"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither yes (1, true) nor no (0, false)")


def main(argv=None):
    """Parses the command line and calls one function of `tf_stylegan.data`; returns the exit code."""
    arguments = vars(build_parser().parse_args(argv))
    # Nothing here computes: leave the GPUs to a training that may be running, and the terminal to the progress bar.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cli.load_tensorflow()
    from tf_stylegan.data import convert, inspect  # late: TensorFlow reads the above, and --help need not wait for it

    name = arguments.pop("command")
    if name == "create_from_images":
        arguments["label_file"], arguments["num_threads"] = arguments.pop("labels"), arguments.pop("threads")
    functions = {
        "create_from_images": convert.create_from_images,
        "create_digits": convert.create_digits,
        "display": inspect.display,
        "extract": inspect.extract,
        "info": inspect.describe,
        "compare": inspect.compare,
    }
    result = functions[name](**arguments)
    return result if name == "compare" else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
