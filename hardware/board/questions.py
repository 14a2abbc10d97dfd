"""Single questions to this program's own board, for whoever tries it out.

A session talks by `Conversation`, which never waits. Here one question is asked after the other,
and nothing is sent unasked: what the board does when the host is silent can be seen.
"""

import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from bci.config.rig import Board
from bci.hardware.board.codes import reason_in_words
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.interface import BoardError
from bci.hardware.board.ports import open_port
from bci.hardware.board.protocol import (
    PROTOCOL_VERSION,
    Ack,
    Hello,
    Identity,
    KeepAlive,
    Message,
    Nack,
    NotAMessage,
    Status,
    from_board,
    next_sequence,
)

Answer = TypeVar("Answer", bound=Message)
ANSWER_S = 0.5
TRIES = 12
"""An Arduino that restarts as its port opens listens after two seconds."""
READ_S, WRITE_S = 0.01, 0.2


class Refused(BoardError):
    """The board refused a request."""


class Questions:
    """An open line to the board.

    Parameters
    ----------
    settings
        Of the board: its limits go with the greeting.
    port
        What pyserial's `serial_for_url` takes, for this process alone.

    Attributes
    ----------
    heard
        Every message of the board, oldest first.

    Raises
    ------
    BoardError
        Where the port cannot be opened.
    """

    def __init__(self, settings: Board, port: str) -> None:
        self.heard: list[Message] = []
        self._settings = settings
        self._port = port
        self._decoder = FrameDecoder()
        self._sequence = 0
        try:
            self._line = open_port(port, settings.baud, READ_S, WRITE_S)
        except (OSError, ValueError) as error:
            raise BoardError(f"{port}: {error}") from error
        self._line.write(b"\x00")

    def __enter__(self) -> "Questions":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._line.close()

    def greet(self) -> Identity:
        """Take the line, as a session that nobody had before."""
        valve = self._settings.valve
        hello = Hello(
            protocol=PROTOCOL_VERSION,
            session=secrets.randbelow(2**32 - 1) + 1,
            max_open_us=round(valve.max_open_ms * 1000),
            duty_permille=max(1, int(valve.max_duty * 1000)),
            watchdog_ms=round(self._settings.watchdog_ms),
        )
        return self.ask(hello, Identity)

    def keep_alive(self) -> Status:
        """Feed the watchdog; the board's state."""
        return self.ask(KeepAlive(), Status)

    def order(self, message: Message) -> Ack:
        """Ask for something to be done."""
        return self.ask(message, Ack)

    def ask(self, message: Message, answer: type[Answer]) -> Answer:
        """The answer to a question, which is asked again where none comes.

        Raises
        ------
        Refused
            Where the board will not.
        BoardError
            Where it says nothing.
        """
        for _ in range(TRIES):
            sequence = self._sequence = next_sequence(self._sequence)
            asked_at = len(self.heard)
            self._write(message.frame(sequence))

            # numbers come round again: what was heard before is no answer
            def told(sequence: int = sequence, asked_at: int = asked_at) -> Answer | Nack | None:
                for one in reversed(self.heard[asked_at:]):
                    if isinstance(one, (answer, Nack)) and getattr(one, "answered", 0) == sequence:
                        return one
                return None

            found = self.listen(told, ANSWER_S)
            if isinstance(found, Nack):
                raise Refused(f"refused: {reason_in_words(found.reason)}, {found.argument}")
            if found is not None:
                return found
        raise BoardError(
            f"no answer at {self._port}: wrong port, no power, or another firmware on it"
        )

    def listen(
        self,
        until: Callable[[], Answer | Nack | None],
        timeout_s: float,
        *,
        alive: bool = False,
    ) -> Answer | Nack | None:
        """Hear what comes until something is true, or for so long.

        Parameters
        ----------
        until
            Looks at `heard`.
        timeout_s
            The longest wait.
        alive
            Keep the board awake meanwhile; else not a byte is sent.
        """
        t_end, t_alive = time.monotonic() + timeout_s, 0.0
        while (found := until()) is None and time.monotonic() < t_end:
            if alive and time.monotonic() >= t_alive:
                t_alive = time.monotonic() + self._settings.keep_alive_ms / 1000
                self._sequence = next_sequence(self._sequence)
                self._write(KeepAlive().frame(self._sequence))
            self._read()
        return found

    def wait(self, seconds: float) -> None:
        """Keep the board awake for so long."""
        self.listen(lambda: None, seconds, alive=True)

    def _write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except OSError as error:
            raise BoardError(f"{self._port}: {error}") from error

    def _read(self) -> None:
        try:
            data = self._line.read(1)
            data += self._line.read(self._line.in_waiting)
        except OSError as error:
            raise BoardError(f"{self._port}: {error}") from error
        for payload in self._decoder.feed(data):
            try:
                self.heard.append(from_board(payload)[1])
            except NotAMessage:
                continue
