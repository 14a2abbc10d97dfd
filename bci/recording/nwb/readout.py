"""What the loop made of the frames: s, s3, angle, threshold, state."""

from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike, NDArray
from pynwb import NWBFile, TimeSeries

from bci.core.decoding.registry import READ_OUT_WORDS, s_unit
from bci.core.loop_types import TaskState
from bci.recording.nwb.series import packed_blocks, timing
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import ReadOuts, Stepped
from bci.recording.time_axis import TimeAxis


def add_readout(
    file: NWBFile, record: SessionRecord, axis: TimeAxis, stepped: Stepped, read_outs: ReadOuts
) -> None:
    """Add `processing/bci`: one value a decoded frame, as the journal holds it."""
    module = file.create_processing_module(
        "bci", "The read-out that turned the grating and the task around it. " + axis.description
    )
    rows, table = stepped.decoded, record.decision_table
    if not len(rows):
        return

    def column(name: str) -> tuple[Callable[[int, int], NDArray[Any]], DTypeLike]:
        return lambda start, stop: table[name][rows[start:stop]], table.dtype[name]

    decoder = record.session.experiment.decoder
    unit, read_out = s_unit(decoder), decoder.read_out
    states = ", ".join(f"{state.value} {state.name}" for state in TaskState)
    series = (
        ("s", column("s"), unit, f"Read-out {read_out}: {READ_OUT_WORDS[read_out]}."),
        ("s3", column("s3"), unit, "Mean of the last values of s; a hit at s3 >= threshold."),
        ("angle_deg", column("angle_deg"), "degrees", "Angle of the read-out, 0 to 90 = target; "
         "NaN while the threshold is unknown. In closed loop the screen shows it in state RUN; "
         "what it showed in other session types is in the flips of the events."),
        ("threshold", (read_outs.t, "f8"), unit, "T: hit at s3 >= T; NaN while unknown."),
        ("lo", (read_outs.lo, "f8"), unit, "s3 that shows 0 degrees; NaN while unknown."),
        ("task_state", column("state"), "n.a.", f"State after this frame: {states}."),
        ("frame_id", column("frame_id"), "n.a.", "Frame, counted over all planes."),
    )  # fmt: skip
    when = timing(axis, table["frame_id"][rows])
    for name, (make, dtype), unit, description in series:
        one = TimeSeries(
            name=name, data=packed_blocks(make, (len(rows),), dtype), unit=unit,
            description=description, **when,
        )  # fmt: skip
        module.add(one)
        if "timestamps" in when:
            when = {"timestamps": one}
