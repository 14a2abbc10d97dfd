import io
from math import nan

import pytest
from rich.console import Console

from bci.session.progress import TerminalProgress, status_lines, trials_ended
from bci.stream.telemetry import Telemetry


def snapshot(n_trials: int, hits: int, misses: int) -> Telemetry:
    return Telemetry(0, "RUN", n_trials=n_trials, hits=hits, misses=misses)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (snapshot(5, 3, 2), "trial 5: hit"),
        (snapshot(5, 2, 3), "trial 5: miss"),
        (snapshot(5, 2, 2), "trial 5: cut off"),
        (snapshot(8, 4, 3), "trials 5 to 8: 2 hit, 1 miss, 1 cut off"),
    ],
)
def test_every_trial_that_ended_is_told_once(now: Telemetry, told: str) -> None:
    assert trials_ended(snapshot(4, 2, 2), now) == told


@pytest.mark.parametrize(
    ("chance", "told"),
    [
        ((0.45, 0.27, 0.624), "rate 60 % (chance 45 %, 27–62 %)"),
        ((0.45, nan, nan), "rate 60 % (chance 45 %)"),
        ((nan, nan, nan), "rate 60 %  "),
    ],
)
def test_hit_rate_stands_beside_the_predicted_chance(
    chance: tuple[float, float, float], told: str
) -> None:
    telemetry = Telemetry(0, "RUN", hits=3, misses=2, hit_rate=0.6, chance=chance)
    assert told in status_lines(telemetry)[0]


def test_a_stream_that_stands_still_is_told_though_session_time_does_too() -> None:
    text = io.StringIO()
    with TerminalProgress(Console(file=text, width=80)) as progress:
        for acquisition in ("ok", "ok", "stalled", "stalled", "ok"):
            progress.show(Telemetry(0, "RUN", session_s=1.0, acquisition=acquisition))
    lines = text.getvalue().splitlines()
    assert ["acquisition stalled" in line for line in lines] == [False, True, False]
