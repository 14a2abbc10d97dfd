import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_screen import grating_command

from bci.core.stimulus_types import ScreenKind
from bci.stimuli.drift import DriftPhase


def test_phase_moves_with_the_time_between_pictures() -> None:
    drift = DriftPhase()
    command = grating_command(0, temporal_freq_hz=2.0)
    assert drift.advance(command, 100.0) == 0
    assert drift.advance(command, 100.1) == pytest.approx(0.2)
    assert drift.advance(command, 100.35) == pytest.approx(0.7)
    assert drift.advance(command, 100.6) == pytest.approx(0.2)


@pytest.mark.parametrize("kind", [ScreenKind.GREY, ScreenKind.BLACK, ScreenKind.FROZEN])
def test_only_a_drifting_grating_moves(kind: ScreenKind) -> None:
    drift = DriftPhase()
    drift.advance(grating_command(0, temporal_freq_hz=2.0), 0.0)
    held = drift.advance(grating_command(0, temporal_freq_hz=2.0), 0.1)
    other = grating_command(0, temporal_freq_hz=2.0, screen=kind)
    assert drift.advance(other, 0.3) == held
    assert drift.advance(None, 0.7) == held
    after = drift.advance(grating_command(0, temporal_freq_hz=2.0), 0.75)
    assert after == pytest.approx(held + 0.1)


@given(
    st.lists(st.floats(0, 0.1), max_size=40),
    st.floats(0, 10),
    st.lists(st.floats(0, 90), min_size=1, max_size=5),
)
def test_phase_depends_on_elapsed_time_alone(
    steps_s: list[float], temporal_freq_hz: float, angles_deg: list[float]
) -> None:
    drift, t_s = DriftPhase(), 5.0
    phase = drift.advance(None, t_s)
    for index, step_s in enumerate(steps_s):
        t_s += step_s
        angle_deg = angles_deg[index % len(angles_deg)]
        phase = drift.advance(grating_command(angle_deg, temporal_freq_hz=temporal_freq_hz), t_s)
    expected = temporal_freq_hz * (t_s - 5.0)
    assert abs((phase - expected + 0.5) % 1.0 - 0.5) < 1e-9
    assert 0 <= phase < 1
