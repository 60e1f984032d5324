"""Examples as token ids and pixels: one safetensors file a split, from which batches are cut.

A batch is a pure function of (seed, number), as windows of running text are. Examples of similar length
share a batch, so that little of it is padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from glassgpt.data.batches.batch import IGNORE, Batch
from glassgpt.data.batches.ragged import Ragged
from glassgpt.data.examples import Example
from glassgpt.errors import UserError
from glassgpt.nn import PAD

POOL = 64
"""Batches whose examples are sorted by length together: little padding, and still a random order."""
ALIKE = 8
"""Lengths that differ by fewer tokens are one: what is as short as that would be sorted by its kind."""


class Encoding(Protocol):
    """How the parts of an example become ids; each family has its own."""

    def given(self, example: Example) -> Sequence[int]:
        """What an encoder reads; nothing where it is an image."""
        ...

    def prompt(self, example: Example) -> Sequence[int]:
        """What a decoder is told before it writes; nothing where the answer is a class."""
        ...

    def answer(self, example: Example) -> Sequence[int]:
        """What is to be predicted: the tokens that a decoder writes, or the number of a class."""
        ...


@dataclass(frozen=True)
class ExampleSplit:
    """One split: what is given, and a text that begins with a prompt and goes on with the answer."""

    given: Ragged
    text: Ragged
    n_prompt: np.ndarray
    """(n_examples,): tokens of the prompt. 0: the text is not written, but is the number of a class."""
    n_chars: int
    """Characters of all answers, an end and a class counting as one: what the loss is divided by."""
    n_bytes: int
    image: np.ndarray | None = None
    """(n_examples,): which of the images each example is about."""
    images: np.ndarray | None = None
    """(N, channels, H, W) of uint8."""
    asked: np.ndarray | None = None
    """(number of ids of `text`,) of bool: which tokens are predicted, where that is no single answer."""

    def __len__(self) -> int:
        return len(self.text)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example in all: (n_examples,)."""
        return self.given.lengths + self.text.lengths

    def batch(self, rows: np.ndarray) -> Batch:
        """These examples as a batch."""
        if self.asked is not None:
            return self._parts(rows, self.asked)
        given = torch.from_numpy(self.given.matrix(rows, PAD))  # (B, S)
        text = torch.from_numpy(self.text.matrix(rows, PAD))  # (B, T + 1)
        n_prompt = torch.from_numpy(self.n_prompt[rows])[:, None]  # (B, 1)
        if not n_prompt.any():
            return Batch(given, text)
        targets = text[:, 1:]
        asked = (targets != PAD) & (torch.arange(1, text.shape[1]) >= n_prompt)
        tokens, targets = text[:, :-1].contiguous(), targets.where(asked, IGNORE)
        if self.images is None or self.image is None:
            return Batch(tokens, targets, given)
        used, source_of = np.unique(self.image[rows], return_inverse=True)
        return Batch(tokens, targets, torch.from_numpy(self.images[used]), torch.from_numpy(source_of))

    def _parts(self, rows: np.ndarray, asked: np.ndarray) -> Batch:
        """Texts of which some parts are predicted, such as conversations."""
        text = torch.from_numpy(self.text.matrix(rows, PAD))  # (B, T + 1)
        wanted = torch.from_numpy(Ragged(asked, self.text.starts).matrix(rows, 0)).bool()  # (B, T + 1)
        return Batch(text[:, :-1].contiguous(), text[:, 1:].where(wanted[:, 1:], IGNORE))


@dataclass(frozen=True)
class ExampleData:
    """The two splits of a run."""

    train: ExampleSplit
    val: ExampleSplit


class ExampleBatches:
    """Shuffled batches of examples of similar length; each example at most once an epoch.

    Examples about one image share a batch instead, which then has to look at the image only once.
    """

    def __init__(self, split: ExampleSplit, seed: int) -> None:
        self.split, self.seed = split, seed
        self._key = (-1, -1)
        self._batches: list[np.ndarray] = []

    def batch(self, index: int, B: int) -> Batch:
        """Batch number `index` of B examples, fewer where there are not as many."""
        epoch, place = divmod(index, max(1, len(self.split) // B))
        if self._key != (epoch, B):
            self._key, self._batches = (epoch, B), self._shuffle(epoch, B)
        return self.split.batch(self._batches[place])

    def _shuffle(self, epoch: int, B: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.split))
        lengths = (self.split.lengths + rng.integers(ALIKE)) // ALIKE
        if self.split.image is not None:
            rank = rng.permutation(len(order))  # of the images, which are not more than the examples
            order = order[np.argsort(rank[self.split.image[order]], kind="stable")]
        order = order[: max(B, len(order) // B * B)]  # who sits out an epoch is decided by lot, not by length
        pools = [order[i : i + POOL * B] for i in range(0, len(order), POOL * B)]
        if self.split.image is None:
            pools = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
        ordered = np.concatenate(pools)
        if len(ordered) <= B:
            return [ordered]
        starts = B * rng.permutation(len(ordered) // B)
        return [ordered[start : start + B] for start in starts]


def eval_rows(split: ExampleSplit, max_tokens: int, n_patch: int = 0) -> Iterator[np.ndarray]:
    """Every example once, the shortest first, in batches of at most so many tokens, padding included.

    n_patch: what the image of each takes besides.
    """
    given, text = split.given.lengths, split.text.lengths
    rows: list[int] = []
    widest = [0, 0]
    for row in np.argsort(given + text, kind="stable").tolist():
        wider = [max(widest[0], int(given[row])), max(widest[1], int(text[row]))]
        if rows and (len(rows) + 1) * (sum(wider) + n_patch) > max_tokens:
            yield np.array(rows)
            rows, wider = [], [int(given[row]), int(text[row])]
        rows.append(row)
        widest = wider
    if rows:
        yield np.array(rows)


def write_examples(
    splits: dict[str, Sequence[Example]], encoding: Encoding, images: np.ndarray | None, folder: Path
) -> ExampleData:
    """Encode `train` and `val` into `folder`, each with the images that it is about, and open them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, examples in splits.items():
        save_file(_arrays(examples, encoding, images), folder / f"{name}.safetensors")
    return open_examples(folder)


def open_examples(folder: Path) -> ExampleData:
    """The splits that `write_examples` left in `folder`."""
    try:
        return ExampleData(*(_split(load_file(folder / f"{name}.safetensors")) for name in ("train", "val")))
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: its examples cannot be read ({error}); train anew") from error


def _arrays(
    examples: Sequence[Example], encoding: Encoding, images: np.ndarray | None
) -> dict[str, np.ndarray]:
    prompts = [encoding.prompt(example) for example in examples]
    given = Ragged.of(encoding.given(example) for example in examples)
    text = Ragged.of([*prompt, *encoding.answer(e)] for prompt, e in zip(prompts, examples, strict=True))
    n_chars = n_bytes = len(examples)
    if any(prompts):  # what is written, and its end; a class counts as one
        n_chars += sum(len(example.target) for example in examples)
        n_bytes += sum(len(example.target.encode("utf-8", "replace")) for example in examples)
    arrays = {
        "given": given.ids,
        "given_starts": given.starts,
        "text": text.ids,
        "text_starts": text.starts,
        "n_prompt": np.array([len(prompt) for prompt in prompts]),
        "n_chars_bytes": np.array([n_chars, n_bytes]),
    }
    if images is not None:
        used, image = np.unique([example.image for example in examples], return_inverse=True)
        arrays |= {"image": image, "images": images[used]}
    return arrays


def _split(arrays: dict[str, np.ndarray]) -> ExampleSplit:
    n_chars, n_bytes = arrays["n_chars_bytes"].tolist()
    return ExampleSplit(
        Ragged(arrays["given"], arrays["given_starts"]),
        Ragged(arrays["text"], arrays["text_starts"]),
        arrays["n_prompt"],
        n_chars,
        n_bytes,
        arrays.get("image"),
        arrays.get("images"),
        arrays.get("asked"),
    )
