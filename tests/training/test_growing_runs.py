"""Progressively grown runs, whole: they grow, they stop and go on in the middle of a fade, their snapshots load."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import TINY_FLAGS, make_dataset

from tf_stylegan import run_training
from tf_stylegan.legacy.networks import load_networks
from tf_stylegan.training import loop as loop_module
from tf_stylegan.training import report
from tf_stylegan.training.state import checkpoints

FLAGS = (
    *("--data-dir=data", "--dataset=noise", *TINY_FLAGS, "--minibatch-size=4", "--minibatch-gpu=4", "--tick-kimg=0.02"),
    *(
        "--lod-training-kimg=0.02",
        "--lod-transition-kimg=0.02",
        "--image-snapshot-ticks=1",
        "--network-snapshot-ticks=1",
    ),
    "--mirror-augment=yes",
)
WHOLE, MIDDLE = 0.06, 0.032  # kimg; the run fades from 0.02 to 0.04, from 8 to 16 pixels


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Runs the command in a folder of its own: `train(result_dir, *flags)` returns the run directory."""
    make_dataset(tmp_path / "data" / "noise", resolution=16, label_size=3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "_SHEET", {"GPU": (48, 32), "CPU": (48, 32)})
    monkeypatch.setattr(loop_module, "make_strategy", lambda num_gpus: (tf.distribute.get_strategy(), "Here."))

    def run(result_dir, *flags):
        assert run_training.main(run_training.parse_args(["", f"--result-dir={result_dir}", *flags])) == 0
        (path,) = (tmp_path / result_dir).iterdir()
        return path

    return run


@pytest.mark.parametrize("config", ["config-a", "config-d"])
def test_a_run_grows_and_resumes_in_the_middle_of_a_fade(train, config, capsys):
    straight = train("straight", *FLAGS, f"--config={config}", f"--total-kimg={WHOLE}")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tick")]
    assert [line.split("lod ")[1].split()[0] for line in lines] == ["1.00", "0.20", "0.00"]

    broken = train("broken", *FLAGS, f"--config={config}", f"--total-kimg={MIDDLE}")
    state = json.loads(str(np.load(checkpoints(broken)[0])["progress"]))
    assert state["cur_nimg"] == 32 and 0 < state["lod"] < 1
    G, D, Gs = load_networks(broken / "network-final.pkl")
    for network in (G, G.synthesis, D, Gs, Gs.synthesis):
        assert float(network.lod) == pytest.approx(state["lod"])
    latents = np.random.RandomState(0).randn(2, Gs.latent_size).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[:2]
    own = Gs(latents, labels, noise_mode="const")
    np.testing.assert_array_equal(own, Gs(latents, labels, noise_mode="const", lod=state["lod"]))
    assert np.abs(own - Gs(latents, labels, noise_mode="const", lod=0)).max() > 1e-3

    train("broken", f"--resume={broken}", f"--total-kimg={WHOLE}")
    one, two = (dict(np.load(checkpoints(run)[0])) for run in (straight, broken))
    assert one.keys() == two.keys()
    one, two = ({k: v for k, v in arrays.items() if k != "progress"} for arrays in (one, two))
    different = [name for name in one if one[name].tobytes() != two[name].tobytes()]
    assert not different
    assert (straight / "network-final.pkl").read_bytes() == (broken / "network-final.pkl").read_bytes()
    assert int(one["G_adam/iterations"]) < 15  # Adam started afresh when the new layers came in
