"""The networks of StyleGAN1: mapping, synthesis, generator and discriminator, progressively grown (F3).

training/networks_stylegan.py of NVlabs/stylegan, which StyleGAN2's config-a uses unchanged.
"""

import math

import tensorflow as tf

from tf_stylegan.layers.adain import ScaledConv2D, StyledConstant, StyledConv2D, StyledDense
from tf_stylegan.layers.core import Dense, Layer, MinibatchStddev, serializable
from tf_stylegan.layers.modulated import num_fmaps
from tf_stylegan.networks.base import check_choice, check_labels, check_resolution, label_scores
from tf_stylegan.networks.discriminator_stylegan import GrowingDiscriminator
from tf_stylegan.networks.generator import Generator
from tf_stylegan.networks.growing import STRUCTURES, Lod, grow_images
from tf_stylegan.networks.mapping import Mapping
from tf_stylegan.networks.synthesis import Synthesis


@serializable
class MappingStyleGAN1(Mapping):
    """`G_mapping` of training/networks_stylegan.py: the gain √2 is on the weights instead of the activations."""

    dense_settings = {"gain": math.sqrt(2), "act_gain": 1.0}


class Block(Layer):
    """All layers of one resolution of the synthesis, under the scope `RxR`."""

    def __init__(self, res, fmaps, const_input_layer, fused_scale, blur_filter, settings):
        super().__init__(name=f"{res}x{res}")
        self.start = None
        if res == 4:
            start, name = (StyledConstant, "Const") if const_input_layer else (StyledDense, "Dense")
            self.start = start(fmaps, name=name, **settings)
            self.convs = [StyledConv2D(fmaps, name="Conv", **settings)]
        else:
            scaling = {"up": True, "fused_scale": fused_scale, "blur_filter": blur_filter}
            self.convs = [
                StyledConv2D(fmaps, name="Conv0_up", **scaling, **settings),
                StyledConv2D(fmaps, name="Conv1", **settings),
            ]

    def build(self, fmaps_in, dlatent_size):
        dlatents = [None, dlatent_size]
        if self.start is not None:
            self.start.build(dlatents)
            fmaps_in = self.start.fmaps
        for conv in self.convs:
            conv.build([None, None, None, fmaps_in], dlatents)
            fmaps_in = conv.fmaps

    def call(self, x, dlatents, noises):
        """x: output of the block before (None at 4x4) → output; dlatents and noises: two each."""
        if self.start is not None:
            x = self.start(dlatents[0], noises[0])
            return self.convs[0](x, dlatents[1], noises[1])
        for conv, w, noise in zip(self.convs, dlatents, noises):
            x = conv(x, w, noise)
        return x


@serializable
class SynthesisStyleGAN1(Synthesis):
    """`G_synthesis` of training/networks_stylegan.py.

    Args:
        dlatent_size, num_channels, resolution, fmap_base, fmap_decay, fmap_max, randomize_noise, nonlinearity, dtype:
            as `SynthesisStyleGAN2`.
        use_styles: False leaves the styles out; w is then one layer wide.
        const_input_layer: start from a learned constant; False: from a dense layer of w.
        use_noise: False leaves the noise out.
        use_wscale: see `layers.core.EqualizedLayer`.
        use_pixel_norm, use_instance_norm: norms after the activation.
        fused_scale: True, False or "auto", see `layers.adain.scaled_conv2d`.
        blur_filter: `[n]` after going up, None for none.
        structure: accepted for the originals' sake; values are the same.
    """

    grows = True

    def __init__(
        self,
        dlatent_size=512,
        num_channels=3,
        resolution=1024,
        fmap_base=8192,
        fmap_decay=1.0,
        fmap_max=512,
        use_styles=True,
        const_input_layer=True,
        use_noise=True,
        randomize_noise=True,
        nonlinearity="lrelu",
        use_wscale=True,
        use_pixel_norm=False,
        use_instance_norm=True,
        dtype="float32",
        fused_scale="auto",
        blur_filter=(1, 2, 1),
        structure="auto",
        name="G_synthesis",
    ):
        blur_filter = None if blur_filter is None else list(blur_filter)
        super().__init__(locals())
        check_choice("structure", structure, STRUCTURES)
        top = check_resolution(resolution)
        layers = top * 2 - 2
        self.set_up(
            resolution=resolution,
            num_channels=num_channels,
            dlatent_size=dlatent_size,
            num_layers=layers if use_styles else 1,
            randomize_noise=randomize_noise,
            noise_sizes=[2 ** (i // 2 + 2) for i in range(layers)] if use_noise else [],
        )
        self.use_styles, self.num_convs = use_styles, layers
        settings = {
            "use_noise": bool(use_noise),
            "use_styles": use_styles,
            "use_wscale": use_wscale,
            "use_pixel_norm": use_pixel_norm,
            "use_instance_norm": use_instance_norm,
            "act": nonlinearity,
        }
        self.blocks, self.to_rgb = [], []
        for log2 in range(2, top + 1):
            fmaps = num_fmaps(log2 - 1, fmap_base, fmap_decay, 1, fmap_max)
            self.blocks.append(Block(2**log2, fmaps, const_input_layer, fused_scale, blur_filter, settings))
            rgb = ScaledConv2D(num_channels, 1, gain=1.0, use_wscale=use_wscale, name=f"ToRGB_lod{top - log2}")
            self.to_rgb.append(rgb)

    def build(self, input_shape=None):
        self.add_noise()
        self.lod = self.add_weight(name="lod", shape=[], initializer="zeros", trainable=False, aggregation="mean")
        fmaps = None
        for block, rgb in zip(self.blocks, self.to_rgb):
            block.build(fmaps, self.dlatent_size)
            fmaps = block.convs[-1].fmaps
            rgb.build([None, None, None, fmaps])

    def call(self, dlatents, noise_mode=None, seed=None, noise=None, lod=None, full_size=True):
        """w to pictures; arguments as `SynthesisStyleGAN2.call`, and:

        lod: level of detail, a number or `growing.Lod`; None for the network's `lod` variable.
        full_size: see `growing.grow_images`.
        """
        self.check_dlatents(dlatents)
        w = tf.unstack(dlatents, axis=1)
        w = w if self.use_styles else w * self.num_convs
        noises = self.noise_maps(noise_mode, tf.shape(dlatents)[0], seed, noise) or [None] * self.num_convs

        def run(i):
            return lambda x: self.blocks[i](x, w[2 * i : 2 * i + 2], noises[2 * i : 2 * i + 2])

        blocks = [run(i) for i in range(len(self.blocks))]
        lod = Lod.of(lod, self.lod, len(blocks) - 1)
        return grow_images(blocks[1:], self.to_rgb, blocks[0](None), lod, full_size)


@serializable
class GeneratorStyleGAN1(Generator):
    """`G_style` of training/networks_stylegan.py; as `Generator`, with StyleGAN1's parts and truncation."""

    mappings = {"G_mapping": MappingStyleGAN1}
    syntheses = {"G_synthesis": SynthesisStyleGAN1}

    def __init__(
        self,
        truncation_psi=0.7,
        truncation_cutoff=8,
        dlatent_avg_beta=0.995,
        style_mixing_prob=0.9,
        mapping_func="G_mapping",
        synthesis_func="G_synthesis",
        name="G",
        **kwargs,
    ):
        super().__init__(
            truncation_psi,
            truncation_cutoff,
            dlatent_avg_beta,
            style_mixing_prob,
            mapping_func,
            synthesis_func,
            name,
            **kwargs,
        )


class HeadStyleGAN1(Layer):
    """The layers of the scope `4x4` of `D_basic`."""

    def __init__(self, fmaps_conv, fmaps_dense, outputs, mbstd_group_size, mbstd_num_features, settings):
        super().__init__(name="4x4")
        self.mbstd = None
        if mbstd_group_size > 1:
            self.mbstd = MinibatchStddev(mbstd_group_size, mbstd_num_features, name="MinibatchStddev")
        self.conv = ScaledConv2D(fmaps_conv, name="Conv", **settings)
        self.dense0 = Dense(fmaps_dense, name="Dense0", gain=math.sqrt(2), act_gain=1.0, **settings)
        self.dense1 = Dense(outputs, name="Dense1", use_wscale=settings["use_wscale"])

    def build(self, num_channels):
        fmaps = self.conv.fmaps
        if self.mbstd is not None:
            self.mbstd.build([None, 4, 4, fmaps])
        self.conv.build([None, 4, 4, fmaps + (self.mbstd.num_features if self.mbstd else 0)])
        self.dense0.build([None, 4, 4, fmaps])
        self.dense1.build([None, self.dense0.units])

    def call(self, x):
        x = x if self.mbstd is None else self.mbstd(x)
        return self.dense1(self.dense0(self.conv(x)))


class DownBlock(Layer):
    """The layers of one resolution of `D_basic`, under the scope `RxR`."""

    def __init__(self, res, fmaps, fmaps_out, fused_scale, blur_filter, settings):
        super().__init__(name=f"{res}x{res}")
        self.conv0 = ScaledConv2D(fmaps, name="Conv0", **settings)
        scaling = {"down": True, "fused_scale": fused_scale, "blur_filter": blur_filter}
        self.conv1 = ScaledConv2D(fmaps_out, name="Conv1_down", **scaling, **settings)

    def build(self, num_channels):
        for layer in (self.conv0, self.conv1):
            layer.build([None, None, None, self.conv0.fmaps])

    def call(self, x):
        return self.conv1(self.conv0(x))


@serializable
class DiscriminatorStyleGAN1(GrowingDiscriminator):
    """`D_basic` of training/networks_stylegan.py.

    Args:
        num_channels, resolution, label_size, fmap_base, fmap_decay, fmap_max, nonlinearity, mbstd_group_size,
            mbstd_num_features, dtype: as `DiscriminatorStyleGAN2`.
        use_wscale, fused_scale, blur_filter, structure: as `SynthesisStyleGAN1`, the blur before going down.
    """

    def __init__(
        self,
        num_channels=1,
        resolution=32,
        label_size=0,
        fmap_base=8192,
        fmap_decay=1.0,
        fmap_max=512,
        nonlinearity="lrelu",
        use_wscale=True,
        mbstd_group_size=4,
        mbstd_num_features=1,
        dtype="float32",
        fused_scale="auto",
        blur_filter=(1, 2, 1),
        structure="auto",
        name="D",
    ):
        blur_filter = None if blur_filter is None else list(blur_filter)
        super().__init__(locals())
        self.set_up(resolution, num_channels, label_size, structure)
        settings = {"use_wscale": use_wscale, "act": nonlinearity}

        def nf(stage):
            return num_fmaps(stage, fmap_base, fmap_decay, 1, fmap_max)

        top = self.resolution_log2
        self.from_rgb = [
            ScaledConv2D(nf(log2 - 1), 1, name=f"FromRGB_lod{top - log2}", **settings) for log2 in range(top, 1, -1)
        ]
        self.blocks = [
            DownBlock(2**log2, nf(log2 - 1), nf(log2 - 2), fused_scale, blur_filter, settings)
            for log2 in range(top, 2, -1)
        ]
        self.head = HeadStyleGAN1(nf(1), nf(0), max(label_size, 1), mbstd_group_size, mbstd_num_features, settings)

    def call(self, images, labels=None, lod=None):
        """Scores pictures; arguments and result as `DiscriminatorStyleGAN.call`."""
        return label_scores(self.head(self.features(images, lod)), check_labels(labels, self.label_size, images))
