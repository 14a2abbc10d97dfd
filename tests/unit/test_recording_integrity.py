"""Every byte is guarded: whichever is changed, its record is named."""

import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_session import record_session

from bci.recording.folder import JOURNAL
from bci.recording.integrity import Integrity, check_journal
from bci.recording.records import Topic
from bci.recording.scan import Damage, JournalBytes, Message
from bci.recording.single_byte import changed_byte

pytestmark = pytest.mark.slow


class Bytes(JournalBytes):
    """A journal in memory."""

    def __init__(self, data: bytes) -> None:
        self.path, self.data, self.data_end = Path("journal.mcap"), data, 0


def check(data: bytes) -> Integrity:
    return check_journal(Bytes(data))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("session")
    record_session(folder, n_frames=3)
    return (folder / JOURNAL).read_bytes()


@pytest.fixture(scope="module")
def spans(whole) -> list[Message]:
    found = list(Bytes(whole).scan())
    assert all(isinstance(item, Message) for item in found)
    return found


def record_at(spans: list[Message], offset: int) -> Message | None:
    return next((m for m in spans if m.offset <= offset < m.offset + m.size), None)


def test_untouched_journal_is_whole(whole):
    found = check(whole)
    assert found.defects == ()
    assert found.unclosed is None
    assert found.end.n_records == found.n_records - 1


def test_changed_byte_is_named_wherever_it_is(whole, spans):
    rng = random.Random(4)
    first, end = spans[0].offset, spans[-1].offset + spans[-1].size
    statistics = len(whole) - 8 - 29 - 160
    # Every byte of the head of every record and of its CRC, of the data end, the footer and the
    # magics; of payloads every fifth, of the schemas, which are long and all alike, every 13th.
    heads = [m.offset + i for m in spans for i in (*range(31), *range(m.size - 4, m.size))]
    payloads = [*range(first, end, 5)]
    everywhere = [*range(80), *heads, *payloads, *range(end, end + 40)]
    everywhere += range(statistics, len(whole))
    schemas = [*range(80, first, 13), *range(end + 40, statistics, 13)]
    for offset in everywhere + schemas:
        data = bytearray(whole)
        data[offset] ^= rng.randrange(1, 256)
        found = check(bytes(data))
        assert len(found.defects) == 1, (offset, found)
        (defect,) = found.defects
        record = record_at(spans, offset)
        assert defect.offset == offset, (offset, defect)
        if record is None:
            assert defect.record is None
            assert defect.topic is None
        else:
            assert (defect.record, defect.topic) == (record.number, record.topic)


@given(data=st.data())
def test_byte_taken_out_or_put_in_is_named(whole, spans, data):
    offset = data.draw(st.integers(0, len(whole) - 1))
    removed = data.draw(st.booleans())
    if removed:
        changed = whole[:offset] + whole[offset + 1 :]
    else:
        value = data.draw(st.integers(0, 255))
        changed = whole[:offset] + bytes([value]) + whole[offset:]
    found = check(changed)
    if changed in (whole,):
        return
    assert found.defects or found.unclosed
    record = record_at(spans, offset)
    if record is not None and found.defects:
        # A byte put in or taken out at a border belongs to either side.
        numbers = {record.number, record.number - 1, record.number + 1}
        assert found.defects[0].record in numbers or found.defects[0].record is None


@given(data=st.data())
def test_damaged_stretch_costs_only_its_own_records(whole, spans, data):
    start = data.draw(st.integers(spans[0].offset, spans[-1].offset - 1))
    length = data.draw(st.integers(1, 300))
    stop = min(start + length, spans[-1].offset)
    noise = random.Random(data.draw(st.integers(0, 1000))).randbytes(stop - start)
    changed = whole[:start] + noise + whole[stop:]
    kept = [item for item in Bytes(changed).scan() if isinstance(item, Message)]
    untouched = [m for m in spans if m.offset + m.size <= start or m.offset >= stop]
    touched = {m.number for m in spans} - {m.number for m in untouched}
    assert [m for m in kept if m.number not in touched] == untouched
    for damage in Bytes(changed).scan():
        if isinstance(damage, Damage):
            assert touched.issuperset(range(damage.first, damage.last + 1))


@given(cut=st.integers(0, 10**6))
def test_truncated_journal_keeps_every_record_before_the_cut(whole, spans, cut):
    cut %= len(whole)
    found = list(Bytes(whole[:cut]).scan())
    kept = [item for item in found if isinstance(item, Message)]
    assert kept == [m for m in spans if m.offset + m.size <= cut]
    integrity = check(whole[:cut])
    assert integrity.defects == ()
    assert integrity.unclosed is not None


@given(n_bytes=st.integers(1, 5000), place=st.integers(0, 10**6))
def test_zeros_at_the_end_are_a_power_cut_not_damage(whole, spans, n_bytes, place):
    message = spans[place % len(spans[:-1])]
    data = whole[: message.offset + message.size] + bytes(n_bytes)
    integrity = check(data)
    assert integrity.defects == ()
    assert integrity.unclosed is not None


def test_missing_record_is_named(whole, spans):
    gone = spans[6]
    found = check(whole[: gone.offset] + whole[gone.offset + gone.size :])
    assert [(d.record, d.detail) for d in found.defects] == [(6, "missing")]


def test_last_record_cut_out_is_named(whole, spans):
    found = check(whole[: spans[-1].offset] + whole[spans[-1].offset + spans[-1].size :])
    assert found.defects[0].where == "the last record"


def test_repeated_record_is_named(whole, spans):
    again = spans[6]
    record = whole[again.offset : again.offset + again.size]
    found = check(whole[: again.offset] + record + whole[again.offset :])
    assert len(found.defects) == 1
    assert found.defects[0].offset == again.offset + again.size


def test_swapped_records_are_named(whole, spans):
    a, b = spans[6], spans[7]
    swapped = (
        whole[: a.offset]
        + whole[b.offset : b.offset + b.size]
        + whole[a.offset : b.offset]
        + whole[b.offset + b.size :]
    )
    found = check(swapped)
    assert any(d.record == 6 for d in found.defects)


def test_bytes_behind_the_end_are_named(whole):
    (defect,) = check(whole + b"x").defects
    assert defect.offset == len(whole)


def test_holds_tells_the_frame(whole, spans):
    frame = [m for m in spans if m.topic is Topic.FRAME][1]
    data = bytearray(whole)
    data[frame.payload.start + 30] ^= 0xFF
    (defect,) = check(bytes(data)).defects
    assert "frame, sequence 5, frame id 1" in str(defect)


@given(garbage=st.binary(max_size=2000))
def test_garbage_is_never_a_journal_and_never_an_exception(garbage):
    found = check(garbage)
    assert found.defects or found.unclosed


@given(
    content=st.binary(min_size=1, max_size=300),
    place=st.integers(0, 10**6),
    difference=st.integers(1, 255),
)
def test_changed_byte_is_found_from_the_crc(content, place, difference):
    record = bytearray(content + struct.pack("<I", zlib.crc32(content)))
    place %= len(record)
    original = record[place]
    record[place] ^= difference
    found = changed_byte(bytes(record[:-4]), struct.unpack("<I", record[-4:])[0])
    assert found == (place, original ^ difference, original)


@given(content=st.binary(min_size=1, max_size=300))
def test_whole_content_has_no_changed_byte(content):
    assert changed_byte(content, zlib.crc32(content)) is None
