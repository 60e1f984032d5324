"""When a run ends early: held-out losses that stay above the best one, as on a text learned by heart."""

from __future__ import annotations

from glassgpt.language import N_

RISE = 0.005
"""Share of the loss by which an evaluation must be above the best one to count as worse."""


class Patience:
    """Counts evaluations in a row that are worse than the best one.

    limit: so many end the run; 0 for a run that goes on to its end.
    The learning rate falls over a run, which lowers the loss of a model that still learns, but not that of
    one that learns by heart: of 33 trainings that three such evaluations would have ended, none got better
    afterwards (docs/experiments.md).

    >>> patience = Patience(limit=2)
    >>> for loss in (2.0, 2.1, 1.9, 1.95, 1.95):
    ...     patience.saw(loss, best=min(loss, 1.9))
    >>> patience.is_over
    True
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.n_worse = limit, 0

    def saw(self, loss: float, best: float) -> None:
        """Note the loss of an evaluation; best: the lowest one so far, this one included."""
        self.n_worse = self.n_worse + 1 if loss > best * (1 + RISE) else 0

    @property
    def is_over(self) -> bool:
        """True if more training does not help."""
        return 0 < self.limit <= self.n_worse

    @property
    def reason(self) -> str:
        """Why the run ends, for its user."""
        return N_(
            "{n} evaluations in a row are worse than the best one: the model learns its text by heart, and "
            "more training does not help. The run ends before its time, and the best step counts. More text "
            "would help.",
            n=self.n_worse,
        )
