"""What a message from another program may hold, and how its bytes are read."""

from typing import Annotated, Protocol, TypeVar

from msgspec import Meta

MOST_NOTE = 4096
MOST_LABEL = 128
MOST_TEXT = 65_536
MOST_ITEMS = 100_000
MOST_NS = 2**62
MOST_COUNT = 2**53
MOST_FINITE = 1e12
MOST_RATE_HZ = 1e6
MOST_PLANES = 4096

NoteText = Annotated[str, Meta(max_length=MOST_NOTE)]
"""What an operator types."""
Label = Annotated[str, Meta(max_length=MOST_LABEL)]
"""Name of an ROI, a process, a socket, a kind."""
Text = Annotated[str, Meta(max_length=MOST_TEXT)]
"""What a program writes for people."""
Labels = Annotated[tuple[Label, ...], Meta(max_length=MOST_ITEMS)]
Endpoints = Annotated[dict[Label, NoteText], Meta(max_length=MOST_LABEL)]
"""Name of a socket -> its address."""
Count = Annotated[int, Meta(ge=0, le=MOST_COUNT)]
Place = Annotated[int, Meta(ge=-1, le=MOST_COUNT)]
"""A number counted from 0; -1: none."""
FrameId = Annotated[int, Meta(ge=-1)]
"""As a frame carries it, up to 64 bits; -1: none."""
Rate = Annotated[float, Meta(gt=0, le=MOST_RATE_HZ)]
"""Frames a second."""
Finite = Annotated[float, Meta(ge=-MOST_FINITE, le=MOST_FINITE)]
"""A number that is neither NaN nor infinite."""
TimeNs = Annotated[int, Meta(ge=-MOST_NS, le=MOST_NS)]
"""A time or the difference of two, ns: still 64 bits when two of them are subtracted."""

_Message = TypeVar("_Message", covariant=True)


class Decoder(Protocol[_Message]):
    """A decoder of msgspec, of MessagePack or JSON."""

    def decode(self, buf: bytes, /) -> _Message:
        """Decode, or raise what msgspec raises."""
        ...


class NotAMessage(ValueError):
    """The bytes are no message of the type that is read here."""


def read_message(decoder: Decoder[_Message], payload: bytes) -> _Message:
    """Decode bytes that another program wrote.

    Raises
    ------
    NotAMessage
        Whatever is wrong with them.
    """
    try:
        return decoder.decode(payload)
    # msgspec raises more than its own errors: UnicodeDecodeError for text that is not UTF-8,
    # RecursionError for deep nesting, MemoryError. What others send must never end us
    except Exception as error:
        raise NotAMessage(f"{type(error).__name__}: {error}") from error


def cut(text: str, most: int = MOST_TEXT) -> str:
    """Shorten a text to what its reader accepts; the end is left out and marked."""
    return text if len(text) <= most else text[: most - 1] + "…"
