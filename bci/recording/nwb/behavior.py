"""Wheel and licks, where the board told any."""

import numpy as np
from pynwb import NWBFile, TimeSeries

from bci.core.board_types import BoardEventKind
from bci.recording.nwb.series import packed
from bci.recording.session_record import SessionRecord
from bci.recording.time_axis import TimeAxis

SIGNALS = (
    ("wheel", BoardEventKind.WHEEL, "n.a.", "Position of the wheel, counts of its encoder."),
    ("licks", BoardEventKind.LICK, "n.a.", "Lick sensor, 1 touched, 0 let go, at each change."),
)


def add_behavior(file: NWBFile, record: SessionRecord, axis: TimeAxis) -> None:
    """Add `processing/behavior`, with those of `wheel` and `licks` that there are."""
    module = file.create_processing_module(
        "behavior",
        "What the board sensed of the animal, at the board's times brought to this clock; a "
        "sensor that told nothing has no series here. "
        + (f"{axis.clock.description}. " if axis.clock.segments else "")
        + axis.description,
    )
    for name, kind, unit, description in SIGNALS:
        rows = [row for row, event in enumerate(record.board) if event.kind is kind]
        if not rows:
            continue
        values = np.array([record.board[row].value for row in rows])
        module.add(
            TimeSeries(
                name=name,
                data=packed(values),
                unit=unit,
                description=description,
                timestamps=packed(axis.clock.times_s[rows]),
            )
        )
