"""Rules between the keys of the board and of the task."""

import math

from bci.config.fault import Fault
from bci.config.rig import OF_OTHERS
from bci.config.session import Session

LEAST_OPEN_MS = 0.1
"""No board opens for less."""


def board_faults(session: Session) -> list[Fault]:
    """Every rule about the board that the session breaks."""
    rig, faults = session.rig, []
    # this program's own board is found by its greeting
    if rig.board.kind in OF_OTHERS and not rig.board.port:
        faults.append(
            Fault(
                "rig.board.port",
                rig.board.port,
                f"must be a port, because rig.board.kind is {rig.board.kind}",
                'name it, or set rig.board.kind = "simulated"',
                ("rig.board.kind",),
            )
        )
    faults += _frame_clock(session)
    if rig.board.keep_alive_ms * 2 > rig.board.watchdog_ms:
        faults.append(
            Fault(
                "rig.board.keep_alive_ms",
                rig.board.keep_alive_ms,
                f"must be at most half of rig.board.watchdog_ms = {rig.board.watchdog_ms:g}",
                "one lost keep-alive must not shut the board: shorten it",
                ("rig.board.watchdog_ms",),
            )
        )
    valve = rig.board.valve
    open_ms = valve.open_ms(session.experiment.task.reward_ul)
    if not LEAST_OPEN_MS <= open_ms <= valve.max_open_ms:
        faults.append(
            Fault(
                "experiment.task.reward_ul",
                session.experiment.task.reward_ul,
                f"must open the valve for {LEAST_OPEN_MS:g} ms to rig.board.valve.max_open_ms = "
                f"{valve.max_open_ms:g} ms (this asks for {open_ms:g} ms)",
                "change the volume, or the limit if the valve is that slow",
                (
                    "rig.board.valve.ms_per_ul",
                    "rig.board.valve.dead_ms",
                    "rig.board.valve.max_open_ms",
                ),
            )
        )
    return faults + _steps(session, open_ms) + _light(session)


GATE_SHARE = 0.5 / 1.2
"""Of a frame: the board holds the gate to half of the shortest frame that it obeys."""
LONGEST_GATE_MS = 30.0


def _light(session: Session) -> list[Fault]:
    kind, light = session.rig.board.kind, session.experiment.light
    trials, rate_hz = light.trials, session.rig.source.rate_hz
    if trials == "none":
        return []
    if kind not in OF_OTHERS:
        frame_ms = LONGEST_GATE_MS / GATE_SHARE if rate_hz is None else 1000 / rate_hz
        most_ms = min(LONGEST_GATE_MS, frame_ms * GATE_SHARE)
        if light.gate_ms <= most_ms:
            return []
        return [
            Fault(
                "experiment.light.gate_ms",
                light.gate_ms,
                f"must be at most {most_ms:.2f}: the board keeps the detector open for more than "
                "half of each frame",
                "shorten the gate, or image more slowly",
                ("rig.source.rate_hz",),
            )
        ]
    return [
        Fault(
            "experiment.light.trials",
            trials,
            f"must be none, because a {kind} board has no light that the PMT gate holds",
            "use this program's own firmware (docs/wiring.md), or leave light out",
            ("rig.board.kind",),
        )
    ]


STEPS_MS = {"harp": 1.0, "bpod": 0.1}
"""Openings that these devices time are multiples of this."""


def _steps(session: Session, open_ms: float) -> list[Fault]:
    """What a board that is not ours cannot open for."""
    board = session.rig.board
    if board.kind == "arduino":
        allowed = nearest_ms = board.arduino.open_ms
        rule = f"rig.board.arduino.open_ms = {allowed:g} ms, which the sketch alone decides"
    else:
        step_ms = STEPS_MS.get(board.kind)
        if step_ms is None:
            return []
        nearest_ms = max(round(open_ms / step_ms), 1) * step_ms
        rule = f"whole {step_ms:g} ms, because rig.board.kind is {board.kind}"
    if math.isclose(open_ms, nearest_ms, abs_tol=0.0005):
        return []
    return [
        Fault(
            "experiment.task.reward_ul",
            session.experiment.task.reward_ul,
            f"must open the valve for {rule} (this asks for {open_ms:g} ms)",
            f"the nearest volume is {board.valve.volume_ul(nearest_ms):.6g}",
            (
                "rig.board.valve.ms_per_ul",
                "rig.board.valve.dead_ms",
                "rig.board.kind",
                "rig.board.arduino.open_ms",
            ),
        )
    ]


def _frame_clock(session: Session) -> list[Fault]:
    board, stream = session.rig.board, session.rig.stream
    key = "rig.board.frame_ttl"
    if board.frame_ttl == "none":
        return []
    if board.kind not in ("serial", "chip", "simulated"):
        why, keys = f"a {board.kind} board counts no frames", ("rig.board.kind",)
    elif stream.delivery == "lossless":
        why, keys = "a lossless run has no time of its own", ("rig.stream.delivery",)
    elif board.kind != "serial" and session.rig.source.kind in ("tcp", "zmq"):
        why, keys = f"no wire leads from that source to a {board.kind} board", ("rig.source.kind",)
    else:
        return []
    return [Fault(key, board.frame_ttl, f"must be none: {why}", f'set {key} = "none"', keys)]
