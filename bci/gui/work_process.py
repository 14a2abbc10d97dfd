"""A process for work that would hold up the window: threads share one interpreter with it.

Those of `concurrent.futures` cannot be ended amid a call, and outlive a window that is killed.
"""

import contextlib
import importlib
import logging
import os
import pickle
import subprocess
import sys
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from bci.program import check_parent, child_environment, python_command

log = logging.getLogger("bci.gui")

END_S = 3.0


class WorkFailed(RuntimeError):
    """The process ended before it answered."""


class WorkProcess:
    """An object in a process of its own; it is made by the first call, and ends with us.

    Parameters
    ----------
    module, name
        Where its class stands; made without arguments.

    Attributes
    ----------
    is_closed
        True once it is asked for nothing any more.
    """

    def __init__(self, module: str, name: str) -> None:
        self._of = (module, name)
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = Lock()
        self.is_closed = False

    @property
    def pid(self) -> int | None:
        """Of the process; None: there is none."""
        return None if self._process is None else self._process.pid

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method there and wait for what it returns or raises; for a thread.

        Raises
        ------
        WorkFailed
            Where the process ended; the next call makes another.
        """
        with self._turn:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pickle.dump((method, arguments), process.stdin)
                process.stdin.flush()
                result, error = pickle.load(process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError) as gone:
                self._end()
                raise WorkFailed("the work was broken off: try again") from gone
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End it, whatever it is doing."""
        self.is_closed = True
        process = self._process
        if process is not None:
            # a call that waits for it is answered by its end
            process.kill()
        with self._turn:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                python_command(__name__, *self._of),
                env=child_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C is for the window, which then closes us
                start_new_session=sys.platform != "win32",
            )
        # asked once it is there: whoever closes us either ends it or is seen here
        if self.is_closed:
            self._end()
            raise WorkFailed("the window closes")
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(END_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # what it was asked last may still wait to be written
                with contextlib.suppress(OSError):
                    pipe.close()


def serve(module: str, name: str) -> None:
    """Answer calls on the standard input; end with it, even amid a call."""
    # what a library prints must not get among the answers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    calls: SimpleQueue[tuple[str, tuple[object, ...]]] = SimpleQueue()
    Thread(target=_listen, args=(calls,), daemon=True).start()
    served = getattr(importlib.import_module(module), name)()
    while True:
        method, arguments = calls.get()
        result, failure = None, None
        try:
            result = getattr(served, method)(*arguments)
        # whatever it is, the window tells it
        except Exception as error:
            log.exception("work: %s", method)
            failure = _plain(error)
        pickle.dump((result, failure), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _listen(calls: "SimpleQueue[tuple[str, tuple[object, ...]]]") -> None:
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            calls.put(pickle.load(sys.stdin.buffer))
    # the window has gone: nobody waits for what is being worked out
    os._exit(0)


def _plain(error: Exception) -> Exception:
    """The error, or its words where it cannot be handed from process to process."""
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError, ValueError):
        return RuntimeError(str(error))
    return error


if __name__ == "__main__":
    check_parent()
    serve(*sys.argv[1:3])
