"""Hostile and damaged files of PyTorch end in one of two errors, quickly, in little memory and without any effect."""

import os
import random
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy.hostile_pickles import name, text
from legacy.hostile_torch import CORRUPT, ID, LOAD, MODULE, ORDERED, REBUILD, STORAGE, UNSAFE, described, loads, rebuilt
from legacy.test_torch_pickle import FILES
from legacy.torch_files import (
    NAMES,
    Raw,
    Tensor,
    dumps,
    module,
    old_layout,
    storage_bytes,
    tensor,
    torch_pickle,
    zip_layout,
)

from tf_stylegan.legacy import pickle_io
from tf_stylegan.legacy.pickle_machine import MAX_OPCODES, Machine
from tf_stylegan.legacy.pickle_names import NUMPY_NAMES
from tf_stylegan.legacy.pickle_values import CorruptPickleError, UnsafePickleError
from tf_stylegan.legacy.torch_archive import read_zip
from tf_stylegan.legacy.torch_pickle import STORAGE_NAMES, TORCH_NAMES

REFUSALS = (UnsafePickleError, CorruptPickleError)
HOSTILE = [
    (key, error, *case)
    for cases, error in ((UNSAFE, UnsafePickleError), (CORRUPT, CorruptPickleError))
    for key, case in cases.items()
]


@pytest.mark.parametrize("error, data, says", [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_file_is_refused(error, data, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pt"
    path.write_bytes(data)
    environment, modules = dict(os.environ), set(sys.modules)
    with pytest.raises(REFUSALS) as caught:
        start = time.process_time()
        pickle_io.read(path)
    assert time.process_time() - start < 2
    assert caught.type is error
    message = str(caught.value)
    assert says in message and str(path) in message and "byte" in message and "\n" not in message
    assert len(message) < 1500
    assert os.listdir(tmp_path) == ["file.pt"] and dict(os.environ) == environment
    assert not {"torch", "torch_utils", "dnnlib", "training"} & (set(sys.modules) - modules)


def test_hostile_files_take_little_memory():
    for key, _, data, _ in HOSTILE:
        if key == "tensors of one storage's bytes, too often":  # slow while memory is traced, and it takes none
            continue
        tracemalloc.start()
        with pytest.raises(REFUSALS):
            pickle_io.parse(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 << 20, key


def test_allow_list_is_this_short():
    kinds = "Float Double Half BFloat16 Long Int Short Char Byte Bool"
    assert set(STORAGE_NAMES) == {
        *(f"torch.{kind}Storage" for kind in kinds.split()), "torch.storage.UntypedStorage",
    }  # fmt: skip
    types = "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool"
    assert set(TORCH_NAMES) - set(STORAGE_NAMES) - set(NUMPY_NAMES) == {
        *(f"torch.{kind}" for kind in types.split()), "torch.Size", "torch.device", "torch.storage.TypedStorage",
        "torch.storage._load_from_bytes", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
        "torch_utils.persistence._reconstruct_persistent_obj", "argparse.Namespace", "builtins.set", "__builtin__.set",
    }  # fmt: skip


def test_what_is_inert_is_read():
    """Names that files may hold beside their networks: they do nothing, and nothing is done with them."""
    state = {
        "dtype": Raw(name("torch", "float32")),
        "device": Raw(name("torch", "device") + text("cuda") + b"\x85R"),
        "size": Raw(name("torch", "Size") + b"K\2\x85\x85R"),
        "set": {"a", "b"},
        "untyped": Raw(name("torch.storage", "TypedStorage")),
        "count": np.int64(3),
        "args": Raw(name("argparse", "Namespace") + b")\x81}" + text("size") + b"K\x20sb"),
    }
    value = Machine(torch_pickle(state), "file", NAMES).run()
    assert value["size"] == (2,) and value["set"] == {"a", "b"} and value["args"].state == {"size": 32}
    assert value["count"] == 3 and value["dtype"].call is None and value["untyped"].new is None


def test_opcodes_of_a_large_file_are_within_the_limit():
    """A 1024x1024 file of three networks has 65,000, those inside of its tensors included; this one half of that."""
    data = FILES["ada"].read_bytes()
    machine = Machine(data, "file", NAMES)
    machine.run()
    assert 30_000 < MAX_OPCODES - machine.budget.opcodes < MAX_OPCODES / 5


# ---- damage


def structure(records):
    """Names, shapes and types."""
    return {
        record.name: (record.func, [(key, a.shape, a.dtype.str) for key, a in record.all_variables().items()])
        for record in records
    }


@pytest.fixture(scope="module", params=FILES)
def good(request):
    data = FILES[request.param].read_bytes()
    return request.param, data, structure(pickle_io.parse(data))


def check_outcome(data, expected):
    """Whether it is read, then as the good file; any other error than the two fails the test."""
    try:
        records = pickle_io.parse(data)
    except REFUSALS:
        return False
    found = structure(records)  # a changed key of the file's dictionary leaves a network out
    assert found and all(found[key] == expected[key] for key in found)
    return True


def test_truncation_is_refused(good):
    _, data, _ = good
    for percent in range(100):
        with pytest.raises(CorruptPickleError, match=r"byte \d+"):
            pickle_io.parse(data[: len(data) * percent // 100])


def positions_outside_arrays(kind, data):
    """The bytes that are not numbers of tensors."""
    tree = read_zip(data, "file", NAMES) if kind == "rosinality" else Machine(data, "file", NAMES).run()
    base = np.frombuffer(data, np.uint8).ctypes.data
    is_array, todo = np.zeros(len(data), bool), [tree]
    while todo:
        value = todo.pop()
        value = getattr(value, "state", value)
        if isinstance(value, Tensor):
            numbers = np.frombuffer(value.storage.data, np.uint8)
            is_array[numbers.ctypes.data - base :][: len(numbers)] = True
        elif isinstance(value, dict):
            todo += value.values()
    return np.flatnonzero(~is_array)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of averages and arguments that a flip has renamed
def test_random_byte_flips(good):
    kind, data, expected = good
    elsewhere, rng = positions_outside_arrays(kind, data), random.Random(3)
    assert len(data) / 20 < len(elsewhere) < len(data) / 2
    data, read = bytearray(data), 0
    for _ in range(1700 if kind == "rosinality" else 150):
        position = rng.choice(elsewhere) if rng.random() < 0.9 else rng.randrange(len(data))
        before, data[position] = data[position], rng.randrange(256)
        read += check_outcome(bytes(data), expected)
        data[position] = before
    assert read > 20  # source text, unused attributes and numbers are free to change


# ---- files that nobody wrote

SMALL = {"g_ema": {"a": tensor(np.arange(6, dtype="f4").reshape(2, 3)), "b": tensor(np.float32(1))}}
SEEDS = [zip_layout(SMALL), zip_layout(SMALL, is_long=True), old_layout(SMALL), torch_pickle(SMALL)]
SEEDS.append(torch_pickle({"G": module("Generator", {"a": tensor(np.ones(2, "f4"))}, modules={"b": None})}))


@settings(max_examples=500)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 1 << 12), st.binary(max_size=9)), max_size=4))
def test_changed_bytes(data, changes):
    """Written over, put in between or cut out."""
    for position, new in changes:
        position %= len(data) + 1
        data = data[:position] + new[1:] + data[position + new[0] % 11 * (new[0] < 128) :] if new else data[:position]
    with pytest.raises(REFUSALS):
        pickle_io.parse(data)


WORDS = [
    *(bytes([code]) for code in range(256)), ID, STORAGE, LOAD, REBUILD, MODULE, ORDERED, loads(STORAGE), rebuilt(),
    described(), storage_bytes(SMALL["g_ema"]["a"].storage), *(name(*key.rsplit(".", 1)) for key in TORCH_NAMES),
    *map(text, ("storage", "_metadata", "type", "class", "state", "g_ema", "G", "0", "cpu")), b"K\x04", b"K\0",
    b"K\1\x85", b"}(", b"\x89", b"h\0", b"h\1", b"q\0", b"\x94", b"J\xff\xff\xff\xff", dumps(b"N"),
]  # fmt: skip
ITEMS = st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=40).map(b"".join)


@settings(max_examples=1000)
@given(ITEMS, st.sampled_from(["pickle", "zip", "old", "inside"]))
def test_random_opcodes(items, where):
    data = {
        "pickle": lambda: dumps(items),
        "zip": lambda: zip_layout(SMALL, pickled=dumps(items)),
        "old": lambda: old_layout(Raw(items)),
        "inside": lambda: torch_pickle({"g": Raw(rebuilt(loads(STORAGE.replace(dumps(ID), dumps(items)))))}),
    }[where]()
    with pytest.raises(REFUSALS):
        pickle_io.parse(data)
