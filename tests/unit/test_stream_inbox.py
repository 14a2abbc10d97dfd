"""Whatever arrives on a socket is read or dropped; nothing of it can end its reader."""

import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hostile_messages import FRAGMENTS, hostile

from bci.core.loop_types import EnsemblesSet, Stop
from bci.core.messages import (
    MOST_ITEMS,
    MOST_LABEL,
    MOST_NOTE,
    MOST_NS,
    NotAMessage,
    cut,
    read_message,
)
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import (
    FlipKind,
    FlipReport,
    MissedFlips,
    ScreenHello,
    ScreenKind,
    ScreenReport,
    StimulusCommand,
)
from bci.core.stream_types import Roi, StreamInfo
from bci.recording.history import HistoryChunk, HistoryRequest
from bci.stream.handshake import Answer, Credit, Described, Request, StartStream
from bci.stream.inbox import LOG_EVERY_S, Inbox
from bci.stream.operator import (
    OperatorNote,
    OperatorReward,
    Reply,
    _Asked,
    _Replied,
)
from bci.stream.publisher import Delivery
from bci.stream.supervision import (
    Alive,
    Announce,
    ChildMessage,
    Heartbeat,
    Hello,
    HubMessage,
    Peers,
    Report,
)
from bci.stream.telemetry import Telemetry
from bci.stream.wires import Level

INFO = StreamInfo("s", 0, "door", 30.0, 1, (2, 2), 1, 0.0, None, (Roi(0, "roi0000", 0),))
MESSAGES: list[tuple[Any, msgspec.Struct]] = [
    (_Asked, _Asked(b"me", 1, OperatorNote("note"))),
    (_Asked, _Asked(b"me", 1, OperatorReward(4.0))),
    (_Asked, _Asked(b"me", 1, Stop("enough"))),
    (_Asked, _Asked(b"me", 1, EnsemblesSet(("roi0000",), ("roi0001",)))),
    (_Asked, _Asked(b"me", 1, ProcessEvent("board", "died", 7, "why"))),
    (_Replied, _Replied(1, Reply(True, "done", Telemetry(1, "RUN")))),
    (ScreenReport, FlipReport(1, FlipKind.SHOWN, 1, 2, 3, 0, True)),
    (ScreenReport, ScreenHello("null", "r", "d", 800, 600, 60.0, False)),
    (ScreenReport, MissedFlips(1, 2)),
    (StimulusCommand, StimulusCommand(1, 2, ScreenKind.GREY, 0.0, 1.0, 2.0)),
    (Request, Request(1, StartStream(Delivery.LIVE, 0, b"token"))),
    (Request, Request(1, Credit(3))),
    (Answer, Answer(1, Described(INFO))),
    (ChildMessage, Hello("control", 1)),
    (ChildMessage, Heartbeat(3)),
    (ChildMessage, Announce({"frames": "tcp://127.0.0.1:1"})),
    (ChildMessage, Report("ready", "now")),
    (HubMessage, Alive(False)),
    (HubMessage, Peers({"frames": "tcp://127.0.0.1:1"})),
    (Telemetry, Telemetry(1, "RUN", latency_ms={"sent": (1.0, 2.0)})),
    (HistoryRequest, HistoryRequest(1, 2)),
    (HistoryChunk, HistoryChunk(1, True, infos=(INFO,), notes=((1, "note"),))),
    (Level, Level("frame_ttl", 1, 3)),
]


@pytest.mark.parametrize(("kind", "valid"), MESSAGES, ids=lambda part: type(part).__name__)
def test_hostile_message_is_dropped_and_counted(kind: Any, valid: msgspec.Struct) -> None:
    inbox: Inbox[Any] = Inbox(kind, "test", 1_000_000)
    n_dropped = 0
    for name, payload in hostile(valid):
        read = inbox.read([payload])
        n_dropped += read is None
        assert inbox.dropped == n_dropped, name
        if read is not None:
            # valid by chance: what it holds can be written again, as a journal does
            assert msgspec.msgpack.encode(read)
    assert n_dropped > len(FRAGMENTS)
    whole = msgspec.msgpack.encode(valid)
    assert msgspec.msgpack.encode(inbox.read([whole])) == whole
    assert inbox.dropped == n_dropped


@given(st.binary(max_size=300))
def test_any_bytes_are_no_message_or_one(payload: bytes) -> None:
    for kind, _ in MESSAGES:
        inbox: Inbox[Any] = Inbox(kind, "test", 1000)
        assert (inbox.read([payload]) is None) == bool(inbox.dropped)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_files_of_others_are_read_with_one_error(name: str) -> None:
    for decoder in (msgspec.msgpack.Decoder(Telemetry), msgspec.json.Decoder(Telemetry)):
        with pytest.raises(NotAMessage):
            read_message(decoder, FRAGMENTS[name])
    with pytest.raises(NotAMessage):
        read_message(msgspec.json.Decoder(), b"[" * 100_000)


@pytest.mark.parametrize(
    ("kind", "message", "is_read"),
    [
        (_Asked, _Asked(b"me", 1, OperatorNote("x" * MOST_NOTE)), True),
        (_Asked, _Asked(b"me", 1, OperatorNote("x" * (MOST_NOTE + 1))), False),
        (_Asked, _Asked(b"me", 1, EnsemblesSet(("x" * MOST_LABEL,), ())), True),
        (_Asked, _Asked(b"me", 1, EnsemblesSet(("x" * (MOST_LABEL + 1),), ())), False),
        (_Asked, _Asked(b"me", 1, EnsemblesSet(("x",) * MOST_ITEMS, ())), True),
        (_Asked, _Asked(b"me", 1, EnsemblesSet(("x",) * (MOST_ITEMS + 1), ())), False),
        (ScreenReport, MissedFlips(1, MOST_NS), True),
        (ScreenReport, MissedFlips(1, MOST_NS + 1), False),
        (ScreenReport, MissedFlips(-1, 1), False),
        (HistoryRequest, HistoryRequest(-1), False),
        (Level, Level("frame_ttl", 2, 1), False),
    ],
)
def test_lengths_and_numbers_have_a_largest_one(kind: Any, message: Any, is_read: bool) -> None:
    inbox: Inbox[Any] = Inbox(kind, "test", 10_000_000)
    assert (inbox.read([msgspec.msgpack.encode(message)]) is not None) is is_read


def test_message_is_one_part_of_a_largest_size() -> None:
    payload = msgspec.msgpack.encode(Heartbeat(1))
    inbox: Inbox[ChildMessage] = Inbox(ChildMessage, "test", len(payload))
    assert inbox.read([payload]) == Heartbeat(1)
    for parts in ([], [payload, payload], [payload + b"\0"]):
        assert inbox.read(parts) is None
    assert inbox.dropped == 3


def test_flood_of_garbage_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    inbox: Inbox[Any] = Inbox(Heartbeat, "flooded", 100, clock_s=lambda: now_s)

    def logged() -> list[str]:
        return [record.getMessage() for record in caplog.records]

    with caplog.at_level(logging.WARNING, "bci.stream"):
        for _ in range(1000):
            inbox.read([b"\xc1"])
        assert len(logged()) == 1
        now_s = LOG_EVERY_S
        inbox.read([b"\xc1"])
        assert len(logged()) == 2
        assert "1001" in logged()[-1]
        inbox.read([b"\xc1"])
        inbox.close()
        inbox.close()
    assert len(logged()) == 3
    assert "1002" in logged()[-1]


def test_long_text_is_cut_to_what_its_reader_takes() -> None:
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("x" * 11, 10) == "x" * 9 + "…"
