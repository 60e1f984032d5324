"""The pictures of the lab in README and guide, taken from the page in a headless Chromium.

    python tools/lab_pictures.py        # writes docs/pictures/lab-*.png; needs '.[dev]' and Chromium

They show the models that come with the package, so that anyone gets the same numbers.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
RUNS = ROOT / "src" / "glassgpt" / "explain" / "runs"


def main() -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with lab() as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce", color_scheme="light"
        )
        page.goto(address)
        rows = page.evaluate("async () => (await (await fetch('/api/runs')).json()).runs")
        ids = {row["name"]: row["id"] for row in rows}
        for name, (run, view, text, prepare) in SHOTS.items():
            page.goto(f"{page.url.split('#')[0]}#/runs/{ids[run]}/{view}?{urlencode({'text': text})}")
            page.reload()
            prepare(page).screenshot(path=PICTURES / f"lab-{name}.png")
            print(PICTURES / f"lab-{name}.png")
        browser.close()


@contextmanager
def lab() -> Iterator[str]:
    """Run a lab over the runs of the package; yield its address."""
    words = [sys.executable, "-m", "glassgpt", "lab", str(RUNS), "--no-open"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield next(word for line in process.stdout for word in line.split() if "token=" in word)
        process.terminate()


def walk(page: Any) -> Any:
    page.locator("[data-audit]").wait_for()
    page.locator("ol button").filter(has_text="softmax").last.press("Enter")
    page.locator("[data-heatmap$='-weights']").wait_for()
    return page.locator("section[aria-labelledby=walk-one]")


def heads(page: Any) -> Any:
    page.get_by_role("button", name="Sort by copies").press("Enter")
    return page.locator("section[aria-labelledby=heads-title]")


def bench(page: Any) -> Any:
    page.locator("[data-curve]").wait_for()
    slider = page.get_by_role("slider", name="top-p")
    for _ in range(10):
        slider.press("ArrowLeft")
    page.get_by_role("button", name="Draw 20").click()
    page.locator(".written").nth(19).wait_for()
    page.locator("[data-engine].good").wait_for()
    return page.locator(".bench")


def cross(page: Any) -> Any:
    page.locator("[data-weight]").first.wait_for()
    page.get_by_role("group", name="The model writes").get_by_role("button", name="0").nth(1).click()
    return page.locator(".cross")


SHOTS: dict[str, tuple[str, str, str, Callable[[Any], Any]]] = {
    "walk": ("text", "walk", "to be or not to be", walk),
    "heads": ("dates", "heads", "de: 14. März 2024", heads),
    "bench": ("text", "bench", "the moon sees", bench),
    "cross": ("dates", "cross", "de: 14. März 2024", cross),
}

if __name__ == "__main__":
    main()
