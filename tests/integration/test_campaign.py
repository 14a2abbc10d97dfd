"""A small campaign: what is disturbed loses nothing, and an interrupted one goes on."""

import json
from pathlib import Path

import pytest
from campaign.__main__ import RESULTS, STATE, TABLE, main, run
from campaign.sessions import open_after


def test_campaign_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    assert run(tmp_path, 0, 3, ["files"], [], 1, kinds=["endpoints"])
    done = (tmp_path / STATE).read_text("utf-8")
    assert len(done.splitlines()) == 1
    # a kill while a line was written
    (tmp_path / STATE).write_text(done + '{"key": "files npy', "utf-8")
    assert run(tmp_path, 0, 3, ["files"], [], 1, kinds=["endpoints", "npy"])
    rows = [json.loads(line) for line in (tmp_path / STATE).read_text("utf-8").splitlines()]
    assert [row["kind"] for row in rows] == ["endpoints", "npy"]
    assert [row["n_read"] + row["n_refused"] for row in rows] == [3, 3]
    assert json.loads((tmp_path / RESULTS).read_text("utf-8")) == rows
    assert "| npy | 3 |" in (tmp_path / TABLE).read_text("utf-8")


def test_valve_counts_as_open_until_its_next_edge_down() -> None:
    edges = [
        {"t_perf_ns": t_ms * 1_000_000, "level": level}
        for t_ms, level in ((0, 1), (100, 0), (200, 1), (500, 0), (600, 1), (900, 0))
    ]
    assert open_after(edges, 150_000_000, no_more=False) == 0.0
    assert open_after(edges, 300_000_000, no_more=False) == pytest.approx(0.2)
    assert open_after(edges, 300_000_000, no_more=True) == pytest.approx(0.6)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_disturbed_sessions_lose_nothing(tmp_path: Path) -> None:
    targets = [part for name in ("control", "supervisor", "operator") for part in ("--to", name)]
    assert main(["--each=1", "--files=10", *targets, f"--out={tmp_path}"]) == 0
