"""How far a long piece of work is, on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bci.cli.options import errors

FIRST_LINE_S, LINES_S = 5.0, 30.0
"""Without a terminal: until the first line, and from one line to the next."""


@contextmanager
def shown_progress() -> Iterator[Callable[[str, float], None]]:
    """Show a bar on a terminal; elsewhere print a line now and then, none for short work."""
    console = errors()
    if not console.is_terminal:
        due_s = time.monotonic() + FIRST_LINE_S

        def tell_line(doing: str, done: float) -> None:
            nonlocal due_s
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + LINES_S
                console.print(f"{doing}: {done:.0%}", markup=False, highlight=False)

        yield tell_line
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task, now = progress.add_task("", total=1.0), ""

        def tell_bar(doing: str, done: float) -> None:
            nonlocal now
            if doing != now:
                now = doing
                progress.reset(task, description=doing)
            progress.update(task, completed=done)

        yield tell_bar
