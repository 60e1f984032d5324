"""Evaluations planned so that they take a small, known share of a run.

While training, an evaluation reads a fixed part of the validation split: every `stride`-th batch. The verdict
at the end reads the whole split, or a part of it if the whole would take too long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

TRAINING_SHARE = 0.03
"""Largest share of a run's time for the evaluations during training, and as much again for their samples."""
VERDICT_SHARE = 0.06
"""Largest share of a run's time for the verdict."""
MIN_TOKENS, MAX_TOKENS = 16_384, 131_072
"""Size of the part that an evaluation reads: less is noise, more gains nothing while training."""
MAX_EVAL_SHARE = 0.05
"""Largest share of a run's time for one evaluation: a slow model is measured on less than MIN_TOKENS."""
MIN_SLOW_TOKENS = 1_024
"""Size of the smallest part, however slow the model."""
STAGE_S = 1.0
"""Work that is expected to take longer is announced."""
MAX_STRIDE = 32
"""Largest stride of a verdict: a text has 256 parts, and 8 are the least that say something."""
VERDICT_S = 10.0
"""Seconds for the verdict of a run measured in steps, at least."""
EARLY = (0.05, 0.09)
"""Progress at the first two evaluations of a run by the clock: they refine its forecast before a tenth of it.

One alone cannot tell a quick start from a good end.
"""
FIRST = 0.9
"""Without early ones, the first evaluation of a run by the clock comes at this share of a gap."""
MOST_GAP = 0.1
"""Largest progress between evaluations of a run that has early ones."""
STEP_PASSES = 3
"""Time of a training step in forward passes: the backward pass takes about two."""


class EvalPlan:
    """Evaluations evenly spaced over a run, fewer if they are slow.

    time_s: seconds between the preparation and the end of the run, infinity for a run of steps; n_steps: its
    steps. n_tokens: targets of the validation split. min_tokens: the smallest part to measure.
    verdict_passes: time of the verdict per target, in those of an evaluation.

    >>> plan = EvalPlan(time_s=60, n_evals=10, n_tokens=2_000_000)
    >>> plan.next_eval
    0.05
    >>> plan.token_s = 1 / 50_000  # a forward pass over 50,000 tokens takes a second
    >>> plan.choose_part(step_tokens=1024)
    >>> plan.stride, plan.verdict_stride(), round(plan.eval_s, 2)
    (122, 22, 0.33)
    >>> plan.advance(0.1)
    >>> round(plan.next_eval, 3)
    0.364
    """

    def __init__(
        self,
        time_s: float,
        n_evals: int,
        n_tokens: int,
        min_tokens: int = 0,
        *,
        n_steps: int = 0,
        verdict_passes: float = 2.0,
    ) -> None:
        self.time_s, self.n_steps, self.n_evals = time_s, n_steps, n_evals
        self.n_tokens, self.min_tokens, self.verdict_passes = (
            n_tokens,
            max(MIN_TOKENS, min_tokens),
            verdict_passes,
        )
        self.token_s = 0.0
        """Seconds that the loss of one held-out token takes, measured or estimated."""
        self.eval_s = 0.0
        """Seconds that one evaluation during training takes, without its sample."""
        self.sample_s = 0.0
        """Seconds that a sample takes."""
        self.next_sample = 0.0
        """Progress from which an evaluation has a sample again."""
        self.stride = 1
        """An evaluation during training reads every `stride`-th batch."""
        self.next_eval = self.early[0] if self.early else (FIRST if self.by_clock else 1.0) / n_evals
        """Progress (0 to 1) at which the next evaluation is due."""
        self.last_step = 0
        """Step of the last evaluation; 0 for none."""

    @property
    def by_clock(self) -> bool:
        """True for a run measured in minutes."""
        return math.isfinite(self.time_s)

    @property
    def gap(self) -> float:
        """Progress from one evaluation to the next."""
        if not self.by_clock:
            return 1 / self.n_evals
        return max(1 / self.n_evals, self.eval_s / (TRAINING_SHARE * max(self.time_s, 1e-9)))

    @property
    def early(self) -> Sequence[float]:
        """Progress at the first evaluations, which do not wait for the grid."""
        return EARLY if self.by_clock and self.gap <= MOST_GAP else ()

    def sample_is_due(self, progress: float) -> bool:
        """Return True if an evaluation at this progress has a sample: all do, if samples are quick."""
        return not self.by_clock or progress >= min(1.0, self.next_sample - 1e-9)

    def add_sample(self, progress: float, seconds: float) -> None:
        """Note the time of a sample, which sets the distance to the next one."""
        self.sample_s = seconds
        if self.by_clock:
            self.next_sample = progress + seconds / (TRAINING_SHARE * max(self.time_s, 1e-9))

    def choose_part(self, step_tokens: int) -> None:
        """Fix the part that evaluations read, by the time that is left for them.

        step_tokens: targets of one training step. A run measured in steps gets the same part on any machine.
        """
        smallest = self.min_tokens
        if self.by_clock:
            n = TRAINING_SHARE * self.time_s / self.n_evals / self.token_s
            smallest = min(smallest, max(MIN_SLOW_TOKENS, MAX_EVAL_SHARE * self.time_s / self.token_s))
        else:
            n = TRAINING_SHARE * STEP_PASSES * step_tokens * self.n_steps / self.n_evals
        part = min(max(n, smallest), max(MAX_TOKENS, smallest))
        self.stride = max(1, round(self.n_tokens / part))
        self.eval_s = self.token_s * self.n_tokens / self.stride

    def restore(self, eval_s: float, stride: int, sample_s: float) -> None:
        """Continue with the part and the times of an earlier attempt."""
        self.eval_s, self.stride, self.sample_s = eval_s, stride, sample_s
        self.token_s = eval_s * stride / self.n_tokens

    def verdict_s(self, trained_s: float = 0.0) -> float:
        """Return the seconds that the verdict is expected to take."""
        return self.verdict_passes * self.token_s * self.n_tokens / self.verdict_stride(trained_s)

    def verdict_stride(self, trained_s: float = 0.0) -> int:
        """Return the stride of the verdict: 1 if the whole split fits into its share of the time.

        trained_s: seconds of training so far, the measure of a run that has a number of steps.
        """
        if self.by_clock:
            allowed_s = VERDICT_SHARE * max(self.time_s, 1e-9)
        else:
            allowed_s = max(VERDICT_S, VERDICT_SHARE * trained_s)
        return self.stride_for(self.verdict_passes * self.token_s * self.n_tokens, allowed_s)

    def stride_for(self, whole_s: float, allowed_s: float) -> int:
        """Return the stride with which a verdict takes the seconds allowed; whole_s: with a stride of 1."""
        # A part that would save less than a quarter of its time is not worth it.
        return min(self.largest_stride, max(1, math.ceil(whole_s / max(allowed_s, 1e-9) - 0.25)))

    @property
    def largest_stride(self) -> int:
        """Stride of the smallest verdict."""
        return min(
            MAX_STRIDE, max(1, self.n_tokens // (MIN_SLOW_TOKENS if self.by_clock else self.min_tokens))
        )

    def is_due(self, step: int, progress: float) -> bool:
        """Return True if this step is to be evaluated now."""
        near_end = progress < 1 < progress + self.gap / 2  # the last evaluation is about to come
        return progress >= self.next_eval and step != self.last_step and not near_end

    def advance(self, progress: float) -> None:
        """Set the next evaluation to an early one, or to a point of the grid at least half a gap away.

        A point less than a gap before the end is left out: the last step is evaluated anyway.
        """
        early = next((point for point in self.early if point - progress > self.gap / 4), None)
        self.next_eval = early or self._on_grid(progress)

    def _on_grid(self, progress: float) -> float:
        gap = self.gap
        point = gap * (math.floor(progress / gap + 1e-9) + 1)
        if point - progress < gap / 2:  # an evaluation took longer than planned, and the grid is a new one
            point += gap
        return point if 1 - point > gap - 1e-9 else 1.0
