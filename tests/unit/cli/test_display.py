"""Displays: geometry of the chart, order of the table, and the live view from start to verdict."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.text import Text

from glassgpt.cli.view.display import JsonDisplay, LiveDisplay, PlainDisplay
from glassgpt.cli.view.display.figures import Speedometer
from glassgpt.cli.view.display.forecast import Forecasts
from glassgpt.cli.view.render import chart, verdict_table
from glassgpt.cli.view.terminal import Terminal
from glassgpt.config import RunConfig
from glassgpt.diagnose import Score, judge
from glassgpt.train import Evaluated, Forecasted, Observer, Session, StepDone, start


def test_chart_puts_values_where_they_belong() -> None:
    """A falling curve starts at the top left and ends at the bottom right."""
    points = [(0.0, 4.0), (0.5, 2.0), (0.999, 1.0)]
    text = chart([], [("top", 4.0), ("end", 1.0)], width=20, height=5, faint=points).plain
    rows = text.splitlines()
    assert len(rows) == 5
    assert rows[0].endswith("top 4.00") and rows[-1].endswith("end 1.00")
    marks = [(i, m.start()) for i, row in enumerate(rows) for m in re.finditer(r"[\u2801-\u28ff]", row)]
    assert marks == [(0, 0), (2, 10), (4, 19)]


def bright(text: Text) -> list[tuple[int, int]]:
    """Row and column of each mark of the curve itself."""
    marks, row, column = [], 0, 0
    for span in text.spans:
        for c in text.plain[span.start : span.end]:
            marks += [(row, column)] if span.style == "cyan" and 0x2800 < ord(c) < 0x2900 else []
            row, column = (row + 1, 0) if c == "\n" else (row, column + 1)
    return marks


def test_chart_joins_the_held_out_points_and_keeps_training_faint() -> None:
    held_out, training = (
        [(0.2, 2.0), (0.6, 2.0), (1.0, 4.0)],
        [(0.1 * i, 4.0 / (1 + i / 4)) for i in range(10)],
    )
    text = chart(held_out, [("top", 4.0)], width=20, height=5, faint=training)
    marks = bright(text)
    rows = {column: row for row, column in marks}
    assert min(rows) == 4 and max(rows) == 19  # nothing before the first evaluation
    assert rows[4] == rows[11] > rows[19]  # flat, then rising
    faint = len(re.findall(r"[\u2801-\u28ff]", text.plain)) - len(marks)
    assert faint > 5
    assert "\u2801" not in text.plain.splitlines()[0][1:19]


def test_chart_of_one_value_is_no_division_by_zero() -> None:
    assert chart([(0.5, 2.0)], [("line", 2.0)]).plain.count("line 2.00") == 1


def test_a_chart_has_the_forecast_at_its_right_end() -> None:
    lines = chart([(0.0, 4.0), (1.0, 2.0)], [("top", 4.0)], width=9, height=5, interval=(1.0, 2.0)).plain
    rows = lines.splitlines()
    assert [row[9] for row in rows] == [" ", " ", "┃", "┃", "┃"]  # a level between the rows belongs to one
    assert rows[0].endswith("  top 4.00") and rows[2][8] > "\u2800"  # the curve ends next to the bar


def test_verdict_table_is_ranked() -> None:
    scores = [Score(name, nats, 1000, 1000) for name, nats in (("uniform", 4000.0), ("bigram", 2500.0))]
    console = Terminal(io.StringIO(), 80)
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


class Forecaster(Observer):
    """Forecasts 1.31 at first, then 1.315 (no news), then 1.4."""

    def on_update(self, step: int, model: object) -> list[Forecasted]:
        loss = {1: 1.31, 2: 1.315}.get(step, 1.4)
        return [Forecasted(step, loss, loss - 0.03, loss + 0.04, progress=step / 6)]


@pytest.mark.parametrize("kind", ["live", "plain", "json"])
def test_a_forecast_is_shown_and_held_against_the_outcome(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "a.txt").write_text("".join(f"line {i} of a text that says little\n" for i in range(200)))
    settings = {
        "data": {"sources": [str(tmp_path / "a.txt")]},
        "model": {"size": "nano", "n_layer": 1},
        "train": {"steps": 6, "evals": 2, "sample_tokens": 10},
    }
    session = start(RunConfig.model_validate(settings), tmp_path / "run", observers=[Forecaster()])
    console = Terminal(io.StringIO(), 80, kind == "live")
    live = LiveDisplay(console)
    display = {"live": live, "plain": PlainDisplay(console), "json": JsonDisplay()}[kind]
    display.begin(session)
    for event in session.run():
        display.show(event)
    if kind == "live":
        console.print(live._render())
    display.end(session)
    told = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue()) + capsys.readouterr().out  # pyright: ignore
    verdict = session.verdict().model
    assert isinstance(verdict, Score)
    if kind == "json":
        rows = [json.loads(line) for line in told.splitlines()]
        assert [row["nats_per_char"] for row in rows if row["event"] == "forecast"][:3] == [1.31, 1.315, 1.4]
        return
    outcome = f"{verdict.nats_per_char:.2f}, above the interval"
    assert f"forecast 1.31 (1.28 to 1.35) at 17%; outcome {outcome}" in told
    if kind == "live":
        assert "held out, training, forecast 1.40 (1.37 to 1.44)\n" in told and "┃" in told
    else:
        lines = [line for line in told.splitlines() if "% forecast" in line.replace("  ", " ")]
        assert lines == [
            " 17%  forecast 1.31 (1.28 to 1.35) nats/char",
            " 50%  forecast 1.40 (1.37 to 1.44) nats/char",
        ]


def test_an_outcome_within_the_interval_is_only_named(session: Session) -> None:
    forecasts = Forecasts()
    assert forecasts.outcome(judge([Score("bigram", 2500.0, 1000, 1000)])) == ""
    forecasts.see(Forecasted(9, 1.5, 1.49, 1.51, progress=0.08))
    verdict = judge([Score("bigram", 2500.0, 1000, 1000)], Score("this model", 1504.0, 1000, 1000))
    assert forecasts.outcome(verdict) == "forecast 1.500 (1.490 to 1.510) at 8%; outcome 1.504"


def test_the_outcome_is_that_of_the_whole_text() -> None:
    forecasts = Forecasts()
    forecasts.see(Forecasted(9, 1.5, 1.49, 1.51, progress=0.08))
    verdict = judge([Score("bigram", 2500.0, 1000, 1000)], Score("this model", 1304.0, 1000, 1000))
    told = forecasts.outcome(replace(verdict, whole=1.502))
    assert told == "forecast 1.500 (1.490 to 1.510) at 8%; outcome 1.502 on the whole held-out text"


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (1.496, "outcome 1.50"),
        (1.494, "outcome 1.49, below the interval"),
        (1.76, "outcome 1.76, above the interval"),
    ],
)
def test_an_outcome_is_compared_as_it_is_shown(loss: float, told: str) -> None:
    forecasts = Forecasts()
    forecasts.see(Forecasted(90, 0.7, 0.6, 0.8, progress=1.0))  # of a shorter run, which was resumed
    forecasts.see(Forecasted(1, 1.62, 1.502, 1.75, progress=0.0))
    verdict = judge([Score("bigram", 2500.0, 1000, 1000)], Score("this model", 1000 * loss, 1000, 1000))
    assert forecasts.outcome(verdict) == f"first forecast 1.62 (1.50 to 1.75); {told}"


def test_long_labels_make_the_chart_narrower_and_never_wrap() -> None:
    labels = [("uniform, 60 chars", 4.09), ("unigram", 4.08), ("bigram", 1.0)]
    for most in (80, 60):
        rows = chart([(0.0, 4.0), (1.0, 1.0)], labels, width=most - 36, most=most).plain.splitlines()
        assert max(map(len, rows)) == most and any("unigram 4.08" in row for row in rows)


@pytest.mark.parametrize("kind", ["live", "plain", "json"])
def test_each_display_tells_the_whole_story(
    kind: str, session: Session, capsys: pytest.CaptureFixture
) -> None:
    out = io.StringIO()
    console = Terminal(out, 100, kind == "live")
    displays = {"live": LiveDisplay(console), "plain": PlainDisplay(console), "json": JsonDisplay()}
    display = displays[kind]
    trainer = session.trainer
    trainer.step, trainer.eval_plan.next_eval, trainer.early_stopping.best = 0, 0.5, float("inf")
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
        assert "held out, training" in re.sub(r"\x1b\[[0-9;]*m", "", told)
    if kind == "plain":
        assert "step 3: held out" in told and "nats/char" in told and "\x1b" not in told
        assert "nats per token. The baseline uniform guesses among the" in told and "characters: ln" in told
        assert "note: each token is predicted from" in told


def test_session_folder_is_complete(session: Session) -> None:
    names = {path.name for path in Path(session.folder.path).iterdir()}
    assert {"config.json", "tokenizer.json", "data", "checkpoints", "baselines.json"} <= names


def step(n: int, loss: float, elapsed_s: float, tokens: int = 100) -> StepDone:
    return StepDone(n, loss, {}, 1.0, tokens, 9e9, n / 100, elapsed_s)


def test_the_curve_is_of_held_out_text(session: Session) -> None:
    """A run that learns by heart: the drawn curve rises, though the training loss falls to nothing."""
    display = LiveDisplay(Terminal(io.StringIO(), 100))
    display.begin(session)
    for n in range(1, 101):
        display.show(step(n, 4.0 / n, n))
        if n % 10 == 0:
            display.show(Evaluated(n, 9.9, 2.0 + n / 50, 3.0, 3.0, best=n == 10, seconds=0.1))
    assert display.evals == [(n / 100, 2.0 + n / 50) for n in range(10, 101, 10)]
    rows = {column: row for row, column in bright(display._curve())}
    assert rows[min(rows)] > rows[max(rows)]


def test_speed_is_that_of_the_last_seconds() -> None:
    meter = Speedometer()
    for n in range(1, 101):
        meter.see(step(n, 1.0, n / 2 if n <= 50 else 25 + (n - 50)))
    assert meter.of(step(100, 1.0, 75.0)) == 100.0  # 100 tokens a second at the end, 200 before
    assert Speedometer().of(step(1, 1.0, 0.0)) == 9e9
