"""Checkpoints: whole or not at all, and always the right one."""

import dataclasses
import errno
import os
import resource
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import changed, set_values, tiny_config, values

from tf_stylegan import files
from tf_stylegan.config import PRESETS, Options, resolve
from tf_stylegan.errors import UserError
from tf_stylegan.training import resume
from tf_stylegan.training.loop import Loop
from tf_stylegan.training.schedule import stage_at
from tf_stylegan.training.state import Progress, TrainState, checkpoint_path, checkpoints, read_checkpoint


def make_state(**options):
    return TrainState(tiny_config(**{"resolution": 4, **options}), tf.distribute.get_strategy())


def shake(state, seed):
    """Gives every variable and counter a value of its own."""
    rnd = np.random.RandomState(seed)
    for name, v in state.variables().items():
        v.assign(seed if name.endswith("iterations") else np.float32(rnd.randn(*v.shape)))
    state.progress = Progress(seed * 100, seed, 3, seed * 90, 5, {"D_reg": 2}, 0.1 + seed)


@pytest.fixture(scope="module")
def shared_state():
    return make_state()


@pytest.fixture
def state(shared_state):
    shake(shared_state, 99)
    return shared_state


@pytest.fixture
def run_dir(tmp_path, state):
    """A folder with checkpoints of 100, 200 and 300 images; the state itself is at 9900."""
    for seed in (1, 2, 3):
        shake(state, seed)
        state.save(checkpoint_path(tmp_path, seed * 100))
    shake(state, 99)
    return tmp_path


def expected_values(seed):
    other = make_state()
    shake(other, seed)
    return values(other), other.progress


def test_round_trip_bit_for_bit(run_dir, state):
    state.restore(checkpoint_path(run_dir, 200))
    arrays, progress = expected_values(2)
    assert changed(arrays, values(state)) == set()
    assert state.progress == progress


def test_special_values_survive(tmp_path, state):
    state.pl_mean.assign(np.float32(np.nan))
    state.D_optimizer.iterations.assign(2**40 + 1)
    weight = state.D_optimizer.m[0]
    weight.assign(np.full(weight.shape, -0.0, np.float32))
    before = values(state)
    state.save(tmp_path / "checkpoint-1.npz")
    shake(state, 5)
    state.restore(tmp_path / "checkpoint-1.npz")
    assert changed(before, values(state)) == set()


def test_a_checkpoint_holds_everything(tmp_path, state):
    state.save(tmp_path / "checkpoint-1.npz")
    names = read_checkpoint(tmp_path / "checkpoint-1.npz").keys()
    trained = [v.path for network in (state.G, state.D) for v in network.trainable_variables]
    slots = {f"{path[0]}_adam/{slot}/{path}" for path in trained for slot in "mv"}
    networks = {v.path for network in (state.G, state.D, state.Gs) for v in network.variables}
    assert names == networks | slots | {"G_adam/iterations", "D_adam/iterations", "pl_mean", "progress"}
    assert {"G/dlatent_avg", "Gs/dlatent_avg", "G/G_synthesis/noise0", "G/lod"} <= names


@pytest.mark.parametrize("name", ["config-f", *(name for name in PRESETS if "-G" in name)])
def test_no_two_variables_share_a_name(name):
    state = make_state(resolution=8, label_size=2, num_channels=3, config=name)
    found = state.variables()
    optimizers = state.G_optimizer, state.D_optimizer
    count = sum(len(network.variables) for network in (state.G, state.D, state.Gs))
    assert len(found) == count + sum(2 * len(optimizer.variables) + 1 for optimizer in optimizers) + 1
    assert len({id(v) for v in found.values()}) == len(found)


def test_names_do_not_depend_on_what_was_made_before():
    assert make_state().variables().keys() == make_state().variables().keys()


# ---------------------------------------------------------------------------------------------------------------------
# Damage.


def test_half_a_checkpoint_is_passed_over(run_dir, state):
    newest = checkpoint_path(run_dir, 300)
    data = Path(newest).read_bytes()
    Path(newest).write_bytes(data[: len(data) // 2])
    lines = []
    assert resume.restore_newest(state, run_dir, lines.append) == checkpoint_path(run_dir, 200)
    assert len(lines) == 1 and "Passed over" in lines[0] and newest in lines[0]
    assert changed(expected_values(2)[0], values(state)) == set()
    assert state.progress.cur_nimg == 200


def test_nothing_left_to_use(run_dir, state):
    for path in checkpoints(run_dir):
        Path(path).write_bytes(b"")
    before = values(state)
    with pytest.raises(UserError, match=r"no checkpoint in .* can be used"):
        resume.restore_newest(state, run_dir, lambda line: None)
    assert changed(before, values(state)) == set() and state.progress.cur_nimg == 9900


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
def test_truncation_is_refused(run_dir, state, share):
    path = checkpoint_path(run_dir, 300)
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: int(len(data) * share)])
    before = values(state)
    with pytest.raises(UserError, match="checkpoint-0000000300"):
        state.restore(path)
    assert changed(before, values(state)) == set()


def test_a_flipped_bit_is_refused_or_does_no_harm(run_dir, state):
    """Anywhere in the file: most bits are numbers under a checksum, some say nothing (times of day, for example)."""
    path = checkpoint_path(run_dir, 300)
    data = bytearray(Path(path).read_bytes())
    sound, _ = expected_values(3)
    rnd, refused = np.random.RandomState(0), 0
    ends = [*range(0, 250, 3), *range(len(data) - 250, len(data), 3)]  # a header and the directory
    for place in [*ends, *rnd.randint(0, len(data), 120)]:
        bit = 1 << rnd.randint(8)
        data[place] ^= bit
        Path(path).write_bytes(data)
        try:
            state.restore(path)
            assert changed(sound, values(state)) == set(), f"byte {place}, bit {bit}: other values restored"
            assert state.progress.cur_nimg == 300
        except UserError as error:
            refused += "\n" not in str(error)
        data[place] ^= bit
    assert refused > 100


def test_a_number_of_another_type_is_refused(run_dir, state):
    path = checkpoint_path(run_dir, 300)
    arrays = read_checkpoint(path)
    arrays["pl_mean"] = arrays["pl_mean"].astype(np.float16)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"pl_mean float16 \[\] for float32 \[\]"):
        state.restore(path)


@pytest.mark.parametrize("change", [lambda a: a.pop("progress"), lambda a: a.update(progress=np.array('{"novel": 1}'))])
def test_a_checkpoint_without_its_counters_is_refused(run_dir, state, change):
    path = checkpoint_path(run_dir, 300)
    arrays = read_checkpoint(path)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"checkpoint .*: no counters"):
        state.restore(path)


@pytest.mark.parametrize("options", [{"resolution": 8}, {"fmap_max": 4}, {"label_size": 3}], ids=str)
def test_a_checkpoint_of_another_network_is_refused(run_dir, options):
    other = make_state(**options)
    before = values(other)
    with pytest.raises(UserError, match=r"is of another network: .*/"):
        other.restore(checkpoint_path(run_dir, 300))
    assert changed(before, values(other)) == set() and other.progress == Progress()


# ---------------------------------------------------------------------------------------------------------------------
# Writing.


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["numpy.savez", "os.fsync", "os.replace"])
def test_a_full_disk_keeps_the_old_checkpoint(run_dir, state, monkeypatch, where):
    path = checkpoint_path(run_dir, 300)
    old, names = Path(path).read_bytes(), sorted(os.listdir(run_dir))
    monkeypatch.setattr(where, no_space)
    with pytest.raises(UserError, match=r"No space left on device.*Free some space"):
        state.save(path)
    with pytest.raises(UserError):
        state.save(checkpoint_path(run_dir, 400))
    assert Path(path).read_bytes() == old and sorted(os.listdir(run_dir)) == names


def test_a_disk_that_fills_up_while_writing(run_dir, state):
    path, (soft, hard) = checkpoint_path(run_dir, 300), resource.getrlimit(resource.RLIMIT_FSIZE)
    old, names = Path(path).read_bytes(), sorted(os.listdir(run_dir))
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, hard))  # what is written beyond fails as on a full disk
    try:
        with pytest.raises(UserError, match=r"could not write .*checkpoint-0000000300\.npz: File too large"):
            state.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Path(path).read_bytes() == old and sorted(os.listdir(run_dir)) == names


def test_leftovers_are_never_picked_up(run_dir, state):
    leftovers = ["checkpoint-0000000400.npz.tmp-123", "checkpoint-0000000400.npz.set-aside", "checkpoint-400.npz.bak"]
    for name in leftovers:
        os.link(checkpoint_path(run_dir, 100), run_dir / name)
    assert [os.path.basename(path) for path in checkpoints(run_dir)] == [
        f"checkpoint-0000000{n}.npz" for n in (300, 200, 100)
    ]
    assert resume.restore_newest(state, run_dir, print) == checkpoint_path(run_dir, 300)


@pytest.mark.parametrize("keep, left", [(1, [400]), (2, [400, 300]), (3, [400, 300, 200]), (9, [400, 300, 200, 100])])
def test_pruning(run_dir, state, keep, left):
    loop = types.SimpleNamespace(config=tiny_config(keep_checkpoints=keep), state=state, run_dir=run_dir)
    state.progress.cur_nimg = 400
    (run_dir / "network-snapshot-000000.pkl").touch()
    Loop._save_checkpoint(loop)
    assert checkpoints(run_dir) == [checkpoint_path(run_dir, n) for n in left]
    assert (run_dir / "network-snapshot-000000.pkl").exists()


def test_what_is_newer_than_the_place_to_go_on_from_is_set_aside(run_dir, state):
    """Else it would be the newest of the run again, and the first to stay when old ones are deleted."""
    lines, chosen = [], checkpoint_path(run_dir, 100)
    networks = [run_dir / f"network-{name}.pkl" for name in ("snapshot-000000", "snapshot-000001", "final")]
    for path in networks:
        path.touch()
    state.restore(chosen)
    resume.set_aside_newer(chosen, lines.append)
    assert checkpoints(run_dir) == [chosen] and len(lines) == 4
    assert [path.exists() for path in networks] == [True, False, False]
    assert all(os.path.exists(f"{path}.set-aside") for path in networks[1:])
    state.progress.cur_nimg = 150
    Loop._save_checkpoint(types.SimpleNamespace(config=tiny_config(keep_checkpoints=1), state=state, run_dir=run_dir))
    assert checkpoints(run_dir) == [checkpoint_path(run_dir, 150)]
    assert read_checkpoint(checkpoint_path(run_dir, 300) + ".set-aside").keys()  # nothing is lost


# ---------------------------------------------------------------------------------------------------------------------
# Finding the run.


def make_run(result_dir, name, **options):
    path = result_dir / name
    path.mkdir(parents=True)
    resume.save_config(tiny_config(**options), path)
    Path(checkpoint_path(path, 100)).write_bytes(b"")
    return str(path)


def test_latest_is_the_newest_run_of_this_data_set_and_config(tmp_path):
    one = make_run(tmp_path, "00009-a", dataset="a")
    two = make_run(tmp_path, "00010-b", dataset="b")
    make_run(tmp_path, "00011-unstarted", dataset="b")
    os.unlink(checkpoint_path(tmp_path / "00011-unstarted", 100))
    (tmp_path / "00012-notes.txt").touch()
    (tmp_path / "00013-foreign").mkdir()
    assert resume.find_run("latest", tmp_path, {}) == (two, None)
    assert resume.find_run("latest", tmp_path, {"dataset": "a"}) == (one, None)
    for wanted in ({"dataset": "c"}, {"dataset": "a", "config": "config-e"}):
        with pytest.raises(UserError, match="no run with a checkpoint"):
            resume.find_run("latest", tmp_path, wanted)
    with pytest.raises(UserError, match="no run with a checkpoint"):
        resume.find_run("latest", tmp_path / "nowhere", {})


def test_a_run_or_a_checkpoint_by_name(tmp_path):
    run = make_run(tmp_path, "00000-a", dataset="a")
    assert resume.find_run(run, "elsewhere", {}) == (run, None)
    assert resume.find_run(checkpoint_path(run, 100), "elsewhere", {}) == (run, checkpoint_path(run, 100))
    for bad, reason in ((tmp_path, "no checkpoint"), (tmp_path / "no", "nothing is there"), (__file__, "expected")):
        with pytest.raises(UserError, match=reason) as caught:
            resume.find_run(str(bad), tmp_path, {})
        assert f"--resume={bad}" in str(caught.value)


def test_options_that_may_change_and_those_that_may_not():
    saved = tiny_config(total_kimg=10)
    merged = resume.merge_options(saved, {"total_kimg": 20.0, "num_gpus": 2, "gamma": 10.0, "keep_checkpoints": 5})
    settled = {"gamma": 10.0, "resolution": 8, "fmap_base": 64}  # gamma is the preset's, given or not
    new = {"total_kimg": 20, "num_gpus": 2, "keep_checkpoints": 5}
    assert merged == dataclasses.replace(saved.options, **settled, **new)


def test_another_number_of_gpus_leaves_the_minibatch_as_it_was():
    saved = resolve(Options("data", "set"), 64, 3, 0)
    assert saved.minibatch_size == 32
    merged = resume.merge_options(saved, {"num_gpus": 2, "minibatch_gpu": 8})
    assert resolve(merged, 64, 3, 0).minibatch_size == 32
    with pytest.raises(UserError, match="--minibatch-size=32 cannot be dealt to --num-gpus=3"):
        resolve(resume.merge_options(saved, {"num_gpus": 3}), 64, 3, 0)


@pytest.mark.parametrize("given", [{"minibatch_gpu": 2}, {"num_gpus": 2}, {"num_gpus": 1, "minibatch_gpu": 8}])
def test_a_grown_run_keeps_its_minibatches_at_every_resolution(given):
    """What one was told to do about a lack of memory must not make it another run."""
    saved = resolve(Options("data", "set", config="config-d", num_gpus=8), 1024, 3, 0)
    options = resume.merge_options(saved, given)
    merged = resolve(options, 1024, 3, 0, None, saved.growing.minibatch_size)
    for kimg in range(0, 13000, 600):
        before, after = stage_at(saved, kimg * 1000), stage_at(merged, kimg * 1000)
        assert (after.minibatch_size, after.ema_beta) == (before.minibatch_size, before.ema_beta)
        assert after.minibatch_gpu <= given.get("minibatch_gpu", before.minibatch_gpu)
        assert after.rounds * after.minibatch_gpu * options.num_gpus == after.minibatch_size
    with pytest.raises(UserError, match="cannot be dealt to --num-gpus=5"):
        resolve(resume.merge_options(saved, {"num_gpus": 5}), 1024, 3, 0, None, saved.growing.minibatch_size)


def test_options_that_make_another_run():
    saved = tiny_config(total_kimg=10)
    for given in ({"gamma": 2.0}, {"seed": 1}, {"dataset": "other"}, {"minibatch_size": 8}, {"mirror_augment": True}):
        (name,) = given
        with pytest.raises(UserError, match=f"--{name.replace('_', '-')}=.*but the run to resume has"):
            resume.merge_options(saved, given)


def test_a_damaged_options_file_is_named(tmp_path):
    run = make_run(tmp_path, "00000-a")
    path = os.path.join(run, resume.OPTIONS_FILE)
    with files.atomic_write(path, "w") as file:
        file.write("{")
    with pytest.raises(UserError, match=path):
        resume.load_config(run)


def test_set_values_sets_what_values_reads(state):
    arrays, _ = expected_values(4)
    set_values(state, arrays)
    assert changed(arrays, values(state)) == set()


@pytest.mark.parametrize("error", [MemoryError(), PermissionError(errno.EACCES, "Permission denied", "x.npz")])
def test_a_sound_checkpoint_is_not_passed_over_for_what_is_not_its_fault(state, tmp_path, monkeypatch, error):
    for nimg in (4, 8):
        state.save(checkpoint_path(tmp_path, nimg))

    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(np, "load", load)
    with pytest.raises(type(error)):
        resume.restore_newest(state, str(tmp_path), print)
