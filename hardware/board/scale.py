"""A laboratory scale on a serial line, asked for its weight.

Most answer a short command with one line that holds a number and its unit: `S` (Mettler-Toledo
SICS), `P` (Ohaus, Sartorius `ESC P`). A line that says that the weight is not stable yet (`S D`,
`?`) is asked for again.
"""

import re
import time

import serial

from bci.hardware.board.interface import BoardError

_READ_S = 0.2
_AGAIN_S = 0.3
_NUMBER = re.compile(r"([-+]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*(mg|kg|g)\b", re.IGNORECASE)
_UNSTABLE = re.compile(r"^S\s+D\b|\?")
_MG = {"mg": 1.0, "g": 1e3, "kg": 1e6}


def weight_mg(line: str) -> float | None:
    """Weight in a line of a scale, milligrams; None: it holds none that is stable."""
    found = _NUMBER.search(line)
    if found is None or _UNSTABLE.search(line):
        return None
    sign, digits, unit = found.groups()
    return float(f"{sign}{digits}") * _MG[unit.lower()]


class Scale:
    """A scale that can be asked.

    Parameters
    ----------
    port, baud
        Of its serial line.
    ask
        What it is sent; a line end follows.

    Raises
    ------
    BoardError
        Where the port cannot be opened.
    """

    def __init__(self, port: str, baud: int = 9600, ask: str = "S") -> None:
        self._port = port
        self._ask = ask.encode() + b"\r\n"
        try:
            self._line = serial.serial_for_url(port, baudrate=baud, timeout=_READ_S)
        except (OSError, ValueError) as error:
            raise BoardError(f"--scale {port}: {error}") from error

    def read_mg(self, timeout_s: float = 20.0) -> float:
        """The next stable weight.

        Raises
        ------
        BoardError
            Where none comes in time; says what came instead.
        """
        self._line.reset_input_buffer()
        t_end_s = time.monotonic() + timeout_s
        t_again_s, last, rest = 0.0, "", b""
        try:
            while (now_s := time.monotonic()) < t_end_s:
                if now_s >= t_again_s:
                    self._line.write(self._ask)
                    t_again_s = now_s + _AGAIN_S
                rest += self._line.read(64)
                *lines, rest = re.split(rb"[\r\n]+", rest)
                for raw in filter(None, lines):
                    last = raw.decode("ascii", "replace")
                    found = weight_mg(last)
                    if found is not None:
                        return found
        except OSError as error:
            raise BoardError(f"--scale {self._port}: {error}") from error
        said = f"its last line was {last!r}" if last else "it said nothing"
        raise BoardError(
            f"--scale {self._port}: no stable weight within {timeout_s:g} s; {said}. "
            "Look at --scale-baud and --scale-ask, or type the weights in"
        )

    def close(self) -> None:
        """Give the port back."""
        self._line.close()
