"""The table of heads: every share against the recorder, its order, and the way into the walk."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import glassgpt as gg
from glassgpt.lens import HeadSummary, describe_heads
from helpers.browser import Lab, number

pytestmark = pytest.mark.browser
SHARES = ("itself", "previous", "next", "first", "copy", "induction")
TEXTS = {"text": "the moon sees the moon sees", "dates": "de: 14. März 2024"}


def described(lab: Lab, name: str) -> list[HeadSummary]:
    return describe_heads(gg.trace(*gg.load_run(lab.runs / name), TEXTS[name]))


def open_heads(lab: Lab, page: Any, name: str) -> None:
    lab.open(page, name, "heads", TEXTS[name])
    page.locator("[data-row]").first.wait_for()


def rows(page: Any) -> list[tuple[str, str, list[str]]]:
    """Return attention/head, role, and the cells of each row as shown."""
    return page.evaluate(
        """() => [...document.querySelectorAll("[data-row]")].map((row) => [row.dataset.row,
            row.querySelector("[data-role]").dataset.role,
            [...row.querySelectorAll("[data-share]")].map((cell) => cell.textContent)])"""
    )


@pytest.mark.parametrize("name", ["text", pytest.param("dates", marks=pytest.mark.slow)])
def test_every_share_is_the_recorders(lab: Lab, page: Any, name: str) -> None:
    open_heads(lab, page, name)
    expected = described(lab, name)
    for (id, role, cells), each in zip(rows(page), expected, strict=True):
        assert (id, role) == (f"{each.attention}/{each.head}", each.role)
        shares = [value for share in SHARES if (value := getattr(each, share)) is not None]
        assert list(map(number, cells[:-1])) == pytest.approx(shares, abs=1e-3)
        assert number(cells[-1]) == pytest.approx(each.spread, abs=0.1)


def test_which_head_copies(lab: Lab, page: Any) -> None:
    """The page names the head, sorts by copying, and the row leads into the walk of that head."""
    open_heads(lab, page, "text")
    best = max(described(lab, "text"), key=lambda each: each.copy or 0.0)
    assert f"layer {best.attention[7]}, head {best.head}" in page.locator("[data-most=copy]").inner_text()
    page.get_by_role("button", name="Sort by copies").press("Enter")
    assert rows(page)[0][0] == f"{best.attention}/{best.head}"
    assert page.locator("th[aria-sort=descending]").inner_text() == "copies ↓"
    page.get_by_role("button", name="Sort by copies").press("Enter")
    assert rows(page)[-1][0] == f"{best.attention}/{best.head}"
    page.locator("[data-row] button").last.press("Enter")
    page.locator(f"[data-heatmap='walk-{best.attention}-{best.head}-weights']").wait_for()
    assert page.locator("[role=tab][aria-selected=true]").inner_text() == "Attention walk"


def test_the_table_is_saved(lab: Lab, page: Any) -> None:
    open_heads(lab, page, "text")
    with page.expect_download() as saving:
        page.get_by_role("button", name="CSV").press("Enter")
    saved = list(csv.DictReader(Path(saving.value.path()).read_text("utf-8").splitlines()))
    for row, each in zip(saved, described(lab, "text"), strict=True):
        assert (row["attention"], int(row["head"]), row["role"]) == (each.attention, each.head, each.role)
        assert float(row["induction"]) == pytest.approx(each.induction, abs=1e-6) and row["next"] == ""


def test_a_text_without_copies_is_repeated(lab: Lab, page: Any) -> None:
    lab.open(page, "text", "heads", "abcdefg")
    page.locator("[data-copies]").filter(has_text="0 of 7 tokens").wait_for()
    page.get_by_role("button", name="Repeat the text").press("Enter")
    page.locator("[data-copies]").filter(has_text="7 of 15 tokens").wait_for()
    assert page.locator("textarea").input_value() == "abcdefg abcdefg"
