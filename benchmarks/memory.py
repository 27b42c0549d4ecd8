"""How much memory the steps of training take, one Markdown table.

`python -m benchmarks.memory`: peak of a process that takes each kind of step of config-f once, in float32, for each
number of pictures at a time. Accumulation, snapshots and checkpoints come on top.
"""

import argparse
import sys

from benchmarks import workers

RESOLUTIONS, BATCHES = (256, 512, 1024), (4, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolutions", type=int, nargs="+", default=RESOLUTIONS)
    args = parser.parse_args()
    print(f"| pixels | {' | '.join(f'--minibatch-gpu={batch}' for batch in BATCHES)} |")
    print("|---:|" + "---:|" * len(BATCHES))
    for resolution in args.resolutions:
        peaks = []
        for batch in BATCHES:
            worker = workers.Worker(sys.executable, "benchmarks.training", "ours", resolution, batch, 16384, "float32")
            peaks.append(f"{worker.finish()[1] / 2**30:.1f} GiB")
        print(f"| {resolution} | {' | '.join(peaks)} |", flush=True)


if __name__ == "__main__":
    main()
