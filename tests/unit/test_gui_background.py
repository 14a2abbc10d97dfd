"""Whatever a thread of the window works out is handed over, whenever it ends."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from waiting import until

from bci.gui.background import Background


class EndsWhileAsked(Future[int]):
    """Not done when it is first looked at, and done a moment later."""

    def __init__(self) -> None:
        super().__init__()
        self.set_result(5)
        self._asked = 0

    def done(self) -> bool:
        self._asked += 1
        return self._asked > 1


def test_what_ends_while_it_is_looked_at_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = EndsWhileAsked()
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *_: ending)
    background, found = Background(), []
    background.work(lambda: 5, lambda result, error: found.append((result, error)))
    for _ in range(3):
        background.finish()
    assert found == [(5, None)]
    background.close()


def test_results_and_errors_come_once_in_this_thread() -> None:
    background, found = Background(), list[Any]()

    def broken() -> int:
        raise ValueError("no such thing")

    background.work(lambda: 1, lambda result, _: found.append(result))
    background.work(broken, lambda _, error: found.append(str(error)))

    def both() -> bool:
        background.finish()
        return len(found) >= 2

    until(both)
    background.close()
    background.finish()
    assert sorted(found, key=str) == [1, "no such thing"]
    background.work(lambda: 1, lambda result, _: found.append(result))
    background.finish()
    assert len(found) == 2
