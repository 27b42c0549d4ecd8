"""What all networks share: keywords that are the config, weights made at once, labels checked (F3)."""

import math

import keras
import numpy as np
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Weights
from tf_stylegan.ops.fused_bias_act import ACTIVATIONS

DTYPES = ("float32", "bfloat16", "float16")


class Network(Weights, keras.Model):
    """A model wholly described by its keywords.

    Sub-classes pass `locals()` of their constructor on; `keywords` then holds every argument, which is the Keras config
    and what goes into a legacy file's `static_kwargs`. Weights exist as soon as `build()` has run; no input is needed.
    """

    grows = False  # whether calls take a level of detail
    dtypes = ("float32",)  # that features may have; weights, styles, pictures and scores are float32 always

    def __init__(self, scope):
        super().__init__(name=scope["name"], dtype="float32")
        self.autocast = True  # of inputs: NumPy's random numbers are float64; what is inside keeps its types
        self.keywords = {k: v for k, v in scope.items() if k not in ("self", "name", "kwargs", "__class__")}
        self.keywords.update(scope.get("kwargs", {}))
        check_choice("dtype", self.keywords.get("dtype", "float32"), self.dtypes)
        for name, check in _CHECKS.items():
            if name in self.keywords:
                check(name, self.keywords[name])

    def get_config(self):
        return {"name": self.name, **self.keywords}

    def get_build_config(self):
        return {"input_shape": None}  # nothing to remember: the config decides all shapes

    def build_from_config(self, config):
        self.build()

    def num_params(self, trainable_only=True):
        """Number of trainable scalars (or of all)."""
        weights = self.trainable_variables if trainable_only else self.variables
        return sum(int(np.prod(v.shape)) for v in weights)


def check_resolution(resolution):
    """log2 of a power of two from 4 to 1024; UserError otherwise."""
    log2 = int(resolution).bit_length() - 1
    if resolution != 2**log2 or not 4 <= resolution <= 1024:
        raise UserError(f"resolution must be a power of two from 4 to 1024, got {resolution}")
    return log2


def check_choice(name, value, choices):
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}")


def check_number(name, value, least, most):
    if not isinstance(value, int) or not least <= value <= most:
        raise UserError(f"{name} must be a whole number from {least} to {most}, got {value!r}")


def check_real(name, value, above=-math.inf):
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= above:
        raise UserError(
            f"{name} must be a finite number{'' if above == -math.inf else f' above {above}'}, got {value!r}"
        )


def _check_filter(name, taps):
    taps = [] if taps is None else taps
    flat = [tap for row in taps for tap in (row if isinstance(row, list | tuple) else [row])]
    square = len(flat) in (len(taps), len(taps) ** 2) and all(isinstance(tap, int | float) for tap in flat)
    if taps and not (square and len(taps) <= 32 and math.isfinite(sum(flat)) and sum(flat) != 0):
        raise UserError(f"{name} must be up to 32 numbers (or a square of them) whose sum is not 0; got {taps!r}")


def _whole(least, most):
    return lambda name, value: value if value is None else check_number(name, value, least, most)


def _real(above):
    return lambda name, value: value if value is None else check_real(name, value, above)


# A file may hold any value: what would only be noticed when a network draws, or fill the memory, is refused at once.
# Whether None is allowed is each network's business.
_CHECKS = {
    **dict.fromkeys(("latent_size", "dlatent_size", "mapping_fmaps", "label_fmaps"), _whole(1, 1 << 14)),
    **dict.fromkeys(("fmap_max", "fmap_const"), _whole(1, 1 << 14)),
    "label_size": _whole(0, 1 << 17),
    "num_channels": _whole(1, 1 << 10),
    "truncation_cutoff": _whole(0, 1 << 10),
    "truncation_psi": _real(-math.inf),
    "fmap_decay": _real(-1),
    "mapping_lrmul": _real(0),
    "conv_clamp": _real(0),
    **dict.fromkeys(("resample_kernel", "blur_filter"), _check_filter),
    **dict.fromkeys(("nonlinearity", "mapping_nonlinearity"), lambda name, act: check_choice(name, act, ACTIVATIONS)),
}


def check_labels(labels, label_size, batch_like):
    """Labels `[N, label_size]` float32; None becomes zeros, a wrong width a UserError."""
    if labels is None:
        return tf.zeros([tf.shape(batch_like)[0], label_size])
    labels = tf.cast(labels, tf.float32)
    if labels.shape.rank != 2 or labels.shape[1] != label_size:
        raise UserError(f"labels must be [N, {label_size}] for this network, got {labels.shape}")
    if not labels.shape[:1].is_compatible_with(batch_like.shape[:1]):
        raise UserError(
            f"labels must have a row per sample: got {labels.shape[0]} for a batch of {batch_like.shape[0]}"
        )
    return labels


def label_scores(x, labels):
    """Scores `[N, 1]` from one output per class `[N, max(label_size, 1)]` and labels `[N, label_size]`."""
    return tf.reduce_sum(x * labels, axis=1, keepdims=True) if labels.shape[1] else x
