"""The window's lines to a running session; threads of their own wait, the window never does."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from pathlib import Path

from bci.recording.contents import DamagedJournal
from bci.recording.folder import JOURNAL, read_endpoints
from bci.recording.history import HistoryChunk, HistoryReader, HistoryRequest
from bci.recording.tail import JournalTail
from bci.session.access import access_to
from bci.session.history import HistoryClient
from bci.stream.access import Access
from bci.stream.errors import StreamError
from bci.stream.operator import OperatorClient, OperatorRequest, Reply
from bci.stream.telemetry import Telemetry, TelemetrySubscriber

log = logging.getLogger("bci.gui")

TURN_S = 0.05
CATCH_UP_S = 0.005
"""Pause between chunks of a history that is caught up with: the session goes first."""
FLUORESCENCE_NS = 60_000_000_000
ANSWER_S = 2.0
ASK_AGAIN_S = 5.0
NOT_YET = "the session is starting: control does not take requests yet"

Then = Callable[[Reply], None]


class SessionClient:
    """One session, watched and asked; closes nothing and ends nothing of it.

    Parameters
    ----------
    folder
        Of the session; endpoints.json may come later.
    is_over
        Nobody serves it any more: its journal is read from the disk.

    Attributes
    ----------
    caught_up
        True once the history has been read to its end.
    can_ask
        True once it is known where control takes requests.
    fault
        What ended a thread of these lines; empty while both work.
    supervised
        False while the supervisor does not answer; the journal is then read from the disk.
    """

    def __init__(self, folder: Path, *, is_over: bool = False) -> None:
        self._folder = folder
        self._inbox: deque[HistoryChunk] = deque()
        self._room = threading.Semaphore(64)
        self._newest: Telemetry | None = None
        self._asked: queue.SimpleQueue[tuple[OperatorRequest, Then] | None] = queue.SimpleQueue()
        self._answered: deque[tuple[Then, Reply]] = deque()
        self._closing = threading.Event()
        self._is_over = is_over
        self.caught_up = False
        self.can_ask = False
        self.fault = ""
        self.supervised = not is_over
        self._threads = [
            threading.Thread(target=self._guarded, args=(name, work), name=name, daemon=True)
            for name, work in (("watch", self._watch), ("ask", self._answer))
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> list[HistoryChunk]:
        """Chunks that came since the last call, a few at a time so that nothing waits."""
        chunks: list[HistoryChunk] = []
        while self._inbox and len(chunks) < 4:
            chunks.append(self._inbox.popleft())
            self._room.release()
        return chunks

    def take_telemetry(self) -> Telemetry | None:
        """The newest snapshot, once."""
        newest, self._newest = self._newest, None
        return newest

    def ask(self, request: OperatorRequest, then: Then) -> None:
        """Ask control, once; `then` is among `answers` later. Returns at once."""
        self._asked.put((request, then))

    def answers(self) -> list[tuple[Then, Reply]]:
        """What control answered since the last call, and who waits for it."""
        found = []
        while self._answered:
            found.append(self._answered.popleft())
        return found

    def close(self) -> None:
        """End the threads; the session is not touched. A second call does nothing."""
        self._closing.set()
        self._asked.put(None)
        for thread in self._threads:
            thread.join()

    # -- threads -----------------------------------------------------------------------------

    def _reach(self, name: str) -> tuple[str, Access] | None:
        try:
            endpoint = read_endpoints(self._folder).get(name)
            return (endpoint, access_to(self._folder)) if endpoint else None
        except (OSError, ValueError, KeyError):
            return None

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except DamagedJournal as error:
            self.fault = str(error)
        # whatever it is: a window that stands still without a word is taken for a quiet session
        except Exception as error:
            log.exception("thread %s ended", name)
            self.fault = f"{name}: {type(error).__name__}: {error}"

    def _watch(self) -> None:
        telemetry: TelemetrySubscriber | None = None
        history = _History(self._folder, self._reach, supervised=self.supervised)
        position = number = 0
        try:
            while not self._closing.is_set():
                # another session may be at this port by now
                unheard = telemetry is None and not self._is_over
                if unheard and (reached := self._reach("telemetry")):
                    telemetry = TelemetrySubscriber(*reached)
                self.can_ask = self.can_ask or self._reach("operator") is not None
                if telemetry is not None:
                    self._newest = telemetry.receive() or self._newest
                since_ns = time.perf_counter_ns() - FLUORESCENCE_NS
                chunk = history.read(HistoryRequest(position, since_ns, number))
                self.supervised = history.supervised
                if chunk is None:
                    self._closing.wait(TURN_S)
                    continue
                if chunk.position != position:
                    position, number = chunk.position, chunk.number
                    while not self._room.acquire(timeout=0.1):
                        if self._closing.is_set():
                            return
                    self._inbox.append(chunk)
                self.caught_up = self.caught_up or (chunk.at_end and position > 0)
                self._closing.wait(TURN_S if chunk.at_end else CATCH_UP_S)
        finally:
            history.close()
            if telemetry is not None:
                telemetry.close()

    def _answer(self) -> None:
        operator: OperatorClient | None = None
        while (asked := self._asked.get()) is not None:
            request, then = asked
            if operator is None and (reached := self._reach("operator")):
                operator = OperatorClient(*reached)
            if operator is None:
                reply = Reply(False, NOT_YET)
            else:
                try:
                    reply = operator.ask(request, ANSWER_S)
                except StreamError as error:
                    reply = Reply(False, str(error))
            self._answered.append((then, reply))
        if operator is not None:
            operator.close()


class _History:
    """Chunks from the supervisor; from the disk while it does not answer."""

    def __init__(
        self,
        folder: Path,
        reach: Callable[[str], tuple[str, Access] | None],
        *,
        supervised: bool,
    ) -> None:
        self._path = folder / JOURNAL
        self._reach = reach
        self._client: HistoryClient | None = None
        self._tail: JournalTail | None = None
        self._reader: HistoryReader | None = None
        self._ask_again_s = 0.0 if supervised else inf
        self.supervised = supervised

    def read(self, request: HistoryRequest) -> HistoryChunk | None:
        """The next chunk; None where there is no history yet."""
        if self._client is None and time.monotonic() >= self._ask_again_s:
            reached = self._reach("history")
            self._client = HistoryClient(*reached) if reached else None
        if self._client is not None:
            try:
                chunk = self._client.ask(request, ANSWER_S)
            except StreamError as error:
                log.info("supervisor: %s", error)
                # a late answer would be taken for that to the next question
                self._client.close()
                self._client = None
                self._ask_again_s = time.monotonic() + ASK_AGAIN_S
                self.supervised = False
            else:
                self.supervised = True
                return chunk
        return None if self.supervised else self._from_disk(request)

    def _from_disk(self, request: HistoryRequest) -> HistoryChunk | None:
        if self._reader is None:
            try:
                self._tail = JournalTail(self._path)
            except OSError:
                return None
            self._reader = HistoryReader(self._tail)
        return self._reader.read(request)

    def close(self) -> None:
        """Let go of socket and file."""
        if self._client is not None:
            self._client.close()
        if self._tail is not None:
            self._tail.close()
