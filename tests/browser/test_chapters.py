"""Chapters in the browser: the path, every figure against `explain`, the live view."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glassgpt.explain import Grid, chapter, expectation, figure, titles
from glassgpt.explain.chapters import qkv
from glassgpt.lens import visible_label
from helpers.browser import TOKEN, Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _equal_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chapter `qkv` measures times; no two measurements are the same."""
    monkeypatch.setattr(qkv, "microseconds", lambda run: 100.0)


def open_chapters(page: Any, lab: Lab, place: str = "", language: str = "en") -> None:
    page.goto(f"http://127.0.0.1:{lab.port}/?token={TOKEN}")
    page.evaluate("language => localStorage.setItem('glassgpt-language', language)", language)
    page.goto(f"http://127.0.0.1:{lab.port}/#/chapters/{place}")
    page.reload()
    page.wait_for_selector("[data-chapter]" if place else "ol.card")


def rows(page: Any, table: str) -> list[list[str]]:
    """Return the text of all cells of a table's body."""
    return page.evaluate(
        "table => [...document.querySelectorAll(`${table} tbody tr`)].map((row) => "
        "[...row.children].map((cell) => cell.textContent))",
        table,
    )


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", [name for name in titles() if name != "ladder"])  # it trains
def test_every_figure_is_explains(page: Any, lab: Lab, name: str, language: str) -> None:
    open_chapters(page, lab, name, language)
    shown = page.locator("[data-chapter]").get_attribute("data-run")
    folder = lab.folder(shown) if shown else None
    expected = chapter(name, folder, language=language)
    assert page.locator("h1").inner_text() == expected.title and expected.run == (folder and str(folder))
    found = rows(page, "[data-findings]")
    assert [row[:3] for row in found] == [
        [each.name, figure(each.observed), expectation(each)] for each in expected.findings
    ]
    for n, grid in ((n, part) for n, part in enumerate(expected.body) if isinstance(part, Grid)):
        values = [["" if v != v else f"{v:.{grid.decimals}f}" for v in row] for row in grid.values]
        assert rows(page, f"[data-table='{n}']") == [
            [visible_label(label), *row] for label, row in zip(grid.rows, values, strict=True)
        ]
    outputs = [said for said in expected.lesson.run() if said]
    assert page.locator("[data-output]").all_text_contents() == outputs


def test_the_ladder_is_trained_and_shown(page: Any, lab: Lab) -> None:
    """The chapter that trains: its figures vary with rounding, so they are not compared."""
    page.set_default_timeout(300_000)
    open_chapters(page, lab, "ladder")
    found = rows(page, "[data-findings]")
    assert found and all(len(row) >= 3 and all(row[:3]) for row in found)
    losses = [float(row[1]) for row in rows(page, "[data-table='0']") or []]
    assert page.locator("[data-output]").count() and losses == sorted(losses, reverse=True)


def test_start_here_then_next_then_the_live_view(page: Any, lab: Lab) -> None:
    open_chapters(page, lab)
    assert page.locator("[data-step]").count() == 18 and page.locator(".done").count() == 0
    page.get_by_role("link", name="Start here").press("Enter")
    page.wait_for_selector("[data-chapter=loss]")
    page.locator("a[rel=next]").last.press("Enter")
    page.wait_for_selector("[data-chapter=sampling]")
    page.locator("a[rel=prev]").first.press("Enter")
    page.wait_for_selector("[data-chapter=loss]")
    page.get_by_role("link", name="All chapters").press("Enter")
    page.wait_for_selector("[data-step=sampling].done")
    assert (
        page.locator(".done").count() == 2
        and page.locator(".next").get_attribute("data-step") == "temperature"
    )
    open_chapters(page, lab, "scale")
    page.locator("[data-live]").press("Enter")
    page.wait_for_selector("[role=tab][data-tab=walk][aria-selected=true]")
    page.wait_for_selector("figure[data-heatmap*=scores]")  # its step ÷√d, not the first one


def test_an_exercise_is_checked_and_the_notebook_saved(page: Any, lab: Lab) -> None:
    open_chapters(page, lab, "loss")
    page.get_by_label("exercise 1").fill("0.1054")
    page.get_by_label("exercise 1").press("Enter")
    page.wait_for_selector("[role=status].right")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save the notebook").click()
    assert saving.value.suggested_filename == "loss.ipynb"
    assert json.loads(Path(saving.value.path()).read_text("utf-8"))["nbformat"] == 4


def test_another_run_is_measured(page: Any, lab: Lab) -> None:
    open_chapters(page, lab, "temperature")
    before = page.locator("[data-chapter]").get_attribute("data-run")
    other = "grouped" if lab.folder(before).name != "grouped" else "text"
    page.get_by_role("combobox").select_option(label=f"{other} (gpt)")
    page.wait_for_function(
        "before => document.querySelector('[data-chapter]').dataset.run !== before", arg=before
    )
    assert lab.folder(page.locator("[data-chapter]").get_attribute("data-run")).name == other
