"""Verify computes the whole calibration again: T, lo, the guards' levels, the predicted chance."""

import math
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict, replace
from played_session import Played, made_session

from bci.core.calibration import CalibrationResult
from bci.core.chance import predict_chance
from bci.core.loop_types import GuardLevels
from bci.recording.records import Topic
from bci.recording.verify import VerdictKind, verify

pytestmark = pytest.mark.slow

EXPERIMENT: dict[str, Any] = {
    "threshold": None,
    "baseline": {"duration_s": 125.0},
    "decoder": {"p_plus": ["a", "c"], "p_minus": ["b", "d"], "f0_window_s": 1.0},
    "guards": {"p_minus_below_mean": True, "p_plus_others_sd": 0.1},
    "calibration": {"n_pseudo_trials": 30},
    "adaptive": {"n_trials": 2, "hit_rate": 1.0, "step": 0.01, "max_steps": 2},
}


def calibrated(
    folder: Path,
    change: Any = lambda plain, whole: (plain, whole),
    experiment: dict[str, Any] = EXPERIMENT,
) -> Played:
    """A baseline, its calibration as control writes it down, and a few trials."""
    session = Played(folder, made_session(experiment=experiment)).start()
    frame_id = 0
    while not session.loop.needs_calibration:
        session.frame(frame_id)
        frame_id += 1
    loop = session.loop
    result = loop.calibrate()
    chance = predict_chance(
        session.session.experiment, session.info, loop.decoder.layout, loop.baseline_s3,
        loop.baseline_signals, result.threshold,
    )  # fmt: skip
    plain, whole = change(result, result.with_chance(chance))
    session.journal.append(Topic.CALIBRATION, plain)
    session.apply(plain.threshold, session.time_s(frame_id))
    session.journal.append(Topic.CALIBRATION, whole)
    session.frames(frame_id, frame_id + 60)
    return session.close()


def test_calibration_as_it_was_is_identical(tmp_path: Path) -> None:
    verdict = verify(calibrated(tmp_path).folder)
    assert verdict.kind is VerdictKind.IDENTICAL, verdict


def test_warning_in_the_words_of_another_version_is_no_difference(tmp_path: Path) -> None:
    said: list[str] = []

    def reworded(plain: CalibrationResult, whole: CalibrationResult) -> Any:
        said.extend(whole.warnings)
        return plain, replace(whole, warnings=("as it was put before",) * len(said))

    # too short to predict chance, which is warned of
    short = EXPERIMENT | {"baseline": {"duration_s": 40.0}}
    verdict = verify(calibrated(tmp_path, reworded, short).folder)
    assert said
    assert verdict.kind is VerdictKind.IDENTICAL, verdict


def levels(plain: CalibrationResult) -> GuardLevels:
    assert plain.guards is not None
    return plain.guards


def up(value: float) -> float:
    return math.nextafter(value, math.inf)


def with_guards(plain: CalibrationResult, whole: CalibrationResult, guards: GuardLevels) -> Any:
    """What was applied and what is on file, both with these levels."""
    return replace(plain, guards=guards), replace(whole, guards=guards)


def other_mean(plain: CalibrationResult, whole: CalibrationResult) -> Any:
    found = levels(plain)
    return with_guards(plain, whole, replace(found, p_minus_max=up(found.p_minus_max)))


def other_cell(plain: CalibrationResult, whole: CalibrationResult) -> Any:
    first, second = levels(plain).others_min
    return with_guards(plain, whole, replace(levels(plain), others_min=(first, up(second))))


def other_chance_of_a_raised_t(plain: CalibrationResult, whole: CalibrationResult) -> Any:
    first, (t, second) = whole.raised
    return plain, replace(whole, raised=(first, (t, replace(second, low=-1.0))))


def one_raised_t_less(plain: CalibrationResult, whole: CalibrationResult) -> Any:
    return plain, replace(whole, raised=whole.raised[:1])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("raised[1].low", other_chance_of_a_raised_t),
        ("raised", one_raised_t_less),
        ("t", lambda plain, whole: (replace(plain, t=up(plain.t)), whole)),
        ("lo", lambda plain, whole: (replace(plain, lo=up(plain.lo)), whole)),
        ("guards.p_minus_max", other_mean),
        ("guards.others_min[1]", other_cell),
        ("z_t", lambda plain, whole: (replace(plain, z_t=up(plain.z_t)), whole)),
        ("chance", lambda plain, whole: (plain, replace(whole, chance=up(whole.chance)))),
        ("chance_low", lambda plain, whole: (plain, replace(whole, chance_low=-1.0))),
        ("chance_trials", lambda plain, whole: (plain, replace(whole, chance_trials=1))),
        ("warnings", lambda plain, whole: (plain, replace(whole, warnings=("all is well",)))),
    ],
)
def test_any_other_value_of_it_is_different(tmp_path: Path, field: str, change: Any) -> None:
    verdict = verify(calibrated(tmp_path, change).folder)
    assert verdict.kind is VerdictKind.DIFFERENT
    assert verdict.difference is not None
    assert verdict.difference.field == f"calibration.{field}"


def test_chance_that_came_is_known_from_the_plain_calibration_before_it(tmp_path: Path) -> None:
    """The tests above rely on a chance with an interval and on levels of both guards."""
    seen: list[CalibrationResult] = []
    calibrated(tmp_path, lambda plain, whole: seen.extend((plain, whole)) or (plain, whole))
    plain, whole = seen
    assert plain.chance_trials == -1
    assert whole.chance_trials > 5
    assert 0 <= whole.chance_low <= whole.chance <= whole.chance_high <= 1
    assert len(levels(plain).others_min) == 2
    changed = {name for name, value in asdict(whole).items() if value != asdict(plain)[name]}
    assert {"chance", "chance_low", "chance_high", "chance_trials"} <= changed
