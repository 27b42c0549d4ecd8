"""Stateless draws whose values do not depend on how a batch is dealt to replicas (F1)."""

import tensorflow as tf


def fold_in(seed, *data):
    """A new seed from `seed` (int32 `[2]`) and integers; None stays None."""
    for number in data if seed is not None else ():
        seed = tf.random.experimental.stateless_fold_in(seed, number)
    return seed


def normal(shape, seed=None, shard=(0, 1), dtype=tf.float32):
    """Standard normal numbers.

    Args:
        shape: `[N, …]`, what this replica gets; entries may be scalar tensors.
        seed: int32 `[2]`, or None for numbers that never repeat.
        shard: (index, count) of this replica. The draw is made for the `N·count` samples of all replicas and every
            `count`-th row is kept from row `index` on: replicas together see what one device would have drawn.
    Returns:
        `[N, …]` of `dtype`.
    """
    index, count = shard
    if seed is None:
        return tf.random.normal(shape, dtype=dtype)
    if count == 1:
        return tf.random.stateless_normal(shape, seed, dtype=dtype)
    return tf.random.stateless_normal([shape[0] * count, *shape[1:]], seed, dtype=dtype)[index::count]


def uniform(shape, seed=None, shard=(0, 1), dtype=tf.float32):
    """Uniform numbers in [0, 1); arguments as `normal`."""
    index, count = shard
    if seed is None:
        return tf.random.uniform(shape, dtype=dtype)
    if count == 1:
        return tf.random.stateless_uniform(shape, seed, dtype=dtype)
    return tf.random.stateless_uniform([shape[0] * count, *shape[1:]], seed, dtype=dtype)[index::count]
