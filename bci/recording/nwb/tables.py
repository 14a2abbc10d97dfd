"""Trials and events."""

from hdmf.common import VectorData
from pynwb import NWBFile
from pynwb.event import EventsTable, TimestampVectorData

from bci.core.decoding.registry import s_unit
from bci.core.loop_types import TrialEnd
from bci.recording.block_times import block_spans
from bci.recording.happenings import Happenings
from bci.recording.nwb.series import storable
from bci.recording.performance import chance_of
from bci.recording.session_record import LARGEST_ID, SessionRecord
from bci.recording.time_axis import TimeAxis
from bci.recording.trial_times import trial_spans

TRIAL_COLUMNS = {
    "outcome": "hit, miss, abort, or none: a passive trial, which nothing can hit or miss.",
    "time_to_hit_s": "Frame time from the trial's start to the hit, seconds; NaN where none.",
    "threshold": "T of the trial: hit at s3 >= T; in {unit}.",
    "chance": "Predicted accuracy of a passive animal at this T; NaN: not predicted, too short a "
    "baseline, or hits that no neuron makes.",
    "session_type": "What turned the grating and what paid: closed_loop, inverted, no_reward, "
    "delayed_reward, random_reward, open_loop, yoked or passive.",
    "light": "Light for the opsin as the board confirmed it: none, or when it was on: trial (grey "
    "to black), run, or part of either.",
    "trial": "Number of the trial in the day, from 1.",
    "start_frame_id": "First frame of the closed loop.",
    "stop_frame_id": "Frame at which the outcome was decided.",
    "early": "A hit within the first decoded frames of the trial, counted apart.",
}


BLOCK_COLUMNS = {
    "block": "Number of the block in the session, from 1; its kind is its tag.",
    "whole": "False where the session ended in it.",
}


def add_trials(file: NWBFile, record: SessionRecord, axis: TimeAxis) -> None:
    """Add `trials`; a session without one has no such table."""
    spans = trial_spans(record, axis)
    if not spans:
        return
    unit = s_unit(record.session.experiment.decoder)
    for name, description in TRIAL_COLUMNS.items():
        file.add_trial_column(name, description.format(unit=unit))
    chance = chance_of(record)
    for span in spans:
        end: TrialEnd = span.end
        file.add_trial(
            start_time=span.start_s,
            stop_time=span.stop_s,
            outcome=end.outcome.value,
            time_to_hit_s=end.time_to_hit_s,
            threshold=end.threshold,
            chance=chance.at(end.threshold)[0],
            session_type=record.session.experiment.session_type.kind,
            light=record.lit.of_trial(end.trial),
            trial=end.trial,
            start_frame_id=min(end.start_frame_id, LARGEST_ID),
            stop_frame_id=min(end.stop_frame_id, LARGEST_ID),
            early=end.early,
        )


def add_blocks(file: NWBFile, record: SessionRecord, axis: TimeAxis) -> None:
    """Add `epochs`: the blocks of the session; none where it ended before the first."""
    spans = block_spans(record, axis)
    if not spans:
        return
    for name, description in BLOCK_COLUMNS.items():
        file.add_epoch_column(name, description)
    for span in spans:
        file.add_epoch(
            start_time=span.start_s,
            stop_time=span.stop_s,
            tags=[span.label],
            block=span.number,
            whole=span.whole,
        )


def add_events(file: NWBFile, found: Happenings, axis: TimeAxis) -> None:
    """Add the table `events`."""
    if not found:
        return
    columns = [
        TimestampVectorData(
            name="timestamp",
            description="When it happened, seconds since session_start_time.",
            data=found.t_s,
        ),
        VectorData(
            name="kind",
            description="reward_requested, reward_sent, reward_acknowledged, reward_done, "
            "reward_failed, reward_unknown, lick, flip, ledger, note, process, or what the "
            "operator or the stream did: start, pause, resume, stop, threshold, block_begun, "
            "block_ended, ensembles, light_set, calibration_refused, stall, epoch, playback.",
            data=found.kind,
        ),
        VectorData(
            name="value",
            description="Volume in ul for reward_requested, valve opening in us for reward_done, "
            "orientation in degrees for flip (NaN: no grating), count for ledger, T for "
            "threshold, seconds for stall, rewards a minute for playback, level for inputs, 1 (on) "
            "or 0 (off) for light and light_set; else NaN.",
            data=found.value,
        ),
        VectorData(
            name="frame_id",
            description="Frame it belongs to, or the last one before it; -1: none.",
            data=found.frame_id,
        ),
        VectorData(
            name="t_device_us",
            description="Microseconds on the board's own clock; NaN where none.",
            data=found.t_device_us,
        ),
        VectorData(
            name="request_id",
            description="Reward it belongs to, from 1; -1: none.",
            data=found.request_id,
        ),
        VectorData(
            name="annotation",
            description="In words.",
            data=[storable(text) for text in found.text],
        ),
    ]
    file.add_events_table(
        EventsTable(
            name="events",
            description="Rewards, licks, flips, faults, notes and commands. " + axis.description,
            source_description="Journal of the session",
            columns=columns,
            colnames=[column.name for column in columns],
        )
    )
