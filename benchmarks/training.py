"""How fast config-f trains on this machine, one Markdown table.

`python -m benchmarks.training --peer=DIR --peer-python=PYTHON`: DIR is a checkout of stylegan2-ada-pytorch, PYTHON an
interpreter with PyTorch. Ours and the peer's take steps in turn, each in a process of its own that waits between its
turns; medians. A lazily regularised step is G + G_reg / 4 + D + D_reg / 16. Each kind includes its optimizer.

Counted are the convolutions and dense layers of one image forwards, g for the generator and d for the discriminator,
2 for each multiplication and addition; gradients with respect to the input and to the weights cost as much each:

    G      3 g + 2 d     forwards and two gradients in G; forwards and the input's gradient in D
    G_reg  6 g / 2       forwards, input gradient, and two gradients of each of them; half the batch
    D      g + 2 · 3 d   pictures; forwards and two gradients for fakes and for reals
    D_reg  6 d           as G_reg, the whole batch

"Share": of the largest sustained float32 rate of this machine, measured in turn.
"""

import importlib
import sys

from benchmarks import generation, workers

SETTINGS = {64: (8, 8192), 256: (4, 16384)}  # resolution: batch, fmap_base (the peer's channel_base is twice that)
WEIGHTS = {"G": 1, "G_reg": 1 / 4, "D": 1, "D_reg": 1 / 16}


def operations(resolution, fmap_base):
    """dict of kinds of step to floating point operations for each image of the batch."""
    g = generation.operations(resolution, fmap_base)
    d = d_operations(resolution, fmap_base)
    return {"G": 3 * g + 2 * d, "G_reg": 3 * g, "D": g + 6 * d, "D_reg": 6 * d}


def d_operations(resolution, fmap_base, fmap_max=512):
    """Floating point operations of one image through the residual discriminator of config-f."""

    def channels(size):
        return min(fmap_base * 2 // size, fmap_max)

    macs, size = resolution**2 * 3 * channels(resolution), resolution
    while size > 4:
        here, after, pixels = channels(size), channels(size // 2), size * size
        macs += pixels * 9 * here * here + pixels // 4 * (9 + 1) * here * after
        size //= 2
    return 2 * (macs + 16 * 9 * (channels(4) + 1) * channels(4) + 16 * channels(4) ** 2 + channels(4))


def ours(resolution, batch, fmap_base, precision):
    import numpy as np
    import tensorflow as tf

    from tf_stylegan.config import Options, resolve
    from tf_stylegan.training.state import TrainState
    from tf_stylegan.training.step import TrainStep

    sizes = {"fmap_base": fmap_base, "minibatch_size": batch, "minibatch_gpu": batch}
    config = resolve(Options(data_dir="", dataset="", precision=precision, **sizes), resolution, 3, 0)
    strategy = tf.distribute.get_strategy()
    steps = TrainStep(config, TrainState(config, strategy), strategy)
    labels = np.zeros([batch, 0], np.float32)
    reals = np.random.default_rng(0).integers(0, 256, [batch, resolution, resolution, 3], np.uint8)

    def run(kind):
        few = labels[: steps.stage.path_length_batch] if kind == "G_reg" else labels
        stats = steps.run(kind, [1, 2], few, *([reals] if kind[0] == "D" else []))
        if not all(np.isfinite(float(value)) for value in stats.values()):
            sys.exit(f"error: {kind} is not finite: {stats}")

    workers.serve({kind: lambda kind=kind: run(kind) for kind in WEIGHTS})


def theirs(resolution, batch, fmap_base, folder):
    sys.path.insert(0, folder)
    torch, networks, loss = (importlib.import_module(n) for n in ("torch", "training.networks", "training.loss"))
    widths = {"channel_base": 2 * fmap_base, "channel_max": 512}
    G = networks.Generator(512, 0, 512, resolution, 3, synthesis_kwargs=widths).requires_grad_(False)
    D = networks.Discriminator(0, resolution, 3, **widths).requires_grad_(False)
    adam = {n: torch.optim.Adam(m.parameters(), lr=0.002, betas=(0.0, 0.99), eps=1e-8) for n, m in (("G", G), ("D", D))}
    step = loss.StyleGAN2Loss("cpu", G.mapping, G.synthesis, D)
    reals, labels = torch.rand([batch, 3, resolution, resolution]) * 2 - 1, torch.zeros([batch, 0])
    phases = {"G": ("Gmain", 1), "G_reg": ("Greg", 4), "D": ("Dmain", 1), "D_reg": ("Dreg", 16)}

    def run(kind):
        phase, gain = phases[kind]
        module, optimizer = (G, D)[kind[0] == "D"], adam[kind[0]]
        optimizer.zero_grad(set_to_none=True)
        module.requires_grad_(True)
        step.accumulate_gradients(phase, reals, labels, torch.randn([batch, 512]), labels, sync=True, gain=gain)
        module.requires_grad_(False)
        optimizer.step()

    workers.serve({kind: lambda kind=kind: run(kind) for kind in WEIGHTS})


def measure(resolution, args):
    """Prints the rows of one size."""
    batch, fmap_base = SETTINGS[resolution]
    running = {
        name: workers.Worker(sys.executable, "benchmarks.training", "ours", resolution, batch, fmap_base, name)
        for name in args.precisions
    }
    if args.peer:
        peer = "benchmarks.training", "theirs", resolution, batch, fmap_base, args.peer
        running["stylegan2-ada-pytorch"] = workers.Worker(args.peer_python, *peer)
    ceiling = workers.Worker(sys.executable, "benchmarks.training", "ceiling")
    for _ in range(args.runs):
        for kind in WEIGHTS:
            for worker in running.values():
                worker.run(kind)
        for name in workers.CEILINGS:
            ceiling.run(name)
    rate = workers.largest(ceiling.finish()[0])
    counted = {kind: batch * count for kind, count in operations(resolution, fmap_base).items()}
    work = sum(counted[kind] * weight for kind, weight in WEIGHTS.items())
    results = {name: worker.finish() for name, worker in running.items()}
    steps = {name: sum(times[kind] * WEIGHTS[kind] for kind in WEIGHTS) for name, (times, _) in results.items()}
    for name, (times, peak) in results.items():
        cells = [resolution, batch, name, *(f"{times[k]:.2f} ({counted[k] / times[k] / rate:.0%})" for k in WEIGHTS)]
        cells += [f"{steps[name]:.2f}", f"{work / steps[name] / rate:.0%}"]
        cells += [f"{steps['stylegan2-ada-pytorch'] / steps[name]:.2f}" if args.peer else "", f"{peak / 2**30:.1f}"]
        print(f"| {' | '.join(map(str, cells))} |")
    counts = [f"{counted[kind] / 1e9:.0f} GFLOP" for kind in WEIGHTS]
    cells = [resolution, batch, f"counted; ceiling {rate / 1e9:.0f} GFLOP/s", *counts, f"{work / 1e9:.0f} GFLOP"]
    print(f"| {' | '.join(map(str, cells))} | | | |", flush=True)


def main():
    parser = workers.parser(__doc__)
    parser.add_argument("--resolutions", type=int, nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    args = parser.parse_args()
    if workers.worked(args, ours=ours, theirs=theirs, ceiling=workers.ceilings):
        return
    kinds = " | ".join(f"{kind}, s" for kind in WEIGHTS)
    print(f"| pixels | batch | | {kinds} | step, s | share of the ceiling | × the peer | peak, GiB |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for resolution in args.resolutions:
        measure(resolution, args)


if __name__ == "__main__":
    main()
