"""What a run is: options, the table of presets, and the configuration resolved from them (F0).

Hyper-parameters are those of run_training.py and training/training_loop.py of NVlabs/stylegan2.
"""

import dataclasses
import json
import math

from tf_stylegan.errors import UserError

TICK_KIMG = {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4}


# Of the progressively grown configs, by resolution (table "training schedule" of training_loop.py and run_training.py).
GROWN_MINIBATCH = {8: 256, 16: 128, 32: 64, 64: 32}
GROWN_MINIBATCH_GPU = {8: 32, 16: 16, 32: 8, 64: 4}
GROWN_LEARNING_RATE = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}


@dataclasses.dataclass(frozen=True)
class Preset:
    """One named configuration of the paper's Table 1 (config-a … -f) or Table 2 (config-e-G…-D…)."""

    G_func: str = "G_main"
    D_func: str = "D_stylegan2"
    G_kwargs: dict = dataclasses.field(default_factory=dict)
    D_kwargs: dict = dataclasses.field(default_factory=dict)
    fmap_base: int = 8 << 10
    gamma: float = 10.0
    path_length: bool = True
    lazy_regularization: bool = True
    grows: bool = False
    learning_rate: float = 0.002
    minibatch_size: int = 32
    minibatch_gpu: int = 4


def _grown(**changes):
    revised = {"synthesis_func": "G_synthesis_stylegan_revised"}
    return Preset(**{"D_func": "D_stylegan", "G_kwargs": revised, "grows": True, "learning_rate": 0.001, **changes})


def _table2(g, d, **changes):
    return Preset(G_kwargs={"architecture": g}, D_kwargs={"architecture": d}, **changes)


PRESETS = {
    "config-a": _grown(G_func="G_style", D_func="D_basic", G_kwargs={}, path_length=False, lazy_regularization=False),
    "config-b": _grown(path_length=False, lazy_regularization=False),
    "config-c": _grown(path_length=False),
    "config-d": _grown(),
    "config-e": _table2("skip", "resnet", gamma=100.0),
    "config-f": _table2("skip", "resnet", fmap_base=16 << 10),
    **{
        f"config-e-G{g}-D{d}": _table2(g, d, gamma=100.0)
        for g in ("orig", "skip", "resnet")
        for d in ("orig", "skip", "resnet")
    },
}


PRECISIONS = ("float32", "bfloat16", "float16")  # of the features inside the networks


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
    lod_training_kimg: float = 600
    lod_transition_kimg: float = 600
    resolution: int | None = None
    max_images: int | None = None
    keep_checkpoints: int = 2
    image_snapshot_ticks: int = 10
    network_snapshot_ticks: int = 10
    precision: str = "float32"
    seed: int = 1000
    cond: bool = True


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
class Growing:
    """How a run grows progressively; the dicts go by resolution, what they lack has the run's base value."""

    initial_resolution: int = 8
    training_kimg: float = 600  # at each resolution before the next fades in
    transition_kimg: float = 600  # of fading in
    minibatch_size: dict = dataclasses.field(default_factory=dict)
    minibatch_gpu: dict = dataclasses.field(default_factory=dict)
    learning_rate: dict = dataclasses.field(default_factory=dict)
    tick_kimg: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Networks:
    """The two networks a run trains: names of the original's functions and their keywords."""

    G_func: str
    G_kwargs: dict
    D_func: str
    D_kwargs: dict


@dataclasses.dataclass(frozen=True)
class Start:
    """The file of networks that a run began with, see `training.start`."""

    file: str
    size: int  # bytes
    sha256: str
    kimg: float  # where counting began
    partial: bool  # whether it was allowed to fit in parts only


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
    G_func: str = "G_main"
    D_func: str = "D_stylegan2"
    lrate_rampup_kimg: float = 0.0
    growing: Growing | None = None
    start: Start | None = None  # None: from random weights
    data_fingerprint: str = ""  # of the data set, see data.dataset.DatasetInfo; "" before it is known
    notes: tuple = ()  # what the user should know of how it was resolved

    @property
    def start_networks(self):
        """The Networks of a run that began with a file, None where the options say which they are."""
        return Networks(self.G_func, self.G_kwargs, self.D_func, self.D_kwargs) if self.start else None

    @property
    def ema_beta(self):
        """Decay of the moving average of G per step, at the base minibatch size."""
        return ema_beta(self.minibatch_size, self.options.ema_kimg)

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), indent=2)


def ema_beta(minibatch_size, half_life_kimg):
    """Decay per step of a moving average with this half-life in thousands of images (ProGAN, section 6.1)."""
    return 0.5 ** (minibatch_size / (half_life_kimg * 1000)) if half_life_kimg > 0 else 0.0


def preset_networks(options, resolution, num_channels, label_size):
    """The Networks that `options` ask for; arguments as `resolve`."""
    preset = PRESETS[options.config]
    common = {
        "num_channels": num_channels,
        "resolution": resolution,
        "label_size": label_size,
        "fmap_base": options.fmap_base or preset.fmap_base,
        "fmap_max": options.fmap_max,
    }
    return Networks(
        G_func=preset.G_func,
        D_func=preset.D_func,
        G_kwargs={
            **common,
            **preset.G_kwargs,
            "latent_size": options.latent_size,
            "dlatent_size": options.latent_size,
            "mapping_fmaps": options.latent_size,
            "mapping_layers": options.mapping_layers,
        },
        D_kwargs={**common, **preset.D_kwargs, "mbstd_group_size": 4},
    )


def resolve(options, resolution, num_channels, label_size, networks=None, grown_minibatches=None):
    """Checks options against a data set and fills in everything they leave open.

    Args:
        options: Options.
        resolution, num_channels, label_size: of the images to train on.
        networks: Networks for these images where a file says which; None for those of the options.
        grown_minibatches: `Growing.minibatch_size` of a run that goes on; None for that of the config.
    Returns:
        TrainingConfig.
    Raises:
        UserError: for the first option that cannot be, with what to do.
    """
    check_options(options)
    preset = PRESETS[options.config]
    networks = networks or preset_networks(options, resolution, num_channels, label_size)
    in_file = networks.G_kwargs.keys() & {"dtype"}
    dtype = {} if options.precision == "float32" and not in_file else {"dtype": options.precision}
    group_size = networks.D_kwargs.get("mbstd_group_size", 4)
    minibatch_size, minibatch_gpu, notes = _minibatches(options, preset, group_size)
    if not preset.grows and (options.lod_training_kimg, options.lod_transition_kimg) != (600, 600):
        notes += (f"{options.config} does not grow: --lod-training-kimg and --lod-transition-kimg change nothing",)
    return TrainingConfig(
        options=options,
        G_func=networks.G_func,
        D_func=networks.D_func,
        G_kwargs={**networks.G_kwargs, **dtype},
        D_kwargs={**networks.D_kwargs, **dtype},
        loss=LossConfig(
            gamma=preset.gamma if options.gamma is None else options.gamma,
            g_penalty="path_length" if preset.path_length else None,
        ),
        learning_rate=preset.learning_rate,
        adam_beta1=0.0,
        adam_beta2=0.99,
        adam_epsilon=1e-8,
        lazy_regularization=preset.lazy_regularization,
        G_reg_interval=4,
        D_reg_interval=16,
        minibatch_size=minibatch_size,
        minibatch_gpu=minibatch_gpu,
        rounds=minibatch_size // (minibatch_gpu * options.num_gpus),
        tick_kimg=TICK_KIMG.get(resolution, 4) if options.tick_kimg is None else options.tick_kimg,
        growing=_growing(options, grown_minibatches) if preset.grows else None,
        notes=notes,
    )


def _growing(options, sizes=None):
    """The schedule of a grown config.

    A minibatch size, minibatch-gpu or tick that the user gave holds at every resolution.

    sizes: dict of resolutions to minibatch sizes that must be kept, or None.
    """
    size, gpu = dict(sizes or {}), {}
    most = {resolution: options.minibatch_gpu or usual for resolution, usual in GROWN_MINIBATCH_GPU.items()}
    if sizes is None and options.minibatch_size is None:
        for resolution, wanted in GROWN_MINIBATCH.items():
            gpu[resolution], step = most[resolution], most[resolution] * options.num_gpus
            size[resolution] = max(round(wanted / step), 1) * step
    for resolution in size.keys() - gpu.keys():
        gpu[resolution] = _largest_share(size[resolution], options.num_gpus, most[resolution])
    return Growing(
        training_kimg=options.lod_training_kimg,
        transition_kimg=options.lod_transition_kimg,
        minibatch_size=size,
        minibatch_gpu=gpu,
        learning_rate=dict(GROWN_LEARNING_RATE),
        tick_kimg=dict(TICK_KIMG) if options.tick_kimg is None else {},
    )


def check_options(options):
    """Checks what can be checked without the data set; UserError for the first thing that is wrong."""
    if options.config not in PRESETS:
        known = ", ".join(PRESETS)
        raise UserError(f"--config={options.config} is unknown; known: {known}")
    if options.precision not in PRECISIONS:
        raise UserError(f"--precision={options.precision} must be one of {', '.join(PRECISIONS)}")
    if options.precision != "float32" and PRESETS[options.config].G_func == "G_style":
        raise UserError(f"--precision={options.precision}: the networks of {options.config} compute in float32 only")
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
    for name in ("total_kimg", "tick_kimg", "lod_training_kimg", "lod_transition_kimg"):
        value, zero = getattr(options, name), name.startswith("lod")  # phases may be of no length
        if value is not None and not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
            wanted = "a finite number, 0 or more" if zero else "a finite number above 0"
            raise UserError(f"--{name.replace('_', '-')}={value}: must be {wanted}")


def _minibatches(options, preset, group_size):
    """(minibatch_size, minibatch_gpu, notes): what is given is kept, the rest is fitted around it.

    group_size: of the minibatch standard deviation, None for one group as large as the batch.
    """
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
        gpu = _largest_share(size, replicas, preset.minibatch_gpu)
    step = gpu * replicas
    if size % step:
        below = size // step * step
        raise UserError(
            f"--minibatch-size={size} is not a multiple of --minibatch-gpu={gpu} times --num-gpus={replicas}; "
            + (f"the nearest are {below} and {below + step}" if below else f"the smallest is {step}")
        )
    if group_size and gpu > group_size and gpu % group_size:
        raise UserError(
            f"--minibatch-gpu={gpu}: the minibatch standard deviation works on groups of {group_size}; "
            f"use at most {group_size}, or a multiple of {group_size}"
        )
    fewest = 4 if group_size is None else group_size
    if gpu < fewest:
        notes.append(
            f"minibatch-gpu {gpu} is below {fewest}: the minibatch standard deviation sees groups of {gpu}, "
            "expect less variety"
        )
    return size, gpu, tuple(notes)


def _largest_share(size, replicas, most):
    """The largest minibatch-gpu, `most` or less, that a minibatch can be dealt out in."""
    if size % replicas:
        raise UserError(
            f"--minibatch-size={size} cannot be dealt to --num-gpus={replicas}; use a multiple of {replicas}"
        )
    share = size // replicas
    # Above four in fours, which are the groups of the minibatch standard deviation.
    return max(n for n in range(1, min(most, share) + 1) if share % n == 0 and (n < 4 or n % 4 == 0))


def from_json(text):
    """The reverse of `TrainingConfig.to_json`; unknown or missing keys are a UserError."""
    try:
        data = json.loads(text)
        data["options"] = Options(**data["options"])
        check_options(data["options"])
        data["loss"] = LossConfig(**data["loss"])
        if data.get("start"):  # runs of earlier versions have no such key
            data["start"] = Start(**data["start"])
        if data["growing"]:
            growing = data["growing"].items()  # JSON has only text for keys
            plain = {k: {int(r): x for r, x in v.items()} if isinstance(v, dict) else v for k, v in growing}
            data["growing"] = Growing(**plain)
        data["notes"] = tuple(data["notes"])
        return TrainingConfig(**data)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"not a saved training configuration: {error}") from error
