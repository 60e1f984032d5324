"""Ablation and logit lens in the page, against the library's own edits."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import glassgpt as gg
from glassgpt.hooks import patch, record, zero, zero_heads
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


def shown_losses(page: Any) -> torch.Tensor:
    """The loss of each token, as trained and changed, once the page has both."""
    page.locator("[data-loss]").filter(has_text="→").wait_for()
    page.wait_for_load_state("networkidle")
    return shown_tables(page)["whatif-losses"]


@torch.inference_mode()
def losses_of(model: Any, ids: list[int], edits: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of each next token, (T − 1,), and the last logits, (V,)."""
    with record(model, "logits", edits=edits) as seen:
        model(torch.tensor([ids]))
    logits = seen["logits"][0]
    return F.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none"), logits[-1]


def test_a_patched_state_is_followed_to_losses_and_next_token(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    ids, other, state = tokenizer.encode(TEXT), "the sun sees", "blocks.0.resid_post"
    value = gg.trace(model, tokenizer, other).tensors[state][None]
    changes = {state: patch(value, {7: 5})}
    (before, _), (after, logits) = losses_of(model, ids, {}), losses_of(model, ids, changes)
    lab.open(page, "text", "whatif", TEXT)
    page.get_by_label("The other text").fill(other)
    page.get_by_role("button", name="Read it").click()
    page.get_by_label("State", exact=True).select_option(state)
    page.get_by_label("From there").select_option("5")
    page.get_by_label("To here").select_option("7")
    page.get_by_role("button", name="Patch").click()
    page.locator("[data-patches] li").wait_for()
    page.locator("[data-next] td[data-p$=',1']").first.wait_for()
    assert_shown(shown_losses(page), torch.stack([before, after]), 4)
    shown = [number(cell) for cell in page.locator("[data-next] td[data-p$=',1']").all_text_contents()]
    p = logits.softmax(-1).sort(descending=True).values
    assert_shown(torch.tensor(sorted(shown, reverse=True)[:6]), p[:6], 4)
    page.locator("[data-patches] button").click()
    page.locator("[data-loss]").filter(has_text="nothing changed").wait_for()


def test_another_token_is_another_text(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    ids, changed = tokenizer.encode(TEXT), tokenizer.encode("the noon")
    (before, _), (after, _) = losses_of(model, ids, {}), losses_of(model, changed, {})
    lab.open(page, "text", "whatif", TEXT)
    page.locator("[data-lens] th button").nth(4).click()
    page.get_by_label("Search the vocabulary").fill("n")
    page.locator(f"[data-id='{changed[4]}']").click()
    page.locator("[data-tokens] li").wait_for()
    assert_shown(shown_losses(page), torch.stack([before, after]), 4)


def test_the_logit_lens_is_the_traces(lab: Lab, page: Any) -> None:
    trace = gg.trace(*gg.load_run(lab.runs / "text"), TEXT)
    assert trace.logit_lens is not None
    lab.open(page, "text", "whatif", TEXT)
    page.locator("[data-lens]").wait_for()
    shown = page.locator("[data-lens] tbody tr").evaluate_all(
        "all => all.map((row) => [...row.querySelectorAll('[data-p]')].map((cell) => +cell.dataset.p))"
    )
    assert shown == [list(row) for row in reversed(trace.logit_lens.probabilities)]
