"""Journals whose CRCs are right and whose records contradict each other: named, never a crash."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from support.command_line import run_here
from support.hostile_journals import (
    Record,
    read_every_way,
    records_of,
    spoil_journal,
    start_of,
    write_journal,
    write_rich_session,
)

from bci.core.frame_header import HEADER
from bci.gui.model import SessionModel
from bci.recording.contents import DamagedJournal
from bci.recording.folder import JOURNAL
from bci.recording.history import HistoryReader, HistoryRequest
from bci.recording.layout import FRAME_HEAD
from bci.recording.manifest import read_manifest
from bci.recording.records import Topic
from bci.recording.session_record import SessionRecord
from bci.recording.tail import JournalTail
from bci.recording.verify import VerdictKind, verify

Change = Callable[[Any], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A session with records of every topic."""
    session = tmp_path / "mouse" / "session"
    write_rich_session(session)
    return session


def rewrite(folder: Path, change: Callable[[list[Record]], None]) -> None:
    """Change the records of a journal; every CRC is right again."""
    path = folder / JOURNAL
    start, records = start_of(path), records_of(path)
    change(records)
    write_journal(path, start, records)


def first(topic: Topic, change: Change) -> Callable[[list[Record]], None]:
    """Change what the first record of a topic holds."""

    def rewritten(records: list[Record]) -> None:
        place = next(i for i, one in enumerate(records) if one.topic is topic)
        value = msgspec.msgpack.decode(records[place].payload)
        change(value)
        payload = msgspec.msgpack.encode(value)
        records[place] = Record(topic, records[place].wall_ns, records[place].perf_ns, payload)

    return rewritten


def last_info(change: Change) -> Callable[[list[Record]], None]:
    """Change the last description of the stream."""

    def rewritten(records: list[Record]) -> None:
        records.reverse()
        first(Topic.INFO, change)(records)
        records.reverse()

    return rewritten


def frame(place: int, value: object) -> Callable[[list[Record]], None]:
    """Change a field of the first frame's header."""

    def rewritten(records: list[Record]) -> None:
        at = next(i for i, one in enumerate(records) if one.topic is Topic.FRAME)
        old = records[at]
        fields = list(HEADER.unpack_from(old.payload, FRAME_HEAD.size))
        fields[place] = value
        head, values = old.payload[: FRAME_HEAD.size], old.payload[FRAME_HEAD.size + HEADER.size :]
        payload = head + HEADER.pack(*fields) + values
        records[at] = Record(Topic.FRAME, old.wall_ns, old.perf_ns, payload)

    return rewritten


def of_another_time(records: list[Record]) -> None:
    """Let a note be of a time that no clock shows."""
    at = next(i for i, one in enumerate(records) if one.topic is Topic.NOTE)
    records[at] = Record(Topic.NOTE, 2**64 - 1, 2**63, records[at].payload)


CONTRADICTIONS: dict[str, Callable[[list[Record]], None]] = {
    "no planes": first(Topic.INFO, lambda info: info.update(n_planes=0)),
    "planes beyond all measure": first(Topic.INFO, lambda info: info.update(n_planes=2**40)),
    "no rate": first(Topic.INFO, lambda info: info.update(rate_hz=float("nan"))),
    "an endless rate": first(Topic.INFO, lambda info: info.update(rate_hz=float("inf"))),
    "an ROI in a plane that is not there": first(
        Topic.INFO, lambda info: info["rois"][3].update(plane=7)
    ),
    "no ROI of the ensembles": first(Topic.INFO, lambda info: info.update(rois=info["rois"][1:])),
    "other ROIs later": last_info(lambda info: info["rois"].reverse()),
    "other planes later": last_info(lambda info: info.update(n_planes=3)),
    "a negative epoch": last_info(lambda info: info.update(epoch=-1)),
    "a negative trial": first(Topic.DECISION, lambda decision: decision.update(trial=-1)),
    "a number beyond all measure": first(
        Topic.DECISION, lambda decision: decision.update(sequence=2**64 - 1)
    ),
    "a drop of a negative number": first(Topic.BOARD, lambda event: event.update(request_id=-1)),
    "a drop that took endless": first(Topic.BOARD, lambda event: event.update(value=float("inf"))),
    "a board's time that no clock shows": first(
        Topic.BOARD, lambda event: event.update(t_device_us=2**63)
    ),
    "an event before the first": first(Topic.EVENT, lambda event: event.update(sequence=-1)),
    "a clock far away": first(Topic.CLOCK, lambda clock: clock.update(offset_ns=2**63)),
    "a time that no clock shows": of_another_time,
    "more values than there are": frame(8, 40),
    "another magic": frame(0, b"NONE"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_refused_by_whatever_needs_it(name: str, folder: Path) -> None:
    rewrite(folder, CONTRADICTIONS[name])
    with pytest.raises(DamagedJournal):
        SessionRecord.read(folder)
    with JournalTail(folder / JOURNAL) as tail, pytest.raises(DamagedJournal):
        HistoryReader(tail).read(HistoryRequest())


def test_two_inputs_of_one_number_are_refused(folder: Path) -> None:
    rewrite(folder, lambda records: records.append(records[next(
        i for i, one in enumerate(records) if one.topic is Topic.FRAME
    )]))  # fmt: skip
    with pytest.raises(DamagedJournal):
        SessionRecord.read(folder)
    assert not verify(folder).ok


@pytest.mark.parametrize("name", ["no planes", "other ROIs later", "more values than there are"])
def test_verify_calls_it_damaged(name: str, folder: Path) -> None:
    rewrite(folder, CONTRADICTIONS[name])
    assert verify(folder).kind is VerdictKind.DAMAGED


def test_exit_codes_of_a_journal_that_contradicts_itself(folder: Path) -> None:
    assert run_here("verify", folder).code == 0
    rewrite(folder, CONTRADICTIONS["no ROI of the ensembles"])
    before = sorted(folder.iterdir())
    for verb, code in (("verify", 1), ("export", 2), ("report", 2), ("recover", 2)):
        ended = run_here(verb, folder)
        assert ended.code == code, ended
        assert "Traceback" not in ended.err
        assert str(folder) in ended.out + ended.err
    assert sorted(folder.iterdir()) == before


def test_a_length_that_is_none_takes_no_memory(folder: Path) -> None:
    """The tail of a journal that is still written, or of one that was cut."""
    path = folder / JOURNAL
    with JournalTail(path) as tail:
        record = tail.record_at(tail.first_position)
        assert record is not None
    data = bytearray(path.read_bytes())
    data[record.next_position + 1 : record.next_position + 9] = (2**64 - 1).to_bytes(8, "little")
    path.write_bytes(data)
    with JournalTail(path) as tail:
        chunk = HistoryReader(tail).read(HistoryRequest())
    assert chunk.at_end
    assert chunk.position == record.next_position


@pytest.mark.parametrize("number", range(6))
def test_what_was_changed_at_random_is_read_or_refused(number: int, folder: Path) -> None:
    spoil_journal(folder, Random(f"journal {number}"))
    read_every_way(folder, with_files=False)


def test_the_sound_one_is_read_every_way(folder: Path) -> None:
    """Else the others would be refused for something else."""
    read_every_way(folder, with_files=True)
    record = SessionRecord.read(folder)
    assert verify(folder).kind is VerdictKind.IDENTICAL
    assert len(record.infos) == 2
    model = SessionModel(read_manifest(folder).session_settings(), folder)
    with JournalTail(folder / JOURNAL) as tail:
        model.take(HistoryReader(tail).read(HistoryRequest()))
    assert np.isin(1, record.frames["epoch"])
