"""Disturb sessions, damage files, and write what was lost; begun again, it goes on.

usage: python -m campaign [--each N] [--files N] [--only KIND] [--to TARGET] [--jobs N] [--out DIR]
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from campaign.files import READERS, survived
from campaign.sessions import ACTIONS, disturbed

STATE, TABLE, RESULTS = "state.jsonl", "table.md", "results.json"
NOT_JUDGED = (AssertionError, OSError, KeyError, psutil.Error, subprocess.SubprocessError)
"""What a session may cause that did not start, never ended or left what nobody can read."""
OUT = Path(__file__).parents[2] / "campaign"


def plan(each: int) -> Iterator[tuple[str, str, int]]:
    """Every disturbance: action, target, number; one of each first, then a second of each …"""
    for number in range(each):
        for action, what in ACTIONS.items():
            for target in what.targets:
                yield action, target, number


def done_before(out: Path) -> list[dict[str, Any]]:
    """What earlier runs have written; a line that was cut short is done again."""
    state = out / STATE
    text = state.read_text("utf-8") if state.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        state.write_text(whole, "utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def run(
    out: Path,
    each: int,
    n_files: int,
    only: Sequence[str],
    to: Sequence[str],
    seed: int,
    kinds: Sequence[str] = tuple(READERS),
    jobs: int = 1,
) -> bool:
    """Do what has not been done yet, `jobs` sessions at a time; True if all is as promised."""
    out.mkdir(parents=True, exist_ok=True)
    rows = done_before(out)
    known = {row["key"] for row in rows}

    def keep(key: str, row: dict[str, Any], trial: Path) -> None:
        rows.append({"key": key, "kept": "" if not row["faults"] else str(trial), **row})
        with (out / STATE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        write_table(out, rows)
        tell(f"{key}: {'; '.join(row['faults']) or 'ok'}")
        if not row["faults"]:
            shutil.rmtree(trial)

    for kind in kinds:
        key, trial = f"files {kind} {n_files} {seed}", out / "trials" / f"files-{kind}"
        if key not in known and (not only or "files" in only):
            trial = fresh(trial)
            keep(key, asdict(survived(kind, n_files, seed, trial)), trial)
    left = [
        (action, target, key)
        for action, target, number in plan(each)
        if (key := f"{action} {target} {number} {seed}") not in known
        and (not only or action in only)
        and (not to or target in to)
    ]
    pool = ThreadPoolExecutor(jobs)
    try:
        running = {
            pool.submit(one_session, out / "trials" / key.replace(" ", "-"), *of, key): key
            for *of, key in left
        }
        for done in as_completed(running):
            row, trial = done.result()
            keep(running[done], row, trial)
    finally:
        # interrupted, it ends with the sessions that run
        pool.shutdown(cancel_futures=True)
    write_table(out, rows)
    return not any(row["faults"] for row in rows)


def one_session(trial: Path, action: str, target: str, key: str) -> tuple[dict[str, Any], Path]:
    """Disturb one session; its row and its folder."""
    fresh(trial)
    try:
        return asdict(disturbed(trial, action, target, random.Random(key))), trial
    except NOT_JUDGED as error:
        why = f"not judged: {type(error).__name__}: {error}"
        return {"action": action, "target": target, "faults": [why]}, trial


def tell(text: str) -> None:
    """Say how far it is."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fresh(folder: Path) -> Path:
    """An empty folder; what an interrupted run left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_table(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows as JSON, and for each kind of disturbance one row of a table."""
    (out / RESULTS).write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    lines = [
        "# What was lost",
        "",
        "| done | to | times | journal lost, most (s) | drops | without a record "
        "| valve shut, latest (s) | exit codes | verify identical | not as promised |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if "action" in row:
            groups.setdefault((row["action"], row["target"]), []).append(row)
    for (action, target), group in groups.items():
        tried = [row for row in group if "exit_code" in row]
        verified = [row["identical"] for row in tried if row["identical"] is not None]
        cells = [
            action,
            target,
            len(group),
            max((row["lost_s"] for row in tried), default=0.0),
            sum(row["drops"] for row in tried),
            sum(row["unrecorded"] for row in tried),
            max((row["shut_s"] for row in tried), default=0.0),
            ", ".join(map(str, sorted({row["exit_code"] for row in tried}))),
            f"{sum(verified)} of {len(verified)}",
            faults_of(group),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "| files | read in one process | accepted | refused | slowest (s) | exit code "
        "| not as promised |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if "kind" in row:
            cells = [row[name] for name in ("kind", "n_files", "n_read", "n_refused")]
            cells += [row["slowest_s"], row["exit_code"], faults_of([row])]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    (out / TABLE).write_text("\n".join(lines) + "\n", "utf-8")


def faults_of(rows: Sequence[dict[str, Any]]) -> str:
    """What was not as promised, for one cell."""
    faults = [fault for row in rows for fault in row["faults"]]
    shown = "; ".join(faults[:5]).replace("|", "/").replace("\n", " ")
    return f"{len(faults)}: {shown}" if faults else "nothing"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0 if all is as promised."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--each", type=int, default=20, help="times for each process or socket")
    parser.add_argument("--files", type=int, default=100, help="damaged files of each kind")
    parser.add_argument("--only", action="append", default=[], choices=[*ACTIONS, "files"])
    parser.add_argument("--to", action="append", default=[], help="a process or socket alone")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of state and table")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--jobs", type=int, default=1, help="sessions at the same time")
    asked = parser.parse_args(arguments)
    is_kept = run(
        asked.out.resolve(),
        asked.each,
        asked.files,
        asked.only,
        asked.to,
        asked.seed,
        jobs=asked.jobs,
    )
    tell((asked.out / TABLE).read_text("utf-8"))
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
