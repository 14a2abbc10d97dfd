"""Which command is shown next, and which never will be."""

from collections.abc import Sequence

from bci.core.stimulus_types import FlipKind, FlipReport
from bci.stream.commands import Arrival


class CommandSequence:
    """Picks the newest command and accounts for every one before it.

    Command ids go up by one, so that an id that never arrived is known too. The first command
    after a start is the first that counts: those before it were another process's.

    Parameters
    ----------
    blanks
        As in `FlipReport`.
    """

    def __init__(self, *, blanks: bool) -> None:
        self._blanks = blanks
        self._last_id: int | None = None

    def pick(self, arrivals: Sequence[Arrival]) -> tuple[Arrival | None, list[FlipReport]]:
        """Take what arrived since the last picture.

        Parameters
        ----------
        arrivals
            Each command once, ids going up, as a `CommandInbox` gives them.

        Returns
        -------
        newest
            To be shown; None where nothing arrived.
        superseded
            A report for every id between the last one and the newest; `t_received_ns` is 0
            where it never arrived.
        """
        if not arrivals:
            return None, []
        times_ns = {arrival.command.command_id: arrival.t_received_ns for arrival in arrivals}
        first_id = min(times_ns) if self._last_id is None else self._last_id + 1
        newest = arrivals[-1]
        self._last_id = newest.command.command_id
        superseded = [
            FlipReport(
                command_id=command_id,
                kind=FlipKind.SUPERSEDED,
                t_received_ns=times_ns.get(command_id, 0),
                t_draw_ns=0,
                t_flip_ns=0,
                missed_flips=0,
                blanks=self._blanks,
            )
            for command_id in range(first_id, self._last_id)
        ]
        return newest, superseded
