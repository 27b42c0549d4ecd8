"""How fast pictures become records and records become batches, one Markdown table.

`python benchmarks/data.py`: PNG files of 1024 pixels through tools/convert_tfrecords.py's function, beside the way the
original tool does it (one picture after the other on one thread: Pillow, means of 2x2 in NumPy, tf.train.Example), and
records of 256 pixels through the stream of batches that training reads. The pictures are made here; medians of runs in
turn. Both ways must write the same bytes.
"""

import argparse
import contextlib
import filecmp
import io
import os
import shutil
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import PIL.Image
import tensorflow as tf

from tf_stylegan.data.convert import create_from_images
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.pipeline import ImagePipeline


def make_pictures(folder, count, size):
    """PNG files that pack about as well as photographs: smooth shapes under a little noise."""
    rnd = np.random.RandomState(0)
    for i in range(count):
        shapes = PIL.Image.fromarray(rnd.randint(0, 256, [size // 24, size // 24, 3], np.uint8))
        pixels = np.asarray(shapes.resize([size, size], PIL.Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(pixels + rnd.randint(-4, 5, pixels.shape), 0, 255).astype(np.uint8)
        PIL.Image.fromarray(noisy).save(os.path.join(folder, f"{i:04d}.png"))


def convert_one_by_one(folder, pictures):
    """What the original tool does, step by step."""
    with contextlib.ExitStack() as stack:
        writers = []
        for name in sorted(os.listdir(pictures)):
            image = np.asarray(PIL.Image.open(os.path.join(pictures, name))).transpose(2, 0, 1)
            level = 0
            while True:
                if len(writers) == level:
                    name = f"{os.path.basename(folder)}-r{image.shape[1].bit_length() - 1:02d}.tfrecords"
                    path = os.path.join(folder, name)
                    writers.append(stack.enter_context(tf.io.TFRecordWriter(path)))
                stored = np.rint(image).clip(0, 255).astype(np.uint8)
                features = {
                    "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=stored.shape)),
                    "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[stored.tobytes()])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writers[level].write(example.SerializeToString(deterministic=True))
                if image.shape[1] == 4:
                    break
                image = image.astype(np.float32)
                image = (image[:, ::2, ::2] + image[:, ::2, 1::2] + image[:, 1::2, ::2] + image[:, 1::2, 1::2]) / 4
                level += 1


def compare(plain, ours):
    """Stops when the two ways differ: what is quicker but wrong is not quicker."""
    for log2 in range(2, 11):
        names = (os.path.join(folder, f"{os.path.basename(folder)}-r{log2:02d}.tfrecords") for folder in (plain, ours))
        if not filecmp.cmp(*names, shallow=False):
            raise SystemExit(f"error: the records of {1 << log2} pixels differ")


def seconds(function):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64, help="pictures of 1024 pixels")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        pictures, small = os.path.join(folder, "png"), os.path.join(folder, "small")
        for path, count, size in ((pictures, args.images, 1024), (small, 512, 256)):
            os.mkdir(path)
            make_pictures(path, count, size)
        times = {"ours": [], "plain": []}
        for run in range(args.runs):
            plain = os.path.join(folder, f"plain{run}")
            os.mkdir(plain)
            times["plain"].append(seconds(lambda plain=plain: convert_one_by_one(plain, pictures)))
            ours = os.path.join(folder, f"ours{run}")
            times["ours"].append(seconds(lambda ours=ours: create_from_images(ours, pictures, shuffle=False)))
            compare(plain, ours)
            shutil.rmtree(plain)
            shutil.rmtree(ours)
        seconds(lambda: create_from_images(os.path.join(folder, "sets", "mine"), small))
        batches = ImagePipeline(find_dataset(os.path.join(folder, "sets"), "mine"), seed=0).batches(32)
        for _ in range(4):
            next(batches)
        rates = [32 * 32 / seconds(lambda: [next(batches) for _ in range(32)]) for _ in range(args.runs)]

    ours, plain = (args.images / statistics.median(times[name]) for name in ("ours", "plain"))
    print(f"{os.cpu_count()} cores, medians of {args.runs}\n")
    print("| | images/s |")
    print("|---|---:|")
    print(f"| 1024-pixel PNG files to records, one by one | {plain:.1f} |")
    print(f"| 1024-pixel PNG files to records, create_from_images | {ours:.1f} ({ours / plain:.1f}×) |")
    print(f"| 256-pixel records to batches of 32 | {statistics.median(rates):.0f} |")


if __name__ == "__main__":
    main()
