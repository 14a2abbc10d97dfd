"""What every board asks of a record of drops: a line before each drop is sent."""

from typing import Protocol

from bci.core.board_types import RewardRequest


class DropLog(Protocol):
    """Takes every drop before the board is asked for it.

    Attributes
    ----------
    board_session
        Number under which the board remembers these drops, 1 to 2**32 - 1.
    """

    board_session: int

    def intend(self, request: RewardRequest) -> None:
        """Put a drop on record; it is there when this returns, whatever becomes of the process.

        Raises
        ------
        OSError
            If it cannot be: the drop is not sent then.
        """
        ...


def not_on_record(log: DropLog | None, request: RewardRequest) -> str:
    """Put a drop on record, and say why that is not possible; empty: it may be sent."""
    if log is None:
        return ""
    try:
        log.intend(request)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return f"not sent: the reward log takes no line ({where}{error.strerror or error})"
    return ""
