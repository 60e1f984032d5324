"""The doctor's rates: bugs of others, planted bugs, and false alarms on healthy models and runs.

    GLASSGPT_DATA=folder/with/tinyshakespeare python benchmarks/doctor.py [--foreign-python PYTHON]

`foreign`: the operators of `defaultplusplus` 0.4.1 (doctor_foreign.py) in tiny models of transformers, in an
environment of their own, which has that package and what GlassGPT needs. `planted`: doctor_bugs.py.
`healthy`: fresh models of every family and size, and short runs. A bug is detected if there is any problem;
its category and cause are those of the first problem. Prints a confusion matrix and every miss; writes
`results/doctor.json`. Parts that are not run keep their last figures; exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from doctor_bugs import BUGS, KINDS, arrange, batch_of, make_case  # noqa: E402
from doctor_healthy import models, runs  # noqa: E402
from glassgpt.diagnose import Examination  # noqa: E402
from glassgpt.doctor import examine  # noqa: E402
from report import RESULTS, write_report  # noqa: E402

CATEGORIES = {
    "masking": {"mask"},
    "qkv": {"projections", "attention"},
    "score": {"attention scores", "numerics"},
    "positional": {"positions"},
    "kernel": {"attention scores", "dropout"},
    "variant": {"projections", "attention", "mask"},
    "kv_cache": {"cache"},
    "embedding": {"embedding"},
    "ffn": {"mlp"},
    "layernorm": {"normalization"},
    "residual": {"residual"},
    "output": {"output"},
}
"""Their categories → ours."""
CAUSES = {
    "mask_application": {"the mask is not applied", "the mask is inverted"},
    "mask_generation": {
        "the mask hides and opens the wrong keys",
        "the mask differs between sequences or heads",
        "a part of the past is not seen",
    },
    "dynamic_mask": {"a position sees a part of the future", "the mask differs between sequences or heads"},
    "parameter_initialization": {"a matrix is zero", "queries or keys are zero"},
    "head_interaction": {"queries and keys are exchanged", "rows of a matrix are equal", "heads are equal"},
    "dynamic_parameter_registration": {"the gradient does not reach a parameter", "parameters are frozen"},
    "normalization": {"scores are not divided by √d", "scores have the wrong size"},
    "implementation": {"dropout before the softmax"},
    "precision_handling": {"computed in lower precision than the weights"},
    "indexing": {"the order of tokens is not seen", "position vectors are zero"},
    "relative_position": {"positions are shifted", "positions repeat"},
    "interpolation": {"positions repeat"},
    "variant_configuration": {"queries or keys are zero", "heads are equal", "rows of a matrix are equal"},
    "cache_invalidation": {"cached states are used wrongly", "decoding with the cache fails"},
    "cache_position": {"cached states are used wrongly"},
    "memory_layout": {"the cache loses the beginning", "cached states are used wrongly"},
    "distributed_synchronization": {"a cache keeps states of another text"},
    "input_initialization": {"rows of a matrix are zero"},
    "input_type": {"tokens are exchanged"},
    "weight_scaling": {"the MLP's matrices have the wrong size", "the MLP's output has the wrong size"},
    "neuron_dropout": {"rows of a matrix are zero", "hidden units are dead"},
    "activation_function": {"the activation is not the stated one"},
    "weight_initialization": {"a matrix is constant", "a part does harm", "a matrix is zero"},
    "scale_parameter": {"the gain has the wrong size", "the gain is zero"},
    "bias_parameter": {"the bias is shifted in all channels"},
    "stability_parameter": {"eps is not the stated one", "eps is large"},
    "skip_connection": {"the skip connection is missing"},
    "residual_scaling": {"the skip connection is scaled"},
    "residual_path": {"noise is added"},
    "output_scaling": {"logits have the wrong size"},
    "output_dimension": {
        "logits are shifted against the tokens",
        "logits do not fit the vocabulary",
        "rows of a matrix are zero",
    },
    "output_type": {"a matrix is zero", "logits have the wrong size", "worse than a uniform guess"},
}
"""Their root causes → ours."""
BARS = {"f1": 0.95, "category": 0.90, "cause": 0.85, "planted": 0.95, "false_alarms": 0.02}


def foreign(python: str) -> dict[str, Any]:
    """Run the operators in both models, and score what was killed."""
    rows: list[dict[str, Any]] = []
    for model in ("qwen3", "gpt2"):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / f"{model}.json"
            script = Path(__file__).with_name("doctor_foreign.py")
            env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
            subprocess.run([python, str(script), str(out), "--model", model], env=env, check=True)
            rows += [{"model": model, **row} for row in json.loads(out.read_text("utf-8"))]
    return scored(rows)


def scored(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count detections, categories and causes of killed mutants, and alarms on the healthy models."""
    clean = [row for row in rows if row["operator"] is None]
    killed = [row for row in rows if row.get("killed") and "error" not in row]
    detected = [row for row in killed if row["problems"]]
    right = [row for row in detected if row["problems"][0][0] in CATEGORIES[row["category"]]]
    caused = [row for row in detected if row["problems"][0][1] in CAUSES.get(row["cause"], set())]
    alarms = sum(bool(row["problems"]) for row in clean)
    matrix = Counter(
        (row["category"], row["problems"][0][0] if row["problems"] else "none") for row in killed
    )
    precision = len(detected) / max(1, len(detected) + alarms)
    recall = len(detected) / max(1, len(killed))
    return {
        "mutants": sum(row["operator"] is not None for row in rows),
        "not applicable or not runnable": sum("error" in row for row in rows),
        "killed": len(killed),
        "detected": len(detected),
        "alarms on clean models": alarms,
        "f1": round(2 * precision * recall / max(1e-9, precision + recall), 3),
        "category": round(len(right) / max(1, len(killed)), 3),
        "cause": round(len(caused) / max(1, len(killed)), 3),
        "confusion": {f"{theirs} → {ours}": n for (theirs, ours), n in sorted(matrix.items())},
        "misses": [
            {key: row.get(key) for key in ("model", "operator", "value", "category", "cause")}
            | {"named": row["problems"][:1]}
            for row in killed
            if row not in right or row not in caused
        ],
    }


def planted(kinds: tuple[str, ...] = KINDS) -> dict[str, Any]:
    """Plant each bug in each kind of model; count those whose part is named first or second."""
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        for bug in BUGS:
            if kind not in bug.kinds:
                continue
            case = make_case(kind)
            bug.plant(case)
            loss, step, optimizer = arrange(case)
            found = examine(case.model, batch_of(0), loss=loss, train_step=step, optimizer=optimizer)
            named = [[each.category, each.cause] for each in found.problems]
            ok = any(category in bug.categories for category, _ in named[:2])
            rows.append({"kind": kind, "bug": bug.name, "named": named[:2], "ok": ok})
            print("ok  " if ok else "MISS", kind, bug.name, named[:2], flush=True)
    return {
        "bugs": len({row["bug"] for row in rows}),
        "cases": len(rows),
        "detected": sum(bool(row["named"]) for row in rows),
        "named first or second": round(sum(row["ok"] for row in rows) / len(rows), 3),
        "misses": [row for row in rows if not row["ok"]],
    }


def healthy(n_models: int, n_runs: int) -> dict[str, Any]:
    """Examine healthy models and runs. Outcomes (overfitting, no better than counting) are no alarms."""
    alarms: list[dict[str, Any]] = []
    seconds: list[float] = []
    n = 0
    for name, visit in (*models(n_models), *runs(n_runs)):
        began, cpu = time.monotonic(), time.process_time()
        found: Examination = visit()
        seconds.append(time.process_time() - cpu)
        wrong = [
            [p.category, p.cause, str(p.observed)]
            for p in found.problems
            if p.category not in ("outcome", "data")
        ]
        n += 1
        if wrong:
            alarms.append({"model": name, "named": wrong[:2]})
        print(f"{time.monotonic() - began:5.1f} s", name, wrong[:2] or "ok", flush=True)
    return {
        "examined": n,
        "alarms": len(alarms),
        "rate": round(len(alarms) / max(1, n), 4),
        "median CPU seconds": round(sorted(seconds)[len(seconds) // 2], 2),
        "which": alarms,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The doctor's rates.")
    parser.add_argument("--foreign-python", help="python of an environment with defaultplusplus 0.4.1")
    parser.add_argument(
        "--foreign-json", type=Path, nargs="*", help="results of doctor_foreign.py, to be scored"
    )
    parser.add_argument("--parts", nargs="+", default=["foreign", "planted", "healthy"])
    parser.add_argument("--models", type=int, default=80)
    parser.add_argument("--runs", type=int, default=24)
    args = parser.parse_args()
    torch.set_num_threads(1)
    kept = RESULTS / "doctor.json"
    figures: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    figures.pop("machine", None)
    if "foreign" in args.parts and args.foreign_python:
        figures["foreign"] = foreign(args.foreign_python)
    elif "foreign" in args.parts and args.foreign_json:
        files = [
            (path.stem.rpartition("_")[2], json.loads(path.read_text("utf-8"))) for path in args.foreign_json
        ]
        figures["foreign"] = scored([{"model": model, **row} for model, rows in files for row in rows])
    if "planted" in args.parts:
        figures["planted"] = planted()
    if "healthy" in args.parts:
        figures["healthy"] = healthy(args.models, args.runs)
    write_report("doctor", figures)
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    reached = {
        **{
            name: figures.get("foreign", {}).get(name, 0) >= BARS[name]
            for name in ("f1", "category", "cause")
        },
        "planted": figures.get("planted", {}).get("named first or second", 0) >= BARS["planted"],
        "false_alarms": figures.get("healthy", {}).get("rate", 1) <= BARS["false_alarms"],
    }
    print(reached)
    sys.exit(not all(reached.values()))


if __name__ == "__main__":
    main()
