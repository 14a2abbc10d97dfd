"""docs/board-protocol.md says what the program does, to the byte.

`python tests/unit/test_board_document.py` writes the generated parts anew.
"""

import re
from enum import IntEnum
from pathlib import Path

import pytest

from bci.hardware.board import protocol
from bci.hardware.board.codes import (
    Capability,
    DeviceFault,
    DeviceState,
    InputKind,
    Pin,
    Reason,
    RingState,
    SetKey,
)
from bci.hardware.board.framing import MAX_ENCODED, MAX_PAYLOAD, FrameDecoder
from bci.hardware.board.memory import RING_SIZE, Memory
from bci.hardware.board.protocol import (
    Ack,
    Done,
    Hello,
    Identity,
    KeepAlive,
    Message,
    Nack,
    Reward,
    Ring,
    RingEntry,
    Safe,
    Status,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "board-protocol.md"
SIZES = {"B": ("u8", 1), "H": ("u16", 2), "I": ("u32", 4), "i": ("i32", 4), "Q": ("u64", 8)}
MEANINGS = {
    "protocol": "1",
    "session": "number of the host's session, 0: none",
    "max_open_us": "largest opening of one pulse",
    "duty_permille": "largest open share of any 10 s",
    "watchdog_ms": "silence of the host after which the board is SAFE",
    "request_id": "of the reward",
    "width_us": "opening of each pulse",
    "pulses": "how many",
    "gap_us": "shut between two pulses",
    "on": "1 allowed, 0 forbidden",
    "mode": "1 on every frame TTL, 0 off",
    "nth": "which of the newest, with request_id 0",
    "start": "1 triggers the scope as well",
    "key": "number of the value",
    "value": "value; level, position or count of an input",
    "answered": "sequence number of the request, 0: unasked",
    "boot": "resets so far",
    "losses": "resets that may have lost marks of the ring",
    "firmware": "major × 256 + minor",
    "capabilities": "bits, see below",
    "hard_max_open_us": "limit compiled in",
    "ring_size": "entries of the ring",
    "name": "ASCII, filled up with zeros",
    "request_type": "type of the request",
    "argument": "request id of a REWARD; ADC value of a LEARN; what the reason says; else 0",
    "reason": "see below",
    "opened_us": "time the valve was open in all",
    "t_open_us": "first opening",
    "t_close_us": "last closing",
    "t_us": "time of the board",
    "kind": "which input",
    "state": "see below",
    "outputs": "levels, one bit an output",
    "white": "1 white, 0 black",
    "frames": "frame TTLs since reset or ARM",
    "licks": "edges after debouncing",
    "photodiode": "edges in COUNTS; ADC value in HEALTH, mean of 64",
    "aux_1": "edges of spare input 1",
    "aux_2": "edges of spare input 2",
    "wheel": "position, edges",
    "unheard": "changes that were counted and not told",
    "faults": "bits, see below; 0: none",
    "reset_cause": "1 power on, 2 reset line, 4 brown-out, 8 hardware watchdog, added up",
    "inputs": "levels: 1 lick, 2 wheel A, 4 wheel B, 8 frame TTL, 16 and 32 spares",
    "supply_mv": "supply of the chip",
    "lick": "ADC value of the analog lick sensor; 0: it is digital",
    "bad_frames": "dropped since reset, modulo 65536",
}
DEFAULTS = {
    SetKey.LICK_DEBOUNCE_US: "edges of the lick sensor closer than this are one",
    SetKey.FRAME_PERIOD_US: "nominal period of the frame TTL (default 32342)",
    SetKey.GATE_US: "PMT gate after a frame TTL (7000)",
    SetKey.LIGHT_START_US: "light after a frame TTL (500)",
    SetKey.LIGHT_US: "length of the light (6000)",
    SetKey.WHEEL_INTERVAL_US: "at most one wheel event in this time; 0: each edge",
    SetKey.PHOTODIODE_BLACK: "ADC value of the black patch",
    SetKey.PHOTODIODE_WHITE: "ADC value of the white patch",
    SetKey.SYNC_PERIOD_MS: "mean period of the pseudo-random sync line; 0: off",
    SetKey.LICK_THRESHOLD: "ADC value at A1 from which on it is a lick, until an eighth below; "
    "0: the digital sensor at D10",
}
NAME = b"rig-2".ljust(12, b"\0")
EXAMPLES: list[tuple[str, int, Message]] = [
    (
        "HELLO: session 0x12345678, 500 ms, 500 ‰, 300 ms",
        1,
        Hello(1, 0x12345678, 500_000, 500, 300),
    ),
    (
        "IDENTITY in answer: boot 7, no losses, firmware 1.0, `rig-2`",
        1,
        Identity(1, 1, 0x12345678, 7, 0, 256, 1023, 1_000_000, 500_000, 500, 300, 16, NAME),
    ),
    ("KEEP_ALIVE, sequence 2", 2, KeepAlive()),
    ("STATUS in answer: READY, at 1.5 s", 2, Status(2, DeviceState.READY, 0, 0, 0, 1_500_000)),
    ("REWARD 1: 40 ms, sequence 3", 3, Reward(1, 40_000, 1, 0)),
    ("ACK of it", 3, Ack(3, Reward.TYPE, 1)),
    ("DONE: open from 1.600000 s to 1.640000 s", 4, Done(1, 40_000, 1_600_000, 1_640_000)),
    ("REWARD 2: 600 ms, too long, sequence 4", 4, Reward(2, 600_000, 1, 0)),
    ("NACK of it", 5, Nack(4, Reward.TYPE, Reason.WIDTH, 2)),
    ("RING: what became of reward 1? Sequence 5", 5, Ring(1, 0)),
    (
        "RING_ENTRY in answer",
        6,
        RingEntry(5, 0, 0x12345678, 1, RingState.DONE, 40_000, 1_600_000, 1_640_000),
    ),
    ("SAFE, sequence 6", 6, Safe()),
]


def title(kind: type[Message]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper()


def layout(kinds: tuple[type[Message], ...]) -> str:
    rows = []
    for kind in kinds:
        codes = re.findall(r"(\d*)([A-Za-z])", kind.LAYOUT.format)
        fields = zip(codes, kind.__struct_fields__, strict=True)
        size = kind.LAYOUT.size + 2
        rows.append(f"**{title(kind)}** 0x{kind.TYPE:02X}, {size} bytes")
        rows[-1] += ". " + (kind.__doc__ or "").splitlines()[0]
        if kind.__struct_fields__:
            rows += ["", "| offset | type | field | meaning |", "| --- | --- | --- | --- |"]
        offset = 2
        for (count, code), name in fields:
            text, width = SIZES.get(code, (f"{count} bytes", int(count or 0)))
            rows.append(f"| {offset} | {text} | {name} | {MEANINGS[name]} |")
            offset += width
        rows.append("")
    return "\n".join(rows).rstrip()


def listed(heading: str, numbers: type[IntEnum]) -> str:
    values = ", ".join(f"{number.value} {number.name}" for number in numbers)
    return f"- **{heading}**: {values}."


def numbers() -> str:
    lines = [
        listed("reason", Reason),
        listed("state of the board", DeviceState),
        listed("state of a ring entry", RingState),
        listed("bit of outputs", Pin),
        listed("kind of an input", InputKind),
    ]
    bits = ", ".join(f"{c.bit_length() - 1} {c.name}" for c in Capability)
    lines.append(f"- **bit of capabilities**: {bits}.")
    bits = ", ".join(f"{fault.bit_length() - 1} {fault.name}" for fault in DeviceFault)
    lines.append(f"- **bit of faults**: {bits}.")
    lines += ["", "| SET key | number | meaning |", "| --- | --- | --- |"]
    lines += [f"| {key.name} | {key.value} | {DEFAULTS[key]} |" for key in SetKey]
    return "\n".join(lines)


def examples() -> str:
    rows = ["| what | frame |", "| --- | --- |"]
    for what, sequence, message in EXAMPLES:
        rows.append(f"| {what} | `{message.frame(sequence).hex(' ').upper()}` |")
    return "\n".join(rows)


GENERATED = {
    "layout: host": lambda: layout(protocol.HOST_MESSAGES),
    "layout: board": lambda: layout(protocol.BOARD_MESSAGES),
    "numbers": numbers,
    "examples": examples,
}


def written_anew(text: str) -> str:
    for name, generate in GENERATED.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        block = f"{begin}\n{generate()}\n{end}"
        pattern = re.escape(begin) + r"(?:.*?" + re.escape(end) + ")?"
        text = re.sub(pattern, lambda _, block=block: block, text, flags=re.DOTALL)
    return text


@pytest.mark.parametrize("name", GENERATED)
def test_generated_part_of_the_document_is_what_the_program_does(name: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    assert text.split(begin)[1].split(end)[0] == GENERATED[name]()


def test_examples_decode_to_what_they_say() -> None:
    frames = re.findall(r"\| `((?:[0-9A-F]{2} ?)+)` \|", DOCUMENT.read_text(encoding="utf-8"))
    assert len(frames) == len(EXAMPLES)
    for text, (_, sequence, message) in zip(frames, EXAMPLES, strict=True):
        [payload] = FrameDecoder().feed(bytes.fromhex(text))
        unpack = protocol.from_board if payload[0] & 0x80 else protocol.from_host
        assert unpack(payload) == (sequence, message)


def test_sizes_named_in_the_document_are_those_of_the_program() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"1 to {MAX_PAYLOAD} bytes" in text
    assert f"needs {MAX_ENCODED} bytes of buffer" in text
    assert f"**{MAX_ENCODED + 1} bytes**" in text
    assert f"at least {RING_SIZE} " in text
    memory = Memory()
    for request_id in range(RING_SIZE):
        memory.begin(1, request_id)
    assert f"= {len(memory.to_bytes()) - 3} bytes" in text


if __name__ == "__main__":
    DOCUMENT.write_text(written_anew(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
