"""Every weight of the cross-attention view against the recorder, over a text and over an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import glassgpt as gg
from glassgpt.explain import held_out_prompt
from glassgpt.lens import Trace
from helpers.browser import Lab, assert_shown

pytestmark = pytest.mark.browser
DATE = "de: 14. März 2024"


def check_weights(page: Any, trace: Trace, n_written: int) -> None:
    """Compare all weights of all heads for each written token."""
    chips = page.get_by_role("group", name="The model writes").get_by_role("button")
    assert chips.count() == n_written + 1  # and the one that plays
    paths = trace.kinds["cross"]
    for word in range(n_written):
        chips.nth(word).click()
        shown = page.locator("[data-head]").evaluate_all(
            """all => all.map((head) =>
                [...head.querySelectorAll("[data-weight]")].map((each) => +each.dataset.weight))"""
        )
        at = trace.n_prompt - 1 + word
        expected = torch.cat([trace.tensors[f"{path}.weights"][:, at] for path in paths])  # (heads, S)
        assert_shown(torch.tensor(shown), expected, 5)


def test_alignment_of_a_translation(lab: Lab, page: Any) -> None:
    trace = gg.trace(*gg.load_run(lab.runs / "dates"), DATE)
    lab.open(page, "dates", "cross", DATE)
    page.locator("[data-head]").first.wait_for()
    check_weights(page, trace, len(trace.answer))


def test_heads_over_an_image(lab: Lab, page: Any, tmp_path: Path) -> None:
    prompt = held_out_prompt(lab.runs / "scenes")
    channels = prompt["image"]
    Image.fromarray(channels[0] if len(channels) == 1 else channels.transpose(1, 2, 0)).save(
        tmp_path / "a.png"
    )
    trace = gg.trace(*gg.load_run(lab.runs / "scenes"), **prompt)
    lab.open(page, "scenes", "look")
    page.locator("input[type=file]").set_input_files(tmp_path / "a.png")
    page.locator("textarea").fill(prompt["text"])
    look = page.get_by_role("button", name="Look", exact=True)
    with page.expect_response(lambda answer: answer.url.endswith("/trace")):
        look.click()
    page.wait_for_function("(button) => !button.disabled", arg=look.element_handle())  # the old trace is gone
    page.get_by_role("tab", name="Cross-attention").click()
    page.locator("[data-head] [data-weight]").first.wait_for()
    check_weights(page, trace, len(trace.answer))
