"""Journals whose every CRC is right and whose records contradict each other, or themselves."""

import math
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from unit.played_session import Played, made_session

from bci.analysis.baseline.recording import read_baseline
from bci.analysis.report import write_report
from bci.core.board_types import BoardEventKind
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance
from bci.core.frame_header import HEADER
from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    BlockKind,
    CalibrationRefused,
    EnsemblesSet,
    EpochStarted,
    Finish,
    GuardLevels,
    LedgerEntry,
    LedgerKind,
    LightSet,
    Malformed,
    Pause,
    PlaybackSet,
    PlayedTrial,
    Resume,
    ScreenBack,
    ScreenLost,
    Stalled,
    Stop,
    ThresholdSet,
)
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import MissedFlips, ScreenHello
from bci.gui.model import SessionModel
from bci.gui.replay.index import ReplayIndex
from bci.recording.contents import DamagedJournal
from bci.recording.folder import JOURNAL, NWB, REPORT
from bci.recording.history import HistoryChunk, HistoryReader, HistoryRequest
from bci.recording.layout import CHANNEL_IDS, FRAME_HEAD, epilogue, pack_message, parts_of, prologue
from bci.recording.manifest import read_manifest
from bci.recording.nwb import export_nwb
from bci.recording.playback import read_playback
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RecordingError
from bci.recording.records import (
    ClockTied,
    JournalEnd,
    JournalStart,
    LostSpan,
    MendedRecord,
    Peer,
    Recovered,
    Topic,
)
from bci.recording.recover import recover
from bci.recording.scan import JournalBytes, Message
from bci.recording.session_record import SessionRecord
from bci.recording.tail import JournalTail
from bci.recording.verify import verify
from bci.session.keep_day import keep_missing_day
from bci.session.settle import settle_session


@dataclass(frozen=True)
class Record:
    """One record of a journal, without its number and CRC."""

    topic: Topic
    wall_ns: int
    perf_ns: int
    payload: bytes


def records_of(path: Path) -> list[Record]:
    """All records of a whole journal but the first and the last."""
    with JournalBytes(path) as journal:
        return [
            Record(one.topic, one.wall_ns, one.perf_ns, journal[one.payload])
            for one in journal.scan()
            if isinstance(one, Message) and one.topic not in (Topic.START, Topic.END)
        ]


def start_of(path: Path) -> JournalStart:
    """The first record of a journal."""
    with JournalBytes(path) as journal:
        first = next(iter(journal.scan()))
        assert isinstance(first, Message)
        return msgspec.msgpack.decode(journal[first.payload], type=JournalStart)


def write_journal(path: Path, start: JournalStart, records: list[Record]) -> None:
    """Write a journal in which every number, length and CRC is right."""
    before = prologue()
    content = bytearray(b"".join(part.content for part in before))
    start = msgspec.structs.replace(
        start, prologue_crc=zlib.crc32(content), prologue_parts=parts_of(before)
    )
    first = Record(Topic.START, start.t_wall_ns % 2**64, start.t_perf_ns % 2**64, _packed(start))
    last = records[-1] if records else first
    end = replace(last, topic=Topic.END, payload=_packed(JournalEnd("done", len(records) + 1)))
    counts: Counter[int] = Counter()
    for number, one in enumerate((first, *records, end)):
        channel = CHANNEL_IDS[one.topic]
        counts[channel] += 1
        content += pack_message(channel, number, one.wall_ns, one.perf_ns, one.payload)
    walls = [one.wall_ns for one in (first, *records, end)]
    after = epilogue(before, counts, (min(walls), max(walls)), zlib.crc32(content), len(content))
    path.write_bytes(bytes(content) + b"".join(part.content for part in after))


def write_rich_session(folder: Path) -> None:
    """Record a small session that holds every topic and every event."""
    session = Played(
        folder, made_session(2, experiment={"baseline": {"duration_s": 3.0}, "threshold": None}), 2
    )
    session.start()
    session.frames(0, 50)
    journal = session.journal
    for event in (
        BlockEnded(), CalibrationRefused("too short"), EnsemblesSet(("a",), ("b",)),
        ThresholdSet(0.3, -0.3, 100.0, "operator", GuardLevels(0.5, (0.1,)), 0.2),
        PlaybackSet("other", "0" * 64, (PlayedTrial((0.0,), (1.0,), 0.5, 0.1),), 2.0),
        LightSet(True), BlockBegun(BlockKind.CLOSED_LOOP),
    ):  # fmt: skip
        session.apply(event, 5.6)
    session.frames(50, 140)
    for event in (Pause(), Resume(), Stalled(1.0), Stalled(1.0, 3), Resume(), ScreenLost("gone"),
                  ScreenBack(), Malformed("short", 3)):  # fmt: skip
        session.apply(event, 10.1)
    session.frames(140, 160)
    session.apply(EpochStarted(1), 11.2)
    session.epoch = 1
    session.info = msgspec.structs.replace(session.info, epoch=1)
    journal.append(Topic.INFO, session.info, t_perf_ns=session.perf_ns(11.2))
    session.frames(160, 200)
    session.frame(199)
    session.frame(205)
    for place, kind in enumerate(BoardEventKind):
        session.board(kind, session.perf_ns(13.0 + place / 50), 1, 1.0)
    chance = Chance(0.2, 0.1, 0.3, 40)
    for topic, value in (
        (Topic.CALIBRATION, CalibrationResult(
            0.3, -0.3, 0.0, 0.1, 3.0, 0.5, 100, 20, 100.0, ("short",), GuardLevels(0.5, (0.1,)),
            0.2, 0.1, 0.3, 40, 0.3, ((0.35, chance),),
        )),
        (Topic.SCREEN, ScreenHello("null", "none", ":0", 100, 100, 60.0, False)),
        (Topic.SCREEN, MissedFlips(2, session.perf_ns(13.0))),
        (Topic.LEDGER, LedgerEntry(20, LedgerKind.LATE, "screen command withheld", "9 ms")),
        (Topic.PROCESS, ProcessEvent("stimulus", "died", 12, "killed")),
        (Topic.CLOCK, ClockTied(Peer.ACQUISITION, 1000, 10)),
        (Topic.CLOCK, ClockTied(Peer.STIMULUS, 1000, 10)),
        (Topic.RECOVERY, Recovered(
            3, (LostSpan(9, 8, 3, 4, "bytes"),), 3, "journal.damaged.mcap",
            (MendedRecord(3, Topic.NOTE, 5, 1, 2),),
        )),
    ):  # fmt: skip
        journal.append(topic, value, t_perf_ns=session.perf_ns(13.5))
    session.note("the animal sits well", 13.6)
    session.frames(206, 220)
    session.apply(Finish("enough"), 14.2)
    session.frames(220, 225)
    session.apply(Stop("enough"), 14.4)
    session.close()


NUMBERS = (
    -1, 0, 1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**62, 2**63 - 1,
    -(2**31), -(2**53), -(2**63), 2**63, 2**64 - 1,
)  # fmt: skip
FLOATS = (
    math.nan, math.inf, -math.inf, -1.0, 0.0, -0.0, 1e-320, 1e300, -1e300, 1e-9, 1e12, 3.5,
)  # fmt: skip
TEXTS = ("", "x" * 100_000, "\0", "../../x", "hit", "operator", "a", "b", "d", "\ud7ff🐭")


def _packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a decoded value holds something that can be changed."""
    found = [path] if path else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, one in items:
        found += _places(one, (*path, key))
    return found


def _other(value: Any, random: Random) -> Any:
    """Something of the same kind, or nothing."""
    match value:
        case bool():
            return not value
        case int():
            return random.choice((*NUMBERS, value + 1, value - 1, -value, 2 * value))
        case float():
            return random.choice((*FLOATS, -value, 2 * value))
        case str():
            return random.choice(TEXTS)
        case list():
            return random.choice(([], value + value, value[:-1], value[::-1], value * 40))
        case None:
            return random.choice((0, 1.0, "x", -1))
        case _:
            return None


def _changed(payload: bytes, random: Random) -> bytes:
    """A record with one to three of its values changed."""
    try:
        value = msgspec.msgpack.decode(payload)
    except msgspec.DecodeError:
        # a frame that was moved to another topic
        return payload
    for _ in range(random.choice((1, 1, 2, 3))):
        places = _places(value)
        if not places:
            break
        *way, last = random.choice(places)
        within = value
        for key in way:
            within = within[key]
        if isinstance(within[last], int | float) or random.random() < 0.9:
            within[last] = _other(within[last], random)
        elif isinstance(within, dict):
            del within[last]
    try:
        return _packed(value)
    except (OverflowError, UnicodeEncodeError):
        return payload


def _changed_frame(payload: bytes, random: Random) -> bytes:
    """A frame with fields of its header, or its values, changed."""
    if len(payload) < FRAME_HEAD.size + HEADER.size:
        return payload
    sequence, received_ns = FRAME_HEAD.unpack_from(payload)
    fields = list(HEADER.unpack_from(payload, FRAME_HEAD.size))
    values = payload[FRAME_HEAD.size + HEADER.size :]
    for _ in range(random.choice((1, 1, 2))):
        match random.randrange(6):
            case 0:
                sequence = random.choice((0, 1, sequence + 1, sequence - 1, 2**63, 2**64 - 1))
            case 1:
                received_ns = random.choice((0, -1, -(2**63), 2**63 - 1, received_ns // 2))
            case 2 | 3:
                place = random.choice((2, 3, 4, 5, 7, 10, 11, 12))
                bits = {2: 16, 3: 64, 4: 32, 5: 16, 7: 64, 10: 63, 11: 63, 12: 64}[place]
                most = 2**bits - 1
                fields[place] = random.choice((0, 1, most, most // 2, most // 2 + 1, 3))
            case 4:
                values = random.choice((b"", values * 2, values[:4], values * 1000))
                fields[8] = len(values) // 4
            case _:
                values = random.choice((b"\xff", b"\0", b"\x7f")) * len(values)
    return FRAME_HEAD.pack(sequence, received_ns) + HEADER.pack(*fields) + values


def _with_one_changed(records: list[Record], random: Random) -> None:
    topic = random.choice(sorted({one.topic for one in records}))
    place = random.choice([i for i, one in enumerate(records) if one.topic is topic])
    one = records[place]
    change = _changed_frame if topic is Topic.FRAME else _changed
    records[place] = replace(one, payload=change(one.payload, random))


def _with_all_of_a_topic_changed(records: list[Record], random: Random) -> None:
    topic = random.choice(sorted({one.topic for one in records}))
    seed = random.random()
    for place, one in enumerate(records):
        if one.topic is topic:
            change = _changed_frame if topic is Topic.FRAME else _changed
            records[place] = replace(one, payload=change(one.payload, Random(seed)))


def _with_times_changed(records: list[Record], random: Random) -> None:
    chosen = range(len(records)) if random.random() < 0.2 else [random.randrange(len(records))]
    wall_ns, perf_ns = (random.choice((0, 1, 2**62, 2**63, 2**64 - 1)) for _ in range(2))
    for place in chosen:
        one = records[place]
        records[place] = random.choice(
            (replace(one, wall_ns=wall_ns), replace(one, perf_ns=perf_ns))
        )


def _without_some(records: list[Record], random: Random) -> None:
    if random.random() < 0.5:
        topic = random.choice(sorted({one.topic for one in records}))
        records[:] = [one for one in records if one.topic is not topic]
        return
    first, last = sorted(random.randrange(len(records) + 1) for _ in range(2))
    del records[first:last]


def _with_some_twice(records: list[Record], random: Random) -> None:
    place, other = random.randrange(len(records)), random.randrange(len(records) + 1)
    records.insert(other, records[place])


def _in_another_order(records: list[Record], random: Random) -> None:
    first, last = sorted(random.randrange(len(records) + 1) for _ in range(2))
    part = records[first:last]
    random.shuffle(part)
    records[first:last] = part


def _of_another_topic(records: list[Record], random: Random) -> None:
    place = random.randrange(len(records))
    records[place] = replace(records[place], topic=random.choice(list(Topic)[1:12]))


def _with_an_info_that_differs(records: list[Record], random: Random) -> None:
    places = [i for i, one in enumerate(records) if one.topic is Topic.INFO]
    place = random.choice(places)
    value = msgspec.msgpack.decode(records[place].payload)
    name = random.choice(
        ("epoch", "rate_hz", "n_planes", "image_shape", "polarity", "dark_counts",
         "saturation_counts", "rois", "plane", "label", "roi_id", "session")
    )  # fmt: skip
    match name:
        case "rois":
            value["rois"] = random.choice(([], value["rois"] * 2, value["rois"][:1]))
        case "plane" | "label" | "roi_id":
            roi = random.choice(value["rois"])
            roi[name] = _other(roi[name], random)
        case "image_shape":
            value[name] = [random.choice(NUMBERS), random.choice(NUMBERS)]
        case _:
            value[name] = _other(value[name], random)
    try:
        payload = _packed(value)
    except OverflowError:
        return
    for i in random.choice((places, [place])):
        records[i] = replace(records[i], payload=payload)


CHANGES: tuple[Callable[[list[Record], Random], None], ...] = (
    _with_one_changed,
    _with_one_changed,
    _with_one_changed,
    _with_all_of_a_topic_changed,
    _with_times_changed,
    _without_some,
    _with_some_twice,
    _in_another_order,
    _of_another_topic,
    _with_an_info_that_differs,
    _with_an_info_that_differs,
)


def spoil_journal(folder: Path, random: Random) -> str:
    """Change what a session's journal says, with every CRC right; what was done, in words."""
    path = folder / JOURNAL
    start, records = start_of(path), records_of(path)
    done = []
    for _ in range(random.choice((1, 1, 1, 2))):
        if records:
            change = random.choice(CHANGES)
            change(records, random)
            done.append(change.__name__.strip("_"))
    if random.random() < 0.05:
        t_ns = random.choice((-1, 0, -(2**63), 2**63 - 1, 2**64 - 1))
        start = msgspec.structs.replace(start, t_perf_ns=t_ns, t_wall_ns=t_ns)
        done.append("start of another time")
    write_journal(path, start, records)
    return ", ".join(done)


REFUSALS = (DamagedJournal, RecordingError)
"""What a journal may be refused with; every other error is a fault of ours."""


def read_every_way(folder: Path, *, with_files: bool) -> int:
    """Read a session as every part of the program does; how many of them refused it.

    Parameters
    ----------
    with_files
        Write NWB and report as well, which takes seconds.
    """
    before = {path.name for path in folder.iterdir()}
    refused = 0
    for way in (one for one in WAYS if with_files or one not in SLOW):
        try:
            way(folder)
        except REFUSALS:
            refused += 1
            left = {path.name for path in folder.iterdir()} - before - {NWB, REPORT}
            assert not left, f"left behind: {left}"
    return refused


def _follow(folder: Path) -> None:
    """As a window does that opens a session, or attaches to one."""
    model, position = SessionModel(read_manifest(folder).session_settings(), folder), 0
    with JournalTail(folder / JOURNAL) as tail:
        reader = HistoryReader(tail)
        while True:
            chunk = reader.read(HistoryRequest(position))
            # as it goes through a socket
            model.take(msgspec.msgpack.decode(_packed(chunk), type=HistoryChunk))
            if chunk.at_end or chunk.position == position:
                break
            position = chunk.position


def _baseline(folder: Path) -> None:
    read_baseline(folder, read_manifest(folder).session_settings())


WAYS: tuple[Callable[[Path], object], ...] = (
    verify,
    recover,
    export_nwb,
    write_report,
    lambda folder: read_traces(folder, None),
    lambda folder: read_playback(SessionRecord.read(folder)),
    _follow,
    lambda folder: ReplayIndex(folder).read(),
    settle_session,
    keep_missing_day,
    _baseline,
)
SLOW = (export_nwb, write_report)
