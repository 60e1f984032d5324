"""An imported nanoGPT computes what nanoGPT computes, and its loss on the held-out text is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from glassgpt.checkpoint import Run, load_run
from glassgpt.train import import_nanogpt
from helpers import nanogpt


@pytest.mark.parametrize("bias", [True, False])
def test_same_logits(tmp_path: Path, bias: bool) -> None:
    found = nanogpt.checkpoint(bias=bias)
    path = nanogpt.save(tmp_path, found)
    import_nanogpt(path, tmp_path / "run", text=path.with_name("input.txt"), device="cpu")
    model, tokenizer = load_run(tmp_path / "run")
    assert tokenizer.decode(range(tokenizer.n_vocab)) == "".join(nanogpt.CHARS)
    tokens = torch.randint(len(nanogpt.CHARS), (5, 8))
    with torch.no_grad():
        theirs, ours = nanogpt.logits(found["model"], found["model_args"], tokens), model(tokens)
    assert theirs.std() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_same_loss_on_the_last_tenth(tmp_path: Path) -> None:
    """Window by window, each token once, the one before the first from the other nine tenths."""
    found = nanogpt.checkpoint()
    path = nanogpt.save(tmp_path, found)
    run = import_nanogpt(path, tmp_path / "run", text=path.with_name("input.txt"), device="cpu")
    ids = torch.tensor([nanogpt.CHARS.index(char) for char in nanogpt.TEXT])
    ids, total = ids[int(len(ids) * 0.9) - 1 :], 0.0
    for start in range(0, len(ids) - 1, 8):
        window = ids[start : start + 9]
        predicted = nanogpt.logits(found["model"], found["model_args"], window[None, :-1])[0]
        total += F.cross_entropy(predicted, window[1:], reduction="sum").item()
    assert Run.open(run.path).metrics()[-1]["nats_per_char"] == pytest.approx(
        total / (len(ids) - 1), rel=1e-5
    )
