"""A screen that hears no commands any more ends, so that it is started again."""

import pytest
from waiting import until

from bci.stimuli.command_inbox import CommandInbox
from bci.stream.commands import CommandPublisher, CommandReceiver


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_ended_is_noticed_by_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    publisher = CommandPublisher()
    monkeypatch.setattr(CommandReceiver, "take", broken)
    inbox = CommandInbox(publisher.endpoint)
    until(lambda: not inbox._thread.is_alive())
    with pytest.raises(RuntimeError, match="no commands"):
        inbox.take()
    inbox.close()
    publisher.close()
