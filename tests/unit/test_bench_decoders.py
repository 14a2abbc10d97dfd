"""The benchmark knows every decoder that can be chosen, and what it times decodes."""

import pytest

from bci.bench.decoders import decoder_names, decoder_settings, step_times_ms
from bci.bench.sessions import bench_session
from bci.bench.verifying import N_TIMES, verify_row
from bci.core.decoding.registry import CURSORS, F0_MODES, READ_OUTS, SIGNALS

pytestmark = pytest.mark.slow


def test_every_part_of_the_registry_is_in_a_decoder() -> None:
    chosen = [
        bench_session(8, 30.0, screen=False, decoder=decoder_settings(choice, 4)).experiment.decoder
        for choice in decoder_names().values()
    ]
    assert {decoder.signal for decoder in chosen} == set(SIGNALS)
    assert {decoder.f0_mode for decoder in chosen} == set(F0_MODES)
    assert {decoder.read_out for decoder in chosen} == set(READ_OUTS)
    assert {decoder.control for decoder in chosen} == set(CURSORS)
    named = decoder_names()["spikes/population_dynamics"]
    assert named == {"signal": "spikes", "read_out": "population_dynamics"}


def test_verify_of_a_session_of_two_planes_is_timed() -> None:
    row = verify_row(lambda _: None, 3.0)
    assert row.n == N_TIMES
    assert row.p50 > 0.0
    assert row.bar == {"p50": 3.6}


@pytest.mark.parametrize(
    ("name", "n_each", "rate_hz"),
    [("spikes/two_populations", 50, 300.0), ("percentile/population_dynamics", 4, 30.0)],
)
def test_steps_in_run_are_timed(name: str, n_each: int, rate_hz: float) -> None:
    times_ms = step_times_ms(decoder_settings(decoder_names()[name], n_each), 100, rate_hz, 20)
    assert len(times_ms) == 20
    assert (times_ms > 0).all()
