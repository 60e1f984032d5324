"""Generate text with an exported model: `python generate.py "Once" --tokens 200`.

It needs numpy, onnxruntime and tokenizers; for a model of images also pillow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

Tensors = Mapping[str, np.ndarray]
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def run(session: onnxruntime.InferenceSession, inputs: Tensors) -> dict[str, np.ndarray]:
    """Run a graph; return its outputs by their names."""
    names = [each.name for each in session.get_outputs()]
    found = [np.asarray(each) for each in session.run(names, dict(inputs))]
    return dict(zip(names, found, strict=True))


class Model:
    """The graphs, the tokenizer and the settings of a folder."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.decoder = onnxruntime.InferenceSession(folder / "model.onnx")
        encoder = folder / "encoder.onnx"
        self.encoder = onnxruntime.InferenceSession(encoder) if encoder.exists() else None

    def prompt(self, text: str) -> list[int]:
        """Return the ids to continue: a text, a question, or the beginning of a translation."""
        settings = self.settings
        ids = [] if settings["family"] == "seq2seq" else self.encode(text)
        return [*settings["before"], *ids, *settings["after"]]

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def memory(self, source: np.ndarray) -> dict[str, np.ndarray]:
        """Encode token ids (B, S), padded with -1, or images (B, channels, H, W) of uint8."""
        assert self.encoder is not None
        return run(self.encoder, {self.encoder.get_inputs()[0].name: source})

    def empty(self, batch: int = 1) -> dict[str, np.ndarray]:
        """Return the past of texts that have not begun: keys and values of no token."""
        past = [each for each in self.decoder.get_inputs() if each.name.startswith("past_")]
        return {each.name: np.zeros(_sizes(each.shape, batch), TYPES[each.type]) for each in past}

    def read(self, tokens: np.ndarray, past: Tensors, memory: Tensors) -> tuple[np.ndarray, Tensors]:
        """Read tokens (B, T) after the past; return logits (B, T, V) and the longer past."""
        found = run(self.decoder, {"input_ids": tokens, **past, **memory})
        logits = found.pop("logits")
        return logits, {name.replace("present.", "past_key_values."): each for name, each in found.items()}

    def generate(
        self,
        ids: Sequence[int],
        n: int,
        temperature: float = 0.0,
        seed: int = 0,
        memory: Tensors | None = None,
        end: int | None = None,
    ) -> Iterator[int]:
        """Yield up to n more tokens, up to the token `end`. temperature: 0 takes the most probable one."""
        context = self.settings["context"]
        rng, past, visible = np.random.default_rng(seed), self.empty(), list(ids)
        new = visible
        for _ in range(n):
            if context and len(visible) > context:
                if memory:
                    return
                new = visible = visible[-max(1, context // 2) :]  # the context slides
                past = self.empty()
            logits, past = self.read(np.array([new]), past, memory or {})
            token = choose(logits[0, -1], temperature, rng)
            if token == end:
                return
            yield token
            new, visible = [token], [*visible, token]


def choose(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    """Choose a token by its logits (V,)."""
    if temperature == 0:
        return int(logits.argmax())
    p = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    return int(rng.choice(len(p), p=p / p.sum()))


def _sizes(shape: Sequence[int | str], batch: int) -> list[int]:
    """Return the sizes of a tensor for a past of no token."""
    return [each if isinstance(each, int) else batch if each == "batch" else 0 for each in shape]


def pixels(path: str, shape: Sequence[int]) -> np.ndarray:
    """Read an image as (1, channels, H, W) of uint8, on white and padded with black."""
    from PIL import Image, ImageOps

    channels, *size = shape
    square = ImageOps.pad(Image.open(path).convert("RGBA"), (size[1], size[0]), color="black")
    square = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    found = np.asarray(square).transpose(2, 0, 1)  # (3, H, W)
    if channels == 1:  # luma of ITU-R BT.601
        found = np.tensordot([[0.299, 0.587, 0.114]], found, 1).round().astype(np.uint8)
    return found[None]


def main() -> None:
    """Generate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", nargs="?", help="text to continue, to translate, or a question")
    parser.add_argument("--image", default="", help="an image, for a model of images")
    parser.add_argument("--tokens", type=int, default=200, help="tokens to generate at most")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: the most probable token each time")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    model = Model(Path(__file__).parent)
    text = model.settings["prompt"] if given.text is None else given.text
    source = pixels(given.image, model.settings["image"]) if given.image else np.array([model.encode(text)])
    memory, ids = model.memory(source) if model.encoder else None, model.prompt(text)
    new = [*model.generate(ids, given.tokens, given.temperature, given.seed, memory, model.settings["end"])]
    decoded = model.tokenizer.decode(new if model.settings["before"] else [*ids, *new])
    print(decoded)


if __name__ == "__main__":
    main()
