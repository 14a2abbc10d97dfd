"""What a line asks of whoever talks over it: a pure state machine of messages and times."""

from typing import Protocol

from bci.core.board_types import LightCommand, RewardRequest
from bci.core.rewards import BoardReward
from bci.hardware.board.conversation import LineState
from bci.hardware.board.protocol import Identity
from bci.hardware.board.rewards import Rewards


class Talk(Protocol):
    """The host's side of one kind of board, with no clock, thread or port of its own.

    Times are ns of one rising clock. Events go to whoever was named when it was made.
    """

    REMEMBERS: bool
    """True for a board that keeps its last rewards through a loss of power."""
    state: LineState
    identity: Identity | None
    refusal: str

    @property
    def rewards(self) -> Rewards:
        """All rewards of the session."""
        ...

    @property
    def safe_confirmed(self) -> bool:
        """The last `safe` has reached the board, as far as this board can tell."""
        ...

    @property
    def dead(self) -> bool:
        """Nothing was heard for so long that the line should be opened anew."""
        ...

    def reward(self, request: RewardRequest, t_ns: int) -> None:
        """Take a reward; an id that was asked for before is refused with an event."""
        ...

    def light(self, command: LightCommand) -> None:
        """Want the light allowed or forbidden."""
        ...

    def arm(self, *, start: bool) -> None:
        """The next frame TTL is number 0; with start the scope is triggered as well."""
        ...

    def recall(self) -> None:
        """Ask the board for its last rewards, if it remembers any."""
        ...

    @property
    def recalled(self) -> list[BoardReward] | None:
        """What it told, the newest first; None: not all of it yet, or it remembers nothing."""
        ...

    def safe(self, t_ns: int) -> None:
        """Shut everything; rewards not yet sent fail, none is sent again."""
        ...

    def part(self, t_ns: int) -> None:
        """Shut everything, and greet the board no more."""
        ...

    def finish(self, t_ns: int) -> None:
        """End every reward, because nothing will be heard any more."""
        ...

    def opened(self, t_ns: int) -> None:
        """The line is open: greet the board."""
        ...

    def lost(self, t_ns: int, why: str) -> None:
        """The line is gone."""
        ...

    def take_output(self) -> bytes:
        """Bytes for the board since the last call."""
        ...

    def received(self, data: bytes, t_ns: int) -> None:
        """Bytes from the board."""
        ...

    def advance(self, t_ns: int, turns: int) -> int:
        """Send what is due; when to come back at the latest, ns.

        `turns` is any number that changes while the owner's loop turns.
        """
        ...
