"""Which byte was changed, from a CRC-32 that does not hold.

A CRC is linear: the difference between the stored and the computed one depends on the changed
byte's place and on its difference alone. Walking that difference back through the record, byte by
byte, it turns into a table entry exactly at the place where one changed byte explains it.
"""

import zlib
from typing import NamedTuple

_POLYNOMIAL = 0xEDB88320


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()
# The top bytes of the entries are all different, which is what makes the walk back possible.
_BY_TOP_BYTE = {entry >> 24: index for index, entry in enumerate(_TABLE)}


class ChangedByte(NamedTuple):
    """One byte that, put right, makes the CRC hold.

    Parameters
    ----------
    place
        From the start of the content; behind its end: a byte of the stored CRC itself.
    found, original
        The byte as it stands and as it was written.
    """

    place: int
    found: int
    original: int


def changed_byte(content: bytes, stored_crc: int) -> ChangedByte | None:
    """Find the one byte whose change explains that the CRC does not hold.

    Parameters
    ----------
    content
        Bytes under the CRC, as found.
    stored_crc
        CRC-32 as found, which stood in the 4 bytes behind them, little-endian.

    Returns
    -------
    ChangedByte or None
        None where no single byte explains it, or more than one could.
    """
    difference = zlib.crc32(content) ^ stored_crc
    found = [
        ChangedByte(len(content) + place, byte, byte ^ (difference >> 8 * place))
        for place, byte in enumerate(stored_crc.to_bytes(4, "little"))
        if difference and difference & ~(0xFF << 8 * place) == 0
    ]
    for place in range(len(content) - 1, -1, -1):
        index = _BY_TOP_BYTE[difference >> 24]
        if _TABLE[index] == difference and index:
            found.append(ChangedByte(place, content[place], content[place] ^ index))
            if len(found) > 1:
                return None
        difference = ((difference ^ _TABLE[index]) << 8 & 0xFFFFFFFF) | index
    return found[0] if len(found) == 1 else None
