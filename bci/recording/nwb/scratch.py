"""Settings, calibration and manifest, as JSON text."""

import json

import msgspec
from pynwb import NWBFile

from bci.config import dump_session
from bci.recording.rewards import day_volumes
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import Stepped
from bci.recording.time_axis import TimeAxis


def add_scratch(file: NWBFile, record: SessionRecord, axis: TimeAxis, stepped: Stepped) -> None:
    """Add `scratch/settings`, `calibration`, `performance`, `rewards`, clocks, `manifest`."""
    newest = record.calibrations[-1] if record.calibrations else None
    texts = {
        "settings": (json.dumps(dump_session(record.session)), "Resolved settings, JSON."),
        "calibration": (
            msgspec.json.encode(newest).decode(),
            "Threshold and distribution of the baseline, JSON; null where there was none.",
        ),
        "performance": (
            msgspec.json.encode(stepped.performance).decode(),
            "How the animal did: trials by outcome, accuracy, rewards of the task per minute of "
            "frame time in trials (grey to black; waiting, pauses and baseline left out) and per "
            "minute of RUN, JSON.",
        ),
        "rewards": (
            msgspec.json.encode(day_volumes(record)).decode(),
            "Volumes given in the session and on its day, the cap, the valve, JSON.",
        ),
        "device_clock": (
            msgspec.json.encode(axis.clock.segments).decode(),
            "Lines from the board's clock to this one, one for each start of the board, with their "
            "error, JSON.",
        ),
        "peer_clocks": (
            msgspec.json.encode({one.value.peer: one.value for one in record.clocks}).decode(),
            "Newest difference of other processes' clocks and control's, which all times here are "
            "told on, with its error; 0 on one computer, JSON.",
        ),
        "manifest": (
            msgspec.json.encode(record.manifest).decode(),
            "Program, packages and host that ran the session, JSON.",
        ),
    }
    for name, (text, description) in texts.items():
        file.add_scratch(text, name=name, description=description)
