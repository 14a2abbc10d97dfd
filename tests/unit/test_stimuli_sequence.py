from hypothesis import given
from hypothesis import strategies as st
from picture_screen import grating_command

from bci.core.stimulus_types import FlipKind
from bci.stimuli.command_sequence import CommandSequence
from bci.stream.commands import Arrival


def arrival(command_id: int) -> Arrival:
    return Arrival(grating_command(0, command_id=command_id), 1000 + command_id)


def test_newest_command_is_shown_and_the_rest_superseded() -> None:
    newest, superseded = CommandSequence(blanks=True).pick([arrival(5), arrival(6), arrival(7)])
    assert newest == arrival(7)
    assert [report.command_id for report in superseded] == [5, 6]
    for report in superseded:
        assert report.kind is FlipKind.SUPERSEDED
        assert (report.t_draw_ns, report.t_flip_ns, report.blanks) == (0, 0, True)
        assert report.t_received_ns == 1000 + report.command_id


def test_command_that_never_arrived_is_superseded_without_a_time() -> None:
    sequence = CommandSequence(blanks=False)
    sequence.pick([arrival(1)])
    _, superseded = sequence.pick([arrival(4)])
    assert [(report.command_id, report.t_received_ns) for report in superseded] == [(2, 0), (3, 0)]


def test_commands_before_our_start_are_not_ours() -> None:
    newest, superseded = CommandSequence(blanks=False).pick([arrival(500)])
    assert newest == arrival(500)
    assert superseded == []


def test_without_arrivals_nothing_is_new() -> None:
    assert CommandSequence(blanks=False).pick([]) == (None, [])


@given(st.lists(st.lists(st.integers(1, 60), max_size=5), max_size=20))
def test_every_command_since_the_first_has_one_fate(batches: list[list[int]]) -> None:
    sequence = CommandSequence(blanks=False)
    fates: list[int] = []
    arrived: list[int] = []
    for batch in batches:
        newer = sorted(
            command_id for command_id in set(batch) if command_id > max(fates, default=0)
        )
        arrived += newer
        newest, superseded = sequence.pick([arrival(command_id) for command_id in newer])
        fates += [report.command_id for report in superseded]
        if newest is not None:
            fates.append(newest.command.command_id)
    assert fates == (list(range(arrived[0], arrived[-1] + 1)) if arrived else [])
