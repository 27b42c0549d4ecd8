"""Finding the run to go on with (F4)."""

import dataclasses
import os
import re

from tf_stylegan import config as config_module
from tf_stylegan.download import local_path
from tf_stylegan.errors import UserError
from tf_stylegan.files import atomic_write, run_dirs
from tf_stylegan.training.state import CHECKPOINT, checkpoints

OPTIONS_FILE = "training_options.json"
_EXPECTED = "'latest', a run directory, one of its checkpoint-*.npz files, or a file of networks (*.pkl)"
# May differ between the two parts of a run without making it another run.
_FREE = (
    *("data_dir", "result_dir", "num_gpus", "minibatch_gpu", "total_kimg", "metrics", "keep_checkpoints"),
    *("tick_kimg", "image_snapshot_ticks", "network_snapshot_ticks"),
)


def is_network_file(resume, kimg=None, partial=False):
    """Whether `--resume` means a file of networks to start a new run from, not a run to go on with.

    Args:
        resume: what was given, or None.
        kimg, partial: `--resume-kimg` and `--resume-partial`, which only go with such a file.
    Raises:
        UserError: they are given without one.
    """
    name = os.path.basename(resume or "")
    is_run = resume == "latest" or os.path.isdir(resume or "") or _is_checkpoint(name)
    is_file = bool(resume) and not is_run
    for option, given in (("--resume-kimg", kimg is not None), ("--resume-partial", partial)):
        if given and not is_file:
            what = f"--resume={resume} goes on with a run, as it stands" if resume else "there is no --resume"
            raise UserError(f"{option} goes with --resume=FILE of networks, but {what}; leave it out")
    return is_file


def _is_checkpoint(name):
    return name.startswith("checkpoint-") and ".npz" in name  # those set aside, too


def find_network_file(resume, options):
    """Path of the file of networks that `--resume` means, downloaded if need be.

    Raises:
        UserError: there is none, or `options` name no data set to train it on.
    """
    missing = UserError(f"--resume={resume}: expected {_EXPECTED}; nothing is there")
    if re.search(r"[/.]", resume) and ":" not in resume and not os.path.exists(resume):  # no word, no address
        raise missing
    for name in ("data_dir", "dataset"):
        if not getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')} is needed: {resume} would bring networks, but no pictures")
    path = local_path(resume)
    if not os.path.exists(path):
        raise missing
    return path


def find_run(resume, result_dir, wanted):
    """The run directory that `--resume` means.

    Args:
        resume: "latest", a run directory, or a checkpoint inside one.
        result_dir: where "latest" looks.
        wanted: dict of options the user gave; "latest" takes the newest run that agrees in data set and config.
    Returns:
        (run directory, checkpoint path or None for the newest readable).
    Raises:
        UserError: when there is none.
    """
    if resume != "latest":
        if os.path.isdir(resume):
            if not checkpoints(resume):
                raise UserError(f"--resume={resume}: no checkpoint-*.npz in that folder")
            return resume, None
        if os.path.isfile(resume) and _is_checkpoint(os.path.basename(resume)):
            return os.path.dirname(resume) or ".", resume
        nothing = "" if os.path.exists(resume) else "; nothing is there"
        raise UserError(f"--resume={resume}: expected {_EXPECTED}{nothing}")
    for run_dir in run_dirs(result_dir):
        if checkpoints(run_dir) and os.path.isfile(os.path.join(run_dir, OPTIONS_FILE)):
            options = load_config(run_dir).options
            if all(getattr(options, name) == wanted[name] for name in ("dataset", "config") if name in wanted):
                return run_dir, None
    raise UserError(f"--resume=latest: no run with a checkpoint of this data set and config in {result_dir}")


def save_config(config, run_dir):
    """Writes the configuration in force into a run directory."""
    with atomic_write(os.path.join(run_dir, OPTIONS_FILE), "w") as file:
        file.write(config.to_json())


def load_config(run_dir):
    """TrainingConfig saved in a run directory."""
    path = os.path.join(run_dir, OPTIONS_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return config_module.from_json(file.read())
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror or error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def merge_options(saved, given):
    """Options of a saved run with those the user gave anew.

    What the saved run had settled for itself is kept: with another number of GPUs, the minibatch stays what it was.

    Args:
        saved: TrainingConfig of the run.
        given: dict of the options the user gave.
    Returns:
        Options.
    Raises:
        UserError: for an option that would make it another run.
    """
    settled = {name: saved.G_kwargs[name] for name in ("fmap_base", "resolution")}
    settled |= {"gamma": saved.loss.gamma, "minibatch_size": saved.minibatch_size}
    options = dataclasses.replace(saved.options, **settled)
    for name, value in given.items():
        if name not in _FREE and getattr(options, name) != value:
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{option}={value}, but the run to resume has {option}={getattr(options, name)}; "
                "leave the option out to go on, or leave --resume out to start anew"
            )
    return dataclasses.replace(options, **given)


def check_same_data(saved, info):
    """UserError when a DatasetInfo is not of the data that a run, saved as TrainingConfig, was trained on."""
    if saved.data_fingerprint and saved.data_fingerprint != info.fingerprint():
        raise UserError(
            f"--resume: the data set {info.name!r} in {info.directory} is not the one this run was trained on: now "
            f"{info.num_images} images {info.resolution}x{info.resolution}; put the old one back, or start anew"
        )


def restore_newest(state, run_dir, log):
    """Restores the newest checkpoint that can be read whole; says which it passed over."""
    problems = []
    for path in checkpoints(run_dir):
        try:
            state.restore(path)
            return path
        except UserError as error:
            problems.append(str(error))
            log(f"Passed over: {error}")
    raise UserError(f"--resume: no checkpoint in {run_dir} can be used; the last one tried: {problems[-1]}")


def set_aside_newer(checkpoint, log):
    """Renames checkpoints and networks newer than the checkpoint a run goes on from, damaged or left behind on purpose.

    They would be taken for the newest of the run otherwise: resumed from, drawn with, or kept in place of those written
    now.
    """
    run_dir = os.path.dirname(checkpoint) or "."
    newer = [path for path in checkpoints(run_dir) if os.path.basename(path) > os.path.basename(checkpoint)]
    kimg = int(CHECKPOINT.search(os.path.basename(checkpoint))[1]) // 1000
    for name in sorted(os.listdir(run_dir)):
        snapshot = re.fullmatch(r"network-(?:final|snapshot-(\d+))\.pkl", name)
        if snapshot and (snapshot[1] is None or int(snapshot[1]) > kimg):
            newer.append(os.path.join(run_dir, name))
    for path in newer:
        os.replace(path, f"{path}.set-aside")
        log(f"Set aside: {path}.set-aside, newer than where this run goes on.")
