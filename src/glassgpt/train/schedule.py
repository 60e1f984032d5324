"""The length of a run, and the learning rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glassgpt.config import OptimConfig, RunConfig
from glassgpt.train.clock import Elapsed

DEFAULT_MINUTES = 5.0
END_SHARE = 0.08
"""Share of a run's seconds that its end usually takes: last evaluation, save, verdict."""


@dataclass(frozen=True)
class Budget:
    """The length of a run, in steps or in seconds; exactly one is set."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, config: RunConfig) -> Budget:
        """Return the budget of a configuration: `steps`, `tokens`, `minutes`, or else DEFAULT_MINUTES.

        >>> Budget.of(RunConfig.model_validate({"train": {"tokens": 5_000}, "model": {"block_size": 64}}))
        Budget(steps=5, seconds=None)
        """
        train = config.train
        if train.tokens:
            return cls(steps=-(-train.tokens // config.step_tokens))  # rounded up
        if train.steps:
            return cls(steps=train.steps)
        return cls(seconds=60 * (train.minutes or DEFAULT_MINUTES))

    def progress(self, step: float, elapsed: Elapsed, reserved_s: float = 0.0) -> float:
        """Return the share of the training that is done, 0 to 1.

        Training begins with the first step and ends `reserved_s` seconds before the end of the run.

        >>> Budget(steps=200).progress(50, Elapsed(2, 9))
        0.25
        >>> Budget(seconds=60).progress(50, Elapsed(prepared_s=10, trained_s=30), reserved_s=10)
        0.75
        """
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, elapsed.trained_s / max(self.training_s(elapsed.prepared_s, reserved_s), 1e-9))

    def training_s(self, prepared_s: float, reserved_s: float | None = None) -> float:
        """Return the seconds between preparation and end; infinity for a run of steps.

        reserved_s: seconds that the end takes, END_SHARE of the run by default.

        >>> Budget(seconds=100).training_s(prepared_s=12), Budget(steps=10).training_s(12)
        (80.0, inf)
        """
        if self.seconds is None:
            return math.inf
        end_s = END_SHARE * self.seconds if reserved_s is None else reserved_s
        return self.seconds - prepared_s - end_s

    def left_s(self, elapsed: Elapsed) -> float:
        """Return the seconds until the end of the run; infinity for a run of steps."""
        return math.inf if self.seconds is None else self.seconds - elapsed.total_s


def lr_scale(progress: float, config: OptimConfig) -> float:
    """Return the learning rate as a share of its peak.

    Linear warmup, then linear decay to `final_lr`.

    >>> config = OptimConfig(warmup=0.1)
    >>> [round(lr_scale(p, config), 2) for p in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < config.warmup:
        return progress / config.warmup
    remaining = (1 - progress) / (1 - config.warmup)
    return config.final_lr + (1 - config.final_lr) * remaining
