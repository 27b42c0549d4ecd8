"""Training runs so small that a test can afford them: configurations, data sets, commands."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tf_stylegan.config import Options, resolve
from tf_stylegan.data.tfrecord import RecordWriter

ROOT = Path(__file__).resolve().parent.parent
TINY_FLAGS = ("--fmap-base=64", "--fmap-max=8", "--latent-size=8", "--mapping-layers=1")


def tiny_config(resolution=8, num_channels=1, label_size=0, loss=None, changes=None, **options):
    """TrainingConfig of networks with eight channels.

    Args:
        resolution, num_channels, label_size: of the images.
        loss: dict of changes to the LossConfig.
        changes: dict of changes to what is resolved from the options.
        **options: of `Options`; minibatch_size and minibatch_gpu are 4 by default.
    """
    tiny = {"fmap_base": 64, "fmap_max": 8, "latent_size": 8, "mapping_layers": 1}
    options = {"data_dir": "", "dataset": "", **tiny, "minibatch_size": 4, "minibatch_gpu": 4, **options}
    config = resolve(Options(**options), resolution, num_channels, label_size)
    loss = dataclasses.replace(config.loss, **(loss or {}))
    return dataclasses.replace(config, loss=loss, **(changes or {}))


def random_images(config, count, seed=0):
    """Uint8 `[count, R, R, C]` of a configuration's size."""
    size, channels = config.G_kwargs["resolution"], config.G_kwargs["num_channels"]
    return np.random.RandomState(seed).randint(0, 256, [count, size, size, channels]).astype(np.uint8)


def random_labels(config, count, seed=0):
    """One-hot float32 `[count, label_size]`."""
    size = config.G_kwargs["label_size"]
    return (
        np.eye(size, dtype=np.float32)[np.random.RandomState(seed).randint(0, max(size, 1), count)]
        if size
        else (np.zeros([count, 0], np.float32))
    )


def make_dataset(directory, count=24, resolution=8, num_channels=1, label_size=0):
    """Writes a data set of noise."""
    rnd = np.random.RandomState(0)
    with RecordWriter(directory, resolution, num_channels) as writer:
        for _ in range(count):
            writer.add(rnd.randint(0, 256, [num_channels, resolution, resolution]).astype(np.uint8))
        if label_size:
            writer.set_labels(np.eye(label_size)[np.arange(count) % label_size])


def values(state):
    """All variables of a TrainState as arrays."""
    return {name: v.numpy() for name, v in state.variables().items()}


def set_values(state, arrays):
    for name, v in state.variables().items():
        v.assign(arrays[name])


def changed(before, after):
    """Names of the arrays that differ, be it by one bit."""
    assert before.keys() == after.keys()
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


def start(arguments, cwd, output):
    """Starts `python arguments…` with the project on its path; what it prints goes to the open file `output`."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    # No GPU, so that every machine runs the same test.
    env = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-u", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
