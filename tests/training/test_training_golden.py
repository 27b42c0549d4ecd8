"""Whole runs of the original, repeated: every loss and every final variable."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import assert_close, golden, nchw_to_nhwc

from tf_stylegan.config import Growing, LossConfig, Options, resolve
from tf_stylegan.legacy.names import get_variables, set_variables
from tf_stylegan.ops.upfirdn_2d import downsample_2d
from tf_stylegan.training.schedule import regularise
from tf_stylegan.training.state import TrainState
from tf_stylegan.training.step import TrainStep

pytestmark = pytest.mark.usefixtures("impl")  # TensorFlow's own operations, and the compiled ones

LOSSES = {
    "G_logistic_ns_pathreg": {"g_loss": "logistic_ns", "g_penalty": "path_length"},
    "G_logistic_ns": {"g_loss": "logistic_ns", "g_penalty": None},
    "G_wgan": {"g_loss": "wgan", "g_penalty": None},
    "D_logistic_r1": {"d_loss": "logistic", "d_penalty": "r1"},
    "D_wgan_gp": {"d_loss": "wgan", "d_penalty": "wgan_gp"},
}


def recorded_draws(data, iteration, kind):
    """The draws of one step by purpose; latents of G's penalty and everything of D's come from their own tensors."""
    numbers = [
        data[f"it{iteration}/random{i}"] for i in range(sum(key.startswith(f"it{iteration}/r") for key in data) - 1)
    ]
    path_length = len(numbers) == 4
    if kind == "G":
        return {"latents": numbers[0]}
    if kind == "G_reg":
        return {"latents": numbers[1], "noise": nchw_to_nhwc(numbers[2])}
    first = 3 if path_length else 1
    return {"latents": numbers[first], "mixing": numbers[-1]}


class RecordedDraws:
    """Stands in for `Draws`; `current` is fed through variables so that the graphs need not be traced again."""

    def __init__(self):
        self.tensors = {}

    def feed(self, kind, draws):
        for purpose, array in draws.items():
            key = kind, purpose
            if key not in self.tensors:
                self.tensors[key] = tf.Variable(array, trainable=False, dtype=tf.float32)
            self.tensors[key].assign(array)
        self.kind = kind

    def __call__(self, source):
        kind, tensors = self.kind, self.tensors

        class Draws:
            def normal(self, purpose, shape):
                array = tf.convert_to_tensor(tensors[kind, purpose])
                if purpose == "noise":
                    # Recorded for pictures enlarged to full size: what is repeated adds up, see `_g_penalty`.
                    factor = array.shape[1] // shape[1]
                    array = downsample_2d(array, factor=factor, gain=factor) if factor > 1 else array
                return array

            uniform = normal

            def source(self, purpose):
                return None

        return Draws()


def configure(meta):
    G_kwargs = dict(meta["G_kwargs"])
    config = resolve(
        Options(data_dir="", dataset="", minibatch_size=meta["minibatch"], minibatch_gpu=meta["minibatch"]), 16, 3, 0
    )
    return dataclasses.replace(
        config,
        G_kwargs={**G_kwargs, "randomize_noise": False},
        D_kwargs=dict(meta["D_kwargs"]),
        loss=LossConfig(**LOSSES[meta["g_loss"]], **LOSSES[meta["d_loss"]]),
        G_reg_interval=meta["G_reg_interval"],
        D_reg_interval=meta["D_reg_interval"],
        learning_rate=meta["learning_rate"],
        adam_beta1=meta["adam"]["beta1"],
        adam_beta2=meta["adam"]["beta2"],
        adam_epsilon=meta["adam"]["epsilon"],
        lazy_regularization=meta["lazy"],
        G_func="G_style" if "use_noise" in G_kwargs else "G_main",
        D_func="D_stylegan2" if meta["lod"] is None else "D_basic" if "use_noise" in G_kwargs else "D_stylegan",
        growing=None if meta["lod"] is None else Growing(),
    )


# Recorded with two versions of TensorFlow, the run of config-a differs by 3e-5, the others by 2e-6.
@pytest.mark.parametrize(
    "name, tolerance",
    [("train_config_f", 2e-4), ("train_wgan_gp", 2e-4), ("train_config_d", 2e-4), ("train_config_a", 1e-3)],
)
def test_recorded_run(name, tolerance):
    data = golden(f"training/{name}")
    meta, history = json.loads(str(data["meta"])), json.loads(str(data["history"]))
    config = configure(meta)
    assert config.ema_beta == pytest.approx(meta["ema_beta"], rel=1e-12)
    strategy = tf.distribute.get_strategy()
    state, draws = TrainState(config, strategy), RecordedDraws()
    for network in ("G", "D", "Gs"):
        source = "D" if network == "D" else "G"
        arrays = {key[7:]: data[key] for key in data if key.startswith(f"init/{source}/")}
        set_variables(getattr(state, network), arrays)
    steps = TrainStep(config, state, strategy, make_draws=draws)
    if config.growing:
        steps.set_stage(dataclasses.replace(steps.stage, lod=meta["lod"]))
    labels = np.zeros([meta["minibatch"], 0], np.float32)

    def run(kind, iteration, **kwargs):
        draws.feed(kind, recorded_draws(data, iteration, kind))
        size = steps.stage.path_length_batch if kind == "G_reg" else len(labels)
        stats = steps.run(kind, [0, 0], labels[:size], **kwargs)
        loss = kind if kind.endswith("reg") else f"{kind}_loss"
        assert stats["finite"] == 1
        value = stats[loss] + (stats["D_reg"] if kind == "D" and not config.lazy_regularization else 0)
        assert_close(value, history[iteration][loss], tolerance, f"{loss} {iteration}")

    for iteration in range(len(history)):
        reals = nchw_to_nhwc(data[f"it{iteration}/reals"])
        if config.growing:  # recorded at full size; a run hands over what the records of this level hold
            reals = downsample_2d(reals, factor=2 ** int(meta["lod"]))
        run("G", iteration)
        if config.lazy_regularization and config.loss.g_penalty and regularise(iteration, config.G_reg_interval):
            run("G_reg", iteration)
        steps.update_average()
        run("D", iteration, images=reals)
        if config.lazy_regularization and regularise(iteration, config.D_reg_interval):
            run("D_reg", iteration, images=reals)

    if meta["pl_mean_final"]:
        assert_close(state.pl_mean.numpy(), meta["pl_mean_final"][0], tolerance)
    for network in ("G", "D", "Gs"):
        final = get_variables(getattr(state, network))
        expected = {key.split("/", 2)[2]: data[key] for key in data if key.startswith(f"final/{network}/")}
        assert final.keys() == expected.keys()
        for key, array in expected.items():
            assert_close(final[key], array, tolerance, f"{network}/{key}")
