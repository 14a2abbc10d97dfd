"""Progress of a session on the terminal."""

from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bci.stream.telemetry import Telemetry

EVERY_NS = 5_000_000_000
BETWEEN = "  │  "
INDENT = " " * 9
TO_DO = {
    "ensembles": "waiting for ensembles: bci tell FOLDER ensembles --plus ROIS --minus ROIS",
    "operator": "waiting for the operator: bci tell FOLDER baseline | closed_loop | finish",
}
SHOWN_STAGES = {"received_to_sent": "decide", "sent_to_flip": "flip", "sent_to_light": "light"}


def status_lines(telemetry: Telemetry) -> tuple[str, str, str]:
    """The session at one moment: the task, the animal, and how well the computer keeps up."""
    t = telemetry
    early = f" ({t.performance.early_hits} early)" if t.performance.early_hits else ""
    waiting = f" for {t.waits_for}" if t.waits_for else ""
    task = [
        f"{t.session_s:6.1f} s",
        f"{t.state.lower():8s} {100 * t.progress:3.0f} %{waiting}",
        f"trial {t.trial}",
        f"hits {t.hits}{early}  misses {t.misses}",
        f"rewards {t.rewards_done} ({volumes(t)})",
    ]
    computer = [
        f"{name} p50 {t.latency_ms[stage][0]:.2f} p99 {t.latency_ms[stage][1]:.2f} ms"
        for stage, name in SHOWN_STAGES.items()
        if stage in t.latency_ms
    ]
    lost = f"lost {t.lost_frames}"
    return (
        BETWEEN.join(task),
        BETWEEN.join(performance_words(t)),
        BETWEEN.join([lost, *computer, *lights_not_ok(t)]),
    )


def folded(row: str, width: int) -> Iterator[str]:
    """Lines of a row that is wider than the terminal: broken between figures, never in one."""
    line = ""
    for figure in row.split(BETWEEN):
        longer = f"{line}{BETWEEN}{figure}" if line.strip() else f"{line}{figure}"
        if line.strip() and len(longer) > width:
            yield line
            longer = f"{INDENT}{figure}"
        line = longer
    yield line


def performance_words(telemetry: Telemetry) -> list[str]:
    """How the animal does, and what a passive one would; nothing before the first trial."""
    p, chance = telemetry.performance, telemetry.chance_words
    words = []
    if p.accuracy == p.accuracy:
        low, high = 100 * p.accuracy_low, 100 * p.accuracy_high
        words.append(f"accuracy {100 * p.accuracy:.0f} % ({low:.0f}–{high:.0f} %)")
    if chance:
        words.append(f"chance {chance}")
    if p.rewards:
        per_min = f"{p.rewards_per_min:.1f} rewards/min in trials"
        if p.rewards_per_run_min == p.rewards_per_run_min:
            per_min += f" ({p.rewards_per_run_min:.1f} of RUN)"
        words.append(per_min)
    if p.hits:
        words.append(f"hit in {p.time_to_hit_s:.1f} s")
    if p.p_plus == p.p_plus:
        minus = f"  P− {p.p_minus:.3g}" if p.p_minus == p.p_minus else ""
        words.append(f"P+ {p.p_plus:.3g}{minus}")
    return words


def volumes(telemetry: Telemetry) -> str:
    """Volume of the session, and of the subject's day where that is more or has a cap."""
    t = telemetry
    of_cap = f" of {t.cap_ul:g}" if t.cap_ul == t.cap_ul else ""
    if t.today_ul == t.volume_ul and not of_cap:
        return f"{t.volume_ul:g} µl"
    return f"{t.volume_ul:g} µl, today {t.today_ul:g}{of_cap} µl"


def lights_not_ok(telemetry: Telemetry) -> list[str]:
    """What is lost or stalled now, such as `acquisition stalled`."""
    t = telemetry
    lights = {"screen": t.screen, "board": t.board, "acquisition": t.acquisition}
    return [f"{name} {light}" for name, light in lights.items() if not light.startswith("ok")]


def trials_ended(before: Telemetry, now: Telemetry, earlier: int = 0) -> str:
    """The trials that ended between two snapshots, and how; `earlier` ones came before these."""
    first, last = earlier + before.n_trials + 1, earlier + now.n_trials
    hits, misses = now.hits - before.hits, now.misses - before.misses
    passive = now.performance.unscored - before.performance.unscored
    cut_off = last - first + 1 - hits - misses - passive
    counts = {"hit": hits, "miss": misses, "passive": passive, "cut off": cut_off}
    if first == last:
        return f"trial {last}: {next(name for name, count in counts.items() if count)}"
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"trials {first} to {last}: {told}"


def news(before: Telemetry, now: Telemetry) -> Iterator[str]:
    """What began, was found out or is waited for between two snapshots."""
    if now.block_number > before.block_number and now.block:
        yield f"block {now.block_number}: {now.block.replace('_', ' ')}"
    if now.t == now.t and now.t != before.t:
        was = f", was {before.t:.3g}" if before.t == before.t else f", lo is {now.lo:.3g}"
        yield f"T is {now.t:.3g}{was}"
    is_new = before.chance[0] != before.chance[0] or now.chance_t != before.chance_t
    if now.chance[0] == now.chance[0] and is_new:
        yield f"predicted chance {now.chance_words}"
    if now.waits_for in TO_DO and now.waits_for != before.waits_for:
        yield TO_DO[now.waits_for]


class TerminalProgress:
    """A few lines that are kept up to date, and one line that stays for every trial.

    Where output is no terminal the line is printed every 5 s, and when something is lost or back.

    Parameters
    ----------
    console
        Where to.
    trials_before
        Of the day, in the session that this one goes on with.
    """

    def __init__(self, console: Console, trials_before: int = 0) -> None:
        self._trials_before = trials_before
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._seen = Telemetry(0, "")
        self._next_ns = 0

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
            ended = trials_ended(seen, telemetry, self._trials_before)
            self._say(f"{telemetry.session_s:6.1f} s  {ended}")
        for told in news(seen, telemetry):
            self._say(f"{telemetry.session_s:6.1f} s  {told}")
        lines = status_lines(telemetry)
        if self._live is not None:
            width = self._console.width
            task, *below = filter(None, lines)
            rows = [task, *(f"{INDENT}{row}" for row in below)]
            told = "\n".join(line for row in rows for line in folded(row, width))
            self._live.update(Text(told, no_wrap=True, overflow="ellipsis"))
        elif telemetry.t_ns >= self._next_ns or lights_not_ok(telemetry) != lights_not_ok(seen):
            self._next_ns = telemetry.t_ns + EVERY_NS
            self._say(BETWEEN.join(filter(None, lines)))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
