"""One handler for each pickle opcode, protocols 0-5: `HANDLERS[code](machine)` (standard library only).

Handlers let Python raise what it raises by itself (an empty stack is an IndexError); `Machine.run` turns that into one
error. The opcodes that run code in Python come last.
"""

import pickle as opcodes  # for the names of the opcodes only
import struct

from tf_stylegan.legacy.pickle_values import Instance, Marker, Pending

MAX_MARKS = 1000  # open MARKs; the format needs one for each level of nesting
MAX_INT_BYTES = 255
PY2_TEXT_LIMIT = 1 << 16  # a Python-2 string longer than this is array data or source: kept as a view, not decoded

_U1, _U2, _U4, _U8 = (struct.Struct(f) for f in ("<B", "<H", "<I", "<Q"))
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")
HANDLERS = [None] * 256


def _opcode(*codes):
    def register(handler):
        for code in codes:
            HANDLERS[code[0]] = handler
        return handler

    return register


def _constant(code, value):
    HANDLERS[code[0]] = lambda m: m.stack.append(value)


_constant(opcodes.NONE, None)
_constant(opcodes.NEWTRUE, True)
_constant(opcodes.NEWFALSE, False)
_constant(opcodes.EMPTY_TUPLE, ())


def _from_number(code, kind):
    HANDLERS[code[0]] = lambda m: m.stack.append(m.number(kind))


_from_number(opcodes.BININT, _I4)
_from_number(opcodes.BININT1, _U1)
_from_number(opcodes.BININT2, _U2)
_from_number(opcodes.BINFLOAT, _F8)


def _counted(code, kind, convert):
    """An opcode followed by a length and that many bytes."""

    def handler(m):
        count = m.number(kind)
        if count < 0:
            raise m.corrupt("a negative length")
        m.stack.append(convert(m, m.take(count)))

    HANDLERS[code[0]] = handler


def _text(m, view):
    return str(view, "utf-8", "surrogatepass")


def _py2_text(m, view):
    return view if len(view) > PY2_TEXT_LIMIT else str(view, "latin-1")


def _integer(m, view):
    if len(view) > MAX_INT_BYTES:
        raise m.corrupt(f"an integer of {len(view)} bytes")
    return int.from_bytes(view, "little", signed=True)


_counted(opcodes.SHORT_BINBYTES, _U1, lambda m, view: bytes(view))
_counted(opcodes.BINBYTES, _U4, lambda m, view: view)
_counted(opcodes.BINBYTES8, _U8, lambda m, view: view)
_counted(opcodes.BYTEARRAY8, _U8, lambda m, view: view)
_counted(opcodes.SHORT_BINUNICODE, _U1, _text)
_counted(opcodes.BINUNICODE, _U4, _text)
_counted(opcodes.BINUNICODE8, _U8, _text)
_counted(opcodes.SHORT_BINSTRING, _U1, _py2_text)
_counted(opcodes.BINSTRING, _I4, _py2_text)
_counted(opcodes.LONG1, _U1, _integer)
_counted(opcodes.LONG4, _I4, _integer)


@_opcode(opcodes.PROTO)
def _proto(m):
    protocol = m.number(_U1)
    if protocol > 5:
        raise m.corrupt(f"pickle protocol {protocol}; protocols 0 to 5 are known")


@_opcode(opcodes.FRAME)
def _frame(m):
    length = m.number(_U8)
    if m.in_frame or length > m.size - m.position:
        raise m.corrupt(f"a frame of {length} bytes does not fit here")
    m.in_frame, m.limit = True, m.position + length


@_opcode(opcodes.MARK)
def _mark(m):
    if len(m.outer_stacks) >= MAX_MARKS:
        raise m.corrupt(f"more than {MAX_MARKS} open MARKs")
    m.outer_stacks.append(m.stack)
    m.stack = []


@_opcode(opcodes.POP)
def _pop(m):
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


@_opcode(opcodes.POP_MARK)
def _pop_mark(m):
    m.pop_mark()


@_opcode(opcodes.DUP)
def _dup(m):
    m.stack.append(m.stack[-1])


@_opcode(opcodes.INT)
def _int(m):
    line = m.line()
    m.stack.append(line == b"01" if line in (b"00", b"01") else _decimal(m, line))  # Python 2's booleans


@_opcode(opcodes.LONG)
def _long(m):
    m.stack.append(_decimal(m, m.line().removesuffix(b"L")))


def _decimal(m, line):
    if len(line) > 2 * MAX_INT_BYTES:
        raise m.corrupt(f"an integer of {len(line)} digits")
    return int(line)


@_opcode(opcodes.FLOAT)
def _float(m):
    m.stack.append(float(m.line()))


@_opcode(opcodes.STRING)
def _string(m):
    """Python 2's repr of a str; the bytes become the characters 0-255."""
    text = m.line(m.size)
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise m.corrupt("a string without quotes")
    m.stack.append(str(text[1:-1], "unicode_escape"))


@_opcode(opcodes.UNICODE)
def _unicode(m):
    m.stack.append(str(m.line(m.size), "raw-unicode-escape"))


@_opcode(opcodes.EMPTY_LIST)
def _empty_list(m):
    m.stack.append([])


@_opcode(opcodes.EMPTY_DICT)
def _empty_dict(m):
    m.stack.append({})


@_opcode(opcodes.EMPTY_SET)
def _empty_set(m):
    m.stack.append(set())


@_opcode(opcodes.LIST)
def _list(m):
    values = m.pop_mark()  # first: this changes which stack is current
    m.stack.append(values)


@_opcode(opcodes.TUPLE)
def _tuple(m):
    values = m.pop_mark()
    m.stack.append(tuple(values))


@_opcode(opcodes.TUPLE1, opcodes.TUPLE2, opcodes.TUPLE3)
def _short_tuple(m):
    count = m.view[m.opcode_at] - opcodes.TUPLE1[0] + 1
    values = tuple(m.stack.pop() for _ in range(count))[::-1]
    m.stack.append(values)


@_opcode(opcodes.DICT)
def _dict(m):
    values = m.pop_mark()
    m.stack.append({})
    _set_items(m, values)


@_opcode(opcodes.FROZENSET)
def _frozenset(m):
    values = m.pop_mark()
    m.check_keys(values)
    m.stack.append(frozenset(values))


@_opcode(opcodes.APPEND)
def _append(m):
    value = m.stack.pop()
    m.top(list).append(value)


@_opcode(opcodes.APPENDS)
def _appends(m):
    values = m.pop_mark()
    m.top(list).extend(values)


@_opcode(opcodes.SETITEM)
def _set_item(m):
    value, key = m.stack.pop(), m.stack.pop()
    _set_items(m, [key, value])


@_opcode(opcodes.SETITEMS)
def _set_marked_items(m):
    _set_items(m, m.pop_mark())


def _set_items(m, values):
    if len(values) % 2:
        raise m.corrupt("a key without a value")
    m.check_keys(values[::2])
    m.top(dict).update(zip(values[::2], values[1::2]))


@_opcode(opcodes.ADDITEMS)
def _add_items(m):
    values = m.pop_mark()
    m.check_keys(values)
    m.top(set).update(values)


@_opcode(opcodes.PUT)
def _put(m):
    m.remember(_decimal(m, m.line()))


@_opcode(opcodes.BINPUT)
def _binput(m):
    m.remember(m.number(_U1))


@_opcode(opcodes.LONG_BINPUT)
def _long_binput(m):
    m.remember(m.number(_U4))


@_opcode(opcodes.MEMOIZE)
def _memoize(m):
    m.remember(len(m.memo))


@_opcode(opcodes.GET)
def _get(m):
    m.stack.append(m.memo[_decimal(m, m.line())])


@_opcode(opcodes.BINGET)
def _binget(m):
    m.stack.append(m.memo[m.number(_U1)])


@_opcode(opcodes.LONG_BINGET)
def _long_binget(m):
    m.stack.append(m.memo[m.number(_U4)])


# ---- the opcodes that run code in Python


@_opcode(opcodes.GLOBAL)
def _global(m):
    module, name = str(m.line(), "utf-8"), str(m.line(), "utf-8")
    m.look_up(module, name)


@_opcode(opcodes.STACK_GLOBAL)
def _stack_global(m):
    name, module = m.stack.pop(), m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise m.corrupt("a global name that is no text")
    m.look_up(module, name)


@_opcode(opcodes.REDUCE)
def _reduce(m):
    args, marker = m.stack.pop(), m.stack.pop()
    if type(marker) is not Marker or type(args) is not tuple:
        raise m.unsafe(f"a call of a {type(marker).__name__}")
    if marker.call is None:
        raise m.unsafe(f"a call of {marker.name!r}")
    m.stack.append(marker.call(m, args))


@_opcode(opcodes.NEWOBJ, opcodes.NEWOBJ_EX)
def _newobj(m):
    kwargs = m.stack.pop() if m.view[m.opcode_at] == opcodes.NEWOBJ_EX[0] else {}
    args, marker = m.stack.pop(), m.stack.pop()
    if type(marker) is not Marker:
        raise m.unsafe(f"an instance of a {type(marker).__name__}")
    if marker.new is None or type(args) is not tuple or type(kwargs) is not dict or args or kwargs:
        raise m.unsafe(f"an instance of {marker.name!r}" + (" made with arguments" * (marker.new is not None)))
    m.stack.append(marker.new(m, marker.name))


@_opcode(opcodes.BUILD)
def _build(m):
    state = m.stack.pop()
    target = m.stack[-1]
    if isinstance(target, Pending):
        m.stack[-1] = built = target.build(m, state)
        for key in target.memo_keys:
            if m.memo[key] is target:
                m.memo[key] = built
    elif type(target) is Instance and target.state is None and type(state) is dict:
        target.state = state
    elif not _is_harmless(m, target, state):
        name = target.class_path if type(target) is Instance else type(target).__name__
        raise m.unsafe(f"setting the state of a {name} with a {type(state).__name__}")


def _is_harmless(m, target, state):
    """A state that may be dropped: Python 2's empty one behind an EasyDict, PyTorch's versions behind a state_dict."""
    if type(target) is not dict or (state is not None and type(state) is not dict):
        return False
    return not state or (list(state) == ["_metadata"] and id(target) in m.ordered_dicts)


@_opcode(opcodes.INST)
def _inst(m):
    raise m.unsafe(f"an instance (INST) of {ascii(str(m.line(), 'latin-1') + '.' + str(m.line(), 'latin-1'))[:200]}")


@_opcode(opcodes.OBJ)
def _obj(m):
    values = m.pop_mark()
    raise m.unsafe(f"an instance (OBJ) of {values[0].name if values and type(values[0]) is Marker else 'no class'!r}")


@_opcode(opcodes.EXT1, opcodes.EXT2, opcodes.EXT4)
def _ext(m):
    kind = {opcodes.EXT1[0]: _U1, opcodes.EXT2[0]: _U2, opcodes.EXT4[0]: _I4}[m.view[m.opcode_at]]
    raise m.unsafe(f"extension code {m.number(kind)}")


@_opcode(opcodes.PERSID)
def _persid(m):
    raise m.unsafe(f"the persistent object {ascii(str(m.line(), 'latin-1'))[:200]}")


@_opcode(opcodes.BINPERSID)
def _binpersid(m):
    key = m.stack.pop()
    if m.persistent is None:
        raise m.unsafe(f"the persistent object {ascii(key[:200]) if type(key) is str else type(key).__name__}")
    m.stack.append(m.persistent(m, key))


@_opcode(opcodes.NEXT_BUFFER, opcodes.READONLY_BUFFER)
def _buffer(m):
    raise m.unsafe("a buffer from outside the file")
