"""A board tried out before a session: the checklist of docs/wiring.md, one step after the other."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec

from bci.config.network import network_faults
from bci.config.rig import Board
from bci.config.session import Session
from bci.core.counted import counted
from bci.hardware.board.codes import DeviceFault, Pin, Reason, SetKey, reason_in_words
from bci.hardware.board.hosted import hosted
from bci.hardware.board.interface import BoardError
from bci.hardware.board.kinds import DIALECTS, PROCESSES, port_faults
from bci.hardware.board.ports import find_board, is_auto
from bci.hardware.board.protocol import (
    NAME_BYTES,
    Clock,
    ClockTime,
    Count,
    Counts,
    Cut,
    Done,
    Gate,
    Health,
    Identity,
    Keep,
    Learn,
    Light,
    Nack,
    Name,
    Reward,
    Safe,
    SelfTest,
    Set,
)
from bci.hardware.board.questions import Questions
from bci.session.check import Check, Status
from bci.session.other_board_trial import other_board_checks

OLDEST_FIRMWARE = 0x0101
UNNAMED = "bci-board"
SUPPLY_MV = (4750, 5250)
SLOW_MS = 20.0
N_QUESTIONS = 50
TTL_S = 1.0
GATE_S = 5.0
"""A slow line may show the outputs a few times a second: looked at for so long at most."""
END_S = 5.0
"""A board tells of a pulse's end at once; a simulated one on a busy computer takes its time."""
TTL_RATE_OFF = 0.02
PULSE_US, WITHIN_US = 10_000, 20
WATCHDOG_WITHIN_MS = 20

Learned = Literal["black", "white"]
Step = Callable[["_Trial"], Check]


class Wishes(msgspec.Struct, frozen=True):
    """What to do besides looking.

    Parameters
    ----------
    wait_s
        How long somebody has to touch lick sensor, wheel and photodiode.
    name
        Name for the board to keep; none: it keeps the one that it has.
    learn
        Take what the photodiode sees now for the black or the white patch, and keep it.
    """

    wait_s: float = 10.0
    name: str | None = None
    learn: Learned | None = None


class _Trial:
    """The line, and what the steps before have found."""

    def __init__(self, session: Session, line: Questions, wishes: Wishes) -> None:
        self.session = session
        self.line = line
        self.wishes = wishes
        self.told_hz = 0.0

    def outputs(self) -> list[str]:
        """Outputs that are high now."""
        levels = self.line.keep_alive().outputs
        return [pin.name.lower() for pin in Pin if levels >> pin & 1]


def board_checks(
    session: Session, wishes: Wishes, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Check]:
    """Every step of the checklist, each when it has been tried; a dead line ends them.

    The valve opens twice: keep the animal away, and something under the spout.

    Parameters
    ----------
    session
        Whose board it is.
    wishes
        What to do besides.
    tell
        Called with what somebody must do now.
    """
    settings = session.rig.board
    faults = [*port_faults(settings), *network_faults(session.rig)]
    if faults:
        yield Check("line", Status.FAIL, "; ".join(map(str, faults)), "see `bci check`")
        return
    if settings.kind in DIALECTS:
        yield from other_board_checks(session)
        return
    try:
        with _endpoint(settings) as port, Questions(settings, port) as line:
            trial = _Trial(session, line, wishes)
            for step in STEPS:
                if step is _sensors and wishes.wait_s:
                    tell(
                        f"within {wishes.wait_s:g} s: touch the lick sensor, turn the wheel, "
                        "show the photodiode black and white"
                    )
                yield step(trial)
    except BoardError as error:
        yield Check("line", Status.FAIL, str(error), "look at cable, power and rig.board.port")


@contextmanager
def _endpoint(settings: Board) -> Iterator[str]:
    if settings.kind not in PROCESSES:
        yield find_board(settings) if is_auto(settings) else str(settings.port)
        return
    with TemporaryDirectory() as folder, hosted(settings, Path(folder) / "edges.jsonl") as peers:
        yield peers["board"]


# ------------------------------------------------------------------ the steps


def _identity(trial: _Trial) -> Check:
    identity: Identity = trial.line.greet()
    message = f"{identity.text}, {counted(identity.losses, 'loss', 'losses')} of marks"
    if identity.firmware < OLDEST_FIRMWARE:
        solution = "flash the firmware of this version: docs/firmware.md"
        return Check("identity", Status.FAIL, message, solution)
    name = trial.wishes.name
    if name is not None:
        trial.line.order(Name(name.encode("ascii")[:NAME_BYTES].ljust(NAME_BYTES, b"\0")))
        return Check("identity", Status.OK, f"{message}; named {name}")
    if identity.text.startswith(UNNAMED):
        solution = "give it a name: bci doctor --board --name NAME"
        return Check("identity", Status.WARN, f"{message}: has no name of its own", solution)
    return Check("identity", Status.OK, message)


def _self_test(trial: _Trial) -> Check:
    health = trial.line.ask(SelfTest(), Health)
    faults = [fault.name.lower() for fault in DeviceFault if health.faults & fault]
    message = f"supply {health.supply_mv / 1000:.2f} V, reset cause {health.reset_cause}"
    if faults:
        solution = "outputs need their resistors to ground, the board 5 V: docs/wiring.md"
        return Check("self-test", Status.FAIL, f"{', '.join(faults)}; {message}", solution)
    if not SUPPLY_MV[0] <= health.supply_mv <= SUPPLY_MV[1]:
        solution = "give the valve a supply of its own, or the board a better one"
        return Check("self-test", Status.WARN, message, solution)
    return Check("self-test", Status.OK, message)


def _line(trial: _Trial) -> Check:
    times_ms = []
    before = trial.line.keep_alive().bad_frames  # what came while the port opened
    for _ in range(N_QUESTIONS):
        t_asked_ns = time.perf_counter_ns()
        # of all questions the one that keeps the board awake, however slow the line
        trial.line.keep_alive()
        times_ms.append((time.perf_counter_ns() - t_asked_ns) / 1e6)
    bad = (trial.line.keep_alive().bad_frames - before) % 65536
    middle_ms = statistics.median(times_ms)
    message = f"answers in {middle_ms:.1f} ms, at most {max(times_ms):.1f}; {bad} frames damaged"
    if bad:
        return Check("line", Status.WARN, message, "a shorter cable, away from valve and motors")
    if middle_ms > SLOW_MS:
        solution = "a USB-serial chip that waits: set its latency timer to 1 ms"
        return Check("line", Status.WARN, message, solution)
    return Check("line", Status.OK, message)


def _outputs(trial: _Trial) -> Check:
    high = trial.outputs()
    if high:
        message = f"high without being asked: {', '.join(high)}"
        return Check("outputs", Status.FAIL, message, "unplug the board, look for shorts")
    return Check("outputs", Status.OK, "all low")


def _frame_clock(trial: _Trial) -> Check:
    before, t_us = trial.line.ask(Count(), Counts).frames, trial.line.ask(Clock(), ClockTime).t_us
    trial.line.wait(TTL_S)
    frames = trial.line.ask(Count(), Counts).frames - before
    # the board's own time: this computer may wait for longer than it was asked to
    took_s = (trial.line.ask(Clock(), ClockTime).t_us - t_us) / 1e6
    if took_s <= 0:
        message = "the board's clock stands, or it has restarted"
        return Check("TTL", Status.FAIL, message, "look at its supply, flash the firmware again")
    nominal_hz = trial.session.rig.source.rate_hz
    trial.told_hz = told_hz = frames / took_s
    message = f"{frames} frame TTLs in {took_s:.2f} s"
    if not frames:
        solution = "start the microscope, or connect its frame clock to D8"
        return Check("TTL", Status.WARN, "no frame TTL came", solution)
    if nominal_hz is not None and abs(told_hz - nominal_hz) > TTL_RATE_OFF * nominal_hz + 1:
        message = f"{message}, rig.source.rate_hz is {nominal_hz:g}"
        solution = "one TTL for each frame of all planes, none for fly-back"
        return Check("TTL", Status.FAIL, message, solution)
    return Check("TTL", Status.OK, message)


def _gate(trial: _Trial) -> Check:
    if not trial.told_hz:
        return Check("gate", Status.WARN, "not tried: it follows frame TTLs", "see TTL")
    line = trial.line
    line.order(Set(SetKey.FRAME_PERIOD_US, round(1e6 / trial.told_hz)))
    line.order(Light(0))
    line.order(Gate(1))
    seen: set[str] = set()
    t_begun = time.monotonic()
    while (looked_s := time.monotonic() - t_begun) < TTL_S or (
        "gate" not in seen and looked_s < GATE_S
    ):
        seen.update(trial.outputs())
    line.order(Gate(0))
    after = trial.outputs()
    if "light" in seen or after:
        message = f"light up without being allowed, or up after the gate was switched off: {after}"
        return Check("gate", Status.FAIL, message, "do not use light: flash the firmware again")
    if "gate" not in seen:
        message = "did not rise with the frame TTL"
        return Check("gate", Status.FAIL, message, "look at the width of the TTL: 50 us at least")
    return Check("gate", Status.OK, "follows the frame TTL, light stays down")


def _sensors(trial: _Trial) -> Check:
    line, wishes = trial.line, trial.wishes
    if wishes.learn is not None:
        seen = line.order(Learn(int(wishes.learn == "white"))).argument
        line.order(Keep())
        line.wait(0.5)  # the EEPROM takes a third of a second
        return Check("photodiode", Status.OK, f"{wishes.learn} is {seen} of 1023, kept")
    before = line.ask(Count(), Counts)
    now = before
    t_end = time.monotonic() + wishes.wait_s
    while time.monotonic() < t_end and "" in _moved(before, now).values():
        line.wait(0.2)
        now = line.ask(Count(), Counts)
    moved = _moved(before, now)
    still = [name for name, what in moved.items() if not what]
    message = ", ".join(what for what in moved.values() if what)
    if still:
        message = f"{message or 'nothing moved'}; still: {', '.join(still)}"
        solution = "touch, turn, cover them; else look at their wires: docs/wiring.md"
        return Check("sensors", Status.WARN, message, solution)
    return Check("sensors", Status.OK, message)


def _moved(before: Counts, now: Counts) -> dict[str, str]:
    licks, light = now.licks - before.licks, now.photodiode - before.photodiode
    wheel = now.wheel - before.wheel
    return {
        "lick": f"{licks} lick edges" if licks else "",
        "wheel": f"wheel {wheel:+d}" if wheel else "",
        "photodiode": f"{light} photodiode edges" if light else "",
    }


def _valve(trial: _Trial) -> Check:
    line = trial.line

    def ended() -> Done | Nack | None:
        return next((m for m in line.heard if isinstance(m, Done) and m.request_id == 1), None)

    line.order(Reward(1, PULSE_US, 1, 0))
    done = line.listen(ended, END_S, alive=True)
    if not isinstance(done, Done):
        return Check("valve", Status.FAIL, "the board did not tell of its end", "see line")
    message = f"asked for {PULSE_US / 1000:g} ms, open for {done.opened_us / 1000:.3f} ms"
    if abs(done.t_close_us - done.t_open_us - PULSE_US) > WITHIN_US:
        return Check("valve", Status.FAIL, message, "flash the firmware again")
    return Check("valve", Status.OK, f"{message}: it should have clicked")


def _watchdog(trial: _Trial) -> Check:
    settings, line = trial.session.rig.board, trial.line
    asked_ms = min(settings.valve.max_open_ms, settings.watchdog_ms + 150)
    if asked_ms <= settings.watchdog_ms:
        message = f"not tried: no pulse lasts longer than {settings.watchdog_ms:g} ms"
        return Check("watchdog", Status.WARN, message, "shorten rig.board.watchdog_ms")

    def over() -> Cut | Done | None:
        return next(
            (m for m in line.heard if isinstance(m, (Cut, Done)) and m.request_id == 2), None
        )

    line.keep_alive()
    line.order(Reward(2, round(asked_ms * 1000), 1, 0))
    ended = line.listen(over, asked_ms / 1000 + END_S)  # and not a byte is sent
    opened_ms = ended.opened_us / 1000 if isinstance(ended, (Cut, Done)) else asked_ms
    if not isinstance(ended, Cut) or ended.reason != Reason.HOST_SILENT:
        why = reason_in_words(ended.reason) if isinstance(ended, Cut) else "to the pulse's end"
        message = f"the valve stayed open for {opened_ms:.0f} ms while the host was silent: {why}"
        return Check("watchdog", Status.FAIL, message, "do not use this board: flash it again")
    high = trial.outputs()
    if high or opened_ms > settings.watchdog_ms + WATCHDOG_WITHIN_MS:
        still = f", still high: {', '.join(high)}" if high else ", too late"
        message = f"a silent host's valve shut after {opened_ms:.0f} ms{still}"
        return Check("watchdog", Status.FAIL, message, "do not use this board: flash it again")
    message = f"a silent host's valve shut after {opened_ms:.0f} ms of {asked_ms:g}, all low"
    return Check("watchdog", Status.OK, message)


def _end(trial: _Trial) -> Check:
    trial.line.order(Safe())
    high = trial.outputs()
    if high:
        return Check("end", Status.FAIL, f"still high: {', '.join(high)}", "unplug the board")
    return Check("end", Status.OK, "safe, all low")


STEPS: tuple[Step, ...] = (
    _identity,
    _self_test,
    _line,
    _outputs,
    _frame_clock,
    _gate,
    _sensors,
    _valve,
    _watchdog,
    _end,
)
