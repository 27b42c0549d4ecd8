"""PyTorch files that must be refused: `UNSAFE` and `CORRUPT`, name to (file, what the message must say)."""

from collections import OrderedDict

import numpy as np
from legacy.hostile_pickles import MEGABYTE, SYSTEM, call, integer, long_bytes, name, text, u4, u8
from legacy.torch_files import (
    Raw,
    dumps,
    module,
    old_layout,
    storage_bytes,
    storage_id,
    tensor,
    torch_pickle,
    zip_bytes,
    zip_layout,
)

REBUILD = name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = name("torch._utils", "_rebuild_parameter")
LOAD = name("torch.storage", "_load_from_bytes")
MODULE = name("torch_utils.persistence", "_reconstruct_persistent_obj")
ORDERED = call(name("collections", "OrderedDict"))
FOUR = tensor(np.arange(4, dtype="f4"))
STORAGE = storage_bytes(FOUR.storage)
ID = storage_id(FOUR.storage, 77, b"N")
REST = STORAGE.partition(dumps(ID))[2]  # what comes behind the id
FLOATS = name("torch", "FloatStorage")


def loads(inner):
    """A storage whose bytes are these."""
    return call(LOAD, long_bytes(len(inner), inner))


def rebuilt(storage=None, offset=b"K\0", shape=b"K\x04\x85", stride=b"K\x01\x85", grad=b"\x89", more=ORDERED):
    return call(REBUILD, storage or loads(STORAGE), offset, shape, stride, grad, more)


def described(**changes):
    """A module from its description."""
    meta = {"type": text("class"), "version": b"K\x06", "module_src": text(""), "class_name": text("Generator")}
    meta = {**meta, "state": b"}", **changes}
    return call(MODULE, b"}(" + b"".join(text(key) + value for key, value in meta.items() if value) + b"u")


def state(value):
    """A checkpoint in which one tensor is this."""
    return {"g_ema": OrderedDict(a=Raw(value))}


def nested(pickled, rest=b""):
    """A tensor whose bytes hold this pickle where the storage's belongs."""
    head, found, tail = STORAGE.partition(dumps(ID))
    assert found
    return torch_pickle(state(rebuilt(loads(head + pickled + (rest or tail)))))


def numbers(*values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def nested_deeper(levels):
    inner = SYSTEM
    for _ in range(levels):
        head, _, tail = STORAGE.partition(dumps(ID))
        inner = loads(head + dumps(inner) + tail)
    return dumps(inner)


UNSAFE = {
    "os.system in a tensor": (nested(dumps(SYSTEM)), "os.system"),
    "os.system in the state": (torch_pickle({"G": module("Generator", x=Raw(SYSTEM))}), "os.system"),
    "os.system as type": (dumps(described(type=SYSTEM)), "os.system"),
    "os.system as source": (dumps(described(module_src=SYSTEM)), "os.system"),
    "os.system in a zip": (zip_layout(state(SYSTEM)), "os.system"),
    "os.system in the older layout": (old_layout(state(SYSTEM)), "os.system"),
    "os.system among the keys": (old_layout(state(rebuilt()), keys=[Raw(SYSTEM)]), "os.system"),
    "os.system among the facts": (old_layout({}, system={"little_endian": Raw(SYSTEM)}), "os.system"),
    "os.system as a key": (zip_layout(state(rebuilt(ID.replace(text("77"), SYSTEM)))), "os.system"),
    "os.system behind a good file": (
        torch_pickle({"x": [module("Generator"), Raw(name("posix", "system"))]}),
        "posix.system",
    ),
    "eval as storage type": (zip_layout(state(ID.replace(FLOATS, name("builtins", "eval")))), "eval"),
    "a function as storage type": (zip_layout(state(ID.replace(FLOATS, REBUILD))), "_rebuild_tensor"),
    "text as storage type": (zip_layout(state(ID.replace(FLOATS, text("a")))), "str"),
    "another type of object": (dumps(described(type=text("function"))), "'function'"),
    "no type of object": (dumps(described(type=None)), "None"),
    "torch.load": (dumps(call(name("torch", "load"), text("x"))), "torch.load"),
    "torch.serialization": (dumps(name("torch.serialization", "load")), "torch.serialization.load"),
    "a layer of PyTorch": (dumps(name("torch.nn.modules.linear", "Linear") + b")\x81"), "linear.Linear"),
    "a tensor of another class": (dumps(name("torch._tensor", "_rebuild_from_type_v2")), "_rebuild_from_type_v2"),
    "a sparse tensor": (dumps(name("torch._utils", "_rebuild_sparse_tensor")), "_rebuild_sparse_tensor"),
    "torch.jit": (dumps(name("torch.jit._pickle", "build_intlist")), "build_intlist"),
    "numpy's loader": (zip_layout({"g_ema": Raw(call(name("numpy", "load"), text("x")))}), "numpy.load"),
    "a tensor's bytes in a tensor's bytes": (nested(dumps(loads(STORAGE))), "_load_from_bytes"),
    "five levels of them": (nested_deeper(5), "_load_from_bytes"),
    "a module in a tensor's bytes": (nested(dumps(described())), "_reconstruct_persistent_obj"),
    "a dict in a tensor's bytes": (nested(dumps(ORDERED)), "collections.OrderedDict"),
    "a name for the magic number": (dumps(loads(dumps(ORDERED))), "collections.OrderedDict"),
    "names among the keys": (old_layout({}, keys=Raw(ORDERED)), "collections.OrderedDict"),
    "persistent module": (zip_layout({"g": Raw(b"(" + text("module") + text("a") * 3 + b"tQ")}), "'module'"),
    "persistent text": (zip_layout({"g": Raw(text("storage") + b"Q")}), "'str'"),
    "persistent number": (zip_layout({"g": Raw(b"(K\x01tQ")}), "'tuple'"),
    "persistent nothing": (zip_layout({"g": Raw(b")Q")}), "'tuple'"),
    "persistent line": (zip_layout({"g": Raw(b"Pstorage\n")}), "persistent object 'storage'"),
    "persistent object in a pickle": (torch_pickle({"g": Raw(ID)}), "persistent object"),
    "persistent object in the facts": (old_layout({}, system=Raw(b"(K\x01tQ")), "persistent object"),
    "BUILD on a dict": (torch_pickle({"g_ema": Raw(b"}}" + text("_metadata") + b"}sb")}), "state of a dict"),
    "BUILD of other attributes": (
        torch_pickle({"g_ema": Raw(ORDERED + b"}" + text("__class__") + b"Nsb")}),
        "state of a dict",
    ),
    "BUILD of two attributes": (
        torch_pickle({"g_ema": Raw(ORDERED + b"}(" + text("_metadata") + b"}" + text("x") + b"}ub")}),
        "state of a dict",
    ),
    "BUILD with slots": (
        torch_pickle({"g_ema": Raw(ORDERED + b"N}" + text("_metadata") + b"}s\x86b")}),
        "state of a dict with a tuple",
    ),
    "BUILD on a module": (dumps(described() + b"}" + text("x") + b"Nsb"), "state of a Module"),
    "BUILD on a tensor": (dumps(rebuilt() + b"}" + text("x") + b"Nsb"), "state of a Tensor"),
    "BUILD on a storage": (dumps(loads(STORAGE) + b"}" + text("data") + b"Nsb"), "state of a Storage"),
    "BUILD twice on arguments": (
        dumps(name("argparse", "Namespace") + b")\x81}" + text("a") + b"Nsb}" + text("a") + b"Nsb"),
        "argparse.Namespace",
    ),
    "arguments made with arguments": (dumps(name("argparse", "Namespace") + b"K\x01\x85\x81"), "arguments"),
    "another name of argparse": (dumps(name("argparse", "FileType") + b")\x81"), "argparse.FileType"),
    "call of a storage type": (dumps(call(name("torch", "FloatStorage"), b"K\x04")), "torch.FloatStorage"),
    "call of a type": (dumps(call(name("torch", "float32"))), "torch.float32"),
    "instance of a module": (dumps(MODULE + b")\x81"), "_reconstruct_persistent_obj"),
}

HUGE = integer(10**11)
TENSOR = {"g_ema": OrderedDict(a=FOUR)}
GOOD_ZIP = zip_layout(TENSOR)
OVERLAPPING = zip_bytes([("a/data.pkl", b"}."), ("a/data/0", b"x" * 100)], entry={"size": 90, "stored": 90})


def nested_modules(count):
    """A layer that holds a layer that holds a layer …"""
    inner = module("FullyConnectedLayer")
    for _ in range(count):
        inner = module("FullyConnectedLayer", modules={"fc0": inner})
    return torch_pickle(module("Generator", modules={"fc0": inner}))


def patched(data, marker, offset, replacement):
    """Bytes written over others, some way behind the last marker."""
    at = data.rindex(marker) + offset
    return data[:at] + replacement + data[at + len(replacement) :]


def shared_modules(count):
    """The same written with the memo: 2^count modules in a short file."""
    inner = described(state=b"}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + b"}u")
    for index in range(count):
        both = b"r" + u4(index) + b"0}(" + text("a") + b"j" + u4(index) + text("b") + b"j" + u4(index) + b"u"
        head = b"0}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules")
        keep = b"r" + u4(1000 + index)
        meta = b"}(" + text("type") + text("class") + text("class_name") + text("a") + text("module_src") + text("")
        inner = inner + both + keep + head + b"j" + u4(1000 + index) + b"u" + b"r" + u4(2000 + index) + b"0"
        inner += call(MODULE, meta + text("state") + b"j" + u4(2000 + index) + b"u")
    return dumps(inner)


CORRUPT = {
    "storage of 100 GB": (nested(dumps(ID.replace(integer(4), HUGE))), "100000000000 were announced"),
    "storage of 100 GB, counted too": (
        nested(
            dumps(ID.replace(integer(4), HUGE)),
            REST.replace(u8(4), u8(10**11)),
        ),
        "400000000000 bytes are announced",
    ),
    "storage of 2^62": (nested(dumps(ID.replace(integer(4), integer(2**62)))), "impossible size"),
    "storage of -1": (nested(dumps(ID.replace(integer(4), integer(-1)))), "impossible size"),
    "storage of None": (nested(dumps(ID.replace(integer(4), b"N"))), "impossible size"),
    "storage of 100 GB in a zip": (
        zip_layout({}, pickled=dumps(b"}" + text("g") + storage_id(FOUR.storage, 0).replace(integer(4), HUGE) + b"s"),
                   changes={"data/0": bytes(16)}),
        "16 bytes, 400000000000 were announced",
    ),
    "storage counted otherwise": (nested(dumps(ID), REST.replace(u8(4), u8(3))), "3 numbers"),
    "storage counted below zero": (
        nested(dumps(ID), REST.replace(u8(4), b"\xff" * 8)),
        "-1 numbers",
    ),
    "storage without its bytes": (dumps(rebuilt(loads(STORAGE[:-1]))), "are announced"),
    "storage without its count": (dumps(rebuilt(loads(STORAGE[:-20]))), "are announced"),
    "bytes behind a storage": (dumps(rebuilt(loads(STORAGE + b"x"))), "1 bytes are left over"),
    "storage that is a view": (nested(dumps(ID.replace(b"NtQ", b"(K\0K\0K\0ttQ"))), "view of another"),
    "storage of three words": (zip_layout({"g": Raw(b"(" + text("storage") + b"NNtQ")}), "view of another"),
    "no storage": (dumps(rebuilt(b"K\x01")), "malformed arguments"),
    "no bytes": (dumps(call(LOAD, b"N")), "without its bytes"),
    "text for bytes": (dumps(call(LOAD, text("a"))), "without its bytes"),
    "empty bytes": (dumps(call(LOAD, b"C\0")), "ends in the middle"),
    "other bytes": (dumps(call(LOAD, b"C\x02N.")), "no saved PyTorch storage"),
    "an array for the magic number": (dumps(loads(dumps(b"]"))), "no saved PyTorch storage"),
    "no protocol": (dumps(loads(STORAGE.replace(integer(1001), integer(1002)))), "unknown protocol"),
    "big-endian": (old_layout(TENSOR, system={"little_endian": False}), "big-endian"),
    "facts of another kind": (old_layout(TENSOR, system=[1]), "unknown protocol"),
    "keys of another kind": (old_layout(TENSOR, keys=Raw(b"K\x01")), "list of storages"),
    "keys that are no text": (old_layout(TENSOR, keys=[1]), "list of storages"),
    "a key too few": (old_layout(TENSOR, keys=[]), "does not name the storages"),
    "a key twice": (old_layout(TENSOR, keys=["0", "0"]), "does not name the storages"),
    "a key too many": (old_layout(TENSOR, keys=["0", "1"]), "does not name the storages"),
    "a key for another storage": (old_layout(TENSOR, keys=["../../etc/passwd"]), "does not name the storages"),
    "no value": (old_layout(Raw(b"N")), "got a NoneType"),
    "a storage for the value": (dumps(loads(STORAGE)), "expected a tuple"),
    "offset outside": (dumps(rebuilt(offset=b"K\x01")), "reaches outside"),
    "stride outside": (dumps(rebuilt(stride=b"K\x02\x85")), "reaches outside"),
    "shape outside": (dumps(rebuilt(shape=b"K\x05\x85")), "reaches outside"),
    "outside by both": (dumps(rebuilt(shape=numbers(2, 2), stride=numbers(3, 1))), "reaches outside"),
    "outside by overflow": (dumps(rebuilt(shape=numbers(2, 2), stride=numbers(2**40, 2**40))), "reaches outside"),
    "stride of 2^63": (dumps(rebuilt(stride=numbers(2**63))), "impossible shape"),
    "empty but far away": (dumps(rebuilt(shape=b"K\0\x85", offset=b"K\x05")), "reaches outside"),
    "repeated 2^40 times": (dumps(rebuilt(shape=numbers(2**40), stride=numbers(0))), "reaches outside"),
    "repeated in many directions": (dumps(rebuilt(shape=numbers(*[2**40] * 9), stride=numbers(*[0] * 9))), "reaches"),
    "negative size": (dumps(rebuilt(shape=numbers(-1))), "impossible shape"),
    "negative stride": (dumps(rebuilt(stride=numbers(-1), offset=b"K\x03")), "impossible shape"),
    "negative offset": (dumps(rebuilt(offset=integer(-1))), "impossible shape"),
    "size of text": (dumps(rebuilt(shape=text("a") + b"\x85")), "impossible shape"),
    "size a list": (dumps(rebuilt(shape=b"](K\x04e")), "impossible shape"),
    "fewer strides than sizes": (dumps(rebuilt(shape=numbers(2, 2))), "impossible shape"),
    "33 axes": (dumps(rebuilt(shape=numbers(*[1] * 33), stride=numbers(*[1] * 33))), "impossible shape"),
    "tensor with hooks": (dumps(rebuilt(more=b"}" + text("a") + b"Ns")), "hooks"),
    "tensor of three arguments": (dumps(call(REBUILD, loads(STORAGE), b"K\0", b")")), "malformed arguments"),
    "parameter of nothing": (dumps(call(PARAMETER, b"N", b"\x88", ORDERED)), "malformed"),
    "parameter with hooks": (dumps(call(PARAMETER, rebuilt(), b"\x88", b"}" + text("a") + b"Ns")), "malformed"),
    "set of sets": (dumps(call(name("builtins", "set"), b"](\x8fe")), "member of a set"),
    "set of a number": (dumps(call(name("builtins", "set"), integer(10**9))), "malformed"),
    "set bomb": (
        b"](" + b"".join(map(integer, range(9000))) + b"e\x85\x940" + name("builtins", "set") + b"\x940"
        + b"h\x01h\x00R0" * 60_000 + b"N.",
        "copies far more",
    ),
    "size of a list": (dumps(call(name("torch", "Size"), b"]")), "malformed"),
    "tensors of one storage's bytes, too often": (
        long_bytes(len(STORAGE), STORAGE) + b"\x85\x940" + LOAD + b"\x940" + b"h\x01h\x00R0" * 60_000 + b"N.",
        "opcodes",
    ),
    "module without state": (dumps(described(state=None)), "without name, state"),
    "module with a list as state": (dumps(described(state=b"]")), "without name, state"),
    "module with numbered state": (dumps(described(state=b"}K\x01Ns")), "no name"),
    "module without name": (dumps(described(class_name=b"N")), "without name, state"),
    "module with a long name": (dumps(described(class_name=text("a" * MEGABYTE))), "without name, state"),
    "module with bytes as source": (dumps(described(module_src=b"C\x01a")), "source text"),
    "module of a list": (dumps(call(MODULE, b"]")), "without its description"),
    "module of numbers": (dumps(call(MODULE, b"}K\x01Ns")), "without its description"),
    "module without parts": (dumps(described()), "no _parameters"),
    "parameters that are none": (torch_pickle(module("Generator", {"a": 1})), "does not belong there"),
    "modules that are none": (torch_pickle(module("Generator", modules={"a": FOUR})), "does not belong there"),
    "parameters without names": (torch_pickle(module("Generator", {1: FOUR})), "does not belong there"),
    "a parameter twice": (torch_pickle(module("Generator", {"a": FOUR}, {"a": FOUR})), "there twice"),
    "a long name": (torch_pickle(module("Generator", {"a" * 201: FOUR})), "does not belong there"),
    "modules in modules": (nested_modules(40), "nested too deep"),
    "modules in modules in modules": (nested_modules(12), "or 10 levels"),
    "modules that share modules": (shared_modules(24), "shared so often"),
    "module in itself": (
        b"}\x940" + MODULE + b"}(" + text("type") + text("class") + text("class_name") + text("G") + text("module_src")
        + text("") + text("state") + b"h\0u\x85R\x94h\0" + text("x") + b"h\x01s0.",
        "contains itself",
    ),
    "an unknown class": (torch_pickle({"G": module("Trainer")}), "'Trainer'"),
    "an unknown layer": (
        torch_pickle({"G_ema": module("Generator", modules={"synthesis": module("Denoiser")})}),
        "synthesis is of class 'Denoiser'",
    ),
    "a StyleGAN3": (
        torch_pickle(
            {"G_ema": module("Generator", modules={
                "synthesis": module("SynthesisNetwork", modules={"input": module("SynthesisInput")})})}
        ),
        "StyleGAN3",
    ),
    "a SWAGAN": (zip_layout({"g_ema": {"to_rgb1.iwt.ll": FOUR}}), "SWAGAN"),
    "an empty dict": (torch_pickle({}), "got a dict with nothing in it"),
    "another dict": (zip_layout({"state_dict": {"a": FOUR}, **{str(i): 1 for i in range(9)}}), "'state_dict', '0'"),
    "a tensor": (zip_layout(FOUR), "got a Tensor"),
    "a list": (zip_layout([1]), "got a list"),
    "a state of another network": (zip_layout({"g_ema": {"weight": FOUR}}), "left over weight"),
    "zip cut off": (GOOD_ZIP[:-30], "list of its members"),
    "zip without end": (b"PK\3\4" + bytes(1000), "at the end, is missing"),
    "zip of nothing": (zip_bytes([]), "without members"),
    "zip behind zip": (GOOD_ZIP + b"junk", "does not end where it says"),
    "zip with a comment too long": (zip_bytes([("a/data.pkl", b"")], end={"comment": b"a"})[:-1], "does not end"),
    "zip of two parts": (zip_bytes([("a/data.pkl", b"")], end={"disk": 1}), "contradicts"),
    "zip with a part elsewhere": (zip_bytes([("a/data.pkl", b"")], entry={"disk": 1}), "several parts"),
    "zip with a list before the file": (zip_layout(TENSOR, end={"start": 2**31}), "contradicts"),
    "zip with a long list": (zip_layout(TENSOR, end={"size": 2**31}), "contradicts"),
    "zip with a list longer than it is": (zip_layout(TENSOR, end={"size": 200}), "contradicts"),
    "zip with more members than listed": (zip_layout(TENSOR, end={"count": 60}), "outside the file"),
    "zip with fewer members than listed": (zip_layout(TENSOR, end={"count": 1}), "longer than it says"),
    "zip of 2^32 members": (zip_layout(TENSOR, is_long=True, end={"count": 2**32}), "4294967296 members"),
    "zip of 30,000 members": (zip_bytes([(f"a/{i}", b"") for i in range(30_000)]), "30000 members"),
    "zip with two ends": (
        zip_layout(TENSOR, is_long=True)[:-22] + zip_layout(TENSOR, end={"count": 3})[-22:],
        "contradict each other",
    ),
    "zip with its long end elsewhere": (
        patched(zip_layout(TENSOR, is_long=True), b"PK\6\7", 8, u8(2**63)),
        "outside the file",
    ),
    "zip with its list elsewhere": (patched(zip_layout(TENSOR), b"PK\1\2", 0, b"PK\1\3"), "does not begin what it"),
    "zip, compressed": (zip_layout(TENSOR, method=8), "is compressed"),
    "zip, compressed bomb": (
        zip_layout({}, changes={"data/0": bytes(100)}, method=8, entry={"size": 2**32 - 2}),
        "is compressed",
    ),
    "zip, encrypted": (zip_layout(TENSOR, flags=1), "encrypted"),
    "zip, compressed in one place": (zip_layout(TENSOR, local={"method": 8}), "listed differently"),
    "zip, other names in other places": (zip_layout(TENSOR, local={"name": b"a/b"}), "listed differently"),
    "zip with members that overlap": (zip_layout(TENSOR, entry={"offset": 0}), "listed differently"),
    "zip with a member in a member": (
        zip_bytes([("a/data.pkl", b"}."), ("a/data/0", zip_bytes([("a/data/1", b"abc")]))], entry={"size": 200,
                  "stored": 200}),
        "overlaps",
    ),
    "zip with members beyond each other": (OVERLAPPING, "overlaps"),
    "zip with a member over the list": (
        zip_bytes([("a/data.pkl", b"}.")], entry={"size": 60, "stored": 60}),
        "overlaps another one or the list",
    ),
    "zip with a member outside": (zip_layout(TENSOR, entry={"offset": 2**31}), "outside the file"),
    "zip with a member of 4 GB": (zip_layout(TENSOR, entry={"size": 2**32 - 2, "stored": 2**32 - 2}), "overlaps"),
    "zip with a member of unknown size": (zip_layout(TENSOR, entry={"size": 2**32 - 1}), "a size is missing"),
    "zip with a short long field": (
        zip_layout(TENSOR, entry={"size": 2**32 - 1, "extra": b"\1\0\4\0abcd"}),
        "a size is missing",
    ),
    "zip with a long field of 2^64": (
        zip_layout(TENSOR, entry={"size": 2**32 - 1, "extra": b"\1\0\x08\0" + b"\xff" * 8}),
        "is compressed",
    ),
    "zip with a name twice": (zip_bytes([("a/data.pkl", b"}."), ("a/data.pkl", b"N.")]), "two members"),
    "zip with an absolute name": (zip_bytes([("a/data.pkl", b"}."), ("/etc/passwd", b"")]), "'/etc/passwd'"),
    "zip with a name upward": (zip_bytes([("a/data.pkl", b"}."), ("a/../../b", b"")]), "'a/../../b'"),
    "zip with a name of another system": (zip_bytes([("a/data.pkl", b"}."), ("a\\..\\b", b"")]), "member named"),
    "zip without pickle": (zip_layout(TENSOR, changes={"data.pkl": None}), "a zip archive of 3 members"),
    "zip with two pickles": (zip_bytes([("a/data.pkl", b"}."), ("b/data.pkl", b"}.")]), "a zip archive around other"),
    "zip without a storage": (zip_layout(TENSOR, changes={"data/0": None}), "'archive/data/0' is missing"),
    "zip with a short storage": (zip_layout(TENSOR, changes={"data/0": b"abc"}), "3 bytes, 16 were announced"),
    "zip with a key upward": (
        zip_layout({"g": Raw(storage_id(FOUR.storage, "../../version"))}),
        "which is no number",
    ),
    "zip with a key of another alphabet": (zip_layout({"g": Raw(storage_id(FOUR.storage, "٣"))}), "is no number"),
    "zip with a long key": (zip_layout({"g": Raw(storage_id(FOUR.storage, "1" * 5000))}), "is no number"),
    "zip with one key for two storages": (
        zip_layout({"g": Raw(storage_id(FOUR.storage, 0)), "d": Raw(storage_id(tensor(np.ones(3)).storage, 0))}),
        "two different storages",
    ),
    "zip, big-endian": (zip_layout(TENSOR, changes={"byteorder": b"big"}), "big-endian"),
    "zip with a pickle cut off": (zip_layout(TENSOR, pickled=b"\x80\x02}"), "ends in the middle"),
    "zip of prose": (zip_layout(TENSOR, pickled=b"Dear reader"), "no pickle opcode"),
    "zip of networks of TensorFlow": (zip_layout(Raw(name("tfutil", "Network") + b")\x81")), "Instance"),
}  # fmt: skip
