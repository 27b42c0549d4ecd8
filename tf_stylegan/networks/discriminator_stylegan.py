"""The discriminator of StyleGAN2's configs b–d: StyleGAN2's layers, progressively grown (F3)."""

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Conv2D, Dense, serializable
from tf_stylegan.layers.modulated import num_fmaps
from tf_stylegan.networks.base import DTYPES, Network, check_choice, check_labels, check_resolution, label_scores
from tf_stylegan.networks.discriminator_stylegan2 import Block, Head
from tf_stylegan.networks.growing import STRUCTURES, Lod, shrink_images


class GrowingDiscriminator(Network):
    """What `D_stylegan` and StyleGAN1's `D_basic` have in common; the sub-classes make the layers.

    `blocks` are those above 4x4, full resolution first; `from_rgb` has one layer more, ending with that for 4x4.
    """

    grows = True

    def set_up(self, resolution, num_channels, label_size, structure):
        self.resolution_log2 = check_resolution(resolution)
        check_choice("structure", structure, STRUCTURES)
        self.resolution, self.num_channels, self.label_size = resolution, num_channels, label_size

    def build(self, input_shape=None):
        self.lod = self.add_weight(name="lod", shape=[], initializer="zeros", trainable=False, aggregation="mean")
        for layer in self.from_rgb:
            layer.build([None, None, None, self.num_channels])
        for block in self.blocks:
            block.build(self.num_channels)
        self.head.build(self.num_channels)

    def features(self, images, lod):
        """Images at full resolution, or at that of the level of detail, to features at 4x4."""
        if images.shape.rank != 4 or images.shape[1] != images.shape[2] or images.shape[3] != self.num_channels:
            size = [self.resolution, self.resolution, self.num_channels]
            raise UserError(f"images must be [N, {str(size)[1:]} for this network, got {images.shape}")
        lod = Lod.of(lod, self.lod, len(self.blocks))
        images = tf.cast(images, self.keywords["dtype"])
        return shrink_images(images, self.resolution, self.from_rgb, self.blocks, lod)


@serializable
class DiscriminatorStyleGAN(GrowingDiscriminator):
    """`D_stylegan` of training/networks_stylegan2.py.

    Args, as `DiscriminatorStyleGAN2` without architecture, and:
        structure: "auto", "fixed", "linear" or "recursive": accepted for the originals' sake, values are the same.
    """

    dtypes = DTYPES

    def __init__(
        self,
        num_channels=3,
        resolution=1024,
        label_size=0,
        fmap_base=16 << 10,
        fmap_decay=1.0,
        fmap_min=1,
        fmap_max=512,
        nonlinearity="lrelu",
        mbstd_group_size=4,
        mbstd_num_features=1,
        dtype="float32",
        resample_kernel=(1, 3, 3, 1),
        structure="auto",
        name="D",
    ):
        resample_kernel = None if resample_kernel is None else list(resample_kernel)
        super().__init__(locals())
        self.set_up(resolution, num_channels, label_size, structure)

        def nf(stage):
            return num_fmaps(stage, fmap_base, fmap_decay, fmap_min, fmap_max)

        top = self.resolution_log2
        self.from_rgb = [
            Conv2D(nf(log2 - 1), 1, act=nonlinearity, name=f"FromRGB_lod{top - log2}") for log2 in range(top, 1, -1)
        ]
        settings = {"act": nonlinearity, "clamp": None}
        self.blocks = [
            Block(2**log2, nf(log2 - 1), nf(log2 - 2), False, False, settings, resample_kernel)
            for log2 in range(top, 2, -1)
        ]
        self.head = Head(nf(1), nf(0), False, settings, mbstd_group_size, mbstd_num_features)
        self.output_layer = Dense(max(label_size, 1), name="Output")

    def build(self, input_shape=None):
        super().build()
        self.output_layer.build([None, self.head.dense.units])

    def call(self, images, labels=None, lod=None):
        """Scores pictures.

        Args:
            images: `[N, resolution, resolution, num_channels]`, about [-1, 1]; at a level of detail of 1 and more they
                may as well be of its size.
            labels: `[N, label_size]`, None for zeros.
            lod: level of detail, a number or `growing.Lod`; None for the network's `lod` variable.
        Returns:
            `[N, 1]` scores, before any sigmoid.
        """
        x = self.output_layer(self.head(self.features(images, lod)))
        return label_scores(x, check_labels(labels, self.label_size, images))
