"""What the loop made of the frames: s, s3, angle, threshold, state."""

import numpy as np
from pynwb import NWBFile, TimeSeries

from bci.core.decoding.registry import READ_OUT_WORDS, s_unit
from bci.core.loop_types import TaskState
from bci.recording.nwb.series import packed, timing
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import Stepped
from bci.recording.time_axis import TimeAxis


def add_readout(file: NWBFile, record: SessionRecord, axis: TimeAxis, stepped: Stepped) -> None:
    """Add `processing/bci`: one value a decoded frame, as the journal holds it."""
    module = file.create_processing_module(
        "bci", "The read-out that turned the grating and the task around it. " + axis.description
    )
    table = record.decision_table[stepped.decoded]
    if not len(table):
        return
    decoder = record.session.experiment.decoder
    unit, read_out = s_unit(decoder), decoder.read_out
    states = ", ".join(f"{state.value} {state.name}" for state in TaskState)
    series = (
        ("s", table["s"], unit, f"Read-out {read_out}: {READ_OUT_WORDS[read_out]}."),
        ("s3", table["s3"], unit, "Mean of the last values of s; a hit at s3 >= threshold."),
        ("angle_deg", table["angle_deg"], "degrees", "Angle of the read-out, 0 to 90 = target; "
         "NaN while the threshold is unknown. In closed loop the screen shows it in state RUN; "
         "what it showed in other session types is in the flips of the events."),
        ("threshold", stepped.thresholds[:, 0], unit, "T: hit at s3 >= T; NaN while unknown."),
        ("lo", stepped.thresholds[:, 1], unit, "s3 that shows 0 degrees; NaN while unknown."),
        ("task_state", table["state"], "n.a.", f"State after this frame: {states}."),
        ("frame_id", table["frame_id"], "n.a.", "Frame, counted over all planes."),
    )  # fmt: skip
    when = timing(axis, table["frame_id"])
    for name, data, unit, description in series:
        one = TimeSeries(
            name=name, data=packed(np.ascontiguousarray(data)), unit=unit,
            description=description, **when,
        )  # fmt: skip
        module.add(one)
        if "timestamps" in when:
            when = {"timestamps": one}
