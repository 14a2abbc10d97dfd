"""A baseline of cells whose events, drift, decay and tuning are known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from core_session import frame_of, info_of, session_of

from bci.analysis.baseline.recording import Baseline
from bci.config import Session
from bci.core.loop_types import Start
from bci.core.passive_gratings import PassiveGratings

RATE_HZ = 15.0
DURATION_S = 400.0
REST = 400.0
NOISE = 0.02
HEIGHT = 0.8
DECAY_S = 0.4


@dataclass(frozen=True)
class Cell:
    """What a cell is made of."""

    rate_hz: float = 0.1
    decay_s: float = DECAY_S
    drift: float = 0.0
    tuned: float = 0.0
    twin_of: int | None = None
    missing: bool = False
    noise: float = NOISE


CELLS = {
    "usual": Cell(),
    "busy": Cell(rate_hz=0.25),
    "silent": Cell(rate_hz=0.0),
    "fading": Cell(drift=-0.4),
    "slow": Cell(decay_s=2.0, rate_hz=0.04),
    "tuned": Cell(tuned=0.3),
    "twin": Cell(twin_of=0),
    "missing": Cell(missing=True),
    "noisy": Cell(noise=0.4),
    "other": Cell(),
}


def session() -> Session:
    return session_of(
        decoder={"p_plus": ["usual"], "p_minus": ["busy"], "f0_window_s": 20.0},
        baseline_s=DURATION_S,
        baseline={"stimulus": "gratings"},
        task={"trial_s": 10.0},
    )


def baseline_of(cells: dict[str, Cell], seed: int = 1) -> tuple[Baseline, list[np.ndarray]]:
    """The baseline, and the times of each cell's events, s."""
    rng = np.random.default_rng(seed)
    settings = session()
    block = settings.experiment.baseline
    assert block is not None
    gratings = PassiveGratings(block)
    n = round(DURATION_S * RATE_HZ)
    t_s = np.arange(n) / RATE_HZ
    at_target = np.array([gratings.angle_deg(t) == 90.0 for t in t_s.tolist()])
    dff = np.zeros((n, len(cells)))
    times: list[np.ndarray] = []
    for i, cell in enumerate(cells.values()):
        own = np.sort(rng.uniform(0, DURATION_S, rng.poisson(cell.rate_hz * DURATION_S)))
        times.append(own)
        if cell.twin_of is not None:
            dff[:, i] = dff[:, cell.twin_of]
            continue
        for event in own:
            age = t_s - event
            dff[:, i] += np.where(age >= 0, HEIGHT * np.exp(-np.maximum(age, 0) / cell.decay_s), 0)
        dff[:, i] += cell.tuned * at_target
    noise = np.array([cell.noise for cell in cells.values()])
    rest = np.array([1 + cell.drift * (t_s / DURATION_S - 0.5) for cell in cells.values()]).T
    values = REST * rest * (1 + dff + noise * rng.standard_normal(dff.shape))
    for i, cell in enumerate(cells.values()):
        if cell.missing:
            values[1000:1010, i] = np.nan
    info = info_of(list(cells), rate_hz=RATE_HZ)
    frames = [frame_of(info, k, row) for k, row in enumerate(values)]
    shown = {k: gratings.angle_deg(t) for k, t in enumerate(t_s.tolist())}
    inputs = (Start(), *frames)
    experiment = settings.experiment.model_copy(
        update={"baseline": block.model_copy(update={"duration_s": 1e6, "stimulus": "grey"})}
    )
    endless = settings.model_copy(update={"experiment": experiment})
    return Baseline(endless, info, inputs, Path("made.npy"), shown), times
