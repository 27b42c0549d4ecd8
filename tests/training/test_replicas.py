"""Replicas together take the step that one device takes with the whole batch.

Logical devices have to be set up before TensorFlow starts: `replica_worker.py` does the work in its own process.
"""

from pathlib import Path

import numpy as np
import pytest
from helpers import relative_error
from tiny_runs import start

WORKER = Path(__file__).with_name("replica_worker.py")


@pytest.mark.parametrize("replicas, minibatch, iterations", [(2, 8, 3)])
def test_replicas_take_the_step_of_one_device(tmp_path, replicas, minibatch, iterations):
    output, log = tmp_path / "out.npz", tmp_path / "log.txt"
    with open(log, "w") as file:
        worker = start([WORKER, replicas, minibatch, iterations, output], tmp_path, file)
        assert worker.wait(300) == 0, log.read_text()[-3000:]
    found = {}
    with np.load(output, allow_pickle=False) as arrays:
        for key in arrays.files:
            who, name = key.split(":", 1)
            found.setdefault(who, {})[name] = arrays[key]
    check_statistics(found["one"], found["many"], iterations)
    check_variables(**found)
    assert found["one"]["G_adam/iterations"] == found["many"]["G_adam/iterations"] == 2 * iterations


def check_statistics(one, many, iterations):
    names = [name for name in one if name.startswith("stats/")]
    assert len(names) == iterations * (2 + 3 + 4 + 2)  # of G, G_reg, D, D_reg
    for name in names:
        assert many[name] == pytest.approx(one[name], rel=1e-4, abs=1e-5), name
        assert one[name] == 1 or "finite" not in name


def check_variables(initial, one, many):
    """Equal to rounding, and changed alike: beside a weight a wrong step may be small.

    Sums in another order differ by 1e-7, by 1e-4 where they nearly cancel (the strength of the noise is one number,
    its gradient a sum over all pixels); a batch dealt in another way makes differences of 0.3 and more.
    """
    assert one.keys() == many.keys() > initial.keys()
    errors, moved = {name: relative_error(many[name], one[name]) for name in initial}, []
    assert max(errors.values()) < 2e-3, max(errors, key=errors.get)
    assert np.median(list(errors.values())) < 1e-5
    for name, start_ in initial.items():
        change = one[name] - start_
        if np.abs(change).max() > 1e-3 * np.abs(start_).max():  # less is rounding of the weight itself
            assert relative_error(many[name] - start_, change) < 2e-3, name
            moved.append(name)
    for prefix in ("G/", "D/", "Gs/", "G_adam/m", "D_adam/v", "pl_mean", "G/dlatent_avg", "Gs/dlatent_avg"):
        assert any(name.startswith(prefix) for name in moved), prefix
