"""`python -m tf_stylegan.run_training`: trains a network on a data set of TFRecords."""

import argparse
import dataclasses
import sys

from absl import app, flags, logging

from tf_stylegan import cli
from tf_stylegan.config import Options, check_options
from tf_stylegan.errors import UserError

_HELP = {
    "data_dir": (str, "folder of data sets (required, unless a run is resumed)"),
    "dataset": (str, "data set in that folder (required, unless a run is resumed)"),
    "config": (str, "config-a to config-f, or config-e-G{orig,skip,resnet}-D{orig,skip,resnet}"),
    "result_dir": (str, "where run directories are made"),
    "num_gpus": (int, "number of GPUs, any"),
    "total_kimg": (float, "length of training, in thousands of images shown"),
    "gamma": (float, "R1 weight; default: the config's"),
    "mirror_augment": (cli.boolean, "mirror half of the images"),
    "metrics": (str, "none is all there is"),
    "minibatch_size": (int, "images per step over all GPUs; default: the config's, 32"),
    "minibatch_gpu": (int, "images per GPU at a time, the rest by accumulation; default: the config's, 4"),
    "fmap_base": (int, "width of the layers; default: the config's, 16384 or 8192"),
    "fmap_max": (int, "largest width"),
    "latent_size": (int, "width of z, of w and of the mapping layers"),
    "mapping_layers": (int, "depth of the mapping network"),
    "ema_kimg": (float, "half-life of the moving average of G, in thousands of images"),
    "tick_kimg": (float, "length of a tick, in thousands of images; default: by resolution"),
    "lod_training_kimg": (float, "configs a-d: thousands of images at each resolution before the next fades in"),
    "lod_transition_kimg": (float, "configs a-d: thousands of images while a resolution fades in"),
    "resolution": (int, "train on this smaller resolution of the data set"),
    "max_images": (int, "use only the first so many images"),
    "keep_checkpoints": (int, "how many checkpoints to keep; one is written at every tick"),
    "image_snapshot_ticks": (int, "ticks between sheets of pictures"),
    "network_snapshot_ticks": (int, "ticks between network pickles"),
    "precision": (str, "of the features inside the networks: float32, bfloat16, or float16 with loss scaling"),
    "seed": (int, "of everything random"),
    "cond": (cli.boolean, "train on the labels of the data set, if it has any"),
}


def parse_args(argv):
    parser = cli.FlagsParser(prog="run_training", description=__doc__, allow_abbrev=False)
    for field in dataclasses.fields(Options):
        kind, text = _HELP[field.name]
        if field.default not in (dataclasses.MISSING, None):
            text += f" (default: {field.default})"
        kwargs = {"nargs": "?", "const": True} if kind is cli.boolean else {}
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            default=argparse.SUPPRESS,
            metavar={cli.boolean: "BOOL", str: "NAME", int: "N", float: "X"}[kind],
            help=text,
            **kwargs,
        )
    parser.add_argument(
        "--resume",
        metavar="PATH|latest",
        help="go on with a run: its folder, one of its checkpoints, or 'latest': the newest of the data set and config "
        "that are given; or start a new run from the networks in a file (network-*.pkl, of any origin)",
    )
    parser.add_argument(
        "--resume-kimg",
        type=float,
        metavar="X",
        help="with a file of networks: where counting starts, in thousands of images, which decides how far configs "
        "a-d have grown (default: 0, or where such a config has grown as far as the file's networks)",
    )
    parser.add_argument(
        "--resume-partial",
        action="store_true",
        help="with a file of networks: copy what fits and start the rest afresh, for another resolution, other "
        "channels, labels or widths",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the resolved configuration and stop")
    return parser.parse_args(argv[1:])


def run(args):
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(Options) if field.name in args}
    if given.get("dataset", "").strip("/"):
        given["dataset"] = given["dataset"].rstrip("/")  # which the shell completes
    if args.resume == "":
        raise UserError("--resume= is empty: give a run, a checkpoint or a file of networks, or leave it out")
    missing = [name for name in ("data_dir", "dataset") if name not in given]
    if missing and not args.resume:
        raise UserError(f"--{missing[0].replace('_', '-')} is needed (or --resume to go on with a run)")
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # TensorFlow has much to say about its replicas
    options = Options(**{"data_dir": "", "dataset": "", **given})
    if not args.resume:
        check_options(options)
    cli.load_tensorflow()  # after parsing: --help need not wait for it
    from tf_stylegan.training.loop import train

    train(options, given, args.resume, args.dry_run, args.resume_kimg, args.resume_partial)


def main(args):
    return cli.run(run, args)


if __name__ == "__main__":
    sys.exit(app.run(main, flags_parser=parse_args))
