"""Presets, and how options, preset and data set become one configuration."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_stylegan.config import PRESETS, TICK_KIMG, Options, from_json, resolve
from tf_stylegan.errors import UserError
from tf_stylegan.training.schedule import stage_at

ARCHITECTURES = ("orig", "skip", "resnet")


def configure(resolution=64, num_channels=3, label_size=0, **options):
    return resolve(Options(data_dir="data", dataset="set", **options), resolution, num_channels, label_size)


def test_presets_are_those_of_the_paper():
    table = {
        name: (p.G_kwargs["architecture"], p.D_kwargs["architecture"], p.fmap_base, p.gamma)
        for name, p in PRESETS.items()
        if not p.grows
    }
    expected = {"config-f": ("skip", "resnet", 16384, 10), "config-e": ("skip", "resnet", 8192, 100)}
    expected |= {f"config-e-G{g}-D{d}": (g, d, 8192, 100) for g in ARCHITECTURES for d in ARCHITECTURES}
    assert table == expected
    assert all(p.lazy_regularization and p.path_length for p in PRESETS.values() if not p.grows)
    assert {p.learning_rate for p in PRESETS.values() if not p.grows} == {0.002}
    assert all((p.minibatch_size, p.minibatch_gpu) == (32, 4) for p in PRESETS.values())
    assert TICK_KIMG == {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4}


def test_grown_presets_are_those_of_the_paper():
    table = {
        name: (p.G_func, p.G_kwargs.get("synthesis_func"), p.D_func, p.path_length, p.lazy_regularization)
        for name, p in PRESETS.items()
        if p.grows
    }
    revised = ("G_main", "G_synthesis_stylegan_revised", "D_stylegan")
    assert table == {
        "config-a": ("G_style", None, "D_basic", False, False),
        "config-b": (*revised, False, False),
        "config-c": (*revised, False, True),
        "config-d": (*revised, True, True),
    }
    assert {(p.fmap_base, p.gamma, p.learning_rate) for p in PRESETS.values() if p.grows} == {(8192, 10, 0.001)}


def test_defaults_of_config_f():
    config = configure(resolution=1024)
    common = {"num_channels": 3, "resolution": 1024, "label_size": 0, "fmap_base": 16384, "fmap_max": 512}
    sizes = {"latent_size": 512, "dlatent_size": 512, "mapping_fmaps": 512, "mapping_layers": 8}
    assert config.G_kwargs == {**common, **sizes, "architecture": "skip"}
    assert config.D_kwargs == {**common, "architecture": "resnet", "mbstd_group_size": 4}
    assert (config.learning_rate, config.adam_beta1, config.adam_beta2, config.adam_epsilon) == (0.002, 0, 0.99, 1e-8)
    assert (config.lazy_regularization, config.G_reg_interval, config.D_reg_interval) == (True, 4, 16)
    assert (config.minibatch_size, config.minibatch_gpu, config.rounds, config.tick_kimg) == (32, 4, 8, 4)
    loss = {"g_loss": "logistic_ns", "d_loss": "logistic", "g_penalty": "path_length", "d_penalty": "r1", "gamma": 10}
    loss |= {"pl_minibatch_shrink": 2, "pl_decay": 0.01, "pl_weight": 2}
    loss |= {"wgan_lambda": 10, "wgan_epsilon": 0.001, "wgan_target": 1}
    assert dataclasses.asdict(config.loss) == loss
    assert config.options.seed == 1000 and config.options.total_kimg == 25000 and config.options.ema_kimg == 10
    assert config.notes == ()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_reaches_networks_and_loss(name):
    config, preset = configure(config=name), PRESETS[name]
    assert config.G_kwargs.items() >= preset.G_kwargs.items() and config.G_func == preset.G_func
    assert config.D_kwargs.items() >= preset.D_kwargs.items() and config.D_func == preset.D_func
    assert (config.growing is not None) == preset.grows
    assert config.G_kwargs["fmap_base"] == config.D_kwargs["fmap_base"] == preset.fmap_base
    assert config.loss.gamma == preset.gamma


def test_every_override_takes_effect():
    given_ = {"gamma": 0.0, "minibatch_size": 24, "minibatch_gpu": 8, "num_gpus": 3, "fmap_base": 512, "fmap_max": 64}
    given_ |= {"latent_size": 32, "mapping_layers": 2, "ema_kimg": 1.2, "tick_kimg": 0.5}
    config = configure(resolution=16, num_channels=1, label_size=10, **given_)
    assert config.loss.gamma == 0  # not taken for "not given"
    assert (config.minibatch_size, config.minibatch_gpu, config.rounds) == (24, 8, 1)
    for kwargs in (config.G_kwargs, config.D_kwargs):
        found = {name: kwargs[name] for name in ("fmap_base", "fmap_max", "resolution", "num_channels", "label_size")}
        expected = {"fmap_base": 512, "fmap_max": 64, "resolution": 16, "num_channels": 1, "label_size": 10}
        assert found == expected
    assert {config.G_kwargs[name] for name in ("latent_size", "dlatent_size", "mapping_fmaps")} == {32}
    assert config.G_kwargs["mapping_layers"] == 2
    assert config.tick_kimg == 0.5
    assert config.ema_beta == pytest.approx(0.5 ** (24 / 1200))
    assert config.options == Options("data", "set", **given_)


@pytest.mark.parametrize("resolution", [4, 8, 16, 128, 1024])
def test_ticks_shorten_with_resolution(resolution):
    assert configure(resolution=resolution).tick_kimg == {4: 4, 8: 28, 16: 24, 128: 12, 1024: 4}[resolution]


def test_half_life_of_the_average():
    config = configure(ema_kimg=10)
    assert config.ema_beta ** (10_000 / config.minibatch_size) == pytest.approx(0.5)
    assert configure(ema_kimg=0).ema_beta == 0  # no average at all


# ---------------------------------------------------------------------------------------------------------------------
# Minibatches.


@pytest.mark.parametrize(
    "size, gpu, gpus, expected",
    [
        (None, None, 1, (32, 4, 8)),
        (None, None, 2, (32, 4, 4)),
        (None, None, 8, (32, 4, 1)),
        (None, None, 3, (36, 4, 3)),  # the nearest multiple of 12
        (None, None, 5, (40, 4, 2)),
        (None, None, 7, (28, 4, 1)),
        (None, None, 16, (64, 4, 1)),
        (None, 32, 1, (32, 32, 1)),
        (None, 12, 1, (36, 12, 3)),
        (8, None, 1, (8, 4, 2)),
        (8, None, 4, (8, 2, 1)),  # two per GPU, not zero
        (6, None, 1, (6, 3, 2)),
        (7, None, 7, (7, 1, 1)),
        (4, 1, 1, (4, 1, 4)),
        (15, None, 5, (15, 3, 1)),
    ],
)
def test_minibatches(size, gpu, gpus, expected):
    config = configure(minibatch_size=size, minibatch_gpu=gpu, num_gpus=gpus)
    assert (config.minibatch_size, config.minibatch_gpu, config.rounds) == expected


def test_what_was_fitted_or_may_hurt_is_said():
    assert configure(num_gpus=3).notes == ("minibatch size 36 instead of 32: a multiple of 3 × 4",)
    (note,) = configure(minibatch_size=6).notes
    assert "minibatch-gpu 3 is below 4" in note and "groups of 3" in note
    assert len(configure(minibatch_gpu=3).notes) == 2
    assert configure(minibatch_size=8, minibatch_gpu=8).notes == ()


@given(size=st.none() | st.integers(1, 200), gpu=st.none() | st.integers(1, 40), gpus=st.integers(1, 12))
def test_minibatches_add_up_or_are_refused(size, gpu, gpus):
    try:
        config = configure(minibatch_size=size, minibatch_gpu=gpu, num_gpus=gpus)
    except UserError as error:
        assert "--minibatch-" in str(error)
        return
    assert config.minibatch_size == config.minibatch_gpu * gpus * config.rounds > 0
    assert size in (None, config.minibatch_size) and gpu in (None, config.minibatch_gpu)
    assert config.minibatch_gpu <= 4 or config.minibatch_gpu % 4 == 0  # groups of the minibatch standard deviation
    assert any("below 4" in note for note in config.notes) == (config.minibatch_gpu < 4)


@given(size=st.integers(1, 200), gpus=st.integers(1, 12))
def test_a_size_that_can_be_dealt_always_works(size, gpus):
    if size % gpus == 0:
        assert configure(minibatch_size=size, num_gpus=gpus).minibatch_size == size


@pytest.mark.parametrize("gpu, expected", [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)])
def test_path_length_takes_half_a_batch_and_never_none(gpu, expected):
    config = configure(minibatch_size=gpu, minibatch_gpu=gpu)
    assert stage_at(config, 0).path_length_batch == expected


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes: one line with the option, what was given, and what to do.


@pytest.mark.parametrize(
    "options, parts",
    [
        ({"config": "config-z"}, ["--config=config-z", "config-f", "config-e-Gorig-Dskip"]),
        ({"config": "config-e-Gskip"}, ["--config=config-e-Gskip", "unknown"]),
        ({"metrics": "fid50k"}, ["--metrics=fid50k", "--metrics=none"]),
        ({"num_gpus": 0}, ["--num-gpus=0", "at least 1"]),
        ({"minibatch_size": 0}, ["--minibatch-size=0", "at least 1"]),
        ({"minibatch_gpu": -4}, ["--minibatch-gpu=-4", "at least 1"]),
        ({"fmap_base": 0}, ["--fmap-base=0", "at least 1"]),
        ({"fmap_max": 0}, ["--fmap-max=0", "at least 1"]),
        ({"latent_size": 0}, ["--latent-size=0", "at least 1"]),
        ({"mapping_layers": 0}, ["--mapping-layers=0", "at least 1"]),
        ({"max_images": 0}, ["--max-images=0", "at least 1"]),
        ({"keep_checkpoints": 0}, ["--keep-checkpoints=0", "at least 1"]),
        ({"image_snapshot_ticks": 0}, ["--image-snapshot-ticks=0", "at least 1"]),
        ({"network_snapshot_ticks": 0}, ["--network-snapshot-ticks=0", "at least 1"]),
        ({"seed": -1}, ["--seed=-1", "at least 0"]),
        ({"seed": 2**31}, [f"--seed={2**31}", "below 2^31"]),
        ({"gamma": -1.0}, ["--gamma=-1.0", "at least 0"]),
        ({"gamma": math.nan}, ["--gamma=nan", "at least 0"]),
        ({"gamma": math.inf}, ["--gamma=inf", "below 2^31"]),
        ({"ema_kimg": -1.0}, ["--ema-kimg=-1.0", "at least 0"]),
        ({"total_kimg": 0.0}, ["--total-kimg=0.0", "above 0"]),
        ({"total_kimg": math.inf}, ["--total-kimg=inf", "above 0"]),
        ({"tick_kimg": math.nan}, ["--tick-kimg=nan", "above 0"]),
        ({"tick_kimg": -1.0}, ["--tick-kimg=-1.0", "above 0"]),
        ({"minibatch_size": 30, "minibatch_gpu": 4}, ["--minibatch-size=30", "--minibatch-gpu=4", "28 and 32"]),
        ({"minibatch_size": 4, "minibatch_gpu": 8}, ["--minibatch-size=4", "--minibatch-gpu=8", "smallest is 8"]),
        ({"minibatch_size": 32, "num_gpus": 3}, ["--minibatch-size=32", "--num-gpus=3", "multiple of 3"]),
        ({"minibatch_gpu": 6}, ["--minibatch-gpu=6", "multiple of 4"]),
    ],
    ids=str,
)
def test_mistakes(options, parts):
    with pytest.raises(UserError) as caught:
        configure(**options)
    message = str(caught.value)
    assert "\n" not in message and all(part in message for part in parts), message


# ---------------------------------------------------------------------------------------------------------------------
# JSON.


def test_json_round_trip_of_a_schedule():
    config = configure(config="config-d", resolution=256, lod_training_kimg=1.5)
    restored = from_json(config.to_json())
    assert restored == config
    assert restored.growing.minibatch_size[8] == 256  # JSON has only text for keys


def test_json_round_trip():
    config = configure(gamma=3.5, mirror_augment=True, num_gpus=3, label_size=7, max_images=100)
    assert config.notes  # a tuple, which JSON knows as a list
    restored = from_json(config.to_json())
    assert restored == config and isinstance(restored.notes, tuple)
    assert json.loads(config.to_json())["options"]["max_images"] == 100


def _set(data, *keys, value=1):
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = value


@pytest.mark.parametrize("keys", [("novel",), ("options", "novel"), ("loss", "novel")], ids=str)
def test_unknown_keys_fail(keys):
    data = json.loads(configure().to_json())
    _set(data, *keys)
    with pytest.raises(UserError, match="novel"):
        from_json(json.dumps(data))


@pytest.mark.parametrize("key", ["options", "loss", "notes", "minibatch_size"])
def test_missing_keys_fail(key):
    data = json.loads(configure().to_json())
    del data[key]
    with pytest.raises(UserError, match=key):
        from_json(json.dumps(data))


@pytest.mark.parametrize("name, value", [("total_kimg", "abc"), ("seed", "1"), ("minibatch_size", []), ("gamma", -1)])
def test_values_that_no_option_has_are_refused(name, value):
    data = json.loads(configure().to_json())
    _set(data, "options", name, value=value)
    with pytest.raises(UserError, match="not a saved training configuration"):
        from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"options": 3}'])
def test_other_text_is_refused(text):
    with pytest.raises(UserError, match="not a saved training configuration"):
        from_json(text)
