"""The course of a training run: held-out and training losses by step, and their trend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

Direction = Literal["falling", "flat", "rising", "unknown"]
"""Course of the held-out loss at the end of a run."""
RISE = 0.003
"""A held-out loss that ends more than this share above its best is rising."""
FALL = 0.01
"""A held-out loss that fell by more than this share in the last third of the steps is falling."""
UNSTABLE = 1.1
"""A training loss that ends over this multiple of its minimum has become unstable."""
STUCK = 0.98
"""A training loss that ends over this multiple of its first value has learned nothing."""
N_MEANS = 20
"""Number of means that a training loss is reduced to: single batches are noisy."""

Points = tuple[tuple[int, float], ...]
"""(step, nats per character), by step."""


@dataclass(frozen=True)
class Curve:
    """Losses of a run by step, in nats per character, and the number of times it read the text."""

    evals: Points = ()
    losses: Points = ()
    epochs: float = 0.0

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], tokens_per_char: float, n_train_tokens: int) -> Self:
        """Make the curve of events in their wire format, as in metrics.jsonl.

        tokens_per_char: converts training losses to nats per character. n_train_tokens: predicted tokens of
        one pass over the training data. A step that was repeated after a kill counts once.
        """
        evals: dict[int, float] = {}
        losses: dict[int, float] = {}
        tokens: dict[int, float] = {}
        for row in rows:
            match row:
                case {"event": "eval", "step": int(step), "nats_per_char": float(nats)}:
                    evals[step] = nats
                case {"event": "step", "step": int(step), "loss": float(loss), "tokens": int(n)}:
                    losses[step], tokens[step] = loss * tokens_per_char, n
                case _:
                    pass
        epochs = sum(tokens.values()) / max(1, n_train_tokens)
        return cls(tuple(sorted(evals.items())), tuple(sorted(losses.items())), epochs)


@dataclass(frozen=True)
class Trend:
    """The end of a curve in a few figures; losses in nats per character.

    `best` is the held-out loss at `best_step`, `last` that at `last_step`. `train` is the training loss at
    the end, `train_start` at the start, `train_low` at its lowest; NaN if it is unknown.
    """

    direction: Direction
    n_evals: int = 0
    best_step: int = 0
    last_step: int = 0
    best: float = math.nan
    last: float = math.nan
    epochs: float = 0.0
    train: float = math.nan
    train_start: float = math.nan
    train_low: float = math.nan

    @property
    def is_unstable(self) -> bool:
        """True if the training loss rose again: the sign of a learning rate that is too high."""
        return self.train > UNSTABLE * self.train_low

    @property
    def is_stuck(self) -> bool:
        """True if the training loss did not fall."""
        return self.train > STUCK * self.train_start

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; unknown losses are None."""
        values = asdict(self)
        return {
            name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a trend from `to_dict`. Raises TypeError for an unknown field."""
        values: dict[str, Any] = {name: math.nan if v is None else v for name, v in data.items()}
        return cls(**values)


def trend(curve: Curve) -> Trend:
    """Read the trend of a curve.

    >>> trend(Curve(evals=((10, 3.0), (20, 2.5), (30, 2.9)))).direction
    'rising'
    """
    losses = _means([loss for _, loss in curve.losses])
    train = (losses[-1], losses[0], float(losses.min())) if len(losses) else (math.nan,) * 3
    if not curve.evals:
        return Trend(_fallen(train[1], train[0]) if len(losses) > 1 else "unknown", 0, 0, 0, *(math.nan,) * 2)
    best_step, best = min(curve.evals, key=lambda point: point[1])
    last_step, last = curve.evals[-1]
    return Trend(
        _direction(curve, best, last, train),
        len(curve.evals),
        best_step,
        last_step,
        best,
        last,
        curve.epochs,
        *train,
    )


def _direction(curve: Curve, best: float, last: float, train: tuple[float, ...]) -> Direction:
    """Return the course of the held-out loss; of one evaluation, that of the training loss."""
    last_step = curve.evals[-1][0]
    if last > best * (1 + RISE) + 1e-3:
        return "rising"
    if len(curve.evals) > 1:
        early = [loss for step, loss in curve.evals[:-1] if step <= last_step * 2 / 3]
        return _fallen(early[-1] if early else curve.evals[0][1], last)
    return _fallen(train[1], train[0]) if math.isfinite(train[0]) else "unknown"


def _fallen(before: float, after: float) -> Direction:
    return "falling" if before > after * (1 + FALL) + 1e-3 else "flat"


def _means(losses: list[float]) -> np.ndarray:
    """Reduce a training loss to at most `N_MEANS` means of neighbors."""
    groups = np.array_split(np.array(losses), min(N_MEANS, len(losses))) if losses else []
    return np.array([group.mean() for group in groups])
