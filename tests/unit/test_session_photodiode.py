"""Light is matched to flips in order; what has no other half is counted and shifts nothing."""

from hypothesis import given
from hypothesis import strategies as st

from bci.core.loop_types import LedgerKind
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.light_on_screen import LightMatch
from bci.session.photodiode import Photodiode

MS = 1_000_000
REFRESH_NS = round(1e9 / 60)


def flips_at(steps: list[int]) -> list[int]:
    """Flips some refreshes apart, ns."""
    t_ns, found = 10_000 * MS, []
    for step in steps:
        t_ns += step * REFRESH_NS
        found.append(t_ns)
    return found


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.integers(-5, 60),
    st.integers(0, 3),
)
def test_every_flip_has_its_light_whichever_is_heard_first(
    steps: list[int], way_ms: int, heard: int
) -> None:
    match, found = LightMatch(), []
    for i, t_ns in enumerate(flips_at(steps)):
        told = [lambda i=i, t=t_ns: match.flip(i, t), lambda t=t_ns: match.edge(t + way_ms * MS)]
        for tell in told if heard % 2 else reversed(told):
            tell()
        if heard > 1:
            found += match.take(t_ns)
    found += match.take()
    assert [lit.command_id for lit in found] == list(range(len(steps)))
    assert {lit.t_light_ns - lit.t_flip_ns for lit in found} == {way_ms * MS}
    assert (match.flips_without_light, match.lights_without_flip) == (0, 0)


@given(
    st.lists(st.integers(16, 40), min_size=3, max_size=40),
    st.sets(st.integers(0, 39), max_size=6),
    st.sets(st.integers(0, 39), max_size=6),
)
def test_lost_edges_and_flashes_are_counted_and_shift_nothing(
    steps: list[int], dark: set[int], flashes: set[int]
) -> None:
    match, n = LightMatch(), len(steps)
    edges = []
    for i, t_ns in enumerate(flips_at(steps)):
        match.flip(i, t_ns)
        if i not in dark:
            edges.append(t_ns + 20 * MS)
        if i in flashes:
            edges.append(t_ns - 90 * MS)
    for t_ns in sorted(edges):
        match.edge(t_ns)
    found = match.take()
    assert [lit.command_id for lit in found] == [i for i in range(n) if i not in dark]
    assert {lit.t_light_ns - lit.t_flip_ns for lit in found} <= {20 * MS}
    assert match.flips_without_light == len(dark & set(range(n)))
    assert match.lights_without_flip == len(flashes & set(range(n)))


def test_unequal_counts_stand_in_the_ledger_and_latency_runs_from_the_frame() -> None:
    diode = Photodiode()
    for i, t_ns in enumerate(flips_at([30, 30, 30])):
        report = FlipReport(i, FlipKind.SHOWN, t_ns - 9 * MS, t_ns - 5 * MS, t_ns, 0, True)
        diode.flip(report, 0 if i == 2 else t_ns - 12 * MS)
        if i != 1:
            diode.edge(t_ns + 3 * MS)
    late_ns = 20_000 * MS
    # the third command followed from no frame
    assert diode.take(late_ns) == [15 * MS]
    [missing] = diode.turn(late_ns)
    assert (missing.kind, missing.count) == (LedgerKind.FLIP_WITHOUT_LIGHT, 1)
    assert diode.end() == []
