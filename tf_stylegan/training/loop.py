"""The training loop: calls the parts in order, computes nothing itself (F5)."""

import contextlib
import dataclasses
import math
import os
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tf_stylegan import cli, files
from tf_stylegan.config import check_options, resolve
from tf_stylegan.data.dataset import find_dataset
from tf_stylegan.data.pipeline import ImagePipeline
from tf_stylegan.errors import UserError
from tf_stylegan.training import resume as resume_module
from tf_stylegan.training.devices import make_strategy
from tf_stylegan.training.report import Report
from tf_stylegan.training.schedule import regularise, stage_at
from tf_stylegan.training.start import NetworkFile
from tf_stylegan.training.state import TrainState, checkpoint_path, checkpoints
from tf_stylegan.training.step import TrainStep

SKIPPED_IN_ROW = 20  # updates in a row that may be skipped before the run stops


def train(options, given=None, resume=None, dry_run=False, resume_kimg=None, resume_partial=False):
    """Trains a network.

    Args:
        options: Options; where a run is resumed, its own options count, changed by `given`.
        given: dict of the options the user gave explicitly.
        resume: None; "latest", a run directory or a checkpoint, see `training.resume.find_run`; or a file of networks
            to start a new run from, see `training.start`.
        dry_run: print the resolved configuration and stop.
        resume_kimg, resume_partial: with a file of networks, see `NetworkFile.configure`.
    Returns:
        the run directory, None after a dry run.
    Raises:
        UserError: for anything the user can mend, before a run directory is made wherever possible.
    """
    given = given or {}
    run_dir = checkpoint = saved = file = None
    if resume_module.is_network_file(resume, resume_kimg, resume_partial):
        file, resume = NetworkFile(resume, resume_module.find_network_file(resume, options)), None
    elif resume:
        run_dir, checkpoint = resume_module.find_run(resume, options.result_dir, given)
        saved = resume_module.load_config(run_dir)
        options = resume_module.merge_options(saved, given)
    check_options(options)
    # Before the data set is looked at, which takes TensorFlow's devices as they are; a dry run needs none.
    strategy, devices = (None, None) if dry_run else make_strategy(options.num_gpus)
    info = find_dataset(options.data_dir, options.dataset, options.resolution, options.max_images)
    if not options.cond:
        info = dataclasses.replace(info, labels_path=None, label_size=0)
    if file:
        config = file.configure(options, given, info, resume_kimg, resume_partial)
    else:
        kept = (saved.start_networks, saved.growing and saved.growing.minibatch_size) if saved else ()
        config = resolve(options, info.resolution, info.num_channels, info.label_size, *kept)
    if saved:
        resume_module.check_same_data(saved, info)
        config = dataclasses.replace(config, start=saved.start)
    config = dataclasses.replace(config, data_fingerprint=info.fingerprint())
    if dry_run:
        print(config.to_json())
        for line in (*(file.outcome() if file else []), *(f"Note: {note}." for note in config.notes)):
            print(line, file=sys.stderr)  # standard output is the configuration alone
        return None
    keras.utils.set_random_seed(options.seed)
    state = TrainState(config, strategy)
    lines = [devices, *(file.copy_into(state, config) if file else [])]
    pipeline = ImagePipeline(info, seed=options.seed)
    check_data(config, pipeline)
    if not run_dir:
        gpus = f"{options.num_gpus}gpu"
        run_dir = files.make_run_dir(options.result_dir, f"stylegan2-{info.name}-{gpus}-{options.config}")
        resume_module.save_config(config, run_dir)
    with files.locked(run_dir):
        return _session(config, strategy, state, pipeline, run_dir, lines, resume, checkpoint)


def _session(config, strategy, state, pipeline, run_dir, lines, resume, checkpoint):
    """From an open run directory to the end of this session; returns the run directory."""
    log = files.Log(os.path.join(run_dir, "log.txt"))
    try:
        info = pipeline.info
        cond = f", labels of {info.label_size} numbers: conditional" if info.label_size else ""
        log(f"{files.timestamp()} {run_dir}: {config.options.config} on {info.name}, {info.num_images} images{cond}")
        for line in (*lines, *(f"Note: {note}." for note in config.notes)):
            log(line)
        if resume:
            if checkpoint:
                state.restore(checkpoint)
            else:
                checkpoint = resume_module.restore_newest(state, run_dir, log)
            kimg, total_kimg = state.progress.cur_nimg / 1000, config.options.total_kimg
            if kimg >= total_kimg:
                log(f"Nothing to do: {kimg:.1f} of {total_kimg:.1f} kimg are done.")
                return run_dir
            log(f"Resuming from {checkpoint} at {kimg:.1f} kimg.")
            resume_module.set_aside_newer(checkpoint, log)
            resume_module.save_config(config, run_dir)  # so that the next --resume goes on with what was given now
        log("Every kind of step is compiled when it is first taken: the first tick takes longer.")
        Loop(config, strategy, state, pipeline, run_dir, log, fresh=not resume).run()
        return run_dir
    except UserError as error:
        log(f"Stopped: {error}")
        raise
    except tf.errors.ResourceExhaustedError as error:
        at_once = config.options.minibatch_gpu or stage_at(config, state.progress.cur_nimg).minibatch_gpu
        less = f"--minibatch-gpu={at_once // 2} takes half as many images at a time" if at_once > 1 else None
        text = f"out of memory at {state.progress.cur_nimg / 1000:.1f} kimg: {less or 'this needs a larger device'}; "
        text += f"go on with --resume={run_dir}" if checkpoints(run_dir) else "start again so"
        log(f"Stopped: {text}")
        raise UserError(text) from error
    except Exception as error:  # ours: the traceback goes to the terminal, a line to those who read the log later
        log(f"Stopped by {type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else ''}")
        raise
    finally:
        log.close()


def check_data(config, pipeline):
    """Opens what a run will read, so that it complains before a folder is made, not hours later."""
    for lod in range(math.floor(stage_at(config, 0).lod) + 1):
        pipeline.open(lod)


class Loop:
    """One session of a run, from where `state` stands to the end, a signal, or an error."""

    def __init__(self, config, strategy, state, pipeline, run_dir, log, fresh):
        self.config, self.state, self.pipeline = config, state, pipeline
        self.batches, self.batches_of = None, None
        self.run_dir, self.log, self.fresh = run_dir, log, fresh
        self.steps = TrainStep(config, state, strategy)
        self.report = Report(config, state, pipeline, run_dir, log)
        self.stop_signal, self.terminals = None, cli.terminals()

    def run(self):
        progress, total = self.state.progress, self.config.options.total_kimg * 1000
        if self.fresh:
            self.report.start()
        stops = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]  # the last: a terminal or connection was closed
        stops = [number for number in stops if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGINT]
        previous = {number: signal.signal(number, self._on_signal) for number in stops}
        bar = tqdm(
            total=round(total / 1000, 3), initial=progress.cur_nimg / 1000, unit="kimg", disable=None, smoothing=0.05,
            bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f} kimg [{elapsed}<{remaining}, {rate_fmt}]", leave=False,
        )  # fmt: skip
        try:
            while progress.cur_nimg < total and not self.stop_signal:
                stage = stage_at(self.config, progress.cur_nimg)
                self._step(stage)
                bar.update(stage.minibatch_size / 1000)
                done = progress.cur_nimg >= total
                if done or progress.cur_nimg >= progress.tick_start_nimg + stage.tick_kimg * 1000:
                    self._tick(done)
            if self.stop_signal and progress.cur_nimg < total:
                self._save_checkpoint()
                name = signal.Signals(self.stop_signal).name
                self.log(f"{name}: saved at {progress.cur_nimg / 1000:.1f} kimg; go on with --resume={self.run_dir}")
        finally:
            bar.close()
            self.report.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _step(self, stage):
        """One round of G, path length, moving average, D and R1, in the original's order."""
        config, progress, steps = self.config, self.state.progress, self.steps
        started = time.perf_counter()
        steps.set_stage(stage)
        images, labels = next(self._batches(stage))
        seed = [config.options.seed, progress.step]
        results = {"G": steps.run("G", seed, self._random_labels(stage.minibatch_size, 0))}
        if config.lazy_regularization and config.loss.g_penalty and regularise(progress.step, config.G_reg_interval):
            results["G_reg"] = steps.run("G_reg", seed, self._random_labels(stage.path_length_batch, 1))
        steps.update_average()
        results["D"] = steps.run("D", seed, labels, images)
        if config.lazy_regularization and config.loss.d_penalty and regularise(progress.step, config.D_reg_interval):
            results["D_reg"] = steps.run("D_reg", seed, labels, images)
        progress.step += 1
        progress.cur_nimg += stage.minibatch_size
        for kind, stats in results.items():
            stats = {name: float(value) for name, value in stats.items()}
            taken = stats.pop("finite") == 1
            if taken:
                self.report.add(stats)
            self._count_skipped(kind, taken)
        progress.seconds += time.perf_counter() - started

    def _batches(self, stage):
        """The batches of a stage; when the resolution changes, another file is read on from the same place."""
        wanted = stage.minibatch_size, math.floor(stage.lod)
        if wanted != self.batches_of:
            self.batches = self.pipeline.batches(wanted[0], self.state.progress.cur_nimg, lod=wanted[1])
            self.batches_of = wanted
        return self.batches

    def _count_skipped(self, kind, taken):
        progress, in_row = self.state.progress, self.state.progress.skipped_in_row
        in_row[kind] = 0 if taken else in_row.get(kind, 0) + 1
        if taken:
            return
        progress.skipped += 1
        kimg = f"{progress.cur_nimg / 1000:.1f} kimg"
        half = self.config.options.precision == "float16"
        why = "; the loss scale is halved, as it is now and then in float16" if half else ""
        self.log(f"Skipped an update of {kind} at {kimg}: a loss or gradient is not finite{why}.")
        if in_row[kind] >= SKIPPED_IN_ROW:
            # No "resume from before": a resumed run repeats itself exactly, up to and including this.
            raise UserError(
                f"{SKIPPED_IN_ROW} updates of {kind} in a row were not finite at {kimg}: training has diverged. "
                + (
                    "Start anew with --precision=bfloat16, whose range is float32's, or "
                    if half
                    else "Start anew with "
                )
                + "another --gamma (larger, unless it is huge) or a larger --minibatch-size, and look at reals.png for "
                "damaged pictures"
            )

    def _random_labels(self, count, purpose):
        """Labels of records drawn at random, `[count, label_size]`: the same whenever this step is taken."""
        labels = self.pipeline.labels
        if not labels.shape[1]:
            return np.zeros([count, 0], np.float32)
        rnd = np.random.default_rng([self.config.options.seed, self.state.progress.step, purpose])
        return labels[rnd.integers(len(labels), size=count)]

    def _tick(self, done):
        options, progress = self.config.options, self.state.progress
        tick = progress.tick
        self.report.tick(self.steps.stage)
        started = time.perf_counter()
        if done or tick % options.image_snapshot_ticks == 0:
            self.report.save_fakes(f"fakes{progress.cur_nimg // 1000:06d}.png")
        if done or tick % options.network_snapshot_ticks == 0:
            self.report.save_networks(f"network-snapshot-{progress.cur_nimg // 1000:06d}.pkl")
        if done:
            self.report.save_networks("network-final.pkl")
        progress.tick, progress.tick_start_nimg = tick + 1, progress.cur_nimg
        self._save_checkpoint()
        self.report.maintenance(time.perf_counter() - started)

    def _save_checkpoint(self):
        self.state.save(checkpoint_path(self.run_dir, self.state.progress.cur_nimg))
        for path in checkpoints(self.run_dir)[self.config.options.keep_checkpoints :]:
            os.remove(path)

    def _on_signal(self, number, frame):
        if self.stop_signal:  # the second one means it
            raise KeyboardInterrupt
        self.stop_signal = number
        if number == signal.SIGHUP:
            files.leave(self.terminals)
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of writing another line
            self.log(f"{signal.Signals(number).name}: finishing this step, then saving (again to stop at once)")
