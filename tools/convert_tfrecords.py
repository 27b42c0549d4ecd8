"""Makes and looks at data sets of TFRecords: `python tools/convert_tfrecords.py --help`."""

import argparse
import os
import sys

from tf_stylegan import cli
from tf_stylegan.errors import UserError

_EPILOG = """examples:
  %(prog)s create_from_images datasets/cats ~/photos/cats --crop --resize=256
  %(prog)s create_digits datasets/digits
  %(prog)s create_cifar10 datasets/cifar10 ~/downloads/cifar-10-batches-py
  %(prog)s display datasets/cats --out=cats.png
  %(prog)s info datasets/cats
  %(prog)s unpack datasets/cats cats-png
  %(prog)s pack cats-png datasets/cats2 --num-validation=1000 --seed=1

Every command has its own --help.  Train on the result with
  python -m tf_stylegan.run_training --data-dir=datasets --dataset=cats --config=config-f"""

_LABELS_HELP = """label file: JSON {"labels": [["path", 3], ...]} or {"path": 3, ...}, or CSV path,label;
                     a label is a class number or numbers; paths are relative to IMAGE_DIR"""

_RECORDS = ("TFRECORD_DIR", "folder of the data set, e.g. datasets/cats")
_REPLACE = "replace a data set that is there"


def build_parser():
    """The command line, as an ArgumentParser."""
    parser = cli.ArgumentParser(
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

    _add_create_from_images(command)
    p = command("create_digits", "Make the demo set: 1,797 handwritten digits, 32x32, from scikit-learn.", _RECORDS)
    _add_force(p, _REPLACE)
    _add_looking(command)
    _add_unpacking(command)
    _add_importers(command)
    _add_hdf5(command)
    return parser


def _add_create_from_images(command):
    p = command(
        "create_from_images", "Convert a folder of images.", _RECORDS, ("IMAGE_DIR", "images, in sub-folders too")
    )
    _add_flag(p, "--shuffle", True, "write in a fixed random order (1)")
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
    p.add_argument("--labels", metavar="FILE", dest="label_file", help=" ".join(_LABELS_HELP.split()))
    _add_flag(p, "--ignore-labels", False, "leave out the labels of IMAGE_DIR/dataset.json, which are taken otherwise")
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read instead of stopping")
    p.add_argument("--threads", type=int, metavar="N", dest="num_threads", help="decoding threads (all cores)")
    _add_force(p, _REPLACE)


def _add_looking(command):
    p = command("display", "Write a contact sheet as PNG (no screen needed).", _RECORDS)
    p.add_argument("--out", default="grid.png", metavar="PNG", help="file to write (grid.png)")
    p.add_argument("--count", type=int, default=64, help="images on the sheet (64)")
    p.add_argument("--start", type=int, default=0, help="number of the first image (0)")
    p.add_argument("--resolution", type=int, metavar="N", help="of each image (the largest that fits 4096 pixels)")

    p = command(
        "extract", "Write all images as PNG files.", _RECORDS, ("OUTPUT_DIR", "folder for img00000000.png, ...")
    )
    p.add_argument("--resolution", type=int, metavar="N", help="of the images (the full one)")
    _add_force(p, "write into a folder that is not empty")

    p = command("info", "Print resolution, images, labels and files, and check every record of every file.", _RECORDS)
    p.add_argument("--quick", action="store_true", help="check the number and size of records, not all of their data")

    p = command(
        "compare",
        "Compare two data sets; exit code 1 when they differ.",
        ("TFRECORD_DIR_A", "a data set"),
        ("TFRECORD_DIR_B", "another"),
    )
    _add_flag(p, "--ignore-labels", False, "compare the images only")


def _add_unpacking(command):
    p = command("unpack", "Write all images as PNG files, with labels in dataset.json, for `pack`.")
    _add_folders(p, tfrecord_dir=_RECORDS[1], output_dir="folder for 00000/img00000000.png, ...; empty or new")
    p.add_argument("--resolution", type=int, metavar="N", help="scale to NxN (as they are)")
    p.add_argument(
        *_both("--resize-filter"),
        choices=["lanczos", "box"],
        default="lanczos",
        help="for --resolution; box is the exact mean when shrinking by a whole number (lanczos)",
    )

    p = command("pack", "Make a data set, with labels, of an unpacked folder.")
    _add_folders(p, unpacked_dir="folder that `unpack` or `extract` wrote", tfrecord_dir="folder of the new data set")
    _add_number(p, "--num-train", None, "images to train with (all that are not for validation)")
    _add_number(p, "--num-validation", 0, "images for a validation set, validation-... in the same folder (0)")
    _add_flag(p, "--mirror", False, "add every training image mirrored (0)")
    _add_number(p, "--seed", None, "deal the images out in this random order (in the order of their numbers)")
    _add_force(p, _REPLACE)

    p = command("extract_brecahad_crops", "Cut BreCaHAD's images into squares, as PNG files for create_from_images.")
    _add_folders(p, brecahad_dir="folder of the .tif files", output_dir="folder for 0000.png, ...; empty or new")
    p.add_argument("--cropsize", type=int, default=256, help="256, or 512 for squares that overlap by half (256)")


def _add_importers(command):
    def importer(name, summary, folder):
        p = command(name, summary, _RECORDS, folder)
        _add_force(p, _REPLACE)
        return p

    mnist = ("MNIST_DIR", "folder of train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz")
    importer("create_mnist", "Import MNIST, 32x32 with a black margin.", mnist)
    p = importer("create_mnistrgb", "Import three digits of MNIST at a time, one in each channel.", mnist)
    _add_number(p, "--num-images", 1_000_000, "how many (1000000)")
    _add_number(p, "--random-seed", 123, "which digits (123)")
    p = importer("create_cifar10", "Import CIFAR-10.", ("CIFAR10_DIR", "folder of data_batch_1 to data_batch_5"))
    _add_flag(p, "--ignore-labels", False, "leave the labels out")
    importer("create_cifar100", "Import CIFAR-100 with its fine labels.", ("CIFAR100_DIR", "folder of the file train"))
    importer("create_svhn", "Import SVHN's cropped digits.", ("SVHN_DIR", "folder of train_32x32.mat"))
    p = importer(
        "create_celeba", "Import CelebA's aligned faces, 128x128.", ("CELEBA_DIR", "folder of img_align_celeba_png")
    )
    p.add_argument("--cx", type=int, default=89, help="centre of the square, from the left (89)")
    p.add_argument("--cy", type=int, default=121, help="centre of the square, from the top (121)")
    lsun = ("LMDB_DIR", "folder of one category, e.g. bedroom_train_lmdb")
    p = importer("create_lsun", "Import one category of LSUN, the central square of each image.", lsun)
    _add_number(p, "--resolution", 256, "height and width (256)")
    _add_number(p, "--max-images", None, "stop after so many (all)")
    p = importer("create_lsun_wide", "Import one category of LSUN as wide images on black squares.", lsun)
    _add_number(p, "--width", 512, "of the images and the squares (512)")
    _add_number(p, "--height", 384, "of the images (384)")
    _add_number(p, "--max-images", None, "stop after so many (all)")


def _add_hdf5(command):
    archive = ("HDF5_FILENAME", "archive, e.g. celeba-hq-1024x1024.h5")
    p = command("create_from_hdf5", "Import an HDF5 archive of ProGAN's time.", _RECORDS, archive)
    _add_flag(p, "--shuffle", True, "write in a fixed random order (1)")
    _add_force(p, _REPLACE)
    for name, summary, source in (
        ("convert_to_hdf5", "Write a data set as such an archive.", _RECORDS),
        (
            "hdf5_from_images",
            "Write a folder of images as such an archive.",
            ("IMAGE_DIR", "square images of one size"),
        ),
    ):
        p = command(name, summary, archive, source)
        _add_flag(p, "--compress", False, "gzip the images, which is slow (0)")
        _add_force(p, "replace an archive that is there")


def _both(name):
    """An option's two spellings: with hyphens, and with underscores as the original tool has it."""
    return dict.fromkeys((name, "--" + name[2:].replace("-", "_")))


def _add_number(parser, name, default, text):
    parser.add_argument(*_both(name), type=int, default=default, metavar="N", help=text)


def _add_flag(parser, name, default, text):
    """A yes or no as the original tool takes it, `--mirror=1`, or just `--mirror`."""
    cli.add_switch(parser, *_both(name), default=default, help=text)


def _add_force(parser, text):
    parser.add_argument("--force", action="store_true", help=text)


def _add_folders(parser, **folders):
    """Folders that are given one after the other, or as options, as stylegan2-ada has it."""
    parser.add_argument("folders", nargs="*", help=argparse.SUPPRESS)
    for name, text in folders.items():
        parser.add_argument(*_both(f"--{name.replace('_', '-')}"), metavar="DIR", help=text)
    parser.usage = f"%(prog)s {' '.join(name.upper() for name in folders)} [options]"
    parser.set_defaults(folder_names=list(folders))


def _take_folders(arguments):
    given, names = arguments.pop("folders"), arguments.pop("folder_names")
    for name in names:
        if arguments[name] is None and given:
            arguments[name] = given.pop(0)
    missing = [name.upper() for name in names if arguments[name] is None]
    if missing or given:
        what = f"{' and '.join(missing)} missing" if missing else f"what is {given[0]!r}?"
        raise UserError(f"{arguments['command']} takes {' and '.join(name.upper() for name in names)}: {what}")


def main(argv=None):
    """Parses the command line and calls one function of `tf_stylegan.data`; returns the exit code."""
    arguments = vars(build_parser().parse_args(argv))
    if "folders" in arguments:
        _take_folders(arguments)
    # Nothing here computes: leave the GPUs to a training that may be running, and the terminal to the progress bar.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cli.load_tensorflow()
    # Late: TensorFlow reads the above, and --help need not wait for it.
    from tf_stylegan.data import convert, image_files, inspect, unpack
    from tf_stylegan.data.importers import brecahad, celeba, cifar, hdf5, lsun, mnist, svhn

    image_files.hush_pillow()
    functions = {
        "create_from_images": convert.create_from_images,
        "create_digits": convert.create_digits,
        "display": inspect.display,
        "extract": unpack.extract,
        "info": inspect.describe,
        "compare": inspect.compare,
        "unpack": unpack.unpack,
        "pack": unpack.pack,
        "extract_brecahad_crops": brecahad.extract_brecahad_crops,
        "create_mnist": mnist.create_mnist,
        "create_mnistrgb": mnist.create_mnistrgb,
        "create_cifar10": cifar.create_cifar10,
        "create_cifar100": cifar.create_cifar100,
        "create_svhn": svhn.create_svhn,
        "create_celeba": celeba.create_celeba,
        "create_lsun": lsun.create_lsun,
        "create_lsun_wide": lsun.create_lsun_wide,
        "create_from_hdf5": hdf5.create_from_hdf5,
        "convert_to_hdf5": hdf5.convert_to_hdf5,
        "hdf5_from_images": hdf5.hdf5_from_images,
    }
    name = arguments.pop("command")
    result = functions[name](**arguments)
    return result if name == "compare" else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
