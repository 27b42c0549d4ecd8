"""The training reader: record files -> endless batches, in an order that two numbers (seed, position) decide.

`position` counts images since the beginning of training. Epoch `position // n` has its own permutation of the n
records, drawn from (seed, epoch), so that nothing but the position has to be saved to resume, and any batch can be
read again on its own. The records are read natively at their byte offsets: no Python per record, no shuffle buffer.
`process_reals` then does what the original's `training_loop.process_reals` does to a batch.
"""

import re

import numpy as np
import tensorflow as tf

from tf_stylegan.data.tfrecord import decode_record, index_images, read_record, record_at
from tf_stylegan.errors import UserError
from tf_stylegan.ops.random import as_source

_END_OF_TIME = 1 << 62


class ImagePipeline:
    """Batches of a data set, from any position, at any level of detail.

    Args:
        info: DatasetInfo of `find_dataset`.
        seed: int32, of the order.
        shuffle: False for the order of the records on disk.
    """

    def __init__(self, info, seed=0, shuffle=True):
        self.info = info
        self.seed = int(seed)
        self.shuffle = shuffle
        self.labels = info.load_labels()  # [n, L] float32, in record order: rows to draw for the generator
        self._indices = {}  # {path: byte offsets}

    def epoch_order(self, epoch):
        """Record numbers of one epoch in the order of reading, int64 `[num_images]`; `epoch` may be a tensor."""
        numbers = tf.range(self.info.num_images, dtype=tf.int64)
        if not self.shuffle:
            return numbers
        # Not `index_shuffle`, which needs no memory: for nearby seeds its permutations are visibly alike (TF 2.21).
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(epoch, tf.int64)])
        with tf.device("CPU"):  # where tf.data runs: one device, one order
            return tf.random.experimental.stateless_shuffle(numbers, seed, alg="philox")

    def record_numbers(self, position, count):
        """Numbers of the `count` records from `position` on, int64 array in [0, num_images)."""
        n = self.info.num_images
        first, last = position // n, (position + count - 1) // n
        numbers = np.concatenate([self.epoch_order(epoch).numpy() for epoch in range(first, last + 1)])
        return numbers[position - first * n :][:count]

    def dataset(self, minibatch_size, position=0, lod=0):
        """Endless `tf.data.Dataset` of (images uint8 `[minibatch, R, R, C]`, labels float32 `[minibatch, L]`).

        Args:
            minibatch_size: images in a batch; a batch may run over the end of an epoch.
            position: images consumed before the first batch.
            lod: level of detail; R = resolution / 2^floor(lod), read from the file of that resolution.
        Raises:
            UserError: when that file is missing, damaged, or disagrees with the full resolution.
        """
        path, offsets, shape = self.open(int(lod))
        offsets, labels = tf.constant(offsets), tf.constant(self.labels)
        first_epoch, consumed = divmod(int(position), self.info.num_images)

        def numbers_of(epoch):
            start = tf.where(epoch == first_epoch, consumed, 0)
            return tf.data.Dataset.from_tensor_slices(self.epoch_order(epoch)[start:])

        def read(number):
            features = {"shape": tf.io.FixedLenFeature([3], tf.int64), "data": tf.io.FixedLenFeature([], tf.string)}
            record = tf.io.parse_single_example(record_at(path, offsets[number]), features)
            # Same length is no proof of the same shape: 64x64 and 32x128 are one length.
            same = tf.reduce_all(record["shape"] == tf.constant(shape, tf.int64))
            with tf.control_dependencies([tf.debugging.Assert(same, ["records disagree in shape", record["shape"]])]):
                image = tf.reshape(tf.io.decode_raw(record["data"], tf.uint8), shape)  # CHW
            return tf.transpose(image, [1, 2, 0]), labels[number]  # HWC, L

        numbers = tf.data.Dataset.range(first_epoch, _END_OF_TIME).flat_map(numbers_of)
        dataset = numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return dataset.batch(minibatch_size, drop_remainder=True).prefetch(2).with_options(options)

    def batches(self, minibatch_size, position=0, lod=0):
        """Endless iterator over `dataset(...)` (same arguments); see BatchIterator."""
        return BatchIterator(self, minibatch_size, position, lod)

    def open(self, lod):
        """(path, offsets of the records, shape) of a level of detail, an int; UserErrors as `dataset`."""
        path = self.info.file_at(lod)
        if path not in self._indices:
            offsets, shape = index_images(path)
            size = self.info.resolution >> lod
            expected = (self.info.num_channels, size, size)
            if shape != expected or len(offsets) < self.info.num_images:
                raise UserError(
                    f"{path}: expected {self.info.num_images} images {list(expected)} as at full resolution, "
                    f"got {len(offsets)} of {list(shape)}; convert the images again"
                )
            self._indices[path] = offsets[: self.info.num_images]
        size = self.info.resolution >> lod
        return path, self._indices[path], (self.info.num_channels, size, size)

    def explain(self, minibatch_size, position, lod):
        """Reads one batch's records again, one by one, and raises a UserError naming the first bad one, if any."""
        path, offsets, shape = self.open(int(lod))
        for number in self.record_numbers(position, minibatch_size):
            where = f"{path}: record {number} at byte {offsets[number]}"
            found = decode_record(read_record(path, offsets[number]), where).shape
            if found != shape:
                raise UserError(
                    f"{where}: records disagree in shape: got {list(found)}, expected {list(shape)}; "
                    "convert the images again"
                )


class BatchIterator:
    """Iterates over batches; damaged data raises a UserError that names file, record and byte offset.

    Attributes:
        position: images consumed so far; opening the pipeline there again continues with the next batch.
    """

    def __init__(self, pipeline, minibatch_size, position, lod):
        self.position = int(position)
        self._pipeline, self._minibatch_size, self._lod = pipeline, minibatch_size, lod
        self._iterator = iter(pipeline.dataset(minibatch_size, position, lod))

    def __iter__(self):
        return self

    def __next__(self):
        try:
            batch = next(self._iterator)
        except tf.errors.OpError as error:
            self._pipeline.explain(self._minibatch_size, self.position, self._lod)
            if isinstance(error, tf.errors.DataLossError | tf.errors.NotFoundError):  # gone or changed meanwhile
                reason = re.sub(r"\s+", " ", error.message)[:200]
                raise UserError(f"{self._pipeline.info.file_at(self._lod)} could not be read: {reason}") from error
            raise  # none of the user's making, such as lack of memory
        self.position += self._minibatch_size
        return batch


def process_reals(images, mirror=None, lod=0.0, resolution=None):
    """What the discriminator sees of a batch: dynamic range, mirror, level-of-detail fade, full size.

    A pure function (original: `training_loop.process_reals`). At a fractional level of detail each picture is faded
    towards its own half resolution, x + (mean of each 2x2 block − x)·frac(lod), then enlarged by repeating pixels.

    Args:
        images: uint8 `[N, h, w, C]`, h = resolution / 2^floor(lod).
        mirror: seed (int32 `[2]`) or `ops.random.Source`: each image is mirrored with probability 1/2. None for never.
        lod: level of detail, float or float scalar tensor.
        resolution: height = width to return, None for h. The enlargement follows from it and h.
    Returns:
        float32 `[N, resolution, resolution, C]` in [-1, 1].
    Raises:
        ValueError: when `resolution` is no multiple of h.
    """
    images = tf.convert_to_tensor(images)
    # As images.from_uint8. A division would become this product in a graph only, one bit off what it is outside.
    x = tf.cast(images, tf.float32) * (1 / 127.5) - 1.0  # NHWC
    if mirror is not None:
        mirrored = as_source(mirror).uniform([tf.shape(images)[0]]) < 0.5
        x = tf.where(mirrored[:, None, None, None], tf.reverse(x, [2]), x)
    height, width, channels = x.shape[1:]
    if tf.is_tensor(lod) or lod % 1:
        lod = tf.cast(lod, tf.float32)
        blocks = tf.reshape(x, [-1, height // 2, 2, width // 2, 2, channels])
        means = tf.reduce_mean(blocks, axis=[2, 4], keepdims=True)
        x = tf.reshape(blocks + (means - blocks) * (lod - tf.floor(lod)), [-1, height, width, channels])  # NHWC
    factor, rest = divmod(resolution or height, height)
    if rest or not factor:
        raise ValueError(f"cannot enlarge images of {height}x{width} to {resolution}: not a multiple")
    return tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2) if factor > 1 else x  # NHWC
