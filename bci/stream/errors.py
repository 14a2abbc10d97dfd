"""What goes wrong between processes, said so that somebody can act on it."""


class StreamError(RuntimeError):
    """A peer did not answer, refused, or an address could not be bound."""
