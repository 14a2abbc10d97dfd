"""How long an X server has had no input, as its screen saver counts it."""

import ctypes
import time


class _Counter(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("counter", ctypes.c_ulong),
        ("resolution_hi", ctypes.c_int),
        ("resolution_lo", ctypes.c_uint),
    )


class _Value(ctypes.Structure):
    _fields_ = (("hi", ctypes.c_int), ("lo", ctypes.c_uint))


class XIdle:
    """A connection to an X server that asks for its count, the system counter IDLETIME of SYNC."""

    def __init__(self, display: str) -> None:
        self._x, self._extensions = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXext.so.6")
        self._x.XOpenDisplay.restype = ctypes.c_void_p
        self._connection = ctypes.c_void_p(self._x.XOpenDisplay(display.encode()))
        assert self._connection, f"no X server on {display}"
        first, second = ctypes.c_int(), ctypes.c_int()
        two = (ctypes.byref(first), ctypes.byref(second))
        assert self._extensions.XSyncQueryExtension(self._connection, *two)
        assert self._extensions.XSyncInitialize(self._connection, *two)
        self._extensions.XSyncListSystemCounters.restype = ctypes.POINTER(_Counter)
        found = self._extensions.XSyncListSystemCounters(self._connection, ctypes.byref(first))
        of_name = {found[i].name: found[i].counter for i in range(first.value)}
        self._counter = ctypes.c_ulong(of_name[b"IDLETIME"])

    def last_input_s(self) -> float:
        """When the server last counted an input, s of `time.monotonic`."""
        value = _Value()
        asked = (self._connection, self._counter, ctypes.byref(value))
        assert self._extensions.XSyncQueryCounter(*asked)
        return time.monotonic() - (value.hi * 2**32 + value.lo) / 1000

    def close(self) -> None:
        """End the connection."""
        self._x.XCloseDisplay(self._connection)
