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
    """The length of a run, in steps, in seconds or in both: what is reached first ends it."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, config: RunConfig, steps_per_epoch: float | None = None) -> Budget:
        """Return the budget of a configuration: `steps`, `tokens`, `minutes`, or else DEFAULT_MINUTES.

        steps_per_epoch: of a pass over the training text, for `max_epochs`; None leaves that out.

        >>> Budget.of(RunConfig.model_validate({"train": {"tokens": 5_000}, "model": {"block_size": 64}}))
        Budget(steps=5, seconds=None)
        >>> Budget.of(RunConfig.of(minutes=1, max_epochs=2), steps_per_epoch=30.2)
        Budget(steps=61, seconds=60.0)
        """
        train, steps = config.train, config.train.steps
        if train.tokens:
            steps = -(-train.tokens // config.step_tokens)  # rounded up
        seconds = None if steps else 60 * (train.minutes or DEFAULT_MINUTES)
        if train.max_epochs and steps_per_epoch:
            most = math.ceil(train.max_epochs * steps_per_epoch)
            steps = min(steps or most, most)
        return cls(steps, seconds)

    @property
    def by_clock(self) -> bool:
        """True for a run measured in minutes, even if its passes over the text may end it before."""
        return self.seconds is not None

    def progress(self, step: float, elapsed: Elapsed, reserved_s: float = 0.0) -> float:
        """Return the share of the training that is done, 0 to 1.

        Training begins with the first step and ends `reserved_s` seconds before the end of the run.

        >>> Budget(steps=200).progress(50, Elapsed(2, 9))
        0.25
        >>> Budget(seconds=60).progress(50, Elapsed(prepared_s=10, trained_s=30), reserved_s=10)
        0.75
        """
        by_step = step / self.steps if self.steps else 0.0
        by_time = elapsed.trained_s / max(self.training_s(elapsed.prepared_s, reserved_s), 1e-9)
        return min(1.0, max(by_step, by_time))

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


def ends_by_epochs(config: RunConfig, budget: Budget, step: int) -> bool:
    """Return True if a run has made its `max_epochs` at this step, before its minutes or steps are over."""
    return budget != Budget.of(config) and step >= (budget.steps or math.inf)


def longer(config: RunConfig, budget: Budget, step: int) -> tuple[str, str]:
    """Return the setting that doubles the length of a run that ended at this step, and its value.

    >>> config = RunConfig.of(minutes=1, max_epochs=2)
    >>> budget = Budget.of(config, steps_per_epoch=30)
    >>> longer(config, budget, 50), longer(config, budget, 60)
    (('minutes', '2'), ('max_epochs', '4'))
    """
    train = config.train
    if train.max_epochs and ends_by_epochs(config, budget, step):
        return "max_epochs", f"{2 * train.max_epochs:g}"
    if train.tokens:
        return "tokens", str(2 * train.tokens)
    if budget.seconds is not None:
        return "minutes", f"{budget.seconds / 30:g}"
    return "steps", str(2 * (budget.steps or step))


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
