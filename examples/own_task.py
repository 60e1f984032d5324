"""A task of your own: learn to write a line backwards.

It reuses the model family `seq2seq` and the data class of translation. New are the corpus and the sample.
It is not a new model: docs/guide/extending.md says how to add a model family. Run it on a text file:

    python examples/own_task.py notes.txt 500
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import glassgpt as gg
from glassgpt.tasks import TASKS, TranslationData, register
from glassgpt.train import Evaluated, Sampled

N_WORDS = 4
MAX_CHARS = 30


def read(config: gg.RunConfig) -> gg.ExampleCorpus:
    """Cut the sources into pieces of a few words; the target of each is the piece backwards."""
    words = [word for source in config.data.sources for word in Path(source).read_text("utf-8").split()]
    pieces = sorted({" ".join(words[i : i + N_WORDS])[:MAX_CHARS] for i in range(0, len(words), N_WORDS)})
    random.Random(config.train.seed).shuffle(pieces)
    examples = [gg.Example(target=piece[::-1], source=piece) for piece in pieces]
    n_val = max(1, round(config.data.val_fraction * len(examples)))
    return gg.ExampleCorpus(train=examples[n_val:], val=examples[:n_val])


class BackwardsData(TranslationData):
    """Pairs of a piece of text and the same piece backwards."""

    asked = "pieces"

    def sample(self, model: gg.Model, n_tokens: int, seed: int) -> str:
        """Show one held-out piece, and the model's answer read backwards again."""
        row = random.Random(seed).randrange(len(self.data.val))
        return f"{self.question(row)}\n{self.answers(model, [row])[0][::-1]}   (both lines should be equal)"


TASK = replace(
    TASKS["translation"],  # everything that is not named here stays: template, special tokens, command
    name="backwards",
    read=read,
    data=BackwardsData,
    ability="write text backwards",
    facts=lambda resolved, corpus: {"tokenizer": {"kind": "char"}, "train": {"label_smoothing": 0.0}},
)


def main(source: str, steps: int) -> None:
    """Train the task on a text file, and print samples and the verdict."""
    register(TASK)
    settings = {"data": {"sources": [source]}, "task": TASK.name, "train": {"steps": steps, "evals": 4}}
    session = gg.start(gg.RunConfig.model_validate(settings))
    for event in session.run():
        if isinstance(event, Evaluated | Sampled):
            print(event)
    print(session.verdict().sentence)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500)
