"""What is asked of the board and what it tells."""

from enum import StrEnum

import msgspec

from bci.core.messages import Count, Finite, TimeNs


class RewardRequest(msgspec.Struct, frozen=True, gc=False):
    """One drop, asked for once.

    Parameters
    ----------
    request_id
        From 1, unique in the session.
    volume_ul
        Volume, microlitres; the board side turns it into an opening time.
    trial
        Trial that earned it; 0: none did.
    origin
        task or operator; operator rewards stay out of the statistics.
    """

    request_id: Count
    volume_ul: Finite
    trial: Count
    origin: str = "task"


class LightCommand(msgspec.Struct, frozen=True, gc=False):
    """Light for the opsin on or off, and whether the gate of the detector runs on every frame.

    The board raises no light without its gate.
    """

    on: bool
    gate: bool


class BoardEventKind(StrEnum):
    """What happened at the board or on the line to it."""

    REWARD_REQUESTED = "reward_requested"
    REWARD_SENT = "reward_sent"
    REWARD_ACKNOWLEDGED = "reward_acknowledged"
    REWARD_DONE = "reward_done"
    REWARD_FAILED = "reward_failed"
    REWARD_UNKNOWN = "reward_unknown"
    LICK = "lick"
    WHEEL = "wheel"
    FRAME_TTL = "frame_ttl"
    PHOTODIODE = "photodiode"
    SYNC = "sync"
    AUX = "aux"
    LIGHT = "light"
    GATE = "gate"
    CLOCK = "clock"
    ARMED = "frame_clock_armed"
    CONNECTED = "board_connected"
    LOST = "board_lost"
    SAFE = "board_safe"
    PROTOCOL = "board_protocol_error"


class BoardEvent(msgspec.Struct, frozen=True, gc=False):
    """One line of the board's history.

    Parameters
    ----------
    request_id
        Of the reward it belongs to; 0: none.
    t_device_us
        Microseconds since the board's start on the board's own clock; None: happened on the host.
    t_host_ns
        `time.perf_counter_ns` at which the host knew.
    value
        Opening time in us for reward_done, volume in ul for reward_requested, position for wheel,
        level for inputs, time from question to answer in us for clock; else 0.
    detail
        In words, for people.
    """

    request_id: Count
    kind: BoardEventKind
    t_device_us: TimeNs | None
    t_host_ns: TimeNs
    value: Finite = 0.0
    detail: str = ""
