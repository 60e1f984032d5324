"""A vocabulary without bytes: the lecture's 65 characters, and clear errors for all others."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.train import start


def config(source: Path, kind: str = "char") -> RunConfig:
    return RunConfig.model_validate(
        {
            "data": {"sources": [str(source)]},
            "tokenizer": {"kind": kind, "byte_fallback": False},
            "model": {"size": "nano", "n_layer": 1},
            "train": {"steps": 1, "evals": 1, "sample_tokens": 0},
        }
    )


def test_the_vocabulary_is_the_texts_characters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be, or not to be\n" * 200)
    session = start(config(tmp_path / "a.txt"), tmp_path / "run")
    losses = [event.loss for event in session.run() if event.kind == "step"]  # pyright: ignore
    n = len(set("to be, or not to be\n"))
    assert session.data.tokenizer.n_vocab == n
    assert losses == pytest.approx([math.log(n)], abs=0.05)
    (uniform,) = (row for row in session.baselines if row.kind == "uniform")
    assert uniform.nats_per_char == pytest.approx(math.log(n))
    with pytest.raises(UserError, match=r"'Z'.*byte_fallback"):
        session.folder.tokenizer().encode("Z")


def test_unseen_held_out_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be, or not to be\n" * 200 + "Z" * 20)
    with pytest.raises(UserError, match="not among the"):
        start(config(tmp_path / "a.txt"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_characters_can_go_without_bytes(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="byte_fallback"):
        config(tmp_path / "a.txt", "bpe")
