"""The discriminator of StyleGAN2, configs e and f, in its three architectures (section 4.1, figure 7)."""

import math

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Conv2D, Dense, Layer, MinibatchStddev, serializable
from tf_stylegan.layers.modulated import num_fmaps
from tf_stylegan.networks.base import (
    DTYPES,
    Network,
    check_choice,
    check_labels,
    check_number,
    check_resolution,
    label_scores,
)
from tf_stylegan.networks.mapping import MAX_LAYERS, LabelEmbed
from tf_stylegan.ops.upfirdn_2d import downsample_2d


class FromRGB(Conv2D):
    """Pictures to features.

    Args:
        pagan_num: PA-GAN (Zhang and Khoreva 2019) mixes so many bits into every sample in training; 0 for none. Their
            weight `PAGAN/weight` is kept; scores are those of bits that are all zero, the original's outside training.
    """

    def __init__(self, fmaps, pagan_num=0, **kwargs):
        super().__init__(fmaps, 1, **kwargs)
        self.pagan_num = pagan_num
        self.pagan = Dense(fmaps, use_bias=False, name="PAGAN") if pagan_num else None

    def build(self, input_shape):
        super().build(input_shape)
        if self.pagan is not None:
            self.pagan.build([None, self.pagan_num])


class Block(Layer):
    """All layers of one resolution above 4x4, under the scope `RxR`; made and called by the network below.

    Args:
        settings: of all its layers: `act`, `clamp`.
        spectral_norm: of its two convolutions.
        pagan_num: see `FromRGB`.
    """

    def __init__(
        self, res, fmaps, fmaps_out, from_rgb, skip, settings, resample_kernel, spectral_norm=False, pagan_num=0
    ):  # fmt: skip
        super().__init__(name=f"{res}x{res}")
        self.fmaps = fmaps
        self.from_rgb = FromRGB(fmaps, pagan_num, name="FromRGB", **settings) if from_rgb else None
        down = {"down": True, "resample_kernel": resample_kernel}
        self.conv0 = Conv2D(fmaps, name="Conv0", spectral_norm=spectral_norm, **settings)
        self.conv1 = Conv2D(fmaps_out, name="Conv1_down", spectral_norm=spectral_norm, **down, **settings)
        self.skip = Conv2D(fmaps_out, 1, use_bias=False, name="Skip", **down) if skip else None

    def build(self, num_channels):
        shape = [None, None, None, self.fmaps]
        if self.from_rgb is not None:
            self.from_rgb.build([None, None, None, num_channels])
        for layer in (self.conv0, self.conv1, self.skip):
            if layer is not None:
                layer.build(shape)

    def call(self, x, y=None):
        """x: output of the block before, None at the top; y: the picture at this size → output at half the size."""
        if self.from_rgb is not None:
            rgb = self.from_rgb(y)
            x = rgb if x is None else x + rgb
        skip = x
        x = self.conv1(self.conv0(x))
        if self.skip is not None:
            x = (x + self.skip(skip)) * (1 / math.sqrt(2))
        return x


class Head(Layer):
    """The layers of the scope `4x4`: minibatch standard deviation, convolution, dense."""

    def __init__(
        self, fmaps_conv, fmaps_dense, from_rgb, settings, mbstd_group_size, mbstd_num_features, spectral_norm=False,
        pagan_num=0,
    ):  # fmt: skip
        super().__init__(name="4x4")
        self.from_rgb = FromRGB(fmaps_conv, pagan_num, name="FromRGB", **settings) if from_rgb else None
        self.mbstd = None
        if mbstd_num_features and (mbstd_group_size is None or mbstd_group_size > 1):
            self.mbstd = MinibatchStddev(mbstd_group_size, mbstd_num_features, name="MinibatchStddev")
        self.conv = Conv2D(fmaps_conv, name="Conv", spectral_norm=spectral_norm, **settings)
        self.dense = Dense(fmaps_dense, act=settings["act"], name="Dense0")

    def build(self, num_channels):
        if self.from_rgb is not None:
            self.from_rgb.build([None, None, None, num_channels])
        fmaps = self.conv.fmaps
        if self.mbstd is not None:
            self.mbstd.build([None, 4, 4, fmaps])
        self.conv.build([None, 4, 4, fmaps + (self.mbstd.num_features if self.mbstd else 0)])
        self.dense.build([None, 4, 4, fmaps])

    def call(self, x, y=None):
        if self.from_rgb is not None:
            rgb = self.from_rgb(y)
            x = rgb if x is None else x + rgb
        x = tf.cast(x, tf.float32)
        if self.mbstd is not None:
            x = self.mbstd(x)
        return self.dense(self.conv(x))


@serializable
class DiscriminatorStyleGAN2(Network):
    """`D_stylegan2` of training/networks_stylegan2.py; with `embed_labels`, `D_main` of StyleGAN2-ADA's networks.py.

    Args:
        num_channels, resolution: of the pictures; any power of two from 4 to 1024.
        label_size: width of the labels, 0 for none.
        fmap_base, fmap_decay, fmap_min, fmap_max: channels of the layers, see `layers.modulated.num_fmaps`.
        architecture: "orig", "skip" or "resnet".
        nonlinearity: activation.
        mbstd_group_size, mbstd_num_features: see `layers.core.MinibatchStddev`; a group of 0 or 1, or no features,
            leave it out.
        dtype: of the features above 4x4: "float32", "bfloat16" or "float16".
        resample_kernel: low-pass filter of the changes of size, None for a box.
        conv_clamp, num_fp16_res: as `SynthesisStyleGAN2`.
        embed_labels: how labels decide: False: they choose one of `label_size` scores; True: they are embedded and the
            score is their inner product with the features (projection discriminator, Miyato and Koyama 2018).
        mapping_layers, mapping_fmaps, mapping_lrmul: layers between the embedded labels and the inner product, their
            width (None: that of the last features) and learning rate multiplier.
        use_spectral_norm: see `layers.core.EqualizedLayer`; of all 3x3 convolutions.
        use_pagan, pagan_num: see `FromRGB`.
        score_max: scores without labels; the first one counts, the others are for auxiliary tasks.
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
        architecture="resnet",
        nonlinearity="lrelu",
        mbstd_group_size=4,
        mbstd_num_features=1,
        dtype="float32",
        resample_kernel=(1, 3, 3, 1),
        conv_clamp=None,
        num_fp16_res=0,
        embed_labels=False,
        mapping_layers=0,
        mapping_fmaps=None,
        mapping_lrmul=0.1,
        use_spectral_norm=False,
        use_pagan=False,
        pagan_num=16,
        score_max=1,
        name="D",
    ):
        resample_kernel = None if resample_kernel is None else list(resample_kernel)
        super().__init__(locals())
        top = check_resolution(resolution)
        check_choice("architecture", architecture, ("orig", "skip", "resnet"))
        self.resolution, self.num_channels, self.label_size = resolution, num_channels, label_size
        self.architecture, self.resample_kernel = architecture, resample_kernel

        def nf(stage):
            return num_fmaps(stage, fmap_base, fmap_decay, fmap_min, fmap_max)

        settings = {"act": nonlinearity, "clamp": conv_clamp}
        extras = {"spectral_norm": use_spectral_norm, "pagan_num": pagan_num if use_pagan else 0}
        self.blocks = [
            Block(
                2**log2,
                nf(log2 - 1),
                nf(log2 - 2),
                from_rgb=architecture == "skip" or log2 == top,
                skip=architecture == "resnet",
                settings=settings,
                resample_kernel=resample_kernel,
                **extras,
            )
            for log2 in range(top, 2, -1)
        ]
        from_rgb = architecture == "skip" or top == 2
        self.head = Head(nf(1), nf(0), from_rgb, settings, mbstd_group_size, mbstd_num_features, **extras)
        self.label_layers = []
        outputs = max(label_size, score_max)
        if label_size and embed_labels:
            outputs = mapping_fmaps or nf(0)
            check_number("mapping_layers", mapping_layers, 0, MAX_LAYERS)
            settings = {"act": nonlinearity, "lrmul": mapping_lrmul}
            self.label_layers = [
                LabelEmbed(outputs, name="LabelEmbed"),
                *(Dense(outputs, name=f"Mapping{i}", **settings) for i in range(mapping_layers)),
            ]
        self.output_layer = Dense(outputs, name="Output")

    def build(self, input_shape=None):
        width = self.label_size
        for layer in self.label_layers:
            layer.build([None, width])
            width = layer.units
        for block in self.blocks:
            block.build(self.num_channels)
        self.head.build(self.num_channels)
        self.output_layer.build([None, self.head.dense.units])

    def call(self, images, labels=None):
        """Scores pictures.

        Args:
            images: `[N, resolution, resolution, num_channels]`, about [-1, 1].
            labels: `[N, label_size]`, None for zeros.
        Returns:
            `[N, 1]` scores, before any sigmoid.
        """
        if images.shape.rank != 4 or list(images.shape[1:]) != [self.resolution, self.resolution, self.num_channels]:
            size = f"{self.resolution}, {self.resolution}, {self.num_channels}"
            raise UserError(f"images must be [N, {size}] for this network, got {images.shape}")
        labels = check_labels(labels, self.label_size, images)
        x, y = None, tf.cast(images, self.keywords["dtype"])
        for block in self.blocks:
            x = block(x, y)
            if self.architecture == "skip":
                y = downsample_2d(y, self.resample_kernel)
        x = self.output_layer(self.head(x, y))
        if not self.label_layers:
            return label_scores(x[:, : max(self.label_size, 1)], labels)
        for layer in self.label_layers:
            labels = layer(labels)
        return label_scores(x, labels) * (1 / math.sqrt(x.shape[1]))
