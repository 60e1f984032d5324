"""Early stopping: end a run whose held-out losses stay above the best one, as after overfitting."""

from __future__ import annotations

import math

from glassgpt.language import N_

MIN_RISE = 0.005
"""Share of the loss by which an evaluation must be above the best one to count as worse."""


class EarlyStopping:
    """Counts evaluations in a row that are worse than the best one.

    patience: this many end the run; 0 never ends it. best: the lowest loss so far.
    The learning rate falls over a run, which lowers the loss of a model that still learns, but not that of
    one that overfits: of 33 trainings that three such evaluations would have ended, none got better
    afterwards (docs/experiments.md).

    >>> early_stopping = EarlyStopping(patience=2)
    >>> for loss in (2.0, 2.1, 1.9, 1.95, 1.95):
    ...     early_stopping.update(loss)
    >>> early_stopping.should_stop, early_stopping.best
    (True, 1.9)
    """

    def __init__(self, patience: int, best: float = math.inf) -> None:
        self.patience, self.best, self.n_worse = patience, best, 0

    def update(self, loss: float) -> None:
        """Count an evaluation."""
        self.best = min(self.best, loss)
        self.n_worse = self.n_worse + 1 if loss > self.best * (1 + MIN_RISE) else 0

    @property
    def should_stop(self) -> bool:
        """True if more training does not help."""
        return 0 < self.patience <= self.n_worse

    @property
    def reason(self) -> str:
        """Why the run ends, for its user."""
        return N_(
            "{n} evaluations in a row are worse than the best one: the model learns its text by heart, and "
            "more training does not help. The run ends before its time, and the best step counts. More text "
            "would help.",
            n=self.n_worse,
        )
