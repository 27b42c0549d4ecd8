"""How fast a config-f generator draws on this machine, one Markdown table.

`python -m benchmarks.generation --peer=DIR --peer-python=PYTHON`: DIR is a checkout of stylegan2-ada-pytorch, PYTHON an
interpreter with PyTorch. Ours and the peer's run in turn, each in a process of its own that waits between its turns;
medians. "Share": of the largest sustained float32 rate of this machine (TensorFlow's convolutions or matrix products,
measured in turn), by the operations of the convolutions and dense layers, 2 for each multiplication and addition. The
compiled convolutions may pass 100 %: with AMX they multiply parts of numbers, see custom_ops/README.md.
"Nothing compiled": TensorFlow's own operations. "Difference": mean absolute difference to our float32 pictures, of 255
for pictures as bright as real ones: a fresh network draws some ±3, so that both are divided by twice the mean of |x|.
"""

import importlib
import os
import sys
import tempfile

import numpy as np

from benchmarks import workers

SIZES = {256: 4, 1024: 1}  # batch at each
PLAIN = ", nothing compiled"


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


def ours(resolution, batch, precision, pictures):
    if precision.endswith(PLAIN):
        precision = precision.removesuffix(PLAIN)
        os.environ["TF_STYLEGAN_OPS"] = "reference"
    import tensorflow as tf

    from tf_stylegan.config import Options, resolve
    from tf_stylegan.networks.registry import build_network

    tf.keras.utils.set_random_seed(1)
    config = resolve(Options(data_dir="", dataset="", precision=precision), resolution, 3, 0)
    G = build_network(config.G_func, name="Gs", **config.G_kwargs)
    latents = tf.random.stateless_normal([batch, G.latent_size], [1, 2])
    run = tf.function(lambda z: G(z, truncation_psi=0.7, noise_mode="const"), autograph=False)
    np.save(pictures, run(latents).numpy())
    workers.serve({"draw": lambda: run(latents).numpy()})


def theirs(resolution, batch, folder):
    sys.path.insert(0, folder)
    torch, networks = (importlib.import_module(name) for name in ("torch", "training.networks"))
    widths = {"channel_base": 32768, "channel_max": 512}
    G = networks.Generator(512, 0, 512, resolution, 3, synthesis_kwargs=widths).eval()
    latents = torch.randn([batch, 512])
    with torch.no_grad():
        workers.serve({"draw": lambda: G(latents, None, truncation_psi=0.7, noise_mode="const")})


def measure(resolution, batch, args, folder):
    """Prints the rows of one size."""
    names = ("float32", "bfloat16", "float32" + PLAIN, "bfloat16" + PLAIN)
    pictures = {name: f"{folder}/{resolution}-{number}.npy" for number, name in enumerate(names)}
    running = {
        name: workers.Worker(sys.executable, "benchmarks.generation", "ours", resolution, batch, name, path)
        for name, path in pictures.items()
    }
    if args.peer:
        peer = "benchmarks.generation", "theirs", resolution, batch, args.peer
        running["stylegan2-ada-pytorch"] = workers.Worker(args.peer_python, *peer)
    ceiling = workers.Worker(sys.executable, "benchmarks.generation", "ceiling")
    for _ in range(args.runs):
        for worker in running.values():
            worker.run("draw")
        for name in workers.CEILINGS:
            ceiling.run(name)
    rate = workers.largest(ceiling.finish()[0])
    seconds = {name: worker.finish()[0]["draw"] for name, worker in running.items()}
    exact = np.load(pictures["float32"])
    for name, value in seconds.items():
        share = operations(resolution) * batch / value / rate
        ratio = f"{seconds['stylegan2-ada-pytorch'] / value:.1f}" if args.peer else ""
        difference = ""
        if name in pictures and name != "float32":
            spread = np.abs(exact).mean() / 0.5
            difference = f"{np.abs(np.load(pictures[name]) - exact).mean() / spread * 127.5:.2f}"
        print(f"| {resolution} | {batch} | {name} | {value / batch:.3f} | {share:.0%} | {ratio} | {difference} |")
    print(f"| {resolution} | | the ceiling: {rate / 1e9:.0f} GFLOP/s | | | | |", flush=True)


def main():
    args = workers.parser(__doc__).parse_args()
    if workers.worked(args, ours=ours, theirs=theirs, ceiling=workers.ceilings):
        return
    print("| pixels | batch | | s/image | share of the ceiling | × the peer | difference |")
    print("|---:|---:|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for resolution, batch in SIZES.items():
            measure(resolution, batch, args, folder)


if __name__ == "__main__":
    main()
