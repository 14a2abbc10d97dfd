"""What the host sends: numbered frames, and how many of them nobody answered."""

from bci.hardware.board.protocol import Message, next_sequence


class Outbox:
    """Bytes for the board, until the line takes them.

    Attributes
    ----------
    unanswered
        Questions asked since anything was last heard; set to 0 by whoever hears.
    """

    def __init__(self) -> None:
        self.unanswered = 0
        self._sequence = 0
        self._bytes = bytearray()

    def number(self) -> int:
        """The next sequence number."""
        self._sequence = next_sequence(self._sequence)
        return self._sequence

    def ask(self, message: Message) -> int:
        """Send a message that wants an answer; its sequence number."""
        self.unanswered += 1
        sequence = self.number()
        self._bytes += message.frame(sequence)
        return sequence

    def repeat(self, message: Message, sequence: int) -> None:
        """Send a message under a number that it has already."""
        self._bytes += message.frame(sequence)

    def open(self) -> None:
        """Begin a new line: drop what waits and end whatever half frame the board may hold."""
        self.unanswered = 0
        self._bytes[:] = b"\x00"

    def take(self) -> bytes:
        """Bytes since the last call."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
