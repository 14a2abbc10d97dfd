"""Every decoder that the registry can put together, by name, and what one step of it takes."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.bench.sessions import bench_session
from bci.bench.table import Row
from bci.config.check_decoder import WITH_P_MINUS
from bci.config.experiment import Decoder
from bci.core.decoding.registry import CURSORS, F0_MODES, READ_OUTS, SIGNALS
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Start, TaskState
from bci.core.stream_types import RoiFrame
from bci.simulation.field_of_view import SimulatedFieldOfView

N_STEPS = 1500
N_EACH = 4
F0_WINDOW_S = 30.0
"""As in the experiment; sessions of a benchmark have a short one, so that they begin soon."""
VOLTAGE_ROIS, VOLTAGE_HZ = 100, 1000.0
BAR_MS = {"p50": 0.2, "p99": 0.4}
PLANES, PLANE_ROIS, PLANES_HZ = 2, 60, 30.92
"""The session of Francioni et al. 2026; only frames of the decoded plane are timed."""
PLANES_BAR_MS = {"p50": 0.022}


def decoder_names() -> dict[str, dict[str, Any]]:
    """Settings of every decoder, by a name such as `percentile/two_populations`.

    Each signal (dF/F with each F0) with each read-out, and each further cursor with the defaults.
    """
    signals: dict[str, dict[str, Any]] = {f0: {"f0_mode": f0} for f0 in F0_MODES}
    signals |= {signal: {"signal": signal} for signal in SIGNALS if signal != "dff"}
    named: dict[str, dict[str, Any]] = {
        f"{name}/{read_out}": settings | {"read_out": read_out}
        for name, settings in signals.items()
        for read_out in READ_OUTS
    }
    usual = Decoder(p_plus=("?",))
    for cursor in CURSORS:
        if cursor != usual.control:
            named[f"{usual.f0_mode}/{usual.read_out}/{cursor}"] = {"control": cursor}
    return named


def decoder_settings(choice: Mapping[str, Any], n_each: int) -> dict[str, Any]:
    """A table `experiment.decoder` of this choice, with so many ROIs on each side."""
    labels = [f"roi{i:04d}" for i in range(2 * n_each)]
    if choice.get("read_out", WITH_P_MINUS[0]) in WITH_P_MINUS:
        return {"p_plus": labels[:n_each], "p_minus": labels[n_each:], **choice}
    settings: dict[str, Any] = {"p_plus": labels, **choice}
    if choice["read_out"] == "population_dynamics":
        n = len(labels)
        settings["axis"] = {
            "labels": labels,
            "weights": [n**-0.5] * n,
            "means": [0.0] * n,
            "scales": [1.0] * n,
        }
    return settings


def planes_decoder() -> dict[str, Any]:
    """A table `experiment.decoder` of the session of 2 planes."""
    # every other ROI lies in the decoded plane
    labels = [f"roi{PLANES * i:04d}" for i in range(2 * N_EACH)]
    return {"p_plus": labels[:N_EACH], "p_minus": labels[N_EACH:], "angle_map": "steps"}


def step_rows(n_rois: int, rate_hz: float, n_steps: int, tell: Callable[[str], None]) -> list[Row]:
    """Time of `ClosedLoop.step` of every decoder, in this process, ms.

    F0 windows of 30 s are full and the task is in RUN. The spike decoder is also run on voltage
    imaging: 1 kHz, 100 ROIs, all of them in the ensembles.

    Parameters
    ----------
    n_rois, rate_hz
        Of the stream.
    n_steps
        Steps that are timed, for each.
    """
    rows = []
    for name, choice in decoder_names().items():
        tell(f"steps of {name}")
        times_ms = step_times_ms(decoder_settings(choice, N_EACH), n_rois, rate_hz, n_steps)
        rows.append(Row.of(f"step {name}", "ms", times_ms, BAR_MS))
    for read_out in READ_OUTS:
        choice = decoder_settings(decoder_names()[f"spikes/{read_out}"], VOLTAGE_ROIS // 2)
        name = f"spikes/{read_out}, {VOLTAGE_ROIS} ROIs at {VOLTAGE_HZ:g} Hz"
        tell(f"steps of {name}")
        times_ms = step_times_ms(choice, VOLTAGE_ROIS, VOLTAGE_HZ, n_steps)
        rows.append(Row.of(f"step {name}", "ms", times_ms, BAR_MS))
    name = f"step {PLANES} planes × {PLANE_ROIS} ROIs at {PLANES_HZ:g} Hz"
    tell(name)
    times_ms = step_times_ms(planes_decoder(), PLANES * PLANE_ROIS, PLANES_HZ, n_steps, PLANES)
    rows.append(Row.of(name, "ms", times_ms, PLANES_BAR_MS))
    return rows


def step_times_ms(
    decoder: Mapping[str, Any], n_rois: int, rate_hz: float, n_steps: int, n_planes: int = 1
) -> NDArray[np.float64]:
    """Time of each of so many decoded steps in RUN, ms, shape (n_steps,)."""
    session = bench_session(
        n_rois,
        rate_hz,
        screen=False,
        f0_window_s=F0_WINDOW_S,
        n_planes=n_planes,
        decoder=decoder,
    )
    source = SimulatedFieldOfView(session.rig.source)  # type: ignore[arg-type]
    info = source.info
    loop = ClosedLoop(session, info)
    loop.apply(Start())
    times_ns: list[int] = []
    while len(times_ns) < n_steps:
        read = source.read(0.0)
        assert read is not None, "a simulated source without an end"
        frame = RoiFrame(
            info.session_hash, info.roi_hash, 0, read.frame_id, read.plane, 0, 0, read.fluorescence
        )
        in_run = loop.state is TaskState.RUN and read.plane == 0
        started_ns = time.perf_counter_ns()
        loop.step(frame)
        if in_run:
            times_ns.append(time.perf_counter_ns() - started_ns)
    return np.array(times_ns) * 1e-6
