"""Trainings with nothing chosen but a text and minutes: does it end on time, and was the forecast right?

    python benchmarks/law/texts.py TEXTS
    python benchmarks/autopilot.py TEXTS --shakespeare FILE [--minutes 1 3 10] [--texts linux cs]

Six texts, two lengths each, in turn from the given minutes: twelve trainings, half of them next to a busy
process. The law was not fitted to any of these texts. `--add` keeps the stored rows of other texts. Prints
each training and the figures of all: the whole process against its minutes, the forecast before a tenth of
the training and at half of it against the loss on the whole held-out text (measured afterwards), and how
often the 80 % interval holds it. A run that ends early because its text is learned by heart, or read often
enough, may end so; it must not be late.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from report import RESULTS, write_report
from whole import measure_whole

EARLY_END = "ends before its time"
"""Words of the warning of a run that does not use its time."""
LATE, EARLY, SLACK_S = 0.02, 0.05, 3.0
"""A process may end this share of its minutes late or early, or this many seconds."""


@contextmanager
def busy(is_busy: bool):
    """Run a process that uses one core, if `is_busy`."""
    if not is_busy:
        yield
        return
    process = multiprocessing.Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _spin() -> None:
    while True:
        pass


def run(text: str, minutes: float, is_busy: bool) -> dict[str, Any]:
    """Train once; return the times and the forecasts against the outcome."""
    command = [sys.executable, "-m", "glassgpt", "train", text, "--minutes", str(minutes), "--json"]
    with tempfile.TemporaryDirectory() as folder, busy(is_busy):
        began = time.monotonic()
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            timed = [(time.monotonic() - began, json.loads(line)) for line in process.stdout]
        took_s = time.monotonic() - began
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        events = [event for _, event in timed]
        begin = next(event for event in events if event["event"] == "begin")
        config = begin["config"]
        path = next(Path(folder).glob("runs/*"))
        stored = json.loads((path / "forecast.json").read_text("utf-8"))
        loss, counted = measure_whole(path)
    forecasts = stored["forecasts"]
    early = [each for each in forecasts if each["progress"] < 0.1][-1]
    half = min(forecasts, key=lambda each: abs(each["progress"] - 0.5))
    steps = [event for event in events if event["event"] == "step"]
    early_end = any(event["event"] == "warning" and EARLY_END in event["message"] for event in events)
    return {
        "minutes": minutes,
        "busy": is_busy,
        "late_s": round(took_s - 60 * minutes, 1),
        "on_time": _on_time(took_s, 60 * minutes, early_end),
        "ended_early": early_end,
        "loss": round(loss, 4),
        "best_counted": round(counted, 4),
        "outcome_error": round(math.log(stored["outcome"] / loss), 4),
        "plan_error": round(math.log(forecasts[0]["nats_per_char"] / loss), 4),
        "early_error": round(math.log(early["nats_per_char"] / loss), 4),
        "half_error": round(math.log(half["nats_per_char"] / loss), 4),
        "covered": early["low"] <= loss <= early["high"],
        "tokenizer": config["tokenizer"],
        "model": {name: config["model"][name] for name in ("preset", "n_layer", "n_embd", "block_size")},
        "planning_s": _planning_s(timed),
        "n_steps": len(steps),
        "planned_steps": begin["plan"]["n_steps"],
    }


def _planning_s(timed: list[tuple[float, dict[str, Any]]]) -> float:
    """Return the seconds from the first trial of a tokenizer to the end of the timings."""
    stages = [(at, event["doing"]) for at, event in timed if event["event"] == "stage"]
    first = next(i for i, (_, doing) in enumerate(stages) if doing.startswith("trying"))
    return round(stages[first + 2][0] - stages[first][0], 2)


def _on_time(took_s: float, asked_s: float, early_end: bool) -> bool:
    in_time = took_s - asked_s <= max(LATE * asked_s, SLACK_S)
    return in_time and (early_end or took_s - asked_s >= -max(EARLY * asked_s, SLACK_S))


def stored(without: list[str]) -> list[dict[str, Any]]:
    """Return the rows of earlier runs, without some texts."""
    file = RESULTS / "autopilot.json"
    rows = json.loads(file.read_text("utf-8"))["runs"] if file.exists() else []
    return [row for row in rows if row["text"] not in without]


def main() -> None:
    """Run all cases and print their figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3, 10])
    parser.add_argument(
        "--texts", nargs="+", default=["shakespeare", "python", "manual-zh", "library", "chat", "linux"]
    )
    parser.add_argument("--lengths", type=int, default=2, help="lengths of each text")
    parser.add_argument("--add", action="store_true")
    given = parser.parse_args()
    sources = {name: str(given.folder / f"{name}.txt") for name in given.texts}
    sources |= {"python": "python"} if "python" in sources else {}
    if given.shakespeare:
        sources["shakespeare"] = str(given.shakespeare)
    rows = stored(without=given.texts) if given.add else []
    for i, (name, source) in enumerate(sources.items()):
        for j in range(given.lengths):
            at = (i + j) % len(given.minutes)
            row = {"text": name, **run(source, given.minutes[at], (i + j) % 2 == 1)}
            rows.append(row)
            print(json.dumps(row), flush=True)
    figures = {
        "on_time": f"{sum(row['on_time'] for row in rows)} of {len(rows)}",
        "early_error_median": median(abs(row["early_error"]) for row in rows),
        "early_error_p90": sorted(abs(row["early_error"]) for row in rows)[math.ceil(0.9 * len(rows)) - 1],
        "outcome_error_median": median(abs(row["outcome_error"]) for row in rows),
        "half_error_median": median(abs(row["half_error"]) for row in rows),
        "planning_share_max": max(
            row["planning_s"] / 60 / row["minutes"] for row in rows if "planning_s" in row
        ),
        "covered": f"{sum(row['covered'] for row in rows)} of {len(rows)}",
    }
    print(json.dumps(figures, indent=1))
    write_report("autopilot", {**figures, "runs": rows})


if __name__ == "__main__":
    main()
