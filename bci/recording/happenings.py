"""Everything that happened in a session beside its frames, on one time axis."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import nan
from typing import overload

import msgspec
import numpy as np

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.counted import counted
from bci.core.loop_types import (
    BlockBegun,
    CalibrationRefused,
    EnsemblesSet,
    Finish,
    LightSet,
    LoopEvent,
    Malformed,
    PlaybackSet,
    Stalled,
    Stop,
    ThresholdSet,
)
from bci.core.stimulus_types import FlipKind, FlipReport, ScreenKind, StimulusCommand
from bci.recording.rewards import rewards_of
from bci.recording.session_record import LARGEST_ID, Carries, SessionRecord
from bci.recording.time_axis import TimeAxis

CONTINUOUS = frozenset(
    {
        BoardEventKind.WHEEL,
        BoardEventKind.FRAME_TTL,
        BoardEventKind.SYNC,
        BoardEventKind.CLOCK,
    }
)
"""Signals rather than events: thousands of them, stored as what they are or in the journal."""


SENSED = frozenset({BoardEventKind.LICK, BoardEventKind.PHOTODIODE, BoardEventKind.AUX})
"""Edges of inputs, which the board stamps itself."""

MEASURED = frozenset(
    {
        BoardEventKind.REWARD_DONE,
        BoardEventKind.LICK,
        BoardEventKind.PHOTODIODE,
        BoardEventKind.AUX,
        BoardEventKind.LIGHT,
        BoardEventKind.GATE,
    }
)


_NUMBERS = struct.Struct("<ddqdq")
_NAMES = ("t_s", "value", "frame_id", "t_device_us", "request_id")
_COLUMNS = np.dtype(list(zip(_NAMES, ("<f8", "<f8", "<i8", "<f8", "<i8"), strict=True)))


class Happening(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened.

    Parameters
    ----------
    t_s
        Seconds since the first stepped frame, see `TimeAxis`; negative before it.
    kind
        Kind of a board event, or flip, ledger, note, process, or the tag of a `LoopEvent` such as
        pause.
    value
        Volume in ul for reward_requested, valve opening in us for reward_done, orientation in
        degrees for flip (NaN: no grating), count for ledger, T for threshold, seconds for stall,
        rewards a minute for playback, level for inputs, 1 or 0 for light and light_set; else NaN.
    frame_id
        Frame that it belongs to, or the last one before it; -1: none.
    t_device_us
        Microseconds on the board's clock; NaN where none.
    request_id
        Of the reward it belongs to; -1: none.
    text
        In words.
    """

    t_s: float
    kind: str
    value: float
    frame_id: int
    t_device_us: float = nan
    request_id: int = -1
    text: str = ""


class Happenings(Sequence[Happening]):
    """Everything that happened, in order of time, as columns.

    What came at one time stays in the order in which it is given.

    Parameters
    ----------
    found
        In any order.

    Attributes
    ----------
    t_s, value, frame_id, t_device_us, request_id
        As in `Happening`, frame_id at most `LARGEST_ID`; shape (happenings,).
    kind, text
        As in `Happening`; equal ones are one object.
    """

    def __init__(self, found: Iterable[Happening]) -> None:
        numbers = bytearray()
        kinds: list[str] = []
        texts: list[str] = []
        known: dict[str, str] = {}
        for one in found:
            frame_id = min(one.frame_id, LARGEST_ID)
            numbers += _NUMBERS.pack(one.t_s, one.value, frame_id, one.t_device_us, one.request_id)
            kinds.append(known.setdefault(one.kind, one.kind))
            texts.append(known.setdefault(one.text, one.text))
        columns = np.frombuffer(numbers, _COLUMNS)
        order = np.argsort(columns["t_s"], kind="stable")
        self.t_s, self.value, self.frame_id, self.t_device_us, self.request_id = (
            columns[name][order] for name in _NAMES
        )
        self.kind = [kinds[row] for row in order.tolist()]
        self.text = [texts[row] for row in order.tolist()]

    def __len__(self) -> int:
        return len(self.kind)

    @overload
    def __getitem__(self, index: int) -> Happening: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Happening]: ...
    def __getitem__(self, index: int | slice) -> Happening | Sequence[Happening]:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        return Happening(
            float(self.t_s[index]),
            self.kind[index],
            float(self.value[index]),
            int(self.frame_id[index]),
            float(self.t_device_us[index]),
            int(self.request_id[index]),
            self.text[index],
        )


def happenings(record: SessionRecord, axis: TimeAxis) -> Happenings:
    """All of a session, in order of time; what came at one time stays in the journal's order.

    Inputs of the board lie where it sensed them, all else of it when the host knew.
    """
    found = chain(
        _loop_events(record, axis),
        _raises(record, axis),
        _ledger(record, axis),
        _board(record, axis),
        _screen(record, axis),
        (
            Happening(
                axis.of_perf(note.perf_ns),
                "note",
                nan,
                axis.frame_at(note.perf_ns),
                text=note.value.text,
            )
            for note in record.notes
        ),
        (
            Happening(
                axis.of_perf(process.perf_ns),
                "process",
                nan,
                axis.frame_at(process.perf_ns),
                text=f"{process.value.name} {process.value.kind} {process.value.detail}".strip(),
            )
            for process in record.processes
        ),
    )
    return Happenings(found)


def _loop_events(record: SessionRecord, axis: TimeAxis) -> Iterator[Happening]:
    for timed in record.events:
        event = timed.value.event
        if isinstance(event, Malformed):
            continue  # the ledger holds it, with its reaction
        value, text = _told(event)
        kind = str(event.__struct_config__.tag)
        frame_id = axis.frame_at(timed.perf_ns)
        yield Happening(axis.of_perf(timed.perf_ns), kind, value, frame_id, text=text)


def _raises(record: SessionRecord, axis: TimeAxis) -> Iterator[Happening]:
    """T raised by adaptive difficulty."""
    for decision in record.carrying(Carries.RAISED_T):
        if decision.raised_t is not None:
            frame_id, t = decision.frame_id, decision.raised_t
            at_s = float(axis.seconds([frame_id])[0])
            yield Happening(at_s, "threshold", t, frame_id, text=f"T = {t:g}, from adaptive")


def _told(event: LoopEvent) -> tuple[float, str]:
    match event:
        case ThresholdSet():
            return event.t, f"T = {event.t:g}, lo = {event.lo:g}, from {event.origin}"
        case BlockBegun():
            return nan, event.kind.value
        case EnsemblesSet():
            sides = f"P+ {', '.join(event.p_plus)}; P- {', '.join(event.p_minus)}"
            return nan, f"{sides}; from {event.origin}"
        case LightSet():
            return float(event.on), f"light {'on' if event.on else 'off'} by hand"
        case CalibrationRefused():
            return nan, event.reason
        case Stalled():
            why = (
                "no frame" if event.older_id is None else f"ids went back to {event.older_id}, none"
            )
            return event.silent_s, f"{why} for {event.silent_s:.2f} s"
        case PlaybackSet():
            n, rate = len(event.trials), event.rewards_per_min
            return rate, f"{counted(n, 'trial')} of {event.source}, {rate:.2f} rewards a minute"
        case Stop() | Finish():
            return nan, event.reason
        case _:
            return nan, ""


def _ledger(record: SessionRecord, axis: TimeAxis) -> Iterator[Happening]:
    for timed in record.ledger:
        entry = timed.value
        text = f"{entry.kind.value}: {entry.detail}; {entry.reaction}"
        if not entry.detail:
            text = f"{entry.kind.value}; {entry.reaction}"
        yield Happening(
            axis.of_perf(timed.perf_ns), "ledger", float(entry.count), entry.frame_id, text=text
        )


def _board(record: SessionRecord, axis: TimeAxis) -> Iterator[Happening]:
    volumes_ul = {one.request_id: one.volume_ul for one in rewards_of(record).rewards}
    for row, event in enumerate(record.board):
        if event.kind in CONTINUOUS:
            continue
        sensed = event.kind in SENSED
        yield Happening(
            float(axis.clock.times_s[row]) if sensed else axis.of_board(event.t_host_ns),
            event.kind.value,
            _value(event, volumes_ul),
            axis.frame_at_board(event.t_host_ns),
            nan if event.t_device_us is None else float(event.t_device_us),
            event.request_id or -1,
            event.detail,
        )


def _value(event: BoardEvent, volumes_ul: Mapping[int, float]) -> float:
    if event.kind is BoardEventKind.REWARD_REQUESTED:
        return volumes_ul[event.request_id]
    return float(event.value) if event.kind in MEASURED else nan


def _screen(record: SessionRecord, axis: TimeAxis) -> Iterator[Happening]:
    commands = Commands(record)
    for timed in record.screen:
        report = timed.value
        # missed and superseded ones are in the ledger
        if isinstance(report, FlipReport) and report.kind is FlipKind.SHOWN:
            command = commands.get(report.command_id)
            yield Happening(
                axis.of_perf(report.t_flip_ns),
                "flip",
                _orientation_deg(command),
                command.frame_id if command else -1,
                text=_shown(command) if command else "command not on file",
            )


def _shown(command: StimulusCommand) -> str:
    tone = f", tone {command.tone_hz:.0f} Hz" if command.tone_hz else ""
    return f"{command.screen.value}{tone}"


def _orientation_deg(command: StimulusCommand | None) -> float:
    if command is None or command.screen not in (ScreenKind.GRATING, ScreenKind.FROZEN):
        return nan
    return command.orientation_deg


class Commands:
    """Every command that a decision made, by its id; read from the journal when asked for."""

    def __init__(self, record: SessionRecord) -> None:
        self._decisions = record.decisions
        carried = record.decision_table["carries"] & Carries.COMMAND
        self._rows = np.flatnonzero(carried)
        ids = (d.command.command_id for d in record.carrying(Carries.COMMAND) if d.command)
        self._ids = np.fromiter(ids, np.int64, len(self._rows))

    def get(self, command_id: int) -> StimulusCommand | None:
        """Return a command; None: no decision on file made it."""
        place = int(np.searchsorted(self._ids, command_id))
        if place == len(self._ids) or self._ids[place] != command_id:
            return None
        return self._decisions[int(self._rows[place])].command
