"""The structure checker itself: made-up files break each rule once, and keep it once."""

import pytest
from test_structure import FLOORS, check_machine_paths, check_source, check_tests, declared_distributions, floor_of

BROKEN = {
    "upward": ("tf_stylegan/ops/new.py", "from tf_stylegan.layers import core", "imports upward"),
    "upward, inside a function": (
        "tf_stylegan/layers/new.py",
        "def f():\n    import tf_stylegan.pictures.painter",
        "imports upward",
    ),
    "upward, relative": ("tf_stylegan/ops/new.py", "from ..networks.mapping import Mapping", "imports upward"),
    "upward, from a package": ("tf_stylegan/networks/__init__.py", "from ..training import losses", "imports upward"),
    "upward, by text": ("tf_stylegan/ops/new.py", "import importlib\nimportlib.import_module('tools.new')", "upward"),
    "upward, to the public names": ("tf_stylegan/pictures/painter.py", "import tf_stylegan", "imports upward"),
    "upward, to the loop": ("tf_stylegan/training/step.py", "from tf_stylegan.training import loop", "imports upward"),
    "upward, to legacy networks": ("tf_stylegan/legacy/pickle_io.py", "from . import networks", "imports upward"),
    "sideways": ("tf_stylegan/networks/new.py", "from tf_stylegan.augment import pipeline", "same floor"),
    "sideways, ops and legacy": (
        "tf_stylegan/legacy/names.py",
        "from tf_stylegan.ops.conv import conv2d",
        "same floor",
    ),
    "sideways, tools and commands": ("tools/new.py", "from tf_stylegan import run_training", "same floor"),
    "metrics and training": (
        "tf_stylegan/metrics/fid.py",
        "from tf_stylegan.training.state import State",
        "metrics judge",
    ),
    "training and metrics": ("tf_stylegan/training/step.py", "import tf_stylegan.metrics.fid", "only the loop"),
    "training and legacy": (
        "tf_stylegan/training/step.py",
        "from tf_stylegan.legacy import pickle_io",
        "only the loop",
    ),
    "networks and data": ("tf_stylegan/networks/new.py", "from tf_stylegan.data import tfrecord", "not files"),
    "benchmarks": ("tf_stylegan/run_training.py", "import benchmarks.ops", "never imported"),
    "reader with TensorFlow": ("tf_stylegan/legacy/pickle_io.py", "import tensorflow as tf", "standard library"),
    "unplaced": ("tf_stylegan/newcomer.py", "import os", "has no floor"),
    "unplaced, in legacy": ("tf_stylegan/legacy/newcomer.py", "import os", "has no floor"),
    "unplaced target": ("tf_stylegan/run_training.py", "import tf_stylegan.newcomer", "which has no floor"),
    "undeclared": ("tf_stylegan/ops/new.py", "import cv2", "setup.cfg does not name cv2"),
    "TensorFlow 1": (
        "tf_stylegan/ops/new.py",
        "import tensorflow as tf\ntf.compat.v1.Session()",
        "tensorflow.compat.v1",
    ),
    "TensorFlow 1, as": ("tf_stylegan/ops/new.py", "import tensorflow.compat.v1 as tf", "tensorflow.compat.v1"),
    "TensorFlow 1, from": ("tf_stylegan/ops/new.py", "from tensorflow.compat import v1", "tensorflow.compat.v1"),
    "TensorFlow's inside": ("tf_stylegan/ops/new.py", "import tensorflow.python.ops", "tensorflow.python"),
    "TensorFlow's inside, from": (
        "tf_stylegan/ops/new.py",
        "from tensorflow.python.ops import nn",
        "tensorflow.python",
    ),
    "TensorFlow's inside, used": (
        "tf_stylegan/ops/new.py",
        "import tensorflow as t\nt.python.ops",
        "tensorflow.python",
    ),
    "Keras's inside": ("tf_stylegan/ops/new.py", "from keras.src import ops", "keras.src"),
    "eval": ("tf_stylegan/config.py", "x = eval('1')", "uses eval"),
    "eval, passed on": ("tf_stylegan/config.py", "x = map(eval, 'a')", "uses eval"),
    "exec": ("tools/new.py", "import builtins\nbuiltins.exec('')", "uses exec"),
    "pickle.load": ("tf_stylegan/pictures/painter.py", "import pickle\npickle.load(f)", "uses pickle.load:"),
    "pickle.loads": ("tf_stylegan/pictures/painter.py", "import pickle as p\np.loads(f)", "uses pickle.loads"),
    "pickle.Unpickler": ("tools/new.py", "from pickle import Unpickler as U\nU(f)", "uses pickle.Unpickler"),
    "pickle, by NumPy": ("tf_stylegan/images.py", "import numpy as np\nnp.load(f, allow_pickle=True)", "allow_pickle"),
    "too long": ("tf_stylegan/images.py", "x = 1\n" * 501, "longer than 500"),
}

KEPT = {
    "down": ("tf_stylegan/networks/new.py", "from tf_stylegan.layers.core import Dense\nfrom tf_stylegan import files"),
    "same folder": ("tf_stylegan/ops/conv.py", "from tf_stylegan.ops import upfirdn_2d\nfrom . import fused_bias_act"),
    "ground floor": ("tf_stylegan/files.py", "from tf_stylegan.errors import UserError"),
    "the loop": (
        "tf_stylegan/training/loop.py",
        "from tf_stylegan import images, legacy\nimport tf_stylegan.metrics.fid",
    ),
    "the commands": ("tools/new.py", "import tf_stylegan\nfrom tf_stylegan.training import loop"),
    "the reader": ("tf_stylegan/legacy/pickle_io.py", "import pickle\nclass Reader(pickle.Unpickler): pass"),
    "declared": ("tf_stylegan/images.py", "import json, PIL.Image\nimport numpy as np\nnp.load(f, allow_pickle=False)"),
    "namesakes": (
        "tf_stylegan/ops/new.py",
        "import re, tensorflow as tf\nmodel.eval(tf.compat.as_str(re.compile('')))",
    ),
    "names of a neighbour": (
        "tf_stylegan/legacy/pickle_io.py",
        "from tf_stylegan.legacy.pickle_machine import load\nfrom .names import MAP",
    ),
    "names of a command": ("tf_stylegan/run_training.py", "from tf_stylegan.run_generator import parse"),
    "500 lines": ("tf_stylegan/images.py", "x = 1\n" * 500),
}


@pytest.mark.parametrize("path, source, complaint", BROKEN.values(), ids=BROKEN)
def test_broken_rule_is_caught(path, source, complaint):
    found = check_source(path, source, declared_distributions())
    assert any(complaint in line and line.startswith(f"{path}:") for line in found), found


@pytest.mark.parametrize("path, source", KEPT.values(), ids=KEPT)
def test_kept_rule_is_not_complained_of(path, source):
    assert check_source(path, source, declared_distributions()) == []


@pytest.mark.parametrize(
    "source",
    [
        "def test_a():\n    run()",
        "def test_a():\n    def inner():\n        pass\n    inner()",
        "def helper():\n    return 1\ndef test_a():\n    helper()",
        "class TestA:\n    def test_a(self):\n        self.run()",
    ],
)
def test_test_without_assertion_is_caught(source):
    assert "test_a asserts nothing" in "".join(check_tests("tests/test_new.py", source))


@pytest.mark.parametrize(
    "source",
    [
        "def test_a():\n    assert run()",
        "def test_a():\n    np.testing.assert_array_equal(1, 1)",
        "def test_a():\n    with pytest.raises(ValueError):\n        run()",
        "def second():\n    assert run()\ndef first():\n    second()\ndef test_a():\n    first()",
        "def test_a():\n    layer_battery(1)",
    ],
)
def test_test_with_assertion_is_left_alone(source):
    assert check_tests("tests/test_new.py", source, {"layer_battery"}) == []


def test_machine_paths_are_caught_and_web_addresses_are_not():
    here = [f"open('/{folder}')" for folder in ("home/ann/x", "root/x", "Users/ann", "mnt/disk", "work/x")]
    assert len(check_machine_paths("a.py", "\n".join([*here, "C:" + r"\Users\ann"]))) == len(here) + 1
    fine = [
        "https://example.org/home/x",
        "#!/usr/bin/env bash",
        "a/home/b",
        "./root/x",
        "$(HOME)/root/x",
        "/usr/local/cuda",
    ]
    assert check_machine_paths("a.py", "\n".join(fine)) == []


def test_every_floor_is_found_by_its_own_name():
    assert all(floor_of(pattern.removesuffix(".*")) == floor for pattern, floor in FLOORS.items())
    assert floor_of("tf_stylegan.training.step") == 4
    assert floor_of("tf_stylegan.legacy.pickle_machine") == 1
    assert floor_of("tf_stylegan.newcomer") is floor_of("tf_stylegan.opsy") is None
