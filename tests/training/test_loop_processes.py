"""Runs through the real command, killed, stopped and resumed: the end is the same, bit for bit.

One run goes straight through, another is interrupted in every way there is; both begin at the same time.
"""

import glob
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import TINY_FLAGS, changed, make_dataset, start

from tf_stylegan.legacy.networks import load_networks
from tf_stylegan.training.resume import load_config
from tf_stylegan.training.state import checkpoint_path, checkpoints, read_checkpoint

# 40 images are ten steps: neither regularisation's interval divides a tick, so that its counter matters.
TICK, TICKS = 40, 8
FLAGS = [
    *("--data-dir=data", "--dataset=noise", "--mirror-augment", "--minibatch-size=4", "--minibatch-gpu=4"),
    *("--tick-kimg=0.04", "--keep-checkpoints=9", "--image-snapshot-ticks=7", "--network-snapshot-ticks=7"),
    *("--ema-kimg=0.1", "--seed=5", *TINY_FLAGS),
]
ALL = f"--total-kimg={TICK * TICKS / 1000}"


class Command:
    """A running `python -m tf_stylegan.run_training`."""

    def __init__(self, cwd, *flags):
        self.output = cwd / f"output-{time.monotonic_ns()}.txt"
        with open(self.output, "w") as file:
            self.process = start(["-m", "tf_stylegan.run_training", *flags], cwd, file)

    def text(self):
        return self.output.read_text()

    def wait(self, code=0):
        """Everything printed, once the command has ended with this exit code."""
        assert self.process.wait(200) == code, self.text()[-4000:]
        return self.text()

    def signal_after(self, path, number):
        """Sends a signal in the tick that follows the one whose checkpoint this is."""
        while not os.path.exists(path):
            assert self.process.poll() is None, self.text()[-4000:]
            time.sleep(0.002)
        time.sleep(0.03)
        self.process.send_signal(number)
        return self


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """dict: the two runs' directories, and what each session printed."""
    cwd = tmp_path_factory.mktemp("loop")
    make_dataset(cwd / "data" / "noise", count=27, label_size=3)  # epochs end within ticks and batches
    straight = Command(cwd, *FLAGS, ALL, "--result-dir=straight")

    results = "--result-dir=broken"
    run = str(cwd / "broken" / "00000-stylegan2-noise-1gpu-config-f")
    found = {"cwd": cwd, "broken": run, "straight": run.replace("broken", "straight")}
    try:
        # Meant to be shorter at first.
        command = Command(cwd, *FLAGS, results, f"--total-kimg={TICK * 6 / 1000}")
        found["killed"] = command.signal_after(checkpoint_path(run, 3 * TICK), signal.SIGKILL).wait(-signal.SIGKILL)
        found["after kill"] = checkpoints(run)
        command = Command(cwd, results, "--resume=latest", ALL)
        found["SIGTERM"] = command.signal_after(checkpoint_path(run, 5 * TICK), signal.SIGTERM).wait()
        command = Command(cwd, results, "--resume=latest")
        found["SIGINT"] = command.signal_after(checkpoint_path(run, 6 * TICK), signal.SIGINT).wait()
        found["after stops"] = checkpoints(run)
        found["end"] = Command(cwd, f"--resume={run}").wait()
        found["uninterrupted"] = straight.wait()
    finally:
        for process in (straight.process, command.process):
            process.kill()
            process.wait()
    return found


def at(path):
    """Number of images in a checkpoint's name."""
    return int(re.search(r"checkpoint-(\d+)", path)[1])


def arrays(path):
    found = read_checkpoint(path)
    progress = str(found.pop("progress"))
    return found, re.sub(r'"seconds": [\d.]+', "", progress)


def check_the_interruptions_came_in_the_middle(story):
    assert [at(path) for path in story["after kill"]] == [3 * TICK, 2 * TICK, TICK]
    stops = [at(path) for path in story["after stops"] if at(path) % TICK]
    assert len(stops) == 2 and stops[0] > 6 * TICK > stops[1] > 5 * TICK


def check_every_checkpoint_is_the_same_bit_for_bit(story):
    for tick in (2, 4, 5, 6, 7, 8):  # nothing happened before 3; `kill -9` after it, SIGTERM after 5, SIGINT after 6
        check_checkpoint(story, tick)


def check_checkpoint(story, tick):
    (expected, expected_progress), (found, progress) = (
        arrays(checkpoint_path(story[run], tick * TICK)) for run in ("straight", "broken")
    )
    assert changed(expected, found) == set()
    assert progress == expected_progress and f'"cur_nimg": {tick * TICK}' in progress
    assert all(np.isfinite(array).all() for array in found.values())


def check_final_networks_are_the_same_and_load(story):
    expected, found = (
        Path(os.path.join(story[run], "network-final.pkl")).read_bytes() for run in ("straight", "broken")
    )
    assert found == expected
    G, D, Gs = load_networks(os.path.join(story["broken"], "network-final.pkl"))
    final = read_checkpoint(checkpoint_path(story["broken"], TICKS * TICK))
    for network in (G, D, Gs):
        for v in network.variables:
            np.testing.assert_array_equal(v.numpy(), final[v.path], err_msg=v.path)
    assert Gs(np.zeros([1, 8], np.float32), np.eye(3, dtype=np.float32)[:1]).shape == (1, 8, 8, 1)


def check_lines_of_ticks_go_on(story):
    log = Path(os.path.join(story["broken"], "log.txt")).read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r"^tick (\d+) ", log, re.MULTILINE)] == [*range(TICKS)]
    assert re.findall(r"^tick \d+ +kimg ([\d.]+)", log, re.MULTILINE)[-1] == "0.3"
    assert log.count("Resuming from ") == 3
    assert re.search(r"Resuming from .*/checkpoint-0000000120\.npz at 0\.1 kimg", log)
    times = [int(s) for s in re.findall(r" time (\d+)s ", log)]
    assert times == sorted(times)  # over all sessions
    assert "not finite" not in log and "Traceback" not in log


def check_signals_save_and_say_how_to_go_on(story):
    for name in ("SIGTERM", "SIGINT"):
        lines = story[name].splitlines()
        assert any(line.startswith(f"{name}: finishing this step, then saving") for line in lines)
        # The later of the two stops at 0.244 or at the end of the tick, 0.28: it depends on how fast the machine is.
        assert re.match(rf"{name}: saved at 0\.[23] kimg; go on with --resume=broken/00000-stylegan2-noise", lines[-1])
        assert "Traceback" not in story[name]


def check_what_is_in_a_run_directory(story):
    for run in ("straight", "broken"):
        names = set(os.listdir(story[run]))
        expected = {"reals.png", "fakes_init.png", "fakes000000.png", "network-snapshot-000000.pkl"}
        expected |= {"network-final.pkl", "training_options.json", "log.txt"}
        assert expected <= names
        rest = {name for name in names - expected if not re.match(r"checkpoint-\d{10}\.npz$|events\.out\.", name)}
        assert rest == set(), "left behind"
    assert story["uninterrupted"].count("\ntick ") == TICKS
    config = load_config(story["broken"])
    assert config.options.total_kimg == TICK * TICKS / 1000  # as given last: --resume alone goes on with it
    assert config.options.mirror_augment is True and config.G_kwargs["label_size"] == 3


def check_tensorboard_reads_scalars_and_images(story):
    for run in ("straight", "broken"):
        check_events(story, run)


def check_events(story, run):
    assert len(glob.glob(os.path.join(story[run], "events.out.tfevents.*"))) == (1 if run == "straight" else 4)
    events = EventAccumulator(story[run], size_guidance={"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    losses = {f"Loss/{n}" for n in ("G_loss", "D_loss", "G_reg", "D_reg", "pl_mean", "scores_real", "scores_fake")}
    others = {"Progress/kimg", "Progress/lod", "Progress/tick", "Progress/skipped_updates", "Timing/sec_per_kimg"}
    assert losses | others | {"reals", "fakes", "Timing/maintenance_sec", "Resources/peak_memory_gb"} == tags
    steps = [event.step for event in events.Tensors("Progress/tick")]
    assert steps == [TICK * (i + 1) for i in range(TICKS)]
    values = [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors("Progress/kimg")]
    np.testing.assert_allclose(values, np.array(steps) / 1000, rtol=1e-6)
    width, height, png = events.Tensors("fakes")[-1].tensor_proto.string_val[:3]
    assert (width, height) == (b"256", b"256") and png.startswith(b"\x89PNG")


def check_a_finished_run_has_nothing_to_do(story):
    run = story["straight"]
    before = sorted(os.listdir(run))
    text = Command(story["cwd"], f"--resume={run}").wait()
    assert "Nothing to do: 0.3 of 0.3 kimg are done." in text
    assert sorted(name for name in os.listdir(run) if "tfevents" not in name) == sorted(
        name for name in before if "tfevents" not in name
    )


def check_a_mistake_is_one_line_and_exit_code_2(story):
    text = Command(story["cwd"], *FLAGS, "--config=config-g", "--result-dir=none").wait(2)
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "--config=config-g is unknown" in errors[0]
    assert "Traceback" not in text and not (story["cwd"] / "none").exists()


def test_an_interrupted_run_ends_as_an_unbroken_one(story, subtests):
    """One test, so that test processes side by side do not each run the story."""
    for check in (
        check_the_interruptions_came_in_the_middle,
        check_every_checkpoint_is_the_same_bit_for_bit,
        check_final_networks_are_the_same_and_load,
        check_lines_of_ticks_go_on,
        check_signals_save_and_say_how_to_go_on,
        check_what_is_in_a_run_directory,
        check_tensorboard_reads_scalars_and_images,
        check_a_finished_run_has_nothing_to_do,
        check_a_mistake_is_one_line_and_exit_code_2,
    ):
        with subtests.test(check.__name__):
            check(story)
