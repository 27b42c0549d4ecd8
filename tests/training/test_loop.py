"""The loop around the steps, in this process and with steps that only pretend: what it writes, refuses and gives up.

`test_loop_processes.py` runs the real thing.
"""

import glob
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import TINY_FLAGS, make_dataset

from tf_stylegan import files, run_training
from tf_stylegan.config import from_json
from tf_stylegan.training import loop as loop_module
from tf_stylegan.training import report
from tf_stylegan.training.loop import SKIPPED_IN_ROW
from tf_stylegan.training.state import checkpoints

FLAGS = ("--data-dir=data", "--dataset=noise", "--minibatch-size=4", "--minibatch-gpu=4", *TINY_FLAGS)
RUN = os.path.join("results", "00000-stylegan2-noise-1gpu-config-f")


class PretendedStep:
    """Stands in for TrainStep; `fails` are the kinds of step whose updates are not finite."""

    fails = ()

    def __init__(self, config, state, strategy):
        self.state = state

    def run(self, kind, seed, labels, images=None):
        assert images is None or images.shape == (4, 8, 8, 1)
        return {f"{kind}_loss": 0.5, "finite": float(kind not in self.fails)}

    def update_average(self):
        pass

    def set_stage(self, stage):
        self.stage = stage


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """A data set of 24 images in the current folder, sheets of six pictures, steps that take no time."""
    make_dataset(tmp_path / "data" / "noise")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "_SHEET", {"GPU": (24, 16), "CPU": (24, 16)})
    monkeypatch.setattr(loop_module, "make_strategy", lambda num_gpus: (tf.distribute.get_strategy(), "Here."))
    monkeypatch.setattr(loop_module, "TrainStep", PretendedStep)


@pytest.fixture
def command(capsys):
    """Runs the command: (exit code, what it printed, what it printed as errors)."""

    def run(*flags):
        code = run_training.main(run_training.parse_args(["run_training", *flags]))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def failing(command):
    """Runs a command that must fail with one line, and returns that line."""

    def run(*flags):
        code, _, errors = command(*flags)
        lines = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert code == 2 and len(lines) == 1 and "Traceback" not in errors, errors
        return lines[0]

    return run


def steps_taken(run=RUN):
    """Numbers of images in the names of a run's checkpoints."""
    return [int(re.search(r"(\d+)\.npz", path)[1]) for path in checkpoints(run)]


# ---------------------------------------------------------------------------------------------------------------------
# Runs.


def test_less_than_one_batch_is_one_step(command):
    assert command(*FLAGS, "--total-kimg=0.001")[0] == 0
    assert steps_taken() == [4]
    assert {"reals.png", "fakes_init.png", "fakes000000.png", "network-final.pkl"} <= set(os.listdir(RUN))


def test_a_finished_run_goes_on_when_it_is_made_longer(command):
    assert command(*FLAGS, "--total-kimg=0.02", "--tick-kimg=0.012")[0] == 0
    assert steps_taken() == [20, 12]
    code, text, _ = command("--resume=latest")
    assert code == 0 and "Nothing to do: 0.0 of 0.0 kimg are done." in text and steps_taken() == [20, 12]
    assert command("--resume=latest", "--total-kimg=0.03")[0] == 0
    assert steps_taken() == [32, 20]  # by whole batches
    with open(os.path.join(RUN, "training_options.json")) as file:
        assert from_json(file.read()).options.total_kimg == 0.03
    assert os.listdir("results") == [os.path.basename(RUN)]


def test_a_total_that_lies_behind_is_not_remembered(command):
    assert command(*FLAGS, "--total-kimg=0.02")[0] == 0
    before = sorted(os.listdir(RUN))
    assert "Nothing to do" in command("--resume=latest", "--total-kimg=0.001")[1]
    with open(os.path.join(RUN, "training_options.json")) as file:
        assert from_json(file.read()).options.total_kimg == 0.02
    assert sorted(os.listdir(RUN)) == before


def test_another_data_set_is_refused(command, failing, tmp_path):
    assert command(*FLAGS, "--total-kimg=0.02")[0] == 0
    shutil.rmtree(tmp_path / "data" / "noise")
    make_dataset(tmp_path / "data" / "noise", count=30)
    line = failing("--resume=latest", "--total-kimg=0.03")
    assert "'noise'" in line and "is not the one this run was trained on: now 30 images 8x8" in line
    assert steps_taken() == [20]


def test_a_run_that_another_process_holds_is_refused(command, failing):
    assert command(*FLAGS, "--total-kimg=0.02")[0] == 0
    with files.locked(RUN):
        assert "is in use by another process" in failing(f"--resume={RUN}", "--total-kimg=0.03")
    assert command(f"--resume={RUN}", "--total-kimg=0.03")[0] == 0


def test_snapshots_come_every_so_many_ticks(command):
    flags = ("--tick-kimg=1", "--image-snapshot-ticks=2", "--network-snapshot-ticks=3", "--keep-checkpoints=3")
    assert command(*FLAGS, "--total-kimg=6", *flags)[0] == 0
    names = set(os.listdir(RUN))
    pictures = {"fakes_init.png", *(f"fakes{kimg:06d}.png" for kimg in (1, 3, 5, 6))}  # the last one always
    assert {name for name in names if name.startswith("fakes")} == pictures
    pickles = {f"network-snapshot-{kimg:06d}.pkl" for kimg in (1, 4, 6)}
    assert {name for name in names if name.startswith("network-snapshot")} == pickles
    assert steps_taken() == [6000, 5000, 4000]


def test_run_directories_are_numbered(command):
    for _ in range(2):
        assert command(*FLAGS, "--total-kimg=0.001", "--config=config-e-Gorig-Dskip")[0] == 0
    assert sorted(os.listdir("results")) == [f"0000{n}-stylegan2-noise-1gpu-config-e-Gorig-Dskip" for n in (0, 1)]


def test_dry_run_prints_the_configuration_and_makes_nothing(command, monkeypatch):
    monkeypatch.setattr(loop_module, "make_strategy", lambda num_gpus: pytest.fail("a dry run needs no devices"))
    before = sorted(os.listdir())
    code, text, _ = command(*FLAGS, "--dry-run", "--gamma=2.5", "--mirror-augment", "--num-gpus=1")
    config = from_json(text)
    assert code == 0 and config.loss.gamma == 2.5 and config.options.mirror_augment is True
    assert json.loads(text)["G_kwargs"]["resolution"] == 8
    assert sorted(os.listdir()) == before


def test_a_lack_of_memory_is_one_line_that_says_what_to_do(failing, monkeypatch):
    def run(self, kind, *args):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\n\na page of words")

    monkeypatch.setattr(PretendedStep, "run", run)
    line = failing(*FLAGS, "--total-kimg=0.024")
    assert (
        line
        == "error: out of memory at 0.0 kimg: --minibatch-gpu=2 takes half as many images at a time; start again so"
    )
    with open(os.path.join(RUN, "log.txt")) as file:
        assert line.replace("error", "Stopped") in file.read()


def test_any_other_end_leaves_a_line_in_the_log(command, monkeypatch):
    def run(self, kind, *args):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(PretendedStep, "run", run)
    with pytest.raises(ZeroDivisionError):
        command(*FLAGS, "--total-kimg=0.024")
    with open(os.path.join(RUN, "log.txt")) as file:
        assert file.read().splitlines()[-1] == "Stopped by ZeroDivisionError: lines"


def test_every_level_of_detail_is_opened_before_a_run_begins(failing):
    """A damaged file of a middle resolution would end a grown run after days."""
    make_dataset("data/large", resolution=32)
    path = glob.glob("data/large/*-r04.tfrecords")[0]
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)
    flags = [flag for flag in FLAGS if not flag.startswith("--dataset")]
    assert path in failing(*flags, "--dataset=large", "--config=config-d", "--total-kimg=0.024")
    assert not os.path.exists("results")


def test_labels_are_used_unless_one_says_not_to(command):
    make_dataset("data/labelled", label_size=3)
    flags = [*(flag for flag in FLAGS if not flag.startswith("--dataset")), "--dataset=labelled"]
    for more, size in (((), 3), (("--cond=false",), 0)):
        code, printed, _ = command(*flags, *more, "--total-kimg=0.024")
        assert code == 0 and ("labels of 3 numbers: conditional" in printed) == bool(size)
        (run_dir,) = glob.glob("results/*labelled*")
        with open(os.path.join(run_dir, "training_options.json")) as file:
            assert json.load(file)["G_kwargs"]["label_size"] == size
        assert command(f"--resume={run_dir}", "--total-kimg=0.032")[0] == 0
        shutil.rmtree(run_dir)


def test_a_slash_behind_the_data_set_is_the_shells(command):
    flags = [flag for flag in FLAGS if not flag.startswith("--dataset")]
    assert command(*flags, "--dataset=noise/", "--total-kimg=0.024")[0] == 0
    assert os.path.isdir(RUN)
    assert command("--resume=latest", "--dataset=noise/", "--total-kimg=0.032")[0] == 0


def test_devices_are_set_up_before_the_data_is_looked_at(command, monkeypatch):
    """TensorFlow reads the first record with the devices it has; replicas and memory growth are settled by then."""
    order = []
    for name in ("make_strategy", "find_dataset"):
        original = getattr(loop_module, name)
        monkeypatch.setattr(loop_module, name, lambda *a, f=original, n=name: order.append(n) or f(*a))
    assert command(*FLAGS, "--total-kimg=0.001")[0] == 0
    assert order == ["make_strategy", "find_dataset"]


def test_going_on_from_an_older_checkpoint_leaves_the_newer_behind(command):
    command(*FLAGS, "--total-kimg=0.024", "--tick-kimg=0.008")
    assert steps_taken() == [24, 16]
    older = checkpoints(RUN)[1]
    assert command(f"--resume={older}", "--total-kimg=0.02", "--keep-checkpoints=1")[0] == 0
    assert steps_taken() == [20]
    assert os.path.exists(os.path.join(RUN, "checkpoint-0000000024.npz.set-aside"))


# ---------------------------------------------------------------------------------------------------------------------
# Updates that are not finite.


@pytest.mark.parametrize(
    "fails, images",
    [(("G", "G_reg", "D", "D_reg"), 4 * SKIPPED_IN_ROW), (("D",), 4 * SKIPPED_IN_ROW), (("G_reg",), 304 + 4)],
    ids=str,
)
def test_twenty_skipped_updates_in_a_row_stop_the_run(command, monkeypatch, fails, images):
    """In a row for one kind of step: a discriminator that has gone astray is not saved by a sound generator."""
    monkeypatch.setattr(PretendedStep, "fails", fails)
    code, text, errors = command(*FLAGS, "--total-kimg=1")
    assert code == 2
    assert re.search(rf"^error: 20 updates of {fails[0]} in a row were not finite at .*--gamma", errors, re.MULTILINE)
    log = Path(os.path.join(RUN, "log.txt")).read_text(encoding="utf-8")
    assert log.count(f"Skipped an update of {fails[0]} at ") == SKIPPED_IN_ROW and "Stopped: 20 updates" in log
    assert f"at {images / 1000:.1f} kimg: a loss" in log and "Skipped" in text


def test_nineteen_do_not(command, monkeypatch):
    class Recovering(PretendedStep):
        def run(self, kind, seed, labels, images=None):
            stats = super().run(kind, seed, labels, images)
            bad = kind == "D" and seed[1] % SKIPPED_IN_ROW != 0
            return {"D_loss": np.nan, "finite": 0.0} if bad else stats

    monkeypatch.setattr(loop_module, "TrainStep", Recovering)
    code, text, _ = command(*FLAGS, "--total-kimg=0.24", "--tick-kimg=0.08")
    assert code == 0 and "skipped 57" in text
    assert "D_loss 0.500" in text and "D_loss nan" not in text  # a mean of what was taken


def test_the_count_of_skipped_updates_outlives_a_restart(command, monkeypatch):
    monkeypatch.setattr(PretendedStep, "fails", ("D",))
    assert command(*FLAGS, "--total-kimg=0.06")[0] == 0  # 15 steps
    assert command("--resume=latest", "--total-kimg=1")[0] == 2
    assert (
        Path(os.path.join(RUN, "log.txt")).read_text(encoding="utf-8").count("Skipped an update of D ")
        == SKIPPED_IN_ROW
    )


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes.


@pytest.mark.parametrize(
    "flags, parts",
    [
        (["--dataset=noise"], ["--data-dir is needed", "--resume"]),
        (["--data-dir=data"], ["--dataset is needed"]),
        (["--data-dir=nowhere", "--dataset=noise"], ["nowhere", "--data-dir"]),
        (["--data-dir=data", "--dataset=cats"], ["'cats'", "there are: noise"]),
        (["--data-dir=empty", "--dataset=cats"], ["'cats'", "empty"]),
        (["--data-dir=.", "--dataset=empty"], ["no record files", "create_from_images"]),
        ([*FLAGS, "--config=config-z"], ["--config=config-z is unknown", "config-f"]),
        ([*FLAGS, "--config=config-a", "--lod-training-kimg=-1"], ["--lod-training-kimg=-1", "0 or more"]),
        ([*FLAGS, "--metrics=fid50k"], ["--metrics=fid50k", "--metrics=none"]),
        ([*FLAGS, "--minibatch-size=6"], ["--minibatch-size=6", "4 and 8"]),
        ([*FLAGS, "--resolution=16"], ["resolution 16", "only 8, 4"]),
        ([*FLAGS, "--num-gpus=0"], ["--num-gpus=0"]),
        ([*FLAGS, "--resume=latest"], ["--resume=latest", "no run with a checkpoint"]),
        ([*FLAGS, "--resume=nowhere"], ["--resume=nowhere", "nothing is there"]),
        ([*FLAGS, "--resume=data"], ["--resume=data", "no checkpoint"]),
    ],
    ids=str,
)
def test_mistakes_are_one_line_and_make_no_run_directory(failing, flags, parts):
    os.mkdir("empty")
    line = failing(*flags)
    assert all(part in line for part in parts), line
    assert not os.path.exists("results")


@pytest.mark.parametrize("flag", ["--gamma=2", "--seed=7", "--config=config-e", "--fmap-max=4", "--dataset=other"])
def test_resuming_with_other_options_is_refused_and_loses_nothing(command, failing, flag):
    command(*FLAGS, "--total-kimg=0.008")
    before = {name: Path(os.path.join(RUN, name)).read_bytes() for name in os.listdir(RUN)}
    line = failing(f"--resume={RUN}", flag)
    assert flag.split("=")[0] in line and "the run to resume has" in line
    assert before == {name: Path(os.path.join(RUN, name)).read_bytes() for name in os.listdir(RUN)}
    assert os.listdir("results") == [os.path.basename(RUN)]


def test_a_truncated_record_file_is_named_before_anything_is_made(failing):
    path = os.path.join("data", "noise", "noise-r03.tfrecords")
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[:-50])
    line = failing(*FLAGS)
    offset = len(data) // 24 * 23
    assert path in line and f"record 23 at byte {offset} is truncated" in line
    assert not os.path.exists("results")


def test_a_damaged_record_is_named_when_it_is_read(command, failing):
    path = os.path.join("data", "noise", "noise-r03.tfrecords")
    command(*FLAGS, "--total-kimg=0.004")
    data = bytearray(Path(path).read_bytes())
    size = len(data) // 24
    for record in range(1, 24):
        data[record * size + size // 2] ^= 4  # pixels, of which the index knows nothing
    Path(path).write_bytes(data)
    where = re.compile(rf"{path}: record \d+ at byte \d+ is damaged")
    assert where.search(failing("--resume=latest", "--total-kimg=1")), "in training"
    assert steps_taken() == [4]
    assert where.search(failing(*FLAGS)), "in the first sheet"


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(command, failing, monkeypatch):
    command(*FLAGS, "--total-kimg=0.008", "--tick-kimg=0.004")
    before = {name: Path(RUN, name).read_bytes() for name in os.listdir(RUN) if name.startswith("checkpoint")}
    replace = os.replace

    def full(source, target):
        if str(target).endswith(".npz"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    line = failing("--resume=latest", "--total-kimg=1")
    assert "checkpoint-" in line and "No space left on device" in line and "untouched" in line
    after = {name: Path(RUN, name).read_bytes() for name in os.listdir(RUN) if name.startswith("checkpoint")}
    assert before == after
