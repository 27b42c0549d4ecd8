"""The schedule of a run against its formula, and the page that documents it."""

import dataclasses
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import ROOT, tiny_config

from tf_stylegan.config import Growing, Options, resolve
from tf_stylegan.training.schedule import layers_come_in, lod_at, stage_at

sys.path.insert(0, str(ROOT / "tools"))
import write_config_docs


def config_at(resolution, config="config-d", **options):
    return resolve(Options(data_dir="", dataset="", config=config, **options), resolution, 3, 0)


def formula(kimg, resolution, training=600, transition=600, first=8):
    """Level of detail as the original's `training_schedule` defines it, in plain numbers."""
    phase = math.floor(kimg / (training + transition))
    within = kimg - phase * (training + transition)
    lod = math.log2(resolution) - math.floor(math.log2(first)) - phase - max(within - training, 0) / transition
    return max(lod, 0.0)


@pytest.mark.parametrize("resolution", [8, 32, 256, 1024])
def test_level_of_detail_is_the_formula(resolution):
    config = config_at(resolution)
    for kimg in (0, 1, 599.999, 600, 600.5, 900, 1199.9, 1200, 2399, 4200, 8100, 8400, 20000):
        stage = stage_at(config, kimg * 1000)
        assert stage.lod == pytest.approx(formula(kimg, resolution), abs=1e-12)
        assert stage.resolution == 2 ** (int(math.log2(resolution)) - math.floor(stage.lod))


TABLE = [  # kimg, resolution of the pictures, minibatch, per GPU, learning rate, tick
    (0, 8, 256, 32, 0.001, 28),
    (700, 16, 128, 16, 0.001, 24),
    (1300, 16, 128, 16, 0.001, 24),
    (2000, 32, 64, 8, 0.001, 20),
    (3100, 64, 32, 4, 0.001, 16),
    (4300, 128, 32, 4, 0.0015, 12),
    (5500, 256, 32, 4, 0.002, 8),
    (6700, 512, 32, 4, 0.003, 6),
    (7900, 1024, 32, 4, 0.003, 4),
    (9000, 1024, 32, 4, 0.003, 4),
]


@pytest.mark.parametrize("name", ["config-a", "config-b", "config-c", "config-d"])
def test_what_goes_with_a_resolution(name):
    config = config_at(1024, name)
    for kimg, *expected in TABLE:
        s = stage_at(config, kimg * 1000)
        assert [s.resolution, s.minibatch_size, s.minibatch_gpu, s.learning_rate, s.tick_kimg] == expected
        assert s.rounds * s.minibatch_gpu == s.minibatch_size
        assert s.ema_beta == pytest.approx(0.5 ** (s.minibatch_size / 10_000))


def test_without_growing_nothing_changes():
    config = config_at(256, "config-f")
    assert config.growing is None
    assert stage_at(config, 0) == stage_at(config, 9_000_000)
    assert stage_at(config, 0).lod == 0 and stage_at(config, 0).resolution == 256


def test_what_the_user_gives_holds_at_every_resolution():
    config = config_at(64, minibatch_size=16, minibatch_gpu=8, tick_kimg=1.0)
    stages = [stage_at(config, kimg * 1000) for kimg in (0, 700, 1900, 5000)]
    assert {(s.minibatch_size, s.minibatch_gpu, s.rounds, s.tick_kimg) for s in stages} == {(16, 8, 2, 1.0)}
    assert [s.resolution for s in stages] == [8, 16, 32, 64]


def test_a_minibatch_gpu_alone_leaves_the_minibatches_as_they_are():
    config = config_at(1024, minibatch_gpu=8)
    for kimg, _, size, *_ in TABLE:
        s = stage_at(config, kimg * 1000)
        assert (s.minibatch_size, s.minibatch_gpu, s.rounds) == (size, 8, size // 8)


@given(gpus=st.integers(1, 12))
def test_every_stage_can_be_dealt_to_any_number_of_gpus(gpus):
    config = config_at(1024, num_gpus=gpus)
    for kimg, *_ in TABLE:
        s = stage_at(config, kimg * 1000)
        assert s.minibatch_size == s.minibatch_gpu * gpus * s.rounds > 0


@given(nimg=st.integers(0, 10**7), training=st.floats(0, 50), transition=st.floats(0, 50))
def test_level_of_detail_only_falls(nimg, training, transition):
    growing = Growing(training_kimg=training, transition_kimg=transition)
    lods = [lod_at(nimg + more, 128, growing) for more in (0, 1000, 50_000)]
    assert 4 >= lods[0] >= lods[1] >= lods[2] >= 0


def test_phases_of_no_length():
    assert lod_at(0, 64, Growing(training_kimg=0, transition_kimg=0)) == 0
    assert lod_at(500, 64, Growing(training_kimg=1, transition_kimg=0)) == 3
    assert lod_at(1000, 64, Growing(training_kimg=1, transition_kimg=0)) == 2


def test_when_adam_starts_afresh():
    come_in = [(2.0, 1.99), (1.01, 1.0), (1.0, 0.9), (0.1, 0.0)]
    stay = [(2.0, 2.0), (1.9, 1.2), (0.5, 0.4), (0.0, 0.0)]
    assert all(layers_come_in(*lods) for lods in come_in)
    assert not any(layers_come_in(*lods) for lods in stay)


def test_learning_rate_ramps_up_if_asked_to():
    config = dataclasses.replace(tiny_config(), lrate_rampup_kimg=10)
    rates = [stage_at(config, nimg).learning_rate for nimg in (0, 5_000, 10_000, 20_000)]
    assert rates == pytest.approx([0, 0.001, 0.002, 0.002])


def test_the_page_of_configs_is_current():
    assert write_config_docs.PAGE.read_text(encoding="utf-8") == write_config_docs.page(), (
        "run python tools/write_config_docs.py"
    )
