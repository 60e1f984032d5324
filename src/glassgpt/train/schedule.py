"""The length of a run, its clock, and the learning rate schedule."""

from __future__ import annotations

import time
from dataclasses import dataclass

from glassgpt.config import OptimConfig, RunConfig
from glassgpt.train.parallel import Dist

DEFAULT_MINUTES = 5.0


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

    def progress(self, step: float, elapsed_s: float, reserved_s: float = 0.0) -> float:
        """Return the share of the run that is done, 0 to 1.

        reserved_s: seconds kept for the last evaluation.

        >>> Budget(steps=200).progress(50, 9.0), Budget(seconds=60).progress(50, 45.0)
        (0.25, 0.75)
        """
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, elapsed_s / max(self.seconds - reserved_s, 1e-9))


class Clock:
    """Seconds of training, earlier attempts included."""

    def __init__(self, dist: Dist) -> None:
        self.dist = dist
        self.synced_s = 0.0
        """`elapsed_s` at the last `sync`, equal in all processes: decisions use this one."""
        self._earlier_s, self._started = 0.0, time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds of training until now, in this process."""
        return self._earlier_s + time.monotonic() - self._started

    def start(self) -> None:
        """Start counting now, on top of earlier attempts."""
        self._started = time.monotonic()

    def continue_from(self, elapsed_s: float) -> None:
        """Start counting now, after `elapsed_s` seconds in earlier attempts."""
        self._earlier_s = self.synced_s = elapsed_s
        self.start()

    def sync(self, stopping: bool) -> bool:
        """Agree with all processes on the time and on stopping."""
        self.synced_s, stop = self.dist.all_reduce_max(self.elapsed_s, stopping)
        return bool(stop)


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
