"""The mapping network: latents z to intermediate latents w (StyleGAN, section 2)."""

import keras
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Dense, Layer, PixelNorm, serializable
from tf_stylegan.networks.base import Network, check_labels, check_number

MAX_LAYERS = 64  # published networks have 2 to 8; a file may claim any number


@serializable
class LabelConcat(Layer):
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
class LabelEmbed(Dense):
    """StyleGAN2-ADA's way with labels: `labels · weight + bias`, brought to unit root mean square."""

    def call(self, labels):
        x = super().call(labels)
        return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=1, keepdims=True) + 1e-8)


@serializable
class Mapping(Network):
    """`G_mapping` of training/networks_stylegan2.py and, with `embed_labels`, of StyleGAN2-ADA's networks.py.

    Args:
        latent_size: width of z.
        label_size: width of the labels, 0 for none.
        dlatent_size: width of w.
        dlatent_broadcast: None for an output `[N, dlatent_size]`, a number L for copies `[N, L, dlatent_size]`.
        mapping_layers, mapping_fmaps: number and width of the layers; a width of None is that of w.
        mapping_lrmul: learning rate multiplier.
        mapping_nonlinearity: activation.
        normalize_latents: divide z (with its label part, unless that is embedded) by its root mean square.
        embed_labels: how labels join z: False: a matrix product, normalised together with z (`LabelConcat`); True:
            through a layer of its own, each part normalised by itself (`LabelEmbed`).
        label_fmaps: width of the embedded labels, None for that of z.
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
        embed_labels=False,
        label_fmaps=None,
        dtype="float32",
        name="G_mapping",
    ):
        super().__init__(locals())
        check_number("mapping_layers", mapping_layers, 0, MAX_LAYERS)
        self.latent_size, self.label_size, self.dlatent_size = latent_size, label_size, dlatent_size
        self.dlatent_broadcast = dlatent_broadcast
        self.label_concat = LabelConcat(name="LabelConcat") if label_size and not embed_labels else None
        self.label_embed = None
        if label_size and embed_labels:
            self.label_embed = LabelEmbed(label_fmaps or latent_size, name="LabelEmbed")
        self.normalize = PixelNorm(name="PixelNorm") if normalize_latents else None
        self.dense = [
            Dense(
                dlatent_size if i == mapping_layers - 1 else mapping_fmaps or dlatent_size,
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
        if self.label_embed:
            self.label_embed.build([None, self.label_size])
            width += self.label_embed.units
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
        if self.label_embed:
            x = tf.concat([x, self.label_embed(labels)], axis=1)
        for layer in self.dense:
            x = layer(x)
        return x if self.dlatent_broadcast is None else tf.tile(x[:, None], [1, self.dlatent_broadcast, 1])
