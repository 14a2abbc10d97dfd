"""Signals while a session runs."""

import signal
import sys

import pytest

from bci.session.interrupts import on_interrupt


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_ctrl_c_is_taken_in_order_and_ctrl_z_passed_over_as_long_as_it_lasts() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTSTP)}
    taken: list[int] = []
    with on_interrupt(lambda: taken.append(1)):
        signal.raise_signal(signal.SIGINT)
        assert taken == [1]
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        signal.raise_signal(signal.SIGTSTP)
    assert {number: signal.getsignal(number) for number in before} == before
