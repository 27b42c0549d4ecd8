"""The compiled convolutions beside TensorFlow's, in the layers of config-f: one Markdown table.

`python -m benchmarks.convolutions`, with the kernels compiled for the package (`--library=FILE`: another library of
them). Float32 on two threads (or `--threads`), in turn with TensorFlow; medians. "Ceiling": what the vector units
sustain in float32, measured in turn with each row by TensorFlow's product of large matrices; tiles of bfloat16 parts
(AMX) may pass it. What counts as operations: 2 · taps · I · O for each pixel of the smaller image.
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from benchmarks import kernels
from tf_stylegan.ops import native, native_conv

CONFIG_F = {256: 4, 1024: 1}  # batch at each size
FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16


def channels(size):
    return min(512, 32768 // size)


def layers():
    """(batch, size of the result, I, O) of the 3×3 convolutions, without and with upsampling, no shape twice."""
    found = set()
    for resolution, batch in CONFIG_F.items():
        for size in (2**i for i in range(3, resolution.bit_length())):
            if batch == 4 or size > 256:
                found |= {
                    (batch, size, channels(size), channels(size)),
                    (batch, size, channels(size // 2), channels(size)),
                }
    return sorted(found, key=lambda layer: (-layer[0], layer[1], layer[2]))


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def cases(lib, threads, n, size, inputs, outputs, extra):
    """Yields (name, operations, ours, TensorFlow's); the last two take no argument."""
    ours = {"threads": threads, **extra}
    w = normal(3, 3, inputs, outputs)
    tf_w, y = tf.constant(w), np.empty([n, size, size, outputs], np.float32)
    if inputs == outputs:
        x, dw = normal(n, size, size, inputs), np.empty_like(w)
        tf_x, tf_y = tf.constant(x), tf.constant(normal(*y.shape))
        operations = 2 * n * size**2 * 9 * inputs * outputs
        forward = tf.function(lambda: tf.nn.conv2d(tf_x, tf_w, 1, "SAME"))
        yield "forward", operations, lambda: native_conv.conv2d(lib, x, w, pad=(1, 1), out=y, **ours), forward
        gradient = tf.function(lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=tf_x, filter_sizes=w.shape, out_backprop=tf_y, strides=[1] * 4, padding="SAME"))  # fmt: skip
        dy = tf_y.numpy()
        yield (
            "filter gradient", operations,
            lambda: native_conv.filter_gradient(lib, x, dy, (3, 3), pad=(1, 1), out=dw, **ours), gradient,
        )  # fmt: skip
    if size == 8 or (inputs != outputs or inputs == 512):
        x = normal(n, size // 2, size // 2, inputs)
        tf_x, transposed = tf.constant(x), tf.constant(np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2)))
        large, shape = np.empty([n, size + 1, size + 1, outputs], np.float32), [n, size + 1, size + 1, outputs]
        operations = 2 * n * (size // 2) ** 2 * 9 * inputs * outputs
        up = {"up": 2, "pad": (2, 2), "size": (size + 1, size + 1), **ours}
        theirs = tf.function(lambda: tf.nn.conv2d_transpose(tf_x, transposed, shape, 2, "VALID"))
        yield "transposed", operations, lambda: native_conv.conv2d(lib, x, w, out=large, **up), theirs
        style, scale, b, noise = normal(n, inputs), normal(n, outputs), normal(outputs), normal(1, size, size)
        around = {
            "in_scale": style,
            "out_scale": scale,
            "b": b,
            "noise": noise,
            "fir": FIR,
            "fir_pad": ((1, 1), (1, 1)),
        }
        around |= {"act": "lrelu", "gain": 2**0.5}
        yield "transposed + FIR + rest", operations, lambda: native_conv.conv2d(lib, x, w, out=y, **up, **around), None


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def resident_product():
    """(operations, run) of a product of matrices that stay in the caches: the ceiling."""
    a = tf.random.normal([1536, 1536])
    return 2 * 1536**3, tf.function(lambda: tf.matmul(a, a))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", metavar="FILE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--unit", default="auto", choices=["auto", "fma", "amx"], help="what multiplies")
    parser.add_argument(
        "--most", type=float, default=float("inf"), metavar="G", help="leave out what takes more operations"
    )
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        lib = native_conv.load(args.library) if args.library else native_conv.declare(kernels.load(folder).lib)
    threads = native.pool(args.threads) if args.threads > 1 else None

    extra = {"unit": args.unit, "thread_count": args.threads}
    most, product = resident_product()
    ceilings = []
    print("| what | N | size | I | O | ours, GFLOP/s | of ceiling | TensorFlow, GFLOP/s | ours / TensorFlow |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n, size, inputs, outputs in layers():
        for name, operations, ours, theirs in cases(lib, threads, n, size, inputs, outputs, extra):
            if operations > args.most * 1e9:
                continue
            runs = [product, ours, theirs] if theirs else [product, ours]
            for run in runs:
                run()
            times = [[seconds(run) for run in runs] for _ in range(args.runs)]  # in turn
            ceiling, *rates = [
                work / statistics.median(column) / 1e9
                for work, column in zip([most, operations, operations], zip(*times))
            ]
            ceilings.append(ceiling)
            theirs = [f"{rates[1]:.0f}", f"{rates[0] / rates[1]:.2f}"] if theirs else ["", ""]
            row = [name, n, size, inputs, outputs, f"{rates[0]:.0f}", f"{rates[0] / ceiling:.0%}", *theirs]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print(
        f"\nCeiling: {min(ceilings):.0f} to {max(ceilings):.0f} GFLOP/s on {args.threads} threads. Unit: {args.unit}."
    )


if __name__ == "__main__":
    main()
