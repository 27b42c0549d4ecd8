"""run_generator in this process, on the networks of the golden files."""

import numpy as np
import PIL.Image
from helpers import GOLDEN

from tf_stylegan import run_generator

PICKLES = GOLDEN / "pickles"
CONFIG_F = str(PICKLES / "stylegan2-config-f.pkl")
PROGAN = str(PICKLES / "progan.pkl")
CONDITIONAL = str(PICKLES / "stylegan2-ada-cond.pkl")
STYLEGAN1 = str(PICKLES / "stylegan1.pkl")
FILMS = {
    "lerp-video": ["--seeds=1,2"],
    "style-mixing-video": ["--row-seed=1", "--col-seeds=2"],
    "sightseeding": ["--seeds=1,2"],
    "circular-video": ["--seed=1"],
    "truncation-video": ["--seeds=1"],
    "noise-video": ["--seeds=1"],
}


def run(command, *arguments, network=CONFIG_F):
    """Runs a command in this process; returns its exit code."""
    return run_generator.main(run_generator.parse_args(["run_generator", command, f"--network={network}", *arguments]))


def read_picture(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
