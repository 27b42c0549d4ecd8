"""Words to build pickles of, and the files that must be refused: `UNSAFE` and `CORRUPT`, name to (pickle, message)."""

import functools
import os
import pickle
import struct


def u4(value):
    return struct.pack("<I", value)


def u8(value):
    return struct.pack("<Q", value)


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def text(value):
    data = value.encode()
    return b"X" + u4(len(data)) + data


def integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def call(callee, *args):
    return callee + b"(" + b"".join(args) + b"tR"


def long_bytes(count, data=b""):
    return b"\x8e" + u8(count) + data


def dtype(kind="f4", order="<", middle=b"NNN"):
    return (
        call(name("numpy", "dtype"), text(kind), b"\x89\x88")
        + b"(K\x03"
        + text(order)
        + middle
        + integer(-1) * 2
        + b"K\0tb"
    )


PENDING = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\0\x85", b"C\x01b")


def array(*shape, data=b"C\x04abcd", kind=None):
    return PENDING + b"(K\x01(" + b"".join(map(integer, shape)) + b"t" + (kind or dtype()) + b"\x89" + data + b"tb"


NETWORK = name("dnnlib.tflib.network", "Network") + b")\x81"


def network(**changes):
    state = {
        "version": b"K\x04",
        "name": text("G"),
        "static_kwargs": b"}",
        "components": b"}",
        "build_module_src": text(""),
        "build_func_name": text("G_main"),
        "variables": b"](" + text("lod") + array(1) + b"\x86e",
        **changes,
    }
    return NETWORK + b"}(" + b"".join(text(key) + value for key, value in state.items() if value) + b"ub"


class Reduces:
    """Pickles as a call, the classic way."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


TOUCH = text("touch EFFECT")  # EFFECT: a path in the test's folder
SYSTEM = call(name("os", "system"), TOUCH)


def kwargs(value):
    """A network whose keywords hold this value."""
    return network(static_kwargs=b"}" + text("k") + value + b"s")


UNSAFE = {  # name: (pickle, what the message must say)
    "os.system": (SYSTEM, "os.system"),
    "os.system inside a network": (kwargs(SYSTEM), "os.system"),
    "posix.system by STACK_GLOBAL": (call(text("posix") + text("system") + b"\x93", TOUCH), "posix.system"),
    "memoised parts of a name": (text("os") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93", "os.system"),
    "module with import effects": (name("antigravity", "fly"), "antigravity.fly"),
    "builtins.eval": (call(name("builtins", "eval"), TOUCH), "builtins.eval"),
    "builtins.exec": (call(name("builtins", "exec"), TOUCH), "builtins.exec"),
    "Python 2 eval": (call(name("__builtin__", "eval"), TOUCH), "__builtin__.eval"),
    "getattr chain": (call(name("builtins", "getattr"), call(name("builtins", "__import__"), text("os"))), "getattr"),
    "dotted name": (
        b"\x80\x04" + text("dnnlib.tflib.network") + text("Network.__init__.__globals__") + b"\x93",
        "globals",
    ),
    "empty name": (text("") + text("") + b"\x93", "'.'"),
    "name too long": (text("a" * 9999) + text("b" * 9999) + b"\x93", "aaaa"),
    "reduce of os.system": (pickle.dumps(Reduces(os.system, ("touch EFFECT",))), "system"),
    "reduce of reduce": (pickle.dumps((1, [Reduces(print, (Reduces(os.system, ("touch EFFECT",)),))]), 2), "print"),
    "nested pickle": (call(name("pickle", "loads"), b"C\x01N"), "pickle.loads"),
    "numpy.load": (call(name("numpy", "load"), text("x.npy")), "numpy.load"),
    "numpy.core private": (name("numpy.core.multiarray", "fromfile"), "fromfile"),
    "copyreg": (name("copyreg", "_reconstructor"), "copyreg._reconstructor"),
    "partial": (name("functools", "partial"), "functools.partial"),
    "Popen by NEWOBJ_EX": (name("subprocess", "Popen") + b")}\x92", "subprocess.Popen"),
    "INST": (b"(S'touch EFFECT'\nios\nsystem\n", "os.system"),
    "INST of an allowed name": (b"(idnnlib.tflib.network\nNetwork\n", "dnnlib.tflib.network.Network"),
    "OBJ": (b"(" + name("dnnlib.tflib.network", "Network") + b"o", "OBJ"),
    "OBJ of nothing": (b"(o", "OBJ"),
    "EXT1": (b"\x82\x05", "extension code 5"),
    "EXT2": (b"\x83\x05\x01", "extension code 261"),
    "EXT4": (b"\x84\x05\0\0\0", "extension code 5"),
    "PERSID": (b"Pfile:///etc/passwd\n", "/etc/passwd"),
    "BINPERSID": (text("storage") + b"Q", "storage"),
    "BINPERSID of a tuple": (b")Q", "tuple"),
    "NEXT_BUFFER": (b"\x97", "buffer"),
    "READONLY_BUFFER": (b"N\x98", "buffer"),
    "call of text": (text("os.system") + TOUCH + b"\x85R", "call of a str"),
    "call of a network": (NETWORK + b")R", "call of a Instance"),
    "call of a class": (call(name("dnnlib.tflib.network", "Network")), "Network"),
    "call without tuple": (name("_codecs", "encode") + b"]R", "call"),
    "instance of a function": (name("_codecs", "encode") + b")\x81", "_codecs.encode"),
    "instance of text": (text("x") + b")\x81", "str"),
    "instance with arguments": (name("dnnlib.tflib.network", "Network") + b"K\x01\x85\x81", "arguments"),
    "instance with keywords": (name("tfutil", "Network") + b")}" + text("a") + b"Ns\x92", "arguments"),
    "BUILD on a class": (
        name("dnnlib.tflib.network", "Network") + b"}" + text("__setstate__") + SYSTEM + b"sb",
        "system",
    ),
    "BUILD on a class, plain": (name("dnnlib.tflib.network", "Network") + b"}" + text("__reduce__") + b"Nsb", "Marker"),
    "BUILD with slots": (NETWORK + b"N}" + text("__class__") + b"Ns\x86b", "tuple"),
    "BUILD twice": (network() + b"}b", "state"),
    "BUILD on a dict": (name("dnnlib.util", "EasyDict") + b")\x81}" + text("__class__") + b"Nsb", "dict"),
    "BUILD on an array": (array(1) + b"(K\x01tb", "ndarray"),
    "BUILD on None": (b"N}b", "NoneType"),
    "object array": (array(1, kind=call(name("numpy", "dtype"), text("O8"), b"\x89\x88")), "O8"),
    "array of a list": (array(1, data=b"](" + SYSTEM + b"e"), "os.system"),
    "array of a plain list": (array(1, data=b"](K\x01e"), "objects"),
    "void dtype": (dtype("V4"), "V4"),
    "text dtype": (dtype("U4"), "U4"),
    "long dtype": (dtype("f4," * 5000), "f4,f4"),
    "dtype with fields": (dtype(middle=b"N" + text("a") + b"\x85}"), "structured"),
    "array of another class": (
        call(name("numpy.core.multiarray", "_reconstruct"), name("tfutil", "Network"), b")", b"C\x01b"),
        "ndarray",
    ),
    "encode with a codec": (call(name("_codecs", "encode"), text("x"), text("zip")), "encode"),
    "bytes of a length": (call(name("builtins", "bytes"), integer(10**12)), "bytes"),
}


def doubled(count, wrap):
    """A value that refers twice to a value that refers twice to …; `wrap` makes one of two on the stack."""
    return b"]" + b"".join(b"r" + u4(i) + b"0" + wrap(i) for i in range(count))


def twice_in_tuple(i):
    return (b"j" + u4(i)) * 2 + b"\x86"


MEGABYTE = 1 << 20
COMPONENT = b"}" + text("c")
FRAME = b"\x80\x04\x95"
CORRUPT = {
    "empty": (b"", "ends"),
    "prose": (b"Dear reader", "0x44 is no pickle opcode"),
    "zip": (b"PK\x03\x04 and so on", "zip archive"),
    "web page": (b"<!DOCTYPE html><html>Quota exceeded</html>", "web page"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "no STOP": (network(), "ends in the middle"),
    "STOP alone": (b".", "left over or none"),
    "values left over": (b"N" + network() + b".", "left over"),
    "open MARK": (b"(" + network() + b".", "left over"),
    "no MARK": (b"t.", "MARK"),
    "pop below a mark": (b"N(R.", "malformed"),
    "unknown opcode": (b"\xff.", "0xff"),
    "protocol 6": (b"\x80\x06N.", "protocol 6"),
    "memo unknown": (b"h\x07.", "malformed"),
    "memo index huge": (b"Np" + b"9" * 400 + b"\n.", "memo index"),
    "memo index negative": (b"Np-1\n.", "memo index"),
    "name no text": (b"NN\x93.", "no text"),
    "name not ended": (b"cos" + b"x" * 9999, "no end"),
    "name not UTF-8": (b"c\xff\n\xff\n.", "malformed"),
    "nested lists": (b"]" * 100_000 + b"a" * 99_999 + b".", "nested too deep"),
    "nested lists, never joined": (b"]" * 100_000 + b".", "left over"),
    "nested tuples": (b")" + b"\x85" * 100_000 + b".", "nested too deep"),
    "nested dicts": (b"}" + (b"}N" + b"0") * 3 + b"}K\0" * 50_000 + b"N" + b"s" * 50_000 + b".", "left over"),
    "nested kwargs": (kwargs(b")" + b"\x85" * 120) + b".", "nested too deep"),
    "nested networks": (
        functools.reduce(lambda inner, _: network(components=COMPONENT + inner + b"s"), range(60), network()) + b".",
        "nested too deep",
    ),
    "marks": (b"(" * 1_000_000, "open MARKs"),
    "opcodes": (b"N" * 1_000_000 + b".", "opcodes"),
    "as many lists as may be": (b"](" + b"]" * 249_000 + b"e.", "expected a tuple"),
    "one list twice in many": (b"](" + b"]" * 15_000 + b"e\x940](" + b"h\0" * 1000 + b"e.", "shared so often"),
    "escapes": (b"S'" + b"\\x41" * (2 * MEGABYTE) + b"'\n.", "got a str"),
    "sets": (b"\x8f" * 1_000_000 + b".", "opcodes"),
    "dicts and memo": (b"}\x94" * 500_000 + b".", "opcodes"),
    "billion laughs": (kwargs(doubled(60, twice_in_tuple)) + b".", "shared so often"),
    "billion laughs in lists": (
        b"]\x94" + b"".join(b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"e\x94" for i in range(9)) + b".",
        "left over",
    ),
    "billion laughs as key": (b"}" + doubled(60, twice_in_tuple) + b"Ns.", "as key"),
    "laughs in a set": (b"\x8f(" + doubled(60, twice_in_tuple) + b"\x90.", "member of a set"),
    "colliding keys": (b"}(" + b"".join(integer(i * (2**61 - 1)) + b"N" for i in range(50)) + b"u.", "as key"),
    "key without value": (b"}(Nu.", "without a value"),
    "list in itself": (b"]\x94h\0a.", "contains itself"),
    "dict in itself": (b"}\x94Nh\0s.", "contains itself"),
    "network in itself": (NETWORK + b"\x94}" + text("components") + b"}" + text("x") + b"h\0ssb.", "contains itself"),
    "append to a tuple": (b")Na.", "a list is needed"),
    "items to a list": (b"]NNs.", "a dict is needed"),
    "members to a list": (b"](N\x90.", "a set is needed"),
    "items to a network": (NETWORK + b"NNs.", "a dict is needed"),
    "BINBYTES8 of 2^63": (long_bytes(1 << 63), "announced"),
    "BINBYTES8 of 100 GB": (long_bytes(10**11) + b"x" * 1000, "announced"),
    "BYTEARRAY8": (b"\x96" + u8(10**12), "announced"),
    "BINUNICODE8": (b"\x8d" + u8(2**64 - 1), "announced"),
    "BINBYTES of 4 GB": (b"B\xff\xff\xff\xff", "announced"),
    "BINSTRING negative": (b"T\xff\xff\xff\xff", "negative"),
    "LONG4 huge": (b"\x8b\xff\xff\xff\x7f", "announced"),
    "LONG4 negative": (b"\x8b\xff\xff\xff\xff", "negative"),
    "LONG4 of a kilobyte": (b"\x8b\0\x04\0\0" + b"\x01" * 1024 + b".", "integer"),
    "INT of many digits": (b"I" + b"9" * 4000 + b"\n.", "digits"),
    "INT without end": (b"I" + b"9" * 100_000, "no end"),
    "INT of letters": (b"Iabc\n.", "malformed"),
    "FLOAT of letters": (b"Fabc\n.", "malformed"),
    "STRING without quotes": (b"Sabc\n.", "quotes"),
    "STRING half quoted": (b"S'\n.", "quotes"),
    "UNICODE with a bad escape": (b"V\\u12\n.", "malformed"),
    "bad UTF-8": (b"X\x01\0\0\0\xff.", "malformed"),
    "FRAME beyond the file": (FRAME + u8(1000) + b"N.", "does not fit"),
    "FRAME of 2^64-1": (FRAME + b"\xff" * 8 + b"N.", "does not fit"),
    "FRAME in a frame": (FRAME + u8(12) + b"\x95" + u8(2) + b"N.N", "does not fit"),
    "FRAME cuts an opcode": (FRAME + u8(3) + text("abcdef") + b".", "in this frame"),
    "FRAME beyond STOP": (FRAME + u8(4) + b"N..." + b"N", "before the frame's end"),
    "shape of 10^12": (array(10**12), "shape"),
    "shape overflow": (array(2**40, 2**40, 2**40), "shape"),
    "shape of 2^64": (array(2**64), "impossible"),
    "shape negative": (array(-1), "impossible"),
    "shape with zero and huge": (array(0, 2**40, 2**40, data=b"C\0"), "malformed"),
    "shape of 1000 axes": (array(*[1] * 1000), "impossible"),
    "shape of text": (PENDING + b"(K\x01" + text("ab") + dtype() + b"\x89C\0tb", "malformed"),
    "shape of None": (PENDING + b"(K\x01N\x85" + dtype() + b"\x89C\0tb", "impossible"),
    "too little data": (array(2), "4 bytes"),
    "too much data": (array(1, data=b"C\x08abcdefgh"), "8 bytes"),
    "data no bytes": (array(1, data=b"N"), "malformed"),
    "data beyond Latin-1": (array(1, data=text("€abc")), "malformed"),
    "dtype of None": (array(1, kind=b"N"), "malformed"),
    "dtype without state": (array(1, kind=call(name("numpy", "dtype"), text("f4"))), "malformed"),
    "dtype with wrong order": (dtype(order="x"), "dtype"),
    "array without data": (network(variables=b"](" + text("w") + PENDING + b"\x86e") + b".", "without its data"),
    "array state short": (PENDING + b")b", "malformed"),
    "array state list": (PENDING + b"]b", "malformed"),
    "array within itself": (PENDING + b"\x94(K\x01K\x01\x85" + dtype() + b"\x89h\0tb.", "malformed"),
    "scalar of an array's size": (call(name("numpy.core.multiarray", "scalar"), dtype(), b"C\x08abcdefgh"), "bytes"),
    "encode bomb": (
        b"X" + u4(MEGABYTE) + b"x" * MEGABYTE + b"\x940" + text("latin1") + b"\x940"
        + name("_codecs", "encode") + b"\x940" + b"h\x02h\x00h\x01\x86R" * 20_000 + b".",
        "copies far more",
    ),
    "byte order bomb": (
        b"B" + u4(MEGABYTE) + b"x" * MEGABYTE + b"\x940"
        + array(MEGABYTE // 4, data=b"h\0", kind=dtype(order=">")) * 500 + b".",
        "copies far more",
    ),
    "OrderedDict bomb": (
        b"](" + b"NN\x86" * 30_000 + b"e\x94\x85\x940" + name("collections", "OrderedDict") + b"\x940"
        + b"h\x02h\x01R" * 20_000 + b".",
        "copies far more",
    ),
    "OrderedDict of numbers": (call(name("collections", "OrderedDict"), b"](K\x01e"), "OrderedDict"),
    "None": (b"N.", "NoneType"),
    "a dict": (b"}.", "expected a tuple"),
    "a tuple of numbers": (b"K\x01\x85.", "expected a tuple"),
    "an empty tuple": (b").", "nothing"),
    "a class": (name("dnnlib.tflib.network", "Network") + b".", "Marker"),
    "5 levels of networks": (
        functools.reduce(lambda inner, _: network(components=COMPONENT + inner + b"s"), range(5), network()) + b".",
        "4 within each other",
    ),
    "long name of a network": (network(name=text("x" * 201)) + b".", "201 characters"),
    "long name of a variable": (
        network(variables=b"]" + text("x" * MEGABYTE) + array(1) + b"\x86a") + b".",
        "1048576 characters",
    ),
    "65 networks": (network() + b"\x940](" + b"h\0" * 65 + b"e.", "more than 64"),
    "no state": (NETWORK + b".", "no state"),
    "state not named": (NETWORK + b"}K\x01Nsb.", "no state"),
    "no version": (network(version=None) + b".", "no version"),
    "no components in version 4": (network(components=None) + b".", "no components"),
    "version 6": (network(version=b"K\x06") + b".", "version 6"),
    "version True": (network(version=b"\x88") + b".", "bool"),
    "version huge": (network(version=integer(10**500)) + b".", "versions"),
    "name a number": (network(name=b"K\x01") + b".", "name"),
    "kwargs a list": (network(static_kwargs=b"]") + b".", "static_kwargs"),
    "kwargs not named": (network(static_kwargs=b"}NNs") + b".", "static_kwargs"),
    "kwargs of a network": (kwargs(network()) + b".", "plain values"),
    "kwargs of a name": (kwargs(name("numpy", "dtype")) + b".", "plain values"),
    "kwargs of a set": (kwargs(b"\x8f") + b".", "plain values"),
    "component no network": (network(components=b"}" + text("x") + b"Ns") + b".", "no networks"),
    "variables a dict": (network(variables=b"}") + b".", "variables"),
    "variable no pair": (network(variables=b"]Na") + b".", "pairs"),
    "variable text": (network(variables=b"]" + text("a") + text("b") + b"\x86a") + b".", "no array"),
    "variable twice": (network(variables=b"](" + (text("a") + array(1) + b"\x86") * 2 + b"e") + b".", "twice"),
    "variable of two networks": (
        network(
            variables=b"]" + text("S/a") + array(1) + b"\x86a",
            components=COMPONENT + network(name=text("S"), variables=b"]" + text("a") + array(1) + b"\x86a") + b"s",
        )
        + b".",
        "one name",
    ),
}  # fmt: skip
