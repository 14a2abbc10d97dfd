"""Work that takes time, done in threads for a window that never waits."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

log = logging.getLogger("bci.gui")

T = TypeVar("T")

N_THREADS = 2


class Background:
    """Threads that take work from the window and hand it back on the window's next tick."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(N_THREADS, "work")
        self._working: list[tuple[Future[Any], Callable[[Any, Exception | None], None]]] = []
        self._is_closed = False

    def work(
        self, function: Callable[[], T], then: Callable[[T | None, Exception | None], None]
    ) -> None:
        """Do something slow in a thread; `then` gets its result, or its error, in `finish`.

        Nothing is begun any more once this is closed: a timer or a key may come after it.
        """
        if self._is_closed:
            return
        self._working.append((self._threads.submit(function), then))

    def finish(self) -> None:
        """Hand over what is done; to be called in the window's thread."""
        # each is asked once: one that ends meanwhile is handed over next time
        looked_at = [(pair[0].done(), pair) for pair in self._working]
        self._working = [pair for is_done, pair in looked_at if not is_done]
        for future, then in [pair for is_done, pair in looked_at if is_done]:
            error = future.exception()
            if error is None:
                then(future.result(), None)
            elif isinstance(error, Exception):
                log.info("work: %s", error)
                then(None, error)

    def refuse_more(self) -> None:
        """Begin nothing any more."""
        self._is_closed = True

    def close(self) -> None:
        """Wait for what was begun; what was not is dropped."""
        self.refuse_more()
        self._threads.shutdown(cancel_futures=True)
