"""Certificate of an export: the written files, loaded by a foreign program and compared with our model.

A converter can be wrong in silence. So nothing counts as exported before another program has read it back,
encoded the same text to the same ids, and predicted the same tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.checkpoint import fingerprint, write_json
from glassgpt.diagnose import Finding
from glassgpt.errors import UserError
from glassgpt.interop.source import ExportSource
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

FILE = "certificate.json"
N_GREEDY = 256
"""Tokens that both programs generate, each the most probable one; fewer if the context is shorter."""
N_STRANGE = 2_000
"""Random strings that both programs encode."""
ALPHABETS = (
    "abcXYZ 019.,'\n\t",
    "  \u3000\n\r\t",
    "😀🚀\u200d🌈\ufe0fé\u0301ñ",
    "中文，。字符",
    "\x00\x01\x1b\x7f\u2028\ufeff\u2581",  # U+2581 stands for a space in SentencePiece
)
"""Characters of strange strings: plain text, spaces, emoji and accents, Chinese, controls."""
PIECE = 2_000
"""Characters of held-out text encoded at once."""


class Runtime(Protocol):
    """A foreign program with the exported model loaded."""

    name: str
    """Program and version, such as `transformers 5.24.0`."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without added tokens."""
        ...

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Return the logits after each token: (T, V), float32, up to a constant per row."""
        ...

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """Return n more tokens, each the most probable one, generated with the program's KV cache."""
        ...


class Tolerance(NamedTuple):
    """Largest differences from our model that a certificate allows."""

    logit: float
    """Difference of a log-probability, nats."""
    kl: float
    """Mean KL divergence from ours, nats per token."""
    same_tokens: bool = True
    """The greedy tokens must be equal. False for rounded weights."""


@dataclass(frozen=True)
class Certificate:
    """Outcome of the comparison with a foreign program."""

    format: str
    runtime: str
    findings: tuple[Finding, ...]

    @property
    def is_confirmed(self) -> bool:
        """True if no finding contradicts our model."""
        return all(finding.is_healthy for finding in self.findings)

    @property
    def failures(self) -> list[str]:
        """Findings that failed, in words."""
        return [
            f"{each.name}: {each.observed}, expected {each.expected}"
            for each in self.findings
            if not each.is_healthy
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def certify(source: ExportSource, runtime: Runtime, format: str, limits: Tolerance) -> Certificate:
    """Compare a loaded export with the model that it was made of."""
    return Certificate(
        format,
        runtime.name,
        (
            *compare_ids(source.tokenizer, runtime, source.text),
            *compare_predictions(source, runtime, limits),
            compare_greedy(source, runtime, limits),
        ),
    )


def write_certificate(
    folder: Path, certificate: Certificate, about: Mapping[str, Any], name: str = FILE
) -> None:
    """Write a certificate with the sizes and SHA-256 of all files in the folder."""
    files = {
        str(path.relative_to(folder)): fingerprint(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != name
    }
    write_json(folder / name, {**about, **certificate.to_dict(), "files": files})


def compare_ids(tokenizer: Tokenizer, runtime: Runtime, text: str) -> Iterator[Finding]:
    """Yield findings about token ids: of held-out text, and of strange strings."""
    pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    yield _same_ids(tokenizer, runtime, pieces, f"pieces of text, of {len(pieces):,}")
    yield _same_ids(tokenizer, runtime, [*strange_strings(N_STRANGE)], f"random strings, of {N_STRANGE:,}")


def _same_ids(tokenizer: Tokenizer, runtime: Runtime, texts: Sequence[str], what: str) -> Finding:
    differing = 0
    for text in texts:
        try:
            ours = tokenizer.encode(text)
        except UserError:  # a vocabulary without byte tokens does not encode all characters
            continue
        differing += ours != runtime.encode(text)
    return Finding.at_most(f"different token ids: {what}", differing, 0)


def strange_strings(n: int, seed: int = 0) -> Iterator[str]:
    """Yield random strings: spaces, emoji, Chinese, accents, control characters, all of Unicode."""
    draw = random.Random(seed)
    alphabets = [*ALPHABETS, "".join(ALPHABETS)]
    for _ in range(n):
        chars = draw.choice(alphabets)
        length = draw.randrange(1, 24)
        yield "".join(_any_char(draw) if draw.random() < 0.1 else draw.choice(chars) for _ in range(length))


def _any_char(draw: random.Random) -> str:
    code = draw.randrange(0x20, 0x10FFFF - 0x800)
    return chr(code if code < 0xD800 else code + 0x800)  # no surrogates


@torch.inference_mode()
def compare_predictions(source: ExportSource, runtime: Runtime, limits: Tolerance) -> Iterator[Finding]:
    """Yield findings about the predictions on held-out windows: log-probabilities, KL and the loss."""
    largest = kl = ours_nats = theirs_nats = 0.0
    n = 0
    for row in source.windows:
        ours = source.model(row[None])[0].double().log_softmax(-1)  # (T, V)
        theirs = runtime.logits(row.tolist()).double().log_softmax(-1)
        largest = max(largest, (ours - theirs).abs().max().item())
        kl += F.kl_div(theirs, ours, log_target=True, reduction="sum").item()
        ours_nats += F.nll_loss(ours[:-1], row[1:], reduction="sum").item()
        theirs_nats += F.nll_loss(theirs[:-1], row[1:], reduction="sum").item()
        n += len(row)
    n_targets = max(1, n - len(source.windows))
    yield Finding.at_most("largest log-probability difference, nats", largest, limits.logit)
    yield Finding.at_most("KL divergence, nats per token", kl / n, limits.kl)
    yield Finding.near(
        "loss on held-out text, nats per token",
        theirs_nats / n_targets,
        ours_nats / n_targets,
        within=limits.logit,
    )


def compare_greedy(source: ExportSource, runtime: Runtime, limits: Tolerance) -> Finding:
    """Compare the most probable tokens after the beginning of held-out text."""
    prompt = source.windows[0][: max(1, source.shape.block_size // 8)].tolist()
    n = min(N_GREEDY, source.shape.block_size - len(prompt))
    ours, theirs = greedy(source.model, prompt, n), runtime.greedy(prompt, n)
    equal = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), n)
    least = n if limits.same_tokens else 0
    return Finding.at_least(f"equal greedy tokens, of {n}", equal, least)


@torch.inference_mode()
def greedy(model: Model, ids: Sequence[int], n: int) -> list[int]:
    """Return n more tokens of a model, each the most probable one, generated with a cache."""
    cache, found = model.new_cache(1), []
    tokens = torch.tensor([ids])
    for _ in range(n):
        tokens = model(tokens, cache=cache)[:, -1:].argmax(-1)  # (1, 1)
        found.append(int(tokens))
    return found
