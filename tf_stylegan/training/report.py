"""What a run shows: lines, TensorBoard events, sheets of pictures, network snapshots (F5)."""

import os
import resource
import time

import numpy as np
import tensorflow as tf

from tf_stylegan import files, images
from tf_stylegan.legacy.networks import save_networks

# Sheets as the original lays them out: 7680×4320 pixels. A CPU draws a quarter of that in each direction.
_SHEET = {"GPU": (7680, 4320), "CPU": (1920, 1080)}
_EVENTS_SIDE = 1920  # at most, of the sheets that TensorBoard shows; the PNG files beside them are whole


class Report:
    """Writes into a run directory; asked by the loop, changes nothing of the run."""

    def __init__(self, config, state, pipeline, run_dir, log):
        self.config, self.state, self.pipeline, self.run_dir, self.log = config, state, pipeline, run_dir, log
        self.writer = tf.summary.create_file_writer(run_dir)
        self.sums, self.counts = {}, {}
        self.tick_started, self.tick_start_nimg = time.perf_counter(), state.progress.cur_nimg
        self.maintenance_seconds, self.ticks = 0.0, 0
        resolution = pipeline.info.resolution
        width, height = _SHEET["GPU" if tf.config.list_physical_devices("GPU") else "CPU"]
        self.columns = int(np.clip(width // resolution, 3, 32))
        self.count = self.columns * int(np.clip(height // resolution, 2, 32))
        rnd = np.random.RandomState(config.options.seed)
        self.latents = rnd.randn(self.count, state.Gs.latent_size).astype(np.float32)
        self.labels = None
        self._draws = {}

    def start(self):
        """The first sheets: real pictures, and what the network draws before it is trained here."""
        reals = self._first_reals()[0].numpy()
        images.save_png(os.path.join(self.run_dir, "reals.png"), images.make_grid(reals, self.columns))
        with self.writer.as_default(step=0):
            tf.summary.image("reals", _for_events(images.make_grid(reals, self.columns)))
        self.save_fakes("fakes_init.png")

    def add(self, stats):
        """Counts the losses of one step, to be averaged over the tick."""
        for name, value in stats.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def tick(self, stage):
        """The line of a tick, as the original prints it, and the scalars."""
        progress, now = self.state.progress, time.perf_counter()
        seconds = now - self.tick_started
        kimg = (progress.cur_nimg - self.tick_start_nimg) / 1000
        means = {name: self.sums[name] / self.counts[name] for name in self.sums}
        self.sums, self.counts = {}, {}
        memory = _peak_memory_gb()
        self.log(
            f"tick {progress.tick:<5d} kimg {progress.cur_nimg / 1000:<8.1f} lod {stage.lod:<5.2f} "
            f"minibatch {stage.minibatch_size:<4d} time {files.format_time(progress.seconds):<12s} "
            f"sec/tick {seconds:<7.1f} sec/kimg {seconds / kimg:<7.2f} maintenance {self.maintenance_seconds:<6.1f} "
            f"{'gpumem' if memory[1] else 'mem'} {memory[0]:.1f}"
            + "".join(f" {name} {means[name]:.3f}" for name in ("G_loss", "D_loss") if name in means)
            + (f" skipped {progress.skipped}" if progress.skipped else "")
        )
        self.ticks += 1
        left = self.config.options.total_kimg - progress.cur_nimg / 1000
        if self.ticks == 2 and left > 0:  # the first has the compiling in it
            lasts = files.format_time(left * (seconds + self.maintenance_seconds) / kimg)
            self.log(f"At this speed the {left:.1f} kimg to come will take {lasts}.")
        with self.writer.as_default(step=progress.cur_nimg):
            for name, value in means.items():
                tf.summary.scalar(f"Loss/{name}", value)
            tf.summary.scalar("Progress/kimg", progress.cur_nimg / 1000)
            tf.summary.scalar("Progress/tick", progress.tick)
            tf.summary.scalar("Progress/lod", stage.lod)
            tf.summary.scalar("Progress/skipped_updates", progress.skipped)
            tf.summary.scalar("Timing/sec_per_kimg", seconds / kimg)
            tf.summary.scalar("Timing/maintenance_sec", self.maintenance_seconds)
            tf.summary.scalar("Resources/peak_memory_gb", memory[0])
        self.writer.flush()

    def maintenance(self, seconds):
        """Ends a tick; `seconds` went into snapshots."""
        self.maintenance_seconds = seconds
        self.tick_started, self.tick_start_nimg = time.perf_counter(), self.state.progress.cur_nimg

    def save_fakes(self, name):
        """A sheet of what Gs draws from the run's fixed latents, untruncated."""
        if self.labels is None:
            self.labels = self._first_reals()[1].numpy()
        draw = self._draw_at(self.state.progress.lod or 0.0)
        count, batch = len(self.latents), min(len(self.latents), max(self.config.minibatch_gpu, 4))
        pictures = []
        for start in range(0, count, batch):
            at = np.arange(start, start + batch) % count  # the last batch is filled up from the front
            pictures.append(draw(tf.constant(self.latents[at]), tf.constant(self.labels[at])).numpy())
        sheet = images.make_grid(images.to_uint8(np.concatenate(pictures)[:count], "nearest"), self.columns)
        images.save_png(os.path.join(self.run_dir, name), sheet)
        with self.writer.as_default(step=self.state.progress.cur_nimg):
            tf.summary.image("fakes", _for_events(sheet))

    def _draw_at(self, lod):
        """What draws pictures at a level of detail; traced for the last one only."""
        if lod not in self._draws:
            grown = {"lod": lod} if self.state.Gs.grows else {}
            self._draws = {
                lod: tf.function(
                    lambda z, labels: self.state.Gs(z, labels, truncation_psi=1, noise_mode="const", **grown)
                )
            }
        return self._draws[lod]

    def save_networks(self, name):
        """(G, D, Gs) as a legacy pickle."""
        save_networks(os.path.join(self.run_dir, name), (self.state.G, self.state.D, self.state.Gs))

    def _first_reals(self):
        """(images, labels) that the data begins with: the same in every session."""
        return next(self.pipeline.batches(self.count))

    def close(self):
        self.writer.close()


def _for_events(sheet):
    """A sheet `[H, W, C]` as `[1, h, w, C]`, small enough to be kept in the events of hundreds of ticks."""
    step = -(-max(sheet.shape) // _EVENTS_SIDE)
    height, width = (size // step * step for size in sheet.shape[:2])
    blocks = sheet[:height, :width].reshape(height // step, step, width // step, step, sheet.shape[2])
    return np.round(blocks.mean(axis=(1, 3))).astype(np.uint8)[None]


def _peak_memory_gb():
    """(peak memory in GiB, whether it is a GPU's)."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30, True
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, False
