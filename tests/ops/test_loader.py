"""Who computes: what is asked for, what is found, and what is said where the two do not fit."""

import dataclasses
import warnings

import pytest
import tensorflow as tf

from tf_stylegan.errors import UserError
from tf_stylegan.ops import build, loader
from tf_stylegan.ops.fused_bias_act import fused_bias_act

HERE = build.TensorFlow("2.99.0", 1, [], [])


@pytest.fixture(autouse=True)
def impl(monkeypatch):
    """These tests choose for themselves."""
    monkeypatch.delenv(loader.VARIABLE, raising=False)
    monkeypatch.delenv(loader.LIMIT, raising=False)
    loader._warn_once.cache_clear()
    yield
    loader._warn_once.cache_clear()


def library_for(words):
    """Bytes of something that says it was built for `words`."""
    return b"\x7fELF..." + f"TF_STYLEGAN_BUILT_FOR{{{words}}}".encode() + b"..."


def pretend(monkeypatch, **fields):
    """Makes the loader find a `Library` with these fields."""
    found = dataclasses.replace(loader.Library(None, None, "there is none"), **fields)
    monkeypatch.setattr(loader, "library", lambda: found)


def test_nothing_is_found(tmp_path):
    path, why = loader.find([tmp_path / "a", tmp_path], HERE)
    assert path is None
    assert why == f"no compiled operations in {tmp_path / 'a'} or {tmp_path}: {loader.HOW_TO_BUILD}"


def test_the_right_one_is_found_behind_wrong_ones(tmp_path):
    source = build.sources()
    if source is None:
        pytest.skip("needs custom_ops/")
    a, b, c = (tmp_path / name for name in "abc")
    for folder in (a, b, c):
        folder.mkdir()
    (a / "compiled_ops-tf2.98.0-abi1.so").write_bytes(b"")
    (b / HERE.library).write_bytes(library_for(HERE.built_for("0123456789ab")))
    (c / HERE.library).write_bytes(library_for(HERE.built_for(build.digest(source))))
    assert loader.find([a, b, c], HERE)[0] == c / HERE.library
    path, why = loader.find([b, a], HERE)
    assert path is None
    assert "sources 0123456789ab, but this is TensorFlow 2.99.0" in why
    path, why = loader.find([a, b], HERE)
    assert path is None
    assert why.startswith(f"{a / 'compiled_ops-tf2.98.0-abi1.so'} was made for another TensorFlow than this 2.99.0")
    (c / HERE.library).write_bytes(b"\x7fELF")
    assert "nobody knows what" in loader.find([c], HERE)[1]


def test_a_library_cut_short_is_not_opened(tmp_path):
    """It would end the process with a bus error."""
    whole = loader.library().path
    if whole is None:
        pytest.skip("needs a compiled library")
    installed, copy = build.TensorFlow.installed(), tmp_path / whole.name
    data = whole.read_bytes()
    copy.write_bytes(data)
    assert loader.find([tmp_path], installed)[0] == copy
    for size in (len(data) - 1, len(data) * 9 // 10, len(data) // 2):
        copy.write_bytes(data[:size])
        path, why = loader.find([tmp_path], installed)
        assert path is None and why.startswith(f"{copy} is not whole: ")


def test_without_sources_the_version_must_do(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "sources", lambda: None)
    others = dataclasses.replace(HERE, abi=0), dataclasses.replace(HERE, version="2.98.0")
    for words in (
        HERE.built_for("x"),
        *(other.built_for("x") for other in others),
        HERE.built_for("x").replace("_", "-"),
    ):
        (tmp_path / HERE.library).write_bytes(library_for(words))
        assert (loader.find([tmp_path], HERE)[0] is not None) == (words == HERE.built_for("x"))


def test_one_with_cuda_goes_before_others_where_there_is_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "sources", lambda: None)
    places = [tmp_path / name for name in "abc"]
    for place, more in zip(places, (b"", build.CUDA_SYMBOL, build.CUDA_SYMBOL)):
        place.mkdir()
        (place / HERE.library).write_bytes(library_for(HERE.built_for("x")) + more)
    assert loader.find(places, HERE)[0].parent == places[0]
    assert loader.find(places, HERE, cuda=True)[0].parent == places[1]
    assert loader.find(places[:1], HERE, cuda=True)[0].parent == places[0]


def test_a_library_that_cannot_be_opened_is_said_once(tmp_path, monkeypatch):
    installed = build.TensorFlow.installed()
    source = build.sources()
    if source is None:
        pytest.skip("needs custom_ops/")
    (tmp_path / installed.library).write_bytes(library_for(installed.built_for(build.digest(source))))
    monkeypatch.setattr(build, "folders", lambda: [tmp_path])
    monkeypatch.setattr(loader, "library", loader.library.__wrapped__)
    with pytest.warns(UserWarning, match=r"cannot be opened: .*TensorFlow's own operations will be used instead"):
        assert loader.implementation() == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loader.implementation() == "reference"
    assert fused_bias_act(tf.ones([1, 2]), act="relu").shape == [1, 2]
    with pytest.raises(UserError, match=r"the compiled operations were asked for, but: .* cannot be opened"):
        loader.implementation("custom")


def test_what_is_asked_for(monkeypatch):
    pretend(monkeypatch, ops="ops")
    assert loader.implementation() == "custom"
    assert loader.implementation("reference") == "reference"
    monkeypatch.setenv(loader.VARIABLE, "reference")
    assert loader.implementation() == "reference"
    assert loader.implementation("custom") == "custom"  # an argument counts more than the environment
    monkeypatch.setenv(loader.VARIABLE, "custom")
    with loader.portable():
        assert loader.implementation("custom") == "reference"
    pretend(monkeypatch)
    with pytest.raises(UserError, match="the compiled operations were asked for, but: there is none"):
        loader.implementation()
    monkeypatch.setenv(loader.VARIABLE, "auto")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loader.implementation() == "reference"  # to have none is no trouble
    pretend(monkeypatch, ops="ops", broken=True, why="it has no CUDA kernels")
    with pytest.warns(UserWarning, match="it has no CUDA kernels"):
        assert loader.implementation() == "reference"
    assert loader.implementation("custom") == "custom"


def test_a_limit_that_is_none(monkeypatch):
    pretend(monkeypatch, ops="ops")
    for name in ("", *loader.LIMITS):
        monkeypatch.setenv(loader.LIMIT, name)
        assert loader.implementation() == "custom"
    monkeypatch.setenv(loader.LIMIT, "avx")
    with pytest.raises(UserError, match="TF_STYLEGAN_MAX_ISA must be one of base, avx2, avx512; got 'avx'"):
        loader.implementation()


@pytest.mark.parametrize("argument", [True, False])
def test_mistakes(monkeypatch, argument):
    if argument:
        with pytest.raises(UserError, match="impl must be one of auto, custom, reference; got 'cuda'"):
            loader.implementation("cuda")
    else:
        monkeypatch.setenv(loader.VARIABLE, "fast")
        with pytest.raises(UserError, match="TF_STYLEGAN_OPS must be one of auto, custom, reference; got 'fast'"):
            loader.implementation()
