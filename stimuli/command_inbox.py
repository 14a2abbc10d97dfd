"""Commands as they arrive, stamped at once, whatever the screen is doing."""

import threading
from collections import deque

from bci.stream.access import Access
from bci.stream.commands import Arrival, CommandReceiver
from bci.stream.priority import Urgency, hurry

_POLL_MS = 50


class CommandInbox:
    """Takes commands off the socket in a thread of its own.

    The screen looks for a command once a refresh; without the thread its time of arrival would be
    the time of that look. Repetitions of a command are dropped here.

    Parameters
    ----------
    endpoint
        Of control's `CommandPublisher`.
    access
        Of the session; None: the publisher asks for none.
    """

    def __init__(self, endpoint: str, access: Access | None = None) -> None:
        self._endpoint = endpoint
        self._access = access
        self._arrivals: deque[Arrival] = deque()
        self._arrived = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stimulus commands", daemon=True)
        self._thread.start()

    def take(self) -> list[Arrival]:
        """Everything that arrived since the last call, oldest first; never waits.

        Raises
        ------
        RuntimeError
            If the thread was ended by an error: without commands the screen would stand still.
        """
        if not self._thread.is_alive():
            raise RuntimeError("no commands are taken in any more: see the error before")
        self._arrived.clear()
        return [self._arrivals.popleft() for _ in range(len(self._arrivals))]

    def wait(self, timeout_s: float) -> None:
        """Wait for an arrival that has not been taken, at most this long."""
        self._arrived.wait(timeout_s)

    def close(self) -> None:
        """End the thread and give the socket back; a second call does nothing."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        hurry(Urgency.LOOP)
        receiver = CommandReceiver(self._endpoint, self._access)
        newest_id = 0
        try:
            while not self._closing.is_set():
                arrival = receiver.take(_POLL_MS)
                if arrival is not None and arrival.command.command_id > newest_id:
                    newest_id = arrival.command.command_id
                    self._arrivals.append(arrival)
                    self._arrived.set()
        finally:
            receiver.close()
