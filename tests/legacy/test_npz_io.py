"""Networks as `.npz` files: every generation comes back bit by bit, and hostile archives end in one line."""

import dataclasses
import io
import json
import math
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from helpers import GOLDEN

from tf_stylegan.errors import UserError
from tf_stylegan.legacy import npz_io, pickle_io
from tf_stylegan.legacy.pickle_records import NetworkRecord
from tf_stylegan.legacy.pickle_values import CorruptPickleError

FILES = sorted(path for path in (GOLDEN / "pickles").iterdir() if path.suffix in (".pkl", ".pt"))


def assert_same(actual, expected):
    """Two records are equal in everything, arrays bit by bit and in the same order."""
    for field in dataclasses.fields(NetworkRecord):
        ours, theirs = getattr(actual, field.name), getattr(expected, field.name)
        if field.name == "components":
            assert list(ours) == list(theirs)
            for key in theirs:
                assert_same(ours[key], theirs[key])
        elif field.name == "variables":
            assert list(ours) == list(theirs)
            for name, array in theirs.items():
                assert (ours[name].dtype, ours[name].shape) == (array.dtype, array.shape), name
                assert ours[name].tobytes() == array.tobytes(), name
        else:
            assert repr(ours) == repr(theirs), field.name  # repr: 1 is not True, nor a list a tuple


def example(**changes):
    """A record of a few arrays and every kind of plain value."""
    parts = {"mapping": NetworkRecord("G_mapping", "G_mapping", variables={"Dense0/weight": np.eye(3, dtype="f4")})}
    plain = {
        "a": None,
        "b": True,
        "c": [1, 2.5, (3, "ü\ud800")],
        "d": b"\0\xff",
        "e": {1: "x", None: ()},
        "$f": -(1 << 99),
    }
    record = NetworkRecord(
        name="Gs",
        func="training.networks.G_main",
        version=5,
        static_kwargs={**plain, "nan": math.nan, "inf": -math.inf, "deep": {"er": {"$x": (1,)}}},
        components=parts,
        variables={"lod": np.float32(1.5), "w": np.arange(6, dtype="i8").reshape(2, 3), "none": np.zeros([0, 4], "f2")},
        source="print('ran')  # \u2028 \udc80\n" * 9,
        extra={"array": np.array([[1, 2]], "u1"), "more": [np.array(7.0)]},
        origin="stylegan3",
    )
    return dataclasses.replace(record, **changes)


def nested(levels):
    """Components of components."""
    return {"a": NetworkRecord("n", "f", components=nested(levels - 1))} if levels else {}


ENDLESS = []
ENDLESS.append(ENDLESS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "networks.npz"


def rewrite(path, change):
    """Writes an example, then lets `change(members)` replace the archive's members, a dict of names to bytes."""
    npz_io.write(path, [example()])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def assert_corrupt(path, *words):
    with pytest.raises(CorruptPickleError) as caught:
        npz_io.read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and len(message.splitlines()) == 1
    for word in words:
        assert word in message


# ---- round trips


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_generation(file, path, tmp_path):
    records = pickle_io.read(file)
    npz_io.write(path, records)
    again = npz_io.read(path)
    assert len(again) == len(records)
    for actual, expected in zip(again, records):
        assert_same(actual, expected)
    pickle_io.write(tmp_path / "direct.pkl", records)
    pickle_io.write(tmp_path / "round.pkl", again)
    assert (tmp_path / "direct.pkl").read_bytes() == (tmp_path / "round.pkl").read_bytes()


def test_every_kind_of_value(path):
    npz_io.write(path, example())
    (record,) = npz_io.read(path)
    assert_same(record, example())
    assert not any(array.flags.writeable for array in record.all_variables().values())


def test_other_orders_of_bytes_and_axes(path):
    variables = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.arange(3, dtype=">f4")}
    variables["part"] = np.arange(20, dtype="f4").reshape(4, 5)[::2, 1:4]
    npz_io.write(path, example(variables=variables))
    (record,) = npz_io.read(path)
    for name, array in variables.items():
        np.testing.assert_array_equal(record.variables[name], array)
        assert record.variables[name].dtype.isnative


def test_two_networks_of_one_name(path):
    npz_io.write(path, [example(), example(source="other"), example(components={})])
    assert [record.name for record in npz_io.read(path)] == ["Gs"] * 3
    assert [record.source == "other" for record in npz_io.read(path)] == [False, True, False]


def test_numpy_reads_it(path):
    records = pickle_io.read(GOLDEN / "pickles" / "stylegan2-config-f.pkl")
    npz_io.write(path, records)
    with np.load(path, allow_pickle=False) as file:
        expected = {f"{r.name}/{name}": array for r in records for name, array in r.all_variables().items()}
        assert set(file.files) == {"networks.json", *expected}
        for name, array in expected.items():
            np.testing.assert_array_equal(file[name], array)
        index = json.loads(file["networks.json"])
    assert [network["name"] for network in index["networks"]] == ["G", "D", "Gs"]
    assert index["sources"] == [records[0].source]  # once, though nine networks have it


def test_packed_again(path):
    npz_io.write(path, example())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in reversed(members.items()):
            archive.writestr(name, data)
    assert_same(npz_io.read(path)[0], example())


def test_the_same_networks_give_the_same_file(path, tmp_path):
    npz_io.write(path, example())
    npz_io.write(tmp_path / "again.npz", example())
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o644}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"variables": {"a": np.array([None])}}, "Gs/a: expected an array of plain numbers, got object"),
        ({"variables": {"a": np.array(["x"])}}, "got <U1"),
        ({"variables": {"../a": np.zeros(1)}}, "cannot be the name of an array"),
        ({"variables": {"a\nb": np.zeros(1)}}, "cannot be the name of an array"),
        ({"variables": {"a\\b": np.zeros(1)}}, "cannot be the name of an array"),
        ({"variables": {"G_mapping/Dense0/weight": np.zeros(1)}}, "two variables would have the same name"),
        ({"variables": {"x" * 201: np.zeros(1)}}, "has 201 characters"),
        ({"func": "x" * 201}, "has 201 characters"),
        ({"variables": {"a": np.zeros([1] * 33)}}, "33 dimensions"),
        ({"components": nested(4)}, "more than 4 networks within each other"),
        ({"components": {str(i): NetworkRecord(str(i), "f") for i in range(64)}}, "may hold 64 of them"),
        ({"static_kwargs": {"a": {1 << 60: 1}}}, "only text, None and small integers"),
        ({"static_kwargs": {"a": {1.5: 1}}}, "only text, None and small integers"),
        ({"static_kwargs": {"a": {(1,): 1}}}, "only text, None and small integers"),
        ({"static_kwargs": {"a": ENDLESS}}, "nested deeper"),
        ({"static_kwargs": {"f": print}}, "a builtins.builtin_function_or_method cannot be written"),
        ({"source": "x" * (5 << 20)}, "may hold 4194304"),
    ],
)
def test_what_cannot_be_written(changes, words, path):
    with pytest.raises(UserError) as caught:
        npz_io.write(path, example(**changes))
    assert words in str(caught.value)
    assert list(path.parent.iterdir()) == []


# ---- files that are not what they should be


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"could not read .*nowhere\.npz: No such file"):
        npz_io.read(tmp_path / "nowhere.npz")
    with pytest.raises(UserError, match=r"is not a file; give the \.npz file"):
        npz_io.read(tmp_path)


def test_files_of_another_kind(path):
    for data in (b"", b"PK\3\4", b"hello" * 100, (GOLDEN / "pickles" / "progan.pkl").read_bytes()):
        path.write_bytes(data)
        assert_corrupt(path, "zip")
    np.savez(path, a=np.zeros(3))
    assert_corrupt(path, "it has no networks.json, so it holds something else")


def test_truncations_and_flips(path):
    npz_io.write(path, example())
    good = path.read_bytes()
    for cut in range(0, len(good), len(good) // 60):
        path.write_bytes(good[:cut])
        assert_corrupt(path)
    flips = np.random.RandomState(0).randint(0, len(good), 300)
    loaded = 0
    for at in flips:
        data = bytearray(good)
        data[at] ^= 1 << (at % 8)
        path.write_bytes(data)
        try:
            assert_same(npz_io.read(path)[0], example())
            loaded += 1  # a date or a flag that means nothing
        except CorruptPickleError as error:
            assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1
    assert loaded < len(flips) // 2


def npy(descr="'<f4'", shape="(2,)", data=b"\0" * 8, version=b"\1\0", fortran="False"):
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    "data",
    [
        npy(shape="(1000000000000,)"),
        npy(shape="(3,)"),
        npy(shape="(-1, -2)"),
        npy(shape="(2, 2.0)"),
        npy(shape="(True, 2)", fortran="1"),
        npy(shape="(" + "1," * 40 + ")", data=b"\0" * 4),
        npy(descr="'|O'"),
        npy(descr="'<U2'"),
        npy(descr="[('a', '<f4')]"),
        npy(descr="'<c8'"),
        npy(descr="'<f4'", shape="__import__('os').system('echo ran')"),
        npy(shape="(" * 5000),
        npy(version=b"\3\0"),
        npy(version=b"\7\0"),
        b"\x93NUMPY\1\0\xff\xff{",
        b"\x80\4cos\nsystem\n.",
        b"",
    ],
)
def test_arrays_that_are_none(data, path):
    rewrite(path, lambda members: members.update({"Gs/w.npy": data}))
    tracemalloc.start()
    assert_corrupt(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def index_of(members):
    return json.loads(members["networks.json"])


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.clear(),
        lambda index: index.update(format="other"),
        lambda index: index.update(networks=[]),
        lambda index: index.update(networks={"a": 1}),
        lambda index: index.update(networks=index["networks"] * 2),  # arrays asked for twice
        lambda index: index.update(sources=[1]),
        lambda index: index.update(sources=None),
        lambda index: index["networks"][0].update(source=99),
        lambda index: index["networks"][0].update(source="0"),
        lambda index: index["networks"][0].update(name=["x"]),
        lambda index: index["networks"][0].update(name="x" * 300),
        lambda index: index["networks"][0].update(class_path="os.system"),
        lambda index: index["networks"][0].update(version=6),
        lambda index: index["networks"][0].update(version=4.0),
        lambda index: index["networks"][0].update(static_kwargs=[1]),
        lambda index: index["networks"][0].update(static_kwargs={"$dict": [[1, 2]]}),
        lambda index: index["networks"][0].update(static_kwargs={"a": {"$os": "system"}}),
        lambda index: index["networks"][0].update(static_kwargs={"a": {"$tuple": 3}}),
        lambda index: index["networks"][0].update(static_kwargs={"a": {"$tuple": [], "$dict": []}}),
        lambda index: index["networks"][0].update(static_kwargs={"a": {"$bytes": "%%%"}}),
        lambda index: index["networks"][0].update(static_kwargs={"a": {"$dict": [[{"b": 1}, 2]]}}),
        lambda index: index["networks"][0].update(static_kwargs={"a": {"$array": "Gs/lod"}}),
        lambda index: index["networks"][0].update(variables=["lod"]),
        lambda index: index["networks"][0].update(variables=["lod", "lod", "w", "none"]),
        lambda index: index["networks"][0].update(variables=["lod", "w", "none", "../../secret"]),
        lambda index: index["networks"][0].update(components=[]),
        lambda index: index["networks"][0]["components"].update(mapping=None),
        lambda index: index["networks"][0].pop("func"),
    ],
)
def test_lists_of_contents_that_lie(change, path):
    def rewrite_index(members):
        index = index_of(members)
        change(index)
        members["networks.json"] = json.dumps(index).encode()

    rewrite(path, rewrite_index)
    assert_corrupt(path)


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"1" * 5000, b"\xff", b"null"])
def test_lists_of_contents_that_are_none(text, path):
    rewrite(path, lambda members: members.update({"networks.json": text}))
    assert_corrupt(path)


def test_networks_within_networks(path):
    def add_levels(members):
        index = index_of(members)
        empty = {**index["networks"][0], "name": "n", "variables": [], "static_kwargs": {}, "extra": {}}
        for _ in range(4):
            index["networks"][0]["components"] = {"a": {**empty, "components": index["networks"][0]["components"]}}
        members["networks.json"] = json.dumps(index).encode()

    npz_io.write(path, example(components=nested(3), extra={}))
    assert len(npz_io.read(path)) == 1
    rewrite(path, add_levels)
    assert_corrupt(path, "within each other")


def test_the_longest_names_and_as_many_networks(path):
    """What the writer takes the reader takes, at every limit."""
    long = "x" * 200
    array = {"deep": {(1 << 60) - 1: [np.ones(2)]}}
    parts = {long: NetworkRecord(long, long, extra=array, variables={long: np.zeros([1] * 32)})}
    npz_io.write(
        path,
        [example(name=long, func=long, components=parts, variables={long: np.ones(1)}), *[example(name=long)] * 20],
    )
    first, *others = npz_io.read(path)
    assert first.components[long].extra["deep"][(1 << 60) - 1][0].tolist() == [1, 1]
    assert {record.name for record in others} == {long}


def test_a_member_more(path):
    rewrite(path, lambda members: members.update({"os.system": b"x"}))
    assert_corrupt(path, "nothing is said of os.system")


def test_a_bomb(path):
    rewrite(path, lambda members: None)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Gs/bomb.npy", bytes(60 << 20))
    tracemalloc.start()
    assert_corrupt(path, "its members claim")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_bomb_that_claims_little(path):
    npz_io.write(path, example())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["Gs/w.npy"] = bytes(60 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    small, big = struct.pack("<I", 100), struct.pack("<I", 60 << 20)
    assert path.read_bytes().count(big) == 2  # in the member's head and in the directory
    path.write_bytes(path.read_bytes().replace(big, small))
    tracemalloc.start()
    assert_corrupt(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_of_another_packing(packing, path):
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("networks.json", b" " * (60 << 20))
    small, big = struct.pack("<I", 100), struct.pack("<I", 60 << 20)
    path.write_bytes(path.read_bytes().replace(big, small))
    tracemalloc.start()
    assert_corrupt(path, "'networks.json' is packed in an unusual way")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_members_that_overlap(path):
    npz_io.write(path, example(variables={"w": np.zeros(1 << 18, "f4")}, components={}, extra={}))
    data = path.read_bytes()
    entry, start = data[data.rfind(b"PK\1\2") : data.rfind(b"PK\5\6")], data.find(b"PK\1\2")
    assert b"Gs/w.npy" in entry
    entries = data[start : data.rfind(b"PK\5\6")]
    for i in range(40):  # as many names for the bytes of one array
        entries += entry.replace(b"Gs/w.npy", b"Gs/%05d" % i)
    path.write_bytes(
        data[:start] + entries + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 42, 42, len(entries), start, 0)
    )
    assert_corrupt(path, "its members claim")


def test_a_list_of_members_without_end(path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("networks.json", b"{}")
    data = buffer.getvalue()
    start, end = data.find(b"PK\1\2"), data.rfind(b"PK\5\6")
    entries = data[start:end] * 80_000
    finish = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 80_000 & 0xFFFF, 80_000 & 0xFFFF, len(entries), start, 0)
    path.write_bytes(data[:start] + entries + finish)
    tracemalloc.start()
    assert_corrupt(path, "list of members")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_an_encrypted_member(path):
    npz_io.write(path, example())
    data = path.read_bytes()
    at = data.find(b"PK\1\2")
    path.write_bytes(data[: at + 8] + b"\1" + data[at + 9 :])
    assert_corrupt(path, "encrypted")
