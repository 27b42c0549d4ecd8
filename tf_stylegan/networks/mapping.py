"""The mapping network: latents z to intermediate latents w (StyleGAN, section 2)."""

import keras
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Dense, PixelNorm, serializable
from tf_stylegan.networks.base import Network, check_labels


@serializable
class LabelConcat(keras.layers.Layer):
    """Appends `labels · weight` to the latents: `[N, z]`, `[N, label_size]` → `[N, 2·z]`."""

    def build(self, latents_shape, labels_shape):
        self.weight = self.add_weight(
            name="weight",
            shape=[labels_shape[-1], latents_shape[-1]],
            initializer=keras.initializers.RandomNormal(stddev=1),
        )

    def call(self, latents, labels):
        return tf.concat([latents, tf.matmul(labels, self.weight)], axis=1)


@serializable
class Mapping(Network):
    """`G_mapping` of training/networks_stylegan2.py.

    Args:
        latent_size: width of z.
        label_size: width of the labels, 0 for none.
        dlatent_size: width of w.
        dlatent_broadcast: None for an output `[N, dlatent_size]`, a number L for copies `[N, L, dlatent_size]`.
        mapping_layers, mapping_fmaps: number and width of the layers.
        mapping_lrmul: learning rate multiplier.
        mapping_nonlinearity: activation.
        normalize_latents: divide z (with its label part) by its root mean square.
        use_wscale: see `layers.core.EqualizedLayer` (a keyword of StyleGAN1's).
        dtype: "float32", the only one.
    """

    dense_settings = {}  # of the layers; StyleGAN1 has others

    def __init__(
        self,
        latent_size=512,
        label_size=0,
        dlatent_size=512,
        dlatent_broadcast=None,
        mapping_layers=8,
        mapping_fmaps=512,
        mapping_lrmul=0.01,
        mapping_nonlinearity="lrelu",
        normalize_latents=True,
        use_wscale=True,
        dtype="float32",
        name="G_mapping",
    ):
        super().__init__(locals())
        self.latent_size, self.label_size, self.dlatent_size = latent_size, label_size, dlatent_size
        self.dlatent_broadcast = dlatent_broadcast
        self.label_concat = LabelConcat(name="LabelConcat") if label_size else None
        self.normalize = PixelNorm(name="PixelNorm") if normalize_latents else None
        self.dense = [
            Dense(
                dlatent_size if i == mapping_layers - 1 else mapping_fmaps,
                lrmul=mapping_lrmul,
                act=mapping_nonlinearity,
                use_wscale=use_wscale,
                name=f"Dense{i}",
                **self.dense_settings,
            )
            for i in range(mapping_layers)
        ]

    def build(self, input_shape=None):
        width = self.latent_size
        if self.label_concat:
            self.label_concat.build([None, self.latent_size], [None, self.label_size])
            width *= 2
        for layer in self.dense:
            layer.build([None, width])
            width = layer.units

    def call(self, latents, labels=None):
        """latents `[N, latent_size]`, labels `[N, label_size]` or None (zeros) → w, see `dlatent_broadcast`."""
        if latents.shape.rank != 2 or latents.shape[1] != self.latent_size:
            raise UserError(f"latents must be [N, {self.latent_size}] for this network, got {latents.shape}")
        labels = check_labels(labels, self.label_size, latents)
        x = self.label_concat(latents, labels) if self.label_concat else latents
        if self.normalize:
            x = self.normalize(x)
        for layer in self.dense:
            x = layer(x)
        return x if self.dlatent_broadcast is None else tf.tile(x[:, None], [1, self.dlatent_broadcast, 1])
