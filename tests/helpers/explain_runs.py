"""Small user runs for the chapters, trained for one step."""

from __future__ import annotations

import random
from pathlib import Path

import glassgpt as gg

WORDS = "the moon sees seven green boats on a cold river and no bird sings".split()


def small_run(folder: Path, family: str, train: dict[str, object] | None = None, **model: object) -> Path:
    """Make a run of a family (gpt, encoder, bigram, seq2seq). Its sources and answers share no letter."""
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=5)) for _ in range(200)]
    if family == "seq2seq":
        source = folder / "pairs.tsv"
        source.write_text("".join(f"{line}\t{len(line)}{i}\n" for i, line in enumerate(lines)), "utf-8")
    else:
        source = folder / "text.txt"
        source.write_text("\n".join(lines), "utf-8")
    shape = {"family": family, "n_layer": 2, "n_head": 4, "n_embd": 32, "block_size": 64} | model
    config = {
        "data": {"sources": [str(source)]},
        "tokenizer": {"kind": "char"},
        "model": shape,
        "train": {"steps": 3, "evals": 1, "sample_tokens": 0, "device": "cpu"} | (train or {}),
    }
    out = folder / "run"
    for _ in gg.start(gg.RunConfig.model_validate(config), out=out).run():
        pass
    return out
