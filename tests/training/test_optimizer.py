"""Adam: the steps of Keras' own, and updates that are skipped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_stylegan.training.optimizer import Adam

SHAPES = {"a": [3, 2], "b": [5], "c": []}


def make(beta1=0.0, beta2=0.99, learning_rate=0.01, epsilon=1e-8):
    rnd = np.random.RandomState(0)
    variables = [tf.Variable(rnd.randn(*shape), dtype=tf.float32) for shape in SHAPES.values()]
    adam = Adam(variables, list(SHAPES), learning_rate, beta1, beta2, epsilon)
    return adam, tf.function(lambda grads, finite: adam.apply(grads, finite))


def gradients(seed):
    rnd = np.random.RandomState(seed)
    return [tf.constant(rnd.randn(*shape) * 10.0 ** rnd.uniform(-4, 4), tf.float32) for shape in SHAPES.values()]


def snapshot(adam):
    return [v.numpy().tobytes() for v in [*adam.variables, *adam.state().values()]]


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_steps_are_those_of_keras(beta1):
    adam, apply = make(beta1)
    theirs = [keras.Variable(v.numpy()) for v in adam.variables]
    optimizer = keras.optimizers.Adam(0.01, beta_1=beta1, beta_2=0.99, epsilon=1e-8)
    for step in range(6):
        apply(gradients(step), tf.constant(True))
        optimizer.apply(gradients(step), theirs)
        for ours, expected in zip(adam.variables, theirs):
            np.testing.assert_allclose(ours, expected.numpy(), rtol=2e-6, atol=2e-6)
    assert int(adam.iterations) == 6


def test_the_first_step_in_numbers():
    adam, apply = make(beta1=0.5, beta2=0.9, learning_rate=0.1, epsilon=0.25)
    before, grads = [v.numpy() for v in adam.variables], gradients(3)
    apply(grads, tf.constant(True))
    rate = 0.1 * np.sqrt(1 - 0.9) / (1 - 0.5)
    for old, new, g in zip(before, adam.variables, grads):
        g = g.numpy().astype(np.float64)
        np.testing.assert_allclose(new, old - rate * 0.5 * g / (np.sqrt(0.1 * g**2) + 0.25), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beta1", [0.0, 0.9])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_skipped_step_changes_nothing(beta1, bad):
    adam, apply = make(beta1)
    for step in range(2):
        apply(gradients(step), tf.constant(True))
    before = snapshot(adam)
    apply([tf.fill(g.shape, bad) for g in gradients(2)], tf.constant(False))
    assert snapshot(adam) == before
    apply(gradients(2), tf.constant(False))  # sound numbers of a step that is skipped for others' sake
    assert snapshot(adam) == before


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_after_a_skipped_step_all_goes_on_as_if_it_had_not_been(beta1):
    (one, apply_one), (two, apply_two) = make(beta1), make(beta1)
    nans = [tf.fill(g.shape, np.nan) for g in gradients(0)]
    apply_one(nans, tf.constant(False))  # the very first, too
    for step in range(4):
        apply_one(gradients(step), tf.constant(True))
        apply_two(gradients(step), tf.constant(True))
        apply_one(nans, tf.constant(False))
    assert snapshot(one) == snapshot(two)


def test_state_names_every_slot():
    adam, _ = make()
    assert adam.state().keys() == {f"{slot}/{name}" for slot in "mv" for name in SHAPES} | {"iterations"}
    assert len({id(v) for v in adam.state().values()}) == 7
