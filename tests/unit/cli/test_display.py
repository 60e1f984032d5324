"""Displays: geometry of the chart, order of the table, and the live view from start to verdict."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from glassgpt.cli.view.display import JsonDisplay, LiveDisplay, PlainDisplay
from glassgpt.cli.view.render import chart, verdict_table
from glassgpt.config import RunConfig
from glassgpt.diagnose import Score, judge
from glassgpt.train import Session, start


def test_chart_puts_values_where_they_belong() -> None:
    """A falling curve starts at the top left and ends at the bottom right."""
    text = chart(
        [(0.0, 4.0), (0.5, 2.0), (0.999, 1.0)], [("top", 4.0), ("end", 1.0)], width=20, height=5
    ).plain
    rows = text.splitlines()
    assert len(rows) == 5
    assert rows[0].endswith("top 4.00") and rows[-1].endswith("end 1.00")
    marks = [(i, m.start()) for i, row in enumerate(rows) for m in re.finditer(r"[\u2801-\u28ff]", row)]
    assert marks == [(0, 0), (2, 10), (4, 19)]


def test_chart_of_one_value_is_no_division_by_zero() -> None:
    assert chart([(0.5, 2.0)], [("line", 2.0)]).plain.count("line 2.00") == 1


def test_verdict_table_is_ranked() -> None:
    scores = [Score(name, nats, 1000, 1000) for name, nats in (("uniform", 4000.0), ("bigram", 2500.0))]
    console = Console(file=io.StringIO(), width=80)
    console.print(verdict_table(judge(scores, Score("this model", 1500.0, 1000, 1000))))
    names = [line.split("  ")[0].strip() for line in console.file.getvalue().splitlines()[1:]]  # pyright: ignore
    assert names == ["this model", "bigram", "uniform"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("display")
    (folder / "a.txt").write_text("".join(f"line {i} of a text that says little\n" for i in range(200)))
    return start(
        RunConfig.model_validate(
            {
                "data": {"sources": [str(folder / "a.txt")]},
                "model": {"size": "nano", "n_layer": 1},
                "train": {"steps": 6, "evals": 2, "sample_tokens": 10},
            }
        ),
        folder / "run",
    )


@pytest.mark.parametrize("kind", ["live", "plain", "json"])
def test_each_display_tells_the_whole_story(
    kind: str, session: Session, capsys: pytest.CaptureFixture
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=kind == "live")
    displays = {"live": LiveDisplay(console), "plain": PlainDisplay(console), "json": JsonDisplay()}
    display = displays[kind]
    session.trainer.step, session.trainer.evals.next, session.trainer.best = 0, 0.5, float("inf")
    with display:
        display.stage("reading")
        display.begin(session)
        for event in session.run():
            display.show(event)
        if kind == "live":
            console.print(displays["live"]._render())
        display.end(session)
    told = out.getvalue() + capsys.readouterr().out
    for part in ("reading" if kind != "live" else "it writes", "uniform", "this model", "bigram"):
        assert part in told
    if kind == "live":
        assert "tok/s" in told and "left" in told and "┄" in told
    if kind == "plain":
        assert "step 3: val" in told and "\x1b" not in told


def test_session_folder_is_complete(session: Session) -> None:
    names = {path.name for path in Path(session.folder.path).iterdir()}
    assert {"config.json", "tokenizer.json", "data", "checkpoints", "baselines.json"} <= names
