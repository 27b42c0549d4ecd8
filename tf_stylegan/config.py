"""What a run is: options, the table of presets, and the configuration resolved from them (F0).

Hyper-parameters are those of run_training.py and training/training_loop.py of NVlabs/stylegan2.
"""

import dataclasses
import json
import math

from tf_stylegan.errors import UserError

TICK_KIMG = {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4}


@dataclasses.dataclass(frozen=True)
class Preset:
    """One named configuration of the paper's Table 1 (config-e, -f) or Table 2 (config-e-G…-D…)."""

    g_architecture: str = "skip"
    d_architecture: str = "resnet"
    fmap_base: int = 16 << 10
    gamma: float = 10.0
    learning_rate: float = 0.002
    minibatch_size: int = 32
    minibatch_gpu: int = 4


PRESETS = {
    "config-f": Preset(),
    "config-e": Preset(fmap_base=8 << 10, gamma=100.0),
    **{
        f"config-e-G{g}-D{d}": Preset(g, d, fmap_base=8 << 10, gamma=100.0)
        for g in ("orig", "skip", "resnet")
        for d in ("orig", "skip", "resnet")
    },
}
PLANNED = ("config-a", "config-b", "config-c", "config-d")  # progressive growing; known, but not built so far


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may say of a run; None means "as the preset or the data set has it".

    Numbers of images are in thousands where the name says kimg.
    """

    data_dir: str
    dataset: str
    config: str = "config-f"
    result_dir: str = "results"
    num_gpus: int = 1
    total_kimg: float = 25000
    gamma: float | None = None
    mirror_augment: bool = False
    metrics: str = "none"
    minibatch_size: int | None = None
    minibatch_gpu: int | None = None
    fmap_base: int | None = None
    fmap_max: int = 512
    latent_size: int = 512
    mapping_layers: int = 8
    ema_kimg: float = 10
    tick_kimg: float | None = None
    resolution: int | None = None
    max_images: int | None = None
    keep_checkpoints: int = 2
    image_snapshot_ticks: int = 10
    network_snapshot_ticks: int = 10
    seed: int = 1000


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Names and weights of the losses, see `training.losses` and `training.penalties`."""

    g_loss: str = "logistic_ns"
    d_loss: str = "logistic"
    g_penalty: str | None = "path_length"
    d_penalty: str | None = "r1"
    gamma: float = 10.0  # of R1 and R2
    pl_minibatch_shrink: int = 2
    pl_decay: float = 0.01
    pl_weight: float = 2.0
    wgan_lambda: float = 10.0
    wgan_epsilon: float = 0.001
    wgan_target: float = 1.0


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Everything a run depends on, resolved; saved as training_options.json and printed before the start."""

    options: Options
    G_kwargs: dict
    D_kwargs: dict
    loss: LossConfig
    learning_rate: float
    adam_beta1: float
    adam_beta2: float
    adam_epsilon: float
    lazy_regularization: bool
    G_reg_interval: int
    D_reg_interval: int
    minibatch_size: int  # images per step, all replicas and rounds together
    minibatch_gpu: int  # images per replica and round
    rounds: int  # of gradient accumulation
    tick_kimg: float
    notes: tuple = ()  # what the user should know of how it was resolved

    @property
    def ema_beta(self):
        """Decay of the moving average per step, from its half-life (ProGAN, section 6.1)."""
        half_life = self.options.ema_kimg * 1000
        return 0.5 ** (self.minibatch_size / half_life) if half_life > 0 else 0.0

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), indent=2)


def resolve(options, resolution, num_channels, label_size):
    """Checks options against a data set and fills in everything they leave open.

    Args:
        options: Options.
        resolution, num_channels, label_size: of the images to train on.
    Returns:
        TrainingConfig.
    Raises:
        UserError: for the first option that cannot be, with what to do.
    """
    check_options(options)
    preset = PRESETS[options.config]
    minibatch_size, minibatch_gpu, notes = _minibatches(options, preset)
    common = {
        "num_channels": num_channels,
        "resolution": resolution,
        "label_size": label_size,
        "fmap_base": options.fmap_base or preset.fmap_base,
        "fmap_max": options.fmap_max,
    }
    return TrainingConfig(
        options=options,
        G_kwargs={
            **common,
            "architecture": preset.g_architecture,
            "latent_size": options.latent_size,
            "dlatent_size": options.latent_size,
            "mapping_fmaps": options.latent_size,
            "mapping_layers": options.mapping_layers,
        },
        D_kwargs={**common, "architecture": preset.d_architecture, "mbstd_group_size": 4},
        loss=LossConfig(gamma=preset.gamma if options.gamma is None else options.gamma),
        learning_rate=preset.learning_rate,
        adam_beta1=0.0,
        adam_beta2=0.99,
        adam_epsilon=1e-8,
        lazy_regularization=True,
        G_reg_interval=4,
        D_reg_interval=16,
        minibatch_size=minibatch_size,
        minibatch_gpu=minibatch_gpu,
        rounds=minibatch_size // (minibatch_gpu * options.num_gpus),
        tick_kimg=TICK_KIMG.get(resolution, 4) if options.tick_kimg is None else options.tick_kimg,
        notes=notes,
    )


def check_options(options):
    """Checks what can be checked without the data set; UserError for the first thing that is wrong."""
    if options.config in PLANNED:
        raise UserError(
            f"--config={options.config} needs progressive growing, which this version lacks; use config-e or -f"
        )
    if options.config not in PRESETS:
        known = ", ".join(PRESETS)
        raise UserError(f"--config={options.config} is unknown; known: {known}")
    if options.metrics != "none":
        raise UserError(f"--metrics={options.metrics}: this version computes no metrics; use --metrics=none")
    for name, least in (
        ("num_gpus", 1),
        ("minibatch_size", 1),
        ("minibatch_gpu", 1),
        ("fmap_base", 1),
        ("fmap_max", 1),
        ("latent_size", 1),
        ("mapping_layers", 1),
        ("max_images", 1),
        ("keep_checkpoints", 1),
        ("image_snapshot_ticks", 1),
        ("network_snapshot_ticks", 1),
        ("seed", 0),
        ("gamma", 0),
        ("ema_kimg", 0),
    ):
        value = getattr(options, name)
        if value is not None and not least <= value < 2**31:
            raise UserError(f"--{name.replace('_', '-')}={value}: must be at least {least} (and below 2^31)")
    for name in ("total_kimg", "tick_kimg"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"--{name.replace('_', '-')}={value}: must be above 0")


def _minibatches(options, preset):
    """(minibatch_size, minibatch_gpu, notes): what is given is kept, the rest is fitted around it."""
    size, gpu, replicas = options.minibatch_size, options.minibatch_gpu, options.num_gpus
    notes = []
    if size is None and gpu is None:
        gpu = preset.minibatch_gpu
    if size is None:
        step = gpu * replicas
        size = max(round(preset.minibatch_size / step), 1) * step
        if size != preset.minibatch_size:
            notes.append(f"minibatch size {size} instead of {preset.minibatch_size}: a multiple of {replicas} × {gpu}")
    if gpu is None:
        if size % replicas:
            raise UserError(
                f"--minibatch-size={size} cannot be dealt to --num-gpus={replicas}; use a multiple of {replicas}"
            )
        share = size // replicas
        gpu = max(n for n in range(1, min(preset.minibatch_gpu, share) + 1) if share % n == 0)
    step = gpu * replicas
    if size % step:
        below = size // step * step
        raise UserError(
            f"--minibatch-size={size} is not a multiple of --minibatch-gpu={gpu} times --num-gpus={replicas}; "
            + (f"the nearest are {below} and {below + step}" if below else f"the smallest is {step}")
        )
    if gpu > 4 and gpu % 4:
        raise UserError(
            f"--minibatch-gpu={gpu}: the minibatch standard deviation works on groups of 4; "
            "use at most 4, or a multiple of 4"
        )
    if gpu < 4:
        notes.append(
            f"minibatch-gpu {gpu} is below 4: the minibatch standard deviation sees groups of {gpu}, "
            "expect less variety"
        )
    return size, gpu, tuple(notes)


def from_json(text):
    """The reverse of `TrainingConfig.to_json`; unknown or missing keys are a UserError."""
    try:
        data = json.loads(text)
        data["options"] = Options(**data["options"])
        data["loss"] = LossConfig(**data["loss"])
        data["notes"] = tuple(data["notes"])
        return TrainingConfig(**data)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"not a saved training configuration: {error}") from error
