"""What a recorded session showed and paid, for a session that follows it."""

import hashlib
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import numpy as np

from bci.config.experiment import Experiment
from bci.config.fault import Fault, SettingsError
from bci.config.input_file import open_input
from bci.config.session_type import RandomRewardType, YokedType, follows_neurons
from bci.core.loop_types import Outcome, PlaybackSet, PlayedTrial
from bci.recording.contents import DamagedJournal
from bci.recording.folder import JOURNAL
from bci.recording.manifest import NoManifest
from bci.recording.performance import time_of
from bci.recording.session_record import Carries, SessionRecord


def playback_of(experiment: Experiment) -> PlaybackSet | None:
    """What the session type takes from a recorded session; None: it takes nothing.

    Raises
    ------
    SettingsError
        Where there is no such session, or it does not serve.
    """
    match experiment.session_type:
        case YokedType(recording=folder):
            return _read(folder, "recording", experiment)
        case RandomRewardType(same_rate_as=Path() as folder):
            return _read(folder, "same_rate_as", None)
        case _:
            return None


def playback_faults(experiment: Experiment) -> list[Fault]:
    """Why the recorded session that the type names does not serve; empty where it does."""
    try:
        playback_of(experiment)
    except SettingsError as error:
        return list(error.faults)
    return []


def read_playback(record: SessionRecord) -> PlaybackSet:
    """Hits and misses of a session with their angles and rewards, and its rate of rewards.

    Angles are those of the read-out at every decoded frame of RUN, kept where they change.
    Rewards of the operator are left out, and so are aborted trials.
    """
    with open_input(record.folder / JOURNAL) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return PlaybackSet(
        source=record.info.session if record.infos else record.folder.name,
        sha256=sha256,
        trials=tuple(_trials(record)),
        rewards_per_min=_rewards_per_min(record),
    )


def _trials(record: SessionRecord) -> Iterator[PlayedTrial]:
    ends = {end.trial: end for end in record.trials}
    rate_hz = record.info.rate_hz
    paid = {
        d.reward.trial: d.frame_id for d in record.carrying(Carries.REWARD) if d.reward is not None
    }
    table = record.decision_table
    decoded = np.flatnonzero(table["decoded"])
    decoded = decoded[np.argsort(table["trial"][decoded], kind="stable")]
    trials = table["trial"][decoded]
    for trial, end in ends.items():
        if end.outcome not in (Outcome.HIT, Outcome.MISS):
            continue
        of_trial = table[decoded[slice(*np.searchsorted(trials, [trial, trial + 1]))]]
        times_s: list[float] = []
        angles_deg: list[float] = []
        shown = zip(of_trial["frame_id"].tolist(), of_trial["angle_deg"].tolist(), strict=True)
        for frame_id, angle_deg in shown:
            if not end.start_frame_id <= frame_id <= end.stop_frame_id:
                continue
            if not angles_deg or angle_deg != angles_deg[-1]:
                times_s.append((frame_id - end.start_frame_id) / rate_hz)
                angles_deg.append(angle_deg)
        if not times_s:
            continue
        delay_s = (paid[trial] - end.stop_frame_id) / rate_hz if trial in paid else None
        yield PlayedTrial(tuple(times_s), tuple(angles_deg), end.time_to_hit_s, delay_s)


def _rewards_per_min(record: SessionRecord) -> float:
    """Rewards of the task per minute in trials; 0 if there was no trial."""
    per_min = time_of(record).rewards_per_min(record.info.rate_hz) if record.infos else 0.0
    return per_min if isfinite(per_min) else 0.0


def _read(folder: Path, name: str, follower: Experiment | None) -> PlaybackSet:
    key = f"experiment.session_type.{name}"

    def refused(allowed: str, todo: str, *others: str) -> SettingsError:
        # what a file's error says ends its own sentence, and a fault ends one, too
        return SettingsError([Fault(key, str(folder), allowed, todo.rstrip("."), others)])

    try:
        record = SessionRecord.read(folder)
        playback = read_playback(record)
    except (FileNotFoundError, NotADirectoryError, NoManifest) as error:
        raise refused("the folder of a recorded session", f"check the path: {error}") from error
    except (DamagedJournal, SettingsError, OSError) as error:
        raise refused("a session that can be read", f"it says: {error}") from error
    if follower is None:
        if not playback.rewards_per_min:
            raise refused("a session with rewards of its task", "name another one")
        return playback
    if not follows_neurons(record.session.experiment.session_type):
        kind = record.session.experiment.session_type.kind
        raise refused(
            f"a session in which the neurons turned the grating; this one is {kind}",
            "name another one",
        )
    if not playback.trials:
        raise refused("a session with a hit or a miss", "name another one")
    longest_s = max(
        (t.time_to_hit_s for t in playback.trials if isfinite(t.time_to_hit_s)), default=0.0
    )
    if longest_s >= follower.task.trial_s:
        raise refused(
            f"a session whose hits come within experiment.task.trial_s = "
            f"{follower.task.trial_s:g} s; this one's last comes after {longest_s:g} s",
            "set trial_s to that of the recorded session",
            "experiment.task.trial_s",
        )
    return playback
