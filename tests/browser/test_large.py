"""A model of GPT-2's size with random weights: every view of 256 tokens is drawn, with PyTorch's numbers."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import glassgpt as gg
from glassgpt.lens import describe_heads
from glassgpt.train import import_pretrained
from helpers.browser import Lab, assert_shown, number, shown_tables

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TEXT = "abcdefgh" * 64  # 256 tokens of two letters
MAKER = Path(__file__).parents[2] / "benchmarks" / "random_gpt2.py"
WAIT_MS = 180_000


def make_gpt2(folder: Path) -> None:
    spec = spec_from_file_location("random_gpt2", MAKER)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make_gpt2(folder)


def test_every_view_of_gpt2(new_lab: Lab, page: Any, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    page.set_default_timeout(WAIT_MS)
    make_gpt2(tmp_path / "hf")
    import_pretrained(tmp_path / "hf", new_lab.runs / "gpt2", compare=False)
    trace = gg.trace(*gg.load_run(new_lab.runs / "gpt2"), TEXT, lens=False)
    new_lab.open(page, "gpt2", "walk", TEXT)
    page.locator("[data-audit]").wait_for()
    assert float(page.locator("[data-audit]").get_attribute("data-audit")) <= 1e-5
    page.locator("ol button").filter(has_text="softmax").last.press("Enter")
    weights = shown_tables(page)["walk-blocks.0.attn-0-weights"]
    assert_shown(weights, trace.tensors["blocks.0.attn.weights"][0], 4)
    page.get_by_role("tab", name="Heads").press("Enter")
    page.locator("[data-row]").first.wait_for()
    shown = page.locator("[data-row] [data-share=copy]").all_text_contents()
    copies = [each.copy for each in describe_heads(trace)]
    assert len(copies) == 144 and list(map(number, shown)) == pytest.approx(copies, abs=1e-3)
    for view, ready in (("bench", "[data-curve]"), ("whatif", "[data-loss]")):
        page.locator(f"[data-tab={view}]").press("Enter")
        page.locator(ready).wait_for()
    page.get_by_role("button", name="blocks.3.attn, head 1", exact=True).press("Space")
    page.locator("[data-loss]").filter(has_text="→").wait_for()
