"""What opening a file of networks costs: time and memory, one Markdown table.

`python -m benchmarks.loading --peer=DIR --peer-python=PYTHON`: beside stylegan2-ada-pytorch, of which DIR is a checkout
and PYTHON an interpreter with PyTorch. Every figure is of a process of its own, after its library has started, runs
of ours and the peer's in turn; medians. The file: three networks of config-f, made here, or what `--network` names.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

# Run by each interpreter. "Resident" counts the file's own pages, which are only mapped; "private" does not.
MEASURE = """
import gc, json, os, sys, time
{start}
def memory(key):
    with open("/proc/self/smaps_rollup" if key == "Anonymous" else "/proc/self/status") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(key + ":")) / 1024
gc.collect()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here
before, private = memory("VmRSS"), memory("Anonymous")
start = time.perf_counter()
{load}
seconds = time.perf_counter() - start
print(json.dumps([seconds, memory("VmHWM") - before, memory("Anonymous") - private]))
"""
OURS = """
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import tensorflow as tf
import tf_stylegan
from tf_stylegan.legacy.networks import load_networks
tf.Variable(tf.random.normal([8, 8])).assign_add(tf.ones([8, 8]))
"""
THEIRS = """
sys.path.insert(0, sys.argv[2])
import torch, legacy
torch.randn([8, 8]) + 1
"""
LOAD_PEER = "with open(sys.argv[1], 'rb') as file: networks = legacy.load_network_pkl(file)"
COLUMNS = ("seconds", "peak resident memory, MB", "private memory kept, MB")


def measure(python, start, load, *argv):
    """[seconds, peak MB, kept MB] of one process."""
    code = MEASURE.format(start=start, load=load)
    done = subprocess.run([python, "-c", code, *argv], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {python} could not load {argv[0]}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def make_file(path, resolution):
    import tf_stylegan
    from tf_stylegan.config import Options, resolve
    from tf_stylegan.networks.registry import build_network

    config = resolve(Options(data_dir="", dataset=""), resolution, 3, 0)
    G, Gs = (build_network(config.G_func, name=name, **config.G_kwargs) for name in ("G", "Gs"))
    tf_stylegan.save_networks(path, [G, build_network(config.D_func, name="D", **config.D_kwargs), Gs])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", metavar="PKL", help="file to open; default: a new config-f")
    parser.add_argument("--resolution", type=int, default=1024, help="of the new one")
    parser.add_argument("--peer", metavar="DIR", help="checkout of stylegan2-ada-pytorch")
    parser.add_argument("--peer-python", metavar="PYTHON", default=sys.executable, help="interpreter with PyTorch")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        path = args.network or os.path.join(folder, "config-f.pkl")
        if not args.network:
            make_file(path, args.resolution)
        cases = {
            'only="Gs"': (sys.executable, OURS, "networks = load_networks(sys.argv[1], only='Gs')", path),
            "all three networks": (sys.executable, OURS, "networks = load_networks(sys.argv[1])", path),
        }
        if args.peer:
            cases["stylegan2-ada-pytorch"] = (args.peer_python, THEIRS, LOAD_PEER, path, args.peer)
        results = {name: [] for name in cases}
        for _ in range(args.runs):
            for name, case in cases.items():
                results[name].append(measure(*case))
        size = os.path.getsize(path) / 1e6
    print(f"{size:.0f} MB, medians of {args.runs} processes\n")
    print(f"| | {' | '.join(COLUMNS)} |")
    print("|---|" + "---:|" * len(COLUMNS))
    for name, runs in results.items():
        seconds, *megabytes = (statistics.median(values) for values in zip(*runs))
        print(f"| {name} | {seconds:.2f} | {' | '.join(f'{value:.0f}' for value in megabytes)} |")


if __name__ == "__main__":
    main()
