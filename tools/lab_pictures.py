"""The pictures of the lab in README and guide, taken from the page in a headless Chromium.

    python tools/lab_pictures.py [NAMES]   # writes docs/pictures/lab-*.png; needs '.[dev]' and Chromium

They show the models that come with the package, so that anyone gets the same numbers, and one that is trained
here for half a minute on the built-in corpus.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
BUILTIN = ROOT / "src" / "glassgpt" / "explain" / "runs"
GLASSGPT = (sys.executable, "-m", "glassgpt")
TRAIN = ("train", "python", "--size", "nano", "--steps", "400", "--snapshots", "24", "--seed", "1", "--json")


def main() -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with TemporaryDirectory() as folder, lab(Path(folder)) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce", color_scheme="light"
        )
        page.goto(address)
        rows = page.evaluate("async () => (await (await fetch('/api/runs')).json()).runs")
        ids = {row["name"]: row["id"] for row in rows}
        for name in sys.argv[1:] or SHOTS:
            shot = SHOTS[name]
            query = f"?{urlencode({'text': shot.text})}" if shot.text else ""
            page.goto(f"{page.url.split('#')[0]}#/{shot.place.format(**ids)}{query}")
            page.reload()
            shot.prepare(page).screenshot(path=PICTURES / f"lab-{name}.png")
            print(PICTURES / f"lab-{name}.png")
        browser.close()


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Train a run in a folder, next to those of the package, and run a lab over them; yield its address."""
    shutil.copytree(BUILTIN, folder / "runs")
    subprocess.run([*GLASSGPT, *TRAIN], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    words, new = [*GLASSGPT, "lab", "runs", "--no-open"], {**os.environ, "XDG_STATE_HOME": str(folder)}
    with subprocess.Popen(words, cwd=folder, env=new, stdout=subprocess.PIPE, text=True) as process:
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


def whatif(page: Any) -> Any:
    page.get_by_role("button", name="blocks.0.attn, head 1").click()
    page.locator("[data-loss]").filter(has_text="→").wait_for()
    return page.locator(".whatif")


def rewind(page: Any) -> Any:
    page.locator("[data-step]").wait_for()
    page.get_by_role("slider").first.press("End")
    page.locator("[data-sample][aria-busy=false]").wait_for()
    page.locator("section[aria-labelledby=rewind-map]").wait_for()
    return page.locator(".rewind")


def top(page: Any) -> Any:
    page.wait_for_load_state("networkidle")
    return page


class Shot(NamedTuple):
    """A picture: the page's address, with {run} for a run's id, and the text that the model reads.

    prepare: brings the page into the state that is shown; returns the part that is taken, or the page, of
    which the window is taken.
    """

    place: str
    prepare: Callable[[Any], Any]
    text: str = ""


SHOTS = {
    "run": Shot("runs/{python}", top),
    "walk": Shot("runs/{text}/walk", walk, "to be or not to be"),
    "heads": Shot("runs/{dates}/heads", heads, "de: 14. März 2024"),
    "cross": Shot("runs/{dates}/cross", cross, "de: 14. März 2024"),
    "bench": Shot("runs/{text}/bench", bench, "the moon sees"),
    "whatif": Shot("runs/{text}/whatif", whatif, "the moon sees"),
    "rewind": Shot("runs/{python}/rewind", rewind, "returns the value"),
    "chapter": Shot("chapters/mask", top),
}

if __name__ == "__main__":
    main()
