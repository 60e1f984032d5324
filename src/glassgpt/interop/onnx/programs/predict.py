"""Fill masks or tell classes with an exported model: `python predict.py "the cat [?] on the mat"`.

It needs numpy, onnxruntime and tokenizers. `[?]` stands for one missing token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Model:
    """The graph, the tokenizer and the settings of a folder."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.encoder = onnxruntime.InferenceSession(folder / "model.onnx")

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text without masks."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """Token ids (B, T), padded with -1 -> logits of tokens (B, T, V) or of classes (B, n_class)."""
        return np.asarray(self.encoder.run(["logits"], {"input_ids": tokens})[0])

    def classes(self, text: str) -> dict[str, float]:
        """Return the probability of each class."""
        ids = self.encode(text)[: self.settings["context"]]
        return dict(
            zip(self.settings["labels"], softmax(self.logits(np.array([ids]))[0]).tolist(), strict=True)
        )

    def fill(self, text: str, n: int = 5) -> Iterator[list[tuple[str, float]]]:
        """Yield the n most probable tokens of each `[?]`, with their probabilities."""
        mask, (first, *rest) = self.settings["mask"], text.split("[?]")
        ids = [*self.encode(first), *(id for part in rest for id in (mask, *self.encode(part)))]
        p = softmax(self.logits(np.array([ids[: self.settings["context"]]]))[0])  # (T, V)
        for row in p[np.array(ids[: len(p)]) == mask]:
            yield [(self.tokenizer.decode([i]), float(row[i])) for i in row.argsort()[::-1][:n]]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities, along the last axis."""
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def main() -> None:
    """Predict for a text from the command line."""
    model, text = Model(Path(__file__).parent), " ".join(sys.argv[1:])
    if model.settings["labels"]:
        for label, p in model.classes(text).items():
            print(f"{p:.3f} {label}")
    else:
        for tokens in model.fill(text):
            print("  ".join(f"{p:.3f} {token!r}" for token, p in tokens))


if __name__ == "__main__":
    main()
