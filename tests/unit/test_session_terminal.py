"""What is told on a terminal holds up nobody, whatever becomes of the terminal."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from waiting import until

from bci.session import terminal as terminal_module
from bci.session.terminal import LastingTerminal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="consoles are written to without a thread there"
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe with no room in it, reading end first."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    yield reading, writing
    for end in (reading, writing):
        with suppress(OSError):
            os.close(end)


def read_until(reading: int, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += os.read(reading, 65536)
    return data.lstrip(b".")


def test_terminal_that_has_gone_is_written_to_in_vain() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone, closing(LastingTerminal(gone)) as terminal:
        for _ in range(3):
            assert terminal.write("text\n") == 5
            terminal.settle()
        # what others write there is lost as well, and fails nobody
        gone.write("text\n")
        gone.flush()


def test_terminal_that_stands_still_gets_it_all_once_it_is_read(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    with os.fdopen(writing, "w", closefd=False) as still, closing(LastingTerminal(still)) as told:
        for i in range(100):
            told.write(f"line {i}\n")
        assert read_until(reading, b"line 99\n") == b"".join(b"line %d\n" % i for i in range(100))
        until(told._is_through)


def test_what_has_no_room_is_left_out_and_that_is_told(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    monkeypatch.setattr(terminal_module, "MOST_WAITING", 3)
    with os.fdopen(writing, "w", closefd=False) as still, closing(LastingTerminal(still)) as told:
        for i in range(5):
            told.write(f"line {i}\n")
        missing = terminal_module.MISSING.encode()
        assert read_until(reading, missing) == b"line 0\nline 1\nline 2\n" + missing
        told.write("line 5\n")
        assert read_until(reading, b"\n") == b"line 5\n"


def test_nobody_waits_for_a_terminal_that_is_never_read(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, writing = pipe
    monkeypatch.setattr(terminal_module, "PATIENCE_S", 0.05)
    with os.fdopen(writing, "w", closefd=False) as still:
        told = LastingTerminal(still)
        told.write("line\n")
        told.close()
        assert told.write("more\n") == 5
        os.close(pipe[0])
        until(lambda: not told._thread.is_alive())


def test_what_is_no_file_of_the_system_is_written_to_at_once() -> None:
    text = io.StringIO()
    terminal = LastingTerminal(text)
    terminal.write("µl\n")
    assert text.getvalue() == "µl\n"
