"""Lock an open file for one process; the lock ends with the process, however that ends."""

import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt

    # Windows keeps others from reading a locked byte, so the lock is on one that no file has.
    _LOCKED_BYTE = 1 << 62

    def _at_locked_byte(descriptor: int, mode: int) -> None:
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, mode, 1)
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)

    def take(descriptor: int, *, wait: bool = False) -> bool:
        """Take the lock of an open file; False if another process has it."""
        while True:
            try:
                _at_locked_byte(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EDEADLOCK):
                    # Some network file systems have no locks: then nobody is kept out.
                    return True
                if not wait:
                    return False
            else:
                return True

    def release(descriptor: int) -> None:
        """Release the lock."""
        _at_locked_byte(descriptor, msvcrt.LK_UNLCK)

else:
    import fcntl

    def take(descriptor: int, *, wait: bool = False) -> bool:
        """Take the lock of an open file; False if another process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            # Some network file systems have no locks: then nobody is kept out.
            return True
        return True

    def release(descriptor: int) -> None:
        """Release the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
