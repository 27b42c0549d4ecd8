"""The synthesis network of StyleGAN2's configs b–d: StyleGAN2's layers, progressively grown (F3)."""

import tensorflow as tf

from tf_stylegan.layers.core import serializable
from tf_stylegan.layers.modulated import ModulatedConv2D, num_fmaps
from tf_stylegan.networks.base import DTYPES, check_choice, check_resolution
from tf_stylegan.networks.growing import STRUCTURES, Lod, grow_images
from tf_stylegan.networks.synthesis import Synthesis
from tf_stylegan.networks.synthesis_stylegan2 import Block


@serializable
class SynthesisStyleGANRevised(Synthesis):
    """`G_synthesis_stylegan_revised` of training/networks_stylegan2.py.

    Args, as `SynthesisStyleGAN2` without architecture, and:
        structure: "auto", "fixed", "linear" or "recursive": accepted for the originals' sake, values are the same.
    """

    grows = True
    dtypes = DTYPES

    def __init__(
        self,
        dlatent_size=512,
        num_channels=3,
        resolution=1024,
        fmap_base=16 << 10,
        fmap_decay=1.0,
        fmap_min=1,
        fmap_max=512,
        randomize_noise=True,
        nonlinearity="lrelu",
        dtype="float32",
        resample_kernel=(1, 3, 3, 1),
        fused_modconv=True,
        structure="auto",
        name="G_synthesis",
    ):
        resample_kernel = None if resample_kernel is None else list(resample_kernel)
        super().__init__(locals())
        top = check_resolution(resolution)
        check_choice("structure", structure, STRUCTURES)
        layers = top * 2 - 2
        self.set_up(
            resolution=resolution,
            num_channels=num_channels,
            dlatent_size=dlatent_size,
            num_layers=layers,
            randomize_noise=randomize_noise,
            noise_sizes=[2 ** ((i + 5) // 2) for i in range(layers - 1)],
        )
        settings = {"act": nonlinearity, "clamp": None, "resample_kernel": resample_kernel}
        self.blocks, self.to_rgb = [], []
        for log2 in range(2, top + 1):
            fmaps = num_fmaps(log2 - 1, fmap_base, fmap_decay, fmap_min, fmap_max)
            self.blocks.append(Block(2**log2, fmaps, num_channels, False, False, settings))
            name = f"ToRGB_lod{top - log2}"
            self.to_rgb.append(ModulatedConv2D(num_channels, 1, demodulate=False, use_noise=False, name=name))

    def build(self, input_shape=None):
        self.add_noise()
        self.lod = self.add_weight(name="lod", shape=[], initializer="zeros", trainable=False, aggregation="mean")
        fmaps = None
        for block, rgb in zip(self.blocks, self.to_rgb):
            block.build(fmaps, self.dlatent_size)
            fmaps = block.convs[-1].fmaps
            rgb.build([None, None, None, fmaps], [None, self.dlatent_size])

    def call(self, dlatents, noise_mode=None, seed=None, noise=None, lod=None, full_size=True):
        """w to pictures; arguments and result as `SynthesisStyleGAN2.call`, and:

        lod: level of detail, a number or `growing.Lod`; None for the network's `lod` variable.
        full_size: see `growing.grow_images`.
        """
        self.check_dlatents(dlatents)
        w = tf.unstack(dlatents, axis=1)
        noises = self.noise_maps(noise_mode, tf.shape(dlatents)[0], seed, noise)

        def run(i):
            first = max(2 * i - 1, 0)  # 4x4 has one convolution, the others two
            styles, maps = w[first : 2 * i + 1], noises[first : 2 * i + 1]
            return lambda x: self.blocks[i](x, styles, maps, dtype=self.keywords["dtype"])

        def to_rgb(i):
            # shares the style of the layer that follows
            return lambda x: tf.cast(self.to_rgb[i](x, w[2 * i + 1]), tf.float32)

        blocks = [run(i) for i in range(len(self.blocks))]
        lod = Lod.of(lod, self.lod, len(blocks) - 1)
        return grow_images(blocks[1:], [to_rgb(i) for i in range(len(blocks))], blocks[0](None), lod, full_size)
