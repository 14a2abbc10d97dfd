"""The rules of other systems, as the configurations of the project set them, play trials."""

from pathlib import Path

import pytest

from bci.config.load import Override, load_session
from bci.config.rig import SimulatedSource
from bci.core.chance import predict_chance
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Outcome, Start, TaskState, TrialEnd
from bci.core.stimulus_types import ScreenKind
from bci.core.stream_types import RoiFrame
from bci.simulation.field_of_view import SimulatedFieldOfView

CONFIGS = Path(__file__).parents[2] / "configs"
SIMULATED = sorted(
    path.stem
    for path in CONFIGS.glob("*.toml")
    if load_session(path).rig.source.kind == "simulated"
)


def test_configurations_of_the_field_are_there() -> None:
    assert {"francioni2026", "holobmi", "cabmi", "aind-velocity"} <= set(SIMULATED)


@pytest.mark.parametrize("name", SIMULATED)
def test_configuration_plays_trials_on_the_simulated_source(name: str) -> None:
    session = load_session(CONFIGS / f"{name}.toml", [Override("experiment.task.session_s", 60.0)])
    experiment = session.experiment
    baseline_s = 0.0
    if experiment.baseline is not None:
        # long enough for what the calibration asks of it, and no longer
        calibration, task = experiment.calibration, experiment.task
        by_rate = calibration.rule == "seconds_per_hit"
        least_s = calibration.seconds_per_hit if by_rate else task.trial_s
        baseline_s = experiment.decoder.f0_window_s + max(least_s, 2 * calibration.chance_block_s)
        session = load_session(
            CONFIGS / f"{name}.toml",
            [
                Override("experiment.task.session_s", 60.0),
                Override("experiment.baseline.duration_s", baseline_s + 10.0),
            ],
        )
    assert isinstance(session.rig.source, SimulatedSource)
    source = SimulatedFieldOfView(session.rig.source)
    info = source.info
    loop = ClosedLoop(session, info)
    screens = {loop.apply(Start()).command}
    ends: list[TrialEnd] = []
    while loop.state is not TaskState.DONE:
        frame = source.read(0.0)
        assert frame is not None
        decision = loop.step(
            RoiFrame(0, 0, 0, frame.frame_id, frame.plane, 0, 0, frame.fluorescence)
        )
        screens.add(decision.command)
        if decision.trial_end is not None:
            ends.append(decision.trial_end)
        if loop.needs_calibration:
            result = loop.calibrate()
            chance = predict_chance(
                session.experiment,
                info,
                loop.decoder.layout,
                loop.baseline_s3,
                loop.baseline_signals,
                result.threshold,
            )
            assert 0.0 <= chance.low <= chance.chance <= chance.high <= 1.0
            loop.apply(result.threshold)
        assert decision.frame_id < (baseline_s + 160.0) * info.rate_hz
    assert len(ends) >= 2
    assert {end.outcome for end in ends} <= {Outcome.HIT, Outcome.MISS}
    assert ScreenKind.GRATING in {command.screen for command in screens if command is not None}
