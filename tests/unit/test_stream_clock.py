"""The clock offset between hosts is within its stated error, whatever the delays."""

from hypothesis import given
from hypothesis import strategies as st

from bci.stream.clock import NEWEST, SAME_NS, ClockOffset, PeerClock

delays = st.tuples(st.integers(0, 50_000_000), st.integers(0, 50_000_000))


@given(
    st.integers(-(10**15), 10**15) | st.integers(-5_000_000, 5_000_000),
    st.lists(delays, min_size=1, max_size=30),
)
def test_true_offset_lies_within_the_stated_error(
    offset_ns: int, ways: list[tuple[int, int]]
) -> None:
    clock, now_ns = PeerClock(), 10**16
    for there_ns, back_ns in ways:
        clock.reached(now_ns, now_ns + there_ns + offset_ns)
        clock.came(now_ns + offset_ns, now_ns + back_ns)
        now_ns += 10**9
    found = clock.offset
    assert found is not None
    assert abs(found.offset_ns - offset_ns) <= found.error_ns
    there, back = zip(*ways[-NEWEST:], strict=True)
    if abs(offset_ns) > 200_000_000:
        assert found.error_ns <= (min(there) + min(back)) / 2 + 1


@given(st.lists(delays, min_size=1, max_size=30))
def test_clock_of_the_same_host_is_never_set_right(ways: list[tuple[int, int]]) -> None:
    clock = PeerClock()
    for there_ns, back_ns in ways:
        # a message may be stamped a little after it left
        clock.reached(SAME_NS, there_ns)
        clock.came(0, back_ns)
        assert clock.offset is not None
        assert clock.offset.offset_ns == 0


def test_drifting_clock_is_followed() -> None:
    clock = PeerClock()
    for k in range(3 * NEWEST):
        offset_ns = 10**12 + k * 50_000
        clock.reached(k * 10**9, k * 10**9 + offset_ns + 200_000)
        clock.came(k * 10**9 + offset_ns, k * 10**9 + 300_000)
    assert clock.offset is not None
    assert abs(clock.offset.offset_ns - offset_ns) < NEWEST * 50_000


def test_nothing_is_known_before_a_message_each_way() -> None:
    clock = PeerClock()
    assert clock.offset is None
    clock.reached(1000, 5_001_050)
    assert clock.offset is None
    clock.came(5_001_050, 1100)
    assert clock.offset == ClockOffset(5_000_000, 50)
    assert clock.offset.to_ours(5_001_050) == 1050
