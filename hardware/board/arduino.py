"""A plain Arduino with commands of one character, as CLOOSE drives one at 9600 baud.

The sketch opens the valve for a time of its own when it reads its character, and sends one byte
again and again, which changes with each lick. It answers to nothing.

References
----------
github.com/harnett/CLOOSE, Run_GUI.m: what is written to and read from the Arduino.
"""

from typing import ClassVar

from bci.config.rig import ArduinoBoard
from bci.core.board_types import BoardEventKind
from bci.hardware.board.codes import Capability
from bci.hardware.board.dialect import Changed, Heard, Present, identity_of


class ArduinoDialect:
    """Characters out, a counter of licks in.

    Parameters
    ----------
    settings
        Which character opens the valve, for how long, and whether the sketch tells of licks.
    """

    BAUD: ClassVar[int] = 9600
    DTR: ClassVar[bool] = False
    LACKS: ClassVar[tuple[str, ...]] = (
        "any answer: no reward is ever confirmed, so each ends as unknown and counts as given",
        "a way to shut the valve before the sketch does",
        "a watchdog on a silent host",
        "a limit of its own on opening and duty (held by the host)",
        "a memory of rewards over a reset, an identity, a checksum on its line, a clock",
        "light with PMT gate, frame clock, wheel, photodiode",
    )
    confirms = False

    def __init__(self, settings: ArduinoBoard) -> None:
        self._reward = settings.reward.encode("ascii")
        self._start = (settings.start or "").encode("ascii")
        self._open_us = round(settings.open_ms * 1000)
        self._tells_licks = settings.tells_licks
        self._licks: int | None = None
        capabilities = Capability.VALVE | (Capability.LICK if settings.tells_licks else 0)
        self._present = Present(identity_of("arduino", 0, capabilities, self._open_us))

    @property
    def streams(self) -> bool:
        """A sketch that tells of licks never stops sending."""
        return self._tells_licks

    @property
    def trusted(self) -> Present | None:
        """A sketch that tells nothing is taken for what the settings say."""
        return None if self._tells_licks else self._present

    def greet(self) -> bytes:
        """What the sketch waits for and nothing else: any character might be a command."""
        self._licks = None
        return self._start

    def set_up(self) -> bytes:
        """Nothing: the sketch needs none."""
        return b""

    def ask_alive(self) -> bytes:
        """Nothing: no character is harmless."""
        return b""

    def unfit(self, width_us: int) -> str:
        """The sketch's own time and no other."""
        if width_us != self._open_us:
            return (
                f"this sketch opens for {self._open_us / 1000:g} ms "
                f"(rig.board.arduino.open_ms), not {width_us / 1000:g} ms"
            )
        return ""

    def open(self, width_us: int) -> bytes:
        """The sketch's character."""
        del width_us
        return self._reward

    def ask_shut(self) -> bytes:
        """Nothing: it does not tell."""
        return b""

    def shut(self) -> bytes:
        """Nothing: it cannot be told."""
        return b""

    def received(self, data: bytes) -> list[Heard]:
        """Each change of the counter is a lick; the first byte says that somebody is there."""
        heard: list[Heard] = []
        for licks in data if self._tells_licks else b"":
            if self._licks is None:
                heard.append(self._present)
            elif licks != self._licks:
                heard.append(Changed(BoardEventKind.LICK, None, 1.0))
            self._licks = licks
        return heard
