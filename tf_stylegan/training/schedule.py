"""What depends on where a run stands, as pure functions (F4)."""

import dataclasses
import math

from tf_stylegan.config import ema_beta


@dataclasses.dataclass(frozen=True)
class Stage:
    """What holds for one step of a run.

    Attributes:
        lod: level of detail, 0 at full resolution.
        resolution: side in pixels of the pictures at `floor(lod)`.
        minibatch_size, minibatch_gpu, rounds: images per step; per replica and round; rounds of accumulation.
        path_length_batch: images of a path-length step, all replicas and rounds; at least one each.
        learning_rate: before the factor of lazy regularisation.
        tick_kimg: length of a tick.
        ema_beta: decay of the moving average of G.
    """

    lod: float
    resolution: int
    minibatch_size: int
    minibatch_gpu: int
    rounds: int
    path_length_batch: int
    learning_rate: float
    tick_kimg: float
    ema_beta: float


def stage_at(config, cur_nimg):
    """The stage of a run (`training_schedule` of training_loop.py).

    Args:
        config: TrainingConfig.
        cur_nimg: images shown so far.
    Returns:
        Stage.
    """
    growing, full = config.growing, config.G_kwargs["resolution"]
    lod = lod_at(cur_nimg, full, growing)
    resolution = full >> math.floor(lod)

    def value(name):
        base = getattr(config, name)
        return getattr(growing, name).get(resolution, base) if growing else base

    size, gpu, rate = value("minibatch_size"), value("minibatch_gpu"), value("learning_rate")
    if config.lrate_rampup_kimg:
        rate *= min(cur_nimg / 1000 / config.lrate_rampup_kimg, 1)
    return Stage(
        lod=lod,
        resolution=resolution,
        minibatch_size=size,
        minibatch_gpu=gpu,
        rounds=size // (gpu * config.options.num_gpus),
        path_length_batch=max(gpu // config.loss.pl_minibatch_shrink, 1) * (size // gpu),
        learning_rate=rate,
        tick_kimg=value("tick_kimg"),
        ema_beta=ema_beta(size, config.options.ema_kimg),
    )


def lod_at(cur_nimg, resolution, growing):
    """Level of detail after `cur_nimg` images at a final `resolution`; `growing` is a config.Growing or None."""
    if growing is None:
        return 0.0
    kimg, duration = cur_nimg / 1000, growing.training_kimg + growing.transition_kimg
    phase = math.floor(kimg / duration) if kimg < duration * 64 else 64  # beyond the last resolution either way
    lod = math.log2(resolution) - math.floor(math.log2(growing.initial_resolution)) - phase
    if growing.transition_kimg > 0:
        lod -= max(kimg - phase * duration - growing.training_kimg, 0) / growing.transition_kimg
    return max(lod, 0.0)


def kimg_at_lod(lod, resolution, growing):
    """Thousands of images after which a level of detail is reached, the reverse of `lod_at`; 0 for one never seen."""
    fallen = math.log2(resolution) - math.floor(math.log2(growing.initial_resolution)) - lod
    if fallen <= 0:
        return 0.0
    phase = math.ceil(fallen) - 1
    duration = growing.training_kimg + growing.transition_kimg
    return phase * duration + growing.training_kimg + (fallen - phase) * growing.transition_kimg


def layers_come_in(lod_before, lod):
    """Whether other layers are in use than a step before, which is when the optimizers start afresh."""
    return math.floor(lod_before) != math.floor(lod) or math.ceil(lod_before) != math.ceil(lod)


def lazy_factor(interval):
    """`c = k / (k + 1)` for a regularisation every k-th step (StyleGAN2, section 3.1; appendix B).

    The learning rate is multiplied by c and Adam's betas raised to it, so that one round of k main steps and one
    regularisation step moves as far as k steps would have.
    """
    return interval / (interval + 1)


def adam_settings(learning_rate, beta1, beta2, interval=None):
    """Adam's settings under lazy regularisation with `interval` (None: no lazy regularisation).

    Returns:
        dict of learning_rate, beta1, beta2.
    """
    c = lazy_factor(interval) if interval else 1.0
    return {"learning_rate": learning_rate * c, "beta1": beta1**c, "beta2": beta2**c}


def regularise(step, interval):
    """Whether the step of this number (from 0) is followed by a regularisation step."""
    return bool(interval) and step % interval == 0
