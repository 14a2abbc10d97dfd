"""A light for every process and device."""

from typing import NamedTuple

from bci.core.process import ProcessEvent
from bci.gui.model import SessionModel
from bci.gui.theme import Light

SILENT_S = 1.5
"""Control tells how it stands ten times a second."""

DEVICE_OF = {"acquisition": "acquisition", "stimulus": "screen", "board": "board"}
BAD = ("died", "failed")


class Lamp(NamedTuple):
    """One light, and why it shines so."""

    name: str
    light: Light
    words: str


def lamps(model: SessionModel, *, live: bool, supervised: bool) -> list[Lamp]:
    """Supervisor, the processes and what they drive.

    Parameters
    ----------
    model
        What is known of the session.
    live
        False: no session runs, all is dark.
    supervised
        Whether the supervisor answers.
    """
    names = ("supervisor", "control", "acquisition", "screen", "board")
    if not live:
        return [Lamp(name, Light.IDLE, "no session runs") for name in names]
    supervisor = Lamp("supervisor", Light.OK, "answers")
    if not supervised:
        supervisor = Lamp("supervisor", Light.FAIL, "does not answer: control ends by itself")
    return [supervisor, _control(model), *(_device(model, name) for name in names[2:])]


def silent_s(model: SessionModel) -> float:
    """How long control has told nothing, s; NaN before its first snapshot."""
    if model.telemetry is None:
        return float("nan")
    return max(0.0, (model.now_ns - model.telemetry.t_ns) * 1e-9)


def _control(model: SessionModel) -> Lamp:
    event = model.lights.get("control")
    if event is not None and event.kind in BAD:
        return Lamp("control", Light.FAIL, f"{event.kind} {event.detail}".strip())
    silent = silent_s(model)
    if silent != silent:
        return Lamp("control", Light.WARN, "starting")
    if model.end is not None:
        return Lamp("control", Light.IDLE, f"ended: {model.end.reason}")
    if silent > SILENT_S:
        return Lamp("control", Light.FAIL, f"silent for {silent:.0f} s")
    return Lamp("control", Light.OK, "tells how it stands")


def _device(model: SessionModel, name: str) -> Lamp:
    telemetry = model.telemetry
    words = "waiting" if telemetry is None else getattr(telemetry, name)
    process = {device: process for process, device in DEVICE_OF.items()}[name]
    event: ProcessEvent | None = model.lights.get(process)
    if event is not None and event.kind in BAD:
        return Lamp(name, Light.FAIL, f"{event.kind} {event.detail}".strip())
    if words.startswith("ok"):
        return Lamp(name, Light.OK, words)
    if words == "waiting":
        return Lamp(name, Light.WARN, "waiting for it")
    return Lamp(name, Light.FAIL, words)
