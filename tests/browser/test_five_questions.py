"""Five questions of a new user, each answered with a few presses in the page, with PyTorch's numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

import glassgpt as gg
from glassgpt.hooks import record, zero_heads
from helpers.browser import TOKEN, Lab, number

pytestmark = pytest.mark.browser
TEXT = "the moon sees the sun"


def from_the_start(lab: Lab, page: Any, run: str, view: str) -> None:
    """Open the list of runs, then a run, then one of its tabs."""
    page.goto(f"http://127.0.0.1:{lab.port}/?token={TOKEN}")
    page.locator(f"tbody a:text-is('{run}')").press("Enter")
    page.get_by_role("tab", name=view).press("Enter")


def look_at(page: Any, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_label("Text", exact=True).press("Enter")
    page.locator(f"text=T = {len(text)}").wait_for()


def next_probabilities(run: gg.Run, text: str, edits: Any = None, **which: Any) -> Tensor:
    """Return the probabilities of the next token at each position, (T, V)."""
    model, ids = run.model(**which), run.tokenizer().encode(text)
    with torch.inference_mode(), record(model, "logits", edits=edits or {}) as seen:
        model(torch.tensor([ids]))
    return seen["logits"][0].softmax(-1)


def test_when_did_it_learn_spaces(lab: Lab, page: Any) -> None:
    from_the_start(lab, page, "learned", "Rewind learning")
    look_at(page, TEXT)
    page.get_by_label("Token", exact=True).select_option(label="␣")
    page.get_by_role("button", name="Follow it through all steps").press("Enter")
    page.locator("[data-learned]").wait_for()
    run = gg.Run(lab.runs / "learned")
    places = [at - 1 for at, char in enumerate(TEXT) if char == " "]
    (space,) = run.tokenizer().encode(" ")
    shares = page.locator("section[aria-labelledby=rewind-learned] td[data-p]").all_text_contents()
    expected = [
        next_probabilities(run, TEXT, snapshot=step)[places, space].mean().item()
        for step in gg.snapshot_steps(run)
    ]
    assert list(map(number, shares)) == pytest.approx(expected, abs=1e-4)


def test_what_does_it_see_in_the_image_at_left(lab: Lab, page: Any) -> None:
    from_the_start(lab, page, "scenes", "Cross-attention")
    page.get_by_role("button", name=re.compile("^where is the")).press("Enter")
    word = page.get_by_role("group", name="The model writes").get_by_role("button", name="left")
    word.press("Enter")
    assert word.get_attribute("aria-pressed") == "true"
    page.locator("[data-weight]").first.wait_for()
    seen = page.locator("[data-head]").evaluate_all(
        "all => all.map((head) => head.querySelectorAll('[data-weight]').length)"
    )
    assert seen == [16] * 8  # each head's weights over the patches


def test_what_happens_without_root_d(lab: Lab, page: Any) -> None:
    from_the_start(lab, page, "text", "What if")
    look_at(page, TEXT)
    page.get_by_role("button", name="÷ √d").press("Enter")
    page.locator("[data-loss]").filter(has_text="→").wait_for()
    run = gg.Run(lab.runs / "text")
    D = run.model().config.head_dim
    edits = {f"blocks.{layer}.attn.scores": lambda scores: scores * D**0.5 for layer in range(2)}
    ids = torch.tensor(run.tokenizer().encode(TEXT))
    after = -next_probabilities(run, TEXT, edits)[torch.arange(len(ids) - 1), ids[1:]].log().mean()
    shown = re.search(r"→ ([\d.]+)", page.locator("[data-loss]").inner_text())
    assert shown and float(shown[1]) == pytest.approx(after.item(), abs=1e-4)


def test_why_this_token(lab: Lab, page: Any) -> None:
    from_the_start(lab, page, "text", "What if")
    look_at(page, TEXT)
    page.get_by_role("button", name="Measure after position").press("Enter")
    page.get_by_role("button", name="Measure after position").wait_for()
    rows = page.locator("section[aria-labelledby=whatif-why] tbody tr")
    assert rows.count() == 2 * 4 + 2  # heads and MLPs
    left = [number(each) for each in page.locator("[data-left]").all_text_contents()]
    assert left == sorted(left)
    run = gg.Run(lab.runs / "text")
    best = int(next_probabilities(run, TEXT)[-1].argmax())
    without = next_probabilities(run, TEXT, {"blocks.0.attn.heads": zero_heads(1)})[-1, best].item()
    shown = page.locator("[data-left='layer 0, head 1']").inner_text()
    assert number(shown) == pytest.approx(without, abs=1e-4)
