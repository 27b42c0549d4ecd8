"""Training in half precision: the steps stay near those in float32, float16 scales its losses, nothing else changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import changed, random_images, random_labels, set_values, tiny_config, values

from tf_stylegan.config import Options, check_options
from tf_stylegan.errors import UserError
from tf_stylegan.training.optimizer import LossScale
from tf_stylegan.training.state import TrainState
from tf_stylegan.training.step import KINDS, TrainStep

SEED = [1000, 3]


def bench(precision):
    config = tiny_config(resolution=16, num_channels=3, precision=precision, latent_size=16)
    keras.utils.set_random_seed(0)
    state = TrainState(config, tf.distribute.get_strategy())
    return state, TrainStep(config, state, tf.distribute.get_strategy())


@pytest.fixture(scope="module")
def exact():
    return bench("float32")


@pytest.fixture(scope="module", params=["bfloat16", "float16"])
def half(request, exact):
    """State and steps in half precision, from the weights of `exact`."""
    state, steps = bench(request.param)
    weights = values(exact[0])
    set_values(state, {**values(state), **weights})
    return request.param, state, steps, values(state), weights


def run(state, steps, kind, images=None):
    config = steps.config
    labels = random_labels(config, steps.stage.path_length_batch if kind == "G_reg" else config.minibatch_size)
    if kind[0] == "D":
        images = random_images(config, config.minibatch_size) if images is None else images
        return {name: float(value) for name, value in steps.run(kind, SEED, labels, images).items()}
    return {name: float(value) for name, value in steps.run(kind, SEED, labels).items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_nearly_that_of_float32(exact, half, kind):
    _, state, steps, initial, weights = half
    set_values(exact[0], weights)
    set_values(state, initial)
    for scale in state.loss_scales.values():
        scale.log2.assign(4.0)
    expected, ours = run(*exact, kind), run(state, steps, kind)
    assert ours.keys() == expected.keys() and ours["finite"] == 1
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=0.05, abs=0.02), name
    # Adam's first moment after one step is the gradient, up to a factor; as a whole, since small parts may differ more.
    moments = [
        np.concatenate([v.ravel() for name, v in sorted(values(s).items()) if name.startswith(f"{kind[0]}_adam/m/")])
        for s in (exact[0], state)
    ]
    assert np.abs(moments[0]).max() > 0
    assert np.linalg.norm(moments[1] - moments[0]) < 0.3 * np.linalg.norm(moments[0])


def test_float16_scales_its_losses(half):
    precision, state, steps, initial, _ = half
    set_values(state, initial)
    assert ("G_loss_scale" in initial) == (precision == "float16")
    if precision != "float16":
        return
    assert run(state, steps, "D")["finite"] == 1
    assert values(state)["D_loss_scale"] == pytest.approx(LossScale.START + LossScale.UP)
    state.loss_scales["G"].log2.assign(24.0)  # gradients far beyond float16
    start = values(state)
    assert run(state, steps, "G")["finite"] == 0
    after = values(state)
    assert after["G_loss_scale"] == 23.0
    assert not {name for name in changed(start, after) if name.startswith(("G_adam/", "G/G_"))}


def test_checkpoints_hold_the_scale(half, tmp_path):
    _, state, _, initial, _ = half
    set_values(state, initial)
    for scale in state.loss_scales.values():
        scale.log2.assign(7.0)
    saved = values(state)
    state.save(tmp_path / "checkpoint-0000000000.npz")
    set_values(state, initial)
    state.restore(tmp_path / "checkpoint-0000000000.npz")
    assert not changed(saved, values(state))


def test_mistakes():
    options = {"data_dir": "", "dataset": ""}
    with pytest.raises(UserError, match="--precision=float8 must be one of float32, bfloat16, float16"):
        check_options(Options(**options, precision="float8"))
    with pytest.raises(UserError, match="--precision=bfloat16: the networks of config-a compute in float32 only"):
        check_options(Options(**options, precision="bfloat16", config="config-a"))
