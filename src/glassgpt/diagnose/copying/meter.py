"""Copying score of a text, next to what held-out text of the same length scores.

Some copying is chance: people repeat phrases, too. So each figure stands next to that of held-out text, which
is new, and a passage that the training text itself repeats often is a phrase of it and does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, Self

from glassgpt.diagnose.copying.matches import CopiedSpan, Matches, longest_matches
from glassgpt.diagnose.copying.suffixes import SuffixIndex
from glassgpt.language import N_, _
from glassgpt.notebook_html import paragraph, underlined

MIN_SPAN = 32
"""Shortest passage that counts as copied, in characters."""
FREQUENT = 10
"""A passage that the training text has this many times is a phrase of it."""
MIN_WINDOWS, MAX_WINDOWS = 4, 16
HELD_OUT_CHARS = 1 << 16
"""Characters of held-out text that are measured, about."""

Locate = Callable[[int], tuple[int, str]]
"""Line and document of a byte of the training text."""


@dataclass(frozen=True)
class CopyingScore:
    """Share and length of the passages of a text that stand verbatim in the training text."""

    longest: int
    """Length of the longest passage in characters, phrases left out."""
    share: float
    """Share of the text in passages of MIN_SPAN or more characters, phrases left out."""
    mean: float
    """Mean over all characters of the longest passage that begins there, phrases included."""


@dataclass(frozen=True, repr=False)
class Copying:
    """Passages that a text copies from the training text. `print` says them; a notebook marks them."""

    n_chars: int
    score: CopyingScore
    held_out: tuple[CopyingScore, ...]
    """Scores of windows of held-out text, each of the same length."""
    text: str = ""
    spans: tuple[CopiedSpan, ...] = ()
    """Copied passages in order; they may overlap."""
    phrases: tuple[CopiedSpan, ...] = ()
    """Passages that the training text has FREQUENT times or more."""

    @property
    def ratio(self) -> float | None:
        """The mean match next to the median of held-out text; 1 means: copies as much as new text does."""
        usual = median(score.mean for score in self.held_out) if self.held_out else 0.0
        return self.score.mean / usual if usual else None

    def sentences(self) -> list[str]:
        """Return the result in sentences."""
        said = [
            N_(
                "The longest passage that stands word for word in the training text has {n:,} "
                "characters{held}.",
                n=self.score.longest,
                held=self._held([score.longest for score in self.held_out], lambda n: f"{n:,.0f}"),
            ),
            N_(
                "{share:.1%} of the text is in such passages of {least} or more characters{held}.",
                share=self.score.share,
                least=MIN_SPAN,
                held=self._held([score.share for score in self.held_out], lambda share: f"{share:.1%}"),
            ),
        ]
        if self.ratio is not None:
            said.append(
                N_(
                    "At each character, the longest passage that begins there has {mean:.1f} characters on "
                    "average: {ratio:.2f} times that of held-out text.",
                    mean=self.score.mean,
                    ratio=self.ratio,
                )
            )
        if self.phrases:
            said.append(
                N_(
                    "Not counted: {n} passages that the training text itself has {times} times or more.",
                    n=len(self.phrases),
                    times=FREQUENT,
                )
            )
        return said

    @property
    def line(self) -> str:
        """The result in a line, for a verdict."""
        return N_(
            "longest passage word for word from the training text: {n:,} characters{longest}; {share:.1%} in "
            "passages of {least} or more{held}",
            n=self.score.longest,
            longest=self._held([score.longest for score in self.held_out], lambda n: f"{n:,.0f}"),
            share=self.score.share,
            least=MIN_SPAN,
            held=self._held([score.share for score in self.held_out], lambda share: f"{share:.1%}"),
        )

    def _held(self, values: Sequence[float], form: Callable[[float], str]) -> str:
        if not values:
            return ""
        middle, low, high = map(form, (median(values), min(values), max(values)))
        if low == high:
            return N_(" (held-out text of this length: {median})", median=middle)
        return N_(
            " (held-out text of this length: {median}, between {low} and {high})",
            median=middle,
            low=low,
            high=high,
        )

    def __str__(self) -> str:
        return "\n".join(map(_, self.sentences()))

    def __repr__(self) -> str:
        return f"<Copying: {self.line}>"

    def _repr_html_(self) -> str:
        marks = [(span.start, span.stop, _(span_source(span))) for span in self.spans]
        said = "".join(paragraph(_(each), faint=True) for each in self.sentences())
        return f'<div>{underlined(self.text, marks)}</div><div style="margin-top: 1em">{said}</div>'

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON, without the text."""
        held_out = [asdict(score) for score in self.held_out]
        return {"n_chars": self.n_chars, **asdict(self.score), "held_out": held_out}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild the figures from `to_dict`. Raises KeyError, TypeError or ValueError for wrong fields."""
        held_out = tuple(map(_score, data["held_out"]))
        return cls(int(data["n_chars"]), _score(data), held_out)


def measure_copying(
    index: SuffixIndex, text: str, held_out: str = "", locate: Locate | None = None
) -> Copying:
    """Find the passages of a text that stand in the indexed training text, and score them.

    held_out: new text of the same kind, to compare with. locate: names line and document of a passage.
    """
    found = longest_matches(index, text)
    spans, phrases = _parted(found)
    if locate is not None:
        spans = [_located(span, locate) for span in spans]
    windows = _windows(held_out, len(text))
    return Copying(
        len(text),
        _scored(found, spans),
        tuple(_score_of(longest_matches(index, window)) for window in windows),
        found.text,
        tuple(spans),
        tuple(phrases),
    )


def span_source(span: CopiedSpan) -> str:
    """Return the place of a passage in the training text, in words; empty if it is not known."""
    if not span.line:
        return ""
    times = N_(", and {n} more times", n=span.count - 1) if span.count > 1 else ""
    if span.document:
        return N_("line {line:,} of {document}{times}", line=span.line, document=span.document, times=times)
    return N_("line {line:,} of the training text{times}", line=span.line, times=times)


def _parted(found: Matches) -> tuple[list[CopiedSpan], list[CopiedSpan]]:
    """Return the copied passages, and the phrases of the training text."""
    spans = found.spans(MIN_SPAN)
    return [s for s in spans if s.count < FREQUENT], [s for s in spans if s.count >= FREQUENT]


def _located(span: CopiedSpan, locate: Locate) -> CopiedSpan:
    line, document = locate(span.offset)
    return replace(span, line=line, document=document)


def _score_of(found: Matches) -> CopyingScore:
    return _scored(found, _parted(found)[0])


def _scored(found: Matches, spans: Sequence[CopiedSpan]) -> CopyingScore:
    """Return the score of a text with these copied passages; they are in order and may overlap."""
    covered, stop = 0, 0
    for span in spans:
        covered += max(0, span.stop - max(stop, span.start))
        stop = max(stop, span.stop)
    short = found.lengths[found.lengths < MIN_SPAN]
    longest = max([int(short.max(initial=0)), *map(len, spans)])
    n = max(1, len(found.lengths))
    return CopyingScore(longest, covered / n, float(found.lengths.sum()) / n)


def _windows(text: str, length: int) -> list[str]:
    """Return windows of a text, evenly spread, without overlap where it is long enough."""
    length = min(length, len(text))
    if not length:
        return []
    n = min(max(HELD_OUT_CHARS // length, MIN_WINDOWS), MAX_WINDOWS, len(text) // length)
    room = len(text) - length
    starts = [round(i * room / max(1, n - 1)) for i in range(n)]
    return [text[start : start + length] for start in starts]


def _score(data: dict[str, Any]) -> CopyingScore:
    return CopyingScore(int(data["longest"]), float(data["share"]), float(data["mean"]))
