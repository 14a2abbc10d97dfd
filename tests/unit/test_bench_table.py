import io
import json
import math

import msgspec
import numpy as np
from rich.console import Console

from bci.bench.table import Row, make_bench, show


def test_row_holds_the_percentiles_of_its_values() -> None:
    row = Row.of("x", "ms", np.arange(101.0)[::-1], {"p99": 5.0})
    assert (row.n, row.p50, row.p95, row.p99, row.max) == (101, 50.0, 95.0, 99.0, 100.0)
    assert row.bar == {"p99": 5.0}


def test_row_of_nothing_says_so() -> None:
    row = Row.of("x", "ms", [])
    assert row.n == 0
    assert math.isnan(row.p99)
    assert json.loads(msgspec.json.encode(row))["p99"] is None


def test_json_has_the_documented_keys() -> None:
    settings = {"n_rois": 8, "rate_hz": 30, "screen": True, "journal": True, "window": False}
    bench = make_bench("loop", settings, [Row.one("x", "Hz", 3.0, 4.0)])
    found = json.loads(msgspec.json.encode(bench))
    assert list(found) == ["bench", "machine", "settings", "rows"]
    assert found["settings"] == settings
    assert list(found["rows"][0]) == ["name", "unit", "n", "p50", "p95", "p99", "max", "bar"]
    assert found["machine"]["n_cores"] >= 1


def test_table_fits_a_narrow_terminal_and_shows_figures_and_bars() -> None:
    text = io.StringIO()
    rows = [
        Row.of("received_to_sent", "ms", [0.1, 0.2, 0.3], {"p50": 0.2, "p99": 0.4}),
        Row.one("10000 × 30 Hz: commands withheld", "frames", 12345.0),
    ]
    show(make_bench("loop", {}, rows), Console(file=text, width=80))
    printed = text.getvalue()
    for shown in ("0.200", "0.300", "p50 ≤ 0.2", "12,345"):
        assert shown in printed
    assert "…" not in printed
