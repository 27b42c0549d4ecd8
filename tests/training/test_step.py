"""Training steps on networks of eight channels: what they change, what they survive, what they sum up."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import changed, random_images, random_labels, set_values, tiny_config, values

from tf_stylegan.data.pipeline import process_reals
from tf_stylegan.ops import random
from tf_stylegan.training.state import TrainState
from tf_stylegan.training.step import KINDS, Draws, TrainStep

SEED = [1000, 3]


class Bench:
    """A state with its steps, set back to the same values before each test."""

    def __init__(self, config, make_draws=Draws):
        strategy = tf.distribute.get_strategy()
        self.config, self.state = config, TrainState(config, strategy)
        self.steps = TrainStep(config, self.state, strategy, make_draws)
        self.initial = values(self.state)
        self.images = random_images(config, config.minibatch_size)
        self.labels = random_labels(config, config.minibatch_size)

    def run(self, kind, images=None, seed=SEED):
        """Statistics of one step as floats."""
        labels = self.labels[: self.steps.stage.path_length_batch] if kind == "G_reg" else self.labels
        if kind in ("D", "D_reg"):
            stats = self.steps.run(kind, seed, labels, self.images if images is None else images)
        else:
            stats = self.steps.run(kind, seed, labels)
        return {name: float(value) for name, value in stats.items()}


def fresh(bench):
    set_values(bench.state, bench.initial)
    return bench


@pytest.fixture(scope="module")
def shared_conditional():
    return Bench(tiny_config(label_size=3, num_channels=3, mirror_augment=True))


@pytest.fixture
def conditional(shared_conditional):
    """Labels and mirroring on."""
    return fresh(shared_conditional)


@pytest.fixture(scope="module")
def shared_plain():
    return Bench(tiny_config(resolution=4))


@pytest.fixture
def plain(shared_plain):
    """4x4 pixels: the quickest to trace."""
    return fresh(shared_plain)


# ---------------------------------------------------------------------------------------------------------------------
# What a step changes.


@pytest.mark.parametrize(
    "kind, losses, allowed",
    [
        ("G", {"G_loss"}, ("G/", "G_adam/")),
        ("G_reg", {"G_reg", "pl_mean"}, ("G/", "G_adam/", "pl_mean")),
        ("D", {"D_loss", "scores_real", "scores_fake"}, ("D/", "D_adam/", "G/dlatent_avg")),
        ("D_reg", {"D_reg"}, ("D/", "D_adam/")),
    ],
)
def test_a_step_changes_its_own_network_only(conditional, kind, losses, allowed):
    stats = conditional.run(kind)
    assert stats.keys() == losses | {"finite"} and stats["finite"] == 1
    assert np.isfinite(list(stats.values())).all()
    found = changed(conditional.initial, values(conditional.state))
    assert {name for name in found if not name.startswith(allowed)} == set()
    for prefix in allowed:
        assert any(name.startswith(prefix) for name in found), prefix
    trained = [v.path for v in getattr(conditional.state, kind[0]).trainable_variables]
    assert len(found & set(trained)) > len(trained) / 2
    assert conditional.state.G_optimizer.iterations.numpy() == (kind[0] == "G")
    assert conditional.state.D_optimizer.iterations.numpy() == (kind[0] == "D")


def test_the_average_changes_itself_only(conditional):
    for v in conditional.state.G.trainable_variables:
        v.assign_add(tf.ones_like(v))
    before = values(conditional.state)
    conditional.steps.update_average()
    found = changed(before, values(conditional.state))
    assert found == {v.path for v in conditional.state.Gs.trainable_variables}


def test_labels_reach_both_networks(conditional):
    one = conditional.run("D")
    set_values(conditional.state, conditional.initial)
    conditional.labels = np.roll(conditional.labels, 1, axis=1)
    other = conditional.run("D")
    conditional.labels = np.roll(conditional.labels, -1, axis=1)
    assert one["scores_real"] != other["scores_real"] and one["scores_fake"] != other["scores_fake"]


def test_the_same_seed_repeats_a_step_and_another_does_not(conditional):
    found = {}
    for name, seed in (("one", SEED), ("two", SEED), ("other step", [1000, 4]), ("other run", [1001, 3])):
        set_values(conditional.state, conditional.initial)
        conditional.run("G", seed=seed)
        found[name] = values(conditional.state)
    assert changed(found["one"], found["two"]) == set()
    assert changed(found["one"], found["other step"]) and changed(found["one"], found["other run"])


def test_half_of_the_pictures_are_mirrored(conditional):
    """The step mirrors by its own draws: pictures mirrored by hand with the same draws give the same scores."""
    draws = Draws(random.Source(SEED).fold_in(KINDS.index("D"), 0))
    mirrored = process_reals(conditional.images, draws.source("mirror")).numpy()
    plain = process_reals(conditional.images).numpy()
    count = sum(np.array_equal(a, b[:, ::-1]) for a, b in zip(mirrored, plain))
    assert 0 < count < len(plain), "choose another SEED: all or none are mirrored"
    found = {}
    for name, images in (("step", conditional.images), ("hand", mirrored), ("not mirrored", plain)):
        set_values(conditional.state, conditional.initial)
        found[name] = conditional.run("D", images)["scores_real"]
    assert found["step"] == pytest.approx(found["hand"], rel=1e-5)
    assert found["step"] != pytest.approx(found["not mirrored"], rel=1e-4)


# ---------------------------------------------------------------------------------------------------------------------
# What a step survives.


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["D", "D_reg"])
def test_bad_pictures_spoil_nothing(plain, kind, bad):
    images = process_reals(plain.images).numpy()
    images[1, 2, 3, 0] = bad
    assert plain.run(kind, images)["finite"] == 0
    assert changed(plain.initial, values(plain.state)) <= {"G/dlatent_avg"}  # of the fakes, which are sound
    assert all(np.isfinite(array).all() for array in values(plain.state).values())
    assert plain.run(kind, process_reals(plain.images).numpy())["finite"] == 1


@pytest.mark.parametrize("kind", ["G", "G_reg"])
def test_a_bad_generator_spoils_no_more(plain, kind):
    """NaN in one weight of the mapping: neither w_avg, nor pl_mean, nor a slot takes it over."""
    weight = plain.state.G.mapping.trainable_variables[0]
    weight.assign(weight.numpy() * np.nan)
    before = values(plain.state)
    assert plain.run(kind)["finite"] == 0
    assert changed(before, values(plain.state)) == set()
    assert sum(not np.isfinite(array).all() for array in before.values()) == 1


def test_a_gradient_that_is_not_finite_under_a_finite_loss(plain):
    """Without ToRGB all path lengths are 0, and the root's slope there is infinite."""
    for v in plain.state.G.trainable_variables:
        if "/ToRGB/weight" in v.path:
            v.assign(tf.zeros_like(v))
    plain.state.pl_mean.assign(1.0)
    before = values(plain.state)
    stats = plain.run("G_reg")
    assert stats["finite"] == 0 and np.isfinite(stats["G_reg"])
    assert changed(before, values(plain.state)) <= {"G/dlatent_avg", "pl_mean"}


def test_a_gradient_too_large_to_square(plain):
    """Adam squares: an infinity there would never leave its slots."""
    weight = next(v for v in plain.state.D.trainable_variables if v.path.endswith("Output/weight"))
    weight.assign(weight.numpy() * 1e25)
    before = values(plain.state)
    stats = plain.run("D")
    assert stats["finite"] == 0 and np.isfinite(stats["D_loss"])
    assert changed(before, values(plain.state)) <= {"G/dlatent_avg"}


# ---------------------------------------------------------------------------------------------------------------------
# What a step sums up. With beta1 = 0 Adam's first moment after a step *is* the gradient.


def gradient(bench, name):
    optimizer = getattr(bench.state, f"{name}_optimizer")
    return {path: m.numpy() for path, m in zip(optimizer.names, optimizer.m)}


@pytest.mark.parametrize("penalty, fakes", [("r1", False), ("r2", True)])
def test_r1_and_r2(plain, penalty, fakes):
    bench = plain if penalty == "r1" else Bench(tiny_config(resolution=4, loss={"d_penalty": "r2"}))
    set_values(bench.state, plain.initial)
    G, D, config = bench.state.G, bench.state.D, bench.config
    draws = Draws(random.Source(SEED).fold_in(KINDS.index("D_reg"), 0))
    images = process_reals(bench.images)
    if fakes:
        w = G.training_dlatents(draws.normal("latents", [4, G.latent_size]), seed=draws.source("dlatents"))
        images = G.synthesis(w, seed=draws.source("synthesis"))
    weights = [v.value for v in D.trainable_variables]
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = tf.reduce_sum(D(images))
        squares = tf.reduce_sum(tape.gradient(scores, images) ** 2) / len(bench.images)
        loss = squares * 10 / 2
    expected = outer.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    stats = bench.run("D_reg")
    assert stats["D_reg"] == pytest.approx(float(loss), rel=1e-4)
    for found, gradient_, path in zip(bench.state.D_optimizer.m, expected, bench.state.D_optimizer.names):
        # Taken every 16th step only, hence with 16 times the weight.
        np.testing.assert_allclose(found, gradient_ * config.D_reg_interval, rtol=1e-3, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("lod", [1, 2])
def test_r1_of_small_pictures_is_that_of_pictures_enlarged(lod):
    """The originals enlarge the pictures of a level of detail before they take the gradient."""
    config = tiny_config(resolution=16, config="config-d")
    bench = Bench(config)
    bench.steps.set_stage(dataclasses.replace(bench.steps.stage, lod=float(lod)))
    small = bench.images[:, :: 2**lod, :: 2**lod]
    found = bench.run("D_reg", small)["D_reg"]
    set_values(bench.state, bench.initial)
    assert bench.run("D_reg", process_reals(small, resolution=16))["D_reg"] == pytest.approx(found, rel=1e-4)
    set_values(bench.state, bench.initial)
    images = tf.Variable(process_reals(small))
    with tf.GradientTape() as tape:
        scores = tf.reduce_sum(bench.state.D(images, lod=lod))
    squares = tf.reduce_sum(tape.gradient(scores, images) ** 2) / len(small)
    assert found == pytest.approx(float(squares) * config.loss.gamma / 2 / 4**lod, rel=1e-4)


def test_wgan_gp(plain):
    loss = {"g_loss": "wgan", "d_loss": "wgan", "d_penalty": "wgan_gp", "g_penalty": None}
    bench = Bench(tiny_config(resolution=4, loss=loss))
    set_values(bench.state, plain.initial)
    G, D = bench.state.G, bench.state.D
    draws = Draws(random.Source(SEED).fold_in(KINDS.index("D_reg"), 0))
    w = G.training_dlatents(draws.normal("latents", [4, G.latent_size]), seed=draws.source("dlatents"))
    fakes, reals = G.synthesis(w, seed=draws.source("synthesis")), process_reals(bench.images)
    images = reals + (fakes - reals) * draws.uniform("mixing", [4, 1, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = tf.reduce_sum(D(images))
    norms = tf.sqrt(tf.reduce_sum(tape.gradient(scores, images) ** 2, axis=[1, 2, 3])).numpy()
    assert bench.run("D_reg")["D_reg"] == pytest.approx(np.mean(10 * (norms - 1) ** 2), rel=1e-4)
    set_values(bench.state, plain.initial)
    drift = np.mean(D(reals).numpy() ** 2) * 0.001
    stats = bench.run("D")
    assert stats["D_loss"] == pytest.approx(stats["scores_fake"] - stats["scores_real"] + drift, rel=1e-4)
    assert stats["finite"] == 1 and bench.run("G")["finite"] == 1


@pytest.mark.parametrize("kind", ["G", "D"])
def test_rounds_take_the_mean_of_their_gradients(kind):
    """Two rounds of four: the step of one batch whose gradient is the mean of theirs."""
    flat = {"mbstd_group_size": 1}  # otherwise which samples share a round would matter
    whole = tiny_config(resolution=4, minibatch_size=8)
    whole = tiny_config(resolution=4, minibatch_size=8, changes={"D_kwargs": {**whole.D_kwargs, **flat}})
    bench = Bench(whole)
    assert whole.rounds == 2
    stats = bench.run(kind)
    parts = []
    for i in range(2):
        source = random.Source(SEED).fold_in(KINDS.index(kind), i)
        part = Bench(
            tiny_config(resolution=4, changes={"D_kwargs": whole.D_kwargs}),
            make_draws=lambda _, source=source: Draws(source),
        )
        set_values(part.state, bench.initial)
        part.images = bench.images[i * 4 : i * 4 + 4]
        parts.append((part.run(kind), gradient(part, kind)))
    for path, found in gradient(bench, kind).items():
        expected = (parts[0][1][path] + parts[1][1][path]) / 2
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=path)
        assert path.endswith("bias") or not np.allclose(parts[0][1][path], parts[1][1][path]) or not expected.any()
    for name, value in stats.items():
        assert value == pytest.approx((parts[0][0][name] + parts[1][0][name]) / 2, rel=1e-5)
    first = gradient(bench, kind)
    set_values(bench.state, bench.initial)
    bench.run(kind)  # nothing of the step before is left in the sums
    for path, found in gradient(bench, kind).items():
        np.testing.assert_array_equal(found, first[path])


def test_without_lazy_regularisation_the_penalties_join_the_main_losses():
    bench = Bench(tiny_config(resolution=4, changes={"lazy_regularization": False}))
    assert bench.state.G_optimizer.learning_rate == bench.config.learning_rate
    assert bench.state.D_optimizer.beta2 == bench.config.adam_beta2
    G, D = bench.run("G"), bench.run("D")
    assert G.keys() == {"G_loss", "G_reg", "pl_mean", "finite"} and G["finite"] == 1 and G["G_reg"] > 0
    assert D.keys() == {"D_loss", "D_reg", "scores_real", "scores_fake", "finite"} and D["finite"] == 1
    assert D["D_reg"] > 0
