"""Hostile and damaged files end in one of two errors, quickly, in little memory and without any effect."""

import os
import pickle
import random
import sys
import time
import tracemalloc

import numpy as np
import pytest
from helpers import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy.hostile_pickles import CORRUPT, NETWORK, PENDING, UNSAFE, array, call, dtype, name, network, text

from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.pickle_machine import Machine
from tf_stylegan.legacy.pickle_names import NETWORK_NAMES, NUMPY_NAMES
from tf_stylegan.legacy.pickle_values import CorruptPickleError, Marker, UnsafePickleError

SMALL = GOLDEN / "pickles" / "progan-cond.pkl"
REFUSALS = (UnsafePickleError, CorruptPickleError)


HOSTILE = [
    (key, error, *case)
    for cases, error in ((UNSAFE, REFUSALS[0]), (CORRUPT, REFUSALS[1]))
    for key, case in cases.items()
]


@pytest.mark.parametrize("error, data, says", [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_file_is_refused(error, data, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pkl"
    path.write_bytes(data)
    environment, modules = dict(os.environ), set(sys.modules)
    with pytest.raises(REFUSALS) as caught:
        start = time.process_time()  # not the clock on the wall: other tests run beside this one
        pickle_io.read(path)
    assert time.process_time() - start < 2
    assert caught.type is error
    message = str(caught.value)
    assert (
        says in message and str(path) in message and "byte" in message and "\n" not in message and len(message) < 1000
    )
    assert os.listdir(tmp_path) == ["file.pkl"] and dict(os.environ) == environment
    assert not {"antigravity", "torch", "dnnlib", "tfutil"} & (set(sys.modules) - modules)


def test_small_hostile_files_take_little_memory():
    for key, _, data, _ in HOSTILE:
        if len(data) > 1 << 14:
            continue
        tracemalloc.start()
        with pytest.raises(REFUSALS):
            pickle_io.parse(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20, key


@pytest.mark.parametrize(
    "case", ["encode bomb", "byte order bomb", "OrderedDict bomb", "sets", "dicts and memo", "nested lists"]
)
def test_large_hostile_files_take_bounded_memory(case):
    tracemalloc.start()
    with pytest.raises(CorruptPickleError):
        pickle_io.parse(CORRUPT[case][0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 << 20


def test_allow_list_is_this_short():
    numpy_names = {"multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer"}
    assert set(NUMPY_NAMES) == {
        *(f"numpy.{core}.{x}" for core in ("core", "_core") for x in numpy_names),
        "numpy.ndarray", "numpy.dtype", "_codecs.encode", "collections.OrderedDict", "builtins.bytes",
        "__builtin__.bytes",
    }  # fmt: skip
    assert set(NETWORK_NAMES) - set(NUMPY_NAMES) == {
        "dnnlib.tflib.network.Network", "tfutil.Network", "dnnlib.util.EasyDict", "dnnlib.EasyDict",
    }  # fmt: skip


def test_words_of_this_file_make_a_good_pickle():
    (record,) = pickle_io.parse(network() + b".")
    assert record.name == "G" and record.variables["lod"].tobytes() == b"abcd"
    assert len(pickle_io.parse(network() + b"\x94h\0\x86.")) == 2
    assert pickle_io.parse(network() + b".junk")[0].func == "G_main"  # bytes after STOP are left alone


# ---- damage


def check_outcome(data):
    """None when it is refused, else the records; any other error fails the test."""
    try:
        records = pickle_io.parse(data)
    except REFUSALS:
        return None
    assert records and all(isinstance(record, pickle_io.NetworkRecord) for record in records)
    return records


@pytest.mark.parametrize("file", ["progan-cond", "stylegan1", "stylegan2-config-f", "stylegan2-ada-cond-dmap"])
def test_truncation_is_refused(file):
    data = (GOLDEN / "pickles" / f"{file}.pkl").read_bytes()
    assert check_outcome(data) is not None
    for percent in range(100):
        with pytest.raises(CorruptPickleError, match=r"byte \d+"):
            pickle_io.parse(data[: len(data) * percent // 100])


def test_random_byte_flips():
    data = bytearray(SMALL.read_bytes())
    rng = random.Random(1)
    for _ in range(2000):
        position = rng.randrange(len(data))
        before, data[position] = data[position], rng.randrange(256)
        records = check_outcome(bytes(data))
        assert records is None or len(records) == 3
        data[position] = before


def test_random_flips_of_what_is_not_array_data():
    nets = network() + network(components=b"}" + text("synthesis") + network() + b"s") + network() + b"\x87."
    assert len(pickle_io.parse(nets)) == 3
    rng = random.Random(2)
    for _ in range(10_000):
        data = bytearray(nets)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.choice(
                (rng.randrange(256), ord(rng.choice("(.0]})abdehjqrstuNRX\x85\x93\x94")))
            )
        check_outcome(bytes(data))


WORDS = [
    *(bytes([code]) for code in range(256)), PENDING, NETWORK, dtype(), dtype(order=">"), array(1), network(),
    *(name(*key.rsplit(".", 1)) for key in NETWORK_NAMES), text("latin1"), text("f4"), text("version"), b"h\0", b"h\1",
    b"C\x04abcd", b"J\xff\xff\xff\xff", b"(K\x01K\x01\x85", b"K\x02", b"I01\n", b"S'\\x41\\q'\n", b"Vabc\n", b"L5L\n",
    b"F1.5\n", b"p1\n", b"g1\n",
    b"q\x01", b"r\x01\0\0\0", b"j\x01\0\0\0", b"\x95\x08\0\0\0\0\0\0\0", b"\x8a\x01\x05", b"\x8f(", b"\x90", b"\x91",
]  # fmt: skip


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=60).map(b"".join))
def test_random_opcodes(data):
    check_outcome(data + b".")


# ---- what is read, against Python's own unpickler

VALUES = [
    None, True, False, 0, 255, 65535, -1, 2**31, -(2**40), 10**70, 1.5, "", "é€😀", b"", b"abc", b"x" * 300, [],
    [1, [2, {}]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"a": {1: 2}, None: []}, {1, "a"}, frozenset({1, b"a"}),
    "line\nfeed'\"\\", list(range(2000)),
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_in_every_protocol(protocol):
    plain_sets = protocol >= 4  # below, sets are calls of builtins.set
    for value in VALUES:
        if plain_sets or not isinstance(value, (set, frozenset)):
            machine = Machine(pickle.dumps(value, protocol), "file", NETWORK_NAMES)
            result = machine.run()
            result = bytes(result) if isinstance(result, memoryview) else result
            assert result == value and type(result) is type(value)
            assert machine.position == machine.size


ARRAYS = [
    np.arange(6).astype(kind).reshape(shape)
    for kind in ("?", "i1", "u2", "<i4", ">i4", "u8", "f2", "<f4", ">f4", "f8")
    for shape in ((6,), (2, 3), (1, 6, 1))
]
ARRAYS += [np.asfortranarray(ARRAYS[4]), np.zeros((0, 3), "f4"), np.float32(1.5).reshape(()), ARRAYS[1][:, ::2]]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("core", ["core", "_core"])
def test_arrays_in_every_protocol(protocol, core):
    for value in (*ARRAYS, np.float32(2.5), np.int64(-3)):
        data = pickle.dumps([value, value], protocol)
        if protocol < 4:  # in the later protocols the length of a name is in the file
            data = data.replace(b"numpy._core.", f"numpy.{core}.".encode())
        first, second = Machine(data, "file", NETWORK_NAMES).run()
        assert first is second and first.dtype.isnative
        assert first.shape == value.shape and first.dtype == value.dtype.newbyteorder("=")
        np.testing.assert_array_equal(first, value)


def test_arrays_are_views():
    data = pickle.dumps(np.arange(100_000, dtype="<f4"), 4)
    tracemalloc.start()
    result = Machine(data, "file", NETWORK_NAMES).run()
    assert tracemalloc.get_traced_memory()[1] < 50_000
    tracemalloc.stop()
    assert not result.flags.writeable and result[-1] == 99_999


def test_other_families_bring_their_own_names():
    allowed = NUMPY_NAMES | {"torch.thing": Marker("torch.thing", call=lambda machine, args: {"args": args})}
    assert Machine(call(name("torch", "thing"), b"K\x07") + b".", "file", allowed).run() == {"args": (7,)}
    with pytest.raises(UnsafePickleError, match=r"torch\.thing"):
        Machine(call(name("torch", "thing"), b"K\x07") + b".", "file", NUMPY_NAMES).run()
