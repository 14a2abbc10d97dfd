"""A session's calibration, computed once more from its baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

import msgspec

from bci.config import Session
from bci.core.calibration import BaselineRefused, CalibrationResult
from bci.core.chance import Chance, predict_chance
from bci.core.loop import ClosedLoop
from bci.core.loop_types import GuardLevels, ThresholdSet
from bci.core.stream_types import StreamInfo

Raised = tuple[tuple[float, Chance], ...]


class Recalibrated(NamedTuple):
    """One value of a calibration, as recorded and as computed."""

    field: str
    recorded: Any
    computed: Any


@dataclass(frozen=True)
class Given:
    """What a session's decisions rest on besides its frames and events.

    Parameters
    ----------
    session, info
        Settings, and the stream that it began with.
    calibrations
        As recorded, in order.
    """

    session: Session
    info: StreamInfo
    calibrations: tuple[CalibrationResult, ...]


def recalibrate(
    given: Given, loop: ClosedLoop, event: ThresholdSet, place: int
) -> Iterator[Recalibrated]:
    """Every value of a calibration: what the loop was told, and what stands on file.

    Of its warnings the number: they are words for what the values say, and another version may
    say it in others.

    Parameters
    ----------
    loop
        As it was before the event.
    event
        Of a calibration.
    place
        How many calibrations came before.
    """
    try:
        result = loop.calibrate()
    except BaselineRefused as refusal:
        yield Recalibrated("calibration", event.t, str(refusal))
        return
    yield from _pairs(event, result.threshold)
    stored = stored_calibrations(given.calibrations)
    if place >= len(stored):
        return
    plain, with_chance = stored[place]
    yield from _pairs(plain, result)
    if with_chance is None:
        return
    chance = predict_chance(
        given.session.experiment,
        given.info,
        loop.decoder.layout,
        loop.baseline_s3,
        loop.baseline_signals,
        result.threshold,
    )
    yield from _pairs(with_chance, result.with_chance(chance))


def stored_calibrations(
    records: Sequence[CalibrationResult],
) -> list[tuple[CalibrationResult, CalibrationResult | None]]:
    """Each calibration as it was first written, and with its chance where that came."""
    stored: list[tuple[CalibrationResult, CalibrationResult | None]] = []
    for found in records:
        if found.chance_trials < 0:
            stored.append((found, None))
        elif stored:
            stored[-1] = (stored[-1][0], found)
    return stored


def _pairs(recorded: Any, computed: Any) -> Iterator[Recalibrated]:
    for name, value in msgspec.structs.asdict(recorded).items():
        other = getattr(computed, name)
        if name == "warnings":
            yield Recalibrated(name, len(value), len(other))
        elif isinstance(value, GuardLevels) and isinstance(other, GuardLevels):
            yield Recalibrated("guards.p_minus_max", value.p_minus_max, other.p_minus_max)
            ours, theirs = value.others_min, other.others_min
            for i in range(max(len(ours), len(theirs))):
                a, b = (levels[i] if i < len(levels) else nan for levels in (ours, theirs))
                yield Recalibrated(f"guards.others_min[{i}]", a, b)
        elif name == "raised":
            yield from _raised_pairs(value, other)
        else:
            yield Recalibrated(name, value, other)


def _raised_pairs(recorded: Raised, computed: Raised) -> Iterator[Recalibrated]:
    yield Recalibrated("raised", tuple(t for t, _ in recorded), tuple(t for t, _ in computed))
    pairs = zip(recorded, computed, strict=False)
    for place, ((_, ours), (_, theirs)) in enumerate(pairs):
        for name in ("chance", "low", "high", "n_trials"):
            yield Recalibrated(
                f"raised[{place}].{name}", getattr(ours, name), getattr(theirs, name)
            )
