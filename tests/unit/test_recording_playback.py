"""What a recorded session gives to one that follows it."""

import hashlib
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from played_session import RATE_HZ, Played, made_session, played

from bci.config.fault import SettingsError
from bci.core.loop_types import Outcome, PlaybackSet, TaskState
from bci.core.stimulus_types import ScreenKind
from bci.recording.folder import JOURNAL
from bci.recording.playback import playback_of, read_playback
from bci.recording.session_record import SessionRecord
from bci.recording.verify import VerdictKind, verify


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "s"
    played(folder, n_frames=300)
    return folder


def yoked_to(folder: Path, **task: Any) -> Any:
    kind = {"kind": "yoked", "recording": str(folder)}
    changes: dict[str, Any] = {"session_type": kind}
    if task:
        changes["task"] = made_session().experiment.task.model_dump() | task
    return made_session(experiment=changes)


def refusal(session: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        playback_of(session.experiment)
    (fault,) = caught.value.faults
    return str(fault)


def test_playback_holds_every_hit_and_miss_with_its_reward(recorded: Path) -> None:
    record = SessionRecord.read(recorded)
    playback = read_playback(record)
    ends = [end for end in record.trials if end.outcome is not Outcome.ABORT]
    assert len(ends) == len(playback.trials) > 5
    for end, trial in zip(ends, playback.trials, strict=True):
        assert isnan(trial.time_to_hit_s) == (end.outcome is Outcome.MISS)
        assert trial.reward_delay_s == (0.2 if end.outcome is Outcome.HIT else None)
        assert trial.times_s[0] == 0.0
    assert playback.sha256 == hashlib.sha256((recorded / JOURNAL).read_bytes()).hexdigest()
    assert playback.source == record.info.session


def test_rate_counts_the_time_in_trials_alone(recorded: Path) -> None:
    record = SessionRecord.read(recorded)
    n_rewards = sum(d.reward is not None for d in record.decisions)
    first = next(d.frame_id for d in record.decisions if d.state is TaskState.GREY)
    minutes = (record.decisions[-1].frame_id - first) / RATE_HZ / 60
    assert read_playback(record).rewards_per_min == pytest.approx(n_rewards / minutes, rel=0.01)


def test_yoked_session_is_the_recorded_one_again_and_verifies(
    recorded: Path, tmp_path: Path
) -> None:
    session = yoked_to(recorded)
    playback = playback_of(session.experiment)
    assert playback is not None
    # another animal: other noise, other frames at which it is active
    again = Played(tmp_path / "yoked", session, seed=9).start()
    again.apply(playback, 2.1)
    again.frames(7, 400)
    again.close()
    assert verify(again.folder).kind is VerdictKind.IDENTICAL
    first, second = SessionRecord.read(recorded), SessionRecord.read(again.folder)
    n = len(playback.trials)
    assert len(second.trials) == n
    for one, other in zip(first.trials, second.trials, strict=False):
        assert one.outcome == other.outcome
        assert one.time_to_hit_s == other.time_to_hit_s or isnan(one.time_to_hit_s)
        assert turned(first, one.trial) == turned(second, other.trial)
    assert second.decisions[-1].state is TaskState.DONE


def turned(record: SessionRecord, trial: int) -> list[tuple[int, float]]:
    """Frames since RUN began, and degrees, at every turn of a trial."""
    start_id = next(end.start_frame_id for end in record.trials if end.trial == trial)
    return [
        (d.frame_id - start_id, d.command.orientation_deg)
        for d in record.decisions
        if d.trial == trial and d.command is not None and d.command.screen is ScreenKind.GRATING
    ]


def test_session_that_verify_cannot_recompute_without_its_playback_is_told(
    recorded: Path, tmp_path: Path
) -> None:
    session = yoked_to(recorded)
    playback = playback_of(session.experiment)
    assert isinstance(playback, PlaybackSet)
    again = Played(tmp_path / "yoked", session).start()
    again.apply(playback, 2.1)
    # the loop alone hears of another reward delay than the journal
    again.loop._contingency.take(
        PlaybackSet(playback.source, "", tuple(reversed(playback.trials)), 1.0)
    )
    again.frames(0, 200)
    again.close()
    assert verify(again.folder).kind is VerdictKind.DIFFERENT


def test_recording_that_does_not_serve_is_refused_with_the_reason(
    recorded: Path, tmp_path: Path
) -> None:
    nothing = refusal(yoked_to(tmp_path / "nothing"))
    assert "the folder of a recorded session" in nothing
    # a long path is cut with three dots
    assert ".." not in nothing.replace("...", "")
    assert "hits come within experiment.task.trial_s = 0.1 s" in refusal(
        yoked_to(recorded, trial_s=0.1)
    )
    passive = played(
        tmp_path / "passive",
        n_frames=100,
        session=made_session(experiment={"session_type": {"kind": "passive"}}),
    )
    assert "this one is passive" in refusal(yoked_to(passive.folder))
    empty = played(tmp_path / "empty", n_frames=30)
    assert "with a hit or a miss" in refusal(yoked_to(empty.folder))
    rate_of = {"kind": "random_reward", "same_rate_as": str(empty.folder)}
    assert "with rewards" in refusal(made_session(experiment={"session_type": rate_of}))
