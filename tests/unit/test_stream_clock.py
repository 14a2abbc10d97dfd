"""The clock offset between hosts is within its stated error, whatever the delays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.stream.clock import Exchange, estimate_offset

delays = st.tuples(st.integers(0, 50_000_000), st.integers(0, 50_000_000))


@given(st.integers(-(10**15), 10**15), st.lists(delays, min_size=1, max_size=30))
def test_true_offset_lies_within_the_stated_error(offset_ns, ways):
    exchanges, now_ns = [], 10**16
    for there_ns, back_ns in ways:
        exchanges.append(
            Exchange(now_ns, now_ns + there_ns + offset_ns, now_ns + there_ns + back_ns)
        )
        now_ns += 10**9
    estimate = estimate_offset(exchanges)
    assert abs(estimate.offset_ns - offset_ns) <= estimate.error_ns
    assert estimate.error_ns <= min(there + back for there, back in ways) / 2 + 1


def test_a_time_of_the_peer_is_carried_to_our_clock():
    estimate = estimate_offset([Exchange(1000, 5_001_050, 1100)])
    assert estimate.to_ours(5_001_050) == 1050


def test_no_exchange_is_an_error():
    with pytest.raises(ValueError, match="no exchange"):
        estimate_offset([])
