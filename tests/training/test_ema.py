"""The moving average of the generator."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import tiny_config

from tf_stylegan.networks.registry import build_network
from tf_stylegan.training.ema import MovingAverage


@pytest.fixture
def networks():
    """(network, average, MovingAverage): two generators that begin with different weights."""
    kwargs = tiny_config(resolution=4).G_kwargs
    network, average = (build_network("G_main", name=name, **kwargs) for name in ("G", "Gs"))
    assert any(not np.array_equal(a, b) for a, b in zip(network.weights, average.weights))
    return network, average, MovingAverage(network, average)


def test_the_average_begins_as_a_copy(networks):
    network, average, _ = networks
    for a, b in zip(network.variables, average.variables):
        np.testing.assert_array_equal(a, b)


def test_one_step_and_what_is_not_trained(networks):
    network, average, moving = networks
    before = [v.numpy() for v in average.variables]
    for v in network.variables:
        v.assign_add(tf.ones_like(v))
    moving.update(tf.distribute.get_strategy(), 0.75)
    for new, old, source in zip(average.variables, before, network.variables):
        step = 0.25 if source.trainable else 1.0  # noise maps and w_avg are copied
        np.testing.assert_allclose(new, old + step, rtol=1e-5, atol=1e-6)
    assert {v.trainable for v in network.variables} == {True, False}
    assert any(v.path.endswith("dlatent_avg") for v in network.variables if not v.trainable)


def test_half_life(networks):
    """After `ema_kimg` thousand images, half of what the average was is left."""
    network, average, moving = networks
    config = tiny_config(ema_kimg=0.08)  # 80 images, 20 steps of 4
    for v in network.trainable_variables:
        v.assign_sub(tf.ones_like(v))
    for _ in range(20):
        moving.update(tf.distribute.get_strategy(), config.ema_beta)
    for a, w in zip(average.trainable_variables, network.trainable_variables):
        np.testing.assert_allclose(a.numpy() - w.numpy(), 0.5, rtol=1e-4)


def test_no_half_life_is_a_copy(networks):
    network, average, moving = networks
    for v in network.variables:
        v.assign_add(tf.ones_like(v))
    moving.update(tf.distribute.get_strategy(), tiny_config(ema_kimg=0).ema_beta)
    for a, w in zip(average.variables, network.variables):
        np.testing.assert_array_equal(a, w)
