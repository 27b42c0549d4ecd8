"""What of a file's variables fits a network, told in few words."""

import numpy as np
import tensorflow as tf

from tf_stylegan.training.fit import Fit, name_list


def test_names_are_told_together():
    everything = [
        "a/b/x",
        "a/b/y",
        "a/noise0",
        "a/noise1",
        "4x4/C/w",
        "4x4/C/b",
        "8x8/C/w",
        "8x8/C/b",
        "8x8/D0_up/w",
        "n",
    ]
    assert name_list(everything[:3], everything) == "a/b/*, a/noise0"
    assert name_list(everything[:4], everything) == "a/*"
    assert name_list([*everything[2:4], "n"], everything) == "a/noise{0,1}, n"
    assert name_list(["4x4/C/w", "8x8/C/w", "8x8/D0_up/w"], everything) == "{4x4,8x8}/C/w, 8x8/D0_up/*"
    assert name_list([], everything) == "none"


def test_only_equal_names_and_shapes_fit():
    fit = Fit({"a": (2,), "b": (3, 1), "c": ()}, {"a": np.ones(2), "b": np.ones(3), "d": np.ones(1)})
    assert (fit.copied, fit.reshaped, fit.missing, fit.left_over) == (["a"], ["b"], ["c"], ["d"])
    assert not fit.whole and Fit({"a": (2,)}, {"a": np.ones(2)}).whole
    a, b = tf.Variable([0.0, 0.0]), tf.Variable([[0.0]] * 3)
    fit.copy_into({"a": a, "b": b})
    assert list(a.numpy()) == [1, 1] and not b.numpy().any()
