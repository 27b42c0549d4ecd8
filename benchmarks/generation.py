"""How fast a config-f generator draws on this machine, one Markdown table.

`python benchmarks/generation.py --peer=DIR --peer-python=PYTHON`: DIR is a checkout of stylegan2-ada-pytorch, PYTHON an
interpreter with PyTorch. Ours and the peer's run in turn, each in a process of its own that waits between its turns;
medians. "Share": of the largest sustained rate of this machine (TensorFlow's product of large float32 matrices,
measured in turn), by the operations of the convolutions and dense layers, 2 for each multiplication and addition. The
compiled convolutions may pass 100 %: with AMX they multiply parts of numbers, see custom_ops/README.md.
"""

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SIZES = {256: 4, 1024: 1}  # batch at each


def operations(resolution, fmap_base=16384, fmap_max=512, latent_size=512):
    """Floating point operations of one picture: mapping, styles, convolutions, ToRGB; filters are left out."""

    def channels(size):
        return min(fmap_base * 2 // size, fmap_max)

    macs, size, before = 8 * latent_size**2, 4, channels(4)
    while size <= resolution:
        here, pixels = channels(size), size * size
        if size > 4:
            macs += pixels // 4 * 9 * before * here + latent_size * before
        macs += pixels * (9 * here * here + 3 * here) + 2 * latent_size * here
        size, before = size * 2, here
    return 2 * macs


def serve(draw):
    """Draws once for every line on standard input and answers with the seconds it took."""
    draw()
    draw()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        draw()
        print(time.perf_counter() - start, flush=True)


def ours(resolution, batch, precision):
    import tensorflow as tf

    from tf_stylegan.config import Options, resolve
    from tf_stylegan.networks.registry import build_network

    config = resolve(Options(data_dir="", dataset="", precision=precision), resolution, 3, 0)
    G = build_network(config.G_func, name="Gs", **config.G_kwargs)
    latents = tf.random.normal([batch, G.latent_size])
    run = tf.function(lambda z: G(z, truncation_psi=0.7, noise_mode="const"), autograph=False)
    serve(lambda: run(latents).numpy())


def theirs(resolution, batch, folder):
    sys.path.insert(0, folder)
    torch, networks = (importlib.import_module(name) for name in ("torch", "training.networks"))
    widths = {"channel_base": 32768, "channel_max": 512}
    G = networks.Generator(512, 0, 512, resolution, 3, synthesis_kwargs=widths).eval()
    latents = torch.randn([batch, 512])
    with torch.no_grad():
        serve(lambda: G(latents, None, truncation_psi=0.7, noise_mode="const"))


def ceiling():
    import tensorflow as tf

    a = tf.random.normal([4096, 4096])
    run = tf.function(lambda: tf.matmul(a, a), autograph=False)
    serve(lambda: run().numpy()[0, 0])


class Worker:
    """One of the functions above in a process of its own."""

    def __init__(self, python, *arguments):
        self.process = subprocess.Popen(
            [python, __file__, "--worker", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.times = []
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                sys.exit(f"error: {python} could not run {arguments}")

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.times.append(float(self.process.stdout.readline()))

    def median(self):
        self.process.stdin.close()
        self.process.wait()
        return statistics.median(self.times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="DIR", help="checkout of stylegan2-ada-pytorch")
    parser.add_argument("--peer-python", metavar="PYTHON", default=sys.executable, help="interpreter with PyTorch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        kind, *rest = args.worker
        {"ours": ours, "theirs": theirs, "ceiling": ceiling}[kind](*(int(x) if x.isdigit() else x for x in rest))
        return

    print("| pixels | batch | | s/image | share of the ceiling | × the peer |")
    print("|---:|---:|---|---:|---:|---:|")
    for resolution, batch in SIZES.items():
        workers = {name: Worker(sys.executable, "ours", resolution, batch, name) for name in ("float32", "bfloat16")}
        if args.peer:
            workers["stylegan2-ada-pytorch"] = Worker(args.peer_python, "theirs", resolution, batch, args.peer)
        workers["ceiling"] = Worker(sys.executable, "ceiling")
        for _ in range(args.runs):
            for worker in workers.values():
                worker.run()
        medians = {name: worker.median() for name, worker in workers.items()}
        rate = 2 * 4096**3 / medians.pop("ceiling")
        peer = medians.get("stylegan2-ada-pytorch")
        for name, seconds in medians.items():
            share = operations(resolution) * batch / seconds / rate
            ratio = f"{peer / seconds:.1f}" if peer else ""
            print(f"| {resolution} | {batch} | {name} | {seconds / batch:.3f} | {share:.0%} | {ratio} |")
        print(f"| {resolution} | | the ceiling: {rate / 1e9:.0f} GFLOP/s | | | |", flush=True)


if __name__ == "__main__":
    main()
