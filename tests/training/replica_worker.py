"""Run by test_replicas.py in a process of its own: the same iterations on one device and on several replicas.

Usage: python replica_worker.py REPLICAS MINIBATCH ITERATIONS OUTPUT.npz
"""

import sys

import numpy as np
import tensorflow as tf
from tiny_runs import random_images, random_labels, set_values, tiny_config, values

from tf_stylegan.training.devices import make_strategy
from tf_stylegan.training.state import TrainState
from tf_stylegan.training.step import TrainStep


def iterate(strategy, minibatch, minibatch_gpu, iterations, initial):
    """All four kinds of step and the average, `iterations` times; (initial values, final values, statistics)."""
    config = tiny_config(
        label_size=3,
        minibatch_size=minibatch,
        minibatch_gpu=minibatch_gpu,
        num_gpus=strategy.num_replicas_in_sync,
        mirror_augment=True,
        ema_kimg=0.01,
        # Adam without a first moment divides a gradient by its own size: near zero, where a different order of
        # summing decides the sign, 1e-8 would turn rounding errors into full steps of opposite direction.
        changes={"adam_epsilon": 1e-3},
    )
    assert config.rounds == 1 and config.G_kwargs.get("randomize_noise", True)
    state = TrainState(config, strategy)
    initial = initial or values(state)
    set_values(state, initial)
    steps, stats = TrainStep(config, state, strategy), {}
    for i in range(iterations):
        seed, images = [7, i], random_images(config, minibatch, seed=i)
        labels, other = random_labels(config, minibatch, seed=i), random_labels(config, minibatch, seed=100 + i)
        found = {
            "G": steps.run("G", seed, other),
            "G_reg": steps.run("G_reg", seed, other[: steps.stage.path_length_batch]),
        }
        steps.update_average()
        found["D"] = steps.run("D", seed, labels, images)
        found["D_reg"] = steps.run("D_reg", seed, labels, images)
        stats.update({f"stats/{i}/{kind}/{k}": v.numpy() for kind, all_ in found.items() for k, v in all_.items()})
    return initial, values(state), stats


def main(replicas, minibatch, iterations, output):
    # First, since devices must be set up before anything else is done with them.
    several, _ = make_strategy(replicas)
    assert several.num_replicas_in_sync == replicas
    initial, one, one_stats = iterate(tf.distribute.get_strategy(), minibatch, minibatch, iterations, None)
    _, many, many_stats = iterate(several, minibatch, minibatch // replicas, iterations, initial)
    arrays = {"initial": initial, "one": {**one, **one_stats}, "many": {**many, **many_stats}}
    np.savez(output, **{f"{who}:{name}": a for who, group in arrays.items() for name, a in group.items()})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
