"""Ablation and logit lens in the page, against the library's own edits."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import glassgpt as gg
from glassgpt.hooks import record, zero, zero_heads
from helpers.browser import Lab, assert_shown, number, shown_tables

pytestmark = pytest.mark.browser
TEXT = "the moon"


@torch.inference_mode()
def test_ablated_parts_move_the_loss_as_in_the_library(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    ids = torch.tensor([tokenizer.encode(TEXT)])
    edits = {"blocks.0.attn.heads": zero_heads(1, 2), "blocks.1.mlp.out": zero}
    losses = []
    for each in ({}, edits):
        with record(model, "logits", edits=each) as seen:
            model(ids)
        losses.append(F.cross_entropy(seen["logits"][0, :-1], ids[0, 1:], reduction="none"))
    lab.open(page, "text", "whatif", TEXT)
    for part in ("blocks.0.attn, head 1", "blocks.0.attn, head 2", "blocks.1 MLP"):
        page.get_by_role("button", name=part).click()
    page.locator("[data-loss]").filter(has_text="→").wait_for()
    page.wait_for_load_state("networkidle")
    expected = torch.stack(losses)  # (2, T − 1)
    assert_shown(shown_tables(page)["whatif-losses"], expected, 4)
    text = page.locator("[data-loss]").inner_text()
    said = torch.tensor([number(found) for found in re.findall(r"\d+\.\d+", text)])
    before, after = expected.mean(-1)
    assert_shown(said, torch.stack([before, after, (after - before).abs()]), 4)


def test_the_logit_lens_is_the_traces(lab: Lab, page: Any) -> None:
    trace = gg.trace(*gg.load_run(lab.runs / "text"), TEXT)
    assert trace.logit_lens is not None
    lab.open(page, "text", "whatif", TEXT)
    page.locator("[data-lens]").wait_for()
    shown = page.locator("[data-lens] tbody tr").evaluate_all(
        "all => all.map((row) => [...row.querySelectorAll('[data-p]')].map((cell) => +cell.dataset.p))"
    )
    assert shown == [list(row) for row in reversed(trace.logit_lens.probabilities)]
