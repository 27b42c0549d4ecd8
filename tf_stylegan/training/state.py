"""Everything that changes while a run goes on, saved and restored whole (F4)."""

import dataclasses
import json
import os
import re

import numpy as np
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write
from tf_stylegan.networks.registry import build_network
from tf_stylegan.training.ema import MovingAverage
from tf_stylegan.training.optimizer import Adam, LossScale
from tf_stylegan.training.schedule import adam_settings

CHECKPOINT = re.compile(r"checkpoint-(\d+)\.npz")


@dataclasses.dataclass
class Progress:
    """The numbers of a run. Images are counted in images, not thousands."""

    cur_nimg: int = 0  # images shown so far; also the position in the data: epoch and place follow from it
    step: int = 0  # steps taken; decides when to regularise
    tick: int = 0
    tick_start_nimg: int = 0
    lod: float | None = None  # level of detail of the last step; None before the first
    skipped: int = 0  # updates skipped because something was not finite
    skipped_in_row: dict = dataclasses.field(default_factory=dict)  # of each kind of step
    seconds: float = 0.0  # trained, over all sessions


class TrainState:
    """Networks, optimizers, averages and counters of a run.

    Args:
        config: TrainingConfig.
        strategy: the tf.distribute strategy under whose scope all variables are made.
    """

    def __init__(self, config, strategy):
        self.progress = Progress()
        self.loss_scales = {}
        with strategy.scope():
            if config.options.precision == "float16":
                self.loss_scales = {name: LossScale() for name in "GD"}
            self.G = build_network(config.G_func, name="G", **config.G_kwargs)
            self.D = build_network(config.D_func, name="D", **config.D_kwargs)
            self.Gs = build_network(config.G_func, name="Gs", **config.G_kwargs)
            self.average = MovingAverage(self.G, self.Gs)
            self.pl_mean = tf.Variable(0.0, trainable=False, aggregation=tf.VariableAggregation.MEAN)
            self.G_optimizer = _make_adam(self.G, config, config.G_reg_interval)
            self.D_optimizer = _make_adam(self.D, config, config.D_reg_interval)

    def variables(self):
        """dict of unique names to every variable of the run."""
        found = {"pl_mean": self.pl_mean}
        for network in (self.G, self.D, self.Gs):
            for v in network.variables:
                assert v.path not in found, v.path
                found[v.path] = v
        for name, optimizer in (("G_adam", self.G_optimizer), ("D_adam", self.D_optimizer)):
            found.update({f"{name}/{key}": v for key, v in optimizer.state().items()})
        return found | {f"{name}_loss_scale": scale.log2 for name, scale in self.loss_scales.items()}

    def set_lod(self, lod):
        """Puts the level of detail into the networks, for their snapshots; the steps are told theirs."""
        for network in (self.G, self.D, self.Gs):
            for v in network.variables:
                if v.path.rsplit("/", 1)[-1] == "lod":
                    v.assign(lod)

    def save(self, path):
        """Writes a checkpoint atomically: a NumPy archive of all variables and the counters."""
        arrays = {name: v.numpy() for name, v in self.variables().items()}
        arrays["progress"] = np.array(json.dumps(dataclasses.asdict(self.progress)))
        with atomic_write(path) as file:
            np.savez(file, **arrays)

    def restore(self, path):
        """Restores a checkpoint whole, or raises UserError and changes nothing."""
        arrays = read_checkpoint(path)
        try:
            progress = Progress(**json.loads(str(arrays.pop("progress"))))
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"checkpoint {path} is none of this version's: no counters ({error})") from error
        variables = self.variables()
        wrong = sorted(arrays.keys() ^ variables.keys())
        wrong += [
            f"{name} {arrays[name].dtype.name} {list(arrays[name].shape)} for {_dtype(v)} {list(v.shape)}"
            for name, v in variables.items()
            if name in arrays and (arrays[name].shape, arrays[name].dtype.name) != (tuple(v.shape), _dtype(v))
        ]
        if wrong:
            raise UserError(
                f"checkpoint {path} is of another network: {', '.join(wrong[:10])}{' …' * (len(wrong) > 10)}"
            )
        for name, v in variables.items():
            v.assign(arrays[name])
        self.progress = progress


def read_checkpoint(path):
    """All arrays of a checkpoint; UserError when it is damaged (the archive has checksums).

    What says nothing about the file, a lack of memory or of permission, is raised as it is: a sound checkpoint must not
    be passed over for it.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise UserError(f"checkpoint {path} does not exist") from error
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # zipfile and NumPy answer damage with a dozen kinds of error
        raise UserError(f"checkpoint {path} is damaged or no checkpoint at all") from error


def checkpoints(run_dir):
    """Paths of the checkpoints in a run directory, newest first."""
    names = sorted((name for name in os.listdir(run_dir) if CHECKPOINT.fullmatch(name)), reverse=True)
    return [os.path.join(run_dir, name) for name in names]


def checkpoint_path(run_dir, cur_nimg):
    return os.path.join(run_dir, f"checkpoint-{cur_nimg:010d}.npz")


def _dtype(variable):
    return tf.as_dtype(variable.dtype).name


def _make_adam(network, config, reg_interval):
    settings = adam_settings(
        config.learning_rate,
        config.adam_beta1,
        config.adam_beta2,
        reg_interval if config.lazy_regularization else None,
    )
    variables = network.trainable_variables
    names = [v.path for v in variables]
    return Adam([v.value for v in variables], names, epsilon=config.adam_epsilon, **settings)
