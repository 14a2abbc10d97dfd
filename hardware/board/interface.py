"""The contract of every board, whatever is behind it."""

from typing import Protocol

from bci.core.board_types import BoardEvent, LightCommand, RewardRequest
from bci.core.rewards import BoardReward, RewardTotals
from bci.hardware.board.protocol import Identity


class BoardError(Exception):
    """The board cannot be used; says what was tried and what to do."""


class Board(Protocol):
    """Valve, light and sensors, as the control loop sees them.

    No method but `open`, `recall` and `close` ever waits. Everything that happens comes out of
    `events`.
    """

    @property
    def identity(self) -> Identity | None:
        """What the board said of itself; None before the first answer."""
        ...

    @property
    def connected(self) -> bool:
        """The board has greeted us and takes requests."""
        ...

    @property
    def totals(self) -> RewardTotals:
        """Rewards and volume of the session so far."""
        ...

    def open(self, timeout_s: float = 5.0) -> None:
        """Open the line and wait for the board's greeting.

        Raises
        ------
        BoardError
            Where no board answers in time, or it refuses.
        """
        ...

    def recall(self, timeout_s: float = 5.0) -> list[BoardReward] | None:
        """Ask the board for its last rewards, whoever asked for them; before any reward.

        Returns
        -------
        list
            The newest first; None: this kind of board remembers none.

        Raises
        ------
        BoardError
            If it does not answer in time.
        """
        ...

    def reward(self, request: RewardRequest) -> None:
        """Give one drop, once; its fate comes out of `events`."""
        ...

    def light(self, command: LightCommand) -> None:
        """Allow or forbid the light; a board that comes back is told again."""
        ...

    def arm(self) -> None:
        """Make the next frame TTL number 0; trigger the scope where the settings say so.

        Comes out of `events` once the board has confirmed it.
        """
        ...

    def safe(self) -> None:
        """Shut everything now: a running pulse is cut, rewards not yet sent fail."""
        ...

    def turn(self) -> None:
        """The owner's loop turned; without this the board falls silent and becomes safe."""
        ...

    def advance_to(self, t_s: float) -> None:
        """Frame time has come to t_s; of effect only for a board on virtual time."""
        ...

    def events(self) -> list[BoardEvent]:
        """Events since the last call, oldest first; call it from one thread."""
        ...

    def pending(self) -> int:
        """Rewards asked for whose end is not known yet."""
        ...

    def close(self, settle_s: float = 1.0) -> None:
        """End in the safe state, valve shut.

        Rewards on their way get `settle_s` to end; what is then still open ends as failed or
        unknown. A second call does nothing.
        """
        ...
