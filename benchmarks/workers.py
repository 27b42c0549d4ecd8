"""Processes that wait between their turns, so that programs can be timed one after another on the same machine."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def serve(runs):
    """In a worker: calls `runs[name]()` for every name on standard input and answers with the seconds it took, or those
    that it returns.

    Each is run once before: graphs are traced and weights laid out then. At the end of the input: the largest memory
    the process ever had, in bytes.
    """
    for run in runs.values():
        run()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        told = runs[line.strip()]()
        print(told if isinstance(told, float) else time.perf_counter() - start, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)


class Worker:
    """A module of this folder run as `python -m MODULE --worker ARGUMENTS…`, which ends in `serve`."""

    def __init__(self, python, module, *arguments):
        self.process = subprocess.Popen(
            [python, "-m", module, "--worker", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.times = {}
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                sys.exit(f"error: {python} could not run {module} with {arguments}")

    def run(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        self.times.setdefault(name, []).append(float(self.process.stdout.readline()))

    def finish(self):
        """Ends the process; returns (dict of names to median seconds, bytes of memory at the peak)."""
        self.process.stdin.close()
        peak = int(self.process.stdout.read())
        self.process.wait()
        return {name: statistics.median(times) for name, times in self.times.items()}, peak


def parser(doc):
    """Options of a program that measures beside the peer."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="DIR", help="checkout of stylegan2-ada-pytorch")
    parser.add_argument("--peer-python", metavar="PYTHON", default=sys.executable, help="interpreter with PyTorch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    return parser


def worked(args, **functions):
    """In a worker: calls what `Worker` was made for; returns False in the program itself."""
    if args.worker:
        kind, *rest = (int(x) if x.isdigit() else x for x in args.worker)
        functions[kind](*rest)
    return bool(args.worker)


# What a machine can do at most: operations of each, 2 for a multiplication and an addition.
CEILINGS = {"product": 2 * 4096**3, "convolution": 2 * 4 * 128**2 * 9 * 256**2}


def ceilings():
    """In a worker: TensorFlow's product of large matrices and its convolution of large images, in float32."""
    import tensorflow as tf

    a, x, w = (tf.random.normal(shape) for shape in ([4096, 4096], [4, 128, 128, 256], [3, 3, 256, 256]))
    product = tf.function(lambda: tf.matmul(a, a), autograph=False)
    convolution = tf.function(lambda: tf.nn.conv2d(x, w, 1, "SAME"), autograph=False)
    serve({"product": product, "convolution": convolution})


def largest(medians):
    """FLOP/s of the faster of the two."""
    return max(CEILINGS[name] / seconds for name, seconds in medians.items())
