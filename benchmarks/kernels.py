"""How fast the compiled operations are beside a plain copy of as much memory, one Markdown table.

`python -m benchmarks.kernels` needs a C++ compiler or compiled operations; `--reference` adds TensorFlow's own
operations on the same tensors, `--gpu` measures the CUDA kernels. All runs of a row alternate, and medians are printed;
the share of the copy is the figure to quote. A copy counts what it reads and what it writes, so does an operation.
"""

import argparse
import concurrent.futures
import contextlib
import ctypes
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from tf_stylegan import cli
from tf_stylegan.ops import build
from tf_stylegan.ops.native import Kernels, pool
from tf_stylegan.ops.native_cuda import Gpu

K = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
# (shape of x, what a run of the network does there)
SHAPES = [
    ((4, 16, 16, 512), "in the caches"),
    ((4, 64, 64, 512), "32 MiB"),
    ((4, 256, 256, 64), "64 MiB"),
    ((4, 256, 256, 128), "128 MiB"),
    ((1, 1024, 1024, 32), "128 MiB"),
    ((4, 512, 512, 3), "pictures, 12 MiB"),
    ((4, 1024, 1024, 3), "pictures, 48 MiB"),
]
FILTERS = {
    "up 2": {"up": (2, 2), "pad": ((2, 1), (2, 1))},
    "down 2": {"down": (2, 2), "pad": ((1, 1), (1, 1))},
    "filter": {"pad": ((2, 1), (2, 1))},
}
ACTIVATIONS = {
    "bias": {"act": "linear"},
    "bias, lrelu": {"act": "lrelu", "gain": 1.4},
    "scale, noise, bias, lrelu": {"act": "lrelu", "gain": 1.4, "noise": True},
    "gradient of the last": {"act": "lrelu", "gain": 1.4, "noise": True, "mode": 1},
    "bias, tanh": {"act": "tanh"},
}


def operations(shape):
    """Names of those that networks apply to such tensors."""
    return [*FILTERS, "bias"] if shape[3] == 3 else [*FILTERS, *list(ACTIVATIONS)[1:]]


def aligned(shape, dtype):
    """Zeros that begin at a cache line, as TensorFlow's tensors do."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.full(size + 64, 0, np.uint8)  # written: all pages that nobody wrote are one page, which caches hold
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


class Copy:
    """The machine's own ceiling: memcpy by as many threads."""

    def __init__(self, threads):
        self.threads, self.executor = threads, concurrent.futures.ThreadPoolExecutor(threads)
        self.memcpy = ctypes.CDLL(None).memcpy
        self.memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

    def __call__(self, to, from_):
        size = from_.nbytes
        edges = [size * i // self.threads // 64 * 64 for i in range(self.threads)] + [size]
        move = lambda i: self.memcpy(to.ctypes.data + edges[i], from_.ctypes.data + edges[i], edges[i + 1] - edges[i])  # noqa: E731
        list(self.executor.map(move, range(self.threads)))


def medians(functions, runs):
    """Seconds of each function, called in turn."""
    times = [[] for _ in functions]
    for run in range(runs + 1):
        for function, taken in zip(functions, times):
            start = time.perf_counter()
            function()
            if run:  # the first warms up
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def inputs(shape, name, dtype):
    """(x, keyword arguments of the kernel, shape of the result, bytes moved)."""
    rnd = np.random.RandomState(0)
    x = aligned(shape, dtype)
    x[...] = rnd.randn(*shape[1:])
    if name in FILTERS:
        case = FILTERS[name]
        up, down = (case.get(which, (1, 1))[0] for which in ("up", "down"))
        result = (shape[0], shape[1] * up // down, shape[2] * up // down, shape[3])
        return x, {"k": K, **case}, result, x.nbytes + x.nbytes * up**2 // down**2
    case = dict(ACTIVATIONS[name])
    arguments = {"b": rnd.randn(shape[3]).astype(np.float32)}
    moved = 2 * x.nbytes
    if case.pop("noise", False):
        arguments["scale"] = rnd.rand(shape[0], shape[3]).astype(np.float32)
        arguments["noise"] = rnd.randn(*shape[:3]).astype(np.float32)
    if case.get("mode"):
        arguments = {"post_scale": arguments["scale"], "ref": aligned(shape, dtype), "aux": aligned(shape, dtype)}
        arguments["sums"] = ("rows", "channels", "aux")
        moved = 4 * x.nbytes
    return x, {**case, **arguments}, shape, moved


def cpu_rows(kernels, args):
    threads, copy = pool(args.threads), Copy(args.threads)
    for shape, where in SHAPES:
        for name in operations(shape):
            x, arguments, result, moved = inputs(shape, name, args.dtype)
            y = aligned(result, args.dtype)
            from_, to = aligned([moved // 2], np.uint8), aligned([moved // 2], np.uint8)
            call = kernels.upfirdn_2d if name in FILTERS else kernels.fused_bias_act
            functions = [
                lambda: copy(to, from_),  # noqa: B023  called before the next round
                lambda: call(x, **arguments, threads=threads, out=y),  # noqa: B023
            ]
            if args.reference and not name.startswith("gradient"):
                functions += tensorflow_functions(x, name, arguments)
            yield shape, where, name, moved, medians(functions, args.runs)


def tensorflow_functions(x, name, arguments):
    """[TensorFlow's own operations, the compiled ones called by TensorFlow]"""
    import tensorflow as tf

    from tf_stylegan.ops.fused_bias_act import fused_bias_act
    from tf_stylegan.ops.upfirdn_2d import upfirdn_2d

    x = tf.constant(x)
    arguments = dict(arguments)
    if name in FILTERS:
        (y0, y1), (x0, x1) = arguments["pad"]
        up, down = (arguments.get(which, (1, 1))[0] for which in ("up", "down"))
        pads = {"padx0": x0, "padx1": x1, "pady0": y0, "pady1": y1}
        call = lambda x, impl: upfirdn_2d(x, K, up, up, down, down, **pads, impl=impl)  # noqa: E731
    else:
        if "noise" in arguments:
            arguments["noise"] = arguments["noise"][..., None]
        constants = {key: tf.constant(v) if isinstance(v, np.ndarray) else v for key, v in arguments.items()}
        call = lambda x, impl: fused_bias_act(x, **constants, impl=impl)  # noqa: E731
    traced = [tf.function(lambda x, impl=impl: call(x, impl), autograph=False) for impl in ("reference", "custom")]
    return [lambda function=function: function(x) for function in traced]


def gpu_rows(kernels, args):
    device = Gpu()
    if kernels.cuda_trouble():
        raise SystemExit(f"error: the CUDA kernels cannot run: {kernels.cuda_trouble()}")
    for shape, where in SHAPES:
        for name in operations(shape):
            x, arguments, result, moved = inputs(shape, name, args.dtype)
            call = kernels.upfirdn_2d if name in FILTERS else kernels.fused_bias_act
            with contextlib.ExitStack() as stack:
                repeat = device.repeated(call, stack, x, **arguments, out=np.empty(result, args.dtype))
                copy = device.repeated_copy(moved // 2, stack)
                times = medians([lambda: copy(20), lambda: repeat(20)], args.runs)  # noqa: B023
            yield shape, where, name, moved, [taken / 20 for taken in times]


def load(folder):
    """The kernels compiled for the package, else compiled here."""
    if build.sources() is None:
        raise SystemExit("error: the folder custom_ops is missing")
    name = build.kernel_library(build.sources())
    for place in build.folders():
        if (place / name).is_file():
            return Kernels(place / name)
    if build.compiler() is None:
        raise SystemExit("error: neither compiled operations nor a C++ compiler")
    build.compile_kernels(folder, cuda=build.nvcc())[-1].cleanup()
    return Kernels(Path(folder) / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=7, help="of each function in a row (default: %(default)s)")
    parser.add_argument("--reference", action="store_true", help="also TensorFlow's own operations")
    parser.add_argument("--gpu", action="store_true", help="the CUDA kernels")
    args = parser.parse_args()
    if args.reference:
        cli.load_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        kernels = load(folder)
        where = "one GPU" if args.gpu else f"{args.threads} threads, {kernels.best_isa()}"
        print(f"{args.dtype}, {where}, medians of {args.runs}\n")
        heads = ["x", "", "operation", "copy GB/s", "ours GB/s", "of copy"]
        heads += ["TensorFlow's own ms", "ours in TensorFlow ms", "times faster"] if args.reference else []
        print(f"| {' | '.join(heads)} |")
        print(f"|---|---|---|{'---:|' * (len(heads) - 3)}")
        for shape, note, name, moved, times in (gpu_rows if args.gpu else cpu_rows)(kernels, args):
            copy, ours = (moved / taken / 1e9 for taken in times[:2])
            cells = ["×".join(map(str, shape)), note, name, f"{copy:.1f}", f"{ours:.1f}", f"{ours / copy:.0%}"]
            if len(times) > 2:
                cells += [f"{times[2] * 1e3:.2f}", f"{times[3] * 1e3:.2f}", f"{times[2] / times[3]:.1f}"]
            cells += [""] * (len(heads) - len(cells))
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
