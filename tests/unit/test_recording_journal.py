import os
import resource
import struct
import sys
import threading
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from mcap.reader import NonSeekingReader, make_reader
from waiting import WAIT_S, until

from bci.core.frame_header import pack_header
from bci.core.stream_types import RoiFrame
from bci.recording.journal import Journal
from bci.recording.records import JournalEnd, JournalStart, Note, Topic
from bci.recording.scan import JournalBytes, Message

START = JournalStart("s", "h", 1_000, 2_000)


def messages(path: Path) -> list[tuple[Message, bytes]]:
    with JournalBytes(path) as journal:
        found = list(journal.scan())
        assert all(isinstance(item, Message) for item in found), found
        return [(item, bytes(journal.data[item.payload])) for item in found]


def frame_of(n_rois: int) -> tuple[bytes, bytes]:
    values = np.zeros(n_rois, np.float32)
    return pack_header(RoiFrame(1, 1, 0, 0, 0, 0, 0, values)), values.tobytes()


def test_mcap_library_reads_every_record_in_order(tmp_path):
    path = tmp_path / "j.mcap"
    with Journal(path, START) as journal:
        for number in range(5):
            journal.append(Topic.NOTE, Note(f"note {number}"), 10 + number, 20 + number)
        journal.append_frame(1, 77, *frame_of(3))
    assert journal.fault is None
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary.statistics.message_count == 8
        assert [c.topic for c in summary.channels.values()] == [t.value for t in Topic]
        assert all(summary.schemas[c.schema_id] for c in summary.channels.values())
        read = list(reader.iter_messages(log_time_order=False))
    assert [m.sequence for _, _, m in read] == list(range(8))
    assert [c.topic for _, c, _ in read] == ["start", *["note"] * 5, "frame", "end"]
    note = read[3][2]
    assert (note.log_time, note.publish_time) == (12, 22)
    assert msgspec.msgpack.decode(note.data[:-4]) == {"text": "note 2"}
    head = struct.pack(
        "<BQHIQQ",
        5,
        22 + len(note.data),
        note.channel_id,
        note.sequence,
        note.log_time,
        note.publish_time,
    )
    assert zlib.crc32(head + note.data[:-4]) == struct.unpack("<I", note.data[-4:])[0]
    with path.open("rb") as file:
        assert len(list(NonSeekingReader(file, validate_crcs=True).iter_messages())) == 8


def test_frame_is_kept_byte_for_byte(tmp_path):
    rng = np.random.default_rng(1)
    buffer = rng.bytes(40)
    with Journal(tmp_path / "j.mcap", START) as journal:
        journal.append_frame(7, 3, b"h" * 64, buffer)
    (_, frame, _) = messages(tmp_path / "j.mcap")
    assert frame[1] == struct.pack("<Qq", 7, 3) + b"h" * 64 + buffer


def test_record_reaches_the_file_without_close(tmp_path):
    path = tmp_path / "j.mcap"
    with Journal(path, START) as journal:
        journal.append(Topic.NOTE, Note("now"))
        until(lambda: b"now" in path.read_bytes())


def test_existing_journal_is_never_overwritten(tmp_path):
    path = tmp_path / "j.mcap"
    path.write_bytes(b"an older session")
    with pytest.raises(FileExistsError):
        Journal(path, START)
    assert path.read_bytes() == b"an older session"


def test_records_of_many_threads_are_all_there_each_in_its_order(tmp_path):
    path = tmp_path / "j.mcap"
    journal = Journal(path, START)

    def write(name: int) -> None:
        for number in range(500):
            journal.append(Topic.NOTE, Note(f"{name} {number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close("done")
    notes = [
        tuple(map(int, msgspec.msgpack.decode(payload)["text"].split()))
        for message, payload in messages(path)
        if message.topic is Topic.NOTE
    ]
    assert len(notes) == 2000
    for name in range(4):
        assert [number for who, number in notes if who == name] == list(range(500))


def test_close_twice_writes_one_end(tmp_path):
    journal = Journal(tmp_path / "j.mcap", START)
    journal.close("first")
    journal.close("second")
    (_, end) = messages(tmp_path / "j.mcap")
    assert msgspec.msgpack.decode(end[1], type=JournalEnd) == JournalEnd("first", 1)
    assert journal.fault is None


def test_record_after_the_end_is_told_not_swallowed(tmp_path):
    journal = Journal(tmp_path / "j.mcap", START)
    journal.close("done")
    journal.append(Topic.NOTE, Note("late"))
    assert journal.n_refused == 1
    assert "after the end" in journal.fault


def test_error_in_the_session_is_the_reason_in_the_journal(tmp_path):
    with pytest.raises(ZeroDivisionError), Journal(tmp_path / "j.mcap", START):
        _ = 1 // 0
    end = messages(tmp_path / "j.mcap")[-1][1]
    assert b"ZeroDivisionError" in end


def test_payload_that_cannot_be_encoded_is_a_fault_and_the_rest_is_written(tmp_path):
    with Journal(tmp_path / "j.mcap", START) as journal:
        journal.append(Topic.NOTE, object())
        journal.append(Topic.NOTE, Note("before time began"), t_perf_ns=-1)
        journal.append(Topic.NOTE, Note("after"))
    assert "cannot be written" in journal.fault
    kept = messages(tmp_path / "j.mcap")
    assert [m.topic for m, _ in kept] == [Topic.START, Topic.NOTE, Topic.END]
    assert msgspec.msgpack.decode(kept[-1][1], type=JournalEnd).n_refused == 2


class SlowFile:
    """A disk that takes nothing until it is let go."""

    def __init__(self, file, gate: threading.Event) -> None:
        self._file, self._gate = file, gate

    def write(self, content) -> int:
        self._gate.wait(WAIT_S)
        return self._file.write(content)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_disk_that_does_not_keep_up_is_a_fault_before_anything_is_lost(tmp_path):
    gate = threading.Event()
    journal = Journal(tmp_path / "j.mcap", START, budget_bytes=1_000_000)
    journal._file = SlowFile(journal._file, gate)
    header, buffer = frame_of(2500)
    n_sent = 0
    while journal.fault is None:
        journal.append_frame(n_sent, 0, header, buffer)
        n_sent += 1
        assert n_sent < 100
    assert "does not keep up" in journal.fault
    assert journal.n_refused == 0
    gate.set()
    journal.close("the disk is slow")
    kept = [m for m, _ in messages(tmp_path / "j.mcap") if m.topic is Topic.FRAME]
    assert len(kept) == n_sent


def test_memory_is_bounded_and_what_is_refused_is_counted(tmp_path):
    gate = threading.Event()
    journal = Journal(tmp_path / "j.mcap", START, budget_bytes=1_000_000)
    journal._file = SlowFile(journal._file, gate)
    header, buffer = frame_of(2500)
    for number in range(300):
        journal.append_frame(number, 0, header, buffer)
        assert journal.waiting_bytes <= 1_000_000
    for _ in range(2000):
        journal.append(Topic.NOTE, Note("x"))
    assert journal.n_refused > 0
    gate.set()
    journal.close("the disk is slow")
    kept = messages(tmp_path / "j.mcap")
    end = msgspec.msgpack.decode(kept[-1][1], type=JournalEnd)
    assert end.n_refused == journal.n_refused
    assert len(kept) - 2 + end.n_refused == 2300


def test_close_is_bounded_when_the_disk_hangs(tmp_path):
    gate = threading.Event()
    journal = Journal(tmp_path / "j.mcap", START)
    journal._file = SlowFile(journal._file, gate)
    journal.append(Topic.NOTE, Note("x"))
    # the gate stays shut: whoever waits for the disk never comes back
    journal.close("stop", timeout_s=0.2)
    assert journal._writer.is_alive(), "the disk hangs still"
    assert "bci recover" in journal.fault
    gate.set()
    journal._writer.join(WAIT_S)
    assert not journal._writer.is_alive()


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_full_disk_is_a_fault_and_all_before_it_is_readable(tmp_path):
    path = tmp_path / "j.mcap"
    journal = Journal(path, START)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = path.stat().st_size + 20_000
    header, buffer = frame_of(250)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        for number in range(100):
            journal.append_frame(number, 0, header, buffer)
        until(lambda: journal.fault is not None)
        journal.close("disk full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "bci recover" in journal.fault
    assert path.stat().st_size == limit
    with JournalBytes(path) as found:
        *whole, tail = found.scan()
    assert tail.cut_short
    assert len(whole) == 1 + 20_000 // (35 + 16 + 64 + 1000)


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_disk_with_room_again_loses_nothing(tmp_path):
    path = tmp_path / "j.mcap"
    journal = Journal(path, START)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 500, hard))
        for number in range(100):
            journal.append(Topic.NOTE, Note(f"{number}"))
        until(lambda: journal.fault is not None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.close("done")
    assert [m.number for m, _ in messages(path)] == list(range(102))


def test_no_thread_and_no_open_file_is_left(tmp_path):
    before = set(threading.enumerate())
    journal = Journal(tmp_path / "j.mcap", START)
    assert len(set(threading.enumerate()) - before) == 2
    journal.close("done")
    assert set(threading.enumerate()) <= before
    assert journal._file.closed
    os.rename(tmp_path / "j.mcap", tmp_path / "k.mcap")


def test_source_that_can_wait_is_told_before_there_is_a_fault(tmp_path):
    gate = threading.Event()
    journal = Journal(tmp_path / "j.mcap", START, budget_bytes=1_000_000)
    journal._file = SlowFile(journal._file, gate)
    header, buffer = frame_of(2500)
    n_sent = 0
    while not journal.is_behind:
        journal.append_frame(n_sent, 0, header, buffer)
        n_sent += 1
        assert n_sent < 100
    assert journal.fault is None
    gate.set()
    until(lambda: not journal.is_behind)
    journal.close("done")
    assert not journal.is_behind
    assert journal.fault is None
