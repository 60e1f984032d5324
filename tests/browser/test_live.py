"""A training from the form to the end: its steps arrive by events, it stops, and it resumes."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from typing import Any

import pytest

import glassgpt as gg
from glassgpt.checkpoint import OWNER
from helpers.browser import TOKEN, Lab
from helpers.explain_runs import WORDS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TEXT = "\n".join(" ".join(WORDS[i % 7 :] + WORDS[: i % 5]) for i in range(300))
WAIT_MS = 240_000
STEPS = """(more) => Number(document.querySelector("svg[aria-label^='Loss over']")?.ariaLabel
    .match(/over ([\\d,]+) steps/)?.[1].replace(",", "")) > more"""


def fill_form(page: Any, lab: Lab) -> None:
    page.goto(f"http://127.0.0.1:{lab.port}/?token={TOKEN}")
    page.get_by_text("Train a model").press("Enter")
    page.get_by_label("Your text").fill(TEXT)
    page.get_by_label("Name of the run").fill("moon")
    page.get_by_label("Minutes").fill("5")
    page.get_by_label("Size").select_option("nano")
    page.get_by_role("button", name="One more setting").press("Enter")
    page.get_by_role("combobox", name="setting").select_option("evals")
    page.get_by_role("textbox", name="value").fill("200")


def end_training(lab: Lab) -> None:
    """End the process that trains, if a test left it."""
    with suppress(OSError, ValueError, KeyError):
        owner = json.loads((lab.runs / "moon" / OWNER).read_text("utf-8"))["process"]
        os.kill(owner, signal.SIGKILL)


def test_a_training_marches_stops_and_resumes(new_lab: Lab, page: Any) -> None:
    page.set_default_timeout(WAIT_MS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    run = gg.Run(new_lab.runs / "moon")
    try:
        fill_form(page, new_lab)
        page.get_by_role("button", name="Start", exact=True).press("Enter")
        page.get_by_text("● live").wait_for()
        for _ in range(2):
            page.wait_for_function(STEPS, arg=run.summary().n_steps, timeout=WAIT_MS)
        assert sum(url.endswith("/events") for url in asked) == 1
        page.get_by_role("button", name="Save and stop").press("Enter")
        page.get_by_label("Minutes in total").wait_for()
        stopped = run.summary()
        assert (
            stopped.resumable
            and stopped.state == "stopped"
            and "training" not in page.locator("h1").inner_text()
        )
        page.get_by_label("Minutes in total").fill("5")
        page.get_by_role("button", name="Resume").press("Enter")
        page.get_by_text("● live").wait_for()
        page.wait_for_function(STEPS, arg=stopped.n_steps, timeout=WAIT_MS)
        page.get_by_role("button", name="Save and stop").press("Enter")
        page.get_by_label("Minutes in total").wait_for()
        assert run.summary().n_steps > stopped.n_steps
    finally:
        end_training(new_lab)
