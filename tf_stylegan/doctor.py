"""`python -m tf_stylegan.doctor`: what this machine has, who computes each operation and why, and whether it is right.

Ends with 0 unless an operation that is in use computes something else than its reference, or a compiler that is here
could not compile them with --build.
"""

import importlib.util
import os
import platform
import subprocess
import sys

from tf_stylegan import cli

TOLERANCE = 1e-4  # of float32 results, relative to the largest


def parse_args(argv):
    parser = cli.ArgumentParser(prog="doctor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--build", action="store_true", help="compile the operations first, if they are not up to date")
    parser.add_argument("--force", action="store_true", help="with --build: compile even what is up to date")
    return parser.parse_args(argv)


def first_line(command, word=""):
    """The first line with a word in it that a program prints, else its first line, or why it prints none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        lines = (done.stdout or done.stderr).strip().splitlines()
        lines = [line for line in lines if word in line] or lines
        return lines[0] if lines else f"ended with code {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"


def build_folder():
    """Where a library goes: the package's own folder if it can be written to, else the user's cache."""
    from tf_stylegan.ops import build

    own, cache = build.folders()
    return own if os.access(own, os.W_OK) else cache


def build_ops(force):
    """Compiles what is not up to date; build.py reports. False if a compiler is here, and failed."""
    from tf_stylegan.ops import build, loader

    gpu = loader.has_gpu()
    path, why = loader.find(build.folders(), build.TensorFlow.installed(), gpu)
    lacks_cuda = gpu and build.nvcc() and path and build.CUDA_SYMBOL not in path.read_bytes()
    if path and not force and not lacks_cuda:
        print(f"Up to date: {why}")
        return True
    print("Compiling takes a minute or more …", flush=True)
    if build.build(build_folder()):
        return True
    return os.environ.get("TF_STYLEGAN_SKIP_OPS") == "1" or build.compiler() is None or build.sources() is None


def machine():
    """[(what, words)] about this machine."""
    import keras
    import numpy as np
    import tensorflow as tf

    from tf_stylegan.ops import build

    compiler, nvcc = build.compiler(), build.nvcc()
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    what = "with" if tf.sysconfig.get_build_info().get("is_cuda_build") else "without"
    return [
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("TensorFlow", f"{tf.__version__}, C++ ABI {tf.sysconfig.CXX11_ABI_FLAG}, built {what} CUDA"),
        ("Keras", keras.__version__),
        ("NumPy", np.__version__),
        ("CPU", f"{os.cpu_count()} threads, {platform.machine()}{instruction_sets()}"),
        ("GPU", ", ".join(gpus) or cli.gpu_trouble() or "none that TensorFlow can use"),
        ("C++ compiler", first_line([*compiler, "--version"]) if compiler else "none (CXX, g++, c++, clang++)"),
        (
            "nvcc",
            f"{nvcc}: {first_line([nvcc, '--version'], 'release')}"
            if nvcc
            else "none (CUDA_HOME, PATH, NVIDIA's wheels); CUDA kernels need it",
        ),
    ]


def instruction_sets():
    """ ", AVX2, AVX-512, …" as far as Linux tells."""
    from tf_stylegan.ops import loader

    flags = loader.cpu_flags()
    names = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 bfloat16", "amx_bf16": "AMX bfloat16"}
    return "".join(f", {name}" for flag, name in names.items() if flag in flags)


def self_tests():
    """{name of an operation: function of `impl` that returns tensors to be compared}: values and gradients."""
    import numpy as np
    import tensorflow as tf

    from tf_stylegan.ops.conv import conv2d, conv_downsample_2d, modulated_conv2d
    from tf_stylegan.ops.fused_bias_act import ACTIVATIONS, fused_bias_act
    from tf_stylegan.ops.upfirdn_2d import setup_kernel, upfirdn_2d
    from tf_stylegan.ops.upfirdn_2d_act import upfirdn_2d_act

    rnd = np.random.RandomState(0)

    def normal(*shape):
        return tf.constant(rnd.randn(*shape).astype(np.float32))

    k = setup_kernel([1, 3, 3, 1])
    x, b, scale, noise = normal(2, 9, 8, 48), normal(48), normal(2, 48), normal(2, 9, 8, 1)
    rgb = normal(2, 9, 8, 3)

    def with_gradient(function, *inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return [y, *tape.gradient(y, inputs, tf.sin(y))]

    def filters(impl):
        sizes = [{"upx": 2, "upy": 2}, {"downx": 2, "downy": 2}, {}, {"upx": 3, "downy": 2, "padx0": -1}]
        pads = {"padx0": 2, "padx1": 1, "pady0": 2, "pady1": 1}
        images = [x, rgb]
        return [
            y
            for image in images
            for size in sizes
            for y in with_gradient(lambda image, size=size: upfirdn_2d(image, k, **(pads | size), impl=impl), image)
        ]

    def activations(impl):
        return [
            y
            for act in ACTIVATIONS
            for y in with_gradient(
                lambda *args, act=act: fused_bias_act(
                    args[0], args[1], act, clamp=1.5, scale=args[2], noise=args[3], noise_strength=0.5, impl=impl
                ),
                *(x, b, scale, noise),
            )
        ]

    def fused(impl):
        pad = ((2, 1), (2, 1))
        return with_gradient(
            lambda *args: upfirdn_2d_act(args[0], k, pad, args[1], args[2], 0.5, args[3], "lrelu", impl=impl),
            *(x, scale, noise, b),
        )

    w, thin, style, large = normal(3, 3, 48, 32), normal(3, 3, 48, 3), normal(2, 48), normal(2, 18, 16, 1)

    def convolutions(impl):
        found = [with_gradient(lambda *args, f=f: f(*args, impl=impl), x, w) for f in (conv2d, conv_downsample_2d)]
        layers = ((w, noise, {}), (w, large, {"up": True, "resample_kernel": [1, 3, 3, 1]}), (thin, noise, {}))
        for weight, maps, size in layers:

            def layer(*args, maps=maps, size=size):
                after = {"noise": maps, "noise_strength": 0.5, "act": "lrelu"}
                return modulated_conv2d(*args, **size, **after, impl=impl)

            found.append([layer(x, weight, style), *with_gradient(layer, x, weight, style)])
        return [y for ys in found for y in ys]

    return {"upfirdn_2d": filters, "fused_bias_act": activations, "upfirdn_2d_act": fused, "conv2d": convolutions}


def examine(name, test):
    """(who computes it, words, whether that is right)."""
    import numpy as np

    from tf_stylegan.ops import loader

    used = loader.implementation()
    if used == "reference":
        return used, "TensorFlow's own operations", True
    if name == "conv2d" and loader.has_gpu():
        return "reference", "TensorFlow's own operations: convolutions are compiled for CPUs", True
    worst = 0.0
    for actual, expected in zip(test("custom"), test("reference")):
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        error = np.abs(actual - expected).max() / (np.abs(expected).max() or 1)
        worst = max(worst, error if np.isfinite(error) else np.inf)
    right = worst <= TOLERANCE
    return used, f"{'equals' if right else 'DIFFERS FROM'} its reference to {worst:.1g} of the largest value", right


def why():
    """One line on the choice between custom and reference."""
    from tf_stylegan.ops import loader
    from tf_stylegan.ops.native import Kernels

    asked = loader.choice()
    found = loader.library()
    words = f"{loader.VARIABLE}={asked}; {found.why}" if asked != "auto" else found.why
    return words if found.ops is None else f"{words}; CPU kernels of {Kernels(found.path).best_isa()}"


def main(args):
    cli.load_tensorflow()
    compiled = True
    if args.build:
        compiled = build_ops(args.force)
        print()
    for what, words in machine():
        print(f"{what:14} {words}")
    print(f"{'operations':14} {why()}")
    print()
    wrong = []
    for name, test in self_tests().items():
        used, words, right = examine(name, test)
        print(f"{name:14} {used:10} {words}")
        if not right:
            wrong.append(name)
    if wrong:
        print(f"\nerror: wrong results: {', '.join(wrong)}. TF_STYLEGAN_OPS=reference does without the compiled ones.")
        return 1
    return 0 if compiled else 1


if __name__ == "__main__":
    if importlib.util.find_spec("tensorflow") is None:
        sys.exit("error: TensorFlow is not installed for this Python: pip install tensorflow")
    sys.exit(cli.run(main, parse_args(sys.argv[1:])))
