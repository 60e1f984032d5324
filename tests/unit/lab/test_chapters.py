"""Chapters in the lab: the figures of `glassgpt explain`, progress, and the view of each step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import glassgpt as gg
from glassgpt.explain import PATH, Grid, chapter, figure, finished_steps, learning_path
from glassgpt.lab.catalog import builtin_folders, run_id
from glassgpt.lab.chapters import BOUND
from helpers.lab_runs import client

VIEWS = Path(__file__).parents[3] / "web" / "src" / "views"


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def read(lab: TestClient, name: str, **asked: Any) -> dict[str, Any]:
    answer = lab.post(f"/api/chapters/{name}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_step_has_a_view_of_the_page() -> None:
    assert list(BOUND) == [step.name for step in PATH]
    views = {
        re.findall(r'id: "(\w+)"', file.read_text("utf-8"))[0]
        for file in VIEWS.glob("*.ts")
        if file.stem != "index"
    }
    assert {bound.view for bound in BOUND.values()} <= views
    steps = re.findall(r"STEPS = \[(.*)\]", (VIEWS / "walk" / "steps.ts").read_text("utf-8"))[0]
    assert {f'"{bound.at}"' for bound in BOUND.values() if bound.at} <= set(steps.split(", "))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_figures_are_those_of_explain(
    lab: TestClient, lab_runs: Path, ids: dict[str, str], language: str
) -> None:
    content = read(lab, "temperature", run=ids["text"], language=language)
    expected = chapter("temperature", lab_runs / "text", language=language)
    assert content["title"] == expected.title and content["shown_run"]["id"] == ids["text"]
    assert [each["observed"] for each in content["findings"]] == [
        figure(f.observed) for f in expected.findings
    ]
    assert [each.get("text") for each in content["body"]] == [
        p if isinstance(p, str) else None for p in expected.body
    ]
    grids = [part for part in expected.body if isinstance(part, Grid)]
    for table, grid in zip([part for part in content["body"] if "values" in part], grids, strict=True):
        assert table["values"] == [[f"{v:.{grid.decimals}f}" for v in row] for row in grid.values]
    outputs = [cell["output"] for cell in content["cells"] if "code" in cell]
    assert outputs == [said for said in expected.lesson.run() if said]
    assert content["view"] == "bench" and content["view_run"] == ids["text"]


def test_a_run_of_the_folder_is_taken_and_a_builtin_one_where_none_fits(
    lab: TestClient, ids: dict[str, str], tmp_path: Path
) -> None:
    assert read(lab, "sampling")["shown_run"]["id"] == ids["text"]
    assert read(lab, "sampling", run="builtin")["shown_run"] is None
    (tmp_path / "runs").mkdir()
    empty = client(tmp_path / "runs", tmp_path / "page")
    found = read(empty, "sampling")
    text = next(each for each in builtin_folders() if each.name == "text")
    assert found["shown_run"] is None and found["view_run"] == run_id(text)
    assert empty.post(f"/api/runs/{run_id(text)}/trace", json={"text": "the"}).status_code == 200
    assert empty.get("/api/runs").json()["runs"] == [] and finished_steps(print) == ("sampling",)
    refused = empty.post(f"/api/runs/{run_id(text)}/resume", json={"minutes": 1})
    assert refused.status_code == 404  # a run of the package is never trained


def test_a_read_chapter_and_a_run_that_was_looked_at_are_done(lab: TestClient, ids: dict[str, str]) -> None:
    path = lab.get("/api/chapters").json()
    assert path["next"] == "loss" and path["done"] == 0
    assert [step["title"] for step in path["steps"]] == [step.title for step in learning_path("nowhere")]
    read(lab, "loss")
    assert lab.post(f"/api/runs/{ids['bigram']}/trace", json={"text": "the"}).status_code == 200
    path = lab.get("/api/chapters?language=zh").json()
    assert {step["name"] for step in path["steps"] if step["done"]} == {"loss", "bigram"}
    assert (
        path["next"] == "sampling"
        and path["steps"][0]["title"] == learning_path("nowhere", language="zh")["loss"].title
    )
    practice = next(step for step in path["steps"] if step["name"] == "dates")
    assert (
        practice["view"] == "cross"
        and practice["view_run"] == ids["dates"]
        and "glassgpt train" in practice["train"]
    )


def test_an_answer_is_checked_and_the_notebook_is_explains(lab: TestClient) -> None:
    wrong = lab.post("/api/chapters/loss/answer", json={"exercise": 1, "answer": "0.152"}).json()
    assert wrong == {"right": False, "message": str(gg.check("loss", 1, "0.152"))}
    assert lab.post("/api/chapters/loss/answer", json={"exercise": 1, "answer": "0.1054"}).json()["right"]
    notebook = lab.post("/api/chapters/loss/notebook", json={"run": "builtin"}).json()
    assert notebook["nbformat"] == 4 and any(
        "gg.check" in "".join(cell["source"]) for cell in notebook["cells"]
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/api/chapters/scalle", {}, 400, "did you mean scale"),
        ("/api/chapters/bigram", {}, 400, "there is no chapter"),
        ("/api/chapters/scale", {"run": "0" * 12}, 404, "no run has this id"),
        ("/api/chapters/scale", {"run": "../text"}, 404, "no run has this id"),
        ("/api/chapters/scale", {"language": "fr"}, 400, "language"),
        ("/api/chapters/loss/answer", {"exercise": 99, "answer": "1"}, 400, "no exercise 99"),
    ],
)
def test_bad_questions_get_a_sentence(
    lab: TestClient, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = lab.post(path, json=body)
    assert answer.status_code == status and words in answer.json()["error"]
