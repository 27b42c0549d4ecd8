"""The networks of ProGAN, the ancestor: no mapping, no styles, no noise (F3).

`G_paper` and `D_paper` of networks.py of tkarras/progressive_growing_of_gans, also in NVlabs/stylegan as
training/networks_progan.py (Karras et al. 2018, table 2).
"""

import math

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.adain import ScaledConv2D
from tf_stylegan.layers.core import Dense, EqualizedLayer, Layer, MinibatchStddev, serializable
from tf_stylegan.layers.modulated import num_fmaps
from tf_stylegan.networks.base import Network, check_choice, check_labels, check_resolution
from tf_stylegan.networks.discriminator_stylegan import GrowingDiscriminator
from tf_stylegan.networks.growing import STRUCTURES, Lod, grow_images
from tf_stylegan.ops.upfirdn_2d import downsample_2d, upsample_2d


@serializable
class DensePictures(EqualizedLayer):
    """Dense layer from latents `[N, z]` to 4x4 features `[N, 4, 4, fmaps]`, one bias per channel."""

    def __init__(self, fmaps, **kwargs):
        super().__init__(**kwargs)
        self.fmaps = fmaps

    def build(self, input_shape):
        self.weight, self._factor = self.add_equalized("weight", [input_shape[-1], self.fmaps * 16])
        self.bias = self.add_weight(name="bias", shape=[self.fmaps], initializer="zeros")

    def call(self, x):
        x = tf.reshape(tf.matmul(x, self.scaled_weight()), [-1, self.fmaps, 4, 4])  # NCHW, as in files
        return self.bias_act(tf.transpose(x, [0, 2, 3, 1]))

    def get_config(self):
        return {**super().get_config(), "fmaps": self.fmaps}


class UpBlock(Layer):
    """The layers of one resolution of the generator, under the scope `RxR`, each followed by pixel norm."""

    def __init__(self, res, fmaps, fused_scale, norm, settings):
        super().__init__(name=f"{res}x{res}")
        self.norm, self.upscale = norm, False
        if res == 4:
            first = DensePictures(fmaps, name="Dense", **{**settings, "gain": math.sqrt(2) / 4})
            second = ScaledConv2D(fmaps, name="Conv", **settings)
        else:
            self.upscale = not fused_scale
            scaling = {"name": "Conv0_up", "up": True, "fused_scale": True} if fused_scale else {"name": "Conv0"}
            first = ScaledConv2D(fmaps, **scaling, **settings)
            second = ScaledConv2D(fmaps, name="Conv1", **settings)
        self.layers_in_order = [first, second]

    def build(self, fmaps_in):
        first, second = self.layers_in_order
        first.build([None, fmaps_in] if isinstance(first, DensePictures) else [None, None, None, fmaps_in])
        second.build([None, None, None, first.fmaps])

    def call(self, x):
        x = upsample_2d(x) if self.upscale else x
        for layer in self.layers_in_order:
            x = self.norm(layer(x))
        return x


@serializable
class GeneratorProGAN(Network):
    """`G_paper`.

    Args:
        num_channels, resolution, label_size, fmap_base, fmap_decay, fmap_max, dtype: as `DiscriminatorStyleGAN2`.
        latent_size: width of z, None for that of the first layer.
        normalize_latents: put z on the unit hypersphere (times √z).
        use_wscale: see `layers.core.EqualizedLayer`.
        use_pixelnorm, pixelnorm_epsilon: pixel norm after every layer.
        use_leakyrelu: else relu.
        fused_scale: convolve and upscale at once, see `layers.adain.scaled_conv2d`.
        structure: accepted for the original's sake; values are the same.
    """

    grows = True

    def __init__(
        self,
        num_channels=1,
        resolution=32,
        label_size=0,
        fmap_base=8192,
        fmap_decay=1.0,
        fmap_max=512,
        latent_size=None,
        normalize_latents=True,
        use_wscale=True,
        use_pixelnorm=True,
        pixelnorm_epsilon=1e-8,
        use_leakyrelu=True,
        dtype="float32",
        fused_scale=True,
        structure=None,
        name="G",
    ):
        super().__init__(locals())
        check_choice("structure", structure or "auto", STRUCTURES)
        top = check_resolution(resolution)
        self.resolution, self.num_channels, self.label_size = resolution, num_channels, label_size
        self.latent_size = latent_size or num_fmaps(0, fmap_base, fmap_decay, 1, fmap_max)
        self.normalize_latents, self.use_pixelnorm, self.epsilon = normalize_latents, use_pixelnorm, pixelnorm_epsilon
        settings = {"use_wscale": use_wscale, "act": "lrelu" if use_leakyrelu else "relu", "act_gain": 1.0}
        settings["gain"] = math.sqrt(2)
        self.blocks, self.to_rgb = [], []
        for log2 in range(2, top + 1):
            fmaps = num_fmaps(log2 - 1, fmap_base, fmap_decay, 1, fmap_max)
            self.blocks.append(UpBlock(2**log2, fmaps, fused_scale, self._norm, settings))
            rgb = ScaledConv2D(num_channels, 1, gain=1.0, use_wscale=use_wscale, name=f"ToRGB_lod{top - log2}")
            self.to_rgb.append(rgb)

    def build(self, input_shape=None):
        self.lod = self.add_weight(name="lod", shape=[], initializer="zeros", trainable=False, aggregation="mean")
        fmaps = self.latent_size + self.label_size
        for block, rgb in zip(self.blocks, self.to_rgb):
            block.build(fmaps)
            fmaps = block.layers_in_order[-1].fmaps
            rgb.build([None, None, None, fmaps])

    def call(self, latents, labels=None, lod=None):
        """Draws pictures.

        Args:
            latents: `[N, latent_size]`, normally distributed.
            labels: `[N, label_size]`; None for zeros.
            lod: level of detail, a number or `growing.Lod`; None for the network's `lod` variable.
        Returns:
            `[N, resolution, resolution, num_channels]` float32, about [-1, 1].
        """
        if latents.shape.rank != 2 or latents.shape[1] != self.latent_size:
            raise UserError(f"latents must be [N, {self.latent_size}] for this network, got {latents.shape}")
        x = tf.concat([latents, check_labels(labels, self.label_size, latents)], axis=1)
        x = _pixel_norm(x, self.epsilon) if self.normalize_latents else x
        lod = Lod.of(lod, self.lod, len(self.blocks) - 1)
        return grow_images(self.blocks[1:], self.to_rgb, self.blocks[0](x), lod)

    def _norm(self, x):
        return _pixel_norm(x, self.epsilon) if self.use_pixelnorm else x


def _pixel_norm(x, epsilon):
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + epsilon)


class DownBlock(Layer):
    """The layers of one resolution of the discriminator, under the scope `RxR`."""

    def __init__(self, res, fmaps, fmaps_out, fused_scale, settings):
        super().__init__(name=f"{res}x{res}")
        self.fused_scale = fused_scale
        self.conv0 = ScaledConv2D(fmaps, name="Conv0", **settings)
        scaling = {"name": "Conv1_down", "down": True, "fused_scale": True} if fused_scale else {"name": "Conv1"}
        self.conv1 = ScaledConv2D(fmaps_out, **scaling, **settings)

    def build(self, num_channels):
        for layer in (self.conv0, self.conv1):
            layer.build([None, None, None, self.conv0.fmaps])

    def call(self, x):
        x = self.conv1(self.conv0(x))
        return x if self.fused_scale else downsample_2d(x)


class Head(Layer):
    """The layers of the scope `4x4` of the discriminator."""

    def __init__(self, fmaps_conv, fmaps_dense, mbstd_group_size, settings):
        super().__init__(name="4x4")
        self.mbstd = MinibatchStddev(mbstd_group_size, name="MinibatchStddev") if mbstd_group_size > 1 else None
        self.conv = ScaledConv2D(fmaps_conv, name="Conv", **settings)
        self.dense0 = Dense(fmaps_dense, name="Dense0", **settings)
        self.dense1 = Dense(1, name="Dense1", use_wscale=settings["use_wscale"])

    def build(self, num_channels):
        fmaps = self.conv.fmaps
        self.conv.build([None, 4, 4, fmaps + (self.mbstd is not None)])
        self.dense0.build([None, 4, 4, fmaps])
        self.dense1.build([None, self.dense0.units])

    def call(self, x):
        x = x if self.mbstd is None else self.mbstd(x)
        return self.dense1(self.dense0(self.conv(x)))


@serializable
class DiscriminatorProGAN(GrowingDiscriminator):
    """`D_paper`, its scores.

    Args:
        num_channels, resolution, label_size, fmap_base, fmap_decay, fmap_max, mbstd_group_size, dtype: as
            `DiscriminatorStyleGAN2`; labels are accepted and, as in the original, not looked at.
        use_wscale, fused_scale, structure: as `GeneratorProGAN`.
    """

    def __init__(
        self,
        num_channels=1,
        resolution=32,
        label_size=0,
        fmap_base=8192,
        fmap_decay=1.0,
        fmap_max=512,
        use_wscale=True,
        mbstd_group_size=4,
        dtype="float32",
        fused_scale=True,
        structure=None,
        name="D",
    ):
        super().__init__(locals())
        self.set_up(resolution, num_channels, label_size, structure or "auto")
        settings = {"use_wscale": use_wscale, "act": "lrelu", "act_gain": 1.0, "gain": math.sqrt(2)}

        def nf(stage):
            return num_fmaps(stage, fmap_base, fmap_decay, 1, fmap_max)

        top = self.resolution_log2
        self.from_rgb = [
            ScaledConv2D(nf(log2 - 1), 1, name=f"FromRGB_lod{top - log2}", **settings) for log2 in range(top, 1, -1)
        ]
        self.blocks = [
            DownBlock(2**log2, nf(log2 - 1), nf(log2 - 2), fused_scale, settings) for log2 in range(top, 2, -1)
        ]
        self.head = Head(nf(1), nf(0), mbstd_group_size, settings)

    def call(self, images, labels=None, lod=None):
        """Scores pictures; arguments and result as `DiscriminatorStyleGAN.call`."""
        check_labels(labels, self.label_size, images)
        return self.head(self.features(images, lod))
