"""Network pickles of every generation are read as Python's unpickler reads them, and written for it to read."""

import base64
import collections
import dataclasses
import io
import os
import pickle
import pickletools
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from helpers import GOLDEN, golden

from tf_stylegan.errors import UserError
from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.pickle_io import NetworkRecord

PICKLES = GOLDEN / "pickles"
FILES = sorted(path.stem for path in PICKLES.glob("*.pkl") if not path.stem.startswith("torch"))


class Network:
    """What the originals' class is to the unpickler: something that takes a state."""


class StubUnpickler(pickle.Unpickler):
    """Python's own unpickler, with a class that does nothing in place of the originals'."""

    def find_class(self, module, name):
        if (module, name) in (("dnnlib.tflib.network", "Network"), ("tfutil", "Network")):
            return type("Network", (Network,), {"class_path": f"{module}.{name}"})
        assert module.startswith(("numpy", "_codecs", "collections"))
        return super().find_class(module, name)


def unpickle(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a NumPy that finds the names outdated says so
        value = StubUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    return value if isinstance(value, tuple) else (value,)


def assert_same_arrays(actual, expected):
    """The same names in the same order, the same bits."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert isinstance(actual[name], np.ndarray)
        assert actual[name].dtype == value.dtype and actual[name].shape == value.shape, name
        assert actual[name].tobytes() == value.tobytes(), name


def assert_like_unpickled(record, network):
    state = dict(network.__dict__)
    assert record.class_path == network.class_path
    assert (record.version, record.name) == (state.pop("version"), state.pop("name"))
    assert (record.func, record.source) == (state.pop("build_func_name"), state.pop("build_module_src"))
    assert record.static_kwargs == state.pop("static_kwargs")
    assert_same_arrays(record.variables, dict(state.pop("variables")))
    components = state.pop("components", {})
    assert list(record.components) == list(components)
    for key, component in components.items():
        assert_like_unpickled(record.components[key], component)
    assert record.extra == state


def assert_same_record(actual, expected):
    assert_same_arrays(actual.all_variables(), expected.all_variables())
    assert_same_arrays(actual.variables, expected.variables)
    assert list(actual.components) == list(expected.components)
    for key, component in expected.components.items():
        assert_same_record(actual.components[key], component)
    for field in ("name", "func", "version", "static_kwargs", "source", "class_path", "extra"):
        assert getattr(actual, field) == getattr(expected, field), field


def test_goldens_are_all_here():
    assert len(FILES) == 10


@pytest.mark.parametrize("file", FILES)
def test_read_gives_what_python_gives(file):
    path = PICKLES / f"{file}.pkl"
    records, networks = pickle_io.read(path), unpickle(path)
    assert [record.name for record in records] == ["G", "D", "Gs"]
    for record, network in zip(records, networks, strict=True):
        assert_like_unpickled(record, network)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("protocol", [3, 4])
def test_written_file_reads_the_same(file, protocol, tmp_path):
    records = pickle_io.read(PICKLES / f"{file}.pkl")
    path = tmp_path / "out.pkl"
    pickle_io.write(path, records, protocol)
    assert path.read_bytes()[:2] == bytes([0x80, protocol])
    for actual, network, expected in zip(pickle_io.read(path), unpickle(path), records, strict=True):
        assert_same_record(actual, expected)
        assert_like_unpickled(actual, network)


@pytest.mark.parametrize("file", ["progan", "progan-cond"])
def test_variables_of_progan(file):
    data = golden(f"pickles/{file}")
    for record in pickle_io.read(PICKLES / f"{file}.pkl")[:2]:
        prefix = f"var_{record.name}/"
        expected = {name.removeprefix(prefix): value for name, value in data.items() if name.startswith(prefix)}
        assert_same_arrays(record.all_variables(), expected)
        assert record.components == {} and record.version == 2 and record.class_path == "tfutil.Network"


def test_names_and_keywords_of_config_f():
    generator, discriminator, average = pickle_io.read(PICKLES / "stylegan2-config-f.pkl")
    assert (generator.func, generator.version, generator.name) == ("G_main", 4, "G")
    assert generator.static_kwargs["resolution"] == 32 and generator.static_kwargs["fmap_base"] == 256
    assert {key: part.name for key, part in generator.components.items()} == {
        "synthesis": "G_synthesis",
        "mapping": "G_mapping",
    }
    variables = average.all_variables()
    assert next(iter(variables)) == "lod" and variables["dlatent_avg"].shape == (48,)
    assert variables["G_synthesis/4x4/Const/const"].shape == (1, 24, 4, 4)
    assert variables["G_mapping/Dense7/weight"].shape == (48, 48)
    assert discriminator.all_variables()["4x4/Conv/weight"].shape == (3, 3, 25, 24)
    assert generator.source == "# network source removed\n" and discriminator.components == {}


def test_state_of_ada_is_kept():
    record = pickle_io.read(PICKLES / "stylegan2-ada-cond.pkl")[0]
    assert record.version == 5
    assert record.extra["input_shapes"] == [[None, 48], [None, 3]]
    assert list(record.extra) == ["input_shapes", "output_shapes", "input_names", "output_names"]


# What Python 2.7.18 and NumPy 1.16.6 write (protocol 2) for a class tfutil.Network with an EasyDict of keywords.
PYTHON2 = (
    "c-nQ5zfK!L5XN`UCbl;?IDsStC?cgf8Ve~DDWX6DvXqrvAdN(d=(M-D7oRxadG>a(Tp*Dm=Fb~IOO>a<5l_J*q)VADoP7r=qD-"
    "+ft537vZ)c7jX+mqFn01vIruu*(UH^*C5msENCZeyf3bX@_L!l$#$120Q&-"
    "loNN}L8*lZovQMs1mD)$ZHaL_%vZVwn`N&<yK^&H^(UD25Gi!c9&%J=sI%@(R%R-"
    "EQ~epFCy<C&q^=A!KX3hmXfN4|Mn+2Tv=RCYjMz8ivi%CkYA_pK$UGsGs{RxSVo_SH?Yd2Fv-"
    "|$Cnqk*OwQcCYx`sCV4#}r2fPBV{8Epd(Gb8)~64xQ}A~s__G=Khkw9NVS|*hT`%(1ukzk1^S!=Q<f-"
    "eTf(743ao~kEk=|_LOHk{012Iq<pF{0X=`2bUe8C-"
    "PW=5DudIv+HzhwAQ21yb}etWjTU6GA;qUk)A^A)~wfeKE6%JaqpSpKnnCogWk168L$gU<EuLb6A=;zO%I>8F8>m6vIWt5AFMT8i)"
    "|!!_%-?*PeduRQ"
)


def test_python_2(tmp_path):
    (record,) = pickle_io.parse(zlib.decompress(base64.b85decode(PYTHON2)), "python2.pkl")
    assert (record.name, record.func, record.source) == ("G", "G_paper", "# café\n")
    assert record.static_kwargs == {"a": 1, "b": "é", "c": 2**70, "d": -1.5, "e": True}
    expected = {
        "lod": np.array(0.5, "f4"),
        "w": np.arange(6, dtype="f4").reshape(2, 3) * np.float32(-1.7),
        "f": np.arange(6, dtype="f8").reshape(2, 3),  # in Fortran order and big-endian
    }
    assert_same_arrays(record.variables, expected)
    pickle_io.write(tmp_path / "out.pkl", record)
    assert_same_record(pickle_io.read(tmp_path / "out.pkl")[0], record)


def test_long_text_of_python_2():
    def text(value):
        return b"T" + len(value).to_bytes(4, "little") + value

    source = "# café\n" * 20_000
    state = {"name": b"U\x01G", "build_func_name": b"U\x01f", "build_module_src": text(source.encode("latin-1"))}
    state |= {"version": b"K\x03", "static_kwargs": b"}", "components": b"}", "variables": b"]"}
    data = b"".join(b"U" + bytes([len(key)]) + key.encode() + value for key, value in state.items())
    (record,) = pickle_io.parse(b"\x80\x02cdnnlib.tflib.network\nNetwork\n)\x81}(" + data + b"ub.")
    assert record.source == source


def test_written_names_are_those_of_numpy_1(tmp_path):
    pickle_io.write(tmp_path / "out.pkl", pickle_io.read(PICKLES / "stylegan2-ada-cond.pkl"))
    found = collections.Counter(
        arg for opcode, arg, _ in pickletools.genops((tmp_path / "out.pkl").read_bytes()) if opcode.name == "GLOBAL"
    )
    assert set(found) == {
        "dnnlib.tflib.network Network", "numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"
    }  # fmt: skip


VALUES = {
    "none": None,
    "yes": True,
    "small": 7,
    "byte": 255,
    "word": 65535,
    "minus": -(2**31),
    "long": 2**70,
    "float": -0.5,
    "text": "é€😀",
    "bytes": b"\0a",
    "long_bytes": b"x" * 300,
    "list": [1, [2, [], {}]],
    "tuple": (1, ("a",), ()),
    "dict": {"a": {1: None, "b": 2}},
}
ARRAYS = {
    **{
        kind: np.arange(3).astype(kind)
        for kind in ("?", "i1", "u1", "i2", "u4", "<i8", ">i4", "f2", "<f4", ">f4", "f8")
    },
    "scalar": np.array(1.5, "f4"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(24, dtype="f4").reshape(2, 3, 4)[:, ::2, ::-1],
    "empty": np.zeros((0, 3), "f4"),
    "nan": np.array([np.nan, -0.0, np.inf], "f4"),
}


def test_values_and_arrays_survive(tmp_path):
    part = NetworkRecord("S", "f", variables={"a": np.ones(2, "f4")})
    inner = NetworkRecord("T", "f", components={"x": part}, extra={"shapes": [[None, 3]]})
    kwargs = {**VALUES, "np": np.float32(0.5), "count": np.int64(3), "kernel": np.arange(4)}
    record = NetworkRecord(
        "G", "G_main", 5, kwargs, {"t": inner}, {**ARRAYS, "np": np.float32(2)}, "é\n" * 9, extra=VALUES
    )
    pickle_io.write(tmp_path / "out.pkl", record)
    (result,) = pickle_io.read(tmp_path / "out.pkl")
    assert {key: result.static_kwargs[key] for key in VALUES} == VALUES == result.extra
    assert type(result.static_kwargs["np"]) is float and type(result.static_kwargs["count"]) is int
    np.testing.assert_array_equal(result.static_kwargs["kernel"], np.arange(4))
    expected = {name: value.astype(value.dtype.newbyteorder("=")) for name, value in ARRAYS.items()}
    assert_same_arrays(result.variables, {**expected, "np": np.array(2, "f4")})
    assert list(result.all_variables())[-1] == "T/S/a" and result.source == record.source
    assert_like_unpickled(
        dataclasses.replace(result, static_kwargs=VALUES), unpickled_with(tmp_path / "out.pkl", VALUES)
    )


def unpickled_with(path, kwargs):
    (network,) = unpickle(path)
    network.static_kwargs = kwargs  # arrays among them do not compare with ==
    return network


def test_lists_and_numbers_of_networks(tmp_path):
    records = pickle_io.read(PICKLES / "progan.pkl")
    for count in (1, 2, 4):
        pickle_io.write(tmp_path / "out.pkl", (*records, *records)[:count])
        assert [r.name for r in pickle_io.read(tmp_path / "out.pkl")] == ["G", "D", "Gs", "G"][:count]


def within(levels):
    """Components of components."""
    return {"a": NetworkRecord("n", "f", components=within(levels - 1))} if levels else {}


GOOD = NetworkRecord("G", "G_main", variables={"w": np.ones(2, "f4")})
DEEP = []
for _ in range(60):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "changes, says",
    [
        (
            {"static_kwargs": {"nonlinearity": print}},
            "static_kwargs: a builtins.builtin_function_or_method cannot be written",
        ),
        ({"static_kwargs": {"a": {1.5: 2}}}, "float as key"),
        ({"static_kwargs": {"a": {1 << 60: 2}}}, "int as key cannot be written; text and small integers can"),
        ({"variables": {"x" * 201: np.ones(1)}}, "has 201 characters, 200 are allowed"),
        ({"name": "x" * 201}, "has 201 characters"),
        ({"func": "x" * 201}, "has 201 characters"),
        ({"components": {"x" * 201: NetworkRecord("a", "f")}}, "has 201 characters"),
        ({"components": within(4)}, "more than 4 networks within each other"),
        ({"variables": {"a": np.ones([1] * 33)}}, "33 dimensions cannot be written"),
        ({"static_kwargs": {"a": {1, 2}}}, "builtins.set"),
        ({"static_kwargs": {"a": 1j}}, "builtins.complex"),
        ({"static_kwargs": {"a": DEEP}}, "nested deeper"),
        ({"static_kwargs": {"a": 10**700}}, "integer of"),
        ({"static_kwargs": {1: 2}}, "text as keys"),
        ({"static_kwargs": {"a": np.array([None])}}, "array of object"),
        (
            {"variables": {"w": np.array([None])}},
            "variable w: expected a NumPy array of plain numbers, got array of object",
        ),
        ({"variables": {"w": [1.0]}}, "variable w: expected a NumPy array of plain numbers, got list"),
        ({"variables": {"w": np.array(["a"])}}, "got array of <U1"),
        ({"variables": [("w", np.ones(1))]}, "variables of network G must be a dict"),
        ({"version": 6}, "version must be one of"),
        ({"class_path": "os.system"}, "class_path one of"),
        ({"source": None}, "source of network G must be a str"),
        ({"origin": None}, "origin of network G must be a str"),
        ({"extra": {"name": "x"}}, "extra may not hold"),
        ({"components": {"x": 1}}, "NetworkRecord, got int"),
        (
            {
                "variables": {"S/w": np.ones(1)},
                "components": {"s": NetworkRecord("S", "f", variables={"w": np.ones(1)})},
            },
            "same name",
        ),
    ],
)
def test_what_cannot_be_written(changes, says, tmp_path):
    path = tmp_path / "out.pkl"
    pickle_io.write(path, GOOD)
    before = path.read_bytes()
    with pytest.raises(UserError, match=says):
        pickle_io.write(path, dataclasses.replace(GOOD, **changes))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["out.pkl"]


def test_what_is_written_is_read_at_every_limit(tmp_path):
    long, keys = "x" * 200, {"a": {(1 << 60) - 1: 1, None: 2}}
    record = dataclasses.replace(GOOD, name=long, func=long, static_kwargs=keys, components=within(3))
    pickle_io.write(tmp_path / "out.pkl", [dataclasses.replace(record, variables={long: np.ones([1] * 32)}), record])
    first, _ = pickle_io.read(tmp_path / "out.pkl")
    assert first.static_kwargs == keys and first.variables[long].ndim == 32
    many = dataclasses.replace(GOOD, components={str(i): NetworkRecord(str(i), "f") for i in range(63)})
    pickle_io.write(tmp_path / "out.pkl", many)
    assert len(pickle_io.read(tmp_path / "out.pkl")[0].components) == 63
    with pytest.raises(UserError, match="may hold 64 of them"):
        pickle_io.write(tmp_path / "out.pkl", [many, GOOD])


@pytest.mark.parametrize(
    "arguments, says", [(((),), "at least one"), ((GOOD, 2), "must be 3 or 4"), ((["x"],), "got str")]
)
def test_other_mistakes_in_writing(arguments, says, tmp_path):
    with pytest.raises(UserError, match=says):
        pickle_io.write(tmp_path / "out.pkl", *arguments)
    assert os.listdir(tmp_path) == []


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.pkl", tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match=str(path)):
            pickle_io.read(path)
    with pytest.raises(UserError, match=r"is a folder; give the \.pkl file$"):
        pickle_io.read(tmp_path)
    for address in ("https://example.org/a.pkl", "HTTP://example.org/a.pkl"):
        with pytest.raises(UserError, match=rf"^{address} is an address: download the file first"):
            pickle_io.read(address)


@pytest.mark.parametrize("magic", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_picture(tmp_path, magic):
    (tmp_path / "x.pkl").write_bytes(magic + bytes(100))
    with pytest.raises(UserError, match="this is a picture"):
        pickle_io.read(tmp_path / "x.pkl")


def test_a_training_checkpoint(tmp_path):
    arrays = {f"G/layer{number}/weight": np.ones(3) for number in range(1000)}
    np.savez(tmp_path / "other.npz", **arrays, my_progress=np.ones(1), note=np.array("progress.npy"))
    with pytest.raises(UserError, match="this is a zip archive"):
        pickle_io.read(tmp_path / "other.npz")
    np.savez(tmp_path / "ours.npz", progress=np.array("{}"), **arrays)
    says = r"this is a training checkpoint of tf_stylegan: give a network-\*\.pkl, or resume with it"
    with pytest.raises(UserError, match=says):
        pickle_io.read(tmp_path / "ours.npz")
    with pytest.raises(UserError, match=says):
        pickle_io.parse((tmp_path / "ours.npz").read_bytes())


@pytest.mark.parametrize("value, says", [(b"K\x03.", "got an int"), (b"]K\x03a.", "got a list of int")])
def test_another_value(value, says):
    with pytest.raises(UserError, match=says):
        pickle_io.parse(b"\x80\x04" + value)


def test_large_arrays_are_not_copied(tmp_path):
    path = tmp_path / "large.pkl"
    record = NetworkRecord(
        "G", "f", variables={str(i): np.full((512, 512, 8), i, "f4") for i in range(4)}
    )  # 8 MiB each
    tracemalloc.start()
    pickle_io.write(path, record)
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    (result,) = pickle_io.read(path)
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written < 1 << 20 and read < 1 << 20
    assert_same_record(result, record)
    assert not result.variables["3"].flags.writeable


def test_write_over_the_file_that_was_read(tmp_path):
    path = tmp_path / "file.pkl"
    pickle_io.write(path, GOOD)
    (record,) = pickle_io.read(path)
    pickle_io.write(path, dataclasses.replace(record, name="Gs"))
    (again,) = pickle_io.read(path)
    assert again.name == "Gs"
    assert_same_arrays(again.variables, record.variables)
