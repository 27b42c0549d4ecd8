"""The synthesis network of StyleGAN2, configs e and f, in its three architectures (section 4.1, figure 7)."""

import math

import tensorflow as tf

from tf_stylegan.layers.core import Constant, Conv2D, Layer, serializable
from tf_stylegan.layers.modulated import ModulatedConv2D, num_fmaps
from tf_stylegan.networks.base import DTYPES, check_choice, check_resolution
from tf_stylegan.networks.synthesis import Synthesis
from tf_stylegan.ops.upfirdn_2d import upsample_2d


class Block(Layer):
    """All layers of one resolution, under the scope `RxR` of the original; made and called by the network below.

    Args:
        settings: of all its layers: `act`, `clamp`, `resample_kernel`.
    """

    def __init__(self, res, fmaps, num_channels, to_rgb, skip, settings, use_noise=True, fmap_const=None):
        super().__init__(name=f"{res}x{res}")
        self.res = res
        style = {"use_noise": use_noise, **settings}
        if res == 4:
            self.const = Constant(fmap_const or fmaps, name="Const")
            self.convs = [ModulatedConv2D(fmaps, name="Conv", **style)]
        else:
            self.const = None
            self.convs = [
                ModulatedConv2D(fmaps, up=True, name="Conv0_up", **style),
                ModulatedConv2D(fmaps, name="Conv1", **style),
            ]
        self.to_rgb = self.skip = None
        if to_rgb:
            rgb = {"demodulate": False, "use_noise": False, "clamp": settings["clamp"]}
            self.to_rgb = ModulatedConv2D(num_channels, 1, name="ToRGB", **rgb)
        if skip:
            kernel = settings["resample_kernel"]
            self.skip = Conv2D(fmaps, 1, up=True, use_bias=False, resample_kernel=kernel, name="Skip")

    def build(self, fmaps_in, dlatent_size):
        if self.const is not None:
            self.const.build()
            fmaps_in = self.const.fmaps
        shape = [None, None, None, fmaps_in]
        if self.skip is not None:
            self.skip.build(shape)
        for conv in self.convs:
            conv.build(shape, [None, dlatent_size])
            shape = [None, None, None, conv.fmaps]
        if self.to_rgb is not None:
            self.to_rgb.build(shape, [None, dlatent_size])

    def call(self, x, dlatents, noises, dtype="float32"):
        """x: output of the block before (None at 4x4) → output; dlatents and noises: one per convolution.

        dtype: of the features, which the first block decides.
        """
        skip = x
        if self.const is not None:
            x = tf.cast(self.const(dlatents[0]), dtype)
        for conv, w, noise in zip(self.convs, dlatents, noises):
            x = conv(x, w, noise)
        if self.skip is not None:
            x = (x + self.skip(skip)) * (1 / math.sqrt(2))
        return x


@serializable
class SynthesisStyleGAN2(Synthesis):
    """`G_synthesis_stylegan2` of training/networks_stylegan2.py, `G_synthesis` of StyleGAN2-ADA's networks.py.

    Args:
        dlatent_size: width of w.
        num_channels: channels of the pictures.
        resolution: side of the pictures, a power of two from 4 to 1024.
        fmap_base, fmap_decay, fmap_min, fmap_max: channels of the layers, see `layers.modulated.num_fmaps`.
        randomize_noise: the noise mode where none is asked for: True is "random", False "const".
        architecture: "orig", "skip" or "resnet".
        nonlinearity: activation.
        dtype: of the features: "float32", "bfloat16" or "float16".
        resample_kernel: low-pass filter of the changes of size, None for a box.
        fused_modconv: accepted for the originals' sake; both of its settings are the same computation here.
        use_noise: False leaves the noise out.
        fmap_const: channels of the learned constant, None for those of the first layer.
        conv_clamp: activations are cut to [-conv_clamp, conv_clamp], None: they are not (StyleGAN2-ADA, appendix D.1).
        num_fp16_res: accepted for the originals' sake: how many resolutions they compute in half precision.
    """

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
        architecture="skip",
        nonlinearity="lrelu",
        dtype="float32",
        resample_kernel=(1, 3, 3, 1),
        fused_modconv=True,
        use_noise=True,
        fmap_const=None,
        conv_clamp=None,
        num_fp16_res=0,
        name="G_synthesis",
    ):
        resample_kernel = None if resample_kernel is None else list(resample_kernel)
        super().__init__(locals())
        top = check_resolution(resolution)
        check_choice("architecture", architecture, ("orig", "skip", "resnet"))
        self.architecture, self.resample_kernel = architecture, resample_kernel
        layers = top * 2 - 2  # styles; the last is that of the last ToRGB
        self.set_up(
            resolution=resolution,
            num_channels=num_channels,
            dlatent_size=dlatent_size,
            num_layers=layers,
            randomize_noise=randomize_noise,
            noise_sizes=[2 ** ((i + 5) // 2) for i in range(layers - 1)] if use_noise else [],
        )
        settings = {"act": nonlinearity, "clamp": conv_clamp, "resample_kernel": resample_kernel}
        self.blocks = []
        for log2 in range(2, top + 1):
            fmaps = num_fmaps(log2 - 1, fmap_base, fmap_decay, fmap_min, fmap_max)
            to_rgb = architecture == "skip" or log2 == top
            skip = architecture == "resnet" and log2 > 2
            block = Block(2**log2, fmaps, num_channels, to_rgb, skip, settings, use_noise, fmap_const)
            self.blocks.append(block)

    def build(self, input_shape=None):
        self.add_noise()
        fmaps = None
        for block in self.blocks:
            block.build(fmaps, self.dlatent_size)
            fmaps = block.convs[-1].fmaps

    def call(self, dlatents, noise_mode=None, seed=None, noise=None):
        """w to pictures.

        Args:
            dlatents: `[N, num_layers, dlatent_size]`.
            noise_mode: "const" (fixed maps), "random" (new for each sample) or "none"; None: `randomize_noise`.
            seed: of the random noise: int32 `[2]`, `ops.random.Source`, or None for noise that never repeats.
            noise: maps for "const" in place of the stored ones, `num_layers − 1` arrays `[1 or N, r, r, 1]`.
        Returns:
            `[N, resolution, resolution, num_channels]` float32, about [-1, 1].
        """
        self.check_dlatents(dlatents)
        w = tf.unstack(dlatents, axis=1)
        noises = self.noise_maps(noise_mode, tf.shape(dlatents)[0], seed, noise) or [None] * (self.num_layers - 1)
        x = y = None
        layer = 0
        for block in self.blocks:
            count = len(block.convs)
            x = block(x, w[layer : layer + count], noises[layer : layer + count], dtype=self.keywords["dtype"])
            layer += count
            if self.architecture == "skip" and y is not None:
                y = upsample_2d(y, self.resample_kernel)
            if block.to_rgb is not None:
                rgb = tf.cast(block.to_rgb(x, w[layer]), tf.float32)  # shares the style of the layer that follows
                y = rgb if y is None else y + rgb
        return y
