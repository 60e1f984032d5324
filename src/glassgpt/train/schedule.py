"""How far a run is, and which learning rate that means. Pure functions: resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass

from glassgpt.config import OptimConfig, TrainConfig

DEFAULT_MINUTES = 5.0


@dataclass(frozen=True)
class Budget:
    """The length of a run, in steps or in seconds; exactly one is set."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, config: TrainConfig) -> Budget:
        """What the configuration asks for; some minutes when it names neither."""
        if config.steps:
            return cls(steps=config.steps)
        return cls(seconds=60 * (config.minutes or DEFAULT_MINUTES))

    def progress(self, step: float, elapsed_s: float, reserved_s: float = 0.0) -> float:
        """Share of the run that is done, 0 to 1. `reserved_s` is kept back for what follows the last step.

        >>> Budget(steps=200).progress(50, 9.0), Budget(seconds=60).progress(50, 45.0)
        (0.25, 0.75)
        """
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, elapsed_s / max(self.seconds - reserved_s, 1e-9))


def lr_scale(progress: float, config: OptimConfig) -> float:
    """Share of the peak learning rate: a short rise, then a straight line down to `final_lr`.

    >>> config = OptimConfig(warmup=0.1)
    >>> [round(lr_scale(p, config), 2) for p in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < config.warmup:
        return progress / config.warmup
    remaining = (1 - progress) / (1 - config.warmup)
    return config.final_lr + (1 - config.final_lr) * remaining
