"""What a level of detail costs: work and time of the progressively grown networks, one Markdown table.

`python -m benchmarks.growing --resolution=256 --config=config-d`. Layers above a level of detail are not in its graph:
the work falls with the number of pixels, and a fade costs what the finer of its two levels does. By TensorFlow's own
operations.
"""

import argparse
import math
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_STYLEGAN_OPS"] = "reference"  # whose operations `flop` knows

import tensorflow as tf

from tf_stylegan.config import PRESETS, Options, resolve
from tf_stylegan.networks.growing import Lod
from tf_stylegan.networks.registry import build_network

FADE = 0.5
RUNS = 5


def flop(op):
    """Floating point operations of one operation of a graph, 2 per multiplication and addition; 0 for most kinds."""
    if op.type in ("MatMul", "BatchMatMulV2"):
        a = op.inputs[0].shape
        inner = a[-2] if op.type == "MatMul" and op.get_attr("transpose_a") else a[-1]
        return 2 * math.prod(op.outputs[0].shape) * inner
    taps = {
        "Conv2D": lambda: (op.outputs[0], op.inputs[1].shape[:3]),  # [h, w, I, O] at every output
        "Conv2DBackpropInput": lambda: (op.inputs[2], [*op.inputs[1].shape[:2], op.inputs[1].shape[2]]),  # and input
        "DepthwiseConv2dNative": lambda: (op.outputs[0], op.inputs[1].shape[:2]),
        "DepthwiseConv2dNativeBackpropInput": lambda: (op.inputs[2], op.inputs[1].shape[:2]),
    }.get(op.type)
    if taps is None:
        return 0
    places, kernel = taps()
    return 2 * math.prod(places.shape) * math.prod(kernel)


def measure(function, x):
    """(GFLOP, milliseconds) per image of `function` on the batch `x`, the time a median."""
    traced = tf.function(function).get_concrete_function(tf.TensorSpec(x.shape))
    work = sum(flop(op) for op in traced.graph.get_operations())
    traced(x)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        traced(x).numpy()  # waits for an accelerator
        times.append(time.perf_counter() - start)
    return work / x.shape[0] / 1e9, statistics.median(times) / x.shape[0] * 1e3


def cells(now, whole):
    """GFLOP and milliseconds, each with its share of those at level of detail 0."""
    return [cell for n, w in zip(now, whole) for cell in (f"{n:.3g}", f"{n / w:.1%}")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument(
        "--config", choices=[name for name, preset in PRESETS.items() if preset.grows], default="config-d"
    )
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()

    config = resolve(Options(data_dir="", dataset="", config=args.config), args.resolution, 3, 0)
    G, D = build_network(config.G_func, **config.G_kwargs), build_network(config.D_func, **config.D_kwargs)
    latents = tf.random.normal([args.batch, G.latent_size])
    highest = args.resolution.bit_length() - 3

    def row(lod):
        pixels = args.resolution >> lod.floor
        images = tf.random.normal([args.batch, pixels, pixels, 3])

        def draw(z):  # at the size of the level of detail, as training does
            return G.synthesize(G.mapping(z), noise_mode="const", lod=lod, full_size=False)

        return pixels, measure(draw, latents), measure(lambda x: D(x, lod=lod), images)

    levels = [Lod(floor) for floor in range(highest, 0, -1)] + ([Lod(0, FADE)] if highest else []) + [Lod(0)]
    rows = [(lod, *row(lod)) for lod in levels]
    _, _, whole_g, whole_d = rows[-1]
    print(f"{args.config}, {args.resolution} pixels, batch {args.batch}, forward, per image; % of lod 0\n")
    print("| lod | pixels | G GFLOP | % | G ms | % | D GFLOP | % | D ms | % |")
    print("|" + "---:|" * 10)
    for lod, pixels, g, d in rows:
        print(f"| {' | '.join([str(lod), str(pixels), *cells(g, whole_g), *cells(d, whole_d)])} |")


if __name__ == "__main__":
    main()
