"""`--resume=FILE`: a run that begins with the networks of a file, whatever made it."""

import dataclasses
import json
import os
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import GOLDEN, assert_close, golden, nhwc_to_nchw
from tiny_runs import TINY_FLAGS, changed, make_dataset, tiny_config, values

from tf_stylegan import run_training
from tf_stylegan.config import Options, from_json
from tf_stylegan.data.dataset import DatasetInfo
from tf_stylegan.errors import UserError
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.names import get_variables
from tf_stylegan.legacy.networks import save_networks
from tf_stylegan.training import loop as loop_module
from tf_stylegan.training import report
from tf_stylegan.training.kinds import complete, configs_for
from tf_stylegan.training.resume import load_config
from tf_stylegan.training.schedule import stage_at
from tf_stylegan.training.start import NetworkFile
from tf_stylegan.training.state import TrainState, checkpoints

FILES = {  # labels of each, and the configurations that train such networks
    "stylegan2-config-f": (0, ["config-e", "config-f", "config-e-Gskip-Dresnet"]),
    "stylegan2-config-e-Gresnet-Dskip-cond": (3, ["config-e-Gresnet-Dskip"]),
    "stylegan2-config-d": (0, ["config-b", "config-c", "config-d"]),
    "stylegan1": (0, ["config-a"]),
    "stylegan2-ada-clamped": (0, ["config-e", "config-f", "config-e-Gskip-Dresnet"]),
    "stylegan2-ada-cond-dmap": (3, ["config-e-Gresnet-Dresnet"]),
    "torch-ada-cond": (3, ["config-e", "config-f", "config-e-Gskip-Dresnet"]),
}


def path_of(name):
    return str(GOLDEN / "pickles" / f"{name}.pkl")


def data(resolution=32, num_channels=3, label_size=0):
    """DatasetInfo of pictures that nobody reads."""
    files = dict.fromkeys(range(2, resolution.bit_length()), "")
    return DatasetInfo("mine", "", resolution, num_channels, 24, files, None, label_size)


def configure(path, info=None, kimg=None, partial=False, **given):
    """(NetworkFile, TrainingConfig) of a run with these options given."""
    file = NetworkFile(path, path)
    return file, file.configure(Options("data", "mine", **given), given, info or data(), kimg, partial)


def start(path, *args, **kwargs):
    """(TrainingConfig, TrainState before its first step, lines of the log, the state as it would be without a file)."""
    file, config = configure(path, *args, **kwargs)
    tf.keras.utils.set_random_seed(1)
    state = TrainState(config, tf.distribute.get_strategy())
    before = values(state)
    return config, state, file.copy_into(state, config), before


def rewritten(tmp_path, name, change):
    """Path of a recorded file with `change(list of records)` in place of its networks."""
    path = str(tmp_path / f"{name}.pkl")
    pickle_io.write(path, change([*pickle_io.read(path_of(name))]))
    return path


# ---------------------------------------------------------------------------------------------------------------------
# What fits wholly.


@pytest.mark.parametrize("name", FILES)
def test_before_the_first_step_the_networks_are_the_files(name):
    labels, _ = FILES[name]
    config, state, lines, _ = start(path_of(name), data(label_size=labels))
    for network, record in zip((state.G, state.D, state.Gs), pickle_io.read(path_of(name))):
        expected = {name: np.asarray(array) for name, array in record.all_variables().items()}
        assert changed(get_variables(network), expected) == set()
    for optimizer in (state.G_optimizer, state.D_optimizer):
        assert all(not np.any(v.numpy()) for key, v in optimizer.state().items() if key != "learning_rate")
    assert (state.progress.cur_nimg, state.progress.step, float(state.pl_mean)) == (0, 0, 0)
    assert re.search(rf"{name}.pkl \({os.path.getsize(path_of(name)):,} bytes, sha256 [0-9a-f]{{64}}\)", lines[0])
    assert any("G and Gs: all " in line for line in lines) and "counting starts at 0.0 kimg." in lines[-1]
    assert from_json(config.to_json()) == config  # keywords of every kind are plain values

    images = state.Gs(
        np.random.RandomState(5).randn(2, 48).astype(np.float32),
        np.eye(3, dtype=np.float32)[[1, 1]] if labels else None,
        truncation_psi=0.7,
        noise_mode="const",
    )  # with every keyword of the file, too
    recorded = golden(f"pickles/{name}")
    if "stored_noise_psi07" in recorded:
        assert_close(nhwc_to_nchw(images), recorded["stored_noise_psi07"], 1e-4)


@pytest.mark.parametrize("name", FILES)
def test_a_configuration_describes_the_files_networks_wholly(name):
    labels, configs = FILES[name]
    config = configure(path_of(name), data(label_size=labels))[1]
    networks = config.start_networks
    assert configs_for(networks) == configs
    for func, kwargs, record in zip(
        (networks.G_func, networks.D_func), (networks.G_kwargs, networks.D_kwargs), pickle_io.read(path_of(name))
    ):
        assert complete(func, kwargs)[0] == kwargs
        assert {k: kwargs[k] for k in record.static_kwargs} == record.static_kwargs
    assert config.options.fmap_base == 256 and config.options.latent_size == 48  # what is saved says the truth
    assert any("as in the file: fmap_base 256, fmap_max 24, latent_size 48" in note for note in config.notes)
    assert any("losses and the schedule of config-f" in note for note in config.notes) == ("config-f" not in configs)
    assert config.loss.gamma == 10 and config.loss.g_penalty == "path_length" and config.growing is None


def test_a_config_decides_losses_and_schedule():
    config = configure(path_of("stylegan2-config-f"), config="config-e")[1]
    assert config.loss.gamma == 100 and config.G_kwargs["fmap_base"] == 256
    config = configure(path_of("stylegan1"), config="config-a")[1]
    assert config.loss.g_penalty is None and not config.lazy_regularization and config.growing
    given = {"config": "config-e-Gresnet-Dresnet", "fmap_base": 256, "latent_size": 48}
    assert configure(path_of("stylegan2-ada-cond-dmap"), data(label_size=3), **given)[1].D_func == "D_main"


def test_a_generator_alone_is_both_and_its_discriminator_starts_afresh(tmp_path):
    for name, discriminator in (
        ("stylegan2-config-d", "D_stylegan"),
        ("stylegan1", "D_basic"),
        ("stylegan2-ada-clamped", "D_main"),
    ):
        path = rewritten(tmp_path, name, lambda records: records[2:])
        config, state, lines, before = start(path)
        assert config.D_func == discriminator and config.D_kwargs["fmap_max"] == 24
        assert any(line.startswith("Warning: ") and "no discriminator" in line for line in lines)
        assert "G from its Gs, Gs from its Gs" in lines[0]
        (record,) = pickle_io.read(path)
        expected = {name: np.asarray(array) for name, array in record.all_variables().items()}
        assert changed(get_variables(state.G), expected) == changed(get_variables(state.Gs), expected) == set()
        assert not any(name.startswith("D/") for name in changed(before, values(state)))


def test_networks_without_their_names_go_by_their_kinds(tmp_path):
    path = rewritten(
        tmp_path,
        "stylegan2-config-f",
        lambda r: [dataclasses.replace(r[i], name=name) for i, name in ((1, "critic"), (0, "one"), (2, "two"))],
    )
    _, _, lines, _ = start(path)
    assert "G from its one, Gs from its two, D from its critic." in lines[0]


# ---------------------------------------------------------------------------------------------------------------------
# What does not fit.


MISFITS = [
    ("stylegan2-config-f", data(16), {}, ["draws 32x32, the data set 'mine' is 16x16", "61 of 61", "32x32/*"]),
    ("stylegan2-config-f", data(64), {}, ["give --resolution=32 to", "not in the file (16): G_synthesis/noise{7,8}"]),
    ("stylegan2-config-f", data(32, 1), {}, ["draws 3 channels, the data set has 1", "/ToRGB/bias", "32x32/FromRGB/"]),
    ("stylegan2-config-f", data(32, 3, 5), {}, ["labels are 0 wide in the file, 5", "not in the file (1): G_mapping"]),
    ("stylegan2-config-f", data(), {"fmap_base": 64}, ["--fmap-base=64 is given, the file has 256", "another shape"]),
    ("stylegan2-config-f", data(), {"latent_size": 8}, ["--latent-size=8 is given, the file has 48", "D: all 23"]),
    ("stylegan2-config-f", data(), {"mapping_layers": 2}, ["--mapping-layers=2", "only in the file (12): G_mapping"]),
    (
        "stylegan2-config-f",
        data(),
        {"config": "config-e-Gorig-Dskip"},
        [
            "has G_main (orig) and D_stylegan2 (skip), the file G_main (skip) and D_stylegan2 (resnet)",
            "--config=config-f",
        ],
    ),
    ("stylegan1", data(), {"config": "config-f"}, ["config-f has G_main", "the file G_style", "--config=config-a to"]),
    ("stylegan2-config-d", data(), {"config": "config-a"}, ["D_stylegan;", "--config=config-b or --config=config-c"]),
]


@pytest.mark.parametrize("name, info, given, parts", MISFITS, ids=lambda value: value if type(value) is str else "")
def test_what_does_not_fit_is_said_with_names_and_counts(name, info, given, parts):
    with pytest.raises(UserError) as caught:
        configure(path_of(name), info, **given)
    message = str(caught.value)
    assert all(part in message for part in [f"{name}.pkl does not fit: ", "--resume-partial", *parts]), message
    assert re.search(r"^  (G|G and Gs): ", message, re.MULTILINE) and re.search(r"^  D: ", message, re.MULTILINE)


def test_an_option_that_changes_no_shape_is_no_misfit():
    _, config = configure(path_of("stylegan2-config-f"), fmap_base=256, latent_size=48, fmap_max=24, mapping_layers=8)
    assert not any("as in the file" in note for note in config.notes)


def test_a_file_at_odds_with_its_own_keywords(tmp_path):
    def lose(records):
        variables = {k: v for k, v in records[1].variables.items() if k != "Output/bias"}
        return [records[0], dataclasses.replace(records[1], variables=variables), records[2]]

    path = rewritten(tmp_path, "stylegan2-config-f", lose)
    with pytest.raises(UserError, match=r"keywords describe;(.|\n)*D: not in the file \(1\): Output/bias"):
        configure(path)
    assert any("22 of 23" in line for line in start(path, partial=True)[2])


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda records: records[1:2], r"holds no generator, only D \(.*D_stylegan2\)"),
        (lambda records: [dataclasses.replace(records[0], static_kwargs={"resolution": 33})], "power of two"),
        (lambda records: [dataclasses.replace(records[0], static_kwargs={"resolution": "x"})], "G: "),
        (
            lambda records: [dataclasses.replace(records[0], static_kwargs={"resolution": 32, "fmap_base": 1e30})],
            "does not",
        ),
    ],
)
def test_files_that_start_nothing(tmp_path, change, reason):
    with pytest.raises(UserError, match=reason):
        configure(rewritten(tmp_path, "stylegan2-config-f", change))


def test_networks_that_are_not_trained_here():
    with pytest.raises(UserError, match="G_paper is there to be drawn with"):
        configure(path_of("progan"))


# ---------------------------------------------------------------------------------------------------------------------
# --resume-partial.


def check_copied_all_but(path, info, fresh, **given):
    """Starts in part; exactly the variables that match `fresh` are as without the file, all others the file's."""
    config, state, lines, before = start(path, info, partial=True, **given)
    after = values(state)
    records = dict(zip(("G", "D", "Gs"), pickle_io.read(path)))
    for letter, record in records.items():
        theirs = record.all_variables()
        for name, array in get_variables(getattr(state, letter)).items():
            if re.search(fresh, name):
                own = f"{letter}/{name}"
                assert after[own].tobytes() == before[own].tobytes(), own
            else:
                assert array.tobytes() == np.asarray(theirs[name]).tobytes(), f"{letter}/{name}"
    assert any(re.search(r"\d+ of \d+ variables fit: ", line) for line in lines)
    return config, state, lines


def test_in_part_another_resolution():
    config, _, lines = check_copied_all_but(path_of("stylegan2-config-f"), data(64), "64x64|noise[78]")
    assert config.G_kwargs["resolution"] == config.D_kwargs["resolution"] == 64 and config.start.partial
    assert "  G and Gs: not in the file (16): G_synthesis/noise{7,8}, G_synthesis/64x64/*" in lines
    check_copied_all_but(path_of("stylegan2-config-f"), data(16), "16x16/FromRGB")


def test_in_part_other_channels_and_labels():
    fresh = r"ToRGB/(weight|bias)|FromRGB/weight|LabelConcat|Dense0/weight|Output"
    config, _, _ = check_copied_all_but(path_of("stylegan2-config-f"), data(32, 1, 5), f"^(?!4x4/Dense0).*({fresh})")
    assert (config.G_kwargs["num_channels"], config.D_kwargs["label_size"]) == (1, 5)
    fresh = r"G_mapping/Dense0/weight|LabelEmbed|Mapping\d|Output"
    check_copied_all_but(path_of("stylegan2-ada-cond-dmap"), data(), fresh)


def test_in_part_other_widths():
    config, _, _ = check_copied_all_but(
        path_of("stylegan2-config-f"), data(), "dlatent_avg|G_mapping|mod_weight", latent_size=16
    )
    widths = {config.G_kwargs[name] for name in ("latent_size", "dlatent_size", "mapping_fmaps")}
    assert widths == {16} and config.G_kwargs["fmap_base"] == 256


def test_in_part_another_architecture_and_another_kind():
    config, _, _ = check_copied_all_but(
        path_of("stylegan2-ada-clamped"), data(), "Skip", config="config-e-Gresnet-Dorig"
    )
    assert config.G_kwargs["architecture"] == "resnet" and config.G_kwargs["conv_clamp"] == 1.5
    assert config.D_kwargs["architecture"] == "orig" and config.D_kwargs["conv_clamp"] == 0.7
    config, _, _ = check_copied_all_but(path_of("stylegan2-config-d"), data(), "RGB|Skip", config="config-f")
    assert (config.D_func, config.G_kwargs["synthesis_func"]) == ("D_stylegan2", "G_synthesis_stylegan2")
    assert config.G_kwargs["fmap_base"] == 256


@pytest.mark.parametrize("resolution", [16, 64])
def test_layers_of_grown_networks_keep_their_size(resolution):
    """`ToRGB_lod1` of 32x32 pictures draws 16x16: among 64x64 that is `ToRGB_lod2`, among 16x16 `ToRGB_lod0`."""
    config, state, _, _ = start(path_of("stylegan2-config-d"), data(resolution), partial=True, config="config-d")
    G, D, _ = (record.all_variables() for record in pickle_io.read(path_of("stylegan2-config-d")))
    shift = resolution.bit_length() - 6
    for lod in range(max(-shift, 0), 4):
        ours, theirs = get_variables(state.G), G[f"G_synthesis/ToRGB_lod{lod}/mod_weight"]
        np.testing.assert_array_equal(ours[f"G_synthesis/ToRGB_lod{lod + shift}/mod_weight"], theirs)
        np.testing.assert_array_equal(
            get_variables(state.D)[f"FromRGB_lod{lod + shift}/weight"], D[f"FromRGB_lod{lod}/weight"]
        )
    # What has grown up to 32x32 goes on from there.
    assert stage_at(config, state.progress.cur_nimg).resolution == min(resolution, 32)
    assert float(state.G.synthesis.lod) == max(shift, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Where counting starts.


@pytest.mark.parametrize("lod, kimg", [(0, 2400), (0.25, 2250), (1, 1200), (1.5, 900), (2, 0), (3, 0)])
def test_a_config_that_grows_starts_where_the_file_has_come_to(tmp_path, lod, kimg):
    def grow(records):
        return [
            dataclasses.replace(record, variables={**record.variables, "lod": np.float32(lod)}) for record in records
        ]

    path = rewritten(tmp_path, "stylegan2-config-d", grow)
    config = configure(path, config="config-d")[1]
    assert config.start.kimg == kimg and stage_at(config, kimg * 1000).lod == min(lod, 2)
    assert configure(path, kimg=600.5, config="config-d")[1].start.kimg == 600.5
    if lod:
        with pytest.raises(UserError, match=rf"lod {lod:g}\), and config-f does not grow; give .*--config=config-d"):
            configure(path)
    assert configure(path, partial=True)[1].start.kimg == 0


def test_counting_starts_where_the_user_says():
    config, state, lines, _ = start(path_of("stylegan1"), kimg=1500, config="config-a")
    assert state.progress.cur_nimg == state.progress.tick_start_nimg == 1_500_000
    assert lines[-1].endswith("counting starts at 1500.0 kimg, lod 1.00.")
    assert float(state.D.lod) == float(state.Gs.synthesis.lod) == 1 and config.start.kimg == 1500


@pytest.mark.parametrize(
    "given, kimg, parts",
    [
        ({}, -1.0, ["--resume-kimg=-1.0", "0 or more"]),
        ({}, float("nan"), ["--resume-kimg=nan", "finite"]),
        ({"total_kimg": 10.0}, 10.0, ["--total-kimg=10 counts from --resume-kimg=10:"]),
        ({"total_kimg": 10.0, "config": "config-d"}, None, ["--resume-kimg=2400, the default for networks grown to"]),
    ],
)
def test_counts_that_cannot_be(given, kimg, parts):
    with pytest.raises(UserError) as caught:
        configure(path_of("stylegan2-config-d"), kimg=kimg, **given)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_minibatches_go_by_the_files_groups():
    def with_group(size, gpu):
        file = NetworkFile("x", path_of("stylegan2-config-f"))
        file.networks.D_kwargs["mbstd_group_size"] = size
        given = {"minibatch_size": gpu, "minibatch_gpu": gpu}
        return file.configure(Options("data", "mine", **given), given, data()).notes

    with pytest.raises(UserError, match=r"--minibatch-gpu=12: .* groups of 8; use at most 8, or a multiple of 8"):
        with_group(8, 12)
    assert any("below 8" in note for note in with_group(8, 6)) and not any("below" in n for n in with_group(2, 2))
    assert not any("below" in note for note in with_group(None, 6))  # one group, of any size


# ---------------------------------------------------------------------------------------------------------------------
# The command.


pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder of its own, ungraphed: `command(*flags)` -> (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "data" / "noise", count=9, resolution=32, num_channels=3)
    make_dataset(tmp_path / "data" / "small", count=9)
    monkeypatch.setattr(report, "_SHEET", {"GPU": (24, 16), "CPU": (24, 16)})
    monkeypatch.setattr(loop_module, "make_strategy", lambda num_gpus: (tf.distribute.get_strategy(), "Here."))
    tf.config.run_functions_eagerly(True)  # one step is sooner taken than compiled

    def run(*flags):
        flags = ("--data-dir=data", "--minibatch-size=4", "--minibatch-gpu=4", *flags)
        code = run_training.main(run_training.parse_args(["run_training", *flags]))
        return code, *capsys.readouterr()

    yield run
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(
    "name, config, kimg",
    [("stylegan2-config-f", "config-f", 0), ("stylegan2-config-d", "config-d", 2400), ("stylegan1", None, 0)],
)
def test_a_recorded_file_trains(command, tmp_path, name, config, kimg):
    flags = (f"--config={config}",) if config else ()
    code, text, errors = command(
        "--dataset=noise", f"--resume={path_of(name)}", f"--total-kimg={kimg + 0.004}", *flags
    )  # fmt: skip
    assert code == 0, errors
    (run,) = (tmp_path / "results").iterdir()
    assert f"Starting from {path_of(name)}" in text and f"tick 0     kimg {kimg:.1f}" in text
    assert f"Starting from {path_of(name)}" in (run / "log.txt").read_text(encoding="utf-8")
    assert [os.path.basename(path) for path in checkpoints(run)] == [f"checkpoint-{kimg * 1000 + 4:010d}.npz"]
    assert load_config(run).start.file == path_of(name)
    for before, after in zip(pickle_io.read(path_of(name)), pickle_io.read(run / "network-final.pkl")):
        one, two = before.all_variables(), after.all_variables()
        moved = changed({k: np.asarray(v) for k, v in one.items()}, {k: np.asarray(v) for k, v in two.items()})
        steps = max(np.abs(two[key] - one[key]).max() for key in moved)
        assert len(moved) > len(one) / 2 and steps < 0.05  # a step away from the file, not elsewhere


def test_a_run_from_a_file_goes_on_as_an_unbroken_one(command, tmp_path):
    """The command knows the widths of these networks from the file alone, and later from the run alone."""
    config = tiny_config(config="config-e-Gorig-Dskip", changes={"notes": ()})
    state = TrainState(config, tf.distribute.get_strategy())
    save_networks("tiny.pkl", (state.G, state.D, state.Gs))
    first = ("--dataset=small", "--resume=tiny.pkl", "--resume-kimg=1", "--seed=3")
    assert command(*first, "--result-dir=straight", "--total-kimg=1.02")[0] == 0
    assert command(*first, "--result-dir=broken", "--total-kimg=1.008")[0] == 0
    os.unlink("tiny.pkl")
    assert command("--resume=latest", "--result-dir=broken", "--total-kimg=1.02")[0] == 0
    straight, broken = (next((tmp_path / name).iterdir()) for name in ("straight", "broken"))
    one, two = (dict(np.load(checkpoints(run)[0])) for run in (straight, broken))
    for arrays in (one, two):
        progress = json.loads(str(arrays.pop("progress")))
        assert (progress["cur_nimg"], progress["step"]) == (1020, 5)
    assert changed(one, two) == set()
    assert (straight / "network-final.pkl").read_bytes() == (broken / "network-final.pkl").read_bytes()
    configs = [load_config(run) for run in (straight, broken)]
    assert configs[0].start == configs[1].start and configs[0].start_networks == configs[1].start_networks
    assert configs[1].G_kwargs["fmap_base"] == 64 and configs[1].G_kwargs["architecture"] == "orig"


def test_a_dry_run_shows_the_files_networks(command, monkeypatch):
    monkeypatch.setattr(loop_module, "make_strategy", lambda num_gpus: pytest.fail("a dry run needs no devices"))
    address = f"file://{path_of('stylegan2-config-f')}"
    code, text, _ = command("--dataset=noise", f"--resume={address}", "--resume-kimg=5", "--dry-run")
    config = from_json(text)
    assert code == 0 and config.G_kwargs["fmap_max"] == 24 and not os.path.exists("results")
    assert (config.start.file, config.start.kimg, config.start.size) == (address, 5, 712092)


@pytest.mark.parametrize(
    "flags, parts",
    [
        (["--dataset=small", "--resume={f}"], ["does not fit: the file draws 32x32", "--resume-partial", "D: "]),
        (["--resume={f}"], ["--dataset is needed", "no pictures"]),
        (["--resume=results/nowhere"], ["--resume=results/nowhere", "nothing is there"]),
        (["--dataset=noise", "--resume=nowhere.pkl"], ["--resume=nowhere.pkl", "nothing is there", "*.pkl"]),
        (["--dataset=noise", "--resume=data/noise/noise-r02.tfrecords"], ["noise-r02.tfrecords: byte 0"]),
        (["--dataset=noise", "--resume=data/best.npz"], ["data/best.npz", "training checkpoint"]),
        (["--dataset=noise", "--resume-kimg=5"], ["--resume-kimg", "there is no --resume"]),
        (["--resume=latest", "--resume-kimg=5"], ["--resume-kimg", "--resume=latest goes on with a run"]),
        (["--resume=data", "--resume-partial"], ["--resume-partial", "--resume=data goes on with a run"]),
        (
            ["--resume=results/checkpoint-0000000004.npz", "--resume-partial"],
            ["--resume-partial", "goes on with a run"],
        ),
    ],
    ids=str,
)
def test_mistakes_make_no_run_directory(command, flags, parts):
    np.savez("data/best.npz", progress=np.array("{}"))
    code, _, errors = command(*(flag.format(f=path_of("stylegan2-config-f")) for flag in flags))
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and "Traceback" not in errors
    assert all(part in errors for part in parts), errors
    assert not os.path.exists("results")


def test_starting_in_part_trains(command, tmp_path):
    flags = ("--dataset=small", f"--resume={path_of('stylegan2-config-f')}", "--resume-partial", *TINY_FLAGS[2:])
    code, text, errors = command(*flags, "--total-kimg=0.004")
    assert code == 0, errors
    assert re.search(r"G and Gs: \d+ of \d+ variables fit: .*G_synthesis/", text) and "not in the file" in text
    (run,) = (tmp_path / "results").iterdir()
    config = load_config(run)
    assert config.start.partial and config.G_kwargs["latent_size"] == 8 and config.G_kwargs["fmap_max"] == 24
