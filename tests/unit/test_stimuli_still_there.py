"""A window is asked after once a second, and what is found is told at once."""

from bci.stimuli.still_there import PERIOD_NS, StillThere


def test_window_is_asked_after_once_a_second() -> None:
    asked_ns, now_ns = [], 0

    def exists() -> bool:
        asked_ns.append(now_ns)
        return now_ns < 2 * PERIOD_NS

    there, found = StillThere(exists), []
    for now_ns in range(0, 3 * PERIOD_NS, PERIOD_NS // 60):
        found.append(there.turn(now_ns))
        if not found[-1]:
            break
    assert all(found[:-1])
    assert not found[-1]
    assert len(asked_ns) == 3
