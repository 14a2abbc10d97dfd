"""Frame TTLs and the board's clock in a whole session: times on file are those of the edges."""

import json
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO
from running_session import DEMO, ENDLESS, SHORT, RunningSession, sets, write_files
from test_firmware_line import Bench
from waiting import until

from bci.core.board_types import BoardEventKind
from bci.core.loop_types import LedgerKind
from bci.recording.time_axis import TimeAxis
from bci.recording.verify import VerdictKind, verify

WIRED = (
    *SHORT,
    "rig.screen.backend=null",
    "rig.screen.photodiode.enabled=true",
    "rig.board.frame_ttl=start",
    "rig.board.clock_every_s=0.2",
    "rig.board.faults.clock_drift_ppm=400",
)


# the chip's clock stands where the computer is too slow to run it: for one that has time
@pytest.mark.parametrize("kind", ["simulated", pytest.param("chip", marks=pytest.mark.long)])
def test_frames_lie_at_their_ttls_on_a_clock_that_drifts_and_in_a_new_epoch(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "chip":
        request.getfixturevalue("chip")
    overrides = (*WIRED, f"rig.board.kind={kind}", ENDLESS)
    result = tmp_path / "result.json"
    arguments = ("run", DEMO, *sets(overrides), f"--json={result}")
    with RunningSession(*arguments, out=tmp_path / "sessions") as session:
        session.wait_for_state("RUN")
        session.kill(session.pid_of("acquisition"))
        # ended when it has been seen: how long a program takes to start is the machine's affair
        until(lambda: np.count_nonzero(session.record().frames["epoch"]) >= 100, every_s=0.4)
        session.interrupt()
        code, output = session.end()
        assert code == 0, output
        record, folder = session.record(), session.folder
    unfit = (LedgerKind.FRAME_CLOCK, LedgerKind.LIGHT_WITHOUT_FLIP)
    assert not [entry.value for entry in record.ledger if entry.value.kind in unfit], output
    latency_ms = json.loads(result.read_text())["summary"]["latency_ms"]
    # the wire takes no time: they differ by what the clocks are tied to
    assert latency_ms["sent_to_light"][0] == pytest.approx(latency_ms["sent_to_flip"][0], abs=30)
    ttls = [int(e.value) for e in record.board if e.kind is BoardEventKind.FRAME_TTL]
    frames = record.frames
    epochs = frames["epoch"]
    assert set(epochs.tolist()) == {0, 1}, output
    first = frames["frame_id"][epochs == 0].tolist()
    # TTL n is frame n; the newest TTL may be ahead of the frame that it begins
    assert ttls[: len(first)] == first
    axis = TimeAxis(record)
    received_s = np.array([axis.of_perf(t) for t in frames["t_received_ns"].tolist()])
    periods = (received_s - axis.seconds(frames["frame_id"])) * record.info.rate_hz
    # a frame comes a period after its TTL; one off by a TTL would come at once, or after two
    for epoch in (0, 1):
        assert np.median(periods[epochs == epoch]) == pytest.approx(1.0, abs=0.4)
    assert verify(folder).kind is VerdictKind.IDENTICAL
    write_files(folder)
    with NWBHDF5IO(folder / "session.nwb", "r") as io:
        file = io.read()
        frame_ids = file.processing["bci"]["frame_id"]
        times_s = np.array(frame_ids.timestamps)
        ids = np.array(frame_ids.data)
        segments = json.loads(str(np.array(file.get_scratch("device_clock"))))
        assert "TTLs" in file.processing["bci"].description + frame_ids.description + str(
            file.processing["behavior"].description
        )
    [segment] = segments
    assert segment["line"]["n_pairs"] > 20
    # what the host received, less the way: a TTL comes at the start of a frame, a period before
    assert times_s[0] == 0.0
    of_id = dict(zip(frames["frame_id"].tolist(), received_s.tolist(), strict=True))
    way_s = np.array([of_id[int(i)] for i in ids]) - times_s
    # a simulated microscope on a busy computer is late now and then: most edges are not
    period_s = 1 / record.info.rate_hz
    assert np.median(way_s) == pytest.approx(period_s, abs=0.4 * period_s)


def test_microscope_whose_ttls_do_not_come_ends_the_session_at_its_start(
    chip: tuple[Path, Path], tmp_path: Path
) -> None:
    bench = Bench(chip, tmp_path)
    overrides = (
        *SHORT,
        "rig.screen.backend=null",
        "rig.board.kind=serial",
        f"rig.board.port=socket://127.0.0.1:{bench.told['port']}",
        "rig.board.frame_ttl=start",
    )
    out = tmp_path / "sessions"
    try:
        with RunningSession("run", DEMO, *sets(overrides), out=out) as session:
            code, output = session.end()
            record, folder = session.record(), session.folder
            assert not session.left_running()
    finally:
        bench.close()
    assert code == 1
    assert "Look at the cable" in output.replace("\n", " ")
    [told] = [one.value for one in record.ledger if one.value.kind is LedgerKind.FRAME_CLOCK]
    assert told.reaction == "session ended"
    assert not record.trials
    assert verify(folder).kind is VerdictKind.IDENTICAL
