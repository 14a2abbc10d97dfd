"""Every fault has one declared reaction."""

import msgspec

from bci.core.ledger import REACTIONS, entry
from bci.core.loop_types import LedgerEntry, LedgerKind


def test_every_kind_has_a_declared_reaction() -> None:
    assert set(REACTIONS) == set(LedgerKind)
    assert all(REACTIONS.values())


def test_entry_carries_the_declared_reaction_of_its_kind() -> None:
    for kind in LedgerKind:
        assert entry(7, kind, "why", 3) == LedgerEntry(7, kind, REACTIONS[kind], "why", 3)


def test_entry_survives_the_journal() -> None:
    one = entry(2**64 - 1, LedgerKind.FAR_FUTURE, "after 3")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=LedgerEntry) == one
