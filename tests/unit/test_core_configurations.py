"""Every configuration of the project plays trials on the simulated source, and verifies."""

from datetime import datetime
from pathlib import Path

import pytest

from bci.config import Session, settings_hash
from bci.config.load import Override, load_session
from bci.config.rig import SimulatedSource
from bci.config.session_type import follows_neurons
from bci.core.chance import predict_chance
from bci.core.frame_header import pack_header
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Decision, LoopEvent, Outcome, Start, TaskState, TrialEnd
from bci.core.stimulus_types import ScreenKind
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.recording.folder import JOURNAL
from bci.recording.journal import Journal
from bci.recording.manifest import make_manifest, write_manifest
from bci.recording.records import JournalStart, SequencedEvent, Topic
from bci.recording.verify import VerdictKind, verify
from bci.simulation.field_of_view import SimulatedFieldOfView

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "configs"
SIMULATED = sorted(
    path.stem
    for path in CONFIGS.glob("*.toml")
    if load_session(path).rig.source.kind == "simulated"
)


CONTROLS = {
    "open-loop", "random-reward", "delayed-reward", "no-reward", "passive", "inverted",
    "auditory", "feedback-off", "light",
}  # fmt: skip


class Recorded:
    """A loop whose inputs and decisions go into a journal."""

    def __init__(self, folder: Path, session: Session, info: StreamInfo) -> None:
        folder.mkdir()
        write_manifest(folder, make_manifest("s", session, datetime.now()))
        start = JournalStart("s", settings_hash(session), 0, 0)
        self.journal = Journal(folder / JOURNAL, start)
        self.journal.append(Topic.INFO, info)
        self.loop = ClosedLoop(session, info)
        self.decisions: list[Decision] = []

    def apply(self, event: LoopEvent) -> Decision:
        decision = self.loop.apply(event)
        self.journal.append(Topic.EVENT, SequencedEvent(decision.sequence, event))
        return self._keep(decision)

    def step(self, frame: RoiFrame) -> Decision:
        decision = self.loop.step(frame)
        values = frame.fluorescence.tobytes()
        self.journal.append_frame(decision.sequence, 0, pack_header(frame), values)
        return self._keep(decision)

    def _keep(self, decision: Decision) -> Decision:
        self.journal.append(Topic.DECISION, decision)
        self.decisions.append(decision)
        return decision


def test_configurations_of_the_field_and_of_its_controls_are_there() -> None:
    assert {"francioni2026", "holobmi", "cabmi", "aind-velocity"} | CONTROLS <= set(SIMULATED)


def shortened(name: str) -> Session:
    """A minute of trials after a baseline as long as its calibration asks for, and no longer."""
    path, minute = CONFIGS / f"{name}.toml", Override("experiment.task.session_s", 60.0)
    experiment = load_session(path, [minute]).experiment
    if experiment.baseline is None:
        return load_session(path, [minute])
    calibration, task = experiment.calibration, experiment.task
    by_rate = calibration.rule == "seconds_per_hit"
    least_s = calibration.seconds_per_hit if by_rate else task.trial_s
    if follows_neurons(experiment.session_type):
        least_s = max(least_s, 2 * calibration.chance_block_s)
    baseline_s = experiment.decoder.f0_window_s + least_s + 10.0
    return load_session(path, [minute, Override("experiment.baseline.duration_s", baseline_s)])


@pytest.mark.parametrize("name", SIMULATED)
def test_configuration_plays_trials_to_its_end_and_verifies(name: str, tmp_path: Path) -> None:
    session = shortened(name)
    experiment = session.experiment
    assert isinstance(session.rig.source, SimulatedSource)
    source = SimulatedFieldOfView(session.rig.source)
    info = source.info
    played = Recorded(tmp_path / "s", session, info)
    loop = played.loop
    played.apply(Start())
    baseline_s = experiment.baseline.duration_s if experiment.baseline else 0.0
    while loop.state is not TaskState.DONE:
        read = source.read(0.0)
        frame = RoiFrame(0, 0, 0, read.frame_id, read.plane, 0, 0, read.fluorescence)
        decision = played.step(frame)
        if loop.needs_calibration:
            result = loop.calibrate()
            if follows_neurons(experiment.session_type):
                chance = predict_chance(
                    experiment,
                    info,
                    loop.decoder.layout,
                    loop.baseline_s3,
                    loop.baseline_signals,
                    result.threshold,
                )
                assert 0.0 <= chance.low <= chance.chance <= chance.high <= 1.0
            played.apply(result.threshold)
        assert decision.frame_id < (baseline_s + 150.0) * info.rate_hz
    played.journal.close("task over")
    ends = [d.trial_end for d in played.decisions if d.trial_end is not None]
    assert len(ends) >= 2
    passive = experiment.session_type.kind == "passive"
    possible = {Outcome.NONE} if passive else {Outcome.HIT, Outcome.MISS}
    assert {end.outcome for end in ends} <= possible
    _assert_shown(session, played.decisions)
    _assert_paid(session, played.decisions, ends)
    assert verify(tmp_path / "s").kind is VerdictKind.IDENTICAL


def _assert_shown(session: Session, decisions: list[Decision]) -> None:
    commands = [d.command for d in decisions if d.command and d.state is TaskState.RUN]
    feedback = session.experiment.feedback.kind
    screens = {command.screen for command in commands}
    is_seen = feedback in ("visual", "both")
    assert screens == {ScreenKind.GRATING} if is_seen else screens <= {ScreenKind.GREY}
    is_heard = feedback in ("auditory", "both")
    assert all((command.tone_hz > 0) == is_heard for command in commands)


def _assert_paid(session: Session, decisions: list[Decision], ends: list[TrialEnd]) -> None:
    paid = [d.reward.trial for d in decisions if d.reward is not None]
    hits = [end.trial for end in ends if end.outcome is Outcome.HIT]
    match session.experiment.session_type.kind:
        case "no_reward" | "passive":
            assert paid == []
        case "random_reward":
            assert set(paid) == {0}
        case _:
            assert paid == hits
