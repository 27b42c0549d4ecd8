"""The layers of StyleGAN1: whatever makes the features, then noise, bias, activation, norm and style (F2).

Karras et al. 2019, section 2; `layer_epilogue` of training/networks_stylegan.py of NVlabs/stylegan. Weights carry the
gain √2 and activations none, the other way round than in StyleGAN2; biases feel the difference.
"""

import math

import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.layers.core import Dense, EqualizedLayer, Layer, serializable
from tf_stylegan.ops.conv import conv2d, fused_conv_downscale_2d, fused_upscale_conv_2d
from tf_stylegan.ops.upfirdn_2d import downsample_2d, filter_2d, upsample_2d


@serializable
class Noise(Layer):
    """`x + noise · weight` with one weight per channel, zero at the start: `[N, H, W, C]` in and out."""

    def build(self, input_shape):
        self.weight = self.add_weight(name="weight", shape=[input_shape[-1]], initializer="zeros")

    def call(self, x, noise):
        """noise: `[1 or N, H, W, 1]`."""
        return x + noise * self.weight


class Epilogue(EqualizedLayer):
    """What follows the features in every layer of the synthesis; the sub-classes make those. Not used by itself.

    Args:
        use_noise, use_styles, use_pixel_norm, use_instance_norm: which parts there are.
        other arguments as `EqualizedLayer`.
    """

    def __init__(
        self, use_noise=True, use_styles=True, use_pixel_norm=False, use_instance_norm=True, act="lrelu", **kwargs
    ):
        super().__init__(act=act, **{"gain": math.sqrt(2), "act_gain": 1.0, **kwargs})
        self.use_noise, self.use_styles = use_noise, use_styles
        self.use_pixel_norm, self.use_instance_norm = use_pixel_norm, use_instance_norm
        self.noise = Noise(name="Noise") if use_noise else None
        self.style_mod = None

    def build_epilogue(self, channels, dlatent_size):
        self.bias = self.add_weight(name="bias", shape=[channels], initializer="zeros") if self.use_bias else None
        if self.noise is not None:
            self.noise.build([None, None, None, channels])
        if self.use_styles:
            self.style_mod = Dense(2 * channels, use_wscale=self.use_wscale, name="StyleMod")
            self.style_mod.build([None, dlatent_size])

    def epilogue(self, x, dlatents, noise):
        """x `[N, H, W, C]`, dlatents `[N, dlatent_size]`, noise `[1 or N, H, W, 1]` or None → `[N, H, W, C]`."""
        if self.noise is not None and noise is not None:
            x = self.noise(x, noise)
        x = self.bias_act(x)
        if self.use_pixel_norm:
            x *= tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=3, keepdims=True) + 1e-8)
        if self.use_instance_norm:
            x -= tf.reduce_mean(x, axis=[1, 2], keepdims=True)
            x *= tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=[1, 2], keepdims=True) + 1e-8)
        if self.style_mod is not None:
            scale, shift = tf.split(self.style_mod(dlatents)[:, None, None, :], 2, axis=3)
            x = x * (scale + 1) + shift
        return x

    def get_config(self):
        names = ["use_noise", "use_styles", "use_pixel_norm", "use_instance_norm"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@serializable
class StyledConstant(Epilogue):
    """The learned constant 4x4 under an epilogue: `Const`, ones at the start."""

    def __init__(self, fmaps, **kwargs):
        super().__init__(**kwargs)
        self.fmaps = fmaps

    def build(self, dlatents_shape):
        self.const = self.add_weight(name="const", shape=[1, 4, 4, self.fmaps], initializer="ones")
        self.build_epilogue(self.fmaps, dlatents_shape[-1])

    def call(self, dlatents, noise=None):
        x = tf.tile(tf.convert_to_tensor(self.const), [tf.shape(dlatents)[0], 1, 1, 1])
        return self.epilogue(x, dlatents, noise)

    def get_config(self):
        return {**super().get_config(), "fmaps": self.fmaps}


@serializable
class StyledDense(Epilogue):
    """A dense layer from w to 4x4 features in place of the constant (`const_input_layer=False`)."""

    def __init__(self, fmaps, **kwargs):
        super().__init__(**{"gain": math.sqrt(2) / 4, **kwargs})
        self.fmaps = fmaps

    def build(self, dlatents_shape):
        self.weight, self._factor = self.add_equalized("weight", [dlatents_shape[-1], self.fmaps * 16], self.lrmul)
        self.build_epilogue(self.fmaps, dlatents_shape[-1])

    def call(self, dlatents, noise=None):
        x = tf.reshape(tf.matmul(dlatents, self.scaled_weight()), [-1, self.fmaps, 4, 4])  # NCHW, as in files
        return self.epilogue(tf.transpose(x, [0, 2, 3, 1]), dlatents, noise)

    def get_config(self):
        return {**super().get_config(), "fmaps": self.fmaps}


@serializable
class StyledConv2D(Epilogue):
    """Convolution, optionally upscaling and blurring, under an epilogue.

    Args:
        fmaps, kernel: output channels and side of the kernel.
        up: double the size.
        fused_scale: True, False or "auto", see `scaled_conv2d`.
        blur_filter: `[n]` applied after going up, None for none.
    """

    def __init__(self, fmaps, kernel=3, up=False, fused_scale="auto", blur_filter=None, **kwargs):
        super().__init__(**kwargs)
        check_scaling(self.name, kernel, fused_scale)
        self.fmaps, self.kernel, self.up = fmaps, kernel, up
        self.fused_scale, self.blur_filter = fused_scale, blur_filter

    def build(self, x_shape, dlatents_shape):
        shape = [self.kernel, self.kernel, x_shape[-1], self.fmaps]
        self.weight, self._factor = self.add_equalized("weight", shape, self.lrmul)
        self.build_epilogue(self.fmaps, dlatents_shape[-1])

    def call(self, x, dlatents, noise=None):
        x = scaled_conv2d(x, self.scaled_weight(), up=self.up, fused_scale=self.fused_scale)
        if self.up and self.blur_filter:
            x = filter_2d(x, self.blur_filter)
        return self.epilogue(x, dlatents, noise)

    def get_config(self):
        names = ["fmaps", "kernel", "up", "fused_scale", "blur_filter"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@serializable
class ScaledConv2D(EqualizedLayer):
    """Convolution of StyleGAN1's and ProGAN's discriminators, optionally blurring and downscaling; bias, activation.

    Args:
        fmaps, kernel, fused_scale: as `StyledConv2D`.
        up, down: double or halve the size.
        blur_filter: `[n]` applied before going down, None for none.
    """

    def __init__(self, fmaps, kernel=3, up=False, down=False, fused_scale="auto", blur_filter=None, **kwargs):
        super().__init__(**{"gain": math.sqrt(2), "act_gain": 1.0, **kwargs})
        if up and down:
            raise UserError(f"{self.name}: a layer can go up or down, not both")
        check_scaling(self.name, kernel, fused_scale)
        self.fmaps, self.kernel, self.up, self.down = fmaps, kernel, up, down
        self.fused_scale, self.blur_filter = fused_scale, blur_filter

    def build(self, input_shape):
        self.add_core([self.kernel, self.kernel, input_shape[-1], self.fmaps])

    def call(self, x):
        if self.down and self.blur_filter:
            x = filter_2d(x, self.blur_filter)
        x = scaled_conv2d(x, self.scaled_weight(), up=self.up, down=self.down, fused_scale=self.fused_scale)
        return self.bias_act(x)

    def get_config(self):
        names = ["fmaps", "kernel", "up", "down", "fused_scale", "blur_filter"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def check_scaling(name, kernel, fused_scale):
    if kernel < 1 or kernel % 2 == 0:
        raise UserError(f"{name}: kernel must be odd, got {kernel}")
    if fused_scale not in (True, False, "auto"):
        raise UserError(f"{name}: fused_scale must be True, False or 'auto', got {fused_scale!r}")


def scaled_conv2d(x, w, up=False, down=False, fused_scale="auto"):
    """Convolution with a change of size by 2 as StyleGAN1 has it, box filtered.

    Args:
        x: `[N, H, W, I]`.
        w: `[k, k, I, O]`.
        up, down: which way.
        fused_scale: True does both in one strided convolution, False one after the other; "auto" fuses where the larger
            of the two sizes is at least 128. Going up, the fused form means the **turned** kernel: the two differ.
    Returns:
        `[N, H', W', O]`.
    """
    if not (up or down):
        return conv2d(x, w)
    if fused_scale == "auto":
        fused_scale = min(x.shape[1:3]) * (2 if up else 1) >= 128
    if up:
        return fused_upscale_conv_2d(x, w) if fused_scale else conv2d(upsample_2d(x), w)
    return fused_conv_downscale_2d(x, w) if fused_scale else downsample_2d(conv2d(x, w))
