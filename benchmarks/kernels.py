"""How fast the compiled operations are beside a plain copy of as much memory, one Markdown table.

`python -m benchmarks.kernels` needs a C++ compiler or compiled operations; `--reference` adds TensorFlow's own
operations on the same tensors (of a gradient: what is needed forwards included). All runs of a row alternate, and
medians are printed; the share of the copy is the figure to quote. A copy counts what it reads and what it writes, so
does an operation. It is the faster of two, of which one stores past the caches: it does not read what it overwrites.

`python -m benchmarks.kernels --gpu --dtype float32 bfloat16 float16` measures the CUDA kernels, on a machine with nvcc
(or a library of kernels) and without TensorFlow; `--peer=DIR --peer-python=PYTHON` the plugins of stylegan2-ada-pytorch
beside them, of which DIR is a checkout: channels first in float32, last in float16, as its networks have them.
"""

import concurrent.futures
import contextlib
import ctypes
import os
import statistics
import sys
import tempfile
import time
import unittest.mock
from pathlib import Path

import numpy as np

from benchmarks import workers
from benchmarks.kernel_cases import ACTIVATIONS, FILTERS, REPEATED, SHAPES, K, label, operations
from tf_stylegan.ops import build
from tf_stylegan.ops.native import Kernels, pool
from tf_stylegan.ops.native_cuda import Gpu


def aligned(shape, dtype):
    """Zeros that begin at a cache line, as TensorFlow's tensors do; bfloat16 as uint16."""
    dtype = np.dtype("uint16" if dtype == "bfloat16" else dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.full(size + 64, 0, np.uint8)  # written: all pages that nobody wrote are one page, which caches hold
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


# To the C library: copies of more than 1 MiB store past the caches.
PAST_CACHES = "glibc.cpu.x86_non_temporal_threshold=0x100000"


def serve_copies(threads):
    """In a worker that GLIBC_TUNABLES was set for: a copy of so many bytes as is asked for."""
    copy = Copy(threads)

    class Sizes(dict):
        def __missing__(self, size):
            self.clear()  # one size after the other
            arrays = [aligned([int(size)], np.uint8) for _ in range(2)]
            self[size] = lambda: copy(*arrays)
            return self[size]

    workers.serve(Sizes())


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
    numbers = rnd.randn(*shape[1:]).astype(np.float32)
    x[...] = numbers.view(np.uint32) >> 16 if dtype == "bfloat16" else numbers
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


def cpu_rows(kernels, args, dtype):
    threads, copy = pool(args.threads), Copy(args.threads)
    with unittest.mock.patch.dict(os.environ, GLIBC_TUNABLES=PAST_CACHES):
        past_caches = workers.Worker(sys.executable, "benchmarks.kernels", "serve_copies", args.threads)
    for shape, where in SHAPES:
        for name in operations(shape):
            x, arguments, result, moved = inputs(shape, name, dtype)
            y = aligned(result, dtype)
            from_, to = aligned([moved // 2], np.uint8), aligned([moved // 2], np.uint8)
            call = kernels.upfirdn_2d if name in FILTERS else kernels.fused_bias_act
            functions = [
                lambda: copy(to, from_),  # noqa: B023  called before the next round
                lambda: call(x, **arguments, dtype=dtype, threads=threads, out=y),  # noqa: B023
                lambda: past_caches.run(str(moved // 2)),  # noqa: B023
            ]
            if args.reference:
                functions += tensorflow_functions(x, name, arguments)
            times = medians(functions, args.runs)
            del times[2]  # by the worker's own clock
            times[0] = min(times[0], statistics.median(past_caches.times.pop(str(moved // 2))[1:]))
            yield shape, where, name, moved, times
    past_caches.finish()


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
    elif name.startswith("gradient"):
        b, scale, noise = (tf.ones(size) for size in (x.shape[-1:], (x.shape[0], x.shape[-1]), (*x.shape[:-1], 1)))

        def call(x, impl):
            with tf.GradientTape() as tape:
                tape.watch([x, b, scale, noise])
                y = fused_bias_act(x, b, "lrelu", gain=1.4, scale=scale, noise=noise, impl=impl)
            return tape.gradient(y, [x, b, scale, noise], output_gradients=x)
    else:
        if "noise" in arguments:
            arguments["noise"] = arguments["noise"][..., None]
        constants = {key: tf.constant(v) if isinstance(v, np.ndarray) else v for key, v in arguments.items()}
        call = lambda x, impl: fused_bias_act(x, **constants, impl=impl)  # noqa: E731
    traced = [tf.function(lambda x, impl=impl: call(x, impl), autograph=False) for impl in ("reference", "custom")]
    return [lambda function=function: function(x) for function in traced]


def gpu_rows(kernels, args, dtype):
    try:
        device = Gpu()
    except OSError as error:
        raise SystemExit(f"error: no GPU can be used: {error}") from None
    if kernels.cuda_trouble():
        raise SystemExit(f"error: the CUDA kernels cannot run: {kernels.cuda_trouble()}")
    peer = None
    if args.peer and dtype != "bfloat16":  # which its plugins do not know
        peer = workers.Worker(args.peer_python, "benchmarks.kernels_peer", "serve", args.peer, dtype)
    for shape, where in SHAPES:
        for name in operations(shape):
            x, arguments, result, moved = inputs(shape, name, dtype)
            call = kernels.upfirdn_2d if name in FILTERS else kernels.fused_bias_act
            with contextlib.ExitStack() as stack:
                repeat = device.repeated(call, stack, x, **arguments, dtype=dtype, out=aligned(result, dtype))
                copy = device.repeated_copy(moved // 2, stack)
                functions = [lambda: copy(REPEATED), lambda: repeat(REPEATED)]  # noqa: B023
                comparable = peer and not name.startswith("gradient")  # the peer computes that in several passes
                if comparable:
                    functions.append(lambda: peer.run(label(shape, name)))  # noqa: B023
                times = medians(functions, args.runs)
            if comparable:  # by its own clock: the way to the other process is no part of it
                times[2] = statistics.median(peer.times[label(shape, name)][1:])
            yield shape, where, name, moved, [taken / REPEATED for taken in times]
    if peer:
        peer.finish()


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
    parser = workers.parser(__doc__)
    parser.set_defaults(runs=7)
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--reference", action="store_true", help="also TensorFlow's own operations")
    parser.add_argument("--gpu", action="store_true", help="the CUDA kernels")
    args = parser.parse_args()
    if workers.worked(args, serve_copies=serve_copies):
        return
    if args.peer and not args.gpu:
        raise SystemExit("error: --peer measures its plugins for GPUs, beside --gpu")
    if args.reference and (args.gpu or "bfloat16" in args.dtype):
        raise SystemExit("error: --reference is for the CPU, in float32 or float16")
    if args.reference:
        from tf_stylegan import cli  # not on a machine without TensorFlow

        cli.load_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        kernels = load(folder)
        for number, dtype in enumerate(args.dtype):
            print("\n" if number else "", end="")
            table(kernels, args, dtype)


def table(kernels, args, dtype):
    """Prints the table of one type, row by row."""
    where = "one GPU" if args.gpu else f"{args.threads} threads, {kernels.best_isa()}"
    print(f"{dtype}, {where}, medians of {args.runs}\n")
    heads = ["x", "", "operation", "copy GB/s", "ours GB/s", "of copy"]
    heads += ["TensorFlow's own ms", "ours in TensorFlow ms", "times faster"] if args.reference else []
    heads += ["stylegan2-ada-pytorch ms", "ours ms", "times faster"] if args.peer else []
    print(f"| {' | '.join(heads)} |")
    print(f"|---|---|---|{'---:|' * (len(heads) - 3)}")
    for shape, note, name, moved, times in (gpu_rows if args.gpu else cpu_rows)(kernels, args, dtype):
        copy, ours = (moved / taken / 1e9 for taken in times[:2])
        cells = ["×".join(map(str, shape)), note, name, f"{copy:.1f}", f"{ours:.1f}", f"{ours / copy:.0%}"]
        if len(times) > 3:
            cells += [f"{times[2] * 1e3:.2f}", f"{times[3] * 1e3:.2f}", f"{times[2] / times[3]:.1f}"]
        elif len(times) > 2:
            cells += [f"{times[2] * 1e3:.3f}", f"{times[1] * 1e3:.3f}", f"{times[2] / times[1]:.1f}"]
        cells += [""] * (len(heads) - len(cells))
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
