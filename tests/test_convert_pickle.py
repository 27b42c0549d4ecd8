"""tools/convert_pickle.py: what it prints, what it writes, and how it complains."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import GOLDEN
from legacy.torch_files import read_tree, zip_layout

from tf_stylegan import cli
from tf_stylegan.legacy import npz_io, pickle_io
from tools import convert_pickle

ROOT = Path(__file__).resolve().parent.parent
PICKLES = GOLDEN / "pickles"
CONFIG_F = PICKLES / "stylegan2-config-f.pkl"


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    """main sets these: let pytest put them back."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")


def convert(*arguments):
    """Exit code of a command."""
    return cli.run(convert_pickle.main, [str(argument) for argument in arguments])


def assert_complains(capsys, words, *arguments):
    assert convert(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and len(err.splitlines()) == 1 and words in err, err


def assert_same_variables(path, expected):
    records = pickle_io.read(path)
    assert [record.name for record in records] == [record.name for record in expected]
    for ours, theirs in zip(records, expected):
        arrays = theirs.all_variables()
        assert ours.all_variables().keys() == arrays.keys()
        for name, array in ours.all_variables().items():
            assert array.shape == arrays[name].shape
            assert array.tobytes() == np.asarray(arrays[name], np.float32).tobytes(), name


# ---- inspect

PRINTED = """\
size            0.7 MB (712,092 bytes)
generation      StyleGAN2 configs e-f (TensorFlow pickle version 4)
config          config-e or config-f, but with fmap_base=256, fmap_max=24, latent_size=48, dlatent_size=48
networks        G, D, Gs
resolution      32 x 32
channels        3
labels          none
latents         48
w               48, in 8 styles
mapping         8 layers
source text     25 characters, kept as text

network  function                                    architecture  parameters  all numbers  variables
G        G_main + G_synthesis_stylegan2 + G_mapping  skip              63,467       66,220         77
D        D_stylegan2                                 resnet            42,921       42,921         23
Gs       G_main + G_synthesis_stylegan2 + G_mapping  skip              63,467       66,220         77

keywords of G, Gs: dlatent_broadcast=8, dlatent_size=48, fmap_base=256, fmap_max=24, label_size=0,
    latent_size=48, mapping_fmaps=48, num_channels=3, resolution=32
keywords of D: fmap_base=256, fmap_max=24, label_size=0, num_channels=3, resolution=32
Nothing in the file was executed.
"""


def test_what_inspect_prints(capsys):
    assert convert("inspect", CONFIG_F) == 0
    assert capsys.readouterr() == (f"file            {CONFIG_F}\n{PRINTED}", "")


@pytest.mark.parametrize(
    "path", sorted(p for p in PICKLES.iterdir() if p.suffix in (".pkl", ".pt")), ids=lambda p: p.name
)
def test_every_file_can_be_inspected(path, capsys):
    assert convert("inspect", path) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("Nothing in the file was executed.\n")
    assert re.search(r"^generation +(StyleGAN|ProGAN)", out, re.MULTILINE) and "unknown" not in out
    assert convert("inspect", path.as_uri(), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["file"] == str(path) and facts["bytes"] == path.stat().st_size
    assert facts["executed"] is False and facts["channels"] in (1, 3)


def test_a_file_with_odd_keywords(tmp_path, capsys):
    G, D, Gs = pickle_io.read(CONFIG_F)
    odd = {"res_log2": 5, "esc": "\x1b[2J", "long": "x" * 999, "bytes": b"\0", "array": np.zeros(2), "dict": {1: None}}
    Gs = dataclasses.replace(Gs, static_kwargs={**Gs.static_kwargs, **odd}, name="G\x1b[31ms", source="x" * 40_000)
    pickle_io.write(tmp_path / "odd.pkl", [G, D, Gs])
    assert convert("inspect", tmp_path / "odd.pkl") == 0
    out, _ = capsys.readouterr()
    (line,) = re.findall(r"^keywords unknown to this package of .*?(?=^\S)", out, re.MULTILINE | re.DOTALL)
    assert "res_log2=5" in line and "xxx..." in line and len(line) < 600
    assert "\x1b" not in out and r"G\x1b[31ms" in out
    assert "source text     40,000 and 25 characters, kept as text" in out
    assert convert("inspect", tmp_path / "odd.pkl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["networks"][2]["unknown_keywords"]["bytes"] == "b'\\x00'"


# ---- conversions


def test_through_every_format(tmp_path, capsys):
    records = pickle_io.read(CONFIG_F)
    npz, keras, pkl, saved = (tmp_path / name for name in ("a.npz", "a.keras", "a.pkl", "saved"))
    assert convert("to-npz", CONFIG_F, npz) == 0
    assert convert("to-pkl", npz, pkl) == 0
    assert [record.source for record in pickle_io.read(pkl)] == [record.source for record in records]
    assert_same_variables(pkl, records)
    assert convert("to-keras", npz, keras) == 0
    assert convert("inspect", keras) == 0
    assert "networks        Gs\n" in capsys.readouterr().out
    assert convert("to-pkl", keras, pkl, "--force") == 0
    assert_same_variables(pkl, records[2:])
    assert convert("to-savedmodel", keras, saved) == 0
    assert (saved / "saved_model.pb").is_file()
    assert convert("to-keras", pkl, keras, "--force", "--network=Gs") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "a.npz", "a.pkl", "saved"]


def test_a_discriminator_and_an_only_network(tmp_path):
    assert convert("to-keras", CONFIG_F, tmp_path / "d.keras", "--network=D") == 0
    assert convert("to-npz", tmp_path / "d.keras", tmp_path / "d.npz") == 0
    assert [record.func for record in npz_io.read(tmp_path / "d.npz")] == ["D_stylegan2"]
    assert convert("to-savedmodel", tmp_path / "d.npz", tmp_path / "d") == 0  # without --network: there is no other


def test_from_pytorch(tmp_path):
    records = pickle_io.read(PICKLES / "torch-ada-cond.pkl")
    assert convert("to-pkl", PICKLES / "torch-ada-cond.pkl", tmp_path / "tf.pkl") == 0
    assert_same_variables(tmp_path / "tf.pkl", records)
    assert {record.version for record in pickle_io.read(tmp_path / "tf.pkl")} == {5}


def test_unknown_keywords_are_a_warning(tmp_path, capsys):
    *_, Gs = pickle_io.read(CONFIG_F)
    pickle_io.write(tmp_path / "fork.pkl", dataclasses.replace(Gs, static_kwargs={**Gs.static_kwargs, "res_log2": 5}))
    assert convert("to-keras", tmp_path / "fork.pkl", tmp_path / "fork.keras") == 0
    assert re.fullmatch(
        r"warning: .*fork\.pkl: Gs has keywords this version does not know: res_log2\n", capsys.readouterr().err
    )


def test_warnings_do_not_command_the_terminal(tmp_path, capsys):
    *_, Gs = pickle_io.read(CONFIG_F)
    strange = {**Gs.static_kwargs, "\x1b[2J": 5}
    pickle_io.write(tmp_path / "fork\x1b.pkl", dataclasses.replace(Gs, static_kwargs=strange))
    assert convert("to-keras", tmp_path / "fork\x1b.pkl", tmp_path / "fork.keras") == 0
    err = capsys.readouterr().err
    assert err.endswith("fork\\x1b.pkl: Gs has keywords this version does not know: \\x1b[2J\n") and "\x1b" not in err


def test_which_network_is_taken(tmp_path, capsys):
    G, D, Gs = pickle_io.read(CONFIG_F)
    pickle_io.write(tmp_path / "x.pkl", [Gs, G, D])
    for arguments, name in (([], "Gs"), (["--network=G"], "G"), (["--network=D"], "D")):
        assert convert("to-keras", tmp_path / "x.pkl", tmp_path / "x.keras", "--force", *arguments) == 0
        assert convert("to-npz", tmp_path / "x.keras", tmp_path / "x.npz", "--force") == 0
        assert [record.name for record in npz_io.read(tmp_path / "x.npz")] == [name]


def test_an_average_that_a_file_does_not_have(tmp_path, capsys):
    tree = read_tree(PICKLES / "rosinality.pt")
    del tree["latent_avg"]
    (tmp_path / "x.pt").write_bytes(zip_layout(tree))
    assert convert("to-npz", tmp_path / "x.pt", tmp_path / "x.npz") == 0
    assert capsys.readouterr().err.count("mean of 4096 mapped latents") == 1
    for name in ("x.pt", "x.npz"):  # a pickle of the TensorFlow family would not say that zeros are none
        assert convert("to-pkl", tmp_path / name, tmp_path / "x.pkl", "--force") == 0
        assert np.abs(pickle_io.read(tmp_path / "x.pkl")[-1].variables["dlatent_avg"]).max() > 0.01


# ---- mistakes


@pytest.mark.parametrize(
    "words, arguments",
    [
        ("nowhere.pkl: No such file", ["inspect", "nowhere.pkl"]),
        ("nowhere.npz: No such file", ["inspect", "nowhere.npz"]),
        ("nowhere.keras: No such file", ["to-pkl", "nowhere.keras", "x.pkl"]),
        ("did you mean", ["inspect", "ffqh"]),
        ("x.h5: the file to write must end in .keras", ["to-keras", CONFIG_F, "x.h5"]),
        ("x.pkl: the file to write must end in .npz", ["to-npz", CONFIG_F, "x.pkl"]),
        ("x: the file to write must end in .pkl", ["to-pkl", CONFIG_F, "x"]),
        ("--network=Gx: ", ["to-keras", CONFIG_F, "x.keras", "--network=Gx"]),
        ("holds G, D, Gs", ["to-savedmodel", CONFIG_F, "x", "--network=gs"]),
        ("there.npz exists; give another name, or --force to replace it", ["to-npz", CONFIG_F, "there.npz"]),
        ("there exists and is not an empty folder", ["to-savedmodel", CONFIG_F, "there"]),
        ("there.pkl is a folder", ["to-pkl", CONFIG_F, "there.pkl", "--force"]),
        ("no/x.npz: No such file", ["to-npz", CONFIG_F, "no/x.npz"]),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").write_text("mine")
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "there.pkl").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert_complains(capsys, words, *arguments)
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "there.npz").read_text() == "mine"


def test_the_command_line_without_tensorflow():
    """In a process of its own: no conversion to arrays and no look at a file waits for TensorFlow."""
    code = f"""
import re, sys
sys.argv[0] = "convert_pickle.py"
from tf_stylegan import cli
from tools import convert_pickle
assert cli.run(convert_pickle.main, ["inspect", {str(CONFIG_F)!r}]) == 0
assert cli.run(convert_pickle.main, ["inspect", "nowhere.pkl"]) == 2
import tf_stylegan
assert re.fullmatch(r"\\d+\\.\\d+\\.\\d+.*|unknown", tf_stylegan.__version__)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
for command in ("inspect", "to-keras", "to-npz", "to-pkl", "to-savedmodel"):
    try:
        convert_pickle.main([command, "--help"])
    except SystemExit as end:
        assert end.code == 0
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "error: could not read nowhere.pkl: No such file or directory\n"
    assert PRINTED in result.stdout


def test_the_script_itself(tmp_path):
    line = [sys.executable, str(ROOT / "tools" / "convert_pickle.py")]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}  # the package may not be installed here
    good = [*line, "to-npz", str(CONFIG_F), str(tmp_path / "x.npz")]
    result = subprocess.run(good, capture_output=True, text=True, env=environment, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{tmp_path / 'x.npz'}\n", "")
    result = subprocess.run(good, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2 and result.stderr.startswith("error: ")
    result = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2 and "COMMAND" in result.stderr
