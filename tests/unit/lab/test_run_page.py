"""What the page of a run shows besides its curve: forecasts, findings, the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import glassgpt as gg
from glassgpt.doctor import examine_outcome
from helpers.lab_runs import client

FORECASTS = [
    {"progress": 0.0, "nats_per_char": 1.7, "low": 1.5, "high": 1.9},
    {"progress": 0.5, "nats_per_char": 1.6, "low": 1.55, "high": 1.66},
]


@pytest.fixture
def diverged(lab_runs: Path, tmp_path: Path) -> tuple[TestClient, str, Path]:
    """A copy of a run whose loss rose at its end, with two forecasts."""
    run = tmp_path / "runs" / "diverged"
    shutil.copytree(lab_runs / "bigram", run)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    evaluation = next(row for row in rows if row["event"] == "eval")
    later = [evaluation | {"step": 100 * n, "nats_per_char": 2.0 + 0.5 * n * n} for n in range(1, 6)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *later]), "utf-8")
    (run / "forecast.json").write_text(json.dumps({"forecasts": FORECASTS}), "utf-8")
    lab = client(tmp_path / "runs", tmp_path / "page")
    return lab, lab.get("/api/runs").json()["runs"][0]["id"], run


def test_forecasts_are_those_of_the_run(diverged: tuple[TestClient, str, Path]) -> None:
    lab, id, _ = diverged
    assert lab.get(f"/api/runs/{id}").json()["forecast"] == [list(each.values()) for each in FORECASTS]


def test_findings_are_the_doctors(diverged: tuple[TestClient, str, Path]) -> None:
    lab, id, run = diverged
    found = lab.get(f"/api/runs/{id}").json()["findings"]
    problems = examine_outcome(gg.Run.open(run)).problems
    assert problems and [each["title"] for each in found] == [each.lines()[0] for each in problems]
    examined = lab.post(f"/api/runs/{id}/examine", json={}).json()
    titles = [each["title"] for each in examined["findings"]]
    assert set(titles) >= {each["title"] for each in found} and "could not run" in examined["sentence"]


def test_a_report_of_one_run_and_of_several(lab: TestClient, ids: dict[str, str]) -> None:
    pytest.importorskip("jinja2")
    one = lab.get("/api/report", params={"run": ids["bigram"], "language": "zh"})
    assert one.status_code == 200 and '<html lang="zh' in one.text
    both = lab.get("/api/report", params={"run": [ids["bigram"], ids["text"]]})
    assert "bigram" in both.text and len(both.text) > len(one.text)
    policy = both.headers["content-security-policy"]
    assert (
        policy.startswith("sandbox;")
        and "script-src" not in policy
        and both.headers["x-frame-options"] == "DENY"
    )
    assert lab.get("/api/report").status_code == 400
    assert lab.get("/api/report", params={"run": "../text"}).status_code == 404
