"""Who writes a journal holds a lock on it, which ends with the process however it ends."""

import sys

if sys.platform == "win32":
    # A file open for writing cannot be renamed there, which is the only thing the lock is for.
    def take(descriptor: int) -> bool:
        """Take the lock of an open file; False where another process has it."""
        return descriptor >= 0

    def release(descriptor: int) -> None:
        """Give it back."""

else:
    import fcntl

    def take(descriptor: int) -> bool:
        """Take the lock of an open file; False where another process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # Some network file systems have no locks: then nobody is kept out.
            return True
        return True

    def release(descriptor: int) -> None:
        """Give it back."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
