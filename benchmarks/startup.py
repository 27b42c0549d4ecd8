"""How long a command takes before it shows something, one Markdown table.

`python -m benchmarks.startup`: processes of their own, medians of `--runs`. "The first picture": from the command to
the PNG file, a config-f generator at 1024 pixels in a pickle with its three networks (made here, or what `--network`
names).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import workers  # noqa: F401  quiet TensorFlow
from benchmarks.loading import make_file


def seconds(*command):
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", metavar="FILE")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network = args.network or os.path.join(folder, "network.pkl")
        if not args.network:
            make_file(network, 1024)
        draw = ["-m", "tf_stylegan.run_generator", "generate-images", f"--network={network}", "--seeds=0"]
        commands = {
            "`import tensorflow`": ["-c", "import tensorflow"],
            "`import tensorflow, tf_stylegan`": ["-c", "import tensorflow, tf_stylegan"],
            "the first picture, float32": [*draw, f"--outdir={folder}/pictures"],
            "the first picture, bfloat16": [*draw, f"--outdir={folder}/pictures", "--precision=bfloat16"],
        }
        times = {name: [] for name in commands}
        for _ in range(args.runs):
            for name, command in commands.items():
                times[name].append(seconds(*command))
    print("| from the command to | seconds |")
    print("|---|---:|")
    for name, taken in times.items():
        print(f"| {name} | {statistics.median(taken):.2f} |")


if __name__ == "__main__":
    main()
