"""A GPT-2 with random weights, as a folder of Hugging Face: what benchmarks import."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make_gpt2(folder: Path, **config: Any) -> None:
    """Save a model, and a tokenizer of as many tokens as bytes and merges give.

    config: fields of `GPT2Config`; by default GPT-2 small.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    torch.manual_seed(0)
    settings = transformers.GPT2Config(**config)
    transformers.GPT2LMHeadModel(settings).save_pretrained(folder)
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {symbol: id for id, symbol in enumerate(symbols)}
    merges = []
    for pair in ((a, b) for a in symbols for b in symbols):
        if len(vocab) == settings.vocab_size:
            break
        merges.append(pair)
        vocab["".join(pair)] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
