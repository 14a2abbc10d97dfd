"""Files made to break, or to take over, the program that reads them."""

import io
import pickle
import struct
from pathlib import Path

import numpy as np

# ---------------------------------------------------------------------- pickles, opcode by opcode


def object_npy(pickled: bytes, shape: tuple[int, ...] = ()) -> bytes:
    """An `.npy` file of objects around a pickle."""
    file = io.BytesIO()
    layout = {"descr": "|O", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, layout)
    return file.getvalue() + pickled


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def _number(number: int) -> bytes:
    return b"\x8a\x09" + number.to_bytes(9, "little", signed=True)


def _name(module: str, name: str) -> bytes:
    return _text(module) + _text(name) + b"\x93"


def _call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def _dtype(code: str) -> bytes:
    return _call(_name("numpy", "dtype"), _text(code), b"\x89", b"\x88")


def _field_dtype(code: str, field: bytes, size: int) -> bytes:
    """A dtype of `size` bytes whose state says that it has another type in it."""
    parts = (_number(3), _text("|"), b"N", _text("a") + b"\x85", b"}" + _text("a"))
    field = b"(" + field + _number(0) + b"ts"
    return (
        _dtype(code)
        + b"("
        + b"".join(parts)
        + field
        + _number(size)
        + _number(1)
        + _number(0)
        + b"tb"
    )


def _array(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    made = _call(
        _name("numpy._core.multiarray", "_reconstruct"),
        _name("numpy", "ndarray"),
        _number(0) + b"\x85",
        b"C\x01b",
    )
    return made + b"(" + _number(1) + shape + dtype + b"\x89" + data + b"tb"


def _ops(*values: bytes) -> bytes:
    """A whole file as suite2p writes ops: an array of one dict, with a rate and more values."""
    items = b"".join(_text(f"v{i}") + value for i, value in enumerate(values))
    made = b"}(" + _text("fs") + b"G" + struct.pack(">d", 15.0) + items + b"u"
    return b"\x80\x04" + _array(b")", _object_dtype(), b"]" + made + b"a") + b"."


def _object_dtype() -> bytes:
    state = b"(" + _number(3) + _text("|") + b"NNN" + _number(-1) + _number(-1) + _number(63) + b"t"
    return _dtype("O8") + state + b"b"


def _touch(marker: Path) -> bytes:
    return _text(f"open({str(marker)!r}, 'w').close()")


ONE_NUMBER = _number(1) + b"\x85"
BYTES_8 = b"C\x08AAAAAAAA"


def code_pickles(marker: Path) -> dict[str, bytes]:
    """Pickles that run code which makes the file `marker`, where a reader lets them."""
    said = _touch(marker)
    shell = _text(f"echo > {marker}")
    dotted = "_add_dtype_helper.__builtins__.get"
    through = _call(_name("numpy.dtypes", dotted), _text("exec"))
    return {
        "dotted path to exec": b"\x80\x04" + _call(through, said) + b".",
        "dotted path in a value": _ops(_call(through, said)),
        "dotted path in a global": b"cnumpy.dtypes\n" + dotted.encode() + b"\n(" + _text("exec")
        + b"tR(" + said + b"tR.",
        "os.system": b"\x80\x04" + _call(_name("os", "system"), shell) + b".",
        "os.system in a value": _ops(_call(_name("os", "system"), shell)),
        "posix.system of an instance": b"(" + shell + b"iposix\nsystem\n.",
        "builtins.exec": b"\x80\x04" + _call(_name("builtins", "exec"), said) + b".",
        "builtins.exec of protocol 2": b"\x80\x02c__builtin__\nexec\n(" + said + b"tR.",
        "a state of a class": _ops(
            _name("numpy", "ndarray") + b"}" + _text("__init__") + _name("os", "system") + b"sb"
        ),
        "NEWOBJ_EX": _ops(_name("subprocess", "Popen") + b"(" + shell + b"t}\x92"),
        "extension registry": _ops(_call(b"\x82\x2a", shell)),
        "persistent id": _ops(_text("os.system") + b"Q"),
        "memo in place of a name": _ops(
            _name("os", "system") + b"q\x07" + b"0h\x07(" + shell + b"tR"
        ),
    }  # fmt: skip


def crash_pickles() -> dict[str, bytes]:
    """Pickles that crash, starve or stop a process that reads them without a guard."""
    v8_object = _field_dtype("V8", _dtype("O"), 8)
    return {
        "objects without a list": _ops(_array(ONE_NUMBER, _dtype("O"), BYTES_8)),
        "fewer objects than the shape": _ops(
            _array(_number(1_000_000) + b"\x85", _dtype("O"), b"]Na")
        ),
        "pointers made up": _ops(_array(ONE_NUMBER, v8_object, BYTES_8)),
        "pointers made up in a scalar": _ops(
            _call(_name("numpy._core.multiarray", "scalar"), v8_object, BYTES_8)
        ),
        "a field beyond the item": _ops(
            _array(ONE_NUMBER, _field_dtype("V8", _dtype("V1000000000"), 8), BYTES_8)
        ),
        "a shape of terabytes": _ops(_array(_number(1 << 39) + b"\x85", _dtype("f8"), BYTES_8)),
        "a negative shape": _ops(_array(_number(-1) + b"\x85", _dtype("f8"), BYTES_8)),
        "a memo of 2**31": b"\x80\x04Nr" + (2**31 - 1).to_bytes(4, "little") + b".",
        "a bytearray of terabytes": b"\x80\x05\x96" + (1 << 42).to_bytes(8, "little") + b"x.",
        "bytes of exabytes": b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b"x.",
        "a frame of exabytes": b"\x80\x04\x95" + (1 << 60).to_bytes(8, "little") + b"N.",
        "a number of gigabytes": b"\x80\x04\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.",
        "tuples too deep to hash": b"\x80\x04}" + b")" + b"\x85" * 1_000_000 + b"Ns.",
        "lists too deep": _ops(b"]" * 300_000 + b"a" * 299_999),
        "ten lists of ten lists of ten lists": _ops(
            b"]q\x010"
            + b"".join(
                b"](" + bytes((104, i)) * 10 + b"eq" + bytes((i + 1, 48)) for i in range(1, 30)
            )
            + b"h\x1e"
        ),
        "a list in itself": _ops(b"]q\x01h\x01a"),
        "a dict in itself": b"\x80\x04}q\x01" + _text("fs") + b"h\x01s.",
        "memo that is not there": b"\x80\x04h\x63.",
        "no mark": b"\x80\x04t.",
        "an empty stack": b"\x80\x04R.",
        "cut off": _ops(b"B" + (200_000).to_bytes(4, "little") + b"x" * 200_000)[:1000],
        "no pickle": b"not a pickle at all",
        "nothing": b"",
    }  # fmt: skip


def shared_array_npy(n_records: int) -> bytes:
    """A stat file whose dicts all refer to the same array: small to read, large to hand on."""
    array = np.zeros(100_000, np.float32)
    stat = np.array([{"ypix": array} for _ in range(n_records)], object)
    file = io.BytesIO()
    np.save(file, stat, allow_pickle=True)
    return file.getvalue()


def colliding_keys_npy(n_keys: int) -> bytes:
    """A dict whose keys share one hash: the time to build it grows as their square."""
    keys = {i * (2**61 - 1): None for i in range(1, 3)}
    assert len({hash(key) for key in keys}) == 1
    body = b"".join(_number_long(i * (2**61 - 1)) + b"N" for i in range(1, n_keys + 1))
    return object_npy(b"\x80\x04}(" + body + b"u.")


def _number_long(number: int) -> bytes:
    data = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes((len(data),)) + data


def protocol_npy(objects: object, protocol: int) -> bytes:
    """What NumPy of other years writes: older protocols, and its modules' older names."""
    array = np.array(objects, object)
    pickled = pickle.dumps(array, protocol)
    if protocol < 4:
        pickled = pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    return object_npy(pickled, array.shape)
