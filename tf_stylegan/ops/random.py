"""Stateless draws whose values do not depend on how a batch is dealt to replicas (F1)."""

import tensorflow as tf


class Source:
    """Where random numbers come from: the same source gives the same numbers.

    Args:
        seed: int32 `[2]`, or None for numbers that never repeat.
        index, count: which of how many replicas asks. A draw is made for the samples of all replicas and every
            `count`-th row is kept from row `index` on: replicas together see what one device would have drawn.
    """

    def __init__(self, seed=None, index=0, count=1):
        self.seed = None if seed is None else tf.convert_to_tensor(seed, tf.int32)
        self.index, self.count = index, count

    def fold_in(self, *numbers):
        """A new source, independent of this one, for each combination of integers."""
        seed = self.seed
        for number in numbers if seed is not None else ():
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        return Source(seed, self.index, self.count)

    def shared(self):
        """The source whose numbers are the same for all replicas."""
        return Source(self.seed)

    def normal(self, shape):
        """Standard normal float32 numbers of `shape` `[N, …]`, N = samples of this replica; entries may be tensors."""
        return self._draw(tf.random.normal, tf.random.stateless_normal, shape)

    def uniform(self, shape):
        """Uniform float32 numbers in [0, 1); `shape` as in `normal`."""
        return self._draw(tf.random.uniform, tf.random.stateless_uniform, shape)

    def _draw(self, endless, stateless, shape):
        if self.seed is None:
            return endless(shape)
        # Philox by name: TensorFlow's own choice depends on the device, and the numbers with it.
        if self.count == 1:
            return stateless(shape, self.seed, alg="philox")
        numbers = stateless([shape[0] * self.count, *shape[1:]], self.seed, alg="philox")
        return tf.reshape(numbers, [shape[0], self.count, *shape[1:]])[:, self.index]


def as_source(seed):
    """A Source from a Source, an int32 `[2]` or None."""
    return seed if isinstance(seed, Source) else Source(seed)
