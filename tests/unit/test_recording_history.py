"""The history of a journal that grows is that of the finished one, whenever it is looked at."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.opcode import Opcode
from played_session import Played
from recorded_session import record_session
from waiting import WAIT_S, until

from bci.recording.folder import JOURNAL
from bci.recording.history import (
    COLUMNS_PER_S,
    DECISION_COLUMNS,
    FRAME_COLUMNS,
    MOST_RECORDS,
    HistoryChunk,
    HistoryReader,
    HistoryRequest,
)
from bci.recording.layout import MAGIC, RECORD_HEAD
from bci.recording.records import Note, Topic
from bci.recording.session_record import SessionRecord
from bci.recording.tail import JournalTail
from bci.session.history import HistoryClient, HistoryServer
from bci.stream.errors import StreamError


def read_all(path: Path, since_ns: int = 0) -> list[HistoryChunk]:
    chunks, position = [], 0
    with JournalTail(path) as tail:
        reader = HistoryReader(tail)
        while True:
            chunks.append(reader.read(HistoryRequest(position, since_ns)))
            position = chunks[-1].position
            if chunks[-1].at_end:
                return chunks


def decisions(chunks: list[HistoryChunk]) -> np.ndarray:
    return np.frombuffer(b"".join(chunk.decisions for chunk in chunks), DECISION_COLUMNS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    record_session(folder)
    return folder


def test_a_journal_that_describes_itself_at_other_length_is_read_from_its_start(
    finished: Path, tmp_path: Path
) -> None:
    content = (finished / JOURNAL).read_bytes()
    header = RECORD_HEAD.pack(Opcode.HEADER, 3) + b"any"
    _, length = RECORD_HEAD.unpack_from(content, len(MAGIC))
    rest = content[len(MAGIC) + RECORD_HEAD.size + length :]
    of_another = tmp_path / JOURNAL
    of_another.write_bytes(MAGIC + header + rest)
    found = decisions(read_all(of_another))
    assert len(found) > 0
    assert found.tobytes() == decisions(read_all(finished / JOURNAL)).tobytes()


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_a_growing_journal_is_read_once_and_whole(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, cuts: list[float]
) -> None:
    content = (finished / JOURNAL).read_bytes()
    growing = tmp_path_factory.mktemp("growing") / JOURNAL
    growing.write_bytes(b"")
    chunks, position = [], 0
    with JournalTail(growing) as tail:
        reader = HistoryReader(tail)
        for stop in [*sorted(round(cut * len(content)) for cut in cuts), len(content)]:
            growing.write_bytes(content[:stop])
            chunks.append(reader.read(HistoryRequest(position)))
            position = chunks[-1].position
    record = SessionRecord.read(finished)
    table, found = record.decision_table, decisions(chunks)
    for name in ("frame_id", "state", "trial"):
        assert np.array_equal(found[name], table[name])
    assert np.array_equal(found["s3"], table["s3"].astype(np.float32), equal_nan=True)
    frames = np.frombuffer(b"".join(chunk.frames for chunk in chunks), FRAME_COLUMNS)
    assert frames["frame_id"].tolist() == record.frames["frame_id"].tolist()
    trials = [trial for chunk in chunks for _, trial in chunk.trials]
    assert repr(trials) == repr(record.trials)
    assert trials
    assert [note for chunk in chunks for _, note in chunk.notes] == ["the animal sits well"]
    ends = [chunk.end for chunk in chunks if chunk.end is not None]
    assert ends == [record.end]


def test_chunks_are_bounded_and_fluorescence_comes_ten_times_a_second(tmp_path: Path) -> None:
    played = Played(tmp_path, n_planes=2)
    played.frames(0, 2000)
    played.journal.close("done")
    chunks = read_all(tmp_path / JOURNAL)
    assert len(chunks) > 1
    assert all(len(chunk.decisions) <= MOST_RECORDS * DECISION_COLUMNS.itemsize for chunk in chunks)
    columns = [column for chunk in chunks for column in chunk.columns]
    for plane in (0, 1):
        ids = [column.frame_id for column in columns if column.plane == plane]
        rate_hz = len(ids) / (2000 / played.info.rate_hz)
        assert rate_hz == pytest.approx(min(COLUMNS_PER_S, played.info.plane_rate_hz), rel=0.02)
        assert all(frame_id % 2 == plane for frame_id in ids)
    record = SessionRecord.read(tmp_path)
    last = columns[-1]
    row = record.plane_rows(last.plane).tolist().index(last.frame_id)
    expected = record.fluorescence(last.plane)[row]
    assert np.array_equal(np.frombuffer(last.values, "<f4"), expected)


def test_old_fluorescence_is_left_out_and_the_rest_is_there(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.frames(0, 400)
    played.journal.close("done")
    since_ns = played.perf_ns(played.time_s(300))
    chunks = read_all(tmp_path / JOURNAL, since_ns)
    columns = [column for chunk in chunks for column in chunk.columns]
    assert min(column.frame_id for column in columns) in (300, 301)
    assert len(decisions(chunks)) == len(played.decisions)


def test_reading_stops_at_what_is_no_record(finished: Path, tmp_path: Path) -> None:
    content = bytearray((finished / JOURNAL).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    (tmp_path / JOURNAL).write_bytes(content)
    found = decisions(read_all(tmp_path / JOURNAL))
    whole = decisions(read_all(finished / JOURNAL))
    assert 0 < len(found) < len(whole)
    assert found["frame_id"].tolist() == whole["frame_id"][: len(found)].tolist()


def test_history_is_served_whatever_else_is_asked(finished: Path) -> None:
    with HistoryServer(finished) as server:
        stranger = zmq.Context.instance().socket(zmq.DEALER)
        stranger.connect(server.endpoint)
        stranger.send(b"\xff not a request")
        client = HistoryClient(server.endpoint)
        try:
            with pytest.raises(StreamError, match="no history"):
                client.ask(HistoryRequest(-5), timeout_s=0.2)
            chunk = client.ask(HistoryRequest(), WAIT_S)
            # NaN is equal to nothing
            assert repr(chunk) == repr(read_all(finished / JOURNAL)[0])
            again = client.ask(HistoryRequest(chunk.position), WAIT_S)
            assert again.position == chunk.position
            assert again.at_end
        finally:
            client.close()
            stranger.close(0)


def test_before_there_is_a_journal_the_history_is_empty(tmp_path: Path) -> None:
    with HistoryServer(tmp_path) as server:
        client = HistoryClient(server.endpoint)
        try:
            assert client.ask(HistoryRequest(), WAIT_S) == HistoryChunk(0, at_end=True)
            record_session(tmp_path)
            assert client.ask(HistoryRequest(), WAIT_S).decisions
        finally:
            client.close()


class Follower:
    """A window: it reads on from where it was."""

    def __init__(self, path: Path) -> None:
        self.tail = JournalTail(path)
        self._reader = HistoryReader(self.tail)
        self._next = (0, 0)
        self.notes: list[str] = []

    def look(self) -> None:
        for _ in range(100):
            position, number = self._next
            chunk = self._reader.read(HistoryRequest(position, 0, number))
            self._next = chunk.position, chunk.number
            self.notes += [text for _, text in chunk.notes]
            if chunk.at_end:
                return
        pytest.fail("reading never comes to an end")


@pytest.mark.skipif(sys.platform == "win32", reason="nobody cuts a file there that is open")
@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("is_long", [False, True])
def test_what_is_written_after_a_cut_is_seen(left: float, is_long: bool, tmp_path: Path) -> None:
    """Whether the journal has grown past the place where it was read, or not yet."""
    journal = record_session(tmp_path, close=False)
    path = journal.path

    def write(text: str) -> None:
        n_records = journal.n_records
        journal.append(Topic.NOTE, Note(text))
        until(lambda: journal.n_records > n_records and path.read_bytes().count(text.encode()))

    write("before")
    window, late = Follower(path), Follower(path)
    window.look()
    assert window.notes == ["the animal sits well", "before"]
    size = path.stat().st_size
    # amid a record: one that a reader waits for takes what comes next for its own end
    os.truncate(path, round(left * size) - 3 if left else 0)
    window.look()
    filler = "x" * (2 * size) if is_long else "x"
    for text in ("first", filler, "second"):
        write(text)
    window.look()
    assert window.notes[2:] == ["first", filler, "second"]
    if left == 0.99:
        for _ in range(3):
            late.look()
        assert late.notes[-3:] == ["first", filler, "second"]
    write("third")
    window.look()
    window.look()
    assert window.notes[-1] == "third"
    journal.close("cut")
    window.look()
    assert window.tail.after_cut(*window._next) is None
    for one in (window, late):
        one.tail.close()
