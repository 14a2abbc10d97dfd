"""Files made to break, or to take over, the program that reads them."""

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

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


# ---------------------------------------------------------------------- files of every kind


def hostile_file(kind: str, number: int, folder: Path) -> Path:
    """The `number`-th hostile file of a kind, or folder, made in `folder`; the same each time.

    Kinds are the keys of `KINDS`. The first of a kind are chosen by hand; the others are sound
    files with bytes changed, cut off or put in at random.
    """
    return KINDS[kind](number, Random(f"{kind} {number}"), folder)


def damaged(data: bytes, random: Random) -> bytes:
    """The data with some bytes changed, a part cut out, doubled, or cut off."""
    found = bytearray(data)
    for _ in range(random.randint(1, 6)):
        where = random.randrange(len(found) + 1)
        length = min(random.choice((1, 1, 4, 100)), len(found) - where)
        match random.randrange(5):
            case 0 | 1:
                found[where : where + length] = random.randbytes(length)
            case 2:
                del found[where : where + length]
            case 3:
                found[where:where] = found[where : where + length]
            case _:
                found[where : where + length] = random.choice((b"\xff", b"\0")) * length
    if random.random() < 0.2:
        del found[random.randrange(len(found) + 1) :]
    return bytes(found)


def npy(descr: str, shape: str, data: bytes = b"", version: int = 1) -> bytes:
    """An `.npy` whose header says what it likes."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack("<H", len(text)) + text + data


ODD_NPY = (
    b"",
    b"\x93NUMPY",
    b"\x93NUMPY\x01\x00\xff\xff",
    npy("'<f4'", "(-1, 5)", b"x" * 100),
    npy("'<f4'", "(-2, -3)", b"x" * 24),
    npy("'<f4'", "(10**20, 2)", b"x"),
    npy("'<f4'", f"({10**20}, 2)", b"x"),
    npy("'<f4'", f"({2**62}, 4)", b"x" * 64),
    npy("'<f4'", "(1000000, 3000)", b"x" * 64),
    npy("'<f4'", "(0, 0)"),
    npy("'<f4'", "()", b"x" * 4),
    npy("'<f4'", "(True, 2)", b"x" * 8),
    npy("'<f4'", "(2.0, 2)", b"x" * 16),
    npy("'<f4'", "(" + "1," * 60 + ")", b"x" * 4),
    npy("'O'", "(2, 2)", pickle.dumps([1, 2, 3, 4])),
    npy("'<f4", "(2, 2)", b"x" * 16),
    npy("[('a', '<f4')]", "(2, 2)", b"x" * 16),
    npy("'<M8[s]'", "(2, 2)", b"x" * 32),
    npy("'<c16'", "(2, 2)", b"x" * 64),
    npy("'<U9999999'", "(2, 2)", b"x" * 64),
    npy("'|V0'", "(2, 2)"),
    npy("'<f2'", "(3, 4)", b"\xff" * 24),
    npy("-" * 3000 + "1", "(2, 2)"),
    npy("(" * 150 + ")" * 150, "(2, 2)"),
    npy("__import__('os').system('true')", "(2, 2)"),
    npy("'<f4'", "(2, 2)", b"x" * 16, version=9),
    npy("'<f4'", "(2, 2)", b"x" * 16, version=3),
)


def odd_npz() -> list[bytes]:
    """`.npz` files whose archive or arrays say what they like."""

    def archive(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as made:
            for name, data in members.items():
                made.writestr(f"{name}.npy", data)
        return file.getvalue()

    whole = npy("'<f4'", "(2, 3)", np.arange(6, dtype="<f4").tobytes())
    claims = archive(traces=npy("'<f4'", "(30000, 100000)", b"x" * 100))
    sound = archive(traces=whole)
    lies = sound.replace(len(whole).to_bytes(4, "little"), (0xFFFFFF00).to_bytes(4, "little"))
    return [
        b"",
        b"PK\x05\x06" + b"\0" * 18,
        claims,
        lies,
        archive(zipfile.ZIP_DEFLATED, traces=npy("'<f4'", "(30000, 100000)", b"\0" * 3_000_000)),
        archive(traces=b"not an array"),
        archive(F=npy("'O'", "(2, 2)", pickle.dumps([1]))),
        archive(traces=whole, labels=npy("'<U4'", "(1,)", b"x" * 16)),
        archive(traces=whole, rate_hz=npy("'<U1'", "()", b"x\0\0\0")),
        archive(traces=whole, rate_hz=npy("'<f8'", "(0,)")),
        archive(traces=whole, rate_hz=npy("'<f8'", "()", struct.pack("<d", float("nan")))),
        archive(**{f"a{i}": whole for i in range(1200)}),
        archive(traces=npy("'<f4'", "(-1, 3)", b"x" * 12)),
        sound[:-10],
        sound.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
    ]  # fmt: skip


ODD_TOML = (
    b"",
    b"\xff\xfe",
    b"\0",
    b"rig = [",
    b"rig = " + b"[" * 5000,
    b"rig = " + b"[" * 200 + b"]" * 200,
    b"rig = " + b"{a = " * 500 + b"1" + b"}" * 500,
    b"a" + b".a" * 100_000 + b" = 1",
    b'"a"' + b' . "a"' * 10_000 + b" = 1",
    b"[" + b"a." * 3000 + b"a]",
    b"rig." * 40 + b"x = 1",
    b"rig = 1" + b"0" * 5000,
    b"rig = 1e999",
    b"rig = nan\nexperiment = inf",
    b'rig = "' + b"x" * 100_000 + b'"\nexperiment = "y"',
    b'rig = "a\\u0000b"\nexperiment = "../../../../../dev/zero"',
    b'rig = "/dev/zero"\nexperiment = "/dev/random"',
    b"".join(b"k%d = 1\n" % i for i in range(20_000)),
    b"[rig]\n" + b"".join(b"k%d = 1\n" % i for i in range(20_000)),
    b"# " + b"x" * 4_000_001,
    b"[[rig]]\n" * 10_000,
    b'[rig.source]\nkind = "simulated"\nn_rois = 1' + b"0" * 20,
    b"[rig]\nsource = [[[]]]\n[experiment]\ndecoder = 2026-11-30",
)

SOUND_TOML = b"""
subject = "m1"
[rig]
name = "r"
[rig.source]
kind = "simulated"
n_rois = 8
[rig.board]
kind = "simulated"
[experiment]
name = "e"
[experiment.decoder]
p_plus = ["roi0000", "roi0001"]
p_minus = ["roi0002", "roi0003"]
[experiment.threshold]
t = 0.5
lo = 0.1
"""


def _file(name: str, odd: Callable[[], list[bytes]], sound: Callable[[], bytes]):  # type: ignore[no-untyped-def]
    def make(number: int, random: Random, folder: Path) -> Path:
        by_hand = odd()
        path = folder / name
        path.write_bytes(by_hand[number] if number < len(by_hand) else damaged(sound(), random))
        return path

    return make


def _sound_npy() -> bytes:
    return npy("'<f4'", "(4, 20)", np.arange(80, dtype="<f4").tobytes())


def _sound_npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, traces=np.ones((4, 20), np.float32), labels=["a", "b", "c", "d"], rate_hz=5.0)
    return file.getvalue()


def sound_nwb() -> bytes:
    """An NWB file that neuroconv wrote."""
    import lzma

    return lzma.decompress((Path(__file__).parent / "neuroconv.nwb.xz").read_bytes())


def _odd_nwb() -> list[bytes]:
    sound = sound_nwb()
    return [b"", b"\x89HDF\r\n\x1a\n", sound[:100], sound[:50_000], sound[:-1], b"\0" * 5000]


def _saved(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


def _suite2p(number: int, random: Random, folder: Path) -> Path:
    """A plane's folder with one file that does not belong in it."""
    plane = folder / "plane0"
    plane.mkdir()
    stat = [{"ypix": np.arange(3), "xpix": np.arange(3), "lam": np.ones(3)} for _ in range(4)]
    files = {
        "F.npy": _sound_npy(),
        "iscell.npy": _saved(np.ones((4, 2))),
        "stat.npy": _saved(np.array(stat, object)),
        "ops.npy": _saved(np.array({"fs": 15.0, "Ly": 32, "Lx": 32}, object)),
    }
    odd = [
        *(("F.npy", data) for data in ODD_NPY),
        *(("iscell.npy", data) for data in ODD_NPY),
        *(("iscell.npy", _saved(value)) for value in (
            np.ones((4, 0)), np.array(["a"] * 4), np.ones((4, 2, 2)), np.float64(1),
        )),
        *(("ops.npy", _saved(np.array(ops, object))) for ops in (
            {"fs": "fast"}, {"fs": float("nan")}, {"fs": [15.0]}, {"fs": -1.0}, {"fs": 10**30},
            {"fs": 15.0, "Ly": -5, "Lx": "x"}, {"fs": 15.0, "meanImg": "no"}, [], [{}, {}], "ops",
            {"fs": 15.0, "meanImg": np.ones(3)}, {"fs": 15.0, "meanImg": np.full((2, 2), np.nan)},
        )),
        *(("stat.npy", _saved(np.array([roi] * 4, object))) for roi in (
            {"ypix": "a", "xpix": "b", "lam": "c"}, {"ypix": [], "xpix": [], "lam": []},
            {"ypix": [1, 2], "xpix": [1], "lam": [1.0]},
            {"ypix": [-5], "xpix": [1 << 40], "lam": [1]},
            {"ypix": 3, "xpix": 3, "lam": 3}, {"ypix": [float("nan")], "xpix": [1], "lam": [1]},
            {"ypix": np.ones((2, 2)), "xpix": np.ones((2, 2)), "lam": np.ones((2, 2))}, {},
        )),
        *(("ops.npy", object_npy(data)) for data in crash_pickles().values()),
    ]  # fmt: skip
    if number < len(odd):
        name, data = odd[number]
    else:
        name = random.choice(list(files))
        data = damaged(files[name], random)
    for one, content in (files | {name: data}).items():
        (plane / one).write_bytes(content)
    return plane


KINDS: dict[str, Callable[[int, Random, Path], Path]] = {
    "toml": _file("session.toml", lambda: list(ODD_TOML), lambda: SOUND_TOML),
    "npy": _file("traces.npy", lambda: list(ODD_NPY), _sound_npy),
    "npz": _file("traces.npz", odd_npz, _sound_npz),
    "nwb": _file("recording.nwb", _odd_nwb, sound_nwb),
    "suite2p": _suite2p,
}
"""How to make the n-th file of each kind; `suite2p` makes a folder."""


def forged(path: Path, offset: int, size: int, payload: slice, content: bytes) -> None:
    """Put other content into a record of a journal, with a CRC that is right.

    Parameters
    ----------
    path
        The journal.
    offset, size, payload
        As `bci.recording.scan.Message` gives them.
    content
        Of the payload; cut, or filled with zeros, to the record's length.
    """
    data = bytearray(path.read_bytes())
    length = payload.stop - payload.start
    data[payload] = content[:length].ljust(length, b"\0")
    end = offset + size - 4
    data[end : end + 4] = zlib.crc32(data[offset:end]).to_bytes(4, "little")
    path.write_bytes(data)


def make_special(kind: str, path: Path) -> bool:
    """Make something that is no regular file; False if this system has none of it."""
    match kind:
        case "pipe" if hasattr(os, "mkfifo"):
            os.mkfifo(path)
        case "device" if Path("/dev/zero").exists():
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "loop" if hasattr(os, "mkfifo"):
            path.symlink_to(path)
        case _:
            return False
    return True
