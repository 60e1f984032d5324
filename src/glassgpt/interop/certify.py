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
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.safe_io import damaged, read_json
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
N_POSITIONS = 64
"""Positions of a held-out window that are predicted, at most: spread over all of it."""
CONTINUE_TEXT = ("gpt", "bigram")
"""Families that continue a text. A format that holds others compares them by its own checks."""
MIN_LOGPROB = -80.0
"""Log-probabilities below count as equal: float32 cannot hold the probabilities."""


class Runtime(Protocol):
    """A foreign program with the exported model loaded."""

    name: str
    """Program and version, such as `transformers 5.24.0`."""

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without added tokens."""
        ...

    def logits(self, ids: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Return the logits after the tokens at n positions: (n, V), float32, up to a constant per row."""
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
    """The greedy tokens must be equal, near ties aside. False for rounded weights."""


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


def certify(
    source: ExportSource,
    runtime: Runtime,
    format: str,
    limits: Tolerance,
    left_out: str = "",
    n_greedy: int = N_GREEDY,
) -> Certificate:
    """Compare a loaded export with the model that it was made of, or an import with its origin.

    left_out: characters that no random string holds, because the program encodes them otherwise. n_greedy:
    tokens that both programs generate, at most.
    """
    ids = compare_ids(source.tokenizer, runtime, source.text, left_out, N_STRANGE)
    if source.shape.family not in CONTINUE_TEXT:
        return Certificate(format, runtime.name, (*ids,))
    predictions = [*compare_predictions(source, runtime, limits)]
    difference = float(predictions[0].observed)
    tokens = compare_greedy(source, runtime, limits, difference, n_greedy)
    return Certificate(format, runtime.name, (*ids, *predictions, *tokens))


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


def read_certificate(folder: Path) -> Certificate | None:
    """Read the certificate in a folder; None without one. Raises UserError for a damaged one."""
    path = folder / FILE
    if not path.is_file():
        return None
    found = read_json(path)
    try:
        findings = tuple(Finding(**each) for each in found["findings"])
        return Certificate(str(found["format"]), str(found["runtime"]), findings)
    except (KeyError, TypeError) as error:
        raise damaged(path, "no certificate of GlassGPT") from error


def compare_ids(
    tokenizer: Tokenizer, runtime: Runtime, text: str, left_out: str = "", n_strings: int = N_STRANGE
) -> Iterator[Finding]:
    """Yield findings about token ids: of held-out text, and of random strings without some characters."""
    pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    absent = str.maketrans(dict.fromkeys(left_out))
    strings = [each.translate(absent) for each in strange_strings(n_strings)]
    yield _same_ids(tokenizer, runtime, pieces, N_("pieces of text, of {n:,}", n=len(pieces)))
    yield _same_ids(tokenizer, runtime, strings, N_("random strings, of {n:,}", n=n_strings))


def _same_ids(tokenizer: Tokenizer, runtime: Runtime, texts: Sequence[str], what: str) -> Finding:
    differing = 0
    for text in texts:
        try:
            ours = tokenizer.encode(text)
        except UserError:  # a vocabulary without byte tokens does not encode all characters
            continue
        differing += ours != runtime.encode(text)
    return Finding.at_most(N_("different token ids: {what}", what=what), differing, 0)


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
    """Yield findings about the predictions in held-out windows: log-probabilities, KL and the loss."""
    largest = kl = ours_nats = theirs_nats = 0.0
    n = 0
    for row in source.windows:
        positions = spread_positions(len(row) - 1, N_POSITIONS)
        ours = log_probs(source.model(row[None])[0, positions])  # (n, V)
        theirs = log_probs(runtime.logits(row.tolist(), positions))
        targets = row[torch.tensor(positions) + 1]
        largest = max(largest, (ours - theirs).abs().max().item())
        kl += F.kl_div(theirs, ours, log_target=True, reduction="sum").item()
        ours_nats += F.nll_loss(ours, targets, reduction="sum").item()
        theirs_nats += F.nll_loss(theirs, targets, reduction="sum").item()
        n += len(positions)
    yield Finding.at_most(N_("largest log-probability difference, nats"), largest, limits.logit)
    yield Finding.at_most(N_("KL divergence, nats per token"), kl / n, limits.kl)
    yield Finding.near(
        N_("loss on held-out text, nats per token"), theirs_nats / n, ours_nats / n, within=limits.logit
    )


def spread_positions(n: int, most: int) -> list[int]:
    """Return at most `most` of n positions, spread from the first to the last.

    >>> spread_positions(5, 8), spread_positions(100, 4)
    ([0, 1, 2, 3, 4], [0, 33, 66, 99])
    """
    return torch.linspace(0, n - 1, min(n, most)).round().long().tolist()


def log_probs(logits: Tensor) -> Tensor:
    """Return log-probabilities, in float64, of logits (..., V)."""
    return logits.double().log_softmax(-1).clamp(min=MIN_LOGPROB)


def compare_greedy(
    source: ExportSource, runtime: Runtime, limits: Tolerance, difference: float, n_greedy: int = N_GREEDY
) -> Iterator[Finding]:
    """Compare the most probable tokens after the beginning of held-out text.

    difference: the largest one of a log-probability, nats. If our two best tokens are nearer than twice that,
    rounding decides: this near tie is a finding of its own, and the comparison goes on after our token.
    """
    prompt = source.windows[0][: max(1, source.shape.block_size // 8)].tolist()
    n = min(n_greedy, source.shape.block_size - len(prompt))
    ours, margins = greedy(source.model, prompt, n)
    n_equal, ties = 0, []
    while n_equal < n:
        theirs = runtime.greedy(prompt + ours[:n_equal], n - n_equal)
        n_equal += _n_equal(ours[n_equal:], theirs)
        if n_equal == n or not limits.same_tokens or margins[n_equal] > 2 * difference:
            break
        ties.append(n_equal)
        n_equal += 1
    yield Finding.at_least(N_("equal greedy tokens, of {n}", n=n), n_equal, n if limits.same_tokens else 0)
    if ties:
        places = ", ".join(str(each + 1) for each in ties)
        yield Finding(
            N_("near ties among the greedy tokens, at token"), places, N_("rounding decides"), "unclear"
        )


def _n_equal(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """Return the number of equal tokens at the beginning."""
    pairs = zip(ours, theirs, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))


@torch.inference_mode()
def greedy(model: Model, ids: Sequence[int], n: int) -> tuple[list[int], list[float]]:
    """Return n more tokens of a model, each the most probable one, generated with a cache.

    The second list holds the margins: how far each token's logit is above the next one, nats.
    """
    cache, found, margins = model.new_cache(1), [], []
    tokens = torch.tensor([ids])
    for _ in range(n):
        best = model(tokens, cache=cache)[0, -1].topk(2)
        tokens = best.indices[:1][None]  # (1, 1)
        found.append(int(tokens))
        margins.append(float(best.values[0] - best.values[1]))
    return found, margins
