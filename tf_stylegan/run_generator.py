"""`python -m tf_stylegan.run_generator generate-images`: pictures from a trained network."""

import math
import os
import sys

from absl import app
from absl.flags import argparse_flags

from tf_stylegan import cli, files


def finite(text):
    """A number that is neither NaN nor infinite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def parse_args(argv):
    parser = argparse_flags.ArgumentParser(prog="run_generator", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    images = commands.add_parser("generate-images", help="one PNG per seed", allow_abbrev=False)
    images.add_argument(
        "--network",
        required=True,
        metavar="FILE",
        help="network pickle of any generation, its address, or a known name",
    )
    images.add_argument("--seeds", required=True, metavar="LIST", help="for example 0,1,66-70")
    images.add_argument(
        "--truncation-psi",
        type=finite,
        metavar="PSI",
        help="1 is no truncation; default: the network's own (StyleGAN2 0.5)",
    )
    images.add_argument("--truncation-cutoff", type=int, metavar="N", help="truncate only the first N styles")
    images.add_argument("--class", dest="class_index", type=int, metavar="N", help="class of a conditional network")
    images.add_argument(
        "--noise-mode",
        default="seed",
        choices=["seed", "const", "random", "none"],
        help="seed: part of the seed, as in NVlabs/stylegan2 (default); const: as stored, as in stylegan2-ada-pytorch",
    )
    images.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "float16"],
        help="of the features inside the network: bfloat16 is faster where the machine has it, float16 on GPUs",
    )
    images.add_argument("--grid", action="store_true", help="also write all pictures on one sheet, grid.png")
    folder = images.add_mutually_exclusive_group()
    folder.add_argument("--outdir", metavar="DIR", help="write the pictures into this folder")
    folder.add_argument(
        "--result-dir", default="results", metavar="DIR", help="make a numbered folder in here (default: %(default)s)"
    )
    return parser.parse_args(argv[1:])


def generate_images(args):
    from tf_stylegan.download import local_path
    from tf_stylegan.legacy import pickle_io

    network = local_path(args.network)
    if not os.fspath(network).endswith((".npz", ".keras")):
        pickle_io.read(network)  # a look at the file takes no time; TensorFlow, needed from here on, takes seconds
    cli.load_tensorflow()
    from tf_stylegan import generate, images
    from tf_stylegan.legacy.networks import load_generator

    seeds = generate.parse_seeds(args.seeds)
    Gs = load_generator(network, args.precision)
    generate.class_labels(Gs, args.class_index, 1)  # complain before a folder is made
    if Gs.label_size and args.class_index is None:
        print(f"Note: this network has {Gs.label_size} classes; choose one with --class.")
    folder = args.outdir or files.make_run_dir(args.result_dir, "generate-images")
    files.make_dir(folder)
    pictures = []
    drawn = generate.seed_images(
        Gs, seeds, args.truncation_psi, args.truncation_cutoff, args.noise_mode, args.class_index
    )  # fmt: skip
    for seed, picture in drawn:
        path = os.path.join(folder, f"seed{seed:04d}.png")
        images.save_png(path, picture)
        print(path)
        if args.grid:
            pictures.append(picture)
    if args.grid:
        images.save_png(os.path.join(folder, "grid.png"), images.make_grid(pictures))
        print(os.path.join(folder, "grid.png"))


def main(args):
    return cli.run(generate_images, args)


if __name__ == "__main__":
    sys.exit(app.run(main, flags_parser=parse_args))
