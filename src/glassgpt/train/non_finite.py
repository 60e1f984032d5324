"""The reaction to a gradient with NaN or infinity."""

from __future__ import annotations

from glassgpt.config import TrainConfig
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.train.learner import GradientStats

MAX_BAD_STEPS = 10
"""Number of steps with a gradient that is not finite, in a whole run, before the run stops."""


def describe(stats: GradientStats, step: int, config: TrainConfig) -> str:
    """Describe the gradient of a step that is not finite."""
    n = config.grad_accum_steps
    batches = (
        N_("batch {step}", step=step)
        if n == 1
        else N_("batches {first} to {last}", first=step * n, last=step * n + n - 1)
    )
    return N_(
        "the gradient became {norm} at step {step} (loss {loss:.3f}, {batches} of seed "
        "{seed}); the weights are unchanged",
        norm=stats.norm,
        step=step,
        loss=stats.loss,
        batches=batches,
        seed=config.seed,
    )


def check_may_continue(stats: GradientStats, step: int, config: TrainConfig, n_skipped: int) -> None:
    """Raise UserError if `on_nan` is stop, or if too many steps were skipped before this one."""
    if config.on_nan == "stop" or n_skipped >= MAX_BAD_STEPS:
        raise UserError(
            "{problem}. Lower `lr` and `muon_lr`, raise `warmup`, or skip such steps with `on_nan` skip.",
            problem=describe(stats, step, config),
        )
