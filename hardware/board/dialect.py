"""The words of a device that knows neither request ids nor a host that falls silent."""

from typing import ClassVar, Protocol

import msgspec

from bci.core.board_types import BoardEventKind
from bci.hardware.board.protocol import NAME_BYTES, Identity


class Present(msgspec.Struct, frozen=True):
    """The device said who it is."""

    identity: Identity


class Refused(msgspec.Struct, frozen=True):
    """The device cannot serve, and will not by asking again."""

    why: str


class Opened(msgspec.Struct, frozen=True):
    """The device took the reward; t_us is when it opened, on its own clock."""

    t_us: int | None


class Closed(msgspec.Struct, frozen=True):
    """The valve is shut again; opened_us is how long it was open, as the device tells."""

    opened_us: int


class StillOpen(msgspec.Struct, frozen=True):
    """The valve is open."""


class Changed(msgspec.Struct, frozen=True):
    """An input changed."""

    kind: BoardEventKind
    t_us: int | None
    value: float


class Damaged(msgspec.Struct, frozen=True):
    """Something was heard that means nothing here."""

    detail: str


Heard = Present | Refused | Opened | Closed | StillOpen | Changed | Damaged


class Dialect(Protocol):
    """Bytes of one kind of device, and what its answers mean.

    Attributes
    ----------
    BAUD
        Of its line; USB devices ignore it.
    DTR
        Level of the line that tells a device that somebody listens (and restarts an Arduino).
    LACKS
        What this program's own board has and this device has not, for people.
    """

    BAUD: ClassVar[int]
    DTR: ClassVar[bool]
    LACKS: ClassVar[tuple[str, ...]]

    @property
    def confirms(self) -> bool:
        """It tells when it opened and when it shut."""
        ...

    @property
    def streams(self) -> bool:
        """It sends without being asked."""
        ...

    @property
    def trusted(self) -> Present | None:
        """Who it is, where it never says so itself."""
        ...

    def greet(self) -> bytes:
        """Begin anew: who is there? Changes nothing, since it may be somebody else's device."""
        ...

    def set_up(self) -> bytes:
        """What the device needs once it is known: valve shut, inputs told."""
        ...

    def ask_alive(self) -> bytes:
        """A question that changes nothing; empty: the device has none."""
        ...

    def unfit(self, width_us: int) -> str:
        """Why this opening cannot be had from the device; empty: it can."""
        ...

    def open(self, width_us: int) -> bytes:
        """Open the valve for so long."""
        ...

    def ask_shut(self) -> bytes:
        """Is the valve shut? Empty: the device tells by itself, or never."""
        ...

    def shut(self) -> bytes:
        """Shut the valve now; empty: the device cannot."""
        ...

    def received(self, data: bytes) -> list[Heard]:
        """What came, in order."""
        ...


def identity_of(name: str, firmware: int, capabilities: int, longest_us: int) -> Identity:
    """Who the device is, in the form of this program's own board.

    Parameters
    ----------
    name
        ASCII, cut to 12 characters.
    firmware
        major × 256 + minor.
    capabilities
        What it has, bits of `Capability`.
    longest_us
        Longest opening that it can give.
    """
    return Identity(
        answered=0,
        protocol=0,
        session=0,
        boot=0,
        losses=0,
        firmware=firmware,
        capabilities=capabilities,
        hard_max_open_us=longest_us,
        max_open_us=longest_us,
        duty_permille=0,
        watchdog_ms=0,
        ring_size=0,
        name=name.encode("ascii", "replace")[:NAME_BYTES],
    )
