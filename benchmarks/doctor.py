"""The doctor's rates: bugs of others, reported faults, planted bugs, and false alarms on healthy runs.

    GLASSGPT_DATA=FOLDER python benchmarks/doctor.py [--foreign-python PYTHON] [--quick] [--json]

FOLDER has tinyshakespeare.txt. `foreign`: the operators of `defaultplusplus` 0.4.1 in tiny models of
transformers (doctor_foreign.py), in an environment of their own, which has that package and what GlassGPT
needs. `issues`: eleven reported faults, ported. `traincheck`: silent faults of training, ported. `first` and
`second`: planted bugs in models and training steps, `runs`: in whole runs. `healthy`: models of every family
and size, and short runs.

Prints each confusion matrix, every miss and all rates; `--json` writes `results/doctor.json`, in which parts
that are not run keep their last figures. Exits with 1 where a bar is missed. TUNED says which sets the checks
were written with: figures of these are no estimate of what the doctor finds elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from doctor_bugs import BUGS
from doctor_cases import ALL_KINDS, Bug, arrange, batch_of, make_case
from doctor_healthy import models, runs
from doctor_issues import ISSUES
from doctor_model_bugs import MODEL_BUGS
from doctor_run_bugs import RUN_BUGS
from doctor_scores import Row, of_foreign, of_planted, of_ports
from doctor_traincheck import MECHANISMS
from doctor_training_bugs import TRAINING_BUGS
from glassgpt.diagnose import Examination
from glassgpt.doctor import examine
from report import RESULTS, machine, write_report

ROOT = Path(__file__).parent.parent
SECOND = (*MODEL_BUGS, *TRAINING_BUGS)
TUNED = {
    "foreign": "set fresh: not before its first figures, then its misses were reported; set second: only to "
    "mend false alarms",
    "issues": "not before their first figures; then their misses were reported in words",
    "traincheck": "not before their first figures; then their misses were reported in words",
    "first": "yes: the checks were changed with these bugs at hand",
    "second": "not before their first figures; then their misses were reported in words",
    "runs": "not before their first figures; then their misses were reported in words",
    "healthy": "yes: alarms were mended as they were found",
}
"""For each part, whether the checks were changed while it was being looked at."""
BARS: dict[str, dict[str, float]] = {
    "foreign": {"f1": 0.95, "category": 0.90, "cause": 0.85},
    "issues": {"detected": 10, "cause": 7},
    "traincheck": {"detected": 10},
    "first": {"named first or second": 0.95},
    "second": {"named first or second": 0.95},
    "runs": {"named first or second": 0.95},
}
MAX_FALSE_ALARMS = 0.02


def named(found: Examination) -> list[list[str]]:
    return [[each.category, each.cause] for each in found.problems]


def foreign(python: str, quick: bool, which: str) -> Row:
    """Run the operators in both models, and score what was killed."""
    rows: list[Row] = []
    for model in ("qwen3", "gpt2"):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / f"{model}.json"
            script = Path(__file__).with_name("doctor_foreign.py")
            env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
            command = [python, "-W", "ignore", str(script), str(out), "--model", model, "--set", which]
            subprocess.run(command + ["--quick"] * quick, env=env, check=True, stderr=subprocess.DEVNULL)
            rows += json.loads(out.read_text("utf-8"))
    return of_foreign(rows)


def issues() -> Row:
    """Examine eleven ported faults and their healthy twins."""
    rows = [
        {"name": each.name, "what": each.what, "categories": each.categories, "causes": each.causes}
        | {"named": named(each.visit(True)), "twin": named(each.visit(False))}
        for each in ISSUES
    ]
    return of_ports(rows)


def traincheck(quick: bool) -> Row:
    """Examine the mechanisms and their healthy twins; quick: without those of two processes."""
    rows = [
        {"name": each.name, "what": each.what, "categories": each.categories, "causes": each.causes}
        | {"named": [found[:2] for found in each.visit(True)]}
        | {"twin": [found[:2] for found in each.visit(False)]}
        for each in (MECHANISMS[:-3] if quick else MECHANISMS)
    ]
    return of_ports(rows)


def planted(bugs: tuple[Bug, ...], quick: bool) -> Row:
    """Plant each bug in each kind of model, quick: in one kind."""
    rows: list[Row] = []
    for bug in bugs:
        for kind in [kind for kind in ALL_KINDS if kind in bug.kinds][: 1 if quick else None]:
            torch.manual_seed(0)
            case = make_case(kind)
            bug.plant(case)
            loss, step, optimizer = arrange(case)
            batch = case.batch or batch_of(0)
            found = named(examine(case.model, batch, loss=loss, train_step=step, optimizer=optimizer))
            ok = any(category in bug.categories for category, _ in found[:2])
            part = sorted(bug.categories)[0]
            rows.append({"kind": kind, "bug": bug.name, "part": part, "named": found[:2], "ok": ok})
            print("ok  " if ok else "MISS", kind, bug.name, found[:2], flush=True)
    return of_planted(rows)


def planted_in_runs(quick: bool) -> Row:
    """Examine runs with bugs, quick: six of them."""
    rows: list[Row] = []
    for bug in RUN_BUGS[:: 3 if quick else 1]:
        found = named(bug.visit())
        ok = any(category in bug.categories for category, _ in found[:2])
        part = sorted(bug.categories)[0]
        rows.append({"kind": "run", "bug": bug.name, "part": part, "named": found[:2], "ok": ok})
        print("ok  " if ok else "MISS", "run", bug.name, found[:2], flush=True)
    return of_planted(rows)


def healthy(n_models: int, n_runs: int, first: int) -> Row:
    """Examine healthy models and runs. Outcomes (overfitting, no better than counting) are no alarms."""
    alarms: list[Row] = []
    seconds: list[float] = []
    for name, visit in (*models(n_models, first), *runs(n_runs, first)):
        cpu = time.process_time()
        found: Examination = visit()
        seconds.append(time.process_time() - cpu)
        wrong = [
            [p.category, p.cause, str(p.observed)]
            for p in found.problems
            if p.category not in ("outcome", "data")
        ]
        if wrong:
            alarms.append({"model": name, "named": wrong[:2]})
        print(f"{seconds[-1]:5.1f} s of CPU", name, wrong[:2] or "ok", flush=True)
    return {
        "examined": len(seconds),
        "alarms": len(alarms),
        "rate": round(len(alarms) / max(1, len(seconds)), 4),
        "median CPU seconds": round(sorted(seconds)[len(seconds) // 2], 2),
        "which": alarms,
    }


def show(part: str, figures: Row) -> None:
    """Print a part: its rates, its confusion matrix, and every miss."""
    print(f"\n== {part} · tuned on it: {TUNED[part]}")
    print(", ".join(f"{key} {value}" for key, value in figures.items() if isinstance(value, int | float)))
    for pair, n in figures.get("confusion", {}).items():
        print(f"{n:6d}  {pair}")
    for miss in (*figures.get("misses", ()), *figures.get("which", ())):
        print("   miss:", ", ".join(f"{key} {value}" for key, value in miss.items() if value is not None))


def reached(part: str, figures: Row) -> dict[str, bool]:
    """Return which bars of a part are reached."""
    if part == "healthy":
        return {"false alarms": figures["rate"] <= MAX_FALSE_ALARMS}
    return {f"{part} {name}": figures[name] >= bar for name, bar in BARS[part].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="The doctor's rates.")
    parser.add_argument("--foreign-python", help="python of an environment with defaultplusplus 0.4.1")
    parser.add_argument(
        "--foreign-json", type=Path, nargs="+", help="score these files of doctor_foreign.py instead"
    )
    parser.add_argument("--foreign-set", choices=("tuned", "fresh", "second"), default="fresh")
    parser.add_argument("--parts", nargs="+", choices=tuple(TUNED), default=list(TUNED))
    parser.add_argument("--models", type=int, default=80, help="healthy models")
    parser.add_argument("--runs", type=int, default=24, help="healthy runs")
    parser.add_argument("--first-seed", type=int, default=0, help="of the healthy models and runs")
    parser.add_argument("--quick", action="store_true", help="a part of each set, in about ten minutes")
    parser.add_argument("--json", action="store_true", help="write results/doctor.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if "foreign" in args.parts and not (args.foreign_python or args.foreign_json):
        print("foreign bugs are left out: pass --foreign-python")
        args.parts.remove("foreign")
    n_models, n_runs = (11, 3) if args.quick else (args.models, args.runs)
    take: dict[str, Callable[[], Row]] = {
        "foreign": lambda: (
            of_foreign([row for file in args.foreign_json for row in json.loads(file.read_text("utf-8"))])
            if args.foreign_json
            else foreign(args.foreign_python, args.quick, args.foreign_set)
        ),
        "issues": issues,
        "traincheck": lambda: traincheck(args.quick),
        "first": lambda: planted(tuple(BUGS), args.quick),
        "second": lambda: planted(SECOND, args.quick),
        "runs": lambda: planted_in_runs(args.quick),
        "healthy": lambda: healthy(n_models, n_runs, args.first_seed),
    }
    figures: dict[str, Any] = {}
    for part in args.parts:
        figures[part] = {"tuned on it": TUNED[part], "commit": machine()["commit"], **take[part]()}
        show(part, figures[part])
        if args.json:
            kept = RESULTS / "doctor.json"
            before = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
            write_report("doctor", {k: v for k, v in before.items() if k != "machine"} | figures)
    met = {name: ok for part in args.parts for name, ok in reached(part, figures[part]).items()}
    print("\nbars:", ", ".join(f"{name} {'reached' if ok else 'MISSED'}" for name, ok in met.items()))
    sys.exit(not all(met.values()))


if __name__ == "__main__":
    main()
