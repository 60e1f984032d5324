"""Rewind learning in the browser: each step's numbers against the recorder, its sample against the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import glassgpt as gg
from glassgpt.generate import generate
from glassgpt.lab.embeddings import embedding_map
from helpers.browser import Lab, assert_shown, number, shown_tables

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TEXT = "the moon"


NOTE_STEPS = """() => {
    window.steps = [];
    const place = document.querySelector("[data-step]");
    new MutationObserver(() => window.steps.push(place.dataset.step))
        .observe(place, { attributeFilter: ["data-step"] });
}"""


def assert_step(page: Any, run: gg.Run, step: int) -> None:
    """Assert that the page shows the numbers of a step."""
    page.wait_for_selector(f"[data-step='{step}']")
    page.wait_for_selector("[data-sample][aria-busy=false]")
    model, tokenizer = run.model(snapshot=step), run.tokenizer()
    seen = gg.trace(model, tokenizer, TEXT, pattern="*")
    shares = [number(each) for each in page.locator("td[data-p]").all_inner_texts()]
    assert shares == pytest.approx([p for _, p in seen.predictions[-1]], abs=1e-4)
    assert seen.logit_lens is not None
    for i, row in enumerate(seen.logit_lens.probabilities):
        for j, p in enumerate(row):
            shown = page.locator(f"[data-lens='{i},{j}'] small").inner_text()
            assert number(shown) == pytest.approx(p, abs=1e-3)
    weights = shown_tables(page)["rewind-blocks.0.attn-0"]
    assert_shown(weights, seen.tensors["blocks.0.attn.weights"][0], 4)
    ids = generate(model, tokenizer.encode(TEXT), gg.SamplingParams(0.8), max_new_tokens=80, seed=0)
    assert page.locator("[data-sample]").text_content() == tokenizer.decode(list(ids))


def assert_map(page: Any, run: gg.Run, step: int) -> None:
    """Assert that the map's table has the places of a step."""
    page.wait_for_selector(f"[data-map='{step}']")
    table = page.locator("[data-map] .tools button[aria-pressed=false]").first
    if table.count():
        table.click()
    found = embedding_map(run)
    rows = page.locator("[data-map] tbody tr").all()
    assert [row.locator("th").text_content() for row in rows] == found["tokens"]
    shown = [[number(cell) for cell in row.locator("td").all_text_contents()] for row in rows]
    assert shown == [pytest.approx(point, abs=1e-4) for point in found["points"][found["steps"].index(step)]]


def test_each_step_shows_its_own_numbers(page: Any, lab: Lab, runs: Path) -> None:
    run = gg.Run(runs / "learned")
    steps = gg.snapshot_steps(run)
    lab.open(page, "learned", "rewind", TEXT)
    assert_step(page, run, steps[-1])
    assert_map(page, run, steps[-1])
    assert page.get_by_text("Most probable next", exact=True).count() == 0  # that is the best checkpoint's
    marks = [page.locator("line[data-at]").get_attribute("x1")]
    page.locator("input[type=range]").focus()
    for step in steps[-2::-1]:
        page.keyboard.press("ArrowLeft")
        assert_step(page, run, step)
        assert_map(page, run, step)
        marks.append(page.locator("line[data-at]").get_attribute("x1"))
    assert marks == sorted(marks, key=float, reverse=True) and len(set(marks)) == len(steps)
    first, last = (run.model(snapshot=step)(torch.tensor([[1, 2]])) for step in (steps[0], steps[-1]))
    assert not torch.equal(first, last)


def test_play_goes_from_the_first_step_to_the_last(page: Any, lab: Lab, runs: Path) -> None:
    steps = gg.snapshot_steps(gg.Run(runs / "learned"))
    lab.open(page, "learned", "rewind", TEXT)
    page.wait_for_selector(f"[data-step='{steps[-1]}']")
    page.evaluate(NOTE_STEPS)
    page.get_by_role("button", name="Play").press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    page.get_by_role("button", name="Play").wait_for()
    assert page.evaluate("window.steps") == [str(step) for step in steps]


def test_a_run_without_snapshots_says_how_to_get_some(page: Any, lab: Lab) -> None:
    lab.open(page, "text", "rewind", TEXT)
    page.wait_for_selector("[data-none]")
    assert "--snapshots" in page.locator("[data-none]").inner_text()
