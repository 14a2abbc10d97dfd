"""What a benchmark found: rows of percentiles, beside their bars."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table

from bci.recording.manifest import describe_host


class Row(msgspec.Struct, frozen=True):
    """One figure with its spread.

    Parameters
    ----------
    name, unit
        What was measured and in what.
    n
        Number of values.
    bar
        What it is held against, percentile → limit; None: nothing.
    """

    name: str
    unit: str
    n: int
    p50: float
    p95: float
    p99: float
    max: float
    bar: dict[str, float] | None = None

    @classmethod
    def of(
        cls, name: str, unit: str, values: ArrayLike, bar: dict[str, float] | None = None
    ) -> "Row":
        """Percentiles of values; all NaN where there are none."""
        array = np.asarray(values, dtype=np.float64)
        if not array.size:
            nan = float("nan")
            return cls(name, unit, 0, nan, nan, nan, nan, bar)
        p50, p95, p99 = np.percentile(array, [50, 95, 99])
        return cls(
            name, unit, array.size, float(p50), float(p95), float(p99), float(array.max()), bar
        )

    @classmethod
    def one(cls, name: str, unit: str, value: float, bar: float | None = None, n: int = 1) -> "Row":
        """One number, standing in every column; `n` is what it was counted among."""
        limits = None if bar is None else {"p50": bar}
        return cls(name, unit, n, value, value, value, value, limits)


class Bench(msgspec.Struct, frozen=True):
    """One benchmark: on what machine, with what settings, which figures."""

    bench: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    rows: list[Row]


def make_bench(bench: str, settings: dict[str, Any], rows: Sequence[Row]) -> Bench:
    """Add the machine to a benchmark's rows."""
    host = describe_host()
    machine = {
        "cpu": host.cpu,
        "n_cores": host.n_cores,
        "memory_gb": round(host.memory_bytes / 1e9, 1),
        "system": host.system,
    }
    return Bench(bench, machine, settings, list(rows))


def show(bench: Bench, console: Console) -> None:
    """Print the table, and on what machine it was measured."""
    settings = ", ".join(f"{key} {value}" for key, value in bench.settings.items())
    console.print(f"bci bench {bench.bench}: {settings}", highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("", "unit", "n", "p50", "p95", "p99", "max", "bar"):
        if name in ("", "unit", "bar"):
            table.add_column(name, min_width=16 if name == "" else 0, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True, min_width=6)
    for row in bench.rows:
        values = (row.p50, row.p95, row.p99, row.max)
        one = len(set(values)) == 1
        figures = [_figure(row.p50), "", "", ""] if one else [_figure(value) for value in values]
        limits = (row.bar or {}).items()
        bar = "\n".join(
            f"≤ {limit:.3g}" if one else f"{key} ≤ {limit:.3g}" for key, limit in limits
        )
        table.add_row(row.name, row.unit, f"{row.n:,}", *figures, bar)
    console.print(table, soft_wrap=False)
    machine = bench.machine
    console.print(
        f"{machine['cpu']}, {machine['n_cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}",
        highlight=False,
    )


def _figure(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
