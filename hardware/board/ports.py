"""Boards found by who they say they are, not by the name that the system gave their port."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import serial
from serial.tools import list_ports

from bci.config.rig import Board as BoardSettings
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.interface import BoardError
from bci.hardware.board.protocol import PROTOCOL_VERSION, Hello, Identity, NotAMessage, from_board

if sys.platform == "win32":
    _NOT_AN_OSERROR: tuple[type[Exception], ...] = ()
else:
    import termios

    # what pyserial lets through of a device that is pulled out while it is opened
    _NOT_AN_OSERROR = (termios.error,)

AUTO = "auto"
ASK_S = 2.5
"""An Arduino that restarts as its port opens listens after two seconds."""
_AGAIN_S = 0.25
_READ_S = 0.02


class Answer(msgspec.Struct, frozen=True):
    """What came of asking one port.

    Parameters
    ----------
    port
        Name that pyserial opens.
    identity
        Of the board that answered; None: none did.
    fault
        Why it could not be asked; empty: it was, or it answered.
    """

    port: str
    identity: Identity | None
    fault: str = ""

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.port}: {self.identity.text if self.identity else self.fault or 'no answer'}"


def candidates() -> list[str]:
    """Serial ports that a board may be at: those on USB."""
    return sorted(port.device for port in list_ports.comports() if port.vid is not None)


def open_port(
    url: str, baud: int, read_s: float, write_s: float, *, dtr: bool = False
) -> serial.Serial:
    """Open a port for this process alone.

    Parameters
    ----------
    dtr
        Its level: an Arduino restarts when it rises; others take it for somebody who listens.

    Raises
    ------
    OSError
        Where it is not there, or another program has it.
    """
    port = serial.serial_for_url(
        url, baudrate=baud, timeout=read_s, write_timeout=write_s, do_not_open=True
    )
    port.dtr = dtr
    if isinstance(port, serial.Serial):
        # two programs on one line would cut each other's rewards
        port.exclusive = True
    try:
        port.open()
    except serial.SerialException as error:
        if "exclusively lock" in str(error):
            raise OSError(
                f"{url} is locked by another program: end the session that uses it"
            ) from error
        raise
    except _NOT_AN_OSERROR as error:
        raise OSError(f"{url} went away as it was opened: {error}") from error
    return port


def ask(port: str, baud: int, hello: Hello, timeout_s: float = ASK_S) -> Answer:
    """Greet whatever is at a port, until a board answers or the time is over.

    Nothing but HELLO is sent: it opens no valve, and the board's watchdog ends what it began.
    """
    try:
        line = open_port(port, baud, _READ_S, _AGAIN_S)
    except (OSError, ValueError) as error:
        return Answer(port, None, str(error))
    decoder = FrameDecoder()
    t_end_s = time.monotonic() + timeout_s
    t_again_s, sequence = 0.0, 0
    try:
        while (now_s := time.monotonic()) < t_end_s:
            if now_s >= t_again_s:
                t_again_s, sequence = now_s + _AGAIN_S, sequence + 1
                line.write(b"\x00" + hello.frame(sequence))
            for payload in decoder.feed(line.read(256)):
                identity = _identity(payload)
                if identity is not None:
                    return Answer(port, identity)
    except OSError as error:
        return Answer(port, None, str(error) or "the line closed")
    finally:
        line.close()
    return Answer(port, None)


def survey(settings: BoardSettings, hello: Hello | None = None) -> list[Answer]:
    """Ask every candidate, all at a time."""
    greeting = hello or _greeting(settings)
    ports = candidates()
    if not ports:
        return []
    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(lambda port: ask(port, settings.baud, greeting), ports))


def find_board(settings: BoardSettings, hello: Hello | None = None) -> str:
    """Port of the one board that answers, and has the name of the settings where they have one.

    Parameters
    ----------
    settings
        Of the board.
    hello
        The greeting of a session that lost its board: it disturbs nothing that runs there.

    Raises
    ------
    BoardError
        Where none is found, or more than one.
    """
    answers = survey(settings, hello)
    fits = [a for a in answers if a.identity and settings.name in (None, a.identity.label)]
    if len(fits) == 1:
        return fits[0].port
    named = f" of the name {settings.name!r}" if settings.name else ""
    found = "; ".join(answer.text for answer in answers) or "no serial port on USB"
    if fits:
        raise BoardError(
            f'rig.board.port = "auto": more than one board{named} answered ({found}). '
            "Set rig.board.name, or rig.board.port."
        )
    raise BoardError(
        f'rig.board.port = "auto": no board{named} answered ({found}). '
        "Look at cable and power, end programs that use the port, or set rig.board.port."
    )


def is_auto(settings: BoardSettings) -> bool:
    """Whether the port is to be looked for."""
    return settings.port is None or settings.port == AUTO


def _greeting(settings: BoardSettings) -> Hello:
    return Hello(
        PROTOCOL_VERSION,
        session=0,
        max_open_us=round(settings.valve.max_open_ms * 1000),
        duty_permille=max(1, int(settings.valve.max_duty * 1000)),
        watchdog_ms=round(settings.watchdog_ms),
    )


def _identity(payload: bytes) -> Identity | None:
    try:
        _, message = from_board(payload)
    except NotAMessage:
        return None
    return message if isinstance(message, Identity) else None


def names(answers: Sequence[Answer]) -> str:
    """What answered and what did not, in one line."""
    return "; ".join(answer.text for answer in answers) or "no serial port on USB"
