"""The training reader: order, resuming, errors with file and offset; what is done to a batch."""

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.data import tfrecord
from tf_stylegan.data.dataset import DatasetInfo, find_dataset
from tf_stylegan.data.pipeline import ImagePipeline, process_reals
from tf_stylegan.errors import UserError
from tf_stylegan.images import from_uint8
from tf_stylegan.ops.random import Source

N = 23


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """23 images 16x16 with three channels, image i showing i; labels i."""
    path = tmp_path_factory.mktemp("data") / "set"
    with tfrecord.RecordWriter(path, 16, 3) as writer:
        for number in range(N):
            image = np.random.RandomState(number).randint(0, 256, [3, 16, 16]).astype(np.uint8)
            image[0, 0, :] = number
            writer.add(image)
        writer.set_labels(np.arange(N)[:, None])
    return path


def take(pipeline, count, minibatch_size=4, position=0, lod=0):
    batches = pipeline.batches(minibatch_size, position, lod)
    found = [next(batches) for _ in range(count)]
    assert batches.position == position + count * minibatch_size
    return [np.concatenate(arrays) for arrays in zip(*found)]


def order_of(n, seed, position, count):
    info = DatasetInfo("x", "x", 4, 1, n, {}, None, 0)
    return ImagePipeline(info, seed).record_numbers(position, count)


@given(n=st.integers(1, 300), seed=st.integers(-(2**31), 2**31 - 1), epoch=st.integers(0, 10**6))
def test_every_epoch_is_a_permutation(n, seed, epoch):
    order = order_of(n, seed, epoch * n, n)
    assert sorted(order) == list(range(n))


def test_epochs_and_seeds_differ():
    n = 1000
    orders = order_of(n, 1, 0, 3 * n).reshape(3, n)
    orders = np.concatenate([orders, order_of(n, 2, 0, n)[None]])
    for a in range(4):
        assert abs(np.corrcoef(orders[a][1:], orders[a][:-1])[0, 1]) < 0.15  # neighbours do not stay together
        for b in range(a):
            assert (orders[a] == orders[b]).sum() < 12  # one is expected by chance


def test_every_record_comes_as_often_at_every_place():
    n, epochs = 7, 1000
    orders = order_of(n, 0, 0, n * epochs).reshape(epochs, n)
    counts = np.stack([np.bincount(orders[:, place], minlength=n) for place in range(n)])
    chi_squared = ((counts - epochs / n) ** 2 / (epochs / n)).sum()
    assert chi_squared < 67  # 36 degrees of freedom, p = 0.001 (tf.random.experimental.index_shuffle fails)


def test_batches_hold_what_the_order_says(directory):
    pipeline = ImagePipeline(find_dataset(directory), seed=5)
    images, labels = take(pipeline, 12)  # runs over the end of two epochs
    expected = pipeline.record_numbers(0, 48)
    assert images.dtype == np.uint8 and images.shape == (48, 16, 16, 3) and labels.dtype == np.float32
    np.testing.assert_array_equal(images[:, 0, 0, 0], expected)
    np.testing.assert_array_equal(labels[:, 0], expected)
    number = expected[7]
    original = np.random.RandomState(number).randint(0, 256, [3, 16, 16]).astype(np.uint8)
    np.testing.assert_array_equal(images[7, 1:], original.transpose(1, 2, 0)[1:])


def test_resuming_at_a_position_continues_the_run(directory):
    images, labels = take(ImagePipeline(find_dataset(directory), seed=5), 20)
    for position in (4, 22, 40):
        again = ImagePipeline(find_dataset(directory), seed=5)  # a new process knows seed and position only
        more_images, more_labels = take(again, 5, position=position)
        np.testing.assert_array_equal(more_images, images[position : position + 20])
        np.testing.assert_array_equal(more_labels, labels[position : position + 20])
    other, _ = take(ImagePipeline(find_dataset(directory), seed=5), 10, minibatch_size=8)
    np.testing.assert_array_equal(other, images)  # nor does the batch size matter


def test_without_shuffle_in_order_of_the_records(directory):
    info = find_dataset(directory, max_images=10)
    images, _ = take(ImagePipeline(info, shuffle=False), 6)
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(24) % 10)


def test_lower_level_of_detail_at_the_same_position(directory):
    pipeline = ImagePipeline(find_dataset(directory), seed=5)
    full, labels = take(pipeline, 3, position=8)
    half, same_labels = take(pipeline, 3, position=8, lod=1.5)
    np.testing.assert_array_equal(labels, same_labels)
    means = full.astype(np.float32).reshape(12, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(half, np.rint(means))


def test_labels_of_all_images(directory):
    labels = ImagePipeline(find_dataset(directory)).labels
    np.testing.assert_array_equal(labels, np.arange(N, dtype=np.float32)[:, None])


def copy_set(directory, tmp_path):
    for path in directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / "set-r04.tfrecords"


def test_damaged_data_stops_with_file_record_and_offset(directory, tmp_path):
    path = copy_set(directory, tmp_path)
    offset = tfrecord.index_records(path)[0][9]
    data = bytearray(path.read_bytes())
    data[offset + 100] ^= 1
    path.write_bytes(data)
    pipeline = ImagePipeline(find_dataset(tmp_path), shuffle=False)
    batches = pipeline.batches(4)
    next(batches), next(batches)  # the batches before it arrive
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: record 9 at byte {offset} is damaged"):
        next(batches)
    assert batches.position == 8


def test_file_cut_during_the_run(directory, tmp_path):
    path = copy_set(directory, tmp_path)
    pipeline = ImagePipeline(find_dataset(tmp_path), shuffle=False)
    pipeline.dataset(4)  # indexes
    offset = tfrecord.index_records(path)[0][2]
    with open(path, "rb+") as file:
        file.truncate(offset + 50)
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: record 2 at byte {offset} is truncated"):
        next(pipeline.batches(4))


def test_same_length_but_another_shape(directory, tmp_path):
    path = copy_set(directory, tmp_path)
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    records[3] = records[3].replace(b"\x03\x10\x10", b"\x03\x08\x20")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    pipeline = ImagePipeline(find_dataset(tmp_path), shuffle=False)
    with pytest.raises(
        UserError, match=r"record 3 at byte \d+: records disagree in shape: got \[3, 8, 32\], expected \[3"
    ):
        next(pipeline.batches(4))


def test_lower_file_that_disagrees(directory, tmp_path):
    path = copy_set(directory, tmp_path)
    (tmp_path / "set-r03.tfrecords").write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"set-r03.tfrecords: expected 23 images \[3, 8, 8\].*got 23 of \[3, 16, 16\]"):
        ImagePipeline(find_dataset(tmp_path)).batches(4, lod=1)


# process_reals


def random_batch(n=12, size=8, channels=3):
    return np.random.RandomState(1).randint(0, 256, [n, size, size, channels]).astype(np.uint8)


def test_dynamic_range():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    x = process_reals(images).numpy()
    assert x.dtype == np.float32 and x.min() == -1 and x.max() == 1
    np.testing.assert_array_equal(x, from_uint8(images))
    np.testing.assert_allclose(x.ravel(), np.linspace(-1, 1, 256), atol=1e-7)


def test_mirror_is_of_whole_images_and_repeatable():
    images = random_batch(64)
    plain = process_reals(images).numpy()
    seed = tf.constant([3, 4])
    x = process_reals(images, seed).numpy()
    kept = (x == plain).all(axis=(1, 2, 3))
    mirrored = (x == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (kept ^ mirrored).all() and 16 < mirrored.sum() < 48
    np.testing.assert_array_equal(process_reals(images, seed), x)
    assert (process_reals(images, [3, 5]).numpy() != x).any()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("traced", [False, True])
def test_shards_equal_the_whole_batch(count, traced):
    images, seed = random_batch(12), tf.constant([7, 8])
    whole = process_reals(images, seed, 0.25).numpy()

    def one(part, number):
        return process_reals(part, Source(seed, number, count), 0.25)

    for index in range(count):
        part = images[index::count]
        part = tf.function(one)(part, tf.constant(index)) if traced else one(part, index)
        assert part.shape == (12 // count, 8, 8, 3)
        np.testing.assert_array_equal(part, whole[index::count])


@given(lod=st.floats(0, 2.99), traced=st.booleans())
def test_fade_against_numpy(lod, traced):
    size = 32 >> int(lod)
    images = random_batch(2, size)
    x = images.astype(np.float64) / 127.5 - 1
    means = x.reshape(2, size // 2, 2, size // 2, 2, 3).mean(axis=(2, 4))
    means = means.repeat(2, axis=1).repeat(2, axis=2)
    expected = x + (means - x) * (lod - np.floor(lod))
    expected = expected.repeat(32 // size, axis=1).repeat(32 // size, axis=2)
    result = process_reals(images, lod=tf.constant(lod, tf.float32) if traced else lod, resolution=32)
    assert result.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(result, expected, atol=2e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="cannot enlarge images of 8x8 to 4"):
        process_reals(random_batch(), resolution=4)
