"""`python -m tf_stylegan.doctor`: what it says, and that it notices wrong results."""

import re
import warnings

import pytest
import tensorflow as tf

from tf_stylegan import cli, doctor
from tf_stylegan.ops import build, loader


@pytest.fixture(autouse=True)
def without_settings(monkeypatch):
    monkeypatch.delenv(loader.VARIABLE, raising=False)


def run(*arguments):
    return cli.run(doctor.main, doctor.parse_args(list(arguments)))


@pytest.mark.parametrize("asked", ["auto", "reference", "custom"])
def test_report(capsys, monkeypatch, asked):
    if asked == "custom" and loader.library().ops is None:
        pytest.skip(loader.library().why)
    monkeypatch.setenv(loader.VARIABLE, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library that is out of date is said in the report, too
        assert run() == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if line)
    for what in ("Python", "TensorFlow", "Keras", "NumPy", "CPU", "GPU", "nvcc", "operations"):
        assert lines[what].strip()
    assert tf.__version__ in lines["TensorFlow"]
    kernels = re.search("CPU kernels of (base|avx2|avx512)$", lines["operations"])
    assert bool(kernels) == (loader.library().ops is not None)
    for op in ("upfirdn_2d", "fused_bias_act", "upfirdn_2d_act", *(() if loader.has_gpu() else ["conv2d"])):
        used, _, words = lines[op].partition(" ")
        assert used == asked or asked == "auto"
        assert ("equals its reference" in words) == (used == "custom")


def test_wrong_results_are_an_error(capsys, monkeypatch):
    monkeypatch.setattr(loader, "implementation", lambda impl="auto": "custom")
    tests = {"good": lambda impl: [[1.0]], "bad": lambda impl: [[1.0 if impl == "custom" else 2.0]]}
    monkeypatch.setattr(doctor, "self_tests", lambda: {**tests, "none": lambda impl: [[float("nan")]]})
    assert run() == 1
    out = capsys.readouterr().out
    assert "error: wrong results: bad, none. TF_STYLEGAN_OPS=reference does without" in out


def test_wrong_results_that_nobody_uses_are_none(capsys, monkeypatch):
    monkeypatch.setenv(loader.VARIABLE, "reference")
    monkeypatch.setattr(doctor, "self_tests", lambda: {"bad": lambda impl: [[1.0 if impl == "custom" else 2.0]]})
    assert run() == 0
    assert "TF_STYLEGAN_OPS=reference; " in capsys.readouterr().out


def test_mistaken_setting(capsys, monkeypatch):
    monkeypatch.setenv(loader.VARIABLE, "quick")
    assert run() == 2
    assert "TF_STYLEGAN_OPS must be one of auto, custom, reference; got 'quick'" in capsys.readouterr().err


def test_build_goes_where_it_can_be_written(capsys, monkeypatch, tmp_path):
    own, cache = tmp_path / "own", tmp_path / "cache"
    own.mkdir()
    built = []

    def compile_into(folder):
        built.append(folder)
        return folder / "library"

    monkeypatch.setattr(build, "folders", lambda: [own, cache])
    monkeypatch.setattr(build, "build", compile_into)
    monkeypatch.setattr(doctor, "self_tests", dict)
    assert run("--build") == 0
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert run("--build") == 0
    assert built == [own, cache]
    monkeypatch.setattr(loader, "find", lambda *_: (own / "x.so", "it is new"))
    assert run("--build") == 0
    assert "Up to date: it is new" in capsys.readouterr().out
    assert run("--build", "--force") == 0
    assert len(built) == 3


def test_a_compiler_that_fails_is_noticed(monkeypatch):
    """By what runs it, such as `make test`: else a mistake in the sources would only make everything slower."""
    monkeypatch.setattr(build, "build", lambda folder: None)
    monkeypatch.setattr(doctor, "self_tests", dict)
    monkeypatch.setattr(build, "compiler", lambda: ["g++"])
    assert run("--build", "--force") == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_STYLEGAN_SKIP_OPS", "1")
        assert run("--build", "--force") == 0
    monkeypatch.setattr(build, "compiler", lambda: None)
    assert run("--build", "--force") == 0


def test_convolutions_are_not_compiled_for_gpus(monkeypatch):
    monkeypatch.setattr(loader, "implementation", lambda impl="auto": "custom")
    monkeypatch.setattr(loader, "has_gpu", lambda: True)
    assert doctor.examine("conv2d", lambda impl: pytest.fail("who computes?"))[0] == "reference"
