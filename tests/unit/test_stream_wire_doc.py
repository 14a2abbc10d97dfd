"""docs/wire-format.md says what the program does: its tables and its bytes are checked."""

import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bci.core.frame_header import FLAG_END, HEADER, MAX_ROIS, pack_header, unpack_frame
from bci.core.ledger import REACTIONS
from bci.core.loop_types import LedgerKind
from bci.core.stream_types import RoiFrame

PAGE = Path(__file__).parents[2] / "docs" / "wire-format.md"
FRAME = RoiFrame(
    0, 0, 0, 1000, 1, 32_345_679_012, 5_000_000_001, np.array([512, 498.5, 1.25], np.float32)
)
FIELDS = {
    "magic": b"BCIF",
    "version": 1,
    "flags": 0,
    "session": 0,
    "epoch": 0,
    "plane": 1,
    "reserved": 0,
    "frame id": 1000,
    "ROIs": 3,
    "t_scope": 32_345_679_012,
    "t_sent": 5_000_000_001,
    "ROI order": 0,
}
FORMATS = {"bytes": "4s", "u16": "H", "u32": "I", "u64": "Q", "i64": "q"}


def bytes_of_example():
    return pack_header(FRAME) + FRAME.fluorescence.astype("<f4").tobytes()


def dump(data):
    return "\n".join(f"{at:02d}  {data[at : at + 8].hex(' ')}" for at in range(0, len(data), 8))


def rows():
    text = PAGE.read_text(encoding="utf-8")
    pattern = r"^\| (\d+) \| (\d+) \| (\w+) \| ([\w ]+) \|"
    return re.findall(pattern, text, flags=re.MULTILINE)


def test_the_dump_is_what_the_program_writes():
    block = re.search(r"```hex\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert block is not None
    assert block[1] == dump(bytes_of_example())


def test_the_dump_is_what_the_program_reads():
    data = bytes_of_example()
    frame = unpack_frame(data[:64], data[64:])
    assert (frame.frame_id, frame.plane, frame.fluorescence.tolist()) == (
        1000,
        1,
        [512.0, 498.5, 1.25],
    )


def test_the_table_finds_every_field_of_the_example():
    data, end, found = bytes_of_example(), 0, set()
    for offset, size, kind, name in rows():
        assert int(offset) == end
        end += int(size)
        layout = "<" + FORMATS[kind]
        assert struct.calcsize(layout) == int(size)
        assert struct.unpack_from(layout, data, int(offset)) == (FIELDS[name],), name
        found.add(name)
    assert end == HEADER.size
    assert found == set(FIELDS)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_c_struct_has_the_size_and_offsets_of_the_header():
    block = re.search(r"```c\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert block is not None
    subprocess.run(
        ["cc", "-std=c11", "-fsyntax-only", "-x", "c", "-"], input=block[1], text=True, check=True
    )


@pytest.mark.parametrize(
    "kind",
    [
        LedgerKind.MALFORMED,
        LedgerKind.GAP,
        LedgerKind.DUPLICATE,
        LedgerKind.OUT_OF_ORDER,
        LedgerKind.LATE,
        LedgerKind.WRONG_SIZE,
        LedgerKind.WRONG_PLANE,
        LedgerKind.WRONG_SESSION,
        LedgerKind.WRONG_EPOCH,
        LedgerKind.WRONG_ROIS,
        LedgerKind.FAR_FUTURE,
        LedgerKind.NOT_FINITE,
        LedgerKind.NOT_FINITE_ELSEWHERE,
        LedgerKind.DARK,
        LedgerKind.SATURATED,
        LedgerKind.UNCHANGED,
        LedgerKind.STALL,
    ],
)
def test_each_fault_is_told_with_the_reaction_that_the_program_has(kind):
    assert f"| {kind} | {REACTIONS[kind]} |" in PAGE.read_text(encoding="utf-8")


def test_the_limits_and_flags_are_the_programs():
    text = PAGE.read_text(encoding="utf-8")
    assert f"64 + 4 × {MAX_ROIS:,}" in text
    assert FLAG_END == 1
    assert "bit 0 (value 1): end of the stream" in text
