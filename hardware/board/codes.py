"""Numbers of the protocol: reasons, states, pins, inputs, values."""

from enum import IntEnum


class Reason(IntEnum):
    """Why the board refused, failed or is safe."""

    NONE = 0
    RESET = 1
    HOST_SILENT = 2
    HOST_ASKED = 3
    NEW_SESSION = 4
    SAFE_STATE = 5
    BUSY = 6
    WIDTH = 7
    DUTY = 8
    UNKNOWN_TYPE = 9
    LENGTH = 10
    OUT_OF_RANGE = 11
    VERSION = 12
    SELF_TEST = 13


def reason_in_words(number: int) -> str:
    """A reason for people; a number that is none of ours stays a number."""
    try:
        return Reason(number).name.lower().replace("_", " ")
    except ValueError:
        return f"reason {number}"


class DeviceState(IntEnum):
    """State of the board.

    ```
    reset ──► SAFE ──HELLO──► READY ──host silent, SAFE, fault──► SAFE
    ```
    """

    SAFE = 0
    READY = 1


class RingState(IntEnum):
    """What became of a reward, as the board remembers it."""

    ABSENT = 0
    RUNNING = 1
    DONE = 2
    INTERRUPTED = 3


class Pin(IntEnum):
    """Outputs, numbered as the bits of `Status.outputs`."""

    VALVE = 0
    LIGHT = 1
    GATE = 2
    SCOPE = 3
    SYNC = 4


class InputKind(IntEnum):
    """Inputs that the board time-stamps."""

    LICK = 1
    WHEEL = 2
    FRAME_TTL = 3
    PHOTODIODE = 4
    SYNC = 5
    AUX_1 = 6
    AUX_2 = 7


class SetKey(IntEnum):
    """Values that `Set` changes; a reset puts them back to what `Keep` kept, or their defaults."""

    LICK_DEBOUNCE_US = 1
    FRAME_PERIOD_US = 2
    GATE_US = 3
    LIGHT_START_US = 4
    LIGHT_US = 5
    WHEEL_INTERVAL_US = 6
    PHOTODIODE_BLACK = 7
    PHOTODIODE_WHITE = 8
    SYNC_PERIOD_MS = 9
    LICK_THRESHOLD = 10


class DeviceFault(IntEnum):
    """Bits of `Health.faults`: what the self-test found."""

    OUTPUTS = 1 << 0
    STACK = 1 << 1
    SUPPLY = 1 << 2
    VALUES = 1 << 3


class Capability(IntEnum):
    """Bits of `Identity.capabilities`."""

    VALVE = 1 << 0
    LIGHT = 1 << 1
    GATE = 1 << 2
    LICK = 1 << 3
    WHEEL = 1 << 4
    FRAME_TTL = 1 << 5
    PHOTODIODE = 1 << 6
    SCOPE = 1 << 7
    SYNC = 1 << 8
    AUX = 1 << 9
