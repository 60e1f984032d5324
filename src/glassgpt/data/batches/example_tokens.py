"""Examples as token ids and pixels: one safetensors file per split, and the batches cut from it.

A batch is a pure function of (seed, index), as windows of running text are. Examples of similar length
share a batch, so little of it is padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from glassgpt.atomic_write import replacing
from glassgpt.data.batches.batch import IGNORE, Batch
from glassgpt.data.batches.ragged import Ragged, group_by_length
from glassgpt.data.batches.templates import Template
from glassgpt.data.examples import Example
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.nn import PAD
from glassgpt.safe_io import damaged, file_size

POOL = 64
"""Number of batches whose examples are sorted by length together. Their order stays random."""
ALIKE = 8
"""Lengths within so many tokens count as equal. Exact sorting would group short examples by their kind."""
FORMER_KEYS = {"given": "source", "given_starts": "source_starts", "asked": "loss_mask"}
"""Names of arrays in files written before 0.1.0, and today's names."""


@dataclass(frozen=True)
class ExampleSplit:
    """One split of examples: sources, and texts made of a prompt and an answer."""

    source: Ragged
    """Token ids that the encoder reads; empty rows for images and for a decoder-only model."""
    text: Ragged
    """Token ids of prompt and answer, or one class id per example."""
    n_prompt: np.ndarray
    """(n_examples,): number of tokens of each prompt."""
    n_chars: int
    """Characters of all answers, an `<eos>` and a class counting as one. The loss is divided by it."""
    n_bytes: int
    """UTF-8 bytes of all answers, counted in the same way."""
    image: np.ndarray | None = None
    """(n_examples,): index into `images`."""
    images: np.ndarray | None = None
    """(N, channels, H, W) of uint8."""
    loss_mask: np.ndarray | None = None
    """(number of ids of `text`,) of bool: True for a predicted token. None: all after the prompt are."""
    is_class: bool = False
    """True if each row of `text` is one class id."""

    def __len__(self) -> int:
        return len(self.text)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each example, source and text: (n_examples,)."""
        return self.source.lengths + self.text.lengths

    @property
    def n_targets(self) -> int:
        """Number of predicted tokens, or of classes."""
        if self.loss_mask is not None:
            return int(self.loss_mask.sum())
        return int((self.text.lengths - self.n_prompt).sum())

    @property
    def largest_id(self) -> int:
        """The largest token id."""
        return int(max(self.source.ids.max(initial=0), 0 if self.is_class else self.text.ids.max(initial=0)))

    def batch(self, rows: np.ndarray) -> Batch:
        """Return the batch of these examples."""
        if self.is_class:
            return self._class_batch(rows)
        text = torch.from_numpy(self.text.matrix(rows, PAD))  # (B, T + 1)
        predicted = self._predicted(rows, text)
        tokens, targets = text[:, :-1].contiguous(), text[:, 1:].where(predicted, IGNORE)  # (B, T) each
        if self.loss_mask is not None:
            return Batch(tokens, targets)
        if self.images is None or self.image is None:
            return Batch(tokens, targets, torch.from_numpy(self.source.matrix(rows, PAD)))  # source: (B, S)
        used, source_of = np.unique(self.image[rows], return_inverse=True)
        return Batch(tokens, targets, torch.from_numpy(self.images[used]), torch.from_numpy(source_of))

    def _class_batch(self, rows: np.ndarray) -> Batch:
        source = torch.from_numpy(self.source.matrix(rows, PAD))  # (B, S)
        return Batch(source, torch.from_numpy(self.text.matrix(rows, PAD)))  # targets: (B, 1)

    def _predicted(self, rows: np.ndarray, text: torch.Tensor) -> torch.Tensor:
        """Return True for each target that is predicted: (B, T), from text of (B, T + 1)."""
        if self.loss_mask is not None:
            mask = Ragged(self.loss_mask, self.text.starts).matrix(rows, 0)  # (B, T + 1)
            return torch.from_numpy(mask).bool()[:, 1:]
        n_prompt = torch.from_numpy(self.n_prompt[rows])[:, None]  # (B, 1)
        return (text[:, 1:] != PAD) & (torch.arange(1, text.shape[1]) >= n_prompt)


@dataclass(frozen=True)
class ExampleData:
    """The training and validation splits of a run."""

    train: ExampleSplit
    val: ExampleSplit


class ExampleBatches:
    """Shuffled batches of examples of similar length; each example at most once per epoch.

    Examples about one image share a batch instead, so the encoder reads the image only once.
    """

    def __init__(self, split: ExampleSplit, seed: int) -> None:
        self.split, self.seed = split, seed
        self._key = (-1, -1)
        self._batches: list[np.ndarray] = []

    def batch(self, index: int, B: int) -> Batch:
        """Return batch number `index` of B examples, fewer if the split has fewer."""
        epoch, place = divmod(index, max(1, len(self.split) // B))
        if self._key != (epoch, B):
            self._key, self._batches = (epoch, B), self._shuffle(epoch, B)
        return self.split.batch(self._batches[place])

    def _shuffle(self, epoch: int, B: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.split))
        lengths = (self.split.lengths + rng.integers(ALIKE)) // ALIKE
        if self.split.image is not None:
            rank = rng.permutation(
                len(order)
            )  # a random rank per image; there are at most as many as examples
            order = order[np.argsort(rank[self.split.image[order]], kind="stable")]
        order = order[: max(B, len(order) // B * B)]  # the dropped examples are random, not the longest
        pools = [order[i : i + POOL * B] for i in range(0, len(order), POOL * B)]
        if self.split.image is None:
            pools = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
        ordered = np.concatenate(pools)
        if len(ordered) <= B:
            return [ordered]
        starts = B * rng.permutation(len(ordered) // B)
        return [ordered[start : start + B] for start in starts]


def eval_rows(split: ExampleSplit, max_tokens: int, n_patch: int = 0) -> Iterator[np.ndarray]:
    """Yield every example once, shortest first, in batches of at most `max_tokens` padded tokens.

    n_patch: tokens that the image of each example adds.
    """
    return group_by_length([split.source.lengths, split.text.lengths], max_tokens, n_patch)


def write_examples(
    splits: dict[str, Sequence[Example]], template: Template, images: np.ndarray | None, folder: Path
) -> ExampleData:
    """Encode `train` and `val` into `folder`, with their images, and open them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, examples in splits.items():
        write_split(_encode(examples, template, images), folder / f"{name}.safetensors")
    return open_examples(folder)


def open_examples(folder: Path) -> ExampleData:
    """Open the splits written by `write_examples` or `write_chat`.

    Raises UserError if a file is missing or damaged.
    """
    try:
        return ExampleData(*(_read_split(folder / f"{name}.safetensors") for name in ("train", "val")))
    except UserError:
        raise
    except (OSError, KeyError, ValueError, TypeError, IndexError, SafetensorError) as error:
        raise UserError(
            "{folder}: cannot read the examples ({error}). Train a new run.", folder=folder, error=error
        ) from error


def _encode(examples: Sequence[Example], template: Template, images: np.ndarray | None) -> ExampleSplit:
    prompts = [template.prompt(example) for example in examples]
    texts = ([*prompt, *template.answer(e)] for prompt, e in zip(prompts, examples, strict=True))
    is_class = not any(prompts)
    n_chars = n_bytes = len(examples)  # an `<eos>` or a class counts as one
    if not is_class:
        n_chars += sum(len(example.target) for example in examples)
        n_bytes += sum(len(example.target.encode("utf-8", "replace")) for example in examples)
    split = ExampleSplit(
        Ragged.of(template.source(example) for example in examples),
        Ragged.of(texts),
        np.array([len(prompt) for prompt in prompts]),
        n_chars,
        n_bytes,
        is_class=is_class,
    )
    if images is None:
        return split
    used, image = np.unique([example.image for example in examples], return_inverse=True)
    return replace(split, image=image, images=images[used])


def write_split(split: ExampleSplit, path: Path) -> None:
    """Write one split as safetensors. A file at `path` is replaced."""
    arrays = {
        "source": split.source.ids,
        "source_starts": split.source.starts,
        "text": split.text.ids,
        "text_starts": split.text.starts,
        "n_prompt": split.n_prompt,
        "n_chars_bytes": np.array([split.n_chars, split.n_bytes]),
        "is_class": np.array([split.is_class]),
    }
    optional = {"image": split.image, "images": split.images, "loss_mask": split.loss_mask}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    with replacing(path) as temporary:
        save_file(arrays, temporary)


def _read_split(path: Path) -> ExampleSplit:
    file_size(path)
    arrays = {FORMER_KEYS.get(name, name): array for name, array in load_file(path).items()}
    loss_mask = arrays.get("loss_mask")
    if "is_class" in arrays:
        is_class = bool(arrays["is_class"][0])
    else:  # a former file: only the examples of a classifier have neither prompts nor a loss mask
        is_class = loss_mask is None and not arrays["n_prompt"].any()
    n_chars, n_bytes = arrays["n_chars_bytes"].tolist()
    split = ExampleSplit(
        Ragged(arrays["source"], arrays["source_starts"]),
        Ragged(arrays["text"], arrays["text_starts"]),
        arrays["n_prompt"],
        n_chars,
        n_bytes,
        arrays.get("image"),
        arrays.get("images"),
        loss_mask,
        is_class,
    )
    if not _is_consistent(split):
        raise damaged(path, N_("arrays that do not fit together"))
    return split


def _is_consistent(split: ExampleSplit) -> bool:
    """Return True if all arrays are of whole numbers and describe the same examples."""
    arrays = (split.source.ids, split.source.starts, split.text.ids, split.text.starts, split.n_prompt)
    if any(a.ndim != 1 or a.dtype.kind not in "iu" or a.min(initial=0) < 0 for a in arrays):
        return False
    same_length = len(split.source) == len(split.text) == len(split.n_prompt) > 0
    if not (same_length and split.source.is_consistent and split.text.is_consistent):
        return False
    if split.loss_mask is not None and split.loss_mask.shape != split.text.ids.shape:
        return False
    if split.images is None or split.image is None:
        return split.images is split.image
    fits = split.image.shape == split.n_prompt.shape and split.images.ndim == 4
    return bool(fits and split.image.dtype.kind in "iu" and split.image.max() < len(split.images))
