"""Counting right answers in one forward pass equals decoding greedily and comparing."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.data import Example, eval_rows, write_examples
from glassgpt.generate import translate
from glassgpt.models import Seq2Seq
from glassgpt.objective import CrossEntropy, n_correct
from glassgpt.tokenizers import train_tokenizer
from glassgpt.train import make_optimizers
from helpers.templates import SPECIALS, make_template


def test_right_without_decoding_is_right_after_decoding(tmp_path: Path) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdef", k=rng.randint(1, 6))) for _ in range(48)]
    examples = [Example(word[::-1], word) for word in dict.fromkeys(words)]
    tokenizer = train_tokenizer("char", ["abcdef"], specials=SPECIALS["seq2seq"])
    config = ModelConfig.model_validate({"family": "seq2seq", "size": "nano", "block_size": 16})
    split = write_examples(
        {"train": examples, "val": examples}, make_template(config, tokenizer), None, tmp_path
    ).val
    model = Seq2Seq(config, tokenizer.n_vocab)
    objective, optimizers = CrossEntropy(model), make_optimizers(model, OptimConfig(lr=0.003, muon_lr=0.01))
    batches = [split.batch(rows) for rows in eval_rows(split, 256)]
    shares = []
    for _ in range(12):
        for batch in batches:
            total, n_tokens, _ = objective(batch)
            (total / n_tokens).backward()
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad()
        with torch.no_grad():
            counted = sum(n_correct(objective.logits(batch), batch.targets) for batch in batches)
        said = translate(model, tokenizer, [e.source for e in examples], beams=1)
        assert counted == sum(one == e.target for one, e in zip(said, examples, strict=True))
        shares.append(counted / len(examples))
    assert any(0.1 < share < 0.9 for share in shares)  # or the comparison would be of nothing with nothing
