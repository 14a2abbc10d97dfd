"""Everything that happened in a session beside its frames, on one time axis."""

from collections.abc import Iterator, Mapping
from math import nan

import msgspec

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
from bci.recording.session_record import SessionRecord
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


def happenings(record: SessionRecord, axis: TimeAxis) -> list[Happening]:
    """All of a session, in order of time; what came at one time stays in the journal's order.

    Inputs of the board lie where it sensed them, all else of it when the host knew.
    """
    found = [
        *_loop_events(record, axis),
        *_raises(record, axis),
        *_ledger(record, axis),
        *_board(record, axis),
        *_screen(record, axis),
        *(
            Happening(
                axis.of_perf(note.perf_ns),
                "note",
                nan,
                axis.frame_at(note.perf_ns),
                text=note.value.text,
            )
            for note in record.notes
        ),
        *(
            Happening(
                axis.of_perf(process.perf_ns),
                "process",
                nan,
                axis.frame_at(process.perf_ns),
                text=f"{process.value.name} {process.value.kind} {process.value.detail}".strip(),
            )
            for process in record.processes
        ),
    ]
    return sorted(found, key=lambda one: one.t_s)


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
    for decision in record.decisions:
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
    commands = commands_by_id(record)
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


def commands_by_id(record: SessionRecord) -> dict[int, StimulusCommand]:
    """Every command that a decision made, by its id."""
    return {d.command.command_id: d.command for d in record.decisions if d.command is not None}
