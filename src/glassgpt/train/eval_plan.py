"""Evaluations planned so that they take a small, known share of a run.

While training, an evaluation reads a fixed part of the validation split: every `stride`-th batch. The verdict
at the end reads the whole split, or a part of it if the whole would take too long.
"""

from __future__ import annotations

import math

from glassgpt.train.schedule import Budget

TRAINING_SHARE = 0.03
"""Largest share of a run's time for the evaluations during training."""
VERDICT_SHARE = 0.06
"""Largest share of a run's time for the verdict."""
MIN_TOKENS, MAX_TOKENS = 16_384, 131_072
"""Size of the part that an evaluation reads: less is noise, more gains nothing while training."""
VERDICT_PASSES = 2
"""Forward passes per held-out token in a verdict: overlapping windows, or once more without the source."""
STAGE_S = 1.0
"""Work that is expected to take longer is announced."""
VERDICT_S = 10.0
"""Seconds for the verdict of a run measured in steps, at least."""
MARGIN = 1.2
"""Time kept for the last evaluation, as a multiple of its estimate."""
MAX_RESERVED = 0.2
"""Largest share of a run measured in minutes that is kept for its end."""
STEP_PASSES = 3
"""Time of a training step in forward passes: the backward pass takes about two."""


class EvalPlan:
    """Evaluations evenly spaced over a run, fewer if they are slow.

    n_tokens: targets of the validation split. min_tokens: the smallest part to measure.

    >>> plan = EvalPlan(Budget(seconds=60), evals=10, n_tokens=2_000_000)
    >>> plan.next
    0.1
    >>> plan.token_s = 1 / 50_000  # a forward pass over 50,000 tokens takes a second
    >>> plan.choose_part(step_tokens=1024)
    >>> plan.stride, plan.verdict_stride(), round(plan.seconds, 2)
    (122, 22, 0.33)
    >>> plan.advance(0.1)
    >>> round(plan.next, 3)
    0.364
    """

    def __init__(self, budget: Budget, evals: int, n_tokens: int, min_tokens: int = 0) -> None:
        self.budget, self.evals = budget, evals
        self.n_tokens, self.min_tokens = n_tokens, max(MIN_TOKENS, min_tokens)
        self.token_s = 0.0
        """Seconds that the loss of one held-out token takes, measured or estimated."""
        self.seconds = 0.0
        """Seconds that one evaluation during training takes, its sample included."""
        self.stride = 1
        """An evaluation during training reads every `stride`-th batch."""
        self.next = 1 / evals
        """Progress (0 to 1) at which the next evaluation is due."""
        self.measured = 0
        """Step of the last evaluation; 0 for none."""

    @property
    def gap(self) -> float:
        """Progress from one evaluation to the next."""
        if self.budget.seconds is None:
            return 1 / self.evals
        return max(1 / self.evals, self.seconds / (TRAINING_SHARE * self.budget.seconds))

    @property
    def reserved_s(self) -> float:
        """Seconds kept for the end of a run measured in minutes: the last evaluation and the verdict."""
        if self.budget.seconds is None:
            return 0.0
        return min(MARGIN * self.seconds + self.verdict_s(), MAX_RESERVED * self.budget.seconds)

    def choose_part(self, step_tokens: int) -> None:
        """Fix the part that evaluations read, by the time that is left for them.

        step_tokens: targets of one training step. A run measured in steps gets the same part on any machine.
        """
        if self.budget.seconds is None:
            assert self.budget.steps is not None
            n = TRAINING_SHARE * STEP_PASSES * step_tokens * self.budget.steps / self.evals
        else:
            n = TRAINING_SHARE * self.budget.seconds / self.evals / self.token_s
        part = min(max(n, self.min_tokens), max(MAX_TOKENS, self.min_tokens))
        self.stride = max(1, round(self.n_tokens / part))
        self.seconds = self.token_s * self.n_tokens / self.stride

    def restore(self, seconds: float, stride: int) -> None:
        """Continue with the part and the evaluation time of an earlier attempt."""
        self.seconds, self.stride = seconds, stride
        self.token_s = seconds * stride / self.n_tokens

    def verdict_s(self, elapsed_s: float = 0.0) -> float:
        """Return the seconds that the verdict is expected to take."""
        return VERDICT_PASSES * self.token_s * self.n_tokens / self.verdict_stride(elapsed_s)

    def verdict_stride(self, elapsed_s: float = 0.0) -> int:
        """Return the stride of the verdict: 1 if the whole split fits into its share of the time.

        elapsed_s: seconds of training so far, the measure of a run that has a number of steps.
        """
        whole_s = VERDICT_PASSES * self.token_s * self.n_tokens
        if self.budget.seconds is None:
            allowed_s = max(VERDICT_S, VERDICT_SHARE * elapsed_s)
        else:
            allowed_s = VERDICT_SHARE * self.budget.seconds
        largest = max(1, self.n_tokens // self.min_tokens)
        # A part that would save less than a quarter of its time is not worth it.
        return min(largest, max(1, math.ceil(whole_s / allowed_s - 0.25)))

    def is_due(self, step: int, progress: float) -> bool:
        """Return True if this step is to be evaluated now."""
        near_end = progress < 1 < progress + self.gap / 2  # the last evaluation is about to come
        return progress >= self.next and step != self.measured and not near_end

    def advance(self, progress: float) -> None:
        """Set the next evaluation to a point of the grid, at least half a gap after this progress.

        A point less than a gap before the end is left out: the last step is evaluated anyway.
        """
        gap = self.gap
        point = gap * (math.floor(progress / gap + 1e-9) + 1)
        if point - progress < gap / 2:  # an evaluation took longer than planned, and the grid is a new one
            point += gap
        self.next = point if 1 - point > gap - 1e-9 else 1.0
