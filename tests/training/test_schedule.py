"""What depends on where a run stands."""

import pytest

from tf_stylegan.config import Growing
from tf_stylegan.training.schedule import adam_settings, kimg_at_lod, lazy_factor, lod_at, regularise


@pytest.mark.parametrize("interval, expected", [(1, 1 / 2), (4, 4 / 5), (16, 16 / 17)])
def test_lazy_factor(interval, expected):
    assert lazy_factor(interval) == pytest.approx(expected)


def test_adam_settings():
    assert adam_settings(0.002, 0.0, 0.99) == {"learning_rate": 0.002, "beta1": 0.0, "beta2": 0.99}
    lazy = adam_settings(0.002, 0.5, 0.99, interval=16)
    assert lazy == pytest.approx(
        {"learning_rate": 0.002 * 16 / 17, "beta1": 0.5 ** (16 / 17), "beta2": 0.99 ** (16 / 17)}
    )
    assert adam_settings(0.002, 0.0, 0.99, interval=4)["beta1"] == 0


@pytest.mark.parametrize("interval", [1, 4, 16])
def test_a_round_of_main_and_regularisation_steps_moves_as_far_as_the_main_steps_alone(interval):
    settings = adam_settings(0.002, 0.9, 0.99, interval)
    steps = interval + 1
    assert settings["learning_rate"] * steps == pytest.approx(0.002 * interval)
    assert settings["beta1"] ** steps == pytest.approx(0.9**interval)
    assert settings["beta2"] ** steps == pytest.approx(0.99**interval)


def test_regularise():
    assert [step for step in range(20) if regularise(step, 4)] == [0, 4, 8, 12, 16]
    assert [step for step in range(40) if regularise(step, 16)] == [0, 16, 32]
    assert not any(regularise(step, None) for step in range(20))


@pytest.mark.parametrize("transition_kimg", [0, 600, 1.5])
def test_the_number_of_images_at_a_level_of_detail(transition_kimg):
    growing = Growing(training_kimg=100, transition_kimg=transition_kimg)
    for lod in (0, 0.5, 1, 2.125, 4, 5):
        found = lod_at(round(kimg_at_lod(lod, 256, growing) * 1000), 256, growing)
        assert found == pytest.approx(lod if transition_kimg else int(lod), abs=1e-3)
        before = lod_at(round(kimg_at_lod(lod, 256, growing) * 1000) - 1, 256, growing)
        assert lod == 5 or before > found
