"""`glassgpt.train(…)`: a whole training in one call, its display, its errors and its interrupt."""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassgpt.checkpoint import Run, load_run
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.train import Evaluated, Event, Observer, StepDone, progress, resume, start, train
from glassgpt.train.displays import NotebookProgress
from glassgpt.train.live_curve import HEIGHT, curve_svg

TINY = {"size": "nano", "n_layer": 1, "block_size": 16, "batch_size": 2, "sample_tokens": 5, "evals": 3}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("".join(f"{i} geese and {i * 7 % 31} swans.\n" for i in range(300)))
    return path


def test_it_trains_and_returns_a_run(notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(notes, out=tmp_path / "run", steps=6, seed=3, **TINY)
    verdict = run.verdict()
    assert isinstance(run, Run) and verdict is not None and run.sample()
    assert run.config().train.seed == 3 and run.config().model.n_layer == 1
    told = capsys.readouterr().out
    assert re.search(r"100%  step 6  held out \d", told) and verdict.sentence in told
    assert load_run(run)[0].config.n_layer == 1  # a run is a path
    assert "1 layers" not in run._repr_html_() and "held out" in run._repr_html_()


def test_quiet_prints_nothing(notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(str(notes), out=tmp_path / "run", steps=2, quiet=True, **TINY)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stpes": 3}, "`stpes`: no such setting. Did you mean `steps`?"),
        ({"learning_rate": 0.1}, "`learning_rate`: no such setting. Use `lr`."),
        ({"steps": 0}, "`steps`: input should be greater than or equal to 1, got 0"),
        ({"batch_size": "many"}, "`batch_size`: input should be a valid integer"),
    ],
)
def test_errors_name_keywords(notes: Path, settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        train(notes, **settings)
    with pytest.raises(UserError, match=re.escape(said)):
        RunConfig.of(**settings)


def test_an_interrupt_saves_and_raises(notes: Path, tmp_path: Path) -> None:
    class Interrupt(Observer):
        def on_update(self, step: int, model: Model) -> None:
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(notes, out=tmp_path / "run", steps=9, quiet=True, observers=[Interrupt()], **TINY)
    assert Run(tmp_path / "run").verdict() is None
    session = resume(tmp_path / "run")
    assert 3 <= session.trainer.step < 9
    *_, last = [event for event in session.run() if isinstance(event, StepDone)]
    assert last.step == 9


def test_progress_passes_all_events(notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = RunConfig.of(sources=str(notes), steps=4, **TINY)
    session = start(config, tmp_path / "run")
    events = [*progress(session)]
    assert sum(isinstance(event, StepDone) for event in events) == 4
    assert "held out" in capsys.readouterr().out
    assert [*progress(iter(events))] == events


def events() -> Iterator[Event]:
    for step in range(1, 5):
        yield StepDone(step, 4.0 / step, {}, 1.0, 10, 1.0, step / 4, float(step), 4.0 - step)
        yield Evaluated(step, 2.0 / step, 1.0 / step, 1.0, 1.0, True, 0.1)


def test_the_display_of_a_notebook_has_a_bar_and_a_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("glassgpt.train.displays._display", lambda html, handle=None: shown.append(html))
    view = NotebookProgress()
    view.levels = {"<script>": 3.0}
    for event in events():
        view.show(event)
    view.tell("a <b> & c")
    assert '<progress value="1.000"' in shown[-1] and shown[-1].count("<circle") == 4
    assert "<script>" not in shown[-1] and "a &lt;b&gt; &amp; c" in shown[-1]
    assert len(shown) <= 6  # an evaluation updates it; steps do so twice a second


def test_the_live_curve_puts_losses_in_order() -> None:
    svg = curve_svg([(0.5, 2.0), (1.0, 1.5)], [(0.1, 4.0)], {"uniform": 4.2, "bigram": 2.5})
    circles = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg)]
    levels = [float(y) for y in re.findall(r'<line [^>]*y1="([\d.]+)"', svg)]
    assert circles[0] < circles[1] <= HEIGHT and levels[0] < levels[1] < circles[0]  # y grows downwards
    texts = sorted(float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)"', svg))
    assert len(texts) == 3 and all(b - a >= 15 for a, b in itertools.pairwise(texts))
    assert "nan" not in curve_svg([], [(0.1, 0.0)], {})
