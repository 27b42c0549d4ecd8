"""What a film costs: peak memory, frames per second, and the encoder's share.

`python -m benchmarks.films` draws a walk of 30 s, 3 x 2 pictures of 1024 x 1024, as `run_generator lerp-video` does,
with a config-f of random weights or with `--network=FILE`. Memory is the peak of what is resident, of this process and
of ffmpeg by itself; their sum is an upper bound, which stands there also as it was after 2 s of film. "Waiting": how
long drawing stood still for the encoder. The exit code is 1 where the sum is above 3 GB.
"""

import argparse
import contextlib
import glob
import os
import re
import resource
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

LIMIT_GB = 3.0  # of a film of 30 s, 3 x 2 cells of 1024 pixels


def random_generator(resolution, precision):
    from tf_stylegan.config import Options, resolve
    from tf_stylegan.networks.registry import build_network

    config = resolve(Options(data_dir="", dataset="", precision=precision), resolution, 3, 0)
    return build_network(config.G_func, name="Gs", **config.G_kwargs)


def peak_gb(process="self"):
    """Peak of a process' resident memory; not getrusage's, which for a child counts what its parent had."""
    with open(f"/proc/{process}/status") as file:
        status = file.read()
    if process != "self" and not status.startswith("Name:\tffmpeg"):
        return 0.0  # a child that is still its parent
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e6


def peak_of_children_gb():
    peaks = [0.0]
    for listing in glob.glob("/proc/self/task/*/children"):
        with contextlib.suppress(OSError, TypeError), open(listing) as file:  # it may have ended meanwhile
            peaks += [peak_gb(child) for child in file.read().split()]
    return max(peaks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", metavar="FILE", help="in place of random weights")
    parser.add_argument("--resolution", type=int, default=1024, metavar="N", help="of random weights")
    parser.add_argument("--grid-w", type=int, default=3, metavar="N")
    parser.add_argument("--grid-h", type=int, default=2, metavar="N")
    parser.add_argument("--seconds", type=float, default=30, metavar="SEC")
    parser.add_argument("--fps", type=float, default=30, metavar="N")
    parser.add_argument("--format", default="mp4", help="mp4, webm, gif or png")
    parser.add_argument("--noise-mode", default="const", help="seed, const, random or none")
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()

    from tf_stylegan.legacy.networks import load_generator
    from tf_stylegan.pictures import films, video, walks
    from tf_stylegan.pictures.painter import Painter

    Gs = load_generator(args.network, args.precision) if args.network else None
    painter = Painter(Gs or random_generator(args.resolution, args.precision), 0.7, noise_mode=args.noise_mode)
    frames = walks.frame_count(args.seconds, args.fps)
    film = films.lerp_film(painter, [0], frames, 3 * args.fps, args.grid_w, args.grid_h)
    made, drawing, encoder_peak, began, cpu = 0, 0.0, 0.0, time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "film" + video.FORMATS[args.format].ending)
        with video.FilmWriter(path, args.fps, args.format) as writer:
            iterator = iter(film)
            while True:
                start = time.perf_counter()
                frame = next(iterator, None)
                drawing += time.perf_counter() - start
                if frame is None:
                    break
                writer.write(frame)
                encoder_peak, made = max(encoder_peak, peak_of_children_gb()), made + 1
                if made == min(round(2 * args.fps), frames):
                    early_peak = peak_gb() + encoder_peak
        size = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    encoder = children.ru_utime + children.ru_stime
    peaks = [peak_gb(), encoder_peak]
    print("| film | frames/s | waiting | ffmpeg's share of CPU time | peak GB | ffmpeg's | together ", end="")
    print("| after 2 s | MB of film |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    height, width, _ = painter.picture_shape
    name = f"{args.grid_w}x{args.grid_h} of {width}x{height}, {frames} frames, {args.format}, {args.precision}"
    share = f"{1 - drawing / seconds:.0%} | {encoder / (encoder + cpu):.0%}"
    memory = f"{peaks[0]:.2f} | {peaks[1]:.2f} | {sum(peaks):.2f} | {early_peak:.2f}"
    print(f"| {name} | {frames / seconds:.2f} | {share} | {memory} | {size / 1e6:.1f} |")
    return int(sum(peaks) > LIMIT_GB)


if __name__ == "__main__":
    sys.exit(main())
