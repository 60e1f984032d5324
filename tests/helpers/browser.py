"""What browser tests share: the address of a view, and the numbers that a page shows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import torch
from torch import Tensor

from glassgpt.lab.catalog import Catalog

TOKEN = "secret"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Return the path of the machine's Chromium, if there is one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Lab:
    """A lab that listens on loopback."""

    runs: Path
    port: int

    def folder(self, id: str) -> Path:
        """Return the folder of a run by its id."""
        return Catalog(self.runs).run(id).path

    def open(self, page: Any, run: str, view: str, text: str = "") -> None:
        """Open a view of a run in a page, over a text."""
        rows = {row["name"]: row["id"] for row in Catalog(self.runs).rows()}
        query = f"?{urlencode({'text': text})}" if text else ""
        page.goto(f"http://127.0.0.1:{self.port}/?token={TOKEN}")
        page.goto(f"http://127.0.0.1:{self.port}/#/runs/{rows[run]}/{view}{query}")


def number(text: str) -> float:
    """Read a number of the page: a true minus sign, ∞, per cent."""
    share = 0.01 if text.endswith("%") else 1.0
    return share * float(text.rstrip("%").replace("−", "-").replace("∞", "inf"))


def shown_tables(page: Any) -> dict[str, Tensor]:
    """Return all numbers of the heat maps of a page, by their ids, in four decimals."""
    while (closed := page.locator("figure[data-heatmap] button[aria-pressed=false]")).count():
        closed.first.click()
    cells = page.evaluate(
        """() => [...document.querySelectorAll("figure[data-heatmap]")].map((figure) => [
            figure.dataset.heatmap,
            [...figure.querySelectorAll("tbody tr")].map((row) =>
                [...row.querySelectorAll("td")].map((cell) => cell.textContent)),
        ])"""
    )
    return {id: torch.tensor([[number(cell) for cell in row] for row in rows]) for id, rows in cells}


def assert_shown(shown: Tensor, expected: Tensor, decimals: int, name: str = "") -> None:
    """Assert that each shown number is the expected one, up to one unit in its last decimal."""
    assert shown.shape == expected.shape, name
    is_finite = expected.isfinite()
    assert torch.equal(shown.isfinite(), is_finite), name
    unit = 10.0**-decimals
    size = expected[is_finite].double().abs() * 1e-6  # float32 itself
    difference = (shown.double() - expected.double())[is_finite].abs() - size
    assert difference.max() <= unit, f"{name}: differs by {difference.max():.6f}"
