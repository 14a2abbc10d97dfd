"""A port of this host that the program under test, and nobody else, can listen on."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port() -> Iterator[int]:
    """A port that is bound and not listened on.

    While it is held the system gives it to nobody who asks for any port, connections out included;
    whoever asks for this one gets it, because both sides allow the address to be used again, as
    servers do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
