"""The convolution of StyleGAN2: modulated by a style, demodulated, with noise, bias and activation (F2).

Karras et al. 2020, section 2.2; `modulated_conv2d_layer` and `layer` of training/networks_stylegan2.py.
"""

import math

import tensorflow as tf

from tf_stylegan.layers.core import Conv2D, serializable
from tf_stylegan.ops.conv import modulated_conv2d


@serializable
class ModulatedConv2D(Conv2D):
    """`bias_act(demodulate(conv(x · style(w))) + noise · noise_strength)`.

    Args:
        demodulate: bring the result back to unit variance.
        use_noise: whether the layer has a `noise_strength` (a scalar, zero at the start).
        other arguments as `Conv2D`.
    Weights, beyond `weight` and `bias`: `mod_weight` `[dlatent_size, I]`, `mod_bias` `[I]` (0 means style 1).
    """

    def __init__(self, fmaps, kernel=3, demodulate=True, use_noise=True, **kwargs):
        super().__init__(fmaps, kernel, **kwargs)
        self.demodulate, self.use_noise = demodulate, use_noise

    def build(self, x_shape, dlatents_shape):
        channels = x_shape[-1]
        self.add_core([self.kernel, self.kernel, channels, self.fmaps])
        self.mod_weight, self._mod_factor = self.add_equalized("mod_weight", [dlatents_shape[-1], channels])
        self.mod_bias = self.add_weight(name="mod_bias", shape=[channels], initializer="zeros")
        if self.use_noise:
            self.noise_strength = self.add_weight(name="noise_strength", shape=[], initializer="zeros")

    def scaled_mod_weight(self):
        """What w is multiplied by to give the style: `[dlatent_size, I]`."""
        return self.mod_weight * self._mod_factor

    def call(self, x, dlatents, noise=None):
        """x `[N, H, W, I]`, dlatents `[N, dlatent_size]`, noise `[N or 1, H', W', 1]` or None → like noise, `fmaps`.

        Style and demodulation are computed in float32, whatever the type of x.
        """
        style = tf.matmul(dlatents, self.scaled_mod_weight()) + self.mod_bias + 1
        used = noise is not None and self.use_noise
        return modulated_conv2d(
            x,
            self.scaled_weight(),
            style,
            up=self.up,
            down=self.down,
            demodulate=self.demodulate,
            resample_kernel=self.resample_kernel,
            noise=noise if used else None,
            noise_strength=self.noise_strength if used else None,
            b=self.scaled_bias(),
            act=self.act,
            gain=self.act_gain,
            clamp=self.clamp,
        )

    def get_config(self):
        return {**super().get_config(), "demodulate": self.demodulate, "use_noise": self.use_noise}


def num_fmaps(stage, fmap_base, fmap_decay, fmap_min, fmap_max):
    """Channels at `stage`: `fmap_base / 2^(stage · fmap_decay)`, cut to [fmap_min, fmap_max] (`nf` of the original)."""
    return min(max(int(fmap_base / math.pow(2.0, stage * fmap_decay)), fmap_min), fmap_max)
