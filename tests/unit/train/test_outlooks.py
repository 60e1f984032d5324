"""Plans of trainings that end early: the table and the sentences say when."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from glassgpt.cli.view.autopilot import outlook_table, print_outlook
from glassgpt.diagnose import Score
from glassgpt.train import Choice, Forecast, Outlook, PlannedRun, Recipe


def found(*ends: float | None) -> Outlook:
    choice = Choice(Recipe(), 1000, 0.1, 12.0, Forecast(1.5, 1.4, 1.6))
    runs = tuple(PlannedRun(10.0**i, choice, 10**9, end) for i, end in enumerate(ends))
    score = Score("5-gram", 2000.0, 1000, 1000, kind="ngram")
    return Outlook(runs, (), tuple((run.minutes, choice) for run in runs), (score,))


def columns(outlook: Outlook) -> list[str]:
    return [str(column.header) for column in outlook_table(outlook).columns]


def test_an_early_end_is_in_the_table_and_in_words() -> None:
    outlook = found(None, 4.0, 40.0)
    table = outlook_table(outlook)
    assert [*table.columns[1].cells] == ["", "4 min", "40 min"] and columns(outlook)[1] == "ends after"
    told = [sentence for sentence in outlook.sentences() if "by heart" in sentence]
    assert told == [
        "A training of 10 minutes ends after about 4 minutes: more would learn the text by heart. "
        "To go on, give a larger `max_epochs`, and `patience` 0."
    ]
    assert "4 minutes" in outlook._repr_html_()
    assert [run["ends_after_minutes"] for run in outlook.to_dict()["runs"]] == [None, 4.0, 40.0]


@pytest.mark.parametrize("ends", [(None,), (None, None)])
def test_without_an_early_end_there_is_no_column(ends: tuple[None, ...]) -> None:
    assert "ends after" not in columns(found(*ends))
    assert not any("by heart" in sentence for sentence in found(*ends).sentences())


def test_the_table_fits_into_eighty_columns() -> None:
    file = io.StringIO()
    Console(width=80, file=file).print(outlook_table(found(2.3, 40.0, None, 220.0)))
    assert "…" not in file.getvalue() and "ends after" in file.getvalue()


def test_ram_has_a_column_if_it_matters() -> None:
    assert "RAM" in columns(found(None))
    outlook = found(None)
    small = replace(outlook, runs=tuple(replace(run, memory_bytes=10**7) for run in outlook.runs))
    assert "RAM" not in columns(small)


def test_many_passes_have_no_exponent() -> None:
    outlook = found(None)
    many = replace(outlook.runs[0], choice=replace(outlook.runs[0].choice, epochs=37_000.0))
    table = outlook_table(replace(outlook, runs=(many,)))
    assert [*table.columns[4].cells] == ["37 k"]


def test_without_a_forecast_there_is_no_column_and_no_promise() -> None:
    outlook = found(None, 4.0)
    runs = tuple(replace(run, choice=replace(run.choice, has_forecast=False)) for run in outlook.runs)
    short = replace(outlook, runs=runs)
    assert not any("forecast" in name for name in columns(short))
    assert short.sentences()[0].startswith("No forecast") and "by heart" in short.sentences()[1]


def test_the_command_names_flags(capsys: pytest.CaptureFixture[str]) -> None:
    print_outlook(found(4.0), as_json=False)
    out = capsys.readouterr().out
    assert "give a larger --max-epochs, and --patience 0" in " ".join(out.split()) and "`" not in out


@pytest.mark.parametrize(
    ("losses", "minutes"), [((2.1, 1.9, 1.8), 10), ((1.9, 2.1, 1.9), 100), ((1.9, 1.8, 2.1), None)]
)
def test_a_baseline_is_passed_from_when_on_no_forecast_is_above_it(
    losses: tuple[float, ...], minutes: float | None
) -> None:
    outlook = found(None, None, None)
    curve = tuple(
        (m, replace(choice, forecast=Forecast(loss, loss, loss)))
        for (m, choice), loss in zip(outlook.curve, losses, strict=True)
    )
    score = Score("5-gram", 2.0 * 1000, 1000, 1000, kind="ngram")
    assert replace(outlook, curve=curve).minutes_to_pass(score) == minutes
