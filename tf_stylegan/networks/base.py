"""What all networks share: keywords that are the config, weights made at once, labels checked (F3)."""

import keras
import numpy as np
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Weights

DTYPES = ("float32", "bfloat16", "float16")


class Network(Weights, keras.Model):
    """A model wholly described by its keywords.

    Sub-classes pass `locals()` of their constructor on; `keywords` then holds every argument, which is the Keras config
    and what goes into a legacy file's `static_kwargs`. Weights exist as soon as `build()` has run; no input is needed.
    """

    grows = False  # whether calls take a level of detail
    dtypes = ("float32",)  # that features may have; weights, styles, pictures and scores are float32 always

    def __init__(self, scope):
        super().__init__(name=scope["name"])
        self.keywords = {k: v for k, v in scope.items() if k not in ("self", "name", "kwargs", "__class__")}
        self.keywords.update(scope.get("kwargs", {}))
        check_choice("dtype", self.keywords.get("dtype", "float32"), self.dtypes)

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
