"""Progress of a session on the terminal."""

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bci.stream.telemetry import Telemetry

EVERY_S = 5.0
SHOWN_STAGES = {"received_to_sent": "decide", "sent_to_flip": "flip"}


def status_line(telemetry: Telemetry) -> str:
    """The session at one moment, in one line."""
    t = telemetry
    stages = "  ".join(
        f"{name} p50 {t.latency_ms[stage][0]:.2f} p99 {t.latency_ms[stage][1]:.2f} ms"
        for stage, name in SHOWN_STAGES.items()
        if stage in t.latency_ms
    )
    rate = f"{100 * t.hit_rate:.0f} %" if t.hits + t.misses else "–"
    chance, low, high = (100 * value for value in t.chance)
    if chance == chance:
        rate += f" (chance {chance:.0f} %"
        rate += f", {low:.0f}–{high:.0f} %)" if low == low else ")"
    parts = [
        f"{t.session_s:6.1f} s",
        f"{t.state.lower():8s} {100 * t.progress:3.0f} %",
        f"trial {t.trial}",
        f"hits {t.hits}  misses {t.misses}  rate {rate}",
        f"rewards {t.rewards_done} ({t.volume_ul:g} µl)",
        f"lost {t.lost_frames}",
    ]
    lights = {"screen": t.screen, "board": t.board, "acquisition": t.acquisition}
    parts += [f"{name} {light}" for name, light in lights.items() if not light.startswith("ok")]
    return "  │  ".join([*parts, stages] if stages else parts)


def trials_ended(before: Telemetry, now: Telemetry) -> str:
    """The trials that ended between two snapshots, and how."""
    first, last = before.n_trials + 1, now.n_trials
    hits, misses = now.hits - before.hits, now.misses - before.misses
    counts = {"hit": hits, "miss": misses, "cut off": last - first + 1 - hits - misses}
    if first == last:
        return f"trial {last}: {next(name for name, count in counts.items() if count)}"
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"trials {first} to {last}: {told}"


class TerminalProgress:
    """One line that is kept up to date, and one line that stays for every trial.

    Where output is no terminal the line is printed every 5 s instead.

    Parameters
    ----------
    console
        Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._seen = Telemetry(0, "")
        self._next_s = 0.0

    def __enter__(self) -> "TerminalProgress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update("")
            self._live.stop()

    def show(self, telemetry: Telemetry) -> None:
        """Take the newest snapshot in."""
        seen, self._seen = self._seen, telemetry
        if telemetry.state == "STARTING":
            return
        if telemetry.n_trials > seen.n_trials:
            self._say(f"{telemetry.session_s:6.1f} s  {trials_ended(seen, telemetry)}")
        line = status_line(telemetry)
        if self._live is not None:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif telemetry.session_s >= self._next_s:
            self._next_s = telemetry.session_s + EVERY_S
            self._say(line)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
