"""Dense and convolution layers with equalised learning rate, pixel norm and minibatch standard deviation (F2).

Weights are named as in the original's scopes (`…/weight`, `…/bias`) and kept unscaled: the factor
`gain / √fan_in · lrmul` is applied when the layer runs (Karras et al. 2018, ProGAN, section 4.1).
"""

import contextlib
import contextvars
import math

import keras
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops.conv import conv2d, conv_downsample_2d, upsample_conv_2d
from tf_stylegan.ops.fused_bias_act import fused_bias_act

serializable = keras.saving.register_keras_serializable(package="tf_stylegan")
_weight_source = contextvars.ContextVar("weight_source", default=None)


@contextlib.contextmanager
def weights_from(source):
    """Weights made inside the block are what `source(path, shape)` returns, and nothing is drawn at random.

    Args:
        source: function of a weight's path ("Gs/G_synthesis/4x4/Conv/weight") and shape (list of int); returns an array
            of that shape, or None: a placeholder of one element is made, for looking at paths and shapes only.
    """
    token = _weight_source.set(source)
    try:
        yield
    finally:
        _weight_source.reset(token)


class Weights:
    """Mixed into layers and networks ahead of Keras' class.

    Lets `weights_from` decide what a weight starts as. Leaves the inputs' types alone: weights are float32, a layer
    computes in the type of the features it is given.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, autocast=False, **kwargs)

    def add_weight(self, *, name, shape, initializer, **kwargs):
        source = _weight_source.get()
        if source is not None:
            value = source(f"{self.path}/{name}", list(shape))
            shape, initializer = (shape, lambda *_, **__: value) if value is not None else ([], "zeros")
        return super().add_weight(name=name, shape=shape, initializer=initializer, **kwargs)


class Layer(Weights, keras.layers.Layer):
    """Base of all layers here."""


class EqualizedLayer(Layer):
    """A layer with a `weight` under equalised learning rate and an optional `bias`; not used by itself.

    Args:
        gain: of the weight's standard deviation.
        use_wscale: True keeps the weight at unit variance and scales when it runs; False scales at the start.
        lrmul: learning rate multiplier of weight and bias.
        use_bias: whether there is a bias.
        act, act_gain, clamp: activation, its gain (None: its default) and range, see `ops.fused_bias_act`.
        spectral_norm: divide the weight by its largest singular value (Miyato et al. 2018), estimated by one step of
            power iteration from `weight_sn` `[1, O]`, which stays as it is.
    """

    def __init__(
        self, gain=1.0, use_wscale=True, lrmul=1.0, use_bias=True, act="linear", act_gain=None, clamp=None,
        spectral_norm=False, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.gain, self.use_wscale, self.lrmul, self.use_bias = gain, use_wscale, lrmul, use_bias
        self.act, self.act_gain, self.clamp, self.spectral_norm = act, act_gain, clamp, spectral_norm

    def add_equalized(self, name, shape, lrmul=1.0):
        """Adds a weight `shape` (the last axis is the output) and returns it with its factor at run time."""
        he_std = self.gain / math.sqrt(math.prod(shape[:-1]))
        std, factor = (1 / lrmul, he_std * lrmul) if self.use_wscale else (he_std / lrmul, lrmul)
        return self.add_weight(name=name, shape=shape, initializer=keras.initializers.RandomNormal(stddev=std)), factor

    def add_core(self, shape):
        """Adds `weight` of `shape` and, if used, `bias` of its last axis."""
        self.weight, self._factor = self.add_equalized("weight", shape, self.lrmul)
        self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros") if self.use_bias else None
        if self.spectral_norm:
            normal = keras.initializers.RandomNormal(stddev=1)
            self.weight_sn = self.add_weight(
                name="weight_sn", shape=[1, shape[-1]], initializer=normal, trainable=False
            )

    def scaled_weight(self):
        w = self.weight * self._factor
        if not self.spectral_norm:
            return w
        matrix = tf.reshape(w, [-1, w.shape[-1]])
        v = _unit(tf.matmul(self.weight_sn, matrix, transpose_b=True))
        u = tf.matmul(v, matrix)
        return w * tf.math.rsqrt(tf.reduce_sum(tf.square(u)) + 1e-8)

    def scaled_bias(self):
        return None if self.bias is None else self.bias if self.lrmul == 1 else self.bias * self.lrmul

    def bias_act(self, x):
        """Bias and activation on `[…, C]`."""
        return fused_bias_act(x, self.scaled_bias(), act=self.act, gain=self.act_gain, clamp=self.clamp)

    def get_config(self):
        names = ["gain", "use_wscale", "lrmul", "use_bias", "act", "act_gain", "clamp", "spectral_norm"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _unit(x):
    return x * tf.math.rsqrt(tf.reduce_sum(tf.square(x)) + 1e-8)


@serializable
class Dense(EqualizedLayer):
    """Fully connected: `[N, …]` → `[N, units]`.

    Pictures `[N, H, W, C]` are flattened channels first, so that weights stay those of the original's files.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.add_core([math.prod(input_shape[1:]), self.units])

    def call(self, x):
        if x.shape.rank == 4:
            x = tf.transpose(x, [0, 3, 1, 2])
        if x.shape.rank > 2:
            x = tf.reshape(x, [-1, self.weight.shape[0]])
        return self.bias_act(tf.matmul(x, self.scaled_weight()))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@serializable
class Conv2D(EqualizedLayer):
    """Convolution `[N, H, W, I]` → `[N, H', W', fmaps]`, optionally with a change of size by 2.

    Args:
        fmaps: output channels.
        kernel: side of the kernel, odd.
        up, down: upsample after, downsample before, with `resample_kernel` (None: box).
    """

    def __init__(self, fmaps, kernel=3, up=False, down=False, resample_kernel=None, **kwargs):
        super().__init__(**kwargs)
        if up and down:
            raise UserError(f"{self.name}: a layer can go up or down, not both")
        if kernel < 1 or kernel % 2 == 0:
            raise UserError(f"{self.name}: kernel must be odd, got {kernel}")
        self.fmaps, self.kernel, self.up, self.down = fmaps, kernel, up, down
        self.resample_kernel = resample_kernel

    def build(self, input_shape):
        self.add_core([self.kernel, self.kernel, input_shape[-1], self.fmaps])

    def call(self, x):
        w = tf.cast(self.scaled_weight(), x.dtype)
        if self.up:
            x = upsample_conv_2d(x, w, k=self.resample_kernel)
        elif self.down:
            x = conv_downsample_2d(x, w, k=self.resample_kernel)
        else:
            x = conv2d(x, w)
        return self.bias_act(x)

    def get_config(self):
        names = ["fmaps", "kernel", "up", "down", "resample_kernel"]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@serializable
class Constant(Layer):
    """The learned start of the synthesis (StyleGAN, section 2): `[N, size, size, fmaps]`, the same for every sample."""

    def __init__(self, fmaps, size=4, **kwargs):
        super().__init__(**kwargs)
        self.fmaps, self.size = fmaps, size

    def build(self, input_shape=None):
        self.const = self.add_weight(
            name="const",
            shape=[1, self.size, self.size, self.fmaps],
            initializer=keras.initializers.RandomNormal(stddev=1),
        )

    def call(self, batch_like):
        """`batch_like`: any tensor `[N, …]`; only N is used."""
        return tf.tile(tf.convert_to_tensor(self.const), [tf.shape(batch_like)[0], 1, 1, 1])

    def get_config(self):
        return {**super().get_config(), "fmaps": self.fmaps, "size": self.size}


@serializable
class PixelNorm(Layer):
    """Divides by the root mean square over the last axis (ProGAN, section 4.2); 1e-8 under the root."""

    def build(self, input_shape=None):
        pass

    def call(self, x):
        return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + 1e-8)


@serializable
class MinibatchStddev(Layer):
    """Appends the mean standard deviation within groups of the batch as channels (ProGAN, section 3).

    Args:
        group_size: samples in a group, None for the whole batch (StyleGAN2-ADA). Sample n of a batch of N lies in group
            `n mod (N / group_size)`.
        num_features: channels appended; the input's channels are split into as many parts.
    Raises:
        UserError (a ValueError): for a batch that is larger than a group and not divisible by it.
    """

    def __init__(self, group_size=4, num_features=1, **kwargs):
        super().__init__(**kwargs)
        self.group_size, self.num_features = group_size, num_features

    def build(self, input_shape):
        if input_shape[-1] % self.num_features:
            raise UserError(f"mbstd_num_features={self.num_features} does not divide the {input_shape[-1]} channels")

    def call(self, x):
        batch, height, width, channels = x.shape
        message = "minibatch standard deviation: the batch must be at most the group size or a multiple of it: "
        group_size = batch if self.group_size is None else self.group_size
        if batch is None:
            batch = tf.shape(x)[0]
            group = tf.maximum(batch if group_size is None else tf.minimum(group_size, batch), 1)
            check = tf.debugging.assert_equal(batch % group, 0, message=f"{message}group {self.group_size}")
            with tf.control_dependencies([check] if check is not None else []):
                x = tf.identity(x)
        else:
            group = max(min(group_size, batch), 1)
            if batch % group:
                raise UserError(f"{message}got a batch of {batch} with mbstd_group_size={group}")
        y = tf.reshape(x, [group, -1, height, width, self.num_features, channels // self.num_features])  # [GMHWFc]
        y = tf.sqrt(tf.math.reduce_variance(y, axis=0) + 1e-8)  # [MHWFc]
        y = tf.reduce_mean(y, axis=[1, 2, 4])  # [MF]
        y = tf.tile(y, [group, 1])[:, None, None, :]  # [N11F]
        y = tf.broadcast_to(y, [tf.shape(x)[0], height, width, self.num_features])  # [NHWF]
        return tf.concat([x, y], axis=-1)

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size, "num_features": self.num_features}
